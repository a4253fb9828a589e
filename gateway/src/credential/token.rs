//! The token in a QR code: 40 bytes, 64 characters, docs/credentials.md has them one by one.
//!
//! Base32 in capitals is what QR codes have a mode for, scanners with any keyboard layout type right and a person
//! can read out; 40 bytes need no padding, so a token has one text. HMAC-SHA256, cut to 128 bits: half of the
//! output is the least that RFC 2104 advises, nobody can check a guess but with this server, and 16 bytes more would
//! make the code a size larger. The tenant is signed and not in the token: a token of another tenant is one with a
//! bad signature. Invariants: parsing is total; the comparison takes the same time for every guess; the first
//! key signs and all verify. Deliberately absent: names, plates, windows, prices; what changes is looked up.

use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use lotkeeper_engine::time::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Characters of every token.
pub const TOKEN_CHARS: usize = 64;
/// What a scanner or a person may have put around it.
const TEXT_BYTES_MAX: usize = 256;
const TOKEN_BYTES: usize = 40;
const SIGNED_BYTES: usize = 24;
const KEY_ID_BYTES: usize = 3;
const KEY_BYTES_MIN: usize = 32;
const VERSION: u8 = 1;
/// What else is signed with a key says something else first.
const SIGNED_AS: &[u8] = b"lotkeeper.qr.1\0";
const KEY_ID_AS: &[u8] = b"lotkeeper.qr.key\0";

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A reservation: opens at its entry, and at its exit.
    Reservation,
    /// A session: a ticket from an entry, opens at the exit.
    Session,
}

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What it is for.
    pub kind: Kind,
    /// Which one.
    pub id: Uuid,
    /// The first instant at which it is not good any more; whole seconds, until 2106.
    pub expires_at: Timestamp,
}

/// Why a token is refused. No reason repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a token of ours: another code was shown, or it was not read to its end.
    #[error("this is not a code of this system; show the code of the booking or the ticket")]
    Malformed,
    /// Of a form that this release does not know.
    #[error("the code has version {version}, which this release does not know; update the server")]
    UnknownVersion {
        /// Which.
        version: u8,
    },
    /// The key is not among ours: it was taken away, or it is another server's.
    #[error(
        "the code was signed with a key unknown here; if keys were changed, put the old one into \
         credentials.keys"
    )]
    UnknownKey,
    /// It was made up, changed, or is another tenant's.
    #[error("the signature of the code is wrong")]
    BadSignature,
    /// It was good.
    #[error("the code ended at {}", crate::wire::instant::Instant(claim.expires_at))]
    Expired {
        /// What it said.
        claim: Claim,
    },
}

/// Why keys cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QrKeysError {
    /// There is none.
    #[error(
        "no credential key; set LOTKEEPER_CREDENTIALS_KEY to at least {KEY_BYTES_MIN} random characters"
    )]
    NoKey,
    /// One is too short to be safe.
    #[error(
        "credential key {position} has {bytes} characters; use at least {KEY_BYTES_MIN} random ones \
         (`openssl rand -hex 32`)"
    )]
    TooShort {
        /// Which, from 1.
        position: usize,
        /// How long it is.
        bytes: usize,
    },
}

/// Signs and checks tokens; a copy is the same.
#[derive(Clone)]
pub struct QrKeys(Arc<[Key]>);

/// The state of a MAC after its key: a token then costs two blocks of the hash instead of four.
struct Key {
    id: [u8; KEY_ID_BYTES],
    mac: Hmac<Sha256>,
}

impl Key {
    fn of(key: &str) -> Option<Self> {
        let digest = Sha256::new().chain_update(KEY_ID_AS).chain_update(key).finalize();
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
        Some(Self { id, mac: mac.chain_update(SIGNED_AS) })
    }

    fn mac(&self, tenant: &str, signed: &[u8]) -> Hmac<Sha256> {
        // What is signed has one length, so the tenant's end is not mistaken for its beginning.
        self.mac.clone().chain_update(signed).chain_update(tenant)
    }
}

impl QrKeys {
    /// With these keys: the first signs, all verify.
    ///
    /// # Errors
    /// When there is none or one is too short.
    pub fn new(keys: &[String]) -> Result<Self, QrKeysError> {
        if keys.is_empty() {
            return Err(QrKeysError::NoKey);
        }
        let key = |(index, key): (usize, &String)| {
            let long = key.len() >= KEY_BYTES_MIN;
            let (position, bytes) = (index + 1, key.len());
            long.then(|| Key::of(key)).flatten().ok_or(QrKeysError::TooShort { position, bytes })
        };
        keys.iter().enumerate().map(key).collect::<Result<Arc<[Key]>, _>>().map(Self)
    }

