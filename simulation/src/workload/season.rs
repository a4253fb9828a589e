//! Those who wait for a slot and those who have a pass.

use lotkeeper_engine::ids::{PassId, Pseudonym, ReservationId, WaitingId};
use lotkeeper_engine::lot::guest::{Calendar, Honour, TenantPass};
use lotkeeper_engine::lot::pass::{Allowance, Limit, Pass, PassTerms, Per, Reach, State};
use lotkeeper_engine::lot::{Caller, Command, Needs, PassChange, WaiterTerms};
use lotkeeper_engine::money::{Amount, PerMille};
use lotkeeper_engine::spec::{FeatureSet, Size};
use lotkeeper_engine::tariff::{Coverage, Covers};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use uuid::Uuid;

use super::gates::{booking, vehicle};
use crate::dice::Dice;
use crate::model::{LotModel, passes};

fn holder(dice: &mut Dice) -> Pseudonym {
    Pseudonym(Uuid::from_u128(0xF000 + u128::from(dice.below(6))))
}

fn minutes(dice: &mut Dice, from: i64, to: i64) -> i64 {
    dice.between(from, to) * 60
}

/// Mostly for the window of somebody else's promise that has not begun: then something may be in the way.
pub(super) fn join(dice: &mut Dice, lot: &LotModel, now: Timestamp, id: Uuid) -> Command {
    let to_come = lot.active().map(|(_, it)| it.window).filter(|window| window.from > now);
    let to_come: Vec<Window> = to_come.collect();
    let line: Vec<Window> = lot.life.line.waiters().map(|it| it.terms.window).collect();
    let window = match dice.pick(&to_come) {
        // Behind others who wait for the same.
        Some(window) if dice.one_in(2) => dice.pick(&line).unwrap_or(window),
        Some(window) if !dice.one_in(8) => window,
        _ => {
            let from = now.micros() / 1_000_000 + minutes(dice, -6, 120);
            let to = from + minutes(dice, -1, 90);
            Window { from: Timestamp::from_seconds(from), to: Timestamp::from_seconds(to) }
        }
    };
    let known = waiting(dice, lot).0;
    let id = match dice.below(24) {
        0 => known,
        1 => booking(dice, lot).0,
        _ => id,
    };
    Command::JoinWaiting {
        id: WaitingId(id),
        terms: Box::new(WaiterTerms {
            needs: Needs {
                size: dice.pick(&[Size::Compact, Size::Standard, Size::Large]).unwrap_or_default(),
                features: FeatureSet(dice.pick(&[0, 0, 0, 1, 2]).unwrap_or_default()),
                ..Needs::default()
            },
            window,
            holder: holder(dice),
            vehicle: dice.one_in(2).then(|| vehicle(dice)),
            vehicle_type: None,
            discounts: Box::default(),
        }),
    }
}

fn waiting(dice: &mut Dice, lot: &LotModel) -> WaitingId {
    let line = &lot.life.line;
    let found = match dice.below(4) {
        0 => line.all.keys().nth(dice.index(line.all.len())).copied(),
        _ => dice.pick(&line.waiting),
    };
    found.unwrap_or(WaitingId(Uuid::nil()))
}

/// What makes a line shorter: somebody gives up his place, takes his offer, or makes room for others.
pub(super) fn move_on(dice: &mut Dice, lot: &LotModel) -> Command {
    let next = match dice.below(5) {
        0 => None,
        1 => take(dice, lot),
        _ => make_room(dice, lot),
    };
    next.unwrap_or_else(|| {
        let by = if dice.one_in(3) { Caller::Holder(holder(dice)) } else { Caller::Staff };
        Command::LeaveWaiting { id: waiting(dice, lot), by }
    })
}

/// Somebody gives up what others wait for.
fn make_room(dice: &mut Dice, lot: &LotModel) -> Option<Command> {
    let waiter = lot.life.line.all.get(&dice.pick(&lot.life.line.waiting)?)?;
    let in_the_way = |window: &Window| window.overlaps(waiter.terms.window);
    let promises = lot.active().filter(|(_, it)| in_the_way(&it.window));
    let promises: Vec<ReservationId> = promises.map(|(id, _)| id).collect();
    let id = dice.pick(&promises)?;
    Some(Command::Cancel { id, reason: None, by: Caller::Staff })
}

/// An offer is taken as any other hold is confirmed: the newest that are open.
fn take(dice: &mut Dice, lot: &LotModel) -> Option<Command> {
    let offered = |id: &ReservationId| lot.life.line.all.contains_key(&WaitingId(id.0));
    let held: Vec<_> = lot.active().map(|(id, _)| id).filter(offered).collect();
    dice.pick(&held).map(|id| Command::Confirm { id, by: Caller::Staff })
}

