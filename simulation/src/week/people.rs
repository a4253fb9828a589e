//! Drivers: what they plan, do, forget and get wrong.
//!
//! Invariant: whoever wants to leave a lot gets out of it, after paying what he is asked for.

use lotkeeper_engine::ids::{PaymentId, Pseudonym, Reference, ReservationId, SessionId, SlotIndex};
use lotkeeper_engine::lot::session::{DenyReason, Direction, OpenReason, Verdict};
use lotkeeper_engine::lot::{Command, Credential, Needs, Scan, Scanner, StayChange};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use uuid::Uuid;

use super::lots::AIRPORT;
use super::world::{Step, World, scanned};

/// Who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Booked, at the airport.
    Traveller,
    /// Takes a ticket, at the airport.
    Visitor,
    /// Has a pass, at the airport.
    Staff,
    /// Checks in where there is room, in the street.
    Parker,
    /// Booked, in the street.
    Booker,
}

/// What is odd about him; one thing at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Oddity {
    #[default]
    None,
    NoShow,
    NeverConfirms,
    GivesUp,
    Extends,
    /// The camera, or he himself, gets one character wrong.
    Misread,
    /// The camera is not sure.
    BadlyRead,
    LosesTicket,
    StandsElsewhere,
    /// Drives out behind somebody else.
    Tailgates,
    NoCheckIn,
    ForgetsCheckOut,
}

/// How he pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pays {
    AtExit,
    /// At a machine, then he has a quarter of an hour.
    Machine,
    /// Through a provider that promises first.
    Promise,
}

/// What he does next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Book,
    Confirm,
    GiveUp,
    Extend,
    Come,
    Park,
    PayAtMachine,
    Unpark,
    Leave,
    Pay(Amount),
    Capture(PaymentId),
    PayFine,
}

/// Where he is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Away,
    /// In, and on his way to a slot.
    Entering,
    Standing,
    /// Off his slot, and on his way out.
    Leaving,
    Gone,
}

#[derive(Clone, Debug)]
pub(super) struct Car {
    pub lot: usize,
    pub kind: Kind,
    pub plate: Pseudonym,
    pub comes_at: Timestamp,
    pub leaves_at: Timestamp,
    pub window: Option<Window>,
    pub reservation: Option<ReservationId>,
    pub session: Option<SessionId>,
    pub stands: Option<SlotIndex>,
    pub phase: Phase,
    pub oddity: Oddity,
    pub pays: Pays,
    pub pays_ahead: bool,
    /// Somebody stood where he was sent.
    pub displaced: bool,
    tries: u8,
}

/// Nobody asks more often.
const TRIES_MAX: u8 = 12;

impl Car {
    pub fn new(
        lot: usize,
        kind: Kind,
        number: u128,
        (comes_at, leaves_at): (Timestamp, Timestamp),
        pays: Pays,
    ) -> Self {
        Self {
            lot,
            kind,
            plate: Pseudonym(Uuid::from_u128(0xC000_0000_0000 + number)),
            comes_at,
            leaves_at,
            window: None,
            reservation: None,
            session: None,
            stands: None,
            phase: Phase::Away,
            oddity: Oddity::None,
            pays,
            pays_ahead: false,
            displaced: false,
            tries: 0,
        }
    }

    /// One edit away.
    pub fn misread(&self) -> Pseudonym {
        Pseudonym(Uuid::from_u128(self.plate.0.as_u128() | 1 << 80))
    }

    /// The person.
    pub fn holder(&self) -> Pseudonym {
        Pseudonym(Uuid::from_u128(self.plate.0.as_u128() | 1 << 96))
    }

    fn is_misread(&self) -> bool {
        self.oddity == Oddity::Misread
    }
}

impl World {
    pub(super) fn act(&mut self, car: usize, act: Act) -> Result<(), String> {
        match act {
            Act::Book => self.book(car),
            Act::Confirm => self.confirm(car),
            Act::GiveUp => self.give_up(car),
            Act::Extend => self.extend(car),
            Act::Come => self.come(car),
            Act::Park => self.park(car),
            Act::PayAtMachine => self.pay_at_machine(car),
            Act::Unpark => self.unpark(car),
            Act::Leave => self.leave(car),
            Act::Pay(due) => self.pay_due(car, due),
            Act::Capture(id) => self.capture(car, id),
            Act::PayFine => self.pay_fine(car),
        }
    }

