//! Shifts as they are opened, closed, shown and told in events.

use lotkeeper_engine::ids::{Pseudonym, ShiftId};
use lotkeeper_engine::lot::Shift;
use lotkeeper_engine::lot::shift::{Event, Opened, Taken};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::spec::{Fault, Spec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::event::money;
use super::instant::Instant;
use super::money::MoneyBody;

vocabulary! {
    /// Whether a shift goes on.
    ShiftState {
        /// It does.
        Open = "open",
        /// The drawer was counted.
        Closed = "closed",
    }
}

impl ShiftState {
    /// Of a shift.
    #[must_use]
    pub fn of_shift(shift: &Shift) -> Self {
        if shift.is_open() { Self::Open } else { Self::Closed }
    }
}

/// A shift that is to begin.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lot": "L1", "code": "2026-03-01-desk-1", "float": {"amount": 10000, "currency": "EUR"}}))]
pub struct NewShift {
    /// Made by the client, so that a retry opens nothing twice; made by the server when left out.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Code or id of the lot.
    pub lot: String,
    /// What people call it; payments of it carry it.
    pub code: String,
    /// What is in the drawer; nothing when left out.
    #[serde(default)]
    pub float: Option<MoneyBody>,
}

impl NewShift {
    /// The shift to be of its cashier.
    ///
    /// # Errors
    /// What is wrong with the amount.
    pub fn opened(&self, cashier: Pseudonym, spec: &Spec) -> Result<Opened, Vec<Fault>> {
        let float = self.float.as_ref().map(|float| float.checked_from_zero("/float", spec));
        Ok(Opened {
            id: ShiftId(self.id.unwrap_or_else(Uuid::now_v7)),
            code: self.code.as_str().into(),
            cashier,
            float: float.transpose().map_err(|fault| vec![fault])?.unwrap_or(Amount::ZERO),
        })
    }
}

/// What was in the drawer in the end.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"counted": {"amount": 34500, "currency": "EUR"}}))]
pub struct ClosedShift {
    /// How much was counted.
    pub counted: MoneyBody,
}

/// What came in and went out one way.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Taken)]
pub struct TakenBody {
    /// Received.
    pub received: MoneyBody,
    /// Handed out again.
    pub refunded: MoneyBody,
    /// How many payments and refunds.
    pub moves: u32,
}

impl TakenBody {
    fn of(taken: Taken, spec: &Spec) -> Self {
        Self {
            received: MoneyBody::of(taken.received, spec),
            refunded: MoneyBody::of(taken.refunded, spec),
            moves: taken.moves,
        }
    }
}

/// A shift.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Shift)]
pub struct ShiftBody {
    /// Identity.
    pub id: Uuid,
    /// Code of the lot.
    pub lot: String,
    /// What people call it.
    pub code: String,
    /// The subject whose it is; null once that person has been erased.
    #[schema(required)]
    pub cashier: Option<String>,
    /// Whether it goes on.
    pub state: ShiftState,
    /// What was in the drawer at the beginning.
    pub float: MoneyBody,
    /// Notes and coins.
    pub cash: TakenBody,
    /// The terminal.
    pub terminal: TakenBody,
    /// What should be in the drawer.
    pub expected: MoneyBody,
    /// What was counted in the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<MoneyBody>,
    /// What was counted beyond what should be there; below zero what is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<MoneyBody>,
    /// When it was opened.
    pub opened_at: Instant,
    /// When it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Instant>,
    /// When it last changed.
    pub updated_at: Instant,
    /// Changes so far: the value of its `ETag`.
    pub version: u32,
}

impl ShiftBody {
    /// Of a shift of a lot, with its cashier in clear.
    #[must_use]
    pub fn of(shift: &Shift, spec: &Spec, cashier: Option<String>) -> Self {
        Self {
            id: shift.id.0,
            lot: spec.code.to_string(),
            code: shift.code.to_string(),
            cashier,
            state: ShiftState::of_shift(shift),
            float: MoneyBody::of(shift.float, spec),
            cash: TakenBody::of(shift.cash, spec),
            terminal: TakenBody::of(shift.terminal, spec),
            expected: MoneyBody::of(shift.expected(), spec),
            counted: shift.counted.map(|counted| MoneyBody::of(counted, spec)),
            difference: shift.difference().map(|difference| MoneyBody::of(difference, spec)),
            opened_at: Instant(shift.opened_at),
            closed_at: shift.closed_at.map(Instant),
            updated_at: Instant(shift.updated_at),
            version: shift.version,
        }
    }
}

/// What is told of an event of a shift. People are pseudonyms here.
pub(super) fn told(event: &Event, spec: &Spec) -> Value {
    match event {
        Event::Opened(opened) => json!({
            "code": opened.code, "cashier": opened.cashier.0, "float": money(opened.float, spec),
        }),
        Event::Took { payment, by_terminal, amount, .. } => json!({
            "payment": payment.0,
            "method": if *by_terminal { "terminal" } else { "cash" },
            "amount": money(*amount, spec),
        }),
        Event::Closed { counted, .. } => json!({"counted": money(*counted, spec)}),
    }
}
