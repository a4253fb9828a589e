//! What the fixture of stays and money shares, second part: one of everything that a lot keeps.

use std::sync::Arc;

use lotkeeper_engine::ids::{PassId, SeriesId, ShiftId, WaitingId};
use lotkeeper_engine::lot::pass::{Pass, Reach, Used};
use lotkeeper_engine::lot::payment::{self, Method, Payment};
use lotkeeper_engine::lot::provider::{Intent, Transfer};
use lotkeeper_engine::lot::session::{
    self, DenyReason, OpenReason, Scanned, Session, Settled, Verdict,
};
use lotkeeper_engine::lot::shift::{Shift, Taken};
use lotkeeper_engine::lot::violation::{self, Violation};
use lotkeeper_engine::lot::waiting::{self, Waiter};
use lotkeeper_engine::lot::{Account, Owner, Reminder, pass};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::time::Seconds;
use lotkeeper_storage::{ClaimOutcome, LotSnapshot, RememberedClaim};

use crate::samples::after;
use crate::stays::{
    assignment, entered, fee, pass_terms, price, raised, recorded, reservation_id, session_id,
    someone, tariff, uuid, waiter_terms,
};

fn session() -> Session {
    let entered = entered();
    Session {
        id: entered.id,
        origin: entered.origin,
        state: session::State::Overstaying,
        vehicle: entered.vehicle,
        holder: entered.holder,
        slot: entered.slot,
        claim: entered.claim,
        booked: entered.booked,
        entered_at: entered.at,
        entry_gate: entered.gate,
        left_at: Some(after(70)),
        exit_gate: Some("south".into()),
        terms: Arc::new(entered.terms),
        ticket_lost: true,
        settled: Some(Settled { fee: Arc::new(fee()), leave_by: after(900) }),
        fee: Some(Arc::new(fee())),
        updated_at: after(71),
        version: 6,
    }
}

fn payment() -> Payment {
    let recorded = recorded();
    Payment {
        id: recorded.id,
        about: recorded.about,
        method: recorded.method,
        state: payment::State::PartlyRefunded,
        amount: recorded.amount,
        refunded: Amount(50),
        asked: Some(Intent { what: Transfer::Refund(Amount(20)), number: 3, at: after(65) }),
        reason: Some("card_declined".into()),
        shift: recorded.shift,
        cashier: recorded.cashier,
        reference: recorded.reference,
        created_at: after(64),
        updated_at: after(65),
        version: 3,
    }
}

fn violation() -> Violation {
    let raised = raised();
    Violation {
        id: raised.id,
        kind: raised.kind,
        severity: raised.severity,
        state: violation::State::Appealed,
        detected: raised.detected,
        since: raised.since,
        session: raised.session,
        slot: raised.slot,
        vehicle: raised.vehicle,
        holder: raised.holder,
        account: raised.account,
        penalty: raised.penalty,
        evidence: raised.evidence,
        notices: 2,
        notified_at: Some(after(66)),
        paid_at: Some(after(68)),
        charge: Some(3),
        reason: Some("mistake".into()),
        created_at: after(62),
        updated_at: after(67),
        version: 4,
    }
}

fn pass() -> Pass {
    Pass {
        id: PassId(uuid(6)),
        terms: pass_terms(),
        reach: Reach::Lot,
        state: pass::State::Paused,
        used: Used { period: 17, entries: 2, stayed: Seconds(600) },
        created_at: after(1),
        updated_at: after(2),
        version: 2,
    }
}

fn shift() -> Shift {
    let taken = |received, moves| Taken { received: Amount(received), refunded: Amount(50), moves };
    Shift {
        id: ShiftId(uuid(8)),
        code: "early".into(),
        cashier: someone(4),
        float: Amount(10_000),
        cash: taken(200, 2),
        terminal: taken(900, 3),
        counted: Some(Amount(10_100)),
        opened_at: after(1),
        closed_at: Some(after(80)),
        updated_at: after(80),
        version: 7,
    }
}

fn waiter() -> Waiter {
    Waiter {
        id: WaitingId(uuid(10)),
        terms: waiter_terms(),
        state: waiting::State::Waiting,
        created_at: after(3),
        updated_at: after(3),
        version: 1,
    }
}

/// The same lot as of one sequence; `bare` is one without any of this.
pub fn snapshot(bare: LotSnapshot) -> LotSnapshot {
    let mut snapshot = bare;
    let reservation = Arc::make_mut(&mut snapshot.parts.reservations[0]);
    reservation.price = Some(Arc::new(price()));
    reservation.series = Some(SeriesId(uuid(7)));
    reservation.reminded = Some(Reminder::Start);
    let (session, payment) = (Arc::new(session()), Arc::new(payment()));
    let (violation, pass) = (Arc::new(violation()), Arc::new(pass()));
    let (shift, waiter) = (Arc::new(shift()), Arc::new(waiter()));
    let scanned = Scanned {
        verdict: Verdict::Deny(DenyReason::PaymentRequired),
        session: Some(session_id()),
        reservation: Some(reservation_id()),
        due: Some(Amount(200)),
        not_before: Some(after(9)),
    };
    let opened = Scanned { verdict: Verdict::Open(OpenReason::Pass), due: None, ..scanned };
    let outcomes = [
        ClaimOutcome::Scanned(scanned, Some(Arc::clone(&session))),
        ClaimOutcome::Scanned(opened, None),
        ClaimOutcome::Session(Arc::clone(&session)),
        ClaimOutcome::Payment(Arc::clone(&payment)),
        ClaimOutcome::Violation(Arc::clone(&violation)),
        ClaimOutcome::Pass(Arc::clone(&pass)),
        ClaimOutcome::Shift(Arc::clone(&shift)),
        ClaimOutcome::Waiting(Arc::clone(&waiter)),
        ClaimOutcome::Series(SeriesId(uuid(7))),
        ClaimOutcome::Tariffs,
    ];
    let first = snapshot.claims[0].clone();
    let claim = |outcome| RememberedClaim { outcome, ..first.clone() };
    snapshot.claims.extend(outcomes.map(claim));
    let owner = Owner::Session(session_id());
    let balances = vec![
        (Account::Customer(owner), Amount(500)),
        (Account::Received(Method::Cash), Amount(200)),
        (Account::Revenue, Amount(-200)),
        (Account::Penalties, Amount(-500)),
    ];
    snapshot.parts.accounts = (7, balances);
    snapshot.parts.sessions = vec![session];
    snapshot.parts.payments = vec![payment];
    snapshot.parts.violations = vec![violation];
    snapshot.parts.passes = vec![pass];
    snapshot.parts.shifts = vec![shift];
    snapshot.parts.waiting = vec![waiter];
    snapshot.parts.tariffs = vec![Arc::new(tariff())];
    snapshot.parts.assignments = vec![assignment()];
    snapshot
}
