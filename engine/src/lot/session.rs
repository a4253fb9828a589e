//! A stay: one vehicle from its entry to its exit.
//!
//! Invariants: a vehicle is inside a lot at most once; one slot has at most one stay bound to it; a stay that
//! ended has exactly one fee where the lot has a tariff. Absent: what decides about them (`decide/scan.rs`,
//! `decide/stay.rs`) and where they are kept (`stays.rs`).

use std::sync::Arc;

use super::timeline::Owner;
use crate::ids::{PassId, Pseudonym, Reference, ReservationId, SessionId, SlotIndex};
use crate::lot::pricing::Terms;
use crate::money::Amount;
use crate::spec::Rules;
use crate::tariff::Fee;
use crate::time::{Timestamp, Window};

/// By what right somebody is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Reserved before.
    Reservation(ReservationId),
    /// Has a pass.
    Pass(PassId),
    /// Took a ticket.
    DriveIn,
    /// Let in by staff.
    Manual,
}

/// Where a stay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The vehicle is there.
    Inside,
    /// It is there longer than it may be.
    Overstaying,
    /// It drove out.
    Left,
    /// Nobody saw it leave: closed by the lot's rule, or by staff who know no better.
    Abandoned,
}

impl State {
    /// Whether the vehicle is taken to be inside.
    #[must_use]
    pub fn is_inside(self) -> bool {
        match self {
            Self::Inside | Self::Overstaying => true,
            Self::Left | Self::Abandoned => false,
        }
    }
}

/// A stay that is paid up to an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What it cost up to then.
    pub fee: Arc<Fee>,
    /// Until when one may drive out for it.
    pub leave_by: Timestamp,
}

/// One stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Public id.
    pub id: SessionId,
    /// By what right.
    pub origin: Origin,
    /// Where it is.
    pub state: State,
    /// The vehicle, when it was read or told.
    pub vehicle: Option<Pseudonym>,
    /// The person it belongs to, when known.
    pub holder: Option<Pseudonym>,
    /// The slot it is bound to; nothing where it may stand anywhere.
    pub slot: Option<SlotIndex>,
    /// What it has of that slot's timeline beyond its reservation.
    pub claim: Option<Window>,
    /// What was booked.
    pub booked: Option<Window>,
    /// When it came in.
    pub entered_at: Timestamp,
    /// Through which gate; nothing where there is none.
    pub entry_gate: Option<Box<str>>,
    /// When it left or was closed.
    pub left_at: Option<Timestamp>,
    /// Through which gate.
    pub exit_gate: Option<Box<str>>,
    /// How it is billed.
    pub terms: Arc<Terms>,
    /// The ticket is lost: the tariff's fee for that is added.
    pub ticket_lost: bool,
    /// Paid before leaving.
    pub settled: Option<Settled>,
    /// What it cost, once it ended.
    pub fee: Option<Arc<Fee>>,
    /// Record time of its last event.
    pub updated_at: Timestamp,
    /// Events applied to it.
    pub version: u32,
}

/// What a stay does by itself when its time comes; the order counts at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// What it has of its slot runs out.
    Claim,
    /// It should be gone.
    Overstay,
    /// Nobody believes any more that it is there.
    Abandon,
}

impl Event {
    /// What the gate answered where a scan came to this.
    #[must_use]
    pub fn answer(&self) -> Option<Scanned> {
        let open = |reason, session, reservation| Scanned {
            verdict: Verdict::Open(reason),
            session: Some(session),
            reservation,
            due: None,
            not_before: None,
        };
        match self {
            Self::Entered(entered) => {
                let (reason, reservation) = match entered.origin {
                    Origin::Reservation(id) => (OpenReason::Reserved, Some(id)),
                    Origin::Pass(_) => (OpenReason::Pass, None),
                    Origin::DriveIn | Origin::Manual => (OpenReason::DriveIn, None),
                };
                Some(open(reason, entered.id, reservation))
            }
            Self::Left(left) => left.reason.map(|reason| open(reason, left.id, None)),
            Self::Denied(denied) => Some(Scanned {
                verdict: Verdict::Deny(denied.reason),
                session: denied.session,
                reservation: denied.reservation,
                due: denied.due,
                not_before: denied.not_before,
            }),
            Self::Placed { .. }
            | Self::Overstayed { .. }
            | Self::Identified { .. }
            | Self::TicketLost { .. }
            | Self::Requested { .. }
            | Self::Settled { .. }
            | Self::Abandoned { .. } => None,
        }
    }

