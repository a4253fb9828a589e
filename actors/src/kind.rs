//! What kind of change a record is to somebody who watches a lot: one name per kind of event, everywhere.

use lotkeeper_engine::lot::{self, pass, payment, session, shift, violation, waiting};
use lotkeeper_engine::slot;
use lotkeeper_storage::Event;

/// Kinds with their names outside, each written once.
macro_rules! kinds {
    ($($kind:ident = $name:literal,)+) => {
        /// What kind of change a record is to somebody who watches a lot.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ChangeKind {
            $(#[doc = concat!("`", $name, "`")] $kind,)+
        }

        impl ChangeKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// The name outside.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }
        }
    };
}

kinds! {
    LotCreated = "lot.created",
    LotChanged = "lot.changed",
    SlotChanged = "slot.changed",
    SlotOccupied = "slot.occupied",
    SlotVacated = "slot.vacated",
    SlotHeard = "slot.heard",
    SlotSilent = "slot.silent",
    HoldBegan = "slot.hold_began",
    ReservationHeld = "reservation.held",
    ReservationConfirmed = "reservation.confirmed",
    ReservationModified = "reservation.modified",
    ReservationCancelled = "reservation.cancelled",
    ReservationExpired = "reservation.expired",
    ReservationCheckedIn = "reservation.checked_in",
    ReservationCompleted = "reservation.completed",
    ReservationNoShow = "reservation.no_show",
    HoldEnded = "slot.hold_ended",
    ReservationMoved = "reservation.moved",
    ReservationReminded = "reservation.reminded",
    ReservationRequested = "reservation.requested",
    SessionEntered = "session.entered",
    SessionPlaced = "session.placed",
    SessionOverstayed = "session.overstayed",
    SessionIdentified = "session.identified",
    SessionTicketLost = "session.ticket_lost",
    SessionRequested = "session.requested",
    SessionSettled = "session.settled",
    SessionLeft = "session.left",
    SessionAbandoned = "session.abandoned",
    ScanDenied = "scan.denied",
    PaymentRecorded = "payment.recorded",
    PaymentCaptured = "payment.captured",
    PaymentVoided = "payment.voided",
    PaymentFailed = "payment.failed",
    PaymentRefunded = "payment.refunded",
    PaymentRequested = "payment.requested",
    PaymentAsked = "payment.asked",
    PaymentAuthorised = "payment.authorised",
    PaymentRefused = "payment.refused",
    ShiftOpened = "shift.opened",
    ShiftTook = "shift.took",
    ShiftClosed = "shift.closed",
    PassIssued = "pass.issued",
    PassChanged = "pass.changed",
    PassPaused = "pass.paused",
    PassResumed = "pass.resumed",
    PassEnded = "pass.ended",
    PassUsed = "pass.used",
    PassHonoured = "pass.honoured",
    PassFollowed = "pass.followed",
    WaitingJoined = "waiting.joined",
    WaitingOffered = "waiting.offered",
    WaitingLeft = "waiting.left",
    WaitingRanOut = "waiting.ran_out",
    WaitingRefused = "waiting.refused",
    ViolationRaised = "violation.raised",
    ViolationAmended = "violation.amended",
    ViolationNotified = "violation.notified",
    ViolationPaid = "violation.paid",
    ViolationAppealed = "violation.appealed",
    ViolationWaived = "violation.waived",
    ViolationResolved = "violation.resolved",
    LedgerPosted = "ledger.posted",
    TariffsChanged = "tariffs.changed",
    CountRecorded = "count.recorded",
    CountSilent = "count.silent",
}

