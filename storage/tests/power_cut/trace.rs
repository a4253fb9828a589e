//! What a process did to its files, in order of time: a trace of its system calls, read into steps.
//!
//! A call that another thread interrupts stands in two lines, `<unfinished ...>` and `<... resumed>`, so
//! every call begins and ends in steps of its own. Deliberately absent: calls that leave the disk as it is,
//! and `sync_file_range`, which promises nothing.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test states what it expects, its helpers too")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Calls that change files, and those that a process speaks with.
const CALLS: &str = "trace=openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fsync,\
     fdatasync,sync_file_range,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,\
     symlinkat,fallocate,copy_file_range,sendfile,sendto";

/// What a call does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Makes a file that is not there; a file that is there loses its content with `truncates`.
    Open {
        path: PathBuf,
        truncates: bool,
    },
    /// Writes at a place, or where the last write ended.
    Write {
        path: PathBuf,
        at: Option<u64>,
        bytes: Vec<u8>,
    },
    Truncate {
        path: PathBuf,
        bytes: u64,
    },
    /// `fsync` or `fdatasync`; of a directory it makes names durable.
    Sync {
        path: PathBuf,
        data_only: bool,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    MakeDir {
        path: PathBuf,
    },
    /// What the process says: bytes to its output or to a socket.
    Say {
        bytes: Vec<u8>,
    },
}

/// One step of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The call with this number begins.
    Begins(usize),
    /// It ended, as the process was told.
    Ends { call: usize, well: bool },
}

/// A trace.
#[derive(Debug, Default)]
pub struct Trace {
    pub calls: Vec<Call>,
    pub steps: Vec<Step>,
}

/// Why strace cannot be used, when it cannot; fails where it is required.
pub fn strace_is_missing() -> bool {
    if Command::new("strace").arg("-V").output().is_ok() {
        return false;
    }
    let required = std::env::var("LOTKEEPER_REQUIRE").is_ok_and(|require| require == "all");
    assert!(!required, "strace is required and missing; apt-get install strace");
    println!("skipped: strace is missing (apt-get install strace)");
    true
}

/// A command that runs `program` and writes its trace to `output`.
pub fn traced(program: &Path, output: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-xx", "-s", "4194304", "-e", CALLS, "-e", "signal=none", "-o"]);
    command.arg(output).arg(program);
    command
}

/// The trace of a test of this binary, run by itself in the role that `environment` gives it.
pub fn of_test(name: &str, environment: &[(&str, &std::ffi::OsStr)]) -> Trace {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = traced(&std::env::current_exe().unwrap(), file.path());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    let Output { status, stderr, .. } = command.envs(environment.iter().copied()).output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    Trace::read(&std::fs::read_to_string(file.path()).unwrap())
}

impl Trace {
    /// Reads what strace wrote.
    pub fn read(text: &str) -> Self {
        let mut trace = Self::default();
        // By thread: its unfinished call.
        let mut open: BTreeMap<&str, usize> = BTreeMap::new();
        for line in text.lines() {
            let (thread, rest) = line.split_once(' ').unwrap();
            let rest = rest.trim_start();
            if rest.starts_with("<... ") {
                if let Some(call) = open.remove(thread) {
                    trace.ends(call, rest);
                }
            } else if let Some(call) = call_of(rest) {
                let number = trace.calls.len();
                trace.calls.push(call);
                trace.steps.push(Step::Begins(number));
                match rest.ends_with("<unfinished ...>") {
                    true => drop(open.insert(thread, number)),
                    false => trace.ends(number, rest),
                }
            }
        }
        trace
    }

    fn ends(&mut self, call: usize, line: &str) {
        let result = line.rsplit_once(" = ").map(|(_, result)| result.trim());
        // A process that ends amid a call has no result for it.
        let Some(result) = result.filter(|result| !result.starts_with('?')) else { return };
        let well = !result.starts_with('-');
        if let (true, Call::Write { bytes, .. }) = (well, &mut self.calls[call]) {
            let written = result.split_whitespace().next().unwrap().parse().unwrap();
            bytes.truncate(written);
        }
        self.steps.push(Step::Ends { call, well });
    }

    /// What was said by a step, with line ends where the process put them; nothing for all other steps.
    pub fn said(&self, step: &Step) -> Option<&str> {
        match step {
            Step::Begins(call) => match &self.calls[*call] {
                Call::Say { bytes } => std::str::from_utf8(bytes).ok(),
                _ => None,
            },
            Step::Ends { .. } => None,
        }
    }
}

/// A file descriptor with its path, a text, or anything else.
#[derive(Debug)]
enum Argument {
    File(u32, PathBuf),
    Text(Vec<u8>),
    Word(String),
}

