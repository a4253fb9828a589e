//! How often a stream of a lot with many readers is written to.

use std::time::Duration;

/// A write costs the machine 5 to 10 us whatever is in it, and a change of a lot with a thousand readers
/// is a thousand of them. So each reader of a lot adds this to the pause between two writes to any of
/// them: all of them together take less than half of a core. What comes after a pause goes at once.
const PAUSE_PER_READER: Duration = Duration::from_micros(20);
/// A reader is never further behind than this because of others.
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// Shorter pauses are none: the timer's step.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// Between two writes to a reader of a lot that has so many of them.
pub fn pause(readers: usize) -> Option<Duration> {
    let pause = PAUSE_PER_READER.saturating_mul(u32::try_from(readers).unwrap_or(u32::MAX));
    (pause >= PAUSE_MIN).then_some(pause.min(PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lot_pauses_from_fifty_readers_on_and_never_longer_than_a_blink() {
        for (readers, micros) in [
            (0, None),
            (49, None),
            (50, Some(1_000)),
            (1_000, Some(20_000)),
            (2_500, Some(50_000)),
            (usize::MAX, Some(50_000)),
        ] {
            assert_eq!(pause(readers), micros.map(Duration::from_micros), "{readers}");
        }
    }
}
