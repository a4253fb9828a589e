//! A lot with its slots, driven by commands as an actor drives it: decide, apply, remember what happened.
//!
//! Kept equal by construction: what is decided is applied at once at the time of the decision, heartbeats
//! without a record are noted, counts follow change by change. Absent: durability, threads, real time.

#![allow(dead_code, reason = "every test file takes its part of the driver")]

use std::fmt::Debug;
use std::sync::Arc;

use lotkeeper_engine::counts::LotCounts;
use lotkeeper_engine::ids::{LotId, Pseudonym, ReservationId, SlotId, SlotIndex, ZoneIndex};
use lotkeeper_engine::invariants;
use lotkeeper_engine::lot::{self, Bays, Caller, Choice, Lot, Needs, Outcome, Rejection, Reserve};
use lotkeeper_engine::money::PerMille;
use lotkeeper_engine::slot::{self, Reading, SensorRules, Slot, Source};
use lotkeeper_engine::spec::{FeatureSet, Kind, Place, Rules, Size, SlotSpec, Spec, Zone};
use lotkeeper_engine::status::Status;
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use uuid::Uuid;

/// Defines an enum of test classes together with the list of all of them.
#[allow(unused_macros, reason = "for the golden tables only")]
macro_rules! classes {
    ($(#[$doc:meta])* $name:ident { $($variant:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum $name { $($variant),* }
        impl $name {
            const ALL: &[Self] = &[$(Self::$variant),*];
        }
    };
}

/// Some whole second of 2025, so that nothing rests on the epoch.
const START_SECONDS: i64 = 1_750_000_000;

/// So many seconds after the start of the test's time.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(START_SECONDS + seconds)
}

pub fn window(from_seconds: i64, to_seconds: i64) -> Window {
    Window { from: at(from_seconds), to: at(to_seconds) }
}

pub fn reservation(number: u32) -> ReservationId {
    ReservationId(Uuid::from_u128(u128::from(number)))
}

pub fn holder(number: u32) -> Pseudonym {
    Pseudonym(Uuid::from_u128(0xF000 + u128::from(number)))
}

pub fn rules() -> Rules {
    Rules {
        hold: Seconds(600),
        hold_lead: Seconds(1_800),
        no_show: Seconds(600),
        silence: Seconds(4_000),
        skew: Seconds(60),
        // Reminders would be in every story; they have their own.
        remind_before_start: Seconds(0),
        remind_before_end: Seconds(0),
        ..Rules::default()
    }
}

pub fn sensor_rules(rules: &Rules) -> SensorRules {
    SensorRules { silence: rules.silence, skew: rules.skew }
}

pub fn slot_spec(number: usize) -> SlotSpec {
    SlotSpec {
        id: SlotId(Uuid::from_u128(0xA000 + number as u128)),
        code: format!("A-{number}").into(),
        zone: None,
        size: Size::Standard,
        features: FeatureSet::default(),
        ..SlotSpec::default()
    }
}

pub fn spec(kind: Kind, capacity: u32, slots: Vec<SlotSpec>) -> Spec {
    let zone = |code: &str| Zone { code: code.into(), name: code.into(), level: None };
    Spec {
        id: LotId(Uuid::from_u128(1)),
        tenant: "city".into(),
        code: "L1".into(),
        name: "Market Street".into(),
        kind,
        capacity,
        place: Place { time_zone: "Europe/Berlin".into(), ..Place::default() },
        zones: vec![zone("level-1"), zone("level-2")],
        features: vec!["ev".into(), "covered".into()],
        slots,
        rules: rules(),
        created_at: at(0),
        ..Spec::default()
    }
}

/// A bayed lot of alike slots.
pub fn bayed(slots: usize) -> Spec {
    spec(Kind::Bayed, slots as u32, (0..slots).map(slot_spec).collect())
}

/// A counted lot without slots.
pub fn counted(capacity: u32) -> Spec {
    spec(Kind::Counted, capacity, Vec::new())
}

/// A bayed lot whose slots differ in size, zone and features.
pub fn mixed(slots: usize) -> Spec {
    let mut spec = bayed(slots);
    for (number, slot) in spec.slots.iter_mut().enumerate() {
        slot.size = Size::ALL[1 + number % 3];
        slot.features = FeatureSet((number % 4) as u64);
        slot.zone = [None, Some(ZoneIndex(0)), Some(ZoneIndex(1))][number / 2 % 3];
    }
    spec
}

