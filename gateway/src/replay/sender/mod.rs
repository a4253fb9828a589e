//! Rows into acknowledged batches, in one task.
//!
//! Invariants: at most [`IN_FLIGHT_MAX`] batches are unanswered; every row that was read is open,
//! waiting, under way or answered, and answered once; after a broken connection everything that
//! was under way goes out again, for the server knows what it has by (observed, sequence).
//!
//! What is bounded: the rows taken in ([`PENDING_ROWS_MAX`]; then the file is not read on) and
//! the time without any answer (the patience; then the replay gives up and says how far it came).
//!
//! Here is the loop and the way out; `answers` is the way back, `reconnect` what happens when the
//! server is not there, `lane` one lot with its order and its window, `pacer` the file's clock.

mod answers;
mod lane;
mod pacer;
mod reconnect;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::error::Error;
use super::item::{Item, Name, Row};
use super::options::Options;
use super::plan::Plan;
use super::progress::Progress;
use super::provision::Ready;
use super::summary::Summary;
use crate::client::{self, Answer, Client, Count, IngestClient, Reading};
use lane::{Lane, Load, Work};
use pacer::Pacer;

/// Half of what the server allows, so it never stops reading because of us.
const IN_FLIGHT_MAX: usize = 32;
/// About 110 KB as JSON: well under the server's 10,000 readings and 1 MiB.
const BATCH_READINGS_MAX: usize = 1_000;
/// The file is not read further while this many rows are unanswered.
const PENDING_ROWS_MAX: u64 = 64_000;

pub(super) struct Sender {
    client: Client,
    token: String,
    socket: IngestClient,
    patience: Duration,
    pacer: Pacer,
    progress: Progress,
    summary: Summary,
    lanes: Vec<Lane>,
    lane_of: HashMap<Name, usize>,
    /// The lane to look at first: each gets its turn.
    turn: usize,
    /// Batches without an answer, with their lane.
    under_way: BTreeMap<u64, (usize, Work)>,
    batches: u64,
    pending_rows: u64,
    /// Rows read and not yet due.
    backlog: VecDeque<Row>,
    due: Option<Instant>,
    file_ended: bool,
    /// Since when something is to do and nothing was answered.
    waiting_since: Option<Instant>,
    last_trouble: String,
}

/// What the loop woke up for.
enum Step {
    Rows(Option<Vec<Row>>),
    Answer(Result<Answer, client::Error>),
    Time,
}

impl Sender {
    pub(super) async fn connect(
        client: Client,
        options: &Options,
        plan: &Plan,
        ready: &[Ready],
        progress: Progress,
    ) -> Result<Self, Error> {
        let socket = IngestClient::connect(&client, &options.token).await?;
        let counts_in_flight_max = IN_FLIGHT_MAX / plan.lots.len().max(1);
        let lanes: Vec<Lane> = plan
            .lots
            .iter()
            .zip(ready)
            .map(|(lot, ready)| Lane::new(lot, ready, counts_in_flight_max))
            .collect();
        let lane_of =
            lanes.iter().enumerate().map(|(lane, it)| (Name::clone(&it.lot), lane)).collect();
        let created = ready.iter().filter(|ready| ready.created).count() as u64;
        let summary = Summary {
            title: format!("{} ({})", options.file.display(), options.format),
            lots_created: created,
            lots_found: ready.len() as u64 - created,
            slots: plan.slot_count() as u64,
            ..Summary::default()
        };
        Ok(Self {
            client,
            token: options.token.clone(),
            socket,
            patience: Duration::from_secs(options.patience_seconds.into()),
            pacer: Pacer::new(options.speed),
            progress,
            summary,
            lanes,
            lane_of,
            turn: 0,
            under_way: BTreeMap::new(),
            batches: 0,
            pending_rows: 0,
            backlog: VecDeque::new(),
            due: None,
            file_ended: false,
            waiting_since: None,
            last_trouble: "it is connected and silent".to_owned(),
        })
    }

    /// Sends all rows and waits for all answers.
    pub(super) async fn run(
        mut self,
        mut rows: mpsc::Receiver<Vec<Row>>,
    ) -> Result<Summary, Error> {
        loop {
            self.take_rows()?;
            self.dispatch().await?;
            if self.file_ended && self.backlog.is_empty() && self.is_idle() {
                break;
            }
            match self.step(&mut rows).await {
                Step::Rows(Some(rows)) => self.backlog.extend(rows),
                Step::Rows(None) => self.file_ended = true,
                Step::Answer(Ok(answer)) => self.answered(answer)?,
                Step::Answer(Err(error)) => self.reconnect(error).await?,
                Step::Time => self.check_patience()?,
            }
            self.progress.update(&self.summary);
        }
        self.progress.finish();
        self.socket.close().await;
        debug_assert!(self.summary.is_balanced(), "{:?}", self.summary);
        Ok(self.summary)
    }

