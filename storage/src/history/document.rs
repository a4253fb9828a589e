//! The four kinds of documents, and which entries of the index each must have.

use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::lot::{Payment, Posting, Reservation, Session};
use uuid::Uuid;

use super::keys::{self, Key, Kind, Position, Scope};
use super::query::{Listed, scopes_of};
use super::store::Found;
use crate::format::Body;

/// A kind of document.
pub trait Document: Body {
    /// Which.
    const KIND: Kind;
    /// What finds it.
    fn entries(found: &Found<Self>, tenant: u32) -> Vec<Key>;
}

fn listed<D: Listed>(found: &Found<D>, tenant: u32) -> Vec<Key> {
    let position = found.document.position();
    let scopes = scopes_of(found.stamp.lot, tenant, &*found.document);
    scopes.iter().map(|scope| scope.entry(position)).collect()
}

impl Document for Session {
    const KIND: Kind = Kind::Session;

    fn entries(found: &Found<Self>, tenant: u32) -> Vec<Key> {
        listed(found, tenant)
    }
}

impl Document for Reservation {
    const KIND: Kind = Kind::Reservation;

    fn entries(found: &Found<Self>, tenant: u32) -> Vec<Key> {
        listed(found, tenant)
    }
}

impl Document for Payment {
    const KIND: Kind = Kind::Payment;

    fn entries(found: &Found<Self>, _: u32) -> Vec<Key> {
        let position = Position::new(found.document.created_at, found.document.id.0);
        vec![Scope::owner(Kind::Payment, found.document.about).entry(position)]
    }
}

impl Document for Posting {
    const KIND: Kind = Kind::Posting;

    fn entries(found: &Found<Self>, _: u32) -> Vec<Key> {
        let id = posting_id(found.stamp.lot, &found.document);
        let position = Position::new(found.stamp.at, id);
        vec![Scope::owner(Kind::Posting, found.document.about).entry(position)]
    }
}

pub(super) fn posting_id(lot: LotKey, posting: &Posting) -> Uuid {
    keys::posting_id(lot, posting.number)
}
