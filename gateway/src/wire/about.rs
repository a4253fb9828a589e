//! What people are told of a lot, and its address: shown, and changed member by member.

use lotkeeper_engine::spec::{About, Days, Fault, Hours, Opening, Place};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault;
use super::names::{Day, Listing};

/// Minutes in an hour and in a day.
const HOUR_MINUTES: u16 = 60;
const DAY_MINUTES: u16 = 24 * HOUR_MINUTES;

/// A stretch of local time on some days. One that ends at or before its begin ends on the next day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Opening, example = json!({"days": ["mon", "tue"], "from": "06:00", "to": "24:00"}))]
pub struct OpeningBody {
    /// The days on which it begins.
    pub days: Vec<Day>,
    /// `HH:MM`, 00:00 to 23:59, in the lot's time zone.
    pub from: String,
    /// `HH:MM`, up to 24:00.
    pub to: String,
}

impl From<&Opening> for OpeningBody {
    fn from(opening: &Opening) -> Self {
        let text =
            |minute: u16| format!("{:02}:{:02}", minute / HOUR_MINUTES, minute % HOUR_MINUTES);
        let day = |(number, day): (u8, &Day)| opening.days.has(number).then_some(*day);
        Self {
            days: (0..).zip(Day::ALL).filter_map(day).collect(),
            from: text(opening.from_minute),
            to: text(opening.to_minute),
        }
    }
}

impl OpeningBody {
    /// Whether the times can be so is the engine's to say; here it is whether they are times.
    fn checked(&self, pointer: &str, faults: &mut Vec<Fault>) -> Opening {
        let mut minute = |member: &str, text: &str| {
            minute_of(text).unwrap_or_else(|| {
                let shown: String = text.chars().take(20).collect();
                let detail = format!("`{shown}` is not a time of day such as 08:30");
                faults.push(fault(format!("{pointer}/{member}"), detail));
                // Such that nothing else is wrong with it.
                if member == "from" { 0 } else { DAY_MINUTES }
            })
        };
        let (from_minute, to_minute) = (minute("from", &self.from), minute("to", &self.to));
        let days = self.days.iter().fold(0, |days, day| days | 1 << *day as u8);
        Opening { days: Days(days), from_minute, to_minute }
    }
}

fn minute_of(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let two = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        two.then(|| digits.parse::<u16>().ok())?
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let minute = hours * HOUR_MINUTES + minutes;
    (minutes < HOUR_MINUTES && minute <= DAY_MINUTES).then_some(minute)
}

/// What people are told of a lot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = About)]
pub struct AboutBody<'a> {
    /// In a few sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    /// A code such as `indoor outdoor covered garage driveway open-lot mall airport`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<&'a str>,
    /// Whether it is offered.
    pub listing: Listing,
    /// When it is open; always, when empty.
    pub hours: Vec<OpeningBody>,
    /// How to get in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<&'a str>,
    /// Addresses of pictures.
    pub images: Vec<&'a str>,
}

impl<'a> From<&'a About> for AboutBody<'a> {
    fn from(about: &'a About) -> Self {
        Self {
            description: about.description.as_deref(),
            category: about.category.as_deref(),
            listing: about.listing.into(),
            hours: about.hours.0.iter().map(Into::into).collect(),
            access: about.access.as_deref(),
            images: about.images.iter().map(|image| &**image).collect(),
        }
    }
}

/// What people are told of a lot, as a request gives it: what is left out stays, `null` takes a text away.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = NewAbout)]
pub struct AboutPatch {
    /// In a few sentences: up to 2,000 characters.
    #[serde(deserialize_with = "super::present")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// A code such as `indoor outdoor covered garage driveway open-lot mall airport`.
    #[serde(deserialize_with = "super::present")]
    #[schema(value_type = Option<String>)]
    pub category: Option<Option<String>>,
    /// Whether it is offered; `listed` when left out.
    pub listing: Option<Listing>,
    /// When it is open, up to 28 stretches; always, when empty.
    pub hours: Option<Vec<OpeningBody>>,
    /// How to get in: up to 2,000 characters.
    #[serde(deserialize_with = "super::present")]
    #[schema(value_type = Option<String>)]
    pub access: Option<Option<String>>,
    /// Addresses of pictures, with https: up to 20.
    pub images: Option<Vec<String>>,
}

