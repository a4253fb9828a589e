//! Latency by percentile, on the axis that HDR histograms are drawn on: each step to the right leaves a
//! tenth of what the step before left.

use crate::recorder::{Measure, Recorder};
use serde::Serialize;

/// Nines shown: up to 99.99 %.
pub const NINES_MAX: f64 = 4.0;
/// Points for each nine.
const POINTS_PER_NINE: u32 = 12;

/// One latency's curve.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    pub what: &'static str,
    /// Percentile and latency, rising.
    pub points: Vec<(f64, u64)>,
}

/// Curves of all latencies that were measured.
pub fn all(recorder: &Recorder) -> Vec<Curve> {
    let curve = |measure: Measure| {
        let histogram = recorder.histogram(measure)?;
        let steps = (NINES_MAX * f64::from(POINTS_PER_NINE)) as u32;
        let points = (0..=steps)
            .map(|step| f64::from(step) / f64::from(POINTS_PER_NINE))
            // Beyond the last of so many samples there is nothing to show.
            .take_while(|nines| 10_f64.powf(*nines) <= histogram.len() as f64)
            .map(|nines| 1.0 - 10_f64.powf(-nines))
            .map(|share| {
                let percent = (share * 1e6).round() / 1e4;
                (percent, histogram.value_at_quantile(share))
            });
        Some(Curve { what: measure.name(), points: points.collect() })
    };
    Measure::ALL.into_iter().filter_map(curve).collect()
}

/// Where a percentile stands on the axis: how many nines it has.
pub fn nines(percentile: f64) -> f64 {
    -(1.0 - (percentile / 100.0).min(0.999_999)).log10()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Window;

    #[test]
    fn a_curve_ends_where_its_samples_do() {
        let mut recorder = Recorder::new(Window { from_us: 0, to_us: 10 });
        (1..=1_000).for_each(|us| recorder.latency(Measure::Read, 0, us));
        let curves = all(&recorder);
        assert_eq!((curves.len(), curves[0].what), (1, "read"));
        let points = &curves[0].points;
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
        assert_eq!(points.last(), Some(&(99.9, 999)));
        assert!(points.contains(&(90.0, 900)) && points.contains(&(99.0, 990)), "{points:?}");
    }

    #[test]
    fn each_nine_is_a_step() {
        for (percentile, expected) in [(0.0, 0.0), (90.0, 1.0), (99.0, 2.0), (99.99, 4.0)] {
            assert!((nines(percentile) - expected).abs() < 1e-6, "{percentile}");
        }
    }
}
