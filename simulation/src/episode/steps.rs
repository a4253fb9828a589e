//! What can happen next.

use lotkeeper_engine::ids::{ReservationId, SlotIndex};
use lotkeeper_engine::lot::{self, Command};
use lotkeeper_engine::time::Timestamp;
use lotkeeper_engine::{invariants, slot};
use lotkeeper_storage::{Event, Fault};

use super::Episode;
use super::crash::Death;
use super::names::name;
use crate::dice::Dice;
use crate::model::{Asked, predict};
use crate::node::Waiting;
use crate::workload::Message;

/// Kinds of steps.
pub(super) const KINDS: usize = 13;

const NAMES: [&str; KINDS] = [
    "step.sense",
    "step.arrive",
    "step.ask",
    "step.tick",
    "step.commit",
    "step.publish",
    "step.wait",
    "step.snapshot",
    "step.kill",
    "step.crash",
    "step.power_cut",
    "step.prune",
    "step.burst",
];

/// How often each kind comes: every episode has a temper of its own.
pub(super) fn weights(dice: &mut Dice) -> [u32; KINDS] {
    let usual = [300, 320, 300, 60, 120, 130, 120, 8, 8, 3, 3, 2, 2];
    let mut weights = usual.map(|weight| weight * dice.count(1, 4));
    if dice.one_in(6) {
        // Commits of several frames, so that a torn one is torn in the middle.
        weights[KINDS - 1] *= 6;
    }
    weights
}

impl Episode {
    pub(super) fn step(&mut self) -> Result<(), String> {
        let kind = self.dice.weighted(&self.weights);
        self.trace.step(u8::try_from(kind).unwrap_or(u8::MAX));
        self.tally.count(NAMES[kind]);
        match kind {
            0 => {
                self.sensors.sense(&mut self.dice, self.now);
                Ok(())
            }
            1 => self.arrive(),
            2 => self.ask(),
            3 => self.tick(),
            // A commit that is to be torn should have a middle.
            4 if matches!(self.faults.get(&(self.commits + 1)), Some(Fault::Torn { .. })) => {
                self.burst()
            }
            4 => {
                let most = if self.dice.one_in(3) { 1 + self.dice.index(8) } else { usize::MAX };
                self.commit(most)
            }
            5 => self.publish(),
            6 => {
                self.wait();
                Ok(())
            }
            7 => self.snapshot(),
            8 => {
                self.kill();
                Ok(())
            }
            9 => self.crash(Death::Killed),
            10 => self.crash(Death::PowerCut),
            11 => {
                self.prune();
                Ok(())
            }
            _ => self.burst(),
        }
    }

    /// Fills several frames of one commit.
    fn burst(&mut self) -> Result<(), String> {
        let lot = self.dice.index(self.expected.len());
        let slots = self.expected[lot].slots.len() as u64;
        let times = 1_200_u64.checked_div(slots).unwrap_or_default().min(60);
        for message in self.sensors.burst(lot, self.now, times) {
            self.ask_slot(lot, message.slot, &slot::Command::Read(message.reading))?;
        }
        self.commit(usize::MAX)
    }

    fn arrive(&mut self) -> Result<(), String> {
        let Some(message) = self.sensors.arrive(&mut self.dice, self.now) else { return Ok(()) };
        let command = slot::Command::Read(message.reading);
        if !self.ask_slot(message.lot, message.slot, &command)? {
            self.sensors.put_back(Message { due: self.now, ..message });
        }
        Ok(())
    }

    /// Tells whether somebody was there.
    fn ask_slot(
        &mut self,
        lot: usize,
        index: SlotIndex,
        command: &slot::Command,
    ) -> Result<bool, String> {
        // The lot's rules reach the slots when they are shown.
        let rules = self.expected[lot].lot.durable.spec.rules;
        let now = self.now;
        let Some(decided) = self.node.reading(lot, index, command, now) else { return Ok(false) };
        let model = &mut self.expected[lot].slots[index.at()].ahead;
        let predicted = model.predict(command, now, &rules);
        self.trace.note(|| format!("{now} L{lot} {index:?} {command:?} -> {decided:?}"));
        match (&decided, &predicted) {
            (Ok(decision), Ok(prediction))
                if decision.event == prediction.event
                    && decision.outcome == prediction.outcome
                    && decision.heartbeat == prediction.heartbeat => {}
            (Err(rejection), Err(expected)) if rejection == expected => {}
            _ => {
                return Err(format!(
                    "L{lot} {index:?} {command:?}: {decided:?}, not {predicted:?}"
                ));
            }
        }
        let Ok(decision) = decided else {
            self.tally.count("reading.in_future");
            return Ok(true);
        };
        if let Some(event) = &decision.event {
            model.apply(event, now);
        }
        if let Some(mark) = decision.heartbeat {
            model.hear(mark, now);
        }
        self.trace.value(decision.outcome as u64);
        self.tally.count(match (decision.outcome, decision.event) {
            (_, Some(slot::Event::FellSilent)) => "reading.fell_silent",
            (slot::Outcome::Accepted, _) => "reading.accepted",
            (slot::Outcome::Unchanged, _) => "reading.unchanged",
            (slot::Outcome::Duplicate, _) => "reading.duplicate",
            (slot::Outcome::Late, _) => "reading.late",
        });
        let actor = self.node.lots[lot].slots[index.at()].as_ref();
        match actor.and_then(|actor| model.differs_from(actor)) {
            Some(difference) => Err(format!("L{lot} {index:?} after {command:?}: {difference}")),
            None => Ok(true),
        }
    }

