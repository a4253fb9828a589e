//! Any commit and any snapshot there can be.

use std::sync::Arc;

use lotkeeper_engine::ids::{LotKey, Pseudonym, ReservationId, SlotIndex};
use lotkeeper_engine::lot::{
    Condition, Count, CountOutcome, CountState, Event as LotEvent, LotParts, Proof, Reservation,
    Reserved, Service, State, Tally,
};
use lotkeeper_engine::slot::{Event as SlotEvent, Hearing, Mark, Sighting, Slot, Source};
use lotkeeper_engine::time::{Timestamp, Window};
use lotkeeper_storage::{
    By, Claim, ClaimKey, ClaimOutcome, Event, LotSnapshot, Record, RememberedClaim, Role,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

use crate::common::START;
use crate::lots::{slot_values, specification, values};
use crate::money::{accounts, posting, tariff_change};
use crate::passes::{self, guest, pass};
use crate::payments::{self, payment};
use crate::shifts::{self, shift};
use crate::stays::{self, session};
use crate::tariffs::{assignment, tariff};
use crate::violations::{self, violation};
use crate::waiting::{self, waiter};

/// On the heap: what draws and shrinks a text is kilobytes large, and one lot has dozens of them, which
/// moved through the frames of a build for tests are too much for the stack of a test's thread.
pub fn text() -> BoxedStrategy<Box<str>> {
    let text = prop_oneof![Just(String::new()), Just("Straße 🅿".to_owned()), ".{0,40}"];
    text.prop_map(Into::into).boxed()
}

pub fn at() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        any::<i64>().prop_map(Timestamp::from_micros),
        (-5_000_000..5_000_000_i64).prop_map(|d| Timestamp::from_micros(START.micros() + d)),
    ]
}

fn id() -> impl Strategy<Value = ReservationId> {
    any::<u128>().prop_map(|n| ReservationId(Uuid::from_u128(n)))
}

fn person() -> impl Strategy<Value = Pseudonym> {
    any::<u128>().prop_map(|n| Pseudonym(Uuid::from_u128(n)))
}

fn window() -> impl Strategy<Value = Window> {
    (at(), at()).prop_map(|(from, to)| Window { from, to })
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![Just(Source::Sensor), Just(Source::Staff)]
}

fn proof() -> impl Strategy<Value = Proof> {
    proptest::sample::select(vec![
        Proof::Seen,
        Proof::Assumed,
        Proof::Scanned,
        Proof::Staff,
        Proof::Driver,
    ])
}

fn mark() -> impl Strategy<Value = Mark> {
    (at(), any::<u64>()).prop_map(|(observed_at, sequence)| Mark { observed_at, sequence })
}

fn slot_event() -> impl Strategy<Value = SlotEvent> {
    let sighting = || {
        (mark(), any::<u64>(), source(), any::<Option<u8>>()).prop_map(
            |(mark, id_hash, source, confidence_percent)| Sighting {
                mark,
                id_hash,
                source,
                confidence_percent,
            },
        )
    };
    prop_oneof![
        sighting().prop_map(SlotEvent::Occupied),
        sighting().prop_map(SlotEvent::Vacated),
        mark().prop_map(|mark| SlotEvent::Heard { mark }),
        Just(SlotEvent::FellSilent),
    ]
}

fn service() -> impl Strategy<Value = Service> {
    let closed = (text(), option::of(at()))
        .prop_map(|(reason, until)| Service::OutOfService { reason, until });
    prop_oneof![Just(Service::InService), closed]
}

fn count() -> impl Strategy<Value = Count> {
    prop_oneof![
        any::<(u32, u32)>().prop_map(|(entered, left)| Count::Flow { entered, left }),
        any::<u32>().prop_map(|occupied| Count::Absolute { occupied }),
    ]
}

