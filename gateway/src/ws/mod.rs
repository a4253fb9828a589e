//! What both websockets share: the handshake, frames, the socket, close codes, who is on the other end.
//!
//! tungstenite decodes; the write half is ours alone, so that many changes leave in one write and no
//! library answer lands in the middle of a frame. Absent: what the messages mean.

pub mod close;
pub mod entry;
pub mod frame;
pub mod handshake;
pub mod socket;
