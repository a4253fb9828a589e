//! Takes the principal out of a request. Handlers that name a [`Principal`] are protected; those that do
//! not are public. The server's outer layer checks the token once and leaves the result here.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::{Auth, Principal};
use crate::app::App;
use crate::error::Problem;
use crate::server::Asked;

impl Auth {
    /// Checks the token of the `Authorization` header.
    ///
    /// # Errors
    /// `token_missing`, `token_invalid`, `token_expired`.
    pub fn of_headers(&self, headers: &HeaderMap) -> Result<Principal, Problem> {
        self.verify(bearer(headers)?)
    }
}

/// The token of the `Authorization` header.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(Problem::token_missing(
            "send `Authorization: Bearer <token>`; `lotkeeper token --role operator` mints one",
        ));
    };
    if values.next().is_some() {
        return Err(Problem::token_invalid("two Authorization headers; send one"));
    }
    let scheme_and_token = value.to_str().ok().and_then(|text| text.trim().split_once(' '));
    match scheme_and_token {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Problem::token_invalid("the Authorization header is not `Bearer <token>`")),
    }
}

impl FromRequestParts<App> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Asked::of(parts) {
            Some(asked) => asked.principal().cloned().map_err(Problem::clone),
            None => app.auth.of_headers(&parts.headers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_bearer_header_is_read() {
        for (values, wanted) in [
            (vec![], Err("token_missing")),
            (vec!["Bearer abc"], Ok("abc")),
            (vec!["bearer  abc "], Ok("abc")),
            (vec!["Basic abc"], Err("token_invalid")),
            (vec!["Bearer"], Err("token_invalid")),
            (vec!["Bearer a", "Bearer b"], Err("token_invalid")),
        ] {
            let mut headers = HeaderMap::new();
            for value in &values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            assert_eq!(bearer(&headers).map_err(|p| p.code), wanted, "{values:?}");
        }
    }
}