    /// What is shown at the gate, or typed where there is none.
    fn credential(&mut self, car: usize, direction: Direction) -> (Credential, Scanner) {
        let it = &self.cars[car];
        let read = if it.is_misread() { it.misread() } else { it.plate };
        let near = |vehicle, near| Credential::Plate { vehicle, near };
        let driver = Scanner::Driver(it.holder());
        let by_code = car % 10 < 3 || it.tries > 0;
        match (it.kind, direction, it.reservation, it.session) {
            (Kind::Parker, Direction::Entry, ..) => (near(read, vec![]), driver),
            (Kind::Parker, _, _, Some(session)) => (Credential::Session(session), driver),
            (Kind::Booker, _, Some(id), _) => (Credential::Reservation(id), driver),
            (Kind::Visitor, Direction::Entry, ..) => (Credential::Nothing, Scanner::Device),
            (Kind::Visitor, _, _, Some(session)) => match it.oddity {
                Oddity::LosesTicket => (Credential::Session(session), Scanner::Staff),
                _ => (Credential::Ticket(Reference::of(session.0)), Scanner::Device),
            },
            (Kind::Traveller, Direction::Entry, Some(id), _) if by_code => {
                (Credential::Reservation(id), Scanner::Device)
            }
            // He came after his reservation was over, and takes a ticket as everybody.
            (Kind::Traveller, Direction::Entry, None, _) => (Credential::Nothing, Scanner::Device),
            (Kind::Traveller, Direction::Entry, ..) if it.is_misread() => {
                (near(read, vec![it.plate]), Scanner::Device)
            }
            (_, Direction::Exit, ..) if it.is_misread() => {
                (near(it.plate, vec![it.misread()]), Scanner::Device)
            }
            (Kind::Staff, Direction::Entry, ..) if it.tries > 0 => {
                (near(it.plate, vec![]), Scanner::Staff)
            }
            _ => (near(read, vec![]), Scanner::Device),
        }
    }

    fn scan(&mut self, car: usize, direction: Direction) -> Result<Scan, String> {
        let (credential, by) = self.credential(car, direction);
        let id = SessionId(self.id());
        let it = &self.cars[car];
        let is_plate = matches!(credential, Credential::Plate { .. });
        let badly =
            it.oddity == Oddity::BadlyRead && it.tries == 0 && direction == Direction::Entry;
        let gates = ["north", "south"];
        Ok(Scan {
            id,
            gate: (it.lot == AIRPORT).then(|| gates[car % 2].into()),
            direction,
            seen: (!is_plate && it.lot == AIRPORT).then_some(it.plate),
            confidence_percent: (is_plate && by == Scanner::Device).then_some(if badly {
                55
            } else {
                97
            }),
            credential,
            observed_at: None,
            needs: Needs::default(),
            vehicle_type: None,
            by,
            is_elsewhere: false,
            tenant_pass: None,
            dry_run: false,
        })
    }

    fn come(&mut self, car: usize) -> Result<(), String> {
        let it = &self.cars[car];
        if it.oddity == Oddity::NoCheckIn {
            self.cars[car].phase = Phase::Entering;
            self.at(self.now, Step::Car(car, Act::Park));
            return Ok(());
        }
        let (lot, kind) = (it.lot, it.kind);
        let scan = self.scan(car, Direction::Entry)?;
        let answer = scanned(&self.ask(lot, &Command::Scan(Box::new(scan)))?)?;
        match answer.verdict {
            Verdict::Open(_) => {
                let it = &mut self.cars[car];
                (it.session, it.phase, it.tries) = (answer.session, Phase::Entering, 0);
                if let Some(session) = answer.session {
                    self.drivers.insert(session, car);
                }
                let drive = if lot == AIRPORT {
                    self.dice.between(60, 240)
                } else {
                    self.dice.between(5, 60)
                };
                self.after(drive, Step::Car(car, Act::Park));
                Ok(())
            }
            Verdict::Deny(reason) => self.denied(car, kind, reason, answer.not_before),
        }
    }

    fn denied(
        &mut self,
        car: usize,
        kind: Kind,
        reason: DenyReason,
        not_before: Option<Timestamp>,
    ) -> Result<(), String> {
        self.cars[car].tries += 1;
        let tries = self.cars[car].tries;
        match (reason, not_before) {
            (DenyReason::TooEarly | DenyReason::LotFull, Some(at)) => {
                self.at(at, Step::Car(car, Act::Come));
            }
            (DenyReason::LotFull, None) if tries < 4 => {
                self.after(600, Step::Car(car, Act::Come));
            }
            (DenyReason::LotFull, None) => {
                self.cars[car].phase = Phase::Gone;
                self.tally.count("people.turned_away");
            }
            (DenyReason::ConfidenceTooLow, _) if tries == 1 => {
                self.after(20, Step::Car(car, Act::Come));
            }
            // Hours after his time: as everybody who has not reserved.
            (DenyReason::TooLate, _) if kind == Kind::Traveller => {
                self.cars[car].reservation = None;
                self.after(30, Step::Car(car, Act::Come));
            }
            (DenyReason::TooLate, _) if kind == Kind::Booker => {
                self.cars[car].phase = Phase::Gone;
            }
            // Back before his last stay was closed.
            (DenyReason::PlateInside, _) if kind == Kind::Staff => {
                self.cars[car].phase = Phase::Gone;
                self.tally.count("people.inside_still");
            }
            (reason, _) => {
                return Err(format!(
                    "car {car} {kind:?} is denied: {reason:?}, {:?}",
                    self.cars[car]
                ));
            }
        }
        Ok(())
    }

