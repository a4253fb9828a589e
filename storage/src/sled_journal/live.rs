//! One sled directory: its trees, and the only way in which something in it becomes durable.
//!
//! sled's `flush` ends in `sync_file_range` on Linux, which is no promise (spacejam/sled#1452): so every
//! flush is followed by `sync_data` on a handle of our own. Values stay small enough that sled never
//! moves one out to `blobs/`, which it does not sync at all; that is counted, not trusted.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sled::{Db, IVec, Tree};

use crate::error::JournalError;
use crate::files;
use crate::format::FrameKey;
use crate::paging::{Frames, Part};

/// How long sled may hold on to its own lock, and how often it is asked.
const UNLOCK_PATIENCE: Duration = Duration::from_secs(2);
const UNLOCK_LOOK: Duration = Duration::from_millis(5);

/// The trees of a directory and what is in them; frames and snapshots have a version of their own. A release
/// that cannot read the newest frames must refuse the directory as a whole, so it is raised with theirs.
const DIRECTORY_FORMAT: u16 = 4;
const FORMAT_KEY: &[u8] = b"format";
const FIRST_SEQ_KEY: &[u8] = b"first_seq";
const EPOCHS_KEY: &[u8] = b"epochs";
/// Read at once when a file is read through.
const READ_BYTES: usize = 256 * 1024;
/// What is written between two syncs. The header of each of sled's segments (512 KiB) says how far the log
/// was stable when it was begun, and sled means its own flush by that. Of segments that no sync has covered a
/// power cut may leave a later one and not an earlier one: then a start believes the header, misses what it
/// speaks of, and drops the whole log. The third segment begun since a sync is the first whose header can speak
/// of one that is not on the disk; sled's log grows by two to three times what is put into its trees, or taken
/// out of them: it writes a page of up to sixteen values anew after every tenth change of it.
const UNSYNCED_BYTES_MAX: u64 = 128 * 1024;
/// What a change counts for, beside its key and the larger of the old and the new value: small values may share
/// their page with large ones.
const CHANGE_BYTES: usize = 1_024;

/// An open sled directory.
pub(crate) struct Live {
    pub(crate) dir: PathBuf,
    db: Db,
    pub(crate) frames: Tree,
    pub(crate) snapshots: Tree,
    /// Clear texts by place: see [`super::people`].
    pub(crate) people: Tree,
    /// The same in directories that were format 1 once.
    pub(crate) old_vault: Tree,
    meta: Tree,
    file: File,
    /// Bytes put into trees and taken out of them since the last sync.
    unsynced_bytes: AtomicU64,
}

/// What the directory says of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The first record that belongs here.
    pub(crate) first_seq: u64,
    /// From which record on which epoch holds, oldest first.
    pub(crate) epochs: Vec<(u64, u64)>,
}

impl Meta {
    /// The epoch of now; nothing in a new log.
    pub(crate) fn epoch(&self) -> Option<u64> {
        self.epochs.last().map(|(_, epoch)| *epoch)
    }

    /// The epoch in which a record was written.
    pub(crate) fn epoch_at(&self, seq: u64) -> Option<u64> {
        let after = self.epochs.partition_point(|(first_seq, _)| *first_seq <= seq);
        after.checked_sub(1).map(|position| self.epochs[position].1)
    }
}

/// How long getting something onto the disk took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) flush_micros: u64,
    pub(crate) sync_micros: u64,
}

fn micros_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// sled gives its own lock back when the last of its threads has ended, a moment after it was dropped. The
/// directory is ours by then, so it is nobody else's: what another process has is refused before.
fn unlocked(config: &sled::Config) -> sled::Result<sled::Db> {
    let deadline = Instant::now() + UNLOCK_PATIENCE;
    loop {
        match config.open() {
            Err(sled::Error::Io(error))
                if error.to_string().contains("acquire lock") && Instant::now() < deadline =>
            {
                thread::sleep(UNLOCK_LOOK);
            }
            opened => return opened,
        }
    }
}

