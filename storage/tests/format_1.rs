//! Format 1 as it was released: these bytes are read for ever, field by field. Tips without holdings are
//! still written so; frames and snapshots as in `format_3.rs`.
//!
//! The files under `fixtures/format-1` are never made anew. A change that this test refuses is a new
//! format: it gets a version, a reader beside the old one, and a fixture of its own.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

mod common;
#[path = "common/samples.rs"]
mod samples;
#[path = "common/snapshots.rs"]
mod snapshots;

use lotkeeper_storage::format::{Frame, Tip, decode_snapshot};
use samples::{EPOCH, assert_bytes, bytes_of, commits, read};
use snapshots::snapshot;

const COMMITS: &str = include_str!("fixtures/format-1/commits.hex");
const SNAPSHOT: &str = include_str!("fixtures/format-1/snapshot.hex");
const TIP: &str = include_str!("fixtures/format-1/tip.hex");

/// Nobody is named in them: format 1 had no place for it.
#[test]
fn commits_of_format_1_are_read() {
    assert_eq!(read(&bytes_of(COMMITS)), commits(|_| None));
}

#[test]
fn snapshots_of_format_1_are_read() {
    assert_eq!(decode_snapshot(&bytes_of(SNAPSHOT)).unwrap(), snapshot());
}

#[test]
fn tips_of_format_1_are_read_and_written() {
    let tip = Tip::bare(EPOCH, 4_242);
    assert_bytes(&tip.to_bytes(), TIP);
    assert_eq!(Tip::from_bytes(&bytes_of(TIP)).unwrap(), tip);
}

#[test]
fn a_later_format_is_refused_by_name() {
    let mut frame = bytes_of(COMMITS);
    frame[4] = 4;
    let refused = Frame::read(&frame).unwrap_err();
    assert_eq!(refused.to_string(), "frame has format 4, this release reads up to 3");
    let mut snapshot = bytes_of(SNAPSHOT);
    snapshot[4] = 9;
    let refused = decode_snapshot(&snapshot).unwrap_err();
    assert_eq!(refused.to_string(), "snapshot has format 9, this release reads up to 2");
}
