//! The numbers of one run: the scenario's own with the flags above them, checked before anything starts.

use super::{FanOutPlan, Profile, Scenario, Spike, soak, spike};
use crate::booker::Mix;
use crate::encoder::{Encoding, READINGS_PER_BATCH_MAX};
use crate::error::LoadError;
use crate::limit::Limit;
use crate::options::Options;
use crate::pace::Arrivals;
use std::path::PathBuf;
use std::time::Duration;

/// With so many batches in flight the server stops reading (`docs/ingest.md`).
pub const IN_FLIGHT_MAX: usize = 64;
/// The contract's bound of a lot.
const SLOTS_PER_LOT_MAX: usize = 10_000;
/// Lot codes keep their length up to here.
const LOTS_MAX: usize = 99_999;
/// Sockets or connections of one kind: beyond, the client's file descriptors run out first.
const USERS_MAX: usize = 20_000;
/// Two subscriptions each; a server takes fifty messages at once from a socket.
const WATCHED_MAX: usize = 25;
/// Measured time where neither scenario nor flag says.
const DURATION: Duration = Duration::from_secs(10);
/// Reads per second that one connection is to carry; a pool of connections takes the rest.
const READS_PER_READER: f64 = 100.0;
const READERS_MAX: f64 = 16.0;

/// Which slots bookers ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SlotsAsked {
    /// A slot by its code.
    Given,
    /// Any slot of a lot that is free in the window.
    Any,
    /// Half and half.
    Both,
}

/// Whether bookers get in each other's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Contention {
    /// Nobody asks for what another one has asked for.
    Spread,
    /// Everybody asks for the same few slots and windows.
    Contended,
    /// Half and half.
    Mixed,
}

/// The numbers of one run, checked.
#[derive(Clone, Debug)]
pub struct Plan {
    pub scenario: Scenario,
    pub warm_up: Duration,
    pub duration: Duration,
    /// Rates climb so long; within the warm-up.
    pub ramp: Duration,
    pub arrivals: Arrivals,
    pub spike: Option<Spike>,
    /// How much worse the last quarter may be than the first; not looked at when there is none.
    pub drift_percent: Option<f64>,
    /// Where a soak's looks are appended as they come.
    pub samples: Option<PathBuf>,
    pub limits: Vec<Limit>,
    pub lots: usize,
    pub slots: usize,
    pub ingest_connections: usize,
    pub batch: usize,
    pub encoding: Encoding,
    pub in_flight: usize,
    /// Readings per second over all connections; full speed when there is none.
    pub rate: Option<f64>,
    pub bookers: usize,
    /// Bookings per second over all connections; full speed when there is none.
    pub booking_rate: Option<f64>,
    pub mix: Mix,
    pub subscribers: usize,
    pub lots_per_subscriber: usize,
    pub read_rate: f64,
    pub seed: u64,
    pub threads: usize,
    /// Of the scenario `fanout` alone.
    pub fanout: FanOutPlan,
}

impl Plan {
    /// The scenario's numbers, with what the flags say instead.
    pub fn of(options: &Options) -> Result<Self, LoadError> {
        let profile = options.scenario.profile();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let duration = options.duration.or(profile.duration).unwrap_or(DURATION);
        let plan = Self {
            scenario: options.scenario,
            warm_up: options.warm_up.max(options.ramp),
            duration,
            ramp: options.ramp,
            arrivals: options.arrivals,
            spike: spike_of(options, duration)?,
            drift_percent: drift_of(options)?,
            samples: samples_of(options)?,
            limits: options.limits.clone(),
            lots: if options.scenario == Scenario::Fanout { 1 } else { options.lots },
            slots: options.slots,
            ingest_connections: options.ingest_connections.unwrap_or(profile.ingest_connections),
            batch: options.batch,
            encoding: options.encoding,
            in_flight: options.in_flight,
            rate: options.rate.or(profile.rate),
            bookers: options.bookers.unwrap_or(profile.bookers),
            booking_rate: options.booking_rate.or(profile.booking_rate),
            mix: mix_of(options, &profile),
            subscribers: options.subscribers.unwrap_or(profile.subscribers),
            lots_per_subscriber: options.lots_per_subscriber,
            read_rate: options.read_rate.unwrap_or(profile.read_rate),
            seed: options.seed,
            threads: options.threads.unwrap_or(cores / 2).max(1),
            fanout: FanOutPlan {
                view: options.view,
                changes_per_second: options.changes_per_second,
            },
        };
        plan.check_numbers()?;
        plan.check_rates()?;
        plan.check_course()?;
        Ok(plan)
    }

