//! Posts of plate cameras, as their makers document them: each form they come in, and everything that can be wrong.
#![allow(clippy::unwrap_used)] // tests state what they expect

use bytes::Bytes;
use lotkeeper_engine::time::{Seconds, Timestamp};
use lotkeeper_gateway::anpr::{
    AnprError, CANDIDATES_MAX, Deduper, JSON_BYTES_MAX, Message, SIGHTINGS_MAX, Sighting, Verdict,
    plate_recognizer, rekor,
};
use lotkeeper_gateway::plate::Country;
use serde_json::{Value, json};

const JSON: &str = "application/json";
const STREAM: &str = include_str!("fixtures/anpr/plate_recognizer_stream.json");
const SNAPSHOT: &str = include_str!("fixtures/anpr/plate_recognizer_snapshot.json");
const GROUP: &str = include_str!("fixtures/anpr/rekor_group.json");
const RESULTS: &str = include_str!("fixtures/anpr/rekor_results.json");

type Parser = fn(&str, &Bytes) -> Result<Message, AnprError>;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A form with a picture, whose bytes are anything, and the JSON behind it.
fn form(boundary: &str, json: &str) -> Bytes {
    let mut body = Vec::new();
    let mut part = |head: &str, content: &[u8]| {
        body.extend_from_slice(format!("--{boundary}\r\n{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    };
    let picture = "Content-Disposition: form-data; name=\"upload\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg";
    part(picture, &[0xFF, 0xD8, 0xFF, 0xE0, b'\r', b'\n', b'-', b'-', 0, 13, 10]);
    part("Content-Disposition: form-data; name=\"json\"", json.as_bytes());
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body.into()
}

fn urlencoded(json: &str) -> Bytes {
    let encoded: String = json.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("x=1&json={encoded}").into()
}

fn candidates(sighting: &Sighting) -> Vec<(&str, u16)> {
    let candidates = sighting.candidates.iter();
    candidates.map(|other| (other.plate.as_str(), other.confidence.per_mille())).collect()
}

#[test]
fn stream_of_plate_recognizer_is_read_in_every_form_it_comes_in() {
    let multipart = "multipart/form-data; boundary=\"3f2a-1b\"";
    for (content_type, body) in [
        (JSON, bytes(STREAM)),
        ("Application/JSON; charset=utf-8", bytes(STREAM)),
        (multipart, form("3f2a-1b", STREAM)),
        ("application/x-www-form-urlencoded", urlencoded(STREAM)),
    ] {
        let message = plate_recognizer(content_type, &body).unwrap();
        assert_eq!(message.passed_over, 1, "a motorcycle whose plate was not seen");
        let [first, second] = &message.sightings[..] else { panic!("{message:?}") };
        assert_eq!((first.plate.as_str(), first.country), ("BXY123", Country::parse("D")));
        assert_eq!((first.confidence.per_mille(), first.confidence.percent()), (913, 91));
        assert_eq!(first.camera, "entry-1");
        assert_eq!(first.observed_at, Some(Timestamp::from_micros(1_772_356_504_691_903)));
        assert_eq!(candidates(first), [("BXY128", 864), ("8XY123", 728)], "without the best one");
        assert_eq!(first.vehicle_type.as_deref(), Some("sedan"));
        assert_eq!(first.direction_degrees, Some(180));
        assert_eq!((second.plate.as_str(), second.direction_degrees), ("WÜX1", None));
        assert_eq!(second.vehicle_type.as_deref(), Some("big truck"));
        assert_eq!(first.id.as_deref(), Some("entry-1@1772356504691903#0"));
        assert_eq!(second.id.as_deref(), Some("entry-1@1772356504691903#1"));
    }
}

#[test]
fn snapshot_of_plate_recognizer_is_read_and_the_country_decides_letter_or_digit() {
    let message = plate_recognizer(JSON, &bytes(SNAPSHOT)).unwrap();
    let [sighting] = &message.sightings[..] else { panic!("{message:?}") };
    assert_eq!((sighting.plate.as_str(), sighting.country), ("AB10CDE", Country::parse("UK")));
    assert_eq!(candidates(sighting), [], "the other reading is the same plate");
    assert_eq!(sighting.confidence.per_mille(), 1_000);
    assert_eq!(sighting.observed_at, Some(Timestamp::from_micros(1_772_356_538_030_345)));
}

#[test]
fn groups_of_rekor_are_read() {
    let message = rekor(JSON, &bytes(GROUP)).unwrap();
    let [sighting] = &message.sightings[..] else { panic!("{message:?}") };
    assert_eq!((sighting.plate.as_str(), sighting.country), ("MAB7799", Country::parse("D")));
    assert_eq!(sighting.confidence.per_mille(), 934);
    assert_eq!(sighting.camera, "2051174431");
    assert_eq!(sighting.observed_at, Some(Timestamp::from_micros(1_772_356_504_479_000)));
    assert_eq!(candidates(sighting), [("NAB7799", 849), ("MAB779", 812)]);
    assert_eq!(sighting.vehicle_type.as_deref(), Some("sedan-wagon"));
    assert_eq!(sighting.direction_degrees, Some(272));
}

#[test]
fn a_group_and_the_result_that_it_names_are_one_sighting() {
    let group = rekor(JSON, &bytes(GROUP)).unwrap().sightings.remove(0);
    let results = rekor(JSON, &bytes(RESULTS)).unwrap().sightings;
    let [other, same] = &results[..] else { panic!("{results:?}") };
    assert_eq!(same.id, group.id);
    assert_ne!(other.id, group.id, "two vehicles of one picture");
    assert_eq!((other.plate.as_str(), other.country), ("D265BF", Country::parse("F")));
    let mut deduper = Deduper::new(Seconds(60), 4);
    let at = |sighting: &Sighting| sighting.observed_at.unwrap();
    assert_eq!(deduper.judge("lane", other, at(other)), Verdict::New);
    assert_eq!(deduper.judge("lane", same, at(same)), Verdict::New);
    assert_eq!(deduper.judge("lane", &group, at(&group)), Verdict::Repeat);
}

#[test]
fn messages_that_say_nothing_are_taken() {
    let nothing = Message::default();
    for (parser, body) in [
        (rekor as Parser, json!({"data_type": "heartbeat", "agent_uid": "x", "video_streams": []})),
        (rekor, json!({"data_type": "alpr_alert", "group": {}, "plate_number": "X"})),
        (rekor, json!({"data_type": "alpr_results", "camera_id": 1, "results": []})),
        (plate_recognizer, json!({"hook": {"id": 1}, "data": {"camera_id": null, "results": []}})),
        (plate_recognizer, json!({"data": {"filename": "a.jpg"}})),
    ] {
        assert_eq!(parser(JSON, &bytes(&body.to_string())), Ok(nothing.clone()), "{body}");
    }
}

fn reading(plate: &Value) -> Value {
    json!({"data": {"camera_id": "c", "results": [{"plate": plate}]}})
}

#[test]
fn what_is_no_plate_is_passed_over() {
    for plate in
        [json!(""), json!(null), json!("☺"), json!(7), json!({"box": {}}), json!("x".repeat(21))]
    {
        let message = plate_recognizer(JSON, &bytes(&reading(&plate).to_string())).unwrap();
        assert_eq!((message.sightings.len(), message.passed_over), (0, 1), "{plate}");
        let group = json!({"data_type": "alpr_group", "camera_id": 1, "best_plate_number": plate});
        let message = rekor(JSON, &bytes(&group.to_string())).unwrap();
        assert_eq!((message.sightings.len(), message.passed_over), (0, 1), "{plate}");
    }
}

#[test]
fn what_is_not_said_is_not_made_up() {
    let message = plate_recognizer(JSON, &bytes(&reading(&json!("a1")).to_string())).unwrap();
    let sighting = &message.sightings[0];
    assert_eq!((sighting.plate.as_str(), sighting.country), ("A1", None));
    assert_eq!(sighting.confidence.percent(), 0, "nobody believes it");
    assert_eq!((sighting.observed_at, &sighting.id), (None, &None));
    assert_eq!((&sighting.vehicle_type, sighting.direction_degrees), (&None, None));
    let group = json!({
        "data_type": "alpr_group", "camera_id": "gate", "best_plate_number": "A1", "best_uuid": "",
        "best_confidence": "88.8", "travel_direction": -1, "epoch_start": null, "vehicle": null,
    });
    let sighting = rekor(JSON, &bytes(&group.to_string())).unwrap().sightings.remove(0);
    assert_eq!((sighting.confidence.per_mille(), sighting.direction_degrees), (888, None));
    assert_eq!((sighting.observed_at, sighting.id), (None, None));
}

#[test]
fn confidence_is_a_fraction_of_one_whatever_comes() {
    for (score, per_mille) in [
        (json!(0.7999), 800),
        (json!(0.7994), 799),
        (json!(2), 1_000),
        (json!(-1), 0),
        (json!("0.5"), 500),
        (json!([1]), 0),
    ] {
        let mut body = reading(&json!("A1"));
        body["data"]["results"][0]["score"] = score.clone();
        let message = plate_recognizer(JSON, &bytes(&body.to_string())).unwrap();
        assert_eq!(message.sightings[0].confidence.per_mille(), per_mille, "{score}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_without_its_value() {
    let secret = "SECRET99";
    let multipart = "multipart/form-data; boundary=x";
    let rekor_with = |key: &str, value: Value| {
        let mut body =
            json!({"data_type": "alpr_group", "camera_id": 1, "best_plate_number": secret});
        body[key] = value;
        bytes(&body.to_string())
    };
    let stream_with = |pointer: &str, value: Value| {
        let mut body: Value = serde_json::from_str(STREAM).unwrap();
        *body.pointer_mut(pointer).unwrap() = value;
        bytes(&body.to_string())
    };
    let cut = form("x", STREAM).slice(..400);
    let rows: [(Parser, &str, Bytes, &str); 19] = [
        (plate_recognizer, "text/plain", bytes(STREAM), "content type"),
        (plate_recognizer, "", bytes(STREAM), "content type"),
        (plate_recognizer, "multipart/form-data", form("x", STREAM), "no boundary"),
        (plate_recognizer, multipart, bytes("--x--\r\n"), "no field `json`"),
        (plate_recognizer, multipart, cut, "incomplete"),
        (plate_recognizer, multipart, bytes(secret), "incomplete"),
        (plate_recognizer, "application/x-www-form-urlencoded", bytes("a=SECRET99"), "no field"),
        (plate_recognizer, JSON, bytes("{\"data\":\"SECRET99"), "not JSON"),
        (plate_recognizer, JSON, bytes("\"SECRET99\""), "`` is not what"),
        (plate_recognizer, JSON, stream_with("/data/results", json!(secret)), "`/data/results`"),
        (
            plate_recognizer,
            JSON,
            stream_with("/data/results/0/vehicle", json!(secret)),
            "`/data/results/0/vehicle`",
        ),
        (plate_recognizer, JSON, stream_with("/data/camera_id", json!(null)), "`/data/camera_id`"),
        (
            plate_recognizer,
            JSON,
            stream_with("/data/timestamp", json!(secret)),
            "`/data/timestamp`",
        ),
        (rekor, JSON, rekor_with("data_type", json!(null)), "`/data_type`"),
        (rekor, JSON, rekor_with("camera_id", json!("x".repeat(65))), "`/camera_id`"),
        (rekor, JSON, rekor_with("camera_id", json!("a\u{7}")), "`/camera_id`"),
        (rekor, JSON, rekor_with("epoch_start", json!(secret)), "`/epoch_start`"),
        (rekor, JSON, rekor_with("epoch_start", json!(-1)), "`/epoch_start`"),
        (rekor, JSON, rekor_with("candidates", json!(secret)), "`/candidates`"),
    ];
    for (parser, content_type, body, wanted) in rows {
        let refused = parser(content_type, &body).unwrap_err();
        let (said, debug) = (refused.to_string(), format!("{refused:?}"));
        assert!(said.contains(wanted), "{wanted}: {said}");
        assert!(!said.contains(secret) && !debug.contains(secret), "{said}");
    }
}

#[test]
fn numbers_and_sizes_are_bounded() {
    let results = |n: usize| {
        let one = json!({"plate": "A1"});
        json!({"data": {"camera_id": "c", "results": vec![one; n]}}).to_string()
    };
    let most = plate_recognizer(JSON, &bytes(&results(SIGHTINGS_MAX))).unwrap();
    assert_eq!(most.sightings.len(), SIGHTINGS_MAX);
    let found = SIGHTINGS_MAX + 1;
    let refused = plate_recognizer(JSON, &bytes(&results(found)));
    assert_eq!(refused, Err(AnprError::TooMany { found }));

    let others: Vec<Value> =
        (0..100).map(|n| json!({"plate": format!("B{n}"), "score": 0.5})).collect();
    let mut body = reading(&json!("A1"));
    body["data"]["results"][0]["candidates"] = json!(others);
    let message = plate_recognizer(JSON, &bytes(&body.to_string())).unwrap();
    assert_eq!(message.sightings[0].candidates.len(), CANDIDATES_MAX);

    let large = " ".repeat(JSON_BYTES_MAX + 1);
    let refused = rekor(JSON, &bytes(&large));
    assert_eq!(refused, Err(AnprError::TooLarge { bytes: large.len() }));
    let refused = rekor("multipart/form-data; boundary=x", &form("x", &large)).unwrap_err();
    assert!(refused.to_string().contains("larger than 4 MiB"), "{refused}");
    let deep = format!("{{\"data_type\":{}", "[".repeat(10_000));
    assert!(rekor(JSON, &bytes(&deep)).is_err());
}
