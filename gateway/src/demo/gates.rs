//! The counted lot: how many drive in and out at its barriers, and the task that reports it.
//!
//! The number inside follows Bath's daily curve; barriers miss a car now and then, so the reported flows
//! drift from the truth until the next recount. Invariant: never below zero, never above the capacity.
//! A report that is lost is mended by the next recount, so nothing is sent twice.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::calibration::counted_share;
use super::city;
use super::clock::{CityClock, CityTime};
use crate::client::{Client, Error};

/// The model's own step: fine enough that a minute's flow is a few cars.
const STEP_SECONDS: f64 = 60.0;
/// Mean stay behind the barriers: the mean of the measured stays.
const STAY_SECONDS: f64 = 129.0 * 60.0;
/// How fast chance is pulled back to the curve.
const PULL_SECONDS: f64 = 900.0;
/// A car that follows closely is not counted on its way in.
const MISSED_SHARE: f64 = 1.0 / 150.0;
/// Between two recounts, in the city's time.
const RECOUNT_SECONDS: f64 = 1_800.0;
/// Between two reports, in ours.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// What the barriers counted since they were last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// In, as counted.
    pub entered: u32,
    /// Out.
    pub left: u32,
    /// What a person counted, when a recount was due.
    pub recounted: Option<u32>,
}

/// The barriers and what is behind them.
pub struct Gates {
    random: SmallRng,
    capacity: u32,
    inside: u32,
    now: CityTime,
    recount_at: CityTime,
}

impl Gates {
    /// As full as the curve says at `now`.
    #[must_use]
    pub fn new(capacity: u32, seed: u64, now: CityTime) -> Self {
        let inside = (counted_share(now) * f64::from(capacity)).round() as u32;
        let recount_at = now.plus_seconds(RECOUNT_SECONDS);
        Self { random: SmallRng::seed_from_u64(seed), capacity, inside, now, recount_at }
    }

    /// Cars inside, in truth.
    #[must_use]
    pub fn inside(&self) -> u32 {
        self.inside
    }

    /// What passes until `now`.
    pub fn next(&mut self, now: CityTime) -> Flow {
        let mut flow = Flow::default();
        while self.now < now {
            let step = now.seconds_since(self.now).min(STEP_SECONDS);
            let (entered, left) = self.step(step);
            let missed = (0..entered).filter(|_| self.random.random_bool(MISSED_SHARE)).count();
            flow.entered += entered - u32::try_from(missed).unwrap_or(entered);
            flow.left += left;
        }
        if self.recount_at <= self.now {
            self.recount_at = self.now.plus_seconds(RECOUNT_SECONDS);
            flow.recounted = Some(self.inside);
        }
        flow
    }

    fn step(&mut self, seconds: f64) -> (u32, u32) {
        let capacity = f64::from(self.capacity);
        let (curve, after) = (counted_share(self.now), self.now.plus_seconds(seconds));
        let rise = (counted_share(after) - curve) * capacity;
        let pull = (curve * capacity - f64::from(self.inside)) * seconds / PULL_SECONDS;
        let leaving = f64::from(self.inside) * seconds / STAY_SECONDS;
        let (wanted, coming) = (rise + pull, rise + pull + leaving);
        // Where the curve falls faster than stays end, more leave; nobody comes backwards.
        let leaving = if coming < 0.0 { -wanted } else { leaving };
        let left = self.poisson(leaving).min(self.inside);
        let entered = self.poisson(coming.max(0.0)).min(self.capacity - (self.inside - left));
        self.inside = self.inside - left + entered;
        self.now = after;
        (entered, left)
    }

    /// Knuth's method; means are a few cars.
    fn poisson(&mut self, mean: f64) -> u32 {
        let limit = (-mean).exp();
        let mut product: f64 = self.random.random();
        let mut count = 0;
        while product > limit {
            count += 1;
            product *= self.random.random::<f64>();
        }
        count
    }
}

/// Tells the server the number inside.
pub async fn recount(client: &Client, inside: u32) -> Result<(), Error> {
    send(client, &json!({ "occupied": inside })).await
}

/// Reports what passes, as long as it is polled; ends when the server refuses for good.
pub async fn run(client: Client, mut gates: Gates, clock: CityClock) -> Error {
    let mut reports = interval(REPORT_EVERY);
    reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        reports.tick().await;
        if let Err(error) = report(&client, gates.next(clock.at(Instant::now()))).await {
            if !error.is_transient() {
                return error;
            }
            tracing::warn!(%error, "a count was lost; the next recount mends it");
        }
    }
}

async fn report(client: &Client, flow: Flow) -> Result<(), Error> {
    let Flow { entered, left, recounted } = flow;
    if entered > 0 || left > 0 {
        send(client, &json!({ "entered": entered, "left": left, "gate": "north" })).await?;
    }
    match recounted {
        Some(inside) => recount(client, inside).await,
        None => Ok(()),
    }
}

async fn send(client: &Client, count: &Value) -> Result<(), Error> {
    let path = format!("/api/v1/lots/{}/counts", city::COUNTED);
    client.post_json::<Value>(&path, count).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::calibration::{BATH_WEEKDAY, BATH_WEEKEND, HOURS};
    use super::*;

    const CAPACITY: u32 = 620;

    #[test]
    fn hourly_means_are_those_of_bath() {
        for seed in [1, 2, 77] {
            let mut gates = Gates::new(CAPACITY, seed, CityTime::of_week(0, 0, 0));
            let (mut sums, mut counts) = ([[0.0; HOURS]; 2], [[0.0; HOURS]; 2]);
            for minute in 1..=4 * 7 * 24 * 60 {
                let now = CityTime::of_week(0, 0, minute);
                gates.next(now);
                let share = f64::from(gates.inside()) / f64::from(CAPACITY);
                assert!((0.01..=0.95).contains(&share), "seed {seed}, {now}: {share:.3}");
                let kind = usize::from(now.is_weekend());
                sums[kind][now.hour()] += share;
                counts[kind][now.hour()] += 1.0;
            }
            for (kind, curve) in [BATH_WEEKDAY, BATH_WEEKEND].into_iter().enumerate() {
                for (hour, wanted) in curve.into_iter().enumerate() {
                    let got = sums[kind][hour] / counts[kind][hour];
                    let error = (got - wanted).abs();
                    assert!(error < 0.035, "seed {seed}, {hour} h: {got:.3} for {wanted}");
                }
            }
        }
    }

    #[test]
    fn flows_add_up_to_the_truth_but_for_missed_cars() {
        let start = CityTime::of_week(1, 0, 0);
        let mut gates = Gates::new(CAPACITY, 4, start);
        let began = i64::from(gates.inside());
        let (mut entered, mut left, mut recounts) = (0_i64, 0_i64, 0);
        // Steps of all lengths, also of none and of hours.
        let steps = [0.0, 1.0, 30.0, 61.0, 7_000.0];
        let mut now = start;
        for step in steps.iter().cycle().take(100) {
            now = now.plus_seconds(*step);
            let flow = gates.next(now);
            entered += i64::from(flow.entered);
            left += i64::from(flow.left);
            recounts += usize::from(flow.recounted == Some(gates.inside()));
        }
        let missed = i64::from(gates.inside()) - (began + entered - left);
        assert!((1..entered / 50).contains(&missed), "{missed} of {entered} missed");
        assert!(recounts >= 20, "{recounts}");
        assert_eq!(gates.next(start), Flow::default(), "time never goes back");
    }
}
