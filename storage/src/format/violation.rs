//! Violations: what happened to them, and what they are at one sequence. Since frame format 3, snapshot format 2.
//!
//! A kind is kept by its code, so that a new one changes no format. The order of fields and variants is the
//! format: a later format adds variants at the end.

use bincode::{Decode, Encode};
use lotkeeper_engine::lot::violation::{
    Amended as EngineAmended, Event, Evidence as EngineEvidence, Kind, Raised as EngineRaised,
    Severity as EngineSeverity, State as EngineState, Violation as EngineViolation,
};

use super::money::Owner;
use super::stored::{Stored, choice, record};

choice!(Severity = EngineSeverity { Minor, Serious, Severe });
choice!(State = EngineState { Open, Notified, Appealed, Paid, Waived, Resolved });

impl Stored<Kind> for Box<str> {
    fn of(kind: &Kind) -> Self {
        kind.code().into()
    }

    fn engine(self) -> Kind {
        Kind::of(&self)
    }
}

record!(Evidence = EngineEvidence { kind: Box<str>, reference: Box<str> });

record!(Raised = EngineRaised {
    id: [u8; 16],
    kind: Box<str>,
    severity: Severity,
    detected: bool,
    since: i64,
    session: Option<[u8; 16]>,
    slot: Option<u16>,
    vehicle: Option<[u8; 16]>,
    holder: Option<[u8; 16]>,
    account: Option<Owner>,
    penalty: i64,
    evidence: Vec<Evidence>,
});

record!(Amended = EngineAmended {
    id: [u8; 16],
    severity: Severity,
    vehicle: Option<[u8; 16]>,
    account: Option<Owner>,
    penalty: i64,
    evidence: Vec<Evidence>,
});

record!(Violation = EngineViolation {
    id: [u8; 16],
    kind: Box<str>,
    severity: Severity,
    state: State,
    detected: bool,
    since: i64,
    session: Option<[u8; 16]>,
    slot: Option<u16>,
    vehicle: Option<[u8; 16]>,
    holder: Option<[u8; 16]>,
    account: Option<Owner>,
    penalty: i64,
    evidence: Vec<Evidence>,
    notices: u8,
    notified_at: Option<i64>,
    paid_at: Option<i64>,
    charge: Option<u64>,
    reason: Option<Box<str>>,
    created_at: i64,
    updated_at: i64,
    version: u32,
});

#[derive(Encode, Decode)]
pub(super) enum ViolationEvent {
    Raised(Box<Raised>),
    Amended(Box<Amended>),
    Notified { id: [u8; 16], number: u8, fee: i64 },
    Paid { id: [u8; 16] },
    Appealed { id: [u8; 16], reason: Option<Box<str>> },
    Waived { id: [u8; 16], reason: Option<Box<str>> },
    Resolved { id: [u8; 16], reason: Option<Box<str>> },
}

impl From<&Event> for ViolationEvent {
    fn from(event: &Event) -> Self {
        match event {
            Event::Raised(raised) => Self::Raised(Box::new(Stored::of(&**raised))),
            Event::Amended(amended) => Self::Amended(Box::new(Stored::of(&**amended))),
            Event::Notified { id, number, fee } => {
                Self::Notified { id: Stored::of(id), number: *number, fee: fee.0 }
            }
            Event::Paid { id } => Self::Paid { id: Stored::of(id) },
            Event::Appealed { id, reason } => {
                Self::Appealed { id: Stored::of(id), reason: reason.clone() }
            }
            Event::Waived { id, reason } => {
                Self::Waived { id: Stored::of(id), reason: reason.clone() }
            }
            Event::Resolved { id, reason } => {
                Self::Resolved { id: Stored::of(id), reason: reason.clone() }
            }
        }
    }
}

impl From<ViolationEvent> for Event {
    fn from(event: ViolationEvent) -> Self {
        use ViolationEvent as E;
        match event {
            E::Raised(raised) => Self::Raised(Box::new(raised.engine())),
            E::Amended(amended) => Self::Amended(Box::new(amended.engine())),
            E::Notified { id, number, fee } => {
                Self::Notified { id: id.engine(), number, fee: fee.engine() }
            }
            E::Paid { id } => Self::Paid { id: id.engine() },
            E::Appealed { id, reason } => Self::Appealed { id: id.engine(), reason },
            E::Waived { id, reason } => Self::Waived { id: id.engine(), reason },
            E::Resolved { id, reason } => Self::Resolved { id: id.engine(), reason },
        }
    }
}
