//! The lines of a fee while it is made: each step of the price adds its own.
//!
//! Invariants: what is taken off is never more than the price of time; no line is past the bound of a line.

use super::fee::{Line, LineKind, Unpriceable};
use super::rules::{Off, OverstayRate, Payer};
use super::stay::{Covers, Ending, Stay};
use super::times::Times;
use super::walk::{Found, SCALE, walk};
use super::{Band, Tariff, Unit};
use crate::limits;
use crate::money::{Amount, BasisPoints, PerMille, Rounding};
use crate::time::{Seconds, Timestamp, Window};

/// Seconds of the hour in which penalties and overstay rates are given.
const HOUR_SECONDS: u32 = 3_600;

/// The lines so far.
pub(super) struct Sheet {
    pub(super) lines: Vec<Line>,
    pub(super) mode: Rounding,
}

impl Sheet {
    /// Base, demand, caps, overstay and penalty, pass and discounts.
    pub(super) fn add_time(
        &mut self,
        tariff: &Tariff,
        stay: &Stay,
        times: &Times,
        multiplier: PerMille,
    ) -> Result<(), Unpriceable> {
        let plan = times.plan(tariff, stay, multiplier);
        let mut found = walk(tariff, &stay.zone, plan)?;
        if times.is_free(tariff) {
            found = Found { over: found.over, ..Found::default() };
        }
        let mut base = self.add_base(tariff, &found)?;
        let abandoned = stay.ending == Ending::Abandoned;
        let over = self.add_overstay(tariff, times, found.over, abandoned)?;
        if let Some(cap) = daily_cap(tariff).filter(|_| abandoned) {
            let time = base.saturating_add(over);
            self.push_unless_zero(LineKind::Cap, "abandoned", cap.min(time).saturating_sub(time))?;
            base = base.min(cap);
        }
        self.take_off(stay, base, &found)
    }

    /// Base, demand and caps. The running sum is rounded, so that it is rounded once.
    fn add_base(&mut self, tariff: &Tariff, found: &Found) -> Result<Amount, Unpriceable> {
        let (mut exact, mut rounded) = (0, Amount::ZERO);
        let mode = self.mode;
        let mut grow = |by: i128| {
            exact += by;
            let sum = amount(mode.divide(exact, SCALE))?;
            let grown = sum.saturating_sub(rounded);
            rounded = sum;
            Ok::<_, Unpriceable>(grown)
        };
        let mut groups: Vec<_> = found.groups.iter().collect();
        groups.sort_by_key(|group| (group.from, group.step));
        for group in groups {
            let timed = group.per.0 > 0;
            self.lines.push(Line {
                kind: LineKind::Base,
                code: base_code(tariff, group.band, group.multiplied_by),
                seconds: Seconds(group.seconds),
                quantity: group.units,
                rate: (timed || group.units > 0 && group.rate != Amount::ZERO)
                    .then_some(group.rate),
                rate_per: group.per,
                window: Some(window(group.from, group.to)),
                amount: grow(group.sum)?,
            });
        }
        self.push_unless_zero(LineKind::Demand, "demand", grow(found.demand)?)?;
        for (cap, off) in tariff.caps.iter().zip(&found.caps) {
            self.push_unless_zero(LineKind::Cap, cap_code(cap.period.unit), grow(-off)?)?;
        }
        Ok(rounded)
    }

