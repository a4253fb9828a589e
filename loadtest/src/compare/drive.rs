//! Hands that do one thing after the other on connections of their own: the closed loop of every peer that
//! answers requests.

use crate::clock::{Clock, micros};
use crate::compare::usage::Tree;
use crate::machine::Usage;
use crate::recorder::{Measure, Recorder, Tally, Window};
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// A server that was prepared is at rest when it uses less than this share of a processor.
const REST_SHARE: f64 = 0.05;
/// How long that is looked at, and how often at most.
const REST_LOOK: Duration = Duration::from_millis(250);
const REST_LOOKS_MAX: usize = 60;

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

impl Turn {
    fn add(&mut self, other: Self) {
        self.done += other.done;
        self.refused += other.refused;
    }
}

/// Somebody who works on one connection.
pub trait Hand: Send + 'static {
    /// One request and its answer.
    fn turn(&mut self) -> impl Future<Output = Result<Turn, String>> + Send;

    /// Whether it has nothing left to do until it is prepared (again). Then nobody takes a measured turn.
    fn is_spent(&self) -> bool {
        false
    }

    /// Makes what its turns need. Nothing of it is measured.
    fn prepare(&mut self) -> impl Future<Output = Result<(), String>> + Send {
        std::future::ready(Ok(()))
    }
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

impl Driven {
    fn count(&mut self, turns: Turn) {
        self.done_in_all += turns.done;
        self.refused_in_all += turns.refused;
    }
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

/// A window that begins after the warm-up.
pub fn window_from_now(clock: Clock, timing: Timing) -> Window {
    let from_us = clock.now_us() + micros(timing.warm_up);
    Window { from_us, to_us: from_us + micros(timing.duration) }
}

/// Takes the processor times at the window's ends.
pub async fn watch(clock: Clock, window: Window, tree: Tree) -> [Spent; 2] {
    clock.sleep_until(window.from_us).await;
    let first = Spent::now(tree);
    clock.sleep_until(window.to_us).await;
    [first, Spent::now(tree)]
}

/// All hands at work for as long as the timing says; in as many rounds as their preparations need.
pub async fn drive<H: Hand>(
    mut hands: Vec<H>,
    timing: Timing,
    tree: Tree,
) -> Result<Driven, String> {
    let mut driven = Driven::default();
    let mut histogram: Option<Histogram<u64>> = None;
    let (mut left, mut done, mut measured_us) = (timing, 0, 0);
    let (mut server, mut client) = (Some(0.0), Some(0.0));
    while !left.duration.is_zero() {
        if hands.iter().any(H::is_spent) {
            hands = prepared(hands, &mut driven).await?;
            if hands.iter().any(H::is_spent) {
                return Err("a hand has nothing to do after it was prepared".to_owned());
            }
            rest(tree).await;
        }
        let round = Round::play(hands, left, tree).await?;
        hands = round.hands;
        left.warm_up = left.warm_up.saturating_sub(Duration::from_micros(round.worked_us));
        left.duration = left.duration.saturating_sub(Duration::from_micros(round.measured_us));
        done += round.recorder.total(Tally::Granted);
        measured_us += round.measured_us;
        let [first, last] = round.spent;
        server = server.zip(first.server.zip(last.server)).map(|(sum, (a, b))| sum + b - a);
        client = client.zip(first.client.zip(last.client)).map(|(sum, (a, b))| sum + b - a);
        driven.count(round.total);
        if let Some(latencies) = round.recorder.histogram(Measure::Booking) {
            match &mut histogram {
                Some(all) => all.add(latencies).map_err(|error| error.to_string())?,
                None => histogram = Some(latencies.clone()),
            }
        }
    }
    let each = |seconds: Option<f64>| seconds.filter(|_| done > 0).map(|s| s * 1e6 / done as f64);
    let at = |quantile| histogram.as_ref().map(|all| all.value_at_quantile(quantile));
    Ok(Driven {
        per_second: done as f64 * 1e6 / measured_us as f64,
        server_cpu_us: each(server),
        client_cpu_us: each(client),
        p50_us: at(0.5),
        p99_us: at(0.99),
        ..driven
    })
}

/// Everybody does what it has left, and begins again.
async fn prepared<H: Hand>(hands: Vec<H>, driven: &mut Driven) -> Result<Vec<H>, String> {
    let mut tasks = JoinSet::new();
    for mut hand in hands {
        tasks.spawn(async move {
            let mut total = Turn::default();
            while !hand.is_spent() {
                total.add(hand.turn().await?);
            }
            hand.prepare().await.map(|()| (hand, total))
        });
    }
    let mut hands = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let (hand, total) = ended.map_err(|error| error.to_string())??;
        hands.push(hand);
        driven.count(total);
    }
    Ok(hands)
}

