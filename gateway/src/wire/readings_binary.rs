//! The compact form of a batch of readings (`docs/ingest.md`, byte for byte): what a sensor gateway sends
//! when JSON costs it, or the server, too much.
//!
//! Invariants: every length is checked before it is believed and nothing is reserved for a count that the
//! message is too short for; a batch means the same in both forms, ids of readings included. All numbers are
//! little-endian. Deliberately absent: compression, and a numbering that outlives the message.

use lotkeeper_actors::LotHandle;
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::limits::READINGS_PER_BATCH_MAX;
use lotkeeper_engine::slot::{Reading, Source};
use lotkeeper_engine::spec::Fault;
use lotkeeper_engine::time::Timestamp;

use super::id_hash::{ID_BYTES_MAX, IdHash};
use super::readings::{Parsed, Sorter};
use super::{Refusal, fault};

/// The first byte of every message.
pub const FORMAT: u8 = 1;
/// Bytes before the lot's name.
pub const HEADER_BYTES: usize = 24;
/// Header: slots are named by code or id, not by number.
pub const SLOTS_BY_NAME: u8 = 1;
/// Header: there is no base time; readings without a time of their own were seen when they arrive.
pub const NO_BASE_TIME: u8 = 2;
/// Reading: a vehicle stands there.
pub const OCCUPIED: u8 = 1;
/// Reading: it has its own time.
pub const OWN_TIME: u8 = 2;
/// Reading: it has a sequence.
pub const SEQUENCE: u8 = 4;
/// Reading: it has an id.
pub const ID: u8 = 8;
/// Reading: it has a confidence.
pub const CONFIDENCE: u8 = 16;

/// The shortest reading: two bytes of slot, one of bits.
const READING_BYTES_MIN: usize = 3;
/// Instants of JSON are of the years 0000 to 9999; those of this form too.
const OBSERVED_MICROS: std::ops::RangeInclusive<i64> =
    -62_167_219_200_000_000..=253_402_300_799_999_999;

/// A message whose header was read.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The device's number, for the answer.
    pub batch: u64,
    /// Code or id of the lot.
    pub lot: &'a str,
    flags: u8,
    count: usize,
    base: Option<Timestamp>,
    readings: &'a [u8],
}

/// What is left to read, and where that is in the message.
struct Bytes<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8], Refusal> {
        let (at, left) = (self.at, self.rest.len());
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(broken(format!("{what} at byte {at} has {count} bytes, {left} are left")));
        };
        self.rest = rest;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Refusal> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    fn byte(&mut self, what: &str) -> Result<u8, Refusal> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    /// A length of one byte, then so many bytes.
    fn counted(&mut self, what: &str) -> Result<&'a [u8], Refusal> {
        let length = self.byte(what)?;
        self.take(length.into(), what)
    }
}

fn broken(detail: impl Into<String>) -> Refusal {
    Refusal::Syntax { detail: detail.into() }
}

