//! What a history is made of: who asked for what, when, and what was answered.
//!
//! Reservations are numbered and windows are positions on a grid, so that a history reads well and a model is small;
//! `script` translates both to the interface and back. Instants are microseconds of the client's one clock.

use serde::Serialize;

/// Who asks: what one may see and move follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Asker {
    /// An operator of the lot's tenant: sees and moves everything, and holds what it reserves.
    Staff,
    /// One of several people: sees and moves what is his own.
    Driver(u8),
    /// An operator of another tenant, for whom there is no such lot.
    Stranger,
}

impl Asker {
    /// Whether one may see and move what `holder` holds.
    pub fn may_touch(self, holder: Self) -> bool {
        match self {
            Self::Staff => true,
            Self::Driver(_) => self == holder,
            Self::Stranger => false,
        }
    }
}

/// A window on the grid: from the first position to before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Window {
    pub from: u8,
    pub to: u8,
}

impl Window {
    /// Whether both have an instant in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// `POST /reservations` under a client-made id; `slot` none means any that fits. The same again is a retry.
    Reserve { id: u32, slot: Option<u8>, window: Window, hold_seconds: Option<u32> },
    /// `POST .../confirm`.
    Confirm { id: u32 },
    /// `POST .../cancel`.
    Cancel { id: u32 },
    /// `PATCH`, with `If-Match` where a version is given.
    Modify { id: u32, window: Window, if_version: Option<u32> },
    /// `GET` of one reservation.
    Show { id: u32 },
    /// `GET .../availability` for a window.
    Open { window: Window },
    /// `GET .../availability` of now, of which only the sequence says something about promises of later days.
    Seq,
    /// `GET /reservations` of the lot.
    List,
    /// Not a client's: the end of a hold, which the server brings about by itself.
    Expire { id: u32 },
}

/// Where a reservation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stand {
    Held,
    Confirmed,
    Cancelled,
    Expired,
    /// A state that no reservation of a test can have; it fits no model.
    Strange,
}

impl Stand {
    /// Whether it keeps its window from others.
    pub fn is_active(self) -> bool {
        match self {
            Self::Held | Self::Confirmed => true,
            Self::Cancelled | Self::Expired | Self::Strange => false,
        }
    }
}

/// A reservation as an answer shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    pub id: u32,
    pub slot: u8,
    pub window: Window,
    pub stand: Stand,
    pub version: u32,
    /// End of a hold; never changes.
    pub expires_us: Option<u64>,
}

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    SlotTaken,
    NoSlotFree,
    ReservationEnded,
    HoldExpired,
    ReservationNotFound,
    VersionMismatch,
    /// Somebody else's reservation has this id.
    IdTaken,
    /// There is none for who asks.
    LotNotFound,
    /// Another one of the same key is under way.
    RequestInProgress,
}

/// What was answered. `seq` is the lot's sequence; without one it is not judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Reservation { shown: Shown, seq: Option<u32> },
    Refused(Refusal),
    Open { slots: Vec<u8>, seq: Option<u32> },
    List { items: Vec<Shown>, seq: Option<u32> },
    Seq { seq: Option<u32> },
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Answered(Answer),
    /// Nobody knows: it may have taken effect before `until_us`, at any time where there is none, or never will.
    Unknown {
        until_us: Option<u64>,
    },
}

/// One operation of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operation {
    pub client: u32,
    pub by: Asker,
    pub call: Call,
    pub outcome: Outcome,
    pub called_us: u64,
    /// When the answer was there, or the client knew that none comes.
    pub returned_us: u64,
}

impl Operation {
    /// The last instant at which it can take effect.
    pub fn until_us(&self) -> u64 {
        match self.outcome {
            Outcome::Answered(_) => self.returned_us,
            Outcome::Unknown { until_us } => until_us.unwrap_or(u64::MAX),
        }
    }

    /// Whether an order must have it.
    pub fn is_definite(&self) -> bool {
        matches!(self.outcome, Outcome::Answered(_))
    }

    /// Where other things happen in the lot as well, its sequence says nothing about this history alone.
    pub fn forget_seq(&mut self) {
        let Outcome::Answered(answer) = &mut self.outcome else { return };
        match answer {
            Answer::Reservation { seq, .. }
            | Answer::Open { seq, .. }
            | Answer::List { seq, .. }
            | Answer::Seq { seq } => *seq = None,
            Answer::Refused(_) => {}
        }
    }

    /// The reservation it is about.
    pub fn id(&self) -> Option<u32> {
        match self.call {
            Call::Reserve { id, .. }
            | Call::Confirm { id }
            | Call::Cancel { id }
            | Call::Modify { id, .. }
            | Call::Show { id }
            | Call::Expire { id } => Some(id),
            Call::Open { .. } | Call::Seq | Call::List => None,
        }
    }
}
