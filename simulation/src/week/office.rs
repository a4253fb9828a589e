//! Staff: wardens in the street, the office at the airport.

use std::sync::Arc;

use lotkeeper_engine::ids::{SlotIndex, ViolationId};
use lotkeeper_engine::lot::violation::{Evidence, Kind, Violation};
use lotkeeper_engine::lot::{
    Caller, Command, Owner, Rejection, Report, StayChange, ViolationChange,
};
use lotkeeper_engine::money::Amount;

use super::lots::{AIRPORT, PENALTY, SLOTS, STREET};
use super::people::{Act, Oddity, Phase};
use super::world::{Step, World};

/// What staff do when.
#[derive(Clone, Copy, Debug)]
pub(super) enum Duty {
    /// The airport's office, early in the morning.
    Round,
    /// A warden goes along the street.
    Patrol,
    /// Somebody says that he did nothing.
    Appeal(ViolationId),
    /// He is right, or is not.
    Judge(ViolationId),
}

impl World {
    pub(super) fn duty(&mut self, duty: Duty) -> Result<(), String> {
        match duty {
            Duty::Round => self.round(),
            Duty::Patrol => self.patrol(),
            Duty::Appeal(id) => {
                self.change(id, ViolationChange::Appeal { reason: Some("was_away".into()) })?;
                self.after(12 * 3_600, Step::Office(Duty::Judge(id)));
                Ok(())
            }
            Duty::Judge(id) => {
                let reason = Some("judged".into());
                let waived = self.dice.one_in(2);
                self.change(
                    id,
                    match waived {
                        true => ViolationChange::Waive { reason },
                        false => ViolationChange::Resolve { reason },
                    },
                )
            }
        }
    }

    fn change(&mut self, id: ViolationId, change: ViolationChange) -> Result<(), String> {
        let command =
            Command::ChangeViolation { id, change, expected_version: None, by: Caller::Staff };
        match self.ask(STREET, &command)?.outcome {
            // It was paid meanwhile.
            Ok(_) | Err(Rejection::ViolationEnded { .. }) => Ok(()),
            Err(why) => Err(format!("{command:?} is refused: {why}")),
        }
    }

    /// Who is known to have left is let go; who paid for nothing gets it back.
    fn round(&mut self) -> Result<(), String> {
        for car in 0..self.cars.len() {
            let it = &self.cars[car];
            if it.lot != AIRPORT {
                continue;
            }
            if it.phase == Phase::Gone
                && it.oddity == Oddity::Tailgates
                && let Some(id) = it.session
                && self.lot(AIRPORT)?.stays().get(id).is_some_and(|stay| stay.state.is_inside())
            {
                let change = StayChange::Leave { at: None };
                self.done(AIRPORT, &Command::ChangeStay { id, change, expected_version: None })?;
            }
            let it = &self.cars[car];
            if it.oddity == Oddity::NoShow
                && it.pays_ahead
                && let Some(id) = it.reservation
                && self.lot(AIRPORT)?.reservation(id).is_some_and(|it| !it.state.is_active())
            {
                self.refund(AIRPORT, Owner::Reservation(id))?;
            }
        }
        Ok(())
    }

    fn patrol(&mut self) -> Result<(), String> {
        let new =
            |violation: &&Arc<Violation>| violation.detected && !self.seen.contains(&violation.id);
        let found: Vec<_> = self.lot(STREET)?.violations().open().filter(new).cloned().collect();
        for violation in found {
            if self.dice.one_in(3) {
                self.fine(&violation)?;
            }
        }
        self.identify()?;
        if self.dice.one_in(12) {
            self.report_one()?;
        }
        Ok(())
    }

    /// A penalty, for whoever stands there.
    fn fine(&mut self, violation: &Violation) -> Result<(), String> {
        let id = violation.id;
        let stands = violation.slot.and_then(|slot| self.bays[STREET][slot.at()].stands);
        let Some(car) = stands else { return Ok(()) };
        self.seen.insert(id);
        let unknown = violation.kind == Kind::NoSession;
        let photo = Evidence { kind: "photo".into(), reference: "note-17".into() };
        self.change(
            id,
            ViolationChange::Amend {
                severity: None,
                vehicle: unknown.then(|| self.cars[car].plate),
                penalty: Some(PENALTY),
                evidence: Some(vec![photo]),
            },
        )?;
        match self.dice.below(8) {
            0 => self.after(3_600, Step::Office(Duty::Appeal(id))),
            1..5 if unknown => {
                let pause = self.dice.between(7_200, 108_000);
                self.after(pause, Step::Car(car, Act::PayFine));
            }
            _ => {}
        }
        Ok(())
    }

    /// Plates that drivers typed wrong are put right.
    fn identify(&mut self) -> Result<(), String> {
        for slot in (0..SLOTS[STREET]).map(SlotIndex) {
            let Some(car) = self.bays[STREET][slot.at()].stands else { continue };
            let it = &self.cars[car];
            let (vehicle, wrong) = (it.plate, it.misread());
            let Some(id) = it.session.filter(|_| it.oddity == Oddity::Misread) else { continue };
            let stay = self.lot(STREET)?.stays().get(id);
            if stay.is_some_and(|it| it.state.is_inside() && it.vehicle == Some(wrong)) {
                let change = StayChange::Identify { vehicle };
                self.done(STREET, &Command::ChangeStay { id, change, expected_version: None })?;
            }
        }
        Ok(())
    }

    fn report_one(&mut self) -> Result<(), String> {
        let slot = SlotIndex(u16::try_from(self.dice.index(120)).unwrap_or_default());
        let Some(car) = self.bays[STREET][slot.at()].stands else { return Ok(()) };
        let report = Report {
            id: ViolationId(self.id()),
            kind: Kind::of("blocks_lane"),
            severity: None,
            seen_at: None,
            session: None,
            slot: Some(slot),
            vehicle: Some(self.cars[car].plate),
            penalty: Amount(PENALTY.0 / 2),
            evidence: Vec::new(),
        };
        self.done(STREET, &Command::Report(Box::new(report))).map(drop)
    }
}
