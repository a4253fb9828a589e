//! What the sensors of the bayed lots say, which is not always what is there.
//!
//! Invariants: a reading follows from the traffic or repeats it, but for the flapping sensor's; a dead
//! sensor never speaks. Heartbeats repeat the state of every working sensor, so a reading that was lost on
//! the way is mended within [`HEARTBEAT_EVERY`]. These times are ours, not the city's: the server judges
//! silence and flapping by its own clock.

use std::time::Duration;

use super::city::{Lot, Use};
use super::traffic::{Movement, Traffic};

/// Between two heartbeats of a sensor; a lot's silence rule (`city`) is more than four times as long.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(200);
/// Between two changes of the flapping sensor: faster than cars come and go (10 s).
const FLAP_EVERY: Duration = Duration::from_secs(3);

/// A sensor speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Position of the lot in the city.
    pub lot: usize,
    /// Position of the slot in the lot.
    pub slot: usize,
    /// What it claims.
    pub occupied: bool,
}

/// All sensors.
pub struct Sensors {
    uses: Vec<Vec<Use>>,
    /// Those with heartbeats, in the order of their turns.
    beating: Vec<(usize, usize)>,
    turn: usize,
    beats_due: f64,
    flapping: Vec<(usize, usize)>,
    flap: bool,
    flaps_due: f64,
}

impl Sensors {
    /// The sensors of these lots.
    #[must_use]
    pub fn new(lots: &[Lot]) -> Self {
        let uses: Vec<Vec<Use>> =
            lots.iter().map(|lot| lot.slots.iter().map(|slot| slot.used_by).collect()).collect();
        let all = |wanted: fn(Use) -> bool| -> Vec<(usize, usize)> {
            let slots = uses.iter().enumerate().flat_map(|(lot, slots)| {
                slots.iter().enumerate().map(move |(slot, used_by)| (lot, slot, *used_by))
            });
            slots.filter(|(.., used_by)| wanted(*used_by)).map(|(l, s, _)| (l, s)).collect()
        };
        let beating = all(|used_by| matches!(used_by, Use::Traffic | Use::Closed));
        let flapping = all(|used_by| used_by == Use::FlappingSensor);
        Self { uses, beating, turn: 0, beats_due: 0.0, flapping, flap: false, flaps_due: 0.0 }
    }

    /// What the sensors of a lot say when the demo starts: everything, of those that work. `remembered` is
    /// what the server knows from an earlier start.
    #[must_use]
    pub fn first(&self, lot: usize, traffic: &Traffic, remembered: &[Option<bool>]) -> Vec<Said> {
        let slots = self.uses[lot].iter().enumerate();
        let speaks = |slot: usize, used_by: Use| match used_by {
            Use::DeadSensor => false,
            // What a reader did stays done.
            Use::Yours => remembered.get(slot).copied().flatten().is_none(),
            Use::Traffic | Use::FadingSensor | Use::FlappingSensor | Use::Closed | Use::Booked => {
                true
            }
        };
        slots
            .filter(|&(slot, used_by)| speaks(slot, *used_by))
            .map(|(slot, _)| Said { lot, slot, occupied: traffic.is_taken(lot, slot) })
            .collect()
    }

    /// What they say about these movements and by themselves, `elapsed` after they were last asked.
    pub fn next(
        &mut self,
        movements: &[Movement],
        traffic: &Traffic,
        elapsed: Duration,
    ) -> Vec<Said> {
        let heard = |movement: &&Movement| self.uses[movement.lot][movement.slot] == Use::Traffic;
        let said = |movement: &Movement| Said {
            lot: movement.lot,
            slot: movement.slot,
            occupied: movement.occupied,
        };
        let mut all: Vec<Said> = movements.iter().filter(heard).map(said).collect();
        self.flaps(elapsed, &mut all);
        self.heartbeats(traffic, elapsed, &mut all);
        all
    }

    fn flaps(&mut self, elapsed: Duration, all: &mut Vec<Said>) {
        self.flaps_due += elapsed.as_secs_f64() / FLAP_EVERY.as_secs_f64();
        // After a pause once is enough: it is the nearness of changes that makes it flap.
        if self.flaps_due >= 1.0 {
            self.flaps_due = 0.0;
            self.flap = !self.flap;
            let occupied = self.flap;
            all.extend(self.flapping.iter().map(|&(lot, slot)| Said { lot, slot, occupied }));
        }
    }

