//! Whether what a long run holds stays level: for each figure the slope over the measured time.
//!
//! The slope is Theil and Sen's: the median of the slopes between all pairs of points. A saw's teeth, a bad
//! minute and a late garbage collection do not move it; growth that goes on does. Points are medians of equal
//! parts of the window, a minute each in an hour. Absent: what causes a slope.

use crate::recorder::{Measure, Window};
use crate::series::Series;
use crate::vitals::{GAUGES, Gauge, Kind, Vitals};
use serde::Serialize;

/// Parts of the window: an hour has minutes.
const PARTS: u64 = 60;
/// A slope in an hour, told from less, is a guess.
const MEASURED_US_MIN: u64 = 600_000_000;
/// Parts with a value below which nothing is said.
const PARTS_MIN: usize = 12;
/// So much of a counter is to fall into one part, or its pace is that of chance.
const COUNTED_PER_PART: u64 = 20;
/// The last part may lack the look after its end.
const PACE_PARTS_MIN: u64 = PARTS_MIN as u64 + 3;
/// What a level may grow by, and a pace change by, in percent of its median in an hour.
pub const PERCENT_PER_HOUR_MAX: f64 = 10.0;
/// What a latency may grow by.
pub const LATENCY_PERCENT_PER_HOUR_MAX: f64 = 25.0;
/// Growth in an hour that is no finding, however small the figure is.
const SLACK_BYTES: f64 = (8 << 20) as f64;
const SLACK_COUNT: f64 = 2.0;
const SLACK_US: f64 = 1_000.0;

/// One figure over the run.
#[derive(Clone, Debug, Serialize)]
pub struct Trend {
    pub key: String,
    pub title: String,
    pub unit: &'static str,
    pub kind: Kind,
    /// Of the points.
    pub median: f64,
    pub least: f64,
    pub most: f64,
    /// The slope: growth in an hour.
    pub per_hour: f64,
    /// The same over the median.
    pub percent_per_hour: f64,
    pub percent_per_hour_max: f64,
    /// Whether it stays within that, or within what is no finding.
    pub is_flat: bool,
    /// Seconds since measuring began, and what was there; a pace per second.
    pub points: Vec<(f64, f64)>,
}

impl Trend {
    /// A figure in words: by how much it grew.
    pub fn growth(&self) -> String {
        format!("{:+.1} % per hour", self.percent_per_hour)
    }
}

/// All figures of a run: what was looked at from outside, then latencies.
pub fn all(vitals: &[Vitals], series: &Series, window: Window) -> Vec<Trend> {
    if window.to_us.saturating_sub(window.from_us) < MEASURED_US_MIN {
        return Vec::new();
    }
    let looked = GAUGES.iter().filter_map(|gauge| of_gauge(gauge, vitals, window));
    let mut trends: Vec<Trend> = looked.collect();
    for measure in Measure::ALL {
        for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
            trends.extend(of_latency(measure, (share, name), series, window));
        }
    }
    trends
}

fn parts(window: Window, of: u64) -> impl Iterator<Item = Window> {
    let length_us = window.to_us.saturating_sub(window.from_us);
    let edge = move |nth: u64| window.from_us + length_us * nth / of;
    (0..of).map(move |nth| Window { from_us: edge(nth), to_us: edge(nth + 1) })
}

fn middle_seconds(part: Window, window: Window) -> f64 {
    (u64::midpoint(part.from_us, part.to_us) - window.from_us) as f64 / 1e6
}

fn of_gauge(gauge: &Gauge, vitals: &[Vitals], window: Window) -> Option<Trend> {
    let known: Vec<(u64, f64)> =
        vitals.iter().filter_map(|look| Some((look.at_us, *look.values.get(gauge.key)?))).collect();
    let within = |part: Window| {
        known.iter().filter(move |(at_us, _)| (part.from_us..part.to_us).contains(at_us))
    };
    let value = |part: Window| match gauge.kind {
        Kind::Level => median(within(part).map(|(_, value)| *value).collect()),
        Kind::Pace => pace(&known, part),
    };
    let of = match gauge.kind {
        Kind::Level => PARTS,
        Kind::Pace => {
            let counted = known.last().map_or(0.0, |(_, last)| *last) - known.first()?.1;
            (counted as u64 / COUNTED_PER_PART).clamp(PACE_PARTS_MIN, PARTS)
        }
    };
    let points: Vec<(f64, f64)> = parts(window, of)
        .filter_map(|part| Some((middle_seconds(part, window), value(part)?)))
        .collect();
    let slack = match (gauge.kind, gauge.unit) {
        (Kind::Pace, _) => 0.0,
        (Kind::Level, "bytes") => SLACK_BYTES,
        (Kind::Level, _) => SLACK_COUNT,
    };
    let bounds = (PERCENT_PER_HOUR_MAX, slack);
    judge((gauge.key.into(), gauge.title.into(), gauge.unit), gauge.kind, bounds, points)
}

