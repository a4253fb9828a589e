//! Posts of Rekor Scout, once OpenALPR: a group per vehicle (`alpr_group`), or a result per picture
//! (`alpr_results`). Heartbeats and alerts are taken and say nothing.
//!
//! Confidence is in percent, instants are milliseconds since 1970. A group names the picture of its best reading by
//! uuid and place, as the result of that picture does: who gets both gets one sighting.

use bytes::Bytes;
use lotkeeper_engine::time::Timestamp;
use serde::Deserialize;

use super::loose::{Few, Loose};
use super::{AnprError, Confidence, Message, READINGS_MAX, SIGHTINGS_MAX, Sighting};
use crate::plate::{self, Country};

/// The year 3000: later instants are none.
const MILLIS_MAX: f64 = 32_503_680_000_000.0;
/// Pictures of a group that are looked at for its best one; a vehicle is in view for seconds.
const FRAMES_MAX: usize = 1_024;

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, default)]
    data_type: Loose<'a>,
}

#[derive(Deserialize)]
struct Group<'a> {
    #[serde(borrow, default)]
    camera_id: Loose<'a>,
    #[serde(borrow, default)]
    epoch_start: Loose<'a>,
    #[serde(borrow, default)]
    best_plate_number: Loose<'a>,
    #[serde(borrow, default)]
    best_confidence: Loose<'a>,
    #[serde(borrow, default)]
    best_region: Loose<'a>,
    #[serde(borrow, default)]
    best_uuid: Loose<'a>,
    #[serde(borrow, default)]
    country: Loose<'a>,
    #[serde(borrow, default)]
    uuids: Few<Loose<'a>, FRAMES_MAX>,
    #[serde(borrow, default)]
    plate_indexes: Few<Loose<'a>, FRAMES_MAX>,
    #[serde(borrow, default)]
    candidates: Few<Other<'a>, READINGS_MAX>,
    #[serde(borrow, default)]
    travel_direction: Loose<'a>,
    #[serde(borrow, default)]
    vehicle: Option<Body<'a>>,
}

#[derive(Deserialize)]
struct Results<'a> {
    #[serde(borrow, default)]
    camera_id: Loose<'a>,
    #[serde(borrow, default)]
    epoch_time: Loose<'a>,
    #[serde(borrow, default)]
    uuid: Loose<'a>,
    #[serde(borrow, default)]
    results: Few<Reading<'a>, SIGHTINGS_MAX>,
}

#[derive(Deserialize)]
struct Reading<'a> {
    #[serde(borrow, default)]
    plate: Loose<'a>,
    #[serde(borrow, default)]
    confidence: Loose<'a>,
    #[serde(borrow, default)]
    region: Loose<'a>,
    #[serde(borrow, default)]
    plate_index: Loose<'a>,
    #[serde(borrow, default)]
    candidates: Few<Other<'a>, READINGS_MAX>,
}

#[derive(Deserialize)]
struct Other<'a> {
    #[serde(borrow, default)]
    plate: Loose<'a>,
    #[serde(borrow, default)]
    confidence: Loose<'a>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    body_type: Few<Named<'a>, 1>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    name: Loose<'a>,
}

/// Reads a post of Rekor Scout.
///
/// # Errors
/// What is wrong, and where.
pub fn rekor(content_type: &str, body: &Bytes) -> Result<Message, AnprError> {
    let json = super::form::json(content_type, body)?;
    let kind: Kind<'_> = super::read(&json)?;
    match kind.data_type.text() {
        Some("alpr_group") => group(&super::read(&json)?),
        Some("alpr_results") => results(&super::read(&json)?),
        Some(_) => Ok(Message::default()),
        None => Err(super::shape("/data_type", "alpr_group, alpr_results or another type")),
    }
}

fn group(group: &Group<'_>) -> Result<Message, AnprError> {
    let camera = super::camera(&group.camera_id, "/camera_id")?;
    let observed_at = instant(&group.epoch_start, "/epoch_start")?;
    let country = country(&group.best_region).or_else(|| country(&group.country));
    let plate = group.best_plate_number.text().and_then(|text| plate::compact(text, country).ok());
    let Some(plate) = plate else {
        return Ok(Message { passed_over: 1, ..Message::default() });
    };
    let others = group.candidates.kept.iter();
    let others = others.map(|other| (&other.plate, confidence(&other.confidence)));
    let kind = group.vehicle.as_ref().and_then(|body| body.body_type.kept.first());
    let sighting = Sighting {
        candidates: super::candidates(&plate, country, others),
        plate,
        country,
        confidence: confidence(&group.best_confidence),
        camera,
        observed_at,
        id: group.best_uuid.text().and_then(|uuid| id(uuid, group.best_index())),
        vehicle_type: kind.and_then(|kind| super::vehicle_type(&kind.name)),
        direction_degrees: super::direction(&group.travel_direction),
    };
    Ok(Message { sightings: vec![sighting], passed_over: 0 })
}

impl Group<'_> {
    /// The best reading's place in its picture: uuids and places are two lists side by side.
    fn best_index(&self) -> usize {
        let best = self.best_uuid.text();
        let uuids = self.uuids.kept.iter();
        let mut pairs = uuids.zip(self.plate_indexes.kept.iter());
        let index = pairs.find(|(uuid, _)| uuid.text() == best).map(|(_, index)| index);
        index.and_then(place).unwrap_or_default()
    }
}

fn results(results: &Results<'_>) -> Result<Message, AnprError> {
    super::few(results.results.found)?;
    let camera = super::camera(&results.camera_id, "/camera_id")?;
    let observed_at = instant(&results.epoch_time, "/epoch_time")?;
    let mut message = Message::default();
    for (number, reading) in results.results.kept.iter().enumerate() {
        let country = country(&reading.region);
        let plate = reading.plate.text().and_then(|text| plate::compact(text, country).ok());
        let Some(plate) = plate else {
            message.passed_over += 1;
            continue;
        };
        let others = reading.candidates.kept.iter();
        let others = others.map(|other| (&other.plate, confidence(&other.confidence)));
        let index = place(&reading.plate_index).unwrap_or(number);
        message.sightings.push(Sighting {
            candidates: super::candidates(&plate, country, others),
            plate,
            country,
            confidence: confidence(&reading.confidence),
            camera: camera.clone(),
            observed_at,
            id: results.uuid.text().and_then(|uuid| id(uuid, index)),
            vehicle_type: None,
            direction_degrees: None,
        });
    }
    Ok(message)
}

fn country(region: &Loose<'_>) -> Option<Country> {
    Country::of_region(region.text()?)
}

fn confidence(percent: &Loose<'_>) -> Confidence {
    Confidence::of_fraction(percent.number().unwrap_or_default() / 100.0)
}

fn place(index: &Loose<'_>) -> Option<usize> {
    let index = index.number().filter(|index| (0.0..1_000.0).contains(index))?;
    Some(index as usize)
}

fn id(uuid: &str, index: usize) -> Option<String> {
    let uuid = uuid.trim();
    (!uuid.is_empty()).then(|| format!("{uuid}#{index}")).and_then(super::id)
}

fn instant(millis: &Loose<'_>, pointer: &str) -> Result<Option<Timestamp>, AnprError> {
    if millis.is_nothing() {
        return Ok(None);
    }
    let good = millis.number().filter(|millis| (0.0..=MILLIS_MAX).contains(millis));
    let millis = good.ok_or_else(|| super::shape(pointer, "milliseconds since 1970"))?;
    Ok(Some(Timestamp::from_micros(millis as i64 * 1_000)))
}
