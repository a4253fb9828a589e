//! What a task measures: HDR histograms of latencies, counts inside the measured window, errors by code.
//!
//! Each task owns a recorder and they are merged at the end: nothing is shared while the clock runs.
//! Latencies belong to the window in which the work was *due*; counts to the one in which the answer came.

use crate::series::Series;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// The longest latency told apart, in microseconds; anything longer counts as this.
const LATENCY_US_MAX: u64 = 120_000_000;
/// Decimal digits that a histogram keeps.
const LATENCY_DIGITS: u8 = 3;
/// Parts of the measured window, to see whether it began before the server was warm.
pub const PARTS: usize = 8;

/// A latency that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// From the moment a batch was due to its ack.
    IngestAck,
    /// From a reservation's request to its 201 or 409.
    Booking,
    /// From a confirm or cancel to its answer.
    BookingChange,
    /// From the moment a reading was due to the arrival of its change at a subscriber.
    SensorToSubscriber,
    /// From the moment a read was due to its answer.
    Read,
}

impl Measure {
    /// All, in the report's order.
    pub const ALL: [Self; 5] =
        [Self::IngestAck, Self::Booking, Self::BookingChange, Self::SensorToSubscriber, Self::Read];

    /// As the report names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::IngestAck => "ingest batch ack",
            Self::Booking => "booking",
            Self::BookingChange => "confirm, cancel",
            Self::SensorToSubscriber => "sensor to subscriber",
            Self::Read => "read",
        }
    }

    /// As limits and the JSON name it.
    pub fn key(self) -> &'static str {
        match self {
            Self::IngestAck => "ingest_ack",
            Self::Booking => "booking",
            Self::BookingChange => "booking_change",
            Self::SensorToSubscriber => "sensor_to_subscriber",
            Self::Read => "read",
        }
    }
}

/// Something that is counted inside the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// Readings in acks.
    Readings,
    /// Reservations granted with 201.
    Granted,
    /// Reservations refused with 409.
    Conflicts,
    /// Reservations confirmed or cancelled.
    Changed,
    /// Entries of `changes` that reached a subscriber.
    Entries,
    /// Reads answered.
    Reads,
}

impl Tally {
    /// All, in the report's order.
    pub const ALL: [Self; TALLIES] =
        [Self::Readings, Self::Granted, Self::Conflicts, Self::Changed, Self::Entries, Self::Reads];

    /// As limits and the JSON name it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Readings => "readings",
            Self::Granted => "bookings_granted",
            Self::Conflicts => "bookings_refused",
            Self::Changed => "bookings_changed",
            Self::Entries => "stream_entries",
            Self::Reads => "reads",
        }
    }
}

/// How many tallies there are.
pub const TALLIES: usize = Tally::Reads as usize + 1;

/// The measured stretch of a run, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first instant inside.
    pub from_us: u64,
    /// The first instant after.
    pub to_us: u64,
}

impl Window {
    fn part(self, at_us: u64) -> Option<usize> {
        let length_us = self.to_us.saturating_sub(self.from_us);
        let inside_us = at_us.checked_sub(self.from_us)?;
        (inside_us < length_us).then(|| (inside_us * PARTS as u64 / length_us) as usize)
    }
}

/// The measurements of one task or, merged, of all.
#[derive(Clone, Debug)]
pub struct Recorder {
    window: Window,
    /// Made at the first use: one is a few hundred kilobytes.
    latency: [Option<Histogram<u64>>; Measure::ALL.len()],
    tally: [[u64; PARTS]; TALLIES],
    series: Series,
    errors: BTreeMap<String, u64>,
    /// Arrivals of an open loop that were due and never began, by what they were.
    unstarted: BTreeMap<&'static str, u64>,
    /// Attempts of any kind over the whole run: what the share of errors is a share of.
    operations: u64,
}

impl Recorder {
    /// Empty.
    pub fn new(window: Window) -> Self {
        Self {
            window,
            latency: Default::default(),
            tally: [[0; PARTS]; TALLIES],
            series: Series::new(window),
            errors: BTreeMap::new(),
            unstarted: BTreeMap::new(),
            operations: 0,
        }
    }

    /// One operation from when it was due to when it was done.
    pub fn latency(&mut self, measure: Measure, due_us: u64, done_us: u64) {
        self.series.latency(measure, due_us, done_us.saturating_sub(due_us));
        if self.window.part(due_us).is_none() {
            return;
        }
        let histogram = self.latency[measure as usize].get_or_insert_with(|| {
            Histogram::new_with_bounds(1, LATENCY_US_MAX, LATENCY_DIGITS)
                .expect("the bounds are constants in order")
        });
        histogram.saturating_record(done_us.saturating_sub(due_us).max(1));
    }

