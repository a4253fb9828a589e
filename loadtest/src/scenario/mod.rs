//! What can be played, and the numbers of a run.
//!
//! A scenario is a profile (how many of which users) and a mix of bookings; `plan` puts the flags above it.
//! One runner plays those that are a steady load; `idle`, `storm`, `overload`, `fanout`, `crash` and `neighbours` take
//! another course each and have a module of their own.

mod book;
mod crash;
mod crew;
mod fanout;
mod feeder;
mod flags;
mod idle;
mod ingest;
mod mixed;
mod neighbours;
mod overload;
mod plan;
mod quantile;
mod runner;
pub mod session;
mod soak;
mod spike;
mod standard;
mod storm;
mod stretch;

pub use fanout::{AHEAD_CHANGES_MAX, CHECKED, FanOutPlan, View};
pub use flags::CourseFlags;
pub use plan::{Contention, Plan, SlotsAsked};
pub use runner::Sample;
pub use spike::Spike;

use crate::booker::Mix;
use crate::error::LoadError;
use crate::options::Options;
use crate::report::Report;
use std::time::Duration;

/// A scenario that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Everything at once.
    Standard,
    /// Readings alone.
    Ingest,
    /// Bookings alone.
    Book,
    /// Everything at fixed rates.
    Mixed,
    /// Everything, for a while several times as often.
    Spike,
    /// Everything for a long time.
    Soak,
    /// Many silent websockets.
    Idle,
    /// All subscribers cut at once, again and again.
    Storm,
    /// Several times what the server is configured to take.
    Overload,
    /// Many subscribers of one lot.
    Fanout,
    /// The server killed again and again under load.
    Crash,
    /// Calm tenants beside stalled readers and one that floods.
    Neighbours,
}

/// How many of which users a scenario plays when the flags do not say.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Measured time, where ten seconds are not enough.
    pub duration: Option<Duration>,
    /// Websockets that stream readings.
    pub ingest_connections: usize,
    /// Readings per second; full speed when there is none.
    pub rate: Option<f64>,
    /// HTTP connections that book.
    pub bookers: usize,
    /// Bookings per second; full speed when there is none.
    pub booking_rate: Option<f64>,
    /// Websockets that watch.
    pub subscribers: usize,
    /// Reads per second.
    pub read_rate: f64,
    /// What the bookers ask for.
    pub mix: Mix,
}

impl Profile {
    /// Nobody, for ten seconds: what a scenario does not name is not played.
    const NOBODY: Self = Self {
        duration: None,
        ingest_connections: 0,
        rate: None,
        bookers: 0,
        booking_rate: None,
        subscribers: 0,
        read_rate: 0.0,
        mix: Mix::PLAIN,
    };
}

impl Scenario {
    /// All that exist.
    const ALL: [Self; 12] = [
        Self::Standard,
        Self::Ingest,
        Self::Book,
        Self::Mixed,
        Self::Spike,
        Self::Soak,
        Self::Idle,
        Self::Storm,
        Self::Overload,
        Self::Fanout,
        Self::Crash,
        Self::Neighbours,
    ];

    /// As the command line names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Ingest => "ingest",
            Self::Book => "book",
            Self::Mixed => "mixed",
            Self::Spike => "spike",
            Self::Soak => "soak",
            Self::Idle => "idle",
            Self::Storm => "storm",
            Self::Overload => "overload",
            Self::Fanout => "fanout",
            Self::Crash => "crash",
            Self::Neighbours => "neighbours",
        }
    }

    /// From the command line.
    pub fn parse(name: &str) -> Result<Self, String> {
        let exists = Self::ALL.map(Self::name).join(", ");
        match Self::ALL.into_iter().find(|scenario| scenario.name() == name) {
            Some(scenario) => Ok(scenario),
            None => Err(format!("no such scenario; choose one of: {exists}")),
        }
    }

    fn profile(self) -> Profile {
        match self {
            Self::Standard => standard::PROFILE,
            Self::Ingest => ingest::PROFILE,
            Self::Book => book::PROFILE,
            Self::Mixed => mixed::PROFILE,
            Self::Spike => spike::PROFILE,
            Self::Soak => soak::PROFILE,
            Self::Idle => idle::PROFILE,
            Self::Storm => storm::PROFILE,
            Self::Overload => overload::PROFILE,
            Self::Fanout => fanout::PROFILE,
            Self::Crash => crash::PROFILE,
            Self::Neighbours => neighbours::PROFILE,
        }
    }
}

/// Plays the plan as its scenario does and says what came of it.
pub async fn run(plan: &Plan, options: &Options) -> Result<Report, LoadError> {
    match plan.scenario {
        Scenario::Standard
        | Scenario::Ingest
        | Scenario::Book
        | Scenario::Mixed
        | Scenario::Spike
        | Scenario::Soak => runner::run(plan, options).await,
        Scenario::Idle => idle::run(plan, options).await,
        Scenario::Storm => storm::run(plan, options).await,
        Scenario::Overload => overload::run(plan, options).await,
        Scenario::Fanout => fanout::run(plan, options).await,
        Scenario::Crash => crash::run(plan, options).await,
        Scenario::Neighbours => neighbours::run(plan, options).await,
    }
}
