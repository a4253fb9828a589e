//! Does the list of lots find what was asked for, in order, page by page?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::Server;
use http_common::{bayed, column, counted, created, minutes, reading};
use lotkeeper_gateway::auth::Role;
use serde_json::{Value, json};

/// Three bayed lots on a line through Berlin and a counted one far away.
async fn city() -> Server {
    let server = Server::start().await;
    for (code, lat, features, size) in [
        ("B1", 52.52, json!(["ev"]), "standard"),
        ("B2", 52.53, json!(["ev", "covered"]), "compact"),
        ("B3", 52.60, json!([]), "oversized"),
    ] {
        let lot = json!({
            "code": code, "name": code, "kind": "bayed", "city": "Berlin", "position": {"lat": lat, "lon": 13.4},
            "slots": [{"code": "1", "features": features, "size": size}, {"code": "2", "size": "compact"}],
        });
        created(&server.post(Role::Operator, "/api/v1/lots", &lot).await);
    }
    let mut far = counted("P1", 5);
    far["city"] = json!("Bath");
    created(&server.post(Role::Operator, "/api/v1/lots", &far).await);
    let free = json!({"readings": [reading("1", false), reading("2", true)]});
    server.post(Role::Device, "/api/v1/lots/B1/readings", &free).await.expect(200);
    server.post(Role::Device, "/api/v1/lots/P1/counts", &json!({"occupied": 2})).await.expect(200);
    server
}

async fn found(server: &Server, query: &str) -> Value {
    server.get(Role::Display, &format!("/api/v1/lots?{query}")).await.expect(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_find_the_lots_they_name() {
    let server = city().await;
    for (query, codes) in [
        ("", &["B1", "B2", "B3", "P1"][..]),
        ("city=berlin", &["B1", "B2", "B3"]),
        ("city=Paris", &[]),
        ("features=ev", &["B1", "B2"]),
        ("features=ev,covered", &["B2"]),
        ("features=helipad", &[]),
        ("vehicle_size=large", &["B3"]),
        ("vehicle_size=compact", &["B1", "B2", "B3"]),
        ("features=ev&vehicle_size=standard", &["B1"]),
        ("free_min=1", &["B1", "P1"]),
        ("free_min=2", &["P1"]),
        ("features=ev&free_min=1", &["B1"]),
        ("features=covered&free_min=1", &[]),
        ("near=52.52,13.4", &["B1", "B2", "B3"]),
        ("near=52.52,13.4&radius_km=2", &["B1", "B2"]),
        ("near=52.60,13.4", &["B3", "B2", "B1"]),
        ("near=0,0", &[]),
    ] {
        assert_eq!(column(&found(&server, query).await, "code"), codes, "{query}");
    }
    let near = found(&server, "near=52.52,13.4&radius_km=2").await;
    let distance_km = near["items"][1]["distance_km"].as_f64().unwrap();
    assert!((1.10..1.13).contains(&distance_km), "{distance_km}");
    server.stop().await;
}

/// Lots come, move, change and go off the list at run time, and a search finds them as they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_is_found_as_it_is_now() {
    let server = city().await;
    let near = "near=52.52,13.4&radius_km=2";
    let change = |code: &str, body: Value| {
        let path = format!("/api/v1/lots/{code}");
        let server = &server;
        async move { server.patch(Role::Operator, &path, &body).await.expect(200) }
    };
    change("B3", json!({"position": {"lat": 52.521, "lon": 13.4}})).await;
    assert_eq!(column(&found(&server, near).await, "code"), ["B1", "B3", "B2"]);
    change("B1", json!({"position": null})).await;
    assert_eq!(column(&found(&server, near).await, "code"), ["B3", "B2"]);
    change("B1", json!({"position": {"lat": 52.52, "lon": 13.4}, "city": "Potsdam"})).await;
    let city = format!("{near}&city=POTSDAM");
    assert_eq!(column(&found(&server, &city).await, "code"), ["B1"]);
    change("B2", json!({"about": {"category": "mall"}})).await;
    let mall = format!("{near}&category=mall");
    assert_eq!(column(&found(&server, &mall).await, "code"), ["B2"]);
    let ev = format!("{near}&features=helipad");
    assert!(column(&found(&server, &ev).await, "code").is_empty());
    let body = json!({"features": ["helipad"]});
    server.patch(Role::Operator, "/api/v1/lots/B3/slots/1", &body).await.expect(200);
    assert_eq!(column(&found(&server, &ev).await, "code"), ["B3"]);

    change("B3", json!({"about": {"listing": "paused"}})).await;
    for role in [Role::Driver, Role::Device, Role::Display] {
        for query in [near, "city=berlin", "listing=paused", "listing=paused&sort=free"] {
            let lots = server.get(role, &format!("/api/v1/lots?{query}")).await.expect(200);
            assert!(!column(&lots, "code").contains(&"B3"), "{role:?} {query}");
        }
    }
    for (query, codes) in [
        ("listing=paused", &["B3"][..]),
        ("listing=listed", &["B1", "B2", "P1"]),
        ("", &["B1", "B2", "B3", "P1"]),
    ] {
        let lots = server.get(Role::Staff, &format!("/api/v1/lots?{query}")).await.expect(200);
        assert_eq!(column(&lots, "code"), codes, "{query}");
    }
    server.stop().await;
}

/// Room in a window is told with how it is known, counted, and sorted by.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_in_a_window_is_what_nobody_was_promised() {
    let server = city().await;
    let window = |from: &str, to| format!("from={from}&to={}", minutes(to));
    let later_from = minutes(240);
    let (soon, later) = (window(&minutes(1), 60), window(&later_from, 300));
    let book = json!({"lot": "B2", "slot": "1", "from": minutes(250), "to": minutes(260)});
    server.post(Role::Driver, "/api/v1/reservations", &book).await.expect(201);
    let b1 = json!({"service": {"state": "out_of_service"}});
    server.patch(Role::Operator, "/api/v1/lots/B1/slots/1", &b1).await.expect(200);
    server.patch(Role::Operator, "/api/v1/lots/B1/slots/2", &b1).await.expect(200);
    for (query, codes, open) in [
        (later.clone(), &["B1", "B2", "B3", "P1"][..], vec![Some(0), Some(1), Some(2), None]),
        (soon.clone(), &["B1", "B2", "B3", "P1"], vec![Some(0), Some(2), Some(2), Some(3)]),
        (format!("{later}&free_min=1"), &["B2", "B3"], vec![Some(1), Some(2)]),
        (format!("{later}&free_min=1&sort=free"), &["B3", "B2"], vec![Some(2), Some(1)]),
        (
            format!("{soon}&sort=free"),
            &["P1", "B2", "B3", "B1"],
            vec![Some(3), Some(2), Some(2), Some(0)],
        ),
        (format!("{later}&features=covered&free_min=1"), &[], vec![]),
        (format!("{soon}&features=covered&free_min=1"), &["B2"], vec![Some(1)]),
        (format!("{later}&kind=counted"), &["P1"], vec![None]),
        (
            format!("{later}&near=52.60,13.4&sort=free"),
            &["B3", "B2", "B1"],
            vec![Some(2), Some(1), Some(0)],
        ),
    ] {
        let answer = found(&server, &query).await;
        assert_eq!(column(&answer, "code"), codes, "{query}");
        let items = answer["items"].as_array().unwrap();
        let told: Vec<Option<u64>> = items.iter().map(|lot| lot["room"]["open"].as_u64()).collect();
        assert_eq!(told, open, "{query}");
    }
    for (window, known) in [(&soon, "count"), (&later, "nothing")] {
        let room =
            found(&server, &format!("{window}&kind=counted")).await["items"][0]["room"].clone();
        assert_eq!(room["known"], known, "{window}");
    }
    let lot = found(&server, &format!("{later}&kind=bayed")).await["items"][1].clone();
    assert_eq!(
        (&lot["room"]["known"], &lot["room"]["from"]),
        (&json!("promises"), &json!(later_from))
    );
    assert!(found(&server, "").await["items"][0].get("room").is_none());
    server.stop().await;
}

