//! After every restart: what clients were told is asked for again, the log is read to its end, and everything
//! told up to then is judged by it. Under the load of the next round, as an operator would.

use super::cast::Left;
use super::checks::Checks;
use super::driver::{Kept, repeat};
use super::history::{History, Told};
use super::log::{LogEvent, Standing};
use super::onlooker::{look_at, look_at_counts, look_at_slots};
use super::stage::{Broken, Stage};
use super::stays::ask::Answered;
use super::stays::past::{self, catch_up, compare_reservations, compare_stays};
use crate::error::LoadError;
use crate::http::{HttpClient, get};
use crate::recorder::Tally;
use crate::target::Role;
use crate::wire::Page;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Events of a page.
const PAGE_ITEMS: usize = 500;
/// Events that are read once more after every restart: they must be what they were.
const READ_AGAIN: u64 = 300;
/// Reservations that are asked for after every restart, the last granted ones.
const ASKED_MAX: usize = 50;
/// Answers that are asked for once more in the end, of each driver the newest.
const REPEATED_MAX: usize = 600;
/// Of these, every so many-th with another body.
const OTHER_BODY_EVERY: usize = 10;

/// `GET .../ledger`.
#[derive(Debug, Deserialize)]
struct Ledger {
    postings: u64,
    balances: Vec<Balance>,
    balanced: bool,
}

#[derive(Debug, Deserialize)]
struct Balance {
    account: String,
    balance: super::stays::fact::Money,
}

/// The one who judges.
#[derive(Debug)]
pub struct Auditor {
    pub checks: Checks,
    pub history: History,
    /// What was done, and when it was judged.
    pub tallies: Vec<(Tally, u64, u64)>,
    /// Answers to writes that were judged.
    pub writes: u64,
    /// The longest that the history took to catch up.
    pub longest_wait_ms: u64,
    stage: Arc<Stage>,
    heard: mpsc::UnboundedReceiver<Told>,
    client: HttpClient,
    /// Told and not judged yet.
    open: Vec<Told>,
    /// How often the past was looked at.
    looks: usize,
    /// Bayed lots come first; only they count by status.
    bayed: usize,
}

impl Auditor {
    pub fn new(stage: &Arc<Stage>, heard: mpsc::UnboundedReceiver<Told>, bayed: usize) -> Self {
        let slots = stage.fleet.slots_per_lot;
        let lots = stage.fleet.lots.iter().map(|lot| (lot.code.clone(), slots));
        Self {
            checks: Checks::new(),
            history: History::new(lots, &stage.stays),
            tallies: Vec::new(),
            writes: 0,
            longest_wait_ms: 0,
            client: stage.client(Role::Operator, 0),
            stage: Arc::clone(stage),
            heard,
            open: Vec::new(),
            looks: 0,
            bayed,
        }
    }

    /// Everything that was told up to now. What is told while it works waits for the next time.
    pub async fn audit(&mut self) -> Result<(), LoadError> {
        self.hear();
        self.ask().await;
        self.hear();
        let from = self.history.head().saturating_sub(READ_AGAIN);
        self.read_log(from).await?;
        self.judge();
        self.look_back().await
    }

    /// The whole log once more, all keys, all lists; nobody else is at work any more.
    pub async fn audit_all(&mut self, kept: Vec<Left>) -> Result<(), LoadError> {
        self.repeat_all(kept).await;
        self.audit().await?;
        self.read_log(0).await?;
        for lot in 0..self.stage.fleet.lots.len() {
            self.compare_active(lot).await?;
        }
        self.audit().await?;
        for lot in 0..self.stage.fleet.lots.len() {
            self.look_back_at(lot).await?;
        }
        self.compare_ledger().await
    }

    fn hear(&mut self) {
        while let Ok(told) = self.heard.try_recv() {
            self.open.push(told);
        }
    }

    /// The reservations granted last, and every lot.
    async fn ask(&mut self) {
        let mut granted: Vec<Standing> = Vec::new();
        for told in self.open.iter().rev() {
            let Told::Granted(standing) = told else { continue };
            if granted.len() < ASKED_MAX && granted.iter().all(|other| other.id != standing.id) {
                granted.push(standing.clone());
            }
        }
        for standing in &granted {
            look_at(&self.stage, &mut self.client, standing).await;
        }
        for lot in 0..self.stage.fleet.lots.len() {
            look_at_slots(&self.stage, &mut self.client, lot).await;
            if lot < self.bayed {
                look_at_counts(&self.stage, &mut self.client, lot).await;
            }
        }
    }

    async fn read_log(&mut self, from: u64) -> Result<(), LoadError> {
        let mut after = from;
        loop {
            let path = format!("/api/v1/events?after_seq={after}&limit={PAGE_ITEMS}");
            let page: Page<LogEvent> = get(&mut self.client, &path).await?;
            for event in &page.items {
                self.history.take(event, &mut self.checks);
            }
            match page.items.last() {
                Some(last) if page.next_cursor.is_some() => after = last.seq,
                _ => return Ok(()),
            }
        }
    }

