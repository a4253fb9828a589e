//! The ingest websocket, `GET /api/v1/ingest`.
//!
//! Batches go out with [`IngestClient::send_readings`] and [`IngestClient::send_count`], answers
//! come back through [`IngestClient::next`] in whatever order the server makes them durable.
//! Pings are answered inside `next`, so a caller that waits for answers keeps the socket alive.
//!
//! `next` is cancel-safe: dropped while waiting it loses no answer. The sends are not: a dropped
//! send may have gone out or not, and the batch has to be treated as unanswered.
//!
//! Absent on purpose: numbering, windows and resending. Those are the caller's policy.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message as Frame, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::wire::{ErrorMessage, Incoming, Message, Readings};
use super::{Answer, BatchError, Client, Count, Error, Reading, http};

const PATH: &str = "/api/v1/ingest";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Acks are small; the default of 128 KiB per socket would be spent for nothing.
const READ_BUFFER_BYTES: usize = 4 * 1024;
const WRITE_BUFFER_BYTES: usize = 64 * 1024;
/// One ack names at most 10,000 refused readings, about 50 bytes each.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// The server's own limit of a message (docs/ingest.md); the buffer holds one and some.
const WRITE_BUFFER_BYTES_MAX: usize = WRITE_BUFFER_BYTES + 2 * 1024 * 1024;

/// A connected ingest socket.
#[derive(Debug)]
pub struct IngestClient {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// A ping was read and its pong is not out yet; survives a cancelled `next`.
    pong_due: bool,
}

impl IngestClient {
    /// Connects with the address of `client` and a token.
    pub async fn connect(client: &Client, token: &str) -> Result<Self, Error> {
        let address = client.endpoint().websocket(PATH);
        let action = format!("opening {address}");
        let mut request = address
            .as_str()
            .into_client_request()
            .map_err(|error| Error::from_handshake(&action, &error))?;
        request.headers_mut().insert("authorization", http::bearer(token)?);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        // Batches are whole messages already: waiting to fill a packet only delays the last one.
        let disable_nagle = true;
        let connecting =
            tokio_tungstenite::connect_async_with_config(request, Some(config), disable_nagle);
        let (socket, _response) = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| Error::Unreachable {
                action: action.clone(),
                reason: format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
            })?
            .map_err(|error| Error::from_handshake(&action, &error))?;
        Ok(Self { socket, pong_due: false })
    }

    /// Sends one batch of readings of one lot; at most 10,000 and 1 MiB as JSON.
    pub async fn send_readings(
        &mut self,
        batch: u64,
        lot: &str,
        readings: &[Reading<'_>],
    ) -> Result<(), Error> {
        self.send(&Message { op: "readings", batch, lot, body: Readings { readings } }).await
    }

    /// Sends one count of one lot.
    pub async fn send_count(&mut self, batch: u64, lot: &str, count: Count) -> Result<(), Error> {
        self.send(&Message { op: "counts", batch, lot, body: count }).await
    }

    /// Waits for the next answer to a batch.
    pub async fn next(&mut self) -> Result<Answer, Error> {
        loop {
            if self.pong_due {
                self.send(&serde_json::json!({"op": "pong"})).await?;
                self.pong_due = false;
            }
            let Some(frame) = self.socket.next().await else {
                return Err(Error::Closed { code: None, reason: "the stream ended".to_owned() });
            };
            match frame.map_err(|error| Error::from_socket(&error))? {
                Frame::Text(text) => {
                    if let Some(answer) = self.read(&text)? {
                        return Ok(answer);
                    }
                }
                Frame::Close(frame) => {
                    return Err(Error::Closed {
                        code: frame.as_ref().map(|frame| frame.code.into()),
                        reason: frame.map(|frame| frame.reason.to_string()).unwrap_or_default(),
                    });
                }
                // Pongs of the protocol itself are tungstenite's work.
                Frame::Ping(_) | Frame::Pong(_) | Frame::Binary(_) | Frame::Frame(_) => {}
            }
        }
    }

    /// Closes in good order and waits for the server's close, for at most a few seconds.
    pub async fn close(mut self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        let farewell = async {
            // The other side may be gone already: then it is closed, which is what was wanted.
            if self.socket.close(None).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        let _ = tokio::time::timeout(PATIENCE, farewell).await;
    }

    fn read(&mut self, text: &Utf8Bytes) -> Result<Option<Answer>, Error> {
        let incoming = serde_json::from_str(text).map_err(|error| Error::Answer {
            action: "the ingest socket".to_owned(),
            reason: format!("{error} in {text:.200}"),
        })?;
        match incoming {
            Incoming::Ack(ack) => Ok(Some(Answer::Ack(ack))),
            Incoming::Error(ErrorMessage { batch: Some(batch), code, detail, retry_after_ms }) => {
                Ok(Some(Answer::Error(BatchError { batch, code, detail, retry_after_ms })))
            }
            Incoming::Error(ErrorMessage { code, detail, .. }) => Err(Error::Answer {
                action: "the ingest socket".to_owned(),
                reason: format!("error {code} that concerns no batch: {detail}"),
            }),
            Incoming::Ping {} => {
                self.pong_due = true;
                Ok(None)
            }
            Incoming::Unknown => Ok(None),
        }
    }

    async fn send(&mut self, message: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string(message).map_err(|error| Error::Answer {
            action: "the ingest socket".to_owned(),
            reason: format!("a message could not be written: {error}"),
        })?;
        self.socket.send(Frame::Text(text.into())).await.map_err(|error| Error::from_socket(&error))
    }
}
