//! Scans: a credential at a gate, judged in one decision.
//!
//! The answer to a scan is open or deny, never an error: what is wrong with the credential is what the person
//! at the gate must be told. A denial is recorded as an opening is, so that the gate's story is whole.
//! A scan tried without effect (`dry_run`) is judged the same and records nothing.
//!
//! Absent: reading tokens and plates (the outside brings ids and pseudonyms), the way out (`exit.rs`).

use std::sync::Arc;

use smallvec::smallvec;

use super::reservation::moved;
use super::{Events, Granted, exit};
use crate::ids::{Pseudonym, ReservationId, SessionId, SlotIndex};
use crate::limits;
use crate::lot::session::{
    Denied, DenyReason, Direction, Entered, OpenReason, Origin, Scanned, Session, Verdict,
};
use crate::lot::{
    Bays, Credential, Event, Lot, Outcome, Owner, Proof, Rejection, Reservation, Scan, Scanner,
    State, Terms, session,
};
use crate::money::Amount;
use crate::spec::{Kind, Settlement};
use crate::time::{Seconds, Timestamp, Window};

/// A scan being judged: the question with what was settled before it.
pub(super) struct Judge<'a> {
    pub lot: &'a Lot,
    pub scan: &'a Scan,
    /// When the vehicle was at the gate.
    pub at: Timestamp,
    pub now: Timestamp,
    pub bays: &'a dyn Bays,
}

/// What a scan comes to.
pub(super) struct Judged {
    pub events: Events,
    pub scanned: Scanned,
}

/// Why somebody is not let through, and what that is about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct About {
    pub reservation: Option<ReservationId>,
    pub session: Option<SessionId>,
    pub due: Option<Amount>,
    pub not_before: Option<Timestamp>,
}

impl From<&Reservation> for About {
    fn from(reservation: &Reservation) -> Self {
        Self { reservation: Some(reservation.id), ..Self::default() }
    }
}

impl From<&Session> for About {
    fn from(session: &Session) -> Self {
        Self { session: Some(session.id), ..Self::default() }
    }
}

pub(super) fn scan(lot: &Lot, scan: &Scan, now: Timestamp, bays: &dyn Bays) -> Granted {
    let at = seen_at(lot, scan, now)?;
    if scan.direction == Direction::Entry && is_known(lot, scan.id) {
        return Err(Rejection::IdTaken);
    }
    let judge = Judge { lot, scan, at, now, bays };
    let Judged { mut events, scanned } = match scan.direction {
        _ if judge.is_badly_read() => judge.deny(DenyReason::ConfidenceTooLow, About::default()),
        Direction::Entry if scan.is_elsewhere => {
            judge.deny(DenyReason::PlateElsewhere, About::default())
        }
        Direction::Entry => judge.entry(),
        Direction::Exit => exit::exit(&judge),
    };
    if scan.dry_run {
        events.clear();
    }
    Ok((events, Outcome::Scanned(scanned)))
}

/// Its id is taken, or what is read out of it is.
fn is_known(lot: &Lot, id: SessionId) -> bool {
    lot.stays().get(id).is_some()
        || lot.stays().of_reference(crate::ids::Reference::of(id.0)).is_some()
}

/// A gate that was cut off tells later what it saw; one whose clock is wrong is told so.
fn seen_at(lot: &Lot, scan: &Scan, now: Timestamp) -> Result<Timestamp, Rejection> {
    let Some(observed_at) = scan.observed_at else { return Ok(now) };
    if observed_at > now.plus(lot.spec.rules.skew) {
        return Err(Rejection::InFuture { ahead_micros: observed_at.micros_since(now) });
    }
    if observed_at < now.minus(Seconds(limits::SCAN_LATE_SECONDS_MAX)) {
        return Err(Rejection::TooLongAgo { ago_micros: now.micros_since(observed_at) });
    }
    Ok(observed_at.min(now))
}

