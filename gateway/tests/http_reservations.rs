//! Do reservations live as the contract says, and does everybody see what is his?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::{Answer, Server, token_of};
use http_common::{column, etag, minutes, send_as, with_lot};
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/reservations";

async fn as_driver(
    server: &Server,
    who: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Answer {
    server.send(method, path, Some(&token_of(Role::Driver, who)), body).await
}

async fn book(server: &Server, who: &str, body: &Value) -> Answer {
    as_driver(server, who, Method::POST, PATH, Some(body)).await
}

fn at(answer: &Value) -> String {
    format!("{PATH}/{}", answer["id"].as_str().unwrap())
}

fn window(from: i64, to: i64) -> Value {
    json!({"lot": "L1", "slot": "A-1", "from": minutes(from), "to": minutes(to)})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_then_confirmed_then_cancelled() {
    let server = with_lot(1).await;
    let mut body = window(60, 120);
    body["hold_seconds"] = json!(600);
    body["vehicle"] = json!({"plate": "b - xy 123", "country": "d"});
    let answer = book(&server, "ann", &body).await;
    let held = answer.expect(201);
    assert_eq!(answer.headers["location"], at(&held).as_str());
    assert_eq!((etag(&answer), &held["state"]), ("\"1\"", &json!("held")));
    assert_eq!((&held["slot"], &held["lot"]), (&json!("A-1"), &json!("L1")));
    assert_eq!((&held["from"], &held["to"]), (&body["from"], &body["to"]));
    assert_eq!(held["vehicle"], json!({"plate": "B-XY 123", "country": "D"}));
    assert_eq!(held["reference"].as_str().unwrap().len(), "4K7T-9X2C".len());
    assert!(held["expires_at"].as_str().unwrap() < held["from"].as_str().unwrap());
    let shown = as_driver(&server, "ann", Method::GET, &at(&held), None).await.expect(200);
    assert_eq!((&shown["reference"], &shown["vehicle"]), (&held["reference"], &held["vehicle"]));

    let path = format!("{}/confirm", at(&held));
    for _ in 0..2 {
        let confirmed = as_driver(&server, "ann", Method::POST, &path, None).await.expect(200);
        assert_eq!(
            (&confirmed["state"], confirmed["version"].as_u64()),
            (&json!("confirmed"), Some(2))
        );
        assert!(confirmed.get("expires_at").is_none());
    }
    let path = format!("{}/cancel", at(&held));
    let reason = json!({"reason": "plans_changed"});
    let gone = as_driver(&server, "ann", Method::POST, &path, Some(&reason)).await.expect(200);
    assert_eq!((&gone["state"], &gone["reason"]), (&json!("cancelled"), &json!("plans_changed")));
    let confirm = format!("{}/confirm", at(&held));
    let refused = as_driver(&server, "ann", Method::POST, &confirm, None).await;
    assert_eq!(refused.code(), "reservation_ended");
    book(&server, "bob", &window(60, 120)).await.expect(201);
    let free_text = json!({"reason": "my mother is ill"});
    let refused = as_driver(&server, "ann", Method::POST, &path, Some(&free_text)).await;
    assert_eq!(refused.code(), "validation_failed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_move_keeps_the_old_window() {
    let server = with_lot(1).await;
    let first = book(&server, "ann", &window(60, 120)).await.expect(201);
    book(&server, "bob", &window(120, 180)).await.expect(201);
    let longer = json!({"to": minutes(150)});
    let refused = as_driver(&server, "ann", Method::PATCH, &at(&first), Some(&longer)).await;
    assert_eq!(refused.code(), "slot_taken");
    assert!(refused.json()["detail"].as_str().unwrap().starts_with("slot A-1 is taken from "));
    let kept = as_driver(&server, "ann", Method::GET, &at(&first), None).await.expect(200);
    assert_eq!((&kept["to"], kept["version"].as_u64()), (&first["to"], Some(1)));
    // Its old window still stands in the way of others.
    assert_eq!(book(&server, "cid", &window(90, 110)).await.code(), "slot_taken");

    let token = token_of(Role::Driver, "ann");
    let shorter = json!({"to": minutes(100)});
    for (if_match, status) in [("\"2\"", 412), ("\"1\"", 200), ("\"1\"", 412)] {
        let headers = [("if-match", if_match)];
        let path = at(&first);
        let answer = send_as(&server, &token, Method::PATCH, &path, &headers, Some(&shorter)).await;
        assert_eq!(answer.status, status, "{if_match}: {}", answer.text);
    }
    book(&server, "cid", &window(105, 115)).await.expect(201);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_ran_out_frees_its_slot_and_cannot_be_confirmed() {
    let server = with_lot(1).await;
    let mut body = window(60, 120);
    body["hold_seconds"] = json!(1);
    let held = book(&server, "ann", &body).await.expect(201);
    // Somebody else gets the window as soon as the hold is over, not before.
    let mut answer = book(&server, "bob", &window(60, 120)).await;
    assert_eq!(answer.code(), "slot_taken");
    let clock = std::time::Instant::now();
    while answer.status == 409 {
        assert!(clock.elapsed().as_secs() < 30, "the hold never ran out");
        answer = book(&server, "bob", &window(60, 120)).await;
    }
    answer.expect(201);
    let path = format!("{}/confirm", at(&held));
    let refused = as_driver(&server, "ann", Method::POST, &path, None).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "hold_expired"));
    let shown = as_driver(&server, "ann", Method::GET, &at(&held), None).await.expect(200);
    assert_eq!(shown["state"], "expired");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drivers_see_their_own_and_staff_sees_all() {
    let server = with_lot(3).await;
    let mut ids = Vec::new();
    for (who, slot) in [("ann", "A-1"), ("ann", "A-2"), ("bob", "A-3")] {
        let mut body = window(60, 120);
        body["slot"] = json!(slot);
        body["vehicle"] = json!({"plate": format!("{who} 1")});
        ids.push(book(&server, who, &body).await.expect(201));
    }
    for (method, more) in [(Method::GET, ""), (Method::POST, "/confirm"), (Method::POST, "/cancel")]
    {
        let path = format!("{}{more}", at(&ids[0]));
        let refused = as_driver(&server, "bob", method, &path, None).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (404, "reservation_not_found")
        );
    }
    let list = |who: &'static str, query: &'static str| {
        let server = &server;
        async move {
            let path = format!("{PATH}?{query}");
            as_driver(server, who, Method::GET, &path, None).await.expect(200)
        }
    };
    assert_eq!(column(&list("ann", "").await, "slot").len(), 2);
    assert_eq!(column(&list("ann", "mine").await, "slot").len(), 2);
    assert_eq!(column(&list("bob", "mine=false").await, "slot"), ["A-3"]);
    assert_eq!(column(&list("nobody", "mine").await, "slot").len(), 0);

    let cancel = format!("{}/cancel", at(&ids[1]));
    server.post(Role::Staff, &cancel, &json!({})).await.expect(200);
    for (query, count) in [
        ("", 3),
        ("state=cancelled", 1),
        ("state=confirmed,held", 2),
        ("lot=L1", 3),
        ("mine", 0),
        ("limit=2", 2),
    ] {
        let page = server.get(Role::Staff, &format!("{PATH}?{query}")).await.expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
    }
    let first = server.get(Role::Staff, &format!("{PATH}?limit=2")).await.json();
    let next = first["next_cursor"].as_str().unwrap();
    let second =
        server.get(Role::Staff, &format!("{PATH}?limit=2&cursor={next}")).await.expect(200);
    let all: Vec<&str> = column(&first, "id").into_iter().chain(column(&second, "id")).collect();
    let mut made: Vec<&str> = ids.iter().map(|made| made["id"].as_str().unwrap()).collect();
    made.reverse();
    assert_eq!(all, made, "the last made first, each once");
    assert_eq!(first["items"][0]["vehicle"]["plate"], "BOB 1", "staff sees the plate");
    server.stop().await;
}

/// Whoever may read the log, the figures or the stream of others sees no plate, and no subject but where the log
/// says who asked: that is what operators read it for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_person_and_no_plate_is_in_the_log_or_the_figures() {
    let server = with_lot(1).await;
    let mut body = window(5, 60);
    body["vehicle"] = json!({"plate": "SECRET 99", "country": "D"});
    let made = book(&server, "person@example.org", &body).await.expect(201);
    let path = format!("{}/cancel", at(&made));
    as_driver(&server, "person@example.org", Method::POST, &path, None).await.expect(200);
    let mut log = server.get(Role::Operator, "/api/v1/events?limit=500").await.expect(200);
    for item in log["items"].as_array_mut().unwrap() {
        let by = item.as_object_mut().unwrap().remove("by").unwrap();
        assert!(["operator", "driver"].contains(&by["role"].as_str().unwrap()), "{by}");
    }
    let text = log.to_string();
    assert!(!text.contains("SECRET") && !text.contains("person@"), "{text}");
    for path in ["/metrics", "/api/v1/lots/L1/slots", "/api/v1/lots"] {
        let text = server.get(Role::Operator, path).await.text;
        assert!(!text.contains("SECRET") && !text.contains("person@"), "{path}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_ones_own_words_is_seen_by_its_holder_and_staff_and_can_be_taken_back() {
    let server = with_lot(2).await;
    let mut body = window(60, 120);
    body["request"] = json!("  close to the lift, please\r\nwe have a pram ");
    body["vehicle"] = json!({"plate": "B-XY 1", "country": "D"});
    body["id"] = json!("01990000-0000-7000-8000-000000000001");
    let made = book(&server, "ann", &body).await.expect(201);
    let said = json!("close to the lift, please\nwe have a pram");
    assert_eq!((&made["request"], &made["version"]), (&said, &json!(1)));
    let again = book(&server, "ann", &body).await.expect(201);
    assert_eq!((&again["id"], &again["request"]), (&made["id"], &said), "a retry");
    let shown = server.get(Role::Staff, &at(&made)).await.expect(200);
    assert_eq!(shown["request"], said);
    let listed = server.get(Role::Staff, &format!("{PATH}?lot=L1")).await.expect(200);
    assert_eq!(listed["items"][0]["request"], said);
    let foreign = as_driver(&server, "eve", Method::GET, &at(&made), None).await;
    assert_eq!(foreign.code(), "reservation_not_found");

    let patch = async |who, body: Value| {
        as_driver(&server, who, Method::PATCH, &at(&made), Some(&body)).await
    };
    let other = patch("ann", json!({"request": "a wide place"})).await;
    assert_eq!((etag(&other), &other.expect(200)["request"]), ("\"2\"", &json!("a wide place")));
    let same = patch("ann", json!({"request": "a wide place "})).await;
    assert_eq!(etag(&same), "\"2\"", "nothing new");
    assert_eq!(patch("eve", json!({"request": "mine"})).await.code(), "reservation_not_found");
    // Both, or neither.
    let taken = json!({"lot": "L1", "slot": "A-1", "from": minutes(120), "to": minutes(180)});
    book(&server, "bob", &taken).await.expect(201);
    let refused = patch("ann", json!({"request": "more time", "to": minutes(150)})).await;
    assert_eq!(refused.code(), "slot_taken");
    let both = patch("ann", json!({"request": "less time", "to": minutes(110)})).await.expect(200);
    assert_eq!((&both["request"], &both["to"]), (&json!("less time"), &json!(minutes(110))));
    let gone = patch("ann", json!({"request": null})).await.expect(200);
    assert_eq!(gone.get("request"), None);
    let blank = patch("ann", json!({"request": " \n "})).await.expect(200);
    assert_eq!((blank.get("request"), &blank["version"]), (None, &gone["version"]));

    for (text, why) in [("x".repeat(501), "501 characters"), ("bell\u{7}".to_owned(), "U+0007")] {
        let refused = patch("ann", json!({"request": text})).await;
        assert_eq!(refused.code(), "validation_failed");
        let fault = &refused.expect(422)["errors"][0];
        assert_eq!(fault["pointer"], "/request");
        assert!(fault["detail"].as_str().unwrap().contains(why), "{fault}");
        body["request"] = json!(text);
        body["id"] = json!("01990000-0000-7000-8000-000000000002");
        assert_eq!(book(&server, "ann", &body).await.code(), "validation_failed");
    }
    assert_eq!(patch("ann", json!({"request": 7})).await.code(), "malformed_request");

    // Nobody's words are in the log.
    let events = server.get(Role::Operator, "/api/v1/events?lot=L1&limit=500").await.expect(200);
    let told = events["items"].as_array().unwrap().iter();
    let told: Vec<_> = told.filter(|event| event["type"] == "reservation.requested").collect();
    let asked: Vec<_> = told.iter().map(|event| event["data"]["request"].is_string()).collect();
    assert_eq!(asked, [true, true, false], "{told:?}");
    assert!(!events.to_string().contains("wide place"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_outlives_a_restart_and_comes_along_to_the_gate() {
    let server = with_lot(2).await;
    let mut body = window(-1, 120);
    body["request"] = json!("the cable is stuck");
    let made = book(&server, "ann", &body).await.expect(201);
    let series = json!({
        "lot": "L1", "slot": "A-2", "from": minutes(60), "to": minutes(90), "request": "each time",
        "repeat": {"every": "day", "until": &minutes(3 * 24 * 60)[..10]}
    });
    let series =
        server.post(Role::Driver, "/api/v1/reservations/series", &series).await.expect(201);
    assert!(series["items"].as_array().unwrap().len() > 1);
    for occurrence in series["items"].as_array().unwrap() {
        assert_eq!(occurrence["request"], "each time");
    }
    let server = Server::start_in(server.stop().await, |_| {}).await;
    let shown = as_driver(&server, "ann", Method::GET, &at(&made), None).await.expect(200);
    assert_eq!(shown["request"], "the cable is stuck");
    let scan = json!({"lot": "L1", "direction": "entry", "credential": {"qr": shown["qr"]}});
    let opened = server.post(Role::Device, "/api/v1/scans", &scan).await.expect(200);
    assert_eq!(opened["session"]["request"], "the cable is stuck");

    // Who is there asks for his own stay; what else is put right is for staff.
    let stay = format!("/api/v1/sessions/{}", opened["session"]["id"].as_str().unwrap());
    let patch =
        async |who, body: Value| as_driver(&server, who, Method::PATCH, &stay, Some(&body)).await;
    let asked = patch("ann", json!({"request": "a receipt, please"})).await.expect(200);
    assert_eq!(asked["request"], "a receipt, please");
    assert_eq!(patch("eve", json!({"request": "mine"})).await.code(), "session_not_found");
    assert_eq!(patch("ann", json!({"slot": "A-2"})).await.code(), "role_not_allowed");
    let two = patch("ann", json!({"request": "this", "slot": "A-2"})).await;
    assert_eq!(two.code(), "validation_failed");
    let (sam, nothing) = (token_of(Role::Staff, "sam"), json!({"request": null}));
    let back = server.send(Method::PATCH, &stay, Some(&sam), Some(&nothing)).await.expect(200);
    assert_eq!(back["request"], "the cable is stuck", "what he asked for when he booked");
    server.stop().await;
}
