//! Readers that do not read: connected, subscribed to busy lots, and then nothing, or one byte a second.
//!
//! They answer pings without having read them, so that only a write that goes nowhere ends them; who was ended
//! comes back. They come at the beginning of a turn that has them and go at its end. Loopback's buffers hold megabytes
//! and a snapshot would vanish in them: these have a small buffer of their own and segments as on Ethernet, which keeps
//! the server's small too, and what the server sends first is more than both. Invariant: in their turns so many are there at
//! any moment, but for the time of a reconnect.

use super::schedule::{Schedule, Side};
use crate::clock::{Clock, MICROS_PER_SECOND};
use crate::fleet::Fleet;
use crate::socket::{self, PONG, Socket};
use crate::target::{Role, Target};
use futures_util::{FutureExt, SinkExt};
use socket2::SockRef;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

/// Lots that each of them watches.
const LOTS_EACH: usize = 16;
/// Between two pongs that nobody asked for: within the server's two missed pings.
const PONG_SECONDS: u64 = 10;
/// What the kernel keeps for one that does not read.
const RECEIVE_BUFFER_BYTES: u32 = 4_096;
/// A segment on Ethernet.
const SEGMENT_BYTES: u32 = 1_460;

/// The readers at work.
#[derive(Debug)]
pub struct Stalled {
    tasks: JoinSet<()>,
    cut: Arc<AtomicU64>,
}

/// One of them.
struct Reader {
    addr: SocketAddr,
    token: String,
    lots: Vec<String>,
    /// A byte a second.
    reads: bool,
    clock: Clock,
    schedule: Arc<Schedule>,
    cut: Arc<AtomicU64>,
}

impl Stalled {
    /// All of them, every other one to read a byte a second.
    pub fn start(
        readers: usize,
        busy: &[(&Target, &Fleet)],
        clock: Clock,
        schedule: &Arc<Schedule>,
    ) -> Self {
        let (mut tasks, cut) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
        for number in 0..readers {
            let (target, fleet) = busy[number % busy.len()];
            let lots = fleet.lots.len();
            let watched = (0..LOTS_EACH.min(lots)).map(|nth| (number + nth) % lots);
            let reader = Reader {
                addr: target.addr,
                token: target.token(Role::Display, number).to_string(),
                lots: watched.map(|lot| fleet.lots[lot].code.clone()).collect(),
                reads: number % 2 == 1,
                clock,
                schedule: Arc::clone(schedule),
                cut: Arc::clone(&cut),
            };
            tasks.spawn(async move { reader.run().await });
        }
        Self { tasks, cut }
    }

    /// Waits until the last turn has ended. Gives back how often the server ended one of them.
    pub async fn finish(mut self) -> u64 {
        while self.tasks.join_next().await.is_some() {}
        self.cut.load(Ordering::Acquire)
    }
}

impl Reader {
    async fn run(&self) {
        while let Some(turn) = self.schedule.next(self.clock.now_us(), Side::has_stalled) {
            self.clock.sleep_until(turn.whole.from_us).await;
            tokio::select! {
                () = self.clock.sleep_until(turn.whole.to_us) => {}
                () = self.stall() => {}
            }
        }
    }

    /// Until the server has ended it, and a second more.
    async fn stall(&self) {
        let opened =
            socket::open_over(narrow(self.addr), self.addr, "/api/v1/stream", &self.token).await;
        if let Ok(mut socket) = opened
            && self.subscribe(&mut socket).await.is_ok()
        {
            self.hold(&mut socket).await;
            self.cut.fetch_add(1, Ordering::AcqRel);
        }
        self.clock.sleep_until(self.clock.now_us() + MICROS_PER_SECOND).await;
    }

    async fn subscribe(
        &self,
        socket: &mut Socket,
    ) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        for (id, lot) in self.lots.iter().enumerate() {
            let text = format!(r#"{{"op":"subscribe","id":{id},"lot":"{lot}","view":"slots"}}"#);
            socket.feed(Message::text(text)).await?;
        }
        socket.flush().await
    }

    async fn hold(&self, socket: &mut Socket) {
        for second in 1_u64.. {
            self.clock.sleep_until(self.clock.now_us() + MICROS_PER_SECOND).await;
            if self.reads {
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
}

/// A connection with little room.
async fn narrow(addr: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    SockRef::from(&socket).set_tcp_mss(SEGMENT_BYTES)?;
    socket.connect(addr).await
}
