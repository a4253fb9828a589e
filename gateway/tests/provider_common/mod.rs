//! What the tests of payment providers share: a server that has some, a lot that costs, somebody parked in it.
#![allow(clippy::unwrap_used)] // tests state what they expect
#![allow(dead_code)] // each test binary uses its part

use std::time::{Duration, Instant};

use lotkeeper_gateway::auth::Role;
use lotkeeper_gateway::config::Config;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::Server;
use crate::http_common::{self, bayed, created, minutes};

pub const SETTLED_SECONDS_MAX: u64 = 15;
/// Nothing is looked after in a test, but at the start.
pub const SELDOM: Duration = Duration::from_secs(3_600);

pub fn configure(config: &mut Config, every: Duration) {
    config.rate.driver_per_hour = 0;
    config.payments.providers = vec!["invoice".to_owned(), "rehearsal".to_owned()];
    config.payments.settle_every = every;
    config.payments.provider_timeout = Duration::from_secs(1);
}

/// A lot where every begun hour costs 200, and a server with providers that looks after them so often.
pub async fn with_providers(every: Duration) -> Server {
    let server = Server::start_with(|config| configure(config, every)).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", 4)).await);
    priced(&server).await;
    server
}

pub fn hourly() -> Value {
    json!({"tariff": {
        "name": "Centre", "valid_from": "2026-01-01T00:00:00Z",
        "rate": {"hourly": {"tiers": [{"amount": 200, "begun": true}]}},
    }})
}

pub async fn priced(server: &Server) {
    let tariff = hourly();
    created(&server.post(Role::Operator, "/api/v1/lots/L1/tariffs", &tariff).await);
}

pub async fn again(directory: TempDir, every: Duration) -> Server {
    Server::start_in(directory, |config| configure(config, every)).await
}

pub async fn scan(server: &Server, direction: &str, credential: &Value) -> Value {
    let observed_at = minutes(if direction == "entry" { -30 } else { 0 });
    let body = json!({
        "lot": "L1", "gate": "north", "direction": direction, "credential": credential,
        "observed_at": observed_at,
    });
    server.post(Role::Device, "/api/v1/scans", &body).await.expect(200)
}

/// Somebody came in: his ticket, and where his promises are asked for.
pub async fn parked(server: &Server) -> (Value, String) {
    let entered = scan(server, "entry", &json!({})).await;
    let id = entered["session"]["id"].as_str().unwrap();
    (json!({"ticket": entered["ticket"]}), format!("/api/v1/sessions/{id}/authorisations"))
}

pub fn promise(provider: &str, amount: Option<i64>) -> Value {
    let amount = amount.map(|amount| json!({"amount": amount, "currency": "EUR"}));
    match amount {
        Some(amount) => json!({"provider": provider, "amount": amount}),
        None => json!({"provider": provider}),
    }
}

pub async fn authorised(server: &Server, path: &str, provider: &str, amount: i64) -> Value {
    server.post(Role::Staff, path, &promise(provider, Some(amount))).await.expect(201)
}

pub fn at(payment: &Value) -> String {
    format!("/api/v1/payments/{}", payment["id"].as_str().unwrap())
}

pub async fn becomes(server: &Server, path: &str, state: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(SETTLED_SECONDS_MAX);
    loop {
        let payment = server.get(Role::Staff, path).await.expect(200);
        if payment["state"] == state && payment["asked"].is_null() {
            return payment;
        }
        assert!(Instant::now() < deadline, "not {state}: {payment}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub async fn kinds(server: &Server, prefix: &str) -> Vec<String> {
    let events = server.get(Role::Operator, "/api/v1/events?lot=L1&limit=500").await.expect(200);
    let kinds = http_common::column(&events, "type").into_iter().map(str::to_owned);
    kinds.filter(|kind| kind.starts_with(prefix)).collect()
}
