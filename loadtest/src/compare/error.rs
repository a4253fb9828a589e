//! What keeps a stage of the comparison from being played. The others go on.

use std::path::PathBuf;
use thiserror::Error;

/// Why a stage has no figures.
#[derive(Debug, Error)]
pub enum CompareError {
    #[error("{name}: cannot start it: {source}")]
    Spawn { name: &'static str, source: std::io::Error },
    #[error("{name} did not come up: {why}; the end of its log:\n{log_tail}")]
    Down { name: &'static str, why: String, log_tail: String },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("no free port on 127.0.0.1: {source}")]
    Port { source: std::io::Error },
    #[error("PostgreSQL: {0}")]
    Postgres(#[from] tokio_postgres::Error),
    #[error("Redis: {0}")]
    Redis(String),
    #[error("{name}: {what}")]
    Stage { name: &'static str, what: String },
    #[error("Lotkeeper: {0}")]
    Ours(#[from] crate::error::LoadError),
}
