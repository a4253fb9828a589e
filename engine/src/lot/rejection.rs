//! Why a lot says no: business facts, each with what is needed to say it well.

use super::reservation::State;
use super::{payment, session, violation, waiting};
use crate::ids::{SessionId, ShiftId, SlotIndex};
use crate::limits;
use crate::money::Amount;
use crate::time::{Timestamp, Window};

/// Why a command is refused: business facts, not failures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Somebody holds the slot in that window.
    #[error("slot is taken from {} to {}", clash.from, clash.to)]
    SlotTaken {
        /// The slot.
        slot: SlotIndex,
        /// The window of the promise that stands in the way.
        clash: Window,
    },
    /// Slots would fit, none is open for the window.
    #[error("no slot that fits is open for the window")]
    NoSlotFree,
    /// No slot of the lot could ever take it.
    #[error("no slot of this lot has what is needed")]
    NoSlotFits,
    /// The slot is closed.
    #[error("slot is out of service")]
    SlotOutOfService {
        /// The slot.
        slot: SlotIndex,
        /// Until when, if that is known.
        until: Option<Timestamp>,
    },
    /// The slot carries as many promises as it may.
    #[error("slot has its maximum of reservations")]
    SlotBookedOut {
        /// The slot.
        slot: SlotIndex,
    },
    /// The holder has as many as one may.
    #[error("holder has the maximum of active reservations in this lot")]
    TooManyReservations,
    /// The confirmation came too late.
    #[error("hold expired")]
    HoldExpired,
    /// It is over.
    #[error("reservation ended")]
    ReservationEnded {
        /// How.
        state: State,
    },
    /// None with that id that the caller may see.
    #[error("no such reservation")]
    ReservationNotFound,
    /// A reservation has that id already.
    #[error("id is taken")]
    IdTaken,
    /// No slot at that position.
    #[error("no such slot")]
    SlotNotFound,
    /// The end is not after the start.
    #[error("window is empty")]
    WindowEmpty,
    /// It began too long ago.
    #[error("window lies in the past")]
    WindowInPast,
    /// Longer, or further ahead, than reservations go.
    #[error("window is too long or too far ahead")]
    WindowTooLong,
    /// Its owner took the lot off the list: nobody is promised more.
    #[error("lot is paused")]
    LotPaused,
    /// A vehicle could not come or go then.
    #[error("lot is closed at {at}")]
    LotClosed {
        /// The begin or end of the window that is outside of its hours.
        at: Timestamp,
        /// When it is open next; nothing where the calendar ends before.
        opens: Option<Timestamp>,
    },
    /// Its driver changes his mind later than the lot's rule allows.
    #[error("changes were possible until {until}")]
    ChangeTooLate {
        /// The last instant at which he might have.
        until: Timestamp,
    },
    /// One of several windows cannot be had.
    #[error("occurrence {occurrence} is refused: {why}")]
    Occurrence {
        /// Which, counted from 0.
        occurrence: usize,
        /// Why.
        why: Box<Rejection>,
    },
    /// More occurrences than one request may have, or none.
    #[error("{count} occurrences are not 1 to {}", limits::OCCURRENCES_MAX)]
    OccurrencesOutOfRange {
        /// How many.
        count: usize,
    },
    /// No stay with that id.
    #[error("no such session")]
    SessionNotFound,
    /// It is over.
    #[error("session ended")]
    SessionEnded {
        /// How.
        state: session::State,
    },
    /// The vehicle, or another on that slot, is inside.
    #[error("session {session} is inside")]
    VehicleInside {
        /// The stay that stands in the way.
        session: SessionId,
    },
    /// Nothing is to be paid.
    #[error("nothing is owed")]
    NothingOwed,
    /// More, or less than nothing.
    #[error("{owed} is open")]
    AmountNotOwed {
        /// What is.
        owed: Amount,
    },
    /// No payment with that id.
    #[error("no such payment")]
    PaymentNotFound,
    /// It can go no such step.
    #[error("payment cannot do that")]
    PaymentEnded {
        /// Where it is.
        state: payment::State,
    },
    /// Its provider was asked something else and has not answered.
    #[error("payment waits for its provider")]
    PaymentInProgress,
    /// As many wait for their providers as a lot may have.
    #[error("lot has the maximum of payments that wait for their providers")]
    PaymentsFull,
    /// No shift with that id that the caller may see.
    #[error("no such shift")]
    ShiftNotFound,
    /// It was closed with another count.
    #[error("shift is closed")]
    ShiftClosed,
    /// The cashier has one already.
    #[error("shift {shift} is open")]
    ShiftOpen {
        /// Which.
        shift: ShiftId,
    },
    /// As many are open as a lot may have.
    #[error("lot has the maximum of open shifts")]
    ShiftsFull,
    /// No pass with that id.
    #[error("no such pass")]
    PassNotFound,
    /// It is over.
    #[error("pass ended")]
    PassEnded,
    /// As many go on as a lot may have.
    #[error("lot has the maximum of passes")]
    PassesFull,
    /// Nobody need wait for it.
    #[error("slot is free")]
    SlotFree {
        /// One that is.
        slot: SlotIndex,
    },
    /// No place with that id that the caller may see.
    #[error("no such place on the waiting list")]
    WaiterNotFound,
    /// It does not wait any more.
    #[error("waiting ended")]
    WaiterEnded {
        /// How.
        state: waiting::State,
    },
    /// The holder waits as often as one may.
    #[error("holder has the maximum of places on the waiting list")]
    TooManyWaiting,
    /// As many wait as may in one lot.
    #[error("waiting list is full")]
    WaitingFull,
    /// No violation with that id that the caller may see.
    #[error("no such violation")]
    ViolationNotFound,
    /// It is closed.
    #[error("violation ended")]
    ViolationEnded {
        /// How.
        state: violation::State,
    },
    /// As many are open as a lot may have.
    #[error("lot has the maximum of open violations")]
    ViolationsFull,
    /// The stay has no price.
    #[error("{0}")]
    Unpriceable(#[from] crate::tariff::Unpriceable),
    /// The tariff does not know that discount.
    #[error("no discount `{code}`")]
    DiscountUnknown {
        /// What was brought.
        code: Box<str>,
    },
    /// The book refuses the tariff.
    #[error("{0}")]
    TariffRefused(#[from] crate::tariff::Refused),
    /// Told later than the lot takes it.
    #[error("observed {ago_micros} us ago; that is too long ago")]
    TooLongAgo {
        /// How long ago.
        ago_micros: i64,
    },
    /// The lot has no counter.
    #[error("lot is not counted")]
    NotCounted,
    /// Observed further ahead than the lot's rule allows.
    #[error("observed {ahead_micros} us in the future; set the device's clock")]
    InFuture {
        /// How far ahead of the engine's clock.
        ahead_micros: i64,
    },
    /// Somebody changed it since the caller looked.
    #[error("version is {current}")]
    VersionMismatch {
        /// The version now.
        current: u32,
    },
    /// A patch that would make the specification wrong.
    #[error("{}", faults.first().map_or("", |fault| &fault.detail))]
    Invalid {
        /// Everything wrong with it.
        faults: Vec<crate::spec::Fault>,
    },
}