impl<'a> Message<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// `Syntax`: not a message of this format; there is no batch to answer to.
    pub fn read(message: &'a [u8]) -> Result<Self, Refusal> {
        let mut bytes = Bytes { rest: message, at: 0 };
        let [format, flags, low, high, lot_bytes, reserved @ ..] =
            bytes.array::<8>("the header")?;
        if format != FORMAT {
            return Err(broken(format!(
                "format {format} is not known, this server reads {FORMAT}"
            )));
        }
        if flags & !(SLOTS_BY_NAME | NO_BASE_TIME) != 0 || reserved != [0; 3] {
            return Err(broken("unknown flags or reserved bytes that are not 0: a later format?"));
        }
        let batch = u64::from_le_bytes(bytes.array("the batch number")?);
        let base = i64::from_le_bytes(bytes.array("the base time")?);
        let lot = std::str::from_utf8(bytes.take(lot_bytes.into(), "the lot")?)
            .map_err(|_| broken("the lot is not UTF-8"))?;
        let base = (flags & NO_BASE_TIME == 0).then(|| Timestamp::from_micros(base));
        let count = usize::from(u16::from_le_bytes([low, high]));
        Ok(Self { batch, lot, flags, count, base, readings: bytes.rest })
    }

    /// Reads the readings for their lot.
    ///
    /// # Errors
    /// `Syntax`: the message is cut, or longer than its count says; `Invalid`: values that cannot be.
    pub fn resolve(&self, lot: &LotHandle, source: Source) -> Result<Parsed, Refusal> {
        self.check()?;
        let slots = lot.view().spec().slots.len();
        let header_bytes = HEADER_BYTES + self.lot.len();
        let mut bytes = Bytes { rest: self.readings, at: header_bytes };
        let mut sorter = Sorter::of(lot, self.count);
        for index in 0..self.count {
            let slot = if self.flags & SLOTS_BY_NAME == 0 {
                let number = u16::from_le_bytes(bytes.array("a slot")?);
                (usize::from(number) < slots).then_some(SlotIndex(number))
            } else {
                let name = std::str::from_utf8(bytes.counted("a slot's name")?);
                name.ok().and_then(|name| lot.slot(name))
            };
            let reading = self.reading(&mut bytes, index, source)?;
            sorter.take(slot, || reading);
        }
        match bytes.rest.len() {
            0 => Ok(sorter.parsed),
            left => Err(broken(format!("{left} bytes after the last reading"))),
        }
    }

    fn check(&self) -> Result<(), Refusal> {
        let count = self.count;
        if !(1..=READINGS_PER_BATCH_MAX).contains(&count) {
            let detail = format!("{count} readings; a batch holds 1 to {READINGS_PER_BATCH_MAX}");
            return Err(invalid("/readings", detail));
        }
        // Before anything is reserved for them.
        let (least, bytes) = (count * READING_BYTES_MIN, self.readings.len());
        if bytes < least {
            return Err(broken(format!(
                "{count} readings have {least} bytes or more, not {bytes}"
            )));
        }
        Ok(())
    }

    fn reading(
        &self,
        bytes: &mut Bytes<'_>,
        index: usize,
        source: Source,
    ) -> Result<Reading, Refusal> {
        let bits = bytes.byte("a reading's bits")?;
        if bits & !(OCCUPIED | OWN_TIME | SEQUENCE | ID | CONFIDENCE) != 0 {
            return Err(broken(format!("reading {index} has unknown bits {bits:#04x}")));
        }
        let observed_at = match bits & OWN_TIME {
            0 => self.base,
            _ => Some(Timestamp::from_micros(i64::from_le_bytes(bytes.array("a time")?))),
        };
        if let Some(at) = observed_at.filter(|at| !OBSERVED_MICROS.contains(&at.micros())) {
            let detail = format!("{} us is not of the years 0 to 9999", at.micros());
            return Err(invalid(format!("/readings/{index}/observed_at"), detail));
        }
        let sequence = match bits & SEQUENCE {
            0 => 0,
            _ => u64::from_le_bytes(bytes.array("a sequence")?),
        };
        let id_hash = match bits & ID {
            0 => 0,
            _ => match bytes.counted("an id")? {
                id if (1..=ID_BYTES_MAX).contains(&id.len()) => IdHash::of_bytes(id).0,
                id => {
                    let detail = format!("{} bytes; an id has 1 to {ID_BYTES_MAX}", id.len());
                    return Err(invalid(format!("/readings/{index}/id"), detail));
                }
            },
        };
        let confidence_percent = match bits & CONFIDENCE {
            0 => None,
            _ => match bytes.byte("a confidence")? {
                percent @ 0..=100 => Some(percent),
                percent => {
                    let detail = format!("{percent} is not between 0 and 100");
                    return Err(invalid(format!("/readings/{index}/confidence"), detail));
                }
            },
        };
        let occupied = bits & OCCUPIED != 0;
        Ok(Reading { occupied, observed_at, sequence, id_hash, source, confidence_percent })
    }
}

fn invalid(pointer: impl Into<String>, detail: String) -> Refusal {
    let fault: Fault = fault(pointer, detail);
    Refusal::Invalid(vec![fault])
}
