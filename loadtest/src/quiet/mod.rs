//! A websocket that says nothing but pong and costs a few hundred bytes: eight thousand of them must not
//! be what the machine's memory is spent on.
//!
//! Invariant: bytes are read into a buffer on the stack that no waiting socket holds. Absent: TLS,
//! compression, anything that a silent watcher does not need (see `subscriber` for one that looks closely).

mod frames;

use crate::socket::PONG;
use crate::wire::StreamMessage;
use frames::{Frame, Frames, Kind, encode};
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Of one read; on the stack, while it is looked at.
const READ_BYTES: usize = 4_096;
/// The longest answer to the handshake.
const ANSWER_BYTES_MAX: usize = 8_192;
/// How long the upgrade may take.
const OPEN_SECONDS_MAX: u64 = 30;
/// The key's only purpose is an answer that no cache can know; nothing lies between us and the server.
const KEY: &str = "bG90a2VlcGVyLWxvYWQhIQ==";

/// A silent websocket.
#[derive(Debug)]
pub struct Quiet {
    stream: TcpStream,
    frames: Frames,
}

/// Why one did not open.
#[derive(Debug, PartialEq, Eq)]
pub enum OpenFault {
    /// The server asked for patience.
    Busy { status: u16, retry_after_seconds: u64 },
    /// Anything else.
    Other(String),
}

/// What came since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// A snapshot or the first figures: the subscription stands.
    pub has_picture: bool,
    /// The highest sequence of changes or figures.
    pub seq: u64,
    /// Pings of the interface that want an answer.
    pub pings: u32,
    /// Pings of the protocol that want an answer.
    pub protocol_pings: u32,
    /// Answers to our own pings.
    pub pongs: u32,
}

impl Quiet {
    /// Opens `ws://ADDR/PATH`.
    pub async fn open(addr: SocketAddr, path: &str, token: &str) -> Result<Self, OpenFault> {
        let opening = async {
            let stream = TcpStream::connect(addr).await?;
            stream.set_nodelay(true)?;
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nAuthorization: Bearer {token}\r\n\r\n"
            );
            write_all(&stream, request.as_bytes()).await?;
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                // One byte behind the answer would belong to the first frame: none is sent unasked but a
                // ping, a good while later.
                stream.readable().await?;
                read_some(&stream, |bytes| answer.extend_from_slice(bytes))?;
                if answer.len() > ANSWER_BYTES_MAX {
                    break;
                }
            }
            Ok::<_, Error>((stream, answer))
        };
        let opened = timeout(Duration::from_secs(OPEN_SECONDS_MAX), opening).await;
        let late = || OpenFault::Other(format!("no answer within {OPEN_SECONDS_MAX} s"));
        let (stream, answer) = opened
            .map_err(|_| late())?
            .map_err(|error| OpenFault::Other(format!("cannot connect: {error}")))?;
        judge(&String::from_utf8_lossy(&answer))?;
        Ok(Self { stream, frames: Frames::default() })
    }

    /// Asks for a lot.
    pub async fn subscribe(&self, lot: &str, view: &str) -> Result<(), String> {
        let text = format!(r#"{{"op":"subscribe","id":1,"lot":"{lot}","view":"{view}"}}"#);
        self.send(Kind::Text, text.as_bytes()).await
    }

    /// Sends a ping of the protocol, which any websocket must answer.
    pub async fn ping(&self) -> Result<(), String> {
        self.send(Kind::Ping, b"").await
    }

    /// Waits for bytes, looks at them, answers pings. An error means that the socket has ended.
    pub async fn next(&mut self) -> Result<News, String> {
        // Waiting is all that may be given up half-way: from here on nothing waits but the answer.
        self.stream.readable().await.map_err(|error| error.to_string())?;
        let news = self.take()?;
        for _ in 0..news.pings {
            self.send(Kind::Text, PONG.as_bytes()).await?;
        }
        for _ in 0..news.protocol_pings {
            self.send(Kind::Pong, b"").await?;
        }
        Ok(news)
    }

    fn take(&mut self) -> Result<News, String> {
        let mut news = News::default();
        let mut fed = Ok(());
        let frames = &mut self.frames;
        read_some(&self.stream, |bytes| fed = frames.feed(bytes, |frame| news.hear(frame)))
            .map_err(|error| error.to_string())?;
        fed.map(|()| news)
    }

    async fn send(&self, kind: Kind, payload: &[u8]) -> Result<(), String> {
        let frame = encode(kind, payload, rand::random());
        write_all(&self.stream, &frame).await.map_err(|error| error.to_string())
    }
}

impl News {
    fn hear(&mut self, frame: Frame<'_>) -> Result<(), String> {
        match frame.kind {
            Kind::Text => return self.read(frame),
            Kind::Ping => self.protocol_pings += 1,
            Kind::Pong => self.pongs += 1,
            Kind::Close => {
                let (code, reason) = frame.payload.split_at_checked(2).unwrap_or_default();
                let code = code.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
                return Err(format!("closed with {code} {}", String::from_utf8_lossy(reason)));
            }
        }
        Ok(())
    }

