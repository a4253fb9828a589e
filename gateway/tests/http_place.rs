//! Does a lot keep and show everything it is made of: address, what people are told, all rules, the allocation?

#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
mod http_common;

use common::Server;
use http_common::{bayed, created, minutes, with_lot};
use lotkeeper_gateway::auth::Role;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/lots/L1";

fn rules() -> Value {
    json!({
        "hold_seconds": 1, "hold_lead_seconds": 2, "no_show_seconds": 3, "silence_seconds": 4, "skew_seconds": 5,
        "arrival": "proved", "early_entry_seconds": 6, "stay_max_seconds": 7, "auto_exit_seconds": 8,
        "settlement": "on_account", "exit_window_seconds": 9, "drive_in": false, "plate_once": "tenant",
        "fuzzy_plates": true, "confidence_min_percent": 90, "repeat_window_seconds": 10,
        "remind_before_start_seconds": 11, "remind_before_end_seconds": 12, "offer_seconds": 13,
        "overstay_grace_seconds": 14, "overstay_notice_first_seconds": 15,
        "overstay_notice_every_seconds": 16, "overstay_notices_max": 17, "drive_in_stay_seconds": 18,
        "gates_count": false, "enforce_slots": true, "enforce_grace_seconds": 19, "change_until_seconds": 20,
    })
}

/// A lot with everything that may be said of it.
fn rich() -> Value {
    json!({
        "code": "L1", "name": "Market Street", "kind": "bayed",
        "address": {"country": "DE", "street": "Marktstraße 1", "state": "Berlin", "postal_code": "10178"},
        "about": {
            "description": "Under the market.\nLow ceiling.", "category": "garage", "listing": "paused",
            "hours": [{"days": ["mon", "sun"], "from": "22:00", "to": "06:30"}],
            "access": "Ring at the gate", "images": ["https://example.org/a.jpg?size=2"],
        },
        "allocation": [{"fill_zones": ["z2", "z1"]}, "nearest_entrance", "smallest_fit", "keep_special"],
        "rules": rules(),
        "zones": [{"code": "z1"}, {"code": "z2"}],
        "slots": [{"code": "A-1", "vehicle_types": ["car", "van"], "walk_metres": 40}],
    })
}

