//! The world of a week: its queue of what happens next, and the way into engine and journal.
//!
//! Invariants: what is due by itself happens before anything later; every command is durable and shown before
//! the next one. Absent: who does what (`people.rs`, `office.rs`, `bays.rs`).

use std::collections::BTreeMap;

use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::{self, Command, Decision, Lot, Outcome};
use lotkeeper_engine::slot;
use lotkeeper_engine::time::{Seconds, Timestamp};
use lotkeeper_storage::{Event, FaultPlan, MemoryStore};
use uuid::Uuid;

use super::Setup;
use super::bays::Bay;
use super::clock::Clock;
use super::lots;
use super::office::Duty;
use super::people::{Act, Car};
use super::report::Report;
use crate::dice::Dice;
use crate::node::{Node, Plant};
use crate::tally::Tally;
use crate::trace::Trace;

/// What happens next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// A car's driver does something.
    Car(usize, Act),
    /// A reading arrives.
    Deliver(usize, SlotIndex, slot::Reading),
    /// A slot is to be looked at again.
    Look(usize, SlotIndex),
    /// A sensor shakes so many times.
    Flap(usize, SlotIndex, u8),
    /// All sensors of a lot say what they see.
    Heartbeats(usize),
    /// Who has been silent for too long?
    Silence,
    /// Staff.
    Office(Duty),
    /// Sessions and sensors are compared, and the report takes a sample.
    Sample,
    /// The state in the middle of the week is kept.
    Snapshot,
}

impl Step {
    fn number(self) -> u8 {
        match self {
            Self::Car(..) => 0,
            Self::Deliver(..) => 1,
            Self::Look(..) => 2,
            Self::Flap(..) => 3,
            Self::Heartbeats(_) => 4,
            Self::Silence => 5,
            Self::Office(_) => 6,
            Self::Sample => 7,
            Self::Snapshot => 8,
        }
    }
}

pub(super) struct World {
    pub dice: Dice,
    pub trace: Trace,
    pub tally: Tally,
    pub report: Report,
    pub clock: Clock,
    pub now: Timestamp,
    pub store: MemoryStore,
    pub node: Node,
    pub cars: Vec<Car>,
    pub bays: [Vec<Bay>; 2],
    /// What people paid and did not get back.
    pub paid: [i64; 2],
    /// Ids of violations that a warden has dealt with.
    pub seen: std::collections::BTreeSet<lotkeeper_engine::ids::ViolationId>,
    /// Whose stay it is.
    pub drivers: BTreeMap<lotkeeper_engine::ids::SessionId, usize>,
    queue: BTreeMap<(Timestamp, u64), Step>,
    numbered: u64,
    last_id: u128,
}

/// Travellers come from so many hours before the week on: then the lot is as full as it gets.
pub(super) const LEAD_HOURS: i64 = 14 * 24;

impl World {
    pub fn new(setup: Setup) -> Self {
        let Setup { seed, variant, lines } = setup;
        let clock = Clock::new(variant);
        let now = clock.hour(-LEAD_HOURS);
        let store = MemoryStore::with_seed(seed);
        let opened = Node::open(&store, FaultPlan::none(), now, Plant::None);
        // A new store has nothing to recover, so that this cannot fail.
        let (node, _) = opened.expect("a new store opens");
        Self {
            dice: Dice::new(seed, 0),
            trace: if lines { Trace::with_lines() } else { Trace::default() },
            tally: Tally::default(),
            report: Report::new(clock),
            clock,
            now,
            store,
            node,
            cars: Vec::new(),
            bays: [Vec::new(), Vec::new()],
            paid: [0; 2],
            seen: std::collections::BTreeSet::new(),
            drivers: BTreeMap::new(),
            queue: BTreeMap::new(),
            numbered: 0,
            last_id: 0,
        }
    }

    /// The lots come to be, and everybody makes plans.
    pub fn begin(&mut self) -> Result<(), String> {
        for lot in [lots::AIRPORT, lots::STREET] {
            self.node.create(lots::spec(lot, self.now));
            self.publish()?;
            self.done(lot, &lots::tariff(lot, self.now))?;
            self.install(lot);
        }
        self.plan()
    }

    pub fn live(&mut self) -> Result<(), String> {
        let ends = self.clock.ends();
        while let Some((&(at, number), &step)) = self.queue.first_key_value() {
            if at >= ends {
                break;
            }
            if let Some((due, lot)) = self.next_due().filter(|(due, _)| *due <= at) {
                self.now = self.now.max(due);
                self.tick(lot)?;
                continue;
            }
            self.queue.remove(&(at, number));
            self.now = at;
            self.trace.step(step.number());
            self.trace.value(at.micros().unsigned_abs());
            self.step(step)?;
        }
        self.now = ends;
        self.settle_all()
    }

