//! A subscriber of one lot that comes back after every crash with `after`, where it was.
//!
//! Its fold goes on over all connections: a sequence that is lost or comes twice anywhere is seen there. What
//! it is told goes to the auditor as well, to be held against the log.

use super::history::{Entry, Told};
use super::stage::{Broken, Phase, Stage, knock, there};
use crate::fleet::slot_code;
use crate::socket::{self, Event, PONG, Socket};
use crate::subscriber::Watched;
use crate::target::Role;
use crate::wire::{Counts, Status, StreamMessage};
use futures_util::{SinkExt, StreamExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

/// Which view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Slots,
    Counts,
}

/// One subscriber.
#[derive(Debug)]
pub struct Watcher {
    pub number: usize,
    pub stage: Arc<Stage>,
    pub look: Look,
    pub watched: Arc<Watched>,
    /// A lot with a snapshot this often has its ring filled at least so far back after a start.
    pub ring_covers: u64,
}

impl Watcher {
    /// Watches until the end.
    pub async fn run(self, mut phase: watch::Receiver<Phase>) {
        let token = self.stage.target.token(Role::Display, self.number);
        loop {
            if there(&mut phase).await == Phase::End {
                return;
            }
            let opened = socket::open(self.stage.target.addr, "/api/v1/stream", token).await;
            let Ok(mut socket) = opened else {
                knock().await;
                continue;
            };
            if self.follow(&mut socket, &mut phase).await {
                // A refused goodbye changes nothing of what was seen.
                let _ = socket.close(None).await;
                return;
            }
            knock().await;
        }
    }

    /// Hears until the socket breaks; says whether it is the end.
    async fn follow(&self, socket: &mut Socket, phase: &mut watch::Receiver<Phase>) -> bool {
        let after = self.after();
        let text = self.subscription(after.as_ref());
        if socket.send(Message::text(text)).await.is_err() {
            return false;
        }
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                _ = phase.wait_for(|phase| *phase == Phase::End) => return true,
            };
            match message {
                Some(Ok(Message::Text(text))) => match self.hear(&text, after.as_ref()) {
                    Ok(true) => {
                        if socket.send(Message::text(PONG)).await.is_err() {
                            return false;
                        }
                    }
                    Ok(false) => {}
                    Err(why) => {
                        self.stage.fault(Broken::Reads, format!("stream: {why}"));
                        return false;
                    }
                },
                other => {
                    if let Event::Closed(_) = socket::judge(other) {
                        return false;
                    }
                }
            }
        }
    }

    fn after(&self) -> Option<(String, u64)> {
        let fold = self.watched.fold();
        match (self.look, fold.epoch(), fold.seq()) {
            (Look::Slots, Some(epoch), Some(seq)) => Some((epoch.into(), seq)),
            _ => None,
        }
    }

    fn subscription(&self, after: Option<&(String, u64)>) -> String {
        let lot = self.watched.code();
        let after = after.map_or(String::new(), |(epoch, seq)| {
            format!(r#","after":{{"epoch":"{epoch}","seq":{seq}}}"#)
        });
        let view = match self.look {
            Look::Slots => "slots",
            Look::Counts => "counts",
        };
        format!(r#"{{"op":"subscribe","id":1,"lot":"{lot}","view":"{view}"{after}}}"#)
    }

    /// Takes a message; says whether it wants a pong.
    fn hear(&self, text: &str, after: Option<&(String, u64)>) -> Result<bool, String> {
        let message: StreamMessage<'_> =
            serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))?;
        if message.op == "ping" {
            return Ok(true);
        }
        if let Some(epoch) = message.epoch {
            self.stage.epoch(epoch);
        }
        let lot = self.watched.code().to_string();
        match message.op {
            "subscribed" => {
                self.watched.fold().subscribed(&message);
                self.came_back(&message, after);
            }
            "snapshot" => {
                self.watched.fold().snapshot(&message);
                let shown: BTreeMap<&str, Status> =
                    message.slots.iter().map(|slot| (slot.slot, slot.status)).collect();
                let count = self.stage.fleet.slots_per_lot;
                let in_order = (0..count).filter_map(|slot| shown.get(&*slot_code(slot)).copied());
                let (seq, statuses) = (message.seq, in_order.collect());
                self.stage.told(Told::Slots { lot, seq, statuses, by: "a stream's snapshot" });
            }
            "changes" => {
                self.watched.fold().changes(&message);
                let entry = |change: &crate::wire::Change<'_>| Entry {
                    seq: change.seq,
                    kind: change.kind.into(),
                    slot: change.slot.map(Into::into),
                    status: change.status,
                };
                let entries = message.changes.iter().map(entry).collect();
                self.stage.told(Told::Entries { lot, entries });
            }
            "counts" => {
                let counts: Counts =
                    serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))?;
                self.watched.fold().counted(&message, counts);
                self.stage.told(Told::Counts {
                    lot,
                    seq: message.seq,
                    counts,
                    by: "the counts view",
                });
            }
            other => return Err(format!("unexpected `{other}`: {text}")),
        }
        self.watched.moved.notify_one();
        Ok(false)
    }

    /// Whether it was let go on where it was, which it must be when the ring has what it missed.
    fn came_back(&self, message: &StreamMessage<'_>, after: Option<&(String, u64)>) {
        let Some((_, seq)) = after else { return };
        let tallies = &self.stage.tallies;
        if message.recovered {
            tallies.resumed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        tallies.by_snapshot.fetch_add(1, Ordering::Relaxed);
        let (lot, head) = (self.watched.code(), message.seq);
        if must_resume(*seq, head, self.ring_covers) {
            let what = format!(
                "lot {lot}: after seq {seq} and a head of {head} a stream was given a snapshot, not the changes"
            );
            self.stage.fault(Broken::Resumed, what);
        }
    }
}

/// A start fills the ring from the older of two snapshots, which are at least `ring_covers` apart. Early in
/// its life a lot has fewer of them; three times as many records are enough for two.
fn must_resume(after: u64, head: u64, ring_covers: u64) -> bool {
    head.saturating_sub(after) <= ring_covers && head > 3 * ring_covers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_must_resume_where_two_snapshots_cover_what_it_missed() {
        for (after, head, must) in [
            (9_990, 10_000, true),
            (8_000, 10_000, true),
            (7_999, 10_000, false),
            (5_990, 6_000, false),
            (10_000, 10_000, true),
        ] {
            assert_eq!(must_resume(after, head, 2_000), must, "{after} of {head}");
        }
    }
}
