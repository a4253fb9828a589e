//! `standard`: readings at full speed, bookings, subscribers and reads at once; what a newcomer runs first.

use super::Profile;
use crate::booker::Mix;

/// Four sockets keep the server's journal busy without being the load themselves; eight bookers and eight
/// watched lots are enough to see every kind of work beside the readings.
pub const PROFILE: Profile = Profile {
    ingest_connections: 4,
    bookers: 8,
    subscribers: 8,
    read_rate: 50.0,
    mix: Mix { contended_percent: 30, any_slot_percent: 35, change_percent: 60, ..Mix::PLAIN },
    ..Profile::NOBODY
};
