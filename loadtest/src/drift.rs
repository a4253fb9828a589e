//! Whether a long run got worse by itself: its first quarter against its last.
//!
//! Latency by the p99 of every measure that both quarters have enough of, memory by the median of what the
//! server held. A slack in absolute terms keeps noise on small figures from being called drift.
//! Absent: a verdict on a run too short to show any; the report then warns that there is none.

use crate::recorder::{Measure, Window};
use crate::scenario::Sample;
use crate::series::Series;
use crate::verify::{Check, NOTHING_DRIFTS};

/// A quarter of this is fifteen intervals.
const MEASURED_US_MIN: u64 = 60_000_000;
/// Latencies in a quarter below which its p99 is chance.
const SAMPLES_MIN: u64 = 500;
/// What a p99 may grow by, whatever it was.
const SLACK_US: f64 = 5_000.0;
/// What memory may grow by, whatever it was: histories and rings fill up over a while.
const SLACK_BYTES: f64 = (64 << 20) as f64;

/// The check; nothing when the run is too short for one.
pub fn check(series: &Series, window: Window, usage: &[Sample], percent: f64) -> Option<Check> {
    let length_us = window.to_us.saturating_sub(window.from_us);
    if length_us < MEASURED_US_MIN {
        return None;
    }
    let quarter = |nth: u64| Window {
        from_us: window.from_us + length_us * nth / 4,
        to_us: window.from_us + length_us * (nth + 1) / 4,
    };
    let (early, late) = (quarter(0), quarter(3));
    let mut check = Check::new(NOTHING_DRIFTS, "figures");
    let mut compare = |what: &str, first: f64, last: f64, slack: f64, shown: fn(f64) -> String| {
        check.examine(1);
        let most = (first * (1.0 + percent / 100.0)).max(first + slack);
        if last > most {
            let (first, last, most) = (shown(first), shown(last), shown(most));
            check.fault(format!(
                "{what}: {first} in the first quarter, {last} in the last, at most {most} is allowed"
            ));
        }
    };
    let (first, last) = (series.within(early), series.within(late));
    for measure in Measure::ALL {
        let (first, last) = (&first.latency[measure as usize], &last.latency[measure as usize]);
        if first.len().min(last.len()) < SAMPLES_MIN {
            continue;
        }
        if let (Some(first), Some(last)) = (first.quantile_us(0.99), last.quantile_us(0.99)) {
            let what = format!("p99 of {}", measure.name());
            compare(&what, first as f64, last as f64, SLACK_US, |us| format!("{:.2} ms", us / 1e3));
        }
    }
    if let (Some(first), Some(last)) = (resident(usage, early), resident(usage, late)) {
        let mib = |bytes: f64| format!("{:.0} MiB", bytes / 1_048_576.0);
        compare("server's memory", first as f64, last as f64, SLACK_BYTES, mib);
    }
    Some(check)
}

/// The median of what the server held.
fn resident(usage: &[Sample], stretch: Window) -> Option<u64> {
    let mut bytes: Vec<u64> = usage
        .iter()
        .filter(|sample| (stretch.from_us..stretch.to_us).contains(&sample.at_us))
        .filter_map(|sample| Some(sample.server?.resident_bytes))
        .collect();
    bytes.sort_unstable();
    bytes.get(bytes.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Usage;

    const SECOND_US: u64 = 1_000_000;
    const HOUR: Window = Window { from_us: 10 * SECOND_US, to_us: 3_610 * SECOND_US };

    /// An hour in which a read takes so long and the server holds so much at each second.
    fn hour(read_us: fn(u64) -> u64, resident_mib: fn(u64) -> u64) -> Check {
        let mut series = Series::new(HOUR);
        let mut usage = Vec::new();
        for second in 0..3_610 {
            for _ in 0..10 {
                series.latency(Measure::Read, second * SECOND_US, read_us(second));
            }
            let resident_bytes = resident_mib(second) << 20;
            let server = Some(Usage { resident_bytes, ..Usage::default() });
            usage.push(Sample { at_us: second * SECOND_US, server, ..Sample::default() });
        }
        check(&series, HOUR, &usage, 50.0).unwrap()
    }

    #[test]
    fn a_steady_hour_does_not_drift() {
        let check = hour(|_| 2_000, |_| 300);
        assert_eq!((check.examined, check.faults), (2, 0), "{check:?}");
    }

    #[test]
    fn noise_and_a_single_bad_minute_are_no_drift() {
        let noisy = |second: u64| 1_500 + second % 7 * 300;
        let bad_minute = |second| if second / 60 == 30 { 900_000 } else { 2_000 };
        for read_us in [noisy as fn(u64) -> u64, bad_minute] {
            assert!(hour(read_us, |second| 300 + second % 11).passed());
        }
    }

    #[test]
    fn planted_drift_of_latency_and_of_memory_is_found() {
        let slower = hour(|second| 10_000 + second * 5, |_| 300);
        assert!(slower.first_faults[0].contains("p99 of read"), "{slower:?}");
        let leak = hour(|_| 2_000, |second| 300 + second / 10);
        assert!(leak.first_faults[0].contains("server's memory"), "{leak:?}");
        assert_eq!((slower.faults, leak.faults), (1, 1));
    }

    #[test]
    fn what_happens_before_the_window_does_not_count() {
        assert!(hour(|second| if second < 10 { 1 } else { 2_000 }, |_| 300).passed());
        assert!(hour(|_| 2_000, |second| if second < 10 { 1 } else { 900 }).passed());
    }

    #[test]
    fn a_short_run_is_not_judged() {
        let window = Window { from_us: 0, to_us: MEASURED_US_MIN - 1 };
        assert!(check(&Series::new(window), window, &[], 50.0).is_none());
    }
}