    /// Connections that read.
    pub fn readers(&self) -> usize {
        let peak = self.read_rate * self.spike.map_or(1.0, |spike| spike.factor.max(1.0));
        (peak / READS_PER_READER).ceil().min(READERS_MAX) as usize
    }

    fn check_numbers(&self) -> Result<(), LoadError> {
        // More connections than slots would leave some without a sensor.
        let connections_max = USERS_MAX.min(self.lots * self.slots);
        let ranges = [
            ("--lots", self.lots, 1, LOTS_MAX),
            ("--slots", self.slots, 1, SLOTS_PER_LOT_MAX),
            ("--batch", self.batch, 1, READINGS_PER_BATCH_MAX),
            ("--in-flight", self.in_flight, 1, IN_FLIGHT_MAX),
            ("--ingest-connections", self.ingest_connections, 0, connections_max),
            ("--bookers", self.bookers, 0, USERS_MAX),
            ("--subscribers", self.subscribers, 0, USERS_MAX),
            ("--lots-per-subscriber", self.lots_per_subscriber, 1, self.lots.min(WATCHED_MAX)),
            ("--threads", self.threads, 1, 256),
        ];
        for (flag, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(LoadError::usage(format!("{flag} is {value}; give {least} to {most}")));
            }
        }
        match self.duration.is_zero() {
            true => Err(LoadError::usage("--duration is nought; give at least 1ms")),
            false => Ok(()),
        }
    }

    fn check_rates(&self) -> Result<(), LoadError> {
        let rates = [
            ("--rate", self.rate),
            ("--booking-rate", self.booking_rate),
            ("--changes-per-second", self.fanout.changes_per_second),
            ("--read-rate", Some(self.read_rate)),
        ];
        for (flag, rate) in rates {
            let rate = rate.unwrap_or(1.0);
            if !(0.0..=1e9).contains(&rate) {
                return Err(LoadError::usage(format!("{flag} is {rate}; give 0 to 1000000000")));
            }
            if flag != "--read-rate" && rate < 1e-3 {
                return Err(LoadError::usage(format!(
                    "{flag} is nought; leave it out for full speed"
                )));
            }
        }
        if self.booking_rate.is_some() && self.bookers == 0 {
            return Err(LoadError::usage("--booking-rate needs connections: give --bookers"));
        }
        let has_open_loop = self.rate.is_some() && self.ingest_connections > 0
            || self.booking_rate.is_some()
            || self.read_rate > 0.0;
        match !self.ramp.is_zero() && !has_open_loop {
            true => Err(LoadError::usage(
                "--ramp has no rate to climb to; give --rate, --booking-rate or --read-rate",
            )),
            false => Ok(()),
        }
    }
}

impl Plan {
    /// These scenarios have a course of their own: a flag that would do nothing is refused.
    fn check_course(&self) -> Result<(), LoadError> {
        let has_own_course = matches!(
            self.scenario,
            Scenario::Idle
                | Scenario::Storm
                | Scenario::Overload
                | Scenario::Fanout
                | Scenario::Crash
        );
        let shaped = !self.ramp.is_zero() || self.arrivals != Arrivals::default();
        match has_own_course && shaped {
            true => Err(LoadError::usage(
                "--arrivals and --ramp are not for idle, storm, overload, fanout and crash, which have a course of their own",
            )),
            false => Ok(()),
        }
    }
}