    /// Which stay it moves; nothing for one that only tells of a gate.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Self::Entered(entered) => Some(entered.id),
            Self::Left(left) => Some(left.id),
            Self::Placed { id, .. }
            | Self::Overstayed { id }
            | Self::Identified { id, .. }
            | Self::TicketLost { id }
            | Self::Requested { id, .. }
            | Self::Settled { id, .. }
            | Self::Abandoned { id, .. } => Some(*id),
            Self::Denied(_) => None,
        }
    }
}

impl Session {
    /// What is read out and typed.
    #[must_use]
    pub fn reference(&self) -> Reference {
        Reference::of(self.id.0)
    }

    /// When it is expected to leave: at the end of what was booked, or as long as one may stay.
    #[must_use]
    pub fn expected_exit(&self, rules: &Rules) -> Option<Timestamp> {
        let longest = rules.stay_max.map(|longest| self.entered_at.plus(longest));
        self.booked.map(|booked| booked.to).or(longest)
    }

    /// The next thing that is due and when; nothing once it ended.
    #[must_use]
    pub fn next_due(&self, rules: &Rules) -> Option<(Timestamp, Due)> {
        if !self.state.is_inside() {
            return None;
        }
        let expected = self.expected_exit(rules);
        let claim = self.claim.map(|claim| (claim.to, Due::Claim));
        let overstay = expected
            .filter(|_| self.state == State::Inside)
            .map(|expected| (expected.plus(rules.overstay_grace), Due::Overstay));
        let abandon = expected.unwrap_or(self.entered_at).plus(rules.auto_exit);
        [claim, overstay, Some((abandon, Due::Abandon))].into_iter().flatten().min()
    }

    /// Its claim as a stretch of a timeline.
    #[must_use]
    pub fn span(&self) -> Option<(SlotIndex, Window)> {
        Some((self.slot?, self.claim?)).filter(|_| self.state.is_inside())
    }

    /// The reservation it came of.
    #[must_use]
    pub fn reservation(&self) -> Option<ReservationId> {
        match self.origin {
            Origin::Reservation(id) => Some(id),
            Origin::Pass(_) | Origin::DriveIn | Origin::Manual => None,
        }
    }

    /// On whose account it is billed: its reservation's, where it came of one.
    #[must_use]
    pub fn account(&self) -> Owner {
        self.reservation().map_or(Owner::Session(self.id), Owner::Reservation)
    }
}

/// What happened to a stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A vehicle came in.
    Entered(Box<Entered>),
    /// It is bound to another slot, to none, or has another stretch of it.
    Placed {
        /// Which.
        id: SessionId,
        /// The slot.
        slot: Option<SlotIndex>,
        /// What it has of it.
        claim: Option<Window>,
    },
    /// It is there longer than it may be.
    Overstayed {
        /// Which.
        id: SessionId,
    },
    /// The vehicle was misread, or is known only now.
    Identified {
        /// Which.
        id: SessionId,
        /// The right one.
        vehicle: Pseudonym,
    },
    /// Its ticket is lost.
    TicketLost {
        /// Which.
        id: SessionId,
    },
    /// Somebody asks for something in his own words, or for nothing any more.
    Requested {
        /// Which.
        id: SessionId,
        /// What.
        request: Option<Pseudonym>,
    },
    /// Paid up to now.
    Settled {
        /// Which.
        id: SessionId,
        /// What it cost up to now.
        fee: Box<Fee>,
        /// Until when one may drive out for it.
        leave_by: Timestamp,
    },
    /// It drove out.
    Left(Box<Left>),
    /// Nobody saw it leave.
    Abandoned {
        /// Which.
        id: SessionId,
        /// What it costs.
        fee: Option<Box<Fee>>,
    },
    /// Somebody was not let through.
    Denied(Box<Denied>),
}

