//! Which slot is chosen for whoever wants any that fits: an ordered list of criteria, data of the lot.
//!
//! All criteria but one compare slots alone, and none depends on who asks: of two slots that both fit, the
//! same one is better for everybody. So the index of openings sorts slots into classes once.

use crate::ids::ZoneIndex;

/// One question of the choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// The smallest slot first; of one size, those that admit the fewest types of vehicles.
    SmallestFit,
    /// Slots with features that nobody asked for last: fewer of them first; of as many, those with features
    /// that the lot lists earlier.
    KeepSpecial,
    /// One zone after the other, in this order; then slots without a zone, then all other zones in the
    /// lot's order.
    FillZones(Vec<ZoneIndex>),
    /// The shortest walk first, in bands; slots whose walk is not known last. See [`walk_band`].
    NearestEntrance,
    /// The slot whose opening begins latest: long openings stay whole.
    WasteLeast,
}

impl Criterion {
    /// Whether both ask the same question, whatever their order of zones.
    #[must_use]
    pub fn is_kind_of(&self, other: &Self) -> bool {
        core::mem::discriminant(self) == core::mem::discriminant(other)
    }
}

/// Criteria in order: the next one decides where all before it find two slots alike. What none decides is
/// decided by [`Criterion::WasteLeast`], and at last by the order of the slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation(pub Vec<Criterion>);

impl Default for Allocation {
    fn default() -> Self {
        let (fit, keep) = (Criterion::SmallestFit, Criterion::KeepSpecial);
        Self(vec![fit, keep, Criterion::FillZones(Vec::new()), Criterion::WasteLeast])
    }
}

/// Where the bands of walking distances end, in metres: nobody tells five metres from ten, and few classes
/// keep the search short.
pub const WALK_BANDS_METRES_MAX: [u16; 12] = [10, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400, 600];

/// The band of a walk, the shortest first; one that is not known comes after all others.
#[must_use]
pub fn walk_band(walk_metres: Option<u16>) -> u8 {
    let bands = &WALK_BANDS_METRES_MAX;
    let band = walk_metres.map_or(bands.len() + 1, |walk| bands.partition_point(|max| *max < walk));
    // There are a dozen.
    u8::try_from(band).unwrap_or(u8::MAX)
}
