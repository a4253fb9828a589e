//! One visit for all that a camera says about it: posts that come again, and a car that is read again and again.
//!
//! A value without a clock and without a lock. Invariants: memory is bounded, whatever comes: so many lanes, in each
//! the last visits and identities; time that runs backwards costs a visit at most. What it forgets is found new, and
//! the lot then says that the vehicle is inside already. Deliberately absent: cameras that see the same lane.

use std::collections::{HashMap, VecDeque};

use lotkeeper_engine::time::{Seconds, Timestamp};

use super::{Confidence, Sighting};
use crate::plate::{Likeness, likeness};

/// Vehicles that a lane is asked about: more do not pass in a short time.
const VISITS_MAX: usize = 16;
/// Identities of a lane: what a camera posts again is among the last.
const IDS_MAX: usize = 64;

/// What a sighting is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A vehicle that was not there.
    New,
    /// The same sighting once more.
    Repeat,
    /// The same vehicle, read once more.
    SameVisit {
        /// How it was read best so far.
        before: String,
        /// How alike the two readings are.
        likeness: Likeness,
        /// Whether the camera is surer now: if the plate is another one, it is worth a correction.
        surer: bool,
    },
}

/// Remembers what lanes have seen.
#[derive(Debug)]
pub struct Deduper {
    visit: Seconds,
    lanes_max: usize,
    lanes: HashMap<Box<str>, Lane>,
    /// Counts sightings; says which lane was silent longest.
    judged: u64,
}

#[derive(Debug, Default)]
struct Lane {
    used: u64,
    visits: VecDeque<Visit>,
    ids: VecDeque<Box<str>>,
}

#[derive(Debug)]
struct Visit {
    plate: String,
    confidence: Confidence,
    first_at: Timestamp,
    last_at: Timestamp,
}

impl Deduper {
    /// Readings of a plate this close to the last are one visit; so many lanes are remembered, one at least.
    #[must_use]
    pub fn new(visit: Seconds, lanes_max: usize) -> Self {
        Self { visit, lanes_max: lanes_max.max(1), lanes: HashMap::new(), judged: 0 }
    }

    /// What a sighting is. `lane` is the camera within its tenant, or what stands for several cameras of one lane;
    /// `at` is when it was seen, or when it came.
    pub fn judge(&mut self, lane: &str, sighting: &Sighting, at: Timestamp) -> Verdict {
        self.judged += 1;
        let (visit, used) = (self.visit, self.judged);
        let lane = self.lane(lane);
        lane.used = used;
        if let Some(id) = sighting.id.as_deref() {
            if lane.ids.iter().any(|known| **known == *id) {
                return Verdict::Repeat;
            }
            push(&mut lane.ids, id.into(), IDS_MAX);
        }
        let near =
            |seen: &Visit| at >= seen.first_at.minus(visit) && at <= seen.last_at.plus(visit);
        let alike = |seen: &Visit| likeness(&seen.plate, &sighting.plate);
        // Of two that are alike the likelier one, of these the later.
        let best =
            lane.visits.iter_mut().rev().filter(|seen| near(seen)).min_by_key(|seen| alike(seen));
        match best.map(|seen| (alike(seen), seen)) {
            None | Some((Likeness::Different, _)) => {
                let (plate, confidence) = (sighting.plate.clone(), sighting.confidence);
                let visit = Visit { plate, confidence, first_at: at, last_at: at };
                push(&mut lane.visits, visit, VISITS_MAX);
                Verdict::New
            }
            Some((likeness, seen)) => {
                seen.first_at = seen.first_at.min(at);
                seen.last_at = seen.last_at.max(at);
                let surer = sighting.confidence > seen.confidence;
                let before = seen.plate.clone();
                if surer {
                    seen.plate.clone_from(&sighting.plate);
                    seen.confidence = sighting.confidence;
                }
                Verdict::SameVisit { before, likeness, surer }
            }
        }
    }

    /// How many lanes are remembered.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    fn lane(&mut self, name: &str) -> &mut Lane {
        if !self.lanes.contains_key(name) && self.lanes.len() >= self.lanes_max {
            let oldest = self.lanes.iter().min_by_key(|(_, lane)| lane.used);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.lanes.remove(&oldest);
            }
        }
        self.lanes.entry(name.into()).or_default()
    }
}

