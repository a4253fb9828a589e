//! A start: views from snapshots and tail, actors from views.

use std::collections::BTreeMap;

use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{FaultPlan, FaultyJournal, JournalError, MemoryStore, RecoveryReport};

use super::{LotNode, Node, Plant, View};

/// What a start found.
pub struct Opened {
    /// The history's name.
    pub epoch: u64,
    /// The newest durable record.
    pub last_seq: u64,
    /// Its time; the clock does not go behind it.
    pub last_at: Timestamp,
    /// What recovery did.
    pub report: RecoveryReport,
    /// How many lots came from snapshots.
    pub snapshots: usize,
}

pub(super) fn open(
    store: &MemoryStore,
    plan: FaultPlan,
    wall: Timestamp,
    plant: Plant,
) -> Result<(Node, Opened), JournalError> {
    let (journal, recovery) = FaultyJournal::open(store.clone(), plan);
    let listening_since = wall.max(recovery.last_at);
    let mut views: BTreeMap<usize, View> = BTreeMap::new();
    let mut known: BTreeMap<usize, u64> = BTreeMap::new();
    let snapshots = recovery.snapshots.len();
    for snapshot in recovery.snapshots {
        let lot = snapshot.lot.0 as usize;
        known.insert(lot, snapshot.seq);
        views.insert(lot, View::of(snapshot));
    }
    if plant == Plant::ReplayTwice {
        known.clear();
    }
    for commit in recovery.tail {
        for record in commit? {
            let lot = record.lot.0 as usize;
            if known.get(&lot).is_some_and(|seq| record.seq <= *seq) {
                continue;
            }
            match (&record.event, views.get_mut(&lot)) {
                (_, Some(view)) => view.apply(&record),
                (
                    lotkeeper_storage::Event::Lot(lotkeeper_engine::lot::Event::Created(spec)),
                    None,
                ) => drop(views.insert(lot, View::new(spec, &record))),
                (_, None) => {
                    return Err(JournalError::Disk {
                        operation: "replay",
                        path: "the log in memory".to_owned(),
                        cause: format!("record {} is of lot {lot}, which is not there", record.seq),
                    });
                }
            }
        }
    }
    let lots: Vec<LotNode> = views.into_values().map(LotNode::new).collect();
    let lot_seqs = lots.iter().map(|lot| lot.view.lot_seq).collect();
    let node = Node {
        journal,
        lots,
        queue: std::collections::VecDeque::new(),
        commits: std::collections::VecDeque::new(),
        seq: recovery.last_seq,
        lot_seqs,
        listening_since,
        plant,
    };
    let opened = Opened {
        epoch: recovery.epoch,
        last_seq: recovery.last_seq,
        last_at: recovery.last_at,
        report: recovery.report,
        snapshots,
    };
    Ok((node, opened))
}
