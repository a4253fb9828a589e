//! What people are told of a lot: description, category, opening hours, how to get in, pictures; and whether
//! it is offered at all.

use super::Fault;
use super::check::{check_code, check_text};
use super::hours::{Days, Hours, Opening};
use crate::limits::{
    IMAGE_URL_BYTES_MAX, IMAGES_PER_LOT_MAX, OPENINGS_PER_LOT_MAX, TEXT_CHARS_MAX,
};

/// Minutes in a day.
const DAY_MINUTES: u16 = 24 * 60;

/// Whether a lot is offered. Not the same as out of service: what is promised stays promised, and whoever is
/// inside stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listing {
    /// Drivers find it and book it.
    #[default]
    Listed,
    /// Its owner took it off the list for a while: nobody is promised more.
    Paused,
}

/// What people are told of a lot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// In a few sentences.
    pub description: Option<Box<str>>,
    /// A code: `indoor`, `outdoor`, `covered`, `garage`, `driveway`, `open-lot`, `mall`, `airport`, ...
    pub category: Option<Box<str>>,
    /// Whether it is offered.
    pub listing: Listing,
    /// When it is open.
    pub hours: Hours,
    /// How to get in.
    pub access: Option<Box<str>>,
    /// Addresses of pictures.
    pub images: Vec<Box<str>>,
}

impl About {
    pub(super) fn check(&self, faults: &mut Vec<Fault>) {
        let lines = (TEXT_CHARS_MAX, true);
        check_text(faults, "/about/description", self.description.as_deref(), lines);
        check_text(faults, "/about/access", self.access.as_deref(), lines);
        if let Some(category) = self.category.as_deref() {
            check_code(faults, "/about/category", category);
        }
        let mut fault = |pointer: String, detail: String| faults.push(Fault { pointer, detail });
        let (openings, images) = (self.hours.0.len(), self.images.len());
        if openings > OPENINGS_PER_LOT_MAX {
            let max = OPENINGS_PER_LOT_MAX;
            fault("/about/hours".to_owned(), format!("{openings} lines; at most {max}"));
        }
        for (position, opening) in self.hours.0.iter().enumerate() {
            let Opening { days, from_minute: from, to_minute: to } = *opening;
            let pointer = format!("/about/hours/{position}");
            if days.0 == 0 || days.0 > Days::ALL.0 {
                fault(pointer, "names no day; name at least one of mon to sun".to_owned());
            } else if from >= DAY_MINUTES || to > DAY_MINUTES || to == 0 || from == to {
                fault(
                    pointer,
                    "begins at 00:00 to 23:59 and ends at another time up to 24:00; the whole day is \
                     00:00 to 24:00"
                        .to_owned(),
                );
            }
        }
        if images > IMAGES_PER_LOT_MAX {
            let max = IMAGES_PER_LOT_MAX;
            fault("/about/images".to_owned(), format!("{images} images; a lot has at most {max}"));
        }
        for (position, image) in self.images.iter().enumerate() {
            if !is_https(image) {
                fault(
                    format!("/about/images/{position}"),
                    format!(
                        "is not an https address of up to {IMAGE_URL_BYTES_MAX} plain characters"
                    ),
                );
            }
        }
    }
}

/// Pages put it into `src`: encrypted, with a host and without a name or password, and no character that
/// would need escaping there.
fn is_https(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '<' | '>' | '\\' | '`');
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    let begins = host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
    url.len() <= IMAGE_URL_BYTES_MAX && begins && host.chars().all(named) && url.chars().all(plain)
}
