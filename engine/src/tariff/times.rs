//! The times of a stay: what is billed, in whole seconds.
//!
//! Invariant: no length is negative, and none is longer than is priced; sums of them fit 64 bits.

use super::Tariff;
use super::fee::Unpriceable;
use super::rules::{GraceMode, OverstayRate};
use super::stay::{Covers, Stay};
use super::walk::Plan;
use crate::limits;
use crate::money::PerMille;
use crate::time::{Seconds, Timestamp, Window};

/// The times of a stay in whole seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    /// What is billed as time: the booked window, or the actual one.
    pub(super) from: i64,
    pub(super) to: i64,
    /// Past the booked end, once grace is over.
    pub(super) excess: i64,
    /// Lengths.
    pub(super) booked: i64,
    pub(super) stayed: i64,
}

impl Times {
    pub(super) fn of(tariff: &Tariff, stay: &Stay) -> Result<Self, Unpriceable> {
        let whole = |window: Window| (window.from.whole_seconds(), window.to.whole_seconds());
        let actual = stay.entered.zip(stay.left).map(|(from, to)| whole(Window { from, to }));
        let booked = stay.booked.map(whole);
        let (from, to) = booked.or(actual).ok_or(Unpriceable::NoTimes)?;
        let over = match (booked, stay.left.map(Timestamp::whole_seconds)) {
            (Some((_, end)), Some(left)) => left.saturating_sub(end).max(0),
            (Some(_) | None, _) => 0,
        };
        let length = |window: Option<(i64, i64)>| {
            window.map_or(0, |(from, to): (i64, i64)| to.saturating_sub(from))
        };
        let grace = i64::from(tariff.overstay.grace.0);
        let times = Self {
            from,
            to,
            excess: if over > grace { over } else { 0 },
            booked: length(booked),
            stayed: length(actual),
        };
        if times.booked < 0 || times.stayed < 0 {
            return Err(Unpriceable::Backwards);
        }
        let longest = to.saturating_sub(from).saturating_add(over).max(times.stayed);
        if longest > i64::from(limits::PRICED_SECONDS_MAX) {
            let max = limits::PRICED_SECONDS_MAX;
            return Err(Unpriceable::TooLong { seconds: longest, max });
        }
        Ok(times)
    }

    /// Whether the free minutes at the start are all there is.
    pub(super) fn is_free(self, tariff: &Tariff) -> bool {
        tariff.grace.is_some_and(|grace| self.to - self.from <= i64::from(grace.seconds.0))
    }

    /// What is to be walked: from grace, in whole increments.
    pub(super) fn plan(self, tariff: &Tariff, stay: &Stay, multiplier: PerMille) -> Plan {
        let skipped = match tariff.grace {
            Some(grace) if grace.mode == GraceMode::Subtracted => grace.seconds.0.into(),
            Some(_) | None => 0,
        };
        let from = (self.from + skipped).min(self.to);
        let billed = |to: i64| from + tariff.increment.billed(to - from);
        let to = billed(self.to);
        let over_to = match tariff.overstay.rate {
            OverstayRate::Continued => billed(self.to + self.excess),
            OverstayRate::PerHour(_) => to,
        };
        let covered_to = match stay.pass.as_ref().map(|pass| pass.covers) {
            Some(Covers::First(Seconds(first))) => from + i64::from(first),
            Some(Covers::Whole | Covers::Share(_)) | None => from,
        };
        Plan { from, to, over_to, covered_to, multiplier }
    }
}
