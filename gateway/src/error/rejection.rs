//! The owner's no, in the words of the outside: engine rejections to codes, with the names people know.
//!
//! Invariant: the matches are exhaustive, so that a new rejection does not compile until it has a code.
//! Deliberately absent: who holds what stands in the way; a clash names the window, never a person.

use jiff::Timestamp as Instant;
use lotkeeper_actors::{CommandError, LotView};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::limits;
use lotkeeper_engine::lot::{Rejection, State};
use lotkeeper_engine::spec::Spec;
use lotkeeper_engine::time::Timestamp;

use super::{FieldError, Problem};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: u32 = 86_400;

/// A lot's refusal with the codes of its slots.
#[must_use]
pub fn rejection(view: &LotView, rejection: &Rejection) -> Problem {
    explain(Some(view.spec()), rejection)
}

/// Why a command to a lot was not done, with the codes of its slots.
#[must_use]
pub fn command(view: &LotView, error: &CommandError) -> Problem {
    match error {
        CommandError::Rejected(refused) => rejection(view, refused),
        other => undone(other),
    }
}

impl From<CommandError> for Problem {
    /// Without the lot at hand slots go unnamed; [`command`] says more.
    fn from(error: CommandError) -> Self {
        match &error {
            CommandError::Rejected(refused) => explain(None, refused),
            other => undone(other),
        }
    }
}

fn undone(error: &CommandError) -> Problem {
    let text = error.to_string();
    match error {
        CommandError::Rejected(refused) => explain(None, refused),
        CommandError::LotCodeTaken => {
            Problem::lot_code_taken("a lot of this tenant has this code; choose another")
        }
        CommandError::Overloaded => Problem::overloaded(text),
        CommandError::StorageFull => Problem::storage_full(text),
        CommandError::OutcomeUnknown => Problem::outcome_unknown(text),
        CommandError::ShuttingDown => Problem::shutting_down(text),
        CommandError::KeyReused => Problem::idempotency_key_reused(
            "this Idempotency-Key was used with another body; use a new key for a new request",
        ),
        CommandError::RequestInProgress => Problem::request_in_progress(
            "the request with this Idempotency-Key is still on its way; ask again in a moment",
        ),
    }
}

fn explain(spec: Option<&std::sync::Arc<Spec>>, rejection: &Rejection) -> Problem {
    let slot = |index: SlotIndex| named(spec.and_then(|spec| spec.slot(index)).map(|s| &*s.code));
    match rejection {
        Rejection::SlotTaken { slot: index, clash } => Problem::slot_taken(format!(
            "{} is taken {}; choose another window or slot",
            slot(*index),
            during(clash.from, clash.to)
        )),
        Rejection::NoSlotFree => Problem::no_slot_free(
            "slots would fit, none is open for the whole window; choose another window or lot",
        ),
        Rejection::NoSlotFits => Problem::no_slot_fits(
            "no slot of this lot has the size, features and zone asked for; ask for less",
        ),
        Rejection::SlotOutOfService { slot: index, until } => {
            let until = until.map_or_else(String::new, |until| format!(" until {}", iso(until)));
            let slot = slot(*index);
            Problem::slot_out_of_service(format!("{slot} is out of service{until}; choose another"))
        }
        Rejection::SlotBookedOut { slot: index } => Problem::slot_taken(format!(
            "{} carries {} reservations, as many as it may; choose another slot",
            slot(*index),
            limits::RESERVATIONS_PER_SLOT_MAX
        )),
        Rejection::TooManyReservations => Problem::too_many_reservations(format!(
            "this holder has {} active reservations in this lot, as many as one may; cancel one first",
            limits::RESERVATIONS_PER_HOLDER_MAX
        )),
        Rejection::HoldExpired => {
            Problem::hold_expired("the hold ran out before it was confirmed; reserve again")
        }
        Rejection::ReservationEnded { state } => {
            Problem::reservation_ended(format!("the reservation is {}", ended(*state)))
        }
        Rejection::ReservationNotFound => {
            Problem::reservation_not_found("no reservation with this id that you may see")
        }
        Rejection::IdTaken => {
            Problem::id_taken("a reservation has this id already; make a new id for a new one")
        }
        Rejection::SlotNotFound => Problem::slot_not_found("this lot has no such slot"),
        Rejection::WindowEmpty
        | Rejection::WindowInPast
        | Rejection::WindowTooLong
        | Rejection::NotCounted
        | Rejection::InFuture { .. }
        | Rejection::VersionMismatch { .. }
        | Rejection::Invalid { .. } => refused_value(rejection),
    }
}