    /// Excess times rate times multiplier, and the penalty; gives the first.
    fn add_overstay(
        &mut self,
        tariff: &Tariff,
        times: &Times,
        continued: i128,
        abandoned: bool,
    ) -> Result<Amount, Unpriceable> {
        let excess = seconds(times.excess);
        if excess.0 == 0 {
            return Ok(Amount::ZERO);
        }
        let rule = &tariff.overstay;
        let multiplier = i128::from(rule.multiplier.0);
        let (over, rate) = match rule.rate {
            OverstayRate::Continued => {
                (self.mode.divide(continued * multiplier, SCALE * 1_000), None)
            }
            OverstayRate::PerHour(rate) => {
                let billed = i128::from(tariff.increment.billed(times.excess));
                let product = i128::from(rate.0) * billed * multiplier;
                (self.mode.divide(product, i128::from(HOUR_SECONDS) * 1_000), Some(rate))
            }
        };
        let over = amount(over)?;
        let window = Some(window(times.to, times.to + times.excess));
        let line = Line {
            kind: LineKind::Overstay,
            code: "overstay".into(),
            seconds: excess,
            quantity: 0,
            rate,
            rate_per: Seconds(if rate.is_some() { HOUR_SECONDS } else { 0 }),
            window,
            amount: over,
        };
        let penalty = rule.penalty_per_hour;
        let hours = excess.0.div_ceil(HOUR_SECONDS);
        self.lines.push(line.clone());
        if penalty > Amount::ZERO && !abandoned {
            self.lines.push(Line {
                kind: LineKind::Penalty,
                code: "penalty".into(),
                quantity: hours,
                rate: Some(penalty),
                rate_per: Seconds(HOUR_SECONDS),
                amount: amount(i128::from(penalty.0) * i128::from(hours))?,
                ..line
            });
        }
        Ok(over)
    }

    /// Pass and discounts: off the price of time, and never more than it.
    fn take_off(&mut self, stay: &Stay, base: Amount, found: &Found) -> Result<(), Unpriceable> {
        let mut left = base;
        if let Some(pass) = &stay.pass {
            let paid = match pass.covers {
                Covers::Whole => left,
                Covers::Share(share) => left.per_mille(share, self.mode),
                Covers::First(_) => amount(self.mode.divide(found.covered, SCALE))?,
            };
            let paid = paid.min(left);
            self.push(LineKind::Pass, &pass.code, -paid)?;
            left = left.saturating_sub(paid);
        }
        for discount in &stay.discounts {
            let off = match discount.off {
                Off::Share(share) => left.basis_points(share, self.mode),
                Off::Amount(amount) => amount.max(Amount::ZERO),
            };
            let off = off.min(left);
            self.push(LineKind::Discount, &discount.code, -off)?;
            left = left.saturating_sub(off);
        }
        Ok(())
    }

    /// A lost ticket and extras.
    pub(super) fn add_exit(&mut self, tariff: &Tariff, stay: &Stay) -> Result<(), Unpriceable> {
        if let Some(lost) = tariff.lost_ticket.filter(|_| stay.ending == Ending::LostTicket) {
            self.push(LineKind::LostTicket, "lost_ticket", lost.amount)?;
        }
        for extra in &stay.extras {
            self.push(LineKind::Extra, &extra.code, extra.amount)?;
            if let Some(line) = self.lines.last_mut() {
                line.quantity = extra.quantity;
            }
        }
        Ok(())
    }

    /// The tax, on top or contained.
    pub(super) fn add_tax(
        &mut self,
        tariff: &Tariff,
        stay: &Stay,
        subtotal: Amount,
    ) -> Result<Amount, Unpriceable> {
        let Some(tax) = &tariff.tax else { return Ok(Amount::ZERO) };
        let untaxed = stay.extras.iter().filter(|extra| !extra.taxed).map(|extra| extra.amount);
        let mut taxable = untaxed.fold(subtotal, Amount::saturating_sub);
        if !tax.on_penalty {
            taxable = taxable.saturating_sub(self.of(LineKind::Penalty));
        }
        if tax.included {
            let (part, whole) = (tax.rate.0.into(), (tax.rate.0 + BasisPoints::WHOLE.0).into());
            return Ok(taxable.part(part, whole, self.mode));
        }
        let on_top = taxable.basis_points(tax.rate, self.mode);
        self.push(LineKind::Tax, &tax.code, on_top)?;
        Ok(on_top)
    }

