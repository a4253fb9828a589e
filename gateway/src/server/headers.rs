//! Headers that every answer carries, and those that pages carry.
//!
//! Pages may load and run only what this server serves: no inline script, no frame around them, no word to
//! another site about where a link was followed from.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Writes what belongs on an answer with these headers so far; `host` is the request's.
pub(super) fn write(headers: &mut HeaderMap, host: Option<&HeaderValue>) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if content_type.is_some_and(|kind| kind.starts_with(b"text/html")) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy(host));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(OPENER, HeaderValue::from_static("same-origin"));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        // What is asked for with a token must not stay in anybody's cache.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Older browsers do not take `'self'` for the websocket of the same host, so it is named.
fn policy(host: Option<&HeaderValue>) -> HeaderValue {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    let host = host.and_then(|host| host.to_str().ok()).filter(|host| host.bytes().all(plain));
    let sockets = host.map_or_else(String::new, |host| format!(" ws://{host} wss://{host}"));
    let policy = format!(
        "default-src 'self'; connect-src 'self'{sockets}; object-src 'none'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'self'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_get_a_policy_and_answers_do_not() {
        for (content_type, is_page) in
            [("text/html; charset=utf-8", true), ("application/json", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            write(&mut headers, None);
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["referrer-policy"], "no-referrer");
            assert_eq!(headers.contains_key("content-security-policy"), is_page);
        }
    }

    #[test]
    fn a_strange_host_does_not_reach_the_policy() {
        for (host, named) in
            [("city.example:8080", true), ("[::1]:8080", true), ("x; script-src *", false)]
        {
            let host = HeaderValue::from_str(host).unwrap();
            let policy = policy(Some(&host));
            assert_eq!(policy.to_str().unwrap().contains("ws://"), named, "{policy:?}");
        }
    }
}
