//! Frames of the server (RFC 6455, 5.2): final, unmasked, so the same bytes serve every reader.

use super::close::{Close, REASON_BYTES_MAX};

const FINAL_TEXT: u8 = 0x81;
const FINAL_CLOSE: u8 = 0x88;

/// A whole text frame around a payload.
#[must_use]
pub fn text(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    push_text(&mut frame, payload);
    frame
}

/// Appends a whole text frame.
pub fn push_text(out: &mut Vec<u8>, payload: &[u8]) {
    out.push(FINAL_TEXT);
    push_length(out, payload.len());
    out.extend_from_slice(payload);
}

/// Appends a text frame with a value as JSON.
pub fn push_json(out: &mut Vec<u8>, value: &impl serde::Serialize) {
    match serde_json::to_vec(value) {
        Ok(payload) => push_text(out, &payload),
        // Wire types have string keys and no failing fields; a bug must not take the socket down.
        Err(error) => tracing::error!(%error, "message is not encoded"),
    }
}

/// Appends a close frame; a reason that is too long is cut at a character.
pub fn push_close(out: &mut Vec<u8>, close: &Close) {
    let mut end = close.reason.len().min(REASON_BYTES_MAX);
    while !close.reason.is_char_boundary(end) {
        end -= 1;
    }
    out.push(FINAL_CLOSE);
    push_length(out, end + 2);
    out.extend_from_slice(&close.code.to_be_bytes());
    out.extend_from_slice(&close.reason.as_bytes()[..end]);
}

fn push_length(out: &mut Vec<u8>, length: usize) {
    // The three forms of the format; the casts are guarded by the ranges.
    match length {
        0..=125 => out.push(length as u8),
        126..=65_535 => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        for (length, head) in [
            (0, vec![0x81, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (65_535, vec![0x81, 126, 0xFF, 0xFF]),
            (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let frame = text(&vec![b'x'; length]);
            assert_eq!(&frame[..head.len()], head, "{length}");
            assert_eq!(frame.len(), head.len() + length);
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let mut out = Vec::new();
        push_close(&mut out, &Close::bad_message("é".repeat(100)));
        assert_eq!(out[0], 0x88);
        assert_eq!(usize::from(out[1]), out.len() - 2);
        assert!(out.len() - 2 <= 125);
        assert!(std::str::from_utf8(&out[4..]).is_ok());
    }
}
