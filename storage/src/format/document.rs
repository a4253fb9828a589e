//! Documents of the history: one reservation, stay, payment or posting at its newest, with its place in the log.
//! Since format 1 of the history.
//!
//! The bodies are those of snapshots of format 2. A change of any of them is a new format of the history, and
//! that is all it takes: a history of another format is built anew from the log.

use bincode::{BorrowDecode, Decode, Encode};
use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::lot::{self, payment, session};
use lotkeeper_engine::spec::Rules;
use lotkeeper_engine::time::Timestamp;

use super::money::Posting;
use super::payment::Payment;
use super::sections::decode;
use super::state_2::Reservation;
use super::stay::Session;
use super::{FormatError, append, spec_2};

const DOCUMENT: &str = "document of the history";

/// Where a document stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The lot it belongs to.
    pub lot: LotKey,
    /// The lot's sequence of its newest event.
    pub lot_seq: u64,
    /// Record time of that event.
    pub at: Timestamp,
}

#[derive(Clone, Copy, Encode, Decode)]
struct StampBody {
    lot: u32,
    lot_seq: u64,
    at: i64,
}

/// What the history must know of a lot to follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LotFacts {
    /// Whose it is.
    pub tenant: Box<str>,
    /// Its rules: what a change of a reservation means hangs on them.
    pub rules: Rules,
}

#[derive(Encode, BorrowDecode)]
struct LotBody<'a> {
    tenant: &'a str,
    rules: spec_2::Rules,
}

/// A kind of document, as bytes.
pub trait Body: Sized {
    /// Appends it.
    ///
    /// # Errors
    /// What bincode refuses.
    fn append(&self, stamp: &Stamp, into: &mut Vec<u8>) -> Result<(), FormatError>;
    /// Reads one that fills the bytes.
    ///
    /// # Errors
    /// Bytes that are none.
    fn decode(bytes: &[u8]) -> Result<(Stamp, Self), FormatError>;
}

macro_rules! body {
    ($engine:ty, $mirror:ident, $convert:expr) => {
        impl Body for $engine {
            fn append(&self, stamp: &Stamp, into: &mut Vec<u8>) -> Result<(), FormatError> {
                append(&(StampBody::from(*stamp), $mirror::from(self)), DOCUMENT, into)
            }

            fn decode(bytes: &[u8]) -> Result<(Stamp, Self), FormatError> {
                let (stamp, body): (StampBody, $mirror<'_>) = decode(bytes)?;
                let convert: fn($mirror<'_>) -> Result<Self, FormatError> = $convert;
                Ok((stamp.into(), convert(body)?))
            }
        }
    };
}

body!(lot::Reservation, Reservation, |body| body.try_into());
body!(session::Session, Session, |body| body.try_into());
body!(payment::Payment, Payment, |body| Ok(body.into()));
body!(lot::Posting, Posting, |body| Ok(body.into()));

impl From<Stamp> for StampBody {
    fn from(stamp: Stamp) -> Self {
        Self { lot: stamp.lot.0, lot_seq: stamp.lot_seq, at: stamp.at.micros() }
    }
}

impl From<StampBody> for Stamp {
    fn from(stamp: StampBody) -> Self {
        let at = Timestamp::from_micros(stamp.at);
        Self { lot: LotKey(stamp.lot), lot_seq: stamp.lot_seq, at }
    }
}

impl LotFacts {
    pub(crate) fn append(&self, into: &mut Vec<u8>) -> Result<(), FormatError> {
        append(&LotBody { tenant: &self.tenant, rules: (&self.rules).into() }, DOCUMENT, into)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let body: LotBody<'_> = decode(bytes)?;
        Ok(Self { tenant: body.tenant.into(), rules: body.rules.into() })
    }
}
