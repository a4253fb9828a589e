//! What can be played, and the numbers of a run.
//!
//! A scenario is a profile (how many of which users) and a mix of bookings; one runner plays them all.
//! Names that are reserved are refused by name, so that nobody takes a typo for a scenario.

mod book;
mod crew;
mod ingest;
mod runner;
mod standard;

pub use runner::{Sample, run};

use crate::booker::Mix;
use crate::encoder::{Encoding, READINGS_PER_BATCH_MAX};
use crate::error::LoadError;
use crate::options::Options;
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

/// Names of scenarios to come.
const RESERVED: [&str; 7] = ["mixed", "fanout", "idle", "storm", "spike", "soak", "compare"];

/// A scenario that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Everything at once.
    Standard,
    /// Readings alone.
    Ingest,
    /// Bookings alone.
    Book,
}

/// How many of which users a scenario plays when the flags do not say.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Websockets that stream readings.
    pub ingest_connections: usize,
    /// HTTP connections that book.
    pub bookers: usize,
    /// Websockets that watch.
    pub subscribers: usize,
    /// Reads per second.
    pub read_rate: f64,
    /// What the bookers ask for.
    pub mix: Mix,
}

impl Scenario {
    /// All that exist.
    const ALL: [Self; 3] = [Self::Standard, Self::Ingest, Self::Book];

    /// As the command line names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Ingest => "ingest",
            Self::Book => "book",
        }
    }

    /// From the command line.
    pub fn parse(name: &str) -> Result<Self, String> {
        let exists = Self::ALL.map(Self::name).join(", ");
        match Self::ALL.into_iter().find(|scenario| scenario.name() == name) {
            Some(scenario) => Ok(scenario),
            None if RESERVED.contains(&name) => Err(format!(
                "the name is reserved, the scenario does not exist yet; choose one of: {exists}"
            )),
            None => Err(format!("no such scenario; choose one of: {exists}")),
        }
    }

    fn profile(self) -> Profile {
        match self {
            Self::Standard => standard::PROFILE,
            Self::Ingest => ingest::PROFILE,
            Self::Book => book::PROFILE,
        }
    }
}

/// The numbers of one run, checked.
#[derive(Clone, Debug)]
pub struct Plan {
    pub scenario: Scenario,
    pub warm_up: Duration,
    pub duration: Duration,
    pub lots: usize,
    pub slots: usize,
    pub ingest_connections: usize,
    pub batch: usize,
    pub encoding: Encoding,
    pub in_flight: usize,
    /// Readings per second over all connections; full speed when there is none.
    pub rate: Option<f64>,
    pub bookers: usize,
    pub mix: Mix,
    pub subscribers: usize,
    pub lots_per_subscriber: usize,
    pub read_rate: f64,
    pub seed: u64,
    pub threads: usize,
}

impl Plan {
    /// The scenario's numbers, with what the flags say instead.
    pub fn of(options: &Options) -> Result<Self, LoadError> {
        let profile = options.scenario.profile();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let plan = Self {
            scenario: options.scenario,
            warm_up: options.warm_up,
            duration: options.duration,
            lots: options.lots,
            slots: options.slots,
            ingest_connections: options.ingest_connections.unwrap_or(profile.ingest_connections),
            batch: options.batch,
            encoding: options.encoding,
            in_flight: options.in_flight,
            rate: options.rate,
            bookers: options.bookers.unwrap_or(profile.bookers),
            mix: profile.mix,
            subscribers: options.subscribers.unwrap_or(profile.subscribers),
            lots_per_subscriber: options.lots_per_subscriber,
            read_rate: options.read_rate.unwrap_or(profile.read_rate),
            seed: options.seed,
            threads: options.threads.unwrap_or(cores / 2).max(1),
        };
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), LoadError> {
        let ranges = [
            ("--lots", self.lots, 1, LOTS_MAX),
            ("--slots", self.slots, 1, SLOTS_PER_LOT_MAX),
            ("--batch", self.batch, 1, READINGS_PER_BATCH_MAX),
            ("--in-flight", self.in_flight, 1, IN_FLIGHT_MAX),
            // More connections than slots would leave some without a sensor.
            (
                "--ingest-connections",
                self.ingest_connections,
                0,
                USERS_MAX.min(self.lots * self.slots),
            ),
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
        for (flag, rate) in [("--rate", self.rate.unwrap_or(1.0)), ("--read-rate", self.read_rate)]
        {
            if !(0.0..=1e9).contains(&rate) {
                return Err(LoadError::usage(format!("{flag} is {rate}; give 0 to 1000000000")));
            }
        }
        if self.rate.is_some_and(|rate| rate < 1e-3) {
            return Err(LoadError::usage("--rate is nought; leave it out for full speed"));
        }
        if self.duration.is_zero() {
            return Err(LoadError::usage("--duration is nought; give at least 1ms"));
        }
        Ok(())
    }
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
        let ingest = plan(&["ingest"]).unwrap();
        assert_eq!((ingest.bookers, ingest.subscribers), (0, 0));
        assert_eq!(plan(&["ingest", "--subscribers", "3"]).unwrap().subscribers, 3);
        assert_eq!(plan(&["book"]).unwrap().ingest_connections, 0);
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
            ["--read-rate", "-1"],
            ["--duration", "0s"],
        ] {
            let line = [line[0].to_string() + "=" + line[1]];
            let error = plan(&[&line[0]]).expect_err(&line[0]);
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(line[0].split('=').next().unwrap()), "{error}");
        }
    }

    #[test]
    fn a_connection_without_a_slot_is_refused() {
        assert!(plan(&["--lots=1", "--slots=2", "--ingest-connections=3"]).is_err());
        assert!(plan(&["--lots=1", "--slots=3", "--ingest-connections=3"]).is_ok());
    }
}
