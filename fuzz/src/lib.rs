//! Fuzz targets: one for everything that reads bytes which somebody else wrote.
//!
//! A target is a function from bytes to nothing that panics when a promise is broken: no decoder panics, none
//! takes more memory than its input is worth, what was decoded can be encoded and decoded again, a refusal says
//! something. `fuzz/run` leads them by coverage; `tests/every_target.rs` runs each for a moment with every
//! `cargo test`. Seeds are made here, by our own encoders. Deliberately absent: fuzzing of what libraries do
//! alone (websocket frames, HTTP/1.1 heads).

mod mutate;
mod targets;
mod world;

pub use mutate::Mutator;
pub use targets::TARGETS;

/// Something that reads outside bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// As on the command line.
    pub name: &'static str,
    /// Reads the bytes; panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Inputs to begin with, most of them good.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Pieces of text that open doors.
    pub words: &'static [&'static str],
}

/// Runs a decoder and holds it to its memory: so much whatever comes, and so many bytes for each byte of input.
///
/// # Panics
/// When it takes more.
pub fn bounded<T>(input: &[u8], fixed_bytes: u64, per_byte: u64, decode: impl FnOnce() -> T) -> T {
    let mut decoded = None;
    let taken = allocation_counter::measure(|| decoded = Some(decode())).bytes_max;
    let allowed = fixed_bytes + per_byte * input.len() as u64;
    assert!(taken <= allowed, "{taken} bytes of memory for {} of input", input.len());
    decoded.expect("the closure ran")
}

/// A refusal that goes to a client: it says something, and does not repeat the request at length.
///
/// # Panics
/// When it does not.
pub fn said(refusal: &str) {
    assert!(!refusal.trim().is_empty(), "a refusal without a word");
    assert!(refusal.len() <= 8_192, "a refusal of {} bytes", refusal.len());
}
