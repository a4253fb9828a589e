//! People who book: holds that expire, promises kept, given up and forgotten.
//!
//! All of it in our time, whatever the city's speed: a server refuses windows in the past. Booked bays are
//! left alone by the traffic; whoever keeps his booking is reported by his bay's sensor, over HTTP.
//! A booking that fails is told in the log and forgotten: another one follows.

use std::time::Duration;

use jiff::Timestamp;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::city;
use crate::client::{Client, Error};

/// Between two bookings.
const EVERY: Duration = Duration::from_secs(12);
/// So many at the start: reserved bays are there to be seen at once.
const AT_FIRST: usize = 8;

/// What becomes of a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// Confirmed, and he comes.
    Kept,
    /// Held and never confirmed.
    Expires,
    /// Confirmed and given up.
    GivenUp,
    /// Confirmed, and nobody comes.
    Forgotten,
}

/// By turns.
const COURSES: [Course; 8] = [
    Course::Kept,
    Course::Expires,
    Course::Kept,
    Course::GivenUp,
    Course::Kept,
    Course::Forgotten,
    Course::Expires,
    Course::Kept,
];

/// The times of one booking, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    course: Course,
    hold: Option<u32>,
    /// From booking to confirming or giving up.
    think: u32,
    /// From booking to the window's begin.
    ahead: u32,
    /// From the window's begin to the arrival; must be within the lot's no-show time.
    late: u32,
    stay: u32,
}

/// What a slot's stay is shorter by than its window.
const LEAVES_EARLY_SECONDS: u32 = 20;

impl Plan {
    fn new(course: Course, random: &mut SmallRng) -> Self {
        Self {
            course,
            hold: match course {
                Course::Kept => Some(60),
                Course::Expires => Some(random.random_range(30..=60)),
                Course::GivenUp | Course::Forgotten => None,
            },
            think: random.random_range(5..=25),
            ahead: random.random_range(40..=90),
            late: random.random_range(2..=15),
            stay: random.random_range(60..=240),
        }
    }

    fn window_seconds(&self) -> u32 {
        self.late + self.stay + LEAVES_EARLY_SECONDS
    }
}

/// What the server says about a reservation.
#[derive(Debug, Deserialize)]
struct Reserved {
    id: String,
    lot: String,
    slot: String,
}

/// Somebody who books.
#[derive(Clone)]
struct Driver {
    client: Client,
    plate: String,
}

/// All who book.
pub struct Bookings {
    random: SmallRng,
    drivers: Vec<Driver>,
    /// Speaks for the sensors of the booked bays.
    sensors: Client,
    turn: usize,
    under_way: JoinSet<()>,
}

impl Bookings {
    /// Nobody has booked yet; `clients` are the drivers'.
    #[must_use]
    pub fn new(clients: Vec<Client>, sensors: Client, seed: u64) -> Self {
        let drivers = clients.into_iter().zip(4_711..);
        let drivers = drivers
            .map(|(client, number)| Driver { client, plate: format!("261-PA-{number}") })
            .collect();
        let random = SmallRng::seed_from_u64(seed);
        Self { random, drivers, sensors, turn: 0, under_way: JoinSet::new() }
    }

    /// The bookings that are there when the demo opens.
    pub async fn first(&mut self) -> Result<(), Error> {
        for _ in 0..AT_FIRST {
            match self.book().await {
                // An earlier start's bookings may still hold every bay.
                Err(error) if error.problem().is_none_or(|problem| problem.status != 409) => {
                    return Err(error);
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Books for as long as it is polled.
    pub async fn run(mut self) {
        let mut turns = interval(EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is now, and now was served by `first`.
        turns.tick().await;
        loop {
            tokio::select! {
                _ = turns.tick() => told(self.book().await),
                Some(_) = self.under_way.join_next(), if !self.under_way.is_empty() => {}
            }
        }
    }

    async fn book(&mut self) -> Result<(), Error> {
        let turn = self.turn;
        self.turn += 1;
        let plan = Plan::new(COURSES[turn % COURSES.len()], &mut self.random);
        let lot = city::BOOKABLE[turn % city::BOOKABLE.len()];
        let driver = self.drivers[turn % self.drivers.len()].clone();
        let reserved = driver.reserve(lot, &plan).await?;
        let sensors = self.sensors.clone();
        self.under_way.spawn(async move { told(follow(&driver, &sensors, &reserved, plan).await) });
        Ok(())
    }
}

fn told(done: Result<(), Error>) {
    match done {
        Ok(()) => {}
        // Every bay is taken: what a driver meets every day.
        Err(error) if error.problem().is_some_and(|problem| problem.status == 409) => {
            tracing::debug!(%error, "a booking was refused");
        }
        Err(error) => tracing::warn!(%error, "a booking failed"),
    }
}

/// What happens after the booking.
async fn follow(
    driver: &Driver,
    sensors: &Client,
    reserved: &Reserved,
    plan: Plan,
) -> Result<(), Error> {
    let path = |verb: &str| format!("/api/v1/reservations/{}/{verb}", reserved.id);
    match plan.course {
        Course::Expires | Course::Forgotten => Ok(()),
        Course::GivenUp => {
            pause(plan.think).await;
            driver.client.post_json::<Value>(&path("cancel"), &json!({})).await.map(drop)
        }
        Course::Kept => {
            pause(plan.think).await;
            driver.client.post_json::<Value>(&path("confirm"), &json!({})).await?;
            pause(plan.ahead - plan.think + plan.late).await;
            see(sensors, reserved, true).await?;
            pause(plan.stay).await;
            see(sensors, reserved, false).await
        }
    }
}

async fn pause(seconds: u32) {
    sleep(Duration::from_secs(seconds.into())).await;
}

/// The bay's sensor: it has no clock, so the server takes the time of receipt.
async fn see(sensors: &Client, reserved: &Reserved, occupied: bool) -> Result<(), Error> {
    let path = format!("/api/v1/lots/{}/readings", reserved.lot);
    let body = json!({ "readings": [{ "slot": reserved.slot, "occupied": occupied }] });
    sensors.post_json::<Value>(&path, &body).await.map(drop)
}

impl Driver {
    async fn reserve(&self, lot: &str, plan: &Plan) -> Result<Reserved, Error> {
        let from = Timestamp::now() + Duration::from_secs(plan.ahead.into());
        let to = from + Duration::from_secs(plan.window_seconds().into());
        let mut body = json!({
            "lot": lot,
            "needs": { "zone": city::BOOKABLE_ZONE },
            "from": from,
            "to": to,
            "vehicle": { "plate": self.plate, "country": "IRL" },
        });
        if let Some(seconds) = plan.hold {
            body["hold_seconds"] = seconds.into();
        }
        self.client.post_json("/api/v1/reservations", &body).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_course_occurs_and_its_times_fit_each_other() {
        let mut random = SmallRng::seed_from_u64(1);
        for course in [Course::Kept, Course::Expires, Course::GivenUp, Course::Forgotten] {
            assert!(COURSES.contains(&course), "{course:?}");
            for _ in 0..1_000 {
                let plan = Plan::new(course, &mut random);
                assert!(plan.think < plan.ahead, "{plan:?}");
                assert!(plan.hold.is_none_or(|hold| plan.think < hold), "{plan:?}");
                assert!(plan.late < city::NO_SHOW_SECONDS, "{plan:?}");
                assert!(plan.stay > city::NO_SHOW_SECONDS, "he is seen when the server looks");
                assert!(plan.late + plan.stay < plan.window_seconds(), "{plan:?}");
            }
        }
    }
}