/// A confirmed reservation of a given slot for holder 1.
pub fn reserve_slot(id: u32, slot: u16, window: Window) -> Reserve {
    Reserve {
        id: reservation(id),
        choice: Choice::Slot(SlotIndex(slot)),
        window,
        hold: None,
        holder: holder(1),
        vehicle: None,
        vehicle_type: None,
        discounts: Box::default(),
        series: None,
        request: None,
    }
}

/// A confirmed reservation of any standard slot for holder 1.
pub fn reserve_any(id: u32, window: Window) -> Reserve {
    Reserve { choice: Choice::Any(Needs::default()), ..reserve_slot(id, 0, window) }
}

pub fn reading(occupied: bool, observed_at: Timestamp) -> Reading {
    Reading {
        occupied,
        observed_at: Some(observed_at),
        sequence: 0,
        id_hash: 0,
        source: Source::Sensor,
        confidence_percent: None,
    }
}

/// Sensors as the lot sees them.
pub struct Seen<'a>(pub &'a [Slot]);

impl Bays for Seen<'_> {
    fn occupied(&self, slot: SlotIndex) -> Option<bool> {
        self.0.get(slot.at()).and_then(Slot::occupied)
    }

    fn occupied_since(&self, slot: SlotIndex) -> Option<Timestamp> {
        self.0.get(slot.at())?.hearing.map(|hearing| hearing.changed_at)
    }

    fn occupancy(&self) -> PerMille {
        PerMille(0)
    }
}

/// What a journal would hold.
#[derive(Clone, Debug)]
pub enum Entry {
    Lot(lot::Event, Timestamp),
    Slot(SlotIndex, slot::Event, Timestamp),
}

#[derive(Clone, Debug)]
pub struct World {
    pub now: Timestamp,
    pub lot: Lot,
    pub slots: Vec<Slot>,
    pub counts: LotCounts,
    pub entries: Vec<Entry>,
}

impl World {
    pub fn new(spec: Spec) -> Self {
        let slots = vec![Slot::default(); spec.slots.len()];
        let lot = Lot::new(Arc::new(spec));
        let mut world =
            Self { now: at(0), lot, slots, counts: LotCounts::default(), entries: Vec::new() };
        world.recount();
        world
    }

    pub fn advance(&mut self, seconds: u32) {
        self.now = self.now.plus(Seconds(seconds));
    }

    pub fn statuses(&self) -> Vec<Status> {
        let indices = self.lot.spec().slot_indices();
        indices
            .zip(&self.slots)
            .map(|(index, slot)| invariants::status(&self.lot, index, slot))
            .collect()
    }

    pub fn decide(&self, command: &lot::Command) -> lot::Decision {
        lot::decide(&self.lot, command, self.now, &Seen(&self.slots))
    }

    /// Decides and applies; the events of the decision are the last of `entries`.
    pub fn execute(&mut self, command: &lot::Command) -> Result<Outcome, Rejection> {
        let decision = self.decide(command);
        for event in decision.events {
            self.apply(event);
        }
        if let Some(heartbeat) = decision.heartbeat {
            self.lot.note_count(heartbeat, self.now);
        }
        decision.outcome
    }

    /// As [`World::execute`] for long runs: neither counts nor entries follow.
    pub fn execute_lot_only(&mut self, command: &lot::Command) -> Result<Outcome, Rejection> {
        let decision = self.decide(command);
        for event in decision.events {
            lot::apply(&mut self.lot, &event, self.now);
        }
        decision.outcome
    }

    pub fn recount(&mut self) {
        self.counts = LotCounts::of(self.lot.spec(), self.statuses().into_iter());
    }

    pub fn apply(&mut self, event: lot::Event) {
        let before = self.statuses();
        lot::apply(&mut self.lot, &event, self.now);
        match &event {
            // Groups change: there is no "before" to move from.
            lot::Event::SlotChanged(_) | lot::Event::Created(_) => {
                self.recount();
            }
            _ => self.follow(&before),
        }
        self.entries.push(Entry::Lot(event, self.now));
    }

