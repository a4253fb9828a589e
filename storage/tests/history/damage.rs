//! Damage of any byte, and files that are gone: found and made good from the log, or without any effect.

use std::fs;
use std::path::{Path, PathBuf};

use lotkeeper_storage::history::History;
use lotkeeper_storage::{Journal, Options, SledJournal, check};

use lsm_tree::{AbstractTree, Config, Guard};

use super::common::{copy_dir, released};
use super::town::{Town, told};
use super::{EPOCH, Log, files_of, follow, log_of, opened, options};

fn whole(town: &Town, log: &Log, dir: &Path) -> String {
    let history = opened(dir, log);
    follow(&history, log, 300);
    history.flush().unwrap();
    told(&history, town)
}

/// What it says in the end, when whoever asks comes again after damage was found.
fn in_the_end(town: &Town, log: &Log, dir: &Path) -> (String, bool) {
    let history = History::open(options(dir), &*log.reader, (EPOCH, log.last_seq)).unwrap();
    let began_anew = history.meta().applied_seq == 0;
    let mut repaired = false;
    loop {
        follow(&history, log, 300);
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| told(&history, town)));
        match asked {
            Ok(told) => return (told, began_anew || repaired),
            Err(_) => {
                assert!(history.is_damaged() && !repaired, "it is damaged for good");
                repaired = true;
            }
        }
    }
}

#[test]
fn whatever_byte_is_damaged_the_answers_are_those_of_the_log() {
    let town = Town::of(700);
    let log = log_of(&town.records);
    let good = tempfile::tempdir().unwrap();
    let wanted = whole(&town, &log, good.path());
    let files = files_of(&good.path().join("history"));
    let sizes =
        files.iter().map(|path| usize::try_from(fs::metadata(path).unwrap().len()).unwrap());
    let sizes: Vec<_> = sizes.collect();
    let size: usize = sizes.iter().sum();
    let mut repaired = 0;
    let turns = std::env::var("LOTKEEPER_DAMAGE_TURNS").map_or(24, |turns| turns.parse().unwrap());
    for turn in 0..turns {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(good.path(), dir.path());
        // A place among all bytes; the small files, which say what there is, come again and again.
        let (which, place) = match turn % 3 {
            0 => (turn / 3 % files.len(), turn * 7_919),
            _ => at_byte(&sizes, (turn * 7_919 + turn * turn * 104_729) % size),
        };
        let file = dir.path().join(files[which].strip_prefix(good.path()).unwrap());
        let mut bytes = fs::read(&file).unwrap();
        if bytes.is_empty() {
            continue;
        }
        // A part of a sector.
        let place = place % bytes.len();
        let end = (place + 64).min(bytes.len());
        bytes[place..end].iter_mut().for_each(|byte| *byte ^= 0xA5);
        fs::write(&file, bytes).unwrap();
        let (told, anew) = in_the_end(&town, &log, dir.path());
        assert!(told == wanted, "bytes {place} to {end} of {}", file.display());
        repaired += u32::from(anew);
    }
    println!("{repaired} of {turns} were made anew");
    assert!(repaired > 0, "nothing of it was ever read");
}

/// The file a byte of all of them lies in, and its place there.
fn at_byte(sizes: &[usize], mut byte: usize) -> (usize, usize) {
    for (which, size) in sizes.iter().enumerate() {
        if byte < *size {
            return (which, byte);
        }
        byte -= size;
    }
    (0, 0)
}

fn largest(dir: &Path) -> PathBuf {
    let files = files_of(dir).into_iter();
    files.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

/// A damage by its name, and what does it.
type Case = (&'static str, fn(&Path));

#[test]
fn whatever_is_gone_comes_back_from_the_log() {
    let town = Town::of(700);
    let log = log_of(&town.records);
    let good = tempfile::tempdir().unwrap();
    let wanted = whole(&town, &log, good.path());
    let cases: [Case; 5] = [
        ("all", |dir| fs::remove_dir_all(dir).unwrap()),
        ("a table", |dir| fs::remove_file(largest(dir)).unwrap()),
        ("what says which tables there are", |dir| {
            fs::remove_file(dir.join("tree-000001/current")).unwrap();
        }),
        ("half of a table", |dir| {
            let table = fs::File::options().write(true).open(largest(dir)).unwrap();
            table.set_len(table.metadata().unwrap().len() / 2).unwrap();
        }),
        ("junk instead", |dir| {
            fs::remove_dir_all(dir.join("tree-000001")).unwrap();
            fs::write(dir.join("tree-000001"), b"junk").unwrap();
        }),
    ];
    for (what, damage) in cases {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(good.path(), dir.path());
        damage(&dir.path().join("history"));
        assert_eq!(in_the_end(&town, &log, dir.path()).0, wanted, "{what}");
    }
}

#[test]
fn check_tells_of_it_and_of_what_is_missing_in_it() {
    let town = Town::of(400);
    let log = log_of(&town.records);
    let data = tempfile::tempdir().unwrap();
    let mut journal = SledJournal::open(Options {
        data_dir: data.path().to_path_buf(),
        cache_bytes: 8 * 1024 * 1024,
        ..Options::default()
    })
    .unwrap()
    .0;
    journal.commit(&town.records).unwrap();
    journal.sync().unwrap();
    drop(journal);
    whole(&town, &log, data.path());
    released(data.path());
    let report = check(data.path()).unwrap();
    // The log is made up: what it lacks is the same before and after.
    let problems = report.problems.clone();
    let told = report.notes.iter().find(|note| note.contains("history")).unwrap();
    assert!(told.contains("up to record") && !told.contains("damaged"), "{told}");
    // An entry of the index is gone, which no checksum tells.
    {
        let dir = data.path().join("history/tree-000001");
        let tree = Config::new(dir, Default::default(), Default::default()).open().unwrap();
        let (last, _) = tree.last_key_value(u64::MAX, None).unwrap().into_inner().unwrap();
        tree.remove(last, tree.get_highest_seqno().unwrap() + 1);
        tree.rotate_memtable();
        tree.flush(&tree.get_flush_lock(), 0).unwrap();
    }
    let report = check(data.path()).unwrap();
    assert_eq!(report.problems, problems, "the log is what it was");
    let told = report.notes.iter().find(|note| note.contains("history")).unwrap();
    assert!(told.contains("damaged") && told.contains("remove"), "{told}");
}
