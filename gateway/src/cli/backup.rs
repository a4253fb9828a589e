//! `lotkeeper backup`: takes a backup from a running server, or of a directory that nobody serves.
//!
//! Every byte is verified on its way to the file; only a whole and sound backup gets its name.
//! Deliberately absent: encryption. `lotkeeper backup - | age -R recipients > FILE` has it, with keys in files.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::backup::{self, Backup, BackupError, Contents, Target};
use tokio::sync::mpsc;

use super::transfer::{Progress, STANDARD, Sink, Tee, explain, write_contents};
use crate::client::{self, Client};

/// Pieces between the socket and the file.
const PIECES_AHEAD: usize = 16;

/// The flags of `lotkeeper backup`.
#[derive(Clone, clap::Args)]
pub struct BackupOptions {
    /// The file to write, which must not exist; `-` is standard output
    pub out: PathBuf,
    /// The running server
    #[arg(long, default_value = "http://127.0.0.1:8080", conflicts_with = "data")]
    pub url: String,
    /// A token of role admin, from `lotkeeper token --role admin`
    #[arg(long, env = "LOTKEEPER_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Instead of a server: a data directory that nobody serves; it stays as it is
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// No progress on stderr
    #[arg(long)]
    pub quiet: bool,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupFailed {
    /// Nothing to ask with.
    #[error(
        "a server gives its backup to admins only: pass --token or set LOTKEEPER_TOKEN \
         (`lotkeeper token --role admin` mints one), or give --data for a directory that nobody serves"
    )]
    NoToken,
    /// The server.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// The bytes, or the file.
    #[error("{}", explain(.0))]
    Backup(#[from] BackupError),
    /// The directory.
    #[error("cannot back up {data}: {cause}")]
    Directory {
        /// Which.
        data: String,
        /// Why.
        cause: lotkeeper_storage::JournalError,
    },
    /// The thread that writes.
    #[error("the backup ended early: {0}")]
    Thread(String),
}

/// What was backed up, for people.
pub struct BackedUp {
    of: String,
    to: PathBuf,
    contents: Contents,
}

impl BackedUp {
    /// Whether standard output is taken by the backup itself.
    pub fn goes_to_stderr(&self) -> bool {
        self.to == Path::new(STANDARD)
    }
}

impl fmt::Display for BackedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = if self.goes_to_stderr() {
            "standard output".into()
        } else {
            self.to.display().to_string()
        };
        writeln!(f, "backup of {} in {to}", self.of)?;
        write_contents(f, &self.contents)?;
        writeln!(f, "  keep        it where few can read it: people are in it in clear text")?;
        write!(f, "  not in it   the key that signs tokens: keep a copy of that elsewhere")
    }
}

/// Takes a backup.
///
/// # Errors
/// What failed, with the remedy; there is no file then.
pub async fn run(options: BackupOptions) -> Result<BackedUp, BackupFailed> {
    let BackupOptions { out, url, token, data, quiet } = options;
    if let Some(data) = data {
        let of = data.display().to_string();
        let taken_at = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
        return on_a_thread(move || {
            let began = backup::of_directory(&data, taken_at);
            let backup =
                began.map_err(|cause| BackupFailed::Directory { data: of.clone(), cause })?;
            Ok(write(Blocks { backup, block: Vec::new(), taken: 0 }, of, out, quiet)?)
        })
        .await;
    }
    let token = token.ok_or(BackupFailed::NoToken)?;
    let client = Client::new(&url, &token)?;
    let mut download = client.download("/api/v1/backup").await?;
    let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
    let writing =
        on_a_thread(move || Ok(write(Pieces { pieces, piece: Bytes::new() }, url, out, quiet)?));
    let reading = async {
        loop {
            let piece = download.piece().await;
            let ended = !matches!(piece, Ok(Some(_)));
            let told = match piece {
                Ok(Some(piece)) => sender.send(Ok(piece)).await,
                Ok(None) => Ok(()),
                Err(error) => sender.send(Err(io::Error::other(error.to_string()))).await,
            };
            if ended || told.is_err() {
                // Now the writer knows that nothing more comes.
                drop(sender);
                return;
            }
        }
    };
    tokio::join!(reading, writing).1
}

async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupFailed> + Send + 'static,
) -> Result<T, BackupFailed> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| BackupFailed::Thread(error.to_string()))?
}

/// Verifies and writes.
fn write(
    source: impl Read,
    of: String,
    out: PathBuf,
    quiet: bool,
) -> Result<BackedUp, BackupError> {
    let mut sink = Sink::create(&out)?;
    let mut progress = Progress::new("backed up", quiet);
    let place = format!("the backup of {of}");
    let tee = Tee { source, sink: &mut sink };
    let inspected = backup::inspect(tee, &place, Target::Latest, &mut |bytes, about| {
        progress.update(bytes, about);
    });
    progress.finish();
    match inspected {
        Ok(contents) => {
            sink.finish()?;
            Ok(BackedUp { of, to: out, contents })
        }
        Err(error) => {
            sink.abandon();
            Err(error)
        }
    }
}

/// Reads what comes from a server.
struct Pieces {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

/// Reads what comes from a directory.
struct Blocks {
    backup: Backup,
    block: Vec<u8>,
    taken: usize,
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.block.len() {
            match self.backup.next() {
                Some(block) => self.block = block.map_err(io::Error::other)?,
                None => return Ok(0),
            }
            self.taken = 0;
        }
        let left = &self.block[self.taken..];
        let length = buffer.len().min(left.len());
        buffer[..length].copy_from_slice(&left[..length]);
        self.taken += length;
        Ok(length)
    }
}
