//! Opening a data file, gzip or plain, and counting the bytes taken from it.
//!
//! What the file is, its first two bytes say; its name is not asked.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use super::error::{Error, FileError};
use super::plan::Position;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// An opened file.
pub(super) struct Source {
    /// The uncompressed content.
    pub reader: Box<dyn Read + Send>,
    /// Size on disk.
    pub bytes_total: u64,
    /// Taken from the disk so far.
    pub bytes_read: Arc<AtomicU64>,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Self::open_file(path).map_err(|error| in_file(path, error.into()))
    }

    fn open_file(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let bytes_total = file.metadata()?.len();
        let bytes_read = Arc::new(AtomicU64::new(0));
        let counted = Counted { file, bytes_read: Arc::clone(&bytes_read) };
        let mut buffered = BufReader::with_capacity(READ_BUFFER_BYTES, counted);
        let reader: Box<dyn Read + Send> = if buffered.fill_buf()?.starts_with(&GZIP_MAGIC) {
            // Multi: a gzip file may be several members one after another (pigz, cat a.gz b.gz).
            Box::new(MultiGzDecoder::new(buffered))
        } else {
            Box::new(buffered)
        };
        Ok(Self { reader, bytes_total, bytes_read })
    }
}

/// Says which file an error is about.
pub(super) fn in_file(path: &Path, source: FileError) -> Error {
    Error::File { path: path.to_owned(), source }
}

/// The coordinates of bays by their code, `st_marker_id,lat,lon`.
pub(super) fn read_bays(path: &Path) -> Result<HashMap<String, Position>, Error> {
    let source = Source::open(path)?;
    read_positions(source.reader).map_err(|error| in_file(path, error))
}

fn read_positions(reader: impl Read) -> Result<HashMap<String, Position>, FileError> {
    let mut positions = HashMap::new();
    for record in csv::Reader::from_reader(reader).records() {
        let record = record?;
        let wrong = || FileError::Bays {
            line: record.position().map_or(0, csv::Position::line),
            reason: format!(
                "{:?} is not st_marker_id,lat,lon",
                record.iter().collect::<Vec<_>>().join(",")
            ),
        };
        let number = |place| {
            let field: &str = record.get(place)?;
            field.trim().parse::<f64>().ok().filter(|number| number.is_finite())
        };
        let (Some(code), Some(lat), Some(lon)) = (record.get(0), number(1), number(2)) else {
            return Err(wrong());
        };
        positions.insert(code.trim().to_owned(), Position { lat, lon });
    }
    Ok(positions)
}

struct Counted {
    file: File,
    bytes_read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
