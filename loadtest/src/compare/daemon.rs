//! A peer's server: found, started in a temporary directory, ended by its id.
//!
//! Invariant: whichever way a run ends, the process and what it forked are gone before the directory is.
//! The server is the head of a process group of its own, so a Ctrl-C reaches it through us alone and a
//! group that does not end when asked can be ended as a whole.

use crate::compare::error::CompareError;
use crate::compare::usage::Tree;
use rustix::process::{Pid, Signal};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// How long a server may take until it takes connections.
const START_SECONDS_MAX: u64 = 60;
/// How long a server may take to end when asked, looked for every so often.
const STOP_POLLS_MAX: u32 = 1_000;
const STOP_POLL: Duration = Duration::from_millis(10);
/// Bytes of a server's log shown when it fails.
const LOG_TAIL_BYTES: usize = 2_000;

/// A user that owns files and processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// Who a server runs as when this process is root: the first of these names that exists.
    /// Nobody in particular otherwise.
    pub fn instead_of_root(names: &[&str]) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        names.iter().find_map(|name| find_user(&passwd, name))
    }
}

fn find_user(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let &[user, _, uid, gid, ..] = fields.as_slice() else { return None };
        (user == name).then_some(User { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
    })
}

/// A directory of a server, and who it belongs to.
#[derive(Debug)]
pub struct Home {
    dir: TempDir,
    user: Option<User>,
}

impl Home {
    /// A fresh one.
    pub fn new(name: &str, parent: &Path, user: Option<User>) -> Result<Self, CompareError> {
        let failed = |source| CompareError::File { path: parent.into(), source };
        let prefix = format!("lotkeeper-compare-{name}-");
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent).map_err(failed)?;
        if let Some(user) = user {
            chown(dir.path(), Some(user.uid), Some(user.gid)).map_err(failed)?;
        }
        Ok(Self { dir, user })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A command in it, as its user, that sees no terminal and writes to its log.
    pub fn command(&self, binary: &Path) -> Result<Command, CompareError> {
        let path = self.path().join("log");
        let failed = |source| CompareError::File { path: path.clone(), source };
        let log = File::options().create(true).append(true).open(&path).map_err(failed)?;
        let errors = log.try_clone().map_err(failed)?;
        let mut command = Command::new(binary);
        command.current_dir(self.path()).stdin(Stdio::null()).stdout(log).stderr(errors);
        command.process_group(0).kill_on_drop(true);
        if let Some(User { uid, gid }) = self.user {
            command.uid(uid).gid(gid);
        }
        Ok(command)
    }

    /// What it said last.
    pub fn log_tail(&self) -> String {
        let bytes = std::fs::read(self.path().join("log")).unwrap_or_default();
        let from = bytes.len().saturating_sub(LOG_TAIL_BYTES);
        String::from_utf8_lossy(&bytes[from..]).into_owned()
    }
}

/// A running server.
#[derive(Debug)]
pub struct Daemon {
    name: &'static str,
    child: Child,
    stop: Signal,
    home: Home,
}

impl Daemon {
    /// Starts it and waits until it takes connections.
    pub async fn start(
        name: &'static str,
        mut command: Command,
        home: Home,
        stop: Signal,
        addr: SocketAddr,
    ) -> Result<Self, CompareError> {
        let child = command.spawn().map_err(|source| CompareError::Spawn { name, source })?;
        let mut daemon = Self { name, child, stop, home };
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        loop {
            if TcpStream::connect(addr).is_ok() {
                return Ok(daemon);
            }
            let ended = daemon.child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > deadline {
                let why = ended.map_or_else(
                    || format!("takes no connections after {START_SECONDS_MAX} s"),
                    |status| format!("ended with {status}"),
                );
                return Err(CompareError::Down { name, why, log_tail: daemon.home.log_tail() });
            }
            tokio::time::sleep(STOP_POLL).await;
        }
    }

    /// It and what it forked.
    pub fn tree(&self) -> Tree {
        Tree::new(self.child.id())
    }

    /// What it said last.
    pub fn log_tail(&self) -> String {
        self.home.log_tail()
    }
}

impl Drop for Daemon {
    /// Blocks for as long as the server takes: the directory goes next.
    fn drop(&mut self) {
        let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
        else {
            return;
        };
        // An error means that it is gone already.
        let _ = rustix::process::kill_process(pid, self.stop);
        for _ in 0..STOP_POLLS_MAX {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(STOP_POLL),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        eprintln!("lotkeeper-load: {} did not end when asked; its group is killed", self.name);
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        let _ = self.child.try_wait();
    }
}

/// A port nobody listens on now.
pub fn free_address() -> Result<SocketAddr, CompareError> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    TcpListener::bind(any)
        .and_then(|listener| listener.local_addr())
        .map_err(|source| CompareError::Port { source })
}

/// A program on the PATH or where servers are kept; `further` are directories to look in first.
pub fn find_program(name: &str, further: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    further
        .iter()
        .cloned()
        .chain(std::env::split_paths(&path))
        .chain(["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

/// The version a program tells of itself: the first word of its first line that has digits and dots.
pub async fn version_of(binary: &Path, flag: &str) -> String {
    let Ok(output) = Command::new(binary).arg(flag).stdin(Stdio::null()).output().await else {
        return "of unknown version".into();
    };
    let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    find_version(&String::from_utf8_lossy(&said))
}

fn find_version(said: &str) -> String {
    let words = said.lines().next().unwrap_or_default().split([' ', '=', '/', ':']);
    let numbers = words.map(|word| word.trim_start_matches('v'));
    let version = numbers
        .into_iter()
        .find(|word| word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit()));
    version.unwrap_or("of unknown version").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres2:x:7:8::/:/x\npostgres:x:101:104:a,b:/v:/bin/bash\nbroken\n";
        assert_eq!(find_user(passwd, "postgres"), Some(User { uid: 101, gid: 104 }));
        assert_eq!(find_user(passwd, "post"), None);
        assert_eq!(find_user(passwd, "broken"), None);
    }

    #[test]
    fn versions_are_found_in_what_servers_say() {
        for (said, version) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "15.18"),
            ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", "7.0.15"),
            ("nats-server: v2.9.10", "2.9.10"),
            ("nginx version: nginx/1.22.1", "1.22.1"),
            ("who knows", "of unknown version"),
        ] {
            assert_eq!(find_version(said), version);
        }
    }

    #[tokio::test]
    async fn a_server_that_does_not_come_up_says_why_and_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let home = Home::new("t", parent.path(), None).unwrap();
        let mut command = home.command(Path::new("/bin/sh")).unwrap();
        command.args(["-c", "echo no such luck; exit 3"]);
        let addr = free_address().unwrap();
        let error = Daemon::start("t", command, home, Signal::TERM, addr).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains("exit status: 3") && said.contains("no such luck"), "{said}");
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
