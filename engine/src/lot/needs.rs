//! What somebody needs who wants any slot that fits. Absent: which of those he gets (`class.rs`).

use crate::ids::ZoneIndex;
use crate::spec::{FeatureSet, Size, SlotSpec, TypeSet};

/// What a vehicle needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The vehicle's size.
    pub size: Size,
    /// Features that must be there.
    pub features: FeatureSet,
    /// A zone it must lie in.
    pub zone: Option<ZoneIndex>,
    /// The vehicle's type; empty when it is not known or no slot of the lot names it. Only slots that admit
    /// every vehicle take it then.
    pub vehicle_type: TypeSet,
}

impl Needs {
    /// Whether a slot can take it.
    #[must_use]
    pub fn fit(&self, slot: &SlotSpec) -> bool {
        slot.size >= self.size
            && slot.features.has_all(self.features)
            && self.zone.is_none_or(|zone| slot.zone == Some(zone))
            && slot.vehicle_types.admits(self.vehicle_type)
    }
}
