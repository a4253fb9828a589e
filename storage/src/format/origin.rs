//! What ends a record since frame format 2: who asked for it, and with which idempotency key.
//!
//! A frame names each asker once, where he first appears, and from then on by his number: a city's devices
//! send through few tokens, and a reading must not carry 17 bytes to say so. The number shares its byte with
//! whether a key follows, so a record of a known asker is no longer than one of format 1. Numbers are a
//! frame's own, because a frame is read alone.

use bincode::de::Decoder;
use bincode::error::DecodeError;
use bincode::{Decode, Encode};
use lotkeeper_engine::ids::Pseudonym;
use uuid::Uuid;

use super::event::Claim;
use super::spec::mirror;
use super::{FormatError, append};
use crate::record::{self, Role as AskerRole};

mirror!(Role = AskerRole { Admin, Operator, Staff, Driver, Device, Display });

/// Set when an idempotency key follows; the asker's number is above it.
const HAS_CLAIM: u32 = 1;

#[derive(Clone, Copy, Encode, Decode)]
struct Asker {
    subject: [u8; 16],
    role: Role,
}

/// Those who are named in a frame so far; the first has number 1.
#[derive(Debug, Default)]
pub(super) struct Askers(Vec<record::By>);

impl Askers {
    /// Begins another frame.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Appends the end of a record.
    pub(super) fn append(
        &mut self,
        record: &record::Record,
        into: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        let (number, is_new) = match record.by {
            None => (0, false),
            Some(by) => self.number_of(by)?,
        };
        let tail = number << 1 | if record.claim.is_some() { HAS_CLAIM } else { 0 };
        append(&tail, "record", into)?;
        if let Some(by) = record.by.filter(|_| is_new) {
            let asker = Asker { subject: by.subject.0.into_bytes(), role: by.role.into() };
            append(&asker, "record", into)?;
        }
        match record.claim {
            Some(claim) => append(&Claim::from(claim), "record", into),
            None => Ok(()),
        }
    }

    /// The number of an asker, and whether this frame has not named him yet.
    fn number_of(&mut self, by: record::By) -> Result<(u32, bool), FormatError> {
        // From the end: neighbours in a commit mostly come from one batch.
        let known = self.0.iter().rposition(|known| *known == by);
        let place = known.unwrap_or_else(|| {
            self.0.push(by);
            self.0.len() - 1
        });
        let number = u32::try_from(place + 1)
            .map_err(|_| FormatError::invalid("record", "too many askers in a frame"))?;
        Ok((number, known.is_none()))
    }

    /// Reads the end of a record.
    pub(super) fn read(
        &mut self,
        decoder: &mut impl Decoder<Context = ()>,
    ) -> Result<(Option<record::By>, Option<record::Claim>), DecodeError> {
        let tail = u32::decode(decoder)?;
        let by = match (tail >> 1) as usize {
            0 => None,
            number if number == self.0.len() + 1 => {
                let asker = Asker::decode(decoder)?;
                let subject = Pseudonym(Uuid::from_bytes(asker.subject));
                self.0.push(record::By { subject, role: asker.role.into() });
                self.0.last().copied()
            }
            number => match self.0.get(number - 1) {
                Some(by) => Some(*by),
                None => return Err(DecodeError::Other("an asker that the frame does not name")),
            },
        };
        let claim = match tail & HAS_CLAIM {
            0 => None,
            _ => Some(Claim::decode(decoder)?.into()),
        };
        Ok((by, claim))
    }
}
