//! A real browser for tests: headless Chromium, driven through chromedriver in the words of WebDriver.
//!
//! Invariants: every browser has a fresh profile and ports of the system's choice; dropping it ends what it
//! started, by id, also after a failed assertion; waiting means a condition and a deadline, and what is
//! asserted when it passes is what the page shows. WebDriver is JSON over plain HTTP, so the client is the
//! one the tests have anyway. Deliberately absent: other browsers, frames, windows, pointers beyond a click.
#![allow(dead_code)] // each test uses its part
#![allow(clippy::unwrap_used)] // tests state what they expect

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::must_run_without;

/// What the browser runs with: no sandbox (tests run in containers as root) and nothing that talks to others.
const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    "--window-size=1280,900",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];
const CHROMIUM: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
const START_PATIENCE: Duration = Duration::from_secs(60);
const QUIT_PATIENCE: Duration = Duration::from_secs(20);
/// How long a page may take for anything. Generous: it is a bound for failures, not a measurement.
const PATIENCE: Duration = Duration::from_secs(45);
const POLL: Duration = Duration::from_millis(25);
/// How WebDriver calls an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys without a letter, as WebDriver names them.
pub const ENTER: &str = "\u{e007}";
/// See [`ENTER`].
pub const ESCAPE: &str = "\u{e00c}";
/// See [`ENTER`].
pub const TAB: &str = "\u{e004}";
/// See [`ENTER`].
pub const RIGHT: &str = "\u{e014}";
/// See [`ENTER`].
pub const DOWN: &str = "\u{e015}";
/// See [`ENTER`].
pub const LEFT: &str = "\u{e012}";

/// Light or dark, as the device asks for it.
pub const SCHEMES: [&str; 2] = ["light", "dark"];

/// One browser with one page.
pub struct Browser {
    client: reqwest::Client,
    driver: Driver,
    session: String,
    /// The browser's own process, in case the driver cannot end it.
    process: Option<Pid>,
    _profile: TempDir,
}

struct Driver {
    child: Child,
    address: SocketAddr,
}

impl Browser {
    /// A browser, or nothing where none is installed and none is required.
    pub async fn start() -> Option<Self> {
        let found = find(&CHROMIUM).zip(find(&["chromedriver"]));
        let Some((chromium, chromedriver)) = found else {
            let reason = "chromium and chromedriver are not both on the PATH (Debian: apt-get install chromium chromium-driver)";
            assert!(!must_run_without("browser", reason), "{reason}");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let driver = Driver::start(&chromedriver, profile.path());
        let client = reqwest::Client::builder().timeout(START_PATIENCE).build().unwrap();
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"binary": chromium, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let url = format!("http://{}/session", driver.address);
        let opened = client.post(url).json(&wanted).send().await.unwrap();
        let opened = opened.json::<Value>().await.unwrap()["value"].take();
        let session =
            opened["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {opened}"));
        let process = opened["capabilities"]["goog:processID"].as_i64();
        let process = process.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Some(Self { client, session: session.to_owned(), driver, process, _profile: profile })
    }

