//! One ingest socket: one task that reads batches, waits for durability and acknowledges.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::upgrade::Upgraded;
use tokio::time::{Instant as Moment, sleep_until};

use super::batch::{Answered, InFlight, NotUnderstood, send_binary, send_count, send_readings};
use super::message::{Head, Reply, TokenMessage};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::wire::instant::Instant;
use crate::ws::close::Close;
use crate::ws::entry::Entry;
use crate::ws::socket::{Incoming, Socket};

/// A batch of a hundred readings as JSON in one read, or a dozen in the compact form.
const READ_BUFFER_BYTES: usize = 16 * 1024;
/// Pings without an answer that end the connection.
const MISSED_PONGS_MAX: u32 = 2;

/// Runs an ingest socket to its end.
pub async fn serve(app: App, connection: Upgraded, entry: Entry) {
    // Given up last, when nothing of the app is held any more: the end of the server waits for it.
    let _busy = app.shutdown.busy();
    talk(app, connection, entry).await;
}

async fn talk(app: App, connection: Upgraded, entry: Entry) {
    let _open = app.metrics.websocket_opened("ingest");
    let patience = app.config.stream.first_message;
    let mut socket =
        Socket::new(connection, app.config.ingest.message_bytes_max, READ_BUFFER_BYTES).await;
    let close = match entry.settle(&app, &mut socket, patience).await {
        Ok(principal) => match principal.require(Access::Device) {
            Ok(()) => Ingest::new(&app, principal).run(&mut socket).await,
            Err(problem) => Some(Close::not_allowed(problem.detail)),
        },
        Err(close) => close,
    };
    app.metrics.websocket_closed("ingest", close.as_ref().map(|close| close.code));
    socket.close(close.as_ref()).await;
}

struct Ingest<'a> {
    app: &'a App,
    principal: Principal,
    in_flight: FuturesUnordered<InFlight>,
    missed_pongs: u32,
    ping_at: Moment,
    /// Messages that leave with the next flush.
    queued: u64,
}

impl<'a> Ingest<'a> {
    fn new(app: &'a App, principal: Principal) -> Self {
        let ping_at = Moment::now() + app.config.stream.ping;
        Self {
            app,
            principal,
            in_flight: FuturesUnordered::new(),
            missed_pongs: 0,
            ping_at,
            queued: 0,
        }
    }

    async fn run(&mut self, socket: &mut Socket) -> Option<Close> {
        let close = self.exchange(socket).await;
        if close.is_some() {
            // What was sent is answered before the door closes.
            while let Some(answered) = self.in_flight.next().await {
                self.acknowledge(socket, &answered);
            }
        }
        close
    }

