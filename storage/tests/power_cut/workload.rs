//! The traced process: a life of a journal, and what it says on the way; and the truth, made of what it said.
//!
//! Every line that it says is one write to its output: `will COMMANDS` before a commit, `acked SEQ` after it,
//! `epoch E` and `recovered SEQ` after a start, `phase NAME`, `erased PSEUDONYM`. Records follow from the
//! commands alone, so the truth is made again from the trace, up to any cut.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use lotkeeper_engine::ids::{LotKey, Pseudonym, ReservationId, SlotIndex};
use lotkeeper_engine::lot;
use lotkeeper_engine::time::{Seconds, Window};
use lotkeeper_storage::{Event, Journal, Options, PersonKind, Record, SledJournal, Vault};
use uuid::Uuid;

use crate::common::{Author, START, uuid};

/// The data directory of a traced process; set for it alone.
pub const ROLE: &str = "LOTKEEPER_TEST_POWER_CUT_IN";
/// A whole life, or one more start of a directory that is there.
pub const LIFE: &str = "LOTKEEPER_TEST_POWER_CUT_LIFE";
/// Slots of the two lots.
const SLOTS: [u16; 2] = [300, 40];
const TENANT: &str = "city";
/// Commits until two rotations have ended, at most.
const ROTATING_COMMITS_MAX: usize = 3_000;

pub fn options(data: &Path) -> Options {
    Options {
        data_dir: data.to_path_buf(),
        cache_bytes: 8 * 1024 * 1024,
        rotate_bytes: 2 * 1024 * 1024,
        archive_retention_seconds: 40,
        tip_interval_ms: 0,
        open_seconds_max: 60,
        identity: lotkeeper_storage::as_it_is,
    }
}

/// Makes the records of a commit from its commands, separated by `;`.
fn perform(author: &mut Author, commands: &str) -> Vec<Record> {
    let mut records = Vec::new();
    for command in commands.split(';') {
        let words: Vec<&str> = command.split_whitespace().collect();
        let number = |at: usize| words[at].parse::<usize>().unwrap();
        let lot = LotKey(u32::try_from(number(1)).unwrap());
        match words[0] {
            "create" => records.push(author.created(lot, SLOTS[number(1)])),
            "change" => records.extend(author.changes(lot, number(2))),
            "reserve" => {
                let hour = u32::try_from(number(2)).unwrap();
                let from = START.plus(Seconds(hour * 3_600));
                let holder = Pseudonym(words[3].parse().unwrap());
                let reserved = lot::Reserved {
                    id: ReservationId(uuid(u128::from(author.seq) + 1)),
                    slot: SlotIndex(3),
                    window: Window { from, to: from.plus(Seconds(1_800)) },
                    expires_at: None,
                    holder,
                    vehicle: None,
                    price: None,
                    series: None,
                    request: None,
                };
                let event = Event::Lot(lot::Event::Reserved(Box::new(reserved)));
                records.push(author.record(lot, event));
            }
            other => panic!("no such command: {other}"),
        }
    }
    records
}

/// What a process promised, from what it said up to a moment.
#[derive(Clone, Default)]
pub struct Truth {
    pub records: Vec<Record>,
    /// The last record of every commit.
    pub ends: BTreeSet<u64>,
    pub acked: u64,
    pub epoch: Option<u64>,
    /// Clear texts of the pseudonyms that records name.
    pub people: BTreeMap<Uuid, String>,
    pub erasing: BTreeSet<Uuid>,
    pub erased: BTreeSet<Uuid>,
    pub phase: String,
    author: Author,
}

impl Truth {
    /// Takes what a process said, which may be several lines, or none of ours.
    pub fn hear(&mut self, said: &str) {
        for line in said.lines() {
            let Some((what, rest)) = line.split_once(' ') else { continue };
            match what {
                "phase" => rest.clone_into(&mut self.phase),
                "epoch" => self.epoch = rest.parse().ok(),
                "recovered" => self.recovered(rest.parse().unwrap()),
                "will" => {
                    let records = perform(&mut self.author, rest);
                    self.records.extend(records);
                    self.ends.insert(self.author.seq);
                }
                "acked" => self.acked = rest.parse().unwrap(),
                "person" => {
                    let (pseudonym, clear) = rest.split_once(' ').unwrap();
                    self.people.insert(pseudonym.parse().unwrap(), clear.to_owned());
                }
                "erasing" => drop(self.erasing.insert(rest.parse().unwrap())),
                "erased" => drop(self.erased.insert(rest.parse().unwrap())),
                _ => {}
            }
        }
    }

