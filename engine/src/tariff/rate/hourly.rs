//! By time, in tiers: the first hour so much, each further one so much.
//!
//! A tier charges to the second, or by begun units. A unit belongs to the tier, and to the band, in which
//! it begins, also where it ends after it.

use super::{Charge, FRACTIONS, Reach};
use crate::limits;
use crate::money::Amount;
use crate::spec::Fault;
use crate::tariff::faults::{check_amount, check_count, fault};
use crate::time::Seconds;

/// By time, in tiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hourly {
    /// In order; the first begins at 0, each lasts until the next, the last for ever.
    pub tiers: Box<[Tier]>,
}

/// A price from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Time after which it begins.
    pub from: Seconds,
    /// What one unit costs.
    pub amount: Amount,
    /// The unit; divides a day.
    pub per: Seconds,
    /// Whether a begun unit costs a whole one.
    pub begun: bool,
}

impl Hourly {
    pub(super) fn charge(&self, reach: Reach, sink: &mut impl FnMut(Charge)) {
        for (step, tier) in (0..).zip(&self.tiers) {
            let ends = self.tiers.get(usize::from(step) + 1).map_or(u32::MAX, |next| next.from.0);
            let (from, to) = (reach.from.max(tier.from.0), reach.to.min(ends));
            if from < to {
                sink(tier.charge(step, from, to));
            }
        }
    }

    pub(super) fn faults(&self, pointer: &str, faults: &mut Vec<Fault>) {
        check_count(
            faults,
            format!("{pointer}/tiers"),
            self.tiers.len(),
            1,
            limits::RATE_STEPS_MAX,
        );
        let mut expected = "0, where the stay begins".to_owned();
        let mut after = None;
        for (position, tier) in self.tiers.iter().enumerate() {
            let at = format!("{pointer}/tiers/{position}");
            let from = tier.from.0;
            let in_order = after.map_or(from == 0, |before| from > before);
            if !in_order || from > limits::PRICED_SECONDS_MAX {
                faults
                    .push(fault(format!("{at}/from_seconds"), format!("{from} is not {expected}")));
            }
            expected = format!("more than {from}, where the tier before begins");
            after = Some(from);
            check_amount(faults, format!("{at}/amount"), tier.amount);
            if tier.per.0 < 60 || 86_400_u32.checked_rem(tier.per.0) != Some(0) {
                let per = tier.per.0;
                let detail = format!(
                    "{per} is not at least 60 or does not divide a day of 86400; use 3600 for an hour"
                );
                faults.push(fault(format!("{at}/per_seconds"), detail));
            }
        }
    }
}

impl Tier {
    /// What `[from, to)` costs; it lies in the tier.
    fn charge(&self, step: u16, from: u32, to: u32) -> Charge {
        // Units that begin before a reading of the clock.
        let begun_before = |reading: u32| (reading - self.from.0).div_ceil(self.per.0.max(1));
        let units = if self.begun { begun_before(to) - begun_before(from) } else { 0 };
        let amount = i128::from(self.amount.0);
        let fractions = if self.begun {
            amount * FRACTIONS * i128::from(units)
        } else {
            amount * i128::from(to - from) * (FRACTIONS / i128::from(self.per.0.max(1)))
        };
        Charge { step, fractions, seconds: to - from, units, rate: self.amount, per: self.per }
    }
}