    fn follow(&mut self, before: &[Status]) {
        let after = self.statuses();
        let spec = Arc::clone(self.lot.spec());
        for ((slot, before), after) in spec.slots.iter().zip(before).zip(after) {
            self.counts.change(slot, *before, after);
        }
    }

    pub fn reserve(&mut self, reserve: Reserve) -> Result<Outcome, Rejection> {
        self.execute(&lot::Command::Reserve(reserve))
    }

    pub fn tick(&mut self) {
        let listening_since = at(0);
        self.execute(&lot::Command::Tick { listening_since }).expect("a tick is never refused");
    }

    /// Lets the time pass to so many seconds after the start, ticking whenever something is due.
    pub fn run_until(&mut self, seconds: i64) {
        while let Some(due_at) = self.lot.next_due_at().filter(|due_at| *due_at <= at(seconds)) {
            self.now = self.now.max(due_at);
            self.tick();
        }
        self.now = at(seconds);
    }

    pub fn ask_slot(
        &mut self,
        slot: SlotIndex,
        command: &slot::Command,
    ) -> Result<slot::Outcome, slot::Rejection> {
        let rules = sensor_rules(&self.lot.spec().rules);
        let before = self.statuses();
        let state = &mut self.slots[slot.at()];
        let decision = slot::decide(state, command, self.now, rules)?;
        if let Some(event) = decision.event {
            slot::apply(state, &event, self.now);
            self.entries.push(Entry::Slot(slot, event, self.now));
        }
        if let Some(mark) = decision.heartbeat {
            state.note_heartbeat(mark, self.now);
        }
        self.follow(&before);
        Ok(decision.outcome)
    }

    /// A sensor speaks now.
    pub fn see(&mut self, slot: u16, occupied: bool) {
        let command = slot::Command::Read(reading(occupied, self.now));
        self.ask_slot(SlotIndex(slot), &command).expect("observed now");
    }

    /// As if no sensor had ever spoken.
    pub fn forget_sensors(&mut self) {
        self.slots.fill(Slot::default());
        self.recount();
    }

    pub fn state(&self, id: u32) -> lot::State {
        self.lot.reservation(reservation(id)).expect("the lot remembers it").state
    }

    /// The variant names of the lot's events since entry `from`.
    pub fn lot_events_since(&self, from: usize) -> Vec<String> {
        let names = self.entries[from..].iter().filter_map(|entry| match entry {
            Entry::Lot(event, _) => Some(name(event)),
            Entry::Slot(..) => None,
        });
        names.collect()
    }

    #[track_caller]
    pub fn assert_invariants(&self) {
        let mut broken = invariants::check_lot(&self.lot);
        broken.extend(invariants::check_counts(&self.lot, self.slots.iter(), &self.counts));
        assert!(broken.is_empty(), "{broken:?}");
    }
}

pub fn confirm(id: u32, by: Caller) -> lot::Command {
    lot::Command::Confirm { id: reservation(id), by }
}

pub fn cancel(id: u32, by: Caller) -> lot::Command {
    lot::Command::Cancel { id: reservation(id), reason: None, by }
}

pub fn modify(id: u32, from: Option<Timestamp>, to: Option<Timestamp>) -> lot::Command {
    let (id, by) = (reservation(id), Caller::Staff);
    lot::Command::Modify { id, choice: None, from, to, request: None, expected_version: None, by }
}

/// The name of a value's variant, without what it carries.
pub fn name(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// Compares rows with a golden table, line by line, and shows what differs.
#[track_caller]
pub fn check_table(golden: &str, rows: &[String]) {
    let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let wanted: Vec<_> = golden.lines().map(squeeze).filter(|line| !line.is_empty()).collect();
    let found: Vec<_> = rows.iter().map(|row| squeeze(row)).collect();
    let missing: Vec<_> = found.iter().filter(|row| !wanted.contains(row)).collect();
    let stale: Vec<_> = wanted.iter().filter(|row| !found.contains(row)).collect();
    assert!(
        missing.is_empty() && stale.is_empty() && wanted.len() == found.len(),
        "the golden table says {stale:#?}\nthe engine says {missing:#?}\nthe whole table:\n{}",
        rows.join("\n")
    );
}
