//! Where the JSON of a post is: the body itself, or the field `json` of a form, beside a picture or alone.
//!
//! Forms are read by the library that axum reads them with, from memory: it never waits.

use std::borrow::Cow;
use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use multer::{Constraints, Multipart, SizeLimit};

use super::{AnprError, JSON_BYTES_MAX};

/// The field that has the JSON.
const FIELD: &str = "json";
/// Fields of a form that are looked at.
const FIELDS_MAX: usize = 16;

/// The JSON of a body.
pub(super) fn json<'a>(content_type: &str, body: &'a Bytes) -> Result<Cow<'a, [u8]>, AnprError> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Ok(Cow::Borrowed(body)),
        "multipart/form-data" => multipart(content_type, body).map(|json| json.to_vec().into()),
        "application/x-www-form-urlencoded" => {
            let field = form_urlencoded::parse(body).find(|(name, _)| name == FIELD);
            let (_, json) = field.ok_or_else(none)?;
            Ok(json.into_owned().into_bytes().into())
        }
        _ => Err(AnprError::ContentType),
    }
}

fn none() -> AnprError {
    AnprError::Form { cause: "it has no field `json`; send the result of the recognition too" }
}

fn multipart(content_type: &str, body: &Bytes) -> Result<Bytes, AnprError> {
    let boundary = multer::parse_boundary(content_type).map_err(|error| refused(&error))?;
    let limit = SizeLimit::new().for_field(FIELD, JSON_BYTES_MAX as u64);
    let whole = stream::once(std::future::ready(Ok::<Bytes, Infallible>(body.clone())));
    let mut form =
        Multipart::with_constraints(whole, boundary, Constraints::new().size_limit(limit));
    for _ in 0..FIELDS_MAX {
        let field = at_once(form.next_field())?.ok_or_else(none)?;
        if field.name() == Some(FIELD) {
            return at_once(field.bytes());
        }
        // The next one can be asked for once this one is let go.
        drop(field);
    }
    Err(AnprError::Form { cause: "it has more than 16 fields before the field `json`" })
}

/// The answer of a future over bytes that are all there.
fn at_once<T>(future: impl Future<Output = multer::Result<T>>) -> Result<T, AnprError> {
    let incomplete = AnprError::Form { cause: "it is incomplete" };
    future.now_or_never().ok_or(incomplete)?.map_err(|error| refused(&error))
}

/// In our words: the library's repeat names and values.
fn refused(error: &multer::Error) -> AnprError {
    use multer::Error;
    let cause = match error {
        Error::NoMultipart | Error::NoBoundary | Error::DecodeContentType(_) => {
            "its content type names no boundary"
        }
        Error::FieldSizeExceeded { .. } | Error::StreamSizeExceeded { .. } => {
            "the field `json` is larger than 4 MiB; send no pictures inside of it"
        }
        Error::IncompleteStream | Error::IncompleteHeaders | Error::IncompleteFieldData { .. } => {
            "it is incomplete"
        }
        _ => "its parts are not what RFC 7578 says",
    };
    AnprError::Form { cause }
}
