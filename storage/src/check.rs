//! `lotkeeper check`: reads all of a data directory and says what is wrong with it, changing nothing.
//!
//! sled repairs while it opens, so it opens a private copy. The log is replayed from the oldest record
//! there is: every snapshot must equal the replayed state, and no invariant may break on the way.

mod replay;
mod report;

use std::fs;
use std::path::{Path, PathBuf};

pub use report::CheckReport;

use crate::error::JournalError;
use crate::files;
use crate::format::{Group, Holdings, Tip};
use crate::history;
use crate::paging::Groups;
use crate::sled_journal::{
    Archives, Inventory, Layout, LiveDir, Meta, Options, census_of, holdings, refuse_lost_log,
};
use replay::Replay;

/// Verifies a data directory: every frame, the order of records in the log and in each lot, the epochs,
/// snapshots, archive, tip and vault.
///
/// # Errors
/// The directory is not there, in use, or of a later format; the disk. Damage is in the report.
pub fn check(data_dir: &Path) -> Result<CheckReport, JournalError> {
    let layout = Layout::new(data_dir);
    let mut report = CheckReport::new(data_dir);
    if !data_dir.is_dir() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(JournalError::disk("open", data_dir, &missing));
    }
    layout.refuse_unfinished()?;
    let _lock = layout.lock()?;
    told(check_log(&layout, true, &mut report), report)
}

/// The same for a directory that this process has just made: sled may open it where it is.
pub(crate) fn check_in_place(layout: &Layout) -> Result<CheckReport, JournalError> {
    let mut report = CheckReport::new(layout.dir());
    told(check_log(layout, false, &mut report), report)
}

fn told(
    checked: Result<(), JournalError>,
    mut report: CheckReport,
) -> Result<CheckReport, JournalError> {
    match checked {
        Ok(()) => Ok(report),
        Err(JournalError::Damaged { place, detail }) => {
            report.problem(format!("{place}: {detail}"));
            Ok(report)
        }
        Err(error) => Err(error),
    }
}

fn check_log(
    layout: &Layout,
    on_a_copy: bool,
    report: &mut CheckReport,
) -> Result<(), JournalError> {
    let current = layout.current()?;
    if current.as_ref().map_or(layout.is_empty()?, |live| live.being_made) {
        report.note("there is no log yet; the next start makes one".to_owned());
        return Ok(());
    }
    let Some(LiveDir { dir: live_dir, .. }) = current else {
        report.problem("CURRENT is missing: no journal is named".to_owned());
        return Ok(());
    };
    let copy = if on_a_copy { Some(PrivateCopy::of(&live_dir)?) } else { None };
    let dir = copy.as_ref().map_or(&live_dir, |copy| &copy.dir);
    let inventory = Inventory::open(dir, &Options::default())?;
    refuse_lost_log(&inventory, layout.tip()?)?;
    let Some(meta) = &inventory.meta else {
        report.note("the journal is new and has no records".to_owned());
        return Ok(());
    };
    report.first_seq = meta.first_seq;
    report.last_seq = inventory.scan.last_seq;
    report.epoch = meta.epoch().unwrap_or_default();
    for broken in &inventory.broken {
        match broken.unfinished {
            true => report.note(format!("{broken}; the next start removes what is there of it")),
            false => report.problem(broken.to_string()),
        }
    }
    let starts = inventory.scan.starts(&inventory.heads);
    inventory.scan.tail_start(&starts, &live_dir.display().to_string())?;
    check_files(layout, &inventory, report)?;
    let mut replay = Replay::new(&inventory);
    check_archive(layout, meta, &mut replay, report)?;
    report.frames += inventory.scan.frames;
    // What follows the last whole commit was never acknowledged, and may have gaps: a start that was removing it may
    // have been killed.
    let mut seq = meta.first_seq - 1;
    let mut groups = Groups::new(&inventory.live, meta.first_seq)?;
    while seq < report.last_seq
        && let Some(group) = groups.next().transpose()?
    {
        seq = group.records.last().map_or(seq, |record| record.seq);
        take(&group, meta, &mut replay, report)?;
    }
    let tip = layout.tip()?;
    check_beginning(holdings(tip, Some(meta)), report);
    replay.finish(report)?;
    check_history(layout, on_a_copy, report)?;
    check_people(&inventory, tip, report)
}