impl Live {
    /// Opens or makes a directory. May panic on damage: see [`super::guard`].
    pub(crate) fn open(dir: &Path, cache_bytes: u64) -> Result<Self, JournalError> {
        let wrong = |error: sled::Error| sled_error("open", dir, &error);
        remove_unfinished_index(dir)?;
        settled(&dir.join("db"))?;
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(cache_bytes)
            // Commits flush; a timer would only sync what nobody waits for.
            .flush_every_ms(None)
            .use_compression(false)
            .mode(sled::Mode::HighThroughput);
        let db = unlocked(&config).map_err(wrong)?;
        let path = dir.join("db");
        let file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|error| JournalError::disk("open", &path, &error))?;
        Ok(Self {
            dir: dir.to_path_buf(),
            frames: db.open_tree("frames").map_err(wrong)?,
            snapshots: db.open_tree("snapshots").map_err(wrong)?,
            people: db.open_tree("people").map_err(wrong)?,
            old_vault: db.open_tree("vault").map_err(wrong)?,
            meta: db.open_tree("meta").map_err(wrong)?,
            db,
            file,
            unsynced_bytes: AtomicU64::new(0),
        })
    }

    /// Puts a value into one of its trees, and syncs when enough has come together. Whoever needs a whole to be
    /// durable or not, like a commit of several frames, marks its end.
    pub(crate) fn put(
        &self,
        tree: &Tree,
        key: impl AsRef<[u8]>,
        value: impl Into<IVec>,
    ) -> Result<(), JournalError> {
        let (key, value) = (key.as_ref(), value.into());
        let new_bytes = value.len();
        let old = tree.insert(key, value).map_err(|error| self.error("write", &error))?;
        self.has_changed(key.len() + new_bytes.max(old.map_or(0, |old| old.len())))
    }

    /// Takes a key out of one of its trees.
    pub(crate) fn remove(&self, tree: &Tree, key: impl AsRef<[u8]>) -> Result<(), JournalError> {
        let key = key.as_ref();
        let old = tree.remove(key).map_err(|error| self.error("write", &error))?;
        self.has_changed(key.len() + old.map_or(0, |old| old.len()))
    }

    fn has_changed(&self, bytes: usize) -> Result<(), JournalError> {
        let bytes = (bytes + CHANGE_BYTES) as u64;
        let before = self.unsynced_bytes.fetch_add(bytes, Ordering::Relaxed);
        match before + bytes > UNSYNCED_BYTES_MAX {
            true => self.make_durable().map(|_| ()),
            false => Ok(()),
        }
    }

    /// Gets everything inserted so far onto the disk.
    pub(crate) fn make_durable(&self) -> Result<Cost, JournalError> {
        // Whoever puts something beside this counts towards the next one, and may be covered by this one.
        self.unsynced_bytes.store(0, Ordering::Relaxed);
        let start = Instant::now();
        self.db.flush().map_err(|error| sled_error("flush", &self.dir, &error))?;
        let flush_micros = micros_since(start);
        let start = Instant::now();
        self.file.sync_data().map_err(|error| JournalError::disk("sync", &self.dir, &error))?;
        Ok(Cost { flush_micros, sync_micros: micros_since(start) })
    }

    /// The format it was found in; that of this release when it is new.
    pub(crate) fn found_format(&self) -> Result<u16, JournalError> {
        let format = self.meta.get(FORMAT_KEY);
        let format = format.map_err(|error| sled_error("read", &self.dir, &error))?;
        let format = format.and_then(|format| format.as_ref().try_into().ok());
        Ok(format.map_or(DIRECTORY_FORMAT, u16::from_le_bytes))
    }

    /// What the directory says of its log; nothing when it is new.
    pub(crate) fn meta(&self) -> Result<Option<Meta>, JournalError> {
        let get = |key| self.meta.get(key).map_err(|error| sled_error("read", &self.dir, &error));
        let damaged = |what| JournalError::damaged(self.place(), format!("no {what} in its meta"));
        let Some(format) = get(FORMAT_KEY)? else { return Ok(None) };
        let format = format.as_ref().try_into().map_err(|_| damaged("format"))?;
        let found = u16::from_le_bytes(format);
        if found > DIRECTORY_FORMAT {
            let path = self.place();
            return Err(JournalError::NewerFormat { path, found, known: DIRECTORY_FORMAT });
        }
        let first_seq = get(FIRST_SEQ_KEY)?.ok_or_else(|| damaged("first sequence"))?;
        let first_seq = first_seq.as_ref().try_into().map_err(|_| damaged("first sequence"))?;
        let epochs = get(EPOCHS_KEY)?.ok_or_else(|| damaged("epoch"))?;
        let (pairs, []) = epochs.as_chunks::<16>() else { return Err(damaged("epoch")) };
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        let epochs = pairs.iter().map(|pair| (number(&pair[..8]), number(&pair[8..]))).collect();
        Ok(Some(Meta { first_seq: u64::from_le_bytes(first_seq), epochs }))
    }

    /// Says it anew; durable with the next flush.
    pub(crate) fn set_meta(&self, meta: &Meta) -> Result<(), JournalError> {
        let pair = |(seq, epoch): &(u64, u64)| [seq.to_le_bytes(), epoch.to_le_bytes()].concat();
        let epochs: Vec<u8> = meta.epochs.iter().flat_map(pair).collect();
        let mut batch = sled::Batch::default();
        batch.insert(FORMAT_KEY, &DIRECTORY_FORMAT.to_le_bytes());
        batch.insert(FIRST_SEQ_KEY, &meta.first_seq.to_le_bytes());
        batch.insert(EPOCHS_KEY, epochs);
        self.meta.apply_batch(batch).map_err(|error| sled_error("write", &self.dir, &error))
    }

    /// Files that sled moved out and does not sync; must be none.
    pub(crate) fn blobs(&self) -> Result<usize, JournalError> {
        Ok(files::entries(&self.dir.join("blobs"))?.len())
    }

    /// Bytes of the `db` file: all there is, as `blobs/` is empty.
    pub(crate) fn bytes(&self) -> Result<u64, JournalError> {
        let metadata = self.file.metadata();
        metadata.map(|m| m.len()).map_err(|error| JournalError::disk("measure", &self.dir, &error))
    }

    pub(crate) fn error(&self, operation: &'static str, error: &sled::Error) -> JournalError {
        sled_error(operation, &self.dir, error)
    }
}

