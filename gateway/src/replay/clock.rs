//! Local wall-clock times to instants, with the clock-change hours decided on purpose.
//!
//! - A time that never was (spring) is read with the offset before the change, as a clock shows
//!   that nobody has put forward yet: jiff's later of the two readings.
//! - A time that was twice (autumn) has two candidates, and the format decides between them with
//!   what its file offers: the order of its rows, or the upload time beside the observation.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::item::LocalTime;

/// The instants that a local time may mean; equal unless it is a fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidates {
    pub earlier: Timestamp,
    pub later: Timestamp,
    pub local_time: LocalTime,
}

impl Candidates {
    /// Reads `text` (`2016-11-07T00:35:00`) as local time of `zone`.
    pub(super) fn of(zone: &TimeZone, text: &str) -> Result<Self, String> {
        let local: DateTime = text
            .parse()
            .map_err(|_| format!("{text:?} is not a local time such as 2016-11-07T00:35:00"))?;
        let ambiguous = zone.to_ambiguous_timestamp(local);
        let local_time = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => LocalTime::Exact,
            AmbiguousOffset::Gap { .. } => LocalTime::Gap,
            AmbiguousOffset::Fold { .. } => LocalTime::Fold,
        };
        let out_of_range = |_| format!("{text:?} is beyond the calendar");
        let later = ambiguous.later().map_err(out_of_range)?;
        let earlier = match local_time {
            LocalTime::Fold => ambiguous.earlier().map_err(out_of_range)?,
            LocalTime::Exact | LocalTime::Gap => later,
        };
        Ok(Self { earlier, later, local_time })
    }

    /// For a file whose rows are in time order: the earlier one, unless that would step back
    /// behind `previous` and the later one does not.
    pub(super) fn in_file_order(self, previous: Option<Timestamp>) -> Timestamp {
        match previous {
            Some(previous) if self.earlier < previous && previous <= self.later => self.later,
            _ => self.earlier,
        }
    }

    pub(super) fn both(self) -> [Timestamp; 2] {
        [self.earlier, self.later]
    }
}

/// Decides an observation and its upload together: of the pairs that do not upload before
/// `previous_upload` (rows come in upload order) the one whose two instants lie closest, and of
/// equally close ones the earlier. Outside the autumn hour there is only one pair.
pub(super) fn observation_and_upload(
    observed: Candidates,
    uploaded: Candidates,
    previous_upload: Option<Timestamp>,
) -> (Timestamp, Timestamp) {
    let steps_back = |upload: Timestamp| previous_upload.is_some_and(|previous| upload < previous);
    let mut best = (observed.earlier, uploaded.earlier);
    let mut best_rank = None;
    for upload in uploaded.both() {
        for observation in observed.both() {
            let delay_seconds = upload.duration_since(observation).as_secs().unsigned_abs();
            let rank = (steps_back(upload), delay_seconds);
            if best_rank.is_none_or(|best_rank| rank < best_rank) {
                best_rank = Some(rank);
                best = (observation, upload);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn london(text: &str) -> Candidates {
        Candidates::of(&TimeZone::get("Europe/London").unwrap(), text).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn clock_change_hours_have_none_or_two_instants() {
        for (text, earlier, later, local_time) in [
            ("2015-03-29T00:59:59", "00:59:59", "00:59:59", LocalTime::Exact),
            ("2015-03-29T01:30:00", "01:30:00", "01:30:00", LocalTime::Gap),
            ("2015-03-29T02:00:00", "01:00:00", "01:00:00", LocalTime::Exact),
            ("2015-10-25T01:30:00", "00:30:00", "01:30:00", LocalTime::Fold),
            ("2015-10-25T02:00:00", "02:00:00", "02:00:00", LocalTime::Exact),
        ] {
            let candidates = london(text);
            let instant = |time: &str| at(&format!("{}T{time}Z", &text[..10]));
            let expected =
                Candidates { earlier: instant(earlier), later: instant(later), local_time };
            assert_eq!(candidates, expected, "{text}");
        }
    }

    #[test]
    fn a_fold_is_earlier_unless_the_file_order_says_otherwise() {
        let fold = london("2015-10-25T01:30:00");
        for (previous, chosen) in [
            (None, "2015-10-25T00:30:00Z"),
            (Some("2015-10-25T00:29:00Z"), "2015-10-25T00:30:00Z"),
            (Some("2015-10-25T00:31:00Z"), "2015-10-25T01:30:00Z"),
            // Behind both: a row out of order, which tells nothing.
            (Some("2015-10-25T01:31:00Z"), "2015-10-25T00:30:00Z"),
        ] {
            assert_eq!(fold.in_file_order(previous.map(at)), at(chosen), "{previous:?}");
        }
    }

    #[test]
    fn an_upload_in_the_fold_is_decided_with_its_observation() {
        for (observed, uploaded, previous, expected, why) in [
            ("01:04:58", "01:05:01", "00:00:01", ("00:04:58", "00:05:01"), "first pass"),
            ("01:04:58", "01:05:01", "01:00:01", ("01:04:58", "01:05:01"), "second pass"),
            ("01:59:11", "01:00:10", "23:55:01", ("00:59:11", "01:00:10"), "across the change"),
            ("01:56:55", "02:05:01", "01:00:01", ("01:56:55", "02:05:01"), "near its upload"),
            ("00:59:19", "01:00:01", "23:55:01", ("23:59:19", "00:00:01"), "before the fold"),
        ] {
            let instant = |time: &str| {
                let day = if time.starts_with("23") { 24 } else { 25 };
                at(&format!("2015-10-{day}T{time}Z"))
            };
            let decided = observation_and_upload(
                london(&format!("2015-10-25T{observed}")),
                london(&format!("2015-10-25T{uploaded}")),
                Some(instant(previous)),
            );
            assert_eq!(decided, (instant(expected.0), instant(expected.1)), "{why}");
        }
    }
}
