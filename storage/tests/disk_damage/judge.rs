//! A house with a known log, and a verdict on what a start makes of its damaged copy.

use std::fs;
use std::path::{Path, PathBuf};

use lotkeeper_engine::ids::{LotKey, Pseudonym};
use lotkeeper_storage::format::Tip;
use lotkeeper_storage::{
    CheckReport, Journal, JournalError, Options, PersonKind, Record, Recovery, RecoveryReport,
    SledJournal, check,
};

use crate::common::Author;

const A: LotKey = LotKey(0);
const B: LotKey = LotKey(1);

/// A data directory and the truth about it.
pub struct House {
    pub place: tempfile::TempDir,
    pub data: PathBuf,
    truth: Vec<Record>,
    /// Everybody who has a place; without a clear text when erased.
    people: Vec<(Pseudonym, Option<String>)>,
}

/// What a start made of damage.
#[derive(Debug)]
#[expect(dead_code, reason = "told by its `Debug`")]
pub enum Verdict {
    /// All records.
    Whole { new_epoch: bool },
    /// Fewer, and it is told.
    Prefix(u64),
    /// With a reason and a remedy.
    Refused(String),
    /// All from this record on, and it is told that nobody pruned what was before.
    Later(u64),
    /// It started, and a part of the log is refused when it is read.
    PartRefused(String),
    /// All records, and so many people are gone, and so many are back who were erased, and it is told: sled drops
    /// what it cannot read of a page.
    PeopleGone(u64, u64),
    /// A promise is broken.
    Broken(String),
}

pub fn options(data: &Path) -> Options {
    Options {
        data_dir: data.to_path_buf(),
        cache_bytes: 8 * 1024 * 1024,
        tip_interval_ms: 0,
        open_seconds_max: 20,
        ..Options::default()
    }
}

/// In memory where there is such a place: thousands of copies come and go.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// All files of a directory, below it too, in order.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    fn list(dir: &Path, root: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => list(&path, root, found),
                false => found.push(path.strip_prefix(root).unwrap().to_owned()),
            }
        }
    }
    let mut found = Vec::new();
    list(dir, dir, &mut found);
    found.sort();
    found
}

/// As few bytes as have everything in them: an archive, snapshots, people, two lots.
pub fn small() -> House {
    build(4, 3, 12)
}

/// Some megabytes.
pub fn large() -> House {
    build(300, 4_000, 120)
}

fn build(slots: u16, changes: usize, commits: usize) -> House {
    let place = scratch();
    let data = place.path().join("data");
    let rotating = Options { rotate_bytes: 1, ..options(&data) };
    let (mut journal, _) = SledJournal::open(rotating).unwrap();
    let mut author = Author::new();
    let mut people = Vec::new();
    for commit in 0..commits {
        if commit % (commits / 4) == 0 {
            let clear = format!("person {commit}");
            let pseudonym = journal.vault().intern("city", PersonKind::Subject, &clear).unwrap();
            people.push((pseudonym, Some(clear)));
        }
        let records = match commit {
            0 => vec![author.created(A, slots), author.created(B, 2)],
            _ => author.changes(A, changes),
        };
        journal.commit(&records).unwrap();
        let hour = u32::try_from(commit).unwrap() + 1;
        let reserved = [author.reserved(B, 1, hour)];
        journal.commit(&reserved).unwrap();
        if commit % (commits / 4) == 1 {
            journal.save_snapshot(&author.snapshot(A)).unwrap();
            journal.save_snapshot(&author.snapshot(B)).unwrap();
        }
        if commit == commits * 3 / 4 {
            // One rotation: it moves what no start needs into the archive.
            while !journal.maintain().unwrap().rotated {
                std::thread::yield_now();
            }
        }
    }
    // Changes of people that no record follows: only the tip knows of them.
    assert!(journal.vault().erase(people[1].0).unwrap());
    people[1].1 = None;
    let late = journal.vault().intern("city", PersonKind::Subject, "late").unwrap();
    people.push((late, Some("late".to_owned())));
    journal.sync().unwrap();
    let truth = journal.reader().after(0, usize::MAX).unwrap().records;
    assert_eq!(truth.len() as u64, author.seq);
    drop(journal);
    let line = |(p, clear): &(Pseudonym, Option<String>)| {
        format!("{} {}\n", p.0, clear.as_deref().unwrap_or_default())
    };
    let names = people.iter().map(line);
    fs::write(place.path().join("people"), names.collect::<String>()).unwrap();
    House { place, data, truth, people }
}

impl House {
    /// Reads one that another process built.
    pub fn read(place: &Path) -> Self {
        let copy = scratch();
        crate::common::copy_dir(place, copy.path());
        let data = copy.path().join("data");
        let opened = scratch();
        crate::common::copy_dir(&data, opened.path());
        let (journal, recovery) = SledJournal::open(options(opened.path())).unwrap();
        drop(recovery);
        let truth = journal.reader().after(0, usize::MAX).unwrap().records;
        let people = fs::read_to_string(place.join("people")).unwrap();
        let person = |line: &str| {
            let (pseudonym, clear) = line.split_once(' ').unwrap();
            let clear = Some(clear.to_owned()).filter(|clear| !clear.is_empty());
            (Pseudonym(pseudonym.parse().unwrap()), clear)
        };
        Self { place: copy, data, truth, people: people.lines().map(person).collect() }
    }
}

