//! What the replay makes of data files: every fault of every format on hand-made rows, and the
//! real files where they are there.
//!
//! The expectations on real files are computed here from the raw columns with string comparisons
//! and nothing of the replay's own, or are the counts that a look into the file gave. Sending is
//! tested elsewhere: nothing here needs a server.

// In a test unwrap is the assertion; clippy's exemption does not reach helpers outside #[test].
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use jiff::{SignedDuration, Timestamp};
use lotkeeper_gateway::replay::{
    Context, Fault, FileError, Format, Item, Kind, LocalTime, Plan, Position, Row, Rows,
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn rows_of(reader: impl Read, format: Format, context: &Context) -> (Vec<Row>, Plan) {
    let mut rows = Rows::new(reader, format, context).unwrap();
    let read = rows.by_ref().map(Result::unwrap).collect();
    (read, rows.into_plan())
}

fn fixture(name: &str, format: Format, context: &Context) -> (Vec<Row>, Plan) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/replay").join(name);
    rows_of(File::open(path).unwrap(), format, context)
}

/// A row in one short line: what is sent, or which fault.
fn in_short(row: &Row) -> String {
    match &row.item {
        Item::Reading { lot, slot, occupied, observed_at, sequence } => {
            let state = if *occupied { "occupied" } else { "free" };
            let sequence = sequence.map(|sequence| format!(" #{sequence}")).unwrap_or_default();
            format!("{} {lot}/{slot} {state} {observed_at}{sequence}", row.line)
        }
        Item::Count { lot, occupied, capacity, observed_at } => {
            let above = if row.notes.above_capacity { " above" } else { "" };
            let local = match row.notes.local_time {
                LocalTime::Exact => "",
                LocalTime::Gap => " gap",
                LocalTime::Fold => " fold",
            };
            format!("{} {lot} {occupied}/{capacity} {observed_at}{above}{local}", row.line)
        }
        Item::Skipped(Fault::Malformed(reason)) => format!("{} malformed: {reason}", row.line),
        Item::Skipped(Fault::DeadSensor { age_days }) => format!("{} dead {age_days} d", row.line),
        Item::Skipped(Fault::Early { ahead_seconds }) => {
            format!("{} early {ahead_seconds} s", row.line)
        }
    }
}

#[track_caller]
fn check(rows: &[Row], expected: &[&str]) {
    let short: Vec<String> = rows.iter().map(in_short).collect();
    assert_eq!(short, expected);
}

#[test]
fn melbourne_2016_rows_are_ordered_and_faults_named() {
    let (rows, plan) = fixture("melbourne-2016.csv", Format::Melbourne2016, &Context::default());
    check(
        &rows,
        &[
            "2 harbour/1E occupied 2016-11-06T13:00:00Z #1",
            "3 hill-p-r/1W occupied 2016-11-06T13:00:00Z #1",
            "4 harbour/1E free 2016-11-06T13:35:00Z #2",
            "5 harbour/1E occupied 2016-11-06T13:35:00Z #3",
            "6 malformed: event \"tow\" is neither arrive nor depart",
            "7 malformed: ts \"2016-11-07T25:00:00\" is not a local time such as 2016-11-07T00:35:00",
            "8 malformed: bay is empty",
            "9 malformed: event is missing: the row has 2 fields",
            "10 malformed: area \"Hill P-R\" and \"Hill P+R\" share the lot code hill-p-r",
            "11 harbour/2E occupied 2016-11-06T13:40:00Z #1",
        ],
    );
    let lots: Vec<_> =
        plan.lots.iter().map(|lot| (&*lot.code, &*lot.name, lot.slots.len())).collect();
    assert_eq!(lots, [("harbour", "Harbour", 2), ("hill-p-r", "Hill P+R", 1)]);
    assert_eq!(plan.lots[0].kind, Kind::Bayed);
    assert_eq!(plan.newest, Some(at("2016-11-06T13:40:00Z")));
}

