//! Many subscribers of one thing and the one who changes it, on one thread, over bare nonblocking sockets.
//!
//! The client shares the machine with the server it measures, so it does as little as can be done: one
//! `epoll`, one buffer for all reads, frames looked at where they lie, nothing allocated per message. The
//! same loop plays against our server and against its peers; what differs is a `Dialect`.
//! Full speed means: the publisher is never more than `ahead_max` changes before the slowest subscriber, so
//! that no server is measured by what it throws away. Paced means: at fixed times, whatever comes back.

pub mod connect;
pub mod frame;
pub mod lotkeeper;
mod member;
mod publisher;
pub mod tape;

pub use member::Answer;

use crate::clock::{Clock, Pace};
use crate::recorder::Window;
use frame::FrameError;
use member::Member;
use publisher::Publisher;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tape::{Seen, Tape};
use thiserror::Error;

/// How long subscribers may take to receive what is on its way.
pub const DRAIN_US_MAX: u64 = 30_000_000;
/// One read; a subscriber that is behind gets its messages in few of them.
const READ_BYTES: usize = 256 << 10;
/// Events taken at once, after which the publisher has its turn.
const EVENTS: usize = 128;
/// The longest sleep: the publisher's time must come.
const SLEEP_NS_MAX: i64 = 1_000_000;
/// Marks the publisher among the events.
const PUBLISHER: u64 = u64::MAX;

/// What a server and its clients say to each other.
pub trait Dialect: Send + 'static {
    /// What came to a subscriber in one frame; says what to answer.
    fn heard(&mut self, seen: &mut Seen, payload: &[u8], whole: bool, tape: &mut Tape) -> Answer;

    /// Appends so many changes to what the publisher sends, all due at that time.
    fn publish(&mut self, count: usize, due_us: u64, out: &mut Vec<u8>);

    /// What came back to the publisher; says how much of it was understood.
    fn answered(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, String>;

    /// Whether so many published changes were all answered for.
    fn is_settled(&self, published: u64) -> bool;
}

/// How the publisher goes about it.
#[derive(Clone, Copy, Debug)]
pub enum Speed {
    /// As fast as the slowest subscriber, in batches.
    Full { ahead_max: u64, batch: usize },
    /// So many a second, one by one.
    Paced(f64),
}

/// Sockets that are open and a time to run.
#[derive(Debug)]
pub struct Cast {
    /// Each with what it has said already.
    pub subscribers: Vec<connect::Opened>,
    /// The same for the one who changes things.
    pub publisher: connect::Opened,
    pub clock: Clock,
    pub began_us: u64,
    pub window: Window,
    pub speed: Speed,
    /// Every so many-th subscriber is checked to the last byte.
    pub check_every: usize,
}

/// What a swarm brings back.
#[derive(Debug)]
pub struct Harvest<D> {
    pub dialect: D,
    pub tape: Tape,
    pub seen: Vec<Seen>,
    /// Changes inside the window.
    pub published_in_window: u64,
}

/// Why a swarm could not go on.
#[derive(Debug, Error)]
pub enum SwarmError {
    #[error("subscriber {who}: {what}")]
    Subscriber { who: usize, what: String },
    #[error("publisher: {0}")]
    Publisher(String),
    #[error("subscriber {who}: {source}")]
    Frame { who: usize, source: FrameError },
    #[error("waiting for sockets: {0}")]
    Wait(std::io::Error),
    #[error("the run was stopped")]
    Stopped,
}

#[derive(Debug)]
struct Swarm<D> {
    dialect: D,
    members: Vec<Member>,
    publisher: Publisher,
    epoll: OwnedFd,
    buffer: Vec<u8>,
    tape: Tape,
    speed: Speed,
    pace: Option<Pace>,
    published: u64,
    published_in_window: u64,
}

