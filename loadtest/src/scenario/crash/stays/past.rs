//! Lists over all times after a restart: the history catches up, and has everything the log has, once, the newest
//! first, as the log says; what goes on meanwhile may be there or not.

use super::super::book::LotBook;
use super::book::StayBook;
use super::fact::Money;
use crate::clock::parse_rfc3339;
use crate::error::LoadError;
use crate::http::{HttpClient, get};
use crate::verify::Check;
use crate::wire::ReservationState;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Items of a page.
const PAGE_ITEMS: usize = 500;
/// How long the history may take to read what it missed.
const BEHIND_MAX: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// A page over all times.
#[derive(Debug, Deserialize)]
struct Page<T> {
    items: Vec<T>,
    #[serde(default)]
    next_cursor: Option<String>,
    as_of_seq: u64,
}

/// What has a place in such a list.
pub trait Dated {
    fn id(&self) -> &str;
    /// What the list is ordered by.
    fn at(&self) -> &str;
}

/// A stay in the list.
#[derive(Debug, Deserialize)]
pub struct StayListed {
    id: String,
    entered_at: String,
    state: String,
    #[serde(default)]
    fee: Option<Fee>,
}

#[derive(Debug, Deserialize)]
struct Fee {
    total: Money,
}

/// A reservation in the list.
#[derive(Debug, Deserialize)]
pub struct ReservationListed {
    id: String,
    created_at: String,
    state: ReservationState,
}

impl StayListed {
    /// What it cost, in the end.
    pub fn fee(&self) -> Option<i64> {
        self.fee.as_ref().map(|fee| fee.total.amount)
    }
}

impl Dated for StayListed {
    fn id(&self) -> &str {
        &self.id
    }

    fn at(&self) -> &str {
        &self.entered_at
    }
}

impl Dated for ReservationListed {
    fn id(&self) -> &str {
        &self.id
    }

    fn at(&self) -> &str {
        &self.created_at
    }
}

/// What the log knew before a list was asked for: ids, and what is known of those that ended.
#[derive(Debug)]
pub struct Known<E> {
    pub ids: Vec<(String, Option<E>)>,
}

/// Stays, with the fee of those that ended.
pub fn stays_of(book: &StayBook) -> Known<Option<i64>> {
    let ids = book.stays().iter().map(|(id, stay)| (id.clone(), stay.left.map(|left| left.fee)));
    Known { ids: ids.collect() }
}

/// Reservations of the lot of stays.
pub fn reserved_there(book: &StayBook) -> Known<()> {
    let ended = |(id, known): (&String, &super::book::Reserved)| {
        (id.clone(), known.has_ended.then_some(()))
    };
    Known { ids: book.reservations().iter().map(ended).collect() }
}

/// Reservations of another lot, with the state in which they ended.
pub fn reserved_in(book: &LotBook) -> Known<ReservationState> {
    let ended = |(id, state): (&str, ReservationState)| {
        (id.to_string(), (!state.is_active()).then_some(state))
    };
    Known { ids: book.states().map(ended).collect() }
}

/// Until the history has everything up to a global sequence; says how long that took.
pub async fn catch_up(
    client: &mut HttpClient,
    lot: &str,
    seq: u64,
    check: &mut Check,
) -> Result<Duration, LoadError> {
    let began = Instant::now();
    loop {
        let path = format!("/api/v1/sessions?lot={lot}&limit=1");
        let page: Page<StayListed> = get(client, &path).await?;
        if page.as_of_seq >= seq {
            return Ok(began.elapsed());
        }
        if began.elapsed() > BEHIND_MAX {
            let (at, seconds) = (page.as_of_seq, BEHIND_MAX.as_secs());
            check
                .fault(format!("the history is at {at} {seconds} s after a start that knew {seq}"));
            return Ok(began.elapsed());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// All stays of the lot.
pub async fn compare_stays(
    client: &mut HttpClient,
    lot: &str,
    known: &Known<Option<i64>>,
    check: &mut Check,
) -> Result<(), LoadError> {
    let path = format!("/api/v1/sessions?lot={lot}");
    let listed = all::<StayListed>(client, &path, check).await?;
    compare(&path, &listed, known, check, |stay, fee| {
        let has_ended = stay.state == "left" || stay.state == "abandoned";
        has_ended && stay.fee() == *fee
    });
    Ok(())
}

/// All reservations of a lot; `agrees` says whether one that ended is as the log has it.
pub async fn compare_reservations<E: std::fmt::Debug>(
    client: &mut HttpClient,
    lot: &str,
    known: &Known<E>,
    check: &mut Check,
    agrees: impl Fn(ReservationState, &E) -> bool,
) -> Result<(), LoadError> {
    let path = format!("/api/v1/reservations?lot={lot}");
    let listed = all::<ReservationListed>(client, &path, check).await?;
    compare(&path, &listed, known, check, |shown, ended| agrees(shown.state, ended));
    Ok(())
}

/// Each that was known before is there once, and as the log has it where it ended.
pub fn compare<T: Dated + std::fmt::Debug, E: std::fmt::Debug>(
    path: &str,
    listed: &[T],
    known: &Known<E>,
    check: &mut Check,
    agrees: impl Fn(&T, &E) -> bool,
) {
    let mut by_id: BTreeMap<&str, &T> = BTreeMap::new();
    let mut before_us = u64::MAX;
    for item in listed {
        check.examine(1);
        if by_id.insert(item.id(), item).is_some() {
            check.fault(format!("GET {path}: {} is there twice", item.id()));
        }
        let at_us = parse_rfc3339(item.at()).unwrap_or_default();
        if at_us > before_us {
            check.fault(format!("GET {path}: {} is younger than the one before", item.id()));
        }
        before_us = at_us;
    }
    for (id, ended) in &known.ids {
        match (by_id.get(id.as_str()), ended) {
            (None, _) => check.fault(format!("GET {path}: {id} is in the log and not there")),
            (Some(item), Some(ended)) if !agrees(item, ended) => {
                check.fault(format!("GET {path}: {item:?}, and the log says {ended:?}"));
            }
            (Some(_), _) => {}
        }
    }
}

async fn all<T: DeserializeOwned>(
    client: &mut HttpClient,
    path: &str,
    check: &mut Check,
) -> Result<Vec<T>, LoadError> {
    let (mut all, mut cursor, mut seen) = (Vec::new(), String::new(), 0);
    loop {
        let page: Page<T> = get(client, &format!("{path}&limit={PAGE_ITEMS}{cursor}")).await?;
        if page.as_of_seq < seen {
            check.fault(format!("GET {path}: as_of_seq went from {seen} to {}", page.as_of_seq));
        }
        seen = page.as_of_seq;
        all.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(all),
        }
    }
}
