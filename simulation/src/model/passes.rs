//! Passes as a plain list: what each may still be used for is counted from all of its uses.

use std::collections::{BTreeMap, VecDeque};

use lotkeeper_engine::ids::{PassId, Pseudonym};
use lotkeeper_engine::limits::{
    AMOUNT_MAX, CODE_CHARS_MAX, ENDED_PASSES_KEPT_PER_LOT, VEHICLES_PER_PASS_MAX,
};
use lotkeeper_engine::lot::pass::{Event as PassEvent, Left, Limit, Pass, PassTerms, Per, State};
use lotkeeper_engine::lot::pass::{PassChange, Reach, Used};
use lotkeeper_engine::lot::session::Origin;
use lotkeeper_engine::lot::{Account, Event, Outcome, Owner, Purpose, Rejection, violation};
use lotkeeper_engine::money::PerMille;
use lotkeeper_engine::tariff::{Coverage, Covers, Unit, Zone};
use lotkeeper_engine::time::{Seconds, Timestamp};

use super::changes::judge_version;
use super::lot::LotModel;
use super::promises::Granted;

/// What a stay added to the use of its pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Which pass.
    pub id: PassId,
    /// Entries.
    pub entries: u32,
    /// Time.
    pub stayed: Seconds,
}

/// The passes of one lot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    /// All that are remembered.
    pub all: BTreeMap<PassId, Pass>,
    ended: VecDeque<PassId>,
    /// Entries and time by pass and period.
    uses: BTreeMap<(PassId, i64), (u32, u32)>,
    /// The use that no stay has accounted for yet.
    pub open_use: Option<Use>,
}

impl Passes {
    /// Those that did not end.
    pub fn going_on(&self) -> impl Iterator<Item = &Pass> {
        self.all.values().filter(|pass| pass.state != State::Ended)
    }

    /// What is left of a period; before the newest one nothing is limited any more.
    fn left_in(&self, pass: &Pass, period: i64) -> Left {
        let is_newest = self.newest(pass.id).is_none_or(|newest| newest <= period);
        let used = self.uses.get(&(pass.id, period)).filter(|_| is_newest);
        let (entries, seconds) = used.copied().unwrap_or_default();
        match pass.terms.allowance.map(|allowance| allowance.limit) {
            None => Left::All,
            Some(Limit::Entries(most)) if entries < most => Left::All,
            Some(Limit::Entries(_)) => Left::Nothing,
            Some(Limit::Minutes(minutes)) if seconds < minutes * 60 => {
                Left::Time(Seconds(minutes * 60 - seconds))
            }
            Some(Limit::Minutes(_)) => Left::Nothing,
        }
    }

    fn newest(&self, id: PassId) -> Option<i64> {
        let of_pass = self.uses.range((id, i64::MIN)..=(id, i64::MAX));
        of_pass.map(|((_, period), _)| *period).max()
    }

    /// An event happened; what is wrong with that.
    pub fn apply(&mut self, event: &PassEvent, at: Timestamp) -> Option<String> {
        if let PassEvent::Issued { id, terms, reach } = event {
            let pass = Pass {
                id: *id,
                terms: (**terms).clone(),
                reach: *reach,
                state: State::Active,
                used: Used::default(),
                created_at: at,
                updated_at: at,
                version: 1,
            };
            let before = self.all.insert(*id, pass);
            return before.map(|pass| format!("{pass:?} was issued twice"));
        }
        let Some(pass) = self.all.get_mut(&event.id()) else {
            return Some(format!("{event:?} of a pass that nobody issued"));
        };
        if let PassEvent::Used { id, period, entries, stayed } = event {
            return self.take(Use { id: *id, entries: *entries, stayed: *stayed }, *period);
        }
        if pass.state == State::Ended {
            return Some(format!("{event:?} of a pass that ended"));
        }
        (pass.updated_at, pass.version) = (at, pass.version + 1);
        match event {
            PassEvent::Changed { id, terms } => {
                // What was used by another calendar is not counted.
                if pass.terms.per() != terms.per() {
                    self.uses.retain(|(of, _), _| of != id);
                    pass.used = Used::default();
                }
                pass.terms = (**terms).clone();
            }
            PassEvent::Paused { .. } => pass.state = State::Paused,
            PassEvent::Honoured { .. } | PassEvent::Followed { .. } => {
                return Some(format!("{event:?} where no pass of a tenant is played"));
            }
            PassEvent::Resumed { .. } => pass.state = State::Active,
            PassEvent::Ended { id } => {
                pass.state = State::Ended;
                self.ended.push_back(*id);
                if self.ended.len() > ENDED_PASSES_KEPT_PER_LOT
                    && let Some(oldest) = self.ended.pop_front()
                {
                    self.all.remove(&oldest);
                }
            }
            PassEvent::Issued { .. } | PassEvent::Used { .. } => {}
        }
        None
    }

    fn take(&mut self, used: Use, period: i64) -> Option<String> {
        if let Some(open) = self.open_use {
            return Some(format!("{used:?} while nobody came or left by {open:?}"));
        }
        let pass = self.all.get(&used.id)?.clone();
        // Who comes in had something left, or he would not have.
        if used.entries > 0 && self.left_in(&pass, period) == Left::Nothing {
            return Some(format!("{used:?} of {pass:?}, of which nothing is left"));
        }
        self.open_use = Some(used);
        let sum = self.uses.entry((used.id, period)).or_default();
        (sum.0, sum.1) = (sum.0 + used.entries, sum.1 + used.stayed.0);
        let newest = self.newest(used.id)?;
        let (entries, stayed) = self.uses.get(&(used.id, newest)).copied()?;
        let pass = self.all.get_mut(&used.id)?;
        pass.used = Used { period: newest, entries, stayed: Seconds(stayed) };
        None
    }
}

