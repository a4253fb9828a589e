//! `If-Match`: change it only if it is still as I saw it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::app::App;
use crate::error::Problem;

/// What the caller saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// No matter what: no header, or `*`.
    Any,
    /// One of these versions; empty when what was sent is no version of ours.
    Versions(Vec<u32>),
}

impl FromRequestParts<App> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Ok(Self::of(&parts.headers))
    }
}

impl IfMatch {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut versions = Vec::new();
        let mut present = false;
        for value in headers.get_all(header::IF_MATCH) {
            present = true;
            let text = value.to_str().unwrap_or_default();
            for tag in text.split(',').map(str::trim) {
                if tag == "*" {
                    return Self::Any;
                }
                // A weak tag (`W/"7"`) never matches here (RFC 9110, 13.1.1).
                let bare = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                versions.extend(bare.unwrap_or(tag).parse::<u32>().ok());
            }
        }
        if present { Self::Versions(versions) } else { Self::Any }
    }

    /// The version to expect, when the thing is at `current`; the owner compares again.
    pub fn expected(&self, current: u32) -> Result<Option<u32>, Problem> {
        match self {
            Self::Any => Ok(None),
            Self::Versions(versions) if versions.contains(&current) => Ok(Some(current)),
            Self::Versions(versions) => match versions.first() {
                Some(version) => Ok(Some(*version)),
                None => Err(Problem::version_mismatch(format!(
                    "If-Match names no version; the version is \"{current}\""
                ))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_versions() {
        for (value, current, expected) in [
            (None, 7, Ok(None)),
            (Some("*"), 7, Ok(None)),
            (Some("\"7\""), 7, Ok(Some(7))),
            (Some("7"), 7, Ok(Some(7))),
            (Some("\"6\""), 7, Ok(Some(6))),
            (Some("\"6\", \"7\""), 7, Ok(Some(7))),
            (Some("W/\"7\""), 7, Err("version_mismatch")),
            (Some("\"x\""), 7, Err("version_mismatch")),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::IF_MATCH, value.parse().unwrap());
            }
            let found = IfMatch::of(&headers).expected(current).map_err(|problem| problem.code);
            assert_eq!(found, expected, "{value:?}");
        }
    }
}
