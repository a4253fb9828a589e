//! A watcher: one websocket, both views of its lots, everything folded and checked as it comes.
//!
//! Invariant: the fold of a lot is reachable while the socket runs, so that the audit can wait for a
//! sequence instead of guessing when the last message has come. Absent: resume after a cut connection;
//! a socket that closes by itself is a fault of the run.

use crate::clock::{Clock, parse_rfc3339};
use crate::progress::Gauges;
use crate::recorder::{Measure, Recorder, Tally, Window};
use crate::socket::{self, Event, PONG, Socket};
use crate::verify::{Check, SOCKETS_STAY_OPEN, StreamFold};
use crate::wire::{Counts, StreamMessage};
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};
use tokio_tungstenite::tungstenite::Message;

/// One lot as one subscriber sees it.
#[derive(Debug)]
pub struct Watched {
    /// Position in the fleet.
    pub lot: usize,
    code: String,
    fold: Mutex<StreamFold>,
    /// Told after every message about the lot.
    pub moved: Notify,
}

impl Watched {
    /// Nothing seen yet.
    pub fn new(lot: usize, code: &str) -> Self {
        let fold = Mutex::new(StreamFold::new(code));
        Self { lot, code: code.into(), fold, moved: Notify::new() }
    }

    /// The lot's code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What was seen so far.
    pub fn fold(&self) -> MutexGuard<'_, StreamFold> {
        self.fold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A watcher before it runs.
#[derive(Debug)]
pub struct Subscriber {
    pub number: usize,
    pub addr: SocketAddr,
    pub token: String,
    pub clock: Clock,
    pub window: Window,
    /// When to connect: some join while the load runs, and must be right all the same.
    pub join_us: u64,
    pub watched: Vec<Arc<Watched>>,
    pub gauges: Arc<Gauges>,
}

/// What a watcher brings back, beside its folds.
#[derive(Debug)]
pub struct Watch {
    pub recorder: Recorder,
    pub sockets: Check,
}

impl Subscriber {
    /// Watches until `stop` says so.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Watch {
        let recorder = Recorder::new(self.window);
        let sockets = Check::new(SOCKETS_STAY_OPEN, "sockets");
        let mut watch = Watch { recorder, sockets };
        watch.sockets.examine(1);
        self.clock.sleep_until(self.join_us).await;
        let ended = match socket::open(self.addr, "/api/v1/stream", &self.token).await {
            Ok(mut socket) => self.follow(&mut socket, &mut stop, &mut watch.recorder).await,
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = ended {
            watch.recorder.error("stream socket lost");
            watch.sockets.fault(format!("subscriber {}: {why}", self.number));
        }
        watch
    }

    async fn follow(
        &self,
        socket: &mut Socket,
        stop: &mut watch::Receiver<bool>,
        recorder: &mut Recorder,
    ) -> Result<(), String> {
        let broke = |error: tokio_tungstenite::tungstenite::Error| error.to_string();
        for (index, watched) in self.watched.iter().enumerate() {
            for (view, id) in [("slots", 2 * index), ("counts", 2 * index + 1)] {
                let lot = &watched.code;
                let text =
                    format!(r#"{{"op":"subscribe","id":{id},"lot":"{lot}","view":"{view}"}}"#);
                recorder.attempt();
                socket.feed(Message::text(text)).await.map_err(broke)?;
            }
        }
        socket.flush().await.map_err(broke)?;
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                _ = stop.changed() => break,
            };
            if let Some(Ok(Message::Text(text))) = &message {
                if self.take(text, recorder)? {
                    socket.send(Message::text(PONG)).await.map_err(broke)?;
                }
            } else if let Event::Closed(why) = socket::judge(message) {
                return Err(why);
            }
        }
        // A refused goodbye changes nothing of what was seen.
        let _ = socket.close(None).await;
        Ok(())
    }

