//! Structured logs on standard error: text for people, one JSON object per line for machines.
//!
//! Invariants: standard output belongs to what commands print; no token, plate or subject is a log field.
//! Deliberately absent: files and rotation (the system's journal does that), remote exporters.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::{Log, LogFormat};

/// Overrides `log.level`.
pub const VARIABLE: &str = "LOTKEEPER_LOG";

/// ractor makes a span per actor and enters it at every message: about 40 MB of 100,000 slots, for lines
/// that nobody reads. The history's tree tells of every table it writes. Who names them gets them.
const QUIET: &str = "ractor=warn,lsm_tree=warn";

/// A level (`info`) or a list of targets (`info,lotkeeper_actors=debug`).
///
/// # Errors
/// When the text is neither.
pub fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(format!("{QUIET},{level}"))
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The variable is not a filter.
    #[error(
        "{VARIABLE} = {value} is not a level or filter ({cause}); write info or info,hyper=warn"
    )]
    Filter {
        /// As given.
        value: String,
        /// What the parser said.
        cause: String,
    },
    /// Somebody else set up logging before.
    #[error("cannot start logging: {0}")]
    Set(String),
}

/// Starts logging for the whole process.
///
/// # Errors
/// When `LOTKEEPER_LOG` is no filter, or logging was started before.
pub fn start(log: &Log) -> Result<(), LoggingError> {
    let level = std::env::var(VARIABLE).unwrap_or_else(|_| log.level.clone());
    let filter = filter(&level)
        .map_err(|error| LoggingError::Filter { value: level.clone(), cause: error.to_string() })?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).with_current_span(true).try_init(),
    };
    started.map_err(|error| LoggingError::Set(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_make_no_spans_unless_somebody_asks_for_them() {
        for (level, about_ractor) in [
            ("info", "ractor=warn"),
            ("debug", "ractor=warn"),
            ("info,ractor=debug", "ractor=debug"),
        ] {
            let filter = filter(level).unwrap().to_string();
            let directives: Vec<&str> =
                filter.split(',').filter(|directive| directive.starts_with("ractor")).collect();
            assert_eq!(directives, [about_ractor], "{level}");
        }
        assert!(filter("lotkeeper_actors=loud").is_err());
    }
}
