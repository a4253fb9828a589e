//! One lot as its log tells it: an own model, grown event by event, that can be asked for any sequence.
//!
//! Everything a client is told names the lot's sequence it is as of, so it is held against the model at
//! that sequence, however long ago. Invariant: a fault in the log is noted once and the model goes on from
//! what the log says. Absent: anything of how the server decides; only what must be true of its decisions.

use super::checks::Checks;
use super::log::{LogEvent, Occupied, slot_number};
use crate::clock::{MICROS_PER_SECOND, parse_rfc3339};
use crate::wire::{Counts, ReservationState, Status};
use std::collections::{BTreeMap, HashMap};

/// A promise shows as held so long before it begins (the rule the lots are made with).
pub const LEAD_SECONDS: u64 = 1_800;

/// A reservation from one sequence on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub seq: u64,
    pub version: u64,
    pub state: ReservationState,
    pub slot: usize,
    pub from_us: u64,
    pub to_us: u64,
    /// Whether it makes its slot show as held.
    shown: bool,
}

/// A reading that has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub seq: u64,
    pub sequence: u64,
    pub occupied: bool,
}

#[derive(Debug, Default)]
struct SlotBook {
    seen: Vec<Seen>,
    /// From which sequence on it shows what.
    statuses: Vec<(u64, Status)>,
    /// Active windows by their beginning: end and id.
    windows: BTreeMap<u64, (u64, String)>,
    /// Reservations that make it show as held.
    held_by: Vec<String>,
}

/// What kind of event a sequence is, and of which slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub kind: &'static str,
    pub slot: Option<usize>,
}

/// The model.
#[derive(Debug)]
pub struct LotBook {
    code: String,
    slots: Vec<SlotBook>,
    /// By lot sequence, from 1.
    marks: Vec<Mark>,
    reservations: HashMap<String, Vec<Step>>,
    /// In the order in which they ended.
    pub ended: Vec<String>,
    /// Sequence and count after it.
    tally: Vec<(u64, i64)>,
    /// By when it was counted.
    counted: HashMap<u64, u64>,
    counts: Vec<(u64, Counts)>,
}

/// The types an event may have, as `docs/stream.md` lists them.
pub const KINDS: [&str; 18] = [
    "lot.created",
    "lot.changed",
    "slot.changed",
    "slot.occupied",
    "slot.vacated",
    "slot.heard",
    "slot.silent",
    "slot.hold_began",
    "reservation.held",
    "reservation.confirmed",
    "reservation.modified",
    "reservation.cancelled",
    "reservation.expired",
    "reservation.checked_in",
    "reservation.completed",
    "reservation.no_show",
    "count.recorded",
    "count.silent",
];

impl LotBook {
    /// Before its first event.
    pub fn new(code: &str, slots: usize) -> Self {
        let unknown = Counts { capacity: slots as u64, unknown: slots as u64, ..Counts::default() };
        Self {
            code: code.into(),
            slots: (0..slots).map(|_| SlotBook::default()).collect(),
            marks: Vec::new(),
            reservations: HashMap::new(),
            ended: Vec::new(),
            tally: Vec::new(),
            counted: HashMap::new(),
            counts: vec![(0, unknown)],
        }
    }

    /// The last sequence.
    pub fn head(&self) -> u64 {
        self.marks.len() as u64
    }

    /// How many slots it has.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// What happened at a sequence.
    pub fn mark_at(&self, seq: u64) -> Option<&Mark> {
        self.marks.get(usize::try_from(seq).ok()?.checked_sub(1)?)
    }

    /// A reservation as of a sequence.
    pub fn reservation_at(&self, id: &str, seq: u64) -> Option<&Step> {
        self.reservations.get(id).and_then(|steps| as_of(steps, seq, |step| step.seq))
    }

    /// All that keep their window now.
    pub fn active(&self) -> impl Iterator<Item = &str> {
        let is_active = |steps: &Vec<Step>| steps.last().is_some_and(|step| step.state.is_active());
        self.reservations.iter().filter(move |(_, steps)| is_active(steps)).map(|(id, _)| &**id)
    }

    /// All that were ever made, and as what they stand.
    pub fn states(&self) -> impl Iterator<Item = (&str, ReservationState)> {
        let last = |steps: &Vec<Step>| steps.last().map(|step| step.state);
        self.reservations.iter().filter_map(move |(id, steps)| Some((&**id, last(steps)?)))
    }

    /// The last recorded reading of a slot as of a sequence.
    pub fn seen_at(&self, slot: usize, seq: u64) -> Option<&Seen> {
        self.slots.get(slot).and_then(|slot| as_of(&slot.seen, seq, |seen| seen.seq))
    }

    /// Where a reading stands in the log.
    pub fn seen(&self, slot: usize, sequence: u64) -> Option<&Seen> {
        let seen = &self.slots.get(slot)?.seen;
        seen.binary_search_by_key(&sequence, |seen| seen.sequence).ok().map(|at| &seen[at])
    }

