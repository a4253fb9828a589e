//! What a gate must answer, and what a stay costs: the tables of `docs/api.md` as questions to plain lists.
//!
//! Which of several slots a vehicle is given is the engine's choice, and judged here. What it costs: `bill.rs`.

use lotkeeper_engine::ids::{Pseudonym, ReservationId, SlotIndex};
use lotkeeper_engine::limits;
use lotkeeper_engine::lot::session::{DenyReason, Direction, Entered, OpenReason, Origin, Verdict};
use lotkeeper_engine::lot::{
    Credential, Event, Needs, Owner, Rejection, Scan, Service, Session, State, session,
};
use lotkeeper_engine::spec::{Kind, Settlement};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};

use super::lot::{Booking, LotModel};
use super::passes;

/// A scan at an instant, and what the engine made of it.
pub struct Scanned<'a> {
    /// What is known.
    pub lot: &'a LotModel,
    /// The scan.
    pub scan: &'a Scan,
    /// When it is judged.
    pub now: Timestamp,
    /// What happened beside what was overdue.
    pub events: &'a [Event],
}

use DenyReason as No;
use OpenReason as Yes;

fn no(reason: DenyReason) -> Verdict {
    Verdict::Deny(reason)
}

impl Scanned<'_> {
    /// What the gate must say.
    ///
    /// # Errors
    /// The engine's choice of a slot cannot be right, and why.
    pub fn verdict(&self) -> Result<Result<Verdict, Rejection>, String> {
        let (scan, rules) = (self.scan, &self.lot.spec.rules);
        let told = scan.observed_at.map_or(0, |at| at.micros_since(self.now));
        if told > rules.skew.micros() {
            return Ok(Err(Rejection::InFuture { ahead_micros: told }));
        }
        if -told > Seconds(limits::SCAN_LATE_SECONDS_MAX).micros() {
            return Ok(Err(Rejection::TooLongAgo { ago_micros: -told }));
        }
        let enters = scan.direction == Direction::Entry;
        let by_plate = matches!(scan.credential, Credential::Plate { .. });
        let floor = rules.confidence_min_percent;
        if enters && self.lot.life.stays.contains_key(&scan.id) {
            return Ok(Err(Rejection::IdTaken));
        }
        if by_plate && scan.confidence_percent.is_some_and(|sure| sure < floor) {
            return Ok(Ok(no(No::ConfidenceTooLow)));
        }
        match enters {
            true if scan.is_elsewhere => Ok(Ok(no(No::PlateElsewhere))),
            true => self.entry().map(Ok),
            false => Ok(Ok(self.exit())),
        }
    }

    fn at(&self) -> Timestamp {
        self.scan.observed_at.unwrap_or(self.now).min(self.now)
    }

    fn vehicle(&self) -> Option<Pseudonym> {
        match &self.scan.credential {
            Credential::Plate { vehicle, .. } => Some(*vehicle),
            _ => self.scan.seen,
        }
    }

    fn near(&self) -> &[Pseudonym] {
        match &self.scan.credential {
            Credential::Plate { near, .. } if self.lot.spec.rules.fuzzy_plates => near,
            _ => &[],
        }
    }

    fn by_ticket(&self) -> Option<&Session> {
        self.lot.life.stays.values().find(|stay| match &self.scan.credential {
            Credential::Session(id) => stay.id == *id,
            Credential::Ticket(reference) => stay.reference() == *reference,
            _ => false,
        })
    }

    fn entry(&self) -> Result<Verdict, String> {
        let life = &self.lot.life;
        match &self.scan.credential {
            Credential::Refused(reason) => Ok(no(*reason)),
            Credential::Reservation(id) => match self.lot.bookings.get(id) {
                None => Ok(no(No::CredentialUnknown)),
                Some(booking) => self.reserved(*id, booking, self.vehicle().or(booking.vehicle)),
            },
            Credential::Session(_) | Credential::Ticket(_) => Ok(match self.by_ticket() {
                None => no(No::CredentialUnknown),
                Some(stay) if stay.state.is_inside() => no(No::AlreadyInside),
                Some(_) => no(No::AlreadyUsed),
            }),
            Credential::Nothing => match life.of_vehicle(self.vehicle()) {
                Some(stay) => Ok(self.again(stay)),
                None => self.drive_in(),
            },
            Credential::Plate { vehicle, .. } => self.plate(*vehicle),
        }
    }

    fn is_same_visit(&self, stay: &Session) -> bool {
        let until = stay.entered_at.plus(self.lot.spec.rules.repeat_window);
        stay.entry_gate == self.scan.gate && self.at() < until
    }

    fn again(&self, stay: &Session) -> Verdict {
        match self.is_same_visit(stay) {
            true => Verdict::Open(Yes::Repeated),
            false => no(No::PlateInside),
        }
    }

    fn plate(&self, read: Pseudonym) -> Result<Verdict, String> {
        if let Some(stay) = self.lot.life.of_vehicle(Some(read)) {
            return Ok(self.again(stay));
        }
        let mut first = None;
        for vehicle in [read].iter().chain(self.near()) {
            let inside = self.lot.life.of_vehicle(Some(*vehicle));
            if inside.is_some_and(|stay| self.is_same_visit(stay)) {
                return Ok(Verdict::Open(Yes::Repeated));
            }
            let mut promised: Vec<_> =
                self.lot.active().filter(|(_, it)| it.vehicle == Some(*vehicle)).collect();
            promised.sort_by_key(|(id, it)| (it.window.from, *id));
            for (id, booking) in promised {
                match self.reserved(id, booking, Some(*vehicle))? {
                    opened @ Verdict::Open(_) => return Ok(opened),
                    denied => first = first.or(Some(denied)),
                }
            }
        }
        let drive_in = self.lot.spec.rules.drive_in;
        match self.right_of(read) {
            Some(Some(_)) => return self.room(Yes::Pass),
            Some(None) if !drive_in => return Ok(no(No::PassNotValid)),
            Some(None) | None => {}
        }
        match (drive_in, first) {
            (true, _) => self.drive_in(),
            (false, Some(denied)) => Ok(denied),
            (false, None) => Ok(no(No::NotEntitled)),
        }
    }

    fn reserved(
        &self,
        id: ReservationId,
        booking: &Booking,
        vehicle: Option<Pseudonym>,
    ) -> Result<Verdict, String> {
        let (life, rules) = (&self.lot.life, &self.lot.spec.rules);
        if let Some(stay) = life.of_booking(id) {
            let inside = stay.state.is_inside();
            return Ok(no(if inside { No::AlreadyInside } else { No::AlreadyUsed }));
        }
        let owner = Owner::Reservation(id);
        let price = booking.price.as_ref().map_or(0, |price| price.fee.total.0);
        let window = booking.window;
        Ok(match booking.state {
            State::Held { .. } => no(No::NotConfirmed),
            State::Cancelled => no(No::Cancelled),
            State::Expired => no(No::HoldExpired),
            State::Completed | State::NoShow => no(No::TooLate),
            _ if self.at() < window.from.minus(rules.early_entry) => no(No::TooEarly),
            _ if window.to <= self.at() => no(No::TooLate),
            _ if life.of_vehicle(vehicle).is_some() => no(No::PlateInside),
            _ if rules.settlement == Settlement::Before
                && life.owed(owner) + price > life.promised(owner) =>
            {
                no(No::PaymentRequired)
            }
            _ => {
                let early = Window { from: self.now.min(window.from), to: window.from };
                let own = booking.slot;
                let fits_own = life.at_slot(own).is_none()
                    && self.lot.clash_but(own, early, Some(id)).is_none();
                if fits_own {
                    return Ok(Verdict::Open(Yes::Reserved));
                }
                let like = &self.lot.spec.slots[own.at()];
                let needs = Needs { size: like.size, features: like.features, ..Needs::default() };
                let stretch = Window { from: early.from, to: window.to };
                self.chosen(&needs, stretch, Yes::Reserved)?
            }
        })
    }

    fn drive_in(&self) -> Result<Verdict, String> {
        let rules = &self.lot.spec.rules;
        if !rules.drive_in {
            return Ok(no(No::NotEntitled));
        }
        self.room(Yes::DriveIn)
    }

    fn room(&self, yes: OpenReason) -> Result<Verdict, String> {
        let rules = &self.lot.spec.rules;
        if self.lot.spec.kind == Kind::Counted {
            let inside = i64::try_from(self.lot.life.inside().count()).unwrap_or(i64::MAX);
            let full = self.lot.gates.inside().max(inside) >= i64::from(self.lot.spec.capacity);
            return Ok(if full { no(No::LotFull) } else { Verdict::Open(yes) });
        }
        let window = Window { from: self.now, to: self.now.plus(rules.drive_in_stay) };
        self.chosen(&self.scan.needs, window, yes)
    }

    /// One of the slots that are open and have no vehicle bound to them, or none where there is none.
    fn chosen(&self, needs: &Needs, window: Window, yes: OpenReason) -> Result<Verdict, String> {
        let is_open = |slot: &SlotIndex| {
            self.lot.spec.slot(*slot).is_some_and(|spec| needs.fit(spec))
                && self.lot.services[slot.at()].0 == Service::InService
                && self.lot.stretches(*slot) < limits::RESERVATIONS_PER_SLOT_MAX
                && self.lot.clash(*slot, window, None).is_none()
                && self.lot.life.at_slot(*slot).is_none()
        };
        let open: Vec<SlotIndex> = self.lot.spec.slot_indices().filter(is_open).collect();
        let taken = self.entered().and_then(|entered| entered.slot);
        match taken {
            // Whoever came in all the same did so by another right, which is judged next.
            _ if open.is_empty() => Ok(no(No::LotFull)),
            Some(slot) if !open.contains(&slot) => {
                Err(format!("{slot:?} was given for {window:?}, open are {open:?}"))
            }
            _ => Ok(Verdict::Open(yes)),
        }
    }

    /// Who came in by this scan.
    pub fn entered(&self) -> Option<&Entered> {
        self.events.iter().find_map(|event| match event {
            Event::Session(session::Event::Entered(entered)) => Some(&**entered),
            _ => None,
        })
    }

    fn exit(&self) -> Verdict {
        let life = &self.lot.life;
        let missing = match &self.scan.credential {
            Credential::Refused(reason) => return no(*reason),
            Credential::Nothing => return no(No::CredentialUnknown),
            Credential::Session(_) | Credential::Ticket(_) => No::CredentialUnknown,
            Credential::Reservation(_) | Credential::Plate { .. } => No::NotInside,
        };
        match self.leaving() {
            Some(stay) if stay.state.is_inside() => self.leave(stay),
            Some(_) => no(No::AlreadyLeft),
            None if self
                .left_a_moment_ago(life.gone.iter().rev().take(limits::LAST_LEFT_LOOKED_AT)) =>
            {
                Verdict::Open(Yes::Repeated)
            }
            None => no(missing),
        }
    }

    /// Whom the credential at an exit is about.
    fn leaving(&self) -> Option<&Session> {
        let life = &self.lot.life;
        match &self.scan.credential {
            Credential::Reservation(id) => life.of_booking(*id),
            Credential::Plate { vehicle, .. } => life.of_vehicle(Some(*vehicle)).or_else(|| {
                let mut near: Vec<_> =
                    self.near().iter().filter_map(|it| life.of_vehicle(Some(*it))).collect();
                near.dedup_by_key(|stay| stay.id);
                if near.len() == 1 { near.pop() } else { None }
            }),
            _ => self.by_ticket(),
        }
    }

    fn left_a_moment_ago<'a>(
        &self,
        mut gone: impl Iterator<Item = &'a lotkeeper_engine::ids::SessionId>,
    ) -> bool {
        let Credential::Plate { vehicle, .. } = &self.scan.credential else { return false };
        let stays = &self.lot.life.stays;
        let last = gone.find_map(|id| stays.get(id).filter(|it| it.vehicle == Some(*vehicle)));
        last.is_some_and(|stay| {
            let until = stay.left_at.map(|left| left.plus(self.lot.spec.rules.repeat_window));
            stay.exit_gate == self.scan.gate && until.is_some_and(|until| self.at() < until)
        })
    }

    fn leave(&self, stay: &Session) -> Verdict {
        let at = self.at().max(stay.entered_at);
        let owed = self.lot.owes(stay, at);
        let promised = self.lot.life.promised(stay.account());
        let trusted = self.lot.spec.rules.settlement == Settlement::OnAccount;
        match owed {
            ..=0 => Verdict::Open(Yes::Paid),
            _ if trusted || promised >= owed => Verdict::Open(Yes::OnAccount),
            _ => no(No::PaymentRequired),
        }
    }

    /// What must have happened beside the answer.
    #[must_use]
    pub fn wrong_events(&self, verdict: Verdict) -> Option<String> {
        let names: Vec<_> = self.events.iter().collect();
        let count = |wanted: fn(&session::Event) -> bool| {
            let found = self.events.iter().filter(|event| match event {
                Event::Session(event) => wanted(event),
                _ => false,
            });
            found.count()
        };
        let entered = count(|event| matches!(event, session::Event::Entered(_)));
        let left = count(|event| matches!(event, session::Event::Left(_)));
        let denied = count(|event| matches!(event, session::Event::Denied(_)));
        let wanted = match verdict {
            _ if self.scan.dry_run => (0, 0, 0),
            Verdict::Open(Yes::Repeated) => (0, 0, 0),
            Verdict::Open(Yes::Reserved | Yes::DriveIn | Yes::Pass) => (1, 0, 0),
            Verdict::Open(Yes::Paid | Yes::OnAccount) => (0, 1, 0),
            Verdict::Deny(_) => (0, 0, 1),
        };
        let silent = wanted == (0, 0, 0) && !self.events.is_empty();
        if (entered, left, denied) != wanted || silent {
            return Some(format!("{verdict:?} came with {names:?}"));
        }
        let counts = self.lot.spec.kind == Kind::Counted && self.lot.spec.rules.gates_count;
        let counted = self.events.iter().any(|event| matches!(event, Event::Counted { .. }));
        if counted != (counts && entered + left > 0) {
            return Some(format!("{verdict:?} is counted wrongly: {names:?}"));
        }
        if let Some(wrong) = self.wrong_right(verdict) {
            return Some(wrong);
        }
        let left = self.events.iter().find_map(|event| match event {
            Event::Session(session::Event::Left(left)) => Some(left),
            _ => None,
        })?;
        let stay = self.lot.life.stays.get(&left.id)?;
        let fee = self.lot.costs(stay, left.at);
        (fee.as_ref() != left.fee.as_deref())
            .then(|| format!("{} cost {:?}, predicted {fee:?}", left.id, left.fee))
    }

    fn right_of(&self, vehicle: Pseudonym) -> Option<Option<passes::Right>> {
        let who = (vehicle, self.scan.id);
        passes::good_for(self.lot, who, self.scan.tenant_pass.as_ref(), self.at())
    }

    /// Who came in did so by his own right, and his pass pays what it pays.
    fn wrong_right(&self, verdict: Verdict) -> Option<String> {
        let entered = self.entered()?;
        let right = match (verdict, self.vehicle()) {
            (Verdict::Open(Yes::Pass), Some(vehicle)) => self.right_of(vehicle).flatten(),
            _ => None,
        };
        let used = self.events.iter().find_map(|event| match event {
            Event::Pass(used) => Some(used),
            _ => None,
        });
        let same = match &right {
            Some(right) => {
                entered.origin == Origin::Pass(right.used.id())
                    && entered.terms.pass.as_ref() == Some(&right.coverage)
                    && entered.holder == right.holder
                    && used == Some(&right.used)
            }
            None => entered.terms.pass.is_none() && !matches!(entered.origin, Origin::Pass(_)),
        };
        (!same).then(|| format!("{entered:?} by {right:?}"))
    }
}
