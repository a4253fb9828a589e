//! `lotkeeper demo`: a server, a small invented city and its traffic in one process.
//!
//! The server is `serve`'s own; everything else meets it from outside, over loopback, with tokens minted as
//! for anybody. In reading order:
//!
//! - [`calibration`]: what real data say about arrivals, stays and counts.
//! - [`city`]: lots and slots. [`clock`]: the city's time, `--speed` times as fast as ours.
//! - [`traffic`], [`gates`], [`sensors`]: pure, seeded models of cars, barriers and sensors.
//! - `provision`, `streamer`, `bookings`: HTTP and websocket clients that bring them to the server.
//! - `banner`: what a person is told.
//!
//! Only the city's rhythm runs fast. Readings carry the real time of sending, bookings have real windows,
//! and the server judges silence and flapping in real time: from about 200 x on, stays are so short for it
//! that it calls healthy sensors flapping. Deliberately absent: engine calls, and any state of its own on
//! disk; a later start asks the server what stands where.

mod banner;
mod bookings;
pub mod calibration;
pub mod city;
pub mod clock;
pub mod gates;
mod provision;
pub mod sensors;
mod streamer;
pub mod traffic;

use std::convert::Infallible;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use crate::auth::{AuthError, Grant, Role};
use crate::cli::Common;
use crate::client::{self, Client};
use crate::config::{Config, ConfigError};
use crate::serve::{self, Running, ServeError, Stop};
use crate::token::DEFAULT_TENANT;
use banner::Banner;
use bookings::Bookings;
use city::Lot;
use clock::{CityClock, CityTime};
use gates::Gates;
use sensors::Sensors;
use streamer::Streamer;
use traffic::Traffic;

/// Where the demo keeps its data when nobody says otherwise: apart from a real server's.
const DATA_DEFAULT: &str = "./data/demo";
/// Printed tokens must outlive a browser tab, not a project.
const TOKEN_DAYS: u64 = 7;
/// The demo's own clients keep theirs in memory, for as long as any demo runs.
const OWN_TOKEN_DAYS: u64 = 366;
const DAY_SECONDS: u64 = 86_400;
/// People who book.
const DRIVERS: usize = 6;

/// The flags of `lotkeeper demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Address and port; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// The data directory [default: ./data/demo]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Configuration file; LOTKEEPER_* variables and flags override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The city's traffic runs N times as fast as the clock: at 60 a day takes 24 minutes. Readings carry
    /// the real time of sending
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    pub speed: u32,
    /// Another number, other traffic
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// Why the demo does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken.
    #[error(
        "cannot listen on {listen}: {cause}; stop what listens there, or take a free port with \
         `lotkeeper demo --listen {}:0`, which prints it", listen.ip()
    )]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
    /// The server does not start.
    #[error(transparent)]
    Serve(ServeError),
    /// A token cannot be made.
    #[error(transparent)]
    Token(#[from] AuthError),
    /// The server refuses the demo or cannot be reached.
    #[error("the demo and its server: {0}")]
    Client(#[from] client::Error),
    /// A first batch of readings was refused.
    #[error("the server did not take the first readings: {code}: {detail}")]
    Prime {
        /// The stable code.
        code: String,
        /// What people read.
        detail: String,
    },
    /// A lot of that code is there and is not the city's.
    #[error(
        "lot {lot} exists, is {kind} and lacks {missing} slots of the demo's city; this data \
         directory is another's: choose a new one with --data"
    )]
    Unfit {
        /// Its code.
        lot: &'static str,
        /// Its kind.
        kind: String,
        /// How many slots it lacks.
        missing: usize,
    },
    /// Something of the system that is always there.
    #[error("cannot use {what}: {cause}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        cause: String,
    },
}

impl From<ServeError> for Error {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Listen { listen, cause } => Self::Listen { listen, cause },
            other => Self::Serve(other),
        }
    }
}

impl Error {
    /// The exit code of a demo that did not run.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Serve(error) => serve::exit_code(error),
            _ => ExitCode::FAILURE,
        }
    }
}

impl Options {
    /// The server's configuration from all its sources, with the demo's own defaults.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let (data, listen, config) = (self.data.clone(), self.listen.clone(), self.config.clone());
        let mut config = Common { data, listen, config }.load()?;
        let default = Config::default();
        if self.data.is_none() && config.storage.data == default.storage.data {
            config.storage.data = DATA_DEFAULT.into();
        }
        // The terminal is for what the demo prints; LOTKEEPER_LOG=info shows the rest.
        if config.log.level == default.log.level {
            config.log.level = "warn".to_owned();
        }
        Ok(config)
    }
}

/// Runs the demo until a signal, then ends it in order.
///
/// # Errors
/// When it cannot start, or its server refuses it for good.
pub async fn run(config: Config, options: &Options) -> Result<(), Error> {
    let began = Instant::now();
    let stop = Stop::new()?;
    let data = config.storage.data.clone();
    let running = serve::start(config).await?;
    let ended = tokio::select! {
        () = stop.wait_then_arm_second() => Ok(()),
        Err(error) = live(&running, options, began) => Err(error),
    };
    running.stop().await;
    if ended.is_ok() {
        eprintln!("stopped; everything is in {}", data.display());
    }
    ended
}