/// How quickly a counter rose between the looks around a part's edges.
fn pace(known: &[(u64, f64)], part: Window) -> Option<f64> {
    let at = |us: u64| {
        let after = known.partition_point(|(at_us, _)| *at_us < us);
        let (left, right) = (known.get(after.checked_sub(1)?)?, known.get(after)?);
        let share = (us - left.0) as f64 / (right.0 - left.0).max(1) as f64;
        Some(left.1 + (right.1 - left.1) * share)
    };
    let seconds = (part.to_us - part.from_us) as f64 / 1e6;
    Some((at(part.to_us)? - at(part.from_us)?) / seconds)
}

fn of_latency(
    measure: Measure,
    (share, name): (f64, &str),
    series: &Series,
    window: Window,
) -> Option<Trend> {
    let points: Vec<(f64, f64)> = parts(window, PARTS)
        .filter_map(|part| {
            let point = series.within(part);
            let us = point.latency[measure as usize].quantile_us(share)?;
            Some((middle_seconds(part, window), us as f64))
        })
        .collect();
    let names =
        (format!("{}_{name}", measure.key()), format!("{name} of {}", measure.name()), "us");
    judge(names, Kind::Level, (LATENCY_PERCENT_PER_HOUR_MAX, SLACK_US), points)
}

