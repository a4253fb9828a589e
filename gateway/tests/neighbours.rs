//! Bad neighbours over real sockets: a tenant whose requests take all turns waits for its own, and nobody else
//! does. The turns are held by the test itself, so what is in the way is known and not guessed.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;
#[path = "common/process.rs"]
mod process;
#[path = "common/ws.rs"]
mod ws;

use std::time::Duration;

use common::{Answer, Server, grant, mint};
use http_common::{bayed, created, minutes, reading};
use lotkeeper_actors::Turn;
use lotkeeper_gateway::auth::{Grant, Role};
use reqwest::Method;
use serde_json::{Value, json};
use ws::{Socket, Token};

const TURNS: usize = 4;
const TENANTS: [&str; 2] = ["north", "flood"];

fn token(tenant: &str, role: Role) -> String {
    mint(&Grant { tenant: tenant.to_owned(), ..grant(role) })
}

async fn post(server: &Server, tenant: &str, role: Role, path: &str, body: &Value) -> Answer {
    server.send(Method::POST, path, Some(&token(tenant, role)), Some(body)).await
}

/// Two tenants with a lot each; a request that gets no turn is refused at once.
async fn server() -> Server {
    let server = Server::start_with(|config| {
        config.engine.contended_requests = TURNS;
        // Places alone: how busy this machine is says nothing here.
        config.engine.contended_busy_percent = 100;
        config.engine.contended_tenant_percent = 100;
        config.engine.contended_wait = Duration::ZERO;
    })
    .await;
    for tenant in TENANTS {
        created(&post(&server, tenant, Role::Operator, "/api/v1/lots", &bayed("L1", 8)).await);
    }
    server
}

/// As many turns as the tenant gets.
async fn all_turns(server: &Server, tenant: &str) -> Vec<Turn> {
    let mut turns = Vec::new();
    while let Ok(turn) = server.running.app.engine.turn(tenant, Duration::ZERO).await {
        turns.push(turn);
    }
    turns
}

async fn book(server: &Server, tenant: &str, slot: &str) -> Answer {
    let wish = json!({"lot": "L1", "slot": slot, "from": minutes(60), "to": minutes(90)});
    post(server, tenant, Role::Driver, "/api/v1/reservations", &wish).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_without_a_turn_is_refused_with_a_time_and_the_others_are_served() {
    let server = server().await;
    let turns = all_turns(&server, "flood").await;
    assert_eq!(turns.len(), TURNS);
    let lots = "/api/v1/lots/L1/readings";
    let readings = json!({"readings": [reading("A-1", true)]});
    for refused in [
        book(&server, "flood", "A-1").await,
        post(&server, "flood", Role::Device, lots, &readings).await,
        server.send(Method::GET, "/api/v1/lots", Some(&token("flood", Role::Display)), None).await,
    ] {
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "overloaded"));
        assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    }
    for slot in ["A-1", "A-2", "A-3"] {
        book(&server, "north", slot).await.expect(201);
    }
    post(&server, "north", Role::Device, lots, &readings).await.expect(200);
    // Probes and figures are nobody's requests.
    server.send(Method::GET, "/livez", None, None).await.expect(200);
    drop(turns);
    book(&server, "flood", "A-1").await.expect(201);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_without_a_turn_is_not_read_and_loses_nothing() {
    let server = server().await;
    let open = async |tenant: &str| {
        let token = token(tenant, Role::Device);
        Socket::open(server.running.address, "/api/v1/ingest", Token::Header(&token)).await.unwrap()
    };
    let batch = |number: u64| {
        let readings = [reading("A-1", number.is_multiple_of(2))];
        json!({"op": "readings", "batch": number, "lot": "L1", "readings": readings})
    };
    let (mut flood, mut north) = (open("flood").await, open("north").await);
    let turns = all_turns(&server, "flood").await;
    for number in 0..3 {
        flood.send(&batch(number)).await;
    }
    // Three rounds of the neighbour later there is still no answer, though its socket was first.
    for number in 0..3 {
        north.send(&batch(number)).await;
        assert_eq!(north.expect("ack").await["batch"], number);
    }
    let seq = |tenant| server.running.app.engine.lot(tenant, "L1").unwrap().view().lot_seq;
    assert_eq!((seq("flood"), seq("north")), (1, 4), "nothing but its making, and three batches");
    drop(turns);
    for number in 0..3 {
        assert_eq!(flood.expect("ack").await["batch"], number, "in order, and once each");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_alone_has_no_turns_to_wait_for() {
    let server = Server::start_with(|config| {
        config.engine.contended_requests = 1;
        config.engine.contended_wait = Duration::ZERO;
    })
    .await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", 8)).await);
    let engine = &server.running.app.engine;
    let mut turns = Vec::new();
    for _ in 0..100 {
        turns.push(engine.turn("default", Duration::ZERO).await.unwrap());
    }
    server.get(Role::Display, "/api/v1/lots").await.expect(200);
    server.stop().await;
}

/// The figure of a metric without labels.
async fn figure(server: &Server, name: &str) -> f64 {
    let text = server.send(Method::GET, "/metrics", None, None).await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_keeps_the_server_busy_is_held_up_until_it_is_alone() {
    const ALLOWED: &str = "lotkeeper_tenant_allowed_cores";
    let server = Server::start_with(|config| {
        config.engine.contended_busy_percent = 1;
        config.engine.contended_tenant_percent = 100;
    })
    .await;
    for tenant in TENANTS {
        created(&post(&server, tenant, Role::Operator, "/api/v1/lots", &bayed("L1", 8)).await);
    }
    let all = 2.0 * 2.0;
    let alone = figure(&server, ALLOWED).await;
    let (mut number, mut held_up) = (0, alone < all);
    // At 1 % of the time any work is too much; the calm tenant is at work as well and is always served.
    while !held_up {
        assert!(number < 100_000, "never held up");
        book(&server, "flood", &format!("A-{}", number % 8 + 1)).await;
        server
            .send(Method::GET, "/api/v1/lots", Some(&token("north", Role::Display)), None)
            .await
            .expect(200);
        held_up = figure(&server, ALLOWED).await < all;
        number += 1;
    }
    book(&server, "north", "A-1").await.expect(201);
    // Who is quiet for three seconds is not at work; the other one then has everything.
    let released = async {
        while figure(&server, ALLOWED).await < all {
            book(&server, "flood", "A-1").await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), released).await.expect("alone it has everything");
    server.stop().await;
}
