//! Instants and windows. The engine never reads a clock: `now` is an argument.

use core::fmt;

/// An instant: microseconds since 1970-01-01T00:00:00Z. Microseconds, because devices stamp in
/// milliseconds and latency is measured through the echoed `observed_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// Microseconds in one second.
const MICROS_PER_SECOND: i64 = 1_000_000;

impl Timestamp {
    /// Before every real instant: the open start of a timeline.
    pub const MIN: Self = Self(i64::MIN);
    /// After every real instant: the open end of a timeline.
    pub const MAX: Self = Self(i64::MAX);

    /// From microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// From whole seconds since the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// Whole seconds since the epoch; a begun one does not count.
    #[must_use]
    pub const fn whole_seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// Later by so many seconds; saturates, so that outside input cannot overflow.
    #[must_use]
    pub const fn plus(self, seconds: Seconds) -> Self {
        Self(self.0.saturating_add(seconds.0 as i64 * MICROS_PER_SECOND))
    }

    /// Earlier by so many seconds; saturates.
    #[must_use]
    pub const fn minus(self, seconds: Seconds) -> Self {
        Self(self.0.saturating_sub(seconds.0 as i64 * MICROS_PER_SECOND))
    }

    /// Microseconds from `earlier` to here; negative when `earlier` is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A length of time in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seconds(pub u32);

impl Seconds {
    /// The length in microseconds.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0 as i64 * MICROS_PER_SECOND
    }
}

/// A half-open stretch of time `[from, to)`: a stay that ends at ten leaves the slot to one that begins at ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first instant inside.
    pub from: Timestamp,
    /// The first instant after.
    pub to: Timestamp,
}

impl Window {
    /// Whether the two share an instant.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}

impl fmt::Display for Timestamp {
    /// Microseconds; the outside formats instants itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}us", self.0)
    }
}