/// Starts on a damaged copy and holds what is found against the truth, and `check` against both.
pub fn verdict(house: &House, data: &Path) -> Verdict {
    let checked = check(data);
    let verdict = started(house, data);
    let clean = checked.as_ref().is_ok_and(CheckReport::is_clean);
    let loses = match &verdict {
        Verdict::Prefix(_)
        | Verdict::Refused(_)
        | Verdict::PartRefused(_)
        | Verdict::Later(_)
        | Verdict::PeopleGone(..) => true,
        Verdict::Whole { .. } | Verdict::Broken(_) => false,
    };
    match checked {
        Ok(report) if matches!(verdict, Verdict::Later(first) if report.first_seq != first) => {
            Verdict::Broken(format!("{verdict:?}, and check says {report}"))
        }
        _ if clean && loses => Verdict::Broken(format!("check says clean: {verdict:?}")),
        Err(error) if !names_a_remedy(&error.to_string()) => {
            Verdict::Broken(format!("check without a remedy: {error}"))
        }
        _ => verdict,
    }
}

/// What an operator can do next is in the text.
fn names_a_remedy(text: &str) -> bool {
    const REMEDIES: [&str; 6] = [
        "lotkeeper check",
        "start the release",
        "write the name",
        "write journal-",
        "stop it",
        "restore",
    ];
    REMEDIES.iter().any(|remedy| text.contains(remedy))
}

fn started(house: &House, data: &Path) -> Verdict {
    let tip = fs::read(data.join("TIP")).ok().and_then(|bytes| Tip::from_bytes(&bytes).ok());
    let (journal, recovery) = match SledJournal::open(options(data)) {
        Ok(opened) => opened,
        Err(error) if names_a_remedy(&error.to_string()) => {
            return Verdict::Refused(error.to_string());
        }
        Err(error) => return Verdict::Broken(format!("refused without a remedy: {error}")),
    };
    let Recovery { epoch, last_seq, tail, report, .. } = recovery;
    let reader = journal.reader();
    let first_seq = match reader.after(last_seq, 1) {
        Ok(page) => page.first_seq,
        Err(error) => return refused_part(&error),
    };
    let found = match reader.after(first_seq - 1, usize::MAX) {
        Ok(page) => page.records,
        Err(error) => return refused_part(&error),
    };
    let from = usize::try_from(first_seq - 1).unwrap();
    let to = usize::try_from(last_seq).unwrap();
    if to > house.truth.len() || found != house.truth[from..to] {
        return Verdict::Broken(format!("records {first_seq} to {last_seq} are not the truth"));
    }
    for commit in tail {
        match commit {
            Ok(records) => {
                for record in records {
                    if house.truth[usize::try_from(record.seq - 1).unwrap()] != record {
                        return Verdict::Broken(format!(
                            "the tail has another record {}",
                            record.seq
                        ));
                    }
                }
            }
            Err(error) => return refused_part(&error),
        }
    }
    let (gone, back) = match people(house, &journal, &report) {
        Ok(found) => found,
        Err(verdict) => return verdict,
    };
    let new_epoch = tip.is_none_or(|tip| tip.epoch != epoch);
    if to < house.truth.len() {
        let told = report.ends_below_tip == Some(house.truth.len() as u64) && new_epoch;
        // Where the tip file is hit as well nobody knows how far it went; one byte hits one file.
        return if told {
            Verdict::Prefix(last_seq)
        } else {
            Verdict::Broken(format!("{last_seq} in silence"))
        };
    }
    let lost = (first_seq > 1).then(|| (1, first_seq - 1));
    if report.history_lost != lost {
        let told = report.history_lost;
        return Verdict::Broken(format!("records from {first_seq} on, and {told:?} are told lost"));
    }
    if first_seq > 1 {
        return Verdict::Later(first_seq);
    }
    if gone + back > 0 {
        return Verdict::PeopleGone(gone, back);
    }
    Verdict::Whole { new_epoch }
}

/// How many people are gone, and how many are back who were erased, if that is what is told.
fn people(
    house: &House,
    journal: &SledJournal,
    report: &RecoveryReport,
) -> Result<(u64, u64), Verdict> {
    let (mut gone, mut back, mut erased) = (0, 0, 0);
    for (pseudonym, clear) in &house.people {
        erased += u64::from(clear.is_none());
        let found = journal.vault().reveal(*pseudonym).map_err(|error| refused_part(&error))?;
        match (clear.as_deref(), found.as_deref()) {
            (Some(_), None) => gone += 1,
            (None, Some(_)) => back += 1,
            (clear, found) if clear == found => {}
            (clear, found) => return Err(Verdict::Broken(format!("{clear:?} is {found:?} now"))),
        }
    }
    // A place that is lost is told as one, and the erasure that it may have held as well.
    let (places, erasures) = (gone..=gone + erased, back..=back + report.people_lost);
    match places.contains(&report.people_lost) && erasures.contains(&report.erasures_lost) {
        true => Ok((gone, back)),
        false => Err(Verdict::Broken(format!("{gone} gone, {back} back, told {report:?}"))),
    }
}

fn refused_part(error: &JournalError) -> Verdict {
    match names_a_remedy(&error.to_string()) {
        true => Verdict::PartRefused(error.to_string()),
        false => Verdict::Broken(format!("refused without a remedy: {error}")),
    }
}
