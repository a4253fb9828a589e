//! What a stay costs, line by line. Invariant: the total is the sum of the lines.

use super::rules::Payer;
use crate::ids::TariffId;
use crate::money::{Amount, PerMille};
use crate::time::{Seconds, Window};

/// An itemised price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fee {
    /// The tariff applied.
    pub tariff: TariffId,
    /// And its version.
    pub version: u32,
    /// In the order in which they were computed.
    pub lines: Vec<Line>,
    /// Everything but a tax on top, a service fee on top and the rounding of the total.
    pub subtotal: Amount,
    /// What passes and discounts took off, as a positive amount.
    pub discount: Amount,
    /// The tax, on top or contained.
    pub tax: Amount,
    /// Whether it is contained in the other amounts; then it is no line.
    pub tax_included: bool,
    /// What the marketplace takes.
    pub service_fee: Amount,
    /// Who pays that; a line only where the driver does.
    pub service_fee_payer: Option<Payer>,
    /// What the driver pays.
    pub total: Amount,
    /// The multiplier of demand that was applied: freeze it with a booking.
    pub multiplier: PerMille,
    /// Length of the booked window.
    pub booked: Seconds,
    /// Length of the actual stay.
    pub stayed: Seconds,
    /// The time zone rules it was computed with.
    pub tzdb: Box<str>,
}

/// One line of a fee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub kind: LineKind,
    /// Which one: a band, a discount, a tax.
    pub code: Box<str>,
    /// Time it stands for; 0 where it stands for none.
    pub seconds: Seconds,
    /// Units charged; 0 where it is charged by time or share.
    pub quantity: u32,
    /// The price of one unit, where there is one.
    pub rate: Option<Amount>,
    /// Length of that unit; 0 where it has none.
    pub rate_per: Seconds,
    /// From the first to the last instant it stands for.
    pub window: Option<Window>,
    /// What it adds; negative where it takes off.
    pub amount: Amount,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineKind {
    /// Time by the rate.
    Base,
    /// What demand adds or takes off.
    Demand,
    /// What a cap takes off.
    Cap,
    /// Time past the booked end.
    Overstay,
    /// For begun hours past the booked end.
    Penalty,
    /// A lost ticket.
    LostTicket,
    /// Something beside time.
    Extra,
    /// What a pass pays.
    Pass,
    /// What a discount takes off.
    Discount,
    /// A tax on top.
    Tax,
    /// A service fee on top.
    ServiceFee,
    /// What rounding the total adds or takes off.
    Rounding,
}

/// Why a stay has no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpriceable {
    /// Neither a window nor an entry and an exit.
    #[error("the stay has neither a booked window nor an entry and an exit; give one of them")]
    NoTimes,
    /// It ends before it begins.
    #[error("the stay ends before it begins; exchange its ends")]
    Backwards,
    /// Longer than is priced.
    #[error("the stay lasts {seconds} seconds, at most {max} are priced; bill it in parts")]
    TooLong {
        /// How long it is.
        seconds: i64,
        /// The longest.
        max: u32,
    },
    /// Outside of the calendar.
    #[error("the stay lies outside of the years -9999 to 9999")]
    OutsideCalendar,
    /// More than an amount holds.
    #[error("the price is more than {max} minor units; check the tariff's amounts")]
    TooMuch {
        /// The most.
        max: i64,
    },
    /// An extra below zero would be a discount on what discounts may not touch.
    #[error("an extra is below zero; give a discount")]
    NegativeExtra,
    /// More than a fee has lines for.
    #[error("the stay brings {count} discounts and extras, at most {max} of each are taken")]
    TooMany {
        /// How many.
        count: usize,
        /// The most of each.
        max: usize,
    },
}

impl Fee {
    /// What the lines of one kind add up to.
    #[must_use]
    pub fn of(&self, kind: LineKind) -> Amount {
        let amounts = self.lines.iter().filter(|line| line.kind == kind).map(|line| line.amount);
        amounts.fold(Amount::ZERO, Amount::saturating_add)
    }

    /// What the owner gets, before what the payment provider takes.
    #[must_use]
    pub fn owner_gets(&self) -> Amount {
        self.total.saturating_sub(self.service_fee)
    }

    /// The invariant: lines add up to the total, and to the subtotal without what comes after it.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let total = Amount::checked_sum(self.lines.iter().map(|line| line.amount));
        let after =
            [LineKind::Tax, LineKind::ServiceFee, LineKind::Rounding].map(|kind| self.of(kind));
        let off = self.of(LineKind::Pass).saturating_add(self.of(LineKind::Discount));
        let subtotal = Amount::checked_sum(after).and_then(|after| self.total.checked_sub(after));
        total == Some(self.total) && subtotal == Some(self.subtotal) && -off == self.discount
    }
}
