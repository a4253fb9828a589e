//! How long to wait before the next attempt: what the server says, with jitter; without a word from it a
//! pause that grows. A thousand clients that come back at the same instant are what the jitter is for.

use crate::error::SocketError;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::http::header::RETRY_AFTER;

/// The first pause after a failure that nobody explained.
const PAUSE_MS_MIN: u64 = 50;
/// Neither a hint nor our own growth waits longer: a run must end.
const PAUSE_MS_MAX: u64 = 5_000;

/// A pause before attempt `attempt` (from 1); `jitter` is 0 to 1 and adds up to half.
pub fn pause_ms(attempt: u32, hint_ms: Option<u64>, jitter: f64) -> u64 {
    let grown_ms = PAUSE_MS_MIN << attempt.saturating_sub(1).min(6);
    let base_ms = hint_ms.unwrap_or(grown_ms).min(PAUSE_MS_MAX);
    base_ms + (base_ms as f64 / 2.0 * jitter.clamp(0.0, 1.0)) as u64
}

/// What a refused upgrade says: `Retry-After`, in milliseconds.
pub fn hint_of_refusal(error: &SocketError) -> Option<u64> {
    let SocketError::Protocol(protocol) = error else { return None };
    let Error::Http(response) = protocol.as_ref() else { return None };
    let seconds: u64 = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    seconds.checked_mul(1_000)
}

/// What a close reason says: `retry_after_ms=N`.
pub fn hint_of_reason(reason: &str) -> Option<u64> {
    let (_, rest) = reason.split_once("retry_after_ms=")?;
    let digits_end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits_end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_tungstenite::tungstenite::http::Response;

    #[test]
    fn the_servers_hint_stands_above_our_own_growth_and_both_end() {
        for (attempt, hint_ms, jitter, expected) in [
            (1, None, 0.0, 50),
            (3, None, 0.0, 200),
            (40, None, 0.0, 3_200),
            (1, Some(2_000), 0.0, 2_000),
            (9, Some(2_000), 1.0, 3_000),
            (1, Some(3_600_000), 0.0, 5_000),
        ] {
            assert_eq!(pause_ms(attempt, hint_ms, jitter), expected, "{attempt} {hint_ms:?}");
        }
    }

    #[test]
    fn hints_are_found_in_reasons_and_refusals() {
        assert_eq!(hint_of_reason("closed with 4503 going away; retry_after_ms=750"), Some(750));
        assert_eq!(hint_of_reason("retry_after_ms=9; bye"), Some(9));
        assert_eq!(hint_of_reason("retry_after_ms="), None);
        assert_eq!(hint_of_reason("closed without a code"), None);
        let busy = Response::builder().status(503).header("Retry-After", "2").body(None).unwrap();
        let refused = SocketError::Protocol(Box::new(Error::Http(Box::new(busy))));
        assert_eq!(hint_of_refusal(&refused), Some(2_000));
        assert_eq!(hint_of_refusal(&SocketError::Timeout(30)), None);
    }
}
