//! Tokens from the outside: what is minted is good, what is forged, old or bent is not.
#![allow(clippy::unwrap_used)] // tests state what they expect

use hmac::{Hmac, KeyInit, Mac};
use lotkeeper_gateway::auth::{Auth, AuthError, Grant, Principal, Role};
use serde_json::{Value, json};
use sha2::Sha256;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210";

fn auth(keys: &[&str]) -> Auth {
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    Auth::new(&keys).unwrap()
}

fn grant(role: Role) -> Grant {
    Grant {
        subject: "ada".into(),
        tenant: "city".into(),
        role,
        lots: Some(vec!["L1".into()]),
        ttl_seconds: 60,
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// RFC 4648 base64url without padding, written here so that the test shares no code with the library.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let index = bits >> (18 - 6 * place) & 63;
            text.push(char::from(ALPHABET[usize::try_from(index).unwrap()]));
        }
    }
    text
}

fn forge(header: &Value, claims: &Value, key: &str) -> String {
    let message = format!(
        "{}.{}",
        base64url(header.to_string().as_bytes()),
        base64url(claims.to_string().as_bytes())
    );
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap().chain_update(&message);
    format!("{message}.{}", base64url(&mac.finalize().into_bytes()))
}

fn claims() -> Value {
    json!({"iss": "lotkeeper", "aud": "lotkeeper", "sub": "ada", "tenant": "city", "role": "operator",
        "iat": now(), "exp": now() + 60, "jti": "1"})
}

/// The claims with some replaced; null takes one out.
fn with(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

#[test]
fn minted_token_is_good_and_says_what_was_granted() {
    let auth = auth(&[KEY]);
    for role in Role::ALL {
        let token = auth.mint(&grant(role)).unwrap();
        let Principal { subject, tenant, role: found, lots, expires_at } =
            auth.verify(&token).unwrap();
        assert_eq!((&*subject, &*tenant, found), ("ada", "city", role));
        assert_eq!(lots, Some(["L1".to_owned()].into()));
        let left = expires_at.micros() / 1_000_000 - i64::try_from(now()).unwrap();
        assert!((58..=60).contains(&left), "{left}");
    }
}

#[test]
fn token_of_another_tool_with_the_same_key_is_good() {
    let token = forge(&json!({"alg": "HS256", "typ": "JWT"}), &claims(), KEY);
    assert_eq!(auth(&[KEY]).verify(&token).unwrap().role, Role::Operator);
}

#[test]
fn bent_claims_are_refused() {
    let header = json!({"alg": "HS256"});
    for (changes, code) in [
        (json!({"exp": now() - 10}), "token_expired"),
        (json!({"exp": now() - 2}), "good"),
        (json!({"exp": null}), "token_invalid"),
        (json!({"exp": "soon"}), "token_invalid"),
        (json!({"nbf": now() + 60}), "token_invalid"),
        (json!({"nbf": now() + 2}), "good"),
        (json!({"iss": "another"}), "token_invalid"),
        (json!({"iss": null}), "token_invalid"),
        (json!({"aud": "another"}), "token_invalid"),
        (json!({"aud": null}), "token_invalid"),
        (json!({"sub": null}), "token_invalid"),
        (json!({"sub": ""}), "token_invalid"),
        (json!({"tenant": null}), "token_invalid"),
        (json!({"tenant": ""}), "token_invalid"),
        (json!({"role": "emperor"}), "token_invalid"),
        (json!({"role": null}), "token_invalid"),
        (json!({"lots": "L1"}), "token_invalid"),
        (json!({"scope": "later"}), "good"),
    ] {
        let token = forge(&header, &with(&changes), KEY);
        let found = auth(&[KEY]).verify(&token).map_or_else(|problem| problem.code, |_| "good");
        assert_eq!(found, code, "{changes}");
    }
}

#[test]
fn header_does_not_choose_the_algorithm() {
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "HS384"}),
        json!({"alg": "HS512"}),
        json!({"alg": "RS256"}),
        json!({"alg": "ES256"}),
        json!({"typ": "JWT"}),
    ] {
        let token = forge(&header, &claims(), KEY);
        assert_eq!(auth(&[KEY]).verify(&token).unwrap_err().code, "token_invalid", "{header}");
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        assert_eq!(auth(&[KEY]).verify(&unsigned).unwrap_err().code, "token_invalid", "{header}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let auth = auth(&[KEY]);
    let good = auth.mint(&grant(Role::Admin)).unwrap();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let mut flipped = signature.to_owned();
    let first = if flipped.remove(0) == 'A' { 'B' } else { 'A' };
    flipped.insert(0, first);
    for token in [
        String::new(),
        ".".into(),
        "..".into(),
        "a.b.c".into(),
        "{}".into(),
        message.to_owned(),
        format!("{message}.{flipped}"),
        format!("{good}.x"),
        "x".repeat(10_000),
        "\u{e4}.\u{f6}.\u{fc}".into(),
    ] {
        assert_eq!(auth.verify(&token).unwrap_err().code, "token_invalid", "{token:.40}");
    }
}

#[test]
fn keys_are_rotated_by_putting_the_new_one_in_front() {
    let (before, during, after) = (auth(&[KEY]), auth(&[OTHER_KEY, KEY]), auth(&[OTHER_KEY]));
    let old = before.mint(&grant(Role::Staff)).unwrap();
    let new = during.mint(&grant(Role::Staff)).unwrap();
    assert!(during.verify(&old).is_ok() && during.verify(&new).is_ok());
    assert!(after.verify(&new).is_ok());
    assert_eq!(after.verify(&old).unwrap_err().code, "token_invalid");
    assert_eq!(before.verify(&new).unwrap_err().code, "token_invalid");
    // Of another tool, without `kid`: every key is tried.
    let nameless = forge(&json!({"alg": "HS256"}), &claims(), KEY);
    assert!(during.verify(&nameless).is_ok());
}

#[test]
fn no_key_and_short_keys_are_refused() {
    assert!(matches!(Auth::new(&[]), Err(AuthError::NoKey)));
    let keys = [KEY.to_owned(), "short".to_owned()];
    let refused = Auth::new(&keys).err().unwrap();
    assert_eq!(refused, AuthError::KeyTooShort { position: 2, bytes: 5 });
    assert!(refused.to_string().contains("openssl rand"), "{refused}");
}
