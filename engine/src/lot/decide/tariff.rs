//! Tariffs of a lot: new versions, their end, and where they apply.
//!
//! A version never changes: what was promised under it binds. A change makes the next version.

use std::sync::Arc;

use super::{Events, Granted};
use crate::lot::{Event, Lot, Outcome, Rejection, TariffChange};
use crate::tariff::{Assignment, Book, Scope, Tariff};
use crate::time::Timestamp;

pub(super) fn change(lot: &Lot, changes: &[TariffChange]) -> Granted {
    let mut book = lot.tariffs().clone();
    let mut events = Events::new();
    for change in changes {
        let change = match change {
            TariffChange::Put(tariff) => match next_version(&book, tariff)? {
                Some(tariff) => TariffChange::Put(tariff),
                None => continue,
            },
            TariffChange::Assign(assignment) => {
                check_scope(lot, assignment)?;
                book.check(None, Some(assignment))?;
                if book.assignments().any(|other| other == assignment) {
                    continue;
                }
                change.clone()
            }
            TariffChange::Unassign(assignment) => {
                if !book.assignments().any(|other| other == assignment) {
                    continue;
                }
                change.clone()
            }
            TariffChange::End { id, at } => {
                if book.latest(*id).is_none() {
                    return Err(crate::tariff::Refused::Unknown(*id).into());
                }
                let has_ended = |until: Timestamp| until <= *at;
                if book.versions(*id).all(|tariff| tariff.valid_until.is_some_and(has_ended)) {
                    continue;
                }
                change.clone()
            }
        };
        apply(&mut book, &change);
        events.push(Event::TariffsChanged(Box::new(change)));
    }
    Ok((events, Outcome::Tariffs))
}

pub(in crate::lot) fn apply(book: &mut Book, change: &TariffChange) {
    match change {
        TariffChange::Put(tariff) => book.put(Arc::clone(tariff)),
        TariffChange::End { id, at } => book.end(*id, *at),
        TariffChange::Assign(assignment) => book.assign(assignment.clone()),
        TariffChange::Unassign(assignment) => {
            book.unassign(assignment);
        }
    }
}

/// The tariff under the next number; nothing when the newest version says the same already.
fn next_version(book: &Book, tariff: &Tariff) -> Result<Option<Arc<Tariff>>, Rejection> {
    let faults = tariff.faults();
    if !faults.is_empty() {
        return Err(Rejection::Invalid { faults });
    }
    let newest = book.latest(tariff.id);
    let version = newest.map_or(1, |newest| newest.version.saturating_add(1));
    let next = Tariff { version, ..tariff.clone() };
    if newest.is_some_and(|newest| Tariff { version, ..(**newest).clone() } == next) {
        return Ok(None);
    }
    book.check(Some(&next), None)?;
    Ok(Some(Arc::new(next)))
}

fn check_scope(lot: &Lot, assignment: &Assignment) -> Result<(), Rejection> {
    let spec = lot.spec();
    match assignment.scope {
        Scope::Slot(slot) if spec.slot(slot).is_none() => Err(Rejection::SlotNotFound),
        Scope::Zone(zone) if spec.zones.get(zone.at()).is_none() => {
            let detail = format!("zone {} of {}; name one of them", zone.0, spec.zones.len());
            let pointer = "/assignments".to_owned();
            Err(Rejection::Invalid { faults: vec![crate::spec::Fault { pointer, detail }] })
        }
        Scope::Slot(_) | Scope::Zone(_) | Scope::Lot | Scope::Tenant => Ok(()),
    }
}
