//! One contract, run by every journal there is.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

#[path = "../common/mod.rs"]
mod common;
mod suite;

use common::copy_dir;
use lotkeeper_storage::{
    Fault, FaultPlan, FaultyJournal, Journal, MemoryJournal, MemoryStore, Options, Recovery,
    SledJournal,
};
use suite::House;

struct Memory(MemoryStore);

impl House for Memory {
    fn open(&mut self) -> (Box<dyn Journal>, Recovery) {
        self.0.power_cut();
        let (journal, recovery) = MemoryJournal::open(self.0.clone());
        (Box::new(journal), recovery)
    }

    fn prune(&mut self, _journal: &mut dyn Journal, seq: u64) {
        self.0.prune(seq);
    }
}

struct Faulty {
    store: MemoryStore,
    plan: FaultPlan,
}

impl House for Faulty {
    fn open(&mut self) -> (Box<dyn Journal>, Recovery) {
        self.store.power_cut();
        let (journal, recovery) = FaultyJournal::open(self.store.clone(), self.plan.clone());
        (Box::new(journal), recovery)
    }

    fn prune(&mut self, _journal: &mut dyn Journal, seq: u64) {
        self.store.prune(seq);
    }
}

/// The data directory is copied for every opening: what a killed process leaves, and a poisoned journal
/// never gives up its files.
struct Sled {
    dirs: Vec<tempfile::TempDir>,
    options: Options,
}

impl Sled {
    fn new() -> Self {
        let options = Options {
            cache_bytes: 8 * 1024 * 1024,
            rotate_bytes: 1,
            archive_retention_seconds: 0,
            tip_interval_ms: 0,
            ..Options::default()
        };
        Self { dirs: Vec::new(), options }
    }
}

impl House for Sled {
    fn open(&mut self) -> (Box<dyn Journal>, Recovery) {
        let dir = tempfile::tempdir().unwrap();
        if let Some(before) = self.dirs.last() {
            copy_dir(before.path(), dir.path());
        }
        let options = Options { data_dir: dir.path().to_path_buf(), ..self.options.clone() };
        self.dirs.push(dir);
        let (journal, recovery) = SledJournal::open(options).unwrap();
        (Box::new(journal), recovery)
    }

    fn prune(&mut self, journal: &mut dyn Journal, _seq: u64) {
        // With these options everything that no start needs is moved out and removed at once.
        while !journal.maintain().unwrap().rotated {
            std::thread::yield_now();
        }
    }
}

macro_rules! contract {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            use super::*;
            $(#[test] fn $name() { suite::$name(&mut Memory(MemoryStore::default())); })+
        }
        mod faulty_without_faults {
            use super::*;
            $(#[test] fn $name() {
                let (store, plan) = (MemoryStore::with_seed(1), FaultPlan::none());
                suite::$name(&mut Faulty { store, plan });
            })+
        }
        mod sled {
            use super::*;
            $(#[test] fn $name() { suite::$name(&mut Sled::new()); })+
        }
    };
}

contract!(
    acknowledged_records_survive_reopen,
    nothing_is_committed_by_an_empty_commit,
    gaps_are_refused_and_nothing_is_accepted_after,
    recovery_starts_from_the_older_snapshot,
    the_tail_holds_everything_of_a_lot_without_a_snapshot,
    pages_come_in_order_and_without_holes,
    what_was_pruned_is_told_to_be,
    a_record_larger_than_any_frame_survives,
    the_epoch_stays_at_a_restart,
    people_are_found_and_erased,
    times_far_apart_survive,
    a_backup_holds_everything_up_to_its_sequence,
);

/// A suite that cannot tell a journal that lies from one that keeps its word proves nothing.
#[test]
fn the_suite_notices_a_disk_that_lies() {
    for commit in 1..=7 {
        let plan = FaultPlan::at(commit, Fault::Lied);
        let mut house = Faulty { store: MemoryStore::with_seed(7), plan };
        let noticed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            suite::acknowledged_records_survive_reopen(&mut house);
        }));
        // A later commit that is synced takes an earlier lie along: only the last one is lost.
        assert_eq!(noticed.is_err(), commit == 7, "commit {commit}");
    }
}

