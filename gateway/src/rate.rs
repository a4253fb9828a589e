//! How often somebody may ask: a token bucket per person or address, in bounded memory.
//!
//! Invariants: memory is bounded whatever addresses send; nobody's name is kept, only a keyed hash; time is
//! an argument. When the table is full newcomers of a shard share one bucket: a flood of addresses slows
//! itself, not those who were there. Deliberately absent: trust in `X-Forwarded-For`; behind a proxy all
//! anonymous requests have one address, so set `rate.anonymous_per_hour = 0` there and limit at the proxy.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Instant;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;

use crate::auth::{Principal, Role};
use crate::config::Rate;
use crate::error::Problem;

const HOUR_SECONDS: u32 = 3_600;
const SHARDS: usize = 16;
/// 16 shards of these are about 3 MiB.
const BUCKETS_PER_SHARD_MAX: usize = 4_096;
/// Looking for buckets that are full again costs a walk; not more often than this.
const SWEEP_SECONDS: u64 = 1;
/// The key of the bucket that newcomers share when a shard is full.
const SHARED: u64 = 0;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// All buckets.
pub struct RateLimits {
    rate: Rate,
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    buckets: HashMap<u64, Bucket>,
    swept_at: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    per_hour: u32,
    at: Instant,
}

/// What is left of a quota after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    policy: &'static str,
    per_hour: u32,
    remaining: u32,
    full_in_seconds: u32,
    /// How long until one more is allowed, when this one is not.
    wait_ms: Option<u64>,
}

impl RateLimits {
    /// Empty buckets for these rates.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, hasher: RandomState::new(), shards: Default::default() }
    }

    /// Takes one request from whoever asks; nothing when he has no limit.
    pub fn take(&self, principal: Option<&Principal>, peer: IpAddr, now: Instant) -> Option<Quota> {
        let (policy, per_hour) = match principal.map(|principal| principal.role) {
            None => ("anonymous", self.rate.anonymous_per_hour),
            Some(Role::Driver) => ("driver", self.rate.driver_per_hour),
            Some(Role::Staff | Role::Operator | Role::Admin) => ("staff", self.rate.staff_per_hour),
            Some(Role::Device | Role::Display) => ("device", self.rate.device_per_hour),
        };
        if per_hour == 0 {
            return None;
        }
        let key = match principal {
            Some(principal) => self.hasher.hash_one((&principal.tenant, &principal.subject)),
            None => self.hasher.hash_one(network(peer)),
        };
        let shard = &self.shards[usize::try_from(key % SHARDS as u64).unwrap_or_default()];
        Some(shard.lock().take(key, policy, per_hour, now))
    }
}

/// One customer has one address of IPv4 and a whole /64 of IPv6.
fn network(peer: IpAddr) -> u128 {
    match peer {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => address.to_ipv6_mapped().to_bits(),
            None => address.to_bits() >> 64 << 64,
        },
    }
}

impl Shard {
    fn take(&mut self, key: u64, policy: &'static str, per_hour: u32, now: Instant) -> Quota {
        let key = self.room_for(key, now);
        let bucket = self.buckets.entry(key).or_insert(Bucket {
            tokens: f64::from(per_hour),
            per_hour,
            at: now,
        });
        bucket.per_hour = per_hour;
        bucket.take(policy, now)
    }

    /// The key itself, or the shared one when there is no room for another bucket.
    fn room_for(&mut self, key: u64, now: Instant) -> u64 {
        if self.buckets.len() < BUCKETS_PER_SHARD_MAX || self.buckets.contains_key(&key) {
            return key;
        }
        let due = self.swept_at.is_none_or(|at| now.duration_since(at).as_secs() >= SWEEP_SECONDS);
        if due {
            self.swept_at = Some(now);
            // A full bucket says what no bucket says.
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        if self.buckets.len() < BUCKETS_PER_SHARD_MAX { key } else { SHARED }
    }
}

impl Bucket {
    fn filled(&self, now: Instant) -> f64 {
        let elapsed_seconds = now.saturating_duration_since(self.at).as_secs_f64();
        let refilled = elapsed_seconds * f64::from(self.per_hour) / f64::from(HOUR_SECONDS);
        (self.tokens + refilled).min(f64::from(self.per_hour))
    }

