//! One stream: one task that reads requests, follows rings and keeps the connection alive.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::Upgraded;
use lotkeeper_actors::{LotHandle, Watcher};
use tokio::time::{Instant as Moment, sleep_until};

use super::message::{After, Reply, Request, View};
use super::own::Own;
use super::pace::pause;
use super::subscription::Subscription;
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::Problem;
use crate::wire::availability::epoch_text;
use crate::wire::instant::Instant;
use crate::ws::close::Close;
use crate::ws::entry::Entry;
use crate::ws::socket::{Incoming, Socket};

/// Queued bytes at which a round is sent before the next subscription is looked at.
const ROUND_BYTES_MAX: usize = 256 * 1024;
/// Clients say little: what they say in one go fits, and an idle socket costs no more than this.
const READ_BUFFER_BYTES: usize = 512;
/// Pings without an answer that end the connection.
const MISSED_PONGS_MAX: u32 = 2;

/// Runs a stream to its end.
pub async fn serve(app: App, connection: Upgraded, entry: Entry) {
    // Given up last, when nothing of the app is held any more: the end of the server waits for it.
    let _busy = app.shutdown.busy();
    talk(app, connection, entry).await;
}

async fn talk(app: App, connection: Upgraded, entry: Entry) {
    let _open = app.metrics.websocket_opened("stream");
    let settings = &app.config.stream;
    let mut socket = Socket::new(connection, settings.message_bytes_max, READ_BUFFER_BYTES).await;
    let close = match entry.settle(&app, &mut socket, settings.first_message).await {
        Ok(principal) => {
            let mut stream = Stream::new(&app, principal);
            let close = stream.run(&mut socket).await;
            app.metrics.unsubscribed(stream.subscriptions.len());
            close
        }
        Err(close) => close,
    };
    app.metrics.websocket_closed("stream", close.as_ref().map(|close| close.code));
    socket.close(close.as_ref()).await;
}

struct Stream<'a> {
    app: &'a App,
    principal: Principal,
    epoch: String,
    watcher: Arc<Watcher>,
    subscriptions: Vec<Subscription>,
    missed_pongs: u32,
    ping_at: Moment,
    counts_at: Option<Moment>,
    /// Until then changes do not wake the stream: it would have nothing to say, or too little.
    quiet_until: Option<Moment>,
    /// Messages received in the second that began at `.1`.
    rate: (u32, Moment),
}

/// What woke the stream.
enum Woken {
    Message(Incoming),
    Changed,
    Timer,
    Shutdown,
}

impl<'a> Stream<'a> {
    fn new(app: &'a App, principal: Principal) -> Self {
        let now = Moment::now();
        Self {
            app,
            principal,
            epoch: epoch_text(app.engine.epoch()),
            watcher: Arc::new(Watcher::default()),
            subscriptions: Vec::new(),
            missed_pongs: 0,
            ping_at: now + app.config.stream.ping,
            counts_at: None,
            quiet_until: None,
            rate: (0, now),
        }
    }

    /// Until the client is gone (nothing) or there is a reason to close.
    async fn run(&mut self, socket: &mut Socket) -> Option<Close> {
        let watcher = Arc::clone(&self.watcher);
        loop {
            let timers = [Some(self.ping_at), self.counts_at, self.quiet_until];
            let timer = timers.into_iter().flatten().min().unwrap_or(self.ping_at);
            let woken = tokio::select! {
                biased;
                () = self.app.shutdown.begun() => Woken::Shutdown,
                message = socket.next() => Woken::Message(message),
                () = watcher.changed(), if self.quiet_until.is_none() => Woken::Changed,
                () = sleep_until(timer) => Woken::Timer,
            };
            let close = match woken {
                Woken::Shutdown => return Some(Close::going_away(Duration::from_secs(5))),
                Woken::Message(Incoming::Gone) => return None,
                Woken::Message(Incoming::Broken(close)) => Err(close),
                Woken::Message(Incoming::Binary(_)) => {
                    Err(Close::bad_message("binary message; send JSON text"))
                }
                Woken::Message(Incoming::Text(text)) => self.receive(socket, &text),
                // A ping costs what a message costs: it is answered, and the stream looks at everything again.
                Woken::Message(Incoming::Control) => self.count_message(),
                Woken::Timer | Woken::Changed => Ok(()),
            };
            // Looked at every time: a lot that changes all the time never lets the timer be first.
            if let Err(close) = close.and_then(|()| self.ping_when_due(socket)) {
                return Some(close);
            }
            watcher.seen();
            match self.advance(socket).await {
                Ok(sent) => self.quiet_until = self.quiet(sent),
                Err(_) => return None,
            }
        }
    }