    /// The process goes on from here: what it had begun after it never was.
    pub fn recovered(&mut self, seq: u64) {
        assert!(seq >= self.acked, "{seq} of {} acknowledged records recovered", self.acked);
        self.records.truncate(usize::try_from(seq).unwrap());
        self.ends.retain(|end| *end <= seq);
        self.author = Author::new();
        self.author.seq = seq;
        self.records.iter().for_each(|record| self.author.apply(record));
    }

    /// The state after the first records.
    pub fn author_at(&self, seq: u64) -> Author {
        let mut author = Author::new();
        let records = &self.records[..usize::try_from(seq).unwrap()];
        records.iter().for_each(|record| author.apply(record));
        author
    }
}

/// The process that is traced.
struct Life {
    journal: SledJournal,
    vault: Arc<dyn Vault>,
    author: Author,
    out: File,
    people: u32,
}

impl Life {
    fn begin(data: &Path) -> Self {
        let (journal, recovery) = SledJournal::open(options(data)).unwrap();
        let mut out = File::options().write(true).open("/proc/self/fd/1").unwrap();
        // One write for both: no cut comes between them.
        let (epoch, last_seq) = (recovery.epoch, recovery.last_seq);
        out.write_all(format!("epoch {epoch}\nrecovered {last_seq}\n").as_bytes()).unwrap();
        let author = Author::resume(&recovery.snapshots, recovery.tail.map(Result::unwrap));
        let people = u32::try_from(last_seq).unwrap();
        Self { vault: journal.vault(), journal, author, out, people }
    }

    /// Makes the lots that are not there.
    fn settle(&mut self) {
        for lot in 0..SLOTS.len() {
            if !self.author.lots.contains_key(&LotKey(u32::try_from(lot).unwrap())) {
                self.commit(&format!("create {lot}"));
            }
        }
    }

    fn say(&mut self, line: &str) {
        // Straight to the descriptor: a captured test output would never become a system call.
        self.out.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn commit(&mut self, commands: &str) {
        self.say(&format!("will {commands}"));
        let records = perform(&mut self.author, commands);
        self.journal.commit(&records).unwrap();
        self.say(&format!("acked {}", self.author.seq));
    }

    fn person(&mut self) -> Pseudonym {
        self.people += 1;
        let clear = format!("person-{}", self.people);
        let pseudonym = self.vault.intern(TENANT, PersonKind::Subject, &clear).unwrap();
        self.say(&format!("person {} {clear}", pseudonym.0));
        pseudonym
    }

    fn steady(&mut self, commits: usize) {
        for commit in 0..commits {
            let person = self.person().0;
            let hour = self.people;
            self.commit(&format!("change 0 {}; reserve 1 {hour} {person}", 1 + commit * 37 % 200));
            self.journal.maintain().unwrap();
        }
    }

    fn erase(&mut self, person: Pseudonym) {
        self.say(&format!("erasing {}", person.0));
        self.vault.erase(person).unwrap();
        self.say(&format!("erased {}", person.0));
    }

    fn snapshots(&mut self) {
        for lot in [LotKey(0), LotKey(1)] {
            self.journal.save_snapshot(&self.author.snapshot(lot)).unwrap();
        }
    }

    fn whole(&mut self) {
        self.say("phase steady");
        self.steady(40);
        self.say("phase snapshots");
        for _ in 0..12 {
            self.snapshots();
            self.steady(1);
        }
        self.say("phase large");
        for _ in 0..2 {
            self.commit("change 0 40000; change 1 2");
            let person = self.person();
            self.steady(1);
            self.snapshots();
            self.erase(person);
            // And one who is not on the disk yet.
            let fleeting = self.person();
            self.erase(fleeting);
            self.steady(1);
        }
        self.say("phase rotation");
        let mut rotations = 0;
        for _ in 0..ROTATING_COMMITS_MAX {
            self.commit("change 0 300; change 1 3");
            self.snapshots();
            rotations += usize::from(self.journal.maintain().unwrap().rotated);
            if rotations == 2 {
                break;
            }
        }
        assert_eq!(rotations, 2, "the journal does not rotate");
        self.steady(5);
    }
}

/// What the traced process does; nothing in a test that is run as a test.
pub fn live() {
    let Some(data) = std::env::var_os(ROLE) else { return };
    let data = Path::new(&data);
    if std::env::var_os(LIFE).is_some_and(|life| life == "whole") {
        let mut life = Life::begin(data);
        life.settle();
        life.whole();
        life.say("phase close");
        life.journal.sync().unwrap();
    }
    let mut life = Life::begin(data);
    life.say("phase restart");
    life.settle();
    life.steady(8);
}
