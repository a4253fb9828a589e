//! The archive: whole commits that no start needs any more, frame after frame in plain files.
//!
//! A file is read once to know where its records lie, when somebody first asks for them.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::time::Timestamp;
use sled::IVec;

use crate::error::JournalError;
use crate::files;
use crate::format::{
    Assembler, FRAME_BYTES_MAX, Frame, FrameKey, Group, HEADER_BYTES, frame_bytes,
};
use crate::index::LotIndex;
use crate::paging::{Frames, Part};

const EXTENSION: &str = "lkf";

/// One file of the archive.
pub(crate) struct Archive {
    pub(crate) path: PathBuf,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    newest_at: OnceLock<Timestamp>,
    contents: OnceLock<Contents>,
}

/// What reading it once told.
pub(crate) struct Contents {
    /// First record and place of every group of frames.
    offsets: Vec<(u64, u64)>,
    pub(crate) index: LotIndex,
    pub(crate) frames: u64,
}

impl Archive {
    pub(crate) fn new(dir: &Path, first_seq: u64, last_seq: u64) -> Self {
        let path = dir.join(format!("{first_seq:020}-{last_seq:020}.{EXTENSION}"));
        Self { path, first_seq, last_seq, newest_at: OnceLock::new(), contents: OnceLock::new() }
    }

    /// All files of a directory in order; those with other names are left alone.
    pub(crate) fn list(dir: &Path) -> Result<Vec<Self>, JournalError> {
        let mut found: Vec<Self> = Vec::new();
        for path in files::entries(dir)? {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let Some((first, last)) = stem.split_once('-') else { continue };
            let ours = path.extension().is_some_and(|extension| extension == EXTENSION);
            if let (true, Ok(first_seq), Ok(last_seq)) = (ours, first.parse(), last.parse()) {
                found.push(Self {
                    path,
                    first_seq,
                    last_seq,
                    newest_at: OnceLock::new(),
                    contents: OnceLock::new(),
                });
            }
        }
        found.sort_by_key(|archive| archive.first_seq);
        Ok(found)
    }

    /// About when its newest record was made: the base time of its last frame. Read from the end of the
    /// file, because the journal's thread asks.
    pub(crate) fn newest_at(&self) -> Result<Timestamp, JournalError> {
        if let Some(known) = self.newest_at.get() {
            return Ok(*known);
        }
        let wrong = |error: std::io::Error| JournalError::disk("read", &self.path, &error);
        let mut file = File::open(&self.path).map_err(wrong)?;
        let length = file.metadata().map_err(wrong)?.len();
        let tail = length.saturating_sub(FRAME_BYTES_MAX as u64);
        file.seek(SeekFrom::Start(tail)).map_err(wrong)?;
        let mut bytes = Vec::new();
        file.take(FRAME_BYTES_MAX as u64).read_to_end(&mut bytes).map_err(wrong)?;
        let last = (0..bytes.len()).rev().find_map(|start| Frame::parse(&bytes[start..]).ok());
        let damaged = || JournalError::damaged(self.place(), "it does not end with a frame");
        let newest_at = last.ok_or_else(damaged)?.header.base;
        Ok(*self.newest_at.get_or_init(|| newest_at))
    }

    /// Where its records lie; reads the file at the first call.
    pub(crate) fn contents(&self) -> Result<&Contents, JournalError> {
        if let Some(contents) = self.contents.get() {
            return Ok(contents);
        }
        let contents = self.read(&mut |_| Ok(()))?;
        Ok(self.contents.get_or_init(|| contents))
    }

    /// Reads and verifies the whole file, group by group.
    pub(crate) fn read(
        &self,
        on_group: &mut dyn FnMut(&Group) -> Result<(), JournalError>,
    ) -> Result<Contents, JournalError> {
        let wrong = |error| JournalError::format(self.place(), &error);
        let mut contents = Contents { offsets: Vec::new(), index: LotIndex::default(), frames: 0 };
        let mut assembler = Assembler::new(Some(self.first_seq));
        let (mut offset, mut start) = (0, 0);
        let mut ends_whole = false;
        for frame in self.rows(0)? {
            let (key, bytes) = frame?;
            contents.frames += 1;
            offset += bytes.len() as u64;
            let Some(group) = assembler.push(key, &bytes).map_err(wrong)? else { continue };
            contents.offsets.push((group.key.first_seq, start));
            for record in &group.records {
                if contents.index.get(record.lot).is_none() {
                    contents.index.begin(record.lot, record.lot_seq.saturating_sub(1))?;
                }
                contents
                    .index
                    .note(record.lot, record.lot_seq, record.seq)
                    .map_err(|error| JournalError::damaged(self.place(), error.to_string()))?;
            }
            on_group(&group)?;
            ends_whole = group.ends_commit;
            start = offset;
        }
        if !ends_whole || assembler.next_seq() != Some(self.last_seq.saturating_add(1)) {
            let next = assembler.next_seq().unwrap_or_default();
            let detail = format!("it ends before record {next}, its name says otherwise");
            return Err(JournalError::damaged(self.place(), detail));
        }
        Ok(contents)
    }

