//! `book`: bookings alone, over 64 keep-alive connections. Which slots, how contended and how often a
//! mind is changed are flags.

use super::Profile;
use crate::booker::Mix;

/// Mostly bookings that succeed; a fifth races for the same slots and windows.
pub const PROFILE: Profile = Profile {
    ingest_connections: 0,
    bookers: 64,
    subscribers: 0,
    read_rate: 0.0,
    mix: Mix { contended_percent: 20, any_slot_percent: 35, change_percent: 40, ..Mix::PLAIN },
    ..Profile::NOBODY
};
