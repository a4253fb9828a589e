//! Idempotency keys and client-made ids: claimed before the send, kept by the effect, released by a refusal.
//!
//! These claims are the only thing global in a command's path. A claim travels inside the message, so
//! whoever drops the message releases it, and a caller that hangs up releases nothing that is on its way.

use std::sync::Arc;

use lotkeeper_engine::ids::{LotKey, ReservationId};
use lotkeeper_storage::{Claim, ClaimKey, ClaimOutcome};

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
    routes: DashMap<ReservationId, LotKey>,
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
    route: Option<ReservationId>,
    names: Vec<(Box<str>, Box<str>)>,
}

impl Claims {
    /// Claims a key and a new reservation's id for a lot.
    pub fn begin(
        self: &Arc<Self>,
        claim: Option<Claim>,
        route: Option<(ReservationId, LotKey)>,
    ) -> Result<Begun, CommandError> {
        let mut ticket =
            Ticket { claims: Arc::clone(self), key: None, route: None, names: Vec::new() };
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
        if let Some((id, lot)) = route {
            match self.routes.entry(id) {
                Entry::Vacant(place) => {
                    place.insert(lot);
                    ticket.route = Some(id);
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

    /// Keeps a key for good: its effect is durable.
    pub fn remember(&self, claim: Claim, remembered: Arc<Remembered>) {
        self.keys.insert(claim.key, (claim.fingerprint, State::Done(remembered)));
    }

    pub fn forget(&self, key: ClaimKey) {
        self.keys.remove(&key);
    }

    pub fn route(&self, id: ReservationId, lot: LotKey) {
        self.routes.insert(id, lot);
    }

    pub fn unroute(&self, id: ReservationId) {
        self.routes.remove(&id);
    }

    pub fn lot_of(&self, id: ReservationId) -> Option<LotKey> {
        self.routes.get(&id).map(|lot| *lot)
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

    /// The effect is durable: its id stays. A key stays by what was remembered under it; that of a command which changed
    /// nothing is free again, as there is nothing to repeat.
    pub fn keep(mut self) {
        self.route = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.claims.keys.remove_if(&key, |_, (_, state)| matches!(state, State::Pending));
        }
        if let Some(id) = self.route {
            self.claims.routes.remove(&id);
        }
        for name in &self.names {
            self.claims.names.remove(name);
        }
    }
}
