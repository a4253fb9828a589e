//! The configuration as text has it: every key once, nothing checked but its kind.
//!
//! Invariant: one field per key of `config/default.toml`; `deny_unknown_fields` everywhere, so that the
//! two cannot drift apart without a test failing.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub server: RawServer,
    pub storage: RawStorage,
    pub engine: RawEngine,
    pub stream: RawStream,
    pub ingest: RawIngest,
    pub auth: RawAuth,
    pub credentials: RawCredentials,
    pub cameras: RawCameras,
    pub payments: RawPayments,
    pub rules: RawRules,
    pub rate: RawRate,
    pub log: RawLog,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServer {
    pub listen: String,
    pub body_bytes_max: i64,
    pub request_timeout_seconds: i64,
    pub header_timeout_seconds: i64,
    pub write_timeout_seconds: i64,
    pub connections_max: i64,
    pub accept_per_second: i64,
    pub shutdown_seconds: i64,
    pub backup_bytes_per_second: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStorage {
    pub data: String,
    pub cache_bytes: i64,
    pub history_cache_bytes: i64,
    pub rotate_bytes: i64,
    pub archive_retention_seconds: i64,
    pub free_space_floor_bytes: i64,
    pub snapshot_every_records: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEngine {
    pub permits_records: i64,
    pub contended_records: i64,
    pub contended_requests: i64,
    pub contended_busy_percent: i64,
    pub contended_tenant_percent: i64,
    pub contended_wait_seconds: i64,
    pub commit_records_max: i64,
    pub ring_changes_per_lot: i64,
    pub claims_per_lot: i64,
    pub claim_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStream {
    pub ping_seconds: i64,
    pub subscriptions_max: i64,
    pub messages_per_second_max: i64,
    pub message_bytes_max: i64,
    pub counts_per_second: i64,
    pub first_message_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIngest {
    pub batches_in_flight_max: i64,
    pub message_bytes_max: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuth {
    pub key: String,
    pub key_file: String,
    pub keys: Vec<String>,
    pub token_ttl_seconds: i64,
    pub backup_tenant: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCredentials {
    pub key: String,
    pub key_file: String,
    pub keys: Vec<String>,
    pub qr_after_end_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCameras {
    pub confidence_percent_min: i64,
    pub visit_seconds: i64,
    pub remembered_max: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPayments {
    pub providers: Vec<String>,
    pub invoice_amount_max: i64,
    pub provider_timeout_seconds: i64,
    pub provider_failures_max: i64,
    pub provider_rest_seconds: i64,
    pub settle_every_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRules {
    pub hold_seconds: i64,
    pub hold_lead_seconds: i64,
    pub no_show_seconds: i64,
    pub silence_seconds: i64,
    pub skew_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRate {
    pub anonymous_per_hour: i64,
    pub driver_per_hour: i64,
    pub staff_per_hour: i64,
    pub device_per_hour: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub format: String,
    pub level: String,
}