    /// Takes one message; says whether it wants a pong.
    fn take(&self, text: &str, recorder: &mut Recorder) -> Result<bool, String> {
        let message: StreamMessage<'_> = serde_json::from_str(text)
            .map_err(|error| format!("unreadable message ({error}): {}", excerpt(text)))?;
        match message.op {
            "ping" => return Ok(true),
            "error" => {
                let code = message.code.unwrap_or_default();
                recorder.error(format!("stream {code}"));
                return Err(format!("{code}: {}", message.detail.unwrap_or_default()));
            }
            _ => {}
        }
        let watched =
            self.watched.iter().find(|watched| Some(watched.code.as_str()) == message.lot);
        let Some(watched) = watched else {
            return Err(format!("a message about no lot it watches: {}", excerpt(text)));
        };
        match message.op {
            "subscribed" => watched.fold().subscribed(&message),
            "snapshot" => watched.fold().snapshot(&message),
            "changes" => {
                watched.fold().changes(&message);
                self.measure(&message, recorder);
            }
            "counts" => {
                let counts: Counts = serde_json::from_str(text)
                    .map_err(|error| format!("unreadable counts ({error}): {}", excerpt(text)))?;
                watched.fold().counted(&message, counts);
            }
            other => return Err(format!("unknown op `{other}`: {}", excerpt(text))),
        }
        watched.moved.notify_one();
        Ok(false)
    }

    fn measure(&self, message: &StreamMessage<'_>, recorder: &mut Recorder) {
        let now_us = self.clock.now_us();
        let entries = message.changes.len() as u64;
        recorder.count(Tally::Entries, entries, now_us);
        Gauges::add(&self.gauges.entries, entries);
        for change in message.changes.iter().filter(|change| change.is_flip()) {
            if let Some(observed_us) = change.observed_at.and_then(parse_rfc3339) {
                recorder.latency(Measure::SensorToSubscriber, observed_us, now_us);
            }
        }
    }
}

/// The beginning of a message, for a person.
pub fn excerpt(text: &str) -> String {
    text.chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriber() -> Subscriber {
        Subscriber {
            number: 0,
            addr: "127.0.0.1:1".parse().unwrap(),
            token: String::new(),
            clock: Clock::start(),
            window: Window { from_us: 0, to_us: u64::MAX },
            join_us: 0,
            watched: vec![Arc::new(Watched::new(0, "L1"))],
            gauges: Arc::default(),
        }
    }

    #[test]
    fn messages_reach_the_fold_and_flips_are_measured() {
        let subscriber = subscriber();
        let mut recorder = Recorder::new(subscriber.window);
        for text in [
            r#"{"op":"subscribed","id":0,"lot":"L1","view":"slots","epoch":"e","seq":1,"recovered":false}"#,
            r#"{"op":"snapshot","lot":"L1","view":"slots","epoch":"e","seq":1,"at":"x","slots":[{"slot":"S00000","status":"unknown"}]}"#,
            r#"{"op":"changes","lot":"L1","epoch":"e","from":2,"seq":2,"changes":[{"seq":2,"type":"slot.occupied","slot":"S00000","status":"occupied","observed_at":"2026-03-01T09:00:00Z"}]}"#,
            r#"{"op":"counts","lot":"L1","epoch":"e","seq":2,"capacity":1,"free":0,"occupied":1,"held":0,"unknown":0,"out_of_service":0,"by_zone":{}}"#,
        ] {
            assert_eq!(subscriber.take(text, &mut recorder), Ok(false), "{text}");
        }
        assert_eq!(
            subscriber.take(r#"{"op":"ping","at":"x","lots":{"L1":2}}"#, &mut recorder),
            Ok(true)
        );
        let fold = subscriber.watched[0].fold();
        assert!(fold.check.passed(), "{:?}", fold.check.first_faults);
        assert_eq!((fold.seq(), fold.counts().unwrap().occupied), (Some(2), 1));
        assert_eq!(recorder.histogram(Measure::SensorToSubscriber).unwrap().len(), 1);
    }

    #[test]
    fn errors_and_nonsense_end_the_watch_with_a_reason() {
        let subscriber = subscriber();
        for (text, reason) in [
            (r#"{"op":"error","id":0,"code":"lot_not_found","detail":"no L9"}"#, "lot_not_found"),
            (r#"{"op":"snapshot","lot":"L9","seq":1,"slots":[]}"#, "no lot it watches"),
            (r#"{"op":"news","lot":"L1"}"#, "unknown op `news`"),
            ("[", "unreadable message"),
        ] {
            let mut recorder = Recorder::new(subscriber.window);
            let error = subscriber.take(text, &mut recorder).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
