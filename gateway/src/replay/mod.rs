//! `lotkeeper replay`: real data files streamed into a running server.
//!
//! A client like any other: it makes the lots and slots a file needs over HTTP, streams readings
//! and counts through the ingest websocket and accounts for every row. In reading order:
//!
//! - [`Rows`]: bytes to [`Item`]s. Pure, one file per format; real faults of real files are named
//!   here (`clock` has the clock-change hours).
//! - `provision`: the lots of the [`Plan`] exist and have the slots.
//! - `sender`: batches, windows, answers, broken connections.
//! - [`Summary`]: where every row went.
//!
//! The file is read twice: once for its lots and slots, once to send. Replaying it again changes
//! nothing: what the server knows already it answers as duplicate, unchanged or late.
//!
//! Absent on purpose: remembering how far a replay came. The server remembers better.

mod bath;
mod clock;
mod error;
mod item;
mod melbourne_2016;
mod melbourne_2025;
mod options;
mod parser;
mod plan;
mod progress;
mod provision;
mod sender;
mod source;
mod summary;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::Instant;

pub use error::{Error, FileError};
pub use item::{Fault, Item, LocalTime, Name, Notes, Row};
pub use options::{Format, Options, Speed};
pub use parser::{Context, Rows};
pub use plan::{City, Kind, LotPlan, Plan, Position, SlotPlan};
pub(crate) use progress::bar;
pub use summary::Summary;

use crate::client::Client;
use progress::Progress;
use sender::Sender;
use source::{Source, in_file};

/// Rows handed over at once: a task switch per row would cost more than the row.
const ROWS_PER_HANDOVER: usize = 512;
const HANDOVERS_QUEUED_MAX: usize = 4;

/// Replays a file into a server and accounts for every row of it.
pub async fn run(options: Options) -> Result<Summary, Error> {
    let started = Instant::now();
    let client = Client::new(&options.url, &options.token)?;
    let (plan, context) = survey(&options).await?;
    let ready = provision::prepare(&client, &plan).await?;

    let source = Source::open(&options.file)?;
    let progress = Progress::new(Arc::clone(&source.bytes_read), source.bytes_total, options.quiet);
    let sender = Sender::connect(client, &options, &plan, &ready, progress).await?;
    let (handover, rows) = mpsc::channel(HANDOVERS_QUEUED_MAX);
    let (file, format) = (options.file.clone(), options.format);
    let reader = spawn_blocking(move || {
        let rows = Rows::new(source.reader, format, &context);
        rows.and_then(|rows| hand_over(rows, &handover)).map_err(|error| in_file(&file, error))
    });
    let mut summary = sender.run(rows).await?;
    // Only now: rows before a torn end are sent, and then the tear is told.
    reader.await.map_err(|error| stopped(&error))??;
    summary.elapsed = started.elapsed();
    Ok(summary)
}

/// The first pass: the lots and slots, and what the second pass has to know.
async fn survey(options: &Options) -> Result<(Plan, Context), Error> {
    let options = options.clone();
    spawn_blocking(move || survey_file(&options)).await.map_err(|error| stopped(&error))?
}

fn survey_file(options: &Options) -> Result<(Plan, Context), Error> {
    let name = options.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut context = Context {
        skew: SignedDuration::from_secs(options.skew_seconds.into()),
        dead_after: SignedDuration::from_hours(24 * i64::from(options.dead_after_days)),
        file_instant: melbourne_2025::instant_of_name(name),
    };
    let mut plan = plan_of(&options.file, options.format, &context)?;
    // A file that does not say when it was made is as old as its newest row.
    context.file_instant = context.file_instant.or(plan.newest);
    if let Some(bays) = &options.bays {
        plan.locate(&source::read_bays(bays)?);
    }
    Ok((plan, context))
}

fn plan_of(file: &Path, format: Format, context: &Context) -> Result<Plan, Error> {
    let read = |source: Source| {
        let mut rows = Rows::new(source.reader, format, context)?;
        // A torn end is told after the rows before it are sent; the plan is good up to there.
        rows.by_ref().take_while(Result::is_ok).for_each(drop);
        Ok(rows.into_plan())
    };
    read(Source::open(file)?).map_err(|error| in_file(file, error))
}

fn hand_over(
    mut rows: Rows<impl std::io::Read>,
    handover: &mpsc::Sender<Vec<Row>>,
) -> Result<(), FileError> {
    loop {
        let mut chunk = Vec::with_capacity(ROWS_PER_HANDOVER);
        let mut torn = Ok(());
        for row in rows.by_ref().take(ROWS_PER_HANDOVER) {
            match row {
                Ok(row) => chunk.push(row),
                Err(error) => {
                    torn = Err(error);
                    break;
                }
            }
        }
        let ended = chunk.is_empty();
        // Nobody takes rows any more when sending has failed, and that failure is the one to tell.
        if !ended && handover.blocking_send(chunk).is_err() {
            return Ok(());
        }
        torn?;
        if ended {
            return Ok(());
        }
    }
}

fn stopped(error: &JoinError) -> Error {
    Error::Reader(error.to_string())
}
