//! Mints and checks tokens (JWT, HS256).
//!
//! Invariants: the first key signs, all keys verify, so a key is rotated by putting the new one in front;
//! a token names its key by `kid`; a token found good is remembered whole, so that the next request with
//! it costs a look-up instead of a MAC and three texts of JSON, and its end is looked at every time.
//! Deliberately absent: revocation before `exp`; keep lifetimes short.

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use lotkeeper_engine::time::Timestamp;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Principal, Role, provider};
use crate::error::Problem;

/// Issuer and audience of every token.
const NAME: &str = "lotkeeper";
/// Clocks of one site differ by less.
const LEEWAY_SECONDS: u64 = 5;
/// A token longer than this is not one of ours; no work is spent on it.
const TOKEN_BYTES_MAX: usize = 8_192;
/// Longer ones (with lists of lots) are checked anew every time.
const REMEMBERED_TOKEN_BYTES_MAX: usize = 1_024;
/// Good tokens that are remembered: about 12 MiB when they are long.
const REMEMBERED_MAX: usize = 10_000;
/// HMAC-SHA256 is as strong as its key is long, up to this.
pub(super) const KEY_BYTES_MIN: usize = 32;

/// Checks and mints tokens; a copy is the same.
#[derive(Clone)]
pub struct Auth(Arc<Keys>);

struct Keys {
    signing: EncodingKey,
    signing_id: String,
    verifying: Vec<(String, DecodingKey)>,
    validation: Validation,
    /// Tokens whose signature and claims were found good. Whoever has one of these texts has the token.
    good: Cache<Box<str>, Principal>,
}

/// Why keys cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is none.
    #[error("no signing key; set LOTKEEPER_AUTH_KEY to at least {KEY_BYTES_MIN} random characters")]
    NoKey,
    /// One is too short to be safe.
    #[error(
        "signing key {position} has {bytes} characters; use at least {KEY_BYTES_MIN} random ones \
         (`openssl rand -hex 32`)"
    )]
    KeyTooShort {
        /// Which, from 1.
        position: usize,
        /// How long it is.
        bytes: usize,
    },
    /// The library could not sign.
    #[error("cannot sign a token: {0}")]
    Sign(String),
}

/// What a token is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// For whom.
    pub subject: String,
    /// Of which operator.
    pub tenant: String,
    /// As what.
    pub role: Role,
    /// Limited to these lots, when given.
    pub lots: Option<Vec<String>>,
    /// For how long.
    pub ttl_seconds: u64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    tenant: String,
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lots: Option<Vec<String>>,
    iat: u64,
    exp: u64,
    jti: String,
}

impl Auth {
    /// With these keys: the first signs, all verify.
    ///
    /// # Errors
    /// When there is none or one is too short.
    pub fn new(keys: &[String]) -> Result<Self, AuthError> {
        provider::install();
        let Some(first) = keys.first() else { return Err(AuthError::NoKey) };
        for (index, key) in keys.iter().enumerate() {
            if key.len() < KEY_BYTES_MIN {
                let (position, bytes) = (index + 1, key.len());
                return Err(AuthError::KeyTooShort { position, bytes });
            }
        }
        let verifying =
            keys.iter().map(|key| (key_id(key), DecodingKey::from_secret(key.as_bytes())));
        Ok(Self(Arc::new(Keys {
            signing: EncodingKey::from_secret(first.as_bytes()),
            signing_id: key_id(first),
            verifying: verifying.collect(),
            validation: validation(),
            good: Cache::new(REMEMBERED_MAX),
        })))
    }

    /// Makes a token.
    ///
    /// # Errors
    /// When the library cannot sign.
    pub fn mint(&self, grant: &Grant) -> Result<String, AuthError> {
        let issued_at = jsonwebtoken::get_current_timestamp();
        let claims = Claims {
            iss: NAME.to_owned(),
            aud: NAME.to_owned(),
            sub: grant.subject.clone(),
            tenant: grant.tenant.clone(),
            role: grant.role,
            lots: grant.lots.clone(),
            iat: issued_at,
            exp: issued_at.saturating_add(grant.ttl_seconds),
            jti: uuid::Uuid::now_v7().to_string(),
        };
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(self.0.signing_id.clone());
        jsonwebtoken::encode(&header, &claims, &self.0.signing)
            .map_err(|error| AuthError::Sign(error.to_string()))
    }

