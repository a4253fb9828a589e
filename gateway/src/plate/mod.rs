//! Plates: which vehicle a text means, however it is spelled, and how alike two texts are.
//!
//! A vehicle is tenant, country and compact plate: capitals and digits without separators, letters that look the
//! same as one letter. How somebody wrote it is kept beside that for people to read (`crate::wire::vehicle`).
//! Invariants: everything here is pure and total; no error and no `Debug` of an error repeats a plate, because
//! errors are logged. Deliberately absent: whether a plate was ever issued, and states of federations: two
//! vehicles of two states of one country with the same characters are one vehicle here.

mod compact;
mod country;
mod likeness;

use std::borrow::Cow;

pub(crate) use compact::display;
pub use compact::{PLATE_BYTES_MAX, PLATE_CHARS_MAX, PlateError, compact, is_separator};
pub use country::Country;
pub use likeness::{CONFUSED, Likeness, likeness, one_edit};

use lotkeeper_storage::PersonKind;

/// A country as somebody stated it: known, or a code of no list, which is kept as it is.
fn known(country: &str) -> Cow<'_, str> {
    match Country::parse(country) {
        Some(known) => Cow::Owned(known.as_str().to_owned()),
        None => Cow::Borrowed(country),
    }
}

/// What a clear text of the vault is found by: for a vehicle `COUNTRY PLATE` with the country's ISO code and the
/// compact plate, whatever the spelling; for a person the text itself.
///
/// The vault asks this for what it has and for what it is asked, so that entries of older releases are found by
/// every spelling too. It must therefore stay the same function within a release, and total.
#[must_use]
pub fn identity(kind: PersonKind, clear: &str) -> Cow<'_, str> {
    match kind {
        PersonKind::Subject | PersonKind::Request => Cow::Borrowed(clear),
        PersonKind::Vehicle => {
            let (country, plate) = clear.split_once(' ').unwrap_or(("", clear));
            match compact(plate, Country::parse(country)) {
                Ok(compact) => Cow::Owned(format!("{} {compact}", known(country))),
                // Nothing this release would take as a plate; it is still its own name.
                Err(_) => Cow::Borrowed(clear),
            }
        }
    }
}

/// Which country a plate is of, as far as it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stated {
    /// By a person: it is so.
    Said(Country),
    /// By a camera: it may be another one.
    Guessed(Country),
    /// By nobody.
    Unknown,
}

/// The countries under which a vehicle is looked for, the likeliest first; `None` is a vehicle that was entered
/// without one. `home` is the lot's own country.
#[must_use]
pub fn countries(stated: Stated, home: Option<Country>) -> Vec<Option<Country>> {
    let mut wanted = match stated {
        Stated::Said(country) => vec![Some(country)],
        Stated::Guessed(country) => vec![Some(country), home],
        Stated::Unknown => vec![home],
    };
    wanted.push(None);
    let mut seen = Vec::with_capacity(wanted.len());
    // Where the lot has no country, "home" and "without one" are the same.
    for country in wanted {
        if !seen.contains(&country) {
            seen.push(country);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Country {
        Country::parse(text).unwrap()
    }

    #[test]
    fn every_spelling_has_one_identity_and_different_vehicles_have_different_ones() {
        let one = ["D B-XY 123", "DE bxy123", "DEU B XY123", "d Ｂ－ＸＹ１２３", "D В-ХУ 123"];
        for clear in one {
            assert_eq!(identity(PersonKind::Vehicle, clear), "DE BXY123", "{clear}");
        }
        for (clear, wanted) in [
            (" AB12 CDE", " AB12CDE"),
            ("GB AB12 CDE", "GB AB12CDE"),
            ("QQQ AB12 CDE", "QQQ AB12CDE"),
            ("CHN 京A·12345", "CN 京A12345"),
            ("D WÜ-X 1", "DE WÜX1"),
            ("D WU-X 1", "DE WUX1"),
            // What is no plate names itself.
            ("D !", "D !"),
            ("D", " D"),
        ] {
            assert_eq!(identity(PersonKind::Vehicle, clear), wanted, "{clear}");
        }
        assert_eq!(identity(PersonKind::Subject, "D B-XY 123"), "D B-XY 123");
    }

    #[test]
    fn an_identity_names_itself() {
        for clear in ["D B-XY 123", " AB12 CDE", "QQQ A 1", "GB AB1O CDE"] {
            let once = identity(PersonKind::Vehicle, clear).into_owned();
            assert_eq!(identity(PersonKind::Vehicle, &once), once);
        }
    }

    #[test]
    fn a_vehicle_without_a_country_is_looked_for_in_the_country_of_the_lot_first() {
        let (de, fr) = (code("DE"), code("FR"));
        for (stated, home, wanted) in [
            (Stated::Unknown, Some(de), vec![Some(de), None]),
            (Stated::Unknown, None, vec![None]),
            (Stated::Said(fr), Some(de), vec![Some(fr), None]),
            (Stated::Guessed(fr), Some(de), vec![Some(fr), Some(de), None]),
            (Stated::Guessed(de), Some(de), vec![Some(de), None]),
            (Stated::Guessed(fr), None, vec![Some(fr), None]),
        ] {
            assert_eq!(countries(stated, home), wanted, "{stated:?} {home:?}");
        }
    }
}
