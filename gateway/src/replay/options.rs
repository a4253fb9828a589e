//! What `lotkeeper replay` can be told. Values are checked here, so the rest need not doubt them.

use std::path::PathBuf;
use std::str::FromStr;

/// How far after its upload an observation may lie before the row is `early`.
pub(super) const SKEW_SECONDS_DEFAULT: u32 = 60;
/// From which age a sensor's status means nothing.
pub(super) const DEAD_AFTER_DAYS_DEFAULT: u32 = 30;
const PATIENCE_SECONDS_DEFAULT: u32 = 60;

/// The flags of `lotkeeper replay`.
#[derive(Clone, clap::Args)]
pub struct Options {
    /// How the file is written
    #[arg(long, value_enum)]
    pub format: Format,
    /// `max`, or N times real time by the file's own clock
    #[arg(long, default_value = "max", value_name = "N|max")]
    pub speed: Speed,
    /// The data file, plain or gzip
    pub file: PathBuf,
    /// The running server
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// A token of role operator, from `lotkeeper token --role operator`
    #[arg(long, env = "LOTKEEPER_TOKEN", hide_env_values = true)]
    pub token: String,
    /// Coordinates of the bays (`st_marker_id,lat,lon`), plain or gzip; places the lots
    #[arg(long, value_name = "FILE")]
    pub bays: Option<PathBuf>,
    /// How far after its upload an observation may lie (bath)
    #[arg(long, default_value_t = SKEW_SECONDS_DEFAULT)]
    pub skew_seconds: u32,
    /// From which age a sensor is dead and not sent (melbourne-2025)
    #[arg(long, default_value_t = DEAD_AFTER_DAYS_DEFAULT)]
    pub dead_after_days: u32,
    /// How long to go on without any answer before giving up
    #[arg(long, alias = "patience", default_value_t = PATIENCE_SECONDS_DEFAULT)]
    pub patience_seconds: u32,
    /// No progress on stderr
    #[arg(long)]
    pub quiet: bool,
}

impl Options {
    /// The defaults of the command line, at full speed.
    pub fn new(format: Format, file: PathBuf, url: String, token: String) -> Self {
        Self {
            format,
            speed: Speed::Max,
            file,
            url,
            token,
            bays: None,
            skew_seconds: SKEW_SECONDS_DEFAULT,
            dead_after_days: DEAD_AFTER_DAYS_DEFAULT,
            patience_seconds: PATIENCE_SECONDS_DEFAULT,
            quiet: false,
        }
    }
}

/// Without the token: options end up in logs.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("format", &self.format)
            .field("speed", &self.speed)
            .field("file", &self.file)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// The formats a file may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Bay events: ts,bay,event,area
    #[value(name = "melbourne-2016")]
    Melbourne2016,
    /// Bay states: a snapshot or a list of last events
    #[value(name = "melbourne-2025")]
    Melbourne2025,
    /// Car park counts: name,last_update_local,uploaded_local,occupancy,capacity
    #[value(name = "bath")]
    Bath,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Melbourne2016 => "melbourne-2016",
            Self::Melbourne2025 => "melbourne-2025",
            Self::Bath => "bath",
        })
    }
}

/// How fast the file's clock runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// As fast as the server answers.
    Max,
    /// This many times real time; finite and above zero.
    Times(f64),
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        text.parse()
            .ok()
            .filter(|times: &f64| times.is_finite() && *times > 0.0)
            .map(Self::Times)
            .ok_or_else(|| format!("speed {text:?} is neither max nor a number above 0, e.g. 60"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_max_or_positive() {
        for (text, speed) in [
            ("max", Some(Speed::Max)),
            ("1", Some(Speed::Times(1.0))),
            ("0.5", Some(Speed::Times(0.5))),
            ("0", None),
            ("-1", None),
            ("inf", None),
            ("NaN", None),
            ("fast", None),
        ] {
            assert_eq!(text.parse().ok(), speed, "{text}");
        }
    }
}
