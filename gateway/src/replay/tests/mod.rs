//! Replays against a server that keeps the documents' word and misbehaves on command.
//!
//! What the real server makes of real files is tested where the real server is; here are the
//! things it does rarely: being busy, breaking off, falling silent, refusing.

mod server;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{Error, Format, Options, Speed, Summary, run};
use crate::client;
use server::{Act, Server};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/replay").join(name)
}

fn options(server: &Server, format: Format, file: PathBuf) -> Options {
    let options = Options::new(format, file, server.url.clone(), "a.b.c".to_owned());
    Options { quiet: true, ..options }
}

async fn replay(server: &Server, format: Format, file: PathBuf) -> Result<Summary, Error> {
    let summary = run(options(server, format, file)).await;
    if let Ok(summary) = &summary {
        assert!(summary.is_balanced(), "{summary:?}");
    }
    summary
}

/// Three lots of ten bays, each bay changing every minute of `minutes`.
fn city(directory: &Path, minutes: u32) -> PathBuf {
    let mut csv = "ts,bay,event,area\n".to_owned();
    for minute in 0..minutes {
        for (bay, area) in (0..30).zip(["North", "East", "West"].into_iter().cycle()) {
            let event = if (minute + bay).is_multiple_of(2) { "arrive" } else { "depart" };
            let time = format!("2016-11-07T{:02}:{:02}:00", minute / 60, minute % 60);
            csv.push_str(&format!("{time},{bay},{event},{area}\n"));
        }
    }
    let path = directory.join("city.csv");
    std::fs::write(&path, csv).unwrap();
    path
}

#[track_caller]
fn check_city(server: &Server, minutes: u32) {
    let world = server.world.lock();
    assert_eq!(world.states.len(), 30);
    for ((lot, slot), ((_, sequence), occupied)) in &world.states {
        let bay: u32 = slot.parse().unwrap();
        let expected = (minutes - 1 + bay).is_multiple_of(2);
        assert_eq!(occupied, expected, "{lot} {slot}");
        assert_eq!(*sequence, u64::from(minutes), "{lot} {slot}");
    }
}

#[tokio::test]
async fn every_row_is_sent_once_and_a_second_replay_accepts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = city(directory.path(), 600);
    let server = Server::start(|_| Act::Ack).await;
    let first = replay(&server, Format::Melbourne2016, file.clone()).await.unwrap();
    assert_eq!((first.rows_read, first.accepted, first.sent), (18_000, 18_000, 18_000));
    assert_eq!((first.lots_created, first.lots_found, first.slots), (3, 0, 30));
    check_city(&server, 600);
    assert!(server.world.lock().largest_batch <= 1_000);

    // Found this time, through pages of two slots.
    let second = replay(&server, Format::Melbourne2016, file).await.unwrap();
    assert_eq!((second.lots_created, second.lots_found), (0, 3));
    assert_eq!((second.accepted, second.unchanged), (0, 0));
    assert_eq!((second.duplicate, second.late), (30, 17_970));
    check_city(&server, 600);
}

#[tokio::test]
async fn a_busy_server_loses_nothing_and_sees_no_reading_out_of_order() {
    let directory = tempfile::tempdir().unwrap();
    let file = city(directory.path(), 300);
    let mut batches = 0;
    let server = Server::start(move |_| {
        batches += 1;
        if batches % 3 == 0 { Act::Refuse("overloaded") } else { Act::Ack }
    })
    .await;
    let summary = replay(&server, Format::Melbourne2016, file).await.unwrap();
    assert!(summary.put_off > 0);
    assert_eq!((summary.accepted, summary.late), (9_000, 0));
    check_city(&server, 300);
}

#[tokio::test]
async fn after_a_cut_connection_the_unanswered_goes_out_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = city(directory.path(), 300);
    let mut batches = 0;
    let server = Server::start(move |_| {
        batches += 1;
        if batches == 4 || batches == 9 { Act::ApplyAndCut } else { Act::Ack }
    })
    .await;
    let summary = replay(&server, Format::Melbourne2016, file).await.unwrap();
    assert_eq!(summary.reconnects, 2);
    assert!(summary.sent_again >= 2);
    // What was applied before the cut is known when it comes again.
    assert!(summary.duplicate + summary.late > 0, "{summary:?}");
    assert_eq!(server.world.lock().sockets, 3);
    check_city(&server, 300);
}

