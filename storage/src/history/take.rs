//! Taking records in: what a page of the log makes of the documents, as one batch.
//!
//! Documents are changed in memory first, so that a reservation that is made and confirmed in one page is written
//! once; entries of the index are written where they differ.

use std::collections::BTreeMap;
use std::sync::Arc;

use lotkeeper_engine::ids::{LotKey, ReservationId, SessionId};
use lotkeeper_engine::lot::{self, LotParts, Payment, Posting, Reservation, Session, session};
use uuid::Uuid;

use super::document::{Document, posting_id};
use super::fold;
use super::meta::{Mark, Meta};
use super::store::{Base, Found};
use super::tree::Batch;
use crate::error::JournalError;
use crate::format::{LotFacts, Stamp};
use crate::record::{Event, Record};

/// What a document was and what it is.
type Change<D> = (Option<Found<D>>, Option<Found<D>>);

/// Documents that change.
type Changes<D> = BTreeMap<Uuid, Change<D>>;

/// What is known of a lot whose creation has been pruned.
pub type Facts<'a> = &'a dyn Fn(LotKey) -> Option<LotFacts>;

/// A batch that is being made.
pub(super) struct Turn<'a> {
    base: &'a Base,
    facts: Facts<'a>,
    meta: Meta,
    batch: Batch,
    tenants: BTreeMap<Box<str>, u32>,
    lots: BTreeMap<LotKey, (u32, LotFacts)>,
    reservations: Changes<Reservation>,
    sessions: Changes<Session>,
    /// Stays of reservations that came in in this batch.
    entered: BTreeMap<ReservationId, Vec<SessionId>>,
    payments: Changes<Payment>,
    postings: Changes<Posting>,
}

impl<'a> Turn<'a> {
    pub fn new(base: &'a Base, meta: Meta, facts: Facts<'a>) -> Self {
        Self {
            base,
            facts,
            meta,
            batch: Batch::default(),
            tenants: BTreeMap::new(),
            lots: BTreeMap::new(),
            reservations: Changes::new(),
            sessions: Changes::new(),
            entered: BTreeMap::new(),
            payments: Changes::new(),
            postings: Changes::new(),
        }
    }

    /// What one record makes of the documents.
    pub fn take(&mut self, record: &Record) -> Result<(), JournalError> {
        self.meta.applied_seq = record.seq;
        (self.meta.mark_seq, self.meta.mark) = (record.seq, Mark::of(record));
        let Event::Lot(event) = &record.event else { return Ok(()) };
        match event {
            lot::Event::Created(spec) => {
                let facts = LotFacts { tenant: spec.tenant.clone(), rules: spec.rules };
                self.know(record.lot, facts)
            }
            lot::Event::Changed(values) => {
                let Some((_, facts)) = self.lot(record.lot)? else { return Ok(()) };
                self.know(record.lot, LotFacts { rules: values.rules, ..facts })
            }
            _ if !super::keeps(&record.event) => Ok(()),
            _ => self.change(record, event),
        }
    }

    fn change(&mut self, record: &Record, event: &lot::Event) -> Result<(), JournalError> {
        let Some((_, LotFacts { rules, .. })) = self.lot(record.lot)? else { return Ok(()) };
        let base = self.base;
        match event {
            lot::Event::Session(event) => {
                let Some(id) = event.session() else { return Ok(()) };
                if let session::Event::Entered(entered) = event
                    && let session::Origin::Reservation(reservation) = entered.origin
                {
                    self.entered.entry(reservation).or_default().push(id);
                }
                step(base, &mut self.sessions, id.0, record, |known| {
                    fold::session(known, event, &rules, record.at)
                })
            }
            lot::Event::Payment(event) => {
                step(base, &mut self.payments, event.id().0, record, |known| {
                    fold::payment(known, event, &rules, record.at)
                })
            }
            lot::Event::Posted(posting) => {
                let id = posting_id(record.lot, posting);
                step(base, &mut self.postings, id, record, |_| Some(Arc::new((**posting).clone())))
            }
            event => {
                let Some(id) = fold::reservation_of(event) else { return Ok(()) };
                let asks = fold::moves_its_stay(event);
                let stay = if asks { self.inside_of(record.lot, id)? } else { None };
                let mut moved = None;
                step(base, &mut self.reservations, id.0, record, |known| {
                    let (after, stay) = fold::reservation(known, stay, event, &rules, record.at)?;
                    moved = stay;
                    Some(after)
                })?;
                let Some(moved) = moved else { return Ok(()) };
                step(base, &mut self.sessions, moved.id.0, record, |_| Some(moved))
            }
        }
    }

    /// The stay inside that came of a reservation: the one that moved last, as the lot itself looks it up.
    fn inside_of(
        &mut self,
        lot: LotKey,
        id: ReservationId,
    ) -> Result<Option<Arc<Session>>, JournalError> {
        let before = self.base.stays_of(id)?.into_iter().map(|found| found.document.id);
        let entered = self.entered.get(&id).into_iter().flatten().copied();
        let mut last = None;
        for stay in before.chain(entered) {
            // What this batch has made of it counts.
            let (_, now) = change_of(self.base, &mut self.sessions, stay.0)?;
            let here = now.as_ref().filter(|now| now.stamp.lot == lot);
            last = last.max(here.map(|now| (now.stamp.lot_seq, stay)));
        }
        let Some((_, stay)) = last else { return Ok(None) };
        let (_, now) = change_of(self.base, &mut self.sessions, stay.0)?;
        let stay = now.as_ref().map(|now| &now.document).filter(|stay| stay.state.is_inside());
        Ok(stay.cloned())
    }