impl Judge<'_> {
    fn entry(&self) -> Judged {
        match &self.scan.credential {
            Credential::Refused(reason) => self.deny(*reason, About::default()),
            Credential::Reservation(id) => match self.lot.reservation(*id) {
                Some(reservation) => self.reserved(reservation),
                None => self.deny(DenyReason::CredentialUnknown, About::default()),
            },
            Credential::Session(id) => self.ticket_again(self.lot.stays().get(*id)),
            Credential::Ticket(reference) => {
                self.ticket_again(self.lot.stays().of_reference(*reference))
            }
            Credential::Plate { .. } => self.plate(),
            Credential::Nothing => self.ticket(),
        }
    }

    /// A ticket opens no gate inwards: it was given at one.
    fn ticket_again(&self, session: Option<&Arc<Session>>) -> Judged {
        match session {
            None => self.deny(DenyReason::CredentialUnknown, About::default()),
            Some(session) if session.state.is_inside() => {
                self.deny(DenyReason::AlreadyInside, (&**session).into())
            }
            Some(session) => self.deny(DenyReason::AlreadyUsed, (&**session).into()),
        }
    }

    /// Somebody asks for a ticket. Whom a camera sees inside already gets no second one.
    fn ticket(&self) -> Judged {
        let inside = self.scan.vehicle().and_then(|vehicle| self.lot.stays().of_vehicle(vehicle));
        inside.map_or_else(|| self.drive_in(), |session| self.inside_already(session))
    }

    /// Read by a camera that is less sure than the lot asks for. What staff type is taken as it is.
    fn is_badly_read(&self) -> bool {
        let floor = self.lot.spec.rules.confidence_min_percent;
        matches!(self.scan.credential, Credential::Plate { .. })
            && self.scan.confidence_percent.is_some_and(|percent| percent < floor)
    }

    fn plate(&self) -> Judged {
        let Some(read) = self.scan.vehicle() else { return self.drive_in() };
        if let Some(session) = self.lot.stays().of_vehicle(read) {
            return self.inside_already(session);
        }
        let near = self.scan.near().iter().copied();
        let candidates = core::iter::once(read).chain(near.filter(|_| self.allows_near()));
        let mut first_denied = None;
        for vehicle in candidates {
            if vehicle != read
                && let Some(session) = self.lot.stays().of_vehicle(vehicle)
                && self.is_same_visit(session)
            {
                return self.inside_already(session);
            }
            for reservation in self.reservations_of(vehicle) {
                // A near plate counts as the expected one: it is that vehicle that comes in.
                match self.judge_reserved(reservation, Some(vehicle)) {
                    Ok(judged) => return judged,
                    Err(denied) => first_denied = first_denied.or(Some(denied)),
                }
            }
        }
        if let Some(judged) = self.by_pass(read) {
            return judged;
        }
        if self.lot.spec.rules.drive_in {
            return self.drive_in();
        }
        match first_denied {
            Some((reason, about)) => self.deny(reason, about),
            None => self.deny(DenyReason::NotEntitled, About::default()),
        }
    }

    fn allows_near(&self) -> bool {
        self.lot.spec.rules.fuzzy_plates
    }

    /// Promises for a vehicle that may still be used, the one that begins first, first.
    fn reservations_of(&self, vehicle: Pseudonym) -> Vec<&Arc<Reservation>> {
        let mut found: Vec<_> = self
            .lot
            .index
            .reservations_of(vehicle)
            .filter_map(|id| self.lot.reservation(id))
            .collect();
        found.sort_by_key(|reservation| (reservation.window.from, reservation.id));
        found
    }

    /// Cameras read a waiting car again and again: that is one visit.
    fn is_same_visit(&self, session: &Session) -> bool {
        session.entry_gate == self.scan.gate
            && self.at < session.entered_at.plus(self.lot.spec.rules.repeat_window)
    }

    fn inside_already(&self, session: &Session) -> Judged {
        if self.is_same_visit(session) {
            return repeated(session);
        }
        self.deny(DenyReason::PlateInside, session.into())
    }

    fn reserved(&self, reservation: &Reservation) -> Judged {
        let vehicle = self.scan.vehicle().or(reservation.vehicle);
        self.judge_reserved(reservation, vehicle)
            .unwrap_or_else(|(reason, about)| self.deny(reason, about))
    }

    /// Lets in whoever has reserved, or says why not.
    fn judge_reserved(
        &self,
        reservation: &Reservation,
        vehicle: Option<Pseudonym>,
    ) -> Result<Judged, (DenyReason, About)> {
        let no = |reason| Err((reason, About::from(reservation)));
        if let Some(session) = self.lot.stays().of_reservation(reservation.id) {
            let reason = if session.state.is_inside() {
                DenyReason::AlreadyInside
            } else {
                DenyReason::AlreadyUsed
            };
            let about = About { session: Some(session.id), ..reservation.into() };
            return Err((reason, about));
        }
        match reservation.state {
            State::Confirmed | State::CheckedIn { .. } => {}
            State::Held { .. } => return no(DenyReason::NotConfirmed),
            State::Cancelled => return no(DenyReason::Cancelled),
            State::Expired => return no(DenyReason::HoldExpired),
            State::Completed | State::NoShow => return no(DenyReason::TooLate),
        }
        let opens = reservation.window.from.minus(self.lot.spec.rules.early_entry);
        if self.at < opens {
            let about = About { not_before: Some(opens), ..reservation.into() };
            return Err((DenyReason::TooEarly, about));
        }
        if self.at >= reservation.window.to {
            return no(DenyReason::TooLate);
        }
        if let Some(session) = vehicle.and_then(|vehicle| self.lot.stays().of_vehicle(vehicle)) {
            let about = About { session: Some(session.id), ..reservation.into() };
            return Err((DenyReason::PlateInside, about));
        }
        if self.lot.spec.rules.settlement == Settlement::Before && !self.is_paid(reservation) {
            return no(DenyReason::PaymentRequired);
        }
        let Some(place) = self.place_for(reservation) else {
            // Somebody stands there still, or has it until then, and there is no other like it.
            let begins = reservation.window.from;
            let not_before = Some(begins).filter(|begins| self.now < *begins);
            return Err((DenyReason::LotFull, About { not_before, ..reservation.into() }));
        };
        Ok(self.let_in_reserved(reservation, vehicle, &place))
    }

    /// Whether the price is paid or promised.
    fn is_paid(&self, reservation: &Reservation) -> bool {
        let promised = self.lot.payments().promised_for(Owner::Reservation(reservation.id));
        self.lot.owed_for(reservation) <= promised
    }

    /// Where who reserved is to stand: his slot, from now on; another like it when a vehicle is bound to
    /// his, or when somebody else has it until he would be due.
    fn place_for(&self, reservation: &Reservation) -> Option<Place> {
        let window =
            Window { from: self.now.min(reservation.window.from), to: reservation.window.to };
        let early = Window { from: window.from, to: reservation.window.from };
        let own = self.lot.promise(reservation.slot)?;
        let is_open = early.from >= early.to
            || own.timeline.clash(early, Some(reservation.id.into())).is_none();
        if is_open && self.lot.stays().at_slot(reservation.slot).is_none() {
            let claim = (early.from < early.to).then_some(early);
            return Some(Place { slot: reservation.slot, claim, moved: false });
        }
        let needs = self.lot.needs_of(reservation.slot)?;
        let slot = self.find(&needs, window)?;
        let claim = (early.from < early.to).then_some(early);
        Some(Place { slot, claim, moved: true })
    }

    fn find(&self, needs: &crate::lot::Needs, window: Window) -> Option<SlotIndex> {
        let taken = |slot| {
            self.bays.occupied(slot) == Some(true) || self.lot.stays().at_slot(slot).is_some()
        };
        let (openings, probes) = (&self.lot.index.openings, limits::EMPTY_BAY_PROBES_MAX);
        let is_bound = |slot: &SlotIndex| self.lot.stays().at_slot(*slot).is_some();
        let found = openings.find(needs, window, probes, taken)?;
        // The best of many that are taken may have a stay bound to it, and another only a car that nobody knows.
        if is_bound(&found) {
            return openings.all(needs, window).find(|slot| !is_bound(slot));
        }
        Some(found)
    }

    fn let_in_reserved(
        &self,
        reservation: &Reservation,
        vehicle: Option<Pseudonym>,
        place: &Place,
    ) -> Judged {
        let id = reservation.id;
        let mut events = Events::new();
        if place.moved {
            let window = reservation.window;
            moved(self.lot, reservation, place.slot, window, self.now, &mut events);
        }
        if !matches!(reservation.state, State::CheckedIn { .. }) {
            events.push(Event::CheckedIn { id, proof: self.scan.by.proof() });
        }
        let price = reservation.price.as_ref();
        self.count_in(&mut events);
        let terms =
            price.map_or_else(|| self.terms(Some(place.slot)), |price| (*price.terms).clone());
        events.push(Event::Session(session::Event::Entered(Box::new(Entered {
            id: self.scan.id,
            origin: Origin::Reservation(id),
            vehicle,
            holder: Some(reservation.holder),
            slot: Some(place.slot),
            claim: place.claim,
            booked: Some(reservation.window),
            at: self.at,
            gate: self.scan.gate.clone(),
            terms,
        }))));
        judged(events)
    }

    /// Whether nobody comes in who was promised nothing. Staff who work a gate by hand decide that themselves.
    pub(super) fn is_closed(&self) -> bool {
        !matches!(self.scan.by, Scanner::Staff) && !self.lot.is_open_at(self.at)
    }

    pub(super) fn closed(&self) -> Judged {
        let not_before = self.lot.opens_from(self.at);
        self.deny(DenyReason::LotClosed, About { not_before, ..About::default() })
    }

    /// Somebody without a reservation: a slot where there are slots, a ticket in any case.
    fn drive_in(&self) -> Judged {
        let rules = &self.lot.spec.rules;
        if !rules.drive_in {
            return self.deny(DenyReason::NotEntitled, About::default());
        }
        if self.is_closed() {
            return self.closed();
        }
        let Some(place) = self.room() else {
            return self.deny(DenyReason::LotFull, About::default());
        };
        let origin = match self.scan.by {
            Scanner::Staff => Origin::Manual,
            Scanner::Device | Scanner::Driver(_) => Origin::DriveIn,
        };
        self.let_in(origin, place)
    }

    /// Where somebody is to stand who has not reserved: a slot where there are slots; nothing when it is full.
    pub(super) fn room(&self) -> Option<Option<(SlotIndex, Window)>> {
        match self.lot.spec.kind {
            Kind::Bayed => {
                let stay = self.lot.spec.rules.drive_in_stay;
                let window = Window { from: self.now, to: self.now.plus(stay) };
                self.find(&self.scan.needs, window).map(|slot| Some((slot, window)))
            }
            Kind::Counted => (!self.is_full()).then_some(None),
        }
    }

    /// Lets in somebody who has not reserved.
    fn let_in(&self, origin: Origin, place: Option<(SlotIndex, Window)>) -> Judged {
        let slot = place.map(|(slot, _)| slot);
        self.enter(origin, place, (self.scan.by.driver(), self.terms(slot)))
    }

    pub(super) fn enter(
        &self,
        origin: Origin,
        place: Option<(SlotIndex, Window)>,
        (holder, terms): (Option<Pseudonym>, Terms),
    ) -> Judged {
        let entered = Entered {
            id: self.scan.id,
            origin,
            vehicle: self.scan.vehicle(),
            holder,
            slot: place.map(|(slot, _)| slot),
            claim: place.map(|(_, window)| window),
            booked: None,
            at: self.at,
            gate: self.scan.gate.clone(),
            terms,
        };
        let mut events = Events::new();
        self.count_in(&mut events);
        events.push(Event::Session(session::Event::Entered(Box::new(entered))));
        judged(events)
    }

    /// The count and the stays both know how many are in; the larger one is believed.
    fn is_full(&self) -> bool {
        let counted = usize::try_from(self.lot.count_state().occupied).unwrap_or_default();
        counted.max(self.lot.stays().inside_count()) >= self.lot.spec.capacity as usize
    }

    pub(super) fn terms(&self, slot: Option<SlotIndex>) -> Terms {
        let vehicle_type = self.scan.vehicle_type.as_deref();
        self.lot.terms(slot, vehicle_type, self.at, self.bays.occupancy())
    }

    /// Where gates are the counters, who is let in is counted in the same decision.
    fn count_in(&self, events: &mut Events) {
        super::count::passed(self.lot, Direction::Entry, self.at, events);
    }

    pub(super) fn deny(&self, reason: DenyReason, about: About) -> Judged {
        let About { reservation, session, due, not_before } = about;
        let denied = Denied {
            gate: self.scan.gate.clone(),
            direction: self.scan.direction,
            reason,
            vehicle: self.scan.vehicle(),
            reservation,
            session,
            due,
            not_before,
        };
        judged(smallvec![Event::Session(session::Event::Denied(Box::new(denied)))])
    }
}

