//! The own server: found, started in a temporary directory, ended by its id.
//!
//! Invariants: nothing of the caller's LOTKEEPER_* environment reaches it, so two runs measure the same
//! thing; whichever way a run ends, the process is gone and the directory removed.

use crate::error::LoadError;
use crate::machine;
use crate::target::{Role, Target};
use rustix::process::{Pid, Signal};
use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// How long a start on an empty directory may take.
const START_SECONDS_MAX: u64 = 60;
/// How long the server may take to drain and sync after SIGTERM.
const STOP_SECONDS_MAX: u64 = 30;
/// A person may ask a thousand times an hour; a driver here asks so often in a second.
const NO_DRIVER_LIMIT: (&str, &str) = ("LOTKEEPER_RATE_DRIVER_PER_HOUR", "0");
/// A killed process is gone within milliseconds; looked for so many times, one apart.
const KILL_POLLS_MAX: u32 = 2_000;
/// Different drivers: a person may have only a thousand active reservations in a lot.
const DRIVERS: usize = 16;
/// Lines of the server's log shown when it fails.
const LOG_TAIL_LINES: usize = 20;
/// What the server says when it is ready.
const LISTENING: &str = "listening on http://";

/// A running server that belongs to this run.
#[derive(Debug)]
pub struct Server {
    process: Process,
    addr: SocketAddr,
    binary: PathBuf,
    /// To start it again as it was.
    config: Option<PathBuf>,
    settings: Vec<(&'static str, String)>,
}

/// The process and its directory, which go together and are dropped in this order.
#[derive(Debug)]
struct Process {
    child: Living,
    dir: TempDir,
}

/// A process that does not outlive its owner.
#[derive(Debug)]
struct Living(Child);

impl Drop for Living {
    /// The directory is removed after this, so the process must be gone by then and not only told to go.
    fn drop(&mut self) {
        let _ = self.0.start_kill();
        for _ in 0..KILL_POLLS_MAX {
            match self.0.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                Ok(Some(_)) | Err(_) => break,
            }
        }
    }
}

/// How to start one.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// Configuration file.
    pub config: Option<&'a Path>,
    /// Where the temporary directory is made.
    pub parent: Option<&'a Path>,
    /// Settings in the environment, which stand above the configuration file.
    pub settings: &'a [(&'static str, String)],
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// What `lotkeeper check` said.
#[derive(Debug)]
pub struct Verdict {
    pub is_clean: bool,
    pub said: String,
}

impl Server {
    /// Starts one and waits until it listens.
    pub async fn start(how: Start<'_>) -> Result<Self, LoadError> {
        let binary = find_binary()?;
        let parent = how.parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let in_parent = |source| LoadError::File { path: parent.clone(), source };
        let dir = tempfile::Builder::new()
            .prefix("lotkeeper-load-")
            .tempdir_in(&parent)
            .map_err(in_parent)?;
        let (config, settings) = (how.config.map(Path::to_path_buf), how.settings.to_vec());
        let listen = how.listen.to_string();
        let (child, addr) = spawn(&binary, &dir, &listen, config.as_deref(), &settings).await?;
        Ok(Self { process: Process { child, dir }, addr, binary, config, settings })
    }

    /// Ends it with SIGKILL: nothing is drained, nothing is synced.
    pub async fn kill(&mut self) -> Result<(), LoadError> {
        let killed = self.process.child.0.kill().await;
        killed.map_err(|source| LoadError::Spawn { binary: self.binary.clone(), source })
    }

    /// Starts it again at the same address, on what the one before left.
    pub async fn start_again(&mut self) -> Result<(), LoadError> {
        let listen = self.addr.to_string();
        let (config, dir) = (self.config.as_deref(), &self.process.dir);
        let (child, _) = spawn(&self.binary, dir, &listen, config, &self.settings).await?;
        self.process.child = child;
        Ok(())
    }

    /// Starts it again and kills it so long after, listening or not; says whether it had come to listen.
    pub async fn start_and_kill(&mut self, after: Duration) -> Result<bool, LoadError> {
        let listen = self.addr.to_string();
        let (config, dir) = (self.config.as_deref(), &self.process.dir);
        let (child, stdout) = launch(&self.binary, dir, &listen, config, &self.settings)?;
        self.process.child = child;
        let began = Instant::now();
        let listens = timeout(after, address_line(stdout)).await.is_ok_and(|addr| addr.is_some());
        tokio::time::sleep(after.saturating_sub(began.elapsed())).await;
        self.kill().await?;
        Ok(listens)
    }

