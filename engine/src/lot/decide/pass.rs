//! Passes: issued, changed, paused and ended by staff, run out by themselves, counted as they are used.
//!
//! Absent: the gate that asks for one (`scan.rs`), and who is staff (the gateway's roles).

use std::sync::Arc;

use smallvec::smallvec;

use super::scan::{About, Judge, Judged};
use super::{Events, Granted, expect_version, happened, unchanged};
use crate::ids::{PassId, Pseudonym, SessionId};
use crate::limits;
use crate::lot::guest::{Honour, TenantPass, period_of};
use crate::lot::pass::{self, Left, Limit, Pass, PassTerms, Reach, State};
use crate::lot::session::{DenyReason, Origin, Session};
use crate::lot::{Event, Lot, Outcome, Owner, PassChange, Rejection, Terms};
use crate::money::{Amount, PerMille};
use crate::spec::{Fault, code_faults};
use crate::tariff::{Coverage, Covers};
use crate::time::{Seconds, Timestamp};

/// Why a pass opens no gate now.
struct NotGood;

/// The pass that lets a vehicle in: the first that is good and has something left. One that is only not good
/// is told apart from none.
fn good_for(
    lot: &Lot,
    vehicle: Pseudonym,
    at: Timestamp,
) -> Option<Result<(Arc<Pass>, Left), NotGood>> {
    let mut any = false;
    // One that is good in all lots of the tenant comes with the scan, whatever lot issued it.
    let own = |pass: &&Arc<Pass>| pass.reach == Reach::Lot;
    for pass in lot.passes().of_vehicle(vehicle).filter(own) {
        any = true;
        let left = pass.left_in(period(lot, pass, at));
        if pass.is_good_at(at) && left != Left::Nothing {
            return Some(Ok((Arc::clone(pass), left)));
        }
    }
    any.then_some(Err(NotGood))
}

impl Judge<'_> {
    /// A pass opens for the plate it is for, as it was read; the lot's own goes before the tenant's, which other
    /// lots may need. One that is not good is only told where nobody else may enter.
    pub(super) fn by_pass(&self, vehicle: Pseudonym) -> Option<Judged> {
        let own = good_for(self.lot, vehicle, self.at);
        if let Some(Ok((pass, left))) = &own {
            let entered = entered(self.lot, pass, self.at);
            return Some(self.let_in_with(entered, (pass.terms.holder, pass.coverage(*left))));
        }
        match &self.scan.tenant_pass {
            Some(TenantPass::Good(honour))
                if honour.valid.from <= self.at && self.at < honour.valid.to =>
            {
                let holder = (honour.holder, honour.coverage.clone());
                return Some(self.let_in_with(honoured(self.scan.id, honour), holder));
            }
            None if own.is_none() => return None,
            Some(TenantPass::Good(_) | TenantPass::NotGood) | None => {}
        }
        let is_told = !self.lot.spec().rules.drive_in;
        is_told.then(|| self.deny(DenyReason::PassNotValid, About::default()))
    }

    fn let_in_with(
        &self,
        used: pass::Event,
        (holder, coverage): (Option<Pseudonym>, Coverage),
    ) -> Judged {
        if self.is_closed() {
            return self.closed();
        }
        let Some(place) = self.room() else {
            return self.deny(DenyReason::LotFull, About::default());
        };
        let terms = self.terms(place.map(|(slot, _)| slot));
        let terms = Terms { pass: Some(coverage), ..terms };
        let mut judged = self.enter(Origin::Pass(used.id()), place, (holder, terms));
        judged.events.insert(0, Event::Pass(used));
        judged
    }
}

/// The number of the period of a pass of the lot that an instant lies in.
fn period(lot: &Lot, pass: &Pass, at: Timestamp) -> i64 {
    period_of(pass.terms.per(), lot.zone(), at)
}

/// A stay began with it.
fn entered(lot: &Lot, pass: &Pass, at: Timestamp) -> pass::Event {
    let (id, period) = (pass.id, period(lot, pass, at));
    pass::Event::Used { id, period, entries: 1, stayed: Seconds(0) }
}

/// A stay began with one of the tenant.
fn honoured(session: SessionId, honour: &Honour) -> pass::Event {
    let Honour { id, period, by, .. } = honour;
    pass::Event::Honoured { id: *id, session, period: *period, by: by.clone() }
}

/// A stay ended that began with one. Its time belongs to the period in which it began.
pub(super) fn left(lot: &Lot, session: &Session, at: Timestamp) -> Option<Event> {
    let Origin::Pass(id) = session.origin else { return None };
    let period = match (lot.passes().get(id), lot.passes().guest(id)) {
        (Some(pass), _) => period(lot, pass, session.entered_at),
        (None, Some(guest)) => guest.by.period(session.entered_at),
        (None, None) => return None,
    };
    let seconds = at.micros_since(session.entered_at) / 1_000_000;
    let stayed = Seconds(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX));
    Some(Event::Pass(pass::Event::Used { id, period, entries: 0, stayed }))
}

/// It ran out. Who is inside with it by then is where he may not be.
pub(super) fn run_out(lot: &Lot, pass: &Pass, now: Timestamp) -> Events {
    let mut events: Events = smallvec![Event::Pass(pass::Event::Ended { id: pass.id })];
    events.extend(inside_without(lot, pass.id, pass.terms.valid.to, now));
    events
}

/// Who is inside with it when it is good no more.
fn inside_without(
    lot: &Lot,
    pass: PassId,
    since: Timestamp,
    now: Timestamp,
) -> impl Iterator<Item = Event> + '_ {
    let inside = lot.stays().inside().filter(move |session| session.origin == Origin::Pass(pass));
    inside.filter_map(move |session| super::violation::pass_expired(lot, session, since, now))
}

