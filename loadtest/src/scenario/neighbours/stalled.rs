//! Readers that do not read: connected, subscribed to busy lots, and then nothing, or one byte a second.
//!
//! They answer pings without having read them, so that only a write that goes nowhere ends them; who was ended
//! comes back. Invariant: so many are there at any moment, but for the time of a reconnect.

use super::super::runner::Sample;
use crate::clock::{Clock, MICROS_PER_SECOND};
use crate::fleet::Fleet;
use crate::machine;
use crate::socket::{self, PONG, Socket};
use crate::target::{Role, Target};
use futures_util::{FutureExt, SinkExt};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

/// Lots that each of them watches.
const LOTS_EACH: usize = 4;
/// Between two pongs that nobody asked for: within the server's two missed pings.
const PONG_SECONDS: u64 = 10;

/// The readers at work.
#[derive(Debug)]
pub struct Stalled {
    tasks: JoinSet<()>,
    cut: Arc<AtomicU64>,
    pid: Option<u32>,
    clock: Clock,
    before: Option<Sample>,
    stalled: Option<Sample>,
}

/// What they cost.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub readers: usize,
    /// How often the server ended one.
    pub cut: u64,
    /// Before they came, once all were stalled, and at the end.
    pub memory_bytes: [Option<u64>; 3],
    pub descriptors: Option<f64>,
}

impl Stalled {
    /// Connects all of them, every other one to read a byte a second.
    pub fn start(
        readers: usize,
        busy: &[(&Target, &Fleet)],
        clock: Clock,
        pid: Option<u32>,
    ) -> Self {
        let (mut tasks, cut) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
        let before = (readers > 0).then(|| Sample::take(clock, pid));
        for number in 0..readers {
            let (target, fleet) = busy[number % busy.len()];
            let lots = fleet.lots.len();
            let watched = (0..LOTS_EACH.min(lots)).map(|nth| (number + nth) % lots);
            let lots: Vec<String> = watched.map(|lot| fleet.lots[lot].code.clone()).collect();
            let token = target.token(Role::Display, number).to_string();
            let reads = number % 2 == 1;
            tasks.spawn(stall(target.addr, token, lots, reads, clock, Arc::clone(&cut)));
        }
        Self { tasks, cut, pid, clock, before, stalled: None }
    }

    /// Looks at memory once their buffers are full.
    pub fn before_flood(mut self) -> Self {
        self.stalled = self.before.map(|_| Sample::take(self.clock, self.pid));
        self
    }

    /// Ends them.
    pub async fn finish(mut self) -> Option<Told> {
        let before = self.before?;
        let readers = self.tasks.len();
        let end = Sample::take(self.clock, self.pid);
        let descriptors = self.pid.and_then(|pid| machine::held(pid).descriptors);
        self.tasks.shutdown().await;
        let resident = |sample: Option<Sample>| Some(sample?.server?.resident_bytes);
        Some(Told {
            readers,
            cut: self.cut.load(Ordering::Acquire),
            memory_bytes: [Some(before), self.stalled, Some(end)].map(resident),
            descriptors,
        })
    }
}

async fn stall(
    addr: SocketAddr,
    token: String,
    lots: Vec<String>,
    reads: bool,
    clock: Clock,
    cut: Arc<AtomicU64>,
) {
    loop {
        if let Ok(mut socket) = socket::open(addr, "/api/v1/stream", &token).await
            && subscribe(&mut socket, &lots).await.is_ok()
        {
            hold(&mut socket, reads, clock).await;
            cut.fetch_add(1, Ordering::AcqRel);
        }
        clock.sleep_until(clock.now_us() + MICROS_PER_SECOND).await;
    }
}

async fn subscribe(
    socket: &mut Socket,
    lots: &[String],
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    for (id, lot) in lots.iter().enumerate() {
        let text = format!(r#"{{"op":"subscribe","id":{id},"lot":"{lot}","view":"slots"}}"#);
        socket.feed(Message::text(text)).await?;
    }
    socket.flush().await
}

/// Until the server has ended it.
async fn hold(socket: &mut Socket, reads: bool, clock: Clock) {
    for second in 1_u64.. {
        clock.sleep_until(clock.now_us() + MICROS_PER_SECOND).await;
        if reads {
            // Below the websocket: a byte of whatever frame it is in.
            let mut byte = [0; 1];
            if let Some(Ok(0) | Err(_)) = socket.get_mut().read(&mut byte).now_or_never() {
                return;
            }
        }
        if second % PONG_SECONDS == 0 && socket.send(Message::text(PONG)).await.is_err() {
            return;
        }
    }
}