/// A vehicle that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// Identity of the stay.
    pub id: SessionId,
    /// By what right.
    pub origin: Origin,
    /// The vehicle.
    pub vehicle: Option<Pseudonym>,
    /// The person.
    pub holder: Option<Pseudonym>,
    /// Where it is to stand.
    pub slot: Option<SlotIndex>,
    /// What it has of that slot beyond its reservation.
    pub claim: Option<Window>,
    /// What was booked.
    pub booked: Option<Window>,
    /// When it came in.
    pub at: Timestamp,
    /// Through which gate.
    pub gate: Option<Box<str>>,
    /// How it is billed.
    pub terms: Terms,
}

/// A vehicle that drove out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Which stay.
    pub id: SessionId,
    /// When.
    pub at: Timestamp,
    /// Through which gate.
    pub gate: Option<Box<str>>,
    /// What it costs.
    pub fee: Option<Box<Fee>>,
    /// Why a gate opened for it; nothing where staff say that it left.
    pub reason: Option<OpenReason>,
}

/// Somebody who was not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// At which gate.
    pub gate: Option<Box<str>>,
    /// Which way.
    pub direction: Direction,
    /// Why.
    pub reason: DenyReason,
    /// The vehicle, when it was read.
    pub vehicle: Option<Pseudonym>,
    /// The reservation that was shown.
    pub reservation: Option<ReservationId>,
    /// The stay it is about.
    pub session: Option<SessionId>,
    /// What is to be paid before the gate opens.
    pub due: Option<Amount>,
    /// When it would be let through, where that is only a matter of time.
    pub not_before: Option<Timestamp>,
}

/// Which way through a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// In.
    Entry,
    /// Out.
    Exit,
}

/// Why a gate stays closed. Each has its own code outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenyReason {
    /// Nothing is known under what was shown.
    CredentialUnknown,
    /// The token is not ours, or was changed.
    TokenInvalid,
    /// The token has run out.
    TokenExpired,
    /// It is for another lot.
    WrongLot,
    /// Before the time.
    TooEarly,
    /// After the time.
    TooLate,
    /// A hold that was not confirmed.
    NotConfirmed,
    /// The hold ran out.
    HoldExpired,
    /// Given up.
    Cancelled,
    /// Came in with it already and is inside.
    AlreadyInside,
    /// Came in with it, and left.
    AlreadyUsed,
    /// The vehicle is inside by another right.
    PlateInside,
    /// The vehicle is in another lot of the tenant, which allows that nowhere.
    PlateElsewhere,
    /// The plate was read too badly.
    ConfidenceTooLow,
    /// Neither reserved nor a pass, and the lot takes nobody else.
    NotEntitled,
    /// The pass has run out, or is paused.
    PassNotValid,
    /// No room.
    LotFull,
    /// Not open now.
    LotClosed,
    /// Something is to be paid first.
    PaymentRequired,
    /// Nobody inside goes by this.
    NotInside,
    /// Left already.
    AlreadyLeft,
}

/// Why a gate opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenReason {
    /// Reserved.
    Reserved,
    /// A pass.
    Pass,
    /// A drive-in: a ticket is given.
    DriveIn,
    /// The same vehicle again, still in front of the gate.
    Repeated,
    /// Nothing is owed.
    Paid,
    /// Owed, and guaranteed.
    OnAccount,
}

/// What a gate does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It opens.
    Open(OpenReason),
    /// It stays closed.
    Deny(DenyReason),
}

/// The answer to a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// What the gate does.
    pub verdict: Verdict,
    /// The stay it is about.
    pub session: Option<SessionId>,
    /// The reservation it is about.
    pub reservation: Option<ReservationId>,
    /// What is to be paid before the gate opens.
    pub due: Option<Amount>,
    /// When it would be let through, where that is only a matter of time.
    pub not_before: Option<Timestamp>,
}