    /// Until when nothing need wake the stream that has just sent something, or nothing.
    fn quiet(&self, sent: bool) -> Option<Moment> {
        let readers = |view| {
            let of_view = self.subscriptions.iter().filter(move |it| it.view == view);
            of_view.map(|it| it.lot.watchers().count()).max()
        };
        let until = |pause| Moment::now() + pause;
        match (readers(View::Slots), readers(View::Reservations)) {
            (Some(readers), _) => pause(readers).filter(|_| sent).map(until),
            // Everybody's changes wake whoever follows his own, mostly for nothing.
            (None, Some(readers)) => pause(readers).map(until),
            (None, None) => self.counts_at,
        }
    }

    /// Queues and sends everything the subscriptions have, in rounds that are fair to all of them.
    ///
    /// Tells whether there was anything.
    async fn advance(&mut self, socket: &mut Socket) -> std::io::Result<bool> {
        let mut sent = false;
        loop {
            let (mut more, mut messages) = (false, 0);
            self.counts_at = None;
            let now = Instant(self.app.engine.now());
            let pace = self.pace();
            for subscription in &mut self.subscriptions {
                let stamp = (self.epoch.as_str(), now);
                let progress = subscription.advance(self.app, socket.out(), stamp, pace);
                more |= progress.more;
                messages += progress.messages;
                sent |= progress.messages > 0;
                if progress.lagged {
                    self.app.metrics.lagged();
                }
                let again = progress.again_at.into_iter().chain(self.counts_at).min();
                self.counts_at = again;
                if socket.out().len() >= ROUND_BYTES_MAX {
                    let bytes = socket.flush().await?;
                    self.app.metrics.messages_sent("stream", messages, bytes as u64);
                    messages = 0;
                }
            }
            let bytes = socket.flush().await?;
            self.app.metrics.messages_sent("stream", messages, bytes as u64);
            if !more {
                return Ok(sent);
            }
            // Others on this thread have their turn between two rounds of a busy lot.
            tokio::task::yield_now().await;
        }
    }

    fn pace(&self) -> Duration {
        Duration::from_secs(1) / self.app.config.stream.counts_per_second.max(1)
    }

    fn receive(&mut self, socket: &mut Socket, text: &str) -> Result<(), Close> {
        self.app.metrics.messages_received("stream", 1, text.len() as u64);
        self.count_message()?;
        let request: Request = serde_json::from_str(text)
            .map_err(|error| Close::bad_message(format!("message not understood: {error}")))?;
        match request {
            Request::Pong => self.missed_pongs = 0,
            Request::Token { token } => self.renew(socket, &token)?,
            Request::Subscribe { id, lot, view, after } => match self.find_for(&lot, view) {
                Ok(lot) => self.subscribe(socket, id, lot, view, after.as_ref())?,
                Err(problem) => refuse(socket, id, &problem),
            },
            Request::Unsubscribe { id, lot, view } => match self.find(&lot) {
                Ok(lot) => self.unsubscribe(socket, id, &lot, view),
                Err(problem) => refuse(socket, id, &problem),
            },
        }
        Ok(())
    }

    fn count_message(&mut self) -> Result<(), Close> {
        let now = Moment::now();
        if now.duration_since(self.rate.1) >= Duration::from_secs(1) {
            self.rate = (0, now);
        }
        self.rate.0 += 1;
        let max = self.app.config.stream.messages_per_second_max;
        if self.rate.0 > max {
            return Err(Close::too_many(format!(
                "more than {max} messages in a second; slow down"
            )));
        }
        Ok(())
    }

    fn renew(&mut self, socket: &mut Socket, token: &str) -> Result<(), Close> {
        let renewed =
            self.app.auth.verify(token).map_err(|problem| Close::token(problem.detail))?;
        if renewed.tenant != self.principal.tenant {
            return Err(Close::not_allowed(
                "the new token is of another tenant; open another stream",
            ));
        }
        let is_owned = self.subscriptions.iter().any(|it| it.view == View::Reservations);
        if is_owned
            && (renewed.subject != self.principal.subject || !renewed.role.may(Access::Driver))
        {
            return Err(Close::not_allowed(
                "the new token is of somebody else, whose reservations are others; open another stream",
            ));
        }
        self.principal = renewed;
        let lost = self.subscriptions.iter().find(|subscription| {
            let lot = &subscription.lot;
            !self.principal.may_use_lot(lot.code(), lot.id())
        });
        if let Some(lost) = lost {
            let code = lost.lot.code();
            return Err(Close::not_allowed(format!("the new token is not for lot {code}")));
        }
        socket.push(&Reply::Token { expires_at: Instant(self.principal.expires_at) });
        Ok(())
    }

