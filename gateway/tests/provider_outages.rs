//! Payment providers that lose answers, are silent or do not answer at all, and a server that ends meanwhile.

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;
mod provider_common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Answer, KEY, Process, Server, binary, read, token};
use http_common::{bayed, created, minutes, send_with};
use lotkeeper_actors::Clock;
use lotkeeper_gateway::auth::Role;
use lotkeeper_gateway::config::Config;
use provider_common::{
    SELDOM, SETTLED_SECONDS_MAX, again, at, authorised, becomes, configure, hourly, kinds, parked,
    priced, promise, scan, with_providers,
};
use reqwest::Method;
use serde_json::Value;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_looked_up_and_silence_holds_up_nobody() {
    let server = with_providers(Duration::from_secs(1)).await;
    let mut waiting = Vec::new();
    for (amount, now, then) in [
        (1_000, "authorised", "authorised"),
        (1_011, "failed", "failed"),
        (1_013, "pending", "authorised"),
        (1_017, "pending", "failed"),
    ] {
        let (ticket, path) = parked(&server).await;
        let payment = authorised(&server, &path, "rehearsal", amount).await;
        assert_eq!(payment["state"], now, "{amount}");
        waiting.push((at(&payment), then));
        let left = scan(&server, "exit", &ticket).await;
        // A lost answer may have been found by now.
        if now != "pending" {
            let code = if now == "authorised" { "on_account" } else { "payment_required" };
            assert_eq!(left["code"], code, "{amount}");
        }
        if left["decision"] == "deny" {
            server
                .post(Role::Staff, &path.replace("authorisations", "exit"), &json!({}))
                .await
                .expect(200);
        }
    }
    for (path, then) in waiting {
        let state = if then == "authorised" { "captured" } else { then };
        let payment = becomes(&server, &path, state).await;
        assert_eq!(payment["reason"].is_string(), then == "failed");
    }
    let (ticket, path) = parked(&server).await;
    let silent = authorised(&server, &path, "rehearsal", 1_019).await;
    assert_eq!(
        (&silent["state"], &silent["asked"]["what"]),
        (&json!("pending"), &json!("authorise"))
    );
    assert_eq!(scan(&server, "exit", &ticket).await["code"], "payment_required");
    let other = server.post(Role::Staff, &format!("{}/void", at(&silent)), &json!({})).await;
    assert_eq!(other.code(), "payment_in_progress");
    server
        .post(Role::Staff, &path.replace("authorisations", "payments"), &json!({"method": "cash"}))
        .await
        .expect(201);
    assert_eq!(scan(&server, "exit", &ticket).await["code"], "paid");
    server.stop().await;
}

async fn scraped(server: &Server) -> String {
    read(server.request(Method::GET, "/metrics")).await.text
}

fn figure(scrape: &str, series: &str) -> u64 {
    let line = scrape.lines().find_map(|line| line.strip_prefix(series));
    line.unwrap_or_else(|| panic!("no {series}")).trim().parse().unwrap()
}

