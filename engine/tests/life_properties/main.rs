//! Random sequences of every command there is: invariants I1 to I11 hold after each, what a tick would have
//! settled is settled by any command alike, and what was recorded tells the whole story.
//!
//! Beside the invariants, which look at one state, the auditor here follows the story: every stay that ended
//! has one charge of its fee, what an owner owes is the sum of his postings, a stay inside and its reservation
//! say the same. Times move in steps of five minutes and ids come from small pools.

#![allow(clippy::unwrap_used, reason = "in a test unwrap is the assertion")]

#[path = "../common/mod.rs"]
mod common;
mod draw;
#[path = "../life/mod.rs"]
mod life;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Entry, World, at, mixed};
use draw::{Draw, Raw, tariff_of};
use lotkeeper_engine::lot::payment::{self, Method};
use lotkeeper_engine::lot::{self, Account, Command, Event, Lot, Owner, Purpose, State};
use lotkeeper_engine::spec::{Kind, Spec};
use lotkeeper_engine::time::Timestamp;
use proptest::prelude::*;

const GRID_SECONDS: i64 = 300;

fn grid(at: Timestamp, steps: i64) -> Timestamp {
    Timestamp::from_micros(at.micros() + steps * GRID_SECONDS * 1_000_000)
}

fn take(world: &mut World, raw: &Raw) {
    let mut draw = Draw { raw, now: world.now };
    let command = draw.command();
    match command {
        Some(command) => {
            check_settled(world, &command);
            let entries = world.entries.len();
            let decision = world.decide(&command);
            let _ = world.execute(&command);
            let made = world.entries.len() - entries;
            assert_eq!(made, decision.events.len());
            if let Command::Scan(scan) = &command
                && scan.dry_run
            {
                assert_eq!(made, decision.overdue, "a dry run leaves no trace");
            }
        }
        None => match draw.below(8) {
            0..=5 => world.advance(draw.below(9) * 300),
            6 => world.advance(draw.below(4) * 86_400),
            _ => {
                let slot = draw.slot();
                let occupied = draw.below(2) == 1;
                if slot.at() < world.slots.len() {
                    world.see(slot.0, occupied);
                }
            }
        },
    }
}

/// Whether the tick came first or not: one answer.
fn check_settled(world: &World, command: &Command) {
    let mut settled = world.clone();
    let mut rounds = 0;
    while settled.lot.next_due_at().is_some_and(|due_at| due_at <= settled.now) {
        settled.execute(&Command::Tick { listening_since: settled.now }).unwrap();
        rounds += 1;
        assert!(rounds < 20, "it never ends");
    }
    let (early, late) = (world.decide(command), settled.decide(command));
    assert_eq!(early.outcome, late.outcome, "{command:?} hangs on the tick");
    assert_eq!(early.events[early.overdue..], late.events[..], "{command:?} hangs on the tick");
}

/// What a state alone does not tell.
fn audit(world: &World) {
    let lot = &world.lot;
    for session in lot.stays().inside() {
        let found = session.reservation().and_then(|id| lot.reservation(id));
        let Some(reservation) = found.filter(|reservation| reservation.state.is_active()) else {
            continue;
        };
        assert!(matches!(reservation.state, State::CheckedIn { .. }), "{reservation:?}");
        assert_eq!(session.booked, Some(reservation.window), "{session:?}");
        assert!(session.slot.is_none_or(|slot| slot == reservation.slot), "{session:?}");
    }
    audit_ledger(world);
}

fn audit_ledger(world: &World) {
    life::assert_ledger(world);
    let mut sums: BTreeMap<Account, i64> = BTreeMap::new();
    let mut charges: BTreeMap<Owner, Vec<i64>> = BTreeMap::new();
    for entry in &world.entries {
        let Entry::Lot(Event::Posted(posting), _) = entry else { continue };
        for side in &posting.entries {
            *sums.entry(side.account.clone()).or_default() += side.amount.0;
        }
        if matches!(posting.purpose, Purpose::Charge | Purpose::Cancellation) {
            charges.entry(posting.about).or_default().push(posting.entries[0].amount.0);
        }
    }
    sums.retain(|_, amount| *amount != 0);
    let kept: BTreeMap<Account, i64> = world
        .lot
        .accounts()
        .balances()
        .map(|(account, amount)| (account.clone(), amount.0))
        .collect();
    assert_eq!(kept, sums);
    audit_bank(world);
    for (owner, charged) in &charges {
        assert_eq!(charged.len(), 1, "{owner:?} is billed once: {charged:?}");
    }
    for session in world.lot.stays().all().filter(|session| !session.state.is_inside()) {
        let fee = session.fee.as_ref().map_or(0, |fee| fee.total.0);
        let charged = charges.get(&session.account()).map_or(0, |charged| charged[0]);
        assert_eq!(charged, fee, "{session:?}");
        assert_eq!(session.fee.is_some(), session.terms.tariff.is_some(), "{session:?}");
    }
}

/// What came in by a provider and did not go back is what its account has.
fn audit_bank(world: &World) {
    let bank = Method::Provider("bank".into());
    let received = world.lot.payments().all().filter(|payment| payment.method == bank);
    let received = received.filter(|payment| match payment.state {
        payment::State::Captured | payment::State::PartlyRefunded | payment::State::Refunded => {
            true
        }
        payment::State::Authorised
        | payment::State::Voided
        | payment::State::Failed
        | payment::State::Pending => false,
    });
    let has: i64 = received.map(|payment| payment.amount.0 - payment.refunded.0).sum();
    assert_eq!(life::balance(world, &Account::Received(bank)), has);
}

fn lots() -> impl Strategy<Value = Spec> {
    (1..6usize, 0..4u32).prop_map(|(slots, kind)| {
        let mut spec = mixed(slots);
        if kind == 3 {
            spec = Spec { kind: Kind::Counted, capacity: 3, ..spec };
        }
        spec
    })
}

fn replay(spec: &Arc<Spec>, entries: &[Entry]) -> Lot {
    let mut lot = Lot::new(Arc::clone(spec));
    for entry in entries {
        if let Entry::Lot(event, at) = entry {
            lot::apply(&mut lot, event, *at);
        }
    }
    lot
}

/// How many sequences: more of them with `LOTKEEPER_SEQUENCES`.
fn sequences() -> u32 {
    let asked = std::env::var("LOTKEEPER_SEQUENCES").ok();
    asked.map_or(60, |asked| asked.parse().expect("LOTKEEPER_SEQUENCES is a number"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(sequences()))]

    #[test]
    fn every_command_in_any_order_keeps_every_invariant(
        spec in lots(),
        steps in prop::collection::vec(any::<Raw>(), 1..90),
    ) {
        let mut world = World::new(spec);
        world.now = at(0);
        let spec = Arc::clone(world.lot.spec());
        for number in [1, 5] {
            life::put(&mut world, tariff_of(number));
        }
        for step in &steps {
            take(&mut world, step);
            world.assert_invariants();
            audit(&world);
            prop_assert_eq!(&Lot::from_parts(world.lot.parts()), &world.lot);
        }
        let told = replay(&spec, &world.entries);
        // A count that repeats the tally leaves no record: what it says of time is not replayed.
        let timeless = |lot: &Lot| {
            let mut parts = lot.parts();
            parts.tally.heard_at = Timestamp::default();
            parts.tally.observed_at = None;
            Lot::from_parts(parts)
        };
        prop_assert_eq!(timeless(&told), timeless(&world.lot));
    }
}
