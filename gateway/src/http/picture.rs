//! QR codes as pictures.

use axum::body::Body;
use axum::http::{HeaderValue, Response as HttpResponse, header};
use axum::response::Response;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::credential::Picture;
use crate::error::Problem;

/// Pixels of a module in a picture that does not say.
const PIXELS_DEFAULT: u32 = 8;

/// What kind of picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Scalable.
    #[default]
    Svg,
    /// For printers and old screens.
    Png,
}

/// How a picture is wanted.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PictureQuery {
    /// `svg`, which it is when left out, or `png`.
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// Pixels of a module, 1 to 64; 8 when left out.
    pixels: Option<u32>,
}

/// The picture of a text. It opens gates, so nobody keeps it.
pub fn of(text: &str, query: &PictureQuery) -> Result<Response, Problem> {
    let pixels = query.pixels.unwrap_or(PIXELS_DEFAULT);
    let picture = Picture::of(text).map_err(|error| Problem::internal(error.to_string()))?;
    let (kind, bytes) = match query.format {
        Format::Svg => ("image/svg+xml", picture.svg(pixels).into_bytes()),
        Format::Png => ("image/png", picture.png(pixels)),
    };
    let mut response = HttpResponse::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