#[test]
fn melbourne_clock_changes_follow_the_file_order() {
    let csv = "ts,bay,event,area\n\
        2016-10-02T01:59:00,1,arrive,A\n\
        2016-10-02T02:30:00,1,depart,A\n\
        2016-10-02T03:00:00,1,arrive,A\n\
        2017-04-02T02:10:00,1,depart,A\n\
        2017-04-02T02:50:00,1,arrive,A\n\
        2017-04-02T02:10:00,1,depart,A\n\
        2017-04-02T03:10:00,1,arrive,A\n";
    let (rows, _) = rows_of(csv.as_bytes(), Format::Melbourne2016, &Context::default());
    let table: Vec<_> =
        rows.iter().map(|row| (row.clock.unwrap().to_string(), row.notes.local_time)).collect();
    let expected = [
        ("2016-10-01T15:59:00Z", LocalTime::Exact),
        ("2016-10-01T16:30:00Z", LocalTime::Gap),
        ("2016-10-01T16:00:00Z", LocalTime::Exact),
        ("2017-04-01T15:10:00Z", LocalTime::Fold),
        ("2017-04-01T15:50:00Z", LocalTime::Fold),
        ("2017-04-01T16:10:00Z", LocalTime::Fold),
        ("2017-04-01T17:10:00Z", LocalTime::Exact),
    ];
    assert_eq!(table, expected.map(|(instant, kind)| (instant.to_owned(), kind)));
}

#[test]
fn melbourne_2025_snapshots_skip_dead_sensors_and_keep_their_slots() {
    let context = Context { file_instant: Some(at("2025-08-07T01:39:39Z")), ..Context::default() };
    let (rows, plan) = fixture("snapshot_20250807T013939Z.csv", Format::Melbourne2025, &context);
    check(
        &rows,
        &[
            "2 melbourne/501 occupied 2025-08-07T01:30:00Z",
            "3 melbourne/502 free 2025-07-08T01:39:39Z",
            "4 dead 30 d",
            "5 malformed: status time \"2025-08-07T11:30:00\" is not an instant with an offset such as 2025-08-07T01:39:39Z",
            "6 malformed: Zone_Number \"7001.5\" is not a whole number",
            "7 malformed: status \"Maybe\" is neither Present nor Unoccupied",
            "8 malformed: Location \"here, there\" is not latitude, longitude",
            "9 malformed: KerbsideID is empty",
        ],
    );
    let [lot] = &plan.lots[..] else { panic!("one lot, not {}", plan.lots.len()) };
    let slots: Vec<_> = lot.slots.iter().map(|slot| (&*slot.code, slot.zone.as_deref())).collect();
    assert_eq!(slots, [("501", Some("zone-7001")), ("502", Some("zone-7001")), ("503", None)]);
    let Some(Position { lat, lon }) = lot.position() else { panic!("no position") };
    assert!((lat + 37.7).abs() < 1e-9 && (lon - 144.8).abs() < 1e-9, "{lat} {lon}");
    assert!(
        rows[..3].iter().all(|row| row.clock == context.file_instant),
        "a snapshot is one instant, dead or not"
    );
}

#[test]
fn melbourne_2025_events_are_judged_row_by_row() {
    let (rows, _) = fixture("last_events.csv", Format::Melbourne2025, &Context::default());
    check(
        &rows,
        &[
            "2 dead 584 d",
            "3 melbourne/502 free 2025-08-07T01:30:00Z",
            "4 melbourne/501 free 2025-08-08T01:30:00Z",
        ],
    );
}

#[test]
fn bath_counts_are_judged_by_their_upload() {
    let (rows, plan) = fixture("bath.csv", Format::Bath, &Context::default());
    check(
        &rows,
        &[
            "2 abbey-cp 100/200 2015-03-28T12:00:00Z",
            "3 river-p-r 801/800 2015-03-28T12:00:10Z above",
            "4 early 61 s",
            "5 abbey-cp 102/200 2015-03-28T12:06:30Z",
            "6 abbey-cp 99/190 2015-03-28T11:55:00Z",
            "7 abbey-cp 103/190 2015-03-28T12:10:00Z",
            "8 malformed: occupancy \"-4\" is not a whole number of 0 or more",
            "9 malformed: occupancy \"many\" is not a whole number of 0 or more",
            "10 malformed: capacity \"0\" is not a whole number of 1 or more",
            "11 malformed: uploaded_local \"soon\" is not a local time such as 2016-11-07T00:35:00",
            "12 malformed: occupancy is missing: the row has 3 fields",
            "13 abbey-cp 190/190 2015-03-29T01:05:00Z gap",
            "14 abbey-cp 51/190 2015-10-25T00:05:00Z fold",
            "15 abbey-cp 52/190 2015-10-25T00:55:00Z fold",
            "16 abbey-cp 53/190 2015-10-25T01:05:00Z fold",
        ],
    );
    let lots: Vec<_> = plan.lots.iter().map(|lot| (&*lot.code, lot.kind, lot.capacity)).collect();
    let counted = Kind::Counted;
    assert_eq!(lots, [("abbey-cp", counted, Some(200)), ("river-p-r", counted, Some(800))]);
}

