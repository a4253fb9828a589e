//! Violations as a plain list: which state may follow which, who pays, and what a change must do.

use std::collections::{BTreeMap, VecDeque};

use lotkeeper_engine::ids::{Pseudonym, SessionId, ViolationId};
use lotkeeper_engine::limits::{AMOUNT_MAX, ENDED_VIOLATIONS_KEPT_PER_LOT};
use lotkeeper_engine::lot::violation::{
    Amended, Event as Told, Evidence, Kind, Raised, State, Violation,
};
use lotkeeper_engine::lot::{
    Account, Caller, Event, Outcome, Owner, Purpose, Rejection, Report, Session, ViolationChange,
};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::spec::Rules;
use lotkeeper_engine::time::Timestamp;
use uuid::Uuid;

use super::changes::judge_version;
use super::lot::LotModel;
use super::passes::is_code;
use super::promises::Granted;

/// The violations of one lot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fines {
    /// All that are remembered.
    pub all: BTreeMap<ViolationId, Violation>,
    ended: VecDeque<ViolationId>,
}

/// The table of `docs/api.md`: only what is open moves, and who has paid may still appeal.
fn may_follow(before: State, after: State) -> bool {
    match before {
        State::Open | State::Notified => after != State::Open,
        State::Appealed => !matches!(after, State::Open | State::Notified),
        State::Paid => after == State::Appealed,
        State::Waived | State::Resolved => false,
    }
}

impl Fines {
    /// Those that somebody can still do something about.
    pub fn open(&self) -> impl Iterator<Item = &Violation> {
        self.all.values().filter(|it| it.state.is_open())
    }

    /// Open ones that somebody pays for.
    pub fn of(&self, owner: Owner) -> impl Iterator<Item = &Violation> {
        self.open().filter(move |it| it.account == Some(owner))
    }

    /// Those that were found about a stay and end by themselves.
    pub fn by_itself_of(
        &self,
        stay: SessionId,
        account: Owner,
    ) -> impl Iterator<Item = &Violation> {
        self.of(account).filter(move |it| {
            let is_free = it.penalty.0 == 0 && it.state != State::Appealed;
            it.session == Some(stay) && it.detected && is_free
        })
    }

    /// When somebody is to be told next.
    #[must_use]
    pub fn notice_due(it: &Violation, rules: &Rules) -> Option<Timestamp> {
        let told_again = matches!(it.kind, Kind::Overstay | Kind::ExpiredPass) && it.detected;
        let waits = matches!(it.state, State::Open | State::Notified);
        let more = it.notices < rules.overstay_notices_max;
        (told_again && waits && more).then(|| match it.notified_at {
            Some(last) => last.plus(rules.overstay_notice_every),
            None => it.since.plus(rules.overstay_notice_first),
        })
    }

    /// An event happened, after so many postings; what is wrong with that.
    pub fn apply(&mut self, event: &Told, at: Timestamp, postings: u64) -> Option<String> {
        let id = event.id();
        if let Told::Raised(raised) = event {
            let before = self.all.insert(id, new(raised, at, postings));
            return before.map(|it| format!("{it:?} was raised twice"));
        }
        let Some(it) = self.all.get_mut(&id) else {
            return Some(format!("{event:?} of a violation that nobody raised"));
        };
        let (before, was_open) = (it.state, it.state.is_open());
        (it.updated_at, it.version) = (at, it.version + 1);
        match event {
            Told::Raised(_) => {}
            Told::Amended(new) => {
                if new.penalty > it.penalty || new.account != it.account {
                    it.charge = Some(postings);
                }
                (it.severity, it.vehicle) = (new.severity, new.vehicle);
                (it.account, it.penalty) = (new.account, new.penalty);
                it.evidence = new.evidence.clone();
            }
            Told::Notified { number, .. } => {
                if *number != it.notices + 1 {
                    return Some(format!("{event:?} after notice {}", it.notices));
                }
                (it.notices, it.notified_at) = (*number, Some(at));
                if it.state != State::Appealed {
                    it.state = State::Notified;
                }
            }
            Told::Paid { .. } => (it.state, it.paid_at) = (State::Paid, Some(at)),
            Told::Appealed { reason, .. } => {
                (it.state, it.reason) = (State::Appealed, reason.clone());
            }
            Told::Waived { reason, .. } => (it.state, it.reason) = (State::Waived, reason.clone()),
            Told::Resolved { reason, .. } => {
                (it.state, it.reason) = (State::Resolved, reason.clone());
            }
        }
        let stays = matches!(event, Told::Amended(_)) && was_open;
        if !stays && !may_follow(before, it.state) {
            return Some(format!("{event:?} of one that is {before:?}"));
        }
        match (was_open, it.state.is_open()) {
            (true, false) => self.ended.push_back(id),
            (false, true) => self.ended.retain(|ended| *ended != id),
            (true, true) | (false, false) => {}
        }
        if self.ended.len() > ENDED_VIOLATIONS_KEPT_PER_LOT
            && let Some(oldest) = self.ended.pop_front()
        {
            self.all.remove(&oldest);
        }
        None
    }
}

