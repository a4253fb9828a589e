//! The compact form of a plate: what two spellings of one plate have in common.
//!
//! In this order: NFKC (full width becomes half, a letter and its dots become one), capitals, separators away,
//! digits of other scripts as 0 to 9, Greek and Cyrillic letters that look like Latin ones as these, and where a
//! country's plates draw `O` like `0` and `I` like `1`, the one that its format has in that place. Umlauts stay:
//! `WÜ` and `WU` are two districts. The form of a compact plate is itself.

use unicode_normalization::UnicodeNormalization;

use super::Country;

/// Characters of the longest plate, with separators or without.
pub const PLATE_CHARS_MAX: usize = 20;
/// Bytes of text that is looked at: more is no plate, however much of it would fall away.
pub const PLATE_BYTES_MAX: usize = 256;

/// Letters of Greek and Cyrillic plates, each with the Latin one that cannot be told from it. The European
/// countries with these scripts use no other letters, for exactly that reason.
const LOOKS_LIKE: &str = "\
ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX \
АA ВB ЕE КK МM НH ОO РP СC ТT УY ХX ІI ЅS ЈJ";
/// The zero of each script whose digits are on plates; one to nine follow it.
const ZEROS: [char; 17] = [
    '\u{660}', '\u{6F0}', '\u{966}', '\u{9E6}', '\u{A66}', '\u{AE6}', '\u{B66}', '\u{BE6}',
    '\u{C66}', '\u{CE6}', '\u{D66}', '\u{E50}', '\u{ED0}', '\u{F20}', '\u{1040}', '\u{17E0}',
    '\u{1810}',
];
/// A country's format of today.
struct Format {
    country: &'static str,
    /// `L` a letter, `D` a digit.
    places: &'static str,
    /// Whether `O` is among its letters. `I` is in none.
    has_o: bool,
}

/// Formats in which a place says whether it has a letter or a digit, of countries that draw `O` and `I` like digits
/// or do without them.
const FORMATS: [Format; 4] = [
    Format { country: "GB", places: "LLDDLLL", has_o: true },
    Format { country: "FR", places: "LLDDDLL", has_o: false },
    Format { country: "IT", places: "LLDDDLL", has_o: false },
    Format { country: "ES", places: "DDDDLLL", has_o: false },
];

/// Why a text is no plate. It never says which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlateError {
    /// No letter or digit.
    #[error("a plate has at least one letter or digit")]
    Empty,
    /// Too much of it.
    #[error("a plate has at most {PLATE_CHARS_MAX} letters, digits, blanks and dashes")]
    TooLong,
    /// Something that is on no plate.
    #[error("a plate has letters, digits, blanks, dashes and dots only")]
    Strange,
}

/// Whether a character stands between the parts of a plate without meaning.
#[must_use]
pub fn is_separator(c: char) -> bool {
    c.is_whitespace() || is_dash(c) || matches!(c, '.' | '·' | '•' | '・')
}

pub(crate) fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// The compact form of a plate of a country.
///
/// # Errors
/// A text that is no plate.
pub fn compact(plate: &str, country: Option<Country>) -> Result<String, PlateError> {
    if plate.len() > PLATE_BYTES_MAX {
        return Err(PlateError::TooLong);
    }
    let capitals = capitals(plate);
    let mut compact = String::with_capacity(plate.len());
    let mut chars = 0;
    for c in capitals.chars() {
        if is_separator(c) {
            continue;
        }
        if !c.is_alphanumeric() {
            return Err(PlateError::Strange);
        }
        chars += 1;
        if chars > PLATE_CHARS_MAX {
            return Err(PlateError::TooLong);
        }
        compact.push(plain(c));
    }
    match chars {
        0 => Err(PlateError::Empty),
        _ => Ok(as_issued(compact, country)),
    }
}

fn capitals(plate: &str) -> String {
    if plate.is_ascii() {
        return plate.to_ascii_uppercase();
    }
    // By way of small letters, which makes one of the two capitals that `ß` has.
    let small = plate.nfkc().flat_map(char::to_lowercase);
    let capitals: String = small.flat_map(char::to_uppercase).collect();
    // Capitals of a few letters come apart (`ΐ`); what can be composed is, so that the form of a form is itself.
    capitals.nfkc().collect()
}

/// One character for all that look like it.
fn plain(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let digit =
        |zero: char| (u32::from(c)).checked_sub(u32::from(zero)).filter(|digit| *digit < 10);
    if let Some(digit) = ZEROS.iter().find_map(|zero| digit(*zero)) {
        return char::from_digit(digit, 10).unwrap_or(c);
    }
    let mut pairs = LOOKS_LIKE.split(' ').filter_map(|pair| {
        let mut pair = pair.chars();
        Some((pair.next()?, pair.next()?))
    });
    pairs.find(|(alike, _)| *alike == c).map_or(c, |(_, latin)| latin)
}

/// A letter for a digit where the format has a letter and the two look the same, and the other way round; as it
/// was when it does not become a plate of the format by that.
fn as_issued(compact: String, country: Option<Country>) -> String {
    let format =
        FORMATS.iter().find(|format| country.is_some_and(|of| of.as_str() == format.country));
    let Some(format) = format.filter(|format| format.places.len() == compact.len()) else {
        return compact;
    };
    let issued = compact.chars().zip(format.places.chars()).map(|(c, place)| match (place, c) {
        ('D', 'O') => Some('0'),
        ('D', 'I') => Some('1'),
        ('L', '0') if format.has_o => Some('O'),
        ('D', c) if c.is_ascii_digit() => Some(c),
        ('L', c) if c.is_ascii_uppercase() => Some(c),
        _ => None,
    });
    issued.collect::<Option<String>>().unwrap_or(compact)
}

