//! The id that joins an answer, its log lines and a caller's own records.
//!
//! Invariant: an id has 1 to 128 visible ASCII characters; one that came in and is not such is replaced,
//! so that nothing a caller sends can break a log line. Absent: trace context of other systems.

use std::sync::Arc;

use axum::http::HeaderName;

/// The header, in and out.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id taken over from a caller.
const CHARS_MAX: usize = 128;

tokio::task_local! {
    static CURRENT: Arc<str>;
}

/// The id of the request this task answers, if it answers one.
#[must_use]
pub fn current() -> Option<String> {
    CURRENT.try_with(ToString::to_string).ok()
}

/// Runs `work` as part of the request `id`.
pub async fn scope<F: Future>(id: Arc<str>, work: F) -> F::Output {
    CURRENT.scope(id, work).await
}

/// The caller's id where it is one, else a new one.
#[must_use]
pub fn choose(given: Option<&[u8]>) -> Arc<str> {
    given
        .filter(|id| (1..=CHARS_MAX).contains(&id.len()))
        .filter(|id| id.iter().all(u8::is_ascii_graphic))
        .and_then(|id| std::str::from_utf8(id).ok())
        .map_or_else(|| uuid::Uuid::now_v7().simple().to_string().into(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kept_or_replaced() {
        let longest = "x".repeat(CHARS_MAX);
        for kept in ["a", "req-1", longest.as_str()] {
            assert_eq!(&*choose(Some(kept.as_bytes())), kept);
        }
        let too_long = "x".repeat(CHARS_MAX + 1);
        for replaced in ["", "two words", "new\nline", "k\u{e4}se", too_long.as_str()] {
            assert_eq!(choose(Some(replaced.as_bytes())).len(), 32, "{replaced:?}");
        }
        assert_ne!(choose(None), choose(None));
    }
}
