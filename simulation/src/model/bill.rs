//! What stays and windows cost. Prices come from `tariff::price`, which has its own proofs.

use std::sync::Arc;

use lotkeeper_engine::lot::{Session, Terms};
use lotkeeper_engine::tariff::{Demand, Ending, Fee, Stay, Zone, price};
use lotkeeper_engine::time::{Timestamp, Window};

use super::LotModel;

impl LotModel {
    /// What a stay costs up to an instant, or cost when it was paid.
    #[must_use]
    pub fn costs(&self, stay: &Session, at: Timestamp) -> Option<Fee> {
        match &stay.settled {
            Some(settled) if at <= settled.leave_by => Some((*settled.fee).clone()),
            _ => {
                let lost = stay.ticket_lost;
                self.bill(stay, at, if lost { Ending::LostTicket } else { Ending::Normal })
            }
        }
    }

    /// What a stay costs up to an instant, when it ends so.
    #[must_use]
    pub fn bill(&self, stay: &Session, at: Timestamp, ending: Ending) -> Option<Fee> {
        let Terms { tariff, multiplier, discounts, pass, .. } = &*stay.terms;
        let (id, version) = (*tariff)?;
        let mut versions = self.life.tariffs.iter();
        let tariff = Arc::clone(versions.find(|it| it.id == id && it.version == version)?);
        let zone = Zone::named(&self.spec.place.time_zone).ok()?;
        let mut priced = match stay.booked {
            Some(window) => Stay::booked(window, zone).stayed(stay.entered_at, at),
            None => Stay::drive_in(stay.entered_at, at, zone),
        };
        priced.demand = Demand::Frozen(*multiplier);
        priced.pass.clone_from(pass);
        priced.discounts =
            discounts.iter().filter_map(|code| tariff.discount(code)).cloned().collect();
        priced.ending = ending;
        price(&tariff, &priced).ok()
    }

    /// What a window costs in terms that were agreed.
    #[must_use]
    pub fn quote(&self, terms: &Terms, window: Window) -> Option<Fee> {
        let (id, version) = terms.tariff?;
        let tariff = self.life.tariffs.iter().find(|it| it.id == id && it.version == version)?;
        let mut stay = Stay::booked(window, Zone::named(&self.spec.place.time_zone).ok()?);
        stay.demand = Demand::Frozen(terms.multiplier);
        let known = terms.discounts.iter().filter_map(|code| tariff.discount(code));
        stay.discounts = known.cloned().collect();
        price(tariff, &stay).ok()
    }

    /// What a stay inside would have to pay at an instant.
    #[must_use]
    pub fn owes(&self, stay: &Session, at: Timestamp) -> i64 {
        let fee = self.costs(stay, at).map_or(0, |fee| fee.total.0);
        self.life.owed(stay.account()) + fee
    }
}
