//! The view `reservations`: a driver is told of his own, at once, whole and again after a break; of nobody else's ever.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;
#[path = "common/ws.rs"]
mod ws;

use common::{Server, grant, mint, token_of};
use http_common::{minutes, with_lot};
use lotkeeper_gateway::auth::{Grant, Role};
use reqwest::Method;
use serde_json::{Value, json};
use ws::{Socket, Token};

const STREAM: &str = "/api/v1/stream";
const RESERVATIONS: &str = "/api/v1/reservations";

async fn send(server: &Server, who: &str, method: Method, path: &str, body: &Value) -> Value {
    let answer = server.send(method, path, Some(&token_of(Role::Driver, who)), Some(body)).await;
    assert!(answer.status.is_success(), "{path}: {}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

/// A hold that begins so many minutes from now; what begins in hours does nothing by itself meanwhile.
async fn hold(server: &Server, who: &str, slot: &str, from: i64) -> String {
    let body = json!({"lot": "L1", "slot": slot, "from": minutes(from), "to": minutes(from + 60),
        "vehicle": {"plate": format!("{who}-1")}, "hold_seconds": 600});
    let booked = send(server, who, Method::POST, RESERVATIONS, &body).await;
    booked["id"].as_str().unwrap().to_owned()
}

async fn step(server: &Server, who: &str, id: &str, what: &str) -> Value {
    send(server, who, Method::POST, &format!("{RESERVATIONS}/{id}/{what}"), &json!({})).await
}

async fn book(server: &Server, who: &str, slot: &str) -> String {
    hold(server, who, slot, 300).await
}

/// A socket of this driver.
async fn open(server: &Server, who: &str) -> Socket {
    let driver = token_of(Role::Driver, who);
    Socket::open(server.running.address, STREAM, Token::Header(&driver)).await.unwrap()
}

async fn subscribe(socket: &mut Socket, after: Option<&Value>) -> Value {
    let mut message = json!({"op": "subscribe", "id": 1, "lot": "L1", "view": "reservations"});
    if let Some(last) = after {
        message["after"] = json!({"epoch": last["epoch"], "seq": last["seq"]});
    }
    socket.send(&message).await;
    socket.expect("subscribed").await
}

/// Ids and states of a message.
fn states(message: &Value) -> Vec<(&str, &str)> {
    let told = message["reservations"].as_array().unwrap().iter();
    told.map(|one| (one["id"].as_str().unwrap(), one["state"].as_str().unwrap())).collect()
}

/// The state of the stay that came of one of them.
fn session_of<'a>(told: &'a Value, id: &str) -> &'a str {
    let one = told["reservations"].as_array().unwrap().iter().find(|one| one["id"] == id).unwrap();
    one["session"]["state"].as_str().unwrap()
}

