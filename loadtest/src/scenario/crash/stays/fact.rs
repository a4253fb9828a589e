//! What clients were told of stays, money, violations and passes, and how it is held against the log.

use super::book::StayBook;
use crate::verify::Check;
use serde::Deserialize;

/// An amount of money in the lot's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
pub struct Money {
    pub amount: i64,
}

/// Something a client was told of the lot of stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A gate opened inwards, or a driver checked in.
    Entered { session: String },
    /// A gate opened outwards. The fee is the stay's.
    Left { session: String, fee: Option<i64> },
    /// A gate stayed shut; the sequence is the record's own.
    Denied,
    /// A payment was taken.
    Paid { id: String, amount: i64 },
    /// A violation was reported.
    Reported { id: String },
    /// A violation was waived.
    Waived { id: String },
    /// A pass was issued.
    Issued { id: String },
    /// A reservation was made.
    Reserved { id: String },
    /// A request with this id of the client's own was refused: nothing has it, ever.
    Nothing { id: String },
}

impl Fact {
    /// Holds it against the log; `seq` is the lot's sequence it was told with, where one was.
    pub fn judge(&self, book: &StayBook, seq: u64, check: &mut Check) {
        check.examine(1);
        if let Some(why) = self.broken(book, seq) {
            check.fault(format!("lot {} at seq {seq}: {self:?} was told, {why}", book.code));
        }
    }

    fn broken(&self, book: &StayBook, seq: u64) -> Option<String> {
        let by_then = |found: Option<u64>| match found {
            Some(at) if seq == 0 || at <= seq => None,
            Some(at) => Some(format!("the log has it at {at} only")),
            None => Some("the log does not have it".to_string()),
        };
        match self {
            Self::Entered { session } => by_then(book.stay(session).map(|stay| stay.entered_seq)),
            Self::Left { session, fee } => {
                let left = book.stay(session).and_then(|stay| stay.left);
                match left {
                    Some(left) if left.fee != *fee => Some(format!("the log has {left:?}")),
                    left => by_then(left.map(|left| left.seq)),
                }
            }
            Self::Denied => {
                let kind = book.kind_at(seq);
                (kind != Some("scan.denied")).then(|| format!("the log has {kind:?} there"))
            }
            Self::Paid { id, amount } => match book.payment(id) {
                Some(payment) if payment.amount == *amount => None,
                found => Some(format!("the log has {found:?}")),
            },
            Self::Reported { id } => by_then(book.violation(id).map(|found| found.raised_seq)),
            Self::Waived { id } => by_then(book.violation(id).and_then(|found| found.ended_seq)),
            Self::Issued { id } => by_then(book.pass(id)),
            Self::Reserved { id } => by_then(book.reservation(id).map(|found| found.made_seq)),
            Self::Nothing { id } => book.has(id).then(|| "the log has it".to_string()),
        }
    }
}
