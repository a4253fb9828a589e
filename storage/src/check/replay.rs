//! Replays a log lot by lot and holds its snapshots against it.
//!
//! A lot's state begins with its creation, or with a snapshot where older records were pruned. Heartbeats
//! leave no record, so liveness and counts are not compared; everything else is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lotkeeper_engine::counts::LotCounts;
use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::lot::{self, Lot};
use lotkeeper_engine::slot::{self, Slot};
use lotkeeper_engine::{invariants, invariants::Broken};

use super::report::CheckReport;
use crate::error::JournalError;
use crate::format::SnapshotHead;
use crate::record::{Event, Record};
use crate::sled_journal::{Inventory, Live};
use crate::snapshot::LotSnapshot;

/// Invariants of the lots touched are checked after so many records: each check reads whole lots.
const RECORDS_PER_CHECK: u64 = 100_000;

struct State {
    lot_seq: u64,
    lot: Lot,
    slots: Vec<Slot>,
}

pub(super) struct Replay<'a> {
    live: &'a Live,
    /// Snapshots still to be met, in order of the lot's sequence.
    ahead: BTreeMap<LotKey, Vec<SnapshotHead>>,
    /// The newest record of each lot, for those whose state is not known yet.
    seen: BTreeMap<LotKey, u64>,
    states: BTreeMap<LotKey, State>,
    touched: BTreeSet<LotKey>,
    since_check: u64,
}

impl<'a> Replay<'a> {
    pub(super) fn new(inventory: &'a Inventory) -> Self {
        Self {
            live: &inventory.live,
            ahead: inventory.heads.clone(),
            seen: BTreeMap::new(),
            states: BTreeMap::new(),
            touched: BTreeSet::new(),
            since_check: 0,
        }
    }

    pub(super) fn take(
        &mut self,
        record: &Record,
        report: &mut CheckReport,
    ) -> Result<(), JournalError> {
        let lot = record.lot;
        // A snapshot at the very start of what is retained comes before its first record.
        self.meet(lot, record.lot_seq - 1, report)?;
        let before = self.seen.insert(lot, record.lot_seq);
        if before.is_some_and(|before| before + 1 != record.lot_seq) {
            let (seq, lot_seq) = (record.seq, record.lot_seq);
            report.problem(format!("record {seq}: lot {} jumps to {lot_seq}", lot.0));
            self.states.remove(&lot);
        }
        self.apply(record, report);
        self.meet(lot, record.lot_seq, report)?;
        self.touched.insert(lot);
        self.since_check += 1;
        if self.since_check >= RECORDS_PER_CHECK {
            self.check_touched(report);
        }
        Ok(())
    }

    fn apply(&mut self, record: &Record, report: &mut CheckReport) {
        if let (1, Event::Lot(lot::Event::Created(spec))) = (record.lot_seq, &record.event) {
            let slots = vec![Slot::default(); spec.slots.len()];
            let state = State { lot_seq: 1, lot: Lot::new(Arc::clone(spec)), slots };
            self.states.insert(record.lot, state);
            return;
        }
        let Some(state) = self.states.get_mut(&record.lot) else {
            if record.lot_seq == 1 {
                report.problem(format!("lot {} does not begin with its creation", record.lot.0));
            }
            return;
        };
        if record.lot_seq <= state.lot_seq {
            return;
        }
        state.lot_seq = record.lot_seq;
        match &record.event {
            Event::Lot(event) => lot::apply(&mut state.lot, event, record.at),
            Event::Slot(index, event) => match state.slots.get_mut(index.at()) {
                Some(slot) => slot::apply(slot, event, record.at),
                None => {
                    let (seq, index) = (record.seq, index.0);
                    report
                        .problem(format!("record {seq}: lot {} has no slot {index}", record.lot.0));
                }
            },
        }
    }

