//! Who asked for what at a gate or a till, when, and what was answered. Plates, stays, payments and passes are numbers;
//! `script` translates them to the interface and back.

use super::super::judge::checker::Timed;
use serde::Serialize;

/// What was asked for. What is made is made under an id of the client's own: the same again is a retry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GateCall {
    /// A plate at a gate inwards.
    Enter { plate: u8, gate: u8, stay: u32 },
    /// A plate at a gate outwards.
    Exit { plate: u8, gate: u8 },
    /// All that a stay owes, in cash.
    Pay { stay: u32, payment: u32 },
    /// A pass for a plate, which covers all of a stay.
    Issue { plate: u8, pass: u32 },
    /// The end of a pass.
    End { pass: u32 },
    /// All stays that go on.
    Inside,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GateAnswer {
    /// The gate opened, with this code, for this stay.
    Opened { code: String, stay: u32 },
    /// It stayed shut.
    Denied { code: String },
    /// A payment was taken.
    Paid { payment: u32, amount: i64 },
    /// A pass was issued, or ended.
    Pass { pass: u32, is_active: bool },
    /// Stays by number, each with its plate.
    Inside { stays: Vec<(u32, u8)> },
    /// No, with this code.
    Refused { code: String },
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GateOutcome {
    Answered(GateAnswer),
    /// It took effect before `until_us`, at any time where there is none, or never will.
    Unknown {
        until_us: Option<u64>,
    },
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GateOperation {
    pub client: u32,
    pub call: GateCall,
    pub outcome: GateOutcome,
    pub called_us: u64,
    pub returned_us: u64,
}

impl Timed for GateOperation {
    fn called_us(&self) -> u64 {
        self.called_us
    }

    fn until_us(&self) -> u64 {
        match self.outcome {
            GateOutcome::Answered(_) => self.returned_us,
            GateOutcome::Unknown { until_us } => until_us.unwrap_or(u64::MAX),
        }
    }

    fn is_definite(&self) -> bool {
        matches!(self.outcome, GateOutcome::Answered(_))
    }
}