/// Runs a swarm on a thread of its own; dropping the future stops it.
pub async fn run<D: Dialect>(cast: Cast, dialect: D) -> Result<Harvest<D>, String> {
    /// Tells the thread when nobody waits for it any more.
    struct Leash(Arc<AtomicBool>);
    impl Drop for Leash {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let leash = Leash(Arc::default());
    let stop = Arc::clone(&leash.0);
    let (done, result) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("swarm".into()).spawn(move || {
        let harvest = Swarm::new(cast, dialect).and_then(|swarm| swarm.run(&stop));
        // Nobody waits for a run that was stopped.
        let _ = done.send(harvest.map_err(|error| error.to_string()));
    });
    thread.map_err(|error| format!("cannot start the swarm's thread: {error}"))?;
    let harvest = result.await.unwrap_or_else(|_| Err("the swarm's thread broke down".into()));
    drop(leash);
    harvest
}

impl<D: Dialect> Swarm<D> {
    fn new(cast: Cast, dialect: D) -> Result<Self, SwarmError> {
        let wait = |errno: rustix::io::Errno| SwarmError::Wait(errno.into());
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(wait)?;
        let watch = |stream: &TcpStream, mark: u64| {
            stream.set_nonblocking(true).map_err(SwarmError::Wait)?;
            let data = epoll::EventData::new_u64(mark);
            epoll::add(&epoll, stream, data, epoll::EventFlags::IN).map_err(wait)
        };
        let mut members = Vec::with_capacity(cast.subscribers.len());
        for (who, (stream, carry)) in cast.subscribers.into_iter().enumerate() {
            watch(&stream, who as u64)?;
            members.push(Member::new(stream, carry, who % cast.check_every.max(1) == 0));
        }
        watch(&cast.publisher.0, PUBLISHER)?;
        Ok(Self {
            dialect,
            members,
            publisher: Publisher::new(cast.publisher),
            epoll,
            buffer: vec![0; READ_BYTES],
            tape: Tape::new(cast.clock, cast.window),
            pace: match cast.speed {
                Speed::Full { .. } => None,
                Speed::Paced(rate) => Some(Pace::new(cast.began_us, rate)),
            },
            speed: cast.speed,
            published: 0,
            published_in_window: 0,
        })
    }

    fn run(mut self, stop: &AtomicBool) -> Result<Harvest<D>, SwarmError> {
        let nothing =
            epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };
        let mut events = [nothing; EVENTS];
        for who in 0..self.members.len() {
            self.members[who].catch_up(who, &mut self.dialect, &mut self.tape)?;
        }
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(SwarmError::Stopped);
            }
            let now_us = self.tape.clock.now_us();
            if now_us < self.tape.window.to_us {
                self.publish_due(now_us);
            } else if self.is_done() || now_us > self.tape.window.to_us + DRAIN_US_MAX {
                break;
            }
            self.publisher.flush().map_err(SwarmError::Publisher)?;
            let sleep = Timespec { tv_sec: 0, tv_nsec: self.sleep_ns(now_us) };
            let count = match epoll::wait(&self.epoll, &mut events, Some(&sleep)) {
                Ok(count) => count,
                Err(rustix::io::Errno::INTR) => 0,
                Err(errno) => return Err(SwarmError::Wait(errno.into())),
            };
            for event in &events[..count] {
                self.read(event.data.u64())?;
            }
        }
        self.judge_the_end();
        let seen = self.members.into_iter().map(|member| member.seen).collect();
        let Self { dialect, tape, published_in_window, .. } = self;
        Ok(Harvest { dialect, tape, seen, published_in_window })
    }

    fn read(&mut self, mark: u64) -> Result<(), SwarmError> {
        if mark == PUBLISHER {
            let heard = self.publisher.read(&mut self.dialect, &mut self.buffer);
            return heard.map_err(SwarmError::Publisher);
        }
        let who = mark as usize;
        self.members[who].read(who, &mut self.dialect, &mut self.tape, &mut self.buffer)
    }

    fn publish_due(&mut self, now_us: u64) {
        match self.speed {
            Speed::Full { ahead_max, batch } => {
                // One look at all of them per turn costs less than keeping them in order.
                let slowest = self.members.iter().map(|member| member.seen.upto).min();
                let slowest = slowest.unwrap_or(self.published);
                while self.published + batch as u64 <= slowest + ahead_max
                    && self.publisher.has_room()
                {
                    self.publish(batch, now_us, now_us);
                }
            }
            Speed::Paced(_) => {
                while let Some(due_us) = self.pace.as_mut().and_then(|pace| pace.take(now_us)) {
                    self.publish(1, due_us, now_us);
                }
            }
        }
    }

    fn publish(&mut self, count: usize, due_us: u64, now_us: u64) {
        self.dialect.publish(count, due_us, &mut self.publisher.out);
        self.published += count as u64;
        self.tape.due_us.extend(std::iter::repeat_n(due_us, count));
        self.tape.recorder.attempt();
        if now_us >= self.tape.window.from_us {
            self.published_in_window += count as u64;
        }
    }

    fn sleep_ns(&self, now_us: u64) -> i64 {
        let Some(pace) = &self.pace else { return SLEEP_NS_MAX };
        let ahead_us = pace.next_due_us().saturating_sub(now_us);
        i64::try_from(ahead_us * 1_000).unwrap_or(SLEEP_NS_MAX).min(SLEEP_NS_MAX)
    }

    fn is_done(&self) -> bool {
        let all = self.published;
        self.dialect.is_settled(self.published)
            && self.members.iter().all(|member| member.seen.upto >= all)
    }

    /// At full speed whatever is missing is a fault. A paced publisher does not wait for anybody, so what a
    /// server that cannot keep up has not delivered by the end is a figure, and a gap remains a fault.
    fn judge_the_end(&mut self) {
        let published = self.published;
        let is_paced = matches!(self.speed, Speed::Paced(_));
        for (who, member) in self.members.iter().enumerate() {
            let upto = member.seen.upto;
            self.tape.undelivered += published.saturating_sub(upto);
            if upto > published || (upto < published && !is_paced) {
                self.tape.check.fault(format!(
                    "subscriber {who} has changes up to {upto} of {published} published"
                ));
            }
        }
        if !is_paced && !self.dialect.is_settled(published) {
            self.tape.check.fault("the server has not answered for every change published");
        }
    }
}
