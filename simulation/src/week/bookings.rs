//! People who book: before they come, and while they are away.

use lotkeeper_engine::ids::ReservationId;
use lotkeeper_engine::lot::payment::Method;
use lotkeeper_engine::lot::{Caller, Choice, Command, Needs, Owner, Rejection, Reserve};
use lotkeeper_engine::time::{Seconds, Timestamp};

use super::people::{Act, Oddity, Phase};
use super::world::{Step, World};

/// A booking is held for so long.
const HOLD: Seconds = Seconds(600);

impl World {
    pub(super) fn book(&mut self, car: usize) -> Result<(), String> {
        let id = ReservationId(self.id());
        let it = &self.cars[car];
        let Some(window) = it.window else { return Ok(()) };
        let (lot, oddity) = (it.lot, it.oddity);
        let reserve = Reserve {
            id,
            choice: Choice::Any(Needs::default()),
            window,
            hold: Some(HOLD),
            holder: it.holder(),
            vehicle: Some(it.plate),
            vehicle_type: None,
            discounts: Box::default(),
            series: None,
            request: None,
        };
        match self.ask(lot, &Command::Reserve(reserve))?.outcome {
            Ok(_) => {
                self.cars[car].reservation = Some(id);
                if oddity != Oddity::NeverConfirms {
                    let pause = self.dice.between(30, 400);
                    self.after(pause, Step::Car(car, Act::Confirm));
                }
            }
            Err(Rejection::NoSlotFree) => {
                self.cars[car].phase = Phase::Gone;
                self.tally.count("people.booked_out");
            }
            Err(why) => return Err(format!("L{lot} refuses a booking: {why}")),
        }
        Ok(())
    }

    pub(super) fn confirm(&mut self, car: usize) -> Result<(), String> {
        let it = &self.cars[car];
        let Some(id) = it.reservation else { return Ok(()) };
        let (lot, by, oddity) = (it.lot, Caller::Holder(it.holder()), it.oddity);
        let (comes_at, pays_ahead) = (it.comes_at, it.pays_ahead);
        let leaves_at = it.leaves_at;
        self.done(lot, &Command::Confirm { id, by })?;
        if pays_ahead {
            let provider = (false, Method::Provider("bank".into()));
            let paid = self.pay(lot, Owner::Reservation(id), None, provider)?;
            if paid.is_none() {
                return Err(format!("{id} costs nothing"));
            }
        }
        let between = |dice: &mut crate::dice::Dice, from: Timestamp, to: Timestamp| {
            Timestamp::from_micros(dice.between(from.micros(), to.micros()))
        };
        match oddity {
            Oddity::NoShow => {}
            Oddity::GivesUp => {
                let at = between(&mut self.dice, self.now, comes_at);
                self.at(at, Step::Car(car, Act::GiveUp));
            }
            Oddity::Extends => {
                self.at(comes_at, Step::Car(car, Act::Come));
                let at = between(&mut self.dice, comes_at, leaves_at);
                self.at(at, Step::Car(car, Act::Extend));
            }
            _ => self.at(comes_at, Step::Car(car, Act::Come)),
        }
        Ok(())
    }

    pub(super) fn give_up(&mut self, car: usize) -> Result<(), String> {
        let it = &self.cars[car];
        let Some(id) = it.reservation else { return Ok(()) };
        let (lot, by) = (it.lot, Caller::Holder(it.holder()));
        let reason = Some("changed_plans".into());
        match self.ask(lot, &Command::Cancel { id, reason, by })?.outcome {
            // He gave up so late that he was a no-show before.
            Ok(_) | Err(Rejection::ReservationEnded { .. }) => {
                self.refund(lot, Owner::Reservation(id))
            }
            Err(why) => Err(format!("L{lot} refuses to cancel {id}: {why}")),
        }
    }

    /// A day longer, from wherever he is.
    pub(super) fn extend(&mut self, car: usize) -> Result<(), String> {
        let it = &self.cars[car];
        let (Some(id), Some(window)) = (it.reservation, it.window) else { return Ok(()) };
        let (lot, by) = (it.lot, Caller::Holder(it.holder()));
        let day = Seconds(86_400);
        let to = Some(window.to.plus(day));
        let modify = Command::Modify {
            id,
            choice: None,
            from: None,
            to,
            request: None,
            expected_version: None,
            by,
        };
        match self.ask(lot, &modify)?.outcome {
            Ok(_) => {
                let it = &mut self.cars[car];
                it.leaves_at = it.leaves_at.plus(day);
                self.tally.count("people.extended");
            }
            Err(Rejection::SlotTaken { .. } | Rejection::ReservationEnded { .. }) => {
                self.tally.count("people.not_extended");
            }
            Err(why) => return Err(format!("L{lot} refuses to extend {id}: {why}")),
        }
        Ok(())
    }
}
