//! Counts of a counted lot, and the silence of its counter.
//!
//! A count that cannot be true is taken all the same: it is judged where it is shown, never clipped.

use smallvec::smallvec;

use super::{Events, Granted, Heartbeat, happened, unchanged};
use crate::lot::session::Direction;
use crate::lot::{Condition, Count, CountOutcome, Event, Lot, Outcome, Rejection};
use crate::spec::Kind;
use crate::time::Timestamp;

pub(super) fn count(
    lot: &Lot,
    count: Count,
    observed_at: Timestamp,
    now: Timestamp,
    heartbeat: &mut Option<Heartbeat>,
) -> Granted {
    match lot.spec.kind {
        Kind::Counted => {}
        Kind::Bayed => return Err(Rejection::NotCounted),
    }
    if observed_at > now.plus(lot.spec.rules.skew) {
        return Err(Rejection::InFuture { ahead_micros: observed_at.micros_since(now) });
    }
    let outcome = judge(lot, count, observed_at);
    let answer = Outcome::Count(outcome);
    match outcome {
        CountOutcome::Accepted => happened(Event::Counted { count, observed_at }, answer),
        CountOutcome::Unchanged if is_worth_a_record(lot, count, now) => {
            happened(Event::Counted { count, observed_at }, answer)
        }
        CountOutcome::Unchanged => {
            let absolute = matches!(count, Count::Absolute { .. });
            *heartbeat = Some(Heartbeat { observed_at, absolute });
            unchanged(answer)
        }
        CountOutcome::Duplicate | CountOutcome::Late => unchanged(answer),
    }
}

/// A gate let somebody through: where the gates are the counters, that is a count.
pub(super) fn passed(lot: &Lot, direction: Direction, at: Timestamp, events: &mut Events) {
    let counts = match lot.spec.kind {
        Kind::Counted => lot.spec.rules.gates_count,
        Kind::Bayed => false,
    };
    if counts {
        let count = match direction {
            Direction::Entry => Count::Flow { entered: 1, left: 0 },
            Direction::Exit => Count::Flow { entered: 0, left: 1 },
        };
        events.push(Event::Counted { count, observed_at: at });
    }
}

fn judge(lot: &Lot, count: Count, observed_at: Timestamp) -> CountOutcome {
    let tally = &lot.tally;
    // Told once and alive since: a repetition says nothing new.
    let live = match tally.condition(lot.spec.capacity) {
        Condition::NeverCounted | Condition::Silent => false,
        Condition::Consistent | Condition::AboveCapacity | Condition::BelowZero => true,
    };
    match count {
        Count::Flow { entered: 0, left: 0 } if live => CountOutcome::Unchanged,
        Count::Flow { .. } => CountOutcome::Accepted,
        Count::Absolute { occupied } => {
            let repeats = i64::from(occupied) == tally.occupied;
            match tally.absolute_at {
                Some(last) if observed_at == last && repeats => CountOutcome::Duplicate,
                Some(last) if observed_at <= last => CountOutcome::Late,
                Some(_) if repeats && live => CountOutcome::Unchanged,
                Some(_) | None => CountOutcome::Accepted,
            }
        }
    }
}

/// A record of each repetition would be most of the log; one per quarter of the silence time is enough
/// for a restart to know that the counter lives. An absolute count that confirms flows ends their drift.
fn is_worth_a_record(lot: &Lot, count: Count, now: Timestamp) -> bool {
    let quiet_micros = now.micros_since(lot.tally.recorded_at);
    let confirms_flows = matches!(count, Count::Absolute { .. }) && lot.tally.flowed;
    confirms_flows || quiet_micros > lot.spec.rules.silence.micros() / 4
}

pub(super) fn silence(lot: &Lot, listening_since: Timestamp, now: Timestamp) -> Events {
    match lot.counter_due_at(listening_since) {
        Some(due) if due <= now => smallvec![Event::CounterFellSilent],
        Some(_) | None => Events::new(),
    }
}
