//! `ingest`: readings alone, so that the server's CPU per reading is that of readings.
//! Deliberately absent: the binary form, which the server does not speak yet.

use super::Profile;
use crate::booker::Mix;

/// Nobody but sensors; `--subscribers` adds the way from a sensor to a watcher.
pub const PROFILE: Profile = Profile {
    ingest_connections: 4,
    bookers: 0,
    subscribers: 0,
    read_rate: 0.0,
    mix: Mix::PLAIN,
    ..Profile::NOBODY
};
