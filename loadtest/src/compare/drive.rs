//! Hands that do one thing after the other on connections of their own: the closed loop of every peer that
//! answers requests.

use crate::clock::{Clock, micros};
use crate::compare::usage::Tree;
use crate::machine::Usage;
use crate::recorder::{Measure, Recorder, Tally, Window};
use hdrhistogram::Histogram;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long each stage is.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub warm_up: Duration,
    pub duration: Duration,
}

/// What one turn brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Things acknowledged as done.
    pub done: u64,
    /// Things refused, as they should be.
    pub refused: u64,
}

/// Somebody who works on one connection.
pub trait Hand: Send + 'static {
    /// One request and its answer.
    fn turn(&mut self) -> impl Future<Output = Result<Turn, String>> + Send;
}

/// What a stage measured.
#[derive(Clone, Debug, Default)]
pub struct Driven {
    pub per_second: f64,
    /// All processes of the server over what was done.
    pub server_cpu_us: Option<f64>,
    pub client_cpu_us: Option<f64>,
    pub p50_us: Option<u64>,
    pub p99_us: Option<u64>,
    /// Over the whole run, warm-up included: what must be found afterwards.
    pub done_in_all: u64,
    pub refused_in_all: u64,
}

/// Processor time of server and client at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    server: Option<f64>,
    client: Option<f64>,
}

impl Spent {
    /// Now.
    pub fn now(tree: Tree) -> Self {
        let client = Usage::of(std::process::id()).map(|usage| usage.cpu_seconds);
        Self { server: tree.cpu_seconds(), client }
    }

    /// Microseconds of server and client for each of so many things.
    pub fn each(first: Self, last: Self, things: u64) -> (Option<f64>, Option<f64>) {
        let per = |first: Option<f64>, last: Option<f64>| {
            (things > 0).then(|| Some((last? - first?) * 1e6 / things as f64)).flatten()
        };
        (per(first.server, last.server), per(first.client, last.client))
    }
}

/// Takes the processor times at the window's ends.
pub async fn watch(clock: Clock, window: Window, tree: Tree) -> [Spent; 2] {
    clock.sleep_until(window.from_us).await;
    let first = Spent::now(tree);
    clock.sleep_until(window.to_us).await;
    [first, Spent::now(tree)]
}

/// A window that begins after the warm-up.
pub fn window_from_now(clock: Clock, timing: Timing) -> Window {
    let from_us = clock.now_us() + micros(timing.warm_up);
    Window { from_us, to_us: from_us + micros(timing.duration) }
}

/// All hands at work until the window ends.
pub async fn drive<H: Hand>(hands: Vec<H>, timing: Timing, tree: Tree) -> Result<Driven, String> {
    let clock = Clock::start();
    let window = window_from_now(clock, timing);
    let mut tasks = JoinSet::new();
    for hand in hands {
        tasks.spawn(work(hand, clock, window));
    }
    let [first, last] = watch(clock, window, tree).await;
    let mut all = Recorder::new(window);
    let mut driven = Driven::default();
    while let Some(ended) = tasks.join_next().await {
        let (recorder, total) = ended.map_err(|error| error.to_string())??;
        all.merge(&recorder);
        driven.done_in_all += total.done;
        driven.refused_in_all += total.refused;
    }
    let done = all.total(Tally::Granted);
    let histogram = all.histogram(Measure::Booking);
    let at = |quantile| histogram.map(|h: &Histogram<u64>| h.value_at_quantile(quantile));
    let (server_cpu_us, client_cpu_us) = Spent::each(first, last, done);
    Ok(Driven {
        per_second: done as f64 / timing.duration.as_secs_f64(),
        server_cpu_us,
        client_cpu_us,
        p50_us: at(0.5),
        p99_us: at(0.99),
        ..driven
    })
}

async fn work<H: Hand>(
    mut hand: H,
    clock: Clock,
    window: Window,
) -> Result<(Recorder, Turn), String> {
    let mut recorder = Recorder::new(window);
    let mut total = Turn::default();
    loop {
        let began_us = clock.now_us();
        if began_us >= window.to_us {
            return Ok((recorder, total));
        }
        let turn = hand.turn().await?;
        let now_us = clock.now_us();
        recorder.latency(Measure::Booking, began_us, now_us);
        recorder.count(Tally::Granted, turn.done, now_us);
        total.done += turn.done;
        total.refused += turn.refused;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter(u64);

    impl Hand for Counter {
        async fn turn(&mut self) -> Result<Turn, String> {
            tokio::task::yield_now().await;
            self.0 += 1;
            if self.0 == 10_000_000 {
                Err("tired".into())
            } else {
                Ok(Turn { done: 2, refused: 1 })
            }
        }
    }

    #[tokio::test]
    async fn everything_done_is_counted_and_a_failing_hand_ends_the_stage() {
        let (warm_up, duration) = (Duration::from_millis(5), Duration::from_millis(50));
        let timing = Timing { warm_up, duration };
        let tree = Tree::new(Some(std::process::id()));
        let driven = drive(vec![Counter(0), Counter(0)], timing, tree).await.unwrap();
        assert_eq!(driven.done_in_all, driven.refused_in_all * 2);
        assert!(driven.per_second > 0.0 && driven.p50_us <= driven.p99_us, "{driven:?}");
        let error = drive(vec![Counter(9_999_999)], timing, tree).await.unwrap_err();
        assert_eq!(error, "tired");
    }
}
