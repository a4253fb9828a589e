//! Close codes, in one table; `docs/stream.md` lists exactly these.

use std::time::Duration;

use rand::RngExt;

/// Longest reason a close frame can carry (RFC 6455, 5.5).
pub const REASON_BYTES_MAX: usize = 123;

/// Why a socket is closed, and what the other end should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// 4400 and up.
    pub code: u16,
    /// For people, and `retry_after_ms=N` for programs.
    pub reason: String,
}

impl Close {
    /// The client sent what it must not.
    pub fn bad_message(reason: impl Into<String>) -> Self {
        Self { code: 4400, reason: reason.into() }
    }

    /// No token, or one that is not good any more.
    pub fn token(reason: impl Into<String>) -> Self {
        Self { code: 4401, reason: reason.into() }
    }

    /// The role may not.
    pub fn not_allowed(reason: impl Into<String>) -> Self {
        Self { code: 4403, reason: reason.into() }
    }

    /// Two pings without an answer.
    #[must_use]
    pub fn no_pong() -> Self {
        Self { code: 4408, reason: "two pings without pong".to_owned() }
    }

    /// Too many subscriptions or messages.
    pub fn too_many(reason: impl Into<String>) -> Self {
        Self { code: 4429, reason: reason.into() }
    }

    /// The server ends. The hint is spread, so that a city of signs does not come back in one instant.
    #[must_use]
    pub fn going_away(spread: Duration) -> Self {
        let spread_ms = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX).max(1);
        let wait_ms = rand::rng().random_range(200..=200 + spread_ms);
        Self { code: 4503, reason: format!("going away; retry_after_ms={wait_ms}") }
    }
}
