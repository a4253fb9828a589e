//! What can be wrong with a configuration; every text says where, what and what to do.

use std::path::PathBuf;

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration {path}: {cause}; correct --config")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The text is not TOML.
    #[error("{origin} is not TOML: {cause}")]
    Syntax {
        /// Where it came from.
        origin: String,
        /// What and where.
        cause: String,
    },
    /// No such key.
    #[error("{origin}: unknown key {key}{hint}; config/default.toml lists every key")]
    UnknownKey {
        /// Where it came from.
        origin: String,
        /// The key as written.
        key: String,
        /// The nearest known key, if one is near.
        hint: String,
    },
    /// A value of the wrong kind.
    #[error("{origin}: {key} = {value} is not {wanted}")]
    Kind {
        /// Where it came from.
        origin: String,
        /// The key.
        key: String,
        /// The value as written.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// A value that cannot be served.
    #[error("{origin}: {key} = {value} {problem}")]
    Value {
        /// Where it came from.
        origin: String,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What is wrong and what to do.
        problem: String,
    },
}
