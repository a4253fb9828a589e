//! The second step: values that are of the right kind become values that can be served.
//!
//! Invariant: every number has a range here, with the reason in the engine's limits or beside the key in
//! `config/default.toml`; a refusal names the range.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use lotkeeper_engine::limits;
use lotkeeper_engine::spec::Rules;
use lotkeeper_engine::time::Seconds;

use super::raw::{
    RawAuth, RawCameras, RawConfig, RawCredentials, RawEngine, RawLog, RawPayments, RawRules,
    RawServer, RawStorage, RawStream,
};
use super::{Auth, Cameras, Config, ConfigError, Credentials, DefaultRules, Engine, Ingest};
use super::{Log, LogFormat};
use super::{Payments, Rate, Server, Storage, Stream};
use crate::provider;

/// Largest number anybody means; also what TOML can say.
const MANY: i64 = i64::MAX;
const DAY: i64 = 86_400;
const YEAR: i64 = 366 * DAY;
const MIB: i64 = 1024 * 1024;
const KEY_CHARS_MIN: usize = 32;

/// Where each key's value came from, for error texts.
#[derive(Default)]
pub(super) struct Origins(pub BTreeMap<String, String>);

impl Origins {
    fn of(&self, key: &str) -> String {
        self.0.get(key).cloned().unwrap_or_else(|| "config/default.toml".to_owned())
    }

    fn refuse(&self, key: &'static str, value: &dyn ToString, problem: String) -> ConfigError {
        ConfigError::Value { origin: self.of(key), key, value: value.to_string(), problem }
    }

    fn within(
        &self,
        key: &'static str,
        value: i64,
        (least, most): (i64, i64),
    ) -> Result<i64, ConfigError> {
        if (least..=most).contains(&value) {
            return Ok(value);
        }
        let range = if most == MANY {
            format!("is less than {least}; take at least that")
        } else {
            format!("is not between {least} and {most}; take one of these")
        };
        Err(self.refuse(key, &value, range))
    }

    fn number<T: TryFrom<i64>>(
        &self,
        key: &'static str,
        value: i64,
        range: (i64, i64),
    ) -> Result<T, ConfigError> {
        let value = self.within(key, value, range)?;
        T::try_from(value)
            .map_err(|_| self.refuse(key, &value, "is too large for this machine".to_owned()))
    }

    fn seconds(
        &self,
        key: &'static str,
        value: i64,
        range: (i64, i64),
    ) -> Result<Duration, ConfigError> {
        self.number::<u64>(key, value, range).map(Duration::from_secs)
    }
}

/// Checks everything.
pub(super) fn check(raw: RawConfig, origins: &Origins) -> Result<Config, ConfigError> {
    Ok(Config {
        server: server(&raw.server, origins)?,
        storage: storage(&raw.storage, origins)?,
        engine: engine(&raw.engine, origins)?,
        stream: stream(&raw.stream, origins)?,
        ingest: Ingest {
            batches_in_flight_max: origins.number(
                "ingest.batches_in_flight_max",
                raw.ingest.batches_in_flight_max,
                (1, 4_096),
            )?,
            message_bytes_max: origins.number(
                "ingest.message_bytes_max",
                raw.ingest.message_bytes_max,
                (1_024, 64 * MIB),
            )?,
        },
        auth: auth(raw.auth, origins)?,
        credentials: credentials(raw.credentials, origins)?,
        cameras: cameras(&raw.cameras, origins)?,
        payments: payments(raw.payments, origins)?,
        rules: rules(&raw.rules, origins)?,
        rate: Rate {
            anonymous_per_hour: rate(
                "rate.anonymous_per_hour",
                raw.rate.anonymous_per_hour,
                origins,
            )?,
            driver_per_hour: rate("rate.driver_per_hour", raw.rate.driver_per_hour, origins)?,
            staff_per_hour: rate("rate.staff_per_hour", raw.rate.staff_per_hour, origins)?,
            device_per_hour: rate("rate.device_per_hour", raw.rate.device_per_hour, origins)?,
        },
        log: log(raw.log, origins)?,
    })
}

fn rate(key: &'static str, value: i64, origins: &Origins) -> Result<u32, ConfigError> {
    origins.number(key, value, (0, 1_000_000_000))
}

fn server(raw: &RawServer, origins: &Origins) -> Result<Server, ConfigError> {
    let listen = raw.listen.parse().map_err(|_| {
        let remedy = "is not an address with a port; write 127.0.0.1:8080 or [::1]:8080";
        origins.refuse("server.listen", &raw.listen, remedy.to_owned())
    })?;
    Ok(Server {
        listen,
        body_bytes_max: origins.number(
            "server.body_bytes_max",
            raw.body_bytes_max,
            (1_024, 1_024 * MIB),
        )?,
        request_timeout: origins.seconds(
            "server.request_timeout_seconds",
            raw.request_timeout_seconds,
            (1, 3_600),
        )?,
        header_timeout: origins.seconds(
            "server.header_timeout_seconds",
            raw.header_timeout_seconds,
            (1, 600),
        )?,
        write_timeout: origins.seconds(
            "server.write_timeout_seconds",
            raw.write_timeout_seconds,
            (1, 3_600),
        )?,
        connections_max: origins.number(
            "server.connections_max",
            raw.connections_max,
            (1, 10_000_000),
        )?,
        accept_per_second: origins.number(
            "server.accept_per_second",
            raw.accept_per_second,
            (1, 1_000_000),
        )?,
        shutdown: origins.seconds("server.shutdown_seconds", raw.shutdown_seconds, (0, 600))?,
        backup_bytes_per_second: origins.number(
            "server.backup_bytes_per_second",
            raw.backup_bytes_per_second,
            (MIB, MANY),
        )?,
    })
}

