//! A server as its own process, and what is looked at while somebody does their worst to it: whether it answers
//! others, what memory it takes at most, and whether every file handle comes back.
#![allow(dead_code)] // each test binary uses its part
#![allow(clippy::unwrap_used)] // tests state what they expect

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lotkeeper_gateway::auth::Role;
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::common::{self, Answer, KEY, Process, token};

/// Beyond it a test has failed; long enough for a slow machine that does other things as well.
pub const DEADLINE: Duration = Duration::from_secs(30);
const MIB: u64 = 1024 * 1024;

/// A server under attack.
pub struct Victim {
    /// Where it listens.
    pub address: SocketAddr,
    process: Process,
    /// File handles before anybody came.
    handles: usize,
    _directory: TempDir,
}

impl Victim {
    /// Starts one with settings (`LOTKEEPER_...`); nothing is limited per hour.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = common::binary();
        command.envs([
            ("LOTKEEPER_AUTH_KEY", KEY),
            ("LOTKEEPER_STORAGE_FREE_SPACE_FLOOR_BYTES", "0"),
            ("LOTKEEPER_RATE_ANONYMOUS_PER_HOUR", "0"),
            ("LOTKEEPER_RATE_DRIVER_PER_HOUR", "0"),
            ("LOTKEEPER_LOG", "error"),
        ]);
        command.envs(settings.iter().copied());
        let process = Process::start_command(command, &directory.path().join("data"));
        let address = process.address;
        let mut victim = Self { address, process, handles: 0, _directory: directory };
        // What is opened once, by the first request of all, is not somebody's leak.
        victim.lives().await;
        victim.handles = victim.count_handles();
        victim
    }

    /// A request as a role of the default tenant.
    pub async fn send(
        &self,
        role: Role,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        self.process.send(method, path, Some(&token(role)), body).await
    }

    /// Others are answered.
    pub async fn lives(&self) {
        let answered = async {
            let probe = exchange(self.address, b"GET /livez HTTP/1.0\r\n\r\n").await;
            assert!(probe.starts_with("HTTP/1.0 200"), "{probe}");
            let lots = self.send(Role::Staff, Method::GET, "/api/v1/lots", None).await;
            assert_eq!(lots.status, 200, "{}", lots.text);
        };
        tokio::time::timeout(DEADLINE, answered).await.expect("others are answered");
    }

    /// The memory it has; [`Victim::grew_by_less_than`] looks at the most that it has from here on.
    pub fn forget_peak(&self) -> u64 {
        let path = format!("/proc/{}/clear_refs", self.process.id());
        std::fs::write(path, "5").unwrap();
        self.status("VmRSS:")
    }

    fn status(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    fn count_handles(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    /// Memory did not grow by more than so much since it was `before`, at no moment.
    #[track_caller]
    pub fn grew_by_less_than(&self, before: u64, mebibytes: u64, what: &str) {
        let grown = self.status("VmHWM:").saturating_sub(before);
        println!("{what}: at most {} KiB more memory", grown / 1024);
        assert!(
            grown < mebibytes * MIB,
            "{what}: {} MiB more, {mebibytes} are allowed",
            grown / MIB
        );
    }

    /// All file handles come back: every connection has ended on the server's side too.
    pub async fn settles(&self) {
        let began = Instant::now();
        loop {
            let left = self.count_handles().saturating_sub(self.handles);
            if left == 0 {
                break;
            }
            assert!(began.elapsed() < DEADLINE, "{left} file handles do not come back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.lives().await;
    }

    /// It is over: handles come back, memory did not grow by more than so much, and it ends in order.
    pub async fn survived(self, before: u64, mebibytes: u64, what: &str) {
        self.settles().await;
        self.grew_by_less_than(before, mebibytes, what);
        self.stop().await;
    }

    /// Nothing panicked inside, and it ends in order when told.
    pub async fn stop(self) {
        let metrics = self.process.send(Method::GET, "/metrics", None, None).await.text;
        assert!(metrics.contains("lotkeeper_http_panics_total 0"), "{metrics}");
        assert_eq!(self.process.stop(), Some(0));
    }
}

/// Sends bytes as they are and reads until the server ends the connection; everything that came, as text.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    let sending = async {
        // The server may hang up before it has taken everything.
        let _hung_up = write.write_all(bytes).await;
        write
    };
    let reading = async {
        let mut answer = Vec::new();
        let _reset = read.read_to_end(&mut answer).await;
        answer
    };
    let both = async { tokio::join!(sending, reading).1 };
    let answer =
        tokio::time::timeout(DEADLINE, both).await.expect("the server ends the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The statuses of all final answers in a text, in order.
pub fn statuses(text: &str) -> Vec<u16> {
    let answers = text.split("HTTP/1.").skip(1);
    let found = answers.filter_map(|answer| answer.get(2..5)?.parse().ok());
    found.filter(|status| *status >= 200).collect()
}

/// A connection that takes little before the server feels that nobody reads.
pub async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    socket.connect(address).await.unwrap()
}

/// Waits until the server ends a connection; bytes that still come do not matter.
pub async fn ended(stream: &mut TcpStream) {
    let mut unread = vec![0; 65_536];
    let reading = async { while stream.read(&mut unread).await.is_ok_and(|bytes| bytes > 0) {} };
    tokio::time::timeout(DEADLINE, reading).await.expect("the server ends the connection");
}
