//! Histories and violations in words.

use super::Violation;
use super::history::{Answer, Asker, Call, Operation, Outcome, Refusal, Shown, Stand, Window};
use super::model::State;
use std::fmt::{self, Write};

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.from, self.to)
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Staff => f.write_str("staff"),
            Self::Driver(nth) => write!(f, "driver {nth}"),
            Self::Stranger => f.write_str("stranger"),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserve { id, slot, window, hold_seconds } => {
                let verb = if hold_seconds.is_some() { "hold" } else { "reserve" };
                match slot {
                    Some(slot) => write!(f, "{verb} r{id} on slot {slot} for {window}"),
                    None => write!(f, "{verb} r{id} on any slot for {window}"),
                }
            }
            Self::Confirm { id } => write!(f, "confirm r{id}"),
            Self::Cancel { id } => write!(f, "cancel r{id}"),
            Self::Modify { id, window, if_version: None } => write!(f, "move r{id} to {window}"),
            Self::Modify { id, window, if_version: Some(version) } => {
                write!(f, "move r{id} to {window} if version {version}")
            }
            Self::Show { id } => write!(f, "show r{id}"),
            Self::Open { window } => write!(f, "who is open for {window}"),
            Self::Seq => f.write_str("availability now"),
            Self::List => f.write_str("list"),
            Self::Expire { id } => write!(f, "the hold of r{id} ends"),
        }
    }
}

impl Stand {
    /// As the interface names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Strange => "in a strange state",
        }
    }
}

impl Refusal {
    /// As the interface names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SlotTaken => "slot_taken",
            Self::NoSlotFree => "no_slot_free",
            Self::ReservationEnded => "reservation_ended",
            Self::HoldExpired => "hold_expired",
            Self::ReservationNotFound => "reservation_not_found",
            Self::VersionMismatch => "version_mismatch",
            Self::IdTaken => "id_taken",
            Self::LotNotFound => "lot_not_found",
            Self::RequestInProgress => "request_in_progress",
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, slot, window, stand, version, .. } = self;
        write!(f, "r{id} {} on slot {slot} for {window}, version {version}", stand.name())
    }
}

struct AtSeq(Option<u32>);

impl fmt::Display for AtSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |seq| write!(f, " (seq {seq})"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { .. } => f.write_str("no answer"),
            Self::Answered(Answer::Reservation { shown, seq }) => {
                write!(f, "{shown}{}", AtSeq(*seq))
            }
            Self::Answered(Answer::Refused(why)) => write!(f, "refused: {}", why.name()),
            Self::Answered(Answer::Open { slots, seq }) => {
                write!(f, "open are {slots:?}{}", AtSeq(*seq))
            }
            Self::Answered(Answer::Seq { seq }) => write!(f, "seq {}", seq.unwrap_or_default()),
            Self::Answered(Answer::List { items, seq }) => {
                write!(f, "{} reservations{}", items.len(), AtSeq(*seq))?;
                items.iter().try_for_each(|item| write!(f, "; {item}"))
            }
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let active = self.promises.iter().filter(|promise| promise.stand.is_active());
        for promise in active {
            let (id, slot, window) = (promise.id, promise.slot, promise.window);
            let (stand, version) = (promise.stand.name(), promise.version);
            let holder = promise.holder;
            writeln!(
                f,
                "    r{id} of {holder}, {stand} on slot {slot} for {window}, version {version}"
            )?;
        }
        let ended = self.promises.iter().filter(|promise| !promise.stand.is_active()).count();
        writeln!(f, "    and {ended} that ended")
    }
}

/// One line: when, who, what, what came of it.
pub fn line(operation: &Operation, began_us: u64) -> String {
    let ms = |us: u64| us.saturating_sub(began_us) as f64 / 1_000.0;
    let Operation { client, by, call, outcome, called_us, returned_us } = operation;
    let (from, to) = (ms(*called_us), ms(*returned_us));
    format!("{from:>9.3} to {to:>9.3} ms  client {client:<3} ({by}) {call}  ->  {outcome}")
}

/// The part, what could be ordered, and what could not.
pub fn explain(violation: &Violation) -> String {
    let Violation { part, longest, state, offender, slot } = violation;
    let began_us = part.iter().map(|operation| operation.called_us).min().unwrap_or_default();
    let mut said = String::new();
    let narrowed = slot.map_or_else(String::new, |slot| format!(" on slot {slot}"));
    let _ = writeln!(said, "  no order explains these {} operations{narrowed}:", part.len());
    for (position, operation) in part.iter().enumerate() {
        let mark = if position == *offender { ">>" } else { "  " };
        let _ = writeln!(said, "  {mark} {}", line(operation, began_us));
    }
    let _ = writeln!(said, "  the longest order that fits:");
    for operation in longest.iter().filter_map(|position| part.get(*position)) {
        let _ = writeln!(said, "    client {:<3} {}", operation.client, operation.call);
    }
    let _ = write!(said, "  and then the lot has\n{state}");
    said
}
