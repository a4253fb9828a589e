//! Does a lot that is paused, or closed when somebody would come or go, say so wherever a window is asked for?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::{Answer, Server, token_of};
use http_common::{bayed, column, created, minutes, send_as};
use jiff::{SignedDuration, Timestamp};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

const LOT: &str = "/api/v1/lots/L1";
const RESERVATIONS: &str = "/api/v1/reservations";

async fn ask(server: &Server, method: Method, path: &str, body: &Value) -> Answer {
    send_as(server, &token_of(Role::Driver, "anna"), method, path, &[], Some(body)).await
}

async fn post(server: &Server, path: &str, body: &Value) -> Answer {
    ask(server, Method::POST, path, body).await
}

async fn about(server: &Server, about: Value) {
    server.patch(Role::Operator, LOT, &json!({"about": about})).await.expect(200);
}

/// Two bayed lots, `L1` and `L2`, that cost the same.
async fn with_lots() -> Server {
    let server = Server::start_with(|config| config.rate.driver_per_hour = 0).await;
    for code in ["L1", "L2"] {
        let mut lot = bayed(code, 1);
        lot["time_zone"] = json!("Europe/Berlin");
        created(&server.post(Role::Operator, "/api/v1/lots", &lot).await);
        let tariff = json!({"tariff": {"name": "T", "rate": {"flat": {"amount": 500}}}});
        let path = format!("/api/v1/lots/{code}/tariffs");
        created(&server.post(Role::Operator, &path, &tariff).await);
    }
    server
}

fn wanted((from, to): (&str, &str)) -> Value {
    json!({"lot": "L1", "from": from, "to": to})
}