#[tokio::test]
async fn pings_are_answered_while_batches_wait() {
    let directory = tempfile::tempdir().unwrap();
    let file = city(directory.path(), 2);
    let mut first = true;
    // One at a time, so that the pong is the next thing the server reads.
    let server =
        Server::start(move |_| if std::mem::take(&mut first) { Act::PingFirst } else { Act::Ack })
            .await;
    let text = std::fs::read_to_string(&file).unwrap();
    let north: String = text
        .lines()
        .filter(|line| line.ends_with("area") || line.ends_with("North"))
        .flat_map(|line| [line, "\n"])
        .collect();
    std::fs::write(&file, north).unwrap();
    let summary = replay(&server, Format::Melbourne2016, file).await.unwrap();
    assert_eq!((summary.accepted, summary.reconnects), (20, 0));
}

#[tokio::test]
async fn a_silent_server_is_given_up_on() {
    let server = Server::start(|_| Act::Hush).await;
    let mut options = options(&server, Format::Bath, fixture("bath.csv"));
    options.patience_seconds = 1;
    let error = run(options).await.unwrap_err();
    let Error::GaveUp { patience_seconds: 1, acknowledged: 0, .. } = error else {
        panic!("{error}");
    };
}

#[tokio::test]
async fn a_server_that_is_always_busy_is_given_up_on() {
    let server = Server::start(|_| Act::Refuse("overloaded")).await;
    let mut options = options(&server, Format::Bath, fixture("bath.csv"));
    options.patience_seconds = 1;
    let error = run(options).await.unwrap_err().to_string();
    assert!(error.contains("overloaded: as told"), "{error}");
}

#[tokio::test]
async fn counts_are_sent_with_the_capacity_of_their_row() {
    let server = Server::start(|_| Act::Ack).await;
    let first = replay(&server, Format::Bath, fixture("bath.csv")).await.unwrap();
    let table = |summary: &Summary| {
        [summary.accepted, summary.duplicate, summary.late, summary.early, summary.malformed]
    };
    assert_eq!(table(&first), [8, 0, 1, 1, 5]);
    assert_eq!((first.above_capacity, first.clock_change, first.clock_fold), (1, 1, 3));
    let log = server.world.lock().log.clone();
    // The capacity came down with the row of 12:10; the late row before it changed nothing.
    let abbey: Vec<&str> = log
        .iter()
        .filter(|entry| entry.contains("abbey"))
        .map(|entry| entry.split(' ').next().unwrap())
        .collect();
    assert_eq!(abbey[..5], ["counts", "counts", "counts", "capacity", "counts"]);
    assert_eq!(
        (first.capacity_changes, server.world.lock().lots["abbey-cp"]["capacity"].as_u64()),
        (1, Some(190))
    );

    let second = replay(&server, Format::Bath, fixture("bath.csv")).await.unwrap();
    assert_eq!(table(&second), [0, 2, 7, 1, 5]);
    assert_eq!(second.capacity_changes, 0, "old rows bring no old capacity back");
}

#[tokio::test]
async fn dead_sensors_have_a_slot_and_no_state() {
    let server = Server::start(|_| Act::Ack).await;
    let file = fixture("snapshot_20250807T013939Z.csv");
    let summary = replay(&server, Format::Melbourne2025, file).await.unwrap();
    assert_eq!((summary.accepted, summary.dead_sensor, summary.malformed), (2, 1, 5));
    let world = server.world.lock();
    assert_eq!(world.lots["melbourne"]["slots"].as_array().unwrap().len(), 3);
    assert!(!world.states.contains_key(&("melbourne".to_owned(), "503".to_owned())));
}