#[test]
fn lots_are_asked_for_as_the_api_wants_them() {
    let (_, mut plan) = fixture("melbourne-2016.csv", Format::Melbourne2016, &Context::default());
    plan.locate(&HashMap::from([("1E".to_owned(), Position { lat: -37.5, lon: 144.5 })]));
    let request = serde_json::to_value(plan.lots[0].to_request()).unwrap();
    assert_eq!(
        request,
        serde_json::json!({
            "code": "harbour", "name": "Harbour", "kind": "bayed",
            "time_zone": "Australia/Melbourne", "currency": "AUD", "city": "Melbourne",
            "position": {"lat": -37.5, "lon": 144.5},
            "slots": [{"code": "1E"}, {"code": "2E"}],
        })
    );
    let (_, plan) = fixture("bath.csv", Format::Bath, &Context::default());
    assert_eq!(
        serde_json::to_value(plan.lots[0].to_request()).unwrap(),
        serde_json::json!({
            "code": "abbey-cp", "name": "Abbey CP", "kind": "counted", "capacity": 200,
            "time_zone": "Europe/London", "currency": "GBP", "city": "Bath",
        })
    );
}

#[test]
fn a_file_of_another_format_is_refused_before_its_first_row() {
    for (format, content) in [
        (Format::Melbourne2016, ""),
        (Format::Melbourne2016, "ts,bay,event\n"),
        (Format::Melbourne2025, "ts,bay,event,area\n"),
        (Format::Bath, "name,last_update_local\n"),
        (Format::Bath, "\0\u{1}\u{2}"),
    ] {
        let refused = Rows::new(content.as_bytes(), format, &Context::default()).err();
        let Some(FileError::Header { .. }) = refused else {
            panic!("{format} {content:?}: {refused:?}");
        };
    }
}

#[test]
fn bytes_that_are_no_text_cost_their_row_only() {
    let csv = b"ts,bay,event,area\n\
        2016-11-07T00:00:00,1E,arrive,Harbour\n\
        2016-11-07T00:00:00,\xff\xfe,arrive,Harbour\n\
        2016-11-07T00:01:00,1E,depart,Harbour\n";
    let (rows, _) = rows_of(&csv[..], Format::Melbourne2016, &Context::default());
    check(
        &rows,
        &[
            "2 harbour/1E occupied 2016-11-06T13:00:00Z #1",
            "3 malformed: the row is not UTF-8",
            "4 harbour/1E free 2016-11-06T13:01:00Z #2",
        ],
    );
}

