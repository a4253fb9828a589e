//! Who asks for a write, and what makes it harmless to repeat: the `Idempotency-Key`, or an id that the client
//! made.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method};
use lotkeeper_actors::Origin;
use uuid::Uuid;

use super::answer::unreadable;
use super::fingerprint;
use crate::app::App;
use crate::auth::Principal;
use crate::error::Problem;

/// The header.
const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Characters of the longest key.
const KEY_CHARS_MAX: usize = 128;

/// What a write means to do, and under which key.
#[derive(Debug)]
pub struct Intent {
    key: Option<String>,
    method: Method,
    path: String,
}

impl FromRequestParts<App> for Intent {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let key = key_of(&parts.headers)?;
        Ok(Self { key, method: parts.method.clone(), path: parts.uri.path().to_owned() })
    }
}

pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let refused = || {
        Problem::malformed_request(format!(
            "the Idempotency-Key header has 1 to {KEY_CHARS_MAX} visible characters, quoted or bare, once"
        ))
    };
    let text = value.to_str().map_err(|_| refused())?.trim();
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let visible = bare.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
    if values.next().is_some() || !visible || !(1..=KEY_CHARS_MAX).contains(&bare.len()) {
        return Err(refused());
    }
    Ok(Some(bare.to_owned()))
}

impl Intent {
    /// Where the command comes from: who asks, and the claim under which the engine remembers the effect;
    /// none without a key or a client's id.
    pub fn origin(
        &self,
        app: &App,
        principal: &Principal,
        body: &[u8],
        id: Option<Uuid>,
    ) -> Result<Origin, Problem> {
        let by = principal.by(&*app.engine.vault());
        let by = by.map_err(|error| unreadable("vault", &error))?;
        let key = match (&self.key, id) {
            (Some(key), _) => format!("key:{key}"),
            (None, Some(id)) => format!("id:{id}"),
            (None, None) => return Ok(Origin { by: Some(by), claim: None }),
        };
        let fingerprint = fingerprint::of(self.method.as_str(), &self.path, body);
        let claim = app.engine.claim(&principal.tenant, &principal.subject, &key, fingerprint);
        let claim = claim.map_err(|error| unreadable("vault", &error))?;
        Ok(Origin { by: Some(by), claim: Some(claim) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_quoted_or_bare_and_visible() {
        let longest = "k".repeat(KEY_CHARS_MAX);
        let too_long = "k".repeat(KEY_CHARS_MAX + 1);
        for (value, key) in [
            ("abc", Some("abc")),
            ("\"abc\"", Some("abc")),
            (" abc ", Some("abc")),
            (longest.as_str(), Some(longest.as_str())),
            (too_long.as_str(), None),
            ("", None),
            ("\"\"", None),
            ("\"", None),
            ("a b", None),
            ("a\"b", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, value.parse().unwrap());
            assert_eq!(key_of(&headers).ok().flatten().as_deref(), key, "{value:?}");
        }
        assert!(key_of(&HeaderMap::new()).unwrap().is_none());
        let mut twice = HeaderMap::new();
        twice.append(HEADER, "a".parse().unwrap());
        twice.append(HEADER, "b".parse().unwrap());
        assert!(key_of(&twice).is_err());
    }
}
