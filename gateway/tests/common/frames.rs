//! Websocket frames written and read by hand: what no client library would send.
#![allow(dead_code)] // each test binary uses its part
#![allow(clippy::unwrap_used)] // tests state what they expect

use std::net::SocketAddr;

use lotkeeper_gateway::auth::Role;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::token;

/// The key of the example in RFC 6455.
pub const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

/// A connection after a handshake by hand, as staff.
pub async fn shaken(address: SocketAddr, path: &str) -> TcpStream {
    let bearer = format!("Authorization: Bearer {}\r\n", token(Role::Staff));
    shaken_over(TcpStream::connect(address).await.unwrap(), path, &bearer).await
}

/// A handshake by hand over a connection, with further header lines.
pub async fn shaken_over(mut stream: TcpStream, path: &str, lines: &str) -> TcpStream {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\n{KEY}\r\n{lines}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    // The answer that RFC 6455 computes for its own example.
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    stream
}

/// A client frame: masked with zeros, so that the payload stays readable.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// The close code the server sends; nothing when the connection ends without one.
pub async fn close_code(stream: &mut (impl AsyncRead + Unpin)) -> Option<u16> {
    loop {
        let first = stream.read_u8().await.ok()?;
        let length = match stream.read_u8().await.ok()? {
            126 => usize::from(stream.read_u16().await.ok()?),
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.ok()?;
        if first == 0x88 {
            return Some(u16::from_be_bytes([*payload.first()?, *payload.get(1)?]));
        }
    }
}