    /// What the marketplace takes; a line where the driver pays it.
    pub(super) fn add_service_fee(
        &mut self,
        tariff: &Tariff,
        subtotal: Amount,
    ) -> Result<Amount, Unpriceable> {
        let Some(service) = tariff.service_fee.filter(|_| subtotal > Amount::ZERO) else {
            return Ok(Amount::ZERO);
        };
        let share = subtotal.basis_points(service.share, self.mode);
        let fee = share.saturating_add(service.fixed);
        match service.payer {
            Payer::Driver => self.push(LineKind::ServiceFee, "service_fee", fee)?,
            Payer::Owner => return Ok(fee.min(subtotal)),
        }
        Ok(fee)
    }

    fn push(&mut self, kind: LineKind, code: &str, amount: Amount) -> Result<(), Unpriceable> {
        check_bound(amount)?;
        self.lines.push(Line {
            kind,
            code: code.into(),
            seconds: Seconds(0),
            quantity: 0,
            rate: None,
            rate_per: Seconds(0),
            window: None,
            amount,
        });
        Ok(())
    }

    pub(super) fn push_unless_zero(
        &mut self,
        kind: LineKind,
        code: &str,
        amount: Amount,
    ) -> Result<(), Unpriceable> {
        if amount == Amount::ZERO { Ok(()) } else { self.push(kind, code, amount) }
    }

    pub(super) fn of(&self, kind: LineKind) -> Amount {
        let amounts = self.lines.iter().filter(|line| line.kind == kind).map(|line| line.amount);
        amounts.fold(Amount::ZERO, Amount::saturating_add)
    }

    pub(super) fn sum(&self) -> Result<Amount, Unpriceable> {
        let sum = Amount::checked_sum(self.lines.iter().map(|line| line.amount));
        sum.ok_or(Unpriceable::TooMuch { max: limits::LINE_AMOUNT_MAX })
    }
}

/// The smallest cap of a day: what an abandoned stay costs at most.
fn daily_cap(tariff: &Tariff) -> Option<Amount> {
    let daily = tariff.caps.iter().filter(|cap| cap.period.unit == Unit::Day);
    daily.map(|cap| cap.amount).min()
}

/// The name of a base line: its band's, or its kind's; with that of the band that multiplied it.
fn base_code(tariff: &Tariff, band: Option<usize>, multiplied_by: Option<usize>) -> Box<str> {
    let named = |position: usize| tariff.bands.get(position).map(|band: &Band| &*band.code);
    let base = band.and_then(named).unwrap_or_else(|| tariff.rate.kind());
    match multiplied_by.and_then(named) {
        Some(event) => format!("{base}*{event}").into(),
        None => base.into(),
    }
}

fn cap_code(unit: Unit) -> &'static str {
    match unit {
        Unit::Stay => "stay_cap",
        Unit::Day => "daily_cap",
        Unit::Week => "weekly_cap",
        Unit::Month => "monthly_cap",
    }
}

fn window(from: i64, to: i64) -> Window {
    Window { from: Timestamp::from_seconds(from), to: Timestamp::from_seconds(to) }
}

/// A length that `Times` has bounded.
pub(super) fn seconds(length: i64) -> Seconds {
    Seconds(u32::try_from(length).unwrap_or(0))
}

fn amount(value: i128) -> Result<Amount, Unpriceable> {
    let amount = i64::try_from(value).map(Amount);
    let amount = amount.map_err(|_| Unpriceable::TooMuch { max: limits::LINE_AMOUNT_MAX })?;
    check_bound(amount)?;
    Ok(amount)
}

fn check_bound(amount: Amount) -> Result<(), Unpriceable> {
    let max = limits::LINE_AMOUNT_MAX;
    if (-max..=max).contains(&amount.0) { Ok(()) } else { Err(Unpriceable::TooMuch { max }) }
}
