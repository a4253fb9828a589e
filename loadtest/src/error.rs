//! What keeps a run from being made. A check that fails is not an error but a line of the report.

use std::path::PathBuf;
use std::process::ExitStatus;
use thiserror::Error;

/// Why there is no report.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Flags that cannot work together or a value out of range.
    #[error("{what}\nrun `lotkeeper-load --help` for the flags")]
    Usage { what: String },
    #[error(
        "no `lotkeeper` binary beside {}, in LOTKEEPER_BIN or on the PATH; \
         run `cargo build --release --workspace` first, or name one with LOTKEEPER_BIN=/path/to/lotkeeper",
        beside.display()
    )]
    NoServerBinary { beside: PathBuf },
    #[error("cannot start {}: {source}", binary.display())]
    Spawn { binary: PathBuf, source: std::io::Error },
    #[error("the server did not come up: {why}; the end of its log:\n{log_tail}")]
    ServerDown { why: String, log_tail: String },
    #[error("`lotkeeper token --role {role}` failed ({status}): {stderr}")]
    Token { role: &'static str, status: ExitStatus, stderr: String },
    #[error(
        "no token for role {role}; give --token-file with a line `{role}=TOKEN`, or set {variable}"
    )]
    TokenMissing { role: &'static str, variable: String },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("cannot start the client's threads: {source}")]
    Runtime { source: std::io::Error },
    #[error("a user of the run broke down, which is a fault of this program: {source}")]
    Task { source: tokio::task::JoinError },
    #[error("{doing}: {source}")]
    Http { doing: String, source: HttpError },
    #[error("{doing}: answered {status} {body}")]
    Refused { doing: String, status: u16, body: String },
    #[error(
        "{needed} file descriptors are needed, {hard} are the most this process may have; \
         raise the hard limit (`ulimit -Hn {needed}`, or LimitNOFILE of the service) or ask for fewer sockets"
    )]
    Descriptors { needed: u64, hard: u64 },
    #[error("the fan-out could not be played: {what}")]
    Swarm { what: String },
    #[error("interrupted; the server was ended and its directory removed")]
    Interrupted,
}

impl LoadError {
    /// 2 for wrong usage, 1 for anything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::TokenMissing { .. } => 2,
            _ => 1,
        }
    }

    /// Wrong usage, said in words.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::Usage { what: what.into() }
    }
}

/// One request that got no answer, or one that cannot be read.
#[derive(Debug, Error)]
pub enum HttpError {
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    #[error("connection broke: {0}")]
    Broken(#[from] hyper::Error),
    #[error("no answer within {0} s")]
    Timeout(u64),
    #[error("not a valid request: {0}")]
    Request(#[from] hyper::http::Error),
    #[error("unreadable answer: {0}")]
    Unreadable(#[from] serde_json::Error),
}

/// One websocket that could not be opened.
#[derive(Debug, Error)]
pub enum SocketError {
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    #[error("{0}")]
    Protocol(#[from] Box<tokio_tungstenite::tungstenite::Error>),
    #[error("no answer to the upgrade within {0} s")]
    Timeout(u64),
}