fn lot_event() -> impl Strategy<Value = LotEvent> {
    let slot = || any::<u16>().prop_map(SlotIndex);
    let price = || option::of(stays::price().prop_map(Box::new)).boxed();
    let what = (price(), option::of(stays::series()), option::of(person()));
    let reserved = (id(), slot(), window(), option::of(at()), person(), option::of(person()), what)
        .prop_map(|(id, slot, window, expires_at, holder, vehicle, what)| {
            let (price, series, request) = what;
            Reserved { id, slot, window, expires_at, holder, vehicle, price, series, request }
        });
    let values = values();
    let slot_values = slot_values();
    prop_oneof![
        specification().prop_map(LotEvent::Created).boxed(),
        values.prop_map(|values| LotEvent::Changed(Box::new(values))).boxed(),
        slot_values.prop_map(|values| LotEvent::SlotChanged(Box::new(values))).boxed(),
        (slot(), service()).prop_map(|(slot, service)| LotEvent::ServiceChanged { slot, service }),
        reserved.prop_map(|reserved| LotEvent::Reserved(Box::new(reserved))).boxed(),
        id().prop_map(|id| LotEvent::Confirmed { id }),
        (id(), window(), price())
            .prop_map(|(id, window, price)| LotEvent::Modified { id, window, price })
            .boxed(),
        stays::moved().prop_map(|moved| LotEvent::Moved(Box::new(moved))).boxed(),
        id().prop_map(|id| LotEvent::HoldEnded { id }),
        (id(), stays::reminder()).prop_map(|(id, of)| LotEvent::Reminded { id, of }),
        (id(), option::of(person())).prop_map(|(id, request)| LotEvent::Requested { id, request }),
        stays::event().prop_map(LotEvent::Session).boxed(),
        tariff_change().prop_map(|change| LotEvent::TariffsChanged(Box::new(change))).boxed(),
        (id(), option::of(text())).prop_map(|(id, reason)| LotEvent::Cancelled { id, reason }),
        id().prop_map(|id| LotEvent::Expired { id }),
        id().prop_map(|id| LotEvent::HoldBegan { id }),
        (id(), proof()).prop_map(|(id, proof)| LotEvent::CheckedIn { id, proof }),
        id().prop_map(|id| LotEvent::NoShow { id }),
        id().prop_map(|id| LotEvent::Completed { id }),
        (count(), at()).prop_map(|(count, observed_at)| LotEvent::Counted { count, observed_at }),
        Just(LotEvent::CounterFellSilent),
        violations::event().prop_map(LotEvent::Violation).boxed(),
        passes::event().prop_map(LotEvent::Pass).boxed(),
        waiting::event().prop_map(LotEvent::Waiting).boxed(),
        payments::event().prop_map(LotEvent::Payment).boxed(),
        shifts::event().prop_map(LotEvent::Shift).boxed(),
        posting().prop_map(|posting| LotEvent::Posted(Box::new(posting))).boxed(),
    ]
}

fn claim() -> impl Strategy<Value = Claim> {
    any::<(u128, u64)>().prop_map(|(key, fingerprint)| Claim { key: ClaimKey(key), fingerprint })
}

/// A few who come again, as they do, or anybody.
fn by() -> impl Strategy<Value = By> {
    let roles =
        [Role::Admin, Role::Operator, Role::Staff, Role::Driver, Role::Device, Role::Display];
    let subject = prop_oneof![
        3 => (0..4_u128).prop_map(|number| Pseudonym(Uuid::from_u128(number))),
        1 => person(),
    ];
    (subject, proptest::sample::select(roles.to_vec()))
        .prop_map(|(subject, role)| By { subject, role })
}

pub fn commit() -> impl Strategy<Value = Vec<Record>> {
    let event = prop_oneof![
        4 => (any::<u16>(), slot_event().boxed()).prop_map(|(slot, e)| Event::Slot(SlotIndex(slot), e)).boxed(),
        1 => lot_event().prop_map(Event::Lot).boxed(),
    ];
    let record = (any::<u32>(), any::<u64>(), at(), event, option::of(by()), option::of(claim()));
    (0..=u64::MAX - 1_000, vec(record, 1..400)).prop_map(|(first_seq, records)| {
        let record = |(seq, (lot, lot_seq, at, event, by, claim))| Record {
            seq,
            lot: LotKey(lot),
            lot_seq,
            at,
            event,
            by,
            claim,
        };
        (first_seq..).zip(records).map(record).collect()
    })
}

fn slot() -> impl Strategy<Value = Slot> {
    let hearing = (any::<bool>(), [at(), at(), at(), at()], mark(), source(), any::<Option<u8>>());
    let hearing = hearing.prop_map(|(occupied, times, mark, source, confidence_percent)| Hearing {
        occupied,
        since: times[0],
        changed_at: times[1],
        mark,
        heard_at: times[2],
        recorded_at: times[3],
        source,
        confidence_percent,
    });
    (any::<u32>(), option::of(hearing), option::of(at()), any::<u8>(), any::<[u64; 4]>()).prop_map(
        |(version, hearing, silent_since, flaps, recent_ids)| Slot {
            version,
            hearing,
            silent_since,
            flaps,
            recent_ids,
        },
    )
}

fn reservation() -> impl Strategy<Value = Reservation> {
    let state = prop_oneof![
        at().prop_map(|expires_at| State::Held { expires_at }),
        Just(State::Confirmed),
        proof().prop_map(|proof| State::CheckedIn { proof }),
        Just(State::Completed),
        Just(State::Cancelled),
        Just(State::Expired),
        Just(State::NoShow),
    ];
    let who = (id(), any::<u16>(), person(), option::of(person()));
    let more = (
        option::of(stays::price().prop_map(Arc::new)).boxed(),
        option::of(stays::series()),
        option::of(stays::reminder()),
    );
    let times = (at(), at());
    (who, window(), state, option::of(text()), any::<bool>(), times, any::<u32>(), more).prop_map(
        |(who, window, state, reason, shown, times, version, more)| Reservation {
            id: who.0,
            slot: SlotIndex(who.1),
            window,
            state,
            holder: who.2,
            vehicle: who.3,
            reason,
            shown,
            created_at: times.0,
            updated_at: times.1,
            version,
            price: more.0,
            series: more.1,
            reminded: more.2,
        },
    )
}