/// Where a vehicle is to stand.
struct Place {
    slot: SlotIndex,
    /// What it has of the slot until its reservation begins.
    claim: Option<Window>,
    /// Not the slot that was promised.
    moved: bool,
}

/// The last event says what the gate answers: so a retry is answered from the log as the first time.
pub(super) fn judged(events: Events) -> Judged {
    let answer = match events.last() {
        Some(Event::Session(event)) => event.answer(),
        Some(_) | None => None,
    };
    let unknown = Scanned {
        verdict: Verdict::Deny(DenyReason::CredentialUnknown),
        session: None,
        reservation: None,
        due: None,
        not_before: None,
    };
    Judged { events, scanned: answer.unwrap_or(unknown) }
}

/// The gate is open, or was a moment ago: nothing happens a second time.
pub(super) fn repeated(session: &Session) -> Judged {
    let scanned = Scanned {
        verdict: Verdict::Open(OpenReason::Repeated),
        session: Some(session.id),
        reservation: session.reservation(),
        due: None,
        not_before: None,
    };
    Judged { events: Events::new(), scanned }
}

impl Scanner {
    /// How an arrival is known that this one tells of.
    fn proof(self) -> Proof {
        match self {
            Self::Device => Proof::Scanned,
            Self::Staff => Proof::Staff,
            Self::Driver(_) => Proof::Driver,
        }
    }

    /// The person who scans himself in.
    fn driver(self) -> Option<Pseudonym> {
        match self {
            Self::Driver(driver) => Some(driver),
            Self::Device | Self::Staff => None,
        }
    }
}