fn call_of(line: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    let arguments = arguments(rest);
    let file = |at: usize| match &arguments[at] {
        Argument::File(_, path) => path.clone(),
        other => panic!("{other:?} where a file is expected: {}", &line[..line.len().min(300)]),
    };
    let number = |at: usize| match &arguments[at] {
        Argument::Word(word) => word.parse::<u64>().unwrap(),
        other => panic!("{other:?} where a number is expected"),
    };
    // A path is relative to the directory before it, or whole.
    let path = |at: usize| match (&arguments[at], at.checked_sub(1).map(|dir| &arguments[dir])) {
        (Argument::Text(text), Some(Argument::File(_, dir))) => dir.join(as_path(text)),
        (Argument::Text(text), _) => as_path(text),
        (other, _) => panic!("{other:?} where a path is expected"),
    };
    let words = |at: usize| match arguments.get(at) {
        Some(Argument::Word(word)) => word.as_str(),
        _ => "",
    };
    Some(match name {
        "openat" | "open" => {
            let at = usize::from(name == "openat");
            if !words(at + 1).contains("O_CREAT") && !words(at + 1).contains("O_TRUNC") {
                return None;
            }
            Call::Open { path: path(at), truncates: words(at + 1).contains("O_TRUNC") }
        }
        "write" | "pwrite64" | "sendto" => {
            let Argument::Text(bytes) = &arguments[1] else { return None };
            let bytes = bytes.clone();
            let Argument::File(descriptor, path) = &arguments[0] else { return None };
            if *descriptor <= 2 || name == "sendto" || !path.is_absolute() {
                return Some(Call::Say { bytes });
            }
            let at = (name == "pwrite64").then(|| number(3));
            Call::Write { path: path.clone(), at, bytes }
        }
        "writev" => match (&arguments[0], said_in_pieces(&arguments)) {
            (Argument::File(descriptor, path), bytes)
                if *descriptor <= 2 || !path.is_absolute() =>
            {
                Call::Say { bytes }
            }
            (file, _) => {
                panic!("a kind of write that the model of the disk lacks: {name} of {file:?}")
            }
        },
        "ftruncate" => Call::Truncate { path: file(0), bytes: number(1) },
        "fsync" | "fdatasync" => Call::Sync { path: file(0), data_only: name == "fdatasync" },
        "rename" => Call::Rename { from: path(0), to: path(1) },
        "renameat" | "renameat2" => Call::Rename { from: path(1), to: path(3) },
        "unlink" | "rmdir" => Call::Remove { path: path(0) },
        "unlinkat" => Call::Remove { path: path(1) },
        "mkdir" => Call::MakeDir { path: path(0) },
        "mkdirat" => Call::MakeDir { path: path(1) },
        "sync_file_range" => return None,
        other => panic!("a call that the model of the disk lacks: {other}"),
    })
}

fn said_in_pieces(arguments: &[Argument]) -> Vec<u8> {
    let texts = arguments.iter().filter_map(|argument| match argument {
        Argument::Text(text) => Some(text.as_slice()),
        _ => None,
    });
    texts.collect::<Vec<_>>().concat()
}

fn as_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8(bytes.to_vec()).unwrap())
}

/// Splits what stands between the parentheses of a call, and drops its result.
fn arguments(mut rest: &str) -> Vec<Argument> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ', '[', ']', '{', '}']);
        if let Some(text) = rest.strip_prefix('"') {
            let (text, after) = text.split_once('"').unwrap();
            assert!(!after.starts_with("..."), "a text is longer than the trace keeps");
            found.push(Argument::Text(decoded(text)));
            rest = after;
            continue;
        }
        if rest.is_empty() || rest.starts_with([')', '<']) {
            return found;
        }
        let end = rest.find([',', ')', '<', '"', ' ']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match after.strip_prefix('<') {
            Some(path) if !path.starts_with("unfinished") => {
                let (path, after) = path.split_once('>').unwrap();
                let path = String::from_utf8(decoded(path)).unwrap();
                let after = after.strip_prefix("(deleted)");
                // A file without a name is on no disk after a power cut, whatever is written to it.
                let path = if after.is_some() { "/deleted".into() } else { PathBuf::from(path) };
                let descriptor = word.parse().unwrap_or(u32::MAX);
                found.push(Argument::File(descriptor, path));
                rest = after.unwrap_or_else(|| rest[end + 1..].split_once('>').unwrap().1);
            }
            _ => {
                found.push(Argument::Word(word.rsplit('=').next().unwrap().to_owned()));
                rest = after;
            }
        }
    }
}

/// `\x68\x69` as bytes; what is not written so, as it stands.
fn decoded(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    let text = text.as_bytes();
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(b"\\x") {
            bytes.push(digit(text[at + 2]) << 4 | digit(text[at + 3]));
            at += 4;
        } else {
            bytes.push(text[at]);
            at += 1;
        }
    }
    bytes
}
