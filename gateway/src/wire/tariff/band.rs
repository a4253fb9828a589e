//! Bands on the wire: weekdays by name, local times as `18:00`, local dates as `2026-12-24`.

use jiff::civil::Date;
use lotkeeper_engine::money::PerMille;
use lotkeeper_engine::spec::Fault;
use lotkeeper_engine::tariff::{self, Band, Dates, Effect, LocalDay, Weekdays, Weekly, When};
use lotkeeper_engine::time::Window;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::names::{Clock, Weekday};
use super::rate::RateBody;
use crate::wire::fault;
use crate::wire::instant::Instant;

/// The first day of the count.
const EPOCH: Date = jiff::civil::date(1970, 1, 1);
/// Seconds of a local day.
const DAY_SECONDS: u32 = 86_400;

/// A time with another price. `weekly` and `window` exclude each other, so do `rate` and `multiplier_per_mille`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TariffBand, example = json!({
    "code": "night", "weekly": {"from": "22:00", "to": "06:00"}, "rate": {"flat": {"amount": 500}}, "clock": "band"
}))]
pub struct BandBody {
    /// Stands in the fee's lines.
    pub code: String,
    /// By weekday, local time and date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly: Option<WeeklyBody>,
    /// Once, between two instants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowBody>,
    /// Another rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateBody>,
    /// What that rate counts from; `stay` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// The price times this, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiplier_per_mille: Option<u32>,
}

/// Weekdays, local times and dates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WeeklyBand)]
pub struct WeeklyBody {
    /// The days on which it begins; all when left out.
    #[serde(default = "every_day")]
    pub days: Vec<Weekday>,
    /// Local time at which it begins: `18:00`, `18:00:30`.
    pub from: String,
    /// Local time at which it ends, at most `24:00`; not after `from`: on the next day.
    pub to: String,
    /// The dates on which it begins; all when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dates: Vec<DatesBody>,
}