fn pass(dice: &mut Dice, lot: &LotModel) -> PassId {
    let passes = &lot.life.passes;
    let found = match dice.below(4) {
        0 => passes.all.keys().nth(dice.index(passes.all.len())).copied(),
        _ => passes.going_on().nth(dice.index(passes.going_on().count())).map(|pass| pass.id),
    };
    found.unwrap_or(PassId(Uuid::nil()))
}

fn terms(dice: &mut Dice, now: Timestamp) -> PassTerms {
    let from = now.micros() / 1_000_000 + minutes(dice, -300, 60);
    let to = from + minutes(dice, -1, 4_000);
    let limit = match dice.below(4) {
        0 | 1 => Limit::Entries(dice.count(0, 3)),
        _ => Limit::Minutes(dice.count(0, 240)),
    };
    let per = [Per::Day, Per::Week, Per::Month, Per::Total][dice.index(4)];
    PassTerms {
        plan: if dice.one_in(20) { "night pass".into() } else { "night".into() },
        holder: dice.one_in(2).then(|| holder(dice)),
        vehicles: (0..dice.below(20).min(3)).map(|_| vehicle(dice)).collect(),
        price: dice.pick(&[Amount(0), Amount(9_900), Amount(-1)]).unwrap_or_default(),
        valid: Window { from: Timestamp::from_seconds(from), to: Timestamp::from_seconds(to) },
        allowance: dice.one_in(2).then_some(Allowance { limit, per }),
        covers: match dice.below(4) {
            0 => Covers::Share(PerMille(dice.count(0, 1_100))),
            1 => Covers::First(Seconds(dice.count(0, 7_200))),
            _ => Covers::Whole,
        },
    }
}

pub(super) fn issue(dice: &mut Dice, lot: &LotModel, now: Timestamp, id: Uuid) -> Command {
    let id = if dice.one_in(16) { pass(dice, lot) } else { PassId(id) };
    let reach = [Reach::Lot, Reach::Lot, Reach::Tenant][dice.index(3)];
    Command::IssuePass { id, reach, terms: Box::new(terms(dice, now)) }
}

/// One of the passes that other lots issued.
fn guest(dice: &mut Dice) -> PassId {
    PassId(Uuid::from_u128(0xA000 + u128::from(dice.below(4))))
}

/// What a plate brings along to a gate: a pass of the tenant, of this lot or another one, or none.
pub(super) fn brought(dice: &mut Dice, lot: &LotModel, at: Timestamp) -> Option<TenantPass> {
    let own = lot.life.passes.going_on().filter(|pass| pass.reach == Reach::Tenant);
    let own: Vec<&Pass> = own.collect();
    let honour = match dice.below(8) {
        0 => return Some(TenantPass::NotGood),
        1 if !own.is_empty() => passes::honour(lot, own[dice.index(own.len())], at)?,
        1 | 2 => honour(dice, at),
        _ => return None,
    };
    Some(TenantPass::Good(Box::new(honour)))
}

fn honour(dice: &mut Dice, at: Timestamp) -> Honour {
    let PassTerms { plan, holder, valid, covers, .. } = terms(dice, at);
    let per = [Per::Day, Per::Day, Per::Week, Per::Total][dice.index(4)];
    let by = Calendar { per, zone: "Europe/London".into() };
    let (period, coverage) = (by.period(at), Coverage { code: plan, covers });
    Honour { id: guest(dice), holder, valid, coverage, period, by }
}

/// What became of a pass of another lot.
pub(super) fn follow(dice: &mut Dice, now: Timestamp) -> Command {
    let state = [State::Active, State::Paused, State::Ended][dice.index(3)];
    let since = now.minus(Seconds(dice.count(0, 7_200)));
    Command::FollowPass { id: guest(dice), state, since }
}

pub(super) fn change(dice: &mut Dice, lot: &LotModel, now: Timestamp) -> Command {
    let id = pass(dice, lot);
    let known = lot.life.passes.all.get(&id);
    let change = match dice.below(8) {
        0 => PassChange::End,
        1 | 2 => PassChange::Pause,
        3..6 => PassChange::Resume,
        6 => PassChange::Amend(Box::new(terms(dice, now))),
        _ => PassChange::Amend(Box::new(
            known.map_or_else(|| terms(dice, now), |it| it.terms.clone()),
        )),
    };
    let version = known.map_or(1, |it| it.version);
    let expected_version = dice.one_in(4).then(|| version + u32::from(dice.one_in(4)));
    Command::ChangePass { id, change, expected_version }
}
