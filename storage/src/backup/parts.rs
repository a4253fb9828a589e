//! What is in the blocks: the header, rows of people, the trailer. Snapshots and frames are the journal's own
//! bytes (`format`), so that a new field of a record changes nothing here.

use lotkeeper_engine::time::Timestamp;

use super::block::Numbers;

/// Of the name of a release.
const RELEASE_BYTES_MAX: usize = 255;

/// What a backup says of itself before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// When it was taken.
    pub taken_at: Timestamp,
    /// Epoch of the log then.
    pub epoch: u64,
    /// The oldest record in it.
    pub first_seq: u64,
    /// The newest record in it: the backup is the directory as of this sequence.
    pub last_seq: u64,
    /// About how long it will be at most: for a progress bar.
    pub bytes_about: u64,
    /// The release that wrote it.
    pub release: String,
}

impl Header {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&self.taken_at.micros().to_le_bytes());
        for number in [self.epoch, self.first_seq, self.last_seq, self.bytes_about] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let release = &self.release.as_bytes()[..self.release.len().min(RELEASE_BYTES_MAX)];
        // Bounded above, so the length fits.
        bytes.extend_from_slice(&u16::try_from(release.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend_from_slice(release);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut numbers = Numbers(bytes);
        let taken_at = Timestamp::from_micros(numbers.i64()?);
        let (epoch, first_seq) = (numbers.u64()?, numbers.u64()?);
        let (last_seq, bytes_about) = (numbers.u64()?, numbers.u64()?);
        let length = usize::from(numbers.u16()?);
        let release = String::from_utf8(numbers.bytes(length)?.to_vec()).ok()?;
        // It is shown to whoever looks at the backup, who may sit at a terminal that obeys control characters.
        let plain = length <= RELEASE_BYTES_MAX && release.bytes().all(|b| b.is_ascii_graphic());
        // After the last record there is room for the next one.
        let in_order = first_seq > 0 && last_seq >= first_seq - 1 && last_seq < u64::MAX;
        let whole = numbers.0.is_empty() && in_order && plain;
        let header = Self { taken_at, epoch, first_seq, last_seq, bytes_about, release };
        whole.then_some(header)
    }
}

/// Which tree of the journal directory a row of people is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeopleTree {
    /// People by place.
    Placed,
    /// People of a directory that was format 1 once.
    Old,
}

/// One value of a tree of people, as it lies there.
pub(crate) struct PeopleRow {
    pub(crate) tree: PeopleTree,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

impl PeopleRow {
    pub(super) fn append(&self, into: &mut Vec<u8>) {
        into.push(match self.tree {
            PeopleTree::Placed => 0,
            PeopleTree::Old => 1,
        });
        // Keys have 8 or 17 bytes, values a clear text of 64 KiB at most.
        into.push(u8::try_from(self.key.len()).unwrap_or(u8::MAX));
        let length = u32::try_from(self.value.len()).unwrap_or(u32::MAX);
        into.extend_from_slice(&length.to_le_bytes());
        into.extend_from_slice(&self.key);
        into.extend_from_slice(&self.value);
    }

    /// All rows of a block.
    pub(super) fn all(payload: &[u8]) -> Option<Vec<Self>> {
        let mut numbers = Numbers(payload);
        let mut rows = Vec::new();
        while !numbers.0.is_empty() {
            let (tree, key_bytes) = match (numbers.u8()?, usize::from(numbers.u8()?)) {
                (0, 8) => (PeopleTree::Placed, 8),
                (1, 17) => (PeopleTree::Old, 17),
                _ => return None,
            };
            let value_bytes = numbers.u32()? as usize;
            let (key, value) = (numbers.bytes(key_bytes)?, numbers.bytes(value_bytes)?);
            rows.push(Self { tree, key: key.to_vec(), value: value.to_vec() });
        }
        Some(rows)
    }
}

/// What a backup ends with: proof that it is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trailer {
    /// Bytes before the trailer's block.
    pub(super) bytes: u64,
    /// Values of the trees of people.
    pub(super) people_rows: u64,
    pub(super) snapshots: u64,
    pub(super) frames: u64,
    /// Over all bytes before the trailer's block.
    pub(super) checksum: u32,
}

impl Trailer {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let numbers = [self.bytes, self.people_rows, self.snapshots, self.frames];
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        bytes.extend_from_slice(&self.checksum.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut numbers = Numbers(bytes);
        let trailer = Self {
            bytes: numbers.u64()?,
            people_rows: numbers.u64()?,
            snapshots: numbers.u64()?,
            frames: numbers.u64()?,
            checksum: numbers.u32()?,
        };
        numbers.0.is_empty().then_some(trailer)
    }
}
