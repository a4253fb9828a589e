//! Plate cameras: what two makers post to a web address, as one kind of sighting.
//!
//! Invariants: whatever is posted is read or refused with the place that is wrong; no error repeats a value, for
//! the value may be a plate; sizes and numbers are bounded; a reading that cannot be a plate is passed over and
//! counted, so that a badge on a bumper does not spoil the message. Deliberately absent: pictures, makes and
//! colours, which nobody here needs, and whether a gate opens: a sighting is a claim of a camera.

mod dedupe;
mod form;
mod loose;
mod plate_recognizer;
mod rekor;

use lotkeeper_engine::time::Timestamp;

pub use dedupe::{Deduper, Verdict};
pub use plate_recognizer::plate_recognizer;
pub use rekor::rekor;

use crate::plate::{self, Country};
use crate::wire::Refusal;
use loose::Loose;

/// Vehicles of one message; a picture that shows more is not of a lane.
pub const SIGHTINGS_MAX: usize = 64;
/// Other readings that are looked at of one vehicle.
const READINGS_MAX: usize = 32;
/// Other readings that are kept of one vehicle.
pub const CANDIDATES_MAX: usize = 8;
/// Largest JSON: makers put pictures into it.
pub const JSON_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest name of a camera.
pub const CAMERA_CHARS_MAX: usize = 64;
/// Longest identity of a sighting.
const ID_BYTES_MAX: usize = 160;
const VEHICLE_TYPE_CHARS_MAX: usize = 32;

/// How sure a camera is, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Confidence(u16);

impl Confidence {
    /// From a fraction of one; nothing is surer than one or less sure than zero.
    #[must_use]
    pub fn of_fraction(fraction: f64) -> Self {
        // Casts of floats saturate, and what is not a number is zero.
        Self((fraction.clamp(0.0, 1.0) * 1_000.0).round() as u16)
    }

    /// In thousandths.
    #[must_use]
    pub fn per_mille(self) -> u16 {
        self.0
    }

    /// In percent, rounded down: a floor of 80 is not reached by 79.9.
    #[must_use]
    pub fn percent(self) -> u8 {
        (self.0 / 10) as u8
    }
}

/// Another reading of the same plate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The compact plate.
    pub plate: String,
    /// How sure the camera is of it.
    pub confidence: Confidence,
}

/// A vehicle that a camera saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The compact plate.
    pub plate: String,
    /// The country, as far as the camera can tell: a guess.
    pub country: Option<Country>,
    /// How sure the camera is of the plate; zero when it does not say.
    pub confidence: Confidence,
    /// The camera.
    pub camera: String,
    /// When, by the camera's clock; left out by some.
    pub observed_at: Option<Timestamp>,
    /// The same for the same sighting, however often it is posted.
    pub id: Option<String>,
    /// Other readings, the likeliest first.
    pub candidates: Vec<Candidate>,
    /// In the maker's words.
    pub vehicle_type: Option<String>,
    /// Where it was going, in degrees as the maker counts them.
    pub direction_degrees: Option<u16>,
}

/// What was in a message.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Message {
    /// Vehicles with a plate.
    pub sightings: Vec<Sighting>,
    /// Vehicles without one, and readings that cannot be one.
    pub passed_over: usize,
}

/// Why a message cannot be taken. No reason repeats a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnprError {
    /// Of a type that no camera sends.
    #[error(
        "the content type is not application/json, multipart/form-data or \
         application/x-www-form-urlencoded; correct the webhook's settings"
    )]
    ContentType,
    /// A form that cannot be read.
    #[error("the form cannot be read: {cause}")]
    Form {
        /// What is wrong with it.
        cause: &'static str,
    },
    /// More than is read.
    #[error(
        "the JSON has {bytes} bytes, more than {JSON_BYTES_MAX}; send no pictures inside of it"
    )]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// Not JSON.
    #[error("this is not JSON: {detail}")]
    Syntax {
        /// What the parser met, and where.
        detail: String,
    },
    /// JSON of another shape.
    #[error("`{pointer}` is not what the maker documents there: {wanted}")]
    Shape {
        /// Where, as a JSON pointer.
        pointer: String,
        /// What should be there.
        wanted: &'static str,
    },
    /// Too many vehicles.
    #[error("the message has {found} vehicles, more than {SIGHTINGS_MAX}")]
    TooMany {
        /// How many.
        found: usize,
    },
}

fn shape(pointer: impl Into<String>, wanted: &'static str) -> AnprError {
    AnprError::Shape { pointer: pointer.into(), wanted }
}

fn read<'a, T: serde::Deserialize<'a>>(json: &'a [u8]) -> Result<T, AnprError> {
    let bytes = json.len();
    if bytes > JSON_BYTES_MAX {
        return Err(AnprError::TooLarge { bytes });
    }
    crate::wire::from_json(json).map_err(|refusal| match refusal {
        Refusal::Syntax { detail } => AnprError::Syntax { detail },
        // The parser's words quote the value.
        Refusal::Shape { pointer, .. } => shape(pointer, "a list or an object is something else"),
        Refusal::Invalid(_) => shape("", "a message of a camera"),
    })
}

fn few(found: usize) -> Result<(), AnprError> {
    if found > SIGHTINGS_MAX { Err(AnprError::TooMany { found }) } else { Ok(()) }
}

/// The name of a camera: as short as any name, and one that can be shown.
fn camera(value: &Loose<'_>, pointer: &str) -> Result<String, AnprError> {
    let name = value.name().unwrap_or_default();
    let good = (1..=CAMERA_CHARS_MAX).contains(&name.chars().count())
        && !name.chars().any(char::is_control);
    match good {
        true => Ok(name),
        false => Err(shape(pointer, "a camera's name or number, 1 to 64 characters")),
    }
}

/// Other readings than the best one, each once.
fn candidates<'a>(
    best: &str,
    country: Option<Country>,
    readings: impl Iterator<Item = (&'a Loose<'a>, Confidence)>,
) -> Vec<Candidate> {
    let mut others: Vec<Candidate> = Vec::new();
    for (reading, confidence) in readings {
        let Some(plate) = reading.text().and_then(|text| plate::compact(text, country).ok()) else {
            continue;
        };
        let known = plate == best || others.iter().any(|other| other.plate == plate);
        if !known {
            others.push(Candidate { plate, confidence });
        }
    }
    others.sort_by_key(|candidate| std::cmp::Reverse(candidate.confidence));
    others.truncate(CANDIDATES_MAX);
    others
}

fn vehicle_type(value: &Loose<'_>) -> Option<String> {
    let text = value.text()?.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '/');
    let good = (1..=VEHICLE_TYPE_CHARS_MAX).contains(&text.len()) && text.chars().all(plain);
    good.then(|| text.to_ascii_lowercase())
}

/// Degrees of a circle; what is outside of it is how makers say that they do not know.
fn direction(value: &Loose<'_>) -> Option<u16> {
    let degrees = value.number().filter(|degrees| (0.0..=360.0).contains(degrees))?;
    Some(degrees.round() as u16 % 360)
}

fn id(text: String) -> Option<String> {
    (!text.is_empty() && text.len() <= ID_BYTES_MAX).then_some(text)
}
