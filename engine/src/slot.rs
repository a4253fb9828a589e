//! What *is*: the occupancy of one slot as its readings tell it.
//!
//! Invariants: only a newer (observed time, source sequence) moves the state; a reading that repeats
//! the state is a heartbeat and renews liveness, never the change; `version` counts applied events.
//! Absent: promises (see [`crate::lot`]) and the slot's code, size and zone (see [`crate::spec`]).

use crate::limits::{FLAP_GAP_SECONDS, FLAPS_UNTIL_FLAPPING, READING_IDS_KEPT};
use crate::time::{Seconds, Timestamp};

/// Orders readings of one source: by observed time, then by the source's own sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// When the source saw it.
    pub observed_at: Timestamp,
    /// The source's counter, 0 where it has none.
    pub sequence: u64,
}

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A device.
    Sensor,
    /// A person of the staff.
    Staff,
}

/// What a source says of a slot at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Whether a vehicle stands there.
    pub occupied: bool,
    /// When it was seen; the time of receipt when the device has no clock.
    pub observed_at: Option<Timestamp>,
    /// The source's counter, 0 where it has none.
    pub sequence: u64,
    /// A stable hash of the source's id of this reading, 0 where it has none.
    pub id_hash: u64,
    /// Who says so.
    pub source: Source,
    /// How sure the source is, in percent.
    pub confidence_percent: Option<u8>,
}

/// What was last heard and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hearing {
    /// Whether a vehicle stands there.
    pub occupied: bool,
    /// Observed time of the last change.
    pub since: Timestamp,
    /// Receipt of the last change.
    pub changed_at: Timestamp,
    /// The newest reading that counted.
    pub mark: Mark,
    /// Receipt of the newest reading that counted: liveness.
    pub heard_at: Timestamp,
    /// Receipt of the newest reading that has a record: what a restart knows.
    pub recorded_at: Timestamp,
    /// Who said so.
    pub source: Source,
    /// How sure, in percent.
    pub confidence_percent: Option<u8>,
}

/// The state of one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Events applied so far.
    pub version: u32,
    /// Nothing until the first reading.
    pub hearing: Option<Hearing>,
    /// Set while the source has been silent for too long.
    pub silent_since: Option<Timestamp>,
    /// Changes in a row that came too close together.
    pub flaps: u8,
    /// Id hashes of the last recorded readings, newest first; 0 is none.
    pub recent_ids: [u64; READING_IDS_KEPT],
}

/// A sensor's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// No reading yet.
    NeverHeard,
    /// As it should be.
    Good,
    /// Changes faster than vehicles do.
    Flapping,
    /// Unheard for longer than the lot's rule.
    Silent,
}

/// What can be asked of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Take a reading.
    Read(Reading),
    /// See whether the source fell silent. Silence counts from the start of the engine at the earliest:
    /// what happened while nobody listened is not the sensor's fault.
    CheckSilence {
        /// When the engine began to listen.
        listening_since: Timestamp,
    },
}

/// What happened to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A vehicle stands there now, or stood there when a silent source came back.
    Occupied(Sighting),
    /// The slot is empty now, or was when a silent source came back.
    Vacated(Sighting),
    /// Nothing changed; recorded so that a restart knows the source lives.
    Heard {
        /// The newest reading.
        mark: Mark,
    },
    /// The source has been silent for too long.
    FellSilent,
}

/// The reading behind a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When it was seen, and its place in the source's order.
    pub mark: Mark,
    /// Id hash of the reading, 0 for none.
    pub id_hash: u64,
    /// Who says so.
    pub source: Source,
    /// How sure, in percent.
    pub confidence_percent: Option<u8>,
}

/// What a reading did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The state changed.
    Accepted,
    /// It repeats the state: a heartbeat.
    Unchanged,
    /// This very reading was taken before.
    Duplicate,
    /// Something newer was taken before.
    Late,
}

/// Why a reading is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Observed further ahead than the lot's rule allows: a clock is wrong.
    #[error("observed {ahead_micros} us in the future; set the device's clock")]
    InFuture {
        /// How far ahead of the engine's clock.
        ahead_micros: i64,
    },
}

/// What follows from a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happened, if anything did.
    pub event: Option<Event>,
    /// What to answer.
    pub outcome: Outcome,
    /// A heartbeat that has no record: moves the marks of the living actor only.
    pub heartbeat: Option<Mark>,
}

/// The lot's rules that a slot needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SensorRules {
    /// See [`crate::spec::Rules::silence`].
    pub silence: Seconds,
    /// See [`crate::spec::Rules::skew`].
    pub skew: Seconds,
}

impl Slot {
    /// The source's health.
    #[must_use]
    pub fn health(&self) -> Health {
        match (&self.hearing, self.silent_since) {
            (None, _) => Health::NeverHeard,
            (Some(_), Some(_)) => Health::Silent,
            (Some(_), None) if self.flaps >= FLAPS_UNTIL_FLAPPING => Health::Flapping,
            (Some(_), None) => Health::Good,
        }
    }

    /// Whether a vehicle stands there; nothing when it is not known.
    #[must_use]
    pub fn occupied(&self) -> Option<bool> {
        match (&self.hearing, self.silent_since) {
            (Some(hearing), None) => Some(hearing.occupied),
            (None, _) | (_, Some(_)) => None,
        }
    }

