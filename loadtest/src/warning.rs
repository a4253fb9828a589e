//! What makes a run's figures doubtful. A warning never fails a run; it says how to get a better one.

use crate::recorder::{Measure, PARTS, Recorder, Tally};
use crate::trend::Trend;
use serde::{Serialize, Serializer};
use thiserror::Error;

/// Share of its own threads' processor time beyond which the client is what is measured.
const CLIENT_SHARE_MAX: f64 = 0.8;
/// Share of the machine that other processes may take.
const OTHERS_SHARE_MAX: f64 = 0.1;
/// Share of attempts that may fail.
const ERROR_SHARE_MAX: f64 = 0.001;
/// Share of attempts that may be due and not begun: what was due in the last moment.
const UNSTARTED_SHARE_MAX: f64 = 0.001;
/// Samples for a p99.9 that rests on ten of them.
const SAMPLES_FOR_P999_MIN: u64 = 10_000;
/// The first part of the window against the mean of the rest.
const FIRST_PART_SHARE_MIN: f64 = 0.8;
/// Events in the window below which parts of it say nothing.
const EVENTS_FOR_PARTS_MIN: u64 = 800;

/// A reason to doubt.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Warning {
    #[error(
        "the client used {cores_used:.2} of its {threads} cores: it may be what was measured; give it more --threads or a larger --batch"
    )]
    ClientBound { cores_used: f64, threads: usize },
    #[error("other processes used {cores_used:.2} cores: run again on a quiet machine")]
    MachineBusy { cores_used: f64 },
    #[error(
        "{what}: {first}/s in the first eighth of the window, {rest}/s after it; give a longer --warm-up"
    )]
    WarmUpTooShort { what: &'static str, first: u64, rest: u64 },
    #[error(
        "{errors} of {operations} operations failed: the figures are those of a server in trouble"
    )]
    ManyErrors { errors: u64, operations: u64 },
    #[error("{what}: {samples} samples are few for a p99.9; give a longer --duration")]
    FewSamples { what: &'static str, samples: u64 },
    #[error(
        "subscribers fell {times} times out of the ring and got a snapshot: their latency leaves out what they missed"
    )]
    SubscribersLagged { times: u64 },
    #[error("{dir} lies in memory, where a sync costs nothing: give a --data-parent on a disk")]
    DataInMemory { dir: String },
    #[error(
        "{arrivals} {what} were due and never began, because every connection was busy: give more connections or a lower rate"
    )]
    NotStarted { what: &'static str, arrivals: u64 },
    #[error("{seconds:.0} s are too short to see drift; give a --duration of a minute or more")]
    DriftNotJudged { seconds: f64 },
    #[error(
        "{what} is not flat: {growth}, at most {percent_max:.0} % is; look at its chart before you trust the run"
    )]
    NotFlat { what: String, growth: String, percent_max: f64 },
    #[error("built without optimisation: use `cargo run --release`")]
    DebugBuild,
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a run looked like.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    pub recorder: &'a Recorder,
    pub measured_seconds: f64,
    pub cores: usize,
    pub client_threads: usize,
    pub client_cores_used: f64,
    pub other_cores_used: f64,
    pub lags: u64,
    /// The rate changes on purpose (a spike, a server that is killed), so a slow beginning says nothing.
    pub has_spike: bool,
    /// The run was to show drift and was too short for it.
    pub drift_unjudged: bool,
    /// Of a long run.
    pub trends: &'a [Trend],
    /// The data directory, when it lies in memory.
    pub dir_in_memory: Option<&'a str>,
    pub is_debug_build: bool,
}

/// All reasons to doubt a run.
pub fn find(evidence: &Evidence<'_>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if evidence.is_debug_build {
        warnings.push(Warning::DebugBuild);
    }
    if let Some(dir) = evidence.dir_in_memory {
        warnings.push(Warning::DataInMemory { dir: dir.into() });
    }
    let (cores_used, threads) = (evidence.client_cores_used, evidence.client_threads);
    if cores_used > CLIENT_SHARE_MAX * threads as f64 {
        warnings.push(Warning::ClientBound { cores_used, threads });
    }
    if evidence.other_cores_used > OTHERS_SHARE_MAX * evidence.cores as f64 {
        warnings.push(Warning::MachineBusy { cores_used: evidence.other_cores_used });
    }
    let recorder = evidence.recorder;
    let (errors, operations) = (recorder.errors().values().sum::<u64>(), recorder.operations());
    if errors as f64 > ERROR_SHARE_MAX * operations as f64 {
        warnings.push(Warning::ManyErrors { errors, operations });
    }
    for (what, arrivals) in recorder.all_unstarted() {
        if *arrivals as f64 > UNSTARTED_SHARE_MAX * operations as f64 {
            warnings.push(Warning::NotStarted { what, arrivals: *arrivals });
        }
    }
    if evidence.drift_unjudged {
        warnings.push(Warning::DriftNotJudged { seconds: evidence.measured_seconds });
    }
    warnings.extend(evidence.trends.iter().filter(|trend| !trend.is_flat).map(|trend| {
        let (what, growth) = (trend.title.clone(), trend.growth());
        Warning::NotFlat { what, growth, percent_max: trend.percent_per_hour_max }
    }));
    let steady: &[_] = match evidence.has_spike {
        true => &[],
        false => &[("readings", Tally::Readings), ("bookings", Tally::Granted)],
    };
    for (what, tally) in steady.iter().copied() {
        warnings.extend(still_warming(what, recorder.parts(tally), evidence.measured_seconds));
    }
    for measure in [Measure::IngestAck, Measure::Booking, Measure::SensorToSubscriber] {
        let samples = recorder.histogram(measure).map_or(0, hdrhistogram::Histogram::len);
        if (1..SAMPLES_FOR_P999_MIN).contains(&samples) {
            warnings.push(Warning::FewSamples { what: measure.name(), samples });
        }
    }
    if evidence.lags > 0 {
        warnings.push(Warning::SubscribersLagged { times: evidence.lags });
    }
    warnings
}

