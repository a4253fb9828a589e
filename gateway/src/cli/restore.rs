//! `lotkeeper restore`: a new data directory out of a backup, as of its end, a sequence or an instant.
//!
//! Deliberately absent: overwriting anything. Whoever restores looks at the new directory first and serves
//! from it then; the old one stays as it is.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::backup::{self, BackupError, Contents, Restored, Site, Target};

use super::transfer::{Progress, STANDARD, explain, private, told, write_contents};
use crate::wire::instant;

/// The flags of `lotkeeper restore`.
#[derive(Clone, Debug, clap::Args)]
pub struct RestoreOptions {
    /// What `lotkeeper backup` wrote; `-` is standard input
    pub file: PathBuf,
    /// The new data directory: not there yet, or empty
    #[arg(long, value_name = "DIR", required_unless_present = "inspect")]
    pub data: Option<PathBuf>,
    /// Keep whole commits up to this sequence
    #[arg(long, value_name = "N", conflicts_with = "to_time")]
    pub to_seq: Option<u64>,
    /// Keep whole commits before the first that holds something later (2026-03-01T09:00:00Z)
    #[arg(long, value_name = "INSTANT", value_parser = instant_of)]
    pub to_time: Option<Timestamp>,
    /// Only verify the backup and say what it holds and where that restore would end
    #[arg(long, conflicts_with = "data")]
    pub inspect: bool,
    /// No progress on stderr
    #[arg(long)]
    pub quiet: bool,
}

fn instant_of(text: &str) -> Result<Timestamp, String> {
    instant::parse(text).ok_or_else(|| {
        "not an instant; write 2026-03-01T09:00:00Z, or with an offset 2026-03-01T10:00:00+01:00".to_owned()
    })
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreFailed {
    /// The backup, the target or the place.
    #[error("{}", explain(.0))]
    Backup(#[from] BackupError),
}

/// What was restored or looked at, for people.
pub struct Told {
    file: PathBuf,
    target: Target,
    contents: Contents,
    restored: Option<Restored>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match &self.restored {
            Some(restored) => writeln!(f, "restored {} from {file}", restored.data_dir.display())?,
            None => writeln!(f, "backup {file} is whole and sound")?,
        }
        write_contents(f, &self.contents)?;
        let cut = &self.contents.cut;
        write!(f, "  ends        with {}", told(cut.end))?;
        if let Some(next) = cut.next {
            let (first, last, at) = (next.first_seq, next.last_seq, instant::Instant(next.at));
            let beyond = match self.target {
                Target::Seq(seq) => format!("sequence {seq}"),
                Target::Time(at) => instant::Instant(at).to_string(),
                Target::Latest => "the end".to_owned(),
            };
            write!(
                f,
                ": the next commit, {first} to {last} ({at}), goes beyond {beyond}; {} records left out",
                cut.records_left_out
            )?;
        }
        let Some(restored) = &self.restored else { return Ok(()) };
        let (check, epoch) = (&restored.check, restored.epoch);
        writeln!(f, "\n  epoch       {epoch:016x}, a new one: streams begin with a snapshot")?;
        writeln!(
            f,
            "  checked     {} records of {} lots, {} snapshots, {} people: clean",
            check.records, check.lots, check.snapshots, check.people
        )?;
        let dir = restored.data_dir.display();
        write!(
            f,
            "  next        put the signing key where the server finds it, `lotkeeper serve --data {dir}`, \
             and erase again whom you erased since the backup"
        )
    }
}

/// Restores, or only looks.
///
/// # Errors
/// What failed, with the remedy; there is no directory then.
pub fn run(options: RestoreOptions) -> Result<Told, RestoreFailed> {
    let RestoreOptions { file, data, to_seq, to_time, quiet, .. } = options;
    let target = match (to_seq, to_time) {
        (Some(seq), _) => Target::Seq(seq),
        (None, Some(at)) => Target::Time(at),
        (None, None) => Target::Latest,
    };
    let mut progress = Progress::new("read", quiet);
    let mut on_progress = |bytes, about| progress.update(bytes, about);
    let standard = file == Path::new(STANDARD);
    let place = if standard { "standard input".to_owned() } else { file.display().to_string() };
    let done = match data {
        None => {
            let source: Box<dyn Read> =
                if standard { Box::new(io::stdin()) } else { opened(&file)? };
            backup::inspect(source, &place, target, &mut on_progress)
                .map(|contents| (contents, None))
        }
        Some(data) => restore(&file, &place, standard, &data, target, &mut on_progress)
            .map(|restored| (restored.contents.clone(), Some(restored))),
    };
    progress.finish();
    let (contents, restored) = done?;
    Ok(Told { file, target, contents, restored })
}

fn restore(
    file: &Path,
    place: &str,
    standard: bool,
    data: &Path,
    target: Target,
    on_progress: backup::OnProgress<'_>,
) -> Result<Restored, BackupError> {
    if !standard {
        // Before anything is made: a name that is wrong is the likeliest mistake.
        drop(opened(file)?);
    }
    let site = Site::new(data)?;
    let mut path = file.to_path_buf();
    if standard {
        // It is read twice. Beside what is made of it a copy gives nothing away, and it is gone in the end.
        path = site.spool();
        let mut spool = private(&path)?;
        io::copy(&mut io::stdin().lock(), &mut spool)
            .map_err(|error| BackupError::file("keeping", &path, &error))?;
    }
    let mut open =
        || -> io::Result<Box<dyn Read>> { Ok(Box::new(BufReader::new(File::open(&path)?))) };
    site.restore(&mut open, place, target, on_progress)
}

fn opened(file: &Path) -> Result<Box<dyn Read>, BackupError> {
    let opened = File::open(file).map_err(|error| BackupError::file("opening", file, &error))?;
    Ok(Box::new(BufReader::new(opened)))
}
