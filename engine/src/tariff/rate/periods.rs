//! An amount for each begun day, week or month, charged where the period begins.

use super::{Charge, FRACTIONS, Reach};
use crate::money::Amount;
use crate::spec::Fault;
use crate::tariff::faults::check_amount;
use crate::tariff::period::Period;
use crate::time::Seconds;

/// An amount for each begun period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periods {
    /// Which.
    pub period: Period,
    /// What one costs.
    pub amount: Amount,
}

impl Periods {
    pub(super) fn charge(self, reach: Reach, sink: &mut impl FnMut(Charge)) {
        let units = u32::from(reach.begins_period);
        sink(Charge {
            step: 0,
            fractions: i128::from(self.amount.0) * FRACTIONS * i128::from(units),
            seconds: reach.to - reach.from,
            units,
            rate: self.amount,
            per: Seconds(0),
        });
    }

    pub(super) fn faults(self, pointer: &str, faults: &mut Vec<Fault>) {
        check_amount(faults, format!("{pointer}/amount"), self.amount);
    }
}