    /// Takes over what a lot remembers and the history has missed. `stamp` is where the lot stands.
    pub fn adopt(&mut self, parts: &LotParts, stamp: Stamp) -> Result<(), JournalError> {
        if self.lot(stamp.lot)?.is_none() {
            return Ok(());
        }
        for reservation in &parts.reservations {
            let version = |one: &Reservation| one.version;
            renew(
                self.base,
                &mut self.reservations,
                reservation.id.0,
                (reservation, stamp),
                version,
            )?;
        }
        for session in &parts.sessions {
            let version = |one: &Session| one.version;
            renew(self.base, &mut self.sessions, session.id.0, (session, stamp), version)?;
        }
        for payment in &parts.payments {
            let version = |one: &Payment| one.version;
            renew(self.base, &mut self.payments, payment.id.0, (payment, stamp), version)?;
        }
        Ok(())
    }

    /// Writes all of it; the history goes up to `applied_seq` then.
    pub fn finish(mut self, applied_seq: u64) -> Result<Meta, JournalError> {
        self.meta.applied_seq = self.meta.applied_seq.max(applied_seq);
        for (name, number) in &self.tenants {
            Base::put_tenant(name, *number, &mut self.batch);
        }
        let (reservations, sessions) = (take(&mut self.reservations), take(&mut self.sessions));
        let (payments, postings) = (take(&mut self.payments), take(&mut self.postings));
        self.write(reservations)?;
        self.write(sessions)?;
        self.write(payments)?;
        self.write(postings)?;
        Base::put_meta(&self.meta, &mut self.batch);
        self.base.tree().take(self.batch);
        Ok(self.meta)
    }

    fn write<D: Document>(&mut self, changes: Changes<D>) -> Result<(), JournalError> {
        for (id, (before, after)) in changes {
            let Some(after) = after.filter(|after| before.as_ref().is_none_or(|b| !same(b, after)))
            else {
                continue;
            };
            let mut entries = |found: &Found<D>| -> Result<Vec<_>, JournalError> {
                let tenant = self.lot(found.stamp.lot)?.map_or(0, |(tenant, _)| tenant);
                Ok(D::entries(found, tenant))
            };
            // A handful each: looked through faster than anything that orders them.
            let mut old = before.as_ref().map(&mut entries).transpose()?.unwrap_or_default();
            let mut new = entries(&after)?;
            new.retain(|key| match old.iter().position(|known| known == key) {
                Some(place) => {
                    old.swap_remove(place);
                    false
                }
                None => true,
            });
            old.into_iter().for_each(|key| self.batch.remove(key));
            new.into_iter().for_each(|key| self.batch.insert(key, Vec::new()));
            self.meta.documents += u64::from(before.is_none());
            self.base.put_document(id, &after, &mut self.batch)?;
        }
        Ok(())
    }

    fn lot(&mut self, lot: LotKey) -> Result<Option<(u32, LotFacts)>, JournalError> {
        if let Some(known) = self.lots.get(&lot) {
            return Ok(Some(known.clone()));
        }
        if let Some(known) = self.base.lot(lot)? {
            self.lots.insert(lot, known.clone());
            return Ok(Some(known));
        }
        // Its creation has been pruned: whoever runs the lots knows whose it is.
        let Some(facts) = (self.facts)(lot) else { return Ok(None) };
        self.know(lot, facts)?;
        Ok(self.lots.get(&lot).cloned())
    }

    fn know(&mut self, lot: LotKey, facts: LotFacts) -> Result<(), JournalError> {
        let tenant = match self.tenants.get(&facts.tenant) {
            Some(number) => *number,
            None => match self.base.tenant(&facts.tenant)? {
                Some(number) => number,
                None => {
                    self.meta.tenants += 1;
                    self.tenants.insert(facts.tenant.clone(), self.meta.tenants);
                    self.meta.tenants
                }
            },
        };
        self.base.put_lot(lot, &facts, &mut self.batch)?;
        self.lots.insert(lot, (tenant, facts));
        Ok(())
    }
}

fn take<T: Default>(value: &mut T) -> T {
    std::mem::take(value)
}

fn same<D>(one: &Found<D>, other: &Found<D>) -> bool {
    Arc::ptr_eq(&one.document, &other.document)
}

/// The change of a document, read when it is the first one of the batch.
fn change_of<'c, D: Document>(
    base: &Base,
    changes: &'c mut Changes<D>,
    id: Uuid,
) -> Result<&'c mut Change<D>, JournalError> {
    use std::collections::btree_map::Entry;
    Ok(match changes.entry(id) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(vacant) => {
            let known = base.document(id)?;
            vacant.insert((known.clone(), known))
        }
    })
}

fn step<D: Document>(
    base: &Base,
    changes: &mut Changes<D>,
    id: Uuid,
    record: &Record,
    fold: impl FnOnce(Option<&Arc<D>>) -> Option<Arc<D>>,
) -> Result<(), JournalError> {
    let (_, now) = change_of(base, changes, id)?;
    if let Some(document) = fold(now.as_ref().map(|found| &found.document)) {
        let stamp = Stamp { lot: record.lot, lot_seq: record.lot_seq, at: record.at };
        *now = Some(Found { stamp, document });
    }
    Ok(())
}

fn renew<D: Document>(
    base: &Base,
    changes: &mut Changes<D>,
    id: Uuid,
    (document, stamp): (&Arc<D>, Stamp),
    version: impl Fn(&D) -> u32,
) -> Result<(), JournalError> {
    let (_, now) = change_of(base, changes, id)?;
    if now.as_ref().is_none_or(|now| version(&now.document) < version(document)) {
        *now = Some(Found { stamp, document: Arc::clone(document) });
    }
    Ok(())
}