/// Refusals of a value in the request rather than of the lot's state.
fn refused_value(rejection: &Rejection) -> Problem {
    match rejection {
        Rejection::WindowEmpty => {
            Problem::window_empty("the window ends before it begins; `to` must be after `from`")
        }
        Rejection::WindowInPast => Problem::window_in_past(format!(
            "the window begins more than {} s ago; begin now or later",
            limits::WINDOW_LATE_SECONDS_MAX
        )),
        Rejection::WindowTooLong => Problem::window_too_long(format!(
            "a window lasts at most {} days and begins at most {} days ahead",
            limits::WINDOW_SECONDS_MAX / SECONDS_PER_DAY,
            limits::WINDOW_AHEAD_SECONDS_MAX / SECONDS_PER_DAY
        )),
        Rejection::NotCounted => {
            Problem::not_counted("this lot has no counter; send readings of its slots instead")
        }
        Rejection::InFuture { ahead_micros } => Problem::reading_in_future(format!(
            "observed {} s in the future, more than the lot's rule allows; set the device's clock",
            ahead_micros / MICROS_PER_SECOND
        )),
        Rejection::VersionMismatch { current } => Problem::version_mismatch(format!(
            "the version is {current}; read it again and repeat the change on that"
        )),
        Rejection::Invalid { faults } => Problem::validation(
            faults.iter().map(|fault| FieldError::new(&fault.pointer, &fault.detail)).collect(),
        ),
        other => Problem::internal(other.to_string()),
    }
}

fn named(code: Option<&str>) -> String {
    code.map_or_else(|| "the slot".to_owned(), |code| format!("slot {code}"))
}

fn ended(state: State) -> &'static str {
    match state {
        State::Held { .. } => "held",
        State::Confirmed => "confirmed",
        State::CheckedIn { .. } => "checked in: only its end can still move",
        State::Completed => "completed",
        State::Cancelled => "cancelled; reserve again",
        State::Expired => "expired; reserve again",
        State::NoShow => "released as nobody came; reserve again",
    }
}

fn during(from: Timestamp, to: Timestamp) -> String {
    format!("from {} to {}", iso(from), iso(to))
}

fn iso(at: Timestamp) -> String {
    Instant::from_microsecond(at.micros()).map_or_else(|_| at.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lotkeeper_engine::spec::Fault;
    use lotkeeper_engine::time::Window;

    fn window() -> Window {
        let from = Timestamp::from_seconds(1_772_355_600);
        Window { from, to: Timestamp::from_seconds(1_772_359_200) }
    }

    #[test]
    fn every_rejection_has_its_code() {
        let slot = SlotIndex(0);
        let until = Some(window().to);
        let invalid = vec![Fault { pointer: "/name".into(), detail: "empty".into() }];
        for (rejection, code, status) in [
            (Rejection::SlotTaken { slot, clash: window() }, "slot_taken", 409),
            (Rejection::NoSlotFree, "no_slot_free", 409),
            (Rejection::NoSlotFits, "no_slot_fits", 422),
            (Rejection::SlotOutOfService { slot, until }, "slot_out_of_service", 409),
            (Rejection::SlotBookedOut { slot }, "slot_taken", 409),
            (Rejection::TooManyReservations, "too_many_reservations", 409),
            (Rejection::HoldExpired, "hold_expired", 409),
            (Rejection::ReservationEnded { state: State::Expired }, "reservation_ended", 409),
            (Rejection::ReservationNotFound, "reservation_not_found", 404),
            (Rejection::IdTaken, "id_taken", 409),
            (Rejection::SlotNotFound, "slot_not_found", 404),
            (Rejection::WindowEmpty, "window_empty", 422),
            (Rejection::WindowInPast, "window_in_past", 422),
            (Rejection::WindowTooLong, "window_too_long", 422),
            (Rejection::NotCounted, "not_counted", 422),
            (Rejection::InFuture { ahead_micros: 90_000_000 }, "reading_in_future", 422),
            (Rejection::VersionMismatch { current: 3 }, "version_mismatch", 412),
            (Rejection::Invalid { faults: invalid }, "validation_failed", 422),
        ] {
            let problem = Problem::from(CommandError::Rejected(rejection));
            assert_eq!((problem.code, problem.status.as_u16()), (code, status));
            assert!(!problem.detail.is_empty(), "{code}");
        }
    }

    #[test]
    fn failures_to_do_it_say_whether_to_retry() {
        for (error, code, retry) in [
            (CommandError::LotCodeTaken, "lot_code_taken", false),
            (CommandError::Overloaded, "overloaded", true),
            (CommandError::StorageFull, "storage_full", true),
            (CommandError::OutcomeUnknown, "outcome_unknown", true),
            (CommandError::ShuttingDown, "shutting_down", true),
            (CommandError::KeyReused, "idempotency_key_reused", false),
            (CommandError::RequestInProgress, "request_in_progress", false),
        ] {
            let problem = Problem::from(error);
            assert_eq!((problem.code, problem.retry_after_ms.is_some()), (code, retry));
        }
    }

    #[test]
    fn clash_names_the_window_in_rfc_3339() {
        let refused = Rejection::SlotTaken { slot: SlotIndex(0), clash: window() };
        assert_eq!(
            explain(None, &refused).detail,
            "the slot is taken from 2026-03-01T09:00:00Z to 2026-03-01T10:00:00Z; \
             choose another window or slot"
        );
    }
}
