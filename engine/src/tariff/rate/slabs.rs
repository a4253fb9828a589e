//! An amount for each length of stay: up to one hour 5, up to three hours 12, longer 30.
//!
//! A length that is exactly a slab's end is still in it. What the next slab costs more is charged at the
//! end of the one before. Slabs may begin anew after a time, with their first amount on top.

use super::{Charge, FRACTIONS, Reach};
use crate::limits;
use crate::money::Amount;
use crate::spec::Fault;
use crate::tariff::faults::{check_amount, check_count, fault};
use crate::time::Seconds;

/// An amount for each length of stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slabs {
    /// In order of length; amounts never fall.
    pub slabs: Box<[Slab]>,
    /// What a longer stay costs.
    pub longer: Amount,
    /// After this time they begin anew; `None`: never.
    pub every: Option<Seconds>,
}

/// An amount for stays up to a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slab {
    /// The longest stay at this price.
    pub up_to: Seconds,
    /// What it costs, in whole and not on top of the slab before.
    pub amount: Amount,
}

impl Slabs {
    pub(super) fn charge(&self, reach: Reach, sink: &mut impl FnMut(Charge)) {
        let every = self.every.map_or(u32::MAX, |Seconds(every)| every.max(1));
        let mut total = Charge {
            step: 0,
            fractions: 0,
            seconds: reach.to - reach.from,
            units: 0,
            rate: Amount::ZERO,
            per: Seconds(0),
        };
        for cycle in reach.from / every..=(reach.to.saturating_sub(1)) / every {
            let start = cycle * every;
            let within = |reading: u32| reading.saturating_sub(start).min(every);
            let charged = self.grown(within(reach.from), within(reach.to));
            total.fractions += i128::from(charged) * FRACTIONS;
        }
        sink(total);
    }

    /// What the steps that begin in `[from, to)` of one cycle add up to.
    fn grown(&self, from: u32, to: u32) -> i64 {
        let starts = core::iter::once(0).chain(self.slabs.iter().map(|slab| slab.up_to.0));
        let amounts = self.slabs.iter().map(|slab| slab.amount.0).chain([self.longer.0]);
        let (mut sum, mut before) = (0, 0);
        for (start, amount) in starts.zip(amounts) {
            if from <= start && start < to {
                sum += amount - before;
            }
            before = amount;
        }
        sum
    }

    pub(super) fn faults(&self, pointer: &str, faults: &mut Vec<Fault>) {
        check_count(
            faults,
            format!("{pointer}/slabs"),
            self.slabs.len(),
            1,
            limits::RATE_STEPS_MAX,
        );
        let (mut length, mut amount) = (0, Amount::ZERO);
        for (position, slab) in self.slabs.iter().enumerate() {
            let at = format!("{pointer}/slabs/{position}");
            let up_to = slab.up_to.0;
            if up_to <= length || up_to > limits::PRICED_SECONDS_MAX {
                let detail = format!("{up_to} is not more than {length}, the length before it");
                faults.push(fault(format!("{at}/up_to_seconds"), detail));
            }
            check_grown(faults, format!("{at}/amount"), slab.amount, amount);
            (length, amount) = (up_to, slab.amount);
        }
        check_grown(faults, format!("{pointer}/longer"), self.longer, amount);
        if let Some(Seconds(every)) = self.every {
            let least = length.max(limits::SLAB_CYCLE_SECONDS_MIN);
            if every < least || every > limits::PRICED_SECONDS_MAX {
                let detail =
                    format!("{every} is not at least {least}, the longest slab and an hour");
                faults.push(fault(format!("{pointer}/every_seconds"), detail));
            }
        }
    }
}

fn check_grown(faults: &mut Vec<Fault>, pointer: String, amount: Amount, before: Amount) {
    if amount < before {
        let detail = format!("{amount} is less than {before}, the price of a shorter stay");
        faults.push(fault(pointer, detail));
    } else {
        check_amount(faults, pointer, amount);
    }
}
