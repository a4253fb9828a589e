//! What can go wrong between a client and the server, told apart by what a caller can do about it.
//!
//! A [`Problem`] is the server's own word (problem+json, a stable code); everything else is the
//! road to it. The token is in no message.

use serde::Deserialize;
use tokio_tungstenite::tungstenite;

/// A refusal by the server: RFC 9457 with Lotkeeper's stable `code`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// The stable code, `lot_code_taken` for example; empty when something else than the server
    /// answered (a proxy).
    #[serde(default)]
    pub code: String,
    /// What people read.
    #[serde(default)]
    pub detail: String,
}

impl Problem {
    /// Reads a body that should be problem+json; a body that is not keeps its beginning as detail.
    pub fn from_body(status: u16, body: &[u8]) -> Self {
        const SHOWN_CHARACTERS: usize = 200;
        let mut problem = serde_json::from_slice::<Self>(body).unwrap_or_else(|_| Self {
            status,
            code: String::new(),
            detail: String::from_utf8_lossy(body).chars().take(SHOWN_CHARACTERS).collect(),
        });
        problem.status = status;
        problem
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.detail)
    }
}

/// Why a request or a websocket failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be used; nothing was sent.
    #[error("address {address:?} cannot be used: {reason}")]
    Address {
        /// As given.
        address: String,
        /// What is wrong and what to write instead.
        reason: String,
    },
    /// The token cannot be put into a header; nothing was sent.
    #[error(
        "the token has characters that no token has; mint one with `lotkeeper token --role operator`"
    )]
    Token,
    /// The server could not be reached or the connection broke.
    #[error("{action} failed: {reason}; is a server running at that address?")]
    Unreachable {
        /// Method and address.
        action: String,
        /// The chain of causes.
        reason: String,
    },
    /// It was reached and began to answer well; the rest never came.
    #[error(
        "{action} was answered with {status} and cut off after {bytes} bytes: {reason}; what the server says of \
         it is in its log{}",
        request.as_ref().map_or_else(String::new, |id| format!(", with the request id {id}"))
    )]
    CutOff {
        /// Method and address.
        action: String,
        /// The HTTP status, which was sent before anybody knew.
        status: u16,
        /// What came before it ended.
        bytes: u64,
        /// The server's name for the request.
        request: Option<String>,
        /// The chain of causes.
        reason: String,
    },
    /// The server refused.
    #[error("{action} was refused: {problem}")]
    Refused {
        /// Method and address.
        action: String,
        /// Its reasons.
        problem: Problem,
    },
    /// The answer is not what the documents say.
    #[error("{action} got an answer that cannot be read: {reason}; is it a Lotkeeper server?")]
    Answer {
        /// Method and address, or the socket.
        action: String,
        /// What is odd about it.
        reason: String,
    },
    /// The websocket was closed by the server, or broke (no code).
    #[error("the ingest socket closed with code {}: {reason}", code.map_or_else(|| "none".to_owned(), |code| code.to_string()))]
    Closed {
        /// The close code of docs/stream.md, when there was one.
        code: Option<u16>,
        /// The reason the server gave, or the cause of the break.
        reason: String,
    },
}

impl Error {
    /// The server's refusal, when it is one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// Whether the same may well succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::CutOff { .. } => true,
            Self::Refused { problem, .. } => matches!(problem.status, 429 | 502 | 503 | 504),
            // 4400, 4401 and 4403 need a person; the rest, and a mere break, pass.
            Self::Closed { code, .. } => !matches!(code, Some(4400 | 4401 | 4403)),
            Self::Address { .. } | Self::Token | Self::Answer { .. } => false,
        }
    }

    /// The pause the server asked for in a close reason (`retry_after_ms=N`).
    pub fn retry_after_ms(&self) -> Option<u64> {
        let Self::Closed { reason, .. } = self else { return None };
        let digits = reason.split("retry_after_ms=").nth(1)?;
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().ok()
    }

    pub(super) fn from_reqwest(action: &str, error: &reqwest::Error) -> Self {
        Self::Unreachable { action: action.to_owned(), reason: chain(error) }
    }

    pub(super) fn from_handshake(action: &str, error: &tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Http(response) => Self::Refused {
                action: action.to_owned(),
                problem: Problem::from_body(
                    response.status().as_u16(),
                    response.body().as_deref().unwrap_or_default(),
                ),
            },
            other => Self::Unreachable { action: action.to_owned(), reason: chain(other) },
        }
    }

    pub(super) fn from_socket(error: &tungstenite::Error) -> Self {
        Self::Closed { code: None, reason: chain(error) }
    }
}

/// The whole chain of causes: the first link alone often says only "error sending request".
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Many libraries already print their cause; saying it twice helps nobody.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_reason_yields_its_hint() {
        for (reason, hint) in [
            ("going away, retry_after_ms=250", Some(250)),
            ("retry_after_ms=9; bye", Some(9)),
            ("retry_after_ms=", None),
            ("going away", None),
        ] {
            let error = Error::Closed { code: Some(4503), reason: reason.to_owned() };
            assert_eq!(error.retry_after_ms(), hint, "{reason}");
        }
    }

    #[test]
    fn closings_that_need_a_person_are_not_transient() {
        for (code, transient) in [
            (None, true),
            (Some(1006), true),
            (Some(4400), false),
            (Some(4401), false),
            (Some(4403), false),
            (Some(4408), true),
            (Some(4429), true),
            (Some(4503), true),
        ] {
            let error = Error::Closed { code, reason: String::new() };
            assert_eq!(error.is_transient(), transient, "{code:?}");
        }
    }

    #[test]
    fn a_body_that_is_no_problem_keeps_its_beginning() {
        let proxy = Problem::from_body(502, b"<html>Bad Gateway</html>");
        assert_eq!((proxy.status, proxy.code.as_str()), (502, ""));
        assert!(proxy.detail.contains("Bad Gateway"));

        let ours = Problem::from_body(
            409,
            br#"{"type":"about:blank","title":"Conflict","status":409,"code":"lot_code_taken","detail":"d","request_id":"r"}"#,
        );
        assert_eq!(ours.code, "lot_code_taken");
    }
}
