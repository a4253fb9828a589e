//! The price of a stay: the steps in their order, each adding its lines to the fee.
//!
//! Time first (base, demand, caps, overstay, penalty), then what passes and discounts take off it, then what
//! else the exit adds (lost ticket, extras), then what is for others (tax, service fee), and the rounding of
//! the total last. Why so: `docs/tariffs.md`. Invariants: the total is never negative and is the sum of the
//! lines; the same tariff and stay give the same fee.

use super::Tariff;
use super::fee::{Fee, LineKind, Unpriceable};
use super::sheet::{Sheet, seconds};
use super::stay::{Demand, Ending, Stay};
use super::times::Times;
use super::zone::tzdb_version;
use crate::limits;
use crate::money::{Amount, PerMille};

/// What a stay costs by a tariff: a quote for a booked window, a bill for actual times.
///
/// # Errors
/// Stays without times, backwards, or longer than is priced; amounts past all bounds.
pub fn price(tariff: &Tariff, stay: &Stay) -> Result<Fee, Unpriceable> {
    check(stay)?;
    let instead =
        stay.ending == Ending::LostTicket && tariff.lost_ticket.is_some_and(|lost| lost.instead);
    let times = match Times::of(tariff, stay) {
        // A lost ticket has its price also where nobody knows when the vehicle came.
        Err(Unpriceable::NoTimes) if instead => Times::default(),
        times => times?,
    };
    let multiplier = match stay.demand {
        // What no tariff can have asked for is bounded like what it can: sums fit their bits.
        Demand::Frozen(multiplier) => multiplier.min(PerMille(limits::MULTIPLIER_PER_MILLE_MAX)),
        Demand::Occupancy(occupancy) => tariff.multiplier(occupancy),
    };
    let mut sheet = Sheet { lines: Vec::with_capacity(8), mode: tariff.rounding.mode };
    if !instead {
        sheet.add_time(tariff, stay, &times, multiplier)?;
    }
    sheet.add_exit(tariff, stay)?;
    let subtotal = sheet.sum()?;
    let mut fee = Fee {
        tariff: tariff.id,
        version: tariff.version,
        lines: Vec::new(),
        subtotal,
        discount: -(sheet.of(LineKind::Pass).saturating_add(sheet.of(LineKind::Discount))),
        tax: Amount::ZERO,
        tax_included: tariff.tax.as_ref().is_some_and(|tax| tax.included),
        service_fee: Amount::ZERO,
        service_fee_payer: tariff.service_fee.map(|service| service.payer),
        total: Amount::ZERO,
        multiplier,
        booked: seconds(times.booked),
        stayed: seconds(times.stayed),
        tzdb: tzdb_version().into(),
    };
    fee.tax = sheet.add_tax(tariff, stay, subtotal)?;
    fee.service_fee = sheet.add_service_fee(tariff, subtotal)?;
    let exact = sheet.sum()?;
    let total = exact.to_multiple_of(tariff.rounding.step, sheet.mode);
    sheet.push_unless_zero(LineKind::Rounding, "rounding", total.saturating_sub(exact))?;
    fee.total = sheet.sum()?;
    fee.lines = sheet.lines;
    Ok(fee)
}

/// Bounds of what comes from outside of the tariff.
fn check(stay: &Stay) -> Result<(), Unpriceable> {
    let (extras, discounts) = (stay.extras.len(), stay.discounts.len());
    for (count, max) in [(extras, limits::EXTRAS_PER_STAY_MAX), (discounts, limits::DISCOUNTS_MAX)]
    {
        if count > max {
            return Err(Unpriceable::TooMany { count, max });
        }
    }
    if stay.extras.iter().any(|extra| extra.amount < Amount::ZERO) {
        return Err(Unpriceable::NegativeExtra);
    }
    Ok(())
}