/// Reads a file to its end, and syncs it. sled takes a segment that the disk does not give for one that never
/// was, and overwrites what follows it: a read that fails must be an error before sled looks. And what a killed
/// process has left to the system must be on the disk before another segment is begun.
fn settled(path: &Path) -> Result<(), JournalError> {
    let wrong = |error: std::io::Error| JournalError::disk("read", path, &error);
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(wrong)?,
    };
    let (mut buffer, mut at) = (vec![0; READ_BYTES], 0);
    loop {
        match file.read_at(&mut buffer, at).map_err(wrong)? {
            0 => break,
            read => at += read as u64,
        }
    }
    file.sync_data().map_err(|error| JournalError::disk("sync", path, &error))
}

/// sled writes an index of its log at every start, under this name until it is whole, and takes what an end
/// amid that left for the newest one: it would refuse the directory. Without it the log is read instead.
fn remove_unfinished_index(dir: &Path) -> Result<(), JournalError> {
    for path in files::entries(dir)? {
        if files::name_of(&path).starts_with("snap.")
            && path.extension() == Some("generating".as_ref())
        {
            tracing::info!(path = %path.display(), "removing what an unfinished start left");
            files::remove_if_there(&path)?;
        }
    }
    Ok(())
}

fn sled_error(operation: &'static str, dir: &Path, error: &sled::Error) -> JournalError {
    match error {
        sled::Error::Corruption { .. } => {
            JournalError::damaged(dir.display().to_string(), error.to_string())
        }
        // No option of ours is what sled cannot do: its `conf` says something else than was written.
        sled::Error::Unsupported(_) => {
            JournalError::damaged(dir.join("conf").display().to_string(), error.to_string())
        }
        _ => JournalError::disk(operation, dir, error),
    }
}

impl Part for Arc<Live> {
    fn frames_from(&self, seq: u64) -> Result<Frames, JournalError> {
        let until = FrameKey { first_seq: seq, part: u16::MAX }.to_bytes();
        let holding = self.frames.range(..=until).next_back().transpose();
        let holding = holding.map_err(|error| self.error("read", &error))?;
        let start = match holding {
            Some((key, _)) => key_of(&key, &self.place())?.first_seq,
            None => seq,
        };
        let live = Self::clone(self);
        let mut after: Option<IVec> = None;
        Ok(Box::new(std::iter::from_fn(move || {
            // Looked up one by one: sled puts pages out of its cache when it has seen enough uses, and an
            // iterator's pass over a page is one. It would keep the log: 340 MB of 346 instead of 150.
            let next = match &after {
                Some(key) => live.frames.get_gt(key).transpose()?,
                None => {
                    live.frames.range(FrameKey { first_seq: start, part: 0 }.to_bytes()..).next()?
                }
            };
            let frame =
                next.map_err(|error| live.error("read", &error)).and_then(|(key, bytes)| {
                    let frame_key = key_of(&key, &live.place())?;
                    after = Some(key);
                    Ok((frame_key, bytes))
                });
            Some(frame)
        })))
    }

    fn place(&self) -> String {
        Live::place(self)
    }
}

impl Live {
    /// For messages.
    pub(crate) fn place(&self) -> String {
        self.dir.display().to_string()
    }
}

fn key_of(bytes: &IVec, place: &str) -> Result<FrameKey, JournalError> {
    FrameKey::from_bytes(bytes).map_err(|error| JournalError::format(place, &error))
}