fn still_warming(what: &'static str, parts: [u64; PARTS], seconds: f64) -> Option<Warning> {
    let total: u64 = parts.iter().sum();
    let part_seconds = seconds / PARTS as f64;
    let first = parts[0] as f64 / part_seconds;
    let rest = (total - parts[0]) as f64 / (part_seconds * (PARTS - 1) as f64);
    let is_slow = total >= EVENTS_FOR_PARTS_MIN && first < FIRST_PART_SHARE_MIN * rest;
    is_slow.then_some(Warning::WarmUpTooShort { what, first: first as u64, rest: rest as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Window;

    const WINDOW: Window = Window { from_us: 0, to_us: 8_000_000 };

    fn good(recorder: &Recorder) -> Evidence<'_> {
        Evidence {
            recorder,
            measured_seconds: 8.0,
            cores: 2,
            client_threads: 1,
            client_cores_used: 0.5,
            other_cores_used: 0.05,
            lags: 0,
            has_spike: false,
            drift_unjudged: false,
            trends: &[],
            dir_in_memory: None,
            is_debug_build: false,
        }
    }

    /// So many readings, acknowledged evenly over the window.
    fn steady(acks: u64) -> Recorder {
        let mut recorder = Recorder::new(WINDOW);
        for ack in 0..acks {
            let at_us = ack * 8_000_000 / acks;
            recorder.attempt();
            recorder.latency(Measure::IngestAck, at_us, at_us + 100);
            recorder.count(Tally::Readings, 1, at_us);
        }
        recorder
    }

    #[test]
    fn a_good_run_has_no_warnings() {
        assert_eq!(find(&good(&steady(10_000))), []);
    }

    #[test]
    fn each_doubt_has_its_warning() {
        let recorder = steady(10_000);
        type Spoil = fn(&mut Evidence);
        let spoil: [(Spoil, Warning); 6] = [
            (|e| e.client_cores_used = 0.81, Warning::ClientBound { cores_used: 0.81, threads: 1 }),
            (|e| e.other_cores_used = 0.3, Warning::MachineBusy { cores_used: 0.3 }),
            (|e| e.lags = 2, Warning::SubscribersLagged { times: 2 }),
            (|e| e.dir_in_memory = Some("/shm"), Warning::DataInMemory { dir: "/shm".into() }),
            (|e| e.drift_unjudged = true, Warning::DriftNotJudged { seconds: 8.0 }),
            (|e| e.is_debug_build = true, Warning::DebugBuild),
        ];
        for (spoil, expected) in spoil {
            let mut evidence = good(&recorder);
            spoil(&mut evidence);
            assert_eq!(find(&evidence), [expected]);
        }
    }

    #[test]
    fn few_samples_and_many_errors_are_said() {
        let few = steady(9_999);
        let what = Measure::IngestAck.name();
        assert_eq!(find(&good(&few)), [Warning::FewSamples { what, samples: 9_999 }]);
        let mut failing = steady(10_000);
        (0..10).for_each(|_| failing.error("overloaded"));
        assert_eq!(find(&good(&failing)), []);
        failing.error("overloaded");
        assert_eq!(find(&good(&failing)), [Warning::ManyErrors { errors: 11, operations: 10_000 }]);
    }

    #[test]
    fn a_spike_is_no_short_warm_up() {
        let mut recorder = steady(10_000);
        recorder.count(Tally::Readings, 20_000, 5_000_000);
        assert_eq!(find(&good(&recorder)).len(), 1);
        assert_eq!(find(&Evidence { has_spike: true, ..good(&recorder) }), []);
    }

    #[test]
    fn arrivals_that_never_began_are_said() {
        let mut recorder = steady(10_000);
        recorder.unstarted("bookings", 10);
        assert_eq!(find(&good(&recorder)), []);
        recorder.unstarted("bookings", 1);
        let expected = Warning::NotStarted { what: "bookings", arrivals: 11 };
        assert_eq!(find(&good(&recorder)), [expected]);
    }

    #[test]
    fn a_slow_beginning_of_the_window_is_said() {
        let mut parts = [1_000; PARTS];
        assert_eq!(still_warming("readings", parts, 8.0), None);
        parts[0] = 799;
        let expected = Warning::WarmUpTooShort { what: "readings", first: 799, rest: 1_000 };
        assert_eq!(still_warming("readings", parts, 8.0), Some(expected));
        assert_eq!(still_warming("readings", [0, 1, 1, 1, 1, 1, 1, 1], 8.0), None);
    }
}
