//! One subscriber: reads what came, cuts it into frames, hands them to the dialect.

use super::frame::{self, Kind};
use super::tape::{Seen, Tape};
use super::{Dialect, READ_BYTES, SwarmError};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

/// What a message asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    Nothing,
    /// These bytes, framed already.
    Send(&'static [u8]),
    /// The end of the run, with the reason.
    Fail(String),
}

/// A subscriber's socket.
#[derive(Debug)]
pub(super) struct Member {
    stream: TcpStream,
    /// The beginning of a frame whose end has not come.
    carry: Vec<u8>,
    pub(super) seen: Seen,
}

impl Member {
    pub(super) fn new(stream: TcpStream, carry: Vec<u8>, is_checked: bool) -> Self {
        Self { stream, carry, seen: Seen { is_checked, ..Seen::default() } }
    }

    /// Takes what came along with the upgrade.
    pub(super) fn catch_up<D: Dialect>(
        &mut self,
        who: usize,
        dialect: &mut D,
        tape: &mut Tape,
    ) -> Result<(), SwarmError> {
        let bytes = std::mem::take(&mut self.carry);
        let taken = self.take(who, dialect, tape, &bytes)?;
        self.carry.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// One read of whatever is there; what remains is told again by the next wait.
    pub(super) fn read<D: Dialect>(
        &mut self,
        who: usize,
        dialect: &mut D,
        tape: &mut Tape,
        buffer: &mut Vec<u8>,
    ) -> Result<(), SwarmError> {
        let fail = |what: String| SwarmError::Subscriber { who, what };
        let carried = self.carry.len();
        if buffer.len() < carried + READ_BYTES {
            buffer.resize(carried + READ_BYTES, 0);
        }
        buffer[..carried].copy_from_slice(&self.carry);
        let read = match (&self.stream).read(&mut buffer[carried..]) {
            Ok(0) => return Err(fail("the server closed the connection".into())),
            Ok(read) => read,
            Err(error) if is_for_later(&error) => return Ok(()),
            Err(error) => return Err(fail(error.to_string())),
        };
        self.carry.clear();
        let bytes = &buffer[..carried + read];
        let taken = self.take(who, dialect, tape, bytes)?;
        self.carry.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Every whole frame of it; says how many bytes they were.
    fn take<D: Dialect>(
        &mut self,
        who: usize,
        dialect: &mut D,
        tape: &mut Tape,
        bytes: &[u8],
    ) -> Result<usize, SwarmError> {
        let fail = |what: String| SwarmError::Subscriber { who, what };
        let mut at = 0;
        while let Some(frame) =
            frame::next(bytes, at).map_err(|source| SwarmError::Frame { who, source })?
        {
            let payload = &bytes[frame.payload.clone()];
            match frame.kind {
                Kind::Data => match dialect.heard(&mut self.seen, payload, frame.is_whole, tape) {
                    Answer::Nothing => {}
                    Answer::Send(answer) => self.send(answer).map_err(fail)?,
                    Answer::Fail(what) => return Err(fail(what)),
                },
                Kind::Ping => {
                    let mut pong = Vec::new();
                    frame::put_pong(&mut pong, payload);
                    self.send(&pong).map_err(fail)?;
                }
                Kind::Pong => {}
                Kind::Close => {
                    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
                    return Err(fail(format!("the server closed the socket: {reason}")));
                }
            }
            at = frame.payload.end;
        }
        Ok(at)
    }

    /// A few bytes, for which there is always room: a subscriber says next to nothing.
    fn send(&self, bytes: &[u8]) -> Result<(), String> {
        (&self.stream).write_all(bytes).map_err(|error| format!("cannot answer: {error}"))
    }
}

/// Whether a nonblocking socket only has nothing to give or no room.
pub(super) fn is_for_later(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