/// Staff stop or end it. Its own event comes last: it says what a retry is answered.
fn stopped(lot: &Lot, pass: &Pass, event: pass::Event, now: Timestamp) -> Events {
    let mut events: Events = inside_without(lot, pass.id, now, now).collect();
    events.push(Event::Pass(event));
    events
}

/// It goes on: what was found only because it was stopped is over.
fn inside_again(lot: &Lot, pass: PassId) -> impl Iterator<Item = Event> + '_ {
    let inside = lot.stays().inside().filter(move |session| session.origin == Origin::Pass(pass));
    inside.flat_map(|session| super::violation::pass_good_again(lot, session))
}

fn resumed(lot: &Lot, pass: &Pass) -> Events {
    let mut events: Events = inside_again(lot, pass.id).collect();
    events.push(Event::Pass(pass::Event::Resumed { id: pass.id }));
    events
}

/// What became of a pass of another lot that was used here: who is inside with it is told, as at home.
pub(super) fn follow(
    lot: &Lot,
    id: PassId,
    state: State,
    since: Timestamp,
    now: Timestamp,
) -> Events {
    let is_news = lot.passes().guest(id).is_some_and(|guest| guest.state != state);
    if !is_news {
        return Events::new();
    }
    let mut events: Events = match state {
        State::Active => inside_again(lot, id).collect(),
        State::Paused | State::Ended => inside_without(lot, id, since, now).collect(),
    };
    events.push(Event::Pass(pass::Event::Followed { id, state }));
    events
}

/// A new pass. Its price is owed from now on, whether or not it is used.
pub(super) fn issue(
    lot: &Lot,
    id: PassId,
    reach: Reach,
    terms: &PassTerms,
    now: Timestamp,
) -> Granted {
    if lot.passes().get(id).is_some() {
        return Err(Rejection::IdTaken);
    }
    if lot.passes().count() >= limits::PASSES_PER_LOT_MAX {
        return Err(Rejection::PassesFull);
    }
    check(terms, now)?;
    let mut events = Events::new();
    if terms.price > Amount::ZERO {
        let posting = lot.accounts().sell(Owner::Pass(id), terms.price);
        events.push(Event::Posted(Box::new(posting)));
    }
    events.push(Event::Pass(pass::Event::Issued { id, reach, terms: Box::new(terms.clone()) }));
    Ok((events, Outcome::Pass(id)))
}

/// One change of a pass by staff.
pub(super) fn change(
    lot: &Lot,
    id: PassId,
    change: &PassChange,
    expected_version: Option<u32>,
    now: Timestamp,
) -> Granted {
    let pass = lot.passes().get(id).ok_or(Rejection::PassNotFound)?;
    expect_version(expected_version, pass.version)?;
    let outcome = Outcome::Pass(id);
    let event = match (change, pass.state) {
        (PassChange::End, State::Ended)
        | (PassChange::Pause, State::Paused)
        | (PassChange::Resume, State::Active) => return unchanged(outcome),
        (PassChange::Pause | PassChange::Resume | PassChange::Amend(_), State::Ended) => {
            return Err(Rejection::PassEnded);
        }
        (PassChange::End, State::Active | State::Paused) => {
            return Ok((stopped(lot, pass, pass::Event::Ended { id }, now), outcome));
        }
        (PassChange::Pause, State::Active) => {
            return Ok((stopped(lot, pass, pass::Event::Paused { id }, now), outcome));
        }
        (PassChange::Resume, State::Paused) => return Ok((resumed(lot, pass), outcome)),
        (PassChange::Amend(terms), State::Active | State::Paused) => {
            if **terms == pass.terms {
                return unchanged(outcome);
            }
            check(terms, now)?;
            pass::Event::Changed { id, terms: terms.clone() }
        }
    };
    happened(Event::Pass(event), outcome)
}

fn check(terms: &PassTerms, now: Timestamp) -> Result<(), Rejection> {
    let mut faults = code_faults("/plan", &terms.plan);
    let mut wrong = |pointer: &str, detail: String| {
        faults.push(Fault { pointer: pointer.to_owned(), detail });
    };
    let (vehicles, max) = (terms.vehicles.len(), limits::VEHICLES_PER_PASS_MAX);
    if vehicles == 0 || vehicles > max {
        wrong("/vehicles", format!("{vehicles} vehicles are not 1 to {max}"));
    }
    if terms.price < Amount::ZERO || terms.price.0 > limits::AMOUNT_MAX {
        let detail = format!("{} is not between 0 and {}", terms.price.0, limits::AMOUNT_MAX);
        wrong("/price", detail);
    }
    if terms.valid.to <= terms.valid.from {
        wrong("/to", "the pass ends before it begins; `to` must be after `from`".to_owned());
    } else if terms.valid.to <= now {
        wrong("/to", "the pass has run out already; give a later end".to_owned());
    }
    match terms.allowance.map(|allowance| allowance.limit) {
        Some(Limit::Entries(0) | Limit::Minutes(0)) => {
            wrong("/allowance", "nothing may be used; leave it out for no limit".to_owned());
        }
        Some(Limit::Entries(_) | Limit::Minutes(_)) | None => {}
    }
    match terms.covers {
        Covers::Share(PerMille(share)) if share > PerMille::ONE.0 => {
            wrong("/covers", format!("{share} thousandths are more than all"));
        }
        Covers::Whole | Covers::Share(_) | Covers::First(_) => {}
    }
    if faults.is_empty() { Ok(()) } else { Err(Rejection::Invalid { faults }) }
}
