//! Passes that are good in all lots of a tenant, as seen from a lot that did not issue them.
//!
//! The lot that issued a pass owns it: its terms, its states, its price. What is used of it is an event of the
//! lot that let somebody in, in the decision that did, so a use is in the log exactly when the stay is. What all
//! lots used together is added up outside, and a scan brings along what is left of it ([`Honour`]).
//!
//! Absent: who adds up and sets a use aside before the lot is asked (the actors), and what a lot decides with it
//! (`decide/pass.rs`).

use super::pass::{Left, Pass, Per, State, Used};
use crate::ids::{PassId, Pseudonym};
use crate::tariff::{Coverage, Unit, Zone};
use crate::time::{Timestamp, Window};

/// How the periods of a pass are counted: by the calendar of the lot that issued it, in whatever lot it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// How long a period is.
    pub per: Per,
    /// The IANA time zone.
    pub zone: Box<str>,
}

impl Calendar {
    /// The number of the period that an instant lies in. A zone that a later tz database dropped is UTC.
    #[must_use]
    pub fn period(&self, at: Timestamp) -> i64 {
        period_of(self.per, &Zone::named(&self.zone).unwrap_or_else(|_| Zone::utc()), at)
    }
}

/// The number of the period of a kind that an instant lies in.
#[must_use]
pub fn period_of(per: Per, zone: &Zone, at: Timestamp) -> i64 {
    let unit = match per {
        Per::Total => return 0,
        Per::Day => Unit::Day,
        Per::Week => Unit::Week,
        Per::Month => Unit::Month,
    };
    zone.period_of(unit, at).unwrap_or_default()
}

/// What a gate may do with a pass of the tenant: one use of it, set aside for this scan alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Honour {
    /// Which pass.
    pub id: PassId,
    /// Whose it is.
    pub holder: Option<Pseudonym>,
    /// When it is good.
    pub valid: Window,
    /// What it pays of the stay.
    pub coverage: Coverage,
    /// The period that the use falls in.
    pub period: i64,
    /// How its periods are counted.
    pub by: Calendar,
}

impl Honour {
    /// Of a pass that has so much left in a period.
    #[must_use]
    pub fn of(pass: &Pass, left: Left, period: i64, by: Calendar) -> Self {
        Self {
            id: pass.id,
            holder: pass.terms.holder,
            valid: pass.terms.valid,
            coverage: pass.coverage(left),
            period,
            by,
        }
    }
}

/// What the tenant has for a vehicle at a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantPass {
    /// A pass that is good and has something left.
    Good(Box<Honour>),
    /// Only passes that are not good now.
    NotGood,
}

/// A pass of another lot that was used in this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Which.
    pub id: PassId,
    /// Where it is, as far as this lot was told.
    pub state: State,
    /// How its periods are counted.
    pub by: Calendar,
    /// What was used of it, in this lot.
    pub used: Used,
}

impl Guest {
    pub(super) fn new(id: PassId, by: &Calendar) -> Self {
        Self { id, state: State::Active, by: by.clone(), used: Used::default() }
    }

    /// It opened here: it is good, and its periods may be counted in another way than before.
    pub(super) fn welcome(&mut self, by: &Calendar) {
        if self.by.per != by.per {
            self.used = Used::default();
        }
        (self.state, self.by) = (State::Active, by.clone());
    }
}