/// The plate as people read it: capitals, composed; a run of separators is one `-` if a dash is in it, else one
/// blank. It is not judged.
#[must_use]
pub(crate) fn display(plate: &str) -> String {
    let mut shown = String::with_capacity(plate.len());
    let mut separator = None;
    for c in capitals(plate.trim()).chars() {
        if is_separator(c) {
            let dash = is_dash(c) || separator == Some('-');
            separator = Some(if dash { '-' } else { ' ' });
            continue;
        }
        if let Some(separator) = separator.take().filter(|_| !shown.is_empty()) {
            shown.push(separator);
        }
        shown.push(c);
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_come_to_one_form() {
        for (country, plate, form) in [
            ("DE", "B-XY 123", "BXY123"),
            ("DE", "bxy123", "BXY123"),
            ("DE", " b xy\t123 ", "BXY123"),
            ("DE", "B\u{2013}XY\u{a0}123E", "BXY123E"),
            ("DE", "WU\u{308}-X 1", "WÜX1"),
            ("DE", "wü-x 1", "WÜX1"),
            ("AT", "W-12345.X", "W12345X"),
            ("JP", "品川 300 あ 12・34", "品川300あ1234"),
            ("CN", "京A·１２３４５", "京A12345"),
            ("GR", "ΙΚΥ-1234", "IKY1234"),
            ("BG", "СВ 1234 АК", "CB1234AK"),
            ("RU", "а123вс77", "A123BC77"),
            ("EG", "٣٤٥", "345"),
            ("DE", "ẞ-ß 1", "SSSS1"),
            // Where the format decides between letter and digit.
            ("GB", "AB1O CDE", "AB10CDE"),
            ("GB", "ABI2 CDE", "AB12CDE"),
            ("GB", "0B12 CDE", "OB12CDE"),
            ("FR", "AB-I2O-CD", "AB120CD"),
            ("IT", "AB 12O CD", "AB120CD"),
            ("ES", "O123 BCD", "0123BCD"),
            // Not of the format: as written. `O` is an old Spanish province.
            ("ES", "O 1234 AB", "O1234AB"),
            ("GB", "A12O CDE", "A12OCDE"),
            ("FR", "A0-123-CD", "A0123CD"),
            ("DE", "B-OI 10", "BOI10"),
            ("PL", "AB1O CDE", "AB1OCDE"),
        ] {
            let country = Country::parse(country);
            assert_eq!(compact(plate, country).as_deref(), Ok(form), "{country:?}");
            assert_eq!(compact(form, country).as_deref(), Ok(form), "the form's form");
        }
    }

    #[test]
    fn what_is_no_plate_is_refused_without_being_repeated() {
        let long = "1".repeat(21);
        let padded = " ".repeat(PLATE_BYTES_MAX);
        for (plate, error) in [
            ("", PlateError::Empty),
            (" - ", PlateError::Empty),
            ("B_XY", PlateError::Strange),
            ("B/1", PlateError::Strange),
            ("🚗", PlateError::Strange),
            ("½", PlateError::Strange),
            (&long, PlateError::TooLong),
            (&format!("{padded}1"), PlateError::TooLong),
        ] {
            assert_eq!(compact(plate, None), Err(error));
            assert!(plate.is_empty() || !error.to_string().contains(plate));
        }
        assert_eq!(compact(&long[1..], None).map(|form| form.len()), Ok(20));
    }

    #[test]
    fn every_pair_of_letters_that_look_alike_is_two_capitals() {
        for pair in LOOKS_LIKE.split(' ') {
            let pair: Vec<char> = pair.chars().collect();
            assert!(!pair[0].is_ascii() && pair[1].is_ascii_uppercase() && pair.len() == 2);
            assert!(pair[0].is_uppercase(), "{pair:?}");
        }
    }

    proptest! {
        #[test]
        fn the_form_of_a_form_is_itself(plate in ".{0,30}", country in "[A-Z]{2}") {
            for country in [Country::parse(&country), Country::parse("GB"), Country::parse("ES")] {
                if let Ok(form) = compact(&plate, country) {
                    prop_assert!((1..=PLATE_CHARS_MAX).contains(&form.chars().count()));
                    prop_assert_eq!(compact(&form, country), Ok(form));
                }
            }
        }

        #[test]
        fn separators_case_and_width_change_nothing(
            parts in proptest::collection::vec("[A-Z0-9]{1,5}", 1..4),
            between in "[ .·•-]{1,3}",
        ) {
            let form = compact(&parts.concat(), None);
            prop_assert_eq!(&compact(&parts.join(&between), None), &form);
            prop_assert_eq!(&compact(&parts.join(&between).to_lowercase(), None), &form);
            let wide = |c: char| char::from_u32(u32::from(c) + 0xFEE0).unwrap();
            let wide: String = parts.concat().chars().map(wide).collect();
            prop_assert_eq!(&compact(&wide, None), &form);
            prop_assert_eq!(&compact(&display(&parts.join(&between)), None), &form);
        }

        #[test]
        fn what_is_shown_is_shown_the_same_again(plate in ".{0,30}") {
            let once = display(&plate);
            if compact(&plate, None).is_ok() {
                prop_assert_eq!(&display(&once), &once);
                prop_assert_eq!(compact(&once, None), compact(&plate, None));
            }
        }
    }
}