fn new(raised: &Raised, at: Timestamp, postings: u64) -> Violation {
    Violation {
        id: raised.id,
        kind: raised.kind.clone(),
        severity: raised.severity,
        state: State::Open,
        detected: raised.detected,
        since: raised.since,
        session: raised.session,
        slot: raised.slot,
        vehicle: raised.vehicle,
        holder: raised.holder,
        account: raised.account,
        penalty: raised.penalty,
        evidence: raised.evidence.clone(),
        notices: 0,
        notified_at: None,
        paid_at: None,
        charge: (raised.penalty.0 > 0).then_some(postings),
        reason: None,
        created_at: at,
        updated_at: at,
        version: 1,
    }
}

/// An id that the engine makes up is not predicted: it stands for any.
#[must_use]
pub fn without_id(event: &Event) -> Event {
    match event {
        Event::Violation(Told::Raised(raised)) if raised.detected => {
            let mut raised = raised.clone();
            raised.id = ViolationId(Uuid::nil());
            Event::Violation(Told::Raised(raised))
        }
        other => other.clone(),
    }
}

impl LotModel {
    /// What the engine finds about a stay, unless that is known.
    #[must_use]
    pub fn found(&self, stay: &Session, kind: &Kind, since: Timestamp) -> Option<Event> {
        let account = stay.account();
        let mut known = self.life.fines.of(account);
        if known.any(|it| it.session == Some(stay.id) && it.kind == *kind) {
            return None;
        }
        Some(Event::Violation(Told::Raised(Box::new(Raised {
            id: ViolationId(Uuid::nil()),
            kind: kind.clone(),
            severity: kind.severity(),
            detected: true,
            since,
            session: Some(stay.id),
            slot: stay.slot,
            vehicle: stay.vehicle,
            holder: stay.holder,
            account: Some(account),
            penalty: Amount(0),
            evidence: Vec::new(),
        }))))
    }

    /// What a notice says is owed.
    #[must_use]
    pub fn owed_of(&self, it: &Violation, now: Timestamp) -> Amount {
        let stay = it.session.and_then(|id| self.life.stays.get(&id));
        Amount(match (stay.filter(|stay| stay.state.is_inside()), it.account) {
            (Some(stay), _) => self.owes(stay, now),
            (None, Some(owner)) => self.life.owed(owner),
            (None, None) => it.penalty.0,
        })
    }

    /// Money comes in: whose penalties are paid by that.
    #[must_use]
    pub fn paid_by(&self, owner: Owner, amount: i64) -> Vec<Event> {
        if self.life.owed(owner) > amount {
            return Vec::new();
        }
        let paid = self.life.fines.of(owner);
        let paid = paid.filter(|it| it.penalty.0 > 0 && it.state != State::Appealed);
        paid.map(|it| Event::Violation(Told::Paid { id: it.id })).collect()
    }

    /// A penalty becomes another.
    fn penalty(&self, owner: Owner, from: Amount, to: Amount) -> Option<Event> {
        let customer = Account::Customer(owner);
        let more = to.0 - from.0;
        let posting = |purpose, sides| self.life.posting(owner, purpose, sides, more.abs());
        match more.signum() {
            0 => None,
            1 => Some(posting(Purpose::Penalty, (customer, Account::Penalties))),
            _ => Some(posting(Purpose::Waiver, (Account::WrittenOff, customer))),
        }
    }
}

fn judge_fine(account: Option<Owner>, penalty: Amount, evidence: &[Evidence]) -> bool {
    let payable = penalty.0 == 0 || account.is_some();
    (0..=AMOUNT_MAX).contains(&penalty.0)
        && payable
        && evidence.iter().all(|it| is_code(&it.kind) && is_code(&it.reference))
}

const INVALID: Rejection = Rejection::Invalid { faults: Vec::new() };

/// What a report must do.
pub fn report(lot: &LotModel, report: &Report, now: Timestamp) -> Granted {
    let life = &lot.life;
    if life.fines.all.contains_key(&report.id) {
        return Err(Rejection::IdTaken);
    }
    if report.slot.is_some_and(|slot| lot.spec.slot(slot).is_none()) {
        return Err(Rejection::SlotNotFound);
    }
    let named = match report.session {
        Some(id) => Some(life.stays.get(&id).ok_or(Rejection::SessionNotFound)?),
        None => life.of_vehicle(report.vehicle),
    };
    let stay = named.or_else(|| report.slot.and_then(|slot| life.at_slot(slot)));
    let vehicle = report.vehicle.or_else(|| stay.and_then(|stay| stay.vehicle));
    let account = payer(stay, vehicle);
    if !judge_fine(account, report.penalty, &report.evidence) {
        return Err(INVALID);
    }
    let fine = account.and_then(|owner| lot.penalty(owner, Amount(0), report.penalty));
    let mut events: Vec<Event> = fine.into_iter().collect();
    events.push(Event::Violation(Told::Raised(Box::new(Raised {
        id: report.id,
        kind: report.kind.clone(),
        severity: report.severity.unwrap_or_else(|| report.kind.severity()),
        detected: false,
        since: report.seen_at.map_or(now, |at| at.min(now)),
        session: stay.map(|stay| stay.id),
        slot: report.slot.or_else(|| stay.and_then(|stay| stay.slot)),
        vehicle,
        holder: stay.and_then(|stay| stay.holder),
        account,
        penalty: report.penalty,
        evidence: report.evidence.clone(),
    }))));
    Ok((events, Outcome::Violation(report.id)))
}

