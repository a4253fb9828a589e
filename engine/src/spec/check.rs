//! What is wrong with a specification: everything, not just the first thing.
//!
//! Texts for people are checked where they are defined; codes, sizes and positions here.

use super::{Criterion, Fault, Kind, SlotSpec, Spec};
use crate::limits;

impl Spec {
    /// Everything that is wrong, not just the first thing; empty when the lot can be created.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        check_code(&mut faults, "/code", &self.code);
        check_name(&mut faults, "/name", &self.name);
        self.check_sizes(&mut faults);
        check_unique(&mut faults, "/zones", self.zones.iter().map(|zone| &*zone.code));
        check_unique(&mut faults, "/slots", self.slots.iter().map(|slot| &*slot.code));
        check_unique(&mut faults, "/features", self.features.iter().map(|feature| &**feature));
        check_unique(&mut faults, "/vehicle_types", self.vehicle_types.iter().map(|name| &**name));
        for (position, zone) in self.zones.iter().enumerate() {
            check_code(&mut faults, &format!("/zones/{position}/code"), &zone.code);
            check_name(&mut faults, &format!("/zones/{position}/name"), &zone.name);
        }
        for (position, slot) in self.slots.iter().enumerate() {
            check_code(&mut faults, &format!("/slots/{position}/code"), &slot.code);
            self.check_groups(&mut faults, position, slot);
        }
        for (position, feature) in self.features.iter().enumerate() {
            check_code(&mut faults, &format!("/features/{position}"), feature);
        }
        for (position, name) in self.vehicle_types.iter().enumerate() {
            check_code(&mut faults, &format!("/vehicle_types/{position}"), name);
        }
        self.rules.check(&mut faults);
        self.place.check(&mut faults);
        self.about.check(&mut faults);
        self.check_allocation(&mut faults);
        faults
    }

    /// A slot's zone and features are positions in the lot's own lists.
    fn check_groups(&self, faults: &mut Vec<Fault>, position: usize, slot: &SlotSpec) {
        let zones = self.zones.len();
        if let Some(zone) = slot.zone.filter(|zone| zone.at() >= zones) {
            faults.push(Fault {
                pointer: format!("/slots/{position}/zone"),
                detail: format!("zone {} of {zones}; name one of the lot's zones", zone.0),
            });
        }
        if slot.features.indices().any(|feature| feature >= self.features.len()) {
            faults.push(Fault {
                pointer: format!("/slots/{position}/features"),
                detail: "a feature that the lot does not list; list it".to_owned(),
            });
        }
        if slot.vehicle_types.indices().any(|name| name >= self.vehicle_types.len()) {
            faults.push(Fault {
                pointer: format!("/slots/{position}/vehicle_types"),
                detail: "a vehicle type that the lot does not list; list it".to_owned(),
            });
        }
    }

    fn check_allocation(&self, faults: &mut Vec<Fault>) {
        let zones = self.zones.len();
        for (position, criterion) in self.allocation.0.iter().enumerate() {
            let pointer = format!("/allocation/{position}");
            if self.allocation.0[..position].iter().any(|other| other.is_kind_of(criterion)) {
                let detail = "a criterion that stands before already; name each once".to_owned();
                faults.push(Fault { pointer: pointer.clone(), detail });
            }
            if let Criterion::FillZones(order) = criterion {
                if let Some(zone) = order.iter().find(|zone| zone.at() >= zones) {
                    let detail = format!("zone {} of {zones}; name the lot's zones", zone.0);
                    faults.push(Fault { pointer: pointer.clone(), detail });
                }
                if order.iter().enumerate().any(|(at, zone)| order[..at].contains(zone)) {
                    let detail = "a zone stands twice in it; name each once".to_owned();
                    faults.push(Fault { pointer, detail });
                }
            }
        }
    }

    fn check_sizes(&self, faults: &mut Vec<Fault>) {
        let slots = self.slots.len();
        let mut fault = |pointer: &str, detail: String| {
            faults.push(Fault { pointer: pointer.to_owned(), detail });
        };
        if slots > limits::SLOTS_PER_LOT_MAX {
            let max = limits::SLOTS_PER_LOT_MAX;
            fault("/slots", format!("{slots} slots; a lot holds at most {max}, make several lots"));
        }
        if self.zones.len() > limits::ZONES_PER_LOT_MAX {
            let (zones, max) = (self.zones.len(), limits::ZONES_PER_LOT_MAX);
            fault("/zones", format!("{zones} zones; a lot holds at most {max}"));
        }
        if self.features.len() > limits::FEATURES_PER_LOT_MAX {
            let (features, max) = (self.features.len(), limits::FEATURES_PER_LOT_MAX);
            fault("/slots", format!("{features} different features; a lot knows at most {max}"));
        }
        if self.vehicle_types.len() > limits::VEHICLE_TYPES_PER_LOT_MAX {
            let (types, max) = (self.vehicle_types.len(), limits::VEHICLE_TYPES_PER_LOT_MAX);
            fault("/slots", format!("{types} vehicle types; a lot knows at most {max}"));
        }
        match self.kind {
            Kind::Bayed if slots == 0 => {
                fault("/slots", "a bayed lot needs at least one slot".to_owned());
            }
            Kind::Bayed if self.capacity as usize != slots => fault(
                "/capacity",
                format!("{} does not equal the {slots} slots; leave it out", self.capacity),
            ),
            Kind::Counted if self.capacity == 0 || self.capacity > limits::CAPACITY_MAX => fault(
                "/capacity",
                format!("{} is not between 1 and {}", self.capacity, limits::CAPACITY_MAX),
            ),
            Kind::Bayed | Kind::Counted => {}
        }
    }
}

