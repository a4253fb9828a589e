//! The promises on one slot, in order of time, without overlap (invariant I3).
//!
//! Shared by reference count: a lot that is copied for a reader copies its timelines by chunks of slots,
//! and most of those slots did not change.

use std::sync::Arc;

use crate::ids::{PassId, Pseudonym, ReservationId, SessionId};
use crate::time::{Timestamp, Window};

/// Who has a slot for a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Somebody who asked before.
    Reservation(ReservationId),
    /// Somebody who is there: a drive-in, one who came early, one who stays on.
    Session(SessionId),
    /// A vehicle that never came in: it owes penalties, and has no slot.
    Vehicle(Pseudonym),
    /// A pass: it owes its price, and has no slot.
    Pass(PassId),
}

impl From<ReservationId> for Owner {
    fn from(id: ReservationId) -> Self {
        Self::Reservation(id)
    }
}

/// One promised stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When.
    pub window: Window,
    /// Who has it.
    pub owner: Owner,
}

/// Sorted spans of one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    spans: Arc<Vec<Span>>,
}

impl Timeline {
    /// The promises in order.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The first promise that shares an instant with `window`, leaving out `except`.
    #[must_use]
    pub fn clash(&self, window: Window, except: Option<Owner>) -> Option<Span> {
        self.clash_with(window, |owner| Some(owner) != except)
    }

    /// The first stretch that shares an instant with `window` and whose owner counts.
    pub(super) fn clash_with(
        &self,
        window: Window,
        counts: impl Fn(Owner) -> bool,
    ) -> Option<Span> {
        let first = self.spans.partition_point(|span| span.window.to <= window.from);
        let spans = self.spans[first..].iter().take_while(|span| span.window.from < window.to);
        spans.copied().find(|span| counts(span.owner))
    }

    /// The promises in order of time, however they come.
    pub(super) fn of(mut spans: Vec<Span>) -> Self {
        spans.sort_by_key(|span| span.window.from);
        Self { spans: Arc::new(spans) }
    }

    /// The gap that holds the instants around `window`, which must be free but for what `except` has.
    pub(super) fn gap_around(&self, window: Window, except: Owner) -> Window {
        let next = self.spans.partition_point(|span| span.window.from < window.to);
        let (before, after) = self.spans.split_at(next);
        let other = |span: &&Span| span.owner != except;
        let before = before.iter().rev().find(other).map(|span| span.window.to);
        let after = after.iter().find(other).map(|span| span.window.from);
        Window { from: before.unwrap_or(Timestamp::MIN), to: after.unwrap_or(Timestamp::MAX) }
    }

    /// All gaps, the open ends included; empty ones left out.
    pub(super) fn gaps(&self) -> impl Iterator<Item = Window> {
        let starts = std::iter::once(Timestamp::MIN).chain(self.spans.iter().map(|s| s.window.to));
        let ends = self.spans.iter().map(|s| s.window.from).chain([Timestamp::MAX]);
        starts.zip(ends).map(|(from, to)| Window { from, to }).filter(|gap| gap.from < gap.to)
    }

    pub(super) fn insert(&mut self, span: Span) {
        let position = self.spans.partition_point(|other| other.window.from < span.window.from);
        Arc::make_mut(&mut self.spans).insert(position, span);
    }

    pub(super) fn remove(&mut self, owner: Owner) {
        Arc::make_mut(&mut self.spans).retain(|span| span.owner != owner);
    }
}
