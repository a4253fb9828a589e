//! A backup of everything the server holds, streamed while it goes on working.
//!
//! Invariants: memory is bounded by a few blocks, however slow the client; one backup at a time; a client
//! that takes nothing for `server.request_timeout_seconds` loses it, because the journal keeps old files for
//! as long as it lasts. A body that does not end well is cut off, never ended as if it were whole.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::Stream;
use lotkeeper_storage::JournalError;
use lotkeeper_storage::backup::Backup;
use tokio::sync::mpsc;

use super::answer;
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::Problem;

/// Blocks between the journal and the socket, of at most some hundred kilobytes each.
const BLOCKS_AHEAD: usize = 2;

/// Shorter pauses are added up: a timer is not that fine.
const PAUSE_MIN: Duration = Duration::from_millis(2);

/// Take a backup
///
/// Everything as of one durable sequence: snapshots of lots, the log as far back as it is kept, and the people
/// behind pseudonyms in clear text. The signing key is not in it. Writes go on meanwhile. Use
/// `lotkeeper backup`, which verifies what it gets; the format is in docs/storage-format.md, and a body
/// without the trailer described there is not a backup. Role admin of the tenant `auth.backup_tenant`, with a
/// token for all lots: a backup holds every tenant's data.
#[utoipa::path(
    get, path = "/api/v1/backup", tag = "backup", operation_id = "takeBackup",
    responses(
        (status = 200, description = "The backup.", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 409, description = "`backup_in_progress`"),
    ),
)]
pub async fn take(State(app): State<App>, principal: Principal) -> Result<Response, Problem> {
    principal.require(Access::Admin)?;
    may_have_everything(&app, &principal)?;
    let (engine, now) = (app.engine.clone(), app.engine.now());
    // It may wait for the end of a rotation, and reads the disk.
    let begin = move || engine.reader().backup_as_of(&|| engine.seq(), now);
    let begun = tokio::task::spawn_blocking(begin).await;
    let backup = match begun {
        Ok(Ok(backup)) => backup,
        Ok(Err(error @ JournalError::Busy { .. })) => {
            return Err(Problem::backup_in_progress(error.to_string()));
        }
        Ok(Err(error)) => return Err(answer::unreadable("journal", &error)),
        Err(error) => {
            tracing::error!(request = crate::request_id::current(), %error, "a backup did not begin");
            return Err(Problem::internal(
                "no backup can be made; tell the operator the request id",
            ));
        }
    };
    let mut response = Response::new(streamed(app, backup));
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// What is in a backup belongs to all tenants and lots.
fn may_have_everything(app: &App, principal: &Principal) -> Result<(), Problem> {
    let tenant = &app.config.auth.backup_tenant;
    if principal.tenant.as_ref() != tenant.as_str() || tenant.is_empty() {
        return Err(Problem::role_not_allowed(
            "a backup holds the data of every tenant; it needs an admin of the tenant that the server's \
             auth.backup_tenant names",
        ));
    }
    match principal.lots {
        None => Ok(()),
        Some(_) => Err(Problem::lot_not_allowed(
            "a backup holds every lot and this token is for some; use one without `lots`",
        )),
    }
}

/// The backup as a body; it is read on a thread of its own, no faster than the client takes it.
fn streamed(app: App, backup: Backup) -> Body {
    let (sender, receiver) = mpsc::channel(BLOCKS_AHEAD);
    let whole = Arc::new(AtomicBool::new(false));
    let pump =
        Pump { app, sender, whole: Arc::clone(&whole), request: crate::request_id::current() };
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || pump.run(backup, &runtime));
    Body::from_stream(blocks(receiver, whole))
}

/// What is sent, and an error at an end that is none.
fn blocks(
    receiver: mpsc::Receiver<Bytes>,
    whole: Arc<AtomicBool>,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    futures_util::stream::unfold(Some(receiver), move |receiver| {
        let whole = Arc::clone(&whole);
        async move {
            let mut receiver = receiver?;
            match receiver.recv().await {
                Some(block) => Some((Ok(block), Some(receiver))),
                None if whole.load(Ordering::Acquire) => None,
                None => {
                    // A body that fails takes along what waits to be written: with the head gone, the client would
                    // take the server for dead. While a body has nothing to say, that is written.
                    tokio::task::yield_now().await;
                    Some((Err(io::Error::other("the backup did not come to its end")), None))
                }
            }
        }
    })
}

struct Pump {
    app: App,
    sender: mpsc::Sender<Bytes>,
    whole: Arc<AtomicBool>,
    request: Option<String>,
}

impl Pump {
    fn run(self, backup: Backup, runtime: &tokio::runtime::Handle) {
        let (began, last_seq) = (Instant::now(), backup.header().last_seq);
        let (ended, bytes) = self.pump(backup, runtime);
        let (request, seconds) = (&self.request, began.elapsed().as_secs_f64());
        match &ended {
            Ok(()) => tracing::info!(request, last_seq, bytes, seconds, "a backup was taken"),
            Err(cause) => {
                tracing::warn!(request, last_seq, bytes, seconds, cause, "a backup was not taken");
            }
        }
        self.app.metrics.backup_ended(ended.is_ok());
    }

    fn pump(&self, backup: Backup, runtime: &tokio::runtime::Handle) -> (Result<(), String>, u64) {
        let server = &self.app.config.server;
        let (patience, per_second) = (server.request_timeout, server.backup_bytes_per_second);
        let began = Instant::now();
        let mut bytes = 0;
        for block in backup {
            let sent = block.map_err(|error| error.to_string()).and_then(|block| {
                bytes += block.len() as u64;
                runtime.block_on(self.send(Bytes::from(block), patience))
            });
            if let Err(cause) = sent {
                return (Err(cause), bytes);
            }
            let due = Duration::from_micros(bytes.saturating_mul(1_000_000) / per_second);
            runtime.block_on(self.rest(due.saturating_sub(began.elapsed())));
        }
        self.whole.store(true, Ordering::Release);
        (Ok(()), bytes)
    }

    /// Leaves the machine to the commits; the end of the server ends it.
    async fn rest(&self, pause: Duration) {
        if pause >= PAUSE_MIN {
            tokio::select! {
                () = self.app.shutdown.begun() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn send(&self, block: Bytes, patience: Duration) -> Result<(), String> {
        let sending = tokio::time::timeout(patience, self.sender.send(block));
        tokio::select! {
            biased;
            () = self.app.shutdown.begun() => Err("the server ends".to_owned()),
            sent = sending => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err("the client left".to_owned()),
                Err(_) => Err(format!("the client took nothing for {} s", patience.as_secs())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::{StreamExt, poll};

    use super::*;

    #[tokio::test]
    async fn what_was_said_is_written_before_a_body_is_cut_off() {
        for is_whole in [true, false] {
            let (sender, receiver) = mpsc::channel(1);
            let mut blocks = pin!(blocks(receiver, Arc::new(AtomicBool::new(is_whole))));
            sender.send(Bytes::from_static(b"block")).await.unwrap();
            assert_eq!(blocks.next().await.unwrap().unwrap(), "block");
            drop(sender);
            // Whoever writes looks once more, and meanwhile writes what he has.
            let at_once = poll!(blocks.next());
            assert_eq!(at_once.is_pending(), !is_whole, "{at_once:?}");
            if !is_whole {
                assert!(blocks.next().await.is_some_and(|end| end.is_err()));
            }
        }
    }
}