    /// Holds the snapshots of a lot up to `lot_seq` against the replay, or begins with the first of them.
    fn meet(
        &mut self,
        lot: LotKey,
        lot_seq: u64,
        report: &mut CheckReport,
    ) -> Result<(), JournalError> {
        while let Some(heads) = self.ahead.get_mut(&lot)
            && heads.first().is_some_and(|head| head.lot_seq <= lot_seq)
        {
            let head = heads.remove(0);
            let snapshot = self.live.snapshot(&head)?;
            report.snapshots += 1;
            self.compare(&snapshot, report);
        }
        Ok(())
    }

    fn compare(&mut self, snapshot: &LotSnapshot, report: &mut CheckReport) {
        let mut wrong = |detail: &str| {
            let (lot, seq) = (snapshot.lot.0, snapshot.seq);
            report.problem(format!("snapshot of lot {lot} at {seq}: {detail}"));
        };
        let lot = Lot::from_parts(snapshot.parts.clone());
        for broken in invariants::check_lot(&lot) {
            wrong(&broken.to_string());
        }
        match self.states.get(&snapshot.lot) {
            Some(state) if state.lot_seq != snapshot.lot_seq => {
                let (here, there) = (state.lot_seq, snapshot.lot_seq);
                wrong(&format!("it holds {there} records of the lot, the log {here} by then"));
            }
            Some(state) => {
                let (a, b) = (state.lot.parts(), &snapshot.parts);
                if (a.version, &a.spec, &a.slots) != (b.version, &b.spec, &b.slots) {
                    wrong("lot or slots differ from the replayed log");
                }
                if a.reservations != b.reservations {
                    wrong("reservations differ from the replayed log");
                }
                if !state.slots.iter().map(essence).eq(snapshot.slots.iter().map(essence)) {
                    wrong("occupancy differs from the replayed log");
                }
            }
            None => {
                let slots = snapshot.slots.clone();
                let state = State { lot_seq: snapshot.lot_seq, lot, slots };
                self.states.insert(snapshot.lot, state);
            }
        }
    }

    fn check_touched(&mut self, report: &mut CheckReport) {
        self.since_check = 0;
        for lot in std::mem::take(&mut self.touched) {
            if let Some(state) = self.states.get(&lot) {
                for broken in state.broken() {
                    report.problem(format!(
                        "lot {} at its record {}: {broken}",
                        lot.0, state.lot_seq
                    ));
                }
            }
        }
    }

    /// Lots without a record left, lots without a beginning, and all invariants once more.
    pub(super) fn finish(&mut self, report: &mut CheckReport) -> Result<(), JournalError> {
        let quiet: Vec<LotKey> = self.ahead.keys().copied().collect();
        for lot in quiet {
            let newest = self.seen.get(&lot).copied();
            self.meet(lot, newest.unwrap_or(u64::MAX), report)?;
            for head in self.ahead.remove(&lot).unwrap_or_default() {
                let seq = head.seq;
                report.problem(format!("snapshot of lot {} at {seq} is ahead of the log", lot.0));
            }
        }
        for lot in self.seen.keys().filter(|lot| !self.states.contains_key(lot)) {
            report.problem(format!("lot {} has neither its creation nor a snapshot", lot.0));
        }
        self.touched = self.states.keys().copied().collect();
        self.check_touched(report);
        report.lots = self.states.len() as u64;
        Ok(())
    }
}

impl State {
    fn broken(&self) -> Vec<Broken> {
        let statuses = self
            .lot
            .spec()
            .slot_indices()
            .zip(&self.slots)
            .map(|(index, slot)| invariants::status(&self.lot, index, slot));
        let counts = LotCounts::of(self.lot.spec(), statuses);
        let mut broken = invariants::check_lot(&self.lot);
        broken.extend(invariants::check_counts(&self.lot, self.slots.iter(), &counts));
        broken
    }
}

/// What of a slot follows from its records alone.
fn essence(slot: &Slot) -> (u32, Option<bool>, Option<lotkeeper_engine::time::Timestamp>) {
    (slot.version, slot.occupied(), slot.hearing.map(|hearing| hearing.since))
}
