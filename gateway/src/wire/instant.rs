//! Instants outside: RFC 3339 in UTC. Inside they are microseconds.

use std::borrow::Cow;
use std::fmt;

use jiff::fmt::temporal::DateTimeParser;
use lotkeeper_engine::time::Timestamp;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// The shortest instant: `2026-03-01T09:00:00Z`.
const CHARS_MIN: usize = 20;
/// The longest one: nine digits of fraction and an offset.
const CHARS_MAX: usize = 35;

/// An instant on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub Timestamp);

/// Reads an instant: date, `T`, time with seconds, and `Z` or an offset. Digits past microseconds are dropped.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    let bytes = text.as_bytes();
    // jiff also takes blanks, minutes without seconds and zone names, RFC 3339 does not.
    let plain = (CHARS_MIN..=CHARS_MAX).contains(&bytes.len())
        && matches!(bytes[10], b'T' | b't')
        && bytes[16] == b':'
        && bytes[bytes.len() - 1] != b']';
    let instant = plain.then(|| PARSER.parse_timestamp(bytes).ok()).flatten()?;
    Some(Timestamp::from_micros(instant.as_microsecond()))
}

impl fmt::Display for Instant {
    /// `2026-03-01T09:00:00Z`, with a fraction where it is not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The open ends of a timeline are outside the calendar and are never shown; the nearest day is.
        let outside =
            if self.0 < Timestamp::default() { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        jiff::Timestamp::from_microsecond(self.0.micros()).unwrap_or(outside).fmt(f)
    }
}

impl From<Timestamp> for Instant {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(InstantVisitor)
    }
}

struct InstantVisitor;

impl Visitor<'_> for InstantVisitor {
    type Value = Instant;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an instant in RFC 3339 such as 2026-03-01T09:00:00Z")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Instant, E> {
        let invalid = || E::invalid_value(Unexpected::Str(text), &self);
        parse(text).map(Instant).ok_or_else(invalid)
    }
}

impl PartialSchema for Instant {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("An instant: RFC 3339, in UTC in answers."))
            .examples(["2026-03-01T09:00:00Z"])
            .into()
    }
}

impl ToSchema for Instant {
    fn name() -> Cow<'static, str> {
        "Instant".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_and_written_as_documented() {
        for (text, micros, shown) in [
            ("1970-01-01T00:00:00Z", Some(0), "1970-01-01T00:00:00Z"),
            ("2026-03-01T09:00:00Z", Some(1_772_355_600_000_000), "2026-03-01T09:00:00Z"),
            ("2026-03-01T09:00:00.25Z", Some(1_772_355_600_250_000), "2026-03-01T09:00:00.25Z"),
            ("2026-03-01T10:00:00+01:00", Some(1_772_355_600_000_000), "2026-03-01T09:00:00Z"),
            (
                "2026-03-01T09:00:00.123456789Z",
                Some(1_772_355_600_123_456),
                "2026-03-01T09:00:00.123456Z",
            ),
            ("2026-03-01T09:00:00", None, ""),
            ("2026-03-01 09:00:00Z", None, ""),
            ("2026-03-01T09:00Z", None, ""),
            ("2026-03-01T10:00+01:00", None, ""),
            ("2026-03-01T10:00:00+01:00[Europe/Berlin]", None, ""),
            ("2026-02-30T09:00:00Z", None, ""),
            ("yesterday", None, ""),
            ("", None, ""),
        ] {
            let parsed = parse(text);
            assert_eq!(parsed.map(Timestamp::micros), micros, "{text}");
            if let Some(at) = parsed {
                assert_eq!(Instant(at).to_string(), shown, "{text}");
            }
        }
    }

    #[test]
    fn ends_of_a_timeline_are_shown_without_a_panic() {
        assert!(Instant(Timestamp::MIN).to_string().starts_with('-'));
        assert!(Instant(Timestamp::MAX).to_string().starts_with("9999-"));
    }
}
