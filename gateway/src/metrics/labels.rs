//! Labels without an allocation per event: close codes of websockets, statuses of answers.
//!
//! Invariant: every function is total and has few values; what is not ours is `other`.

/// Codes with which websockets end.
pub(super) const CLOSE_CODES: [Option<u16>; 10] = [
    None,
    Some(1000),
    Some(1001),
    Some(1006),
    Some(4400),
    Some(4401),
    Some(4403),
    Some(4408),
    Some(4429),
    Some(4503),
];

pub(super) fn close_text(code: Option<u16>) -> &'static str {
    match code {
        None => "none",
        Some(1000) => "1000",
        Some(1001) => "1001",
        Some(1006) => "1006",
        Some(4400) => "4400",
        Some(4401) => "4401",
        Some(4403) => "4403",
        Some(4408) => "4408",
        Some(4429) => "4429",
        Some(4503) => "4503",
        Some(_) => "other",
    }
}

/// Statuses we send, without an allocation per request.
pub(super) fn status_text(status: u16) -> &'static str {
    match status {
        101 => "101",
        200 => "200",
        201 => "201",
        204 => "204",
        303 => "303",
        304 => "304",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        406 => "406",
        409 => "409",
        410 => "410",
        412 => "412",
        413 => "413",
        415 => "415",
        422 => "422",
        429 => "429",
        500 => "500",
        503 => "503",
        _ => "other",
    }
}