    /// Has `lotkeeper check` look at its data, while it does not run.
    pub async fn check(&self) -> Result<Verdict, LoadError> {
        let output = hermetic(&self.binary)
            .args(["check", "--data"])
            .arg(data_path(&self.process.dir))
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|source| LoadError::Spawn { binary: self.binary.clone(), source })?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).trim().to_string();
        Ok(Verdict { is_clean: output.status.success(), said })
    }

    /// What it logged from that byte on.
    pub fn log_from(&self, byte: usize) -> String {
        let log = std::fs::read(log_path(&self.process.dir)).unwrap_or_default();
        String::from_utf8_lossy(log.get(byte..).unwrap_or_default()).into_owned()
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        data_path(&self.process.dir)
    }

    /// Leaves the directory where it is when the run ends.
    pub fn keep_dir(&mut self) {
        self.process.dir.disable_cleanup(true);
    }

    /// Mints what a run needs, good for at least `valid`.
    pub async fn target(&self, valid: Duration) -> Result<Target, LoadError> {
        self.target_of("default", valid).await
    }

    /// The same for one of several tenants.
    pub async fn target_of(&self, tenant: &str, valid: Duration) -> Result<Target, LoadError> {
        let mut tokens: BTreeMap<Role, Vec<String>> = BTreeMap::new();
        for role in Role::ALL {
            let people = if role == Role::Driver { DRIVERS } else { 1 };
            for nth in 0..people {
                let token = self.mint(tenant, role, nth, valid).await?;
                tokens.entry(role).or_default().push(token);
            }
        }
        Target::new(self.addr, tokens)
    }

    async fn mint(
        &self,
        tenant: &str,
        role: Role,
        nth: usize,
        valid: Duration,
    ) -> Result<String, LoadError> {
        let hours = valid.as_secs() / 3_600 + 1;
        let output = hermetic(&self.binary)
            .arg("token")
            .arg("--data")
            .arg(data_path(&self.process.dir))
            .args(["--role", role.name()])
            .args(["--tenant", tenant])
            .args(["--subject", &format!("load-{}-{nth}", role.name())])
            .args(["--ttl", &format!("{hours}h")])
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|source| LoadError::Spawn { binary: self.binary.clone(), source })?;
        let token = String::from_utf8_lossy(&output.stdout).trim().to_string();
        if !output.status.success() || token.is_empty() {
            return Err(LoadError::Token {
                role: role.name(),
                status: output.status,
                stderr: String::from_utf8_lossy(&output.stderr).trim().into(),
            });
        }
        Ok(token)
    }

    /// Its process id, while it lives.
    pub fn pid(&self) -> Option<u32> {
        self.process.child.0.id()
    }

    /// Where its data lie.
    pub fn dir(&self) -> &Path {
        self.process.dir.path()
    }

    /// Whether its data lie in memory, where a sync costs nothing.
    pub fn is_in_memory(&self) -> bool {
        machine::is_in_memory(self.process.dir.path())
    }

    /// Asks it to end, waits, and ends it by force when it does not. Says how it ended.
    pub async fn stop(&mut self) -> Result<ExitStatus, String> {
        let pid = self.process.child.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            // An error means that it is gone already; its status tells.
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        let ended =
            timeout(Duration::from_secs(STOP_SECONDS_MAX), self.process.child.0.wait()).await;
        match ended {
            Ok(Ok(status)) if status.success() => Ok(status),
            Ok(Ok(status)) => {
                Err(format!("{status}; the end of its log:\n{}", log_tail(&self.process.dir)))
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => {
                let killed = self.process.child.0.kill().await;
                let how = killed.map_or_else(|error| error.to_string(), |()| "killed".into());
                Err(format!("did not end within {STOP_SECONDS_MAX} s of SIGTERM; {how}"))
            }
        }
    }
}