    /// Where his session is bound, or anywhere.
    fn park(&mut self, car: usize) -> Result<(), String> {
        let (lot, oddity) = (self.cars[car].lot, self.cars[car].oddity);
        let sent = match (self.cars[car].session, self.cars[car].reservation) {
            (Some(id), _) => self.lot(lot)?.stays().get(id).and_then(|session| session.slot),
            (None, Some(id)) => self.lot(lot)?.reservation(id).map(|reservation| reservation.slot),
            (None, None) => None,
        };
        let is_free = |slot: &SlotIndex| self.bays[lot][slot.at()].stands.is_none();
        let wanted = sent.filter(|_| oddity != Oddity::StandsElsewhere).filter(is_free);
        self.cars[car].displaced = wanted.is_none();
        let slot = wanted.or_else(|| self.free_bay(lot));
        if let Some(slot) = slot {
            self.stand(lot, slot, Some(car));
        }
        let it = &mut self.cars[car];
        (it.stands, it.phase) = (slot, Phase::Standing);
        let (pays, leaves_at) = (it.pays, it.leaves_at);
        let leaves_at = leaves_at.max(self.now.plus(Seconds(60)));
        if pays == Pays::Machine && self.cars[car].session.is_some() {
            self.at(leaves_at.minus(Seconds(240)), Step::Car(car, Act::PayAtMachine));
        }
        // One in ten who has paid talks for too long.
        let chats = pays == Pays::Machine && self.dice.one_in(10);
        let leaves_at = leaves_at.plus(Seconds(if chats { 2_400 } else { 0 }));
        self.at(leaves_at, Step::Car(car, Act::Unpark));
        Ok(())
    }

    fn unpark(&mut self, car: usize) -> Result<(), String> {
        let lot = self.cars[car].lot;
        if self.now < self.cars[car].leaves_at {
            // He stays longer than he thought when he came.
            self.at(self.cars[car].leaves_at, Step::Car(car, Act::Unpark));
            return Ok(());
        }
        if let Some(slot) = self.cars[car].stands.take() {
            self.stand(lot, slot, None);
        }
        self.cars[car].phase = Phase::Leaving;
        let (oddity, session) = (self.cars[car].oddity, self.cars[car].session);
        match (oddity, session) {
            (_, None) | (Oddity::Tailgates | Oddity::ForgetsCheckOut, _) => {
                self.cars[car].phase = Phase::Gone;
            }
            (Oddity::LosesTicket, Some(id)) => {
                let change = StayChange::LoseTicket;
                self.done(lot, &Command::ChangeStay { id, change, expected_version: None })?;
                self.after(120, Step::Car(car, Act::Leave));
            }
            _ => {
                let drive = if lot == AIRPORT {
                    self.dice.between(60, 200)
                } else {
                    self.dice.between(2, 30)
                };
                self.after(drive, Step::Car(car, Act::Leave));
            }
        }
        Ok(())
    }

    fn leave(&mut self, car: usize) -> Result<(), String> {
        let lot = self.cars[car].lot;
        let scan = self.scan(car, Direction::Exit)?;
        let decision = self.ask(lot, &Command::Scan(Box::new(scan)))?;
        let answer = scanned(&decision)?;
        self.cars[car].tries += 1;
        if self.cars[car].tries > TRIES_MAX {
            return Err(format!("car {car} does not get out: {answer:?}, {:?}", self.cars[car]));
        }
        match (answer.verdict, answer.due) {
            (Verdict::Open(reason), _) => {
                self.cars[car].phase = Phase::Gone;
                if reason == OpenReason::OnAccount {
                    self.capture_promises(car)?;
                }
                Ok(())
            }
            (Verdict::Deny(DenyReason::PaymentRequired), Some(due)) => {
                let pause = self.dice.between(15, 60);
                self.after(pause, Step::Car(car, Act::Pay(due)));
                Ok(())
            }
            (Verdict::Deny(reason), _) => self.shut_out(car, reason),
        }
    }

    /// Nobody inside goes by what he shows: only where the lot has given him up.
    fn shut_out(&mut self, car: usize, reason: DenyReason) -> Result<(), String> {
        let it = &self.cars[car];
        let session =
            it.session.and_then(|id| self.node.lots[it.lot].view.register.stays().get(id));
        let over = session.is_none_or(|session| !session.state.is_inside());
        let known = matches!(reason, DenyReason::AlreadyLeft | DenyReason::NotInside);
        if over && known {
            self.cars[car].phase = Phase::Gone;
            self.tally.count("people.given_up_and_back");
            return Ok(());
        }
        Err(format!("car {car} cannot leave: {reason:?}, {session:?}, {it:?}"))
    }
}