impl AboutPatch {
    /// With what is given in place of `old`. Only times of day are checked here, the rest by the engine.
    #[must_use]
    pub fn over(&self, old: &About, faults: &mut Vec<Fault>) -> About {
        let mut hours = |openings: &Vec<OpeningBody>| {
            let at = |(position, opening): (usize, &OpeningBody)| {
                opening.checked(&format!("/about/hours/{position}"), faults)
            };
            Hours(openings.iter().enumerate().map(at).collect())
        };
        About {
            description: text(&self.description, &old.description),
            category: text(&self.category, &old.category),
            listing: self.listing.map_or(old.listing, Into::into),
            hours: self.hours.as_ref().map_or_else(|| old.hours.clone(), &mut hours),
            access: text(&self.access, &old.access),
            images: match &self.images {
                Some(images) => images.iter().map(|image| image.as_str().into()).collect(),
                None => old.images.clone(),
            },
        }
    }
}

fn text(given: &Option<Option<String>>, old: &Option<Box<str>>) -> Option<Box<str>> {
    match given {
        Some(text) => text.as_deref().map(Into::into),
        None => old.clone(),
    }
}

/// Where the post finds a lot. Its city stands beside it, because lots are searched by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Address)]
pub struct AddressBody<'a> {
    /// ISO 3166-1 alpha-2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<&'a str>,
    /// Street and number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street: Option<&'a str>,
    /// State, province or canton.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'a str>,
    /// As the post writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<&'a str>,
}

impl<'a> AddressBody<'a> {
    /// Of a place; nothing when it has none of it.
    #[must_use]
    pub fn of(place: &'a Place) -> Option<Self> {
        let address = Self {
            country: place.country.as_deref(),
            street: place.street.as_deref(),
            state: place.state.as_deref(),
            postal_code: place.postal_code.as_deref(),
        };
        let empty = Self { country: None, street: None, state: None, postal_code: None };
        (address != empty).then_some(address)
    }
}

/// An address as a request gives it: what is left out stays, `null` takes it away.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = NewAddress, example = json!({"country": "DE", "street": "Marktstraße 1", "postal_code": "10178"}))]
pub struct AddressPatch {
    /// ISO 3166-1 alpha-2: two capitals.
    #[serde(deserialize_with = "super::present")]
    #[schema(value_type = Option<String>)]
    pub country: Option<Option<String>>,
    /// Street and number: up to 200 characters.
    #[serde(deserialize_with = "super::present")]
    #[schema(value_type = Option<String>)]
    pub street: Option<Option<String>>,
    /// State, province or canton: up to 200 characters.
    #[serde(deserialize_with = "super::present")]
    #[schema(value_type = Option<String>)]
    pub state: Option<Option<String>>,
    /// As the post writes it: up to 16 characters.
    #[serde(deserialize_with = "super::present")]
    #[schema(value_type = Option<String>)]
    pub postal_code: Option<Option<String>>,
}

impl AddressPatch {
    /// Puts what is given into a place; the engine checks it.
    pub fn put(&self, place: &mut Place) {
        place.country = text(&self.country, &place.country);
        place.street = text(&self.street, &place.street);
        place.state = text(&self.state, &place.state);
        place.postal_code = text(&self.postal_code, &place.postal_code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_read_and_shown() {
        for (text, minute) in [
            ("00:00", Some(0)),
            ("08:30", Some(510)),
            ("23:59", Some(1_439)),
            ("24:00", Some(1_440)),
            ("24:01", None),
            ("08:60", None),
            ("8:30", None),
            ("08:3", None),
            ("+8:30", None),
            ("0830", None),
            ("", None),
        ] {
            assert_eq!(minute_of(text), minute, "{text}");
        }
        let opening = Opening { days: Days(0b100_0001), from_minute: 510, to_minute: 1_440 };
        let body = OpeningBody::from(&opening);
        assert_eq!(body.days, [Day::Mon, Day::Sun]);
        assert_eq!((body.from.as_str(), body.to.as_str()), ("08:30", "24:00"));
        let mut faults = Vec::new();
        assert_eq!(body.checked("", &mut faults), opening);
        assert!(faults.is_empty());
    }
}
