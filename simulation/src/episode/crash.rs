//! The end of a process and the next start: what was durable is there, exactly, and nothing else.

use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{Fault, FaultPlan};

use super::Episode;
use crate::model::{LotModel, SensorModel};
use crate::node::{LotNode, Node, Opened, View};

/// So much of the log is read at every start; all of it is read at the end of an episode.
const LOG_RECORDS_AT_START: u64 = 1_000;

/// How a process ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Death {
    /// What it wrote stays, synced or not.
    Killed,
    /// Only what it synced stays.
    PowerCut,
    /// A commit failed, so it ended itself; perhaps because the power did.
    Failed { fault: Fault, power: bool },
}

impl Death {
    fn cuts_power(self) -> bool {
        match self {
            Self::Killed => false,
            Self::PowerCut => true,
            Self::Failed { power, .. } => power,
        }
    }
}

impl Episode {
    pub(super) fn crash(&mut self, death: Death) -> Result<(), String> {
        self.tally.count(match death {
            Death::Killed => "end.killed",
            Death::PowerCut => "end.power_cut",
            Death::Failed { fault: Fault::RefusedBeforeWriting, .. } => "end.write_refused",
            Death::Failed { fault: Fault::FailedAfterWriting, .. } => "end.sync_failed",
            Death::Failed { fault: Fault::Torn { .. }, .. } => "end.torn",
            Death::Failed { fault: Fault::Lied, .. } => "end.lied",
        });
        self.trace.note(|| format!("the process ends: {death:?}"));
        let possible = self.possible_ends(death);
        if death.cuts_power() {
            self.store.power_cut();
        }
        // The wall clock may be anywhere when the machine is back.
        let away = match self.dice.below(6) {
            0 => self.dice.between(-86_400_000_000, 0),
            1 => self.dice.between(0, 259_200_000_000),
            _ => self.dice.between(0, 30_000_000),
        };
        let wall = Timestamp::from_micros(self.now.micros() + away);
        self.plan_faults();
        let plan = self.plan();
        let opened = self.open(plan, wall)?;
        self.judge_end(&opened, &possible)?;
        self.recover(&opened)?;
        self.now = self.node.listening_since;
        self.trace.value(self.now.micros().unsigned_abs());
        self.trace.value(opened.last_seq);
        self.audit_all()?;
        self.audit_log(LOG_RECORDS_AT_START)
    }

    /// The last records that a start may find: the auditor knows the disk, the engine does not.
    fn possible_ends(&mut self, death: Death) -> Vec<u64> {
        let all = self.log.len() as u64;
        let committed = self.committed_seq;
        let kept = self.lied_after.filter(|_| death.cuts_power()).unwrap_or(committed);
        match death {
            Death::Killed | Death::PowerCut => vec![kept],
            Death::Failed { fault, power } => match fault {
                Fault::FailedAfterWriting if !power => vec![all],
                // The first frames reached the disk, with everything before them: none or all of a commit.
                Fault::Torn { .. } => vec![committed, all],
                _ => vec![kept],
            },
        }
    }

    fn open(&mut self, plan: FaultPlan, wall: Timestamp) -> Result<Opened, String> {
        let (node, opened) = Node::open(&self.store, plan, wall, self.plant)
            .map_err(|error| format!("the next start: {error}"))?;
        self.old = std::mem::replace(&mut self.node, node).end();
        let last_seq = opened.last_seq;
        let report = &opened.report;
        self.trace.note(|| format!("starts at {wall} with record {last_seq}: {report:?}"));
        self.tally.add("start.discarded_frames", opened.report.discarded_frames);
        self.tally.count(if opened.snapshots > 0 {
            "start.from_snapshots"
        } else {
            "start.from_log"
        });
        Ok(opened)
    }

    fn judge_end(&mut self, opened: &Opened, possible: &[u64]) -> Result<(), String> {
        let (last_seq, committed) = (opened.last_seq, self.committed_seq);
        if !possible.contains(&last_seq) {
            return Err(format!(
                "{committed} records were acknowledged, the start ends at {last_seq}, expected one of {possible:?}"
            ));
        }
        let shrank = last_seq < committed;
        if shrank {
            self.tally.count("start.loss_reported");
        }
        if shrank != (opened.epoch != self.epoch) {
            return Err(format!("{committed} records became {last_seq}, epoch {:x}", opened.epoch));
        }
        if shrank && opened.report.ends_below_tip != Some(committed) {
            return Err(format!("{:?} reports the loss of {committed}", opened.report));
        }
        self.epoch = opened.epoch;
        Ok(())
    }

    /// What had been shown, and the commits after it that are there.
    fn recover(&mut self, opened: &Opened) -> Result<(), String> {
        let last = usize::try_from(opened.last_seq).unwrap_or(usize::MAX);
        self.log.truncate(last);
        if opened.last_seq < self.published_seq {
            self.begin_again();
        }
        let from = usize::try_from(self.published_seq).unwrap_or(usize::MAX);
        for position in from..last {
            let record = self.log[position].clone();
            self.old[record.lot.0 as usize].view.apply(&record);
            self.follow(&record, &mut Vec::new());
        }
        (self.committed_seq, self.published_seq) = (opened.last_seq, opened.last_seq);
        self.lied_after = None;
        for expected in &mut self.expected {
            expected.lot.fall_back();
            expected.slots.iter_mut().for_each(super::Twice::fall_back);
        }
        if self.node.lots.len() != self.old.len() {
            return Err(format!("{} lots of {} are back", self.node.lots.len(), self.old.len()));
        }
        for (number, (new, old)) in self.node.lots.iter().zip(&self.old).enumerate() {
            if let Some(difference) = differ(&new.view, &old.view) {
                return Err(format!("L{number} came back otherwise: {difference}"));
            }
        }
        Ok(())
    }

    /// Published records were lost, as the disk had lied: everything is built from what is left of the log.
    fn begin_again(&mut self) {
        self.published_seq = 0;
        for position in 0..self.expected.len() {
            let record = self.log[position].clone();
            // The first commit made the lots, in order, and cannot be lost.
            if let lotkeeper_storage::Event::Lot(lotkeeper_engine::lot::Event::Created(spec)) =
                &record.event
            {
                self.published_seq = record.seq;
                self.old[position] = LotNode::new(View::new(spec, &record));
                let expected = &mut self.expected[position];
                expected.lot.durable = LotModel::new(std::sync::Arc::clone(spec));
                for slot in &mut expected.slots {
                    slot.durable = SensorModel::default();
                }
            }
        }
    }
}

/// Where a snapshot was taken does not count.
fn differ(new: &View, old: &View) -> Option<String> {
    if new.lot_seq != old.lot_seq {
        Some(format!("at {} instead of {}", new.lot_seq, old.lot_seq))
    } else if new.register != old.register {
        Some(format!("{:?} instead of {:?}", new.register.parts(), old.register.parts()))
    } else if new.slots != old.slots {
        Some(format!("{:?} instead of {:?}", new.slots, old.slots))
    } else if new.counts != old.counts {
        Some(format!("{:?} instead of {:?}", new.counts, old.counts))
    } else {
        None
    }
}
