//! Pages and their parts, embedded in the binary: one table, served with strong ETags.
//!
//! Invariants: every file of `gateway/assets` is in the table (tested); pages load nothing from elsewhere
//! and run no inline script (the CSP refuses it). Parts are revalidated at each load, so a new release
//! shows at once and costs a 304 when nothing changed; `build.json` tells a page that nobody reloads that
//! there is a new one. Absent: a build step, compression, directories.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::error::Problem;
use crate::http::answer::shorten;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";
const SVG: &str = "image/svg+xml";

/// One file: name, content type, bytes.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($content_type:ident: $($name:literal)+;)+) => {
        &[$($(Asset {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../assets/", $name)),
        },)+)+]
    };
}

static ASSETS: &[Asset] = assets! {
    HTML: "book.html" "console.html" "docs.html" "scan.html" "sign.html";
    CSS: "book.css" "console.css" "desk.css" "docs.css" "frame.css" "scan.css" "sign.css" "slots.css" "tokens.css";
    SCRIPT: "amounts.js" "api.js" "book.js" "booking.js" "camera.js" "console.js" "credential.js"
        "desk.js" "docs.js" "dom.js" "drawer.js" "feed.js" "finder.js" "frame.js" "gates.js" "history.js" "i18n.js"
        "lots.js" "lotview.js" "map.js" "meter.js" "mine.js" "money.js" "offer.js" "patience.js" "picture.js"
        "quotes.js" "report.js" "scan.js" "session.js" "sheet.js" "sign.js" "sound.js" "status.js"
        "stays.js" "stream.js" "table.js" "tabs.js" "times.js" "tip.js" "violations.js";
    JSON: "desk.de.json" "desk.en.json" "desk.fr.json" "gate.de.json" "gate.en.json" "gate.fr.json" "stay.de.json" "stay.en.json" "stay.fr.json" "texts.de.json" "texts.en.json"
        "texts.fr.json";
    SVG: "icon.svg";
};

/// ETags in the order of the table, quoted.
static ETAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    ASSETS.iter().map(|asset| format!("\"{}\"", hex(&Sha256::digest(asset.bytes)))).collect()
});

static BUILD: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new().chain_update(env!("CARGO_PKG_VERSION"));
    for (asset, etag) in ASSETS.iter().zip(ETAGS.iter()) {
        hash.update(asset.name);
        hash.update(etag);
    }
    hex(&hash.finalize())
});

/// 64 bits of a hash: enough to tell a few releases apart.
fn hex(hash: &[u8]) -> String {
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Changes whenever a page or the release does.
#[must_use]
pub fn build_hash() -> &'static str {
    &BUILD
}

/// The pages and their parts.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/", get(async || axum::response::Redirect::to("/console")))
        .route("/console", get(async |headers: HeaderMap| page("console.html", &headers)))
        .route("/book", get(async |headers: HeaderMap| page("book.html", &headers)))
        .route("/scan", get(async |headers: HeaderMap| page("scan.html", &headers)))
        .route("/docs", get(async |headers: HeaderMap| page("docs.html", &headers)))
        // The page reads tenant and lot from its own address; the shell is the same for all.
        .route("/sign/{tenant}/{lot}", get(async |headers: HeaderMap| page("sign.html", &headers)))
        .route("/assets/build.json", get(build))
        .route(
            "/assets/{name}",
            get(async |Path(name): Path<String>, headers: HeaderMap| page(&name, &headers)),
        )
}

/// What a sign compares with what it began with.
async fn build() -> Json<serde_json::Value> {
    Json(json!({"version": env!("CARGO_PKG_VERSION"), "build": build_hash()}))
}

fn page(name: &str, request: &HeaderMap) -> Response {
    let Some(position) = ASSETS.iter().position(|asset| asset.name == name) else {
        return Problem::not_found(format!("no file `{}` in this release", shorten(name)))
            .into_response();
    };
    let (asset, etag) = (&ASSETS[position], &ETAGS[position]);
    let mut response = if is_known(request, etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        asset.bytes.into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

/// Weak comparison, as `If-None-Match` wants it.
fn is_known(request: &HeaderMap, etag: &str) -> bool {
    let known = request.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    known.is_some_and(|known| {
        known
            .split(',')
            .map(str::trim)
            .any(|one| one == "*" || one.trim_start_matches("W/") == etag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_is_in_the_table() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        let files = std::fs::read_dir(directory).unwrap();
        let files: BTreeSet<String> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        let table: BTreeSet<String> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        assert_eq!(files, table);
        assert_eq!(table.len(), ASSETS.len(), "a file is listed twice");
    }

    #[test]
    fn known_file_is_answered_with_304() {
        let mut request = HeaderMap::new();
        let first = page("console.html", &request);
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()["content-type"], HTML);
        for known in [first.headers()["etag"].to_str().unwrap(), "\"other\", *"] {
            request.insert(header::IF_NONE_MATCH, known.parse().unwrap());
            assert_eq!(page("console.html", &request).status(), StatusCode::NOT_MODIFIED);
        }
        request.insert(header::IF_NONE_MATCH, "\"old\"".parse().unwrap());
        assert_eq!(page("console.html", &request).status(), StatusCode::OK);
        assert_eq!(page("../Cargo.toml", &HeaderMap::new()).status(), StatusCode::NOT_FOUND);
    }
}