    fn read(&mut self, frame: Frame<'_>) -> Result<(), String> {
        let text = String::from_utf8_lossy(frame.payload);
        if frame.is_cut {
            // Only a whole picture is longer than what is kept, and that it came is all we ask.
            self.has_picture = true;
            let is_snapshot = text.contains(r#""op":"snapshot""#);
            return if is_snapshot { Ok(()) } else { Err(format!("a long message: {text}")) };
        }
        let message: StreamMessage<'_> = serde_json::from_str(&text)
            .map_err(|error| format!("unreadable message ({error}): {text}"))?;
        match message.op {
            "subscribed" => {}
            "snapshot" => self.has_picture = true,
            "changes" => self.seq = self.seq.max(message.seq),
            "counts" => {
                self.has_picture = true;
                self.seq = self.seq.max(message.seq);
            }
            "ping" => self.pings += 1,
            _ => return Err(format!("unexpected message: {text}")),
        }
        Ok(())
    }
}

/// Whether the answer is the one that opens a websocket.
fn judge(answer: &str) -> Result<(), OpenFault> {
    let mut lines = answer.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status: u16 = first.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let header = |name: &str| {
        lines.clone().filter_map(|line| line.split_once(':')).find_map(|(key, value)| {
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_string())
        })
    };
    match (status, header("Retry-After").and_then(|seconds| seconds.parse().ok())) {
        (101, _) if header("Sec-WebSocket-Accept") == Some(derive_accept_key(KEY.as_bytes())) => {
            Ok(())
        }
        (429 | 503, Some(retry_after_seconds)) => {
            Err(OpenFault::Busy { status, retry_after_seconds })
        }
        _ => Err(OpenFault::Other(format!("the upgrade was answered with `{first}`"))),
    }
}

/// Reads what is there; nothing is no error, the end is one.
fn read_some(stream: &TcpStream, take: impl FnOnce(&[u8])) -> Result<(), Error> {
    let mut buffer = [0; READ_BYTES];
    match stream.try_read(&mut buffer) {
        Ok(0) => Err(Error::new(ErrorKind::UnexpectedEof, "closed without a reason")),
        Ok(read) => {
            take(&buffer[..read]);
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> Result<(), Error> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(kind: Kind, payload: &[u8], is_cut: bool) -> Result<News, String> {
        let mut news = News::default();
        news.hear(Frame { kind, payload, is_cut }).map(|()| news)
    }

    #[test]
    fn a_silent_socket_understands_what_a_watcher_is_told() {
        for (text, expected) in [
            (
                r#"{"op":"subscribed","id":1,"lot":"L","epoch":"e","seq":7,"recovered":false}"#,
                News::default(),
            ),
            (
                r#"{"op":"snapshot","lot":"L","epoch":"e","seq":7,"slots":[]}"#,
                News { has_picture: true, ..News::default() },
            ),
            (
                r#"{"op":"changes","lot":"L","epoch":"e","from":8,"seq":9,"changes":[]}"#,
                News { seq: 9, ..News::default() },
            ),
            (
                r#"{"op":"counts","lot":"L","epoch":"e","seq":9,"by_zone":{}}"#,
                News { has_picture: true, seq: 9, ..News::default() },
            ),
            (r#"{"op":"ping","at":"x","lots":{"L":9}}"#, News { pings: 1, ..News::default() }),
        ] {
            assert_eq!(hear(Kind::Text, text.as_bytes(), false), Ok(expected), "{text}");
        }
        let cut = br#"{"op":"snapshot","lot":"L","slots":[{"slot"#;
        assert!(hear(Kind::Text, cut, true).unwrap().has_picture);
        assert_eq!(hear(Kind::Pong, b"", false).unwrap().pongs, 1);
    }

    #[test]
    fn what_ends_a_socket_is_said() {
        for (kind, payload, is_cut, said) in [
            (Kind::Close, b"\x11\x94missed".as_slice(), false, "closed with 4500 missed"),
            (Kind::Close, b"", false, "closed with 0"),
            (Kind::Text, br#"{"op":"error","code":"lot_not_found"}"#, false, "lot_not_found"),
            (Kind::Text, br#"{"op":"changes","#, true, "a long message"),
            (Kind::Text, b"[", false, "unreadable"),
        ] {
            let error = hear(kind, payload, is_cut).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn only_the_right_answer_opens_a_socket() {
        let accept = derive_accept_key(KEY.as_bytes());
        let good =
            format!("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {accept}\r\n\r\n");
        assert_eq!(judge(&good), Ok(()));
        let busy = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\n\r\n";
        assert_eq!(judge(busy), Err(OpenFault::Busy { status: 503, retry_after_seconds: 2 }));
        for bad in [&good.replace(&accept, "x"), "HTTP/1.1 401 Unauthorized\r\n\r\n", ""] {
            assert!(matches!(judge(bad), Err(OpenFault::Other(_))), "{bad}");
        }
    }
}
