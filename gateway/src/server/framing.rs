//! Requests that a proxy in front may read otherwise than this server does are refused.
//!
//! Two readings of the same bytes are how a request is smuggled past a proxy's rules (RFC 9112, 11.2). hyper
//! refuses most of what is ambiguous and, of a length beside chunks, believes the chunks and ends the connection;
//! here is what it lets through. Deliberately absent: which hosts are served; a proxy knows that.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Version, header};

use crate::error::Problem;
use crate::http::answer::shorten;

/// Why a request is not taken as it is.
pub(super) fn fault(request: &Request) -> Option<Problem> {
    host_fault(request.version(), request.headers()).or_else(|| coding_fault(request.headers()))
}

/// HTTP/1.1 has one `Host`, and it is a host (RFC 9112, 3.2).
fn host_fault(version: Version, headers: &HeaderMap) -> Option<Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let detail = match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_host(host) => return None,
        (None, None) if version == Version::HTTP_10 => return None,
        (None, _) => "the request has no Host header; send one".to_owned(),
        (Some(_), Some(_)) => "the request has several Host headers; send one".to_owned(),
        (Some(host), None) => {
            let shown = shorten(&String::from_utf8_lossy(host.as_bytes()));
            format!("`Host: {shown}` is no host; send a name or address, and a port where needed")
        }
    };
    Some(Problem::malformed_request(detail))
}

/// Whether it has the characters of a host and port only (RFC 3986, 3.2.2).
fn is_host(host: &HeaderValue) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte);
    host.as_bytes().iter().all(plain)
}

/// Chunks are the only transfer coding, once: `gzip, chunked` is not the JSON that it would be read as.
fn coding_fault(headers: &HeaderMap) -> Option<Problem> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let first = codings.next()?;
    if codings.next().is_none() && first.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return None;
    }
    let shown = shorten(&String::from_utf8_lossy(first.as_bytes()));
    Some(Problem::unsupported_media_type(format!(
        "`Transfer-Encoding: {shown}` is not read here; send `chunked`, once, or a Content-Length"
    )))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn ambiguous_requests_are_named() {
        let many = "x".repeat(10_000);
        for (version, lines, code) in [
            (Version::HTTP_11, &[("host", "city.example:8080")][..], None),
            (Version::HTTP_11, &[("host", "[::1]:80")], None),
            (Version::HTTP_11, &[("host", "")], None),
            (Version::HTTP_10, &[], None),
            (Version::HTTP_11, &[], Some("malformed_request")),
            (Version::HTTP_11, &[("host", "a"), ("host", "b")], Some("malformed_request")),
            (Version::HTTP_10, &[("host", "a"), ("host", "a")], Some("malformed_request")),
            (Version::HTTP_11, &[("host", "a b")], Some("malformed_request")),
            (Version::HTTP_11, &[("host", "a@b")], Some("malformed_request")),
            (Version::HTTP_11, &[("host", "a/b")], Some("malformed_request")),
            (Version::HTTP_11, &[("host", "a"), ("transfer-encoding", "Chunked")], None),
            (
                Version::HTTP_11,
                &[("host", "a"), ("transfer-encoding", "gzip, chunked")],
                Some("unsupported_media_type"),
            ),
            (
                Version::HTTP_11,
                &[
                    ("host", "a"),
                    ("transfer-encoding", "chunked"),
                    ("transfer-encoding", "chunked"),
                ],
                Some("unsupported_media_type"),
            ),
            (
                Version::HTTP_11,
                &[("host", "a"), ("transfer-encoding", many.as_str())],
                Some("unsupported_media_type"),
            ),
        ] {
            let mut request = Request::new(Body::empty());
            *request.version_mut() = version;
            for (name, value) in lines {
                request.headers_mut().append(*name, value.parse().unwrap());
            }
            let found = fault(&request);
            assert_eq!(found.as_ref().map(|problem| problem.code), code, "{lines:?}");
            assert!(found.is_none_or(|problem| problem.detail.len() < 250), "{lines:?}");
        }
    }
}
