//! Who will come: drawn before the week begins, by hour and weekday.
//!
//! Shares of what goes wrong are assumed and stand here together; they are chosen so that every case comes
//! often enough in one week to be met.

use lotkeeper_engine::ids::PassId;
use lotkeeper_engine::ids::Pseudonym;
use lotkeeper_engine::lot::{Command, pass};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::tariff::Covers;
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use uuid::Uuid;

use super::calibration::{
    BOOKED_AHEAD_HOURS, CITY_ARRIVALS, RIDE_COMING, RIDE_GOING, RIDE_OCCUPANCY, STAYS,
    TRAVELLER_HOURS, day, quantile_micros,
};
use super::lots::{AIRPORT, SLOTS, STREET};
use super::office::Duty;
use super::people::{Act, Car, Kind, Oddity, Pays};
use super::world::{LEAD_HOURS, Step, World};

/// Travellers a day: with stays of 4.7 days they take two thirds of the airport's slots.
const TRAVELLERS: u64 = 70;
/// Who only brings or fetches somebody, a day.
const VISITORS: u64 = 160;
/// Staff of the airport with a pass; so many are there when commuters are most.
const STAFF: u64 = 80;
/// Bookings a day in the street.
const BOOKERS: i64 = 15;
const HOUR_SECONDS: i64 = 3_600;

impl World {
    pub(super) fn plan(&mut self) -> Result<(), String> {
        for hour in -LEAD_HOURS..self.clock.hours() {
            let (weekday, local) = self.clock.local(self.clock.hour(hour));
            let line = &CITY_ARRIVALS[day(weekday)];
            let of_day = |people: u64| 1_000 * people * line[local] / line.iter().sum::<u64>();
            for at in self.draw(hour, of_day(TRAVELLERS)) {
                self.traveller(at);
            }
            if hour < 0 {
                continue;
            }
            for at in self.draw(hour, of_day(VISITORS)) {
                self.short(AIRPORT, Kind::Visitor, at);
            }
            for at in self.draw(hour, line[local] * u64::from(SLOTS[STREET])) {
                self.short(STREET, Kind::Parker, at);
            }
            self.at(self.clock.hour(hour).plus(Seconds(1_800)), Step::Sample);
            if (8..20).contains(&local) {
                for minutes in [5, 50] {
                    let at = self.clock.hour(hour).plus(Seconds(60 * minutes));
                    self.at(at, Step::Office(Duty::Patrol));
                }
            }
            if local == 4 {
                self.at(self.clock.hour(hour), Step::Office(Duty::Round));
            }
        }
        self.at(self.clock.hour(60), Step::Snapshot);
        for number in 0..7 * BOOKERS {
            let hour = number / BOOKERS * 24 + self.dice.between(8, 19);
            let at = self.clock.hour(hour).plus(Seconds(300 * self.dice.count(0, 11)));
            self.booker(at);
        }
        self.staff()
    }

    /// Instants of an hour, so many thousandths of one on average.
    fn draw(&mut self, hour: i64, per_mille: u64) -> Vec<Timestamp> {
        const STEP_SECONDS: u64 = 10;
        let steps = 3_600 / STEP_SECONDS;
        let hit = |dice: &mut crate::dice::Dice| dice.below(1_000 * steps) < per_mille;
        let hits: Vec<u64> = (0..steps).filter(|_| hit(&mut self.dice)).collect();
        let begin = self.clock.hour(hour).whole_seconds();
        let at = |step: u64| begin + i64::try_from(step * STEP_SECONDS).unwrap_or_default();
        hits.into_iter().map(|step| Timestamp::from_seconds(at(step))).collect()
    }

    fn length(&mut self, table: &[(u64, u64)], unit_seconds: i64) -> i64 {
        let micros = quantile_micros(table, self.dice.below(1_001));
        i64::try_from(micros).unwrap_or_default() * unit_seconds / 1_000_000
    }

    fn car(&mut self, lot: usize, kind: Kind, comes_at: Timestamp, stays_seconds: i64) -> usize {
        let number = self.cars.len() as u128;
        let pays = match self.dice.below(10) {
            0..3 => Pays::Promise,
            3..6 => Pays::Machine,
            _ => Pays::AtExit,
        };
        let leaves_at = comes_at.plus(seconds(stays_seconds));
        self.cars.push(Car::new(lot, kind, number, (comes_at, leaves_at), pays));
        self.cars.len() - 1
    }

    fn oddity(&mut self, table: &[(u64, Oddity)]) -> Oddity {
        let mut rest = self.dice.below(1_000);
        for (share, oddity) in table {
            match rest.checked_sub(*share) {
                Some(less) => rest = less,
                None => return *oddity,
            }
        }
        Oddity::None
    }

