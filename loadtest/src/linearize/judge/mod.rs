//! Judges a concurrent history of one lot: is there an order of its operations, each taking effect at one instant between
//! its call and its answer, that a lot used by one client at a time would have answered in the same way?
//!
//! Nothing here knows the server or how a history was made: the model is written from `docs/api.md`. The tests of
//! the gateway include these files by their path, so only `super::` and well-known crates are named here.
//! Deliberately absent: sockets, clocks, processes.

mod asked;
pub mod checker;
pub mod history;
pub mod model;
pub mod part;
pub mod script;
pub mod text;

use self::checker::{CONFIGURATIONS_MAX, Verdict, check};
use self::history::{Call, Operation, Outcome};
use self::model::{LotModel, State};

/// What is wrong with a history: its smallest part that has no order.
#[derive(Debug)]
pub struct Violation {
    /// The operations of the part, by the time of their call.
    pub part: Vec<Operation>,
    /// The longest order found, as positions in `part`.
    pub longest: Vec<usize>,
    /// The lot after it.
    pub state: State,
    /// Position of an operation that no order explains.
    pub offender: usize,
    /// The slot to which the part was narrowed; the whole lot when there is none.
    pub slot: Option<u8>,
}

/// What came of a history.
#[derive(Debug)]
pub enum Judgement {
    /// There is an order; so many configurations were looked at.
    Linearizable {
        /// A measure of how hard it was to find.
        configurations: usize,
    },
    /// There is none.
    Violated(Box<Violation>),
    /// No order was found before the search became too long, which proves nothing.
    Undecided {
        /// How far it went.
        configurations: usize,
    },
}

/// Judges the history of one lot with so many slots.
pub fn judge(operations: &[Operation], slots: u8) -> Judgement {
    let model = LotModel::new((0..slots).collect(), operations);
    let history = model.with_expiries(operations);
    match check(&model, &history, CONFIGURATIONS_MAX) {
        Verdict::Linearizable { configurations } => Judgement::Linearizable { configurations },
        Verdict::TooLong { configurations } => Judgement::Undecided { configurations },
        Verdict::Violated { .. } => {
            Judgement::Violated(Box::new(part::smallest(operations, slots)))
        }
    }
}

/// How many operations of a history nobody knows the outcome of.
pub fn indefinite(operations: &[Operation]) -> usize {
    let unknown = |operation: &&Operation| {
        matches!(operation.outcome, Outcome::Unknown { .. })
            && !matches!(operation.call, Call::Expire { .. })
    };
    operations.iter().filter(unknown).count()
}