/// Records, requests, rings, keys.
fn engine(raw: &RawEngine, origins: &Origins) -> Result<Engine, ConfigError> {
    Ok(Engine {
        permits_records: origins.number(
            "engine.permits_records",
            raw.permits_records,
            (1, 16_777_216),
        )?,
        contended_records: origins.number(
            "engine.contended_records",
            raw.contended_records,
            (1, 16_777_216),
        )?,
        contended_requests: origins.number(
            "engine.contended_requests",
            raw.contended_requests,
            (1, 1_048_576),
        )?,
        contended_busy_percent: origins.number(
            "engine.contended_busy_percent",
            raw.contended_busy_percent,
            (1, 100),
        )?,
        contended_tenant_percent: origins.number(
            "engine.contended_tenant_percent",
            raw.contended_tenant_percent,
            (1, 100),
        )?,
        contended_wait: origins.seconds(
            "engine.contended_wait_seconds",
            raw.contended_wait_seconds,
            (0, 3_600),
        )?,
        commit_records_max: origins.number(
            "engine.commit_records_max",
            raw.commit_records_max,
            (1, 1_048_576),
        )?,
        ring_changes_per_lot: origins.number(
            "engine.ring_changes_per_lot",
            raw.ring_changes_per_lot,
            (16, 1_048_576),
        )?,
        claims_per_lot: origins.number(
            "engine.claims_per_lot",
            raw.claims_per_lot,
            (1, 1_000_000),
        )?,
        claim_seconds: origins.number("engine.claim_seconds", raw.claim_seconds, (60, YEAR))?,
    })
}

fn storage(raw: &RawStorage, origins: &Origins) -> Result<Storage, ConfigError> {
    if raw.data.trim().is_empty() {
        let remedy = "names no directory; write a path".to_owned();
        return Err(origins.refuse("storage.data", &raw.data, remedy));
    }
    Ok(Storage {
        data: PathBuf::from(&raw.data),
        cache_bytes: origins.number("storage.cache_bytes", raw.cache_bytes, (MIB, MANY))?,
        history_cache_bytes: origins.number(
            "storage.history_cache_bytes",
            raw.history_cache_bytes,
            (MIB, MANY),
        )?,
        rotate_bytes: origins.number("storage.rotate_bytes", raw.rotate_bytes, (16 * MIB, MANY))?,
        archive_retention_seconds: origins.number(
            "storage.archive_retention_seconds",
            raw.archive_retention_seconds,
            (0, 100 * YEAR),
        )?,
        free_space_floor_bytes: origins.number(
            "storage.free_space_floor_bytes",
            raw.free_space_floor_bytes,
            (0, MANY),
        )?,
        snapshot_every_records: origins.number(
            "storage.snapshot_every_records",
            raw.snapshot_every_records,
            (1_000, MANY),
        )?,
    })
}

fn stream(raw: &RawStream, origins: &Origins) -> Result<Stream, ConfigError> {
    Ok(Stream {
        ping: origins.seconds("stream.ping_seconds", raw.ping_seconds, (1, 3_600))?,
        subscriptions_max: origins.number(
            "stream.subscriptions_max",
            raw.subscriptions_max,
            (1, 100_000),
        )?,
        messages_per_second_max: origins.number(
            "stream.messages_per_second_max",
            raw.messages_per_second_max,
            (1, 100_000),
        )?,
        message_bytes_max: origins.number(
            "stream.message_bytes_max",
            raw.message_bytes_max,
            (1_024, 16 * MIB),
        )?,
        counts_per_second: origins.number(
            "stream.counts_per_second",
            raw.counts_per_second,
            (1, 1_000),
        )?,
        first_message: origins.seconds(
            "stream.first_message_seconds",
            raw.first_message_seconds,
            (1, 600),
        )?,
    })
}

