//! Idempotency keys and client-made ids: claimed before the send, kept by the effect, released by a refusal.
//!
//! These claims are the only thing global in a command's path. A claim travels inside the message, so
//! whoever drops the message releases it, and a caller that hangs up releases nothing that is on its way.

use std::sync::Arc;

use lotkeeper_engine::ids::{LotKey, Pseudonym};
use lotkeeper_storage::{Claim, ClaimKey, ClaimOutcome};
use smallvec::SmallVec;
use uuid::Uuid;

use crate::error::CommandError;
use crate::sync::{DashMap, DashSet, Entry};

#[derive(Clone)]
enum State {
    Pending,
    Done(Arc<Remembered>),
}

/// A remembered first answer.
pub(crate) struct Remembered {
    pub lot: LotKey,
    pub lot_seq: u64,
    pub outcome: ClaimOutcome,
}

#[derive(Default)]
pub(crate) struct Claims {
    keys: DashMap<ClaimKey, (u64, State)>,
    /// Ids of reservations, stays and payments: which lot has them.
    routes: DashMap<Uuid, LotKey>,
    /// Vehicles inside of the lots in which a plate is inside once in all lots of the tenant. A pseudonym
    /// belongs to one tenant.
    inside: DashMap<Pseudonym, LotKey>,
    /// Codes (in their tenant) and ids of lots that are being created; from then on the directory knows them.
    names: DashSet<(Box<str>, Box<str>)>,
}

/// What claiming a key found.
pub(crate) enum Begun {
    /// Go on; the ticket releases the claims unless the effect keeps them.
    New(Ticket),
    /// The effect is there already.
    Repeated(Arc<Remembered>),
}

/// Claims held by one command on its way.
pub(crate) struct Ticket {
    claims: Arc<Claims>,
    key: Option<ClaimKey>,
    routes: SmallVec<[Uuid; 1]>,
    vehicle: Option<Pseudonym>,
    names: Vec<(Box<str>, Box<str>)>,
}

impl Claims {
    /// Claims a key, and the ids of what is to be made in a lot.
    pub fn begin(
        self: &Arc<Self>,
        claim: Option<Claim>,
        (ids, lot): (&[Uuid], LotKey),
    ) -> Result<Begun, CommandError> {
        let mut ticket = Ticket {
            claims: Arc::clone(self),
            key: None,
            routes: SmallVec::new(),
            vehicle: None,
            names: Vec::new(),
        };
        if let Some(claim) = claim {
            match self.keys.entry(claim.key) {
                Entry::Vacant(place) => {
                    place.insert((claim.fingerprint, State::Pending));
                    ticket.key = Some(claim.key);
                }
                Entry::Occupied(place) => {
                    return match place.get() {
                        (fingerprint, _) if *fingerprint != claim.fingerprint => {
                            Err(CommandError::KeyReused)
                        }
                        (_, State::Pending) => Err(CommandError::RequestInProgress),
                        (_, State::Done(remembered)) => Ok(Begun::Repeated(Arc::clone(remembered))),
                    };
                }
            }
        }
        for id in ids {
            match self.routes.entry(*id) {
                Entry::Vacant(place) => {
                    place.insert(lot);
                    ticket.routes.push(*id);
                }
                // Taken, or on its way: the caller looks which.
                Entry::Occupied(_) => {
                    let taken = lotkeeper_engine::lot::Rejection::IdTaken;
                    return Err(CommandError::Rejected(taken));
                }
            }
        }
        Ok(Begun::New(ticket))
    }

    /// Whether a key is known, with an answer or on its way to one.
    pub fn knows(&self, key: ClaimKey) -> bool {
        self.keys.get(&key).is_some()
    }

    /// Keeps a key for good: its effect is durable.
    pub fn remember(&self, claim: Claim, remembered: Arc<Remembered>) {
        self.keys.insert(claim.key, (claim.fingerprint, State::Done(remembered)));
    }

    pub fn forget(&self, key: ClaimKey) {
        self.keys.remove(&key);
    }

    pub fn route(&self, id: Uuid, lot: LotKey) {
        self.routes.insert(id, lot);
    }

    pub fn unroute(&self, id: Uuid) {
        self.routes.remove(&id);
    }

    pub fn lot_of(&self, id: Uuid) -> Option<LotKey> {
        self.routes.get(&id).map(|lot| *lot)
    }

    /// A vehicle came into a lot in which plates are inside once in all lots of the tenant.
    pub fn came_in(&self, vehicle: Pseudonym, lot: LotKey) {
        self.inside.insert(vehicle, lot);
    }

    /// It is no longer in that lot.
    pub fn went_out(&self, vehicle: Pseudonym, lot: LotKey) {
        self.inside.remove_if(&vehicle, |_, inside| *inside == lot);
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }
}

impl Ticket {
    /// Claims a name of a lot that is being created, until the lot is in the directory.
    pub fn claim_name(&mut self, scope: &str, name: &str) -> Result<(), CommandError> {
        let claimed = (Box::from(scope), Box::from(name));
        if !self.claims.names.insert(claimed.clone()) {
            return Err(CommandError::RequestInProgress);
        }
        self.names.push(claimed);
        Ok(())
    }

    /// Claims a vehicle that wants into a lot; `false` when it is in another lot, or on its way into one.
    pub fn claim_vehicle(&mut self, vehicle: Pseudonym, lot: LotKey) -> bool {
        match self.claims.inside.entry(vehicle) {
            Entry::Vacant(place) => {
                place.insert(lot);
                self.vehicle = Some(vehicle);
                true
            }
            Entry::Occupied(inside) => *inside.get() == lot,
        }
    }

    /// The effect is durable: the ids of what was made stay, and so does a vehicle that came in. A key stays by
    /// what was remembered under it; that of a command which changed nothing is free again, as there is nothing to
    /// repeat.
    pub fn keep(mut self, was_made: impl Fn(Uuid) -> bool, came_in: impl Fn(Pseudonym) -> bool) {
        self.routes.retain(|id| !was_made(*id));
        self.vehicle = self.vehicle.filter(|vehicle| !came_in(*vehicle));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.claims.keys.remove_if(&key, |_, (_, state)| matches!(state, State::Pending));
        }
        for id in &self.routes {
            self.claims.routes.remove(id);
        }
        if let Some(vehicle) = self.vehicle {
            self.claims.inside.remove(&vehicle);
        }
        for name in &self.names {
            self.claims.names.remove(name);
        }
    }
}