    /// So many things that happened at that instant.
    pub fn count(&mut self, tally: Tally, how_many: u64, at_us: u64) {
        self.series.count(tally, how_many, at_us);
        if let Some(part) = self.window.part(at_us) {
            self.tally[tally as usize][part] += how_many;
        }
    }

    /// An attempt, whether it will succeed or not.
    pub fn attempt(&mut self) {
        self.operations += 1;
    }

    /// An attempt that failed.
    pub fn error(&mut self, code: impl Into<String>) {
        *self.errors.entry(code.into()).or_default() += 1;
    }

    /// Arrivals that were due and that nobody was free to begin.
    pub fn unstarted(&mut self, what: &'static str, how_many: u64) {
        if how_many > 0 {
            *self.unstarted.entry(what).or_default() += how_many;
        }
    }

    /// Attempts and errors of somebody who keeps no recorder.
    pub fn tell(&mut self, attempts: u64, errors: &BTreeMap<String, u64>) {
        self.operations += attempts;
        for (code, times) in errors {
            *self.errors.entry(code.clone()).or_default() += times;
        }
    }

    /// Takes in what another task measured.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.latency.iter_mut().zip(&other.latency) {
            match (mine.as_mut(), theirs) {
                (Some(mine), Some(theirs)) => {
                    mine.add(theirs).expect("all histograms have the same bounds");
                }
                (None, Some(theirs)) => *mine = Some(theirs.clone()),
                (_, None) => {}
            }
        }
        for (mine, theirs) in self.tally.iter_mut().flatten().zip(other.tally.iter().flatten()) {
            *mine += theirs;
        }
        for (what, times) in &other.unstarted {
            self.unstarted(what, *times);
        }
        self.series.merge(&other.series);
        self.tell(other.operations, &other.errors);
    }

    /// The latencies of a kind; nothing when none was measured.
    pub fn histogram(&self, measure: Measure) -> Option<&Histogram<u64>> {
        self.latency[measure as usize].as_ref()
    }

    /// How often inside the window.
    pub fn total(&self, tally: Tally) -> u64 {
        self.tally[tally as usize].iter().sum()
    }

    /// How often in each equal part of the window.
    pub fn parts(&self, tally: Tally) -> [u64; PARTS] {
        self.tally[tally as usize]
    }

    /// Errors by code.
    pub fn errors(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }

    /// Arrivals that never began, by what they were.
    pub fn all_unstarted(&self) -> &BTreeMap<&'static str, u64> {
        &self.unstarted
    }

    /// The whole run over time.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// Attempts over the whole run.
    pub fn operations(&self) -> u64 {
        self.operations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { from_us: 1_000, to_us: 9_000 };

    #[test]
    fn only_what_belongs_to_the_window_is_measured() {
        let mut recorder = Recorder::new(WINDOW);
        for (due_us, done_us) in [(999, 5_000), (1_000, 1_500), (8_999, 20_000), (9_000, 9_001)] {
            recorder.latency(Measure::Booking, due_us, done_us);
            recorder.count(Tally::Granted, 1, done_us);
        }
        let histogram = recorder.histogram(Measure::Booking).unwrap();
        assert_eq!((histogram.len(), histogram.min()), (2, 500));
        assert_eq!(recorder.total(Tally::Granted), 2);
        assert_eq!(recorder.parts(Tally::Granted), [1, 0, 0, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn merging_adds_everything() {
        let mut all = Recorder::new(WINDOW);
        for code in ["overloaded", "timeout"] {
            let mut one = Recorder::new(WINDOW);
            one.attempt();
            one.error(code);
            one.latency(Measure::Read, 2_000, 2_100);
            one.count(Tally::Reads, 3, 2_100);
            all.merge(&one);
            all.merge(&Recorder::new(WINDOW));
        }
        assert_eq!(all.histogram(Measure::Read).unwrap().len(), 2);
        assert_eq!((all.total(Tally::Reads), all.operations()), (6, 2));
        assert_eq!(all.errors().values().copied().collect::<Vec<_>>(), [1, 1]);
        assert!(all.histogram(Measure::IngestAck).is_none());
    }

    #[test]
    fn a_latency_beyond_the_scale_counts_as_the_longest() {
        let mut recorder = Recorder::new(WINDOW);
        recorder.latency(Measure::IngestAck, 1_000, LATENCY_US_MAX * 3);
        let longest_us = recorder.histogram(Measure::IngestAck).unwrap().max();
        assert!(longest_us.abs_diff(LATENCY_US_MAX) < LATENCY_US_MAX / 500, "{longest_us}");
    }
}
