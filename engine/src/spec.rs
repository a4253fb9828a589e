//! What a lot is made of: its zones, slots, capacity, place, rules and what people are told of it. Changes
//! rarely, is shared by reference.
//!
//! Everything here has a default, so that a new field touches this module, its format and its wire shape only.
//! Absent: tariffs (data of their own) and people (a lot's owner would be one; see the vault).

mod about;
mod allocation;
mod check;
mod hours;
mod place;
mod rules;

pub use about::{About, Listing};
pub use allocation::{Allocation, Criterion, WALK_BANDS_METRES_MAX, walk_band};
pub use hours::{Days, Hours, Opening};
pub use place::{Place, Position};
pub use rules::{Arrival, PlateOnce, Rules, Settlement};

use uuid::Uuid;

pub(crate) use check::{check_code, check_name, code_faults};

use crate::ids::{LotId, SlotId, SlotIndex, ZoneIndex};
use crate::limits;
use crate::time::Timestamp;

/// How a lot knows its occupancy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Slot by slot.
    #[default]
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

/// A set of a lot's vehicle types: bit `n` stands for `Spec::vehicle_types[n]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TypeSet(pub u64);

impl TypeSet {
    /// Whether a slot that admits these types takes a vehicle of `wanted`: an empty set admits every vehicle,
    /// any other only those whose type is known and in it.
    #[must_use]
    pub fn admits(self, wanted: Self) -> bool {
        self.0 == 0 || self.0 & wanted.0 != 0
    }

    /// Positions of the types in the lot's list.
    pub fn indices(self) -> impl Iterator<Item = usize> {
        (0..limits::VEHICLE_TYPES_PER_LOT_MAX).filter(move |bit| self.0 >> bit & 1 == 1)
    }
}

/// A part of a lot: a level, a section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// The types of vehicles it admits; empty admits every one.
    pub vehicle_types: TypeSet,
    /// On foot to the nearest entrance or exit for people, where that is known.
    pub walk_metres: Option<u16>,
}

impl Default for SlotSpec {
    /// A standard slot without a code.
    fn default() -> Self {
        Self {
            id: SlotId(Uuid::nil()),
            code: Box::default(),
            zone: None,
            size: Size::default(),
            features: FeatureSet::default(),
            vehicle_types: TypeSet::default(),
            walk_metres: None,
        }
    }
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
    /// Names behind the bits of [`FeatureSet`]; later ones are kept for longer, see [`Criterion::KeepSpecial`].
    pub features: Vec<Box<str>>,
    /// Names behind the bits of [`TypeSet`].
    pub vehicle_types: Vec<Box<str>>,
    /// Slots, in a fixed order.
    pub slots: Vec<SlotSpec>,
    /// Own rules.
    pub rules: Rules,
    /// What people are told of it.
    pub about: About,
    /// Which slot is chosen for whoever wants any.
    pub allocation: Allocation,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Default for Spec {
    /// A bayed lot without anything: something to begin with, not one that could be created.
    fn default() -> Self {
        Self {
            id: LotId(Uuid::nil()),
            tenant: Box::default(),
            code: Box::default(),
            name: Box::default(),
            kind: Kind::default(),
            capacity: 0,
            place: Place::default(),
            zones: Vec::new(),
            features: Vec::new(),
            vehicle_types: Vec::new(),
            slots: Vec::new(),
            rules: Rules::default(),
            about: About::default(),
            allocation: Allocation::default(),
            created_at: Timestamp::default(),
        }
    }
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
}