    /// What is due at the very end.
    fn settle_all(&mut self) -> Result<(), String> {
        while let Some((_, lot)) = self.next_due().filter(|(due, _)| *due <= self.now) {
            self.tick(lot)?;
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Car(car, act) => self.act(car, act),
            Step::Deliver(lot, slot, reading) => self.read(lot, slot, reading),
            Step::Look(lot, slot) => self.look_again(lot, slot),
            Step::Flap(lot, slot, left) => {
                self.flap(lot, slot, left);
                Ok(())
            }
            Step::Heartbeats(lot) => self.heartbeats(lot),
            Step::Silence => self.silence(),
            Step::Office(duty) => self.duty(duty),
            Step::Sample => self.sample(),
            Step::Snapshot => (0..2).try_for_each(|lot| {
                self.node.snapshot(lot).map_err(|error| format!("snapshot: {error}"))
            }),
        }
    }

    /// Something happens so much later.
    pub fn after(&mut self, seconds: i64, step: Step) {
        let at = self.now.micros() + seconds * 1_000_000;
        self.at(Timestamp::from_micros(at), step);
    }

    /// Something happens then, or now when that has passed.
    pub fn at(&mut self, at: Timestamp, step: Step) {
        self.numbered += 1;
        self.queue.insert((at.max(self.now), self.numbered), step);
    }

    /// An id that nothing else has.
    pub fn id(&mut self) -> Uuid {
        self.last_id += 1;
        Uuid::from_u128(0x5000_0000_0000 + self.last_id)
    }

    /// A lot's actor.
    pub fn lot(&self, lot: usize) -> Result<&Lot, String> {
        self.node.lots[lot].actor.as_ref().ok_or_else(|| format!("L{lot} is dead"))
    }

    fn next_due(&self) -> Option<(Timestamp, usize)> {
        let due = |lot: usize| Some((self.node.lots[lot].actor.as_ref()?.next_due_at()?, lot));
        (0..self.node.lots.len()).filter_map(due).min()
    }

    fn tick(&mut self, lot: usize) -> Result<(), String> {
        let listening_since = self.node.listening_since;
        let decision = self.ask(lot, &Command::Tick { listening_since })?;
        match decision.events.is_empty() {
            true => Err(format!("something of L{lot} is due for ever at {}", self.now)),
            false => Ok(()),
        }
    }

    /// A lot decides; what it decided is durable and shown.
    pub fn ask(&mut self, lot: usize, command: &Command) -> Result<Decision, String> {
        let now = self.now;
        let decision = self.node.command(lot, command, now);
        let decision = decision.ok_or_else(|| format!("L{lot} is dead"))?;
        self.trace.note(|| format!("{now} L{lot} {command:?} -> {decision:?}"));
        self.trace.value(decision.events.len() as u64);
        self.trace.value(u64::from(decision.outcome.is_ok()));
        self.publish()?;
        Ok(decision)
    }

    /// As [`World::ask`], where there is no reason to refuse.
    pub fn done(&mut self, lot: usize, command: &Command) -> Result<Decision, String> {
        let decision = self.ask(lot, command)?;
        match &decision.outcome {
            Ok(_) => Ok(decision),
            Err(why) => Err(format!("L{lot} refuses {command:?}: {why}")),
        }
    }

    /// A slot decides; the lot looks at what changed.
    pub fn ask_slot(
        &mut self,
        lot: usize,
        index: SlotIndex,
        command: &slot::Command,
    ) -> Result<(), String> {
        let decided = self.node.reading(lot, index, command, self.now);
        let decided = decided.ok_or_else(|| format!("{index:?} of L{lot} is dead"))?;
        let decided = decided.map_err(|why| format!("{index:?} of L{lot}: {why}"))?;
        self.trace.value(decided.outcome as u64);
        self.tally.count(match (decided.outcome, decided.event) {
            (_, Some(slot::Event::FellSilent)) => "reading.fell_silent",
            (slot::Outcome::Accepted, _) => "reading.accepted",
            (slot::Outcome::Unchanged, _) => "reading.unchanged",
            (slot::Outcome::Duplicate, _) => "reading.duplicate",
            (slot::Outcome::Late, _) => "reading.late",
        });
        self.publish()?;
        match decided.event {
            Some(slot::Event::Occupied(_) | slot::Event::Vacated(_)) => self.look(lot, index),
            Some(slot::Event::Heard { .. } | slot::Event::FellSilent) | None => Ok(()),
        }
    }