fn payer(stay: Option<&Session>, vehicle: Option<Pseudonym>) -> Option<Owner> {
    stay.map(Session::account).or_else(|| vehicle.map(Owner::Vehicle))
}

/// What a change of one must do.
pub fn change(
    lot: &LotModel,
    (id, change): (ViolationId, &ViolationChange),
    (expected_version, by): (Option<u32>, Caller),
    now: Timestamp,
) -> Granted {
    use ViolationChange as C;
    let seen = lot.life.fines.all.get(&id).filter(|it| match by {
        Caller::Staff => true,
        Caller::Holder(holder) => it.holder == Some(holder),
    });
    let it = seen.ok_or(Rejection::ViolationNotFound)?;
    judge_version(expected_version, it.version)?;
    let ended = Err(Rejection::ViolationEnded { state: it.state });
    let told = match (change, it.state) {
        (C::Appeal { .. }, State::Appealed)
        | (C::Waive { .. }, State::Waived)
        | (C::Resolve { .. }, State::Resolved) => return Ok((vec![], Outcome::Violation(id))),
        (C::Appeal { .. }, State::Waived | State::Resolved) => return ended,
        (C::Appeal { reason }, _) => Told::Appealed { id, reason: reason.clone() },
        (_, state) if !state.is_open() => return ended,
        (C::Waive { reason }, _) => {
            let told = Event::Violation(Told::Waived { id, reason: reason.clone() });
            let money = it.account.and_then(|owner| given_up(lot, it, owner));
            return Ok((money.into_iter().chain([told]).collect(), Outcome::Violation(id)));
        }
        (C::Resolve { reason }, _) => Told::Resolved { id, reason: reason.clone() },
        (C::Notify, _) => {
            let (number, fee) = (it.notices + 1, lot.owed_of(it, now));
            Told::Notified { id, number, fee }
        }
        (C::Amend { .. }, _) => return amend(lot, it, change),
    };
    Ok((vec![Event::Violation(told)], Outcome::Violation(id)))
}

/// What was paid is the payer's again: its posting is turned round. What was not is written off.
fn given_up(lot: &LotModel, it: &Violation, owner: Owner) -> Option<Event> {
    let Some(of) = it.charge.filter(|_| it.paid_at.is_some()) else {
        return lot.penalty(owner, it.penalty, Amount(0));
    };
    let sides = (Account::Customer(owner), Account::Penalties);
    Some(lot.life.posting(owner, Purpose::Reversal { of }, sides, -it.penalty.0))
}

fn amend(lot: &LotModel, it: &Violation, change: &ViolationChange) -> Granted {
    let ViolationChange::Amend { severity, vehicle, penalty, evidence } = change else {
        return Err(INVALID);
    };
    let vehicle = vehicle.or(it.vehicle);
    let account = match it.session {
        Some(id) => lot.life.stays.get(&id).map(Session::account).or(it.account),
        None => payer(None, vehicle),
    };
    let penalty = penalty.unwrap_or(it.penalty);
    let evidence = evidence.clone().unwrap_or_else(|| it.evidence.clone());
    let severity = severity.unwrap_or(it.severity);
    if !judge_fine(account, penalty, &evidence) {
        return Err(INVALID);
    }
    let done = Outcome::Violation(it.id);
    let same = severity == it.severity && vehicle == it.vehicle && account == it.account;
    if same && penalty == it.penalty && evidence == it.evidence {
        return Ok((Vec::new(), done));
    }
    let mut so_far = lot.clone();
    let mut events = Vec::new();
    let mut post = |owner: Option<Owner>, from, to| {
        if let Some(event) = owner.and_then(|owner| so_far.penalty(owner, from, to)) {
            so_far.apply(&event, it.updated_at);
            events.push(event);
        }
    };
    match it.account == account {
        true => post(account, it.penalty, penalty),
        false => {
            post(it.account, it.penalty, Amount(0));
            post(account, Amount(0), penalty);
        }
    }
    let amended = Amended { id: it.id, severity, vehicle, account, penalty, evidence };
    events.push(Event::Violation(Told::Amended(Box::new(amended))));
    Ok((events, done))
}
