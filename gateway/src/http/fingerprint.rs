//! What a request means, in eight bytes: two texts of the same JSON have the same fingerprint.
//!
//! Blanks and the order of fields do not count: a client that writes the same request in another way means
//! the same. Digested while it is parsed, nothing is built. Fingerprints are kept in the journal, so the hash
//! is SipHash-1-3 (after Aumasson, Bernstein 2012), which will be the same in every release. It guards clients from
//! their own mistakes, not from others: keys are the caller's own, so it has no secret.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use siphasher::sip::SipHasher13;

/// Of a method, a path and a body; a body that is not JSON counts byte by byte.
pub fn of(method: &str, path: &str, body: &[u8]) -> u64 {
    let body = match serde_json::from_slice(body) {
        Ok(Digest(digest)) => digest,
        Err(_) => text(b'?', body),
    };
    let request = pair(b'r', text(b'm', method.as_bytes()), text(b'p', path.as_bytes()));
    pair(b'w', request, body)
}

/// Of a text; the kind of thing stands where SipHash has half of its key.
fn text(kind: u8, text: &[u8]) -> u64 {
    SipHasher13::new_with_keys(u64::from(kind), 0).hash(text)
}

/// Of two numbers in this order.
fn pair(kind: u8, one: u64, two: u64) -> u64 {
    SipHasher13::new_with_keys(u64::from(kind), one).hash(&two.to_le_bytes())
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
        Ok(Digest(pair(b'n', 0, 0)))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Digest, E> {
        Ok(Digest(pair(b'b', 0, u64::from(value))))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Digest, E> {
        Ok(Digest(pair(b'+', 0, value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Digest, E> {
        Ok(Digest(pair(b'-', 0, value.cast_unsigned())))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Digest, E> {
        Ok(Digest(pair(b'.', 0, value.to_bits())))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Digest, E> {
        Ok(Digest(text(b's', value.as_bytes())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Digest, A::Error> {
        let mut so_far = pair(b'[', 0, 0);
        while let Some(Digest(item)) = items.next_element()? {
            so_far = pair(b',', so_far, item);
        }
        Ok(Digest(so_far))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Digest, A::Error> {
        // A sum, because fields have no order.
        let (mut sum, mut count) = (0_u64, 0_u64);
        while let Some((Digest(name), Digest(value))) = fields.next_entry()? {
            sum = sum.wrapping_add(pair(b':', name, value));
            count += 1;
        }
        Ok(Digest(pair(b'{', sum, count)))
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
            17_392_418_446_076_703_232
        );
    }
}
