//! One silent socket and the crowd it tells what it sees.

use crate::clock::{Clock, MICROS_PER_SECOND};
use crate::quiet::{News, OpenFault, Quiet};
use crate::scenario::flags::View;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long the last socket may take to connect, and a change to reach the last socket.
const WAIT_SECONDS_MAX: u64 = 60;
/// Attempts at an upgrade that the server puts off.
const OPEN_ATTEMPTS_MAX: u32 = 10;

/// What the sockets are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cue {
    Hold,
    /// Show that you are alive: a bare socket has no change to wait for.
    Probe,
    End,
}

/// What the sockets tell.
#[derive(Debug)]
pub struct Crowd {
    /// By number: the highest sequence seen, or for a bare socket 1 after its pong.
    pub seen: Vec<AtomicU64>,
    pub ready: AtomicU64,
    pub ended: AtomicU64,
    pub pongs_sent: AtomicU64,
    moved: Notify,
}

/// One silent socket before it connects.
#[derive(Debug)]
pub struct Member {
    pub number: usize,
    pub addr: SocketAddr,
    pub token: Arc<str>,
    pub lot: String,
    pub view: View,
    pub clock: Clock,
    pub crowd: Arc<Crowd>,
}

impl Member {
    /// Connects, subscribes, answers pings, tells what it sees, until it is told to end.
    pub async fn run(self, mut cue: watch::Receiver<Cue>) -> Result<(), String> {
        let ended = self.live(&mut cue).await;
        if ended.is_err() {
            self.crowd.ended.fetch_add(1, Ordering::AcqRel);
            self.crowd.moved.notify_one();
        }
        ended.map_err(|why| format!("socket {} of lot {}: {why}", self.number, self.lot))
    }

    async fn live(&self, cue: &mut watch::Receiver<Cue>) -> Result<(), String> {
        let mut socket = self.open().await?;
        let mut is_ready = false;
        match self.view.name() {
            Some(view) => socket.subscribe(&self.lot, view).await?,
            None => {
                self.count_ready();
                is_ready = true;
            }
        }
        loop {
            let news = tokio::select! {
                news = socket.next() => news?,
                _ = cue.changed() => {
                    let said = *cue.borrow_and_update();
                    match said {
                        Cue::Hold => {}
                        Cue::Probe if self.view == View::None => socket.ping().await?,
                        Cue::Probe => {}
                        Cue::End => return Ok(()),
                    }
                    continue;
                }
            };
            if news.has_picture && !is_ready {
                is_ready = true;
                self.count_ready();
            }
            self.tell(news);
        }
    }

    async fn open(&self) -> Result<Quiet, String> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Quiet::open(self.addr, "/api/v1/stream", &self.token).await {
                Ok(socket) => return Ok(socket),
                Err(OpenFault::Busy { retry_after_seconds, .. })
                    if attempts < OPEN_ATTEMPTS_MAX =>
                {
                    let at_us = self.clock.now_us() + retry_after_seconds * MICROS_PER_SECOND;
                    self.clock.sleep_until(at_us).await;
                }
                Err(OpenFault::Busy { status, .. }) => {
                    return Err(format!("put off with {status} {attempts} times"));
                }
                Err(OpenFault::Other(why)) => return Err(why),
            }
        }
    }

    fn count_ready(&self) {
        self.crowd.ready.fetch_add(1, Ordering::AcqRel);
        self.crowd.moved.notify_one();
    }

    fn tell(&self, news: News) {
        let pongs = u64::from(news.pings + news.protocol_pings);
        self.crowd.pongs_sent.fetch_add(pongs, Ordering::AcqRel);
        let seen = match self.view {
            View::None => u64::from(news.pongs),
            View::Counts | View::Slots => news.seq,
        };
        if seen > 0 {
            self.crowd.seen[self.number].fetch_max(seen, Ordering::AcqRel);
            self.crowd.moved.notify_one();
        }
    }
}

impl Crowd {
    /// Nobody there yet.
    pub fn of(sockets: usize) -> Self {
        Self {
            seen: (0..sockets).map(|_| AtomicU64::new(0)).collect(),
            ready: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            pongs_sent: AtomicU64::new(0),
            moved: Notify::new(),
        }
    }

    /// Waits until it is so, or until the deadline, after which it may not be.
    pub async fn wait_until(&self, is_so: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !is_so(self) {
                self.moved.notified().await;
            }
        };
        // Who did not come in time is found, and named, by the check that follows.
        let _ = tokio::time::timeout(Duration::from_secs(WAIT_SECONDS_MAX), waiting).await;
    }
}
