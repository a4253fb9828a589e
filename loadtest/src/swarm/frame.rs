//! The least of RFC 6455 that a client needs: frames are found in a buffer where they lie, nothing is copied.
//!
//! Invariant: a frame is given out only when all of it is there, and then exactly once. Deliberately absent:
//! masking keys that mean something (this is a load tester on loopback, so the key is nought and the
//! payload stands as it is), and putting fragments together, which no server under test sends.

use std::ops::Range;
use thiserror::Error;

/// Longer than any message here: a snapshot of 10,000 slots.
const PAYLOAD_BYTES_MAX: u64 = 64 << 20;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, binary, or the rest of one.
    Data,
    /// The other end goes; the payload says why.
    Close,
    /// Wants a pong with the same payload.
    Ping,
    /// Answers a ping.
    Pong,
}

/// A frame in the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is for.
    pub kind: Kind,
    /// Whether it is all of its message: neither begun before nor to be continued.
    pub is_whole: bool,
    /// Where its payload lies.
    pub payload: Range<usize>,
}

/// What no server may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    #[error("a frame with opcode {0}, which RFC 6455 does not know")]
    Opcode(u8),
    #[error("a masked frame from a server, or one of an extension nobody asked for")]
    Bits,
    #[error("a frame of {0} bytes; at most {PAYLOAD_BYTES_MAX}")]
    Length(u64),
}

/// The frame that begins at `from`; nothing when not all of it has come.
pub fn next(buffer: &[u8], from: usize) -> Result<Option<Frame>, FrameError> {
    let Some(&[first, second]) = buffer.get(from..from + 2) else { return Ok(None) };
    if first & 0x70 != 0 || second & 0x80 != 0 {
        return Err(FrameError::Bits);
    }
    let kind = match first & 0x0F {
        0..=2 => Kind::Data,
        8 => Kind::Close,
        9 => Kind::Ping,
        10 => Kind::Pong,
        other => return Err(FrameError::Opcode(other)),
    };
    let at = from + 2;
    let (at, length) = match second {
        126 => match buffer.get(at..at + 2) {
            Some(&[a, b]) => (at + 2, u64::from(u16::from_be_bytes([a, b]))),
            _ => return Ok(None),
        },
        127 => match buffer.get(at..at + 8).map(<[u8; 8]>::try_from) {
            Some(Ok(bytes)) => (at + 8, u64::from_be_bytes(bytes)),
            _ => return Ok(None),
        },
        length => (at, u64::from(length)),
    };
    if length > PAYLOAD_BYTES_MAX {
        return Err(FrameError::Length(length));
    }
    let payload = at..at + length as usize;
    let is_whole = first & 0x80 != 0 && first & 0x0F != 0;
    Ok((payload.end <= buffer.len()).then_some(Frame { kind, is_whole, payload }))
}

/// Appends a text message as a client sends it.
pub fn put_text(out: &mut Vec<u8>, payload: &[u8]) {
    put(out, 0x81, payload);
}

/// Appends a binary message as a client sends it.
pub fn put_binary(out: &mut Vec<u8>, payload: &[u8]) {
    put(out, 0x82, payload);
}

/// Appends the answer to a ping.
pub fn put_pong(out: &mut Vec<u8>, payload: &[u8]) {
    put(out, 0x8A, payload);
}

fn put(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    const MASKED: u8 = 0x80;
    out.push(first);
    match payload.len() {
        length @ 0..126 => out.push(MASKED | length as u8),
        length @ 126..0x1_0000 => {
            out.push(MASKED | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    // A key of nought: the payload stands as it is.
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a server sends it: a client's frame without the mask.
    fn served(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut masked = Vec::new();
        put(&mut masked, first, payload);
        let head_bytes = masked.len() - payload.len() - 4;
        masked[1] &= 0x7F;
        masked.drain(head_bytes..head_bytes + 4);
        masked
    }

    #[test]
    fn frames_of_every_length_are_found_one_after_the_other() {
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 100_000];
        let mut buffer = Vec::new();
        for length in lengths {
            buffer.extend(served(0x81, &vec![b'x'; length]));
        }
        let mut at = 0;
        for length in lengths {
            let frame = next(&buffer, at).unwrap().unwrap();
            assert_eq!(
                (frame.kind, frame.is_whole, frame.payload.len()),
                (Kind::Data, true, length)
            );
            at = frame.payload.end;
        }
        assert_eq!(next(&buffer, at), Ok(None));
    }

    #[test]
    fn a_frame_cut_anywhere_is_waited_for() {
        for length in [5, 300, 70_000] {
            let buffer = served(0x82, &vec![7; length]);
            for cut in (0..buffer.len()).filter(|cut| *cut < 20 || cut % 997 == 0) {
                assert_eq!(next(&buffer[..cut], 0), Ok(None), "{length} cut at {cut}");
            }
            assert_eq!(next(&buffer, 0).unwrap().unwrap().payload.end, buffer.len());
        }
    }

    #[test]
    fn control_frames_and_fragments_are_told_apart() {
        for (first, kind, is_whole) in [
            (0x88, Kind::Close, true),
            (0x89, Kind::Ping, true),
            (0x8A, Kind::Pong, true),
            (0x01, Kind::Data, false),
            (0x80, Kind::Data, false),
        ] {
            let frame = next(&served(first, b"x"), 0).unwrap().unwrap();
            assert_eq!((frame.kind, frame.is_whole), (kind, is_whole), "{first:#x}");
        }
    }

    #[test]
    fn what_no_server_may_send_is_refused() {
        assert_eq!(next(&[0x83, 0], 0), Err(FrameError::Opcode(3)));
        assert_eq!(next(&[0x81, 0x81, 0, 0, 0, 0, 0], 0), Err(FrameError::Bits));
        assert_eq!(next(&[0xC1, 0], 0), Err(FrameError::Bits));
        let endless = [0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(next(&endless, 0), Err(FrameError::Length(1 << 32)));
    }
}
