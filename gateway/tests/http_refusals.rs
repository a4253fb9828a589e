//! Does bad input get the right status and code, and does the server live on?

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

fn other_cases() -> Vec<Case> {
    let lots = || (Method::POST, "/api/v1/lots", Role::Operator);
    let book = || (Method::POST, "/api/v1/reservations", Role::Driver);
    let counts = |path| (Method::POST, path, Role::Device);
    let get = |path| (Method::GET, path, Role::Operator);
    let window = json!({"lot": "L1", "from": minutes(60), "to": minutes(120)});
    let with = |name: &str, value: serde_json::Value| {
        let mut body = window.clone();
        body[name] = value;
        body.to_string()
    };
    let later = minutes(60);
    vec![
        case("a taken code", lots(), bayed("L1", 1).to_string(), (409, "lot_code_taken")),
        case("a bad code", lots(), bayed("L 1", 1).to_string(), (422, "validation_failed")),
        case("no slots", lots(), bayed("L2", 0).to_string(), (422, "validation_failed")),
        case("no places", lots(), counted("P2", 0).to_string(), (422, "validation_failed")),
        case("no kind", lots(), r#"{"code":"L2","name":"n"}"#, (400, "malformed_request")),
        case(
            "count of a bayed lot",
            counts("/api/v1/lots/L1/counts"),
            r#"{"entered":1}"#,
            (422, "not_counted"),
        ),
        case(
            "count of nothing",
            counts("/api/v1/lots/P1/counts"),
            "{}",
            (422, "validation_failed"),
        ),
        case(
            "count of the future",
            counts("/api/v1/lots/P1/counts"),
            format!(r#"{{"occupied":1,"observed_at":"{later}"}}"#),
            (422, "reading_in_future"),
        ),
        case(
            "slot and needs",
            book(),
            with("slot", json!("A-1")).replace('}', r#","needs":{}}"#),
            (422, "validation_failed"),
        ),
        case("no such slot", book(), with("slot", json!("Z-1")), (404, "slot_not_found")),
        case(
            "no such feature",
            book(),
            with("needs", json!({"features": ["helipad"]})),
            (422, "no_slot_fits"),
        ),
        case("backwards", book(), with("to", json!(minutes(30))), (422, "window_empty")),
        case("yesterday", book(), with("from", json!(minutes(-1_440))), (422, "window_in_past")),
        case("years", book(), with("to", json!(minutes(1_000_000))), (422, "window_too_long")),
        case(
            "a plate that is none",
            book(),
            with("vehicle", json!({"plate": "!"})),
            (422, "validation_failed"),
        ),
        case(
            "held for nothing",
            book(),
            with("hold_seconds", json!(0)),
            (422, "validation_failed"),
        ),
        case("an unknown parameter", get("/api/v1/lots?color=red"), "", (400, "malformed_request")),
        case("a cursor of nobody", get("/api/v1/lots?cursor=xyz"), "", (400, "malformed_cursor")),
        case("a limit of none", get("/api/v1/lots?limit=0"), "", (400, "malformed_request")),
        case("a limit too high", get("/api/v1/lots?limit=501"), "", (400, "malformed_request")),
        case("nowhere", get("/api/v1/lots?near=91,0"), "", (400, "malformed_request")),
        case(
            "an unknown status",
            get("/api/v1/lots/L1/slots?status=closed"),
            "",
            (400, "malformed_request"),
        ),
        case(
            "half a window",
            get("/api/v1/lots/L1/availability?from=2026-03-01T09:00:00Z"),
            "",
            (400, "malformed_request"),
        ),
        case("no such slot to see", get("/api/v1/lots/L1/slots/Z-1"), "", (404, "slot_not_found")),
        case("not an id", get("/api/v1/reservations/7"), "", (404, "reservation_not_found")),
        case(
            "an unknown event",
            get("/api/v1/events?type=slot.exploded"),
            "",
            (400, "malformed_request"),
        ),
        case(
            "events for a driver",
            (Method::GET, "/api/v1/events", Role::Driver),
            "",
            (403, "role_not_allowed"),
        ),
        case("no such path", get("/api/v1/cars"), "", (404, "not_found")),
        case(
            "no such method",
            (Method::DELETE, "/api/v1/lots/L1", Role::Admin),
            "",
            (405, "method_not_allowed"),
        ),
    ]
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
    for case in readings_cases().into_iter().chain(other_cases()) {
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
async fn bodies_of_the_wrong_size_or_type_are_refused_and_the_sender_hears_it() {
    let server = Server::start_with(|config| config.server.body_bytes_max = 64 * 1024).await;
    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L1", 1)).await);
    let post = || server.request(Method::POST, READINGS).bearer_auth(token(Role::Device));
    let large = format!(r#"{{"readings":[{}]}}"#, " ".repeat(1_024 * 1_024));
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
