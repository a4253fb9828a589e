//! The real binary as a child that can be killed and started again in the same place.
//!
//! Its port lies below the range from which the system takes ports for outgoing connections: while the
//! server is down no client's own socket can sit on it. A child that is dropped is killed by its id.
#![allow(dead_code)] // each test binary uses its part
#![allow(clippy::unwrap_used)] // tests state what they expect

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::common::{self, Answer, KEY};

const START_DEADLINE: Duration = Duration::from_secs(120);
const STOP_DEADLINE: Duration = Duration::from_secs(60);
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;

/// Where a server lives: its data and its address stay when the process does not.
pub struct Home {
    /// The data directory.
    pub data: PathBuf,
    /// Where it listens, every time.
    pub address: SocketAddr,
    environment: Vec<(&'static str, String)>,
    client: reqwest::Client,
}

/// A running server.
pub struct Running {
    child: Child,
}

impl Home {
    /// A home under `directory` with settings for the server (`LOTKEEPER_...`).
    pub fn new(directory: &Path, settings: &[(&'static str, &str)]) -> Self {
        let own = [
            ("LOTKEEPER_AUTH_KEY", KEY),
            ("LOTKEEPER_STORAGE_FREE_SPACE_FLOOR_BYTES", "0"),
            ("LOTKEEPER_RATE_DRIVER_PER_HOUR", "0"),
            ("LOTKEEPER_LOG", "warn"),
        ];
        let all = own.iter().chain(settings);
        Self {
            data: directory.join("data"),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())),
            environment: all.map(|(name, value)| (*name, (*value).to_owned())).collect(),
            client: reqwest::Client::new(),
        }
    }

    /// Starts the server and waits until it listens.
    pub async fn start(&self) -> Running {
        let mut command = self.command("serve");
        command.arg("--listen").arg(self.address.to_string()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.starts_with("listening on http://") {
                    return true;
                }
            }
            false
        };
        let listens = tokio::time::timeout(START_DEADLINE, listening).await;
        assert_eq!(listens, Ok(true), "the server did not come up; its log is above");
        Running { child }
    }

    /// A command of the binary over this data, with this environment.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::from(common::binary());
        command.arg(name).arg("--data").arg(&self.data);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.kill_on_drop(true);
        command
    }

    /// Runs `lotkeeper check`: whether it is clean, and what it said.
    pub async fn check(&self) -> (bool, String) {
        let output = self.command("check").output().await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// `http://address`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends a request.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Answer {
        self.try_send(method, path, token, body).await.unwrap()
    }

    /// Sends a request to a server that may not be there.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.request(method, format!("{}{path}", self.url()));
        request = request.bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await? })
    }

    /// The newest durable global sequence, when the server is there to ask.
    pub async fn seq(&self) -> Option<u64> {
        let answer = self.try_send(Method::GET, "/metrics", "", None).await.ok()?;
        let line = answer.text.lines().find_map(|line| line.strip_prefix("lotkeeper_seq "));
        line.and_then(|value| value.parse().ok())
    }
}

impl Running {
    /// `kill -9`.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM; the exit code.
    pub async fn stop(mut self) -> Option<i32> {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let ended = tokio::time::timeout(STOP_DEADLINE, self.child.wait()).await;
        ended.expect("ends when it is told to").unwrap().code()
    }

    /// Resident memory, in MiB.
    pub fn memory_mib(&self) -> u64 {
        let id = self.child.id().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() / 1_024
    }

    /// User and system time so far.
    pub fn processor_time(&self) -> Duration {
        let id = self.child.id().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        // The name is in parentheses and may hold anything; after it come fields without surprises.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11..=12].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        let per_second = rustix::param::clock_ticks_per_second();
        Duration::from_millis(ticks * 1_000 / per_second)
    }
}

/// Chance that can be repeated: its seed is printed, and taken from `LOTKEEPER_SEED` when that is set.
pub fn seeded() -> StdRng {
    let given = std::env::var("LOTKEEPER_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| rand::rng().random::<u32>().into());
    eprintln!("LOTKEEPER_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test binaries run side by side: each begins elsewhere.
    let begin = (std::process::id() * 37 % u32::from(PORTS)) as u16;
    for _ in 0..PORTS {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST_PORT + begin.wrapping_add(step) % PORTS;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST_PORT} and {}", FIRST_PORT + PORTS);
}
