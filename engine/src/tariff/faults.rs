//! What is wrong with a tariff: everything at once, each with its place in the request.

use super::Tariff;
use super::rules::Off;
use crate::limits;
use crate::money::{Amount, BasisPoints, PerMille};
use crate::spec::{Fault, check_code as check_spec_code, check_name};
use crate::time::Seconds;

/// A fault.
pub(super) fn fault(pointer: impl Into<String>, detail: impl Into<String>) -> Fault {
    Fault { pointer: pointer.into(), detail: detail.into() }
}

pub(super) fn check_amount(faults: &mut Vec<Fault>, pointer: String, amount: Amount) {
    let max = limits::AMOUNT_MAX;
    if !(0..=max).contains(&amount.0) {
        faults.push(fault(pointer, format!("{amount} is not between 0 and {max} minor units")));
    }
}

pub(super) fn check_count(
    faults: &mut Vec<Fault>,
    pointer: String,
    count: usize,
    min: usize,
    max: usize,
) {
    if !(min..=max).contains(&count) {
        faults.push(fault(pointer, format!("{count} are given, {min} to {max} can be")));
    }
}

pub(super) fn check_multiplier(faults: &mut Vec<Fault>, pointer: String, value: PerMille) {
    let max = limits::MULTIPLIER_PER_MILLE_MAX;
    if value.0 > max {
        let detail = format!("{} is not between 0 and {max} thousandths; 1000 is once", value.0);
        faults.push(fault(pointer, detail));
    }
}

pub(super) fn check_code(faults: &mut Vec<Fault>, pointer: &str, code: &str) {
    check_spec_code(faults, pointer, code);
}

fn check_share(faults: &mut Vec<Fault>, pointer: impl Into<String>, share: BasisPoints) {
    if share > BasisPoints::WHOLE {
        let detail = format!("{} is not between 0 and 10000, which is the whole", share.0);
        faults.push(fault(pointer, detail));
    }
}

fn check_seconds(
    faults: &mut Vec<Fault>,
    pointer: impl Into<String>,
    Seconds(value): Seconds,
    min: u32,
    max: u32,
) {
    if !(min..=max).contains(&value) {
        faults.push(fault(pointer, format!("{value} is not between {min} and {max} seconds")));
    }
}