mod faults {
    use super::*;
    use common::Author;
    use lotkeeper_engine::ids::LotKey;
    use lotkeeper_storage::JournalError;

    const A: LotKey = LotKey(0);

    /// Commits until one fails; gives what was acknowledged, what was tried, and the error.
    fn until_failure(store: &MemoryStore, plan: FaultPlan) -> (u64, u64, JournalError) {
        let (mut journal, recovery) = FaultyJournal::open(store.clone(), plan);
        let snapshots = recovery.snapshots.clone();
        let mut author = Author::resume(&snapshots, recovery.tail.map(Result::unwrap));
        loop {
            let acknowledged = author.seq;
            let records = match author.lots.is_empty() {
                true => vec![author.created(A, 900)],
                false => author.changes(A, 900),
            };
            if let Err(error) = journal.commit(&records) {
                let again = journal.commit(&[]).unwrap_err();
                assert!(matches!(again, JournalError::Poisoned { .. }), "{again}");
                return (acknowledged, author.seq, error);
            }
        }
    }

    #[test]
    fn a_failed_commit_is_there_as_a_whole_or_not_at_all() {
        // (fault, whether the power is cut, whether the commit is there afterwards)
        let table = [
            (Fault::RefusedBeforeWriting, false, false),
            (Fault::RefusedBeforeWriting, true, false),
            (Fault::FailedAfterWriting, false, true),
            (Fault::FailedAfterWriting, true, false),
            (Fault::Torn { frames: 0 }, true, false),
            (Fault::Torn { frames: 1 }, true, false),
            (Fault::Torn { frames: 2 }, false, false),
            (Fault::Torn { frames: 1_000 }, true, true),
        ];
        for (fault, power_cut, there) in table {
            let store = MemoryStore::with_seed(3);
            let (acknowledged, tried, _) = until_failure(&store, FaultPlan::at(4, fault));
            if power_cut {
                store.power_cut();
            }
            let (_, recovery) = MemoryJournal::open(store);
            let expected = if there { tried } else { acknowledged };
            assert_eq!(recovery.last_seq, expected, "{fault:?}, power cut: {power_cut}");
            assert_eq!(recovery.report.ends_below_tip, None, "{fault:?}: nothing told is lost");
            let torn = matches!(fault, Fault::Torn { frames: 1 | 2 });
            assert_eq!(recovery.report.discarded_frames > 0, torn, "{fault:?}");
        }
    }

    #[test]
    fn a_lie_changes_the_epoch() {
        let store = MemoryStore::with_seed(3);
        let (mut journal, first) =
            FaultyJournal::open(store.clone(), FaultPlan::at(2, Fault::Lied));
        let mut author = Author::new();
        journal.commit(&[author.created(A, 9)]).unwrap();
        journal.commit(&author.changes(A, 9)).unwrap();
        store.power_cut();
        let late = journal.commit(&author.changes(A, 9)).unwrap_err();
        assert!(matches!(late, JournalError::Locked { .. }), "nobody writes without power: {late}");
        let (_, second) = MemoryJournal::open(store);
        assert_eq!((second.last_seq, second.report.ends_below_tip), (1, Some(10)));
        assert_ne!(second.epoch, first.epoch);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_and_nothing_acknowledged_is_lost() {
        let run = |seed| {
            let store = MemoryStore::with_seed(seed);
            let mut told = Vec::new();
            for round in 0..12 {
                let plan = FaultPlan::Seeded { seed: seed + round, one_in: 5 };
                let (acknowledged, tried, error) = until_failure(&store, plan);
                if round % 2 == 0 {
                    store.power_cut();
                }
                let recovered = MemoryJournal::open(store.clone()).1.last_seq;
                assert!(recovered == acknowledged || recovered == tried, "seed {seed}");
                told.push((recovered, error.to_string()));
            }
            told
        };
        for seed in [1, 77, 4_096] {
            assert_eq!(run(seed), run(seed));
        }
        assert_ne!(run(1), run(77));
    }
}