    fn is_full(&self, now: Instant) -> bool {
        self.filled(now) >= f64::from(self.per_hour)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded by per_hour, never negative
    fn take(&mut self, policy: &'static str, now: Instant) -> Quota {
        let filled = self.filled(now);
        let allowed = filled >= 1.0;
        self.tokens = if allowed { filled - 1.0 } else { filled };
        self.at = now;
        let seconds_per_token = f64::from(HOUR_SECONDS) / f64::from(self.per_hour);
        let missing = f64::from(self.per_hour) - self.tokens;
        let wait_ms = ((1.0 - self.tokens) * seconds_per_token * 1_000.0).ceil() as u64;
        Quota {
            policy,
            per_hour: self.per_hour,
            remaining: self.tokens as u32,
            full_in_seconds: (missing * seconds_per_token).ceil() as u32,
            wait_ms: (!allowed).then_some(wait_ms),
        }
    }
}

impl Quota {
    /// The refusal, when the quota was used up.
    #[must_use]
    pub fn refusal(&self) -> Option<Problem> {
        let wait_ms = self.wait_ms?;
        let Self { policy, per_hour, .. } = self;
        let detail = format!(
            "more than {per_hour} requests in an hour (rate limit `{policy}`); wait, or follow \
             changes on /api/v1/stream instead of asking"
        );
        Some(Problem::too_many_requests(detail).retry_after_ms(wait_ms))
    }

    /// `RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers.
    pub fn write(&self, headers: &mut HeaderMap) {
        let Self { policy, per_hour, remaining, full_in_seconds, .. } = self;
        let quota = format!("\"{policy}\";q={per_hour};w={HOUR_SECONDS}");
        let left = format!("\"{policy}\";r={remaining};t={full_in_seconds}");
        for (name, text) in [(POLICY, quota), (LIMIT, left)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lotkeeper_engine::time::Timestamp;
    use std::time::Duration;

    fn principal(role: Role, subject: &str) -> Principal {
        Principal {
            subject: subject.into(),
            tenant: "default".into(),
            role,
            lots: None,
            expires_at: Timestamp::MAX,
        }
    }

    fn limits(per_hour: u32) -> RateLimits {
        RateLimits::new(Rate {
            anonymous_per_hour: per_hour,
            driver_per_hour: per_hour,
            staff_per_hour: 0,
            device_per_hour: 0,
        })
    }

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn quota_is_spent_and_refilled() {
        let (limits, start) = (limits(2), Instant::now());
        let driver = principal(Role::Driver, "d1");
        let take =
            |after: u64| limits.take(Some(&driver), PEER, start + Duration::from_secs(after));
        assert_eq!(take(0).unwrap().remaining, 1);
        assert_eq!(take(0).unwrap().remaining, 0);
        let refused = take(0).unwrap();
        assert_eq!(refused.wait_ms, Some(1_800_000));
        assert_eq!(refused.refusal().unwrap().code, "too_many_requests");
        assert!(take(1_801).unwrap().refusal().is_none());
        assert!(take(1_802).unwrap().refusal().is_some());
    }

    #[test]
    fn people_and_networks_have_their_own_buckets() {
        let (limits, now) = (limits(1), Instant::now());
        let refused = |who: Option<&Principal>, peer: &str| {
            limits.take(who, peer.parse().unwrap(), now).unwrap().refusal().is_some()
        };
        assert!(!refused(Some(&principal(Role::Driver, "a")), "10.0.0.1"));
        assert!(!refused(Some(&principal(Role::Driver, "b")), "10.0.0.1"));
        assert!(refused(Some(&principal(Role::Driver, "a")), "10.0.0.2"));
        assert!(!refused(None, "10.0.0.1"));
        assert!(refused(None, "::ffff:10.0.0.1"));
        assert!(!refused(None, "2001:db8::1"));
        assert!(refused(None, "2001:db8::2"));
        assert!(!refused(None, "2001:db8:0:1::1"));
    }

    #[test]
    fn zero_is_no_limit() {
        let limits = limits(1);
        for role in [Role::Staff, Role::Operator, Role::Admin, Role::Device, Role::Display] {
            assert!(limits.take(Some(&principal(role, "s")), PEER, Instant::now()).is_none());
        }
    }

    #[test]
    fn memory_is_bounded_and_newcomers_share_when_it_is_full() {
        let (mut shard, now) = (Shard::default(), Instant::now());
        for key in 1..=20_000 {
            shard.take(key, "anonymous", 10, now);
        }
        assert!(shard.buckets.len() <= BUCKETS_PER_SHARD_MAX + 1);
        assert!(shard.take(30_000, "anonymous", 10, now).refusal().is_some(), "shared and spent");
        assert!(shard.take(1, "anonymous", 10, now).refusal().is_none(), "known before");
        let later = now + Duration::from_secs(3_600);
        assert!(shard.take(30_000, "anonymous", 10, later).refusal().is_none(), "swept");
    }

    #[test]
    fn headers_follow_the_draft() {
        let (limits, mut headers) = (limits(10), HeaderMap::new());
        limits.take(None, PEER, Instant::now()).unwrap().write(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"anonymous\";q=10;w=3600");
        assert_eq!(headers["ratelimit"], "\"anonymous\";r=9;t=360");
    }
}
