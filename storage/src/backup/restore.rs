//! Makes a data directory out of a backup, as of its end or of an earlier point.
//!
//! Two passes: the first reads and verifies everything and finds the cut; the second writes. What is written
//! lies beside its place until it is complete, synced and checked; then one rename puts it there. So a
//! restore that does not end leaves no data directory at all, and what it leaves says what it is.
//!
//! Frames and snapshots go in byte by byte, as a rotation copies them: what the journal once wrote it reads.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use lotkeeper_engine::ids::LotKey;

use super::block::{Block, Blocks, Kind};
use super::error::BackupError;
use super::parts::{PeopleRow, PeopleTree};
use super::survey::{Contents, Cut, OnProgress, Surveyed, Target, lot_of, survey};
use crate::check::{CheckReport, check_in_place};
use crate::error::JournalError;
use crate::files;
use crate::format::{Frame, FrameKey, SnapshotKey, Tip, head_of, split_chunks};
use crate::scan::{Heads, older_of};
use crate::sled_journal::places::{Census, Gone};
use crate::sled_journal::{ArchiveWriter, Layout, Live, Meta, create_live};

/// Archived records go into files of about this size, so that they can be pruned piece by piece.
const ARCHIVE_BYTES: u64 = 256 * 1024 * 1024;
/// sled's pages while a directory is made.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// Appended to the name of the directory that is being made.
const PARTIAL: &str = "partial";

/// What was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The new data directory.
    pub data_dir: PathBuf,
    /// Of what.
    pub contents: Contents,
    /// Where it ends and why.
    pub cut: Cut,
    /// The epoch from here on.
    pub epoch: u64,
    /// What the check of the new directory said: clean, or there would be none.
    pub check: CheckReport,
}

/// Opens the backup, once for each pass.
pub type Open<'a> = &'a mut dyn FnMut() -> std::io::Result<Box<dyn Read>>;

/// A directory that is being made: taken for this process, known as unfinished, empty.
pub struct Site {
    data_dir: PathBuf,
    layout: Layout,
    _lock: File,
}

impl Site {
    /// Takes a place for a new data directory, which must be free: not there, or empty. What an earlier
    /// restore left beside it is cleared away.
    ///
    /// # Errors
    /// Something is there; another restore is at it; the disk.
    pub fn new(data_dir: &Path) -> Result<Self, BackupError> {
        if !files::entries(data_dir)?.is_empty() {
            return Err(BackupError::NotEmpty { dir: data_dir.display().to_string() });
        }
        let data_dir = &std::path::absolute(data_dir)
            .map_err(|error| BackupError::file("finding", data_dir, &error))?;
        let mut name = data_dir.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{PARTIAL}"));
        let partial = data_dir.with_file_name(name);
        let layout = Layout::new(&partial);
        if !layout.is_left_by_a_restore()? {
            return Err(BackupError::NotEmpty { dir: partial.display().to_string() });
        }
        fs::create_dir_all(&partial)
            .map_err(|error| BackupError::file("making", &partial, &error))?;
        layout.mark_unfinished()?;
        let lock = layout.lock()?;
        let site = Self { data_dir: data_dir.to_path_buf(), layout, _lock: lock };
        site.clear()?;
        Ok(site)
    }

