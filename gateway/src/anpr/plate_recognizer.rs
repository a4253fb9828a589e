//! Webhooks of Plate Recognizer: Stream (cameras) and Snapshot (pictures), with a picture or without.
//!
//! `data.results` has one entry per vehicle; `score` is a fraction of one. They have no identity of their own, and a
//! webhook that was not answered with 200 is posted again as it was: camera, instant and place in the list are the
//! identity.

use bytes::Bytes;
use jiff::civil;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;
use lotkeeper_engine::time::Timestamp;
use serde::Deserialize;

use super::loose::{Few, Loose};
use super::{AnprError, Confidence, Message, READINGS_MAX, SIGHTINGS_MAX, Sighting};
use crate::plate::{self, Country};

/// Longest instant with a fraction and an offset.
const INSTANT_CHARS_MAX: usize = 40;

#[derive(Deserialize)]
struct Post<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    camera_id: Loose<'a>,
    #[serde(borrow, default)]
    timestamp: Loose<'a>,
    #[serde(borrow, default)]
    results: Few<Reading<'a>, SIGHTINGS_MAX>,
}

#[derive(Deserialize)]
struct Reading<'a> {
    #[serde(borrow, default)]
    plate: Loose<'a>,
    #[serde(borrow, default)]
    score: Loose<'a>,
    #[serde(borrow, default)]
    region: Option<Region<'a>>,
    #[serde(borrow, default)]
    candidates: Few<Other<'a>, READINGS_MAX>,
    #[serde(borrow, default)]
    vehicle: Option<Body<'a>>,
    #[serde(borrow, default)]
    direction: Loose<'a>,
}

#[derive(Deserialize)]
struct Region<'a> {
    #[serde(borrow, default)]
    code: Loose<'a>,
}

#[derive(Deserialize)]
struct Other<'a> {
    #[serde(borrow, default)]
    plate: Loose<'a>,
    #[serde(borrow, default)]
    score: Loose<'a>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Loose<'a>,
}

/// Reads a post of Plate Recognizer.
///
/// # Errors
/// What is wrong, and where.
pub fn plate_recognizer(content_type: &str, body: &Bytes) -> Result<Message, AnprError> {
    let json = super::form::json(content_type, body)?;
    let post: Post<'_> = super::read(&json)?;
    let data = post.data;
    super::few(data.results.found)?;
    if data.results.kept.is_empty() {
        // Snapshot posts pictures without vehicles too, and they need no camera.
        return Ok(Message::default());
    }
    let camera = super::camera(&data.camera_id, "/data/camera_id")?;
    let observed_at = match data.timestamp.is_nothing() {
        true => None,
        false => Some(data.timestamp.text().and_then(instant).ok_or_else(|| {
            super::shape("/data/timestamp", "an instant such as 2026-03-01T09:00:00.123456Z")
        })?),
    };
    let mut message = Message::default();
    for (index, reading) in data.results.kept.iter().enumerate() {
        let region = reading.region.as_ref().and_then(|region| region.code.text());
        let country = region.and_then(Country::of_region);
        let plate = reading.plate.text().and_then(|text| plate::compact(text, country).ok());
        let Some(plate) = plate else {
            message.passed_over += 1;
            continue;
        };
        let others = reading.candidates.kept.iter();
        let others = others.map(|other| (&other.plate, confidence(&other.score)));
        let id = observed_at.map(|at| format!("{camera}@{}#{index}", at.micros()));
        message.sightings.push(Sighting {
            candidates: super::candidates(&plate, country, others),
            plate,
            country,
            confidence: confidence(&reading.score),
            camera: camera.clone(),
            observed_at,
            id: id.and_then(super::id),
            vehicle_type: reading.vehicle.as_ref().and_then(|body| super::vehicle_type(&body.kind)),
            direction_degrees: super::direction(&reading.direction),
        });
    }
    Ok(message)
}

fn confidence(score: &Loose<'_>) -> Confidence {
    Confidence::of_fraction(score.number().unwrap_or_default())
}

/// `2026-03-01T09:00:00.123456Z`, with any offset, a blank instead of the T, or no offset, which is UTC.
fn instant(text: &str) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    if text.len() > INSTANT_CHARS_MAX || text.ends_with(']') {
        return None;
    }
    let instant = PARSER.parse_timestamp(text).ok().or_else(|| {
        let local: civil::DateTime = PARSER.parse_datetime(text).ok()?;
        Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })?;
    Some(Timestamp::from_micros(instant.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_every_form_that_was_seen() {
        let at = |micros| Some(Timestamp::from_micros(micros));
        for (text, wanted) in [
            ("2026-03-01T09:00:00.123456Z", at(1_772_355_600_123_456)),
            ("2026-03-01T10:00:00.123456+01:00", at(1_772_355_600_123_456)),
            ("2026-03-01 10:00:00.123456+0100", at(1_772_355_600_123_456)),
            ("2026-03-01 09:00:00.123456", at(1_772_355_600_123_456)),
            ("2026-03-01T09:00:00Z", at(1_772_355_600_000_000)),
            ("", None),
            ("yesterday", None),
            ("2026-03-01T09:00:00+01:00[Europe/Berlin]", None),
            ("2026-13-01T09:00:00Z", None),
        ] {
            assert_eq!(instant(text), wanted, "{text}");
        }
    }
}