/// Local dates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DateRange, example = json!({"first": "2026-12-24", "last": "2026-12-26"}))]
pub struct DatesBody {
    /// The first.
    pub first: String,
    /// The last; the first when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

/// Between two instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InstantWindow)]
pub struct WindowBody {
    /// The first instant.
    pub from: Instant,
    /// The first instant after.
    pub to: Instant,
}

impl From<Window> for WindowBody {
    fn from(window: Window) -> Self {
        Self { from: window.from.into(), to: window.to.into() }
    }
}

fn every_day() -> Vec<Weekday> {
    Weekday::ALL.to_vec()
}

impl From<&Band> for BandBody {
    fn from(band: &Band) -> Self {
        let (weekly, window) = match &band.when {
            When::Weekly(weekly) => (Some(weekly.into()), None),
            When::Dated(window) => (None, Some((*window).into())),
        };
        let (rate, clock, multiplier_per_mille) = match &band.effect {
            Effect::Replace { rate, clock } => (Some(rate.into()), Some((*clock).into()), None),
            Effect::Multiply(multiplier) => (None, None, Some(multiplier.0)),
        };
        Self { code: band.code.to_string(), weekly, window, rate, clock, multiplier_per_mille }
    }
}

impl BandBody {
    /// As the engine has it. What is wrong becomes a fault, and something harmless stands in its place, so that
    /// the rest is checked and positions stay.
    pub(super) fn checked(self, pointer: &str, faults: &mut Vec<Fault>) -> Band {
        let when = match (self.weekly, self.window) {
            (Some(weekly), None) => {
                When::Weekly(weekly.checked(&format!("{pointer}/weekly"), faults))
            }
            (None, Some(WindowBody { from, to })) => When::Dated(Window { from: from.0, to: to.0 }),
            (Some(_), Some(_)) | (None, None) => {
                faults.push(fault(pointer, "a band has either `weekly` or `window`; give one"));
                When::Weekly(Weekly {
                    days: Weekdays::ALL,
                    from_second: 0,
                    to_second: DAY_SECONDS,
                    dates: Box::default(),
                })
            }
        };
        let effect = match (self.rate, self.multiplier_per_mille) {
            (Some(rate), None) => {
                let clock = self.clock.map_or(tariff::Clock::Stay, Into::into);
                Effect::Replace { rate: rate.into(), clock }
            }
            (None, Some(multiplier)) if self.clock.is_none() => {
                Effect::Multiply(PerMille(multiplier))
            }
            (None, Some(multiplier)) => {
                let detail = "a multiplier counts no time; leave `clock` out";
                faults.push(fault(format!("{pointer}/clock"), detail));
                Effect::Multiply(PerMille(multiplier))
            }
            (Some(_), Some(_)) | (None, None) => {
                let detail = "a band has either `rate` or `multiplier_per_mille`; give one";
                faults.push(fault(pointer, detail));
                Effect::Multiply(PerMille::ONE)
            }
        };
        Band { code: self.code.into(), when, effect }
    }
}

impl From<&Weekly> for WeeklyBody {
    fn from(weekly: &Weekly) -> Self {
        let on = |(bit, day): (u8, &Weekday)| (weekly.days.0 >> bit & 1 == 1).then_some(*day);
        Self {
            days: (0..).zip(Weekday::ALL).filter_map(on).collect(),
            from: time_text(weekly.from_second),
            to: time_text(weekly.to_second),
            dates: weekly.dates.iter().map(Into::into).collect(),
        }
    }
}

impl WeeklyBody {
    fn checked(self, pointer: &str, faults: &mut Vec<Fault>) -> Weekly {
        let bit = |day: &Weekday| Weekday::ALL.iter().position(|known| known == day).unwrap_or(0);
        let days = self.days.iter().fold(0, |set, day| set | 1 << bit(day));
        // What stands for a time that could not be read makes no fault of its own.
        let mut time = |name: &str, text: &str, instead: u32| {
            read_time(text).unwrap_or_else(|| {
                let shown: String = text.chars().take(20).collect();
                let detail = format!("`{shown}` is not a local time such as 18:00, at most 24:00");
                faults.push(fault(format!("{pointer}/{name}"), detail));
                instead
            })
        };
        let (from_second, to_second) =
            (time("from", &self.from, 1), time("to", &self.to, DAY_SECONDS));
        let dates = self.dates.iter().enumerate();
        let dates =
            dates.map(|(at, dates)| dates.checked(&format!("{pointer}/dates/{at}"), faults));
        Weekly { days: Weekdays(days), from_second, to_second, dates: dates.collect() }
    }
}

impl From<&Dates> for DatesBody {
    fn from(dates: &Dates) -> Self {
        let last = (dates.first != dates.last).then(|| date_text(dates.last));
        Self { first: date_text(dates.first), last }
    }
}

impl DatesBody {
    fn checked(&self, pointer: &str, faults: &mut Vec<Fault>) -> Dates {
        let mut date = |name: &str, text: &str| {
            read_date(text).unwrap_or_else(|| {
                let shown: String = text.chars().take(20).collect();
                let detail = format!("`{shown}` is not a date such as 2026-12-24");
                faults.push(fault(format!("{pointer}/{name}"), detail));
                LocalDay(0)
            })
        };
        let first = date("first", &self.first);
        Dates { first, last: self.last.as_deref().map_or(first, |last| date("last", last)) }
    }
}

/// `HH:MM` or `HH:MM:SS` as a second of the day.
fn read_time(text: &str) -> Option<u32> {
    let parts: Vec<&str> = text.split(':').collect();
    let two_digits = |part: &&str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !matches!(parts.len(), 2 | 3) || !parts.iter().all(two_digits) {
        return None;
    }
    let numbers: Vec<u32> = parts.iter().filter_map(|part| part.parse().ok()).collect();
    let (hour, minute, second) =
        (*numbers.first()?, *numbers.get(1)?, numbers.get(2).unwrap_or(&0));
    let of_day = hour * 3_600 + minute * 60 + second;
    (minute < 60 && *second < 60 && of_day <= DAY_SECONDS).then_some(of_day)
}

fn time_text(second: u32) -> String {
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    match second {
        0 => format!("{hour:02}:{minute:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}"),
    }
}

fn read_date(text: &str) -> Option<LocalDay> {
    // jiff also reads other forms of ISO 8601; one is enough.
    let date: Date = (text.len() == 10).then(|| text.parse().ok()).flatten()?;
    let days = EPOCH.until((jiff::Unit::Day, date)).ok()?.get_days();
    Some(LocalDay(days))
}

/// A day outside of the calendar cannot be uploaded; it is shown as its nearest end.
fn date_text(day: LocalDay) -> String {
    let span = jiff::Span::new().try_days(day.0);
    span.map_or(Date::MAX, |span| EPOCH.saturating_add(span)).to_string()
}