    /// A place for the backup itself while it is restored from a stream: beside what is made of it.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.layout.dir().join("backup.tmp")
    }

    fn clear(&self) -> Result<(), BackupError> {
        for path in files::entries(self.layout.dir())? {
            if self.layout.is_kept_while_unfinished(&path) {
                continue;
            }
            let removed =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|error| BackupError::file("removing", &path, &error))?;
        }
        Ok(())
    }

    /// Gives up what was made so far.
    fn abandon(&self) {
        if let Err(error) = fs::remove_dir_all(self.layout.dir()) {
            let path = self.layout.dir().display();
            tracing::warn!(%path, %error, "what a failed restore made stays; remove it");
        }
    }

    /// Restores a backup here.
    ///
    /// # Errors
    /// Not a whole and sound backup; the target is not in it; the disk. There is no directory then.
    pub fn restore(
        self,
        open: Open<'_>,
        place: &str,
        target: Target,
        on_progress: OnProgress<'_>,
    ) -> Result<Restored, BackupError> {
        let restored =
            self.build(open, place, target, on_progress).and_then(|built| self.publish(built));
        if restored.is_err() {
            self.abandon();
        }
        restored
    }

    fn build(
        &self,
        open: Open<'_>,
        place: &str,
        target: Target,
        on_progress: OnProgress<'_>,
    ) -> Result<Restored, BackupError> {
        let mut reopen =
            || open().map_err(|error| BackupError::file("opening", Path::new(place), &error));
        // Two passes of the same length: the bar goes over both. What a backup says of its length is not
        // known to be true yet.
        let mut first = |read, all: u64| on_progress(read, all.saturating_mul(2));
        let surveyed = survey(reopen()?, place, target, &mut first)?;
        let all = surveyed.contents.bytes;
        let mut builder = Builder::new(&self.layout, &surveyed)?;
        let mut blocks = Blocks::open(reopen()?, place)?;
        loop {
            let block = blocks.next()?;
            on_progress(all + blocks.offset(), all * 2);
            let goes_on = builder.take(&block).map_err(|error| match error {
                Unfit::Bytes(why) => blocks.damaged(block.offset, why),
                Unfit::Journal(error) => error.into(),
            })?;
            if !goes_on {
                break;
            }
        }
        let epoch = builder.finish(&self.layout)?;
        let check = check_in_place(&self.layout)?;
        if !check.is_clean() {
            return Err(BackupError::Unsound { report: check.to_string() });
        }
        let cut = surveyed.contents.cut;
        let data_dir = self.data_dir.clone();
        Ok(Restored { data_dir, contents: surveyed.contents, cut, epoch, check })
    }

    /// Puts the finished directory into its place.
    fn publish(&self, restored: Restored) -> Result<Restored, BackupError> {
        files::remove_if_there(&self.spool())?;
        self.layout.mark_restored(&format!(
            "to sequence {}, from a backup of epoch {:016x} as of sequence {}",
            restored.cut.end.seq, restored.contents.header.epoch, restored.contents.header.last_seq
        ))?;
        // The check opened the journal once more.
        for path in files::entries(self.layout.dir())? {
            if path.is_dir() {
                files::sync_tree(&path)?;
            }
        }
        self.layout.clear_unfinished()?;
        fs::rename(self.layout.dir(), &self.data_dir).map_err(|error| {
            BackupError::file("renaming the restored directory to", &self.data_dir, &error)
        })?;
        self.data_dir.parent().map_or(Ok(()), files::sync_dir)?;
        Ok(restored)
    }
}

/// Why a block could not be taken.
enum Unfit {
    Bytes(String),
    Journal(JournalError),
}

impl From<JournalError> for Unfit {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

struct Builder<'a> {
    surveyed: &'a Surveyed,
    live: Live,
    archive_dir: PathBuf,
    archive: Option<ArchiveWriter>,
    /// The newest record that no start needs.
    archive_up_to: u64,
    /// The oldest record of the live journal.
    live_first: u64,
    epochs: Vec<(u64, u64)>,
    snapshot: Vec<u8>,
    commit: Vec<(FrameKey, Vec<u8>)>,
}

impl<'a> Builder<'a> {
    fn new(layout: &Layout, surveyed: &'a Surveyed) -> Result<Self, BackupError> {
        let archive_dir = layout.archive_dir();
        fs::create_dir_all(&archive_dir)
            .map_err(|error| BackupError::file("making", &archive_dir, &error))?;
        Ok(Self {
            live: create_live(&layout.first_dir(), CACHE_BYTES)?,
            archive_dir,
            archive: None,
            archive_up_to: archive_up_to(surveyed),
            live_first: surveyed.contents.header.first_seq,
            epochs: Vec::new(),
            snapshot: Vec::new(),
            commit: Vec::new(),
            surveyed,
        })
    }

    /// Takes a block; tells whether more are wanted.
    fn take(&mut self, block: &Block) -> Result<bool, Unfit> {
        match block.kind {
            Kind::Head => {}
            Kind::People => self.people(&block.payload)?,
            Kind::Snapshot => {
                self.snapshot.extend_from_slice(&block.payload);
                if !block.continued {
                    self.put_snapshot()?;
                }
            }
            Kind::Frames => return self.frames(&block.payload),
            Kind::Trailer => return Ok(false),
        }
        Ok(true)
    }

    fn people(&mut self, payload: &[u8]) -> Result<(), Unfit> {
        let rows = PeopleRow::all(payload).ok_or(Unfit::Bytes("rows of people".to_owned()))?;
        for row in rows {
            let tree = match row.tree {
                PeopleTree::Placed => &self.live.people,
                PeopleTree::Old => &self.live.old_vault,
            };
            tree.insert(row.key, row.value).map_err(|error| self.live.error("write", &error))?;
        }
        Ok(())
    }

    /// Keeps a snapshot that is not beyond the end and from which the records go on.
    fn put_snapshot(&mut self) -> Result<(), Unfit> {
        let bytes = std::mem::take(&mut self.snapshot);
        let head = head_of(&bytes).map_err(|error| Unfit::Bytes(error.to_string()))?;
        if !is_kept(self.surveyed, &head) {
            return Ok(());
        }
        for (chunk, value) in (0..).zip(split_chunks(&bytes)) {
            let key = SnapshotKey { lot: lot_of(&head), seq: head.seq, chunk };
            let inserted = self.live.snapshots.insert(key.to_bytes(), value);
            inserted.map_err(|error| self.live.error("write", &error))?;
        }
        Ok(())
    }

