//! The walk along a stay: cut wherever a price may change, each piece charged where it lies.
//!
//! Cuts are the changes of bands, periods and the zone's offset, and the marks of the plan. Invariants: every
//! piece is charged once; the work is bounded by the days of the stay times the tariff's bands, never by
//! its minutes; sums are exact fractions, so that no cut is seen in the price.

use smallvec::SmallVec;

use super::band::{Clock, Effect};
use super::fee::Unpriceable;
use super::period::{Anchor, Tracker};
use super::rate::{Charge, FRACTIONS, Rate, Reach};
use super::zone::{Regime, Zone};
use super::{Cap, Tariff};
use crate::money::{Amount, PerMille};
use crate::time::Seconds;

/// What one minor unit is in the sums: fractions of rates, times two multipliers in thousandths.
pub(super) const SCALE: i128 = FRACTIONS * 1_000 * 1_000;

/// What is to be walked, in seconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Where billing begins.
    pub(super) from: i64,
    /// Where the booked part, or the whole stay, ends.
    pub(super) to: i64,
    /// Where the time past the booked end ends; `to` where there is none.
    pub(super) over_to: i64,
    /// Until where a pass pays; `from` where none does.
    pub(super) covered_to: i64,
    pub(super) multiplier: PerMille,
}

/// What the walk has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Charges until `to`, before demand and caps.
    pub(super) groups: SmallVec<[Group; 4]>,
    /// What demand adds to them.
    pub(super) demand: i128,
    /// What each cap takes off, in the tariff's order.
    pub(super) caps: SmallVec<[i128; 4]>,
    /// What of the rest falls before `covered_to`.
    pub(super) covered: i128,
    /// What falls after `to`, with demand and caps.
    pub(super) over: i128,
}

/// Charges that make one line: of one rate and one step of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    /// The band of the rate; `None`: the tariff's own.
    pub(super) band: Option<usize>,
    /// The band that multiplied it.
    pub(super) multiplied_by: Option<usize>,
    pub(super) step: u16,
    pub(super) sum: i128,
    pub(super) seconds: u32,
    pub(super) units: u32,
    pub(super) rate: Amount,
    pub(super) per: Seconds,
    pub(super) from: i64,
    pub(super) to: i64,
}

struct CapState {
    tracker: Tracker,
    most: i128,
    left: i128,
}

struct Walker<'a> {
    tariff: &'a Tariff,
    zone: &'a Zone,
    plan: Plan,
    /// Nothing asks for local time: the zone need not be looked at.
    local_matters: bool,
    regime: Regime,
    /// The band whose rate was charged last, and since when.
    band: Option<usize>,
    since: i64,
    /// Of the tariff's rate, then of each band's.
    periods: SmallVec<[Option<Tracker>; 4]>,
    caps: SmallVec<[CapState; 4]>,
    found: Found,
}

/// What holds at an instant.
struct Held<'a> {
    rate: &'a Rate,
    clock: Clock,
    band: Option<usize>,
    multiplied_by: Option<usize>,
    multiplier: PerMille,
    /// The first instant at which that may change.
    until: i64,
}

/// Walks along the plan.
pub(super) fn walk(tariff: &Tariff, zone: &Zone, plan: Plan) -> Result<Found, Unpriceable> {
    let mut walker = Walker::new(tariff, zone, plan);
    let mut at = plan.from;
    while at < plan.over_to {
        at = walker.piece(at)?;
    }
    Ok(walker.found)
}

impl<'a> Walker<'a> {
    fn new(tariff: &'a Tariff, zone: &'a Zone, plan: Plan) -> Self {
        let follow = |rate: &Rate| rate.period().map(|period| Tracker::new(period, plan.from));
        let rates = tariff.bands.iter().map(|band| match &band.effect {
            Effect::Replace { rate, .. } => follow(rate),
            Effect::Multiply(_) => None,
        });
        let periods: SmallVec<_> = core::iter::once(follow(&tariff.rate)).chain(rates).collect();
        let cap = |cap: &Cap| CapState {
            tracker: Tracker::new(cap.period, plan.from),
            most: i128::from(cap.amount.0) * SCALE,
            left: 0,
        };
        let calendar = |tracker: &Tracker| tracker.period().anchor == Anchor::Calendar;
        let caps: SmallVec<[CapState; 4]> = tariff.caps.iter().map(cap).collect();
        let local_matters = !tariff.bands.is_empty()
            || periods.iter().flatten().any(calendar)
            || caps.iter().any(|cap| calendar(&cap.tracker));
        let found = Found { caps: caps.iter().map(|_| 0).collect(), ..Found::default() };
        // Ends before the stay: the first piece asks the zone, where local time matters.
        let until = if local_matters { i64::MIN } else { i64::MAX };
        Self {
            tariff,
            zone,
            plan,
            local_matters,
            regime: Regime { offset_seconds: 0, until },
            band: None,
            since: plan.from,
            periods,
            caps,
            found,
        }
    }

