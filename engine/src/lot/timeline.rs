//! The promises on one slot, in order of time, without overlap (invariant I3).
//!
//! Shared by reference count: a lot that is copied for a reader copies its timelines by chunks of slots,
//! and most of those slots did not change.

use std::sync::Arc;

use crate::ids::ReservationId;
use crate::time::{Timestamp, Window};

/// One promised stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When.
    pub window: Window,
    /// For which reservation.
    pub reservation: ReservationId,
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
    pub fn clash(&self, window: Window, except: Option<ReservationId>) -> Option<Span> {
        let first = self.spans.partition_point(|span| span.window.to <= window.from);
        self.spans[first..]
            .iter()
            .take_while(|span| span.window.from < window.to)
            .find(|span| Some(span.reservation) != except)
            .copied()
    }

    /// The promises in order of time, however they come.
    pub(super) fn of(mut spans: Vec<Span>) -> Self {
        spans.sort_by_key(|span| span.window.from);
        Self { spans: Arc::new(spans) }
    }

    /// The gap that holds the instants around `window`, which must be free but for the promise `except`.
    pub(super) fn gap_around(&self, window: Window, except: ReservationId) -> Window {
        let next = self.spans.partition_point(|span| span.window.from < window.to);
        let (before, after) = self.spans.split_at(next);
        let other = |span: &&Span| span.reservation != except;
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

    pub(super) fn remove(&mut self, reservation: ReservationId) {
        Arc::make_mut(&mut self.spans).retain(|span| span.reservation != reservation);
    }
}
