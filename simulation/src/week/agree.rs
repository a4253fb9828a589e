//! Sessions, sensors and what truly stands there, compared every hour: they agree but for what was planted.

use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::lot::session::Origin;
use lotkeeper_engine::time::Seconds;

use super::bays::Fault;
use super::lots::SLOTS;
use super::people::{Oddity, Phase};
use super::report::Sample;
use super::world::World;

/// A good sensor is heard of within so long.
const HEARD_SECONDS: u32 = 5;

impl World {
    pub(super) fn sample(&mut self) -> Result<(), String> {
        for (lot, slots) in SLOTS.into_iter().enumerate() {
            let mut sample = Sample::default();
            for slot in (0..slots).map(SlotIndex) {
                let seen = self.node.lots[lot].view.slots[slot.at()].occupied();
                sample.seen += u64::from(seen == Some(true));
                sample.standing += u64::from(self.bays[lot][slot.at()].stands.is_some());
                let causes =
                    [self.sensor_is_wrong(lot, slot, seen)?, self.session_is_wrong(lot, slot)?];
                for cause in causes.into_iter().flatten() {
                    self.tally.count(cause);
                }
            }
            let stays = self.lot(lot)?.stays();
            sample.inside = stays.inside_count() as u64;
            let passes = stays.inside().filter(|stay| matches!(stay.origin, Origin::Pass(_)));
            sample.passes = passes.count() as u64;
            self.report.sample(lot, self.now, sample);
        }
        Ok(())
    }

    fn sensor_is_wrong(
        &self,
        lot: usize,
        slot: SlotIndex,
        seen: Option<bool>,
    ) -> Result<Option<&'static str>, String> {
        let bay = &self.bays[lot][slot.at()];
        // Not known is not wrong.
        let Some(seen) = seen else { return Ok(None) };
        if seen == bay.stands.is_some() {
            return Ok(None);
        }
        match bay.fault {
            Fault::Silent { .. } => Ok(Some("sensor.silent")),
            Fault::Stuck { .. } => Ok(Some("sensor.stuck")),
            Fault::Late => Ok(Some("sensor.late")),
            Fault::Flapping => Ok(Some("sensor.flapping")),
            Fault::None if self.now < bay.changed_at.plus(Seconds(HEARD_SECONDS)) => {
                Ok(Some("sensor.on_its_way"))
            }
            Fault::None => Err(format!("{slot:?} of L{lot} is seen as {seen}: {bay:?}")),
        }
    }

    fn session_is_wrong(
        &self,
        lot: usize,
        slot: SlotIndex,
    ) -> Result<Option<&'static str>, String> {
        let stands = self.bays[lot][slot.at()].stands;
        let bound = self.lot(lot)?.stays().at_slot(slot).map(|session| session.id);
        let owner = bound.and_then(|id| self.drivers.get(&id).copied());
        if stands == owner && bound.is_some() == owner.is_some() {
            return Ok(None);
        }
        let cause = [stands, owner].into_iter().flatten().find_map(|car| self.cause(car));
        match cause {
            Some(cause) => Ok(Some(cause)),
            None => {
                let told = |car: Option<usize>| car.map(|car| (car, &self.cars[car]));
                let (stands, owner) = (told(stands), told(owner));
                Err(format!(
                    "{slot:?} of L{lot}: there is {stands:?}, bound is {bound:?} of {owner:?}"
                ))
            }
        }
    }

    /// Why a car and its session may be apart.
    fn cause(&self, car: usize) -> Option<&'static str> {
        let it = &self.cars[car];
        let stay = it.session.and_then(|id| self.node.lots[it.lot].view.register.stays().get(id));
        let fault = it.stands.map_or(Fault::None, |slot| self.bays[it.lot][slot.at()].fault);
        match (it.oddity, it.phase) {
            (Oddity::NoCheckIn, _) => Some("session.not_checked_in"),
            (Oddity::ForgetsCheckOut | Oddity::Tailgates, Phase::Gone) => {
                Some("session.left_unseen")
            }
            (Oddity::StandsElsewhere, _) => Some("session.stands_elsewhere"),
            (_, Phase::Entering | Phase::Leaving) => Some("session.on_its_way"),
            _ if it.displaced => Some("session.displaced"),
            // Taken for one who stands elsewhere.
            _ if fault != Fault::None => Some("session.not_seen"),
            _ if stay.is_none_or(|stay| !stay.state.is_inside()) => Some("session.given_up"),
            _ => None,
        }
    }
}
