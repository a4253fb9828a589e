//! How a server is set up, checked once at start.
//!
//! Two steps: text becomes a `RawConfig` (serde, unknown keys refused), which becomes a [`Config`] (values
//! checked, units typed). Sources, later over earlier: `config/default.toml` (embedded), the file of
//! `--config`, `LOTKEEPER_<SECTION>_<KEY>` variables, flags. Invariants: a `Config` that exists can be
//! served; an error names the key, the value, where it came from and the remedy.
//! Deliberately absent: changes while running.

mod check;
mod error;
mod layers;
mod raw;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lotkeeper_engine::spec::Rules;
use lotkeeper_engine::time::Seconds;

pub use error::ConfigError;
pub(crate) use layers::of_text;
pub use layers::{Flags, load};

/// The defaults with a comment on every key.
pub const DEFAULT_TOML: &str = include_str!("../../../config/default.toml");

const MIB: u64 = 1024 * 1024;

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Config {
    /// The listening side.
    pub server: Server,
    /// The journal.
    pub storage: Storage,
    /// Actors, writer, rings.
    pub engine: Engine,
    /// `/api/v1/stream`.
    pub stream: Stream,
    /// `/api/v1/ingest`.
    pub ingest: Ingest,
    /// Tokens.
    pub auth: Auth,
    /// QR codes.
    pub credentials: Credentials,
    /// Plate cameras.
    pub cameras: Cameras,
    /// Payment providers.
    pub payments: Payments,
    /// What new lots get.
    pub rules: DefaultRules,
    /// Requests per hour.
    pub rate: Rate,
    /// Logs.
    pub log: Log,
}

/// The listening side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Largest body of a request.
    pub body_bytes_max: usize,
    /// Longest time for an answer.
    pub request_timeout: Duration,
    /// Longest time for a request's headers to arrive.
    pub header_timeout: Duration,
    /// Longest time for a client to take what is sent to it.
    pub write_timeout: Duration,
    /// Connections at once.
    pub connections_max: usize,
    /// New connections per second.
    pub accept_per_second: u32,
    /// Time to finish at the end.
    pub shutdown: Duration,
    /// How fast a backup is read.
    pub backup_bytes_per_second: u64,
}

/// The journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// The data directory.
    pub data: PathBuf,
    /// sled's page cache.
    pub cache_bytes: u64,
    /// The same of the history.
    pub history_cache_bytes: u64,
    /// A larger journal is rotated.
    pub rotate_bytes: u64,
    /// Archives are kept so long.
    pub archive_retention_seconds: u64,
    /// Below so much free space writes are refused.
    pub free_space_floor_bytes: u64,
    /// Bounds what a start replays.
    pub snapshot_every_records: u64,
}

/// Actors, writer, rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Records in flight.
    pub permits_records: usize,
    /// Records in flight shared out between tenants while more than one is at work.
    pub contended_records: usize,
    /// Requests and batches being worked on, likewise.
    pub contended_requests: usize,
    /// How busy the server may be for a tenant above its part, in percent of the time.
    pub contended_busy_percent: u8,
    /// How much of the processors one tenant may use while others are at work, in percent of the time.
    pub contended_tenant_percent: u8,
    /// How long a request waits for its tenant's turn.
    pub contended_wait: Duration,
    /// Records in one commit.
    pub commit_records_max: usize,
    /// Changes per lot kept for streams.
    pub ring_changes_per_lot: usize,
    /// Idempotency keys remembered per lot.
    pub claims_per_lot: usize,
    /// For how long.
    pub claim_seconds: u32,
}

/// `/api/v1/stream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Between two pings.
    pub ping: Duration,
    /// Subscriptions of one socket.
    pub subscriptions_max: usize,
    /// Messages a client may send per second.
    pub messages_per_second_max: u32,
    /// Largest message of a client.
    pub message_bytes_max: usize,
    /// Counts sent per lot and second.
    pub counts_per_second: u32,
    /// A token must have come by then.
    pub first_message: Duration,
}

/// `/api/v1/ingest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingest {
    /// Batches of one socket in flight.
    pub batches_in_flight_max: usize,
    /// Largest message.
    pub message_bytes_max: usize,
}

/// Tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    /// The signing key.
    pub key: Option<String>,
    /// A file with keys.
    pub key_file: Option<PathBuf>,
    /// Further keys whose tokens are good.
    pub keys: Vec<String>,
    /// Lifetime of tokens minted without one.
    pub token_ttl_seconds: u64,
    /// Whose admins may take backups, which hold every tenant's data; empty: nobody's.
    pub backup_tenant: String,
}