    /// Takes note of a heartbeat that has no record. A crash forgets it: the late-mark falls back by at
    /// most a quarter of the silence time, and what comes again in that span is unchanged or repeats a change.
    pub fn note_heartbeat(&mut self, mark: Mark, now: Timestamp) {
        if let Some(hearing) = &mut self.hearing {
            hearing.mark = mark;
            hearing.heard_at = now;
        }
    }
}

/// Decides a command; changes nothing.
///
/// # Errors
/// A reading observed beyond the allowed skew ahead of `now`.
pub fn decide(
    slot: &Slot,
    command: &Command,
    now: Timestamp,
    rules: SensorRules,
) -> Result<Decision, Rejection> {
    match command {
        Command::Read(reading) => decide_reading(slot, reading, now, rules),
        Command::CheckSilence { listening_since } => {
            Ok(decide_silence(slot, *listening_since, now, rules))
        }
    }
}

fn decide_reading(
    slot: &Slot,
    reading: &Reading,
    now: Timestamp,
    rules: SensorRules,
) -> Result<Decision, Rejection> {
    let observed_at = reading.observed_at.unwrap_or(now);
    if observed_at > now.plus(rules.skew) {
        return Err(Rejection::InFuture { ahead_micros: observed_at.micros_since(now) });
    }
    let mark = Mark { observed_at, sequence: reading.sequence };
    if reading.id_hash != 0 && slot.recent_ids.contains(&reading.id_hash) {
        return Ok(Decision::without_event(Outcome::Duplicate));
    }
    let sighting = Sighting {
        mark,
        id_hash: reading.id_hash,
        source: reading.source,
        confidence_percent: reading.confidence_percent,
    };
    let changed = match reading.occupied {
        true => Event::Occupied(sighting),
        false => Event::Vacated(sighting),
    };
    let Some(hearing) = &slot.hearing else { return Ok(Decision::accepted(changed)) };
    if mark <= hearing.mark {
        let same = mark == hearing.mark && reading.occupied == hearing.occupied;
        return Ok(Decision::without_event(if same { Outcome::Duplicate } else { Outcome::Late }));
    }
    if reading.occupied != hearing.occupied || slot.silent_since.is_some() {
        return Ok(Decision::accepted(changed));
    }
    // A heartbeat. A record of each would be most of the log; one per quarter of the silence time is
    // enough for a restart to know that the source lives.
    let quiet_micros = now.micros_since(hearing.recorded_at);
    if quiet_micros > rules.silence.micros() / 4 {
        return Ok(Decision {
            event: Some(Event::Heard { mark }),
            outcome: Outcome::Unchanged,
            heartbeat: None,
        });
    }
    Ok(Decision { event: None, outcome: Outcome::Unchanged, heartbeat: Some(mark) })
}

fn decide_silence(
    slot: &Slot,
    listening_since: Timestamp,
    now: Timestamp,
    rules: SensorRules,
) -> Decision {
    let due = slot.silent_since.is_none()
        && slot.hearing.is_some_and(|h| h.heard_at.max(listening_since).plus(rules.silence) <= now);
    match due {
        true => Decision::accepted(Event::FellSilent),
        false => Decision::without_event(Outcome::Unchanged),
    }
}

impl Decision {
    fn accepted(event: Event) -> Self {
        Self { event: Some(event), outcome: Outcome::Accepted, heartbeat: None }
    }

    fn without_event(outcome: Outcome) -> Self {
        Self { event: None, outcome, heartbeat: None }
    }
}

/// Applies what happened; total. `at` is the record's time: when the engine received the cause.
pub fn apply(slot: &mut Slot, event: &Event, at: Timestamp) {
    slot.version = slot.version.wrapping_add(1);
    match event {
        Event::Occupied(sighting) => see(slot, true, sighting, at),
        Event::Vacated(sighting) => see(slot, false, sighting, at),
        Event::Heard { mark } => {
            if let Some(hearing) = &mut slot.hearing {
                hearing.mark = *mark;
                hearing.heard_at = at;
                hearing.recorded_at = at;
            }
        }
        Event::FellSilent => slot.silent_since = Some(at),
    }
}

fn see(slot: &mut Slot, occupied: bool, sighting: &Sighting, at: Timestamp) {
    let before = slot.hearing;
    let change = before.is_none_or(|hearing| hearing.occupied != occupied);
    let (since, changed_at) = match before {
        Some(hearing) if !change => (hearing.since, hearing.changed_at),
        Some(_) | None => (sighting.mark.observed_at, at),
    };
    if change {
        // By the source's own time: a gateway that delivers a backlog at once is not a flapping sensor.
        let gap_micros =
            before.map(|hearing| sighting.mark.observed_at.micros_since(hearing.since));
        let hasty = gap_micros.is_some_and(|gap| gap < Seconds(FLAP_GAP_SECONDS).micros());
        slot.flaps = if hasty { slot.flaps.saturating_add(1) } else { 0 };
    }
    if sighting.id_hash != 0 {
        slot.recent_ids.rotate_right(1);
        slot.recent_ids[0] = sighting.id_hash;
    }
    slot.silent_since = None;
    slot.hearing = Some(Hearing {
        occupied,
        since,
        changed_at,
        mark: sighting.mark,
        heard_at: at,
        recorded_at: at,
        source: sighting.source,
        confidence_percent: sighting.confidence_percent,
    });
}