fn push<T>(queue: &mut VecDeque<T>, one: T, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(one);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sighting(plate: &str, percent: u16, id: &str) -> Sighting {
        Sighting {
            plate: plate.to_owned(),
            country: None,
            confidence: Confidence::of_fraction(f64::from(percent) / 100.0),
            camera: "c".to_owned(),
            observed_at: None,
            id: (!id.is_empty()).then(|| id.to_owned()),
            candidates: Vec::new(),
            vehicle_type: None,
            direction_degrees: None,
        }
    }

    fn same(before: &str, likeness: Likeness, surer: bool) -> Verdict {
        Verdict::SameVisit { before: before.to_owned(), likeness, surer }
    }

    #[test]
    fn a_day_at_a_lane() {
        let mut deduper = Deduper::new(Seconds(60), 8);
        let rows = [
            ("first", "in", 0, ("BXY123", 90, "u1"), Verdict::New),
            ("posted again", "in", 0, ("BXY123", 90, "u1"), Verdict::Repeat),
            ("posted again much later", "in", 600, ("BXY123", 90, "u1"), Verdict::Repeat),
            ("read again", "in", 2, ("BXY123", 85, "u2"), same("BXY123", Likeness::Same, false)),
            ("misread", "in", 3, ("8XY123", 70, "u3"), same("BXY123", Likeness::Confused, false)),
            ("one lost", "in", 4, ("XY123", 60, ""), same("BXY123", Likeness::OneEdit, false)),
            ("surer", "in", 5, ("BXY128", 97, "u4"), same("BXY123", Likeness::Confused, true)),
            (
                "the surer one counts",
                "in",
                6,
                ("BXY123", 95, ""),
                same("BXY128", Likeness::Confused, false),
            ),
            ("another vehicle", "in", 7, ("MAB77", 95, "u5"), Verdict::New),
            (
                "the first stands there still",
                "in",
                66,
                ("BXY128", 90, ""),
                same("BXY128", Likeness::Same, false),
            ),
            ("and still", "in", 126, ("BXY128", 90, ""), same("BXY128", Likeness::Same, false)),
            ("back after a while", "in", 187, ("BXY128", 90, ""), Verdict::New),
            ("another lane", "out", 187, ("BXY128", 90, "u1"), Verdict::New),
            ("a post that was late", "in", 120, ("MAB77", 95, ""), Verdict::New),
            (
                "a little before its time",
                "in",
                70,
                ("MAB77", 95, ""),
                same("MAB77", Likeness::Same, false),
            ),
        ];
        for (what, lane, at, (plate, percent, id), wanted) in rows {
            let at = Timestamp::from_seconds(1_000 + at);
            assert_eq!(deduper.judge(lane, &sighting(plate, percent, id), at), wanted, "{what}");
        }
    }

    #[test]
    fn the_likelier_of_two_visits_is_taken() {
        let mut deduper = Deduper::new(Seconds(60), 8);
        let at = Timestamp::from_seconds(0);
        assert_eq!(deduper.judge("in", &sighting("BXY12", 90, ""), at), Verdict::New);
        assert_eq!(deduper.judge("in", &sighting("BXY2234", 90, ""), at), Verdict::New);
        let third = deduper.judge("in", &sighting("BXY1Z", 50, ""), at);
        assert_eq!(third, same("BXY12", Likeness::Confused, false));
        let fourth = deduper.judge("in", &sighting("BXY2234", 50, ""), at);
        assert_eq!(fourth, same("BXY2234", Likeness::Same, false));
    }

    #[test]
    fn the_lane_that_was_silent_longest_is_forgotten() {
        let mut deduper = Deduper::new(Seconds(60), 2);
        let at = Timestamp::from_seconds(0);
        for lane in ["a", "b", "a", "c"] {
            deduper.judge(lane, &sighting("BXY123", 90, ""), at);
        }
        assert_eq!(deduper.lanes(), 2);
        assert_ne!(deduper.judge("a", &sighting("BXY123", 90, ""), at), Verdict::New);
        assert_eq!(deduper.judge("b", &sighting("BXY123", 90, ""), at), Verdict::New);
    }

    #[test]
    fn without_a_window_only_the_same_instant_is_one_visit() {
        let mut deduper = Deduper::new(Seconds(0), 0);
        let at = Timestamp::from_seconds;
        assert_eq!(deduper.judge("in", &sighting("A1", 90, ""), at(5)), Verdict::New);
        assert_ne!(deduper.judge("in", &sighting("A1", 90, ""), at(5)), Verdict::New);
        assert_eq!(deduper.judge("in", &sighting("A1", 90, ""), at(6)), Verdict::New);
        for end in [Timestamp::MIN, Timestamp::MAX] {
            assert_eq!(deduper.judge("in", &sighting("A1", 90, ""), end), Verdict::New);
        }
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_a_repeat_is_a_repeat(
            seen in proptest::collection::vec(("[a-e]", "[A-Z0-9]{1,7}", 0..500_i64), 0..200),
        ) {
            let mut deduper = Deduper::new(Seconds(30), 3);
            for (number, (lane, plate, at)) in seen.into_iter().enumerate() {
                let sighting = sighting(&plate, 90, &number.to_string());
                let at = Timestamp::from_seconds(at);
                prop_assert_ne!(deduper.judge(&lane, &sighting, at), Verdict::Repeat);
                prop_assert_eq!(deduper.judge(&lane, &sighting, at), Verdict::Repeat);
                prop_assert!(deduper.lanes() <= 3);
                for lane in deduper.lanes.values() {
                    prop_assert!(lane.visits.len() <= VISITS_MAX && lane.ids.len() <= IDS_MAX);
                }
            }
        }
    }
}
