//! A websocket client for tests, and a reader that checks what a stream promises.
//!
//! Every wait has a deadline. Nothing is answered behind the test's back except pings, and those only
//! while [`Socket::answer_pings`] is set.
#![allow(dead_code)] // each test binary uses its part
#![allow(clippy::unwrap_used)] // tests state what they expect

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Beyond it a test has failed; long enough for a slow machine that does other things as well.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Where the token goes.
#[derive(Clone, Copy)]
pub enum Token<'a> {
    /// `Authorization`.
    Header(&'a str),
    /// Subprotocol `bearer.<token>`.
    Protocol(&'a str),
    /// Nowhere.
    None,
}

/// What came.
#[derive(Debug)]
pub enum Event {
    /// A text message.
    Text(String),
    /// The server closed, with code and reason.
    Closed(u16, String),
    /// The connection ended without a word.
    Gone,
}

/// One client socket.
pub struct Socket {
    inner: WebSocketStream<TcpStream>,
    /// Whether the server's pings are answered.
    pub answer_pings: bool,
    /// The subprotocol the server chose.
    pub protocol: Option<String>,
}

/// A request that was refused: status and body.
pub type Refused = (u16, Value);

impl Socket {
    /// Opens `path` on `address`.
    pub async fn open(address: SocketAddr, path: &str, token: Token<'_>) -> Result<Self, Refused> {
        let stream = tokio::time::timeout(DEADLINE, TcpStream::connect(address)).await.unwrap();
        Self::over(stream.unwrap(), path, token).await
    }

    /// The same with a receive buffer so small that a reader who does not read is soon felt.
    pub async fn open_narrow(address: SocketAddr, path: &str, token: Token<'_>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(2_048).unwrap();
        let stream = socket.connect(address).await.unwrap();
        Self::over(stream, path, token).await.unwrap()
    }

    /// Opens `path` on a server that may be down or go down: nothing if it did not work.
    pub async fn try_open(address: SocketAddr, path: &str, token: Token<'_>) -> Option<Self> {
        let opening = async {
            let stream = TcpStream::connect(address).await.ok()?;
            let request = request(address, path, token);
            let (inner, _response) = client_async(request, stream).await.ok()?;
            Some(Self { inner, answer_pings: true, protocol: None })
        };
        tokio::time::timeout(DEADLINE, opening).await.ok()?
    }

    async fn over(stream: TcpStream, path: &str, token: Token<'_>) -> Result<Self, Refused> {
        stream.set_nodelay(true).unwrap();
        let request = request(stream.peer_addr().unwrap(), path, token);
        let opened = tokio::time::timeout(DEADLINE, client_async(request, stream)).await.unwrap();
        match opened {
            Ok((inner, response)) => {
                let protocol = response.headers().get("sec-websocket-protocol");
                let protocol = protocol.map(|value| value.to_str().unwrap().to_owned());
                Ok(Self { inner, answer_pings: true, protocol })
            }
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                let body = serde_json::from_slice(body).unwrap_or(Value::Null);
                Err((response.status().as_u16(), body))
            }
            Err(error) => panic!("the handshake failed: {error}"),
        }
    }

    /// Sends one message.
    pub async fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string()).await;
    }

    /// Sends any text.
    pub async fn send_text(&mut self, text: &str) {
        assert!(self.try_send(Message::text(text)).await, "the socket is closed");
    }

    /// Sends any frame; whether the connection took it.
    pub async fn try_send(&mut self, message: Message) -> bool {
        tokio::time::timeout(DEADLINE, self.inner.send(message)).await.unwrap().is_ok()
    }

    /// What comes next, pings included.
    pub async fn event(&mut self) -> Event {
        loop {
            let next = tokio::time::timeout(DEADLINE, self.inner.next()).await;
            match next.expect("nothing came before the deadline") {
                Some(Ok(Message::Text(text))) => {
                    let text = text.to_string();
                    if self.answer_pings && text.starts_with(PING) {
                        let _closing = self.try_send(Message::text(r#"{"op":"pong"}"#)).await;
                    }
                    return Event::Text(text);
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Event::Closed(frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Event::Gone,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The text of the next message that is not a ping.
    #[track_caller]
    pub fn text(&mut self) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        let reading = async move {
            loop {
                match self.event().await {
                    Event::Text(text) if text.starts_with(PING) => {}
                    Event::Text(text) => return text,
                    other => panic!("{caller}: a message was expected, {other:?} came"),
                }
            }
        };
        // Pings come for ever: each wait has its end, and all of them together have one.
        async move { in_time(caller, "a message", reading).await }
    }

    /// The next message that is not a ping.
    #[track_caller]
    pub fn message(&mut self) -> impl Future<Output = Value> {
        let text = self.text();
        async { serde_json::from_str(&text.await).unwrap() }
    }

    /// The next message that is not a ping; checks its `op`.
    #[track_caller]
    pub fn expect(&mut self, op: &str) -> impl Future<Output = Value> {
        let (caller, message) = (std::panic::Location::caller(), self.message());
        async move {
            let message = message.await;
            assert_eq!(message["op"], op, "{caller}: {message}");
            message
        }
    }

    /// The next ping.
    #[track_caller]
    pub fn ping(&mut self) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        let reading = async move {
            loop {
                match self.event().await {
                    Event::Text(text) if text.starts_with(PING) => {
                        return serde_json::from_str(&text).unwrap();
                    }
                    Event::Text(_) => {}
                    other => panic!("{caller}: a ping was expected, {other:?} came"),
                }
            }
        };
        async move { in_time(caller, "a ping", reading).await }
    }

    /// Reads on until the server closes: code and reason.
    #[track_caller]
    pub fn closed(&mut self) -> impl Future<Output = (u16, String)> {
        let caller = std::panic::Location::caller();
        let reading = async move {
            loop {
                match self.event().await {
                    Event::Text(_) => {}
                    Event::Closed(code, reason) => return (code, reason),
                    Event::Gone => panic!("{caller}: the connection ended without a close code"),
                }
            }
        };
        async move { in_time(caller, "a close", reading).await }
    }

    /// Both halves, for tests that send without waiting.
    pub fn into_inner(self) -> WebSocketStream<TcpStream> {
        self.inner
    }
}

/// How a ping begins.
const PING: &str = r#"{"op":"ping""#;

async fn in_time<T>(
    caller: &'static std::panic::Location<'static>,
    what: &str,
    wait: impl Future<Output = T>,
) -> T {
    let waited = tokio::time::timeout(DEADLINE, wait).await;
    waited.unwrap_or_else(|_| panic!("{caller}: {what} was expected within {DEADLINE:?}"))
}

fn request(address: SocketAddr, path: &str, token: Token<'_>) -> Request {
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    let headers = request.headers_mut();
    match token {
        Token::Header(token) => {
            headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        Token::Protocol(token) => {
            let protocols = format!("bearer.{token}").parse().unwrap();
            headers.insert("sec-websocket-protocol", protocols);
        }
        Token::None => {}
    }
    request
}

/// What a reader of one lot's slots knows; taking a message checks that nothing is missing or twice.
#[derive(Debug, Default)]
pub struct Follower {
    /// Code of the lot.
    pub lot: String,
    /// History it follows.
    pub epoch: String,
    /// The last sequence it has.
    pub seq: u64,
    /// Status of every slot.
    pub statuses: BTreeMap<String, String>,
    /// Entries taken.
    pub entries: u64,
    /// Snapshots taken.
    pub snapshots: u64,
}

impl Follower {
    /// A reader that knows nothing.
    pub fn new(lot: &str) -> Self {
        Self { lot: lot.to_owned(), ..Self::default() }
    }

    /// Subscribes, resuming when it knows something; the `subscribed` or `error` that came.
    pub async fn subscribe(&mut self, socket: &mut Socket) -> Value {
        self.try_subscribe(socket).await.expect("the server is there")
    }

    /// The same with a server that may go down; nothing if it did.
    pub async fn try_subscribe(&mut self, socket: &mut Socket) -> Option<Value> {
        let mut request = json!({"op": "subscribe", "id": 7, "lot": self.lot, "view": "slots"});
        if !self.epoch.is_empty() {
            request["after"] = json!({"epoch": self.epoch, "seq": self.seq});
        }
        if !socket.try_send(Message::text(request.to_string())).await {
            return None;
        }
        let answer: Value = loop {
            match socket.event().await {
                Event::Text(text) if text.starts_with(PING) => {}
                Event::Text(text) => break serde_json::from_str(&text).unwrap(),
                Event::Closed(..) | Event::Gone => return None,
            }
        };
        assert_eq!(answer["id"], 7, "{answer}");
        if answer["op"] == "subscribed" {
            assert_eq!((&answer["lot"], &answer["view"]), (&json!(self.lot), &json!("slots")));
            if answer["recovered"] == true {
                assert_eq!(answer["epoch"], self.epoch, "recovered from another history");
            }
        }
        Some(answer)
    }

    /// Takes a message of the stream.
    pub fn take(&mut self, message: &Value) {
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{message}"));
        assert_eq!(message["lot"], self.lot, "{message}");
        match message["op"].as_str().unwrap() {
            "snapshot" => {
                self.snapshots += 1;
                self.seq = number(&message["seq"]);
                message["epoch"].as_str().unwrap().clone_into(&mut self.epoch);
                let slots = message["slots"].as_array().unwrap().iter();
                self.statuses = slots.map(|slot| status(slot).unwrap()).collect();
            }
            "changes" => {
                assert_eq!(message["epoch"], self.epoch, "{message}");
                assert_eq!(number(&message["from"]), self.seq + 1, "a gap or a repetition");
                for entry in message["changes"].as_array().unwrap() {
                    assert_eq!(number(&entry["seq"]), self.seq + 1, "a gap or a repetition");
                    self.seq += 1;
                    self.entries += 1;
                    self.statuses.extend(status(entry));
                }
                assert_eq!(number(&message["seq"]), self.seq, "`seq` is not the last entry's");
            }
            other => panic!("{other} is not for a reader of slots: {message}"),
        }
    }

    /// Reads until it has `seq`.
    pub async fn follow_to(&mut self, socket: &mut Socket, seq: u64) {
        while self.seq < seq {
            let message = socket.message().await;
            self.take(&message);
        }
    }
}

fn status(entry: &Value) -> Option<(String, String)> {
    let slot = entry["slot"].as_str()?.to_owned();
    Some((slot, entry["status"].as_str().expect("a slot has a status").to_owned()))
}
