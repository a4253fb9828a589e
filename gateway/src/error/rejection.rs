//! The owner's no, in the words of the outside: engine rejections to codes, with the names people know.
//!
//! Invariant: the matches are exhaustive, so that a new rejection does not compile until it has a code.
//! Deliberately absent: who holds what stands in the way; a clash names the window, never a person.

use jiff::Timestamp as Instant;
use lotkeeper_actors::{CommandError, LotView};
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::limits;
use lotkeeper_engine::lot::{Ask, Price, Rejection, State, session, waiting};
use lotkeeper_engine::spec::Spec;
use lotkeeper_engine::tariff::Refused;
use lotkeeper_engine::time::{Timestamp, Window};

use super::{FieldError, Problem, offered};
use crate::wire::payment::PaymentState;
use crate::wire::violation::ViolationState;

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

/// Whether a lot takes a window at all: the same refusals as a booking's.
///
/// # Errors
/// The lot is paused, or closed when the window begins or ends.
pub fn check_offered(view: &LotView, window: Window) -> Result<(), Problem> {
    view.lot.check_offered(window).map_err(|refused| rejection(view, &refused))
}

/// What a window costs in a lot, or why it has no price: the same refusals as a booking's.
///
/// # Errors
/// A discount that the tariff does not know, or no price.
pub fn priced(view: &LotView, ask: &Ask) -> Result<Option<Price>, Problem> {
    let lot = &view.lot;
    lot.check_discounts(ask)
        .and_then(|()| lot.quote(ask).map_err(Rejection::from))
        .map_err(|refused| rejection(view, &refused))
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
    match rejection {
        Rejection::SlotTaken { .. }
        | Rejection::SlotOutOfService { .. }
        | Rejection::SlotBookedOut { .. } => refused_slot(spec, rejection),
        Rejection::NoSlotFree => Problem::no_slot_free(
            "slots would fit, none is open for the whole window; choose another window or lot",
        ),
        Rejection::NoSlotFits => Problem::no_slot_fits(
            "no slot of this lot has the size, features and zone asked for; ask for less",
        ),
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
        Rejection::IdTaken => Problem::id_taken(
            "a reservation or a place on the waiting list has this id already; make a new id for a new one",
        ),
        Rejection::SlotNotFound => Problem::slot_not_found("this lot has no such slot"),
        Rejection::LotPaused | Rejection::LotClosed { .. } | Rejection::ChangeTooLate { .. } => {
            offered::refused(spec.map(|spec| &**spec), rejection)
        }
        Rejection::WindowEmpty
        | Rejection::WindowInPast
        | Rejection::WindowTooLong
        | Rejection::NotCounted
        | Rejection::InFuture { .. }
        | Rejection::TooLongAgo { .. }
        | Rejection::VersionMismatch { .. }
        | Rejection::Invalid { .. } => refused_value(rejection),
        Rejection::Occurrence { occurrence, why } => explain(spec, why).of_occurrence(*occurrence),
        Rejection::NothingOwed
        | Rejection::AmountNotOwed { .. }
        | Rejection::PaymentNotFound
        | Rejection::PaymentEnded { .. }
        | Rejection::PaymentInProgress
        | Rejection::PaymentsFull
        | Rejection::ShiftNotFound
        | Rejection::ShiftClosed
        | Rejection::ShiftOpen { .. }
        | Rejection::ShiftsFull
        | Rejection::Unpriceable(_)
        | Rejection::DiscountUnknown { .. }
        | Rejection::TariffRefused(_) => refused_money(rejection),
        Rejection::SessionNotFound
        | Rejection::SessionEnded { .. }
        | Rejection::VehicleInside { .. }
        | Rejection::PassNotFound
        | Rejection::PassEnded
        | Rejection::PassesFull
        | Rejection::SlotFree { .. }
        | Rejection::WaiterNotFound
        | Rejection::WaiterEnded { .. }
        | Rejection::TooManyWaiting
        | Rejection::WaitingFull
        | Rejection::ViolationNotFound
        | Rejection::ViolationEnded { .. }
        | Rejection::ViolationsFull
        | Rejection::OccurrencesOutOfRange { .. } => refused_stay(spec, rejection),
    }
}

/// Why this slot cannot be had.
fn refused_slot(spec: Option<&std::sync::Arc<Spec>>, rejection: &Rejection) -> Problem {
    let slot = |index: SlotIndex| named(spec.and_then(|spec| spec.slot(index)).map(|s| &*s.code));
    match rejection {
        Rejection::SlotTaken { slot: index, clash } => Problem::slot_taken(format!(
            "{} is taken {}; choose another window or slot",
            slot(*index),
            during(clash.from, clash.to)
        )),
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
        other => Problem::internal(other.to_string()),
    }
}

impl Problem {
    /// The same of one occurrence of a series.
    fn of_occurrence(self, occurrence: usize) -> Self {
        let detail = format!("occurrence {occurrence} (counted from 0): {}", self.detail);
        Self { detail, ..self }
    }
}

