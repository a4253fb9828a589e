//! What a window or a stay costs in this lot: which tariff applies, in which terms.
//!
//! One function of [`crate::tariff`] prices the quote, the booking and the bill; here it is only told what
//! the lot knows. What was promised binds: a booking keeps its tariff's version and multiplier.

use std::sync::Arc;

use super::session::Session;
use super::{Owner, Payment, Register, Rejection, Reservation, payment};
use crate::ids::{SlotIndex, TariffId, ZoneIndex};
use crate::money::{Amount, PerMille};
use crate::tariff::{self, Coverage, Demand, Discount, Ending, Fee, Stay, Tariff, Unpriceable};
use crate::time::{Timestamp, Window};

/// In which terms a stay is billed, as they were at its booking or entry.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Terms {
    /// Tariff and its version; nothing where the lot had none.
    pub tariff: Option<(TariffId, u32)>,
    /// What demand multiplied the price by.
    pub multiplier: PerMille,
    /// The tenant's name of the vehicle's type.
    pub vehicle_type: Option<Box<str>>,
    /// Codes of discounts that were brought.
    pub discounts: Box<[Box<str>]>,
    /// What a pass pays of it.
    pub pass: Option<Coverage>,
}

/// A price that was told, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The price itself.
    pub fee: Fee,
    /// What it rests on.
    pub terms: Arc<Terms>,
}

/// What is to be priced before anybody comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// When.
    pub window: Window,
    /// On which slot.
    pub slot: Option<SlotIndex>,
    /// In which zone, where no slot is named.
    pub zone: Option<ZoneIndex>,
    /// The tenant's name of the vehicle's type.
    pub vehicle_type: Option<Box<str>>,
    /// Codes of discounts.
    pub discounts: Box<[Box<str>]>,
    /// How full the lot is.
    pub occupancy: PerMille,
}

/// A stay's bill at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// What it costs; nothing where no tariff applies, or none can price it.
    pub fee: Option<Arc<Fee>>,
    /// What of it, and of penalties before it, is not paid yet; below zero what was paid too much.
    pub owed: Amount,
}

impl Register {
    /// What a stay inside costs up to an instant, and what of that is to be paid. Who paid and drives out in
    /// time pays no more.
    #[must_use]
    pub fn bill_of(&self, session: &Session, at: Timestamp) -> Bill {
        let ending = if session.ticket_lost { Ending::LostTicket } else { Ending::Normal };
        let fee = match &session.settled {
            Some(settled) if at <= settled.leave_by => Some(Arc::clone(&settled.fee)),
            Some(_) | None => self.bill(session, at, ending).map(Arc::new),
        };
        let total = fee.as_ref().map_or(Amount::ZERO, |fee| fee.total);
        let before = self.accounts().owed_by(session.account());
        Bill { fee, owed: before.saturating_add(total) }
    }

    /// What of a promise's price is not paid yet, and of what was billed before; below zero what was paid too
    /// much.
    #[must_use]
    pub fn owed_for(&self, reservation: &Reservation) -> Amount {
        let price = reservation.price.as_ref().filter(|_| reservation.state.is_active());
        let price = price.map_or(Amount::ZERO, |price| price.fee.total);
        self.accounts().owed_by(Owner::Reservation(reservation.id)).saturating_add(price)
    }

    /// Whether a promise may be brought in or let go: nothing is added any more to what it is for, and its
    /// provider has not refused it; what was refused is for people to look at.
    #[must_use]
    pub fn is_to_be_collected(&self, payment: &Payment) -> bool {
        let is_inside = |stay: &Arc<Session>| stay.state.is_inside();
        let goes_on = match payment.about {
            Owner::Session(id) => self.stays().get(id).is_some_and(is_inside),
            Owner::Reservation(id) => {
                self.stays().of_reservation(id).is_some_and(is_inside)
                    || self.reservation(id).is_some_and(|promise| promise.state.is_active())
            }
            Owner::Vehicle(_) | Owner::Pass(_) => false,
        };
        let is_promise = payment.state == payment::State::Authorised && payment.asked.is_none();
        is_promise && payment.reason.is_none() && !goes_on
    }

    /// The tariff in force for a place and a vehicle.
    #[must_use]
    pub fn tariff_for(
        &self,
        (slot, zone): (Option<SlotIndex>, Option<ZoneIndex>),
        vehicle_type: Option<&str>,
        at: Timestamp,
    ) -> Option<Arc<Tariff>> {
        let zone = slot.and_then(|slot| self.spec().slot(slot)).and_then(|slot| slot.zone).or(zone);
        self.tariffs().select(slot, zone, vehicle_type, at)
    }

