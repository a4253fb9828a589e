//! `soak`: moderate rates of everything for a long time; memory and latency must not drift.

use super::Profile;
use crate::booker::Mix;
use std::time::Duration;

/// So little that nothing but drift can make it slow. Every reservation is changed, so that drivers reach
/// the number they keep within minutes; and of the short ones holds expire and windows end. Most cars come
/// again: the vault keeps everybody who ever came, so newcomers alone would be growth by design.
pub const PROFILE: Profile = Profile {
    duration: Some(Duration::from_secs(3_600)),
    ingest_connections: 4,
    rate: Some(10_000.0),
    bookers: 16,
    booking_rate: Some(100.0),
    subscribers: 8,
    read_rate: 50.0,
    mix: Mix {
        contended_percent: 10,
        any_slot_percent: 35,
        change_percent: 100,
        short_percent: 40,
        newcomer_percent: 2,
        key_percent: 50,
    },
};

/// How much worse the last quarter may be than the first, in percent, when the flags do not say.
pub const DRIFT_PERCENT: f64 = 50.0;
