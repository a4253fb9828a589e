//! The one who changes things: what it has to send, and what comes back.

use super::connect::Opened;
use super::member::is_for_later;
use super::{Dialect, READ_BYTES};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Beyond so much unsent the server is behind, and more would only wait here.
const UNSENT_BYTES_MAX: usize = 1 << 20;

/// The publisher's socket.
#[derive(Debug)]
pub(super) struct Publisher {
    stream: TcpStream,
    /// What waits to be sent.
    pub(super) out: Vec<u8>,
    sent: usize,
    /// What came and was not understood yet.
    carry: Vec<u8>,
}

impl Publisher {
    pub(super) fn new((stream, carry): Opened) -> Self {
        Self { stream, out: Vec::new(), sent: 0, carry }
    }

    pub(super) fn has_room(&self) -> bool {
        self.out.len() - self.sent < UNSENT_BYTES_MAX
    }

    /// Sends what the socket takes; the rest is tried again in the next turn of the loop.
    pub(super) fn flush(&mut self) -> Result<(), String> {
        while self.sent < self.out.len() {
            match (&self.stream).write(&self.out[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if is_for_later(&error) => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    pub(super) fn read<D: Dialect>(
        &mut self,
        dialect: &mut D,
        buffer: &mut Vec<u8>,
    ) -> Result<(), String> {
        let carried = self.carry.len();
        if buffer.len() < carried + READ_BYTES {
            buffer.resize(carried + READ_BYTES, 0);
        }
        buffer[..carried].copy_from_slice(&self.carry);
        let read = match (&self.stream).read(&mut buffer[carried..]) {
            Ok(0) => return Err("the server closed the connection".into()),
            Ok(read) => read,
            Err(error) if is_for_later(&error) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let bytes = &buffer[..carried + read];
        let taken = dialect.answered(bytes, &mut self.out)?;
        self.carry.clear();
        self.carry.extend_from_slice(&bytes[taken..]);
        Ok(())
    }
}
