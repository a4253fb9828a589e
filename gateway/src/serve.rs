//! `lotkeeper serve`: opens the journal, starts the engine, serves until a signal, ends in order.
//!
//! Order of the end: stop accepting, requests and websockets finish, the engine drains and syncs, exit 0.
//! A second signal exits at once: the journal is as safe as after `kill -9`, which is safe.
//! Deliberately absent: daemonising and restarts (the system's service manager does that).

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lotkeeper_actors::{Clock, Engine, Options, StartError};
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{Journal, JournalError, Recovery, SledJournal, history};
use prometheus::Registry;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::app::App;
use crate::auth::key::{self, KeyError};
use crate::auth::{Auth, AuthError};
use crate::config::Config;
use crate::credential::{self, QrKeys, QrKeysError};
use crate::farewell::Farewell;
use crate::metrics::Metrics;
use crate::server;
use crate::startup::{Found, Startup};

/// Connections that wait to be accepted. The system cuts it to its own bound (`net.core.somaxconn`, 4,096);
/// whoever finds the queue full after a restart comes back after seconds, again and again.
const LISTEN_QUEUE: u32 = 4_096;
/// The engine's own time to drain after the last connection.
const ENGINE_PATIENCE: Duration = Duration::from_secs(30);

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No key to check tokens with.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key that cannot be used.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// A key of QR codes that cannot be used.
    #[error(transparent)]
    Credentials(#[from] QrKeysError),
    /// The journal.
    #[error("cannot open the data directory {data}: {cause}")]
    Journal {
        /// Which.
        data: String,
        /// Why.
        cause: JournalError,
    },
    /// The engine.
    #[error("cannot start the engine: {0}")]
    Start(#[from] StartError),
    /// The address.
    #[error(
        "cannot listen on {listen}: {cause}; stop what listens there or choose another --listen"
    )]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
    /// Something of the system that is always there.
    #[error("cannot set up {what}: {cause}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        cause: String,
    },
}

impl ServeError {
    /// Whether a person must change the configuration.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Key(_) | Self::Auth(_) | Self::Credentials(_) => true,
            Self::Journal { .. } | Self::Start(_) | Self::Listen { .. } | Self::System { .. } => {
                false
            }
        }
    }
}

/// A server that runs.
pub struct Running {
    /// Its shared state.
    pub app: App,
    /// Where it listens.
    pub address: SocketAddr,
    server: JoinHandle<()>,
}

/// Opens, starts and listens.
///
/// # Errors
/// What failed, with the remedy.
pub async fn start(config: Config) -> Result<Running, ServeError> {
    start_by(config, Clock::system).await
}

/// The same by another clock, made for the newest recorded time: to rehearse what time brings about.
///
/// # Errors
/// What failed, with the remedy.
pub async fn start_by(
    config: Config,
    clock: impl FnOnce(Timestamp) -> Clock,
) -> Result<Running, ServeError> {
    let auth = Auth::new(&key::for_server(&config)?)?;
    let qr = QrKeys::new(&credential::for_server(&config)?)?;
    let registry = Registry::new();
    let twice =
        |error: prometheus::Error| ServeError::System { what: "metrics", cause: error.to_string() };
    let engine_metrics = lotkeeper_actors::Metrics::new(&registry).map_err(twice)?;
    let metrics = Metrics::new(registry).map_err(twice)?;

    let began = Instant::now();
    let (journal, recovery) = open(&config).await?;
    let opened = began.elapsed();
    let clock = clock(recovery.last_at);
    let found = Found::of(&recovery);
    let farewell = Farewell::default();
    let options = Options { on_fatal: farewell.before_the_end(), ..engine_options(&config) };
    let engine = Engine::start(journal, recovery, clock, options, engine_metrics).await?;
    let data = config.storage.data.clone();
    let startup = Startup::new(data, found, &engine, (opened, began.elapsed()));
    startup.tell(config.log.format);
    metrics.recovered(&startup.figures());

    let listen = config.server.listen;
    let cannot = |cause| ServeError::Listen { listen, cause };
    let listener = listener(listen).map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let app = App::new(engine, (auth, qr), Arc::new(config), metrics);
    farewell.is_for(app.shutdown.clone());
    settle(&app);
    let server = tokio::spawn(server::run(listener, app.clone()));
    tracing::info!(%address, version = app.build.version, build = app.build.assets, "serving");
    Ok(Running { app, address, server })
}

/// Looks after what providers were asked, where there are any.
fn settle(app: &App) {
    let (names, every) = (app.till.names(), app.config.payments.settle_every);
    if names.is_empty() {
        return;
    }
    if names.contains(&"rehearsal") {
        tracing::warn!("payments.providers has \"rehearsal\": it promises money that nobody has");
    }
    tokio::spawn(crate::provider::settle(app.clone(), every));
}

