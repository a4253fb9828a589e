//! The count of a counted lot: all that its gates said, judged anew at every question.

use lotkeeper_engine::lot::{Condition, Count, CountOutcome, Heartbeat, Tally};
use lotkeeper_engine::spec::Rules;
use lotkeeper_engine::time::Timestamp;

/// What the gates said so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GateModel {
    inside: i64,
    drift: i64,
    /// Vehicles passed since the last absolute count.
    flowed: bool,
    absolute_at: Option<Timestamp>,
    newest_at: Option<Timestamp>,
    heard_at: Timestamp,
    recorded_at: Timestamp,
    silent: bool,
}

impl GateModel {
    /// How a count must be taken, and whether it gets a record.
    #[must_use]
    pub fn judge(
        &self,
        count: Count,
        observed_at: Timestamp,
        now: Timestamp,
        rules: &Rules,
    ) -> (CountOutcome, bool) {
        let alive = self.newest_at.is_some() && !self.silent;
        let stale = now.micros_since(self.recorded_at) > rules.silence.micros() / 4;
        match count {
            Count::Flow { entered: 0, left: 0 } if alive => (CountOutcome::Unchanged, stale),
            Count::Flow { .. } => (CountOutcome::Accepted, true),
            Count::Absolute { occupied } => {
                let repeats = i64::from(occupied) == self.inside;
                match self.absolute_at {
                    Some(last) if observed_at == last && repeats => {
                        (CountOutcome::Duplicate, false)
                    }
                    Some(last) if observed_at <= last => (CountOutcome::Late, false),
                    Some(_) if repeats && alive => (CountOutcome::Unchanged, stale || self.flowed),
                    Some(_) | None => (CountOutcome::Accepted, true),
                }
            }
        }
    }

    /// A count with a record.
    pub fn take(&mut self, count: Count, observed_at: Timestamp, at: Timestamp) {
        self.newest_at = self.newest_at.max(Some(observed_at));
        (self.heard_at, self.recorded_at, self.silent) = (at, at, false);
        match count {
            Count::Flow { entered, left } => {
                self.inside += i64::from(entered) - i64::from(left);
                self.flowed |= entered + left > 0;
            }
            Count::Absolute { occupied } => {
                if self.flowed {
                    self.drift = i64::from(occupied) - self.inside;
                }
                (self.inside, self.flowed) = (i64::from(occupied), false);
                self.absolute_at = Some(observed_at);
            }
        }
    }

    /// A count without one.
    pub fn hear(&mut self, heartbeat: Heartbeat, now: Timestamp) {
        let observed_at = Some(heartbeat.observed_at);
        if heartbeat.absolute {
            self.absolute_at = self.absolute_at.max(observed_at);
        }
        self.newest_at = self.newest_at.max(observed_at);
        self.heard_at = now;
    }

    /// Vehicles inside, raw.
    #[must_use]
    pub fn inside(&self) -> i64 {
        self.inside
    }

    /// They fell silent.
    pub fn fall_silent(&mut self) {
        self.silent = true;
    }

    /// When they will have been silent for too long.
    #[must_use]
    pub fn silence_due(&self, listening_since: Timestamp, rules: &Rules) -> Option<Timestamp> {
        let alive = self.newest_at.is_some() && !self.silent;
        alive.then(|| self.heard_at.max(listening_since).plus(rules.silence))
    }

    /// What the engine's tally says otherwise.
    #[must_use]
    pub fn differs_from(&self, tally: &Tally, capacity: u32) -> Option<String> {
        let condition = match self.newest_at {
            None => Condition::NeverCounted,
            Some(_) if self.silent => Condition::Silent,
            Some(_) if self.inside < 0 => Condition::BelowZero,
            Some(_) if self.inside > i64::from(capacity) => Condition::AboveCapacity,
            Some(_) => Condition::Consistent,
        };
        let same = tally.occupied == self.inside
            && tally.drift == self.drift
            && tally.flowed == self.flowed
            && tally.absolute_at == self.absolute_at
            && tally.observed_at == self.newest_at
            && tally.heard_at == self.heard_at
            && tally.recorded_at == self.recorded_at
            && tally.condition(capacity) == condition;
        (!same).then(|| format!("tally {tally:?}, predicted {self:?}"))
    }
}