    /// What a slot shows as of a sequence.
    pub fn status_at(&self, slot: usize, seq: u64) -> Status {
        let statuses = self.slots.get(slot).map(|slot| &slot.statuses[..]).unwrap_or_default();
        as_of(statuses, seq, |(from, _)| *from).map_or(Status::Unknown, |(_, status)| *status)
    }

    /// Places by status as of a sequence.
    pub fn counts_at(&self, seq: u64) -> Counts {
        as_of(&self.counts, seq, |(from, _)| *from).map(|(_, counts)| *counts).unwrap_or_default()
    }

    /// Vehicles counted inside as of a sequence.
    pub fn tally_at(&self, seq: u64) -> Option<i64> {
        as_of(&self.tally, seq, |(from, _)| *from).map(|(_, occupied)| *occupied)
    }

    /// The sequence of the count of an instant.
    pub fn counted(&self, observed_us: u64) -> Option<u64> {
        self.counted.get(&observed_us).copied()
    }

    /// The next event.
    pub fn take(&mut self, event: &LogEvent, checks: &mut Checks) {
        let (seq, expected) = (event.lot_seq, self.head() + 1);
        if seq < expected {
            checks.whole.fault(self.says(event, format_args!("lot seq {seq} comes again")));
            return;
        }
        let Some(kind) = KINDS.into_iter().find(|kind| *kind == event.kind) else {
            checks.once.fault(self.says(event, format_args!("unknown type {}", event.kind)));
            return;
        };
        if seq > expected {
            let fault = format_args!("lot seq {seq} follows {}", expected - 1);
            checks.whole.fault(self.says(event, fault));
            // The model goes on where the log does.
            let missing = Mark { kind: "", slot: None };
            self.marks.resize((seq - 1) as usize, missing);
        }
        let slot = event.data.slot.as_deref().and_then(slot_number);
        self.marks.push(Mark { kind, slot });
        match kind {
            "slot.occupied" | "slot.vacated" => self.read(event, slot, checks),
            "count.recorded" => self.count(event, checks),
            "lot.created" if seq != 1 => {
                checks.once.fault(self.says(event, format_args!("the lot is created again")));
            }
            kind if kind.starts_with("reservation.") || kind == "slot.hold_began" => {
                self.step(event, kind, slot, checks);
            }
            _ => {}
        }
    }

    fn says(&self, event: &LogEvent, what: std::fmt::Arguments<'_>) -> String {
        format!("lot {} event {} ({}): {what}", self.code, event.seq, event.kind)
    }

    /// Readings of a slot rise: a lower or equal one was taken twice or out of order.
    fn read(&mut self, event: &LogEvent, slot: Option<usize>, checks: &mut Checks) {
        let sequence = event.data.sequence.unwrap_or_default();
        let occupied = event.kind == "slot.occupied";
        let Some(at) = slot.filter(|slot| *slot < self.slots.len()) else {
            checks.once.fault(self.says(event, format_args!("a reading of no slot of the lot")));
            return;
        };
        let last = self.slots[at].seen.last().map_or(0, |seen| seen.sequence);
        if sequence <= last {
            let fault = format_args!("slot {at}: reading {sequence} comes after reading {last}");
            checks.once.fault(self.says(event, fault));
            return;
        }
        self.slots[at].seen.push(Seen { seq: event.lot_seq, sequence, occupied });
        self.show(at, event.lot_seq);
    }

    /// Every count here has a time of its own.
    fn count(&mut self, event: &LogEvent, checks: &mut Checks) {
        let observed_us = event.data.observed_at.as_deref().and_then(parse_rfc3339);
        let known = self.counted.insert(observed_us.unwrap_or_default(), event.lot_seq);
        if let Some(first) = known {
            let fault = format_args!("the count of lot seq {first} is counted again");
            checks.once.fault(self.says(event, fault));
        }
        let before = self.tally.last().map_or(0, |(_, occupied)| *occupied);
        let flow = event.data.entered.unwrap_or_default() - event.data.left.unwrap_or_default();
        let after = match event.data.occupied {
            Some(Occupied::Inside(occupied)) => occupied,
            Some(Occupied::Stands(_)) | None => before + flow,
        };
        self.tally.push((event.lot_seq, after));
    }

    fn step(
        &mut self,
        event: &LogEvent,
        kind: &'static str,
        slot: Option<usize>,
        checks: &mut Checks,
    ) {
        let Some(id) = event.data.reservation.clone() else {
            checks.once.fault(self.says(event, format_args!("no reservation is named")));
            return;
        };
        let before = self.reservations.get(&id).and_then(|steps| steps.last()).copied();
        let is_new = kind == "reservation.held"
            || kind == "reservation.confirmed" && event.window().is_some();
        let step = match (before, is_new) {
            (None, true) => created(event, kind, slot),
            (Some(before), false) => follows(event, kind, before),
            (Some(_), true) => Err(format!("reservation {id} is created again")),
            (None, false) => Err(format!("reservation {id} was never created")),
        };
        let step = match step {
            Ok(step) if step.slot < self.slots.len() => step,
            Ok(step) => {
                checks.once.fault(self.says(event, format_args!("no slot {}", step.slot)));
                return;
            }
            Err(why) => {
                checks.once.fault(self.says(event, format_args!("{why}")));
                return;
            }
        };
        self.place(event, &id, before, step, checks);
        if !step.state.is_active() {
            self.ended.push(id.clone());
        }
        self.reservations.entry(id).or_default().push(step);
        self.show(step.slot, event.lot_seq);
    }

