//! One ingest socket: one task that reads batches, waits for durability and acknowledges.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use hyper::upgrade::Upgraded;
use lotkeeper_actors::Turn;
use tokio::time::{Instant as Moment, sleep, sleep_until};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::batch::{
    Answered, InFlight, NotUnderstood, Sending, send_binary, send_count, send_readings,
};
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
/// How long the refusal of a batch takes while other tenants are at work; its turn is kept meanwhile, so that
/// one who sends again at once costs nobody but his own tenant.
const REFUSAL_PAUSE: Duration = Duration::from_millis(50);

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
    /// What was read and waits for a turn of the tenant; nothing more is read meanwhile.
    waiting: Option<(Sent, BoxFuture<'static, Turn>)>,
    /// What has its turn and is being sent; nothing more is read meanwhile.
    sending: Option<(Sending, Turn)>,
    missed_pongs: u32,
    ping_at: Moment,
    /// Messages that leave with the next flush.
    queued: u64,
}

/// A message as it came.
enum Sent {
    Text(Utf8Bytes),
    Binary(Bytes),
}

impl<'a> Ingest<'a> {
    fn new(app: &'a App, principal: Principal) -> Self {
        let ping_at = Moment::now() + app.config.stream.ping;
        Self {
            app,
            principal,
            in_flight: FuturesUnordered::new(),
            waiting: None,
            sending: None,
            missed_pongs: 0,
            ping_at,
            queued: 0,
        }
    }

    async fn run(&mut self, socket: &mut Socket) -> Option<Close> {
        let close = self.exchange(socket).await;
        if close.is_some() {
            // What was sent is answered before the door closes.
            if self.sending.is_some() {
                let batch = sent_of(&mut self.sending).await;
                self.wholly_sent(batch);
            }
            while let Some(answered) = self.in_flight.next().await {
                self.acknowledge(socket, &answered);
            }
        }
        close
    }

    /// Until the client is gone (nothing) or there is a reason to close.
    async fn exchange(&mut self, socket: &mut Socket) -> Option<Close> {
        loop {
            let room = self.waiting.is_none()
                && self.sending.is_none()
                && self.in_flight.len() < self.app.config.ingest.batches_in_flight_max;
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
                batch = sent_of(&mut self.sending), if self.sending.is_some() => {
                    self.wholly_sent(batch);
                    Ok(())
                }
                // Not read while too much is in flight: the sender feels it in its own connection.
                message = socket.next(), if room => match message {
                    Incoming::Gone => return None,
                    Incoming::Broken(close) => Err(close),
                    Incoming::Text(text) => self.receive(socket, Sent::Text(text)),
                    Incoming::Binary(bytes) => self.receive(socket, Sent::Binary(bytes)),
                    Incoming::Control => Ok(()),
                },
                turn = turn_of(&mut self.waiting), if self.waiting.is_some() => {
                    let waited = self.waiting.take();
                    waited.map_or(Ok(()), |(sent, _)| self.begin(socket, &sent, turn))
                }
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

    /// Begins at once when it is the tenant's turn, and mostly it is; else the message waits.
    fn receive(&mut self, socket: &mut Socket, sent: Sent) -> Result<(), Close> {
        self.app.metrics.messages_received("ingest", 1, sent.bytes().len() as u64);
        let (engine, tenant) = (self.app.engine.clone(), Arc::clone(&self.principal.tenant));
        let mut turn = async move { engine.turn_at_last(&tenant).await }.boxed();
        match (&mut turn).now_or_never() {
            Some(turn) => self.begin(socket, &sent, turn),
            None => {
                self.waiting = Some((sent, turn));
                Ok(())
            }
        }
    }

    fn begin(&mut self, socket: &mut Socket, sent: &Sent, turn: Turn) -> Result<(), Close> {
        let began = Moment::now();
        let batch = match sent {
            Sent::Text(text) => self.begin_text(socket, text.as_bytes())?,
            Sent::Binary(bytes) => {
                let batch = send_binary(self.app, &self.principal, bytes);
                Some(batch.map_err(|NotUnderstood(detail)| Close::bad_message(detail))?)
            }
        };
        turn.used(began.elapsed());
        self.sending = batch.map(|batch| (batch, turn));
        Ok(())
    }

    fn wholly_sent(&mut self, batch: InFlight) {
        if let Some((_, turn)) = self.sending.take() {
            self.in_flight.push(with_turn(self.app.clone(), batch, turn));
        }
    }

    /// A batch, or something that is done already.
    fn begin_text(&mut self, socket: &mut Socket, text: &[u8]) -> Result<Option<Sending>, Close> {
        let head: Head<'_> = serde_json::from_slice(text)
            .map_err(|error| Close::bad_message(format!("message not understood: {error}")))?;
        let sent = match (&*head.op, head.batch) {
            ("pong", _) => {
                self.missed_pongs = 0;
                return Ok(None);
            }
            ("token", _) => return self.renew(socket, text).map(|()| None),
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
        sent.map(Some).map_err(|NotUnderstood(detail)| Close::bad_message(detail))
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

impl Sent {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// The turn that a message waits for; never, when none waits.
async fn turn_of(waiting: &mut Option<(Sent, BoxFuture<'static, Turn>)>) -> Turn {
    match waiting {
        Some((_, turn)) => turn.await,
        None => std::future::pending().await,
    }
}

/// The batch that is being sent, once it is; never, when none is.
async fn sent_of(sending: &mut Option<(Sending, Turn)>) -> InFlight {
    match sending {
        Some((batch, _)) => batch.await,
        None => std::future::pending().await,
    }
}

/// A batch that holds its turn until it is answered.
fn with_turn(app: App, batch: InFlight, turn: Turn) -> InFlight {
    async move {
        let answered = batch.await;
        let is_overload = matches!(&answered.answer, Err(problem) if problem.code == "overloaded");
        if is_overload && app.engine.is_contended() {
            sleep(REFUSAL_PAUSE).await;
        }
        drop(turn);
        answered
    }
    .boxed()
}
