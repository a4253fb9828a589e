//! One contract, run by every journal there is.

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