    /// The text of a token for a tenant.
    #[must_use]
    pub fn sign(&self, tenant: &str, claim: &Claim) -> String {
        let key = &self.0[0];
        let mut bytes = [0; TOKEN_BYTES];
        bytes[0] = VERSION << 4 | number(claim.kind);
        bytes[1..4].copy_from_slice(&key.id);
        bytes[4..8].copy_from_slice(&seconds(claim.expires_at).to_be_bytes());
        bytes[8..SIGNED_BYTES].copy_from_slice(claim.id.as_bytes());
        let (signed, signature) = bytes.split_at_mut(SIGNED_BYTES);
        let mac = key.mac(tenant, signed).finalize().into_bytes();
        signature.copy_from_slice(&mac[..TOKEN_BYTES - SIGNED_BYTES]);
        BASE32_NOPAD.encode(&bytes)
    }

    /// What a token says, if it is one of ours, of this tenant, and good at `now`. Small letters and white space
    /// around it do not matter.
    ///
    /// # Errors
    /// Each reason is another.
    pub fn verify(&self, tenant: &str, text: &str, now: Timestamp) -> Result<Claim, Refused> {
        let bytes = bytes(text).ok_or(Refused::Malformed)?;
        let (signed, signature) = bytes.split_at(SIGNED_BYTES);
        let version = bytes[0] >> 4;
        if version != VERSION {
            return Err(Refused::UnknownVersion { version });
        }
        let kind = kind(bytes[0] & 0x0F).ok_or(Refused::Malformed)?;
        // Three bytes of a key's name may be those of two keys.
        let mut keys = self.0.iter().filter(|key| key.id == bytes[1..4]).peekable();
        keys.peek().ok_or(Refused::UnknownKey)?;
        let fits = |key: &Key| key.mac(tenant, signed).verify_truncated_left(signature).is_ok();
        if !keys.any(fits) {
            return Err(Refused::BadSignature);
        }
        let claim = Claim {
            kind,
            id: Uuid::from_slice(&bytes[8..SIGNED_BYTES]).map_err(|_| Refused::Malformed)?,
            expires_at: Timestamp::from_seconds(u32_of(&bytes[4..8]).into()),
        };
        match now < claim.expires_at {
            true => Ok(claim),
            false => Err(Refused::Expired { claim }),
        }
    }
}

impl std::fmt::Debug for QrKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "QrKeys({})", self.0.len())
    }
}

fn bytes(text: &str) -> Option<[u8; TOKEN_BYTES]> {
    let text = (text.len() <= TEXT_BYTES_MAX).then(|| text.trim())?;
    if text.len() != TOKEN_CHARS {
        return None;
    }
    let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()?;
    bytes.try_into().ok()
}

fn number(kind: Kind) -> u8 {
    match kind {
        Kind::Reservation => 1,
        Kind::Session => 2,
    }
}

fn kind(number_: u8) -> Option<Kind> {
    [Kind::Reservation, Kind::Session].into_iter().find(|kind| number(*kind) == number_)
}

/// Whole seconds since 1970, the next one for a part of one; the nearest there is for others.
fn seconds(at: Timestamp) -> u32 {
    let seconds = at.micros().div_euclid(1_000_000);
    let begun = i64::from(at.micros().rem_euclid(1_000_000) > 0);
    u32::try_from(seconds.saturating_add(begun).max(0)).unwrap_or(u32::MAX)
}

