//! Vehicles: a plate and its country, brought into one form so that one vehicle has one pseudonym.
//!
//! The clear text lives in the vault only, as `COUNTRY PLATE`. Canonical form: upper case; a run of
//! blanks and dashes between characters is one `-` if a dash is in it, else one blank.

use lotkeeper_engine::spec::Fault;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault;

/// Characters of the longest plate, separators included.
const PLATE_CHARS_MAX: usize = 20;
/// Letters of the longest country code on an oval sticker or in ISO 3166.
const COUNTRY_CHARS_MAX: usize = 3;

/// A vehicle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"plate": "B-XY 123", "country": "D"}))]
pub struct Vehicle {
    /// The plate; letters and digits of any script, blanks and dashes.
    pub plate: String,
    /// The country that issued it: one to three letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

impl Vehicle {
    /// The form in which the vault keeps it.
    ///
    /// # Errors
    /// A plate or country that cannot be one.
    pub fn canonical(&self) -> Result<String, Vec<Fault>> {
        let mut faults = Vec::new();
        let plate = canonical_plate(&self.plate);
        let chars = plate.chars().filter(|c| c.is_alphanumeric()).count();
        let odd = plate.chars().any(|c| !c.is_alphanumeric() && !matches!(c, ' ' | '-'));
        if chars == 0 || odd || plate.chars().count() > PLATE_CHARS_MAX {
            // The text is a person's: it is not repeated in an answer that may be logged.
            faults.push(fault(
                "/vehicle/plate",
                format!("a plate has 1 to {PLATE_CHARS_MAX} letters, digits, blanks and dashes"),
            ));
        }
        let country = self.country.as_deref().unwrap_or_default().trim().to_ascii_uppercase();
        let letters = country.chars().all(|c| c.is_ascii_uppercase());
        if !letters || country.len() > COUNTRY_CHARS_MAX {
            faults.push(fault("/vehicle/country", "a country is one to three letters, such as D"));
        }
        if faults.is_empty() { Ok(format!("{country} {plate}")) } else { Err(faults) }
    }

    /// From the form in which the vault keeps it.
    #[must_use]
    pub fn from_canonical(clear: &str) -> Self {
        let (country, plate) = clear.split_once(' ').unwrap_or(("", clear));
        let country = (!country.is_empty()).then(|| country.to_owned());
        Self { plate: plate.to_owned(), country }
    }
}

fn canonical_plate(plate: &str) -> String {
    let mut canonical = String::with_capacity(plate.len());
    let mut separator = None;
    for c in plate.trim().chars() {
        let dash = matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}');
        if dash || c.is_whitespace() {
            separator = Some(if dash || separator == Some('-') { '-' } else { ' ' });
            continue;
        }
        if let Some(separator) = separator.take().filter(|_| !canonical.is_empty()) {
            canonical.push(separator);
        }
        canonical.extend(c.to_uppercase());
    }
    canonical
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
        ] {
            let vehicle = Vehicle { plate: plate.into(), country: country.map(Into::into) };
            assert_eq!(vehicle.canonical().ok().as_deref(), clear, "{plate} {country:?}");
        }
        let back = Vehicle::from_canonical("D B-XY 123");
        assert_eq!((back.plate.as_str(), back.country.as_deref()), ("B-XY 123", Some("D")));
        assert_eq!(Vehicle::from_canonical(" AB12 CDE").country, None);
    }
}
