//! Opening the sockets of a swarm: blocking, one after the other, before the clock runs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a server may take to answer an upgrade.
const ANSWER_SECONDS_MAX: u64 = 30;
/// The longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// The longest answer to a subscription: a snapshot of 10,000 slots.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Any sixteen bytes: what comes back is not looked at, the status is.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A connection with what it already said.
pub type Opened = (TcpStream, Vec<u8>);

/// A connection without a protocol yet.
pub fn plain(addr: SocketAddr) -> Result<TcpStream, String> {
    let prepare = || {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(ANSWER_SECONDS_MAX)))?;
        Ok(stream)
    };
    prepare().map_err(|error: std::io::Error| format!("cannot connect to {addr}: {error}"))
}

/// A websocket; `headers` are further lines of the request, each with its line end.
pub fn websocket(addr: SocketAddr, path: &str, headers: &str) -> Result<Opened, String> {
    let mut stream = plain(addr)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{headers}\r\n"
    );
    let failed = |error| format!("upgrade of {path} at {addr}: {error}");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut head = Vec::new();
    let mut chunk = [0; 4 << 10];
    let end = loop {
        if let Some(at) = memchr::memmem::find(&head, b"\r\n\r\n") {
            break at + 4;
        }
        let read = stream.read(&mut chunk).map_err(failed)?;
        if read == 0 || head.len() > HEAD_BYTES_MAX {
            return Err(format!("upgrade of {path} at {addr}: {}", first_line(&head)));
        }
        head.extend_from_slice(&chunk[..read]);
    };
    if !head.starts_with(b"HTTP/1.1 101") {
        return Err(format!("upgrade of {path} at {addr}: {}", first_line(&head)));
    }
    let rest = head.split_off(end);
    Ok((stream, rest))
}

/// Says something and reads until the answer is there, so that nothing is published before everybody listens.
pub fn until(opened: &mut Opened, saying: &[u8], answer: &[u8]) -> Result<(), String> {
    let (stream, heard) = opened;
    let failed = |error: std::io::Error| format!("subscribing: {error}");
    stream.write_all(saying).map_err(failed)?;
    let mut chunk = [0; 4 << 10];
    while memchr::memmem::find(heard, answer).is_none() {
        let read = stream.read(&mut chunk).map_err(failed)?;
        if read == 0 || heard.len() > ANSWER_BYTES_MAX {
            let said = String::from_utf8_lossy(&heard[..heard.len().min(200)]);
            return Err(format!("subscribing was answered `{said}`"));
        }
        heard.extend_from_slice(&chunk[..read]);
    }
    Ok(())
}

fn first_line(head: &[u8]) -> String {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    format!("answered `{}`", String::from_utf8_lossy(line))
}
