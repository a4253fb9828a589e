//! Copies a log into a fresh directory: what rotation and the repair after a failed commit share.
//!
//! Values are copied byte by byte; a copy is complete and on the disk before `CURRENT` names it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sled::Tree;

use super::live::{Live, Meta};
use super::places;
use crate::error::JournalError;
use crate::files;
use crate::format::FrameKey;

/// Asked between frames; an error ends the copy.
pub(super) type GoOn<'a> = dyn Fn() -> Result<(), JournalError> + 'a;

/// Opens a directory that was not there.
pub(crate) fn create(dir: &Path, cache_bytes: u64) -> Result<Live, JournalError> {
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(|error| JournalError::disk("remove", dir, &error))?;
    }
    Live::open(dir, cache_bytes)
}

/// Copies frames whose first record is in `first..=last`, as long as `go_on` agrees.
pub(super) fn frames(
    from: &Arc<Live>,
    to: &Live,
    (first, last): (u64, u64),
    go_on: &GoOn<'_>,
) -> Result<(), JournalError> {
    let range = FrameKey { first_seq: first, part: 0 }.to_bytes()..=FrameKey {
        first_seq: last,
        part: u16::MAX,
    }
    .to_bytes();
    for frame in from.frames.range(range) {
        let (key, value) = frame.map_err(|error| from.error("read", &error))?;
        to.frames.insert(key, value).map_err(|error| to.error("write", &error))?;
        go_on()?;
    }
    Ok(())
}

fn tree(from: &Live, to: &Live, tree: impl Fn(&Live) -> &Tree) -> Result<(), JournalError> {
    for entry in tree(from).iter() {
        let (key, value) = entry.map_err(|error| from.error("read", &error))?;
        tree(to).insert(key, value).map_err(|error| to.error("write", &error))?;
    }
    Ok(())
}

/// Copies snapshots and people as they are now, says what the log is, and gets all of it onto the disk.
pub(super) fn complete(from: &Live, to: &Live, meta: &Meta) -> Result<(), JournalError> {
    tree(from, to, |live| &live.snapshots)?;
    places::copy(from, to)?;
    tree(from, to, |live| &live.old_vault)?;
    to.set_meta(meta)?;
    to.make_durable()?;
    files::sync_tree(&to.dir)?;
    match to.blobs()? {
        0 => Ok(()),
        blobs => {
            let detail = format!("sled moved {blobs} values out to blobs/, which it does not sync");
            Err(JournalError::damaged(to.place(), detail))
        }
    }
}
