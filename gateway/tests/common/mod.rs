//! Real servers for tests: one inside the test's process, one as the real binary; tokens and requests.
//!
//! Every server has its own temporary directory and a port of the system's choice, so tests run side by
//! side and leave nothing behind. End a server with `stop().await`: it drains and removes its directory.
#![allow(dead_code)] // each test binary uses its part
#![allow(clippy::unwrap_used)] // tests state what they expect

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lotkeeper_actors::Clock;
use lotkeeper_engine::time::Timestamp;
use lotkeeper_gateway::auth::{Auth, Grant, Role};
use lotkeeper_gateway::config::Config;
use lotkeeper_gateway::serve::{self, Running};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

/// Signs the tokens of all test servers.
pub const KEY: &str = "a key that is known to the tests only";
/// The tenant of tokens that name none.
pub const TENANT: &str = "default";
const START_SECONDS_MAX: u64 = 60;
const STOP_SECONDS_MAX: u64 = 60;

/// A server inside this process.
pub struct Server {
    /// The running server; its `app` is the server's own state.
    pub running: Running,
    /// Its data.
    pub directory: TempDir,
    client: reqwest::Client,
}

/// A server as its own process.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    client: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error} in {} {:?}", self.status, self.text))
    }

    /// The problem's code; checks that it is a problem with this status.
    #[track_caller]
    pub fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16(), "{self:?}");
        assert_eq!(problem["request_id"], self.headers["x-request-id"].to_str().unwrap());
        problem["code"].as_str().unwrap().to_owned()
    }

    /// The body as JSON, when the status is as it should be.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }
}

/// The configuration of test servers over `data`.
pub fn config(data: &Path) -> Config {
    let mut config = Config::default();
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.server.shutdown = Duration::from_secs(5);
    config.storage.data = data.join("data");
    // Small machines run tests too.
    config.storage.free_space_floor_bytes = 0;
    config.auth.key = Some(KEY.to_owned());
    config
}

impl Server {
    /// Starts one with test defaults.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts one with a changed configuration.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), change).await
    }

    /// Starts one over the data of another.
    pub async fn start_in(directory: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        Self::start_by(directory, change, Clock::system).await
    }

    /// Starts one whose time is the one of the last argument.
    pub async fn start_by(
        directory: TempDir,
        change: impl FnOnce(&mut Config),
        clock: impl FnOnce(Timestamp) -> Clock,
    ) -> Self {
        let mut config = config(directory.path());
        change(&mut config);
        let running = serve::start_by(config, clock).await.unwrap();
        Self { running, directory, client: reqwest::Client::new() }
    }

    /// Ends it in order; its data can be served again.
    pub async fn stop(self) -> TempDir {
        self.running.stop().await;
        self.directory
    }

    /// `http://address` and a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address)
    }

    /// `ws://address` and a path.
    pub fn websocket_url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.running.address)
    }

    /// Sends a request.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        send(&self.client, method, self.url(path), token, body).await
    }

    /// GET as a role of the default tenant.
    pub async fn get(&self, role: Role, path: &str) -> Answer {
        self.send(Method::GET, path, Some(&token(role)), None).await
    }

    /// POST as a role of the default tenant.
    pub async fn post(&self, role: Role, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(&token(role)), Some(body)).await
    }

    /// PATCH as a role of the default tenant.
    pub async fn patch(&self, role: Role, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(&token(role)), Some(body)).await
    }

    /// A request to be built further.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(path))
    }
}

async fn send(
    client: &reqwest::Client,
    method: Method,
    url: String,
    token: Option<&str>,
    body: Option<&Value>,
) -> Answer {
    let mut request = client.request(method, url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    read(request).await
}

/// Sends a request and reads the answer to its end.
pub async fn read(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

/// A token of the default tenant; the subject is the role's name.
pub fn token(role: Role) -> String {
    mint(&grant(role))
}

/// A token for one of several people of a role.
pub fn token_of(role: Role, subject: &str) -> String {
    mint(&Grant { subject: subject.to_owned(), ..grant(role) })
}

/// What [`token`] grants, to be changed.
pub fn grant(role: Role) -> Grant {
    Grant {
        subject: role.name().to_owned(),
        tenant: TENANT.to_owned(),
        role,
        lots: None,
        ttl_seconds: 3_600,
    }
}

/// Any token that test servers take.
pub fn mint(grant: &Grant) -> String {
    Auth::new(&[KEY.to_owned()]).unwrap().mint(grant).unwrap()
}

/// The real binary with nothing of the caller's configuration.
pub fn binary() -> Command {
    hermetic(Command::new(env!("CARGO_BIN_EXE_lotkeeper")))
}

/// A command that sees nothing of the caller's configuration.
pub fn hermetic(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LOTKEEPER_") {
            command.env_remove(name);
        }
    }
    command
}

impl Process {
    /// Starts the real binary over `data` and waits until it listens.
    pub fn start(data: &Path) -> Self {
        let mut command = binary();
        command.env("LOTKEEPER_AUTH_KEY", KEY).env("LOTKEEPER_STORAGE_FREE_SPACE_FLOOR_BYTES", "0");
        Self::start_command(command, data)
    }

    /// The same with a prepared command.
    pub fn start_command(mut command: Command, data: &Path) -> Self {
        command.arg("serve").arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("listening on http://") {
                    let _ = sender.send(address.parse().unwrap());
                }
            }
        });
        let waited = receiver.recv_timeout(Duration::from_secs(START_SECONDS_MAX));
        let Ok(address) = waited else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("no `listening on` within {START_SECONDS_MAX} s; see the log above");
        };
        Self { child, address, client: reqwest::Client::new() }
    }

    /// Sends a request.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        send(&self.client, method, format!("http://{}{path}", self.address), token, body).await
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id()).unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// SIGTERM; the exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    /// Waits for its end; the exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("still running {STOP_SECONDS_MAX} s after it was told to end");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After a failed assertion nothing may stay behind; after `stop` there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a test that needs `what` must run (`LOTKEEPER_REQUIRE=all` or `=what`); prints why it is skipped.
pub fn must_run_without(what: &str, reason: &str) -> bool {
    let required = std::env::var("LOTKEEPER_REQUIRE").unwrap_or_default();
    if required == "all" || required.split(',').any(|one| one == what) {
        return true;
    }
    let _ =
        writeln!(std::io::stderr(), "skipped: {reason} (LOTKEEPER_REQUIRE={what} makes this fail)");
    false
}
