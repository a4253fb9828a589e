//! What people ask for in their own words, beside a reservation or a stay.

use lotkeeper_engine::limits::REQUEST_CHARS_MAX;
use lotkeeper_engine::spec::Fault;
use serde::{Deserialize, Deserializer};

use super::fault;
use super::vehicle::Vehicle;

/// What of a reservation or stay is in clear: for its holder and staff.
#[derive(Clone, Debug, Default)]
pub struct InClear {
    /// The vehicle, unless it was erased.
    pub vehicle: Option<Vehicle>,
    /// What is asked for, unless it was erased.
    pub request: Option<String>,
}

/// What is asked for, without space around it; nothing where that is nothing.
///
/// # Errors
/// More than a note, or what no keyboard writes.
pub fn asked(text: &str) -> Result<Option<String>, Fault> {
    let text = text.replace("\r\n", "\n");
    let text = text.trim();
    let chars = text.chars().count();
    if chars > REQUEST_CHARS_MAX {
        let detail = format!("{chars} characters are more than {REQUEST_CHARS_MAX}; say less");
        return Err(fault("/request", detail));
    }
    if let Some(odd) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        let detail = format!("the control character U+{:04X} is no text; take it out", odd as u32);
        return Err(fault("/request", detail));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A member that is there, be it null.
pub(super) fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_text_of_some_length() {
        let longest = "ü".repeat(REQUEST_CHARS_MAX);
        for (text, wanted) in [
            (
                "  close to the lift, please\r\nwe have a pram ",
                Some("close to the lift, please\nwe have a pram"),
            ),
            ("", None),
            (" \n\t ", None),
            (&longest, Some(&*longest)),
        ] {
            assert_eq!(asked(text).unwrap().as_deref(), wanted);
        }
        for (text, told) in [
            (&*format!("{longest}!"), "501 characters are more than 500"),
            ("bell\u{7}", "U+0007"),
            ("over\rwritten", "U+000D"),
        ] {
            let fault = asked(text).unwrap_err();
            assert!(fault.pointer == "/request" && fault.detail.contains(told), "{}", fault.detail);
        }
    }
}