/// Until the server has done what preparing left it to do in the background, which no turn is to pay for.
async fn rest(tree: Tree) {
    let mut before = tree.cpu_seconds();
    for _ in 0..REST_LOOKS_MAX {
        tokio::time::sleep(REST_LOOK).await;
        let now = tree.cpu_seconds();
        let used = before.zip(now).map_or(0.0, |(before, now)| now - before);
        if used < REST_SHARE * REST_LOOK.as_secs_f64() {
            return;
        }
        before = now;
    }
}

/// Turns of all hands until the time is over or one of them is spent.
struct Round<H> {
    hands: Vec<H>,
    recorder: Recorder,
    total: Turn,
    spent: [Spent; 2],
    /// With the warm-up, and without.
    worked_us: u64,
    measured_us: u64,
}

impl<H: Hand> Round<H> {
    async fn play(hands: Vec<H>, timing: Timing, tree: Tree) -> Result<Self, String> {
        let clock = Clock::start();
        let (began_us, window) = (clock.now_us(), window_from_now(clock, timing));
        let over = Arc::new(Over::default());
        let mut tasks = JoinSet::new();
        for hand in hands {
            tasks.spawn(work(hand, clock, window, Arc::clone(&over)));
        }
        let first = until(clock, window.from_us, &over, tree).await;
        let last = until(clock, window.to_us, &over, tree).await;
        let ended_us = clock.now_us().min(window.to_us);
        let mut round = Self {
            hands: Vec::new(),
            recorder: Recorder::new(window),
            total: Turn::default(),
            spent: [first, last],
            worked_us: ended_us - began_us,
            measured_us: ended_us.saturating_sub(window.from_us),
        };
        while let Some(ended) = tasks.join_next().await {
            let (hand, recorder, total) = ended.map_err(|error| error.to_string())??;
            round.hands.push(hand);
            round.recorder.merge(&recorder);
            round.total.add(total);
        }
        Ok(round)
    }
}

/// That a round ends before its time.
#[derive(Debug, Default)]
struct Over {
    is_over: AtomicBool,
    told: Notify,
}

impl Over {
    fn tell(&self) {
        self.is_over.store(true, Ordering::Release);
        self.told.notify_one();
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

/// The processor times at an instant, or when the round is over.
async fn until(clock: Clock, at_us: u64, over: &Over, tree: Tree) -> Spent {
    if !over.is_over() {
        tokio::select! {
            () = clock.sleep_until(at_us) => {}
            () = over.told.notified() => {}
        }
    }
    Spent::now(tree)
}

async fn work<H: Hand>(
    mut hand: H,
    clock: Clock,
    window: Window,
    over: Arc<Over>,
) -> Result<(H, Recorder, Turn), String> {
    let mut recorder = Recorder::new(window);
    let mut total = Turn::default();
    loop {
        let began_us = clock.now_us();
        if hand.is_spent() {
            over.tell();
        }
        if over.is_over() || began_us >= window.to_us {
            return Ok((hand, recorder, total));
        }
        let turn = hand.turn().await.inspect_err(|_| over.tell())?;
        // What comes after the end was not paid for inside.
        let now_us = clock.now_us();
        if !over.is_over() {
            recorder.latency(Measure::Booking, began_us, now_us);
            recorder.count(Tally::Granted, turn.done, now_us);
        }
        total.add(turn);
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

    /// Works `turns` times and is prepared for `PREPARING` before.
    struct Prepared {
        turns: u64,
        left: u64,
    }

    const PREPARING: Duration = Duration::from_millis(300);

    impl Hand for Prepared {
        async fn turn(&mut self) -> Result<Turn, String> {
            assert!(self.left > 0, "a turn of a hand that is spent");
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.left -= 1;
            Ok(Turn { done: 1, refused: 0 })
        }

        fn is_spent(&self) -> bool {
            self.left == 0
        }

        async fn prepare(&mut self) -> Result<(), String> {
            tokio::time::sleep(PREPARING).await;
            self.left = self.turns;
            Ok(())
        }
    }

    #[tokio::test]
    async fn preparing_is_neither_counted_nor_measured() {
        // Rounds of some 50 ms at most, as long as the hand that is spent first lasts.
        let hands = vec![Prepared { turns: 40, left: 0 }, Prepared { turns: 400, left: 0 }];
        let timing =
            Timing { warm_up: Duration::from_millis(30), duration: Duration::from_millis(100) };
        let began = std::time::Instant::now();
        let driven = drive(hands, timing, Tree::new(None)).await.unwrap();
        assert!(began.elapsed() > PREPARING * 2, "it took more than one round");
        assert!(driven.p99_us.unwrap() < 1_000 * PREPARING.as_millis() as u64, "{driven:?}");
        // What the second one still had to do after a round was not counted: forty of each were, a round.
        let measured = driven.per_second * timing.duration.as_secs_f64();
        assert!(measured > 0.0 && measured < driven.done_in_all as f64 / 2.0, "{driven:?}");
        let error = drive(vec![Prepared { turns: 0, left: 0 }], timing, Tree::new(None)).await;
        assert!(error.unwrap_err().contains("nothing to do"));
    }
}