    fn traveller(&mut self, at: Timestamp) {
        // Windows are booked by the quarter of an hour.
        let from = Timestamp::from_seconds(at.whole_seconds() / 900 * 900);
        let length = self.length(&TRAVELLER_HOURS, HOUR_SECONDS) / 900 * 900;
        let window = Window { from, to: from.plus(seconds(length)) };
        let off = match self.dice.below(100) {
            0..3 => -self.dice.between(10_000, 20_000),
            3..5 => self.dice.between(25_000, 36_000),
            _ => self.dice.between(-4_000, 4_000),
        };
        let late = match self.dice.below(100) {
            0..8 => self.dice.between(3_000, 72_000),
            _ => -self.dice.between(0, 20_000).min(length / 2),
        };
        let comes_at = Timestamp::from_micros(from.micros() + off * 1_000_000);
        let stays = (length + late - off).max(1_800);
        let car = self.car(AIRPORT, Kind::Traveller, comes_at, stays);
        self.cars[car].window = Some(window);
        self.cars[car].oddity = self.oddity(&[
            (40, Oddity::NoShow),
            (20, Oddity::Misread),
            (15, Oddity::BadlyRead),
            (30, Oddity::StandsElsewhere),
            (10, Oddity::Tailgates),
            (40, Oddity::GivesUp),
            (50, Oddity::Extends),
            (40, Oddity::NeverConfirms),
        ]);
        self.cars[car].pays_ahead = self.dice.one_in(2);
        let ahead = self.length(&BOOKED_AHEAD_HOURS, HOUR_SECONDS);
        self.at(from.minus(seconds(ahead + 20_000)), Step::Car(car, Act::Book));
    }

    /// Somebody who comes without having booked and does not stay long.
    fn short(&mut self, lot: usize, kind: Kind, at: Timestamp) {
        let stays = self.length(&STAYS, 60).max(60);
        let car = self.car(lot, kind, at, stays);
        self.cars[car].oddity = match kind {
            Kind::Visitor => self.oddity(&[
                (15, Oddity::LosesTicket),
                (30, Oddity::StandsElsewhere),
                (5, Oddity::Tailgates),
            ]),
            _ => self.oddity(&[
                (40, Oddity::NoCheckIn),
                (50, Oddity::ForgetsCheckOut),
                (60, Oddity::StandsElsewhere),
                (15, Oddity::Misread),
            ]),
        };
        self.at(at, Step::Car(car, Act::Come));
    }

    fn booker(&mut self, at: Timestamp) {
        let length = 1_800 * self.dice.between(1, 4);
        let window = Window { from: at, to: at.plus(seconds(length)) };
        let off = self.dice.between(-600, 900);
        let stays = length + self.dice.between(-1_500, 2_000) - off;
        let comes_at = Timestamp::from_micros(at.micros() + off * 1_000_000);
        let car = self.car(STREET, Kind::Booker, comes_at, stays.max(300));
        self.cars[car].window = Some(window);
        self.cars[car].oddity =
            self.oddity(&[(120, Oddity::NoShow), (250, Oddity::NoCheckIn), (60, Oddity::GivesUp)]);
        let ahead = self.dice.between(1_800, 7_200);
        self.at(at.minus(seconds(ahead)), Step::Car(car, Act::Book));
    }

    /// Staff come and go as commuters do. Some passes run out on Wednesday at noon, some are for three days
    /// a week.
    fn staff(&mut self) -> Result<(), String> {
        for person in 0..STAFF {
            let id = PassId(Uuid::from_u128(0xFA55_0000 + u128::from(person)));
            let to = if person % 20 == 7 { 60 } else { 1_000 };
            let three_days =
                pass::Allowance { limit: pass::Limit::Entries(3), per: pass::Per::Week };
            let terms = pass::PassTerms {
                plan: "staff".into(),
                holder: None,
                vehicles: vec![staff_plate(person)],
                price: Amount(4_900),
                valid: Window { from: self.now, to: self.clock.hour(to) },
                allowance: (person % 8 == 3).then_some(three_days),
                covers: Covers::Whole,
            };
            self.done(
                AIRPORT,
                &Command::IssuePass { id, reach: pass::Reach::Lot, terms: Box::new(terms) },
            )?;
        }
        let busiest = |line: &[u64; 24]| line.iter().copied().max().unwrap_or(1);
        let most = busiest(&RIDE_OCCUPANCY[0]);
        for weekday in 0..7 {
            let here = STAFF * busiest(&RIDE_OCCUPANCY[day(weekday)]) / most;
            for person in 0..STAFF {
                if self.dice.below(STAFF) < here {
                    self.shift(weekday, person);
                }
            }
        }
        Ok(())
    }

    fn shift(&mut self, weekday: usize, person: u64) {
        let weigh = |line: &[u64; 24]| line.map(|share| u32::try_from(share).unwrap_or(0));
        let comes = self.dice.weighted(&weigh(&RIDE_COMING[day(weekday)]));
        let goes = self.dice.weighted(&weigh(&RIDE_GOING[day(weekday)])).max(comes + 2);
        let begins = i64::try_from(weekday * 24 + comes).unwrap_or_default();
        let length = i64::try_from(goes - comes).unwrap_or_default() * HOUR_SECONDS;
        let at = self.clock.hour(begins).plus(Seconds(self.dice.count(0, 3_599)));
        let length = length + self.dice.between(-1_800, 1_800);
        let car = self.car(AIRPORT, Kind::Staff, at, length);
        self.cars[car].plate = staff_plate(person);
        self.cars[car].oddity = self.oddity(&[
            (15, Oddity::Misread),
            (15, Oddity::BadlyRead),
            (20, Oddity::StandsElsewhere),
        ]);
        self.at(at, Step::Car(car, Act::Come));
    }
}

fn staff_plate(person: u64) -> Pseudonym {
    Pseudonym(Uuid::from_u128(0xC0DE_0000_0000 + u128::from(person)))
}

fn seconds(number: i64) -> Seconds {
    Seconds(u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}