fn u32_of(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEW: &str = "a-new-key-that-is-long-enough-000";
    const OLD: &str = "an-old-key-that-is-long-enough-00";

    fn keys(keys: &[&str]) -> QrKeys {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        QrKeys::new(&keys).unwrap()
    }

    fn claim() -> Claim {
        Claim {
            kind: Kind::Reservation,
            id: Uuid::from_u128(0x0199_8f2a_1b2c_7def_8123_4567_89ab_cdef),
            expires_at: Timestamp::from_seconds(1_772_355_600),
        }
    }

    fn before() -> Timestamp {
        Timestamp::from_micros(claim().expires_at.micros() - 1)
    }

    /// The text of a token with a byte changed, signed or not.
    fn changed(token: &str, at: usize, to: impl Fn(u8) -> u8) -> String {
        let mut bytes = BASE32_NOPAD.decode(token.as_bytes()).unwrap();
        bytes[at] = to(bytes[at]);
        BASE32_NOPAD.encode(&bytes)
    }

    /// As docs/credentials.md shows it: whoever checks codes elsewhere begins with this one.
    #[test]
    fn the_example_of_the_documents_is_a_token() {
        let token = keys(&[NEW]).sign("default", &claim());
        let page = include_str!("../../../docs/credentials.md");
        assert!(page.contains(&format!("`{token}`")), "{token}");
        assert!(page.contains(NEW));
        assert_eq!(keys(&[NEW]).verify("default", &token, before()), Ok(claim()));
    }

    #[test]
    fn a_token_is_read_as_scanners_and_people_give_it() {
        let keys = keys(&[NEW]);
        for kind in [Kind::Reservation, Kind::Session] {
            let claim = Claim { kind, ..claim() };
            let token = keys.sign("default", &claim);
            assert_eq!(token.len(), TOKEN_CHARS);
            for text in [token.clone(), token.to_lowercase(), format!(" \t{token}\r\n")] {
                assert_eq!(keys.verify("default", &text, before()), Ok(claim));
            }
        }
    }

    #[test]
    fn every_refusal_has_its_own_reason() {
        let keys = keys(&[NEW]);
        let token = keys.sign("default", &claim());
        let long = format!("{token}A");
        let spread = format!("{}{token}", " ".repeat(300));
        let trailed = format!("{token}{}x", " ".repeat(300));
        for (text, refused) in [
            ("", Refused::Malformed),
            ("https://example.org/", Refused::Malformed),
            (&token[1..], Refused::Malformed),
            (&long, Refused::Malformed),
            (&spread, Refused::Malformed),
            (&trailed, Refused::Malformed),
            (&token.replace(&token[5..6], "1"), Refused::Malformed),
            (&changed(&token, 0, |_| 0x13), Refused::Malformed),
            (&changed(&token, 0, |_| 0x21), Refused::UnknownVersion { version: 2 }),
            (&changed(&token, 2, |byte| !byte), Refused::UnknownKey),
            (&changed(&token, 0, |_| 0x12), Refused::BadSignature),
            (&changed(&token, 4, |byte| byte ^ 1), Refused::BadSignature),
            (&changed(&token, 23, |byte| byte ^ 1), Refused::BadSignature),
            (&changed(&token, 39, |byte| byte ^ 1), Refused::BadSignature),
        ] {
            assert_eq!(keys.verify("default", text, before()), Err(refused), "{text}");
            assert!(text.is_empty() || !refused.to_string().contains(text));
        }
        assert_eq!(keys.verify("other", &token, before()), Err(Refused::BadSignature));
        let ended = Refused::Expired { claim: claim() };
        assert_eq!(keys.verify("default", &token, claim().expires_at), Err(ended));
        assert_eq!(ended.to_string(), "the code ended at 2026-03-01T09:00:00Z");
    }

    #[test]
    fn an_ended_token_of_another_is_not_told_to_have_ended() {
        let keys = keys(&[NEW]);
        let token = keys.sign("other", &claim());
        let now = claim().expires_at;
        assert_eq!(keys.verify("default", &token, now), Err(Refused::BadSignature));
    }

    #[test]
    fn keys_are_changed_without_a_code_that_fails() {
        let (old, both, new) = (keys(&[OLD]), keys(&[NEW, OLD]), keys(&[NEW]));
        let (before_it, after_it) = (old.sign("t", &claim()), both.sign("t", &claim()));
        assert_eq!(both.verify("t", &before_it, before()), Ok(claim()));
        assert_eq!(both.verify("t", &after_it, before()), Ok(claim()));
        assert_eq!(new.verify("t", &after_it, before()), Ok(claim()));
        assert_eq!(new.verify("t", &before_it, before()), Err(Refused::UnknownKey));
        // The key is told by its name alone, and a name proves nothing.
        let named = |at: usize| BASE32_NOPAD.decode(after_it.as_bytes()).unwrap()[at];
        let renamed = (1..4).fold(before_it, |token, at| changed(&token, at, |_| named(at)));
        assert_eq!(new.verify("t", &renamed, before()), Err(Refused::BadSignature));
    }

    #[test]
    fn keys_too_short_are_refused_and_never_shown() {
        assert_eq!(QrKeys::new(&[]).unwrap_err(), QrKeysError::NoKey);
        let short = QrKeys::new(&[NEW.to_owned(), "short".to_owned()]).unwrap_err();
        assert_eq!(short, QrKeysError::TooShort { position: 2, bytes: 5 });
        assert_eq!(format!("{:?}", keys(&[NEW, OLD])), "QrKeys(2)");
    }

    #[test]
    fn ends_beyond_the_format_are_the_nearest_it_has() {
        for (at, wanted) in [
            (Timestamp::MIN, 0),
            (Timestamp::from_micros(-1), 0),
            (Timestamp::from_micros(1), 1),
            (Timestamp::from_micros(1_000_000), 1),
            (Timestamp::from_micros(1_000_001), 2),
            (Timestamp::MAX, u32::MAX),
        ] {
            assert_eq!(seconds(at), wanted);
        }
    }

    proptest! {
        #[test]
        fn what_was_signed_is_read_and_nothing_else(
            id: u128, ends: u32, session: bool, tenant in "[a-z]{1,8}", other in "[a-z]{1,8}",
            at in 0..TOKEN_BYTES, bit in 0..8_u8,
        ) {
            let keys = keys(&[NEW, OLD]);
            let kind = if session { Kind::Session } else { Kind::Reservation };
            let expires_at = Timestamp::from_seconds(ends.into());
            let claim = Claim { kind, id: Uuid::from_u128(id), expires_at };
            let token = keys.sign(&tenant, &claim);
            let now = Timestamp::from_seconds(-1);
            prop_assert_eq!(keys.verify(&tenant, &token, now), Ok(claim));
            prop_assert_eq!(keys.verify(&other, &token, now).is_ok(), tenant == other);
            let changed = changed(&token, at, |byte| byte ^ 1 << bit);
            prop_assert!(keys.verify(&tenant, &changed, now).is_err());
        }

        #[test]
        fn any_text_is_refused(text in ".{0,80}") {
            prop_assert!(keys(&[NEW]).verify("t", &text, Timestamp::MIN).is_err());
        }
    }
}