    /// Bytes of the file.
    pub(crate) fn bytes(&self) -> Result<u64, JournalError> {
        let metadata = fs::metadata(&self.path);
        let wrong = |error: std::io::Error| JournalError::disk("measure", &self.path, &error);
        metadata.map(|metadata| metadata.len()).map_err(wrong)
    }

    /// All its frames, without looking up where anything lies.
    pub(crate) fn all_frames(&self) -> Result<Frames, JournalError> {
        Ok(Box::new(self.rows(0)?))
    }

    fn rows(&self, offset: u64) -> Result<Rows, JournalError> {
        let wrong = |error: std::io::Error| JournalError::disk("read", &self.path, &error);
        let mut file = File::open(&self.path).map_err(wrong)?;
        file.seek(SeekFrom::Start(offset)).map_err(wrong)?;
        let file = BufReader::with_capacity(64 * 1024, file);
        Ok(Rows { file, path: self.path.clone(), failed: false })
    }
}

impl Part for Archive {
    fn frames_from(&self, seq: u64) -> Result<Frames, JournalError> {
        let offsets = &self.contents()?.offsets;
        let after = offsets.partition_point(|(first_seq, _)| *first_seq <= seq);
        let offset = after.checked_sub(1).map_or(0, |position| offsets[position].1);
        Ok(Box::new(self.rows(offset)?))
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

/// Frames of a file, one after the other.
struct Rows {
    file: BufReader<File>,
    path: PathBuf,
    failed: bool,
}

impl Rows {
    fn next_row(&mut self) -> Result<Option<(FrameKey, IVec)>, JournalError> {
        let place = || self.path.display().to_string();
        let disk = |error: std::io::Error| match error.kind() {
            ErrorKind::UnexpectedEof => JournalError::damaged(place(), "it ends amid a frame"),
            _ => JournalError::disk("read", &self.path, &error),
        };
        let mut header = [0; HEADER_BYTES];
        let first = self.file.read(&mut header[..1]).map_err(disk)?;
        if first == 0 {
            return Ok(None);
        }
        self.file.read_exact(&mut header[1..]).map_err(disk)?;
        let length = frame_bytes(&header).map_err(|error| JournalError::format(place(), &error))?;
        let mut bytes = vec![0; length];
        bytes[..HEADER_BYTES].copy_from_slice(&header);
        self.file.read_exact(&mut bytes[HEADER_BYTES..]).map_err(disk)?;
        let frame = Frame::parse(&bytes).map_err(|error| JournalError::format(place(), &error))?;
        let key = frame.header.key;
        Ok(Some((key, IVec::from(bytes))))
    }
}

impl Iterator for Rows {
    type Item = Result<(FrameKey, IVec), JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = self.next_row().transpose();
        self.failed = row.as_ref().is_some_and(Result::is_err);
        row
    }
}

/// Newest record of each lot in an exported part.
pub(crate) type Floors = Vec<(LotKey, u64)>;

/// Writes frames into a new file of the archive; durable when this returns.
pub(crate) fn export(
    dir: &Path,
    first_seq: u64,
    last_seq: u64,
    frames: impl Iterator<Item = Result<(FrameKey, IVec), JournalError>>,
) -> Result<Archive, JournalError> {
    let mut writer = ArchiveWriter::create(dir, first_seq)?;
    for frame in frames {
        let (_, bytes) = frame?;
        writer.push(&bytes)?;
    }
    writer.ends_with(last_seq);
    writer.finish()
}

/// A file of the archive that is being written; it has its name when it is complete.
pub(crate) struct ArchiveWriter {
    dir: PathBuf,
    temporary: PathBuf,
    file: BufWriter<File>,
    first_seq: u64,
    last_seq: u64,
    bytes: u64,
}

impl ArchiveWriter {
    pub(crate) fn create(dir: &Path, first_seq: u64) -> Result<Self, JournalError> {
        let temporary = dir.join(format!("{first_seq:020}.tmp"));
        let file = File::create(&temporary)
            .map_err(|error| JournalError::disk("write", &temporary, &error))?;
        let file = BufWriter::with_capacity(256 * 1024, file);
        Ok(Self {
            dir: dir.to_path_buf(),
            temporary,
            file,
            first_seq,
            last_seq: first_seq,
            bytes: 0,
        })
    }

    /// Appends a frame.
    pub(crate) fn push(&mut self, frame: &[u8]) -> Result<(), JournalError> {
        self.bytes += frame.len() as u64;
        let written = self.file.write_all(frame);
        written.map_err(|error| JournalError::disk("write", &self.temporary, &error))
    }

    /// Says which record is the last so far.
    pub(crate) fn ends_with(&mut self, last_seq: u64) {
        self.last_seq = last_seq;
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gets it onto the disk and gives it its name.
    pub(crate) fn finish(self) -> Result<Archive, JournalError> {
        let archive = Archive::new(&self.dir, self.first_seq, self.last_seq);
        let wrong = |error: std::io::Error| JournalError::disk("write", &self.temporary, &error);
        let file = self.file.into_inner().map_err(|error| wrong(error.into_error()))?;
        file.sync_all().map_err(wrong)?;
        fs::rename(&self.temporary, &archive.path).map_err(wrong)?;
        files::sync_dir(&self.dir)?;
        Ok(archive)
    }
}
