//! Counts by status, kept up to date change by change: whole lot, zones, sizes, features.
//!
//! Invariant (I1): free + occupied + held + unknown + out of service = number of slots, in every group.
//! A zone or feature that the specification does not list (only a damaged record can name one) belongs to
//! no group.

use crate::spec::{Size, SlotSpec, Spec};
use crate::status::Status;

/// How many slots of a group have each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Empty and not promised soon.
    pub free: u32,
    /// A vehicle stands there.
    pub occupied: u32,
    /// Promised now or soon.
    pub held: u32,
    /// Nothing is known.
    pub unknown: u32,
    /// Closed.
    pub out_of_service: u32,
}

impl Counts {
    /// All slots of the group.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.free + self.occupied + self.held + self.unknown + self.out_of_service
    }

    fn cell(&mut self, status: Status) -> &mut u32 {
        match status {
            Status::Free => &mut self.free,
            Status::Occupied => &mut self.occupied,
            Status::Held => &mut self.held,
            Status::Unknown => &mut self.unknown,
            Status::OutOfService => &mut self.out_of_service,
        }
    }

    fn add(&mut self, status: Status) {
        *self.cell(status) += 1;
    }

    /// Takes one out; a slot that was never put in is a broken invariant of the caller.
    fn remove(&mut self, status: Status) {
        let cell = self.cell(status);
        debug_assert!(*cell > 0, "I1: no slot with status {status:?} left to move");
        *cell = cell.saturating_sub(1);
    }
}

/// Counts of a lot by all its groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LotCounts {
    /// All slots.
    pub total: Counts,
    /// By position in `Spec::zones`.
    pub by_zone: Vec<Counts>,
    /// By position in `Size::ALL`.
    pub by_size: [Counts; Size::ALL.len()],
    /// By position in `Spec::features`.
    pub by_feature: Vec<Counts>,
}

impl LotCounts {
    /// Counts every slot anew: at start, and where attributes change.
    #[must_use]
    pub fn of(spec: &Spec, statuses: impl Iterator<Item = Status>) -> Self {
        let mut counts = Self {
            by_zone: vec![Counts::default(); spec.zones.len()],
            by_feature: vec![Counts::default(); spec.features.len()],
            ..Self::default()
        };
        for (slot, status) in spec.slots.iter().zip(statuses) {
            counts.each(slot, |group| group.add(status));
        }
        counts
    }

    /// Moves one slot from a status to another.
    pub fn change(&mut self, slot: &SlotSpec, before: Status, after: Status) {
        if before != after {
            self.each(slot, |group| {
                group.remove(before);
                group.add(after);
            });
        }
    }

    fn each(&mut self, slot: &SlotSpec, mut change: impl FnMut(&mut Counts)) {
        change(&mut self.total);
        if let Some(zone) = slot.zone {
            self.by_zone.get_mut(zone.at()).into_iter().for_each(&mut change);
        }
        change(&mut self.by_size[slot.size as usize]);
        for feature in slot.features.indices() {
            self.by_feature.get_mut(feature).into_iter().for_each(&mut change);
        }
    }
}
