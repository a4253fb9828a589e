//! The run over time as the report shows it: columns of equal length, one row per interval.
//!
//! Seconds count from the beginning of the measured window, so the warm-up is negative.
//! Processor time is interpolated between samples, because samples and intervals need not coincide.

use crate::machine::Usage;
use crate::recorder::{Measure, Tally, Window};
use crate::scenario::Sample;
use crate::series::{Series, Spread};
use serde::Serialize;
use std::collections::BTreeMap;

/// An interval at the edge of which less than this share lies in the run says nothing.
const COVERED_SHARE_MIN: f64 = 0.25;

/// A run over time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Timeline {
    pub interval_seconds: f64,
    /// Where each interval begins.
    pub seconds: Vec<f64>,
    /// By tally; only what happened at all.
    pub per_second: BTreeMap<&'static str, Vec<f64>>,
    pub latency: Vec<LatencyLine>,
    pub server_cores: Vec<Option<f64>>,
    pub server_resident_bytes: Vec<Option<u64>>,
    pub client_cores: Vec<Option<f64>>,
}

/// One latency over time; empty where nothing was due.
#[derive(Clone, Debug, Serialize)]
pub struct LatencyLine {
    pub what: &'static str,
    pub p50_us: Vec<Option<u64>>,
    pub p99_us: Vec<Option<u64>>,
    pub max_us: Vec<Option<u64>>,
}

impl Timeline {
    /// Of a run that began then, in at most so many intervals.
    pub fn of(
        series: &Series,
        began_us: u64,
        window: Window,
        usage: &[Sample],
        points_max: usize,
    ) -> Self {
        let run = Window { from_us: began_us, to_us: window.to_us };
        let mut series = series.clone();
        series.fit(run, points_max);
        let interval_us = series.interval_us();
        let points: BTreeMap<u64, _> = series.points().collect();
        let first_us = began_us / interval_us * interval_us;
        let covered_us = |at_us: u64| {
            (at_us + interval_us).min(run.to_us).saturating_sub(at_us.max(run.from_us))
        };
        let starts: Vec<u64> = (first_us..run.to_us)
            .step_by(usize::try_from(interval_us).unwrap_or(usize::MAX))
            .filter(|at_us| covered_us(*at_us) as f64 >= COVERED_SHARE_MIN * interval_us as f64)
            .collect();
        let rate = |tally: Tally, at_us: u64| {
            let times = points.get(&at_us).map_or(0, |point| point.tally[tally as usize]);
            times as f64 * 1e6 / covered_us(at_us) as f64
        };
        let rates = |tally| starts.iter().map(|at_us| rate(tally, *at_us)).collect::<Vec<f64>>();
        let line = |measure: Measure| {
            let of = |read: &dyn Fn(&Spread) -> Option<u64>| -> Vec<Option<u64>> {
                let spread = |at_us| points.get(at_us).map(|p| &p.latency[measure as usize]);
                starts.iter().map(|at_us| read(spread(at_us)?)).collect()
            };
            LatencyLine {
                what: measure.name(),
                p50_us: of(&|spread| spread.quantile_us(0.5)),
                p99_us: of(&|spread| spread.quantile_us(0.99)),
                max_us: of(&|spread| (spread.len() > 0).then(|| spread.max_us())),
            }
        };
        let cores = |of: &dyn Fn(&Sample) -> Option<Usage>| -> Vec<Option<f64>> {
            let edges = |at: u64| (at.max(run.from_us), (at + interval_us).min(run.to_us));
            starts.iter().map(|at_us| cores_between(usage, edges(*at_us), of)).collect()
        };
        Self {
            interval_seconds: interval_us as f64 / 1e6,
            seconds: starts.iter().map(|at| (*at as f64 - window.from_us as f64) / 1e6).collect(),
            per_second: Tally::ALL
                .map(|tally| (tally.key(), rates(tally)))
                .into_iter()
                .filter(|(_, rates)| rates.iter().any(|rate| *rate > 0.0))
                .collect(),
            latency: Measure::ALL
                .map(line)
                .into_iter()
                .filter(|line| line.max_us.iter().any(Option::is_some))
                .collect(),
            server_cores: cores(&|sample| sample.server),
            server_resident_bytes: starts
                .iter()
                .map(|at_us| resident_before(usage, at_us + interval_us))
                .collect(),
            client_cores: cores(&|sample| Some(sample.client)),
        }
    }
}