/// Everything that asks for more time says the same code.
async fn is_refused_everywhere(server: &Server, window: (&str, &str), id: &str, code: &str) {
    let body = wanted(window);
    let with = |member: &str, value: Value| {
        let mut body = body.clone();
        body[member] = value;
        body
    };
    let until = &minutes(5 * 1_440)[..10];
    let change = json!({"from": window.0, "to": window.1});
    let reservation = format!("{RESERVATIONS}/{id}");
    for (claim, method, path, body) in [
        ("a booking", Method::POST, RESERVATIONS, body.clone()),
        ("a hold", Method::POST, RESERVATIONS, with("hold_seconds", json!(60))),
        ("a slot", Method::POST, RESERVATIONS, with("slot", json!("A-1"))),
        ("waiting", Method::POST, "/api/v1/waiting", body.clone()),
        ("a quote", Method::POST, "/api/v1/quotes", body.clone()),
        ("a change", Method::PATCH, &*reservation, change),
        (
            "a series",
            Method::POST,
            "/api/v1/reservations/series",
            with("repeat", json!({"every": "day", "until": until})),
        ),
    ] {
        let refused = ask(server, method, path, &body).await.expect(409);
        assert_eq!(refused["code"], code, "{claim}: {refused}");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("lot L1 is "), "{claim}: {detail}");
        assert_eq!(detail.starts_with("occurrence 0"), claim == "a series", "{detail}");
    }
    let query = format!("from={}&to={}", window.0, window.1);
    let open = server.get(Role::Driver, &format!("{LOT}/availability?{query}")).await.expect(200);
    assert_eq!((&open["open"], &open["refused"]), (&json!(0), &json!(code)));
    let (query, known) = (format!("/api/v1/lots?{query}"), code.strip_prefix("lot_").unwrap());
    let found = server.get(Role::Staff, &format!("{query}&sort=price")).await.expect(200);
    assert_eq!(column(&found, "code"), ["L2", "L1"], "what cannot be had has no price");
    let [open, refused] = &found["items"].as_array().unwrap()[..] else { panic!("{found}") };
    assert_eq!(
        (&open["room"]["known"], &open["price"]["amount"]),
        (&json!("promises"), &json!(500))
    );
    assert_eq!((&refused["room"]["known"], &refused["room"]["open"]), (&json!(known), &json!(0)));
    assert!(refused.get("price").is_none());
    let found = server.get(Role::Staff, &format!("{query}&free_min=1")).await.expect(200);
    assert_eq!(column(&found, "code"), ["L2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_lot_takes_no_more_and_keeps_what_it_has() {
    let server = with_lots().await;
    let (from, to) = (minutes(600), minutes(660));
    let mut held = wanted((&from, &to));
    held["hold_seconds"] = json!(600);
    let booked = post(&server, RESERVATIONS, &held).await.expect(201);
    let id = booked["id"].as_str().unwrap();
    about(&server, json!({"listing": "paused"})).await;
    let (early, late) = (minutes(60), minutes(700));
    is_refused_everywhere(&server, (&early, &late), id, "lot_paused").await;
    let at = format!("{RESERVATIONS}/{id}");
    assert_eq!(
        post(&server, &format!("{at}/confirm"), &json!({})).await.expect(200)["state"],
        "confirmed"
    );
    ask(&server, Method::PATCH, &at, &json!({"to": minutes(630)})).await.expect(200);
    assert_eq!(
        post(&server, &format!("{at}/cancel"), &json!({})).await.expect(200)["state"],
        "cancelled"
    );
    // A car that drives up has no promise and needs none.
    let entry = json!({"lot": "L1", "direction": "entry", "credential": {}});
    let scan = server.post(Role::Staff, "/api/v1/scans", &entry).await.expect(200);
    assert_eq!(scan["decision"], "open");
    about(&server, json!({"listing": "listed"})).await;
    let window = (minutes(800), minutes(860));
    post(&server, RESERVATIONS, &wanted((&window.0, &window.1))).await.expect(201);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_lot_says_when_it_is_open() {
    let server = with_lots().await;
    // A day in the near future that no change of the clock touches is not needed: noon is noon.
    let zone = jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap();
    let day = (Timestamp::now() + SignedDuration::from_hours(48)).to_zoned(zone.clone()).date();
    let at = |hour: i8, minute: i8| {
        day.at(hour, minute, 0, 0).to_zoned(zone.clone()).unwrap().timestamp().to_string()
    };
    let all = json!(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]);
    let (noon, evening) = (at(12, 0), at(18, 0));
    let booked = post(&server, RESERVATIONS, &wanted((&noon, &evening))).await.expect(201);
    let id = booked["id"].as_str().unwrap();
    about(&server, json!({"hours": [{"days": all, "from": "08:00", "to": "20:00"}]})).await;
    is_refused_everywhere(&server, (&at(7, 59), &at(10, 0)), id, "lot_closed").await;
    is_refused_everywhere(&server, (&at(10, 0), &at(20, 1)), id, "lot_closed").await;
    let refused = post(&server, RESERVATIONS, &wanted((&at(7, 59), &at(10, 0)))).await.expect(409);
    let detail = refused["detail"].as_str().unwrap();
    for part in [
        format!("closed at {day}T07:59:00+0"),
        "mon tue wed thu fri sat sun 08:00 to 20:00 (Europe/Berlin)".to_owned(),
        format!("next from {day}T08:00:00+0"),
    ] {
        assert!(detail.contains(&part), "{part}: {detail}");
    }
    // From the first minute to the last, and over night.
    let change = json!({"from": at(8, 0), "to": at(20, 0)});
    ask(&server, Method::PATCH, &format!("{RESERVATIONS}/{id}"), &change).await.expect(200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_changes_his_mind_in_time_and_staff_always() {
    let server = with_lots().await;
    let (from, to) = (minutes(120), minutes(240));
    let book = async || {
        let booked = post(&server, RESERVATIONS, &wanted((&from, &to))).await.expect(201);
        format!("{RESERVATIONS}/{}", booked["id"].as_str().unwrap())
    };
    let (rules, id) = (json!({"rules": {"change_until_seconds": 10_800}}), book().await);
    let lot = server.patch(Role::Operator, LOT, &rules).await.expect(200);
    assert_eq!(lot["rules"]["change_until_seconds"], 10_800);
    let cancel = format!("{id}/cancel");
    let until = from.parse::<Timestamp>().unwrap() - SignedDuration::from_hours(3);
    let shorter = json!({"to": minutes(180)});
    for (method, path, body) in
        [(Method::PATCH, &id, shorter.clone()), (Method::POST, &cancel, json!({}))]
    {
        let late = ask(&server, method, path, &body).await.expect(409);
        assert_eq!(late["code"], "change_too_late");
        let detail = late["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("until {until}; ")), "{detail}");
    }
    ask(&server, Method::PATCH, &id, &json!({"to": minutes(300)})).await.expect(200);
    server.patch(Role::Staff, &id, &shorter).await.expect(200);
    // The rule is kept, and so is the answer.
    let directory = server.stop().await;
    let server = Server::start_in(directory, |config| config.rate.driver_per_hour = 0).await;
    let late = post(&server, &cancel, &json!({})).await.expect(409);
    assert_eq!(late["code"], "change_too_late");
    server.post(Role::Staff, &cancel, &json!({})).await.expect(200);
    server.stop().await;
}
