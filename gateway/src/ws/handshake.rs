//! The opening handshake (RFC 6455, 4.2) on top of hyper's upgrade.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::error::Problem;
use crate::server::{Asked, Connection};

/// The subprotocol that carries a token: browsers cannot set headers on a websocket.
const TOKEN_PROTOCOL: &str = "bearer.";

/// A request that wants to become a websocket.
pub struct Upgrade {
    /// Resolves to the connection after the answer has been sent.
    pub on: OnUpgrade,
    /// The token that came as subprotocol.
    pub protocol_token: Option<String>,
    accept: String,
    protocol: Option<HeaderValue>,
    /// Its place among the server's connections; none in tests without a server.
    place: Option<Connection>,
}

impl<S: Send + Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let refused = |what: &str| {
            Problem::malformed_request(format!("{what}; open this address with a websocket client"))
        };
        let headers = &parts.headers;
        if !has_word(headers, &header::CONNECTION, "upgrade")
            || !has_word(headers, &header::UPGRADE, "websocket")
        {
            return Err(refused(
                "the headers `Connection: Upgrade` and `Upgrade: websocket` are missing",
            ));
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(refused("`Sec-WebSocket-Version` is not 13"));
        }
        let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
            return Err(refused("`Sec-WebSocket-Key` is missing"));
        };
        let accept = derive_accept_key(key.as_bytes());
        let protocol = token_protocol(headers);
        let protocol_token = protocol
            .as_ref()
            .and_then(|value| value.to_str().ok()?.strip_prefix(TOKEN_PROTOCOL))
            .map(str::to_owned);
        let on = parts.extensions.remove::<OnUpgrade>();
        let on = on.ok_or_else(|| refused("this connection cannot be upgraded"))?;
        let place = Asked::of(parts).and_then(Asked::connection).cloned();
        Ok(Self { on, protocol_token, accept, protocol, place })
    }
}

fn has_word(headers: &HeaderMap, name: &header::HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(word))
}

fn token_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .find(|protocol| protocol.starts_with(TOKEN_PROTOCOL))
        .and_then(|protocol| HeaderValue::from_str(protocol).ok())
}

impl Upgrade {
    /// Answers 101 and runs `serve` with the connection.
    pub fn accept<F, S>(self, serve: F) -> Response
    where
        F: FnOnce(hyper::upgrade::Upgraded) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let (on, place) = (self.on, self.place);
        tokio::spawn(async move {
            // Kept to the end: a websocket counts against `connections_max` for as long as it lives.
            let _place = place;
            match on.await {
                Ok(connection) => serve(connection).await,
                // The client went away between request and answer.
                Err(error) => tracing::debug!(%error, "upgrade did not happen"),
            }
        });
        let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(protocol) = self.protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        response
    }
}