/// Refusals of a value in the request rather than of the lot's state.
fn refused_value(rejection: &Rejection) -> Problem {
    match rejection {
        Rejection::WindowEmpty => {
            Problem::window_empty("the window ends before it begins; `to` must be after `from`")
        }
        Rejection::WindowInPast => Problem::window_in_past(format!(
            "the window has begun: a reservation may begin up to {} s ago, who waits asks for a later window",
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
        Rejection::TooLongAgo { ago_micros } => Problem::observed_too_long_ago(format!(
            "observed {} s ago, more than {} s; let staff correct the session instead",
            ago_micros / MICROS_PER_SECOND,
            limits::SCAN_LATE_SECONDS_MAX
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

/// What stands in the way of a stay or its terms.
fn refused_stay(spec: Option<&std::sync::Arc<Spec>>, rejection: &Rejection) -> Problem {
    match rejection {
        Rejection::SessionNotFound => {
            Problem::session_not_found("no session with this id that you may see")
        }
        Rejection::SessionEnded { state } => Problem::session_ended(match state {
            session::State::Abandoned => "the session was closed, as nobody saw it leave",
            session::State::Left | session::State::Inside | session::State::Overstaying => {
                "the session is over: the vehicle left"
            }
        }),
        Rejection::VehicleInside { session } => Problem::vehicle_inside(format!(
            "session {session} is inside with this vehicle or on this slot; end or move it first"
        )),
        Rejection::PassNotFound => Problem::pass_not_found("no pass with this id that you may see"),
        Rejection::PassEnded => Problem::pass_ended("the pass is over; issue a new one"),
        Rejection::PassesFull => Problem::passes_full(format!(
            "{} passes go on in this lot, as many as there may be; end some first",
            limits::PASSES_PER_LOT_MAX
        )),
        Rejection::ViolationNotFound => {
            Problem::violation_not_found("no violation with this id that you may see")
        }
        Rejection::ViolationEnded { state } => Problem::violation_ended(format!(
            "the violation is {}; nothing more can become of it",
            ViolationState::from(*state).text()
        )),
        Rejection::ViolationsFull => Problem::violations_full(format!(
            "{} violations are open in this lot, as many as there may be; close some first",
            limits::OPEN_VIOLATIONS_PER_LOT_MAX
        )),
        Rejection::OccurrencesOutOfRange { count } => Problem::too_many_occurrences(format!(
            "{count} occurrences are not 1 to {}; ask for fewer at once",
            limits::OCCURRENCES_MAX
        )),
        other => refused_waiting(spec, other),
    }
}

/// What stands in the way of money, and of what something costs.
fn refused_money(rejection: &Rejection) -> Problem {
    match rejection {
        Rejection::NothingOwed => Problem::nothing_owed("nothing is to be paid"),
        Rejection::AmountNotOwed { owed } => Problem::amount_not_owed(format!(
            "{} minor units are open; give an amount from 1 to that, or leave it out",
            owed.0
        )),
        Rejection::PaymentNotFound => {
            Problem::payment_not_found("no payment with this id that you may see")
        }
        Rejection::PaymentEnded { state } => Problem::payment_ended(format!(
            "the payment is {}; that cannot be done with it",
            PaymentState::from(*state).text()
        )),
        Rejection::PaymentInProgress => Problem::payment_in_progress(
            "the payment's provider was asked something else and has not answered; ask again in a moment",
        ),
        Rejection::PaymentsFull => Problem::payments_full(format!(
            "{} payments of this lot wait for their providers, as many as may; settle some first",
            limits::UNSETTLED_PAYMENTS_PER_LOT_MAX
        )),
        Rejection::ShiftNotFound => {
            Problem::shift_not_found("no shift with this id that you may see")
        }
        Rejection::ShiftClosed => Problem::shift_closed(
            "the shift is closed with another amount; a closed shift does not change",
        ),
        Rejection::ShiftOpen { shift } => Problem::shift_open(format!(
            "shift {shift} of this cashier is open in this lot; close it first"
        )),
        Rejection::ShiftsFull => Problem::shifts_full(format!(
            "{} shifts are open in this lot, as many as there may be; close some first",
            limits::OPEN_SHIFTS_PER_LOT_MAX
        )),
        Rejection::Unpriceable(why) => Problem::unpriceable(why.to_string()),
        Rejection::DiscountUnknown { code } => Problem::discount_unknown(format!(
            "the tariff knows no discount `{code}`; leave it out or correct it"
        )),
        Rejection::TariffRefused(why) => match why {
            Refused::Full { .. } | Refused::Crowded { .. } => {
                Problem::tariffs_full(why.to_string())
            }
            Refused::Unknown(_) => Problem::tariff_not_found(why.to_string()),
        },
        other => Problem::internal(other.to_string()),
    }
}

/// Why nobody waits, or does not wait any more.
fn refused_waiting(spec: Option<&std::sync::Arc<Spec>>, rejection: &Rejection) -> Problem {
    match rejection {
        Rejection::SlotFree { slot } => Problem::slot_free(format!(
            "{} is free for the whole window; reserve instead of waiting",
            named(spec.and_then(|spec| spec.slot(*slot)).map(|slot| &*slot.code))
        )),
        Rejection::WaiterNotFound => {
            Problem::waiting_not_found("no place on the waiting list with this id that you may see")
        }
        Rejection::WaiterEnded { state } => Problem::waiting_ended(match state {
            waiting::State::Offered => {
                "a slot was offered: confirm or cancel the reservation of the same id"
            }
            waiting::State::RanOut => "the window began, and nothing had become free",
            waiting::State::Refused => "what became free has no price for what was asked",
            waiting::State::Waiting | waiting::State::Left => "the place was given up",
        }),
        Rejection::TooManyWaiting => Problem::too_many_waiting(format!(
            "this holder has {} places on the waiting list of this lot, as many as one may; give one up first",
            limits::WAITERS_PER_HOLDER_MAX
        )),
        Rejection::WaitingFull => Problem::waiting_full(format!(
            "{} wait in this lot, as many as may; ask again later or choose another lot",
            limits::WAITERS_PER_LOT_MAX
        )),
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

pub(super) fn iso(at: Timestamp) -> String {
    Instant::from_microsecond(at.micros()).map_or_else(|_| at.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lotkeeper_engine::ids::{SessionId, ShiftId};
    use lotkeeper_engine::lot::{payment, violation};
    use lotkeeper_engine::money::Amount;
    use lotkeeper_engine::spec::Fault;
    use lotkeeper_engine::tariff::Unpriceable;

    fn window() -> Window {
        let from = Timestamp::from_seconds(1_772_355_600);
        Window { from, to: Timestamp::from_seconds(1_772_359_200) }
    }

    #[test]
    fn every_rejection_has_its_code() {
        let slot = SlotIndex(0);
        let until = Some(window().to);
        let why = Box::new(Rejection::NoSlotFree);
        let occurrence = Rejection::Occurrence { occurrence: 2, why };
        let session = SessionId(uuid::Uuid::nil());
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
            (Rejection::TooLongAgo { ago_micros: 90_000_000 }, "observed_too_long_ago", 422),
            (Rejection::ChangeTooLate { until: window().from }, "change_too_late", 409),
            (Rejection::LotPaused, "lot_paused", 409),
            (Rejection::LotClosed { at: window().from, opens: until }, "lot_closed", 409),
            (occurrence, "no_slot_free", 409),
            (Rejection::OccurrencesOutOfRange { count: 0 }, "too_many_occurrences", 422),
            (Rejection::SessionNotFound, "session_not_found", 404),
            (Rejection::SessionEnded { state: session::State::Left }, "session_ended", 409),
            (Rejection::VehicleInside { session }, "vehicle_inside", 409),
            (Rejection::NothingOwed, "nothing_owed", 409),
            (Rejection::AmountNotOwed { owed: Amount(5) }, "amount_not_owed", 422),
            (Rejection::PaymentNotFound, "payment_not_found", 404),
            (Rejection::PaymentEnded { state: payment::State::Voided }, "payment_ended", 409),
            (Rejection::PaymentInProgress, "payment_in_progress", 409),
            (Rejection::PaymentsFull, "payments_full", 409),
            (Rejection::ShiftNotFound, "shift_not_found", 404),
            (Rejection::ShiftClosed, "shift_closed", 409),
            (Rejection::ShiftOpen { shift: ShiftId(uuid::Uuid::nil()) }, "shift_open", 409),
            (Rejection::ShiftsFull, "shifts_full", 409),
            (Rejection::PassNotFound, "pass_not_found", 404),
            (Rejection::PassEnded, "pass_ended", 409),
            (Rejection::PassesFull, "passes_full", 409),
            (Rejection::SlotFree { slot: SlotIndex(0) }, "slot_free", 409),
            (Rejection::WaiterNotFound, "waiting_not_found", 404),
            (Rejection::WaiterEnded { state: waiting::State::Offered }, "waiting_ended", 409),
            (Rejection::TooManyWaiting, "too_many_waiting", 409),
            (Rejection::WaitingFull, "waiting_full", 409),
            (Rejection::ViolationNotFound, "violation_not_found", 404),
            (Rejection::ViolationEnded { state: violation::State::Paid }, "violation_ended", 409),
            (Rejection::ViolationsFull, "violations_full", 409),
            (Rejection::Unpriceable(Unpriceable::NoTimes), "unpriceable", 422),
            (Rejection::DiscountUnknown { code: "X".into() }, "discount_unknown", 422),
            (Rejection::TariffRefused(Refused::Full { max: 1 }), "tariffs_full", 409),
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