    /// Checks a token.
    ///
    /// # Errors
    /// `token_invalid`, `token_expired`. The detail says which check failed, never the token.
    pub fn verify(&self, token: &str) -> Result<Principal, Problem> {
        if let Some(principal) = self.0.good.get(token) {
            let now = jsonwebtoken::get_current_timestamp();
            return match has_ended(&principal, now) {
                false => Ok(principal),
                true => Err(refusal(&ErrorKind::ExpiredSignature)),
            };
        }
        let principal = self.check(token)?;
        if token.len() <= REMEMBERED_TOKEN_BYTES_MAX {
            self.0.good.insert(token.into(), principal.clone());
        }
        Ok(principal)
    }

    fn check(&self, token: &str) -> Result<Principal, Problem> {
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
            return Err(Problem::token_invalid("this is not a token"));
        }
        let claims = self.claims(token)?;
        if claims.tenant.is_empty() || claims.sub.is_empty() {
            return Err(Problem::token_invalid("the token has an empty `tenant` or `sub`"));
        }
        Ok(Principal {
            subject: claims.sub.into(),
            tenant: claims.tenant.into(),
            role: claims.role,
            lots: claims.lots.map(Into::into),
            expires_at: Timestamp::from_seconds(i64::try_from(claims.exp).unwrap_or(i64::MAX)),
        })
    }

    fn claims(&self, token: &str) -> Result<Claims, Problem> {
        let header = jsonwebtoken::decode_header(token).map_err(|error| refusal(error.kind()))?;
        let wanted = |id: &str| header.kid.as_deref().is_none_or(|kid| kid == id);
        let mut refused = Problem::token_invalid("the token was signed with a key unknown here");
        for (_, key) in self.0.verifying.iter().filter(|(id, _)| wanted(id)) {
            match jsonwebtoken::decode::<Claims>(token, key, &self.0.validation) {
                Ok(data) => return Ok(data.claims),
                Err(error) => refused = refusal(error.kind()),
            }
            // Another key may have signed it; any other fault stays one under every key.
            if refused.code == "token_expired" {
                break;
            }
        }
        Err(refused)
    }
}

/// As the library decides it for a token that comes for the first time.
fn has_ended(principal: &Principal, now_seconds: u64) -> bool {
    let now = i64::try_from(now_seconds.saturating_sub(LEEWAY_SECONDS)).unwrap_or(i64::MAX);
    principal.expires_at < Timestamp::from_seconds(now)
}

fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.algorithms = vec![Algorithm::HS256];
    validation.leeway = LEEWAY_SECONDS;
    validation.validate_exp = true;
    validation.validate_nbf = true;
    validation.set_issuer(&[NAME]);
    validation.set_audience(&[NAME]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation
}

fn refusal(kind: &ErrorKind) -> Problem {
    let detail = match kind {
        ErrorKind::ExpiredSignature => {
            return Problem::token_expired("the token has expired; get a new one");
        }
        ErrorKind::InvalidSignature => "the token's signature does not match its key",
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => {
            "the token is not signed with HS256"
        }
        ErrorKind::InvalidIssuer => "the token's issuer is not `lotkeeper`",
        ErrorKind::InvalidAudience => "the token's audience is not `lotkeeper`",
        ErrorKind::ImmatureSignature => "the token is not valid yet (`nbf`)",
        ErrorKind::MissingRequiredClaim(_) => "the token lacks one of `exp`, `iss`, `aud`, `sub`",
        ErrorKind::Json(_) | ErrorKind::InvalidClaimFormat(_) => {
            "the token's claims are not sub, tenant, role, iat, exp and jti as they should be"
        }
        _ => "this is not a token",
    };
    Problem::token_invalid(detail)
}

/// Names a key without telling it: 64 bits of a hash of its own.
fn key_id(key: &str) -> String {
    let hash = Sha256::new().chain_update(b"lotkeeper key id\0").chain_update(key).finalize();
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_token_ends_when_the_library_would_end_it() {
        let expires_at = Timestamp::from_seconds(1_000);
        let (subject, tenant) = ("d1".into(), "default".into());
        let principal = Principal { subject, tenant, role: Role::Driver, lots: None, expires_at };
        for (now, ended) in [(1_000, false), (1_000 + LEEWAY_SECONDS, false), (1_006, true)] {
            assert_eq!(has_ended(&principal, now), ended, "{now}");
        }
    }
}
