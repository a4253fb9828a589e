//! Passes as they are issued, changed, shown and told in events.

use lotkeeper_engine::ids::{PassId, Pseudonym};
use lotkeeper_engine::lot::pass::{self, Allowance, Event, Limit, Pass, PassTerms, Reach, Used};
use lotkeeper_engine::money::{Amount, PerMille};
use lotkeeper_engine::spec::{Fault, Spec};
use lotkeeper_engine::tariff::Covers;
use lotkeeper_engine::time::{Seconds, Window};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::event::money;
use super::instant::Instant;
use super::money::MoneyBody;
use super::vehicle::Vehicle;

mirror! {
    /// Where a pass is.
    PassState = pass::State {
        /// It opens within its window.
        Active = "active",
        /// Staff stopped it for a while.
        Paused = "paused",
        /// Run out, or ended by staff.
        Ended = "ended",
    }
}

mirror! {
    /// Where a pass is good.
    PassScope = pass::Reach {
        /// In the lot that issued it.
        Lot = "lot",
        /// In every lot of the tenant, later ones too.
        Tenant = "tenant",
    }
}

mirror! {
    /// How long a limit of a pass holds, by the calendar of the lot that issued it.
    Per = pass::Per {
        /// A local day.
        Day = "day",
        /// A week, from Monday.
        Week = "week",
        /// A month.
        Month = "month",
        /// The pass.
        Total = "total",
    }
}

/// How much a pass may be used: entries or minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Allowance, example = json!({"entries": 2, "per": "day"}))]
pub struct AllowanceBody {
    /// So many entries; excludes `minutes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u32>,
    /// So many minutes inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
    /// For how long.
    pub per: Per,
}

/// What a pass pays of the price of time. Overstay and penalties it never pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Covers)]
pub enum CoversBody {
    /// All.
    Whole,
    /// So many thousandths.
    SharePerMille(u32),
    /// The first so many minutes.
    FirstMinutes(u32),
}

impl From<CoversBody> for Covers {
    fn from(body: CoversBody) -> Self {
        match body {
            CoversBody::Whole => Self::Whole,
            CoversBody::SharePerMille(share) => Self::Share(PerMille(share)),
            CoversBody::FirstMinutes(minutes) => Self::First(Seconds(minutes.saturating_mul(60))),
        }
    }
}

impl From<Covers> for CoversBody {
    fn from(covers: Covers) -> Self {
        match covers {
            Covers::Whole => Self::Whole,
            Covers::Share(share) => Self::SharePerMille(share.0),
            Covers::First(first) => Self::FirstMinutes(first.0 / 60),
        }
    }
}

/// A pass to be issued.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "lot": "L1", "plan": "monthly", "vehicles": [{"plate": "B-XY 123", "country": "D"}],
    "from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z",
    "price": {"amount": 9900, "currency": "EUR"}, "allowance": {"entries": 2, "per": "day"}
}))]
pub struct NewPass {
    /// Made by the client, so that a retry issues nothing twice; made by the server when left out.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Code or id of the lot that issues it: there its price is owed, and its calendar counts its periods.
    pub lot: String,
    /// `tenant`: good in every lot of the tenant, later ones too; needs a token for all lots. In this lot when
    /// left out.
    #[serde(default)]
    pub scope: Option<PassScope>,
    /// The tenant's code of its plan.
    pub plan: String,
    /// Subject of the person it belongs to.
    #[serde(default)]
    pub holder: Option<String>,
    /// For which vehicles, 1 to 8.
    pub vehicles: Vec<Vehicle>,
    /// What it costs; nothing when left out. It is owed from the issue on.
    #[serde(default)]
    pub price: Option<MoneyBody>,
    /// From when it is good.
    pub from: Instant,
    /// Until when.
    pub to: Instant,
    /// How much it may be used; without limit when left out.
    #[serde(default)]
    pub allowance: Option<AllowanceBody>,
    /// What it pays of a stay; all when left out.
    #[serde(default)]
    pub covers: Option<CoversBody>,
}

/// Changes of a pass; what is left out stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"state": "paused"}))]
pub struct PassPatch {
    /// `paused`, `active` or `ended`; alone.
    pub state: Option<PassState>,
    /// For which vehicles, as a whole.
    pub vehicles: Option<Vec<Vehicle>>,
    /// Until when it is good.
    pub to: Option<Instant>,
    /// How much it may be used.
    pub allowance: Option<AllowanceBody>,
    /// What it pays of a stay.
    pub covers: Option<CoversBody>,
}

fn allowance(body: AllowanceBody) -> Result<Allowance, Fault> {
    let limit = match (body.entries, body.minutes) {
        (Some(entries), None) => Limit::Entries(entries),
        (None, Some(minutes)) => Limit::Minutes(minutes),
        (Some(_), Some(_)) | (None, None) => {
            return Err(super::fault("/allowance", "give `entries` or `minutes`, one of them"));
        }
    };
    Ok(Allowance { limit, per: body.per.into() })
}

impl NewPass {
    /// In terms of the engine.
    ///
    /// # Errors
    /// Everything wrong with it that needs no lot's state to be seen.
    pub fn terms(
        &self,
        vehicles: Vec<Pseudonym>,
        holder: Option<Pseudonym>,
        spec: &Spec,
    ) -> Result<PassTerms, Vec<Fault>> {
        let mut faults = Vec::new();
        let free = self.price.as_ref().is_none_or(|price| price.amount == 0);
        let price = self.price.as_ref().filter(|_| !free);
        let price = price.map(|price| price.checked("/price", spec)).transpose();
        let price = price.map_err(|fault| faults.push(fault)).ok().flatten();
        let allowed = self.allowance.map(allowance).transpose();
        let allowance = allowed.map_err(|fault| faults.push(fault)).ok().flatten();
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(PassTerms {
            plan: self.plan.as_str().into(),
            holder,
            vehicles,
            price: price.unwrap_or(Amount::ZERO),
            valid: Window { from: self.from.0, to: self.to.0 },
            allowance,
            covers: self.covers.map_or(Covers::Whole, Into::into),
        })
    }