const MEMBERS: [&str; 4] = ["address", "about", "allocation", "rules"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lot_is_told_to_be_it_shows_and_records() {
    let server = Server::start().await;
    created(&server.post(Role::Operator, "/api/v1/lots", &rich()).await);
    let lot = server.get(Role::Operator, PATH).await.expect(200);
    for member in MEMBERS {
        assert_eq!(lot[member], rich()[member], "{member}");
    }
    let slot = server.get(Role::Display, "/api/v1/lots/L1/slots/A-1").await.expect(200);
    assert_eq!(
        (&slot["vehicle_types"], &slot["walk_metres"]),
        (&json!(["car", "van"]), &json!(40))
    );

    created(&server.post(Role::Operator, "/api/v1/lots", &bayed("L2", 1)).await);
    let lot = server.get(Role::Operator, "/api/v1/lots/L2").await.expect(200);
    let about = json!({"listing": "listed", "hours": [], "images": []});
    assert_eq!((lot.get("address"), &lot["about"]), (None, &about));
    let default = json!(["smallest_fit", "keep_special", {"fill_zones": []}, "waste_least"]);
    assert_eq!(lot["allocation"], default);
    for (rule, wanted) in [
        ("arrival", json!("by_sensor")),
        ("early_entry_seconds", json!(1_800)),
        ("stay_max_seconds", json!(0)),
        ("change_until_seconds", json!(0)),
        ("auto_exit_seconds", json!(259_200)),
        ("settlement", json!("at_exit")),
        ("drive_in", json!(true)),
        ("plate_once", json!("lot")),
        ("confidence_min_percent", json!(80)),
    ] {
        assert_eq!(lot["rules"][rule], wanted, "{rule}");
    }
    // Changed to the same by a patch, it is the same, and the log says so.
    let patch: Value = MEMBERS.iter().map(|m| ((*m).to_owned(), rich()[m].clone())).collect();
    let mut patch = patch;
    patch["allocation"][0] = json!({"fill_zones": []});
    let lot = server.patch(Role::Operator, "/api/v1/lots/L2", &patch).await.expect(200);
    let events = server.get(Role::Operator, "/api/v1/events?lot=L2&type=lot.changed").await;
    let told = events.expect(200)["items"][0]["data"].clone();
    for member in MEMBERS {
        assert_eq!((&lot[member], &told[member]), (&patch[member], &patch[member]), "{member}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_keeps_what_it_does_not_name_inside_of_its_parts_as_well() {
    let server = Server::start().await;
    created(&server.post(Role::Operator, "/api/v1/lots", &rich()).await);
    let body = json!({
        "address": {"state": null, "street": "Hauptstraße 2"}, "about": {"access": null, "hours": []},
        "rules": {"stay_max_seconds": 0},
    });
    let lot = server.patch(Role::Operator, PATH, &body).await.expect(200);
    let address = json!({"country": "DE", "street": "Hauptstraße 2", "postal_code": "10178"});
    assert_eq!(lot["address"], address);
    let mut about = rich()["about"].clone();
    about["hours"] = json!([]);
    about.as_object_mut().unwrap().remove("access");
    assert_eq!(lot["about"], about);
    let mut wanted = rules();
    wanted["stay_max_seconds"] = json!(0);
    assert_eq!((&lot["rules"], &lot["allocation"]), (&wanted, &rich()["allocation"]));
    let same = server.patch(Role::Operator, PATH, &body).await.expect(200);
    assert_eq!(same["version"], lot["version"], "what changes nothing is no change");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_refused_where_it_stands() {
    let server = with_lot(1).await;
    let opening = |days: Value, from: &str, to: &str| json!({"about": {"hours": [{"days": days, "from": from, "to": to}]}});
    let image = |url: &str| json!({"about": {"images": [url]}});
    let hour = json!({"days": ["mon"], "from": "08:00", "to": "09:00"});
    for (body, pointer) in [
        (json!({"address": {"country": "de"}}), "/address/country"),
        (json!({"address": {"country": "DEU"}}), "/address/country"),
        (json!({"address": {"street": ""}}), "/address/street"),
        (json!({"address": {"state": "a\nb"}}), "/address/state"),
        (json!({"address": {"postal_code": "12345678901234567"}}), "/address/postal_code"),
        (json!({"about": {"description": "x".repeat(2_001)}}), "/about/description"),
        (json!({"about": {"access": "a\u{7}b"}}), "/about/access"),
        (json!({"about": {"category": "open lot"}}), "/about/category"),
        (opening(json!([]), "08:00", "09:00"), "/about/hours/0"),
        (opening(json!(["mon"]), "08:00", "08:00"), "/about/hours/0"),
        (opening(json!(["mon"]), "24:00", "08:00"), "/about/hours/0"),
        (opening(json!(["mon"]), "08:00", "00:00"), "/about/hours/0"),
        (opening(json!(["mon"]), "8", "09:00"), "/about/hours/0/from"),
        (opening(json!(["mon"]), "08:00", "25:00"), "/about/hours/0/to"),
        (json!({"about": {"hours": vec![hour; 29]}}), "/about/hours"),
        (image("http://example.org/a.jpg"), "/about/images/0"),
        (image("https://"), "/about/images/0"),
        (image("https://a:b@example.org/"), "/about/images/0"),
        (image("https://example.org/\"onload=x"), "/about/images/0"),
        (json!({"about": {"images": vec!["https://a.example"; 21]}}), "/about/images"),
        (json!({"allocation": [{"fill_zones": ["nowhere"]}]}), "/allocation/0/fill_zones/0"),
        (json!({"allocation": ["waste_least", "keep_special", "waste_least"]}), "/allocation/2"),
        (json!({"rules": {"auto_exit_seconds": 0}}), "/rules/auto_exit_seconds"),
        (json!({"rules": {"offer_seconds": 86_401}}), "/rules/offer_seconds"),
        (json!({"rules": {"stay_max_seconds": 31_622_401}}), "/rules/stay_max_seconds"),
        (json!({"rules": {"confidence_min_percent": 101}}), "/rules/confidence_min_percent"),
    ] {
        let refused = server.patch(Role::Operator, PATH, &body).await;
        assert_eq!(refused.code(), "validation_failed", "{body}");
        let errors = refused.json()["errors"].clone();
        assert_eq!(errors.as_array().unwrap().len(), 1, "{body}: {errors}");
        assert_eq!(errors[0]["pointer"], pointer, "{body}");
    }
    for body in [json!({"rules": {"arrival": "by_magic"}}), json!({"about": {"listing": "gone"}})] {
        let refused = server.patch(Role::Operator, PATH, &body).await;
        assert_eq!(refused.code(), "malformed_request", "{body}");
    }
    server.stop().await;
}

/// The allocation is the lot's, and changes with it; a slot for some types takes only who says one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lots_allocation_and_the_vehicles_type_choose_the_slot() {
    let server = Server::start_with(|config| config.rate.driver_per_hour = 0).await;
    let lot = json!({
        "code": "L1", "name": "L1", "kind": "bayed", "zones": [{"code": "z1"}, {"code": "z2"}],
        "slots": [
            {"code": "A", "zone": "z1", "size": "compact", "walk_metres": 90},
            {"code": "B", "zone": "z2", "size": "large", "walk_metres": 9, "features": ["ev"]},
            {"code": "C", "zone": "z2", "size": "standard", "walk_metres": 45},
            {"code": "T", "zone": "z1", "size": "compact", "vehicle_types": ["taxi"]},
        ],
    });
    created(&server.post(Role::Operator, "/api/v1/lots", &lot).await);
    for (number, (allocation, needs, slot)) in [
        (json!(["smallest_fit"]), json!({}), "A"),
        (json!(["nearest_entrance"]), json!({}), "B"),
        (json!(["keep_special", "nearest_entrance"]), json!({}), "C"),
        (json!([{"fill_zones": ["z2"]}, "smallest_fit"]), json!({}), "C"),
        (json!(["smallest_fit"]), json!({"vehicle_type": "taxi"}), "T"),
        (json!(["nearest_entrance"]), json!({"vehicle_type": "taxi"}), "B"),
        (json!(["smallest_fit"]), json!({"vehicle_type": "lorry", "vehicle_size": "large"}), "B"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"allocation": allocation});
        server.patch(Role::Operator, PATH, &body).await.expect(200);
        let from = 60 * i64::try_from(number).unwrap() + 60;
        let book =
            json!({"lot": "L1", "needs": needs, "from": minutes(from), "to": minutes(from + 30)});
        let made = server.post(Role::Driver, "/api/v1/reservations", &book).await.expect(201);
        assert_eq!(made["slot"], slot, "{allocation} {needs}");
    }
    server.stop().await;
}
