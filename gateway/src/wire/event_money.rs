//! What is told of events about stays and money. People, vehicles and requests are pseudonyms here.

use lotkeeper_engine::lot::payment::{self, Method};
use lotkeeper_engine::lot::provider::Transfer;
use lotkeeper_engine::lot::session::{self, Denied, Entered, Left, Origin};
use lotkeeper_engine::lot::{Account, Entry, Owner, Posting, Purpose, TariffChange};
use lotkeeper_engine::spec::Spec;
use lotkeeper_engine::tariff::{Assignment, Fee, Scope};
use serde_json::{Value, json};

use super::event::money;
use super::instant::Instant;
use super::names::{DenyCode, Direction, OpenCode};
use super::payment::TransferKind;
use lotkeeper_engine::money::Amount;

/// Of a stay.
pub(super) fn stay(event: &session::Event, spec: &Spec) -> Value {
    use session::Event as E;
    match event {
        E::Entered(entered) => entered_data(entered),
        E::Placed { slot, claim, .. } => json!({
            "slot": slot.and_then(|slot| spec.slot(slot)).map(|slot| &*slot.code),
            "until": claim.map(|claim| Instant(claim.to)),
        }),
        E::Requested { request, .. } => json!({"request": request.map(|request| request.0)}),
        E::Identified { vehicle, .. } => json!({"vehicle": vehicle.0}),
        E::Settled { fee, leave_by, .. } => {
            json!({"fee": money(fee.total, spec), "leave_by": Instant(*leave_by)})
        }
        E::Left(left) => left_data(left, spec),
        E::Abandoned { fee, .. } => json!({"fee": total(fee.as_deref(), spec)}),
        E::Denied(denied) => denied_data(denied, spec),
        E::Overstayed { .. } | E::TicketLost { .. } => json!({}),
    }
}

fn total(fee: Option<&Fee>, spec: &Spec) -> Option<Value> {
    fee.map(|fee| money(fee.total, spec))
}

fn entered_data(entered: &Entered) -> Value {
    let origin = match entered.origin {
        Origin::Reservation(_) => "reservation",
        Origin::Pass(_) => "pass",
        Origin::DriveIn => "drive_in",
        Origin::Manual => "manual",
    };
    json!({
        "origin": origin,
        "gate": entered.gate,
        "entered_at": Instant(entered.at),
        "vehicle": entered.vehicle.map(|vehicle| vehicle.0),
        "holder": entered.holder.map(|holder| holder.0),
    })
}

fn left_data(left: &Left, spec: &Spec) -> Value {
    json!({
        "gate": left.gate,
        "left_at": Instant(left.at),
        "code": left.reason.map(OpenCode::from),
        "fee": total(left.fee.as_deref(), spec),
    })
}

fn denied_data(denied: &Denied, spec: &Spec) -> Value {
    json!({
        "gate": denied.gate,
        "direction": Direction::from(denied.direction),
        "code": DenyCode::from(denied.reason),
        "vehicle": denied.vehicle.map(|vehicle| vehicle.0),
        "due": denied.due.map(|due| money(due, spec)),
        "not_before": denied.not_before.map(Instant),
    })
}

/// How much a provider is asked about; nothing where it is all of it.
pub(super) fn transfer_amount(what: Transfer) -> Option<Amount> {
    match what {
        Transfer::Capture(amount) | Transfer::Refund(amount) => Some(amount),
        Transfer::Authorise | Transfer::Void => None,
    }
}

/// How it was paid, in one word.
#[must_use]
pub fn method(method: &Method) -> &str {
    match method {
        Method::Cash => "cash",
        Method::Terminal => "terminal",
        Method::Provider(code) => code,
    }
}

/// Whose account.
pub(super) fn owner(owner: Owner) -> Value {
    match owner {
        Owner::Reservation(id) => json!(format!("reservations/{id}")),
        Owner::Session(id) => json!(format!("sessions/{id}")),
        Owner::Vehicle(vehicle) => json!(format!("vehicles/{vehicle}")),
        Owner::Pass(id) => json!(format!("passes/{id}")),
    }
}

