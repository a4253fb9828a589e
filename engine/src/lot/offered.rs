//! Whether a lot takes a window at all, before any slot is looked at: its owner's list and its opening hours.
//!
//! Asked when a promise is decided, by a gate about whoever was promised nothing, and by readers that want to say
//! the same beforehand. Applying an event never asks: what was promised stays promised, whatever becomes of list
//! and hours.

use super::{Register, Rejection};
use crate::spec::Listing;
use crate::time::{Timestamp, Window};

impl Register {
    /// Whether a new promise for a window may be made here, as far as the lot itself is asked.
    ///
    /// # Errors
    /// The lot is paused, or closed when the window begins or ends.
    pub fn check_offered(&self, window: Window) -> Result<(), Rejection> {
        self.check_listed()?;
        self.check_hours(window)
    }

    /// The same of a promise that is there already: only for time it does not have yet, and for a begin or end
    /// that it moves.
    ///
    /// # Errors
    /// As for a new one.
    pub fn check_changed(&self, old: Window, window: Window) -> Result<(), Rejection> {
        if window.from < old.from || window.to > old.to {
            self.check_listed()?;
        }
        if window.from != old.from {
            self.check_begin(window.from)?;
        }
        if window.to != old.to {
            self.check_end(window.to)?;
        }
        Ok(())
    }

    pub(super) fn check_listed(&self) -> Result<(), Rejection> {
        match self.spec.about.listing {
            Listing::Listed => Ok(()),
            Listing::Paused => Err(Rejection::LotPaused),
        }
    }

    pub(super) fn check_hours(&self, window: Window) -> Result<(), Rejection> {
        self.check_begin(window.from)?;
        self.check_end(window.to)
    }

    fn check_begin(&self, from: Timestamp) -> Result<(), Rejection> {
        match self.spec.about.hours.is_open_at(&self.zone, from) {
            true => Ok(()),
            false => Err(self.closed(from)),
        }
    }

    /// A window may end at the instant at which the lot closes, and at the one at which it opens.
    fn check_end(&self, to: Timestamp) -> Result<(), Rejection> {
        let hours = &self.spec.about.hours;
        let just_before = Timestamp::from_micros(to.micros().saturating_sub(1));
        let is_open = hours.is_open_at(&self.zone, to) || hours.is_open_at(&self.zone, just_before);
        if is_open { Ok(()) } else { Err(self.closed(to)) }
    }

    fn closed(&self, at: Timestamp) -> Rejection {
        Rejection::LotClosed { at, opens: self.opens_from(at) }
    }

    /// Whether a gate may let in somebody who was promised nothing.
    pub(super) fn is_open_at(&self, at: Timestamp) -> bool {
        self.spec.about.hours.is_open_at(&self.zone, at)
    }

    /// The first instant from this one on at which it is open; nothing when it never is.
    pub(super) fn opens_from(&self, at: Timestamp) -> Option<Timestamp> {
        self.spec.about.hours.open_from(&self.zone, at)
    }
}
