//! What a stay costs: tariffs as data, and one pure function for the quote and the bill.
//!
//! A [`Tariff`] is a [`Rate`] and rules around it. [`price`] walks along the stay (`walk.rs`), cut wherever
//! a price may change, and makes an itemised [`Fee`]; the order of its steps is in `docs/tariffs.md`.
//! Invariants: a fee is the sum of its lines; a longer stay never costs less; a stay costs the same
//! wherever it is cut.
//!
//! Deliberately absent: who pays how and when, the currency, which passes exist.

mod band;
mod book;
mod faults;
mod fee;
mod period;
mod price;
mod rate;
mod rules;
mod sheet;
mod stay;
mod times;
mod walk;
mod zone;

pub use band::{Band, Clock, Dates, Effect, LocalDay, Weekdays, Weekly, When};
pub use book::{Assignment, Book, Refused, Scope};
pub use fee::{Fee, Line, LineKind, Unpriceable};
pub use period::{Anchor, Period, Unit};
pub use price::price;
pub use rate::{Flat, Hourly, Periods, Rate, Slab, Slabs, Tier};
pub use rules::{
    Cancellation, Cap, Discount, Grace, GraceMode, Increment, IncrementMode, LostTicket, Off,
    Overstay, OverstayRate, Payer, RefundStep, ServiceFee, Tax, Threshold, TotalRounding,
};
pub use stay::{Coverage, Covers, Demand, Ending, Extra, Stay};
pub use zone::{UnknownZone, Zone, tzdb_version};

use crate::ids::TariffId;
use crate::money::PerMille;
use crate::time::Timestamp;

/// One version of a tariff. Data: two that are equal price every stay alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tariff {
    /// Shared by its versions.
    pub id: TariffId,
    /// Later ones are larger.
    pub version: u32,
    /// For people.
    pub name: Box<str>,
    /// In force from here on.
    pub valid_from: Timestamp,
    /// Until here; `None`: until a later version is in force.
    pub valid_until: Option<Timestamp>,
    /// What time costs.
    pub rate: Rate,
    /// Times with another price, in order of precedence.
    pub bands: Box<[Band]>,
    /// The most that time costs.
    pub caps: Box<[Cap]>,
    /// The step in which time is billed.
    pub increment: Increment,
    /// Free minutes at the start.
    pub grace: Option<Grace>,
    /// What a full lot does, by rising occupancy.
    pub demand: Box<[Threshold]>,
    /// What staying past the booked end costs.
    pub overstay: Overstay,
    /// Discounts it knows, by code.
    pub discounts: Box<[Discount]>,
    /// The tax.
    pub tax: Option<Tax>,
    /// What the marketplace takes.
    pub service_fee: Option<ServiceFee>,
    /// What a lost ticket costs; `None`: nothing of its own.
    pub lost_ticket: Option<LostTicket>,
    /// What a cancelled reservation gives back.
    pub cancellation: Cancellation,
    /// How the total is rounded.
    pub rounding: TotalRounding,
}

impl Tariff {
    /// A rate without any rule around it.
    #[must_use]
    pub fn plain(id: TariffId, name: &str, valid_from: Timestamp, rate: Rate) -> Self {
        Self {
            id,
            version: 1,
            name: name.into(),
            valid_from,
            valid_until: None,
            rate,
            bands: Box::default(),
            caps: Box::default(),
            increment: Increment::SECOND,
            grace: None,
            demand: Box::default(),
            overstay: Overstay::GOES_ON,
            discounts: Box::default(),
            tax: None,
            service_fee: None,
            lost_ticket: None,
            cancellation: Cancellation::none(),
            rounding: TotalRounding::UNIT,
        }
    }

    /// Whether this version is in force at an instant.
    #[must_use]
    pub fn in_force(&self, at: Timestamp) -> bool {
        self.valid_from <= at && self.valid_until.is_none_or(|until| at < until)
    }

    /// What an occupancy multiplies the price by.
    #[must_use]
    pub fn multiplier(&self, occupancy: PerMille) -> PerMille {
        let reached = self.demand.iter().rfind(|threshold| threshold.occupancy <= occupancy);
        reached.map_or(PerMille::ONE, |threshold| threshold.multiplier)
    }

    /// The discount with this code.
    #[must_use]
    pub fn discount(&self, code: &str) -> Option<&Discount> {
        self.discounts.iter().find(|discount| &*discount.code == code)
    }
}