/// Processors used between two instants.
pub fn cores_between(
    usage: &[Sample],
    (from_us, to_us): (u64, u64),
    of: &dyn Fn(&Sample) -> Option<Usage>,
) -> Option<f64> {
    let (first, last) = (cpu_at(usage, from_us, of)?, cpu_at(usage, to_us, of)?);
    (to_us > from_us).then(|| (last - first).max(0.0) * 1e6 / (to_us - from_us) as f64)
}

/// Processor time used until then, between the samples around it.
fn cpu_at(usage: &[Sample], at_us: u64, of: &dyn Fn(&Sample) -> Option<Usage>) -> Option<f64> {
    let after = usage.partition_point(|sample| sample.at_us < at_us).min(usage.len().max(1) - 1);
    let (left, right) = (usage.get(after.saturating_sub(1))?, usage.get(after)?);
    let (low, high) = (of(left)?.cpu_seconds, of(right)?.cpu_seconds);
    let span_us = right.at_us.saturating_sub(left.at_us);
    let ahead_us = at_us.saturating_sub(left.at_us).min(span_us);
    Some(low + (high - low) * ahead_us as f64 / span_us.max(1) as f64)
}

fn resident_before(usage: &[Sample], at_us: u64) -> Option<u64> {
    let after = usage.partition_point(|sample| sample.at_us <= at_us);
    Some(usage.get(after.checked_sub(1)?)?.server?.resident_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: u64 = 1_000_000;

    /// Half a core, later one and a half; memory grows by a MiB a second.
    fn usage() -> Vec<Sample> {
        let sample = |second: u64| {
            let cpu_seconds = second as f64 * 0.5 + second.saturating_sub(30) as f64;
            let resident_bytes = second << 20;
            let server = Some(Usage { cpu_seconds, resident_bytes, ..Usage::default() });
            let at_us = second * SECOND_US;
            Sample { at_us, server, ..Sample::default() }
        };
        (0..=62).map(sample).collect()
    }

    #[test]
    fn rates_latencies_and_costs_stand_side_by_side() {
        let window = Window { from_us: 2 * SECOND_US, to_us: 62 * SECOND_US };
        let mut series = Series::new(window);
        for second in 0..62 {
            let at_us = second * SECOND_US + 400_000;
            if second != 40 {
                series.count(Tally::Reads, 10 + second, at_us);
                series.latency(Measure::Read, at_us, 1_000);
            }
        }
        // It began in the middle of the first second: what is there counts for half a second.
        let timeline = Timeline::of(&series, SECOND_US / 2, window, &usage(), 600);
        assert_eq!(timeline.seconds.len(), 62);
        assert_eq!((timeline.seconds[0], timeline.seconds[61]), (-2.0, 59.0));
        let reads = &timeline.per_second["reads"];
        assert_eq!((reads[0], reads[1], reads[40], reads[61]), (20.0, 11.0, 0.0, 71.0));
        assert_eq!(timeline.per_second.len(), 1);
        let line = &timeline.latency[0];
        assert_eq!((line.p99_us[1], line.max_us[40], line.p50_us[40]), (Some(1_000), None, None));
        let cores = |nth: usize| timeline.server_cores[nth].unwrap();
        assert!((cores(0) - 0.5).abs() < 1e-9 && (cores(50) - 1.5).abs() < 1e-9);
        assert_eq!(timeline.server_resident_bytes[9], Some(10 << 20));
    }

    #[test]
    fn a_long_quiet_run_has_few_rows() {
        let window = Window { from_us: 0, to_us: 86_400 * SECOND_US };
        let timeline = Timeline::of(&Series::new(window), 0, window, &[], 200);
        assert!((100..=200).contains(&timeline.seconds.len()), "{}", timeline.seconds.len());
        assert!(timeline.server_cores.iter().all(Option::is_none));
    }
}
