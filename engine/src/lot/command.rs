//! What can be asked of a lot, and what it may answer.

use std::sync::Arc;

use super::needs::Needs;
use super::pass::{self, PassChange, PassTerms, Reach};
use super::payment::Method;
use super::report::{Report, ViolationChange};
use super::scan::Scan;
use super::session::Scanned;
use super::tally::{Condition, Count};
use super::timeline::Owner;
use super::waiting::WaiterTerms;
use super::{provider, shift};
use crate::ids::{
    PassId, PaymentId, Pseudonym, ReservationId, SeriesId, SessionId, ShiftId, SlotIndex, TariffId,
    ViolationId, WaitingId, ZoneIndex,
};
use crate::money::Amount;
use crate::spec::{About, Allocation, Place, Rules, Size};
use crate::tariff::{Assignment, Tariff};
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
    /// The tenant's name of the vehicle's type: the tariff may ask for it.
    pub vehicle_type: Option<Box<str>>,
    /// Codes of discounts.
    pub discounts: Box<[Box<str>]>,
    /// The recurring request it is an occurrence of.
    pub series: Option<SeriesId>,
    /// What the holder asks for in his own words.
    pub request: Option<Pseudonym>,
}

/// What staff change about a stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StayChange {
    /// It left, and nobody scanned it.
    Leave {
        /// When; now, where nobody knows.
        at: Option<Timestamp>,
    },
    /// The vehicle stands elsewhere.
    Place {
        /// Where; nothing where it may stand anywhere.
        slot: Option<SlotIndex>,
    },
    /// Its plate was misread, or is known only now.
    Identify {
        /// The right one.
        vehicle: Pseudonym,
    },
    /// Its ticket is lost.
    LoseTicket,
    /// Somebody asks for something in his own words, or for nothing any more.
    Request(Option<Pseudonym>),
}

/// A payment to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pay {
    /// Identity of the payment to be.
    pub id: PaymentId,
    /// For which reservation or stay.
    pub about: Owner,
    /// How.
    pub method: Method,
    /// How much; all that is owed without.
    pub amount: Option<Amount>,
    /// Only promised by a provider.
    pub is_promise: bool,
    /// The cashier's shift.
    pub shift: Option<Box<str>>,
    /// Who took it.
    pub cashier: Option<Pseudonym>,
    /// The terminal's or provider's number of it.
    pub reference: Option<Box<str>>,
}

/// A change of a lot's tariffs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TariffChange {
    /// A new version; its number is the lot's to give.
    Put(Arc<Tariff>),
    /// No version of it is in force from then on.
    End {
        /// Which.
        id: TariffId,
        /// From when.
        at: Timestamp,
    },
    /// Where a tariff applies.
    Assign(Assignment),
    /// It applies there no longer.
    Unassign(Assignment),
}

/// What became of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStep {
    /// What was promised came in.
    Capture,
    /// What was promised is let go.
    Void,
    /// The provider refused after all.
    Fail,
    /// Money goes back.
    Refund {
        /// How much; all that is left without.
        amount: Option<Amount>,
    },
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
    /// All types of vehicles it admits by name; none admits every one.
    pub vehicle_types: Option<Vec<Box<str>>>,
    /// On foot to the nearest entrance; `Some(None)` says that it is not known.
    pub walk_metres: Option<Option<u16>>,
}

/// New values of a lot; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LotPatch {
    /// For people.
    pub name: Option<Box<str>>,
    /// Counted lots only.
    pub capacity: Option<u32>,
    /// Time zone, currency, address, position as a whole.
    pub place: Option<Box<Place>>,
    /// Rules as a whole.
    pub rules: Option<Rules>,
    /// What people are told of it, as a whole.
    pub about: Option<Box<About>>,
    /// Which slot is chosen for whoever wants any.
    pub allocation: Option<Allocation>,
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
    /// Move or resize the window, or take another slot; the old promise stays when this is refused.
    Modify {
        /// Which.
        id: ReservationId,
        /// Another slot, else the same.
        choice: Option<Choice>,
        /// New start, else the old one.
        from: Option<Timestamp>,
        /// New end, else the old one.
        to: Option<Timestamp>,
        /// What the holder asks for from now on, or nothing any more; else as before.
        request: Option<Option<Pseudonym>>,
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
    /// Several promises at once, all or none.
    ReserveSeries(Vec<Reserve>),
    /// Wait for a window that is full.
    JoinWaiting {
        /// Identity of the place to be, and of the reservation it may become.
        id: WaitingId,
        /// What for.
        terms: Box<WaiterTerms>,
    },
    /// Wait no longer.
    LeaveWaiting {
        /// Which place.
        id: WaitingId,
        /// Who asks.
        by: Caller,
    },
    /// A credential at a gate.
    Scan(Box<Scan>),
    /// Change a stay.
    ChangeStay {
        /// Which.
        id: SessionId,
        /// How.
        change: StayChange,
        /// The version the caller has seen.
        expected_version: Option<u32>,
    },
    /// Record a payment.
    Pay(Box<Pay>),
    /// A payment goes a step further.
    StepPayment {
        /// Which.
        id: PaymentId,
        /// Where to.
        step: PaymentStep,
    },
    /// Something that a provider does with a payment.
    Provider(Box<provider::Command>),
    /// Something about a cashier's shift.
    Shift(Box<shift::Command>),
    /// Change the tariffs, in all of these ways or in none.
    ChangeTariffs(Vec<TariffChange>),
    /// Issue a pass.
    IssuePass {
        /// Identity of the pass to be.
        id: PassId,
        /// Where it is good.
        reach: Reach,
        /// What it is good for.
        terms: Box<PassTerms>,
    },
    /// Change a pass.
    ChangePass {
        /// Which.
        id: PassId,
        /// How.
        change: PassChange,
        /// The version the caller has seen.
        expected_version: Option<u32>,
    },
    /// A pass of another lot that was used here is where it was not before.
    FollowPass {
        /// Which.
        id: PassId,
        /// Where it is.
        state: pass::State,
        /// Since when.
        since: Timestamp,
    },
    /// Record a violation.
    Report(Box<Report>),
    /// Change a violation.
    ChangeViolation {
        /// Which.
        id: ViolationId,
        /// How.
        change: ViolationChange,
        /// The version the caller has seen.
        expected_version: Option<u32>,
        /// Who asks.
        by: Caller,
    },
    /// Look what stands on these slots, where the lot's rules ask for it.
    Look(Vec<SlotIndex>),
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
    /// All occurrences are as asked.
    Series(SeriesId),
    /// What the gate does.
    Scanned(Scanned),
    /// The stay is as asked.
    Session(SessionId),
    /// The payment is as asked.
    Payment(PaymentId),
    /// The shift is as asked.
    Shift(ShiftId),
    /// The pass is as asked.
    Pass(PassId),
    /// The place on the waiting list is as asked.
    Waiting(WaitingId),
    /// The violation is as asked.
    Violation(ViolationId),
    /// The tariffs are as asked.
    Tariffs,
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