#[test]
fn a_torn_file_gives_its_rows_and_then_the_tear() {
    let whole = b"ts,bay,event,area\n2016-11-07T00:00:00,1E,arrive,Harbour\n";
    let torn = Cursor::new(whole).chain(Broken);
    let mut rows = Rows::new(torn, Format::Melbourne2016, &Context::default()).unwrap();
    assert!(matches!(rows.next(), Some(Ok(_))));
    assert!(matches!(rows.next(), Some(Err(FileError::Io(_)))));
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

// From here on the real files. They are not part of the project; without them these tests say so
// and pass.

fn real(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(path);
    if path.exists() {
        return Some(path);
    }
    // LOTKEEPER_REQUIRE=all is for what a build machine can install; this data it cannot.
    let required = std::env::var("LOTKEEPER_REQUIRE").is_ok_and(|what| what == "data");
    assert!(!required, "{} is not there and LOTKEEPER_REQUIRE=data", path.display());
    println!("skipped: {} is not there", path.display());
    None
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_real_melbourne_2016_file_is_read_in_full() {
    let Some(path) = real("melbourne-2016/events.csv.gz") else { return };
    let text = unpacked(&path);
    let (rows, plan) = rows_of(text.as_bytes(), Format::Melbourne2016, &Context::default());
    assert_eq!(rows.len(), 118_084);
    assert_eq!((plan.lots.len(), plan.slot_count()), (33, 2_410));

    // Column by column, without the replay: the last event of each bay is its final state.
    let mut expected: HashMap<&str, bool> = HashMap::new();
    let mut last_minute: HashMap<&str, &str> = HashMap::new();
    let mut same_minute = 0;
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        expected.insert(fields[1], fields[2] == "arrive");
        same_minute += usize::from(last_minute.insert(fields[1], fields[0]) == Some(fields[0]));
    }
    assert_eq!(same_minute, 1_224);

    // And with it: what (observed, sequence) makes of the readings, in whatever order they come.
    let mut newest: HashMap<&str, ((Timestamp, Option<u64>), bool)> = HashMap::new();
    for row in rows.iter().rev() {
        let Item::Reading { slot, occupied, observed_at, sequence, .. } = &row.item else {
            panic!("line {} is not sent: {:?}", row.line, row.item);
        };
        let rank = (*observed_at, *sequence);
        let entry = newest.entry(slot).or_insert((rank, *occupied));
        assert!(entry.0 >= rank, "line {}: the order of a bay is not strict", row.line);
    }
    let states: HashMap<&str, bool> =
        newest.iter().map(|(slot, (_, occupied))| (*slot, *occupied)).collect();
    assert_eq!(states, expected);
}

#[test]
fn the_real_melbourne_2025_files_have_their_dead_sensors() {
    for (file, instant, rows_expected) in [
        ("snapshot_20250807T013939Z.csv.gz", Some("2025-08-07T01:39:39Z"), 3_309),
        ("snapshot_20250808T054739Z.csv.gz", Some("2025-08-08T05:47:39Z"), 3_309),
        ("snapshot_20250809T004139Z.csv.gz", Some("2025-08-09T00:41:39Z"), 3_309),
        ("last_events.csv.gz", None, 7_435),
    ] {
        let Some(path) = real(&format!("melbourne-2025/{file}")) else { return };
        let context = Context { file_instant: instant.map(at), ..Context::default() };
        let text = unpacked(&path);
        let (rows, plan) = rows_of(text.as_bytes(), Format::Melbourne2025, &context);
        assert_eq!(rows.len(), rows_expected, "{file}");
        assert_eq!(plan.slot_count(), 3_309, "{file}");
        let count = |wanted: fn(&Item) -> bool| rows.iter().filter(|row| wanted(&row.item)).count();
        let dead = count(|item| matches!(item, Item::Skipped(Fault::DeadSensor { .. })));
        let sent = count(|item| matches!(item, Item::Reading { .. }));
        assert_eq!(dead, 1_162, "{file}");
        assert_eq!(sent, rows_expected - 1_162, "{file}: nothing else is skipped");
    }
}

#[test]
fn the_real_bath_file_has_its_faults() {
    let Some(path) = real("bath-2014-2016/carparks.csv.gz") else { return };
    let text = unpacked(&path);
    let context = Context { skew: SignedDuration::ZERO, ..Context::default() };
    let (rows, plan) = rows_of(text.as_bytes(), Format::Bath, &context);
    assert_eq!(rows.len(), 1_225_705);
    assert_eq!(plan.lots.len(), 8);

    // Column by column, without the replay. Local times compare as text, except in the hour that
    // comes twice: there a later text may be an earlier instant.
    let mut early_lines = HashSet::new();
    let mut above = 0;
    for (line, text) in (2..).zip(text.lines().skip(1)) {
        let fields: Vec<&str> = text.split(',').collect();
        let number = |place: usize| fields[place].parse::<u32>().unwrap();
        above += usize::from(number(3) > number(4));
        if fields[1] > fields[2] {
            early_lines.insert(line);
        }
    }
    assert_eq!((early_lines.len(), above), (18_950, 10_433));

    let mut early = HashSet::new();
    let mut early_beyond_default = 0;
    let mut notes: BTreeMap<&str, u32> = BTreeMap::new();
    for row in &rows {
        match &row.item {
            Item::Skipped(Fault::Early { ahead_seconds }) => {
                early.insert(row.line);
                early_beyond_default += usize::from(*ahead_seconds > 60);
            }
            Item::Count { .. } => {}
            other => panic!("line {}: {other:?}", row.line),
        }
        match row.notes.local_time {
            LocalTime::Exact => {}
            LocalTime::Gap => *notes.entry("gap").or_default() += 1,
            LocalTime::Fold => *notes.entry("fold").or_default() += 1,
        }
        *notes.entry("above").or_default() += u32::from(row.notes.above_capacity);
    }
    // Uploaded at 01:00:10 in the second pass, observed at 01:59 in the first: not early at all.
    let mut cleared: Vec<u64> = early_lines.difference(&early).copied().collect();
    cleared.sort_unstable();
    assert_eq!(cleared, [1_223_055, 1_223_056, 1_223_057]);
    assert!(early.is_subset(&early_lines));
    assert_eq!(early_beyond_default, 8_408);
    assert_eq!(notes, BTreeMap::from([("above", 10_433), ("fold", 125), ("gap", 24)]));
}
