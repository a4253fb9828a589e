//! Recurring requests: "weekdays for a month" as windows, in the lot's time zone.

use jiff::civil::{Date, Time, Weekday as Day};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{ToSpan, Zoned};
use lotkeeper_engine::limits::OCCURRENCES_MAX;
use lotkeeper_engine::spec::Fault;
use lotkeeper_engine::time::{Timestamp, Window};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::fault;
use super::instant::Instant;
use super::reservation::{NeedsBody, ReservationBody};
use super::tariff::Weekday;
use super::vehicle::Vehicle;

/// How often something recurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Every {
    /// On every day, or on the weekdays given.
    Day,
    /// On the weekday of the first one.
    Week,
}

/// When it recurs.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Repeat, example = json!({"every": "day", "weekdays": ["mon", "tue", "wed", "thu", "fri"], "until": "2026-03-31"}))]
pub struct RepeatBody {
    /// How often.
    pub every: Every,
    /// With `every: day`, only on these.
    #[serde(default)]
    pub weekdays: Vec<Weekday>,
    /// The last day on which one may begin, in the lot's time zone.
    #[schema(value_type = String, format = Date)]
    pub until: Date,
}

/// A recurring reservation to be made. Each occurrence is a reservation of its own; all are granted or none.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSeries, example = json!({
    "lot": "L1", "from": "2026-03-01T18:00:00Z", "to": "2026-03-01T19:00:00Z",
    "repeat": {"every": "day", "until": "2026-03-31"}
}))]
pub struct NewSeriesBody {
    /// Made by the client, so that a retry books nothing twice; made by the server when left out.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Code or id of the lot.
    pub lot: String,
    /// Code or id of the slot.
    #[serde(default)]
    pub slot: Option<String>,
    /// What the slot must have; each occurrence may get another one.
    #[serde(default)]
    pub needs: Option<NeedsBody>,
    /// The first instant of the first one. The others begin at the same local time.
    pub from: Instant,
    /// The first instant after the first one. The others end at the same local time.
    pub to: Instant,
    /// When it recurs.
    pub repeat: RepeatBody,
    /// For which vehicle.
    #[serde(default)]
    pub vehicle: Option<Vehicle>,
    /// Each is held for so long until it is confirmed, 1 to 86,400; confirmed at once when left out.
    #[serde(default)]
    pub hold_seconds: Option<u32>,
    /// Codes of discounts.
    #[serde(default)]
    pub discounts: Vec<String>,
    /// What one asks for in one's own words, 500 characters at most, for each of them.
    #[serde(default)]
    pub request: Option<String>,
}

/// A recurring reservation.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Series)]
pub struct SeriesBody {
    /// What its reservations have in common.
    pub series: Uuid,
    /// Its reservations, the earliest first.
    pub items: Vec<ReservationBody>,
}