    fn find(&self, lot: &str) -> Result<LotHandle, Problem> {
        let found = self.app.engine.lot(&self.principal.tenant, lot);
        let found = found.ok_or_else(|| {
            let shown: String = lot.chars().take(80).collect();
            Problem::lot_not_found(format!("no lot `{shown}`; GET /api/v1/lots lists them"))
        })?;
        self.principal.require_lot(&found)?;
        Ok(found)
    }

    fn find_for(&self, lot: &str, view: View) -> Result<LotHandle, Problem> {
        match view {
            View::Slots | View::Counts => {}
            View::Reservations => self.principal.require(Access::Driver)?,
        }
        self.find(lot)
    }

    fn subscribe(
        &mut self,
        socket: &mut Socket,
        id: Option<i64>,
        lot: LotHandle,
        view: View,
        after: Option<&After>,
    ) -> Result<(), Close> {
        self.forget(&lot, view);
        let max = self.app.config.stream.subscriptions_max;
        if self.subscriptions.len() >= max {
            return Err(Close::too_many(format!(
                "more than {max} subscriptions; open another stream"
            )));
        }
        // Watched before the state is looked at: a change in between wakes us for nothing at worst.
        lot.watchers().add(&self.watcher);
        let own = (view == View::Reservations).then(|| Box::new(Own::of(&self.principal)));
        let mut subscription = Subscription { lot, view, cursor: 0, paced_until: None, own };
        let head = subscription.lot.view().lot_seq;
        let (epoch, now) = (self.epoch.as_str(), Instant(self.app.engine.now()));
        let code = subscription.lot.code().to_owned();
        let mut queued = Vec::new();
        let after = after.filter(|after| after.epoch == epoch && after.seq <= head);
        let recovered = after.is_some_and(|after| match view {
            View::Slots => {
                subscription.cursor = after.seq;
                subscription.can_resume(after.seq)
            }
            View::Counts => false,
            View::Reservations => {
                subscription.own_resumed(self.app, &mut queued, (epoch, now), after.seq)
            }
        });
        match view {
            _ if recovered => {}
            View::Slots => subscription.snapshot(&mut queued, epoch, now, false),
            View::Counts => subscription.counts(&mut queued, epoch, now, self.pace()),
            View::Reservations => {
                subscription.own_whole(self.app, &mut queued, (epoch, now));
            }
        }
        let seq = if recovered { head } else { subscription.cursor };
        socket.push(&Reply::Subscribed { id, lot: &code, view, epoch, seq, recovered });
        socket.out().extend_from_slice(&queued);
        self.app.metrics.subscribed(view.name(), recovered);
        self.subscriptions.push(subscription);
        Ok(())
    }

    fn unsubscribe(&mut self, socket: &mut Socket, id: Option<i64>, lot: &LotHandle, view: View) {
        self.forget(lot, view);
        socket.push(&Reply::Unsubscribed { id, lot: lot.code(), view });
    }

    fn forget(&mut self, lot: &LotHandle, view: View) {
        let known = self.subscriptions.iter().position(|subscription| {
            subscription.lot.key() == lot.key() && subscription.view == view
        });
        if let Some(position) = known {
            self.subscriptions.swap_remove(position);
            lot.watchers().remove(&self.watcher);
            self.app.metrics.unsubscribed(1);
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
        // Of a lot with both views the one whose sequences are followed without a gap is told.
        let followed = |view| {
            let of_view = move |it: &&Subscription| it.view == view;
            self.subscriptions.iter().filter(of_view).map(|it| (it.lot.code(), it.cursor))
        };
        let lots: BTreeMap<&str, u64> = followed(View::Reservations)
            .chain(followed(View::Counts))
            .chain(followed(View::Slots))
            .collect();
        socket.push(&Reply::Ping { at: Instant(now), lots });
        Ok(())
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        for subscription in &self.subscriptions {
            subscription.lot.watchers().remove(&self.watcher);
        }
    }
}

fn refuse(socket: &mut Socket, id: Option<i64>, problem: &Problem) {
    socket.push(&Reply::Error { id, code: problem.code, detail: &problem.detail });
}
