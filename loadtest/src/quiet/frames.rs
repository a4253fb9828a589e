//! Websocket frames of a server, one byte after the other, and those that a silent client sends.
//!
//! Between two frames nothing is kept, and of a long message only the beginning: that is what makes a
//! silent socket cheap. Absent: messages in several frames, which this server never sends; they are an error.

/// Bytes of a message that are kept while it arrives: all but snapshots are shorter.
pub const KEPT_BYTES: usize = 2_048;
/// Two bytes, and eight more for a long payload; a server masks nothing.
const HEADER_BYTES_MAX: usize = 10;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Close,
    Ping,
    Pong,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Text => 1,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }
}

/// A frame that has come: all of it, or the beginning of a long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub kind: Kind,
    pub payload: &'a [u8],
    pub is_cut: bool,
}

/// The place in the stream of frames.
#[derive(Debug, Default)]
pub struct Frames {
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: usize,
    /// Of the payload, once the header is whole.
    body: Option<Body>,
}

#[derive(Debug)]
struct Body {
    kind: Kind,
    length: u64,
    arrived: u64,
    kept: Vec<u8>,
}

impl Frames {
    /// Takes bytes as they come; calls `each` for every frame that ends in them.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Frame<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        loop {
            if self.body.is_none() {
                let Some(rest) = self.head(bytes)? else { return Ok(()) };
                bytes = rest;
            }
            let Some(body) = &mut self.body else { return Ok(()) };
            let take =
                bytes.len().min(usize::try_from(body.length - body.arrived).unwrap_or(usize::MAX));
            let (now, rest) = bytes.split_at(take);
            let room = KEPT_BYTES - body.kept.len();
            body.kept.extend_from_slice(&now[..take.min(room)]);
            body.arrived += take as u64;
            bytes = rest;
            if body.arrived < body.length {
                return Ok(());
            }
            let is_cut = body.length > body.kept.len() as u64;
            let frame = Frame { kind: body.kind, payload: &body.kept, is_cut };
            let said = each(frame);
            self.body = None;
            self.header_bytes = 0;
            said?;
        }
    }

    /// Takes the header's bytes; gives back the rest when it is whole.
    fn head<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, String> {
        for (index, byte) in bytes.iter().enumerate() {
            self.header[self.header_bytes] = *byte;
            self.header_bytes += 1;
            if let Some(body) = self.parse()? {
                self.body = Some(body);
                return Ok(Some(&bytes[index + 1..]));
            }
        }
        Ok(None)
    }

    /// The header, when enough of it is there.
    fn parse(&self) -> Result<Option<Body>, String> {
        let [first, second, long @ ..] = self.header;
        let length_bytes = match (self.header_bytes, second) {
            (0 | 1, _) => return Ok(None),
            (_, 126) => 2,
            (_, 127) => 8,
            (_, 128..) => return Err("a masked frame, which a server must not send".into()),
            (_, 0..126) => 0,
        };
        if self.header_bytes < 2 + length_bytes {
            return Ok(None);
        }
        let long = long[..length_bytes].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let length = if length_bytes == 0 { u64::from(second) } else { long };
        let kinds = [Kind::Text, Kind::Close, Kind::Ping, Kind::Pong];
        // The first bit says that the message ends with this frame.
        let kind = kinds.into_iter().find(|kind| first == 0x80 | kind.code());
        let kind = kind.ok_or_else(|| format!("a frame that begins with {first:#04x}"))?;
        Ok(Some(Body { kind, length, arrived: 0, kept: Vec::new() }))
    }
}

/// A short frame of a client, masked as the protocol demands.
pub fn encode(kind: Kind, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![0x80 | kind.code()];
    match u8::try_from(payload.len()) {
        Ok(short @ 0..126) => frame.push(0x80 | short),
        _ => {
            let length = u16::try_from(payload.len()).expect("a silent client writes short frames");
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..126 => frame.push(short as u8),
            long => {
                frame.push(127);
                frame.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let long = vec![b'x'; KEPT_BYTES + 7];
        let mut bytes = server_frame(0x81, b"{}");
        bytes.extend(server_frame(0x81, &long));
        bytes.extend(server_frame(0x89, b""));
        bytes.extend(server_frame(0x88, b"\x11\x94gone"));
        for step in [1, 2, 3, 1_000, bytes.len()] {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for part in bytes.chunks(step) {
                let each = |frame: Frame<'_>| {
                    seen.push((frame.kind, frame.payload.len(), frame.is_cut));
                    Ok(())
                };
                frames.feed(part, each).unwrap();
            }
            let expected = [
                (Kind::Text, 2, false),
                (Kind::Text, KEPT_BYTES, true),
                (Kind::Ping, 0, false),
                (Kind::Close, 6, false),
            ];
            assert_eq!(seen, expected, "in steps of {step}");
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_an_error() {
        for bytes in [[0x81, 0x81], [0x01, 0x00], [0x82, 0x00], [0xc1, 0x00]] {
            assert!(Frames::default().feed(&bytes, |_| Ok(())).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn what_a_client_sends_is_masked() {
        let mask = [1, 2, 3, 4];
        assert_eq!(encode(Kind::Text, b"abcde", mask), b"\x81\x85\x01\x02\x03\x04````d");
        let long = encode(Kind::Text, &[0; 300], mask);
        assert_eq!((&long[..4], long.len()), (b"\x81\xfe\x01\x2c".as_slice(), 308));
    }
}
