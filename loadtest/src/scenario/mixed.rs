//! `mixed`: what a town's car parks do at once, at fixed rates that this machine's kind carries easily:
//! latency beside a known load, where `standard` shows what fits.

use super::Profile;
use crate::booker::Mix;

/// Half of what two cores do at full speed or less.
pub const PROFILE: Profile = Profile {
    ingest_connections: 4,
    rate: Some(50_000.0),
    bookers: 32,
    booking_rate: Some(500.0),
    subscribers: 16,
    read_rate: 200.0,
    mix: Mix { contended_percent: 20, any_slot_percent: 35, change_percent: 60, ..Mix::PLAIN },
    ..Profile::NOBODY
};