/// Reads until this one is told to be so. What else is told meanwhile (its slot begins to show as held, a reminder) is
/// of the same person.
async fn hears(socket: &mut Socket, own: &[&str], wanted: (&str, &str)) -> Value {
    loop {
        let told = socket.expect("reservations").await;
        assert!(states(&told).iter().all(|(id, _)| own.contains(id)), "{told} is not of {own:?}");
        if states(&told).contains(&wanted) {
            return told;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_follows_his_own_from_the_hold_to_the_exit() {
    let server = with_lot(3).await;
    let early = hold(&server, "anna", "A-1", 5).await;
    let other = book(&server, "bert", "A-2").await;
    let mut anna = open(&server, "anna").await;
    let answer = subscribe(&mut anna, None).await;
    assert_eq!((&answer["view"], &answer["recovered"]), (&json!("reservations"), &json!(false)));
    let snapshot = anna.expect("reservations").await;
    assert_eq!(snapshot["whole"], true);
    assert_eq!((&snapshot["seq"], states(&snapshot)), (&answer["seq"], vec![(&*early, "held")]));
    assert_eq!(snapshot["reservations"][0]["vehicle"]["plate"], "ANNA-1");

    // Bert's does not even make a message: the next one is Anna's.
    step(&server, "bert", &other, "confirm").await;
    step(&server, "anna", &early, "confirm").await;
    let told = hears(&mut anna, &[&early], (&early, "confirmed")).await;
    let shown = server.get(Role::Staff, &format!("{RESERVATIONS}/{early}")).await.expect(200);
    assert_eq!(told["reservations"][0]["qr"], shown["qr"]);
    let late = book(&server, "anna", "A-3").await;
    let own = [&*early, &*late];
    hears(&mut anna, &own, (&late, "held")).await;

    // At the gate, by somebody else: the stay comes along.
    let scan =
        |direction| json!({"lot": "L1", "direction": direction, "credential": {"plate": "anna-1"}});
    let entered = server.post(Role::Device, "/api/v1/scans", &scan("entry")).await.expect(200);
    assert_eq!(entered["code"], "reserved");
    let told = hears(&mut anna, &own, (&early, "checked_in")).await;
    assert_eq!(session_of(&told, &early), "inside");
    let left = server.post(Role::Device, "/api/v1/scans", &scan("exit")).await.expect(200);
    assert_eq!(left["decision"], "open");
    let told = hears(&mut anna, &own, (&early, "completed")).await;
    assert_eq!(session_of(&told, &early), "left");
    step(&server, "anna", &late, "cancel").await;
    hears(&mut anna, &own, (&late, "cancelled")).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_is_told_what_he_missed_and_no_more() {
    let server = with_lot(4).await;
    let (kept, lost) = (book(&server, "anna", "A-1").await, book(&server, "anna", "A-2").await);
    let mut anna = open(&server, "anna").await;
    subscribe(&mut anna, None).await;
    let last = anna.expect("reservations").await;
    assert_eq!(states(&last).len(), 2);
    drop(anna);

    // Nothing happened: nothing is told but where the lot stands.
    let mut anna = open(&server, "anna").await;
    let answer = subscribe(&mut anna, Some(&last)).await;
    assert_eq!((&answer["recovered"], &answer["seq"]), (&json!(true), &last["seq"]));
    // Whatever was queued would come before the next answer.
    anna.send(&json!({"op": "unsubscribe", "id": 2, "lot": "L1", "view": "reservations"})).await;
    anna.expect("unsubscribed").await;
    drop(anna);

    // One ended and was made while he was away, one lives on; those of others are none of his.
    step(&server, "anna", &lost, "cancel").await;
    let made = book(&server, "anna", "A-3").await;
    book(&server, "bert", "A-4").await;
    let mut anna = open(&server, "anna").await;
    let answer = subscribe(&mut anna, Some(&last)).await;
    assert_eq!(answer["recovered"], true);
    let told = anna.expect("reservations").await;
    assert_eq!(told["whole"], false);
    let mut wanted = vec![(&*kept, "held"), (&*lost, "cancelled"), (&*made, "held")];
    wanted.sort_unstable();
    let mut found = states(&told);
    found.sort_unstable();
    assert_eq!((found, &told["seq"]), (wanted, &answer["seq"]));

    // From another history everything is told anew.
    let strange = json!({"epoch": "00000000000000000000000000000000", "seq": 3});
    assert_eq!(subscribe(&mut anna, Some(&strange)).await["recovered"], false);
    assert_eq!(states(&anna.expect("reservations").await).len(), 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_or_takes_over_what_is_somebody_elses() {
    let server = with_lot(3).await;
    book(&server, "anna", "A-1").await;
    // Whoever never held anything, staff included, follows nothing; his first one comes.
    let staff = token_of(Role::Staff, "bert");
    let mut bert =
        Socket::open(server.running.address, STREAM, Token::Header(&staff)).await.unwrap();
    subscribe(&mut bert, None).await;
    assert_eq!(states(&bert.expect("reservations").await), []);
    book(&server, "anna", "A-2").await;
    let own = book(&server, "bert", "A-3").await;
    hears(&mut bert, &[&own], (&own, "held")).await;

    let mut display = {
        let token = token_of(Role::Display, "sign");
        Socket::open(server.running.address, STREAM, Token::Header(&token)).await.unwrap()
    };
    display.send(&json!({"op": "subscribe", "id": 1, "lot": "L1", "view": "reservations"})).await;
    assert_eq!(display.expect("error").await["code"], "role_not_allowed");

    // The same name in another tenant is somebody else, and that tenant has no such lot.
    let stranger = mint(&Grant {
        tenant: "other".to_owned(),
        subject: "anna".to_owned(),
        ..grant(Role::Driver)
    });
    let mut stranger =
        Socket::open(server.running.address, STREAM, Token::Header(&stranger)).await.unwrap();
    stranger.send(&json!({"op": "subscribe", "id": 1, "lot": "L1", "view": "reservations"})).await;
    assert_eq!(stranger.expect("error").await["code"], "lot_not_found");

    // A session does not change hands.
    let anna = token_of(Role::Driver, "anna");
    bert.send(&json!({"op": "token", "token": anna})).await;
    let (code, reason) = bert.closed().await;
    assert_eq!(code, 4403, "{reason}");
    server.stop().await;
}
