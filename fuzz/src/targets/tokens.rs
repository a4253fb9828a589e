//! Tokens as they come, and claims of any kind under a signature that is right.

use std::sync::LazyLock;

use hmac::{Hmac, KeyInit, Mac};
use lotkeeper_gateway::auth::Auth;
use sha2::Sha256;

use crate::{Target, bounded, said, world};

/// A token of 8 KiB is decoded from base64, copied and read as JSON once for each key.
const FIXED_BYTES: u64 = 64 * 1024;
const PER_BYTE: u64 = 32;

/// A token as it comes.
pub const TOKEN: Target =
    Target { name: "token", run: token, seeds: token_seeds, words: &["eyJ", ".", "HS256", "none"] };
/// Claims that our own key signed: a header in the first line, the claims after it.
pub const CLAIMS: Target = Target {
    name: "claims",
    run: claims,
    seeds: claim_seeds,
    words: &[
        "\"exp\":",
        "\"aud\":",
        "\"role\":\"admin\"",
        "\"lots\":[",
        "\"tenant\":",
        "\"nbf\":",
        "\"kid\":",
    ],
};

static AUTH: LazyLock<Auth> =
    LazyLock::new(|| Auth::new(&[world::KEY.to_owned()]).expect("the key is long enough"));

fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let auth = &*AUTH;
    if let Err(problem) = bounded(bytes, FIXED_BYTES, PER_BYTE, || auth.verify(text)) {
        assert_eq!(problem.status, 401);
        said(&problem.detail);
        // Whoever finds a token in a log may use it. It has two dots; other texts may be found in any sentence.
        assert!(text.matches('.').count() < 2 || !problem.detail.contains(text));
    }
}

fn claims(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (header, claims) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let text = signed(header, claims);
    match AUTH.verify(&text) {
        Ok(principal) => {
            assert!(!principal.subject.is_empty() && !principal.tenant.is_empty());
            // A token is remembered: it must be the same the second time.
            assert_eq!(AUTH.verify(&text).expect("it was good").subject, principal.subject);
        }
        Err(problem) => said(&problem.detail),
    }
}

fn signed(header: &[u8], claims: &[u8]) -> String {
    let text = format!("{}.{}", base64(header), base64(claims));
    let mut mac =
        Hmac::<Sha256>::new_from_slice(world::KEY.as_bytes()).expect("any length is a key");
    mac.update(text.as_bytes());
    format!("{text}.{}", base64(&mac.finalize().into_bytes()))
}

/// Base64 for addresses, without padding (RFC 4648, 5).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for digit in 0..=three.len() {
            let sextet = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(DIGITS[sextet as usize]));
        }
    }
    text
}

const HEADER: &str = r#"{"typ":"JWT","alg":"HS256"}"#;
const CLAIM: &str = r#"{"iss":"lotkeeper","aud":"lotkeeper","sub":"d1","tenant":"default","role":"driver","lots":["L1"],"iat":1,"exp":4102444800,"jti":"x"}"#;

fn token_seeds() -> Vec<Vec<u8>> {
    let good = signed(HEADER.as_bytes(), CLAIM.as_bytes());
    let none = signed(br#"{"typ":"JWT","alg":"none"}"#, CLAIM.as_bytes());
    vec![good.into_bytes(), none.into_bytes(), b"a.b.c".to_vec()]
}

fn claim_seeds() -> Vec<Vec<u8>> {
    let late = CLAIM.replace("4102444800", "18446744073709551615");
    let several = CLAIM.replace(r#""aud":"lotkeeper""#, r#""aud":["lotkeeper","x"],"nbf":1"#);
    [CLAIM, &late, &several]
        .iter()
        .map(|claims| format!("{HEADER}\n{claims}").into_bytes())
        .collect()
}
