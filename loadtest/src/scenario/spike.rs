//! `spike`: base rates, then several times as much for a while, then base rates again, in an open loop:
//! what did not fit during the spike is still owed after it.

use super::Profile;
use crate::booker::Mix;
use std::time::Duration;

/// Five times this is a load that two cores feel.
pub const PROFILE: Profile = Profile {
    duration: Some(Duration::from_secs(30)),
    ingest_connections: 4,
    rate: Some(20_000.0),
    bookers: 32,
    booking_rate: Some(200.0),
    subscribers: 8,
    read_rate: 50.0,
    mix: Mix { contended_percent: 20, any_slot_percent: 35, change_percent: 60, ..Mix::PLAIN },
};

/// How many times the base rate, when the flags do not say.
pub const FACTOR: f64 = 5.0;
/// The spike's share of the duration, when the flags do not say.
const LENGTH_SHARE: f64 = 0.2;
/// The share of the rest that comes before: the way back to normal takes longer than knowing normal.
const BEFORE_SHARE: f64 = 0.4;

/// When a spike comes, from the beginning of the measured window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spike {
    pub before: Duration,
    pub length: Duration,
    pub factor: f64,
}

impl Spike {
    /// Within a duration; nothing when it leaves no time around it.
    pub fn within(duration: Duration, length: Option<Duration>, factor: f64) -> Option<Self> {
        let length = length.unwrap_or_else(|| duration.mul_f64(LENGTH_SHARE));
        let before = duration.checked_sub(length)?.mul_f64(BEFORE_SHARE);
        (!before.is_zero() && !length.is_zero()).then_some(Self { before, length, factor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_has_time_before_and_after() {
        let seconds = Duration::from_secs;
        let spike = Spike::within(seconds(10), None, 5.0).unwrap();
        assert_eq!((spike.before, spike.length), (Duration::from_millis(3_200), seconds(2)));
        let long = Spike::within(seconds(10), Some(seconds(5)), 2.0).unwrap();
        assert_eq!((long.before, long.factor), (seconds(2), 2.0));
        assert_eq!(Spike::within(seconds(10), Some(seconds(10)), 5.0), None);
        assert_eq!(Spike::within(seconds(10), Some(seconds(11)), 5.0), None);
        assert_eq!(Spike::within(seconds(10), Some(seconds(0)), 5.0), None);
    }
}
