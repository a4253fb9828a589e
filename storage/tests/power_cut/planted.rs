//! The proof finds faults: a journal whose `sync_data` is taken out, and one whose values lie in `blobs/`.

use std::fs::File;
use std::io::Write;
use std::panic::catch_unwind;
use std::path::Path;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::disk::Disk;
use crate::leaves::{Bytes, Leaves, Names};
use crate::workload::Truth;
use crate::{broken, cut, last_said, life, scratch, seed, trace};

const CUTS: usize = 24;
/// Of a value that sled moves out to `blobs/`: more than a quarter of its segment.
const LARGE_VALUE_BYTES: usize = 200 * 1024;
const SMALL_VALUE_BYTES: usize = 6 * 1024;
const VALUES: u32 = 12;
const ROLE: &str = "LOTKEEPER_TEST_VALUES_INTO";
const BYTES: &str = "LOTKEEPER_TEST_VALUE_BYTES";

/// What taking `sync_data` out of `Live::make_durable` leaves: sled's own flush, `sync_file_range`.
#[test]
fn without_the_sync_acknowledged_records_are_lost() {
    if trace::strace_is_missing() {
        return;
    }
    let mut rng = StdRng::seed_from_u64(seed());
    let home = tempfile::tempdir().unwrap();
    let deaf = Disk::of(home.path()).deaf_to("db");
    let trace = life(&home.path().join("data"), true);
    let mut look = |_: usize, data: &Path, truth: &Truth| {
        crate::verify::verify(data, truth, crate::verify::Depth::Records)
    };
    let cuts = cut(&trace, deaf, Truth::default(), (CUTS, &mut rng), &mut look);
    let (found, first) = broken(&cuts);
    println!("{found} of {CUTS} cuts lose acknowledged records; the first: {first:?}");
    assert!(found >= CUTS / 4, "{found} of {CUTS}: the planted fault is hardly found");
}

/// The traced process: sled as a journal uses it, with values of any size. As a plain test it does nothing.
#[test]
fn values_and_replies() {
    let Some(dir) = std::env::var_os(ROLE) else { return };
    let bytes: usize = std::env::var(BYTES).unwrap().parse().unwrap();
    let db = sled::Config::new().path(&dir).flush_every_ms(None).open().unwrap();
    // The file beside it and its names are there for good.
    let file = File::options().write(true).open(Path::new(&dir).join("db")).unwrap();
    for path in [Path::new(&dir).join("blobs"), dir.clone().into(), Path::new(&dir).join("..")] {
        File::open(path).unwrap().sync_all().unwrap();
    }
    let mut out = File::options().write(true).open("/proc/self/fd/1").unwrap();
    for value in 0..VALUES {
        db.insert(value.to_be_bytes(), vec![u8::try_from(value).unwrap(); bytes]).unwrap();
        db.flush().unwrap();
        file.sync_data().unwrap();
        out.write_all(format!("acked {}\n", value + 1).as_bytes()).unwrap();
    }
}

/// Values that are there after a power cut at the last reply, of those that were acknowledged.
fn survivors(bytes: usize) -> (u32, u32) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("values");
    let mut disk = Disk::of(home.path());
    let size = bytes.to_string();
    let environment = [(ROLE, dir.as_os_str()), (BYTES, size.as_ref())];
    let trace = trace::of_test("planted::values_and_replies", &environment);
    let replies = trace.steps.iter().enumerate();
    let mut replies =
        replies.filter(|(_, step)| trace.said(step).is_some_and(|s| s.starts_with("acked")));
    let steps = &trace.steps[..=replies.next_back().unwrap().0];
    steps.iter().for_each(|step| disk.step(&trace, step));
    let acked = last_said(steps, &trace, "acked ").unwrap().trim().parse().unwrap();
    let target = scratch();
    let leaves = Leaves { bytes: Bytes::None, names: Names::All, sector_bytes: 512, seed: 0 };
    disk.rebuild(leaves, target.path());
    let found = catch_unwind(|| {
        let db = sled::open(target.path().join("values")).unwrap();
        let whole = |value: &u32| {
            let found = db.get(value.to_be_bytes()).unwrap();
            found.is_some_and(|found| {
                found.len() == bytes && found.iter().all(|b| u32::from(*b) == *value)
            })
        };
        u32::try_from((0..acked).filter(whole).count()).unwrap()
    });
    // sled panics where a file under blobs/ is gone: nothing is there then.
    (found.unwrap_or(0), acked)
}

#[test]
fn values_in_blobs_are_lost_and_small_ones_are_not() {
    if trace::strace_is_missing() {
        return;
    }
    assert_eq!(survivors(SMALL_VALUE_BYTES), (VALUES, VALUES));
    let (found, acked) = survivors(LARGE_VALUE_BYTES);
    println!("{found} of {acked} acknowledged values of {LARGE_VALUE_BYTES} bytes survive");
    assert!(acked == VALUES && found < acked, "{found} of {acked}: blobs/ is not what is feared");
}
