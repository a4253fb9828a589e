//! Where a lot is and in which terms it works: position, city, time zone, currency.

use jiff::tz::TimeZone;
use lotkeeper_engine::spec::{Fault, Position};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault;

/// Microdegrees in a degree.
const MICRO: f64 = 1e6;
/// Characters of a city's name.
const CITY_CHARS_MAX: usize = 100;

/// A place on the earth in degrees (WGS 84), kept to a millionth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Position, example = json!({"lat": 52.52, "lon": 13.4}))]
pub struct PositionBody {
    /// North positive.
    #[schema(minimum = -90, maximum = 90)]
    pub lat: f64,
    /// East positive.
    #[schema(minimum = -180, maximum = 180)]
    pub lon: f64,
}

impl From<Position> for PositionBody {
    fn from(position: Position) -> Self {
        Self {
            lat: f64::from(position.lat_microdegrees) / MICRO,
            lon: f64::from(position.lon_microdegrees) / MICRO,
        }
    }
}

impl PositionBody {
    /// From `lat,lon`.
    #[must_use]
    pub fn from_pair(text: &str) -> Option<Self> {
        let (lat, lon) = text.split_once(',')?;
        let position = Self { lat: lat.trim().parse().ok()?, lon: lon.trim().parse().ok()? };
        position.on_earth().then_some(position)
    }

    fn on_earth(self) -> bool {
        (-90.0..=90.0).contains(&self.lat) && (-180.0..=180.0).contains(&self.lon)
    }

    /// As the engine keeps it.
    #[must_use]
    pub fn checked(self, faults: &mut Vec<Fault>) -> Option<Position> {
        if !self.on_earth() {
            let detail = format!(
                "{}, {} is not on the earth; `lat` is -90 to 90, `lon` -180 to 180",
                self.lat, self.lon
            );
            faults.push(fault("/position", detail));
            return None;
        }
        Some(Position {
            lat_microdegrees: (self.lat * MICRO).round() as i32,
            lon_microdegrees: (self.lon * MICRO).round() as i32,
        })
    }
}

/// An IANA time zone in its official spelling.
#[must_use]
pub fn time_zone(name: &str, faults: &mut Vec<Fault>) -> Box<str> {
    let known = TimeZone::get(name).ok();
    match known.as_ref().and_then(TimeZone::iana_name) {
        Some(official) => official.into(),
        None => {
            let shown: String = name.chars().take(80).collect();
            let detail = format!("`{shown}` is not an IANA time zone such as Europe/Berlin");
            faults.push(fault("/time_zone", detail));
            "UTC".into()
        }
    }
}

/// A currency code of ISO 4217, by its form.
#[must_use]
pub fn currency(code: &str, faults: &mut Vec<Fault>) -> Box<str> {
    if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        let shown: String = code.chars().take(80).collect();
        faults.push(fault("/currency", format!("`{shown}` is not three capitals such as EUR")));
    }
    code.into()
}

/// A city's name.
#[must_use]
pub fn city(name: &str, faults: &mut Vec<Fault>) -> Box<str> {
    let chars = name.chars().count();
    if chars == 0 || chars > CITY_CHARS_MAX || name.chars().any(char::is_control) {
        let detail = format!("a city has 1 to {CITY_CHARS_MAX} printable characters, not {chars}");
        faults.push(fault("/city", detail));
    }
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_and_checked() {
        for (text, on_earth) in [
            ("52.52,13.4", true),
            (" -33.9 , 151.2", true),
            ("91,0", false),
            ("NaN,0", false),
            ("inf,0", false),
            ("52.52", false),
            ("", false),
        ] {
            assert_eq!(PositionBody::from_pair(text).is_some(), on_earth, "{text}");
        }
    }

    #[test]
    fn terms_are_checked() {
        let mut faults = Vec::new();
        assert_eq!(&*time_zone("europe/berlin", &mut faults), "Europe/Berlin");
        assert_eq!(&*currency("EUR", &mut faults), "EUR");
        assert!(faults.is_empty());
        let _ = (time_zone("Mars/Olympus", &mut faults), currency("eur", &mut faults));
        let _ = city("", &mut faults);
        let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["/time_zone", "/currency", "/city"]);
    }
}
