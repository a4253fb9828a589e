//! Why a lot takes no window, in words: paused by its owner, or closed when a vehicle would come or go; and why one
//! that was taken stays as it is.
//!
//! Times of day are the lot's own, because that is what stands on its door; instants have their offset. Absent:
//! whether it takes one, which is the engine's to say.

use std::fmt::Write as _;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use lotkeeper_engine::lot::Rejection;
use lotkeeper_engine::spec::Spec;
use lotkeeper_engine::time::Timestamp;

use super::Problem;
use super::rejection::iso;
use crate::wire::about::OpeningBody;

/// RFC 3339 with the offset of the place.
const LOCAL: &str = "%Y-%m-%dT%H:%M:%S%:z";

/// What the lot's owner, its hours or its rules say no to.
pub(super) fn refused(spec: Option<&Spec>, rejection: &Rejection) -> Problem {
    match rejection {
        Rejection::LotPaused => paused(spec),
        Rejection::LotClosed { at, opens } => closed(spec, *at, *opens),
        Rejection::ChangeTooLate { until } => Problem::change_too_late(format!(
            "a driver could change or cancel this reservation until {}; its end can still be moved later, all else \
             is for the lot's staff to do",
            iso(*until)
        )),
        other => Problem::internal(other.to_string()),
    }
}

fn paused(spec: Option<&Spec>) -> Problem {
    Problem::lot_paused(format!(
        "{} is paused: it takes no new bookings and no more time, and what is booked stays good; choose another \
         lot, or ask again when its `about.listing` is `listed`",
        named(spec)
    ))
}

fn closed(spec: Option<&Spec>, at: Timestamp, opens: Option<Timestamp>) -> Problem {
    let zone = spec.and_then(|spec| TimeZoneDatabase::bundled().get(&spec.place.time_zone).ok());
    let local = |at| local(at, zone.as_ref());
    let mut detail = format!("{} is closed at {}", named(spec), local(at));
    if let Some(spec) = spec {
        let lines: Vec<String> = spec.about.hours.0.iter().map(|it| line(&it.into())).collect();
        // Writing to a text cannot fail.
        let _ = write!(detail, "; it is open {} ({})", lines.join(", "), spec.place.time_zone);
    }
    if let Some(opens) = opens {
        let _ = write!(detail, ", next from {}", local(opens));
    }
    detail.push_str("; choose a window that begins and ends while it is open");
    Problem::lot_closed(detail)
}

fn named(spec: Option<&Spec>) -> String {
    spec.map_or_else(|| "the lot".to_owned(), |spec| format!("lot {}", spec.code))
}

/// `mon tue 06:00 to 24:00`.
fn line(opening: &OpeningBody) -> String {
    let days: Vec<&str> = opening.days.iter().map(|day| day.text()).collect();
    format!("{} {} to {}", days.join(" "), opening.from, opening.to)
}

fn local(at: Timestamp, zone: Option<&TimeZone>) -> String {
    let zone = zone.cloned().unwrap_or(TimeZone::UTC);
    jiff::Timestamp::from_microsecond(at.micros())
        .map_or_else(|_| at.to_string(), |at| at.to_zoned(zone).strftime(LOCAL).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lotkeeper_engine::spec::{Days, Hours, Opening, Place};

    #[test]
    fn hours_and_the_next_opening_are_told_in_the_time_of_the_place() {
        let mut spec = Spec { code: "L1".into(), ..Spec::default() };
        spec.place = Place { time_zone: "Europe/Berlin".into(), ..Place::default() };
        let opening =
            |days, from_minute, to_minute| Opening { days: Days(days), from_minute, to_minute };
        spec.about.hours = Hours(vec![opening(0b11, 360, 1_440), opening(0b100_0000, 1_320, 30)]);
        let at = Timestamp::from_seconds(1_772_323_200);
        let opens = Some(Timestamp::from_seconds(1_774_837_800));
        assert_eq!(
            closed(Some(&spec), at, opens).detail,
            "lot L1 is closed at 2026-03-01T01:00:00+01:00; it is open mon tue 06:00 to 24:00, sun 22:00 to 00:30 \
             (Europe/Berlin), next from 2026-03-30T04:30:00+02:00; choose a window that begins and ends while it \
             is open"
        );
        assert!(
            closed(None, at, None)
                .detail
                .starts_with("the lot is closed at 2026-03-01T00:00:00+00:00; ")
        );
    }
}