    /// The terms of somebody who comes now without having reserved.
    #[must_use]
    pub fn terms(
        &self,
        slot: Option<SlotIndex>,
        vehicle_type: Option<&str>,
        at: Timestamp,
        occupancy: PerMille,
    ) -> Terms {
        let tariff = self.tariff_for((slot, None), vehicle_type, at);
        Terms {
            tariff: tariff.as_ref().map(|tariff| (tariff.id, tariff.version)),
            multiplier: tariff.map_or(PerMille::ONE, |tariff| tariff.multiplier(occupancy)),
            vehicle_type: vehicle_type.map(Box::from),
            discounts: Box::default(),
            pass: None,
        }
    }

    /// What a window costs; nothing where no tariff applies. The version in force when it begins counts.
    ///
    /// # Errors
    /// The window has no price.
    pub fn quote(&self, ask: &Ask) -> Result<Option<Price>, Unpriceable> {
        let vehicle_type = ask.vehicle_type.as_deref();
        let place = (ask.slot, ask.zone);
        let Some(tariff) = self.tariff_for(place, vehicle_type, ask.window.from) else {
            return Ok(None);
        };
        let mut stay = Stay::booked(ask.window, self.zone().clone());
        stay.demand = Demand::Occupancy(ask.occupancy);
        stay.discounts = discounts(&tariff, &ask.discounts);
        let fee = tariff::price(&tariff, &stay)?;
        let terms = Terms {
            tariff: Some((tariff.id, tariff.version)),
            multiplier: fee.multiplier,
            vehicle_type: ask.vehicle_type.clone(),
            discounts: ask.discounts.clone(),
            pass: None,
        };
        Ok(Some(Price { fee, terms: Arc::new(terms) }))
    }

    /// Whether the tariff that applies knows the discounts that were brought.
    ///
    /// # Errors
    /// The first it does not know.
    pub fn check_discounts(&self, ask: &Ask) -> Result<(), Rejection> {
        if ask.discounts.is_empty() {
            return Ok(());
        }
        let place = (ask.slot, ask.zone);
        let tariff = self.tariff_for(place, ask.vehicle_type.as_deref(), ask.window.from);
        let known = |code: &str| tariff.as_ref().is_some_and(|t| t.discount(code).is_some());
        match ask.discounts.iter().find(|code| !known(code)) {
            Some(code) => Err(Rejection::DiscountUnknown { code: code.clone() }),
            None => Ok(()),
        }
    }

    /// What a promise costs in another window, in the terms in which it was made.
    ///
    /// # Errors
    /// The window has no price.
    pub fn requote(
        &self,
        reservation: &Reservation,
        window: Window,
    ) -> Result<Option<Price>, Unpriceable> {
        let Some(price) = &reservation.price else { return Ok(None) };
        let Some(tariff) = self.tariff_of(&price.terms) else { return Ok(None) };
        let mut stay = Stay::booked(window, self.zone().clone());
        stay.demand = Demand::Frozen(price.terms.multiplier);
        stay.discounts = discounts(tariff, &price.terms.discounts);
        let fee = tariff::price(tariff, &stay)?;
        Ok(Some(Price { fee, terms: Arc::clone(&price.terms) }))
    }

    /// What a stay costs up to an instant; nothing where no tariff applies, or none can price it.
    #[must_use]
    pub fn bill(&self, session: &Session, at: Timestamp, ending: Ending) -> Option<Fee> {
        let terms = &session.terms;
        let tariff = self.tariff_of(terms)?;
        let left = at.max(session.entered_at);
        let mut stay = match session.booked {
            Some(booked) => {
                Stay::booked(booked, self.zone().clone()).stayed(session.entered_at, left)
            }
            None => Stay::drive_in(session.entered_at, left, self.zone().clone()),
        };
        stay.demand = Demand::Frozen(terms.multiplier);
        stay.discounts = discounts(tariff, &terms.discounts);
        stay.pass.clone_from(&terms.pass);
        stay.ending = ending;
        tariff::price(tariff, &stay).ok()
    }

    fn tariff_of(&self, terms: &Terms) -> Option<&Arc<Tariff>> {
        let (id, version) = terms.tariff?;
        self.tariffs().version(id, version)
    }
}

/// What the codes stand for in this tariff; unknown ones were refused when they were brought.
fn discounts(tariff: &Tariff, codes: &[Box<str>]) -> Vec<Discount> {
    codes.iter().filter_map(|code| tariff.discount(code)).cloned().collect()
}
