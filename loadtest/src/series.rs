//! A run over time: per interval what was counted and how long it took, from the first request to the last.
//!
//! Intervals lie on a grid of absolute time, so every task can keep its own series and two series merge by
//! their places alone. When there are too many intervals, neighbours become one of twice the length: memory
//! has a bound however long the run is, and the grid stays a grid. Latencies are kept in buckets of 3 %
//! (the report's exact figures come from the recorder's own histograms).
//! Absent: processor and memory, which belong to no task (`scenario::runner` samples them).

use crate::recorder::{Measure, TALLIES, Tally, Window};
use std::collections::BTreeMap;

/// Intervals beyond which two become one.
pub const POINTS_MAX: usize = 600;
/// Parts of an octave: neighbours differ by at most 1/32.
const PARTS_PER_OCTAVE: u64 = 32;

/// Counts of latencies by bucket, sorted by it; as long as the latencies differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    buckets: Vec<(u16, u32)>,
    max_us: u64,
}

impl Spread {
    /// One latency.
    pub fn record(&mut self, us: u64) {
        self.max_us = self.max_us.max(us);
        self.add(bucket(us), 1);
    }

    /// Takes in another's.
    pub fn merge(&mut self, other: &Self) {
        self.max_us = self.max_us.max(other.max_us);
        for (bucket, times) in &other.buckets {
            self.add(*bucket, *times);
        }
    }

    fn add(&mut self, bucket: u16, times: u32) {
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(place) => self.buckets[place].1 = self.buckets[place].1.saturating_add(times),
            Err(place) => self.buckets.insert(place, (bucket, times)),
        }
    }

    /// How many.
    pub fn len(&self) -> u64 {
        self.buckets.iter().map(|(_, times)| u64::from(*times)).sum()
    }

    /// The largest, exact.
    pub fn max_us(&self) -> u64 {
        self.max_us
    }

    /// What so large a share (0 to 1) stays within; nothing when there are none.
    pub fn quantile_us(&self, share: f64) -> Option<u64> {
        let wanted = ((self.len() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        self.buckets.iter().find_map(|(bucket, times)| {
            seen += u64::from(*times);
            (seen >= wanted).then(|| top_us(*bucket).min(self.max_us))
        })
    }
}

/// Exact up to 63, then 32 to an octave.
fn bucket(us: u64) -> u16 {
    let shift = us.max(1).ilog2().saturating_sub(PARTS_PER_OCTAVE.ilog2());
    let bucket = u64::from(shift) * PARTS_PER_OCTAVE + (us >> shift);
    u16::try_from(bucket).expect("64 octaves of 32 are 2,048")
}

/// The largest latency of a bucket.
fn top_us(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    let shift = (bucket / PARTS_PER_OCTAVE).saturating_sub(1);
    let first = (bucket - shift * PARTS_PER_OCTAVE) << shift;
    first + ((1 << shift) - 1)
}

/// One interval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Point {
    pub tally: [u64; TALLIES],
    pub latency: [Spread; Measure::ALL.len()],
}

impl Point {
    /// Takes in another's.
    pub fn merge(&mut self, other: &Self) {
        self.tally.iter_mut().zip(&other.tally).for_each(|(mine, theirs)| *mine += theirs);
        for (mine, theirs) in self.latency.iter_mut().zip(&other.latency) {
            mine.merge(theirs);
        }
    }
}

/// The intervals of a run in which something happened.
#[derive(Clone, Debug)]
pub struct Series {
    interval_us: u64,
    /// By the number of the interval since 1970.
    points: BTreeMap<u64, Point>,
}

impl Series {
    /// Empty, with intervals that suit the run's length.
    pub fn new(window: Window) -> Self {
        Self { interval_us: base_interval_us(window), points: BTreeMap::new() }
    }

    /// So many things at that instant.
    pub fn count(&mut self, tally: Tally, how_many: u64, at_us: u64) {
        self.at(at_us).tally[tally as usize] += how_many;
    }

    /// One latency of work that was due at that instant.
    pub fn latency(&mut self, measure: Measure, due_us: u64, us: u64) {
        self.at(due_us).latency[measure as usize].record(us);
    }

    fn at(&mut self, at_us: u64) -> &mut Point {
        if self.points.len() >= POINTS_MAX && !self.points.contains_key(&(at_us / self.interval_us))
        {
            self.widen();
        }
        self.points.entry(at_us / self.interval_us).or_default()
    }

    /// Two intervals become one.
    fn widen(&mut self) {
        self.interval_us *= 2;
        for (number, point) in std::mem::take(&mut self.points) {
            self.points.entry(number / 2).or_default().merge(&point);
        }
    }

    /// Takes in another series of the same run.
    pub fn merge(&mut self, other: &Self) {
        while self.interval_us < other.interval_us {
            self.widen();
        }
        for (number, point) in &other.points {
            let number = number * other.interval_us / self.interval_us;
            self.points.entry(number).or_default().merge(point);
        }
        self.narrow_to(POINTS_MAX);
    }

