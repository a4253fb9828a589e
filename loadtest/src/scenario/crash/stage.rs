//! What all players of the scenario share: whether the server is there, and where they tell what they were told.

use super::history::Told;
use crate::clock::Clock;
use crate::fleet::Fleet;
use crate::http::{Answer, HttpClient};
use crate::target::{Role, Target};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Between two attempts while the server is about to go or to come.
const KNOCK: Duration = Duration::from_millis(5);

/// What the players do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Wait: there is no server.
    Down,
    /// Play.
    Up,
    /// There is a server; nothing new is sent to it.
    Idle,
    /// Find out what is open, send nothing new, then end. Watchers go on.
    Settle,
    /// End.
    End,
}

/// Figures of the whole run.
#[derive(Debug, Default)]
pub struct Tallies {
    pub retried: AtomicU64,
    pub repeated: AtomicU64,
    pub resumed: AtomicU64,
    pub by_snapshot: AtomicU64,
    pub changed: AtomicU64,
    pub refused: AtomicU64,
    pub resent_batches: AtomicU64,
}

/// Shared by all players.
#[derive(Debug)]
pub struct Stage {
    pub target: Target,
    pub clock: Clock,
    pub fleet: Arc<Fleet>,
    /// The lot of stays, beside the fleet.
    pub stays: String,
    pub seed: u64,
    pub tallies: Tallies,
    /// Requests and batches without an answer.
    in_flight: AtomicU64,
    told: mpsc::UnboundedSender<Told>,
    faults: Mutex<Vec<(Broken, String)>>,
    errors: Mutex<BTreeMap<String, u64>>,
    attempts: AtomicU64,
    epoch: OnceLock<String>,
}

/// Which promise a player saw broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    Kept,
    Whole,
    Reads,
    Keys,
    Resumed,
}

/// A request under way; dropped when it is answered or broken.
pub struct Flight<'a>(&'a AtomicU64);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Stage {
    pub fn new(
        target: Target,
        clock: Clock,
        fleet: Arc<Fleet>,
        seed: u64,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Told>) {
        let (told, heard) = mpsc::unbounded_channel();
        let stays = format!("{}-stays", fleet.lots.first().map_or("none", |lot| &lot.code));
        let stage = Self {
            target,
            clock,
            fleet,
            stays,
            seed,
            tallies: Tallies::default(),
            in_flight: AtomicU64::new(0),
            told,
            faults: Mutex::default(),
            errors: Mutex::default(),
            attempts: AtomicU64::new(0),
            epoch: OnceLock::new(),
        };
        (Arc::new(stage), heard)
    }

    /// Somebody was told something; it is judged when the log is read next.
    pub fn told(&self, told: Told) {
        // Nobody listens any more when the run is being given up.
        let _ = self.told.send(told);
    }

    /// A promise was broken before anybody's eyes.
    pub fn fault(&self, broken: Broken, what: impl Into<String>) {
        lock(&self.faults).push((broken, what.into()));
    }

    /// The faults since the last time.
    pub fn take_faults(&self) -> Vec<(Broken, String)> {
        std::mem::take(&mut lock(&self.faults))
    }

    /// Something that is no answer.
    pub fn error(&self, what: impl Into<String>) {
        *lock(&self.errors).entry(what.into()).or_default() += 1;
    }

    /// Attempts of any kind, and errors by code.
    pub fn errors(&self) -> (u64, BTreeMap<String, u64>) {
        (self.attempts.load(Ordering::Relaxed), lock(&self.errors).clone())
    }

    /// A request begins.
    pub fn fly(&self) -> Flight<'_> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        Flight(&self.in_flight)
    }

    /// So many batches more are under way.
    pub fn batches_sent(&self, more: usize) {
        self.attempts.fetch_add(more as u64, Ordering::Relaxed);
        self.in_flight.fetch_add(more as u64, Ordering::AcqRel);
    }

    /// So many of them were answered, or broke with their socket.
    pub fn batches_gone(&self, fewer: usize) {
        self.in_flight.fetch_sub(fewer as u64, Ordering::AcqRel);
    }

    /// What has no answer at this moment.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// A kill -9 alone never changes the epoch.
    pub fn epoch(&self, epoch: &str) {
        let first = self.epoch.get_or_init(|| epoch.into());
        if first != epoch {
            self.fault(Broken::Whole, format!("epoch changed from {first} to {epoch}"));
        }
    }

    /// A client of the `nth` person of a role.
    pub fn client(&self, role: Role, nth: usize) -> HttpClient {
        HttpClient::new(self.target.addr, self.target.token(role, nth))
    }

    /// `GET` by a player; nothing when the server is gone or says no.
    pub async fn get(&self, client: &mut HttpClient, path: &str) -> Option<Answer> {
        let _flight = self.fly();
        client.get(path).await.ok()
    }

    /// Luck of a player's own; the same seed gives the same.
    pub fn luck(&self, player: u64) -> SmallRng {
        SmallRng::seed_from_u64(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(player))
    }
}

/// Waits until there is something to do or the end; says which phase it is then.
pub async fn ready(phase: &mut watch::Receiver<Phase>) -> Phase {
    let wanted = |phase: &Phase| matches!(phase, Phase::Up | Phase::Settle | Phase::End);
    phase.wait_for(wanted).await.map_or(Phase::End, |phase| *phase)
}

/// Waits until there is a server, or the end.
pub async fn there(phase: &mut watch::Receiver<Phase>) -> Phase {
    phase.wait_for(|phase| *phase != Phase::Down).await.map_or(Phase::End, |phase| *phase)
}

/// After something broke: not at once again.
pub async fn knock() {
    tokio::time::sleep(KNOCK).await;
}

/// A pause of a player.
pub async fn pause(luck: &mut SmallRng, ms: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_micros(luck.random_range(ms.start * 1_000..ms.end * 1_000)))
        .await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
