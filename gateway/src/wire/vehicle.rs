//! Vehicles: a plate and its country, as somebody wrote them and as they are found.
//!
//! The clear text in the vault is `COUNTRY PLATE` as it was first written: capitals, a run of blanks and dashes
//! between characters is one `-` if a dash is in it, else one blank. It is found by [`crate::plate::identity`], so
//! every spelling of a vehicle has one pseudonym, and what somebody reads is what somebody wrote.

use lotkeeper_engine::spec::Fault;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault;
use crate::plate::{self, Country, PLATE_CHARS_MAX, PlateError};

/// Letters of the longest country code on an oval sticker or in ISO 3166.
const COUNTRY_CHARS_MAX: usize = 3;

/// A vehicle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"plate": "B-XY 123", "country": "D"}))]
pub struct Vehicle {
    /// The plate; letters and digits of any script, blanks, dashes and dots, which change nothing.
    pub plate: String,
    /// The country that issued it: one to three letters, of ISO 3166 or of the oval sticker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

impl Vehicle {
    /// The same vehicle, of the lot's own country unless it says which.
    #[must_use]
    pub fn at_home_in(mut self, home: Option<Country>) -> Self {
        let said = self.country.as_deref().is_some_and(|country| !country.trim().is_empty());
        if !said {
            self.country = home.map(|home| home.to_string());
        }
        self
    }

    /// The form in which the vault keeps it.
    ///
    /// # Errors
    /// A plate or country that cannot be one.
    pub fn canonical(&self) -> Result<String, Vec<Fault>> {
        let mut faults = Vec::new();
        let country = self.country.as_deref().unwrap_or_default().trim().to_ascii_uppercase();
        let letters = country.chars().all(|c| c.is_ascii_uppercase());
        // The text is a person's: it is not repeated in an answer that may be logged.
        let shown = match plate::compact(&self.plate, Country::parse(&country)) {
            Ok(_) => plate::display(&self.plate),
            Err(error) => {
                faults.push(fault("/vehicle/plate", error.to_string()));
                String::new()
            }
        };
        if shown.chars().count() > PLATE_CHARS_MAX {
            faults.push(fault("/vehicle/plate", PlateError::TooLong.to_string()));
        }
        if !letters || country.len() > COUNTRY_CHARS_MAX {
            faults.push(fault("/vehicle/country", "a country is one to three letters, such as D"));
        }
        if faults.is_empty() { Ok(format!("{country} {shown}")) } else { Err(faults) }
    }

    /// From the form in which the vault keeps it.
    #[must_use]
    pub fn from_canonical(clear: &str) -> Self {
        let (country, plate) = clear.split_once(' ').unwrap_or(("", clear));
        let country = (!country.is_empty()).then(|| country.to_owned());
        Self { plate: plate.to_owned(), country }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_plate_have_one_form() {
        for (plate, country, clear) in [
            ("B-XY 123", Some("D"), Some("D B-XY 123")),
            ("b - xy   123 ", Some("d"), Some("D B-XY 123")),
            ("B\u{2013}XY\t123", Some("D"), Some("D B-XY 123")),
            ("ab12 cde", None, Some(" AB12 CDE")),
            ("京A12345", Some("CHN"), Some("CHN 京A12345")),
            ("", Some("D"), None),
            (" - ", Some("D"), None),
            ("B_1", None, None),
            ("A1", Some("GERM"), None),
            ("A1", Some("1"), None),
            ("123456789012345678901", None, None),
            ("1 2 3 4 5 6 7 8 9 0 1", None, None),
            ("Ｂ－ＸＹ　１２３", Some("D"), Some("D B-XY 123")),
            ("B.XY.123", Some("D"), Some("D B XY 123")),
        ] {
            let vehicle = Vehicle { plate: plate.into(), country: country.map(Into::into) };
            assert_eq!(vehicle.canonical().ok().as_deref(), clear, "{plate} {country:?}");
        }
        let back = Vehicle::from_canonical("D B-XY 123");
        assert_eq!((back.plate.as_str(), back.country.as_deref()), ("B-XY 123", Some("D")));
        assert_eq!(Vehicle::from_canonical(" AB12 CDE").country, None);
    }

    #[test]
    fn a_vehicle_that_does_not_say_is_of_the_country_of_the_lot() {
        let home = Country::parse("A");
        for (country, home, wanted) in [
            (None, home, Some("AT")),
            (Some(" "), home, Some("AT")),
            (Some("D"), home, Some("D")),
            (None, None, None),
        ] {
            let vehicle = Vehicle { plate: "W-1 X".into(), country: country.map(Into::into) };
            assert_eq!(vehicle.at_home_in(home).country.as_deref(), wanted);
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_plate() {
        for plate in ["SECRET_1", "SECRET 1234567890123456", ""] {
            let vehicle = Vehicle { plate: plate.into(), country: Some("QQQQ".into()) };
            let faults = vehicle.canonical().unwrap_err();
            let pointers: Vec<_> = faults.iter().map(|fault| &*fault.pointer).collect();
            assert_eq!(pointers, ["/vehicle/plate", "/vehicle/country"]);
            assert!(faults.iter().all(|fault| !fault.detail.contains("SECRET")));
        }
    }
}
