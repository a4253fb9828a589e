//! What a request means, in eight bytes: two texts of the same JSON have the same fingerprint.
//!
//! Blanks and the order of fields do not count: a client that writes the same request in another way means
//! the same. Digested while it is parsed, nothing is built. Fingerprints are kept in the journal, so the hash
//! is SipHash-2-4 (Aumasson, Bernstein 2012), which will be the same in every release. It guards clients from
//! their own mistakes, not from others: keys are the caller's own, so it has no secret.

use std::hash::Hasher;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use siphasher::sip::SipHasher24;

/// Of a method, a path and a body; a body that is not JSON counts byte by byte.
pub fn of(method: &str, path: &str, body: &[u8]) -> u64 {
    let body = match serde_json::from_slice(body) {
        Ok(Digest(digest)) => digest,
        Err(_) => digest(b'?', &[body]),
    };
    digest(b'r', &[method.as_bytes(), path.as_bytes(), &body.to_le_bytes()])
}

/// Parts are told apart by their lengths.
fn digest(kind: u8, parts: &[&[u8]]) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(&[kind]);
    for part in parts {
        hasher.write(&(part.len() as u64).to_le_bytes());
        hasher.write(part);
    }
    hasher.finish()
}

/// The fingerprint of one JSON value.
struct Digest(u64);

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Digester)
    }
}

struct Digester;

impl<'de> Visitor<'de> for Digester {
    type Value = Digest;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Digest, E> {
        Ok(Digest(digest(b'n', &[])))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Digest, E> {
        Ok(Digest(digest(b'b', &[&[u8::from(value)]])))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Digest, E> {
        Ok(Digest(digest(b'+', &[&value.to_le_bytes()])))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Digest, E> {
        Ok(Digest(digest(b'-', &[&value.to_le_bytes()])))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Digest, E> {
        Ok(Digest(digest(b'.', &[&value.to_le_bytes()])))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Digest, E> {
        Ok(Digest(digest(b's', &[value.as_bytes()])))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Digest, A::Error> {
        let mut so_far = digest(b'[', &[]);
        while let Some(Digest(item)) = items.next_element()? {
            so_far = digest(b',', &[&so_far.to_le_bytes(), &item.to_le_bytes()]);
        }
        Ok(Digest(so_far))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Digest, A::Error> {
        // A sum, because fields have no order.
        let (mut sum, mut count) = (0_u64, 0_u64);
        while let Some((Digest(name), Digest(value))) = fields.next_entry()? {
            sum = sum.wrapping_add(digest(b':', &[&name.to_le_bytes(), &value.to_le_bytes()]));
            count += 1;
        }
        Ok(Digest(digest(b'{', &[&sum.to_le_bytes(), &count.to_le_bytes()])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> u64 {
        of("POST", "/a", text.as_bytes())
    }

    #[test]
    fn the_same_request_in_other_words_has_the_same_fingerprint() {
        let first = body(r#"{"a": 1, "b": [true, {"c": "\u0078", "d": null}]}"#);
        assert_eq!(first, body(r#"{"b":[true,{"d":null,"c":"x"}],"a":1}"#));
    }

    #[test]
    fn another_request_has_another() {
        let all = [
            r#"{"a":1,"b":2}"#,
            r#"{"a":2,"b":1}"#,
            r#"{"a":1,"b":2,"c":null}"#,
            r#"{"a":{"b":2},"b":1}"#,
            r#"{"a":1}"#,
            r#"{"a":-1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":"1"}"#,
            r#"{"a":true}"#,
            r#"{"a":[]}"#,
            r#"{"a":[[]]}"#,
            r#"{"a":{}}"#,
            r#"{"a":[1,2]}"#,
            r#"{"a":[2,1]}"#,
            "{}",
            "[]",
            "",
            "{",
        ]
        .map(body);
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_ne!(of("POST", "/a", b"{}"), of("POST", "/b", b"{}"));
        assert_ne!(of("POST", "/a", b"{}"), of("PATCH", "/a", b"{}"));
    }

    /// Kept in the journal: another release must come to the same.
    #[test]
    fn fingerprints_stay_what_they_are() {
        assert_eq!(
            body(r#"{"lot":"L1","from":"2026-03-01T09:00:00Z"}"#),
            12_313_859_082_121_543_037
        );
    }
}