/// QR codes.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The key that signs them.
    pub key: Option<String>,
    /// A file with keys.
    pub key_file: Option<PathBuf>,
    /// Further keys whose codes are good.
    pub keys: Vec<String>,
    /// How long a code outlives what it is for.
    pub qr_after_end: Seconds,
}

/// Plate cameras.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cameras {
    /// Readings below move no gate.
    pub confidence_percent_min: u8,
    /// Readings of one plate this close are one visit.
    pub visit: Seconds,
    /// Cameras whose last readings are remembered.
    pub remembered_max: usize,
}

/// Payment providers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payments {
    /// Which there are, by name.
    pub providers: Vec<String>,
    /// The most that one payment of `invoice` promises, in minor units.
    pub invoice_amount_max: i64,
    /// How long a provider is waited for.
    pub provider_timeout: Duration,
    /// After so many payments in a row without an answer a provider is left alone.
    pub provider_failures_max: usize,
    /// For how long.
    pub provider_rest: Duration,
    /// How often it is looked after what is not settled.
    pub settle_every: Duration,
}

/// What new lots get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DefaultRules(pub Rules);

/// Requests per hour; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Without a good token, per address.
    pub anonymous_per_hour: u32,
    /// Per driver.
    pub driver_per_hour: u32,
    /// Per staff member, operator, admin.
    pub staff_per_hour: u32,
    /// Per device or display.
    pub device_per_hour: u32,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// For whom.
    pub format: LogFormat,
    /// Level or targets.
    pub level: String,
}

/// Who reads the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// People.
    Text,
    /// Machines.
    Json,
}

impl std::fmt::Debug for Auth {
    /// Keys must not reach a log by way of `{:?}`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("key", &self.key.as_ref().map(|_| "set"))
            .field("key_file", &self.key_file)
            .field("keys", &self.keys.len())
            .field("token_ttl_seconds", &self.token_ttl_seconds)
            .field("backup_tenant", &self.backup_tenant)
            .finish()
    }
}

impl std::fmt::Debug for Credentials {
    /// As for tokens: keys must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("key", &self.key.as_ref().map(|_| "set"))
            .field("key_file", &self.key_file)
            .field("keys", &self.keys.len())
            .field("qr_after_end", &self.qr_after_end)
            .finish()
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            body_bytes_max: 4 * 1024 * 1024,
            request_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            connections_max: 20_000,
            accept_per_second: 2_000,
            shutdown: Duration::from_secs(10),
            backup_bytes_per_second: 16 * MIB,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            data: PathBuf::from("./data"),
            cache_bytes: 32 * MIB,
            history_cache_bytes: 16 * MIB,
            rotate_bytes: 512 * MIB,
            archive_retention_seconds: 90 * 86_400,
            free_space_floor_bytes: 256 * MIB,
            snapshot_every_records: 500_000,
        }
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            permits_records: 65_536,
            contended_records: 4_096,
            contended_requests: 16,
            contended_busy_percent: 50,
            contended_tenant_percent: 15,
            contended_wait: Duration::from_secs(1),
            commit_records_max: 8_192,
            ring_changes_per_lot: 1_024,
            claims_per_lot: 10_000,
            claim_seconds: 86_400,
        }
    }
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(15),
            subscriptions_max: 200,
            messages_per_second_max: 50,
            message_bytes_max: 64 * 1024,
            counts_per_second: 10,
            first_message: Duration::from_secs(10),
        }
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Self { batches_in_flight_max: 64, message_bytes_max: 1024 * 1024 }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            key: None,
            key_file: None,
            keys: Vec::new(),
            token_ttl_seconds: 3_600,
            backup_tenant: "default".to_owned(),
        }
    }
}

impl Default for Credentials {
    fn default() -> Self {
        let qr_after_end = Seconds(7 * 86_400);
        Self { key: None, key_file: None, keys: Vec::new(), qr_after_end }
    }
}

impl Default for Cameras {
    fn default() -> Self {
        Self { confidence_percent_min: 80, visit: Seconds(60), remembered_max: 1_024 }
    }
}

impl Default for Payments {
    fn default() -> Self {
        Self {
            providers: Vec::new(),
            invoice_amount_max: 100_000,
            provider_timeout: Duration::from_secs(10),
            provider_failures_max: 5,
            provider_rest: Duration::from_secs(30),
            settle_every: Duration::from_secs(2),
        }
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            anonymous_per_hour: 6_000,
            driver_per_hour: 1_000,
            staff_per_hour: 0,
            device_per_hour: 0,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}
