//! One server-side websocket: tungstenite reads, we write.
//!
//! tungstenite answers pings and closes by writing; here it writes into a buffer, and those whole frames
//! join ours. Reading never writes, so a dropped read loses nothing and cuts no frame in half; whoever
//! reads flushes afterwards. A client that takes nothing is given up by the connection itself (`server.write_timeout_seconds`).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

use super::close::Close;
use super::frame;

/// What the library's own answers to pings and closes may take, and what is read off at the end in one go.
const CONTROL_BUFFER_BYTES: usize = 1024;
/// A send buffer that grew past this is given back: most sockets are silent most of the time.
const KEPT_BUFFER_BYTES: usize = 512;
/// How long the other end has to take our last words.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

type Connection = TokioIo<Upgraded>;

/// One websocket.
pub struct Socket {
    reader: WebSocketStream<Tap>,
    writer: WriteHalf<Connection>,
    out: Vec<u8>,
}

/// What the other end sent.
pub enum Incoming {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message.
    Binary(bytes::Bytes),
    /// A control frame; its answer, if it needs one, waits for the next flush.
    Control,
    /// It broke the protocol or a limit.
    Broken(Close),
    /// It is gone.
    Gone,
}

impl Socket {
    /// After the handshake. The read buffer is there for as long as the socket is.
    pub async fn new(
        connection: Upgraded,
        message_bytes_max: usize,
        read_buffer_bytes: usize,
    ) -> Self {
        let (read, writer) = tokio::io::split(TokioIo::new(connection));
        let config = WebSocketConfig::default()
            .read_buffer_size(read_buffer_bytes)
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_BUFFER_BYTES)
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        let tap = Tap { read, captured: Vec::new() };
        let reader = WebSocketStream::from_raw_socket(tap, Role::Server, Some(config)).await;
        Self { reader, writer, out: Vec::new() }
    }

    /// What comes next. Writes nothing: answers to control frames wait for the next flush.
    pub async fn next(&mut self) -> Incoming {
        let message = self.reader.next().await;
        if let Some(Ok(Message::Ping(_) | Message::Close(_))) = message {
            // tungstenite writes its answer with the next call only. Into the tap, so this never waits.
            let _answered = self.reader.flush().await;
        }
        self.out.append(&mut self.reader.get_mut().captured);
        match message {
            Some(Ok(Message::Text(text))) => Incoming::Text(text),
            Some(Ok(Message::Binary(bytes))) => Incoming::Binary(bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Incoming::Control,
            Some(Ok(Message::Close(_))) | None => Incoming::Gone,
            Some(Err(error)) => broken(error),
        }
    }

    /// What is sent with the next flush; whole frames only.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Queues a value as a text message.
    pub fn push(&mut self, message: &impl serde::Serialize) {
        frame::push_json(&mut self.out, message);
    }

    /// Sends everything queued in one write; returns the bytes.
    ///
    /// # Errors
    /// The connection, or a client that takes nothing.
    pub async fn flush(&mut self) -> io::Result<usize> {
        if self.out.is_empty() {
            return Ok(0);
        }
        let sent = self.out.len();
        let written = self.writer.write_all(&self.out).await;
        // Emptied after a failure as well: half of it may be out, and half a frame has no other half.
        self.out.clear();
        written?;
        if self.out.capacity() > KEPT_BUFFER_BYTES {
            self.out = Vec::new();
        }
        Ok(sent)
    }

    /// Says why (nothing when the client closed), then ends the connection.
    pub async fn close(mut self, close: Option<&Close>) {
        if let Some(close) = close {
            frame::push_close(&mut self.out, close);
        }
        let goodbye = async {
            if self.flush().await.is_ok() && self.writer.shutdown().await.is_ok() {
                self.read_to_the_end().await;
            }
        };
        let _impatient = tokio::time::timeout(GOODBYE_TIMEOUT, goodbye).await;
    }

    /// Takes what the client still sends: closing with bytes unread would reset the connection, and a
    /// reset drops our reason before it is read.
    async fn read_to_the_end(&mut self) {
        let mut unread = [0; CONTROL_BUFFER_BYTES];
        let tap = self.reader.get_mut();
        while tap.read.read(&mut unread).await.is_ok_and(|bytes| bytes > 0) {}
    }
}

fn broken(error: tungstenite::Error) -> Incoming {
    use tungstenite::Error as E;
    match error {
        E::Capacity(error) => {
            Incoming::Broken(Close::bad_message(format!("message too large: {error}")))
        }
        E::Protocol(error) => {
            Incoming::Broken(Close::bad_message(format!("broken frame: {error}")))
        }
        E::Utf8(_) => Incoming::Broken(Close::bad_message("text that is not UTF-8")),
        _ => Incoming::Gone,
    }
}

/// Reads from the connection; what tungstenite writes is captured.
struct Tap {
    read: ReadHalf<Connection>,
    captured: Vec<u8>,
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(context, buffer)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.captured.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