/// Of a payment.
pub(super) fn payment(event: &payment::Event, spec: &Spec) -> Value {
    match event {
        payment::Event::Recorded(recorded) | payment::Event::Requested(recorded) => json!({
            "about": owner(recorded.about),
            "method": method(&recorded.method),
            "amount": money(recorded.amount, spec),
            "promise": recorded.is_promise,
            "shift": recorded.shift,
            "cashier": recorded.cashier.map(|cashier| cashier.0),
            "reference": recorded.reference,
        }),
        payment::Event::Refunded { amount, .. } | payment::Event::PartCaptured { amount, .. } => {
            json!({"amount": money(*amount, spec)})
        }
        payment::Event::Asked { what, .. } => {
            let amount = transfer_amount(*what).map(|amount| money(amount, spec));
            json!({"what": TransferKind::from(*what), "amount": amount})
        }
        payment::Event::Authorised { reference, .. } => json!({"reference": reference}),
        payment::Event::Refused { reason, .. } => json!({"reason": reason}),
        payment::Event::Captured { .. }
        | payment::Event::Voided { .. }
        | payment::Event::Failed { .. } => json!({}),
    }
}

/// Of a posting: its sides, debits positive.
pub(super) fn posting(posting: &Posting, spec: &Spec) -> Value {
    let (purpose, of) = match posting.purpose {
        Purpose::Charge => ("charge", json!(null)),
        Purpose::Cancellation => ("cancellation", json!(null)),
        Purpose::Penalty => ("penalty", json!(null)),
        Purpose::Payment(id) => ("payment", json!(id.0)),
        Purpose::Refund(id) => ("refund", json!(id.0)),
        Purpose::Waiver => ("waiver", json!(null)),
        Purpose::Pass => ("pass", json!(null)),
        Purpose::Reversal { of } => ("reversal", json!(of)),
    };
    let side = |entry: &Entry| json!({"account": account(&entry.account), "amount": money(entry.amount, spec)});
    json!({
        "number": posting.number,
        "about": owner(posting.about),
        "purpose": purpose,
        "of": of,
        "entries": posting.entries.iter().map(side).collect::<Vec<_>>(),
    })
}

/// The name of an account.
#[must_use]
pub fn account(account: &Account) -> String {
    match account {
        Account::Customer(Owner::Reservation(id)) => format!("customer:reservations/{id}"),
        Account::Customer(Owner::Session(id)) => format!("customer:sessions/{id}"),
        Account::Customer(Owner::Vehicle(vehicle)) => format!("customer:vehicles/{vehicle}"),
        Account::Customer(Owner::Pass(id)) => format!("customer:passes/{id}"),
        Account::Received(by) => format!("received:{}", method(by)),
        Account::Revenue => "revenue".to_owned(),
        Account::Penalties => "penalties".to_owned(),
        Account::Tax => "tax".to_owned(),
        Account::ServiceFees => "service_fees".to_owned(),
        Account::WrittenOff => "written_off".to_owned(),
    }
}

/// Of a change of tariffs.
pub(super) fn tariffs(change: &TariffChange, spec: &Spec) -> Value {
    match change {
        TariffChange::Put(tariff) => json!({
            "change": "put", "tariff": tariff.id.0, "version": tariff.version, "name": tariff.name,
            "valid_from": Instant(tariff.valid_from), "valid_until": tariff.valid_until.map(Instant),
        }),
        TariffChange::End { id, at } => {
            json!({"change": "end", "tariff": id.0, "at": Instant(*at)})
        }
        TariffChange::Assign(assignment) => assigned("assign", assignment, spec),
        TariffChange::Unassign(assignment) => assigned("unassign", assignment, spec),
    }
}

fn assigned(change: &str, assignment: &Assignment, spec: &Spec) -> Value {
    let scope = match assignment.scope {
        Scope::Slot(slot) => {
            format!("slots/{}", spec.slot(slot).map_or("", |slot| &slot.code))
        }
        Scope::Zone(zone) => {
            format!("zones/{}", spec.zones.get(zone.at()).map_or("", |zone| &zone.code))
        }
        Scope::Lot => "lot".to_owned(),
        Scope::Tenant => "tenant".to_owned(),
    };
    json!({
        "change": change, "tariff": assignment.tariff.0, "scope": scope,
        "vehicle_type": assignment.vehicle_type,
    })
}