/// A slot for some types of vehicles is found by who says one of them, and the type counts in free places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_type_of_the_vehicle_is_asked_of_the_same_slot_as_the_rest() {
    let server = Server::start().await;
    let lot = json!({"code": "T", "name": "T", "kind": "bayed", "slots": [
        {"code": "1", "vehicle_types": ["taxi"], "features": ["ev"]},
        {"code": "2", "vehicle_types": ["van"], "size": "large"},
    ]});
    created(&server.post(Role::Operator, "/api/v1/lots", &lot).await);
    let free = json!({"readings": [reading("1", false), reading("2", false)]});
    server.post(Role::Device, "/api/v1/lots/T/readings", &free).await.expect(200);
    for (query, is_found) in [
        ("vehicle_type=taxi", true),
        ("vehicle_type=taxi&features=ev&free_min=1", true),
        ("vehicle_type=taxi&free_min=2", false),
        ("vehicle_type=van&features=ev", false),
        ("vehicle_type=lorry", false),
        ("vehicle_size=compact", false),
        ("", true),
    ] {
        assert_eq!(column(&found(&server, query).await, "code").len() == 1, is_found, "{query}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_that_cannot_be_is_refused_by_name() {
    let server = city().await;
    let (one, two) = (minutes(60), minutes(120));
    for (query, code) in [
        ("sort=price".to_owned(), "malformed_request"),
        ("sort=distance".to_owned(), "malformed_request"),
        ("radius_km=2".to_owned(), "malformed_request"),
        ("near=91,0".to_owned(), "malformed_request"),
        ("near=1,1&radius_km=-1".to_owned(), "malformed_request"),
        ("near=1,1&radius_km=NaN".to_owned(), "malformed_request"),
        ("kind=round".to_owned(), "malformed_request"),
        ("listing=gone".to_owned(), "malformed_request"),
        (format!("from={one}"), "malformed_request"),
        (format!("to={one}"), "malformed_request"),
        (format!("from={two}&to={one}"), "window_empty"),
        ("cursor=6c4231".to_owned(), "malformed_cursor"),
    ] {
        let refused = server.get(Role::Driver, &format!("/api/v1/lots?{query}")).await;
        assert_eq!(refused.code(), code, "{query}");
    }
    server.stop().await;
}

/// Lots of another tenant are not there, wherever they are and however they are asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lots_of_another_tenant_are_not_found() {
    let server = city().await;
    let foreign = common::mint(&lotkeeper_gateway::auth::Grant {
        tenant: "other".into(),
        ..common::grant(Role::Admin)
    });
    for query in ["", "near=52.52,13.4", "sort=free", "city=berlin", "near=52.52,13.4&sort=free"] {
        let path = format!("/api/v1/lots?{query}");
        let answer = server.send(reqwest::Method::GET, &path, Some(&foreign), None).await;
        assert!(column(&answer.expect(200), "code").is_empty(), "{query}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_join_without_gap_or_repetition() {
    let server = city().await;
    for (query, codes) in [
        ("limit=1", &["B1", "B2", "B3", "P1"][..]),
        ("limit=1&near=52.60,13.4", &["B3", "B2", "B1"]),
        ("limit=1&near=52.60,13.4&sort=code", &["B1", "B2", "B3"]),
        ("limit=1&sort=free", &["P1", "B1", "B2", "B3"]),
        ("limit=1&near=52.60,13.4&sort=free", &["B1", "B3", "B2"]),
    ] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = found(&server, &format!("{query}{cursor}")).await;
            assert_eq!(page["items"].as_array().unwrap().len(), 1);
            seen.push(page["items"][0]["code"].as_str().unwrap().to_owned());
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, codes, "{query}");
    }
    let page = found(&server, "limit=1").await;
    let foreign = format!("/api/v1/lots/B1/slots?cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(server.get(Role::Display, &foreign).await.code(), "malformed_cursor");
    server.stop().await;
}

/// By what the stay costs, as a quote says; who says no price comes last, another currency after the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cheapest_for_the_stay_comes_first() {
    let server = Server::start().await;
    for (code, currency) in [("A", "EUR"), ("B", "EUR"), ("C", "EUR"), ("D", "CHF"), ("E", "EUR")] {
        let mut lot = bayed(code, 2);
        lot["currency"] = json!(currency);
        created(&server.post(Role::Operator, "/api/v1/lots", &lot).await);
    }
    let flat = |amount| json!({"flat": {"amount": amount}});
    let hourly = json!({"hourly": {"tiers": [{"amount": 100, "begun": true}]}});
    for (code, rate) in [("A", flat(500)), ("B", hourly), ("C", flat(300)), ("D", flat(900))] {
        let tariff = json!({"tariff": {"name": "T", "rate": rate}});
        created(
            &server.post(Role::Operator, &format!("/api/v1/lots/{code}/tariffs"), &tariff).await,
        );
    }
    let start = minutes(60);
    let stay = |end: i64| format!("sort=price&from={start}&to={}", minutes(60 + end));
    // Two hours begun cost 2.00, ten cost 10.00: the same lots in another order.
    for (window, codes) in
        [(stay(119), ["D", "B", "C", "A", "E"]), (stay(599), ["D", "C", "A", "B", "E"])]
    {
        let page = found(&server, &window).await;
        assert_eq!(column(&page, "code"), codes, "{window}");
        for lot in page["items"].as_array().unwrap() {
            let (from, to) = window.split_once("&from=").unwrap().1.split_once("&to=").unwrap();
            let ask = json!({"lot": lot["code"], "from": from, "to": to});
            let quote = server.post(Role::Driver, "/api/v1/quotes", &ask).await.expect(200);
            let total = quote["price"]["total"].clone();
            assert_eq!(lot.get("price").unwrap_or(&Value::Null), &total, "{}", lot["code"]);
        }
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = found(&server, &format!("{window}&limit=2{cursor}")).await;
            seen.extend(column(&page, "code").into_iter().map(str::to_owned));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, codes, "{window}");
    }
    // Who takes nobody has no price, however low it was; with room asked for or without.
    let paused = json!({"about": {"listing": "paused"}});
    server.patch(Role::Operator, "/api/v1/lots/B", &paused).await.expect(200);
    let here = server.get(Role::Staff, &format!("/api/v1/lots?{}", stay(119))).await.expect(200);
    assert_eq!(column(&here, "code"), ["D", "C", "A", "B", "E"]);
    assert!(here["items"][3].get("price").is_none());
    let room = format!("/api/v1/lots?{}&free_min=1", stay(119));
    let room = server.get(Role::Staff, &room).await.expect(200);
    assert_eq!(column(&room, "code"), ["D", "C", "A", "E"]);
    // Only where the list goes by it, prices are asked for.
    assert!(found(&server, "").await["items"][0].get("price").is_none());
    let year = format!("sort=price&from={start}&to={}", minutes(370 * 24 * 60));
    let refused = server.get(Role::Driver, &format!("/api/v1/lots?{year}")).await;
    assert_eq!(refused.code(), "window_too_long");
    server.stop().await;
}
