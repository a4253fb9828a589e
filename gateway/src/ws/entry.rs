//! Who is on the other end: the token from the header, the subprotocol or the first message.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use serde::Deserialize;

use super::close::Close;
use super::socket::{Incoming, Socket};
use crate::app::App;
use crate::auth::Principal;
use crate::error::Problem;

/// What is known of the caller when the socket opens.
pub enum Entry {
    /// A good token came with the request.
    Known(Box<Principal>),
    /// A bad one came as subprotocol: browsers see close codes only, so it is told by one.
    Refused(Problem),
    /// None came: the first message must bring it.
    Unknown,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
enum First {
    Token { token: String },
}

impl Entry {
    /// Looks at the request.
    ///
    /// # Errors
    /// A bad token in the header, as an answer to the request.
    pub fn of(app: &App, headers: &HeaderMap, protocol: Option<&str>) -> Result<Self, Problem> {
        if headers.contains_key(header::AUTHORIZATION) {
            return app.auth.of_headers(headers).map(|principal| Self::Known(Box::new(principal)));
        }
        Ok(match protocol.map(|token| app.auth.verify(token)) {
            Some(Ok(principal)) => Self::Known(Box::new(principal)),
            Some(Err(problem)) => Self::Refused(problem),
            None => Self::Unknown,
        })
    }

    /// The caller, after the first message if need be.
    ///
    /// # Errors
    /// Why the socket is closed; nothing when the client is gone.
    pub async fn settle(
        self,
        app: &App,
        socket: &mut Socket,
        patience: Duration,
    ) -> Result<Principal, Option<Close>> {
        match self {
            Self::Known(principal) => Ok(*principal),
            Self::Refused(problem) => Err(Some(Close::token(problem.detail))),
            Self::Unknown => match tokio::time::timeout(patience, first_token(socket)).await {
                Err(_) => Err(Some(Close::token("no token came in time"))),
                Ok(Err(close)) => Err(close),
                Ok(Ok(token)) => {
                    app.auth.verify(&token).map_err(|problem| Some(Close::token(problem.detail)))
                }
            },
        }
    }
}

/// The token of the first message.
async fn first_token(socket: &mut Socket) -> Result<String, Option<Close>> {
    let wanted = || Some(Close::token("send {\"op\":\"token\",\"token\":\"...\"} first"));
    loop {
        match socket.next().await {
            Incoming::Gone => return Err(None),
            Incoming::Broken(close) => return Err(Some(close)),
            Incoming::Binary(_) => return Err(wanted()),
            Incoming::Text(text) => {
                let First::Token { token } = serde_json::from_str(&text).map_err(|_| wanted())?;
                return Ok(token);
            }
            Incoming::Control => {
                socket.flush().await.map_err(|_| None)?;
            }
        }
    }
}
