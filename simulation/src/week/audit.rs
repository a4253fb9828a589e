//! The end of a week: invariants, books, and the journal replayed to the same bytes.

use std::hash::Hasher;

use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::invariants;
use lotkeeper_engine::lot;
use lotkeeper_storage::format::encode_snapshot;
use lotkeeper_storage::{Event, FaultPlan, LotSnapshot, Record};
use siphasher::sip::SipHasher13;

use super::books::Books;
use super::world::World;
use crate::node::{Node, Plant, View};

/// Records read at once.
const PAGE: usize = 4_096;

impl World {
    pub(super) fn finish(&mut self) -> Result<(), String> {
        for lot in 0..2 {
            if let Some(broken) = invariants::check_lot(self.lot(lot)?).first() {
                return Err(format!("L{lot}: {broken}"));
            }
            if let Some(broken) = self.node.lots[lot].view.broken().first() {
                return Err(format!("view of L{lot}: {broken}"));
            }
        }
        let log = self.log()?;
        self.tally.add("journal.records", log.len() as u64);
        self.close_books(&log)?;
        let replayed = replay(&log);
        self.same(&replayed, "replayed")?;
        self.restart()
    }

    fn log(&self) -> Result<Vec<Record>, String> {
        let reader = self.node.reader();
        let mut all: Vec<Record> = Vec::new();
        loop {
            let after = all.last().map_or(0, |record| record.seq);
            let page = reader.after(after, PAGE).map_err(|error| format!("the log: {error}"))?;
            if page.records.is_empty() {
                return Ok(all);
            }
            all.extend(page.records);
        }
    }

    fn close_books(&mut self, log: &[Record]) -> Result<(), String> {
        for number in 0..2 {
            let key = LotKey(u32::try_from(number).unwrap_or(u32::MAX));
            let mut books = Books::of(number);
            for record in log.iter().filter(|record| record.lot == key) {
                if let Event::Lot(event) = &record.event {
                    books.take(event).map_err(|what| format!("L{number}: {what}"))?;
                }
            }
            let accounts = self.lot(number)?.accounts();
            books
                .close(accounts, self.paid[number])
                .map_err(|what| format!("L{number}: {what}"))?;
            self.tally.add("stay.billed", books.ended_count());
        }
        Ok(())
    }

    /// What actors and views hold is what the log says, byte by byte.
    fn same(&mut self, others: &[View], what: &str) -> Result<(), String> {
        for (number, other) in others.iter().enumerate() {
            let node = &self.node.lots[number];
            let seq = node.view.seq;
            let actor = self.lot(number)?.register().parts();
            let live = bytes(&node.view.snapshot(number, seq, actor))?;
            let view = bytes(&node.view.snapshot(number, seq, node.view.register.parts()))?;
            let other = bytes(&other.snapshot(number, seq, other.register.parts()))?;
            if live != view || live != other {
                let (live, view, other) = (live.len(), view.len(), other.len());
                return Err(format!(
                    "L{number}, {what}: {live} bytes of the actor, {view} of the view, {other}"
                ));
            }
            let mut digest = SipHasher13::new();
            digest.write(&live);
            self.trace.value(digest.finish());
            self.tally.add("snapshot.bytes", live.len() as u64);
        }
        Ok(())
    }

    /// A start from the snapshot of Wednesday and what came after it.
    fn restart(&mut self) -> Result<(), String> {
        let opened = Node::open(&self.store, FaultPlan::none(), self.now, Plant::None);
        let (node, opened) = opened.map_err(|error| format!("the start: {error}"))?;
        if opened.snapshots != 2 {
            return Err(format!("{} lots came from snapshots, not 2", opened.snapshots));
        }
        let views: Vec<View> = node.end().into_iter().map(|lot| lot.view).collect();
        self.same(&views, "restarted")
    }
}

fn replay(log: &[Record]) -> Vec<View> {
    let mut views: Vec<View> = Vec::new();
    for record in log {
        match &record.event {
            Event::Lot(lot::Event::Created(spec)) => views.push(View::new(spec, record)),
            Event::Lot(_) | Event::Slot(..) => views[record.lot.0 as usize].apply(record),
        }
    }
    views
}

fn bytes(snapshot: &LotSnapshot) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    encode_snapshot(snapshot, &mut bytes).map_err(|error| format!("a snapshot: {error}"))?;
    Ok(bytes)
}