    fn ask(&mut self) -> Result<(), String> {
        // What callers know of versions is the newest; nothing hangs on it.
        let lot = self.dice.index(self.expected.len());
        let model = &self.expected[lot].lot.ahead;
        let command = self.callers.ask(&mut self.dice, model, self.now);
        self.command(lot, &command)
    }

    pub(super) fn command(&mut self, lot: usize, command: &Command) -> Result<(), String> {
        if self.callers.have_gates() {
            return self.command_at_gates(lot, command);
        }
        let bays = self.node.lots[lot].view.bays();
        let now = self.now;
        let Some(decision) = self.node.command(lot, command, now) else { return Ok(()) };
        self.trace.note(|| format!("{now} L{lot} {command:?} -> {decision:?}"));
        let chosen = decision.events.iter().find_map(|event| match (event, command) {
            (lot::Event::Reserved(it), Command::Reserve(wanted)) if it.id == wanted.id => {
                Some(it.slot)
            }
            _ => None,
        });
        let model = &mut self.expected[lot].lot.ahead;
        let asked = Asked { command, now, bays: &bays, chosen };
        let predicted =
            predict(model, &asked).map_err(|wrong| format!("L{lot} {command:?}: {wrong}"))?;
        if !predicted.is(&decision) {
            return Err(format!("L{lot} {command:?}: {decision:?}, not {predicted:?}"));
        }
        for event in &predicted.events {
            model.apply(event, now);
        }
        if let Some(heartbeat) = predicted.heartbeat {
            model.gates.hear(heartbeat, now);
        }
        self.trace.value(decision.events.len() as u64);
        self.trace.value(u64::from(decision.outcome.is_ok()));
        self.tally.count(name(command, decision.outcome.as_ref().ok()));
        self.audit_actor(lot, &touched(decision.events.iter()))
    }

    fn tick(&mut self) -> Result<(), String> {
        let lot = self.dice.index(self.expected.len());
        let listening_since = self.node.listening_since;
        self.command(lot, &Command::Tick { listening_since })?;
        let rules = self.expected[lot].lot.durable.spec.rules;
        let suspects: Vec<SlotIndex> = (0_u16..)
            .zip(&self.expected[lot].slots)
            .filter(|(_, slot)| {
                let due = slot.durable.silence_due(listening_since, &rules);
                due.is_some_and(|due| due <= self.now)
            })
            .map(|(index, _)| SlotIndex(index))
            .collect();
        for slot in suspects {
            self.ask_slot(lot, slot, &slot::Command::CheckSilence { listening_since })?;
        }
        Ok(())
    }

    pub(super) fn commit(&mut self, submissions_max: usize) -> Result<(), String> {
        let before = self.committed_seq;
        let fault = self.faults.get(&(self.commits + 1)).copied();
        match self.node.commit(submissions_max) {
            Ok(records) if records.is_empty() => Ok(()),
            Ok(records) => {
                self.commits += 1;
                self.committed_seq += records.len() as u64;
                self.trace.note(|| format!("commit {} records, {fault:?}", records.len()));
                self.trace.value(self.committed_seq);
                self.tally.add("journal.records", records.len() as u64);
                self.log.extend(records);
                match fault {
                    Some(Fault::Lied) => {
                        self.tally.count("fault.lied");
                        self.lied_after.get_or_insert(before);
                        if self.dice.one_in(2) {
                            return self.crash(Death::PowerCut);
                        }
                    }
                    // A sync that does what it says takes everything along.
                    _ => self.lied_after = None,
                }
                Ok(())
            }
            Err((records, error)) => {
                self.trace.note(|| format!("commit of {} records: {error}", records.len()));
                self.log.extend(records);
                let Some(fault) = fault else {
                    return Err(format!("a commit failed that should not: {error}"));
                };
                let power = self.dice.one_in(2);
                self.crash(Death::Failed { fault, power })
            }
        }
    }