    fn publish(&mut self) -> Result<(), String> {
        let committed = self.node.commit(usize::MAX);
        committed.map_err(|(_, error)| format!("a commit failed: {error}"))?;
        while let Some(published) = self.node.publish() {
            for record in &published.records {
                if let Event::Lot(event) = &record.event {
                    self.report.count(record.lot.0 as usize, event, record.at);
                    self.tally.count(name(event));
                }
            }
        }
        Ok(())
    }

    /// A lot looks at a slot, and says when it wants to look again.
    pub fn look(&mut self, lot: usize, slot: SlotIndex) -> Result<(), String> {
        self.done(lot, &Command::Look(vec![slot]))?;
        let next = self.lot(lot)?.next_look(slot, self.now, &self.node.lots[lot].view);
        self.bays[lot][slot.at()].look_at = next;
        if let Some(next) = next {
            // Once a second is as often as a ticker asks.
            let next = next.max(self.now.plus(Seconds(1)));
            self.bays[lot][slot.at()].look_at = Some(next);
            self.at(next, Step::Look(lot, slot));
        }
        Ok(())
    }

    fn look_again(&mut self, lot: usize, slot: SlotIndex) -> Result<(), String> {
        match self.bays[lot][slot.at()].look_at {
            Some(at) if at == self.now => self.look(lot, slot),
            Some(_) | None => Ok(()),
        }
    }
}

fn name(event: &lot::Event) -> &'static str {
    use lot::Event as E;
    use lot::{pass, session, violation};
    match event {
        E::Created(_) | E::Changed(_) | E::SlotChanged(_) | E::ServiceChanged { .. } => {
            "lot.changed"
        }
        E::Reserved(_) => "reservation.reserved",
        E::Confirmed { .. } => "reservation.confirmed",
        E::Modified { .. } => "reservation.modified",
        E::Cancelled { .. } => "reservation.cancelled",
        E::Expired { .. } => "reservation.expired",
        E::HoldBegan { .. } | E::HoldEnded { .. } => "reservation.hold",
        E::CheckedIn { .. } => "reservation.checked_in",
        E::NoShow { .. } => "reservation.no_show",
        E::Completed { .. } => "reservation.completed",
        E::Moved(_) => "reservation.moved",
        E::Reminded { .. } => "reservation.reminded",
        E::Requested { .. } => "reservation.requested",
        E::Session(session::Event::Entered(_)) => "stay.entered",
        E::Session(session::Event::Placed { .. }) => "stay.placed",
        E::Session(session::Event::Overstayed { .. }) => "stay.overstayed",
        E::Session(session::Event::Identified { .. }) => "stay.identified",
        E::Session(session::Event::TicketLost { .. }) => "stay.ticket_lost",
        E::Session(session::Event::Requested { .. }) => "stay.requested",
        E::Session(session::Event::Settled { .. }) => "stay.settled",
        E::Session(session::Event::Left(_)) => "stay.left",
        E::Session(session::Event::Abandoned { .. }) => "stay.abandoned",
        E::Session(session::Event::Denied(_)) => "stay.denied",
        E::Payment(_) => "money.payment",
        E::Shift(_) => "money.shift",
        E::Waiting(_) => "reservation.waiting",
        E::Posted(_) => "money.posted",
        E::TariffsChanged(_) => "money.tariffs",
        E::Pass(pass::Event::Used { .. }) => "pass.used",
        E::Pass(_) => "pass.changed",
        E::Violation(violation::Event::Raised(_)) => "violation.raised",
        E::Violation(violation::Event::Notified { .. }) => "violation.notified",
        E::Violation(violation::Event::Paid { .. }) => "violation.paid",
        E::Violation(violation::Event::Waived { .. }) => "violation.waived",
        E::Violation(violation::Event::Resolved { .. }) => "violation.resolved",
        E::Violation(_) => "violation.changed",
        E::Counted { .. } | E::CounterFellSilent => "lot.counted",
    }
}

/// The reservation or stay that a granted command is about is there; nothing else is of interest.
pub(super) fn scanned(decision: &Decision) -> Result<lot::session::Scanned, String> {
    match &decision.outcome {
        Ok(Outcome::Scanned(scanned)) => Ok(*scanned),
        other => Err(format!("a scan was answered {other:?}")),
    }
}
