//! `docs/metrics.md` and a scrape say the same: names, types, labels.
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::Server;
use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::json;

const DOCUMENT: &str = include_str!("../../docs/metrics.md");

#[derive(Debug, PartialEq, Eq)]
struct Metric {
    kind: String,
    labels: BTreeSet<String>,
}

/// Of every row: the metric, and whether it appears with its first event only.
fn documented() -> BTreeMap<String, (Metric, bool)> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| `lotkeeper_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, when, meaning] = cells[..] else { panic!("five cells: {row}") };
        assert!(!meaning.is_empty() && ["", "later"].contains(&when), "{row}");
        let labels = labels.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let metric = Metric { kind: kind.to_owned(), labels };
        (name.trim_matches('`').to_owned(), (metric, when == "later"))
    })
    .collect()
}

fn scraped(text: &str) -> BTreeMap<String, Metric> {
    let mut found: BTreeMap<String, Metric> = BTreeMap::new();
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            let metric = Metric { kind: kind.to_owned(), labels: BTreeSet::new() };
            assert!(found.insert(name.to_owned(), metric).is_none(), "{name} twice");
        } else if !line.starts_with('#') {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let parts = ["", "_bucket", "_sum", "_count"].map(|end| name.strip_suffix(end));
            let owner = parts.into_iter().flatten().find(|name| found.contains_key(*name)).unwrap();
            let names = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0));
            let names = names.filter(|label| *label != "le").map(str::to_owned);
            found.get_mut(owner).unwrap().labels.extend(names);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn scrape_and_document_say_the_same() {
    let server = Server::start().await;
    let lot = json!({"code": "P1", "name": "One", "kind": "counted", "capacity": 5});
    server.post(Role::Operator, "/api/v1/lots", &lot).await.expect(201);
    let id = "/api/v1/reservations/01990000-0000-7000-8000-000000000000/cancel";
    server.post(Role::Operator, id, &json!({})).await;
    let answer = server.send(Method::GET, "/metrics", None, None).await;
    let kind = answer.headers["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");

    let (documented, scraped) = (documented(), scraped(&answer.text));
    for (name, metric) in &scraped {
        let (row, _) = documented.get(name).unwrap_or_else(|| panic!("{name} has no row"));
        assert_eq!(row, metric, "{name}");
    }
    for (name, (_, later)) in &documented {
        assert!(*later || scraped.contains_key(name), "{name} is documented and not scraped");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_are_templates_and_refusals_are_counted_by_code() {
    let server = Server::start().await;
    for path in ["/api/v1/lots/A", "/api/v1/lots/B"] {
        assert_eq!(server.get(Role::Driver, path).await.status, 404);
    }
    server.send(Method::GET, "/invented/by/a/client", None, None).await;
    server.send(Method::from_bytes(b"INVENTED").unwrap(), "/livez", None, None).await;
    let text = server.running.app.metrics.text();
    for line in [
        r#"lotkeeper_http_requests_total{method="GET",route="/api/v1/lots/{lot}",status="404"} 2"#,
        r#"lotkeeper_http_requests_total{method="GET",route="none",status="404"} 1"#,
        r#"lotkeeper_http_requests_total{method="other",route="/livez",status="405"} 1"#,
        r#"lotkeeper_http_problems_total{code="lot_not_found"} 2"#,
        r#"lotkeeper_http_problems_total{code="token_missing"} 0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
    assert!(!text.contains("invented") && !text.contains("INVENTED"));
    server.stop().await;
}
