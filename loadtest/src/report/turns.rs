//! What the scenario `neighbours` adds to a report: its turns one by one, with what the host took meanwhile.

use super::phases::{PhaseLatency, latencies};
use super::text::time;
use crate::recorder::{Measure, Window};
use crate::scenario::Sample;
use crate::series::Series;
use serde::Serialize;
use std::fmt;

/// The counted part of one turn; seconds from the beginning of the measured time.
#[derive(Clone, Debug, Serialize)]
pub struct Turn {
    pub side: &'static str,
    pub from_seconds: f64,
    pub to_seconds: f64,
    /// What the host gave to others, of all processors; nothing where the kernel does not know.
    pub steal_percent: Option<f64>,
    pub server_cores: Option<f64>,
    /// To 3 %.
    pub latency: Vec<PhaseLatency>,
}

impl Turn {
    /// Of a stretch of the measured time, with the samples that are nearest to its ends.
    pub fn of(
        side: &'static str,
        counted: Window,
        measured: Window,
        series: &Series,
        usage: &[Sample],
    ) -> Self {
        let nearest = |at_us: u64| usage.iter().min_by_key(|sample| sample.at_us.abs_diff(at_us));
        let per_second = |of: fn(&Sample) -> Option<f64>| {
            let (first, last) = (nearest(counted.from_us)?, nearest(counted.to_us)?);
            let seconds = last.at_us.saturating_sub(first.at_us) as f64 / 1e6;
            (seconds > 0.0).then_some((of(last)? - of(first)?) / seconds)
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let seconds = |at_us: u64| at_us.saturating_sub(measured.from_us) as f64 / 1e6;
        Self {
            side,
            from_seconds: seconds(counted.from_us),
            to_seconds: seconds(counted.to_us),
            steal_percent: per_second(|sample| sample.stolen_seconds)
                .map(|stolen| 100.0 * stolen / cores),
            server_cores: per_second(|sample| Some(sample.server?.cpu_seconds)),
            latency: latencies(&series.within(counted)),
        }
    }

    /// The p99 of a kind.
    fn p99_us(&self, measure: &str) -> Option<u64> {
        self.latency.iter().find(|row| row.what == measure).map(|row| row.p99_us)
    }

    /// Names of the columns.
    pub fn heads(turns: &[Self]) -> Vec<&'static str> {
        let all = Measure::ALL.into_iter().map(Measure::name);
        let has = |what: &str| turns.iter().any(|turn| turn.p99_us(what).is_some());
        let fixed = ["turn", "seconds", "steal", "server cores"];
        fixed.into_iter().chain(all.filter(|what| has(what))).collect()
    }

    /// One row; a kind without a sample in this turn has a dash.
    pub fn cells(&self, heads: &[&str]) -> Vec<String> {
        let dash = || "-".to_string();
        let fixed = [
            self.side.to_string(),
            format!("{:.1}-{:.1}", self.from_seconds, self.to_seconds),
            self.steal_percent.map_or_else(dash, |percent| format!("{percent:.1} %")),
            self.server_cores.map_or_else(dash, |cores| format!("{cores:.2}")),
        ];
        let measured = heads.iter().skip(fixed.len());
        let p99 = measured.map(|what| self.p99_us(what).map_or_else(dash, time));
        fixed.into_iter().chain(p99).collect()
    }
}

/// The table for people: p99 by turn.
pub fn write(turns: &[Turn], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if turns.is_empty() {
        return Ok(());
    }
    let heads = Turn::heads(turns);
    let line = |f: &mut fmt::Formatter<'_>, cells: &[String]| {
        for (nth, cell) in cells.iter().enumerate() {
            let wide = if nth == 0 { 18 } else { heads[nth].len().max(10) + 2 };
            match nth {
                0 => write!(f, "{cell:<wide$}")?,
                _ => write!(f, "{cell:>wide$}")?,
            }
        }
        writeln!(f)
    };
    writeln!(f, "\np99 by turn")?;
    let named: Vec<String> = heads.iter().map(ToString::to_string).collect();
    line(f, &named)?;
    turns.iter().try_for_each(|turn| line(f, &turn.cells(&heads)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Usage;
    use std::fmt::Display;

    const SECOND_US: u64 = 1_000_000;

    struct Shown(Vec<Turn>);

    impl Display for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write(&self.0, f)
        }
    }

    #[test]
    fn a_turn_has_its_own_latencies_and_what_the_host_took_meanwhile() {
        let measured = Window { from_us: 10 * SECOND_US, to_us: 50 * SECOND_US };
        let counted = Window { from_us: 12 * SECOND_US, to_us: 20 * SECOND_US };
        let mut series = Series::new(measured);
        for second in 10..50 {
            let us = if (12..20).contains(&second) { 2_000 } else { 90_000 };
            (0..10).for_each(|_| series.latency(Measure::Read, second * SECOND_US, us));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let sample = |second: u64| Sample {
            at_us: second * SECOND_US + 300,
            server: Some(Usage { cpu_seconds: 0.5 * second as f64, ..Usage::default() }),
            stolen_seconds: Some(0.1 * cores * second.min(16) as f64),
            ..Sample::default()
        };
        let usage: Vec<Sample> = (0..60).map(sample).collect();
        let turn = Turn::of("calm", counted, measured, &series, &usage);
        assert_eq!((turn.from_seconds, turn.to_seconds), (2.0, 10.0));
        assert_eq!(turn.latency[0].samples, 80);
        assert!((1_900..2_100).contains(&turn.latency[0].p99_us), "{turn:?}");
        let near = |value: Option<f64>, expected: f64| (value.unwrap() - expected).abs() < 1e-6;
        assert!(near(turn.server_cores, 0.5) && near(turn.steal_percent, 5.0), "{turn:?}");
        let shown = Shown(vec![turn]).to_string();
        for word in ["calm", "2.0-10.0", "5.0 %", "0.50", "2.00 ms", "read"] {
            assert!(shown.contains(word), "{word}: {shown}");
        }
        assert!(!shown.contains("booking"), "{shown}");
        assert_eq!(Shown(Vec::new()).to_string(), "");
    }
}
