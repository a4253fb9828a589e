//! What is known of one slot, as `docs/ingest.md` and the engine's documentation tell it.

use std::collections::VecDeque;

use lotkeeper_engine::limits;
use lotkeeper_engine::slot::{Command, Event, Mark, Outcome, Reading, Rejection, Sighting, Slot};
use lotkeeper_engine::spec::Rules;
use lotkeeper_engine::time::{Seconds, Timestamp};

/// What a slot's readings said so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SensorModel {
    known: Option<Known>,
    silent: bool,
    hasty_changes: u32,
    /// Ids of the last recorded changes, newest first.
    ids: VecDeque<u64>,
    events: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    occupied: bool,
    since: Timestamp,
    newest: Mark,
    heard_at: Timestamp,
    recorded_at: Timestamp,
}

/// What a slot must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SensorPrediction {
    /// What must happen.
    pub event: Option<Event>,
    /// The answer.
    pub outcome: Outcome,
    /// A repetition without a record.
    pub heartbeat: Option<Mark>,
}

const NOTHING: SensorPrediction =
    SensorPrediction { event: None, outcome: Outcome::Unchanged, heartbeat: None };

impl SensorModel {
    /// What must come of a command.
    ///
    /// # Errors
    /// The refusal that must come.
    pub fn predict(
        &self,
        command: &Command,
        now: Timestamp,
        rules: &Rules,
    ) -> Result<SensorPrediction, Rejection> {
        match command {
            Command::Read(reading) => self.reading(reading, now, rules),
            Command::CheckSilence { listening_since } => Ok(match self.known {
                Some(known) if !self.silent => {
                    let from = known.heard_at.max(*listening_since);
                    let silent = now.micros_since(from) >= rules.silence.micros();
                    match silent {
                        true => SensorPrediction {
                            event: Some(Event::FellSilent),
                            outcome: Outcome::Accepted,
                            heartbeat: None,
                        },
                        false => NOTHING,
                    }
                }
                Some(_) | None => NOTHING,
            }),
        }
    }

    fn reading(
        &self,
        reading: &Reading,
        now: Timestamp,
        rules: &Rules,
    ) -> Result<SensorPrediction, Rejection> {
        let observed_at = reading.observed_at.unwrap_or(now);
        let ahead_micros = observed_at.micros_since(now);
        if ahead_micros > rules.skew.micros() {
            return Err(Rejection::InFuture { ahead_micros });
        }
        if reading.id_hash != 0 && self.ids.contains(&reading.id_hash) {
            return Ok(SensorPrediction { outcome: Outcome::Duplicate, ..NOTHING });
        }
        let mark = Mark { observed_at, sequence: reading.sequence };
        let sighting = Sighting {
            mark,
            id_hash: reading.id_hash,
            source: reading.source,
            confidence_percent: reading.confidence_percent,
        };
        let news =
            if reading.occupied { Event::Occupied(sighting) } else { Event::Vacated(sighting) };
        let accepted =
            SensorPrediction { event: Some(news), outcome: Outcome::Accepted, heartbeat: None };
        let Some(known) = self.known else { return Ok(accepted) };
        let place = (observed_at, reading.sequence);
        let newest = (known.newest.observed_at, known.newest.sequence);
        Ok(if place == newest && reading.occupied == known.occupied {
            SensorPrediction { outcome: Outcome::Duplicate, ..NOTHING }
        } else if place <= newest {
            SensorPrediction { outcome: Outcome::Late, ..NOTHING }
        } else if self.silent || reading.occupied != known.occupied {
            accepted
        } else if now.micros_since(known.recorded_at) > rules.silence.micros() / 4 {
            SensorPrediction { event: Some(Event::Heard { mark }), ..NOTHING }
        } else {
            SensorPrediction { heartbeat: Some(mark), ..NOTHING }
        })
    }

    /// A repetition without a record was heard.
    pub fn hear(&mut self, mark: Mark, now: Timestamp) {
        if let Some(known) = &mut self.known {
            (known.newest, known.heard_at) = (mark, now);
        }
    }

    /// An event happened.
    pub fn apply(&mut self, event: &Event, at: Timestamp) {
        self.events += 1;
        match event {
            Event::Occupied(sighting) => self.see(true, sighting, at),
            Event::Vacated(sighting) => self.see(false, sighting, at),
            Event::Heard { mark } => {
                self.hear(*mark, at);
                if let Some(known) = &mut self.known {
                    known.recorded_at = at;
                }
            }
            Event::FellSilent => self.silent = true,
        }
    }

    fn see(&mut self, occupied: bool, sighting: &Sighting, at: Timestamp) {
        let seen_at = sighting.mark.observed_at;
        let since = match self.known {
            Some(known) if known.occupied == occupied => known.since,
            Some(known) => {
                let hasty =
                    seen_at.micros_since(known.since) < Seconds(limits::FLAP_GAP_SECONDS).micros();
                self.hasty_changes = if hasty { self.hasty_changes + 1 } else { 0 };
                seen_at
            }
            None => {
                self.hasty_changes = 0;
                seen_at
            }
        };
        if sighting.id_hash != 0 {
            self.ids.push_front(sighting.id_hash);
            self.ids.truncate(limits::READING_IDS_KEPT);
        }
        self.silent = false;
        let newest = sighting.mark;
        self.known = Some(Known { occupied, since, newest, heard_at: at, recorded_at: at });
    }

    /// The first instant at which silence can be told, from what is recorded.
    #[must_use]
    pub fn silence_due(&self, listening_since: Timestamp, rules: &Rules) -> Option<Timestamp> {
        let known = self.known.filter(|_| !self.silent)?;
        Some(known.heard_at.max(listening_since).plus(rules.silence))
    }

    /// What the engine's slot says otherwise; nothing when they agree.
    #[must_use]
    pub fn differs_from(&self, slot: &Slot) -> Option<String> {
        let theirs = slot.hearing.map(|hearing| Known {
            occupied: hearing.occupied,
            since: hearing.since,
            newest: hearing.mark,
            heard_at: hearing.heard_at,
            recorded_at: hearing.recorded_at,
        });
        let ids = slot.recent_ids.iter().copied().filter(|id| *id != 0);
        let same = theirs == self.known
            && slot.silent_since.is_some() == self.silent
            && u32::from(slot.flaps) == self.hasty_changes.min(u32::from(u8::MAX))
            && slot.version == self.events
            && ids.eq(self.ids.iter().copied());
        (!same).then(|| format!("slot {slot:?}, predicted {self:?}"))
    }
}
