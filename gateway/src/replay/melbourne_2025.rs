//! The City of Melbourne's bay sensors of 2025, in the two shapes they come in: a snapshot
//! (`Status_Timestamp`, every bay once) and the list of last events (`ts_utc`).
//!
//! A sensor whose status is older than the limit at the file's own instant is dead: it still
//! reports, and what it reports means nothing. Its slot is planned and its reading is not sent,
//! so the slot stays `unknown`. Each row is judged by itself: a sensor that is dead in one row of
//! the events may have come back in a later one.

use csv::StringRecord;
use jiff::{SignedDuration, Timestamp};

use super::item::{Fault, Item, Name, Notes};
use super::parser::{Columns, Parsed};
use super::plan::{Kind, MELBOURNE, Plan, Position};

pub(super) const SNAPSHOT_HEADER: [&str; 5] =
    ["Status_Timestamp", "Zone_Number", "Status_Description", "KerbsideID", "Location"];
pub(super) const EVENTS_HEADER: [&str; 6] =
    ["ts_utc", "KerbsideID", "Status_Description", "Zone_Number", "snapshot_utc", "Location"];
/// All bays are one lot: its hundreds of zones are a few bays each.
const LOT: &str = "Melbourne";
const SECONDS_PER_DAY: i64 = 86_400;

#[derive(Debug)]
pub(super) struct Melbourne2025 {
    shape: Shape,
    dead_after: SignedDuration,
    /// When the file was made; without it no sensor can be judged.
    file_instant: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) enum Shape {
    Snapshot(Columns<5>),
    Events(Columns<6>),
}

/// The fields both shapes have, by name.
struct Fields<'a> {
    observed: &'a str,
    zone: &'a str,
    status: &'a str,
    bay: &'a str,
    location: &'a str,
    judged_at: Option<Timestamp>,
}

impl Melbourne2025 {
    pub(super) fn new(
        shape: Shape,
        dead_after: SignedDuration,
        file_instant: Option<Timestamp>,
    ) -> Self {
        Self { shape, dead_after, file_instant }
    }

    pub(super) fn parse(
        &mut self,
        record: &StringRecord,
        plan: &mut Plan,
    ) -> Result<Parsed, String> {
        let fields = self.fields(record)?;
        let observed_at = instant("status time", fields.observed)?;
        let occupied = match fields.status {
            "Present" => true,
            "Unoccupied" => false,
            other => return Err(format!("status {other:?} is neither Present nor Unoccupied")),
        };
        if fields.bay.is_empty() {
            return Err("KerbsideID is empty".to_owned());
        }
        let zone = zone(fields.zone)?;
        let position = position(fields.location)?;
        let index = plan.lot(LOT, Kind::Bayed, &MELBOURNE)?;
        plan.observed(observed_at);

        let lot = &mut plan.lots[index];
        if let Some((code, name)) = &zone {
            lot.zones.entry(Name::clone(code)).or_insert_with(|| name.clone());
        }
        let slot = lot.slot(fields.bay);
        slot.rows += 1;
        // A bay keeps the first zone it is seen in.
        slot.zone = slot.zone.take().or(zone.map(|(code, _)| code));
        slot.position = slot.position.or(position);
        let slot = Name::clone(&slot.code);
        let lot = Name::clone(&lot.code);

        let age = fields.judged_at.map(|at| at.duration_since(observed_at));
        let item = match age {
            Some(age) if age > self.dead_after => {
                Item::Skipped(Fault::DeadSensor { age_days: age.as_secs() / SECONDS_PER_DAY })
            }
            _ => Item::Reading { lot, slot, occupied, observed_at, sequence: None },
        };
        let clock = match self.shape {
            // A snapshot is one instant, in no order.
            Shape::Snapshot(_) => fields.judged_at,
            Shape::Events(_) => Some(observed_at),
        };
        Ok(Parsed { clock, item, notes: Notes::default() })
    }

    fn fields<'a>(&self, record: &'a StringRecord) -> Result<Fields<'a>, String> {
        match &self.shape {
            Shape::Snapshot(columns) => {
                let [observed, zone, status, bay, location] = columns.of(record)?;
                let judged_at = self.file_instant;
                Ok(Fields { observed, zone, status, bay, location, judged_at })
            }
            Shape::Events(columns) => {
                let [observed, bay, status, zone, snapshot, location] = columns.of(record)?;
                let judged_at = match snapshot {
                    "" => self.file_instant,
                    text => Some(instant("snapshot_utc", text)?),
                };
                Ok(Fields { observed, zone, status, bay, location, judged_at })
            }
        }
    }
}

/// The instant in the name of a snapshot, `snapshot_20250807T013939Z.csv.gz`.
pub(super) fn instant_of_name(name: &str) -> Option<Timestamp> {
    let stamp = name.strip_prefix("snapshot_")?.split('.').next()?;
    jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", stamp)
        .ok()?
        .to_datetime()
        .ok()?
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

fn instant(field: &str, text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        format!("{field} {text:?} is not an instant with an offset such as 2025-08-07T01:39:39Z")
    })
}

/// `7539.0` (a number that went through a spreadsheet) is zone 7539; empty is no zone.
fn zone(text: &str) -> Result<Option<(Name, String)>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.strip_suffix(".0").unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("Zone_Number {text:?} is not a whole number"));
    }
    Ok(Some((format!("zone-{digits}").into(), format!("Zone {digits}"))))
}

/// `lat, lon` in degrees; empty is unknown.
fn position(text: &str) -> Result<Option<Position>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let read = |(lat, lon): (&str, &str)| {
        let lat: f64 = lat.trim().parse().ok()?;
        let lon: f64 = lon.trim().parse().ok()?;
        ((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon))
            .then_some(Position { lat, lon })
    };
    match text.split_once(',').and_then(read) {
        Some(position) => Ok(Some(position)),
        None => Err(format!("Location {text:?} is not latitude, longitude")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_dated_by_its_name() {
        for (name, expected) in [
            ("snapshot_20250807T013939Z.csv.gz", Some("2025-08-07T01:39:39Z")),
            ("snapshot_20250807T013939Z.csv", Some("2025-08-07T01:39:39Z")),
            ("snapshot_20251307T013939Z.csv", None),
            ("last_events.csv.gz", None),
        ] {
            assert_eq!(instant_of_name(name), expected.map(|at| at.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn zones_are_whole_numbers_or_none() {
        let code = |text| zone(text).map(|zone| zone.map(|(code, _)| code.to_string()));
        assert_eq!(code("7539.0"), Ok(Some("zone-7539".to_owned())));
        assert_eq!(code("7539"), Ok(Some("zone-7539".to_owned())));
        assert_eq!(code(""), Ok(None));
        for wrong in ["7539.5", "-3", ".0", "abc"] {
            assert!(code(wrong).is_err(), "{wrong}");
        }
    }
}
