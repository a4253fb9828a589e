//! Violations: what the engine finds, what staff report, and what becomes of both.
//!
//! Overstays follow from stays and their deadlines. Money moves in the same decision, and the violation's own
//! event comes last: it says what a retry is answered. Absent: what a violation is (`lot/violation.rs`), and
//! what is found on slots (`look.rs`).

use std::sync::Arc;

use smallvec::smallvec;
use uuid::Uuid;

use super::{Events, Granted, expect_version, happened, unchanged};
use crate::ids::{Pseudonym, ViolationId};
use crate::limits;
use crate::lot::session::Session;
use crate::lot::violation::{self, Amended, Evidence, Kind, Raised, State, Violation};
use crate::lot::{Caller, Event, Lot, Outcome, Owner, Posting, Rejection, Report, ViolationChange};
use crate::money::Amount;
use crate::spec::{Fault, code_faults};
use crate::time::Timestamp;

/// Why a violation ends by itself.
const SESSION_ENDED: &str = "session_ended";
/// The same, of a pass that was stopped and goes on.
const PASS_RESUMED: &str = "pass_resumed";

/// An id for what the engine finds: it follows from what it is about, so a decision made twice makes the
/// same one, and like every other it begins with its time.
pub(super) fn derived(about: Uuid, kind: &Kind, now: Timestamp) -> ViolationId {
    let millis = u64::try_from(now.micros() / 1_000).unwrap_or_default();
    let named = kind.code().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let (high, low) = about.as_u64_pair();
    let mixed = [high ^ named.rotate_left(17), low ^ named, now.micros().cast_unsigned()];
    let mixed = mixed.into_iter().fold(named, |hash, part| {
        (hash ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
    });
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&mixed.to_be_bytes());
    bytes[8..].copy_from_slice(&about.as_bytes()[14..]);
    ViolationId(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
}

pub(super) fn is_full(lot: &Lot) -> bool {
    lot.violations().open_count() >= limits::OPEN_VIOLATIONS_PER_LOT_MAX
}

pub(super) fn raised(raised: Raised) -> Event {
    Event::Violation(violation::Event::Raised(Box::new(raised)))
}

/// What the engine finds about a stay, unless it is known already.
pub(super) fn found(
    lot: &Lot,
    session: &Session,
    kind: Kind,
    since: Timestamp,
    now: Timestamp,
) -> Option<Event> {
    let account = session.account();
    let known = |v: &&Arc<Violation>| v.session == Some(session.id) && v.kind == kind;
    if is_full(lot) || lot.violations().of_account(account).any(|v| known(&v)) {
        return None;
    }
    Some(raised(Raised {
        id: derived(session.id.0, &kind, now),
        severity: kind.severity(),
        kind,
        detected: true,
        since,
        session: Some(session.id),
        slot: session.slot,
        vehicle: session.vehicle,
        holder: session.holder,
        account: Some(account),
        penalty: Amount::ZERO,
        evidence: Vec::new(),
    }))
}

/// A stay is longer than it may be. The tariff says what that costs: it is part of the stay's fee.
pub(super) fn overstayed(lot: &Lot, session: &Session, now: Timestamp) -> Option<Event> {
    let since = session.expected_exit(&lot.spec().rules).unwrap_or(now);
    found(lot, session, Kind::Overstay, since, now)
}

/// Its pass ran out while the vehicle is there.
pub(super) fn pass_expired(
    lot: &Lot,
    session: &Session,
    since: Timestamp,
    now: Timestamp,
) -> Option<Event> {
    found(lot, session, Kind::ExpiredPass, since, now)
}

/// Its pass goes on, so nothing is wrong any more; a penalty and an appeal stay with staff.
pub(super) fn pass_good_again(lot: &Lot, session: &Session) -> Events {
    let ends = |v: &&Arc<Violation>| {
        v.session == Some(session.id)
            && v.kind == Kind::ExpiredPass
            && v.detected
            && v.penalty == Amount::ZERO
            && v.state != State::Appealed
    };
    let found = lot.violations().of_account(session.account()).filter(ends);
    found.map(|violation| resolved(violation.id, Some(PASS_RESUMED))).collect()
}

/// A stay is over: what the engine found about it is too, unless a penalty is still to be paid.
pub(super) fn session_ended(lot: &Lot, session: &Session, events: &mut Events) {
    let ends = |v: &&Arc<Violation>| {
        v.session == Some(session.id)
            && v.detected
            && v.penalty == Amount::ZERO
            && v.state != State::Appealed
    };
    for violation in lot.violations().of_account(session.account()).filter(ends) {
        events.push(resolved(violation.id, Some(SESSION_ENDED)));
    }
}

pub(super) fn resolved(id: ViolationId, reason: Option<&str>) -> Event {
    Event::Violation(violation::Event::Resolved { id, reason: reason.map(Box::from) })
}

/// Money came in: who owes nothing more has paid his penalties. Appeals stay with staff.
pub(super) fn paid(lot: &Lot, about: Owner, amount: Amount, events: &mut Events) {
    if lot.accounts().owed_by(about).saturating_sub(amount) > Amount::ZERO {
        return;
    }
    let penalised = lot
        .violations()
        .of_account(about)
        .filter(|violation| violation.penalty > Amount::ZERO && violation.state != State::Appealed);
    events.extend(penalised.map(|v| Event::Violation(violation::Event::Paid { id: v.id })));
}

/// It is time to tell whoever does it.
pub(super) fn notify(lot: &Lot, violation: &Violation, now: Timestamp) -> Events {
    let number = violation.notices.saturating_add(1);
    let id = violation.id;
    let fee = owed(lot, violation, now);
    smallvec![Event::Violation(violation::Event::Notified { id, number, fee })]
}

/// The fee so far: of the stay while it runs, and what was owed before.
fn owed(lot: &Lot, violation: &Violation, now: Timestamp) -> Amount {
    let session = violation.session.and_then(|id| lot.stays().get(id));
    match session.filter(|session| session.state.is_inside()) {
        Some(session) => lot.bill_of(session, now).owed,
        None => violation.account.map_or(violation.penalty, |owner| lot.accounts().owed_by(owner)),
    }
}

/// Staff report one.
pub(super) fn report(lot: &Lot, report: &Report, now: Timestamp) -> Granted {
    if lot.violations().get(report.id).is_some() {
        return Err(Rejection::IdTaken);
    }
    if is_full(lot) {
        return Err(Rejection::ViolationsFull);
    }
    if report.slot.is_some_and(|slot| lot.spec().slot(slot).is_none()) {
        return Err(Rejection::SlotNotFound);
    }
    let session = match report.session {
        Some(id) => Some(lot.stays().get(id).ok_or(Rejection::SessionNotFound)?),
        None => report.vehicle.and_then(|vehicle| lot.stays().of_vehicle(vehicle)),
    };
    let session = session.or_else(|| report.slot.and_then(|slot| lot.stays().at_slot(slot)));
    let vehicle = report.vehicle.or_else(|| session.and_then(|session| session.vehicle));
    let account = account(session.map(|session| &**session), vehicle);
    let mut faults = code_faults("/kind", report.kind.code());
    check(account, report.penalty, &report.evidence, &mut faults);
    if !faults.is_empty() {
        return Err(Rejection::Invalid { faults });
    }
    let mut events = Events::new();
    if let Some(owner) = account {
        settle(lot, owner, Amount::ZERO, report.penalty, &mut events);
    }
    events.push(raised(Raised {
        id: report.id,
        severity: report.severity.unwrap_or_else(|| report.kind.severity()),
        kind: report.kind.clone(),
        detected: false,
        since: report.seen_at.unwrap_or(now).min(now),
        session: session.map(|session| session.id),
        slot: report.slot.or_else(|| session.and_then(|session| session.slot)),
        vehicle,
        holder: session.and_then(|session| session.holder),
        account,
        penalty: report.penalty,
        evidence: report.evidence.clone(),
    }));
    Ok((events, Outcome::Violation(report.id)))
}

/// Who pays: the stay while there is one, else the vehicle.
fn account(session: Option<&Session>, vehicle: Option<Pseudonym>) -> Option<Owner> {
    session.map(Session::account).or_else(|| vehicle.map(Owner::Vehicle))
}

fn check(account: Option<Owner>, penalty: Amount, evidence: &[Evidence], faults: &mut Vec<Fault>) {
    let mut wrong = |pointer: String, detail: String| faults.push(Fault { pointer, detail });
    if penalty < Amount::ZERO || penalty.0 > limits::AMOUNT_MAX {
        let detail = format!("{} is not between 0 and {}", penalty.0, limits::AMOUNT_MAX);
        wrong("/penalty".to_owned(), detail);
    } else if penalty > Amount::ZERO && account.is_none() {
        let detail = "nobody to pay it: name a session or a vehicle first".to_owned();
        wrong("/penalty".to_owned(), detail);
    }
    let max = limits::EVIDENCE_PER_VIOLATION_MAX;
    if evidence.len() > max {
        wrong("/evidence".to_owned(), format!("{} pieces, at most {max}", evidence.len()));
    }
    for (position, Evidence { kind, reference }) in evidence.iter().enumerate() {
        faults.extend(code_faults(&format!("/evidence/{position}/kind"), kind));
        let is_address = reference.starts_with("https://")
            && reference.len() <= limits::IMAGE_URL_BYTES_MAX
            && reference.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_address {
            let pointer = format!("/evidence/{position}/reference");
            faults.extend(code_faults(&pointer, reference).into_iter().map(|fault| Fault {
                detail: format!("{}, nor an address with https", fault.detail),
                ..fault
            }));
        }
    }
}

/// Brings what an account owes for a penalty from one amount to another.
fn settle(lot: &Lot, owner: Owner, from: Amount, to: Amount, events: &mut Events) {
    let more = to.saturating_sub(from);
    let posting = match more.0 {
        0 => return,
        1.. => lot.accounts().penalise(owner, more),
        _ => lot.accounts().waive(owner, -more),
    };
    events.push(Event::Posted(Box::new(posting)));
}

/// One change of a violation by staff, or an appeal of whoever it is about.
pub(super) fn change(
    lot: &Lot,
    id: ViolationId,
    change: &ViolationChange,
    (expected_version, by): (Option<u32>, Caller),
    now: Timestamp,
) -> Granted {
    let visible = |v: &&Arc<Violation>| match by {
        Caller::Staff => true,
        Caller::Holder(_) => v.holder.is_some_and(|holder| by.may_touch(holder)),
    };
    let violation = lot.violations().get(id).filter(visible);
    let violation = violation.ok_or(Rejection::ViolationNotFound)?;
    expect_version(expected_version, violation.version)?;
    let outcome = Outcome::Violation(id);
    let is_paid = violation.state == State::Paid;
    if let ViolationChange::Appeal { reason } = change
        && is_paid
    {
        return appeal_again(lot, violation, reason.clone());
    }
    if !violation.state.is_open() {
        let is_so = match change {
            ViolationChange::Waive { .. } => violation.state == State::Waived,
            ViolationChange::Resolve { .. } => violation.state == State::Resolved,
            ViolationChange::Appeal { .. }
            | ViolationChange::Amend { .. }
            | ViolationChange::Notify => false,
        };
        let ended = Rejection::ViolationEnded { state: violation.state };
        return if is_so { unchanged(outcome) } else { Err(ended) };
    }
    let told = |event| happened(Event::Violation(event), outcome);
    match change {
        ViolationChange::Appeal { .. } if violation.state == State::Appealed => unchanged(outcome),
        ViolationChange::Appeal { reason } => {
            told(violation::Event::Appealed { id, reason: reason.clone() })
        }
        ViolationChange::Waive { reason } => {
            let mut events = Events::new();
            if let Some(owner) = violation.account {
                match violation.charge_to_reverse() {
                    Some(charge) => reverse(lot, owner, violation.penalty, charge, &mut events),
                    None => settle(lot, owner, violation.penalty, Amount::ZERO, &mut events),
                }
            }
            let waived = violation::Event::Waived { id, reason: reason.clone() };
            events.push(Event::Violation(waived));
            Ok((events, outcome))
        }
        ViolationChange::Resolve { reason } => {
            told(violation::Event::Resolved { id, reason: reason.clone() })
        }
        ViolationChange::Notify => Ok((notify(lot, violation, now), outcome)),
        ViolationChange::Amend { .. } => Ok((amend(lot, violation, change)?, outcome)),
    }
}

/// Who paid may still say that it was wrong.
fn appeal_again(lot: &Lot, violation: &Violation, reason: Option<Box<str>>) -> Granted {
    if is_full(lot) {
        return Err(Rejection::ViolationsFull);
    }
    let id = violation.id;
    let appealed = violation::Event::Appealed { id, reason };
    happened(Event::Violation(appealed), Outcome::Violation(id))
}

/// A penalty that was paid is taken back: what came in for it is the payer's again, to be refunded or used up.
fn reverse(lot: &Lot, owner: Owner, penalty: Amount, charge: u64, events: &mut Events) {
    let charged = Posting { number: charge, ..lot.accounts().penalise(owner, penalty) };
    events.push(Event::Posted(Box::new(lot.accounts().reverse(&charged))));
}

/// More is known: the vehicle, the penalty, what shows it. A penalty moves with who pays it.
fn amend(lot: &Lot, violation: &Violation, change: &ViolationChange) -> Result<Events, Rejection> {
    let ViolationChange::Amend { severity, vehicle, penalty, evidence } = change else {
        return Ok(Events::new());
    };
    let vehicle = vehicle.or(violation.vehicle);
    let session = violation.session.and_then(|id| lot.stays().get(id));
    let account = match violation.session {
        // Who pays for a stay that the lot forgot stays who it was.
        Some(_) => session.map(|session| session.account()).or(violation.account),
        None => account(None, vehicle),
    };
    let new = Amended {
        id: violation.id,
        severity: severity.unwrap_or(violation.severity),
        vehicle,
        account,
        penalty: penalty.unwrap_or(violation.penalty),
        evidence: evidence.clone().unwrap_or_else(|| violation.evidence.clone()),
    };
    let mut faults = Vec::new();
    check(account, new.penalty, &new.evidence, &mut faults);
    if !faults.is_empty() {
        return Err(Rejection::Invalid { faults });
    }
    let old = Amended {
        id: violation.id,
        severity: violation.severity,
        vehicle: violation.vehicle,
        account: violation.account,
        penalty: violation.penalty,
        evidence: violation.evidence.clone(),
    };
    if new == old {
        return Ok(Events::new());
    }
    let mut events = Events::new();
    match (old.account, new.account) {
        (Some(before), Some(after)) if before == after => {
            settle(lot, after, old.penalty, new.penalty, &mut events);
        }
        (before, after) => {
            if let Some(before) = before {
                settle(lot, before, old.penalty, Amount::ZERO, &mut events);
            }
            if let Some(after) = after {
                let mut so_far = lot.accounts().clone();
                events.iter().for_each(|event| apply_posting(&mut so_far, event));
                if new.penalty > Amount::ZERO {
                    let posting = so_far.penalise(after, new.penalty);
                    events.push(Event::Posted(Box::new(posting)));
                }
            }
        }
    }
    events.push(Event::Violation(violation::Event::Amended(Box::new(new))));
    Ok(events)
}

fn apply_posting(accounts: &mut crate::lot::Accounts, event: &Event) {
    if let Event::Posted(posting) = event {
        accounts.apply(posting);
    }
}