    async fn step(&mut self, rows: &mut mpsc::Receiver<Vec<Row>>) -> Step {
        let wants_rows = !self.file_ended && self.backlog.is_empty();
        let wake_at = self.wake_at();
        tokio::select! {
            rows = rows.recv(), if wants_rows => Step::Rows(rows),
            answer = self.socket.next() => Step::Answer(answer),
            () = sleep_until(wake_at) => Step::Time,
        }
    }

    /// The next instant at which something is to do although nothing arrives.
    fn wake_at(&self) -> Option<Instant> {
        let now = Instant::now();
        let patience_ends = self.waiting_since.map(|since| since + self.patience);
        let pauses = self.lanes.iter().filter_map(|lane| lane.resumes_at(now));
        pauses.chain(self.due).chain(patience_ends).min()
    }

    /// Moves rows that are due from the backlog into the lanes.
    fn take_rows(&mut self) -> Result<(), Error> {
        self.due = None;
        while self.pending_rows < PENDING_ROWS_MAX
            && let Some(row) = self.backlog.front()
        {
            self.due = self.pacer.due(row.clock, Instant::now());
            if self.due.is_some() {
                break;
            }
            if let Some(row) = self.backlog.pop_front() {
                self.take_row(row)?;
            }
        }
        self.close_batches_that_can_leave();
        Ok(())
    }

    fn take_row(&mut self, row: Row) -> Result<(), Error> {
        self.summary.row_read(&row);
        let (lot, line) = match &row.item {
            Item::Skipped(_) => return Ok(()),
            Item::Reading { lot, .. } | Item::Count { lot, .. } => (lot, row.line),
        };
        let Some(&lane) = self.lane_of.get(lot) else {
            return Err(Error::FileChanged { line, lot: lot.to_string() });
        };
        self.pending_rows += 1;
        match row.item {
            Item::Skipped(_) => {}
            Item::Reading { slot, occupied, observed_at, sequence, .. } => {
                let open = &mut self.lanes[lane].open;
                let slot = slot.to_string().into();
                open.push(Reading { slot, occupied, observed_at: Some(observed_at), sequence });
                if open.len() >= BATCH_READINGS_MAX {
                    self.close_batch(lane);
                }
            }
            Item::Count { occupied, capacity, observed_at, .. } => {
                if self.lanes[lane].capacity_change(capacity, observed_at) {
                    self.push(lane, Load::Capacity(capacity));
                }
                let count = Count { occupied: occupied.into(), observed_at: Some(observed_at) };
                self.push(lane, Load::Count(count));
            }
        }
        Ok(())
    }

    /// A batch is whatever came while the one before it was under way: large when the server is
    /// busy, small when it is not, and no row waits for a batch to fill.
    fn close_batches_that_can_leave(&mut self) {
        for lane in 0..self.lanes.len() {
            if self.lanes[lane].is_idle() {
                self.close_batch(lane);
            }
        }
    }

    fn close_batch(&mut self, lane: usize) {
        let readings = std::mem::take(&mut self.lanes[lane].open);
        if !readings.is_empty() {
            self.push(lane, Load::Readings(readings));
        }
    }

    fn push(&mut self, lane: usize, load: Load) {
        self.batches += 1;
        self.lanes[lane].push(Work { batch: self.batches, load });
    }

    /// Sends whatever may leave.
    async fn dispatch(&mut self) -> Result<(), Error> {
        while self.under_way.len() < IN_FLIGHT_MAX {
            let Some(lane) = self.next_ready_lane() else { break };
            let Some(work) = self.lanes[lane].take() else { break };
            self.waiting_since.get_or_insert_with(Instant::now);
            let lot = Name::clone(&self.lanes[lane].lot);
            let sending = match &work.load {
                Load::Capacity(capacity) => {
                    let capacity = *capacity;
                    self.change_capacity(lane, capacity).await?;
                    continue;
                }
                Load::Readings(readings) => {
                    self.socket.send_readings(work.batch, &lot, readings).await
                }
                Load::Count(count) => self.socket.send_count(work.batch, &lot, *count).await,
            };
            self.under_way.insert(work.batch, (lane, work));
            if let Err(error) = sending {
                self.reconnect(error).await?;
            }
        }
        if self.is_idle() {
            self.waiting_since = None;
        }
        Ok(())
    }

    fn next_ready_lane(&mut self) -> Option<usize> {
        let now = Instant::now();
        let lanes = self.lanes.len();
        let lane = (0..lanes)
            .map(|step| (self.turn + step) % lanes)
            .find(|&lane| self.lanes[lane].is_ready(now))?;
        self.turn = lane + 1;
        Some(lane)
    }

    fn is_idle(&self) -> bool {
        self.under_way.is_empty() && self.lanes.iter().all(Lane::is_idle)
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
