//! One reservation: its window, its state, and the one moment at which it next changes by itself.

use std::sync::Arc;

use super::pricing::Price;
use crate::ids::{Pseudonym, ReservationId, SeriesId, SlotIndex};
use crate::spec::Rules;
use crate::time::{Timestamp, Window};

/// How an arrival is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// A sensor sees a vehicle on the slot.
    Seen,
    /// The slot has no live sensor: nobody can know, so the driver is believed.
    Assumed,
    /// A gate or camera read a credential.
    Scanned,
    /// Staff saw him.
    Staff,
    /// The driver said so himself.
    Driver,
}

/// Of what a holder is reminded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reminder {
    /// His time begins soon.
    Start,
    /// His time ends soon.
    End,
}

/// Where a reservation is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for confirmation until `expires_at`.
    Held {
        /// The first instant at which it is gone.
        expires_at: Timestamp,
    },
    /// Promised.
    Confirmed,
    /// The vehicle is there.
    CheckedIn {
        /// How that is known.
        proof: Proof,
    },
    /// The window ended after an arrival.
    Completed,
    /// Given up by holder or staff.
    Cancelled,
    /// Not confirmed in time.
    Expired,
    /// Nobody came; the slot was released.
    NoShow,
}

impl State {
    /// Whether it still claims its slot.
    #[must_use]
    pub fn is_active(self) -> bool {
        match self {
            Self::Held { .. } | Self::Confirmed | Self::CheckedIn { .. } => true,
            Self::Completed | Self::Cancelled | Self::Expired | Self::NoShow => false,
        }
    }
}

/// A promise of one slot for one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Public id.
    pub id: ReservationId,
    /// The slot promised.
    pub slot: SlotIndex,
    /// The window promised.
    pub window: Window,
    /// Where it is in its life.
    pub state: State,
    /// Who holds it.
    pub holder: Pseudonym,
    /// The vehicle, when told.
    pub vehicle: Option<Pseudonym>,
    /// What it costs, and in which terms.
    pub price: Option<Arc<Price>>,
    /// The recurring request it is an occurrence of.
    pub series: Option<SeriesId>,
    /// Of what its holder was reminded last.
    pub reminded: Option<Reminder>,
    /// A reason code given with the cancellation.
    pub reason: Option<Box<str>>,
    /// Whether the slot shows as held for it.
    pub shown: bool,
    /// Record time of its first event.
    pub created_at: Timestamp,
    /// Record time of its last event.
    pub updated_at: Timestamp,
    /// Events applied to it.
    pub version: u32,
}

/// What a reservation does by itself when its time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// The hold runs out; first, so that at one instant a hold is gone before anything else is looked at.
    Expiry,
    /// Its slot begins to show as held.
    HoldBegins,
    /// Its holder is reminded.
    Remind(Reminder),
    /// Did somebody come?
    Arrival,
    /// The window ends.
    End,
}

impl Reservation {
    /// The next thing that is due and when; nothing once it ended.
    #[must_use]
    pub fn next_due(&self, rules: &Rules) -> Option<(Timestamp, Due)> {
        let end = (self.window.to, Due::End);
        let by_state = match self.state {
            State::Held { expires_at } => end.min((expires_at, Due::Expiry)),
            State::Confirmed => end.min((self.window.from.plus(rules.no_show), Due::Arrival)),
            State::CheckedIn { .. } => end,
            State::Completed | State::Cancelled | State::Expired | State::NoShow => return None,
        };
        let begins = (self.window.from.minus(rules.hold_lead), Due::HoldBegins);
        let by_state = if self.shown { by_state } else { by_state.min(begins) };
        Some(self.reminder(rules).map_or(by_state, |reminder| by_state.min(reminder)))
    }

    /// The next reminder: of the start while nobody came, of the end while somebody is there.
    fn reminder(&self, rules: &Rules) -> Option<(Timestamp, Due)> {
        let (of, lead, instant) = match self.state {
            State::Confirmed if self.reminded.is_none() => {
                (Reminder::Start, rules.remind_before_start, self.window.from)
            }
            State::CheckedIn { .. } if self.reminded != Some(Reminder::End) => {
                (Reminder::End, rules.remind_before_end, self.window.to)
            }
            State::Confirmed
            | State::CheckedIn { .. }
            | State::Held { .. }
            | State::Completed
            | State::Cancelled
            | State::Expired
            | State::NoShow => return None,
        };
        (lead.0 > 0).then_some((instant.minus(lead), Due::Remind(of)))
    }

    /// Of what nobody need be reminded any more when a promise of `window` is made: of moments that lie
    /// behind.
    #[must_use]
    pub(super) fn reminded_at(window: Window, rules: &Rules, at: Timestamp) -> Option<Reminder> {
        if window.to.minus(rules.remind_before_end) <= at {
            return Some(Reminder::End);
        }
        (window.from.minus(rules.remind_before_start) <= at).then_some(Reminder::Start)
    }
}