    /// Charges the piece that begins at `at` and gives its end.
    fn piece(&mut self, at: i64) -> Result<i64, Unpriceable> {
        if self.local_matters && at >= self.regime.until {
            self.regime = self.zone.regime(at).ok_or(Unpriceable::OutsideCalendar)?;
        }
        let held = self.held(at);
        let marks = [self.plan.to, self.plan.covered_to, self.regime.until];
        let marked = marks.into_iter().filter(|mark| *mark > at).min().unwrap_or(i64::MAX);
        let mut to = self.plan.over_to.min(held.until).min(marked);
        let begins_period = self.begin(at, &held, &mut to)?;
        for cap in &mut self.caps {
            let (begins, next) = advance(&mut cap.tracker, at, self.regime, self.zone)?;
            if begins {
                cap.left = cap.most;
            }
            to = to.min(next);
        }
        let start = match held.clock {
            Clock::Stay => self.plan.from,
            Clock::Band => self.since,
        };
        let reach = Reach { from: elapsed(at, start), to: elapsed(to, start), begins_period };
        self.charge(at, to, reach, &held);
        Ok(to)
    }

    /// Which rate and multiplier hold at an instant.
    fn held(&self, at: i64) -> Held<'a> {
        let tariff = self.tariff;
        let mut held = Held {
            rate: &tariff.rate,
            clock: Clock::Stay,
            band: None,
            multiplied_by: None,
            multiplier: PerMille::ONE,
            until: i64::MAX,
        };
        let local = at.saturating_add(self.regime.offset_seconds);
        for (position, band) in tariff.bands.iter().enumerate() {
            held.until = held.until.min(band.when.changes_after(at, local));
            if !band.when.holds(at, local) {
                continue;
            }
            match &band.effect {
                Effect::Replace { rate, clock } if held.band.is_none() => {
                    (held.band, held.rate, held.clock) = (Some(position), rate, *clock);
                }
                Effect::Multiply(multiplier) if held.multiplied_by.is_none() => {
                    (held.multiplied_by, held.multiplier) = (Some(position), *multiplier);
                }
                Effect::Replace { .. } | Effect::Multiply(_) => {}
            }
        }
        held
    }

    /// Notes which rate holds now; whether its own period begins, and where that cuts.
    fn begin(&mut self, at: i64, held: &Held<'_>, to: &mut i64) -> Result<bool, Unpriceable> {
        let tracker = &mut self.periods[held.band.map_or(0, |position| position + 1)];
        if held.band != self.band {
            (self.band, self.since) = (held.band, at);
            if let (Clock::Band, Some(tracker)) = (held.clock, tracker.as_mut()) {
                *tracker = Tracker::new(tracker.period(), at);
            }
        }
        let Some(tracker) = tracker else { return Ok(false) };
        let (begins, next) = advance(tracker, at, self.regime, self.zone)?;
        *to = (*to).min(next);
        Ok(begins)
    }

    fn charge(&mut self, at: i64, to: i64, reach: Reach, held: &Held<'_>) {
        let mut fractions = 0;
        let booked = at < self.plan.to;
        let groups = &mut self.found.groups;
        held.rate.charge(reach, &mut |charge| {
            fractions += charge.fractions;
            if booked {
                note(groups, charge, held, at, to);
            }
        });
        let gross = fractions * i128::from(held.multiplier.0) * 1_000;
        let wanted = fractions * i128::from(held.multiplier.0) * i128::from(self.plan.multiplier.0);
        // The tightest cap is the one that is seen in the fee.
        let tightest = (0..self.caps.len()).min_by_key(|position| self.caps[*position].left);
        let left = tightest.map_or(wanted, |position| self.caps[position].left.min(wanted));
        for cap in &mut self.caps {
            cap.left -= left;
        }
        if !booked {
            self.found.over += left;
            return;
        }
        self.found.demand += wanted - gross;
        if let Some(position) = tightest {
            self.found.caps[position] += wanted - left;
        }
        if at < self.plan.covered_to {
            self.found.covered += left;
        }
    }
}

/// Adds a charge to the line it belongs to.
fn note(groups: &mut SmallVec<[Group; 4]>, charge: Charge, held: &Held<'_>, at: i64, to: i64) {
    let sum = charge.fractions * i128::from(held.multiplier.0) * 1_000;
    let same = |group: &&mut Group| {
        (group.band, group.multiplied_by, group.step)
            == (held.band, held.multiplied_by, charge.step)
    };
    if let Some(group) = groups.iter_mut().find(same) {
        group.sum += sum;
        group.seconds += charge.seconds;
        group.units += charge.units;
        group.to = to;
        return;
    }
    groups.push(Group {
        band: held.band,
        multiplied_by: held.multiplied_by,
        step: charge.step,
        sum,
        seconds: charge.seconds,
        units: charge.units,
        rate: charge.rate,
        per: charge.per,
        from: at,
        to,
    });
}

fn advance(
    tracker: &mut Tracker,
    at: i64,
    regime: Regime,
    zone: &Zone,
) -> Result<(bool, i64), Unpriceable> {
    tracker.advance(at, regime, zone).ok_or(Unpriceable::OutsideCalendar)
}

/// Seconds on a clock. The longest stay that is priced fits.
fn elapsed(at: i64, start: i64) -> u32 {
    u32::try_from(at - start).unwrap_or(u32::MAX)
}