fn tally() -> impl Strategy<Value = Tally> {
    (
        any::<(i64, i64, bool)>(),
        [option::of(at()), option::of(at()), option::of(at())],
        [at(), at()],
    )
        .prop_map(|((occupied, drift, flowed), options, times)| Tally {
            occupied,
            drift,
            flowed,
            absolute_at: options[0],
            observed_at: options[1],
            heard_at: times[0],
            recorded_at: times[1],
            silent_since: options[2],
        })
}

fn remembered() -> impl Strategy<Value = RememberedClaim> {
    let outcomes = [
        CountOutcome::Accepted,
        CountOutcome::Unchanged,
        CountOutcome::Duplicate,
        CountOutcome::Late,
    ];
    let conditions = [
        Condition::Consistent,
        Condition::AboveCapacity,
        Condition::BelowZero,
        Condition::NeverCounted,
        Condition::Silent,
    ];
    let counted = (
        proptest::sample::select(outcomes.to_vec()),
        proptest::sample::select(conditions.to_vec()),
        any::<(i64, i64)>(),
    );
    let outcome = prop_oneof![
        any::<u32>().prop_map(|version| ClaimOutcome::Lot { version }),
        any::<(u16, u32)>()
            .prop_map(|(slot, version)| ClaimOutcome::Slot { slot: SlotIndex(slot), version }),
        reservation().prop_map(|r| ClaimOutcome::Reservation(r.into())).boxed(),
        counted.prop_map(|(outcome, condition, (occupied, drift))| {
            ClaimOutcome::Count(outcome, CountState { occupied, condition, drift })
        }),
        violation().prop_map(|violation| ClaimOutcome::Violation(violation.into())).boxed(),
        pass().prop_map(|pass| ClaimOutcome::Pass(pass.into())).boxed(),
        waiter().prop_map(|waiter| ClaimOutcome::Waiting(waiter.into())).boxed(),
        payment().prop_map(|payment| ClaimOutcome::Payment(payment.into())).boxed(),
        shift().prop_map(|shift| ClaimOutcome::Shift(shift.into())).boxed(),
        (stays::scanned(), option::of(session().prop_map(Arc::new)))
            .prop_map(|(scanned, stay)| ClaimOutcome::Scanned(scanned, stay))
            .boxed(),
        session().prop_map(|session| ClaimOutcome::Session(session.into())).boxed(),
        stays::series().prop_map(ClaimOutcome::Series),
        Just(ClaimOutcome::Tariffs),
    ];
    (claim(), at(), any::<u64>(), outcome)
        .prop_map(|(claim, at, lot_seq, outcome)| RememberedClaim { claim, at, lot_seq, outcome })
}

pub fn snapshot() -> impl Strategy<Value = LotSnapshot> {
    // Each on the heap, as the larger kinds of events and of outcomes are, for the same reason as a text.
    let lists = (
        vec((service(), any::<u32>(), slot()), 30).boxed(),
        vec(reservation(), 0..20).boxed(),
        vec(remembered(), 0..10).boxed(),
        vec(violation(), 0..10).boxed(),
        (vec(pass(), 0..10), vec(guest(), 0..4)).boxed(),
        vec(waiter(), 0..10).boxed(),
        vec(payment(), 0..10).boxed(),
        vec(shift(), 0..10).boxed(),
    );
    let money = (
        vec(session(), 0..8).boxed(),
        accounts().boxed(),
        vec(tariff(), 0..4).boxed(),
        vec(assignment(), 0..6).boxed(),
        vec((violations::owner(), person()), 0..6).boxed(),
    );
    let frame = (specification().boxed(), lists, money, tally().boxed());
    (frame, any::<(u32, u64, u64, u32)>(), at()).prop_map(
        |((spec, lists, money, tally), (lot, seq, lot_seq, version), at)| {
            let (mut slots, reservations, claims, violations, passes, waiting, payments, shifts) =
                lists;
            let (passes, guests) = passes;
            slots.truncate(spec.slots.len());
            let (services, slots) = slots.into_iter().map(|(s, v, slot)| ((s, v), slot)).unzip();
            let reservations = reservations.into_iter().map(Arc::new).collect();
            let (sessions, accounts, tariffs, assignments, requests) = money;
            let parts = LotParts {
                spec,
                version,
                slots: services,
                reservations,
                tally,
                violations: violations.into_iter().map(Arc::new).collect(),
                passes: passes.into_iter().map(Arc::new).collect(),
                guests,
                waiting: waiting.into_iter().map(Arc::new).collect(),
                payments: payments.into_iter().map(Arc::new).collect(),
                shifts: shifts.into_iter().map(Arc::new).collect(),
                sessions: sessions.into_iter().map(Arc::new).collect(),
                accounts,
                tariffs: tariffs.into_iter().map(Arc::new).collect(),
                assignments,
                requests,
            };
            LotSnapshot { lot: LotKey(lot), seq, lot_seq, at, parts, slots, claims }
        },
    )
}
