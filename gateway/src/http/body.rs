//! Request bodies and the parts of a request's address, each refusal with its code.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::Problem;
use crate::server::Asked;
use crate::wire::from_json;

/// So much of a body that is too large is read and dropped, so that the sender hears the answer instead
/// of a broken connection.
const DROPPED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A body of JSON.
pub struct JsonBody(Bytes);

impl JsonBody {
    /// The bytes as sent.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads it.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        Ok(from_json(&self.0)?)
    }

    /// Reads it; a body that was left out says nothing.
    pub fn parse_or_default<'a, T: Deserialize<'a> + Default>(&'a self) -> Result<T, Problem> {
        if self.0.is_empty() { Ok(T::default()) } else { self.parse() }
    }
}

/// A body of any type, for whoever reads it by its type.
pub struct AnyBody {
    /// The `Content-Type` as sent; empty when there is none.
    pub content_type: String,
    /// The bytes as sent.
    pub bytes: Bytes,
}

impl FromRequest<App> for AnyBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let announced = announced_bytes(&parts.headers);
        let bytes = read(body, announced, app.config.server.body_bytes_max).await?;
        let content_type = parts.headers.get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        if let Some(asked) = Asked::of(&parts) {
            asked.take_turn(app).await?;
        }
        Ok(Self { content_type: content_type.to_owned(), bytes })
    }
}

impl FromRequest<App> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let announced = announced_bytes(&parts.headers);
        // The type is checked first, but the body is read either way: see DROPPED_BYTES_MAX.
        let type_checked = check_type(&parts.headers);
        let bytes = read(body, announced, app.config.server.body_bytes_max).await?;
        if !bytes.is_empty() {
            type_checked?;
        }
        if let Some(asked) = Asked::of(&parts) {
            asked.take_turn(app).await?;
        }
        Ok(Self(bytes))
    }
}

fn announced_bytes(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    // Refused and not misread: a compressed body is not the JSON it was made of, and none is unpacked here.
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    let coded = |value: &&HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
    if let Some(coding) = encodings.iter().find(coded) {
        let text = String::from_utf8_lossy(coding.as_bytes());
        let shown = super::answer::shorten(&text);
        return Err(Problem::unsupported_media_type(format!(
            "`Content-Encoding: {shown}` is not read here; send the body as it is, without Content-Encoding"
        )));
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Err(Problem::unsupported_media_type(
            "the body has no type; send `Content-Type: application/json`",
        ));
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || essence.ends_with("+json") {
        return Ok(());
    }
    let shown = super::answer::shorten(&essence);
    Err(Problem::unsupported_media_type(format!(
        "`{shown}` is not read here; send `Content-Type: application/json`"
    )))
}

async fn read(
    mut body: Body,
    announced: Option<usize>,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::body_too_large(format!(
            "a body has at most {bytes_max} bytes; send several requests"
        ))
    };
    if announced.is_some_and(|bytes| bytes > bytes_max + DROPPED_BYTES_MAX) {
        return Err(too_large());
    }
    let mut kept = BytesMut::with_capacity(announced.unwrap_or_default().min(bytes_max));
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::malformed_request("the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen <= bytes_max {
            kept.extend_from_slice(&data);
        } else if seen > bytes_max + DROPPED_BYTES_MAX {
            break;
        }
    }
    if seen > bytes_max { Err(too_large()) } else { Ok(kept.freeze()) }
}

/// A query; an unknown, repeated or misspelt parameter is refused by name.
pub struct QueryOf<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for QueryOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        let refused =
            |text: String| Problem::malformed_request(super::answer::shorten_detail(&text));
        query.map(|Query(query)| Self(query)).map_err(|error| refused(error.body_text()))
    }
}

/// The variable segments of a path.
pub struct PathOf<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for PathOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path: Result<Path<T>, PathRejection> = Path::from_request_parts(parts, app).await;
        let refused = |error: PathRejection| Problem::malformed_request(error.body_text());
        path.map(|Path(segments)| Self(segments)).map_err(refused)
    }
}
