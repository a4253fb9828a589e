//! One amount, however long: charged at the start of its clock.

use super::{Charge, FRACTIONS, Reach};
use crate::money::Amount;
use crate::spec::Fault;
use crate::tariff::faults::check_amount;
use crate::time::Seconds;

/// One amount, however long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flat {
    /// What the stay, or a stretch in a band, costs.
    pub amount: Amount,
}

impl Flat {
    pub(super) fn charge(self, reach: Reach, sink: &mut impl FnMut(Charge)) {
        let units = u32::from(reach.from == 0);
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
