//! A subscriber that is cut off and comes back where it was: `after` says what it has, hints of the server
//! say when to try again. Its fold goes on over all cuts, so a sequence lost or repeated anywhere is seen.

use crate::clock::Clock;
use crate::recorder::{Recorder, Tally, Window};
use crate::retry::{hint_of_reason, hint_of_refusal, pause_ms};
use crate::socket::{self, Event, PONG, Socket};
use crate::subscriber::{Watched, excerpt};
use crate::verify::{Check, SOCKETS_STAY_OPEN};
use crate::wire::StreamMessage;
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;

/// What all subscribers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cue {
    /// Watch.
    Watch,
    /// Cut your connection now, and come back.
    Cut { round: u32, at_us: u64 },
    /// The server is about to be killed: your connection will break. Come back.
    Killed { round: u32, at_us: u64 },
    /// Enough.
    End,
}

/// A subscriber stands again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Back {
    pub number: usize,
    /// 0 for the first time.
    pub round: u32,
    /// From the cut to an answered subscription with everything up to then.
    pub took_us: u64,
    /// From its own sequence on, without a snapshot.
    pub is_resumed: bool,
    /// Attempts that failed before.
    pub failed_attempts: u32,
}

/// One subscriber.
#[derive(Debug)]
pub struct Survivor {
    pub number: usize,
    pub addr: SocketAddr,
    pub token: String,
    pub clock: Clock,
    pub window: Window,
    pub watched: Arc<Watched>,
    pub back: mpsc::UnboundedSender<Back>,
}

/// What a subscriber brings back, beside its fold.
#[derive(Debug)]
pub struct Survived {
    pub recorder: Recorder,
    pub sockets: Check,
}

/// How a connection ended.
#[derive(Debug)]
enum Left {
    Cut { round: u32, at_us: u64 },
    Broke(String),
    End,
}

/// Which return this is.
#[derive(Clone, Copy, Debug)]
struct Return {
    round: u32,
    since_us: u64,
    failed_attempts: u32,
}

impl Survivor {
    /// Watches, comes back after every cut, ends when told to.
    pub async fn run(self, mut cue: watch::Receiver<Cue>) -> Survived {
        let recorder = Recorder::new(self.window);
        let mut survived = Survived { recorder, sockets: Check::new(SOCKETS_STAY_OPEN, "sockets") };
        survived.sockets.examine(1);
        let mut now = Return { round: 0, since_us: self.clock.now_us(), failed_attempts: 0 };
        let mut hint_ms = None;
        loop {
            let Some(mut socket) = self.connect(&mut cue, &mut now, hint_ms.take()).await else {
                return survived;
            };
            survived.recorder.attempt();
            match self.follow(&mut socket, &mut cue, now, &mut survived.recorder).await {
                Left::End => {
                    // A refused goodbye changes nothing of what was seen.
                    let _ = socket.close(None).await;
                    return survived;
                }
                Left::Cut { round, at_us } => {
                    // A reset: no goodbye, and what is on its way is lost.
                    let _ = socket.get_ref().set_zero_linger();
                    now = Return { round, since_us: at_us, failed_attempts: 0 };
                }
                Left::Broke(why) => {
                    hint_ms = hint_of_reason(&why);
                    let told = *cue.borrow();
                    now = match told {
                        Cue::Killed { round, at_us } if round > now.round => {
                            Return { round, since_us: at_us, failed_attempts: 0 }
                        }
                        _ => {
                            let number = self.number;
                            survived.recorder.error("stream socket lost");
                            survived.sockets.fault(format!("subscriber {number}: {why}"));
                            // Not at once: a server that refuses must not be hammered.
                            let since_us = self.clock.now_us();
                            Return { round: now.round, since_us, failed_attempts: 1 }
                        }
                    };
                }
            }
        }
    }

    /// Tries until it stands; nothing when it was told to end.
    async fn connect(
        &self,
        cue: &mut watch::Receiver<Cue>,
        now: &mut Return,
        mut hint_ms: Option<u64>,
    ) -> Option<Socket> {
        loop {
            if hint_ms.is_some() || now.failed_attempts > 0 {
                let wait_ms = pause_ms(now.failed_attempts, hint_ms, rand::random());
                self.clock.sleep_until(self.clock.now_us() + wait_ms * 1_000).await;
            }
            if *cue.borrow() == Cue::End {
                return None;
            }
            match socket::open(self.addr, "/api/v1/stream", &self.token).await {
                Ok(socket) => return Some(socket),
                Err(error) => hint_ms = hint_of_refusal(&error),
            }
            now.failed_attempts += 1;
        }
    }