/// What is wrong with a code that is given by itself.
pub(crate) fn code_faults(pointer: &str, code: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    check_code(&mut faults, pointer, code);
    faults
}

/// Codes stand in paths: letters, digits and `. _ ~ -`, so that they never need escaping.
pub(crate) fn check_code(faults: &mut Vec<Fault>, pointer: &str, code: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '-');
    // "." and ".." would be eaten by path normalisation.
    let dots = code.chars().all(|c| c == '.');
    if code.is_empty() || code.len() > limits::CODE_CHARS_MAX || dots || !code.chars().all(plain) {
        let max = limits::CODE_CHARS_MAX;
        let shown: String = code.chars().take(80).collect();
        faults.push(Fault {
            pointer: pointer.to_owned(),
            detail: format!("`{shown}` is not 1 to {max} of the characters A-Z a-z 0-9 . _ ~ -"),
        });
    }
}

pub(crate) fn check_name(faults: &mut Vec<Fault>, pointer: &str, name: &str) {
    let chars = name.chars().count();
    if chars == 0 || chars > limits::NAME_CHARS_MAX || name.chars().any(char::is_control) {
        let max = limits::NAME_CHARS_MAX;
        faults.push(Fault {
            pointer: pointer.to_owned(),
            detail: format!("a name has 1 to {max} printable characters, this one {chars}"),
        });
    }
}

fn check_unique<'a>(faults: &mut Vec<Fault>, pointer: &str, codes: impl Iterator<Item = &'a str>) {
    let mut seen = std::collections::BTreeMap::new();
    for (position, code) in codes.enumerate() {
        if let Some(first) = seen.insert(code, position) {
            faults.push(Fault {
                pointer: format!("{pointer}/{position}/code"),
                detail: format!(
                    "`{code}` is the code of {pointer}/{first} already; codes are unique"
                ),
            });
        }
    }
}

/// A text for people: so many printable characters, in one line or in several.
pub(super) fn check_text(
    faults: &mut Vec<Fault>,
    pointer: &str,
    text: Option<&str>,
    (chars_max, lines): (usize, bool),
) {
    let Some(text) = text else { return };
    let chars = text.chars().count();
    let odd = |c: char| c.is_control() && !(lines && c == '\n');
    if chars == 0 || chars > chars_max || text.chars().any(odd) {
        faults.push(Fault {
            pointer: pointer.to_owned(),
            detail: format!("has 1 to {chars_max} printable characters, not {chars}; null is none"),
        });
    }
}
