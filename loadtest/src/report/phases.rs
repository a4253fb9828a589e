//! A spike's three phases, and how long after it everything was as before.
//!
//! From the series, whose grid the phases lie on; in a run so long that the grid is wider than a phase's
//! edges, the intervals across an edge belong to neither side.

use crate::pace::Surge;
use crate::recorder::{Measure, Tally, Window};
use crate::series::{Point, Series};
use serde::Serialize;
use std::collections::BTreeMap;

/// Normal is a p99 within this factor of what it was before the spike, and this slack.
const NORMAL_FACTOR: f64 = 1.5;
const NORMAL_SLACK_US: f64 = 1_000.0;
/// Intervals that must be normal one after the other: one alone may be luck.
const NORMAL_INTERVALS: usize = 3;

/// What a spike did.
#[derive(Clone, Debug, Serialize)]
pub struct Phases {
    pub factor: f64,
    /// Before, during, after.
    pub phases: Vec<Phase>,
    pub recovery: Vec<Recovery>,
}

/// One stretch of the measured window; seconds from its beginning.
#[derive(Clone, Debug, Serialize)]
pub struct Phase {
    pub name: &'static str,
    pub from_seconds: f64,
    pub to_seconds: f64,
    pub per_second: BTreeMap<&'static str, f64>,
    pub latency: Vec<PhaseLatency>,
}

/// Latency of what was due in a phase, to 3 %.
#[derive(Clone, Debug, Serialize)]
pub struct PhaseLatency {
    pub what: &'static str,
    pub samples: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

/// The way back of one latency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recovery {
    pub what: &'static str,
    /// What counts as normal.
    pub normal_p99_us: u64,
    /// Seconds after the spike's end; nothing when it was not before the run's end.
    pub normal_after_seconds: Option<f64>,
}

impl Phases {
    /// Of a window with a surge in it.
    pub fn of(series: &Series, window: Window, surge: Surge) -> Self {
        let stretches = [
            ("before", window.from_us, surge.from_us),
            ("spike", surge.from_us, surge.to_us),
            ("after", surge.to_us, window.to_us),
        ];
        let seconds = |at_us: u64| at_us.saturating_sub(window.from_us) as f64 / 1e6;
        let mut phases = Vec::new();
        let mut recovery = Vec::new();
        for (name, from_us, to_us) in stretches {
            let stretch = Window { from_us, to_us };
            let all = series.within(stretch);
            if name == "before" {
                recovery = recoveries(series, &all, Window { from_us: surge.to_us, ..window });
            }
            let length = to_us.saturating_sub(from_us) as f64 / 1e6;
            phases.push(Phase {
                name,
                from_seconds: seconds(from_us),
                to_seconds: seconds(to_us),
                per_second: rates(&all, length),
                latency: latencies(&all),
            });
        }
        Self { factor: surge.factor, phases, recovery }
    }
}

fn rates(all: &Point, seconds: f64) -> BTreeMap<&'static str, f64> {
    Tally::ALL
        .into_iter()
        .map(|tally| (tally.key(), all.tally[tally as usize]))
        .filter(|(_, times)| *times > 0)
        .map(|(key, times)| (key, times as f64 / seconds.max(1e-6)))
        .collect()
}

pub(super) fn latencies(all: &Point) -> Vec<PhaseLatency> {
    let row = |measure: Measure| {
        let spread = &all.latency[measure as usize];
        Some(PhaseLatency {
            what: measure.name(),
            samples: spread.len(),
            p50_us: spread.quantile_us(0.5)?,
            p99_us: spread.quantile_us(0.99)?,
            max_us: spread.max_us(),
        })
    };
    Measure::ALL.into_iter().filter_map(row).collect()
}

fn recoveries(series: &Series, before: &Point, after: Window) -> Vec<Recovery> {
    let row = |measure: Measure| {
        let p99_us = before.latency[measure as usize].quantile_us(0.99)?;
        let normal_us = (p99_us as f64 * NORMAL_FACTOR).max(p99_us as f64 + NORMAL_SLACK_US) as u64;
        let later: Vec<(u64, u64)> = series
            .points()
            .filter(|(at_us, _)| (after.from_us..after.to_us).contains(at_us))
            .filter_map(|(at, point)| {
                Some((at, point.latency[measure as usize].quantile_us(0.99)?))
            })
            .collect();
        let is_normal = |run: &&[(u64, u64)]| run.iter().all(|(_, us)| *us <= normal_us);
        let normal = later.windows(NORMAL_INTERVALS.min(later.len().max(1))).find(is_normal);
        Some(Recovery {
            what: measure.name(),
            normal_p99_us: normal_us,
            normal_after_seconds: normal.map(|run| (run[0].0 - after.from_us) as f64 / 1e6),
        })
    };
    Measure::ALL.into_iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: u64 = 1_000_000;
    const WINDOW: Window = Window { from_us: 0, to_us: 60 * SECOND_US };

    fn phases(read_ms: impl Fn(u64) -> u64) -> Phases {
        let mut series = Series::new(WINDOW);
        for second in 0..60 {
            let at_us = second * SECOND_US;
            let many = if (20..30).contains(&second) { 50 } else { 10 };
            series.count(Tally::Reads, many, at_us);
            (0..many).for_each(|_| series.latency(Measure::Read, at_us, read_ms(second) * 1_000));
        }
        let surge = Surge { from_us: 20 * SECOND_US, to_us: 30 * SECOND_US, factor: 5.0 };
        Phases::of(&series, WINDOW, surge)
    }

    #[test]
    fn each_phase_has_its_rates_and_latencies() {
        let phases = phases(|second| if (20..34).contains(&second) { 40 } else { 2 });
        let rates: Vec<f64> = phases.phases.iter().map(|p| p.per_second["reads"]).collect();
        assert_eq!(rates, [10.0, 50.0, 10.0]);
        let p50_us: Vec<u64> = phases.phases.iter().map(|p| p.latency[0].p50_us).collect();
        assert_eq!((p50_us[0], p50_us[2]), (2_000, 2_015.min(p50_us[2])));
        assert_eq!(phases.phases[1].latency[0].max_us, 40_000);
        assert_eq!((phases.phases[1].from_seconds, phases.phases[1].to_seconds), (20.0, 30.0));
    }

    #[test]
    fn the_way_back_is_over_when_it_stays_normal() {
        // Normal at 31 s alone is luck; from 34 s on it lasts.
        let slow = |second| (20..34).contains(&second) && second != 31;
        let back = phases(|second| if slow(second) { 40 } else { 2 });
        assert_eq!(back.recovery[0].normal_after_seconds, Some(4.0));
        let at_once = phases(|second| if (20..30).contains(&second) { 40 } else { 2 });
        assert_eq!(at_once.recovery[0].normal_after_seconds, Some(0.0));
        let never = phases(|second| if second >= 20 { 40 } else { 2 });
        assert_eq!(never.recovery[0].normal_after_seconds, None);
    }
}
