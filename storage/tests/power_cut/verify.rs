//! Starts on what a power cut left, and holds it against what was promised.

use std::path::Path;

use lotkeeper_storage::format::Tip;
use lotkeeper_storage::{Event, Journal, Recovery, SledJournal};

use crate::common::{Author, copy_dir};
use crate::scratch;
use crate::workload::{Truth, options};

/// How much is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    Records,
    /// Also `check` before, states, and a commit and a start after.
    All,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub discarded_frames: u64,
    pub new_epoch: bool,
}

macro_rules! require {
    ($holds:expr, $($text:tt)*) => { if !$holds { return Err(format!($($text)*)); } };
}

/// Whether a data directory keeps every promise of `truth`; what is broken, when it does not.
pub fn verify(data: &Path, truth: &Truth, depth: Depth) -> Result<Found, String> {
    let tip = std::fs::read(data.join("TIP")).ok().and_then(|bytes| Tip::from_bytes(&bytes).ok());
    let checked = match depth {
        Depth::All if data.is_dir() => Some(lotkeeper_storage::check(data)),
        _ => None,
    };
    let opened = SledJournal::open(options(data));
    let (mut journal, recovery) = opened.map_err(|error| format!("it does not open: {error}"))?;
    let Recovery { epoch, last_seq, snapshots, tail, report, .. } = recovery;
    require!(last_seq >= truth.acked, "{last_seq} of {} acknowledged records", truth.acked);
    require!(last_seq == 0 || truth.ends.contains(&last_seq), "half a commit: {last_seq}");
    require!(report.ends_below_tip.is_none(), "TIP was ahead of the disk: {report:?}");
    let new_epoch = truth.epoch != Some(epoch);
    if let (Some(tip), Some(said)) = (tip, truth.epoch) {
        require!(tip.epoch != said || !new_epoch, "the epoch changed and nothing had shrunk");
    }
    let lost = (report.people_lost, report.people_lost_before, report.erasures_lost);
    require!(lost == (0, 0, 0), "people are told to be lost: {lost:?}");
    require!(report.history_lost.is_none(), "pruning is told as a loss: {report:?}");
    require!(!report.created || truth.acked == 0, "a journal with records was made anew");

    let reader = journal.reader();
    let after = |seq| reader.after(seq, usize::MAX).map_err(|error| error.to_string());
    let first_seq = after(last_seq)?.first_seq;
    let found = after(first_seq - 1)?.records;
    let expected = &truth.records[usize::try_from(first_seq - 1).unwrap()..];
    let expected = &expected[..usize::try_from(last_seq + 1 - first_seq).unwrap()];
    require!(found == expected, "records {first_seq} to {last_seq} are not what was written");
    people(&journal, truth, last_seq)?;
    if depth == Depth::All {
        let mut tail = tail.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        for commit in &mut tail {
            commit.retain(|record| record.seq <= last_seq);
        }
        let state = Author::resume(&snapshots, tail.into_iter()).states();
        require!(state == truth.author_at(last_seq).states(), "the state is another at {last_seq}");
        if let Some(checked) = checked {
            let checked = checked.map_err(|error| format!("check: {error}"))?;
            let harmless = |problem: &String| problem.starts_with("TIP ");
            require!(checked.problems.iter().all(harmless), "check: {checked}");
        }
        let more = goes_on(&mut journal, truth, last_seq)?;
        drop((journal, reader));
        // Threads of sled may hold the file for a moment more, so the next start has a copy.
        let copy = scratch();
        copy_dir(data, copy.path());
        let again = SledJournal::open(options(copy.path()));
        let (_journal, recovery) = again.map_err(|error| format!("a second start: {error}"))?;
        let found = (recovery.last_seq, recovery.epoch);
        require!(found == (more, epoch), "a second start finds {found:?}, not {:?}", (more, epoch));
    }
    Ok(Found { discarded_frames: report.discarded_frames, new_epoch })
}

/// Whoever a recovered record names is known, unless erased; whoever was erased stays so.
fn people(journal: &SledJournal, truth: &Truth, last_seq: u64) -> Result<(), String> {
    let vault = journal.vault();
    for record in &truth.records[..usize::try_from(last_seq).unwrap()] {
        let Event::Lot(lotkeeper_engine::lot::Event::Reserved(reserved)) = &record.event else {
            continue;
        };
        let clear = vault.reveal(reserved.holder).map_err(|error| error.to_string())?;
        let expected = truth.people.get(&reserved.holder.0).map(String::as_str);
        let (seq, holder) = (record.seq, reserved.holder.0);
        require!(clear.as_deref() == expected, "record {seq} names {holder}: {clear:?}");
    }
    for pseudonym in &truth.erased {
        let clear = vault.reveal(lotkeeper_engine::ids::Pseudonym(*pseudonym));
        let clear = clear.map_err(|error| error.to_string())?;
        require!(clear.is_none(), "{pseudonym} was erased and is back: {clear:?}");
    }
    Ok(())
}

/// Commits once more.
fn goes_on(journal: &mut SledJournal, truth: &Truth, last_seq: u64) -> Result<u64, String> {
    let mut author = truth.author_at(last_seq);
    author.seq = last_seq;
    let lot = lotkeeper_engine::ids::LotKey(0);
    let records = match author.lots.contains_key(&lot) {
        true => author.changes(lot, 3),
        false => vec![author.created(lot, 3)],
    };
    journal.commit(&records).map_err(|error| format!("a commit after the start: {error}"))?;
    Ok(author.seq)
}
