//! Passes as a plain list: what each may still be used for is counted from all of its uses. Those of the tenant that
//! other lots issued are guests: known by their uses here, and by what the lot was told of them.

use std::collections::{BTreeMap, VecDeque};

use lotkeeper_engine::ids::{PassId, Pseudonym, SessionId};
use lotkeeper_engine::limits::{
    AMOUNT_MAX, CODE_CHARS_MAX, ENDED_PASSES_KEPT_PER_LOT, VEHICLES_PER_PASS_MAX,
};
use lotkeeper_engine::lot::guest::{Calendar, Guest, Honour, TenantPass};
use lotkeeper_engine::lot::pass::{Event as PassEvent, Left, Limit, Pass, PassTerms, Per, State};
use lotkeeper_engine::lot::pass::{PassChange, Reach, Used};
use lotkeeper_engine::lot::session::{Origin, Session};
use lotkeeper_engine::lot::{Account, Event, Outcome, Owner, Purpose, Rejection, violation};
use lotkeeper_engine::money::PerMille;
use lotkeeper_engine::tariff::{Coverage, Covers, Unit, Zone};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};

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
    /// Those of other lots that were used here and are not known to have ended.
    pub guests: BTreeMap<PassId, Guest>,
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
        match event {
            PassEvent::Honoured { id, period, by, .. } => {
                if !self.all.contains_key(id) {
                    self.welcome(*id, by);
                }
                let entry = Use { id: *id, entries: 1, stayed: Seconds(0) };
                return self.take(entry, *period);
            }
            PassEvent::Used { id, period, entries, stayed } => {
                return self.take(Use { id: *id, entries: *entries, stayed: *stayed }, *period);
            }
            PassEvent::Followed { id, state } => return self.follow(*id, *state),
            _ => {}
        }
        let Some(pass) = self.all.get_mut(&event.id()) else {
            return Some(format!("{event:?} of a pass that nobody issued"));
        };
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
            PassEvent::Issued { .. }
            | PassEvent::Used { .. }
            | PassEvent::Honoured { .. }
            | PassEvent::Followed { .. } => {}
        }
        None
    }

    /// One of another lot opened here: it is good, and what was used by another calendar is not counted.
    fn welcome(&mut self, id: PassId, by: &Calendar) {
        let new = Guest { id, state: State::Active, by: by.clone(), used: Used::default() };
        let same = self.guests.get(&id).filter(|guest| guest.by.per == by.per);
        let used = same.map(|guest| guest.used);
        if used.is_none() {
            self.uses.retain(|(of, _), _| *of != id);
        }
        self.guests.insert(id, Guest { used: used.unwrap_or_default(), ..new });
    }

    fn follow(&mut self, id: PassId, state: State) -> Option<String> {
        let Some(guest) = self.guests.get_mut(&id).filter(|guest| guest.state != state) else {
            return Some(format!("{id} is {state:?}, which is no news"));
        };
        guest.state = state;
        if state == State::Ended {
            self.guests.remove(&id);
            self.uses.retain(|(of, _), _| *of != id);
        }
        None
    }

    fn take(&mut self, used: Use, period: i64) -> Option<String> {
        if let Some(open) = self.open_use {
            return Some(format!("{used:?} while nobody came or left by {open:?}"));
        }
        let known = self.all.get(&used.id).cloned();
        // Who comes in had something left, or he would not have. What others used elsewhere is not known here.
        if let Some(pass) = &known
            && used.entries > 0
            && self.left_in(pass, period) == Left::Nothing
        {
            return Some(format!("{used:?} of {pass:?}, of which nothing is left"));
        }
        if known.is_none() && !self.guests.contains_key(&used.id) {
            return Some(format!("{used:?} of a pass that is not known here"));
        }
        self.open_use = Some(used);
        let sum = self.uses.entry((used.id, period)).or_default();
        (sum.0, sum.1) = (sum.0 + used.entries, sum.1 + used.stayed.0);
        let newest = self.newest(used.id)?;
        let (entries, stayed) = self.uses.get(&(used.id, newest)).copied()?;
        let sum = Used { period: newest, entries, stayed: Seconds(stayed) };
        match self.all.get_mut(&used.id) {
            Some(pass) => pass.used = sum,
            None => self.guests.get_mut(&used.id)?.used = sum,
        }
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

/// What somebody with a pass comes in by: what is told of that, whose he is, and what is paid of his stay.
#[derive(Clone, Debug)]
pub struct Right {
    /// What must be told beside his entry.
    pub used: PassEvent,
    /// Whose pass it is.
    pub holder: Option<Pseudonym>,
    /// What it pays.
    pub coverage: Coverage,
}

/// What lets a vehicle in by a pass, as a stay of that id; nothing inside where it has only some that do not. Passes
/// of the lot come first; one of the tenant is brought along by the scan, whichever lot issued it.
pub fn good_for(
    lot: &LotModel,
    (vehicle, session): (Pseudonym, SessionId),
    brought: Option<&TenantPass>,
    at: Timestamp,
) -> Option<Option<Right>> {
    let is_within = |valid: Window| valid.from <= at && at < valid.to;
    let mut is_known = false;
    for pass in lot.life.passes.all.values() {
        if pass.reach == Reach::Tenant || !pass.terms.vehicles.contains(&vehicle) {
            continue;
        }
        is_known = true;
        let (id, period) = (pass.id, period(lot, pass, at));
        let coverage = coverage(&lot.life.passes, pass, period);
        if let Some(coverage) = coverage.filter(|_| is_within(pass.terms.valid)) {
            let used = PassEvent::Used { id, period, entries: 1, stayed: Seconds(0) };
            return Some(Some(Right { used, holder: pass.terms.holder, coverage }));
        }
    }
    match brought {
        Some(TenantPass::Good(honour)) if is_within(honour.valid) => {
            let Honour { id, holder, period, by, coverage, .. } = &**honour;
            let (by, coverage) = (by.clone(), coverage.clone());
            let used = PassEvent::Honoured { id: *id, session, period: *period, by };
            Some(Some(Right { used, holder: *holder, coverage }))
        }
        Some(_) => Some(None),
        None => is_known.then_some(None),
    }
}

/// What an active pass pays of a stay that begins in a period; nothing when it opens no gate.
fn coverage(passes: &Passes, pass: &Pass, period: i64) -> Option<Coverage> {
    let covers = match (passes.left_in(pass, period), pass.terms.covers) {
        _ if pass.state != State::Active => return None,
        (Left::Nothing, _) => return None,
        (Left::Time(left), Covers::Whole) => Covers::First(left),
        (Left::Time(left), Covers::First(first)) => Covers::First(left.min(first)),
        (_, covers) => covers,
    };
    Some(Coverage { code: pass.terms.plan.clone(), covers })
}

/// What a gate of the lot may do with one of its own that is good in all lots of the tenant, as long as no other lot
/// uses it.
pub fn honour(lot: &LotModel, pass: &Pass, at: Timestamp) -> Option<Honour> {
    let period = period(lot, pass, at);
    let coverage = coverage(&lot.life.passes, pass, period)?;
    let by = Calendar { per: pass.terms.per(), zone: lot.spec.place.time_zone.clone() };
    let (id, holder, valid) = (pass.id, pass.terms.holder, pass.terms.valid);
    Some(Honour { id, holder, valid, coverage, period, by })
}

/// What hearing of a pass of another lot must do.
pub fn follow(lot: &LotModel, id: PassId, (state, since): (State, Timestamp)) -> Vec<Event> {
    let is_news = lot.life.passes.guests.get(&id).is_some_and(|guest| guest.state != state);
    if !is_news {
        return Vec::new();
    }
    let mut events = match state {
        State::Active => forgiven(lot, id),
        State::Paused | State::Ended => let_stay_no_more(lot, id, since),
    };
    events.push(Event::Pass(PassEvent::Followed { id, state }));
    events
}

fn inside(lot: &LotModel, id: PassId) -> impl Iterator<Item = &Session> {
    lot.life.inside().filter(move |stay| stay.origin == Origin::Pass(id))
}

/// Those inside with a pass are found where they may not be.
fn let_stay_no_more(lot: &LotModel, id: PassId, since: Timestamp) -> Vec<Event> {
    let kind = violation::Kind::ExpiredPass;
    inside(lot, id).filter_map(|stay| lot.found(stay, &kind, since)).collect()
}

/// What was found only because a pass was stopped is over.
fn forgiven(lot: &LotModel, id: PassId) -> Vec<Event> {
    let found = inside(lot, id).flat_map(|stay| {
        let found = lot.life.fines.by_itself_of(stay.id, stay.account());
        found.filter(|it| it.kind == violation::Kind::ExpiredPass)
    });
    let reason = || Some("pass_resumed".into());
    found
        .map(|it| Event::Violation(violation::Event::Resolved { id: it.id, reason: reason() }))
        .collect()
}

/// What issuing one must do.
pub fn issue(
    lot: &LotModel,
    (id, reach): (PassId, Reach),
    terms: &PassTerms,
    now: Timestamp,
) -> Granted {
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
    events.push(Event::Pass(PassEvent::Issued { id, reach, terms: Box::new(terms.clone()) }));
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
    match (change, pass.state) {
        (PassChange::End, State::Ended)
        | (PassChange::Pause, State::Paused)
        | (PassChange::Resume, State::Active) => {}
        (_, State::Ended) => return Err(Rejection::PassEnded),
        (PassChange::End | PassChange::Pause, _) => {
            events.extend(let_stay_no_more(lot, id, now));
            events.push(Event::Pass(match change {
                PassChange::End => PassEvent::Ended { id },
                _ => PassEvent::Paused { id },
            }));
        }
        (PassChange::Resume, _) => {
            events.extend(forgiven(lot, id));
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