    /// Until the client is gone (nothing) or there is a reason to close.
    async fn exchange(&mut self, socket: &mut Socket) -> Option<Close> {
        loop {
            let room = self.in_flight.len() < self.app.config.ingest.batches_in_flight_max;
            let end = tokio::select! {
                biased;
                () = self.app.shutdown.begun() => {
                    return Some(Close::going_away(Duration::from_secs(2)));
                }
                Some(answered) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    self.acknowledge(socket, &answered);
                    self.acknowledge_ready(socket);
                    Ok(())
                }
                // Not read while too much is in flight: the sender feels it in its own connection.
                message = socket.next(), if room => match message {
                    Incoming::Gone => return None,
                    Incoming::Broken(close) => Err(close),
                    Incoming::Text(text) => self.receive(socket, text.as_bytes()),
                    Incoming::Binary(bytes) => self.receive_binary(&bytes),
                    Incoming::Control => Ok(()),
                },
                () = sleep_until(self.ping_at) => Ok(()),
            };
            // Looked at every time: a socket that always has something to read never gets to its timer.
            if let Err(close) = end.and_then(|()| self.ping_when_due(socket)) {
                return Some(close);
            }
            match socket.flush().await {
                Ok(bytes) => {
                    let messages = std::mem::take(&mut self.queued);
                    self.app.metrics.messages_sent("ingest", messages, bytes as u64);
                }
                Err(_) => return None,
            }
        }
    }

    fn receive(&mut self, socket: &mut Socket, text: &[u8]) -> Result<(), Close> {
        self.app.metrics.messages_received("ingest", 1, text.len() as u64);
        let head: Head<'_> = serde_json::from_slice(text)
            .map_err(|error| Close::bad_message(format!("message not understood: {error}")))?;
        let sent = match (&*head.op, head.batch) {
            ("pong", _) => {
                self.missed_pongs = 0;
                return Ok(());
            }
            ("token", _) => return self.renew(socket, text),
            ("readings", Some(batch)) => send_readings(self.app, &self.principal, batch, text),
            ("counts", Some(batch)) => send_count(self.app, &self.principal, batch, text),
            ("readings" | "counts", None) => Err(NotUnderstood("`batch` is missing".to_owned())),
            (op, _) => {
                let shown: String = op.chars().take(40).collect();
                Err(NotUnderstood(format!(
                    "unknown op `{shown}`; send readings, counts, token, pong"
                )))
            }
        };
        match sent {
            Ok(batch) => self.in_flight.push(batch),
            Err(NotUnderstood(detail)) => return Err(Close::bad_message(detail)),
        }
        Ok(())
    }

    fn receive_binary(&mut self, bytes: &[u8]) -> Result<(), Close> {
        self.app.metrics.messages_received("ingest", 1, bytes.len() as u64);
        let sent = send_binary(self.app, &self.principal, bytes);
        let batch = sent.map_err(|NotUnderstood(detail)| Close::bad_message(detail))?;
        self.in_flight.push(batch);
        Ok(())
    }

    fn renew(&mut self, socket: &mut Socket, text: &[u8]) -> Result<(), Close> {
        let message: TokenMessage<'_> = serde_json::from_slice(text)
            .map_err(|error| Close::bad_message(format!("message not understood: {error}")))?;
        let renewed =
            self.app.auth.verify(&message.token).map_err(|problem| Close::token(problem.detail))?;
        renewed.require(Access::Device).map_err(|problem| Close::not_allowed(problem.detail))?;
        if renewed.tenant != self.principal.tenant {
            return Err(Close::not_allowed(
                "the new token is of another tenant; open another socket",
            ));
        }
        self.principal = renewed;
        self.queued += 1;
        socket.push(&Reply::Token { expires_at: Instant(self.principal.expires_at) });
        Ok(())
    }

    fn acknowledge(&mut self, socket: &mut Socket, answered: &Answered) {
        self.queued += 1;
        let batch = answered.batch;
        match &answered.answer {
            Ok(answer) => {
                self.app.metrics.batch_answered("ack");
                socket.push(&Reply::Ack {
                    batch,
                    accepted: answer.accepted,
                    unchanged: answer.unchanged,
                    duplicate: answer.duplicate,
                    late: answer.late,
                    refused: &answer.refused,
                    seq: answer.seq,
                });
            }
            Err(problem) => {
                self.app.metrics.batch_answered(problem.code);
                let (code, detail) = (problem.code, problem.detail.as_str());
                let (retry_after_ms, errors) = (problem.retry_after_ms, problem.errors.as_slice());
                socket.push(&Reply::Error { batch, code, detail, retry_after_ms, errors });
            }
        }
    }

    /// Everything else that is ready leaves in the same write.
    fn acknowledge_ready(&mut self, socket: &mut Socket) {
        use futures_util::FutureExt;
        while let Some(Some(answered)) = self.in_flight.next().now_or_never() {
            self.acknowledge(socket, &answered);
        }
    }

    fn ping_when_due(&mut self, socket: &mut Socket) -> Result<(), Close> {
        if Moment::now() < self.ping_at {
            return Ok(());
        }
        if self.missed_pongs >= MISSED_PONGS_MAX {
            return Err(Close::no_pong());
        }
        let now = self.app.engine.now();
        if self.principal.expires_at <= now {
            return Err(Close::token("token expired; send {\"op\":\"token\"} in time to stay"));
        }
        self.missed_pongs += 1;
        // From now, not from when it was due: after a long write the client still gets its time.
        self.ping_at = Moment::now() + self.app.config.stream.ping;
        socket.push(&Reply::Ping { at: Instant(now) });
        Ok(())
    }
}
