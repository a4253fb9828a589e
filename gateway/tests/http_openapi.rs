//! Does `docs/openapi.json` say what the code does? `LOTKEEPER_BLESS=1` rewrites it.

#![allow(clippy::unwrap_used)] // tests state what they expect

use std::path::Path;

use lotkeeper_gateway::http::document;
use serde_json::Value;

fn generated() -> String {
    let mut text = serde_json::to_string_pretty(&document()).unwrap();
    text.push('\n');
    text
}

fn value() -> Value {
    serde_json::from_str(&generated()).unwrap()
}

#[test]
fn checked_in_description_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let generated = generated();
    if std::env::var_os("LOTKEEPER_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(&path, &generated).unwrap();
        return;
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = checked_in.lines().zip(generated.lines()).position(|(old, new)| old != new);
    assert!(
        checked_in == generated,
        "docs/openapi.json is not what the code says (first at line {:?}); run \
         `LOTKEEPER_BLESS=1 cargo test -p lotkeeper-gateway --test http_openapi` and commit it",
        differs.map(|line| line + 1)
    );
}

#[test]
fn every_row_of_the_contract_is_described() {
    let document = value();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, methods) in [
        ("/api/v1/lots", &["get", "post"][..]),
        ("/api/v1/lots/{lot}", &["get", "patch"]),
        ("/api/v1/lots/{lot}/availability", &["get"]),
        ("/api/v1/lots/{lot}/slots", &["get"]),
        ("/api/v1/lots/{lot}/slots/{slot}", &["get", "patch"]),
        ("/api/v1/lots/{lot}/readings", &["post"]),
        ("/api/v1/lots/{lot}/counts", &["post"]),
        ("/api/v1/reservations", &["get", "post"]),
        ("/api/v1/reservations/{id}", &["get", "patch"]),
        ("/api/v1/reservations/{id}/confirm", &["post"]),
        ("/api/v1/reservations/{id}/cancel", &["post"]),
        ("/api/v1/events", &["get"]),
        ("/livez", &["get"]),
        ("/readyz", &["get"]),
        ("/metrics", &["get"]),
        ("/openapi.json", &["get"]),
    ] {
        for method in methods {
            assert!(document["paths"][path][method].is_object(), "{method} {path}");
        }
    }
}

/// Every `$ref` leads somewhere: generators of clients stop at the first that does not.
#[test]
fn every_reference_is_defined() {
    let document = value();
    let mut broken = Vec::new();
    visit(&document, &mut |value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap_or("/outside");
            if document.pointer(pointer).is_none() {
                broken.push(reference.to_owned());
            }
        }
    });
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn every_refusal_has_the_problem_shape() {
    let document = value();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                let refusal = status.starts_with(['4', '5']);
                let described = schema == "#/components/schemas/Problem";
                assert_eq!(described, refusal, "{method} {path} {status}");
            }
        }
    }
}

fn visit(value: &Value, see: &mut impl FnMut(&Value)) {
    see(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
        Value::Object(members) => members.values().for_each(|member| visit(member, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
