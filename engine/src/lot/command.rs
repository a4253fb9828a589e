//! What can be asked of a lot, and what it may answer.

use super::openings::Needs;
use super::reservation::State;
use super::tally::{Condition, Count};
use crate::ids::{Pseudonym, ReservationId, SlotIndex, ZoneIndex};
use crate::spec::{Place, Rules, Size};
use crate::time::{Seconds, Timestamp, Window};

/// Which slot a reservation wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This one.
    Slot(SlotIndex),
    /// Any that fits.
    Any(Needs),
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A driver: sees and moves his own reservations only.
    Holder(Pseudonym),
    /// Staff of the tenant.
    Staff,
}

impl Caller {
    /// Whether the caller may see and move what `holder` holds.
    #[must_use]
    pub fn may_touch(self, holder: Pseudonym) -> bool {
        match self {
            Self::Staff => true,
            Self::Holder(caller) => caller == holder,
        }
    }
}

/// Whether a slot can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Service {
    /// It can.
    #[default]
    InService,
    /// It cannot.
    OutOfService {
        /// For people: cleaning, construction, ...
        reason: Box<str>,
        /// It returns by itself at this time.
        until: Option<Timestamp>,
    },
}

/// A request for a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Identity of the reservation to be.
    pub id: ReservationId,
    /// Which slot.
    pub choice: Choice,
    /// When.
    pub window: Window,
    /// How long it is held for confirmation; confirmed at once without.
    pub hold: Option<Seconds>,
    /// Who will hold it.
    pub holder: Pseudonym,
    /// For which vehicle.
    pub vehicle: Option<Pseudonym>,
}

/// New values of a slot; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotPatch {
    /// Service state.
    pub service: Option<Service>,
    /// `Some(None)` takes it out of its zone.
    pub zone: Option<Option<ZoneIndex>>,
    /// Size.
    pub size: Option<Size>,
    /// All features by name.
    pub features: Option<Vec<Box<str>>>,
}

/// New values of a lot; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LotPatch {
    /// For people.
    pub name: Option<Box<str>>,
    /// Counted lots only.
    pub capacity: Option<u32>,
    /// Time zone, currency, city, position as a whole.
    pub place: Option<Place>,
    /// Rules as a whole.
    pub rules: Option<Rules>,
}

/// What can be asked of a lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Promise a slot.
    Reserve(Reserve),
    /// Make a hold firm.
    Confirm {
        /// Which.
        id: ReservationId,
        /// Who asks.
        by: Caller,
    },
    /// Move or resize the window on the same slot; the old one stays when this is refused.
    Modify {
        /// Which.
        id: ReservationId,
        /// New start, else the old one.
        from: Option<Timestamp>,
        /// New end, else the old one.
        to: Option<Timestamp>,
        /// The version the caller has seen.
        expected_version: Option<u32>,
        /// Who asks.
        by: Caller,
    },
    /// Give it up.
    Cancel {
        /// Which.
        id: ReservationId,
        /// A code, not free text: the log is kept and must not hold personal data.
        reason: Option<Box<str>>,
        /// Who asks.
        by: Caller,
    },
    /// Take a count.
    Count {
        /// What was counted.
        count: Count,
        /// When; the time of receipt when the counter has no clock.
        observed_at: Option<Timestamp>,
    },
    /// Change a slot.
    ChangeSlot {
        /// Which.
        slot: SlotIndex,
        /// New values.
        patch: SlotPatch,
        /// The version the caller has seen.
        expected_version: Option<u32>,
    },
    /// Change the lot.
    ChangeLot {
        /// New values.
        patch: LotPatch,
        /// The version the caller has seen.
        expected_version: Option<u32>,
    },
    /// Let happen what is due.
    Tick {
        /// When the engine began to listen: silence of the counter counts from then at the earliest.
        listening_since: Timestamp,
    },
}

/// What a granted command did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This reservation is as asked, whether by this command or before.
    Reservation(ReservationId),
    /// The slot is as asked.
    Slot(SlotIndex),
    /// The lot is as asked.
    Lot,
    /// The count was taken, or why it changed nothing.
    Count(CountOutcome),
    /// What was due has happened.
    Settled,
}

/// What a count did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountOutcome {
    /// It moved the tally.
    Accepted,
    /// It repeats the tally.
    Unchanged,
    /// The same count of the same moment was taken before.
    Duplicate,
    /// A newer absolute count was taken before.
    Late,
}

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

/// The count as it stands after a command, for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountState {
    /// Vehicles inside, raw.
    pub occupied: i64,
    /// Judged.
    pub condition: Condition,
    /// How far flows erred.
    pub drift: i64,
}