impl NewSeriesBody {
    /// All windows, the first first. Where the local time is skipped by a clock change the next one there is
    /// counts, where it comes twice the first (as RFC 5545 has it).
    ///
    /// # Errors
    /// Nothing recurs, too often, or times outside of the calendar.
    pub fn windows(&self, time_zone: &str) -> Result<Vec<Window>, Vec<Fault>> {
        let zone = TimeZoneDatabase::bundled().get(time_zone).unwrap_or(TimeZone::UTC);
        let local = |instant: Instant, pointer: &str| -> Result<Zoned, Vec<Fault>> {
            let instant = jiff::Timestamp::from_microsecond(instant.0.micros());
            let instant = instant.map_err(|_| vec![fault(pointer, "outside of the calendar")])?;
            Ok(instant.to_zoned(zone.clone()))
        };
        let (from, to) = (local(self.from, "/from")?, local(self.to, "/to")?);
        let days = to.date().since(from.date()).map_or(0, |span| span.get_days());
        let mut windows = Vec::new();
        let mut date = from.date();
        while date <= self.repeat.until {
            if self.falls_on(date, from.date()) {
                if windows.len() == OCCURRENCES_MAX {
                    let detail = format!("more than {OCCURRENCES_MAX} occurrences; end it earlier");
                    return Err(vec![fault("/repeat/until", detail)]);
                }
                let end = date.checked_add(days.days()).unwrap_or(date);
                let window = at(date, from.time(), &zone).zip(at(end, to.time(), &zone));
                let outside = || vec![fault("/repeat/until", "outside of the calendar")];
                let (from, to) = window.ok_or_else(outside)?;
                windows.push(Window { from, to });
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        if windows.is_empty() {
            let detail = "no occurrence lies between the first one and this day";
            return Err(vec![fault("/repeat/until", detail)]);
        }
        Ok(windows)
    }

    fn falls_on(&self, date: Date, first: Date) -> bool {
        match self.repeat.every {
            Every::Week => date.weekday() == first.weekday(),
            Every::Day if self.repeat.weekdays.is_empty() => true,
            Every::Day => self.repeat.weekdays.iter().any(|day| is(*day, date.weekday())),
        }
    }
}

fn at(date: Date, time: Time, zone: &TimeZone) -> Option<Timestamp> {
    let local = date.to_datetime(time).to_zoned(zone.clone()).ok()?;
    Some(Timestamp::from_micros(local.timestamp().as_microsecond()))
}

fn is(day: Weekday, other: Day) -> bool {
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let position = usize::try_from(other.to_monday_zero_offset()).unwrap_or_default();
    names.get(position) == Some(&day.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::from_json;

    fn series(from: &str, to: &str, repeat: &str) -> NewSeriesBody {
        let body = format!(r#"{{"lot":"L1","from":"{from}","to":"{to}","repeat":{repeat}}}"#);
        from_json(body.as_bytes()).unwrap()
    }

    /// Hours of UTC at which the occurrences begin and end.
    fn hours(series: &NewSeriesBody, zone: &str) -> Vec<(String, String)> {
        let text = |at: Timestamp| Instant(at).to_string();
        let windows = series.windows(zone).unwrap();
        windows.iter().map(|w| (text(w.from), text(w.to))).collect()
    }

    #[test]
    fn weekdays_keep_their_local_time_over_a_clock_change() {
        let repeat = r#"{"every":"day","weekdays":["fri","mon"],"until":"2026-03-30"}"#;
        let wanted = series("2026-03-27T08:00:00Z", "2026-03-27T16:00:00Z", repeat);
        // The clocks go forward in Berlin on 2026-03-29: nine o'clock is then 07:00 UTC.
        assert_eq!(
            hours(&wanted, "Europe/Berlin"),
            [
                ("2026-03-27T08:00:00Z".into(), "2026-03-27T16:00:00Z".into()),
                ("2026-03-30T07:00:00Z".into(), "2026-03-30T15:00:00Z".into()),
            ]
        );
    }

    #[test]
    fn weeks_and_nights_and_all_days() {
        let weekly = r#"{"every":"week","until":"2026-03-16"}"#;
        let night = series("2026-03-02T20:00:00Z", "2026-03-03T06:00:00Z", weekly);
        assert_eq!(
            hours(&night, "UTC"),
            [
                ("2026-03-02T20:00:00Z".into(), "2026-03-03T06:00:00Z".into()),
                ("2026-03-09T20:00:00Z".into(), "2026-03-10T06:00:00Z".into()),
                ("2026-03-16T20:00:00Z".into(), "2026-03-17T06:00:00Z".into()),
            ]
        );
        let daily = r#"{"every":"day","until":"2026-03-05"}"#;
        let days = series("2026-03-02T20:00:00Z", "2026-03-02T21:00:00Z", daily);
        assert_eq!(days.windows("UTC").unwrap().len(), 4);
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        for until in ["2026-03-01", "2028-03-01"] {
            let repeat = format!(r#"{{"every":"day","until":"{until}"}}"#);
            let wanted = series("2026-03-02T20:00:00Z", "2026-03-02T21:00:00Z", &repeat);
            assert_eq!(wanted.windows("UTC").unwrap_err()[0].pointer, "/repeat/until", "{until}");
        }
    }
}
