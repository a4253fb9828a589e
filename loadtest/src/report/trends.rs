//! What a long run held, as text: a row for each figure with its slope.

use super::text::{bytes, thousands, time};
use crate::trend::Trend;
use crate::vitals::Kind;
use std::fmt;

/// The table; nothing for a run that was not looked at so.
pub(super) fn write(trends: &[Trend], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if trends.is_empty() {
        return Ok(());
    }
    writeln!(
        f,
        "\n{:<34}{:>13}{:>13}{:>13}{:>20}",
        "over the measured time", "median", "least", "most", "growth"
    )?;
    for trend in trends {
        let [median, least, most] =
            [trend.median, trend.least, trend.most].map(|value| level(trend, value));
        let (growth, verdict) = (trend.growth(), verdict(trend));
        writeln!(f, "{:<34}{median:>13}{least:>13}{most:>13}{growth:>20}  {verdict}", trend.title)?;
    }
    Ok(())
}

/// A value of a trend as people read it.
pub(super) fn level(trend: &Trend, value: f64) -> String {
    match (trend.kind, trend.unit) {
        (Kind::Level, "bytes") => bytes(value as u64),
        (Kind::Level, "us") => time(value.round() as u64),
        (Kind::Level, _) => thousands(value.round() as u64),
        (Kind::Pace, _) if value >= 1.0 => format!("{}/s", thousands(value.round() as u64)),
        (Kind::Pace, _) => format!("{:.1}/h", value * 3_600.0),
    }
}

/// One word.
pub(super) fn verdict(trend: &Trend) -> &'static str {
    match (trend.is_flat, trend.kind) {
        (true, _) => "flat",
        (false, Kind::Level) => "GROWS",
        (false, Kind::Pace) => "CHANGES",
    }
}
