//! Where a lot is and in which terms it works.

use super::Fault;
use super::check::check_text;
use crate::limits::{ADDRESS_CHARS_MAX, POSTAL_CODE_CHARS_MAX};

/// A place on the earth in millionths of a degree (WGS 84): exact to 11 cm and comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// North positive.
    pub lat_microdegrees: i32,
    /// East positive.
    pub lon_microdegrees: i32,
}

/// Where and in which terms a lot works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// IANA time zone.
    pub time_zone: Box<str>,
    /// ISO 4217.
    pub currency: Box<str>,
    /// For search.
    pub city: Option<Box<str>>,
    /// For search and maps.
    pub position: Option<Position>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<Box<str>>,
    /// Street and number.
    pub street: Option<Box<str>>,
    /// State, province or canton.
    pub state: Option<Box<str>>,
    /// As the post writes it.
    pub postal_code: Option<Box<str>>,
}

impl Default for Place {
    /// Nowhere yet, in universal time and euros.
    fn default() -> Self {
        Self {
            time_zone: "UTC".into(),
            currency: "EUR".into(),
            city: None,
            position: None,
            country: None,
            street: None,
            state: None,
            postal_code: None,
        }
    }
}

impl Place {
    /// The address. Time zone, currency, city and position are checked where a request gives them.
    pub(super) fn check(&self, faults: &mut Vec<Fault>) {
        if let Some(country) = self.country.as_deref()
            && (country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            let shown: String = country.chars().take(80).collect();
            faults.push(Fault {
                pointer: "/address/country".to_owned(),
                detail: format!("`{shown}` is not two capitals of ISO 3166 such as DE"),
            });
        }
        let line = (ADDRESS_CHARS_MAX, false);
        check_text(faults, "/address/street", self.street.as_deref(), line);
        check_text(faults, "/address/state", self.state.as_deref(), line);
        let code = (POSTAL_CODE_CHARS_MAX, false);
        check_text(faults, "/address/postal_code", self.postal_code.as_deref(), code);
    }
}