fn spike_of(options: &Options, duration: Duration) -> Result<Option<Spike>, LoadError> {
    if options.scenario != Scenario::Spike {
        return match options.spike_factor.is_some() || options.spike_duration.is_some() {
            true => Err(LoadError::usage(
                "--spike-factor and --spike-duration belong to the scenario spike",
            )),
            false => Ok(None),
        };
    }
    let factor = options.spike_factor.unwrap_or(spike::FACTOR);
    if !(0.0..=1_000.0).contains(&factor) {
        return Err(LoadError::usage(format!("--spike-factor is {factor}; give 0 to 1000")));
    }
    let spike = Spike::within(duration, options.spike_duration, factor);
    spike.map(Some).ok_or_else(|| {
        LoadError::usage(format!(
            "--spike-duration leaves nothing before and after it of a --duration of {} s",
            duration.as_secs_f64()
        ))
    })
}

fn drift_of(options: &Options) -> Result<Option<f64>, LoadError> {
    match (options.scenario, options.drift_percent) {
        (Scenario::Soak, percent) => {
            let percent = percent.unwrap_or(soak::DRIFT_PERCENT);
            match (0.0..=10_000.0).contains(&percent) {
                true => Ok(Some(percent)),
                false => {
                    Err(LoadError::usage(format!("--drift-percent is {percent}; give 0 to 10000")))
                }
            }
        }
        (_, None) => Ok(None),
        (_, Some(_)) => Err(LoadError::usage("--drift-percent belongs to the scenario soak")),
    }
}

fn samples_of(options: &Options) -> Result<Option<PathBuf>, LoadError> {
    match (options.scenario, &options.course.samples) {
        (Scenario::Soak, samples) => Ok(samples.clone()),
        (_, None) => Ok(None),
        (_, Some(_)) => Err(LoadError::usage("--samples belongs to the scenario soak")),
    }
}