impl ChangeKind {
    /// The kind of an event.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        use lot::Event as E;
        match event {
            Event::Slot(_, slot::Event::Occupied(_)) => Self::SlotOccupied,
            Event::Slot(_, slot::Event::Vacated(_)) => Self::SlotVacated,
            Event::Slot(_, slot::Event::Heard { .. }) => Self::SlotHeard,
            Event::Slot(_, slot::Event::FellSilent) => Self::SlotSilent,
            Event::Lot(event) => match event {
                E::Created(_) => Self::LotCreated,
                E::Changed(_) => Self::LotChanged,
                E::SlotChanged(_) | E::ServiceChanged { .. } => Self::SlotChanged,
                E::Reserved(reserved) if reserved.expires_at.is_some() => Self::ReservationHeld,
                E::Reserved(_) | E::Confirmed { .. } => Self::ReservationConfirmed,
                E::Modified { .. } => Self::ReservationModified,
                E::Cancelled { .. } => Self::ReservationCancelled,
                E::Expired { .. } => Self::ReservationExpired,
                E::HoldBegan { .. } => Self::HoldBegan,
                E::CheckedIn { .. } => Self::ReservationCheckedIn,
                E::NoShow { .. } => Self::ReservationNoShow,
                E::Completed { .. } => Self::ReservationCompleted,
                E::HoldEnded { .. } => Self::HoldEnded,
                E::Moved(_) => Self::ReservationMoved,
                E::Reminded { .. } => Self::ReservationReminded,
                E::Requested { .. } => Self::ReservationRequested,
                E::Session(event) => Self::of_session(event),
                E::Payment(event) => Self::of_payment(event),
                E::Shift(event) => Self::of_shift(event),
                E::Pass(event) => Self::of_pass(event),
                E::Waiting(event) => Self::of_waiting(event),
                E::Violation(event) => Self::of_violation(event),
                E::Posted(_) => Self::LedgerPosted,
                E::TariffsChanged(_) => Self::TariffsChanged,
                E::Counted { .. } => Self::CountRecorded,
                E::CounterFellSilent => Self::CountSilent,
            },
        }
    }

    fn of_session(event: &session::Event) -> Self {
        match event {
            session::Event::Entered(_) => Self::SessionEntered,
            session::Event::Placed { .. } => Self::SessionPlaced,
            session::Event::Overstayed { .. } => Self::SessionOverstayed,
            session::Event::Identified { .. } => Self::SessionIdentified,
            session::Event::TicketLost { .. } => Self::SessionTicketLost,
            session::Event::Requested { .. } => Self::SessionRequested,
            session::Event::Settled { .. } => Self::SessionSettled,
            session::Event::Left(_) => Self::SessionLeft,
            session::Event::Abandoned { .. } => Self::SessionAbandoned,
            session::Event::Denied(_) => Self::ScanDenied,
        }
    }

    fn of_payment(event: &payment::Event) -> Self {
        match event {
            payment::Event::Recorded(_) => Self::PaymentRecorded,
            payment::Event::Captured { .. } | payment::Event::PartCaptured { .. } => {
                Self::PaymentCaptured
            }
            payment::Event::Voided { .. } => Self::PaymentVoided,
            payment::Event::Failed { .. } => Self::PaymentFailed,
            payment::Event::Refunded { .. } => Self::PaymentRefunded,
            payment::Event::Requested(_) => Self::PaymentRequested,
            payment::Event::Asked { .. } => Self::PaymentAsked,
            payment::Event::Authorised { .. } => Self::PaymentAuthorised,
            payment::Event::Refused { .. } => Self::PaymentRefused,
        }
    }

    fn of_shift(event: &shift::Event) -> Self {
        match event {
            shift::Event::Opened(_) => Self::ShiftOpened,
            shift::Event::Took { .. } => Self::ShiftTook,
            shift::Event::Closed { .. } => Self::ShiftClosed,
        }
    }

    fn of_pass(event: &pass::Event) -> Self {
        match event {
            pass::Event::Issued { .. } => Self::PassIssued,
            pass::Event::Changed { .. } => Self::PassChanged,
            pass::Event::Paused { .. } => Self::PassPaused,
            pass::Event::Resumed { .. } => Self::PassResumed,
            pass::Event::Ended { .. } => Self::PassEnded,
            pass::Event::Used { .. } => Self::PassUsed,
            pass::Event::Honoured { .. } => Self::PassHonoured,
            pass::Event::Followed { .. } => Self::PassFollowed,
        }
    }

    fn of_waiting(event: &waiting::Event) -> Self {
        match event {
            waiting::Event::Joined { .. } => Self::WaitingJoined,
            waiting::Event::Offered { .. } => Self::WaitingOffered,
            waiting::Event::Left { .. } => Self::WaitingLeft,
            waiting::Event::RanOut { .. } => Self::WaitingRanOut,
            waiting::Event::Refused { .. } => Self::WaitingRefused,
        }
    }

    fn of_violation(event: &violation::Event) -> Self {
        match event {
            violation::Event::Raised(_) => Self::ViolationRaised,
            violation::Event::Amended(_) => Self::ViolationAmended,
            violation::Event::Notified { .. } => Self::ViolationNotified,
            violation::Event::Paid { .. } => Self::ViolationPaid,
            violation::Event::Appealed { .. } => Self::ViolationAppealed,
            violation::Event::Waived { .. } => Self::ViolationWaived,
            violation::Event::Resolved { .. } => Self::ViolationResolved,
        }
    }
}
