//! Does bad input get the right status and code, and does the server live on?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::{Server, grant, mint, read, token};
use http_common::{bayed, counted, created, minutes, with_lot};
use lotkeeper_gateway::auth::{Grant, Role};
use reqwest::Method;
use serde_json::json;

const READINGS: &str = "/api/v1/lots/L1/readings";

struct Case {
    name: &'static str,
    method: Method,
    path: &'static str,
    role: Role,
    body: String,
    wanted: (u16, &'static str),
}

fn case(
    name: &'static str,
    (method, path, role): (Method, &'static str, Role),
    body: impl Into<String>,
    wanted: (u16, &'static str),
) -> Case {
    Case { name, method, path, role, body: body.into(), wanted }
}

fn readings_cases() -> Vec<Case> {
    let post = || (Method::POST, READINGS, Role::Device);
    let many = vec![r#"{"slot":"A-1","occupied":true}"#; 10_001].join(",");
    vec![
        case("cut off", post(), r#"{"readings":[{"slot":"A-1","#, (400, "malformed_json")),
        case("not JSON", post(), "occupied", (400, "malformed_json")),
        case("two documents", post(), "{} {}", (400, "malformed_request")),
        case("not UTF-8 in disguise", post(), r#"{"readings":"\ud800"}"#, (400, "malformed_json")),
        case("another shape", post(), r#"{"readings":{}}"#, (400, "malformed_request")),
        case("nothing", post(), "{}", (400, "malformed_request")),
        case("no body", post(), "", (400, "malformed_json")),
        case(
            "a field too many",
            post(),
            r#"{"readings":[{"slot":"A-1","occupied":true,"colour":"red"}]}"#,
            (400, "malformed_request"),
        ),
        case(
            "a time that is none",
            post(),
            r#"{"readings":[{"slot":"A-1","occupied":true,"observed_at":"noon"}]}"#,
            (400, "malformed_request"),
        ),
        case(
            "surer than sure",
            post(),
            r#"{"readings":[{"slot":"A-1","occupied":true,"confidence":2}]}"#,
            (422, "validation_failed"),
        ),
        case("an empty batch", post(), r#"{"readings":[]}"#, (422, "validation_failed")),
        case("10,001", post(), format!(r#"{{"readings":[{many}]}}"#), (422, "validation_failed")),
        case(
            "no such lot",
            (Method::POST, "/api/v1/lots/L9/readings", Role::Device),
            r#"{"readings":[{"slot":"A-1","occupied":true}]}"#,
            (404, "lot_not_found"),
        ),
        case(
            "a driver",
            (Method::POST, READINGS, Role::Driver),
            r#"{"readings":[{"slot":"A-1","occupied":true}]}"#,
            (403, "role_not_allowed"),
        ),
    ]
}

fn write_cases() -> Vec<Case> {
    let lots = || (Method::POST, "/api/v1/lots", Role::Operator);
    let bays = || (Method::POST, "/api/v1/lots/L1/counts", Role::Device);
    let gates = || (Method::POST, "/api/v1/lots/P1/counts", Role::Device);
    let later = format!(r#"{{"occupied":1,"observed_at":"{}"}}"#, minutes(60));
    vec![
        case("a taken code", lots(), bayed("L1", 1).to_string(), (409, "lot_code_taken")),
        case("a bad code", lots(), bayed("L 1", 1).to_string(), (422, "validation_failed")),
        case("no slots", lots(), bayed("L2", 0).to_string(), (422, "validation_failed")),
        case("no places", lots(), counted("P2", 0).to_string(), (422, "validation_failed")),
        case("no kind", lots(), r#"{"code":"L2","name":"n"}"#, (400, "malformed_request")),
        case("count of a bayed lot", bays(), r#"{"entered":1}"#, (422, "not_counted")),
        case("count of nothing", gates(), "{}", (422, "validation_failed")),
        case("count of the future", gates(), later, (422, "reading_in_future")),
    ]
}

fn reservation_cases() -> Vec<Case> {
    let window = json!({"lot": "L1", "from": minutes(60), "to": minutes(120)});
    let with = |members: serde_json::Value| {
        let mut body = window.clone();
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        body.to_string()
    };
    let both = json!({"slot": "A-1", "needs": {}});
    [
        ("slot and needs", both, (422, "validation_failed")),
        ("no such slot", json!({"slot": "Z-1"}), (404, "slot_not_found")),
        ("no such lot", json!({"lot": "L9"}), (404, "lot_not_found")),
        ("no such feature", json!({"needs": {"features": ["helipad"]}}), (422, "no_slot_fits")),
        ("backwards", json!({"to": minutes(30)}), (422, "window_empty")),
        ("yesterday", json!({"from": minutes(-1_440)}), (422, "window_in_past")),
        ("years", json!({"to": minutes(1_000_000)}), (422, "window_too_long")),
        ("a plate that is none", json!({"vehicle": {"plate": "!"}}), (422, "validation_failed")),
        ("held for nothing", json!({"hold_seconds": 0}), (422, "validation_failed")),
        ("a field too many", json!({"colour": "red"}), (400, "malformed_request")),
        ("an id that is none", json!({"id": "7"}), (400, "malformed_request")),
    ]
    .into_iter()
    .map(|(name, members, wanted)| {
        let request = (Method::POST, "/api/v1/reservations", Role::Driver);
        case(name, request, with(members), wanted)
    })
    .collect()
}

fn read_cases() -> Vec<Case> {
    [
        ("/api/v1/lots?color=red", (400, "malformed_request")),
        ("/api/v1/lots?limit=5&limit=6", (400, "malformed_request")),
        ("/api/v1/lots?cursor=xyz", (400, "malformed_cursor")),
        ("/api/v1/lots?limit=0", (400, "malformed_request")),
        ("/api/v1/lots?limit=501", (400, "malformed_request")),
        ("/api/v1/lots?near=91,0", (400, "malformed_request")),
        ("/api/v1/lots?radius_km=1", (400, "malformed_request")),
        ("/api/v1/lots?near=0,0&radius_km=NaN", (400, "malformed_request")),
        ("/api/v1/lots/L1/slots?status=closed", (400, "malformed_request")),
        ("/api/v1/lots/L1/availability?from=2026-03-01T09:00:00Z", (400, "malformed_request")),
        ("/api/v1/lots/L1/availability?zone=z1", (400, "malformed_request")),
        ("/api/v1/lots/L1/slots/Z-1", (404, "slot_not_found")),
        ("/api/v1/lots/%FF", (400, "malformed_request")),
        ("/api/v1/reservations/7", (404, "reservation_not_found")),
        ("/api/v1/events?type=slot.exploded", (400, "malformed_request")),
        ("/api/v1/cars", (404, "not_found")),
    ]
    .into_iter()
    .map(|(path, wanted)| case(path, (Method::GET, path, Role::Operator), "", wanted))
    .chain([
        case("log", (Method::GET, "/api/v1/events", Role::Driver), "", (403, "role_not_allowed")),
        case(
            "delete",
            (Method::DELETE, "/api/v1/lots/L1", Role::Admin),
            "",
            (405, "method_not_allowed"),
        ),
    ])
    .collect()
}

async fn server() -> Server {
    let server = with_lot(2).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &counted("P1", 10)).await);
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_has_its_status_and_code() {
    let server = server().await;
    let before = server.get(Role::Display, "/api/v1/lots/L1/availability").await.expect(200);
    let cases = [readings_cases(), write_cases(), reservation_cases(), read_cases()];
    for case in cases.into_iter().flatten() {
        let mut request = server.request(case.method, case.path).bearer_auth(token(case.role));
        if !case.body.is_empty() {
            request = request.header("content-type", "application/json").body(case.body);
        }
        let answer = read(request).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), case.wanted, "{}", case.name);
    }
    let after = server.get(Role::Display, "/api/v1/lots/L1/availability").await.expect(200);
    assert_eq!(before["seq"], after["seq"], "nothing that was refused has an effect");
    server.get(Role::Display, "/readyz").await.expect(200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_point_at_what_is_wrong() {
    let server = server().await;
    for (body, pointer) in [
        (
            r#"{"readings":[{"slot":"A-1","occupied":true},{"slot":"A-1","ocupied":true}]}"#,
            "/readings/1/ocupied",
        ),
        (r#"{"readings":[{"slot":"A-1","occupied":"yes"}]}"#, "/readings/0/occupied"),
        (
            r#"{"readings":[{"slot":"A-1","occupied":true,"confidence":2}]}"#,
            "/readings/0/confidence",
        ),
    ] {
        let request = server.request(Method::POST, READINGS).bearer_auth(token(Role::Device));
        let answer = read(request.header("content-type", "application/json").body(body)).await;
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{}", answer.text);
    }
    let request = server.request(Method::POST, READINGS).bearer_auth(token(Role::Device));
    let answer = read(request.header("content-type", "application/json").body("{\n\"a\" 1}")).await;
    assert!(answer.json()["detail"].as_str().unwrap().contains("line 2 column"), "{}", answer.text);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_the_wrong_size_or_type_are_refused() {
    let server = Server::start_with(|config| config.server.body_bytes_max = 1_024).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", 1)).await);
    let post = || server.request(Method::POST, READINGS).bearer_auth(token(Role::Device));
    let large = format!(r#"{{"readings":[{}]}}"#, " ".repeat(4_096));
    for (name, request, wanted) in [
        (
            "oversize",
            post().header("content-type", "application/json").body(large),
            (413, "body_too_large"),
        ),
        (
            "form",
            post().header("content-type", "application/x-www-form-urlencoded").body("a=1"),
            (415, "unsupported_media_type"),
        ),
        ("untyped", post().body("{}"), (415, "unsupported_media_type")),
        (
            "with a charset",
            post().header("content-type", "application/json; charset=utf-8").body("{}"),
            (400, "malformed_request"),
        ),
    ] {
        let answer = read(request).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), wanted, "{name}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_from_2036_is_refused_by_its_index_and_the_others_go_on() {
    let server = server().await;
    let body = json!({"readings": [
        {"slot": "A-1", "occupied": true, "observed_at": "2036-02-07T06:28:16Z"},
        {"slot": "Z-9", "occupied": true},
        {"slot": "A-2", "occupied": true},
    ]});
    let answer = server.post(Role::Device, READINGS, &body).await.expect(200);
    assert_eq!(answer["accepted"], 1);
    assert_eq!(
        answer["refused"],
        json!([{"index": 0, "code": "reading_in_future"}, {"index": 1, "code": "slot_not_found"}])
    );
    let slot = server.get(Role::Display, "/api/v1/lots/L1/slots/A-1").await.expect(200);
    assert_eq!(slot["status"], "unknown");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tenants_things_are_not_there() {
    let server = server().await;
    let made = json!({"lot": "L1", "from": minutes(60), "to": minutes(120)});
    let made = server.post(Role::Driver, "/api/v1/reservations", &made).await.expect(201);
    let lot = server.get(Role::Display, "/api/v1/lots/L1").await.expect(200);
    let other = mint(&Grant { tenant: "other".into(), ..grant(Role::Admin) });
    let reservation = format!("/api/v1/reservations/{}", made["id"].as_str().unwrap());
    let by_id = format!("/api/v1/lots/{}", lot["id"].as_str().unwrap());
    for (path, code) in [
        ("/api/v1/lots/L1", "lot_not_found"),
        (by_id.as_str(), "lot_not_found"),
        ("/api/v1/lots/L1/slots/A-1", "lot_not_found"),
        ("/api/v1/lots/L1/availability", "lot_not_found"),
        (reservation.as_str(), "reservation_not_found"),
        ("/api/v1/events?lot=L1", "lot_not_found"),
    ] {
        let answer = server.send(Method::GET, path, Some(&other), None).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, code), "{path}");
    }
    for path in ["/api/v1/lots", "/api/v1/reservations", "/api/v1/events"] {
        let page = server.send(Method::GET, path, Some(&other), None).await.expect(200);
        assert_eq!(page["items"], json!([]), "{path}");
    }
    let limited = mint(&Grant { lots: Some(vec!["P1".into()]), ..grant(Role::Device) });
    let answer = server.send(Method::GET, "/api/v1/lots/L1", Some(&limited), None).await;
    assert_eq!(answer.code(), "lot_not_allowed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_told_without_a_good_token() {
    let server = server().await;
    let good = token(Role::Admin);
    let forged = format!("{}x", &good[..good.len() - 1]);
    for path in ["/api/v1/lots", "/api/v1/lots/L1", "/api/v1/lots/L9", "/api/v1/reservations"] {
        for (sent, code) in [
            (None, "token_missing"),
            (Some(forged.as_str()), "token_invalid"),
            (Some("x"), "token_invalid"),
        ] {
            let answer = server.send(Method::GET, path, sent, None).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, code), "{path}");
        }
    }
    for path in ["/livez", "/readyz", "/openapi.json", "/metrics"] {
        let answer = server.send(Method::GET, path, None, None).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    server.stop().await;
}