    fn frames(&mut self, payload: &[u8]) -> Result<bool, Unfit> {
        let mut rest = payload;
        while !rest.is_empty() {
            let (frame, after) =
                Frame::read(rest).map_err(|error| Unfit::Bytes(error.to_string()))?;
            let bytes = rest[..rest.len() - after.len()].to_vec();
            let (header, next_seq) = (frame.header, frame.next_seq());
            rest = after;
            if self.epochs.last().is_none_or(|(_, epoch)| *epoch != header.epoch) {
                self.epochs.push((header.key.first_seq, header.epoch));
            }
            self.commit.push((header.key, bytes));
            if header.ends_commit && !self.put_commit(next_seq - 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes a whole commit to where it belongs; tells whether the end is still ahead.
    fn put_commit(&mut self, last: u64) -> Result<bool, Unfit> {
        let end = self.surveyed.contents.cut.end.seq;
        let commit = std::mem::take(&mut self.commit);
        if last > end {
            return Ok(false);
        }
        if last <= self.archive_up_to {
            self.put_into_archive(&commit, last)?;
        } else {
            self.close_archive()?;
            for (key, bytes) in commit {
                let inserted = self.live.frames.insert(key.to_bytes(), bytes);
                inserted.map_err(|error| self.live.error("write", &error))?;
            }
        }
        Ok(last < end)
    }

    fn put_into_archive(&mut self, commit: &[(FrameKey, Vec<u8>)], last: u64) -> Result<(), Unfit> {
        let first = commit.first().map_or(last, |(key, _)| key.first_seq);
        let mut archive = match self.archive.take() {
            Some(archive) => archive,
            None => ArchiveWriter::create(&self.archive_dir, first)?,
        };
        for (_, bytes) in commit {
            archive.push(bytes)?;
        }
        archive.ends_with(last);
        self.live_first = last + 1;
        self.archive = Some(archive);
        if self.archive.as_ref().is_some_and(|archive| archive.bytes() >= ARCHIVE_BYTES) {
            self.close_archive()?;
        }
        Ok(())
    }

    fn close_archive(&mut self) -> Result<(), JournalError> {
        match self.archive.take() {
            Some(archive) => archive.finish().map(drop),
            None => Ok(()),
        }
    }

    /// Says what the log is, in a new epoch, and gets all of it onto the disk.
    fn finish(mut self, layout: &Layout) -> Result<u64, BackupError> {
        self.close_archive()?;
        let end = self.surveyed.contents.cut.end.seq;
        let epoch = getrandom::u64()
            .map_err(|error| JournalError::disk("draw an epoch for", layout.dir(), &error))?;
        // An epoch that began with a commit beyond the end says nothing.
        self.epochs.retain(|(first_seq, _)| *first_seq <= end);
        self.epochs.push((end + 1, epoch));
        self.live.set_meta(&Meta { first_seq: self.live_first, epochs: self.epochs })?;
        let mut census = Census::take(&self.live, 0, Gone::Lost, &mut |_| {})?;
        census.mend(&self.live)?;
        let held = census.holdings(self.surveyed.contents.header.first_seq);
        self.live.make_durable()?;
        files::sync_tree(&self.live.dir)?;
        let tip = Tip { epoch, seq: end, holdings: Some(held) };
        files::write_atomic(&layout.tip_path(), &tip.to_bytes(), true)?;
        layout.set_current(files::name_of(&self.live.dir))?;
        Ok(epoch)
    }
}

fn is_kept(surveyed: &Surveyed, head: &crate::format::SnapshotHead) -> bool {
    let end = surveyed.contents.cut.end.seq;
    let track = surveyed.lots.get(&lot_of(head));
    head.seq <= end && track.is_some_and(|track| track.goes_on_from(head))
}

/// The newest record that no start of the new directory needs: what a rotation would archive.
fn archive_up_to(surveyed: &Surveyed) -> u64 {
    let end = surveyed.contents.cut.end.seq;
    let mut heads = Heads::new();
    for head in surveyed.heads.iter().filter(|head| is_kept(surveyed, head)) {
        heads.entry(lot_of(head)).or_default().push(*head);
    }
    let of_lot = |lot: &LotKey, first_seq: Option<u64>| {
        let older = heads.get(lot).and_then(|heads| older_of(heads));
        older.or(first_seq.map(|seq| seq - 1))
    };
    let needed = surveyed.lots.iter().filter_map(|(lot, track)| of_lot(lot, track.first_seq));
    needed.min().unwrap_or(0).min(end)
}