/// Starts the process and waits until it listens.
async fn spawn(
    binary: &Path,
    dir: &TempDir,
    listen: &str,
    config: Option<&Path>,
    settings: &[(&'static str, String)],
) -> Result<(Living, SocketAddr), LoadError> {
    let (child, stdout) = launch(binary, dir, listen, config, settings)?;
    let why = match timeout(Duration::from_secs(START_SECONDS_MAX), address_line(stdout)).await {
        Ok(Some(addr)) => return Ok((child, addr)),
        Ok(None) => "it ended before it listened".into(),
        Err(_) => format!("no `{LISTENING}...` within {START_SECONDS_MAX} s"),
    };
    Err(LoadError::ServerDown { why, log_tail: log_tail(dir) })
}

/// Starts the process.
fn launch(
    binary: &Path,
    dir: &TempDir,
    listen: &str,
    config: Option<&Path>,
    settings: &[(&'static str, String)],
) -> Result<(Living, ChildStdout), LoadError> {
    let in_dir = |source| LoadError::File { path: dir.path().into(), source };
    let log = File::options().create(true).append(true).open(log_path(dir)).map_err(in_dir)?;
    let mut command = hermetic(binary);
    command.arg("serve").arg("--data").arg(data_path(dir)).args(["--listen", listen]);
    command.env(NO_DRIVER_LIMIT.0, NO_DRIVER_LIMIT.1);
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
    let spawned = command.spawn();
    let spawned = spawned.map_err(|source| LoadError::Spawn { binary: binary.into(), source })?;
    let mut child = Living(spawned);
    let stdout = child.0.stdout.take().expect("stdout was asked to be a pipe");
    Ok((child, stdout))
}

/// Reads up to the line that names the address, and keeps reading what follows: a full pipe would stop the server.
async fn address_line(stdout: ChildStdout) -> Option<SocketAddr> {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Some((_, rest)) = line.split_once(LISTENING) else { continue };
        let addr = rest.split_whitespace().next().unwrap_or_default().trim_end_matches('/');
        let addr = addr.parse().ok()?;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        return Some(addr);
    }
    None
}

fn data_path(dir: &TempDir) -> PathBuf {
    dir.path().join("data")
}

fn log_path(dir: &TempDir) -> PathBuf {
    dir.path().join("server.log")
}

fn log_tail(dir: &TempDir) -> String {
    let bytes = std::fs::read(log_path(dir)).unwrap_or_default();
    let log = String::from_utf8_lossy(&bytes).into_owned();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}

/// A command that sees nothing of the caller's settings.
fn hermetic(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LOTKEEPER_") {
            command.env_remove(name);
        }
    }
    command
}

/// Beside this executable, else `LOTKEEPER_BIN`, else on the PATH.
fn find_binary() -> Result<PathBuf, LoadError> {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_path_buf()));
    let beside = beside.unwrap_or_default();
    let named = std::env::var_os("LOTKEEPER_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    pick_binary(&beside, named.as_deref(), std::env::split_paths(&path))
        .ok_or(LoadError::NoServerBinary { beside })
}

fn pick_binary(
    beside: &Path,
    named: Option<&Path>,
    path: impl Iterator<Item = PathBuf>,
) -> Option<PathBuf> {
    let name = format!("lotkeeper{}", std::env::consts::EXE_SUFFIX);
    std::iter::once(beside.join(&name))
        .chain(named.map(Path::to_path_buf))
        .chain(path.map(|dir| dir.join(&name)))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_beside_comes_before_the_named_one_and_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            let at = dir.path().join(name);
            std::fs::create_dir(&at).unwrap();
            at
        };
        let (beside, named_dir, on_path) = (place("beside"), place("named"), place("path"));
        let named = named_dir.join("other-name");
        let pick = || pick_binary(&beside, Some(&named), std::iter::once(on_path.clone()));
        assert_eq!(pick(), None);
        for expected in [on_path.join("lotkeeper"), named.clone(), beside.join("lotkeeper")] {
            std::fs::write(&expected, "").unwrap();
            assert_eq!(pick().unwrap(), expected);
        }
    }

    #[test]
    fn the_end_of_a_long_log_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(log_tail(&dir), "");
        let text: String = (0..100).map(|line| format!("line {line}\n")).collect();
        std::fs::write(log_path(&dir), text).unwrap();
        let tail = log_tail(&dir);
        assert!(tail.starts_with("line 80\n") && tail.ends_with("line 99"), "{tail}");
    }
}
