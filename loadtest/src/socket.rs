//! Opening a websocket with a token in its header, and the text messages that ours send and answer.

use crate::error::SocketError;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// A websocket on loopback, without TLS.
pub type Socket = WebSocketStream<TcpStream>;

/// How long the upgrade may take.
const OPEN_SECONDS_MAX: u64 = 30;
/// Read buffer per socket: the library's default of 128 KiB would make thousands of subscribers expensive.
const READ_BUFFER_BYTES: usize = 16 << 10;
/// Batches are gathered up to this before they are written.
const WRITE_BUFFER_BYTES: usize = 64 << 10;
/// The largest snapshot: 10,000 slots of a few hundred bytes.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// The answer to the server's ping, on both sockets.
pub const PONG: &str = r#"{"op":"pong"}"#;

/// Opens `ws://ADDR/PATH`.
pub async fn open(addr: SocketAddr, path: &str, token: &str) -> Result<Socket, SocketError> {
    open_over(TcpStream::connect(addr), addr, path, token).await
}

/// The same over a connection that comes.
pub async fn open_over(
    connection: impl Future<Output = std::io::Result<TcpStream>>,
    addr: SocketAddr,
    path: &str,
    token: &str,
) -> Result<Socket, SocketError> {
    let connecting = async {
        let stream = connection.await?;
        stream.set_nodelay(true)?;
        let mut request = format!("ws://{addr}{path}").into_client_request().map_err(Box::new)?;
        let bearer = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|invalid| Box::new(Error::HttpFormat(invalid.into())))?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let (socket, _) =
            client_async_with_config(request, stream, Some(config)).await.map_err(Box::new)?;
        Ok(socket)
    };
    timeout(Duration::from_secs(OPEN_SECONDS_MAX), connecting)
        .await
        .unwrap_or(Err(SocketError::Timeout(OPEN_SECONDS_MAX)))
}

/// What a message that is not text means to our sockets.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing to do.
    Nothing,
    /// The socket ended; why, in a few words.
    Closed(String),
}

/// Judges anything but a text message.
pub fn judge(message: Option<Result<Message, Error>>) -> Event {
    match message {
        None => Event::Closed("closed without a reason".into()),
        Some(Err(error)) => Event::Closed(format!("broke: {error}")),
        Some(Ok(Message::Close(None))) => Event::Closed("closed without a code".into()),
        Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => {
            Event::Closed(format!("closed with {} {reason}", u16::from(code)).trim_end().into())
        }
        Some(Ok(
            Message::Text(_)
            | Message::Binary(_)
            | Message::Ping(_)
            | Message::Pong(_)
            | Message::Frame(_),
        )) => Event::Nothing,
    }
}