    async fn follow(
        &self,
        socket: &mut Socket,
        cue: &mut watch::Receiver<Cue>,
        now: Return,
        recorder: &mut Recorder,
    ) -> Left {
        let subscription = self.subscription();
        if let Err(error) = socket.send(Message::text(subscription)).await {
            return Left::Broke(error.to_string());
        }
        let mut is_back = false;
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                changed = cue.changed() => {
                    let told = if changed.is_ok() { *cue.borrow_and_update() } else { Cue::End };
                    match told {
                        Cue::End => return Left::End,
                        Cue::Cut { round, at_us } if round > now.round => {
                            return Left::Cut { round, at_us };
                        }
                        Cue::Watch | Cue::Cut { .. } | Cue::Killed { .. } => continue,
                    }
                }
            };
            let text = match message {
                Some(Ok(Message::Text(text))) => text,
                other => match socket::judge(other) {
                    Event::Nothing => continue,
                    Event::Closed(why) => return Left::Broke(why),
                },
            };
            match self.take(&text, recorder) {
                Ok(Heard::Ping) => {
                    if let Err(error) = socket.send(Message::text(PONG)).await {
                        return Left::Broke(error.to_string());
                    }
                }
                Ok(Heard::Resumed | Heard::Snapshot) if is_back => {}
                Ok(heard @ (Heard::Resumed | Heard::Snapshot)) => {
                    is_back = true;
                    self.say_back(now, heard == Heard::Resumed);
                }
                Ok(Heard::Other) => {}
                Err(why) => return Left::Broke(why),
            }
        }
    }

    fn subscription(&self) -> String {
        let (lot, fold) = (self.watched.code(), self.watched.fold());
        let after = match (fold.epoch(), fold.seq()) {
            (Some(epoch), Some(seq)) => format!(r#","after":{{"epoch":"{epoch}","seq":{seq}}}"#),
            _ => String::new(),
        };
        format!(r#"{{"op":"subscribe","id":1,"lot":"{lot}","view":"slots"{after}}}"#)
    }

    fn say_back(&self, now: Return, is_resumed: bool) {
        let Return { round, since_us, failed_attempts } = now;
        let took_us = self.clock.now_us().saturating_sub(since_us);
        // Nobody listens any more when the run is being given up.
        let number = self.number;
        let _ = self.back.send(Back { number, round, took_us, is_resumed, failed_attempts });
    }

    fn take(&self, text: &str, recorder: &mut Recorder) -> Result<Heard, String> {
        let message: StreamMessage<'_> = serde_json::from_str(text)
            .map_err(|error| format!("unreadable message ({error}): {}", excerpt(text)))?;
        let heard = match message.op {
            "ping" => return Ok(Heard::Ping),
            "subscribed" => {
                self.watched.fold().subscribed(&message);
                if message.recovered { Heard::Resumed } else { Heard::Other }
            }
            "snapshot" => {
                self.watched.fold().snapshot(&message);
                Heard::Snapshot
            }
            "changes" => {
                recorder.count(Tally::Entries, message.changes.len() as u64, self.clock.now_us());
                self.watched.fold().changes(&message);
                Heard::Other
            }
            _ => return Err(format!("unexpected message: {}", excerpt(text))),
        };
        self.watched.moved.notify_one();
        Ok(heard)
    }
}

/// What a message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Resumed,
    Snapshot,
    Ping,
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survivor() -> (Survivor, mpsc::UnboundedReceiver<Back>) {
        let (back, heard) = mpsc::unbounded_channel();
        let survivor = Survivor {
            number: 3,
            addr: "127.0.0.1:1".parse().unwrap(),
            token: String::new(),
            clock: Clock::start(),
            window: Window { from_us: 0, to_us: u64::MAX },
            watched: Arc::new(Watched::new(0, "L")),
            back,
        };
        (survivor, heard)
    }

    const SNAPSHOT: &str = r#"{"op":"snapshot","lot":"L","epoch":"e","seq":7,"slots":[]}"#;

    #[test]
    fn it_asks_for_what_comes_after_what_it_has() {
        let (survivor, _heard) = survivor();
        assert!(!survivor.subscription().contains("after"), "{}", survivor.subscription());
        let mut recorder = Recorder::new(survivor.window);
        assert_eq!(survivor.take(SNAPSHOT, &mut recorder), Ok(Heard::Snapshot));
        let asked = survivor.subscription();
        assert!(asked.ends_with(r#""after":{"epoch":"e","seq":7}}"#), "{asked}");
    }

    #[test]
    fn a_resumed_stream_goes_on_with_the_next_seq_or_is_a_fault() {
        for (from, faults) in [(8, 0), (9, 2), (7, 2)] {
            let (survivor, _heard) = survivor();
            let mut recorder = Recorder::new(survivor.window);
            survivor.take(SNAPSHOT, &mut recorder).unwrap();
            let resumed =
                r#"{"op":"subscribed","id":1,"lot":"L","epoch":"e","seq":9,"recovered":true}"#;
            assert_eq!(survivor.take(resumed, &mut recorder), Ok(Heard::Resumed));
            let entry = format!(r#"{{"seq":{from},"type":"lot.changed"}}"#);
            let changes = format!(
                r#"{{"op":"changes","lot":"L","epoch":"e","from":{from},"seq":{from},"changes":[{entry}]}}"#
            );
            survivor.take(&changes, &mut recorder).unwrap();
            let check = survivor.watched.fold().check.clone();
            assert!(check.faults.min(2) == faults, "{from}: {:?}", check.first_faults);
        }
    }

    #[test]
    fn the_way_back_is_counted_from_the_cut() {
        let (survivor, mut heard) = survivor();
        let since_us = survivor.clock.now_us() - 5_000;
        survivor.say_back(Return { round: 2, since_us, failed_attempts: 1 }, true);
        let back = heard.try_recv().unwrap();
        assert!(back.took_us >= 5_000 && back.is_resumed, "{back:?}");
        assert_eq!((back.number, back.round, back.failed_attempts), (3, 2, 1));
    }
}