/// Keys are long enough: the one that signs, and the others.
fn long_enough(
    (name, key): (&'static str, &String),
    (names, keys): (&'static str, &[String]),
    origins: &Origins,
) -> Result<(), ConfigError> {
    let given = key.iter_keys(name).chain(keys.iter().map(|key| (names, key)));
    for (name, key) in given {
        if key.len() < KEY_CHARS_MIN {
            // The value itself is a secret, however short.
            let shown = format!("({} characters)", key.len());
            let remedy = format!(
                "is too short; use at least {KEY_CHARS_MIN} random characters (`openssl rand -hex 32`)"
            );
            return Err(origins.refuse(name, &shown, remedy));
        }
    }
    Ok(())
}

fn auth(raw: RawAuth, origins: &Origins) -> Result<Auth, ConfigError> {
    long_enough(("auth.key", &raw.key), ("auth.keys", &raw.keys), origins)?;
    Ok(Auth {
        key: Some(raw.key).filter(|key| !key.is_empty()),
        key_file: Some(raw.key_file).filter(|path| !path.is_empty()).map(PathBuf::from),
        keys: raw.keys,
        token_ttl_seconds: origins.number(
            "auth.token_ttl_seconds",
            raw.token_ttl_seconds,
            (1, 10 * YEAR),
        )?,
        backup_tenant: raw.backup_tenant,
    })
}

fn credentials(raw: RawCredentials, origins: &Origins) -> Result<Credentials, ConfigError> {
    long_enough(("credentials.key", &raw.key), ("credentials.keys", &raw.keys), origins)?;
    let after =
        origins.number("credentials.qr_after_end_seconds", raw.qr_after_end_seconds, (0, YEAR))?;
    Ok(Credentials {
        key: Some(raw.key).filter(|key| !key.is_empty()),
        key_file: Some(raw.key_file).filter(|path| !path.is_empty()).map(PathBuf::from),
        keys: raw.keys,
        qr_after_end: Seconds(after),
    })
}

fn cameras(raw: &RawCameras, origins: &Origins) -> Result<Cameras, ConfigError> {
    Ok(Cameras {
        confidence_percent_min: origins.number(
            "cameras.confidence_percent_min",
            raw.confidence_percent_min,
            (0, 100),
        )?,
        visit: Seconds(origins.number("cameras.visit_seconds", raw.visit_seconds, (0, 3_600))?),
        remembered_max: origins.number(
            "cameras.remembered_max",
            raw.remembered_max,
            (1, 65_536),
        )?,
    })
}

fn payments(raw: RawPayments, origins: &Origins) -> Result<Payments, ConfigError> {
    if let Some(other) = raw.providers.iter().find(|name| !provider::NAMES.contains(&&***name)) {
        let remedy = format!("is not one of {}", provider::NAMES.join(", "));
        return Err(origins.refuse("payments.providers", other, remedy));
    }
    Ok(Payments {
        providers: raw.providers,
        invoice_amount_max: origins.number(
            "payments.invoice_amount_max",
            raw.invoice_amount_max,
            (1, limits::AMOUNT_MAX),
        )?,
        provider_timeout: origins.seconds(
            "payments.provider_timeout_seconds",
            raw.provider_timeout_seconds,
            (1, 300),
        )?,
        provider_failures_max: origins.number(
            "payments.provider_failures_max",
            raw.provider_failures_max,
            (1, 1_000),
        )?,
        provider_rest: origins.seconds(
            "payments.provider_rest_seconds",
            raw.provider_rest_seconds,
            (1, 3_600),
        )?,
        settle_every: origins.seconds(
            "payments.settle_every_seconds",
            raw.settle_every_seconds,
            (1, 3_600),
        )?,
    })
}

/// An optional key written as text, empty for none.
trait OptionalKey {
    fn iter_keys(&self, name: &'static str) -> impl Iterator<Item = (&'static str, &String)>;
}

impl OptionalKey for String {
    fn iter_keys(&self, name: &'static str) -> impl Iterator<Item = (&'static str, &String)> {
        Some(self).filter(|key| !key.is_empty()).map(|key| (name, key)).into_iter()
    }
}

fn rules(raw: &RawRules, origins: &Origins) -> Result<DefaultRules, ConfigError> {
    let hold_max = i64::from(limits::HOLD_SECONDS_MAX);
    let seconds = |key, value, range| origins.number(key, value, range).map(Seconds);
    Ok(DefaultRules(Rules {
        hold: seconds("rules.hold_seconds", raw.hold_seconds, (1, hold_max))?,
        hold_lead: seconds("rules.hold_lead_seconds", raw.hold_lead_seconds, (0, YEAR))?,
        no_show: seconds("rules.no_show_seconds", raw.no_show_seconds, (1, YEAR))?,
        silence: seconds("rules.silence_seconds", raw.silence_seconds, (1, YEAR))?,
        skew: seconds("rules.skew_seconds", raw.skew_seconds, (0, DAY))?,
        ..Rules::default()
    }))
}

fn log(raw: RawLog, origins: &Origins) -> Result<Log, ConfigError> {
    let format = match raw.format.as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        other => {
            let remedy = "is not \"text\" or \"json\"".to_owned();
            return Err(origins.refuse("log.format", &other, remedy));
        }
    };
    if let Err(error) = crate::logging::filter(&raw.level) {
        let remedy = format!("is not a level or filter ({error}); write info or info,hyper=warn");
        return Err(origins.refuse("log.level", &raw.level, remedy));
    }
    Ok(Log { format, level: raw.level })
}
