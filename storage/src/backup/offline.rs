//! A backup of a directory that nobody serves: for an operator whose server does not start.
//!
//! sled repairs while it opens, so it opens a private copy, as `check` does; the directory stays as it is.

use std::path::Path;
use std::sync::Arc;

use lotkeeper_engine::time::Timestamp;

use super::parts::Header;
use super::stream::Backup;
use crate::check::PrivateCopy;
use crate::error::JournalError;
use crate::sled_journal::places::Losses;
use crate::sled_journal::{
    Archives, Inventory, Layout, Options, bytes_about, census_of, holdings, refuse_lost_log,
    source_of,
};

/// Backs up a data directory without starting anything on it.
///
/// # Errors
/// The directory is not there, in use, of a later format, or damaged beyond a torn end.
pub fn of_directory(data_dir: &Path, taken_at: Timestamp) -> Result<Backup, JournalError> {
    let layout = Layout::new(data_dir);
    if !data_dir.is_dir() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(JournalError::disk("open", data_dir, &missing));
    }
    layout.refuse_unfinished()?;
    let lock = layout.lock()?;
    let none = || JournalError::damaged(data_dir.display().to_string(), "CURRENT names no journal");
    let live_dir = layout.current()?.filter(|live| !live.being_made).ok_or_else(none)?.dir;
    let copy = PrivateCopy::of(&live_dir)?;
    let inventory = Inventory::open(&copy.dir, &Options::default())?;
    let tip = layout.tip()?;
    refuse_lost_log(&inventory, tip)?;
    let mut census = census_of(&inventory, tip)?;
    let losses = census.losses(holdings(tip, inventory.meta.as_ref()));
    if losses != Losses::default() {
        tracing::warn!(?losses, "people or erasures are lost; the backup has what is there");
    }
    census.mend(&inventory.live)?;
    for broken in &inventory.broken {
        tracing::warn!(reason = %broken, "a snapshot is left out");
    }
    let (live, last_seq) = (Arc::clone(&inventory.live), inventory.scan.last_seq);
    let (archives, live_first, epoch) = match &inventory.meta {
        Some(meta) => {
            let archives = Archives::of(&layout, meta, last_seq)?.chain;
            (archives, meta.first_seq, meta.epoch().unwrap_or_default())
        }
        None => (Vec::new(), 1, 0),
    };
    drop(inventory);
    let bytes_about = bytes_about(&live, &archives)?;
    let first_seq = archives.first().map_or(live_first, |archive| archive.first_seq);
    // In this order they are dropped: the journal is closed before its copy is removed.
    let held = Box::new((Arc::clone(&live), copy, lock));
    let source = source_of(&live, archives, live_first, last_seq, Some(held))?;
    let release = env!("CARGO_PKG_VERSION").to_owned();
    let header = Header { taken_at, epoch, first_seq, last_seq, bytes_about, release };
    Ok(Backup::new(header, source))
}