fn judge(
    (key, title, unit): (String, String, &'static str),
    kind: Kind,
    (percent_per_hour_max, slack): (f64, f64),
    points: Vec<(f64, f64)>,
) -> Option<Trend> {
    if points.len() < PARTS_MIN {
        return None;
    }
    let median = median(points.iter().map(|(_, value)| *value).collect())?;
    let per_hour = slope(&points)? * 3_600.0;
    let percent_per_hour = if median == 0.0 { 0.0 } else { per_hour / median * 100.0 };
    // What becomes less is no leak; what slows down is a finding.
    let grown = match kind {
        Kind::Level => (per_hour, percent_per_hour),
        Kind::Pace => (per_hour.abs(), percent_per_hour.abs()),
    };
    let values = || points.iter().map(|(_, value)| *value);
    Some(Trend {
        least: values().fold(f64::INFINITY, f64::min),
        most: values().fold(f64::NEG_INFINITY, f64::max),
        is_flat: grown.1 <= percent_per_hour_max || grown.0 <= slack,
        key,
        title,
        unit,
        kind,
        median,
        per_hour,
        percent_per_hour,
        percent_per_hour_max,
        points,
    })
}

/// Theil and Sen's, per second.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (nth, (x, y)) in points.iter().enumerate() {
        let later = points[nth + 1..].iter().filter(|(other, _)| other > x);
        slopes.extend(later.map(|(other_x, other_y)| (other_y - y) / (other_x - x)));
    }
    median(slopes)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some(f64::midpoint(values[low], values[high]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const SECOND_US: u64 = 1_000_000;
    const HOUR: Window = Window { from_us: 300 * SECOND_US, to_us: 3_900 * SECOND_US };

    /// A look every five seconds, the warm-up included.
    fn looks(key: &'static str, value: impl Fn(f64) -> f64) -> Vec<Vitals> {
        let look = |nth: u64| {
            let values = BTreeMap::from([(key, value(nth as f64 * 5.0))]);
            Vitals { at_us: nth * 5 * SECOND_US, values }
        };
        (0..=781).map(look).collect()
    }

    fn trend(key: &'static str, value: impl Fn(f64) -> f64) -> Trend {
        let trends = all(&looks(key, value), &Series::new(HOUR), HOUR);
        assert_eq!(trends.len(), 1, "{trends:?}");
        trends[0].clone()
    }

    const MIB: f64 = 1_048_576.0;

    #[test]
    fn what_stays_level_is_flat_whatever_its_teeth_and_its_bad_minutes() {
        let level = trend("resident_bytes", |_| 300.0 * MIB);
        assert!(level.is_flat && level.per_hour == 0.0 && level.points.len() == 60);
        // A journal that grows for 83 s and is rotated.
        let saw = trend("journal_disk_bytes", |second| (16.0 + second % 83.0) * MIB);
        assert!(saw.is_flat && saw.percent_per_hour.abs() < 5.0, "{}", saw.growth());
        let bad = |second: f64| if (1_000.0..1_300.0).contains(&second) { 900.0 } else { 300.0 };
        assert!(trend("resident_bytes", |second| bad(second) * MIB).is_flat);
        // What filled up in the warm-up is not growth.
        let filled = trend("resident_bytes", |second| (100.0 + second.min(290.0)) * MIB);
        assert!(filled.is_flat && filled.per_hour == 0.0);
    }

    #[test]
    fn planted_growth_is_found_and_told_in_its_unit() {
        let leak = trend("resident_bytes", |second| (300.0 + second / 60.0) * MIB);
        assert!(!leak.is_flat && (leak.per_hour / MIB - 60.0).abs() < 0.5, "{leak:?}");
        assert!(leak.percent_per_hour > 10.0 && leak.percent_per_hour < 20.0);
        let teeth = |second: f64| (100.0 + second % 83.0 + second / 30.0) * MIB;
        assert!(!trend("disk_bytes", teeth).is_flat);
        let handles = trend("descriptors", |second| 40.0 + (second / 300.0).floor());
        assert!(!handles.is_flat && (handles.per_hour - 12.0).abs() < 1.0, "{handles:?}");
    }

    #[test]
    fn a_little_growth_of_something_small_is_no_finding() {
        assert!(trend("threads", |second| if second < 2_000.0 { 9.0 } else { 10.0 }).is_flat);
        assert!(trend("resident_bytes", |second| (20.0 + second / 600.0) * MIB).is_flat);
        assert!(trend("in_flight", |_| 0.0).is_flat);
        assert!(trend("resident_bytes", |second| (900.0 - second / 10.0) * MIB).is_flat, "less");
    }

    #[test]
    fn a_pace_must_neither_rise_nor_fall() {
        let even = trend("rotations", |second| (second / 100.0).floor());
        assert!(even.is_flat && (even.median - 0.01).abs() < 0.003, "{even:?}");
        let slower = trend("snapshots", |second| second * 10.0 - second * second / 1_500.0);
        assert!(!slower.is_flat && slower.percent_per_hour < -10.0, "{}", slower.growth());
        let quicker = trend("snapshots", |second| second * 10.0 + second * second / 1_500.0);
        assert!(!quicker.is_flat);
    }

    #[test]
    fn latencies_are_judged_by_the_minute() {
        let hour = |p99_us: fn(u64) -> u64| {
            let mut series = Series::new(HOUR);
            for second in 300..3_900_u64 {
                for nth in 0..10 {
                    let us = if nth == 9 { p99_us(second) } else { 500 };
                    series.latency(Measure::Booking, second * SECOND_US, us);
                }
            }
            all(&[], &series, HOUR)
        };
        let even = hour(|second| 4_000 + second % 60 * 50);
        assert_eq!(even.len(), 2);
        assert!(even.iter().all(|trend| trend.is_flat), "{even:?}");
        let worse = hour(|second| 4_000 + second * 2);
        assert!(worse[0].is_flat && !worse[1].is_flat, "{worse:?}");
        assert_eq!(worse[1].key, "booking_p99");
    }

    #[test]
    fn a_run_that_was_hardly_looked_at_has_no_trends() {
        let few: Vec<Vitals> = looks("threads", |_| 9.0).into_iter().step_by(100).collect();
        assert!(all(&few, &Series::new(HOUR), HOUR).is_empty());
        let minutes = Window { to_us: HOUR.from_us + MEASURED_US_MIN - 1, ..HOUR };
        assert!(all(&looks("threads", |_| 9.0), &Series::new(minutes), minutes).is_empty());
    }
}