    fn heartbeats(&mut self, traffic: &Traffic, elapsed: Duration, all: &mut Vec<Said>) {
        let count = self.beating.len();
        self.beats_due += count as f64 * elapsed.as_secs_f64() / HEARTBEAT_EVERY.as_secs_f64();
        // A round at once is all that there is to say.
        self.beats_due = self.beats_due.min(count as f64);
        while self.beats_due >= 1.0 {
            self.beats_due -= 1.0;
            let (lot, slot) = self.beating[self.turn];
            self.turn = (self.turn + 1) % count;
            all.push(Said { lot, slot, occupied: traffic.is_taken(lot, slot) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::city;
    use super::super::clock::CityTime;
    use super::*;

    const TICK: Duration = Duration::from_millis(250);

    fn used_by(lots: &[Lot], said: &Said) -> Use {
        lots[said.lot].slots[said.slot].used_by
    }

    #[test]
    fn at_first_everything_that_works_speaks_once() {
        let lots = city::bayed();
        let traffic = Traffic::new(&lots, 1, CityTime::of_week(1, 12, 0));
        let sensors = Sensors::new(&lots);
        let unknown = vec![None; 500];
        let first: Vec<Said> =
            (0..lots.len()).flat_map(|lot| sensors.first(lot, &traffic, &unknown)).collect();
        let dead = lots.iter().flat_map(|lot| &lot.slots);
        let dead = dead.filter(|slot| slot.used_by == Use::DeadSensor).count();
        assert_eq!(first.len(), 2_000 - dead);
        for said in &first {
            assert_ne!(used_by(&lots, said), Use::DeadSensor);
            assert_eq!(said.occupied, traffic.is_taken(said.lot, said.slot));
        }
        let yours = |said: &&Said| used_by(&lots, said) == Use::Yours;
        assert_eq!(first.iter().filter(yours).count(), 1);
        let known = vec![Some(true); 500];
        assert_eq!(sensors.first(0, &traffic, &known).iter().filter(yours).count(), 0);
    }

    #[test]
    fn working_sensors_tell_the_truth_in_time_and_broken_ones_do_not() {
        let lots = city::bayed();
        let start = CityTime::of_week(1, 10, 0);
        let mut traffic = Traffic::new(&lots, 3, start);
        let mut sensors = Sensors::new(&lots);
        let ticks = HEARTBEAT_EVERY.as_millis() / TICK.as_millis();
        let (mut beats, mut flaps) = (HashMap::new(), 0);
        for tick in 1..=u32::try_from(ticks).unwrap() {
            let movements = traffic.next(start.plus_seconds(f64::from(tick) * 15.0));
            let all = sensors.next(&movements, &traffic, TICK);
            for said in &all {
                match used_by(&lots, said) {
                    Use::Traffic | Use::Closed => {}
                    Use::FlappingSensor => flaps += 1,
                    other => panic!("{other:?} spoke"),
                }
                *beats.entry((said.lot, said.slot)).or_insert(0) += 1;
            }
            // The last word on a slot is what is there.
            let last: HashMap<_, _> =
                all.iter().map(|said| ((said.lot, said.slot), said)).collect();
            for (&(lot, slot), said) in &last {
                let flapping = used_by(&lots, said) == Use::FlappingSensor;
                assert!(flapping || said.occupied == traffic.is_taken(lot, slot));
            }
        }
        let working = lots.iter().flat_map(|lot| &lot.slots);
        let working =
            working.filter(|slot| matches!(slot.used_by, Use::Traffic | Use::Closed)).count();
        // The flapping one is not among them; rounding may leave the last sensor for the next tick.
        assert!((working..=working + 1).contains(&beats.len()), "{} of {working}", beats.len());
        assert_eq!(flaps, 66, "200 s in steps of 3 s");
    }

    #[test]
    fn after_a_pause_every_sensor_beats_once_not_many_times() {
        let lots = city::bayed();
        let traffic = Traffic::new(&lots, 3, CityTime::of_week(1, 10, 0));
        let mut sensors = Sensors::new(&lots);
        let all = sensors.next(&[], &traffic, Duration::from_secs(86_400));
        assert_eq!(all.len(), sensors.beating.len() + sensors.flapping.len());
    }
}