    fn judge(&mut self) {
        let now_us = self.stage.clock.now_us();
        for told in std::mem::take(&mut self.open) {
            self.history.judge(&told, &mut self.checks);
            self.writes += u64::from(told.is_write());
            let tally = match &told {
                Told::Readings { readings, .. } => (Tally::Readings, readings.len()),
                Told::Granted(_) => (Tally::Granted, 1),
                Told::Refused { .. } => (Tally::Conflicts, 1),
                Told::Entries { entries, .. } => (Tally::Entries, entries.len()),
                Told::Shown(_) | Told::Absent { .. } | Told::Slots { .. } => (Tally::Reads, 1),
                Told::Counts { .. } | Told::Counted { .. } | Told::Stay { .. } => (Tally::Reads, 0),
            };
            self.tallies.push((tally.0, tally.1 as u64, now_us));
        }
        self.take_faults();
    }

    /// What players saw with their own eyes.
    pub fn take_faults(&mut self) {
        for (broken, what) in self.stage.take_faults() {
            let check = match broken {
                Broken::Kept => &mut self.checks.kept,
                Broken::Whole => &mut self.checks.whole,
                Broken::Reads => &mut self.checks.reads,
                Broken::Keys => &mut self.checks.keys,
                Broken::Resumed => &mut self.checks.resumed,
            };
            check.fault(what);
        }
    }

    /// The history has caught up, and lists over all times have what the log has: stays, and the reservations of
    /// one lot, another one each time.
    async fn look_back(&mut self) -> Result<(), LoadError> {
        let (lot, head) = (self.stage.stays.clone(), self.history.head());
        let (client, check) = (&mut self.client, &mut self.checks.past);
        let waited = catch_up(client, &lot, head, check).await?;
        let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        self.longest_wait_ms = self.longest_wait_ms.max(waited_ms);
        let book = self.history.stays();
        compare_stays(client, &lot, &past::stays_of(book), check).await?;
        let there = past::reserved_there(book);
        compare_reservations(client, &lot, &there, check, |state, ()| !state.is_active()).await?;
        self.looks += 1;
        self.look_back_at(self.looks % self.stage.fleet.lots.len()).await
    }

    async fn look_back_at(&mut self, lot: usize) -> Result<(), LoadError> {
        let code = self.stage.fleet.lots[lot].code.clone();
        let Some(book) = self.history.lot(&code) else { return Ok(()) };
        let (known, check) = (past::reserved_in(book), &mut self.checks.past);
        compare_reservations(&mut self.client, &code, &known, check, |state, was| state == *was)
            .await
    }

    /// Nobody is at work any more: the balances are those of the postings in the log.
    async fn compare_ledger(&mut self) -> Result<(), LoadError> {
        let lot = self.stage.stays.clone();
        let shown: Ledger = get(&mut self.client, &format!("/api/v1/lots/{lot}/ledger")).await?;
        let (book, check) = (self.history.stays(), &mut self.checks.money);
        book.closed(check);
        let (postings, balances) = book.ledger();
        let shown_balances: BTreeMap<&str, i64> =
            shown.balances.iter().map(|side| (&*side.account, side.balance.amount)).collect();
        check.examine(1);
        if !shown.balanced || shown.postings != postings || shown_balances != balances {
            check.fault(format!(
                "lot {lot}: {postings} postings make {balances:?}, shown is {shown:?}"
            ));
        }
        Ok(())
    }

    async fn repeat_all(&mut self, kept: Vec<Left>) {
        for left in kept {
            match left {
                Left::Nothing => {}
                Left::OfDriver(driver, kept) => self.repeat_bookings(driver, &kept).await,
                Left::OfDesk(answered) => self.repeat_at_desk(&answered).await,
            }
        }
    }

    async fn repeat_at_desk(&mut self, answered: &[Answered]) {
        for (nth, answered) in answered.iter().rev().take(REPEATED_MAX).enumerate() {
            let mut client = self.stage.client(answered.ask.role, answered.desk);
            let other = nth % OTHER_BODY_EVERY == 0;
            if super::stays::repeat(&self.stage, &mut client, answered, other).await.is_none() {
                self.stage.error("a repeated request without an answer");
            }
        }
    }

    async fn repeat_bookings(&mut self, driver: usize, kept: &[Kept]) {
        let mut client = self.stage.client(Role::Driver, driver);
        for (nth, kept) in kept.iter().rev().take(REPEATED_MAX).enumerate() {
            let other = nth % OTHER_BODY_EVERY == 0;
            if repeat(&self.stage, &mut client, kept, other).await.is_none() {
                self.stage.error("a repeated request without an answer");
            }
        }
    }

    /// The list of what is active has what the log has.
    async fn compare_active(&mut self, lot: usize) -> Result<(), LoadError> {
        let code = self.stage.fleet.lots[lot].code.clone();
        let path = format!(
            "/api/v1/reservations?lot={code}&state=held,confirmed,checked_in&limit={PAGE_ITEMS}"
        );
        let mut listed = BTreeSet::new();
        let mut cursor = String::new();
        loop {
            let page: Page<Standing> = get(&mut self.client, &format!("{path}{cursor}")).await?;
            for standing in page.items {
                listed.insert(standing.id.clone());
                self.stage.told(Told::Shown(standing));
            }
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        // A hold may end while this goes on; what is active after it was active before.
        self.read_log(self.history.head()).await?;
        let Some(book) = self.history.lot(&code) else { return Ok(()) };
        for id in book.active() {
            self.checks.reads.examine(1);
            if !listed.contains(id) {
                self.checks.reads.fault(format!("lot {code}: {id} is active and not in the list"));
            }
        }
        Ok(())
    }
}