/// The number of the period that an instant lies in.
fn period(lot: &LotModel, pass: &Pass, at: Timestamp) -> i64 {
    let unit = match pass.terms.allowance.map(|allowance| allowance.per) {
        None | Some(Per::Total) => return 0,
        Some(Per::Day) => Unit::Day,
        Some(Per::Week) => Unit::Week,
        Some(Per::Month) => Unit::Month,
    };
    let zone = Zone::named(&lot.spec.place.time_zone).ok();
    zone.and_then(|zone| zone.period_of(unit, at)).unwrap_or_default()
}

/// The pass that lets a vehicle in, and what it covers; nothing inside where it has only some that do not.
pub fn good_for(
    lot: &LotModel,
    vehicle: Pseudonym,
    at: Timestamp,
) -> Option<Option<(&Pass, Coverage)>> {
    let passes = &lot.life.passes;
    let mut own = passes.all.values().filter(|it| it.terms.vehicles.contains(&vehicle)).peekable();
    own.peek()?;
    Some(own.find_map(|pass| {
        let valid = pass.terms.valid;
        let left = passes.left_in(pass, period(lot, pass, at));
        let is_good = pass.state == State::Active && valid.from <= at && at < valid.to;
        let covers = match (left, pass.terms.covers) {
            (Left::Nothing, _) => return None,
            (Left::Time(left), Covers::Whole) => Covers::First(left),
            (Left::Time(left), Covers::First(first)) => Covers::First(left.min(first)),
            (_, covers) => covers,
        };
        is_good.then(|| (pass, Coverage { code: pass.terms.plan.clone(), covers }))
    }))
}

/// What issuing one must do.
pub fn issue(lot: &LotModel, id: PassId, terms: &PassTerms, now: Timestamp) -> Granted {
    if lot.life.passes.all.contains_key(&id) {
        return Err(Rejection::IdTaken);
    }
    judge_terms(terms, now)?;
    let mut events = Vec::new();
    if terms.price.0 > 0 {
        let owner = Owner::Pass(id);
        let sides = (Account::Customer(owner), Account::Revenue);
        events.push(lot.life.posting(owner, Purpose::Pass, sides, terms.price.0));
    }
    events.push(Event::Pass(PassEvent::Issued {
        id,
        reach: Reach::Lot,
        terms: Box::new(terms.clone()),
    }));
    Ok((events, Outcome::Pass(id)))
}

/// What exactly is wrong is for people and not predicted.
fn judge_terms(terms: &PassTerms, now: Timestamp) -> Result<(), Rejection> {
    let nothing =
        matches!(terms.allowance.map(|it| it.limit), Some(Limit::Entries(0) | Limit::Minutes(0)));
    let share = matches!(terms.covers, Covers::Share(share) if share > PerMille::ONE);
    let right = is_code(&terms.plan)
        && (1..=VEHICLES_PER_PASS_MAX).contains(&terms.vehicles.len())
        && (0..=AMOUNT_MAX).contains(&terms.price.0)
        && terms.valid.from < terms.valid.to
        && now < terms.valid.to
        && !nothing
        && !share;
    if right { Ok(()) } else { Err(Rejection::Invalid { faults: Vec::new() }) }
}

/// Whether it can stand in a path.
pub(super) fn is_code(code: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._~-".contains(c);
    !code.is_empty()
        && code.len() <= CODE_CHARS_MAX
        && code.chars().all(plain)
        && code.chars().any(|c| c != '.')
}

/// What a change of one must do.
pub fn change(
    lot: &LotModel,
    (id, change): (PassId, &PassChange),
    expected_version: Option<u32>,
    now: Timestamp,
) -> Granted {
    let pass = lot.life.passes.all.get(&id).ok_or(Rejection::PassNotFound)?;
    judge_version(expected_version, pass.version)?;
    let mut events = Vec::new();
    let inside = || lot.life.inside().filter(|stay| stay.origin == Origin::Pass(id));
    match (change, pass.state) {
        (PassChange::End, State::Ended)
        | (PassChange::Pause, State::Paused)
        | (PassChange::Resume, State::Active) => {}
        (_, State::Ended) => return Err(Rejection::PassEnded),
        (PassChange::End | PassChange::Pause, _) => {
            let kind = violation::Kind::ExpiredPass;
            events.extend(inside().filter_map(|stay| lot.found(stay, &kind, now)));
            events.push(Event::Pass(match change {
                PassChange::End => PassEvent::Ended { id },
                _ => PassEvent::Paused { id },
            }));
        }
        (PassChange::Resume, _) => {
            for stay in inside() {
                let found = lot.life.fines.by_itself_of(stay.id, stay.account());
                let found = found.filter(|it| it.kind == violation::Kind::ExpiredPass);
                let reason = || Some("pass_resumed".into());
                events.extend(found.map(|it| {
                    Event::Violation(violation::Event::Resolved { id: it.id, reason: reason() })
                }));
            }
            events.push(Event::Pass(PassEvent::Resumed { id }));
        }
        (PassChange::Amend(terms), _) if **terms == pass.terms => {}
        (PassChange::Amend(terms), _) => {
            judge_terms(terms, now)?;
            events.push(Event::Pass(PassEvent::Changed { id, terms: terms.clone() }));
        }
    }
    Ok((events, Outcome::Pass(id)))
}