fn listener(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match listen {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // As the library's own `bind` does, so that a restart finds its port free.
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    socket.listen(LISTEN_QUEUE)
}

/// Serves until a signal, then ends in order.
///
/// # Errors
/// When it cannot start.
pub async fn run(config: Config) -> Result<(), ServeError> {
    let stop = Stop::new()?;
    let running = start(config).await?;
    announce(running.address)?;
    stop.wait_then_arm_second().await;
    running.stop().await;
    Ok(())
}

impl Running {
    /// Ends in order; returns when everything is durable and closed.
    pub async fn stop(self) {
        tracing::info!("stopping");
        self.app.shutdown.begin();
        if let Err(error) = self.server.await {
            tracing::error!(%error, "the server ended badly");
        }
        self.app.engine.shutdown(ENGINE_PATIENCE).await;
        tracing::info!("stopped");
    }
}

/// SIGTERM and SIGINT.
pub struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    /// Listens for the signals from now on.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn new() -> Result<Self, ServeError> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| ServeError::System { what: "signals", cause: error.to_string() })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Returns at the first signal; the second ends the process at once.
    pub async fn wait_then_arm_second(mut self) {
        self.wait().await;
        tokio::spawn(async move {
            self.wait().await;
            tracing::warn!("second signal: ending at once");
            std::process::exit(1);
        });
    }
}

/// Whoever started it waits for this line.
fn announce(address: SocketAddr) -> Result<(), ServeError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on http://{address}")
        .and_then(|()| out.flush())
        .map_err(|error| ServeError::System { what: "standard output", cause: error.to_string() })
}

async fn open(config: &Config) -> Result<(Box<dyn Journal>, Recovery), ServeError> {
    let options = storage_options(config);
    let data = config.storage.data.display().to_string();
    // Opening reads and may copy the whole journal: not on a thread that answers.
    let opened = tokio::task::spawn_blocking(move || SledJournal::open(options)).await;
    match opened {
        Ok(Ok((journal, recovery))) => Ok((Box::new(journal), recovery)),
        Ok(Err(cause)) => Err(ServeError::Journal { data, cause }),
        Err(error) => {
            Err(ServeError::System { what: "the journal's thread", cause: error.to_string() })
        }
    }
}

fn storage_options(config: &Config) -> lotkeeper_storage::Options {
    let storage = &config.storage;
    lotkeeper_storage::Options {
        cache_bytes: storage.cache_bytes,
        rotate_bytes: storage.rotate_bytes,
        archive_retention_seconds: storage.archive_retention_seconds,
        data_dir: storage.data.clone(),
        identity: crate::plate::identity,
        ..lotkeeper_storage::Options::default()
    }
}

fn engine_options(config: &Config) -> lotkeeper_actors::Options {
    let (engine, storage) = (&config.engine, &config.storage);
    lotkeeper_actors::Options {
        permits_records: engine.permits_records,
        contended_records: engine.contended_records,
        contended_requests: engine.contended_requests,
        contended_busy_percent: engine.contended_busy_percent,
        contended_tenant_percent: engine.contended_tenant_percent,
        commit_records_max: engine.commit_records_max,
        ring_changes_per_lot: engine.ring_changes_per_lot,
        snapshot_every_records: storage.snapshot_every_records,
        claims_per_lot: engine.claims_per_lot,
        claim_seconds: engine.claim_seconds,
        free_space_floor_bytes: storage.free_space_floor_bytes,
        history: Some(history::Options {
            cache_bytes: storage.history_cache_bytes,
            ..history::Options::beside(&storage.data)
        }),
        ..lotkeeper_actors::Options::default()
    }
}

/// The exit code of a server that did not start.
#[must_use]
pub fn exit_code(error: &ServeError) -> ExitCode {
    ExitCode::from(if error.is_configuration() { 2 } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `config/default.toml` promises what the crates below would do by themselves.
    #[test]
    fn defaults_are_those_of_storage_and_engine() {
        let config = Config::default();
        let storage = lotkeeper_storage::Options::default();
        let data_dir = config.storage.data.clone();
        // Functions are not compared: what vehicles are found by is not a default of the journal's.
        let told = |options: lotkeeper_storage::Options| {
            let identity = lotkeeper_storage::as_it_is;
            format!("{:?}", lotkeeper_storage::Options { identity, ..options })
        };
        let wanted = lotkeeper_storage::Options { data_dir, ..storage };
        assert_eq!(told(storage_options(&config)), told(wanted));
        let (set, engine) = (engine_options(&config), lotkeeper_actors::Options::default());
        assert_eq!(set.permits_records, engine.permits_records);
        assert_eq!(set.contended_records, engine.contended_records);
        assert_eq!(set.contended_requests, engine.contended_requests);
        assert_eq!(set.contended_busy_percent, engine.contended_busy_percent);
        assert_eq!(set.contended_tenant_percent, engine.contended_tenant_percent);
        assert_eq!(set.commit_records_max, engine.commit_records_max);
        assert_eq!(set.ring_changes_per_lot, engine.ring_changes_per_lot);
        assert_eq!(set.snapshot_every_records, engine.snapshot_every_records);
        assert_eq!(set.claims_per_lot, engine.claims_per_lot);
        assert_eq!(set.claim_seconds, engine.claim_seconds);
        assert_eq!(set.free_space_floor_bytes, engine.free_space_floor_bytes);
        let beside = history::Options::beside(&config.storage.data);
        assert_eq!(format!("{:?}", set.history), format!("{:?}", Some(beside)));
    }
}
