//! What is encoded decodes to the same, whatever it is; what is not ours gives an error, never a panic.

#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

#[path = "../common/mod.rs"]
mod common;
mod lots;
mod money;
mod passes;
mod payments;
mod shifts;
mod stays;
mod strategies;
mod tariffs;
mod violations;
mod waiting;

use lotkeeper_engine::ids::LotKey;
use lotkeeper_storage::Record;
use lotkeeper_storage::format::{
    Assembler, CHUNK_BYTES_MAX, Encoder, FRAME_BYTES_MAX, Frame, FrameKey, SnapshotKey, Tip,
    decode_snapshot, encode_snapshot,
};
use proptest::collection::vec;
use proptest::prelude::*;
use strategies::{commit, snapshot};

/// Frames back to records, as a recovery reads them.
fn read_back(encoder: &Encoder) -> (Vec<Record>, bool) {
    let mut assembler = Assembler::new(None);
    let (mut records, mut ended) = (Vec::new(), false);
    for (key, bytes) in encoder.frames() {
        assert!(bytes.len() <= FRAME_BYTES_MAX);
        assert!(!ended, "a commit ends once");
        if let Some(group) = assembler.push(key, bytes).unwrap() {
            records.extend(group.records);
            ended = group.ends_commit;
        }
    }
    (records, ended)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_commit_survives(records in commit(), epoch in any::<u64>()) {
        let mut encoder = Encoder::default();
        encoder.encode(epoch, &records).unwrap();
        prop_assert_eq!(read_back(&encoder), (records, true));
    }

    #[test]
    fn any_snapshot_survives(snapshot in snapshot()) {
        let mut bytes = Vec::new();
        encode_snapshot(&snapshot, &mut bytes).unwrap();
        prop_assert_eq!(decode_snapshot(&bytes).unwrap(), snapshot);
    }

    #[test]
    fn any_flipped_bit_is_noticed(records in commit(), bit in any::<proptest::sample::Index>()) {
        let mut encoder = Encoder::default();
        encoder.encode(1, &records).unwrap();
        let (_, bytes) = encoder.frames().next().unwrap();
        let mut bytes = bytes.to_vec();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Frame::parse(&bytes).is_err());
    }

    /// Behind a right checksum anything may stand: a fault of ours, or a forger.
    #[test]
    fn any_payload_is_decoded_or_refused(
        format in 1..=3_u16,
        payload in vec(any::<u8>(), 0..600),
        count in any::<u16>(),
    ) {
        let frame = forged(format, &payload, count);
        let key = FrameKey { first_seq: 1, part: 0 };
        // A result of either kind; what is tested is that there is one.
        drop(Assembler::new(None).push(key, &frame));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        drop(Frame::parse(&bytes));
        drop(decode_snapshot(&bytes));
        drop(Tip::from_bytes(&bytes));
        drop(FrameKey::from_bytes(&bytes));
        drop(SnapshotKey::from_bytes(&bytes));
    }

    #[test]
    fn keys_and_tips_survive_and_sort(a in any::<(u64, u16)>(), b in any::<(u64, u16)>()) {
        let key = |(first_seq, part)| FrameKey { first_seq, part };
        let (a, b) = (key(a), key(b));
        prop_assert_eq!(FrameKey::from_bytes(&a.to_bytes()).unwrap(), a);
        prop_assert_eq!(a.to_bytes().cmp(&b.to_bytes()), a.cmp(&b));
        let tip = Tip::bare(a.first_seq, b.first_seq);
        prop_assert_eq!(Tip::from_bytes(&tip.to_bytes()).unwrap(), tip);
    }
}

/// A frame of a format and of epoch 1 that begins at record 1, with a right checksum.
fn forged(format: u16, payload: &[u8], count: u16) -> Vec<u8> {
    let mut frame = b"LKF1".to_vec();
    frame.extend(format.to_le_bytes());
    frame.extend(1_u16.to_le_bytes());
    frame.extend(1_u64.to_le_bytes());
    frame.extend(1_u64.to_le_bytes());
    frame.extend(0_i64.to_le_bytes());
    frame.extend(count.to_le_bytes());
    frame.extend(0_u16.to_le_bytes());
    frame.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&frame), payload);
    frame.extend(checksum.to_le_bytes());
    frame.extend(payload);
    frame
}

/// A length of four gigabytes in a few bytes must not become an allocation.
#[test]
fn a_forged_length_is_refused_before_it_is_believed() {
    // lot 0, lot sequence 1, time 0, lot event `changed`, a name of u32::MAX bytes.
    let mut payload = vec![0, 1, 0, 1, 1, 252];
    payload.extend(u32::MAX.to_le_bytes());
    let frame = forged(2, &payload, 1);
    let refused = Assembler::new(None).push(FrameKey { first_seq: 1, part: 0 }, &frame);
    assert!(refused.is_err(), "{refused:?}");
}

/// Few bytes that are much in memory: what is refused as too much for its bytes must not be one of ours.
#[test]
fn the_least_dense_snapshots_and_records_survive() {
    for slots in [1, 300, 10_000] {
        let mut author = common::Author::new();
        let created = author.created(LotKey(0), slots);
        let snapshot = author.snapshot(LotKey(0));
        let mut bytes = Vec::new();
        encode_snapshot(&snapshot, &mut bytes).unwrap();
        assert_eq!(decode_snapshot(&bytes).as_ref(), Ok(&snapshot), "{slots} slots never heard of");
        let mut encoder = Encoder::default();
        encoder.encode(9, std::slice::from_ref(&created)).unwrap();
        assert_eq!(read_back(&encoder), (vec![created], true), "{slots} slots");
    }
}

#[test]
fn frames_out_of_order_are_refused() {
    let mut author = common::Author::new();
    let mut records = vec![author.created(LotKey(0), 2_000)];
    records.extend(author.changes(LotKey(0), 2_000));
    let mut encoder = Encoder::default();
    encoder.encode(9, &records).unwrap();
    let frames: Vec<_> = encoder.frames().collect();
    assert!(frames.len() > 10 && frames[3].0.part > 0);
    for skipped in 1..frames.len() - 1 {
        let mut assembler = Assembler::new(None);
        let pushed = frames.iter().enumerate().filter(|(position, _)| *position != skipped);
        let refused =
            pushed.map(|(_, (key, bytes))| assembler.push(*key, bytes)).any(|r| r.is_err());
        assert!(refused, "frame {skipped} is missing and nobody noticed");
    }
}

#[test]
fn the_budget_of_a_leaf_holds() {
    // sled splits a leaf beyond 16 values and moves one beyond a quarter of its 512 KiB segment out.
    const { assert!(17 * FRAME_BYTES_MAX < 128 * 1024 && 17 * CHUNK_BYTES_MAX < 128 * 1024) };
}