/// Makes the city, fills it, tells about it and keeps it alive until something fails for good.
async fn live(running: &Running, options: &Options, began: Instant) -> Result<Infallible, Error> {
    let speakers = Speakers::new(running)?;
    let (lots, counted) = (city::bayed(), city::counted());
    let city_then = CityTime::of_wall(&wall_time()?);
    let clock = CityClock::new(Instant::now(), city_then, options.speed);

    let ready = prepare(&speakers.operator, &lots, &counted).await?;
    let mut traffic = Traffic::new(&lots, options.seed, city_then);
    let gates = Gates::new(counted.capacity.unwrap_or_default(), options.seed, city_then);
    let sensors = Sensors::new(&lots);
    for (lot, ready) in (0..lots.len()).zip(&ready) {
        traffic.settle(lot, &ready.remembered);
    }
    let first = (0..lots.len()).zip(&ready);
    let first: Vec<_> =
        first.map(|(lot, ready)| sensors.first(lot, &traffic, &ready.remembered)).collect();
    let slots = lots.iter().map(|lot| lot.slots.len()).sum();
    let size = (lots.len() + 1, slots, counted.capacity.unwrap_or_default());

    let (devices, token) = (speakers.devices.clone(), speakers.device_token.clone());
    let mut streamer = Streamer::connect(devices.clone(), token, lots).await?;
    streamer.prime(&first).await?;
    gates::recount(&devices, gates.inside()).await?;
    let mut bookings = Bookings::new(speakers.drivers, devices.clone(), options.seed);
    bookings.first().await?;

    print(&Banner {
        reach: reach(running.address),
        listen: running.address,
        data: running.app.config.storage.data.clone(),
        tokens: printed_tokens(running)?,
        token_days: TOKEN_DAYS,
        city_time: clock.at(Instant::now()),
        speed: options.speed,
        day: clock.day(),
        elapsed: began.elapsed(),
        found: ready.iter().all(|ready| !ready.created),
        size,
    })?;
    // Bookings never end by themselves.
    tokio::select! {
        error = streamer.run(traffic, sensors, clock) => Err(error),
        error = gates::run(devices, gates, clock) => Err(error.into()),
        () = bookings.run() => std::future::pending().await,
    }
}

async fn prepare(
    operator: &Client,
    lots: &[Lot],
    counted: &Lot,
) -> Result<Vec<provision::Ready>, Error> {
    let all: Vec<&Lot> = lots.iter().chain([counted]).collect();
    let (count, mut done) = (all.len(), 0);
    provision::prepare(operator, &all, |lot, created| {
        done += 1;
        let verb = if created { "made" } else { "found" };
        eprintln!("{done:>2}/{count} {verb} {:<10} {}", lot.code, lot.name);
    })
    .await
}

/// The demo's own clients.
struct Speakers {
    operator: Client,
    devices: Client,
    device_token: String,
    drivers: Vec<Client>,
}

impl Speakers {
    fn new(running: &Running) -> Result<Self, Error> {
        let url = format!("http://{}", reach(running.address));
        let token = |role, subject: &str| mint(running, role, subject, OWN_TOKEN_DAYS);
        let operator = Client::new(&url, &token(Role::Operator, "demo-city")?)?;
        let device_token = token(Role::Device, "demo-sensors")?;
        let devices = Client::new(&url, &device_token)?;
        let driver = |number: usize| {
            let token = token(Role::Driver, &format!("demo-driver-{number}"))?;
            Ok::<_, Error>(Client::new(&url, &token)?)
        };
        let drivers = (1..=DRIVERS).map(driver).collect::<Result<_, _>>()?;
        Ok(Self { operator, devices, device_token, drivers })
    }
}

fn printed_tokens(running: &Running) -> Result<Vec<(Role, String)>, Error> {
    let token = |role: Role| Ok((role, mint(running, role, role.name(), TOKEN_DAYS)?));
    Role::ALL.into_iter().map(token).collect()
}

fn mint(running: &Running, role: Role, subject: &str, days: u64) -> Result<String, Error> {
    Ok(running.app.auth.mint(&Grant {
        subject: subject.to_owned(),
        tenant: DEFAULT_TENANT.to_owned(),
        role,
        lots: None,
        ttl_seconds: days * DAY_SECONDS,
    })?)
}

/// A server that listens everywhere is reached over loopback.
fn reach(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn wall_time() -> Result<jiff::Zoned, Error> {
    let failed =
        |error: jiff::Error| Error::System { what: city::TIME_ZONE, cause: error.to_string() };
    jiff::Timestamp::now().in_tz(city::TIME_ZONE).map_err(failed)
}

fn print(banner: &Banner) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    write!(out, "{banner}")
        .and_then(|()| out.flush())
        .map_err(|error| Error::System { what: "standard output", cause: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_comes_with_its_remedy() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        let cause = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        let error = Error::from(ServeError::Listen { listen, cause }).to_string();
        assert!(error.contains("--listen 127.0.0.1:0"), "{error}");
        assert!(error.contains("127.0.0.1:8080"), "{error}");
    }

    #[test]
    fn servers_that_listen_everywhere_are_reached_over_loopback() {
        for (listen, reached) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("192.0.2.7:1", "192.0.2.7:1"),
        ] {
            assert_eq!(reach(listen.parse().unwrap()).to_string(), reached, "{listen}");
        }
    }
}
