//! What a gate asks: a credential, shown on one way.

use super::guest::TenantPass;
use super::needs::Needs;
use super::session::{DenyReason, Direction};
use crate::ids::{Pseudonym, Reference, ReservationId, SessionId};
use crate::time::Timestamp;

/// Who holds a scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scanner {
    /// A gate or camera.
    Device,
    /// A person of the staff.
    Staff,
    /// The driver himself, where there is no gate.
    Driver(Pseudonym),
}

/// What is shown at a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A reservation's token.
    Reservation(ReservationId),
    /// A stay's token, as printed on a ticket.
    Session(SessionId),
    /// A ticket's number, typed.
    Ticket(Reference),
    /// A plate, with those of expected vehicles that are one edit away from what was read.
    Plate {
        /// What was read.
        vehicle: Pseudonym,
        /// At most [`crate::limits::NEAR_PLATES_MAX`].
        near: Vec<Pseudonym>,
    },
    /// Nothing: somebody asks for a ticket.
    Nothing,
    /// Something that is wrong in itself; only recorded here.
    Refused(DenyReason),
}

/// A credential at a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Identity of the stay to be, if it comes to one.
    pub id: SessionId,
    /// Which gate; nothing where there is none.
    pub gate: Option<Box<str>>,
    /// Which way.
    pub direction: Direction,
    /// What was shown.
    pub credential: Credential,
    /// The plate, where another credential was shown and a camera looked as well.
    pub seen: Option<Pseudonym>,
    /// When; the time of receipt when the gate has no clock.
    pub observed_at: Option<Timestamp>,
    /// How sure the camera is.
    pub confidence_percent: Option<u8>,
    /// What a drive-in needs.
    pub needs: Needs,
    /// The tenant's name of the vehicle's type.
    pub vehicle_type: Option<Box<str>>,
    /// Who holds the scanner.
    pub by: Scanner,
    /// The vehicle is in another lot of the tenant, and may be inside once only.
    pub is_elsewhere: bool,
    /// What the tenant's passes have for the vehicle; a use is set aside for this scan.
    pub tenant_pass: Option<TenantPass>,
    /// Only to see what the answer would be.
    pub dry_run: bool,
}

impl Scan {
    /// The vehicle, when a plate was read.
    #[must_use]
    pub fn vehicle(&self) -> Option<Pseudonym> {
        match self.credential {
            Credential::Plate { vehicle, .. } => Some(vehicle),
            Credential::Reservation(_)
            | Credential::Session(_)
            | Credential::Ticket(_)
            | Credential::Nothing
            | Credential::Refused(_) => self.seen,
        }
    }

    /// Expected vehicles whose plates are one edit away from what was read.
    #[must_use]
    pub fn near(&self) -> &[Pseudonym] {
        match &self.credential {
            Credential::Plate { near, .. } => near,
            Credential::Reservation(_)
            | Credential::Session(_)
            | Credential::Ticket(_)
            | Credential::Nothing
            | Credential::Refused(_) => &[],
        }
    }
}