/// The history is made from the log: what is wrong with it is no loss.
fn check_history(
    layout: &Layout,
    on_a_copy: bool,
    report: &mut CheckReport,
) -> Result<(), JournalError> {
    let dir = layout.dir().join(history::DIRECTORY);
    // What this process has just made has none yet.
    let Some(newest) = history::newest(&dir)?.filter(|_| on_a_copy) else { return Ok(()) };
    let copy = PrivateCopy::of(&newest)?;
    let remedy = format!("remove {}, and the next start makes it anew from the log", dir.display());
    match history::survey(&copy.dir, Options::default().open_seconds_max) {
        Ok(survey) if survey.is_whole() => report.note(format!("the history has {survey}")),
        Ok(survey) => report.note(format!("the history is damaged: it has {survey}; {remedy}")),
        Err(JournalError::Damaged { detail, .. }) => {
            report.note(format!("the history is damaged: {detail}; {remedy}"));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Whether the oldest record is the one that it should be.
fn check_beginning(held: Option<Holdings>, report: &mut CheckReport) {
    let first = report.first_seq;
    match held.map(|held| held.first_seq) {
        Some(kept) if kept < first => {
            let last = first - 1;
            report.problem(format!(
                "records {kept} to {last} are lost: nobody pruned the files of the archive that had them"
            ));
        }
        Some(_) if first > 1 => report.note(format!("records before {first} are pruned")),
        None if first > 1 => report.note(format!(
            "records before {first} are not here: pruned, or files of the archive are lost"
        )),
        _ => {}
    }
}

/// Whether anybody is missing whom nobody erased, and the other way around.
fn check_people(
    inventory: &Inventory,
    tip: Option<Tip>,
    report: &mut CheckReport,
) -> Result<(), JournalError> {
    let census = census_of(inventory, tip)?;
    report.people = census.people;
    let losses = census.losses(holdings(tip, inventory.meta.as_ref()));
    for (count, what) in [
        (census.misplaced, "people do not lie where their pseudonym says"),
        (losses.people, "people are lost: their clear texts are not there, and nobody erased them"),
        (losses.erasures, "erasures are lost: clear texts of people who were erased may be back"),
    ] {
        if count > 0 {
            report.problem(format!("vault: {count} {what}"));
        }
    }
    if census.lost_before > 0 {
        let lost = census.lost_before;
        report.note(format!("vault: {lost} people are lost, which was found and told before"));
    }
    Ok(())
}

/// What lies beside the records.
fn check_files(
    layout: &Layout,
    inventory: &Inventory,
    report: &mut CheckReport,
) -> Result<(), JournalError> {
    let (last_seq, epoch) = (report.last_seq, report.epoch);
    match layout.tip()? {
        None => report.problem("TIP is missing or unreadable".to_owned()),
        Some(tip) if tip.seq > last_seq => {
            let seq = tip.seq;
            report.problem(format!(
                "the log ends at {last_seq}, TIP has seen {seq}: records are lost"
            ));
        }
        Some(tip) if tip.epoch != epoch => {
            report.problem(format!("TIP has epoch {:016x}, the log {epoch:016x}", tip.epoch));
        }
        Some(_) => {}
    }
    if inventory.blobs > 0 {
        report.problem(format!("{} values lie in blobs/, which is not synced", inventory.blobs));
    }
    let discarded = inventory.scan.discarded.len();
    if discarded > 0 {
        report.note(format!(
            "{discarded} frames of a commit that was never acknowledged; the next start drops them"
        ));
    }
    if let Some(cause) = layout.failure()? {
        report.note(format!(
            "a commit failed ({cause}); the next start copies the good frames to a fresh directory"
        ));
    }
    Ok(())
}

fn check_archive(
    layout: &Layout,
    meta: &Meta,
    replay: &mut Replay<'_>,
    report: &mut CheckReport,
) -> Result<(), JournalError> {
    let archives = Archives::of(layout, meta, report.last_seq)?;
    for archive in &archives.strangers {
        let path = archive.path.display();
        report.problem(format!("{path} does not join the log"));
    }
    for archive in &archives.repeated {
        let path = archive.path.display();
        report.note(format!("{path} repeats the live journal; the next start removes it"));
    }
    for archive in &archives.chain {
        report.first_seq = report.first_seq.min(archive.first_seq);
        report.archives += 1;
        let contents = archive.read(&mut |group| take(group, meta, replay, report));
        match contents {
            Ok(contents) => report.frames += contents.frames,
            Err(JournalError::Damaged { place, detail }) => {
                report.problem(format!("{place}: {detail}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn take(
    group: &Group,
    meta: &Meta,
    replay: &mut Replay<'_>,
    report: &mut CheckReport,
) -> Result<(), JournalError> {
    let first_seq = group.key.first_seq;
    if meta.epoch_at(first_seq) != Some(group.epoch) {
        let epoch = group.epoch;
        report.problem(format!("the frame at {first_seq} has epoch {epoch:016x}, not the log's"));
    }
    for record in &group.records {
        report.records += 1;
        replay.take(record, report)?;
    }
    Ok(())
}

/// A copy of a journal directory that is gone when this is dropped.
pub(crate) struct PrivateCopy {
    pub(crate) dir: PathBuf,
}

impl PrivateCopy {
    pub(crate) fn of(live_dir: &Path) -> Result<Self, JournalError> {
        let random = getrandom::u64()
            .map_err(|error| JournalError::disk("draw a name for a copy of", live_dir, &error))?;
        let copy =
            Self { dir: std::env::temp_dir().join(format!("lotkeeper-check-{random:016x}")) };
        copy_dir(live_dir, &copy.dir)?;
        Ok(copy)
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::warn!(path = %self.dir.display(), %error, "a private copy stays behind");
        }
    }
}

fn copy_dir(from: &Path, to: &Path) -> Result<(), JournalError> {
    fs::create_dir_all(to).map_err(|error| JournalError::disk("make", to, &error))?;
    for path in files::entries(from)? {
        let target = to.join(files::name_of(&path));
        if path.is_dir() {
            copy_dir(&path, &target)?;
        } else {
            fs::copy(&path, &target).map_err(|error| JournalError::disk("copy", &path, &error))?;
        }
    }
    Ok(())
}