#[tokio::test]
async fn a_lot_that_lacks_slots_stops_the_replay_before_it_sends() {
    let server = Server::start(|_| Act::Ack).await;
    let lot = serde_json::json!({"code": "harbour", "kind": "bayed",
                                 "slots": [{"code": "7E"}, {"code": "8E"}, {"code": "1E"}]});
    server.world.lock().lots.insert("harbour".to_owned(), lot);
    let error =
        replay(&server, Format::Melbourne2016, fixture("melbourne-2016.csv")).await.unwrap_err();
    assert!(error.to_string().contains("lacks 1 of the file's 2 slots (2E)"), "{error}");

    server.world.lock().lots.get_mut("harbour").unwrap()["kind"] = "counted".into();
    let error =
        replay(&server, Format::Melbourne2016, fixture("melbourne-2016.csv")).await.unwrap_err();
    assert!(error.to_string().contains("it is counted"), "{error}");
    assert_eq!(server.world.lock().sockets, 0);
}

#[tokio::test]
async fn refusals_are_counted_by_code_or_end_the_replay() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("refused.csv");
    std::fs::write(
        &file,
        "ts,bay,event,area\n2016-11-07T00:00:00,refused,arrive,A\n2016-11-07T00:00:00,1,arrive,A\n",
    )
    .unwrap();
    let server = Server::start(|_| Act::Ack).await;
    let summary = replay(&server, Format::Melbourne2016, file.clone()).await.unwrap();
    assert_eq!((summary.accepted, summary.refused["slot_not_found"]), (1, 1));

    let server = Server::start(|_| Act::Refuse("validation_failed")).await;
    let summary = replay(&server, Format::Melbourne2016, file.clone()).await.unwrap();
    assert_eq!(summary.refused["validation_failed"], 2);
    assert!(summary.to_string().contains("lot a: 2 rows refused"), "{summary}");

    let server = Server::start(|_| Act::Refuse("lot_not_allowed")).await;
    let error = replay(&server, Format::Melbourne2016, file).await.unwrap_err();
    assert!(matches!(error, Error::LotRefused { .. }), "{error}");
}

#[tokio::test]
async fn a_torn_file_is_sent_up_to_the_tear_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let plain = std::fs::read(city(directory.path(), 60)).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&plain).unwrap();
    let mut packed = packed.finish().unwrap();
    let file = directory.path().join("torn");
    std::fs::write(&file, &packed).unwrap();
    let server = Server::start(|_| Act::Ack).await;
    let whole = replay(&server, Format::Melbourne2016, file.clone()).await.unwrap();
    assert_eq!(whole.accepted, 1_800, "gzip is known by its content");

    packed.truncate(packed.len() * 9 / 10);
    std::fs::write(&file, &packed).unwrap();
    let server = Server::start(|_| Act::Ack).await;
    let error = replay(&server, Format::Melbourne2016, file).await.unwrap_err();
    assert!(error.to_string().contains("torn: cannot be read"), "{error}");
    assert_eq!(server.world.lock().states.len(), 30);
}

#[tokio::test]
async fn the_speed_is_kept_by_the_files_clock() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(|_| Act::Ack).await;
    let mut options = options(&server, Format::Melbourne2016, city(directory.path(), 11));
    // Ten minutes of the file in half a second.
    options.speed = Speed::Times(1_200.0);
    let summary = run(options).await.unwrap();
    assert!(summary.elapsed.as_millis() >= 500, "{:?}", summary.elapsed);
    assert_eq!(summary.accepted, 330);
    let batches = server.world.lock().log.len();
    // How many depends on the machine; one batch per lot would mean that all waited for the end.
    assert!(batches > 3, "the first minute leaves when it is due: {batches} batches");
}

#[tokio::test]
async fn without_a_server_the_error_says_so_at_once() {
    let url = {
        let server = Server::start(|_| Act::Ack).await;
        server.url.clone()
    };
    for (url, part) in [(url.as_str(), "is a server running"), ("https://127.0.0.1:1", "TLS proxy")]
    {
        let file = fixture("bath.csv");
        let options = Options::new(Format::Bath, file, url.to_owned(), "t".to_owned());
        let error = run(options).await.unwrap_err();
        assert!(matches!(
            error,
            Error::Client(client::Error::Unreachable { .. } | client::Error::Address { .. })
        ));
        assert!(error.to_string().contains(part), "{error}");
    }
}