impl Tariff {
    /// Everything that is wrong, not just the first thing; empty when stays can be priced by it.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        check_name(&mut faults, "/name", &self.name);
        if self.version == 0 {
            faults.push(fault("/version", "versions count from 1"));
        }
        if self.valid_until.is_some_and(|until| until <= self.valid_from) {
            faults.push(fault("/valid_until", "it ends before it begins; give a later end"));
        }
        self.rate.faults("/rate", &mut faults);
        self.band_faults(&mut faults);
        self.cap_faults(&mut faults);
        check_seconds(&mut faults, "/increment/seconds", self.increment.seconds, 1, 86_400);
        if let Some(grace) = self.grace {
            let max = limits::GRACE_SECONDS_MAX;
            check_seconds(&mut faults, "/grace/seconds", grace.seconds, 1, max);
        }
        self.demand_faults(&mut faults);
        self.overstay_faults(&mut faults);
        self.discount_faults(&mut faults);
        self.charge_faults(&mut faults);
        self.refund_faults(&mut faults);
        if !(1..=limits::AMOUNT_MAX).contains(&self.rounding.step.0) {
            let detail = format!("{} is not a step; 1 changes nothing", self.rounding.step);
            faults.push(fault("/rounding/step", detail));
        }
        faults
    }

    fn band_faults(&self, faults: &mut Vec<Fault>) {
        let max = limits::BANDS_PER_TARIFF_MAX;
        check_count(faults, "/bands".to_owned(), self.bands.len(), 0, max);
        for (position, band) in self.bands.iter().enumerate() {
            band.faults(&format!("/bands/{position}"), faults);
        }
    }

    fn cap_faults(&self, faults: &mut Vec<Fault>) {
        check_count(faults, "/caps".to_owned(), self.caps.len(), 0, limits::CAPS_PER_TARIFF_MAX);
        for (position, cap) in self.caps.iter().enumerate() {
            check_amount(faults, format!("/caps/{position}/amount"), cap.amount);
            if self.caps[..position].iter().any(|other| other.period == cap.period) {
                let detail = "a cap for this period is given already; keep one";
                faults.push(fault(format!("/caps/{position}"), detail));
            }
        }
    }

    fn demand_faults(&self, faults: &mut Vec<Fault>) {
        let max = limits::THRESHOLDS_PER_TARIFF_MAX;
        check_count(faults, "/demand".to_owned(), self.demand.len(), 0, max);
        let mut before = None;
        for (position, threshold) in self.demand.iter().enumerate() {
            let at = format!("/demand/{position}");
            let occupancy = threshold.occupancy;
            if occupancy > PerMille::ONE || before.is_some_and(|before| occupancy <= before) {
                let detail = format!(
                    "{} is not more than the one before and at most 1000; give them rising",
                    occupancy.0
                );
                faults.push(fault(format!("{at}/occupancy_per_mille"), detail));
            }
            before = Some(occupancy);
            let pointer = format!("{at}/multiplier_per_mille");
            check_multiplier(faults, pointer, threshold.multiplier);
        }
    }

    fn overstay_faults(&self, faults: &mut Vec<Fault>) {
        let overstay = &self.overstay;
        let max = limits::GRACE_SECONDS_MAX;
        check_seconds(faults, "/overstay/grace_seconds", overstay.grace, 0, max);
        if let super::OverstayRate::PerHour(amount) = overstay.rate {
            check_amount(faults, "/overstay/per_hour".to_owned(), amount);
        }
        let pointer = "/overstay/multiplier_per_mille".to_owned();
        check_multiplier(faults, pointer, overstay.multiplier);
        let pointer = "/overstay/penalty_per_hour".to_owned();
        check_amount(faults, pointer, overstay.penalty_per_hour);
    }

    fn discount_faults(&self, faults: &mut Vec<Fault>) {
        let max = limits::DISCOUNTS_MAX;
        check_count(faults, "/discounts".to_owned(), self.discounts.len(), 0, max);
        for (position, discount) in self.discounts.iter().enumerate() {
            let at = format!("/discounts/{position}");
            check_code(faults, &format!("{at}/code"), &discount.code);
            if self.discounts[..position].iter().any(|other| other.code == discount.code) {
                let detail = format!("`{}` is given already; codes are unique", discount.code);
                faults.push(fault(format!("{at}/code"), detail));
            }
            match discount.off {
                Off::Share(share) => check_share(faults, format!("{at}/share_bp"), share),
                Off::Amount(amount) => check_amount(faults, format!("{at}/amount"), amount),
            }
        }
    }

    /// Tax, service fee and lost ticket.
    fn charge_faults(&self, faults: &mut Vec<Fault>) {
        if let Some(tax) = &self.tax {
            check_code(faults, "/tax/code", &tax.code);
            check_share(faults, "/tax/rate_bp", tax.rate);
        }
        if let Some(service) = &self.service_fee {
            check_share(faults, "/service_fee/share_bp", service.share);
            check_amount(faults, "/service_fee/fixed".to_owned(), service.fixed);
        }
        if let Some(lost) = &self.lost_ticket {
            check_amount(faults, "/lost_ticket/amount".to_owned(), lost.amount);
        }
    }

    fn refund_faults(&self, faults: &mut Vec<Fault>) {
        let rule = &self.cancellation;
        let max = limits::REFUND_STEPS_MAX;
        check_count(faults, "/cancellation/steps".to_owned(), rule.steps.len(), 0, max);
        check_share(faults, "/cancellation/no_show_bp", rule.no_show);
        for (position, step) in rule.steps.iter().enumerate() {
            let at = format!("/cancellation/steps/{position}");
            check_share(faults, format!("{at}/refund_bp"), step.refund);
            let Some(before) = position.checked_sub(1).map(|earlier| rule.steps[earlier]) else {
                continue;
            };
            if step.before >= before.before {
                let detail = "steps go from the earliest cancellation to the latest; sort them";
                faults.push(fault(format!("{at}/before_seconds"), detail));
            }
            if step.refund > before.refund {
                let detail = "a later cancellation gives back more than an earlier one; lower it";
                faults.push(fault(format!("{at}/refund_bp"), detail));
            }
        }
    }
}
