//! A connection whose other end takes nothing is given up.
//!
//! Invariant: from the moment the system takes no more of what is to be sent, the client has so long to take all
//! of it, else the connection ends with an error and what was not sent is thrown away. One byte now and then
//! does not help it: the time is for the whole answer. Nothing is copied and no timer runs while clients read.
//! Deliberately absent: time limits for what clients send (hyper has one for headers, requests have theirs).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// A connection with a limit for the patience of its writer.
pub(super) struct Patient {
    stream: TcpStream,
    patience: Duration,
    /// There is one while bytes wait to be taken.
    until: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    pub fn new(stream: TcpStream, patience: Duration) -> Self {
        Self { stream, patience, until: None }
    }

    /// What a write came to, of so many bytes that were offered.
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        offered: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(taken)) if taken == offered => self.until = None,
            // The rest is still to come: the time goes on.
            Poll::Ready(_) => {}
            Poll::Pending => {
                let patience = self.patience;
                let until =
                    self.until.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
                if until.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Err(self.give_up()));
                }
            }
        }
        written
    }

    fn give_up(&self) -> io::Error {
        // Else the system would keep the unsent bytes and offer them for minutes more.
        let reset = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
        if let Err(error) = reset {
            tracing::debug!(%error, "a stalled connection ends without a reset");
        }
        io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing of what is sent to it")
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.judge(context, bytes.len(), written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, pieces);
        this.judge(context, pieces.iter().map(|piece| piece.len()).sum(), written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// More than the system keeps for a socket on its own machine.
    const MUCH: usize = 64 * 1024 * 1024;

    async fn pair(patience: Duration) -> (Patient, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Patient::new(listener.accept().await.unwrap().0, patience), client)
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (mut server, _client) = pair(Duration::from_millis(50)).await;
        let error = server.write_all(&vec![0; MUCH]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_byte_now_and_then_does_not_help() {
        let (mut server, mut client) = pair(Duration::from_millis(50)).await;
        let sipping = async {
            let mut sip = [0; 4_096];
            while client.read(&mut sip).await.is_ok_and(|taken| taken > 0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let pouring = async {
            let written = server.write_all(&vec![0; MUCH]).await;
            drop(server);
            written
        };
        let (written, ()) = tokio::join!(pouring, sipping);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_reads_has_its_patience_anew_for_every_answer() {
        let (mut server, mut client) = pair(Duration::from_secs(30)).await;
        let reading = async {
            let mut taken = vec![0; MUCH];
            client.read_exact(&mut taken).await.unwrap();
        };
        let much = vec![0; MUCH];
        let (written, ()) = tokio::join!(server.write_all(&much), reading);
        written.unwrap();
        assert!(server.until.is_none(), "the time of one answer is not the next one's");
    }
}