    async fn command(&self, method: Method, path: &str, body: &Value) -> Result<Value, String> {
        let url = format!("http://{}/session/{}{path}", self.driver.address, self.session);
        let request = self.client.request(method.clone(), url);
        let request = if method == Method::POST { request.json(body) } else { request };
        let answer = request.send().await.unwrap();
        let good = answer.status().is_success();
        let mut answer = answer.json::<Value>().await.unwrap();
        let value = answer["value"].take();
        if good {
            Ok(value)
        } else {
            Err(format!("{path}: {}: {}", value["error"], value["message"]))
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.command(Method::POST, path, body).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Opens a page and waits until it is loaded; what scripts do afterwards is for [`Browser::until`].
    pub async fn open(&self, url: &str) {
        // A changed fragment alone would not load the page anew.
        self.post("/url", &json!({"url": "about:blank"})).await;
        self.post("/url", &json!({"url": url})).await;
    }

    /// Runs the body of a function in the page; `return` gives its value.
    pub async fn js(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []})).await
    }

    /// The same with one argument. A promise that comes back is waited for.
    pub async fn js_with(&self, script: &str, argument: &Value) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": [argument]})).await
    }

    /// Waits until an expression is true, and gives its value. Errors (an element that is not there yet, a
    /// page that is just being loaded) are waited for as well.
    #[track_caller]
    pub fn until(&self, condition: &str) -> impl Future<Output = Value> {
        self.wait(condition.to_owned(), Location::caller())
    }

    /// Waits until an element's text is this, blanks around it aside.
    #[track_caller]
    pub fn shows(&self, selector: &str, text: &str) -> impl Future<Output = Value> {
        let (selector, text) = (json!(selector), json!(text));
        let condition = format!("document.querySelector({selector}).textContent.trim() === {text}");
        self.wait(condition, Location::caller())
    }

    /// Waits until an element can be seen and its text has this in it.
    #[track_caller]
    pub fn reads(&self, selector: &str, text: &str) -> impl Future<Output = Value> {
        let (selector, text) = (json!(selector), json!(text));
        let condition = format!(
            "[document.querySelector({selector})].every((it) => it.checkVisibility() && it.innerText.includes({text}))"
        );
        self.wait(condition, Location::caller())
    }

    async fn wait(&self, condition: String, asked_at: &Location<'_>) -> Value {
        let script = json!({"script": format!("return {condition};"), "args": []});
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.command(Method::POST, "/execute/sync", &script).await;
            let falsy = [json!(false), Value::Null, json!(0), json!("")];
            if let Some(value) = found.as_ref().ok().filter(|value| !falsy.contains(value)) {
                return value.clone();
            }
            if Instant::now() > deadline {
                let page = self.js("return location + '\\n' + document.body.innerText").await;
                let (page, console) = (page.as_str().unwrap_or_default(), self.console().await);
                panic!(
                    "{asked_at}: not true in {PATIENCE:?}: {condition}\n{found:?}\n{page}\n{console:?}"
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// An element's text.
    pub async fn text(&self, selector: &str) -> String {
        let script = "return document.querySelector(arguments[0]).textContent.trim()";
        self.js_with(script, &json!(selector)).await.as_str().unwrap().to_owned()
    }

    /// Clicks as a person would: what is not there yet is waited for, what is covered or outside cannot be clicked.
    #[track_caller]
    pub fn click(&self, selector: &str) -> impl Future<Output = ()> {
        let (wanted, asked_at) = (json!(selector), Location::caller());
        async move {
            self.wait(format!("document.querySelector({wanted}) !== null"), asked_at).await;
            let wanted = json!({"using": "css selector", "value": wanted});
            let element = self.post("/element", &wanted).await;
            let id = element[ELEMENT].as_str().unwrap();
            self.post(&format!("/element/{id}/click"), &json!({})).await;
        }
    }

    /// Presses keys one after the other, wherever the focus is.
    pub async fn keys(&self, keys: &str) {
        let press = |key: char| {
            [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]
        };
        let actions: Vec<Value> = keys.chars().flat_map(press).collect();
        self.post(
            "/actions",
            &json!({"actions": [{"type": "key", "id": "k", "actions": actions}]}),
        )
        .await;
    }

    /// Lets the page's clocks run ahead, as if that much time had passed without a sign of life.
    pub async fn advance_clock(&self, milliseconds: u32) {
        let script = "const [ahead, mono, wall] = [arguments[0], performance.now.bind(performance), Date.now];
            performance.now = () => mono() + ahead; Date.now = () => wall() + ahead;";
        self.js_with(script, &json!(milliseconds)).await;
    }

    /// Chromium's own protocol, for what WebDriver has no words for.
    pub async fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters})).await
    }

    /// A screen of this size and colour scheme.
    pub async fn screen(&self, (wide, high): (u32, u32), scheme: &str) {
        let metrics =
            json!({"width": wide, "height": high, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics).await;
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.devtools("Emulation.setEmulatedMedia", &json!({"features": features})).await;
    }

    /// A picture of the screen, PNG.
    pub async fn picture(&self) -> Vec<u8> {
        let shot = self.command(Method::GET, "/screenshot", &Value::Null).await.unwrap();
        from_base64(shot.as_str().unwrap())
    }

    /// What the page wrote to the console and what the browser complained of since the last time.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({"type": "browser"})).await;
        let line = |entry: &Value| format!("{} {}", entry["level"], entry["message"]);
        entries.as_array().unwrap().iter().map(line).collect()
    }

    fn quit(&self) -> std::io::Result<()> {
        let mut driver = TcpStream::connect(self.driver.address)?;
        driver.set_read_timeout(Some(QUIT_PATIENCE))?;
        let (session, host) = (&self.session, self.driver.address);
        write!(driver, "DELETE /session/{session} HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
        driver.read_exact(&mut [0; 12]) // answered when the browser has ended
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if self.quit().is_err()
            && let Some(process) = self.process
        {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}

impl Driver {
    /// What it and the browser leave lying about goes into `directory`.
    fn start(program: &Path, directory: &Path) -> Self {
        let mut command = Command::new(program);
        command.arg("--port=0").env("TMPDIR", directory).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        // Reads on to the end: a driver whose output nobody takes would hang.
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let port = line.split("successfully on port ").nth(1);
                if let Some(port) = port.and_then(|port| port.trim_end_matches('.').parse().ok()) {
                    let _ = sender.send(port);
                }
            }
        });
        let mut driver = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        match receiver.recv_timeout(START_PATIENCE) {
            Ok(port) => driver.address.set_port(port),
            Err(_) => panic!("{} named no port within {START_PATIENCE:?}", program.display()),
        }
        driver
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first of some programs that is on the PATH.
fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let places = names.iter().flat_map(|name| directories.iter().map(move |dir| dir.join(name)));
    places.into_iter().find(|place| place.is_file())
}

/// RFC 4648 with padding, as pictures come.
fn from_base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} is not base64"),
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 6 | u32::from(value(*byte)));
        let bits = bits << (6 * (4 - group.len()));
        bytes.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}
