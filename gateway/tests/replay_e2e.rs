//! `lotkeeper replay` against the real server: what a file says is what the server shows, and a second
//! time changes nothing. Real files are used where they are (`LOTKEEPER_REQUIRE=data` insists on them).
#![allow(clippy::unwrap_used)] // tests state what they expect

mod common;
#[path = "common/expected.rs"]
mod expected;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use common::{Server, token};
use expected::{Bay, Place};
use lotkeeper_gateway::auth::Role;
use lotkeeper_gateway::replay::{self, Format, Options, Summary};
use serde_json::Value;

async fn replayed(server: &Server, format: Format, file: &Path) -> Summary {
    let url = server.url("");
    let mut options = Options::new(format, file.to_owned(), url, token(Role::Operator));
    options.quiet = true;
    let summary = replay::run(options).await.unwrap();
    assert!(summary.is_balanced(), "{summary}");
    assert_eq!(summary.refused_total(), 0, "{summary}");
    eprintln!("{summary}");
    summary
}

/// Everything of a list, page by page.
async fn all(server: &Server, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    for _ in 0..1_000 {
        let page =
            server.get(Role::Display, &format!("{path}?limit=500{cursor}")).await.expect(200);
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
    panic!("{path} has no last page");
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text in {value}")).to_owned()
}

/// The sequence of every lot.
async fn seqs(server: &Server) -> BTreeMap<String, u64> {
    let lots = all(server, "/api/v1/lots").await;
    let seq = |lot: &Value| lot["availability"]["seq"].as_u64().unwrap();
    lots.iter().map(|lot| (text(&lot["code"]), seq(lot))).collect()
}

/// Every slot of every lot as the server shows it.
async fn bays(server: &Server) -> BTreeMap<Place, Bay> {
    let mut bays = BTreeMap::new();
    for lot in seqs(server).await.into_keys() {
        for slot in all(server, &format!("/api/v1/lots/{lot}/slots")).await {
            let since = slot["since"].as_str().map(|since| since.parse().unwrap());
            let bay = Bay { status: text(&slot["status"]), since };
            bays.insert((lot.clone(), text(&slot["code"])), bay);
        }
    }
    bays
}

#[track_caller]
fn equal(found: &BTreeMap<Place, Bay>, wanted: &BTreeMap<Place, Bay>) {
    assert_eq!(found.len(), wanted.len(), "slots");
    for (place, bay) in wanted {
        assert_eq!(found.get(place), Some(bay), "{place:?}");
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/replay").join(name)
}

/// Replays again: nothing is accepted, no lot moves.
async fn again_changes_nothing(server: &Server, format: Format, file: &Path) -> Summary {
    let before = seqs(server).await;
    let again = replayed(server, format, file).await;
    assert_eq!((again.accepted, again.lots_created), (0, 0), "{again}");
    assert_eq!(seqs(server).await, before, "a second replay moves no lot");
    again
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_is_shown_as_it_says_and_has_its_effect_once() {
    let server = Server::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("small.csv");
    let mut rows = "ts,bay,event,area\n".to_owned();
    for (minute, bay, event, area) in [
        (0, "1E", "arrive", "Queen St"),
        (0, "2E", "arrive", "Queen St"),
        (5, "1E", "depart", "Queen St"),
        // One minute, three rows of one bay: the file's order decides.
        (7, "2E", "depart", "Queen St"),
        (7, "2E", "arrive", "Queen St"),
        (7, "2E", "depart", "Queen St"),
        (8, "1E", "depart", "Queen St"),
        (9, "1E", "arrive", "The Mac"),
    ] {
        rows.push_str(&format!("2016-11-07T10:{minute:02}:00,{bay},{event},{area}\n"));
    }
    std::fs::write(&file, &rows).unwrap();
    let first = replayed(&server, Format::Melbourne2016, &file).await;
    assert_eq!((first.rows_read, first.accepted, first.unchanged), (8, 7, 1), "{first}");
    assert_eq!(first.lots_created, 2);
    let since = |minute: u32| format!("2016-11-06T23:{minute:02}:00Z").parse().ok();
    let bay = |status: &str, minute| Bay { status: status.to_owned(), since: since(minute) };
    let place = |lot: &str, slot: &str| (lot.to_owned(), slot.to_owned());
    let wanted = BTreeMap::from([
        (place("queen-st", "1E"), bay("free", 5)),
        (place("queen-st", "2E"), bay("free", 7)),
        (place("the-mac", "1E"), bay("occupied", 9)),
    ]);
    equal(&bays(&server).await, &wanted);
    assert_eq!(seqs(&server).await["queen-st"], 7, "one record for each change");
    again_changes_nothing(&server, Format::Melbourne2016, &file).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fixtures_of_all_formats_have_their_effect_once() {
    for (name, format) in [
        ("bath.csv", Format::Bath),
        ("melbourne-2016.csv", Format::Melbourne2016),
        ("snapshot_20250807T013939Z.csv", Format::Melbourne2025),
        ("last_events.csv", Format::Melbourne2025),
    ] {
        let file = fixture(name);
        let server = Server::start().await;
        let first = replayed(&server, format, &file).await;
        assert!(first.accepted > 0, "{first}");
        again_changes_nothing(&server, format, &file).await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn melbourne_2016_ends_as_the_file_says() {
    let Some(data) = expected::data() else { return };
    let file = data.join("melbourne-2016/events.csv.gz");
    let wanted = expected::melbourne_2016(&file);
    assert_eq!((wanted.rows, wanted.bays.len()), (118_084, 2_410), "the file as its README has it");
    let server = Server::start().await;
    let first = replayed(&server, Format::Melbourne2016, &file).await;
    let changes = wanted.changes_total();
    assert_eq!((first.accepted, first.unchanged), (changes, wanted.rows - changes), "{first}");
    equal(&bays(&server).await, &wanted.bays);
    for (lot, seq) in seqs(&server).await {
        assert_eq!(seq, 1 + wanted.changes[&lot], "{lot}: one record for each change");
    }
    let again = again_changes_nothing(&server, Format::Melbourne2016, &file).await;
    assert_eq!(again.sent, wanted.rows);
    equal(&bays(&server).await, &wanted.bays);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_melbourne_2025_ends_as_the_file_says() {
    let Some(data) = expected::data() else { return };
    let file = data.join("melbourne-2025/snapshot_20250808T054739Z.csv.gz");
    let wanted = expected::melbourne_2025(&file, "2025-08-08T05:47:39Z".parse().unwrap());
    let server = Server::start().await;
    let first = replayed(&server, Format::Melbourne2025, &file).await;
    assert_eq!((first.rows_read, first.accepted), (wanted.rows, wanted.changes_total()), "{first}");
    assert_eq!(first.dead_sensor, wanted.rows - wanted.changes_total(), "{first}");
    assert!(first.dead_sensor > 1_000, "a third of the sensors is dead: {first}");
    equal(&bays(&server).await, &wanted.bays);
    let again = again_changes_nothing(&server, Format::Melbourne2025, &file).await;
    assert_eq!(again.duplicate, first.sent, "{again}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_bath_ends_as_the_file_says() {
    /// With counts above capacity and counts observed after their upload.
    const DAY: &str = "2014-11-04";
    let Some(data) = expected::data() else { return };
    let rows = expected::rows(&data.join("bath-2014-2016/carparks.csv.gz"));
    let day: Vec<_> =
        rows.into_iter().filter(|row| row["uploaded_local"].starts_with(DAY)).collect();
    let (parks, early) = expected::bath(&day);
    assert!(parks.len() >= 6 && early > 0, "{} car parks, {early} early", parks.len());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bath.csv");
    let columns =
        ["name", "last_update_local", "uploaded_local", "occupancy", "capacity", "status"];
    let mut out = std::fs::File::create(&file).unwrap();
    writeln!(out, "{}", columns.join(",")).unwrap();
    for row in &day {
        writeln!(out, "{}", columns.map(|column| row[column].as_str()).join(",")).unwrap();
    }
    drop(out);

    let server = Server::start().await;
    let first = replayed(&server, Format::Bath, &file).await;
    assert_eq!((first.rows_read, first.early), (day.len() as u64, early), "{first}");
    assert!(first.above_capacity > 0, "{first}");
    shows(&server, &parks).await;
    again_changes_nothing(&server, Format::Bath, &file).await;
    server.stop().await;
}

async fn shows(server: &Server, parks: &BTreeMap<String, expected::CarPark>) {
    for (code, park) in parks {
        let path = format!("/api/v1/lots/{code}/availability");
        let shown = server.get(Role::Display, &path).await.expect(200);
        let counted = &shown["counted"];
        let above = park.occupied > park.capacity;
        let condition = if above { "above_capacity" } else { "consistent" };
        assert_eq!(counted["occupied"], park.occupied, "{code}: {shown}");
        assert_eq!(counted["capacity"], park.capacity, "{code}: {shown}");
        assert_eq!(counted["condition"], condition, "{code}: {shown}");
        let observed_at: jiff::Timestamp = text(&counted["observed_at"]).parse().unwrap();
        // A count that says the same again is a heartbeat, and only some of those are recorded.
        let run = park.since..=park.observed_at;
        assert!(run.contains(&observed_at), "{code}: {shown} not in {run:?}");
        let free = if above { 0 } else { park.capacity - park.occupied };
        assert_eq!(shown["free"], free, "{code}: {shown}");
        assert_eq!(shown["unknown"], if above { park.capacity } else { 0 }, "{code}: {shown}");
    }
}
