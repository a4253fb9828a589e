//! Classes of alike slots, in the order in which the lot's allocation wants them.
//!
//! Invariant: of two slots that both fit a vehicle, the one whose class stands in an earlier group is at
//! least as good under every criterion before [`Criterion::WasteLeast`]; see [`crate::spec::Criterion`] for
//! why that does not depend on the vehicle. Absent: gaps, which are the index's (`openings.rs`).

use crate::ids::ZoneIndex;
use crate::spec::{Criterion, FeatureSet, Size, SlotSpec, Spec, TypeSet, walk_band};

/// What slots of one class have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alike {
    pub size: Size,
    pub features: FeatureSet,
    pub zone: Option<ZoneIndex>,
    pub vehicle_types: TypeSet,
    /// 0 where the allocation does not ask for the walk.
    pub walk_band: u8,
}

/// Where a class stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// By all that is asked before which opening begins latest.
    pub group: u16,
    /// By what is asked after that.
    pub then: u16,
}

/// Every class once, in order, and the class of every slot.
pub(super) fn places(spec: &Spec) -> (Vec<(Alike, Place)>, Vec<u16>) {
    let criteria = &spec.allocation.0;
    let by_walk = criteria.contains(&Criterion::NearestEntrance);
    let alike = |slot: &SlotSpec| Alike {
        size: slot.size,
        features: slot.features,
        zone: slot.zone,
        vehicle_types: slot.vehicle_types,
        walk_band: if by_walk { walk_band(slot.walk_metres) } else { 0 },
    };
    let mut kinds: Vec<Alike> = spec.slots.iter().map(alike).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let until = criteria.iter().position(|criterion| *criterion == Criterion::WasteLeast);
    let (before, after) = criteria.split_at(until.unwrap_or(criteria.len()));
    let mut ranked: Vec<(Vec<u64>, Vec<u64>, Alike)> =
        kinds.iter().map(|kind| (rank(before, kind), rank(after, kind), *kind)).collect();
    ranked.sort_unstable();
    let mut places: Vec<(Alike, Place)> = Vec::with_capacity(ranked.len());
    let mut position_of = vec![0; kinds.len()];
    for (position, (before, after, kind)) in ranked.iter().enumerate() {
        let place = match position.checked_sub(1).map(|last| (&ranked[last], places[last].1)) {
            None => Place { group: 0, then: 0 },
            Some((last, place)) if last.0 != *before => Place { group: place.group + 1, then: 0 },
            Some((last, place)) if last.1 != *after => Place { then: place.then + 1, ..place },
            Some((_, place)) => place,
        };
        places.push((*kind, place));
        if let Ok(at) = kinds.binary_search(kind) {
            // At most one class per slot, and slots fit 16 bits (limits.rs).
            position_of[at] = u16::try_from(position).unwrap_or(u16::MAX);
        }
    }
    let class_of =
        |slot: &SlotSpec| position_of[kinds.binary_search(&alike(slot)).unwrap_or_default()];
    let class_of = spec.slots.iter().map(class_of).collect();
    (places, class_of)
}

/// What the criteria say of a slot: less is better, from the first number that differs.
fn rank(criteria: &[Criterion], kind: &Alike) -> Vec<u64> {
    let mut rank = Vec::with_capacity(2 * criteria.len());
    for criterion in criteria {
        match criterion {
            Criterion::SmallestFit => {
                let types = kind.vehicle_types.0;
                let admitted = if types == 0 { u64::MAX } else { types.count_ones().into() };
                rank.extend([kind.size as u64, admitted]);
            }
            // Both fit, so both have all that was asked for: what is left over compares as the whole does.
            Criterion::KeepSpecial => {
                rank.extend([kind.features.0.count_ones().into(), kind.features.0]);
            }
            Criterion::FillZones(order) => rank.push(zone_rank(order, kind.zone)),
            Criterion::NearestEntrance => rank.push(kind.walk_band.into()),
            Criterion::WasteLeast => {}
        }
    }
    rank
}

/// Zones of the order, then no zone, then the others.
fn zone_rank(order: &[ZoneIndex], zone: Option<ZoneIndex>) -> u64 {
    let none = order.len() as u64;
    let Some(zone) = zone else { return none };
    match order.iter().position(|known| *known == zone) {
        Some(position) => position as u64,
        None => none + 1 + u64::from(zone.0),
    }
}
