//! What backup and restore share: where bytes go and come from, a progress bar, how things are told.
//!
//! Invariant: a file that is being written is readable by its owner only and has its name when it is complete
//! and on the disk. Deliberately absent: what the bytes mean (`lotkeeper_storage::backup`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar};
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::backup::{BackupError, Contents, OutOfReach, Point};

use crate::wire::instant;

/// Backups hold personal data in clear text.
const OWNER_ONLY: u32 = 0o600;
/// Standard input or output.
pub(super) const STANDARD: &str = "-";
const LINE_INTERVAL: Duration = Duration::from_secs(5);
const PARTIAL: &str = "partial";

/// Where a backup is written to.
pub(super) enum Sink {
    File { file: File, partial: PathBuf, path: PathBuf },
    Standard(io::Stdout),
}

impl Sink {
    /// Opens a new file, or standard output.
    pub(super) fn create(path: &Path) -> Result<Self, BackupError> {
        if path == Path::new(STANDARD) {
            return Ok(Self::Standard(io::stdout()));
        }
        if path.exists() {
            let cause = "it exists, and a backup never overwrites; choose another name";
            return Err(BackupError::file("writing", path, &cause));
        }
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{PARTIAL}"));
        let partial = path.with_file_name(name);
        let file = private(&partial)?;
        Ok(Self::File { file, partial, path: path.to_path_buf() })
    }

    /// Gets everything onto the disk and gives the file its name.
    pub(super) fn finish(self) -> Result<(), BackupError> {
        match self {
            Self::Standard(mut out) => out
                .flush()
                .map_err(|error| BackupError::file("writing", Path::new(STANDARD), &error)),
            Self::File { file, partial, path } => {
                let wrong = |error: io::Error| BackupError::file("writing", &path, &error);
                file.sync_all().map_err(wrong)?;
                fs::rename(&partial, &path).map_err(wrong)?;
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let folder = File::open(folder.unwrap_or(Path::new("."))).map_err(wrong)?;
                folder.sync_all().map_err(wrong)
            }
        }
    }

    /// Gives up: nothing is left that looks like a backup.
    pub(super) fn abandon(self) {
        if let Self::File { partial, .. } = self {
            // It has the wrong name in any case.
            drop(fs::remove_file(partial));
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File { file, .. } => file.write(bytes),
            Self::Standard(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File { file, .. } => file.flush(),
            Self::Standard(out) => out.flush(),
        }
    }
}

/// A new file that nobody else can read, whatever was there before.
pub(super) fn private(path: &Path) -> Result<File, BackupError> {
    let wrong = |error: io::Error| BackupError::file("making", path, &error);
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrong(error)),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path).map_err(wrong)
}

/// Hands on what it reads, so that what is verified is what is written.
pub(super) struct Tee<'a, R> {
    pub(super) source: R,
    pub(super) sink: &'a mut Sink,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.sink.write_all(&buffer[..read])?;
        Ok(read)
    }
}

/// How far it is: a bar on a terminal, else a line every few seconds.
pub(super) struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    shown: Instant,
    quiet: bool,
}

impl Progress {
    pub(super) fn new(what: &'static str, quiet: bool) -> Self {
        let bar = (!quiet && io::stderr().is_terminal()).then(|| crate::replay::bar(0));
        Self { what, bar, shown: Instant::now(), quiet }
    }

    pub(super) fn update(&mut self, bytes: u64, about: u64) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(about.max(bytes));
                bar.set_position(bytes);
                bar.set_message(format!("{} {}", HumanBytes(bytes), self.what));
            }
            None if !self.quiet && self.shown.elapsed() >= LINE_INTERVAL => {
                self.shown = Instant::now();
                tracing::info!(bytes, bytes_about = about, "{}", self.what);
            }
            None => {}
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A point for people.
pub(super) fn told(point: Point) -> String {
    // A log without records has no time.
    match point.at == Timestamp::MIN {
        true => format!("sequence {}", point.seq),
        false => format!("sequence {} ({})", point.seq, instant::Instant(point.at)),
    }
}

/// An error with its instants in a calendar's words.
pub(crate) fn explain(error: &BackupError) -> String {
    let BackupError::OutOfReach { place, why } = error else { return error.to_string() };
    match why {
        OutOfReach::NoRecords => error.to_string(),
        OutOfReach::TooEarly { earliest } => format!(
            "{place} cannot be restored to that point: it goes back to {} and no further; take that, or an \
             older backup",
            told(*earliest)
        ),
        OutOfReach::TooLate { latest, taken_at } => format!(
            "{place} cannot be restored to that point: it ends with {} and was taken at {}; restore it \
             without a target to have all of it, or take a newer backup",
            told(*latest),
            instant::Instant(*taken_at)
        ),
    }
}

/// The lines about what a backup holds.
pub(crate) fn write_contents(
    f: &mut std::fmt::Formatter<'_>,
    contents: &Contents,
) -> std::fmt::Result {
    let header = &contents.header;
    let taken_at = instant::Instant(header.taken_at);
    writeln!(
        f,
        "  taken at    {taken_at} by release {}, epoch {:016x}",
        header.release, header.epoch
    )?;
    match contents.earliest {
        Some(earliest) => {
            writeln!(f, "  as of       {}", told(contents.latest))?;
            writeln!(
                f,
                "  goes back   to {}: a restore may end at any commit from there on",
                told(earliest)
            )?;
        }
        None => writeln!(f, "  as of       sequence {}: it has no records", contents.latest.seq)?,
    }
    writeln!(
        f,
        "  holds       {} lots, {} people, {} snapshots, {} records in {} frames, {}",
        contents.lots,
        contents.people,
        contents.snapshots,
        contents.records,
        contents.frames,
        HumanBytes(contents.bytes)
    )
}