    pub(super) fn publish(&mut self) -> Result<(), String> {
        let Some(published) = self.node.publish() else { return Ok(()) };
        if let Some(answered) = published.answered_seq.filter(|seq| *seq > self.committed_seq) {
            return Err(format!(
                "record {answered} was answered, {} is durable",
                self.committed_seq
            ));
        }
        let mut moved = vec![Vec::new(); self.expected.len()];
        let mut touched_lots = vec![false; self.expected.len()];
        for record in &published.records {
            if record.seq != self.published_seq + 1 {
                return Err(format!("record {} after {}", record.seq, self.published_seq));
            }
            self.published_seq = record.seq;
            let lot = record.lot.0 as usize;
            touched_lots[lot] = true;
            self.follow(record, &mut moved[lot]);
        }
        for (lot, who) in published.back {
            match who {
                Waiting::Slot(index) => self.expected[lot].slots[index.at()].fall_back(),
                _ => self.expected[lot].lot.fall_back(),
            }
        }
        for lot in (0..self.expected.len()).filter(|lot| touched_lots[*lot]) {
            self.audit_view(lot, &moved[lot])?;
        }
        Ok(())
    }

    pub(super) fn follow(
        &mut self,
        record: &lotkeeper_storage::Record,
        moved: &mut Vec<ReservationId>,
    ) {
        let expected = &mut self.expected[record.lot.0 as usize];
        match &record.event {
            Event::Lot(event) => {
                expected.lot.durable.apply(event, record.at);
                moved.extend(touched(std::iter::once(event)));
            }
            Event::Slot(index, event) => {
                expected.slots[index.at()].durable.apply(event, record.at);
            }
        }
    }

    fn wait(&mut self) {
        let micros = match self.dice.below(24) {
            0 => self.dice.between(0, 86_400_000_000),
            1..4 => self.dice.between(0, 3_600_000_000),
            4..10 => self.dice.between(0, 120_000_000),
            _ => self.dice.between(0, 3_000_000),
        };
        self.now = Timestamp::from_micros(self.now.micros() + micros);
        self.trace.value(self.now.micros().unsigned_abs());
        let now = self.now;
        self.trace.note(|| format!("it is {now}"));
    }

    fn snapshot(&mut self) -> Result<(), String> {
        let lot = self.dice.index(self.expected.len());
        self.trace.note(|| format!("snapshot of L{lot}"));
        self.node.snapshot(lot).map_err(|error| format!("snapshot of L{lot}: {error}"))
    }

    fn kill(&mut self) {
        let lot = self.dice.index(self.expected.len());
        let slots = self.expected[lot].slots.len();
        let slot = (slots > 0 && self.dice.one_in(2))
            .then(|| SlotIndex(u16::try_from(self.dice.index(slots)).unwrap_or_default()));
        self.trace.note(|| format!("L{lot} {slot:?} dies"));
        self.node.kill(lot, slot, self.now);
    }

    fn prune(&mut self) {
        let until = self.dice.below(self.published_seq + 1);
        self.first_seq = self.store.prune(until);
        self.trace.value(self.first_seq);
        let first_seq = self.first_seq;
        self.trace.note(|| format!("the log begins at {first_seq}"));
    }

    pub(super) fn audit_actor(&self, lot: usize, touched: &[ReservationId]) -> Result<(), String> {
        let Some(actor) = self.node.lots[lot].actor.as_ref() else { return Ok(()) };
        if let Some(difference) =
            self.expected[lot].lot.ahead.differs_from(actor.register(), touched)
        {
            return Err(format!("L{lot}: {difference}"));
        }
        match invariants::check_lot(actor).first() {
            Some(broken) => Err(format!("L{lot}: {broken}")),
            None => Ok(()),
        }
    }
}

pub(super) fn touched<'a>(events: impl Iterator<Item = &'a lot::Event>) -> Vec<ReservationId> {
    use lot::Event as E;
    let id = |event: &lot::Event| match event {
        E::Reserved(reserved) => Some(reserved.id),
        E::Confirmed { id }
        | E::Modified { id, .. }
        | E::Cancelled { id, .. }
        | E::Expired { id }
        | E::HoldBegan { id }
        | E::CheckedIn { id, .. }
        | E::NoShow { id }
        | E::Completed { id }
        | E::HoldEnded { id }
        | E::Reminded { id, .. } => Some(*id),
        E::Moved(moved) => Some(moved.id),
        _ => None,
    };
    events.filter_map(id).collect()
}
