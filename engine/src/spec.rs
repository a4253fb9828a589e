//! What a lot is made of: its zones, slots, capacity, place and rules. Changes rarely, is shared by reference.

use crate::ids::{LotId, SlotId, SlotIndex, ZoneIndex};
use crate::limits;
use crate::time::{Seconds, Timestamp};

/// How a lot knows its occupancy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Slot by slot.
    Bayed,
    /// By counts at its gates; may have slots as well, then the count leads.
    Counted,
}

/// A vehicle's size and the size of a slot: a slot takes vehicles up to its own size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Size {
    /// Motorcycles.
    Motorcycle,
    /// Small cars.
    Compact,
    /// Cars.
    #[default]
    Standard,
    /// Vans.
    Large,
    /// Lorries, buses, caravans.
    Oversized,
}

impl Size {
    /// All sizes, smallest first.
    pub const ALL: [Self; 5] =
        [Self::Motorcycle, Self::Compact, Self::Standard, Self::Large, Self::Oversized];
}

/// A set of a lot's features: bit `n` stands for `Spec::features[n]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FeatureSet(pub u64);

impl FeatureSet {
    /// Whether everything in `wanted` is here.
    #[must_use]
    pub fn has_all(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// Positions of the features in the lot's list.
    pub fn indices(self) -> impl Iterator<Item = usize> {
        (0..limits::FEATURES_PER_LOT_MAX).filter(move |bit| self.0 >> bit & 1 == 1)
    }
}

/// A part of a lot: a level, a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Unique in the lot.
    pub code: Box<str>,
    /// For people.
    pub name: Box<str>,
    /// Storey, 0 at the street.
    pub level: Option<i16>,
}

/// What one slot is, apart from what happens on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotSpec {
    /// Public id.
    pub id: SlotId,
    /// Unique in the lot.
    pub code: Box<str>,
    /// The zone it lies in.
    pub zone: Option<ZoneIndex>,
    /// The largest vehicle it takes.
    pub size: Size,
    /// What it offers.
    pub features: FeatureSet,
}

/// A place on the earth in millionths of a degree (WGS 84): exact to 11 cm and comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// North positive.
    pub lat_microdegrees: i32,
    /// East positive.
    pub lon_microdegrees: i32,
}

/// A lot's own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long a hold lasts that does not say.
    pub hold: Seconds,
    /// A reservation shows as held this long before it begins.
    pub hold_lead: Seconds,
    /// A confirmed reservation is released when nobody came this long after its start.
    pub no_show: Seconds,
    /// A sensor unheard for this long is silent, its slot unknown.
    pub silence: Seconds,
    /// A reading or count may be observed this far in the future, by clock error; beyond it is refused.
    pub skew: Seconds,
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
}

/// A whole lot as created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Public id.
    pub id: LotId,
    /// The operator it belongs to.
    pub tenant: Box<str>,
    /// Unique in the tenant.
    pub code: Box<str>,
    /// For people.
    pub name: Box<str>,
    /// How occupancy is known.
    pub kind: Kind,
    /// Places: the number of slots in a bayed lot.
    pub capacity: u32,
    /// Where.
    pub place: Place,
    /// Parts.
    pub zones: Vec<Zone>,
    /// Names behind the bits of [`FeatureSet`].
    pub features: Vec<Box<str>>,
    /// Slots, in a fixed order.
    pub slots: Vec<SlotSpec>,
    /// Own rules.
    pub rules: Rules,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Something wrong with a specification: where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer into the request.
    pub pointer: String,
    /// The value and the remedy.
    pub detail: String,
}

impl Spec {
    /// The slot at a position of this lot.
    #[must_use]
    pub fn slot(&self, slot: SlotIndex) -> Option<&SlotSpec> {
        self.slots.get(slot.at())
    }

    /// Position of every slot, in order.
    pub fn slot_indices(&self) -> impl Iterator<Item = SlotIndex> + use<> {
        // Lossless: validate() bounds the number of slots below u16::MAX.
        (0..u16::try_from(self.slots.len()).unwrap_or(u16::MAX)).map(SlotIndex)
    }

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
        self.check_rules(&mut faults);
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
    }

    /// Times that would make promises or sensors useless at once.
    fn check_rules(&self, faults: &mut Vec<Fault>) {
        let mut check = |field: &str, Seconds(value): Seconds, max: u32| {
            if value == 0 || value > max {
                faults.push(Fault {
                    pointer: format!("/rules/{field}"),
                    detail: format!("{value} is not between 1 and {max} seconds"),
                });
            }
        };
        check("hold_seconds", self.rules.hold, limits::HOLD_SECONDS_MAX);
        check("silence_seconds", self.rules.silence, u32::MAX);
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
fn check_code(faults: &mut Vec<Fault>, pointer: &str, code: &str) {
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

fn check_name(faults: &mut Vec<Fault>, pointer: &str, name: &str) {
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