    /// Brings the slot's windows along and looks at the neighbours.
    fn place(
        &mut self,
        event: &LogEvent,
        id: &str,
        before: Option<Step>,
        step: Step,
        checks: &mut Checks,
    ) {
        let slot = &mut self.slots[step.slot];
        if let Some(before) = before
            && slot.windows.get(&before.from_us).is_some_and(|(_, other)| other == id)
        {
            slot.windows.remove(&before.from_us);
        }
        slot.held_by.retain(|other| other != id);
        if !step.state.is_active() {
            return;
        }
        if step.shown {
            slot.held_by.push(id.into());
        }
        let earlier = slot.windows.range(..step.to_us).next_back();
        let clash = earlier.filter(|(_, (to_us, _))| *to_us > step.from_us);
        let clash = clash.map(|(_, (_, other))| other.clone());
        slot.windows.insert(step.from_us, (step.to_us, id.into()));
        checks.apart.examine(1);
        if let Some(other) = clash {
            let fault = format_args!("slot {}: {id} overlaps {other}", step.slot);
            checks.apart.fault(self.says(event, fault));
        }
    }

    /// What the slot shows from here on.
    fn show(&mut self, at: usize, seq: u64) {
        let slot = &mut self.slots[at];
        let status = match (slot.seen.last().map(|seen| seen.occupied), slot.held_by.is_empty()) {
            (None, _) => Status::Unknown,
            (Some(true), _) => Status::Occupied,
            (Some(false), false) => Status::Held,
            (Some(false), true) => Status::Free,
        };
        let was = slot.statuses.last().map_or(Status::Unknown, |(_, status)| *status);
        if was == status {
            return;
        }
        slot.statuses.push((seq, status));
        let mut counts = self.counts.last().map(|(_, counts)| *counts).unwrap_or_default();
        *place_of(&mut counts, was) -= 1;
        *place_of(&mut counts, status) += 1;
        self.counts.push((seq, counts));
    }
}

fn place_of(counts: &mut Counts, status: Status) -> &mut u64 {
    match status {
        Status::Free => &mut counts.free,
        Status::Occupied => &mut counts.occupied,
        Status::Held => &mut counts.held,
        Status::Unknown => &mut counts.unknown,
        Status::OutOfService => &mut counts.out_of_service,
    }
}

fn created(event: &LogEvent, kind: &str, slot: Option<usize>) -> Result<Step, String> {
    let (from_us, to_us) = event.window().ok_or("it has no window")?;
    let state = match kind {
        "reservation.held" => ReservationState::Held,
        _ => ReservationState::Confirmed,
    };
    let slot = slot.ok_or("it has no slot")?;
    Ok(Step { seq: event.lot_seq, version: 1, state, slot, from_us, to_us, shown: false })
}

/// A step that may follow.
fn follows(event: &LogEvent, kind: &str, before: Step) -> Result<Step, String> {
    use ReservationState::{Cancelled, CheckedIn, Completed, Confirmed, Expired, Held, NoShow};
    let version = before.version + 1;
    let mut step = Step { seq: event.lot_seq, version, ..before };
    step.state = match (kind, before.state) {
        ("reservation.confirmed", Held) => Confirmed,
        ("reservation.cancelled", Held | Confirmed | CheckedIn) => Cancelled,
        ("reservation.expired", Held) => Expired,
        ("reservation.checked_in", Confirmed) => CheckedIn,
        ("reservation.completed", CheckedIn) => Completed,
        ("reservation.no_show", Confirmed) => NoShow,
        ("slot.hold_began" | "reservation.modified", state @ (Held | Confirmed | CheckedIn)) => {
            state
        }
        (_, state) => return Err(format!("it follows on {state:?}")),
    };
    if kind == "slot.hold_began" {
        step.shown = true;
    }
    if kind == "reservation.modified" {
        let at_us = parse_rfc3339(&event.at).ok_or("its time is unreadable")?;
        (step.from_us, step.to_us) = event.window().ok_or("it has no window")?;
        step.shown &= step.from_us.saturating_sub(LEAD_SECONDS * MICROS_PER_SECOND) <= at_us;
        if step.state == CheckedIn && at_us < step.from_us {
            step.state = Confirmed;
        }
    }
    Ok(step)
}

/// The last of a rising row that is not after a sequence.
fn as_of<T>(row: &[T], seq: u64, seq_of: impl Fn(&T) -> u64) -> Option<&T> {
    let after = row.partition_point(|item| seq_of(item) <= seq);
    row.get(after.checked_sub(1)?)
}
