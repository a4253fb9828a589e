//! The lots and slots a file needs, gathered in one pass before anything is sent.
//!
//! Invariant: every lot and slot that an item of the file names is in its plan, the slots of
//! sensors that the replay skips included; codes inside a lot are unique.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serialize;

use super::item::Name;

/// What a file needs from the server.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// In the order of their first row.
    pub lots: Vec<LotPlan>,
    /// The newest observation of the file.
    pub newest: Option<Timestamp>,
}

/// One lot.
#[derive(Debug, Clone)]
pub struct LotPlan {
    /// Unique among the tenant's lots.
    pub code: Name,
    /// As the file writes it.
    pub name: String,
    /// Whether it has slots or a count.
    pub kind: Kind,
    /// The city's conventions.
    pub city: &'static City,
    /// Places of a counted lot, as of its first row.
    pub capacity: Option<u32>,
    /// Code to name.
    pub zones: BTreeMap<Name, String>,
    /// In the order of their first row.
    pub slots: Vec<SlotPlan>,
    slot_index: HashMap<Name, usize>,
}

/// One slot.
#[derive(Debug, Clone)]
pub struct SlotPlan {
    /// Unique in its lot.
    pub code: Name,
    /// Code of its zone.
    pub zone: Option<Name>,
    /// Where the bay is.
    pub position: Option<Position>,
    /// Readable rows of the file so far.
    pub rows: u64,
}

/// Degrees, WGS 84.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Position {
    /// Latitude.
    pub lat: f64,
    /// Longitude.
    pub lon: f64,
}

/// The two kinds of lots of `docs/api.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One sensor per slot.
    Bayed,
    /// Counted at its barriers.
    Counted,
}

/// What the lots of one city share.
#[derive(Debug, PartialEq, Eq)]
pub struct City {
    /// Its name.
    pub name: &'static str,
    /// Its IANA zone.
    pub time_zone: &'static str,
    /// Its money.
    pub currency: &'static str,
}

/// Both Melbourne formats.
pub(super) static MELBOURNE: City =
    City { name: "Melbourne", time_zone: "Australia/Melbourne", currency: "AUD" };
/// The Bath format.
pub(super) static BATH: City = City { name: "Bath", time_zone: "Europe/London", currency: "GBP" };

impl Plan {
    /// The index of the lot `name`, made if it is new. Two names with one code are refused: their
    /// slots would be mixed without anybody noticing.
    pub(super) fn lot(
        &mut self,
        name: &str,
        kind: Kind,
        city: &'static City,
    ) -> Result<usize, String> {
        if let Some(index) = self.lots.iter().position(|lot| lot.name == name) {
            return Ok(index);
        }
        let code = slug(name);
        if code.is_empty() {
            return Err(format!("{name:?} has no letter or digit to make a lot code of"));
        }
        if let Some(taken) = self.lots.iter().find(|lot| *lot.code == *code) {
            return Err(format!("{name:?} and {:?} share the lot code {code}", taken.name));
        }
        self.lots.push(LotPlan {
            code: code.into(),
            name: name.to_owned(),
            kind,
            city,
            capacity: None,
            zones: BTreeMap::new(),
            slots: Vec::new(),
            slot_index: HashMap::new(),
        });
        Ok(self.lots.len() - 1)
    }

    pub(super) fn observed(&mut self, at: Timestamp) {
        self.newest = self.newest.max(Some(at));
    }

    /// Gives slots their positions, from a list of bays.
    pub fn locate(&mut self, positions: &HashMap<String, Position>) {
        for slot in self.lots.iter_mut().flat_map(|lot| &mut lot.slots) {
            slot.position = slot.position.or_else(|| positions.get(&*slot.code).copied());
        }
    }

    /// All slots of all lots.
    pub fn slot_count(&self) -> usize {
        self.lots.iter().map(|lot| lot.slots.len()).sum()
    }
}

impl LotPlan {
    /// The slot `code`, made if it is new.
    pub(super) fn slot(&mut self, code: &str) -> &mut SlotPlan {
        let index = self.slot_index.get(code).copied().unwrap_or_else(|| {
            let code: Name = code.into();
            self.slot_index.insert(Name::clone(&code), self.slots.len());
            self.slots.push(SlotPlan { code, zone: None, position: None, rows: 0 });
            self.slots.len() - 1
        });
        &mut self.slots[index]
    }

    /// The mean of the known positions of its slots.
    pub fn position(&self) -> Option<Position> {
        let known: Vec<Position> = self.slots.iter().filter_map(|slot| slot.position).collect();
        let count = u32::try_from(known.len()).ok().filter(|count| *count > 0).map(f64::from)?;
        let mean = |of: fn(&Position) -> f64| known.iter().map(of).sum::<f64>() / count;
        Some(Position { lat: mean(|p| p.lat), lon: mean(|p| p.lon) })
    }

    /// The body of `POST /api/v1/lots`.
    pub fn to_request(&self) -> impl Serialize {
        LotRequest {
            code: &self.code,
            name: &self.name,
            kind: self.kind,
            time_zone: self.city.time_zone,
            currency: self.city.currency,
            city: self.city.name,
            capacity: self.capacity,
            position: self.position(),
            zones: self.zones.iter().map(|(code, name)| ZoneRequest { code, name }).collect(),
            slots: self
                .slots
                .iter()
                .map(|slot| SlotRequest { code: &slot.code, zone: slot.zone.as_deref() })
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct LotRequest<'a> {
    code: &'a str,
    name: &'a str,
    kind: Kind,
    time_zone: &'a str,
    currency: &'a str,
    city: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    zones: Vec<ZoneRequest<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    slots: Vec<SlotRequest<'a>>,
}

#[derive(Serialize)]
struct ZoneRequest<'a> {
    code: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct SlotRequest<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
}

/// Lower-case letters and digits, everything else as single dashes: `Lansdown P+R` is
/// `lansdown-p-r`.
fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_codes() {
        for (name, code) in [
            ("Southbank", "southbank"),
            ("The Mac", "the-mac"),
            ("Lansdown P+R", "lansdown-p-r"),
            (" (A)  1 ", "a-1"),
            ("+++", ""),
        ] {
            assert_eq!(slug(name), code, "{name}");
        }
    }

    #[test]
    fn two_names_of_one_code_are_refused() {
        let mut plan = Plan::default();
        assert_eq!(plan.lot("P+R", Kind::Counted, &BATH), Ok(0));
        assert_eq!(plan.lot("P+R", Kind::Counted, &BATH), Ok(0));
        let refusal = plan.lot("P R", Kind::Counted, &BATH).unwrap_err();
        assert!(refusal.contains("share the lot code p-r"), "{refusal}");
    }

    #[test]
    fn a_lot_lies_in_the_middle_of_its_known_bays() {
        let mut plan = Plan::default();
        let lot = plan.lot("Southbank", Kind::Bayed, &MELBOURNE).unwrap();
        for bay in ["1E", "2E", "3E"] {
            plan.lots[lot].slot(bay);
        }
        assert_eq!(plan.lots[lot].position(), None);
        plan.locate(&HashMap::from([
            ("1E".to_owned(), Position { lat: -37.0, lon: 144.0 }),
            ("2E".to_owned(), Position { lat: -38.0, lon: 145.0 }),
        ]));
        assert_eq!(plan.lots[lot].position(), Some(Position { lat: -37.5, lon: 144.5 }));
    }
}