    /// Where it is good.
    #[must_use]
    pub fn reach(&self) -> Reach {
        self.scope.map_or(Reach::Lot, Into::into)
    }

    /// Identity of the pass to be.
    #[must_use]
    pub fn id(&self) -> PassId {
        PassId(self.id.unwrap_or_else(Uuid::now_v7))
    }
}

impl PassPatch {
    /// Whether something else than its state is to change.
    #[must_use]
    pub fn has_terms(&self) -> bool {
        self.vehicles.is_some()
            || self.to.is_some()
            || self.allowance.is_some()
            || self.covers.is_some()
    }

    /// The terms with what is given in place of the old.
    ///
    /// # Errors
    /// An allowance that is none.
    pub fn over(
        &self,
        old: &PassTerms,
        vehicles: Option<Vec<Pseudonym>>,
    ) -> Result<PassTerms, Vec<Fault>> {
        let mut terms = old.clone();
        terms.vehicles = vehicles.unwrap_or(terms.vehicles);
        terms.valid.to = self.to.map_or(terms.valid.to, |to| to.0);
        if let Some(body) = self.allowance {
            terms.allowance = Some(allowance(body).map_err(|fault| vec![fault])?);
        }
        terms.covers = self.covers.map_or(terms.covers, Into::into);
        Ok(terms)
    }
}

/// What was used of a pass in the newest period in which anything was.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = PassUse)]
pub struct UsedBody {
    /// Entries.
    pub entries: u32,
    /// Whole minutes of stays that ended.
    pub minutes: u32,
}

/// A pass.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Pass)]
pub struct PassBody {
    /// Identity.
    pub id: Uuid,
    /// Code of the lot that issued it.
    pub lot: String,
    /// Where it is good.
    pub scope: PassScope,
    /// Where it is.
    pub state: PassState,
    /// The tenant's code of its plan.
    pub plan: String,
    /// For which vehicles; erased ones are left out.
    pub vehicles: Vec<Vehicle>,
    /// What it costs.
    pub price: MoneyBody,
    /// From when it is good.
    pub from: Instant,
    /// Until when.
    pub to: Instant,
    /// How much it may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowance: Option<AllowanceBody>,
    /// What it pays of a stay.
    pub covers: CoversBody,
    /// What was used, in all lots together.
    pub used: UsedBody,
    /// When it was issued.
    pub created_at: Instant,
    /// When it last changed; use is no change.
    pub updated_at: Instant,
    /// Changes so far: the value of its `ETag`.
    pub version: u32,
    /// The lot's sequence it is as of.
    pub seq: u64,
}

impl PassBody {
    /// Of a pass of a lot, of which so much is used; vehicles are in clear, for its holder and staff.
    #[must_use]
    pub fn of(
        (pass, used): (&Pass, Used),
        spec: &Spec,
        lot_seq: u64,
        vehicles: Vec<Vehicle>,
    ) -> Self {
        let allowance = pass.terms.allowance.map(|allowance| {
            let (entries, minutes) = match allowance.limit {
                Limit::Entries(entries) => (Some(entries), None),
                Limit::Minutes(minutes) => (None, Some(minutes)),
            };
            AllowanceBody { entries, minutes, per: allowance.per.into() }
        });
        Self {
            id: pass.id.0,
            lot: spec.code.to_string(),
            scope: pass.reach.into(),
            state: pass.state.into(),
            plan: pass.terms.plan.to_string(),
            vehicles,
            price: MoneyBody::of(pass.terms.price, spec),
            from: Instant(pass.terms.valid.from),
            to: Instant(pass.terms.valid.to),
            allowance,
            covers: pass.terms.covers.into(),
            used: UsedBody { entries: used.entries, minutes: used.stayed.0 / 60 },
            created_at: Instant(pass.created_at),
            updated_at: Instant(pass.updated_at),
            version: pass.version,
            seq: lot_seq,
        }
    }
}

fn told_terms(terms: &PassTerms, spec: &Spec) -> Value {
    let vehicles: Vec<_> = terms.vehicles.iter().map(|vehicle| vehicle.0).collect();
    json!({
        "plan": terms.plan, "vehicles": vehicles, "price": money(terms.price, spec),
        "holder": terms.holder.map(|holder| holder.0),
        "from": Instant(terms.valid.from), "to": Instant(terms.valid.to),
    })
}

/// What an event of a pass tells. Vehicles and people are pseudonyms.
#[must_use]
pub fn told(event: &Event, spec: &Spec) -> Value {
    match event {
        Event::Issued { reach, terms, .. } => {
            let mut told = told_terms(terms, spec);
            told["scope"] = json!(PassScope::from(*reach));
            told
        }
        Event::Changed { terms, .. } => told_terms(terms, spec),
        Event::Honoured { session, .. } => json!({"session": session.0, "entries": 1}),
        Event::Followed { state, .. } => json!({"state": PassState::from(*state)}),
        Event::Used { entries, stayed, .. } => {
            json!({"entries": entries, "stayed_seconds": stayed.0})
        }
        Event::Paused { .. } | Event::Resumed { .. } | Event::Ended { .. } => json!({}),
    }
}