/// Given and spread slots are booked and kept; a mind is changed when a flag or the scenario's mix says so.
fn mix_of(options: &Options, profile: &Profile) -> Mix {
    let mut mix = profile.mix;
    match options.slots_asked {
        None => {}
        Some(SlotsAsked::Given) => mix.any_slot_percent = 0,
        Some(SlotsAsked::Any) => mix.any_slot_percent = 100,
        Some(SlotsAsked::Both) => mix.any_slot_percent = 50,
    }
    match options.contention {
        None => {}
        Some(Contention::Spread) => mix.contended_percent = 0,
        Some(Contention::Contended) => mix.contended_percent = 100,
        Some(Contention::Mixed) => mix.contended_percent = 50,
    }
    if options.slots_asked == Some(SlotsAsked::Given)
        && options.contention == Some(Contention::Spread)
    {
        mix.change_percent = 0;
    }
    mix.change_percent = options.change_percent.unwrap_or(mix.change_percent);
    mix.short_percent = options.short_percent.unwrap_or(mix.short_percent);
    mix.newcomer_percent = options.newcomer_percent.unwrap_or(mix.newcomer_percent);
    mix
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn plan(line: &[&str]) -> Result<Plan, LoadError> {
        let line = ["lotkeeper-load"].iter().chain(line);
        Plan::of(&Options::try_parse_from(line).unwrap())
    }

    #[test]
    fn flags_stand_above_the_scenarios_own_numbers() {
        let standard = plan(&[]).unwrap();
        assert!(
            standard.ingest_connections > 0 && standard.bookers > 0 && standard.subscribers > 0
        );
        assert_eq!((standard.duration, standard.booking_rate), (DURATION, None));
        let ingest = plan(&["ingest"]).unwrap();
        assert_eq!((ingest.bookers, ingest.subscribers), (0, 0));
        assert_eq!(plan(&["ingest", "--subscribers", "3"]).unwrap().subscribers, 3);
        assert_eq!(plan(&["book"]).unwrap().ingest_connections, 0);
        let mixed = plan(&["mixed", "--booking-rate", "7"]).unwrap();
        assert!(mixed.rate.is_some() && mixed.booking_rate == Some(7.0));
        assert_eq!(plan(&["soak"]).unwrap().duration, Duration::from_secs(3_600));
        assert_eq!(plan(&["soak", "--duration", "1m"]).unwrap().duration, Duration::from_secs(60));
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_the_range() {
        for line in [
            ["--batch", "0"],
            ["--batch", "10001"],
            ["--in-flight", "65"],
            ["--slots", "10001"],
            ["--lots", "0"],
            ["--lots-per-subscriber", "101"],
            ["--rate", "0"],
            ["--booking-rate", "0"],
            ["--changes-per-second", "0"],
            ["--read-rate", "-1"],
            ["--duration", "0s"],
            ["--spike-factor", "2"],
            ["--drift-percent", "2"],
            ["--samples", "file"],
        ] {
            let line = [line[0].to_string() + "=" + line[1]];
            let error = plan(&[&line[0]]).expect_err(&line[0]);
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(line[0].split('=').next().unwrap()), "{error}");
        }
        for line in [
            ["spike", "--spike-factor=1001"],
            ["spike", "--spike-duration=30s"],
            ["soak", "--drift-percent=-1"],
            ["book", "--ramp=1s"],
            ["ingest", "--booking-rate=5"],
            ["overload", "--arrivals=poisson"],
            ["storm", "--arrivals=poisson"],
            ["idle", "--arrivals=poisson"],
            ["fanout", "--arrivals=poisson"],
        ] {
            assert_eq!(plan(&line).expect_err(line[1]).exit_code(), 2);
        }
    }

    #[test]
    fn a_connection_without_a_slot_is_refused() {
        assert!(plan(&["--lots=1", "--slots=2", "--ingest-connections=3"]).is_err());
        assert!(plan(&["--lots=1", "--slots=3", "--ingest-connections=3"]).is_ok());
    }

    #[test]
    fn the_warm_up_is_at_least_the_ramp() {
        let seconds = |line: &[&str]| plan(line).unwrap().warm_up.as_secs();
        assert_eq!(seconds(&["mixed", "--ramp=5s"]), 5);
        assert_eq!(seconds(&["mixed", "--ramp=5s", "--warm-up=9s"]), 9);
    }

    #[test]
    fn the_kinds_of_bookings_are_told_apart_by_flags() {
        let mix = |line: &[&str]| {
            let mix = plan(&[&["book"], line].concat()).unwrap().mix;
            (mix.any_slot_percent, mix.contended_percent, mix.change_percent)
        };
        let change = mix(&[]).2;
        assert!(change > 0);
        assert_eq!(mix(&["--slots-asked=given", "--contention=spread"]), (0, 0, 0));
        let asked = ["--slots-asked=given", "--contention=spread", "--change-percent=30"];
        assert_eq!(mix(&asked), (0, 0, 30));
        assert_eq!(mix(&["--slots-asked=any", "--contention=contended"]), (100, 100, change));
        assert_eq!(mix(&["--slots-asked=both", "--contention=mixed"]), (50, 50, change));
    }

    #[test]
    fn reads_get_the_connections_they_need_at_their_peak() {
        let readers = |line: &[&str]| plan(line).unwrap().readers();
        assert_eq!(readers(&["ingest"]), 0);
        assert_eq!(readers(&["standard"]), 1);
        assert_eq!(readers(&["spike", "--read-rate=100", "--spike-factor=5"]), 5);
        assert_eq!(readers(&["standard", "--read-rate=100000"]), 16);
    }
}