    /// Widens until there are at most so many intervals.
    pub fn narrow_to(&mut self, points_max: usize) {
        while self.points.len() > points_max {
            self.widen();
        }
    }

    /// Widens until a stretch has at most so many intervals, empty ones included.
    pub fn fit(&mut self, stretch: Window, points_max: usize) {
        let length_us = stretch.to_us.saturating_sub(stretch.from_us);
        while length_us / self.interval_us + 2 > points_max.max(3) as u64 {
            self.widen();
        }
    }

    /// The length of an interval.
    pub fn interval_us(&self) -> u64 {
        self.interval_us
    }

    /// Beginnings of intervals and what was in them.
    pub fn points(&self) -> impl Iterator<Item = (u64, &Point)> {
        self.points.iter().map(|(number, point)| (number * self.interval_us, point))
    }

    /// All intervals that lie wholly in a stretch, as one.
    pub fn within(&self, stretch: Window) -> Point {
        let mut all = Point::default();
        self.points()
            .filter(|(at_us, _)| *at_us >= stretch.from_us)
            .filter(|(at_us, _)| at_us + self.interval_us <= stretch.to_us)
            .for_each(|(_, point)| all.merge(point));
        all
    }
}

/// A second, less for runs so short that a second shows nothing.
pub fn base_interval_us(window: Window) -> u64 {
    match window.to_us.saturating_sub(window.from_us) {
        0..4_000_000 => 100_000,
        4_000_000..10_000_000 => 250_000,
        10_000_000..30_000_000 => 500_000,
        _ => 1_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: Window = Window { from_us: 0, to_us: 60_000_000 };

    #[test]
    fn buckets_are_close_and_in_order() {
        let mut last = None;
        for us in (0..200_000).chain([1_000_000, 120_000_000, u64::MAX / 2]) {
            let (bucket, top) = (bucket(us), top_us(bucket(us)));
            assert!(top >= us && top - us <= us / 32, "{us} is shown as {top}");
            assert!(last.is_none_or(|last| last <= bucket), "{us}");
            last = Some(bucket);
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut spread = Spread::default();
        assert_eq!(spread.quantile_us(0.5), None);
        (1..=1_000).for_each(|us| spread.record(us));
        for (share, us) in [(0.0, 1), (0.5, 500), (0.99, 990), (1.0, 1_000)] {
            let shown = spread.quantile_us(share).unwrap();
            assert!(shown >= us && shown <= us + us / 31, "{share}: {shown}");
        }
        assert_eq!((spread.len(), spread.max_us()), (1_000, 1_000));
    }

    #[test]
    fn a_day_has_at_most_its_points_and_loses_nothing() {
        let day = Window { from_us: 0, to_us: 86_400_000_000 };
        let mut series = Series::new(day);
        for second in 0..86_400_u64 {
            series.count(Tally::Readings, 2, second * 1_000_000);
            series.latency(Measure::Booking, second * 1_000_000, second % 100);
        }
        assert!(series.points().count() <= POINTS_MAX);
        assert!(series.points().count() > POINTS_MAX / 3, "not wider than needed");
        let all = series.within(day);
        assert!(all.tally[Tally::Readings as usize] >= 2 * 86_400 - 2 * 256, "last may stick out");
        let total: u64 = series.points().map(|(_, p)| p.tally[Tally::Readings as usize]).sum();
        assert_eq!(total, 2 * 86_400);
    }

    #[test]
    fn short_runs_have_short_intervals() {
        for (seconds, interval_us) in
            [(1, 100_000), (5, 250_000), (10, 500_000), (60, 1_000_000), (86_400, 1_000_000)]
        {
            let window = Window { from_us: 0, to_us: seconds * 1_000_000 };
            assert_eq!(base_interval_us(window), interval_us);
        }
    }

    /// Interval, then all points.
    fn shown(series: &Series) -> (u64, Vec<(u64, Point)>) {
        (series.interval_us, series.points().map(|(at, point)| (at, point.clone())).collect())
    }

    proptest! {
        #[test]
        fn merged_tasks_are_as_one_task_that_saw_all(
            events in proptest::collection::vec((0..5_000_u64, 1..100_000_u64, 0..3_usize), 0..3_000)
        ) {
            let mut one = Series::new(WINDOW);
            let mut tasks = vec![Series::new(WINDOW); 3];
            for (second, us, task) in events {
                let at_us = second * 1_000_000;
                for series in [&mut one, &mut tasks[task]] {
                    series.latency(Measure::Read, at_us, us);
                    series.count(Tally::Reads, us, at_us);
                }
            }
            let mut merged = Series::new(WINDOW);
            tasks.iter().for_each(|task| merged.merge(task));
            prop_assert!(merged.points().count() <= POINTS_MAX);
            // Who sees all at once may widen later or earlier: on the wider grid both say the same.
            merged.narrow_to(40);
            one.narrow_to(40);
            while one.interval_us < merged.interval_us { one.widen(); }
            while merged.interval_us < one.interval_us { merged.widen(); }
            prop_assert_eq!(shown(&one), shown(&merged));
        }
    }
}