/// Of `rehearsal`.
fn questions(scrape: &str, question: &str, outcome: &str) -> u64 {
    let labels = format!("outcome=\"{outcome}\",provider=\"rehearsal\",question=\"{question}\"");
    figure(scrape, &format!("lotkeeper_provider_questions_total{{{labels}}}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_does_not_answer_is_left_alone_and_tried_again() {
    let every = Duration::from_secs(1);
    let server = Server::start_with(|config| {
        configure(config, every);
        config.payments.provider_failures_max = 2;
        config.payments.provider_rest = Duration::from_secs(3);
    })
    .await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", 4)).await);
    priced(&server).await;
    let series = "lotkeeper_provider_rests{provider=\"rehearsal\"}";
    // Asked and looked up, in vain: one payment alone never makes it rest.
    let (_, first) = parked(&server).await;
    let silent = authorised(&server, &first, "rehearsal", 1_019).await;
    assert_eq!(silent["state"], "pending");
    let deadline = Instant::now() + Duration::from_secs(SETTLED_SECONDS_MAX);
    while questions(&scraped(&server).await, "authorise", "unknown") < 3 {
        assert!(Instant::now() < deadline, "it is not looked up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(figure(&scraped(&server).await, series), 0);
    // Nobody waits in vain twice: with the second payment without an answer it rests.
    let (_, second) = parked(&server).await;
    let (under, body) = ([("Idempotency-Key", "second")], promise("rehearsal", Some(1_119)));
    let asked = send_with(&server, Method::POST, &second, &under, Some(&body)).await.expect(201);
    assert_eq!(figure(&scraped(&server).await, series), 1);
    let (_, third) = parked(&server).await;
    let before = kinds(&server, "payment.").await.len();
    let refused = server.post(Role::Staff, &third, &promise("rehearsal", Some(500))).await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (503, "provider_unavailable"));
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    assert_eq!(kinds(&server, "payment.").await.len(), before, "nothing is recorded");
    // Whoever repeats himself is shown what there is, and not turned away.
    let again = send_with(&server, Method::POST, &second, &under, Some(&body)).await.expect(201);
    assert_eq!((&again["id"], &again["state"]), (&asked["id"], &json!("pending")));
    // Others are not concerned.
    assert_eq!(authorised(&server, &third, "invoice", 500).await["state"], "authorised");
    // After the rest it is tried; what answers again is back for everybody.
    let (_, fourth) = parked(&server).await;
    let deadline = Instant::now() + Duration::from_secs(SETTLED_SECONDS_MAX);
    let promised = loop {
        let answer = server.post(Role::Staff, &fourth, &promise("rehearsal", Some(700))).await;
        if answer.status.as_u16() == 201 && answer.json()["state"] == "authorised" {
            break answer.json();
        }
        assert!(Instant::now() < deadline, "it stays alone: {}", answer.text);
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(promised["amount"]["amount"], 700);
    let scrape = scraped(&server).await;
    assert!(questions(&scrape, "authorise", "done") >= 1);
    assert_eq!(questions(&scrape, "refund", "done"), 0);
    assert!(figure(&scrape, "lotkeeper_payments_asked") >= 1, "the silent one");
    server.stop().await;
}

/// Time stands still here, so no question is ever due by its age.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_is_looked_up_at_once_when_its_provider_is_back() {
    let resting = |config: &mut Config| {
        configure(config, Duration::from_millis(50));
        config.payments.provider_failures_max = 2;
        config.payments.provider_rest = Duration::from_secs(1);
    };
    let still = |floor| Clock::manual(Clock::system(floor).now());
    let server = Server::start_by(tempfile::tempdir().unwrap(), resting, still).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", 4)).await);
    priced(&server).await;
    // The answers to both are lost, and with the second one the provider is left alone.
    let mut open = Vec::new();
    for amount in [1_013, 1_017] {
        let (_, path) = parked(&server).await;
        let payment = authorised(&server, &path, "rehearsal", amount).await;
        assert_eq!(payment["state"], "pending");
        open.push(at(&payment));
    }
    let (_, next) = parked(&server).await;
    let deadline = Instant::now() + Duration::from_secs(SETTLED_SECONDS_MAX);
    loop {
        for path in &open {
            let payment = server.get(Role::Staff, path).await.expect(200);
            assert_eq!(payment["state"], "pending", "nobody asked it since");
        }
        let answer = server.post(Role::Staff, &next, &promise("rehearsal", Some(700))).await;
        if answer.status.as_u16() == 201 {
            break;
        }
        assert_eq!(answer.code(), "provider_unavailable");
        assert!(Instant::now() < deadline, "it stays alone");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for (path, state) in open.iter().zip(["authorised", "failed"]) {
        becomes(&server, path, state).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_open_at_the_end_is_looked_up_at_the_next_start() {
    let server = with_providers(SELDOM).await;
    let (ticket, path) = parked(&server).await;
    let payment = authorised(&server, &path, "rehearsal", 1_013).await;
    assert_eq!(payment["state"], "pending");
    let server = again(server.stop().await, SELDOM).await;
    becomes(&server, &at(&payment), "authorised").await;
    assert_eq!(scan(&server, "exit", &ticket).await["code"], "on_account");
    // The stay is over, and nobody looked: the next start does.
    let server = again(server.stop().await, SELDOM).await;
    let captured = becomes(&server, &at(&payment), "captured").await;
    assert_eq!(captured["amount"]["amount"], 200);
    let ledger = server.get(Role::Operator, "/api/v1/lots/L1/ledger").await.expect(200);
    assert_eq!(ledger["balanced"], true);
    server.stop().await;
}

/// The real server with `rehearsal`, which nobody looks after but at the start.
fn killable(data: &Path) -> Process {
    let mut command = binary();
    command.env("LOTKEEPER_AUTH_KEY", KEY).env("LOTKEEPER_STORAGE_FREE_SPACE_FLOOR_BYTES", "0");
    command.env("LOTKEEPER_PAYMENTS_PROVIDERS", "rehearsal");
    command.env("LOTKEEPER_PAYMENTS_PROVIDER_TIMEOUT_SECONDS", "300");
    command.env("LOTKEEPER_PAYMENTS_SETTLE_EVERY_SECONDS", "3600");
    Process::start_command(command, data)
}

/// Posts under a key, as a task of its own: the answer may never come.
fn posted(
    process: &Process,
    role: Role,
    path: &str,
    body: &Value,
) -> impl Future<Output = Option<Answer>> + Send + 'static {
    let url = format!("http://{}{path}", process.address);
    let request = reqwest::Client::new().post(url).bearer_auth(token(role));
    let request = request.header("Idempotency-Key", path.replace('/', "-")).json(body);
    async move {
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status(), response.headers().clone());
        Some(Answer { status, headers, text: response.text().await.ok()? })
    }
}

/// The server is killed while one provider was asked and is silent, and another question's answer was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_open_at_a_kill_is_put_once_and_answered_after_the_next_start() {
    let home = tempfile::tempdir().unwrap();
    let process = killable(home.path());
    let (staff, device) = (token(Role::Staff), token(Role::Device));
    for (path, body) in [
        ("/api/v1/lots".to_owned(), bayed("L1", 4)),
        ("/api/v1/lots/L1/tariffs".to_owned(), hourly()),
    ] {
        posted(&process, Role::Operator, &path, &body).await.unwrap().expect(201);
    }
    let mut paths = Vec::new();
    for plate in ["B LK 1", "B LK 2"] {
        let entered = json!({
            "lot": "L1", "gate": "north", "direction": "entry", "observed_at": minutes(-30),
            "credential": {"plate": plate},
        });
        let scans = process.send(Method::POST, "/api/v1/scans", Some(&device), Some(&entered));
        let id = scans.await.expect(200)["session"]["id"].as_str().unwrap().to_owned();
        paths.push(format!("/api/v1/sessions/{id}/authorisations"));
    }
    let asked = [promise("rehearsal", Some(1_013)), promise("rehearsal", Some(1_019))];
    let lost = posted(&process, Role::Staff, &paths[0], &asked[0]).await.unwrap().expect(201);
    assert_eq!(lost["state"], "pending");
    let silent = tokio::spawn(posted(&process, Role::Staff, &paths[1], &asked[1]));
    let payments = paths[1].replace("authorisations", "payments");
    let open = loop {
        let list = process.send(Method::GET, &payments, Some(&staff), None).await.expect(200);
        if list["items"][0]["asked"].is_object() {
            break list["items"][0].clone();
        }
        assert!(!silent.is_finished(), "it is answered: {list}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    process.kill();
    assert!(silent.await.unwrap().is_none(), "nobody was there to answer");
    let process = killable(home.path());
    let deadline = Instant::now() + Duration::from_secs(SETTLED_SECONDS_MAX);
    loop {
        let payment = process.send(Method::GET, &at(&lost), Some(&staff), None).await.expect(200);
        if payment["state"] == "authorised" {
            break;
        }
        assert!(Instant::now() < deadline, "it is not looked up: {payment}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What nobody answers is open as it was, and no second one: a retry shows it.
    let again = process.send(Method::GET, &at(&open), Some(&staff), None).await.expect(200);
    assert_eq!((&again["state"], &again["asked"]), (&open["state"], &open["asked"]));
    let first = posted(&process, Role::Staff, &paths[0], &asked[0]).await.unwrap().expect(201);
    assert_eq!((&first["id"], &first["state"]), (&lost["id"], &json!("authorised")));
    let list = process.send(Method::GET, &payments, Some(&staff), None).await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(process.stop(), Some(0));
}
