//! The index behind "any slot that fits": open gaps, so that a full lot says no in microseconds.
//!
//! Slots that are alike (zone, size, features) form a class. Each class keeps the gaps between the
//! promises of its slots, sorted by start, in small blocks that know the latest end inside them. A
//! window fits a slot exactly when one gap starts at or before it and ends at or after it; blocks whose
//! latest end is too early are skipped whole. Measured in `benches/decide_apply.rs`.
//!
//! Blocks are shared by reference count, so a copy of a lot for a reader costs pointers, not gaps.

use std::sync::Arc;

use crate::ids::{SlotIndex, ZoneIndex};
use crate::spec::{FeatureSet, Size, SlotSpec};
use crate::time::{Timestamp, Window};

/// Entries in a block before it splits: a block is scanned in well under a microsecond and moved in less.
const BLOCK_GAPS_MAX: usize = 128;

/// What a vehicle needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The vehicle's size.
    pub size: Size,
    /// Features that must be there.
    pub features: FeatureSet,
    /// A zone it must lie in.
    pub zone: Option<ZoneIndex>,
}

impl Needs {
    /// Whether a slot can take it.
    #[must_use]
    pub fn fit(&self, slot: &SlotSpec) -> bool {
        slot.size >= self.size
            && slot.features.has_all(self.features)
            && self.zone.is_none_or(|zone| slot.zone == Some(zone))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    window: Window,
    slot: SlotIndex,
}

impl Gap {
    /// By start; at one start the lowest slot comes last, because the search runs backwards.
    fn order(&self) -> (Timestamp, core::cmp::Reverse<SlotIndex>) {
        (self.window.from, core::cmp::Reverse(self.slot))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    gaps: Vec<Gap>,
    latest_end: Timestamp,
}

impl Block {
    fn new(gaps: Vec<Gap>) -> Self {
        let latest_end = gaps.iter().map(|gap| gap.window.to).max().unwrap_or(Timestamp::MIN);
        Self { gaps, latest_end }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Class {
    size: Size,
    features: FeatureSet,
    zone: Option<ZoneIndex>,
    /// Sorted, none empty.
    blocks: Vec<Arc<Block>>,
}

/// All gaps of a lot by class. Slots out of service have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Openings {
    /// Smallest fit first: by size, then by how much a slot offers, so that special bays last.
    classes: Vec<Class>,
    class_of: Arc<Vec<u16>>,
}

impl Openings {
    /// Classes without any gaps yet.
    pub(super) fn of(slots: &[SlotSpec]) -> Self {
        let class =
            |slot: &SlotSpec| (slot.size, slot.features.0.count_ones(), slot.features, slot.zone);
        let mut keys: Vec<_> = slots.iter().map(class).collect();
        keys.sort_unstable();
        keys.dedup();
        let class_of = slots
            .iter()
            .map(|slot| {
                let position = keys.binary_search(&class(slot)).unwrap_or_default();
                // At most one class per slot, and slots fit 16 bits (limits.rs).
                u16::try_from(position).unwrap_or(u16::MAX)
            })
            .collect();
        let classes = keys
            .into_iter()
            .map(|(size, _, features, zone)| Class { size, features, zone, blocks: Vec::new() })
            .collect();
        Self { classes, class_of: Arc::new(class_of) }
    }

    fn class_mut(&mut self, slot: SlotIndex) -> &mut Class {
        &mut self.classes[usize::from(self.class_of[slot.at()])]
    }

    pub(super) fn insert(&mut self, slot: SlotIndex, window: Window) {
        let gap = Gap { window, slot };
        let blocks = &mut self.class_mut(slot).blocks;
        if blocks.is_empty() {
            blocks.push(Arc::new(Block::new(vec![gap])));
            return;
        }
        let at = block_for(blocks, &gap);
        let block = Arc::make_mut(&mut blocks[at]);
        let position = block.gaps.partition_point(|other| other.order() < gap.order());
        block.gaps.insert(position, gap);
        block.latest_end = block.latest_end.max(gap.window.to);
        if block.gaps.len() > BLOCK_GAPS_MAX {
            let upper = block.gaps.split_off(BLOCK_GAPS_MAX / 2);
            *block = Block::new(std::mem::take(&mut block.gaps));
            blocks.insert(at + 1, Arc::new(Block::new(upper)));
        }
    }

    pub(super) fn remove(&mut self, slot: SlotIndex, window: Window) {
        let gap = Gap { window, slot };
        let blocks = &mut self.class_mut(slot).blocks;
        if blocks.is_empty() {
            debug_assert!(false, "a gap that is removed was inserted before");
            return;
        }
        let at = block_for(blocks, &gap);
        let block = Arc::make_mut(&mut blocks[at]);
        let Some(position) = block.gaps.iter().position(|other| *other == gap) else {
            debug_assert!(false, "a gap that is removed was inserted before");
            return;
        };
        block.gaps.remove(position);
        if block.gaps.is_empty() {
            blocks.remove(at);
        } else if gap.window.to == block.latest_end {
            *block = Block::new(std::mem::take(&mut block.gaps));
        }
    }

    /// The best open slot: smallest fit, then the gap that begins latest (it wastes least), then the
    /// lowest slot. `standing` tells that a vehicle stands there; an empty bay is preferred among the
    /// first `probes`, because a promise rests on the timeline only and never fails for a parked car.
    #[must_use]
    pub fn find(
        &self,
        needs: &Needs,
        window: Window,
        probes: usize,
        standing: impl Fn(SlotIndex) -> bool,
    ) -> Option<SlotIndex> {
        let mut first = None;
        let mut left = probes;
        for class in self.classes.iter().filter(|class| class.fits(needs)) {
            for gap in class.open(window) {
                if left == 0 || !standing(gap.slot) {
                    return Some(if left == 0 { first.unwrap_or(gap.slot) } else { gap.slot });
                }
                first = first.or(Some(gap.slot));
                left -= 1;
            }
        }
        first
    }

    /// Every gap with its slot in a canonical order, for comparison: block boundaries depend on history.
    #[must_use]
    pub fn sorted(&self) -> Vec<(SlotIndex, Timestamp, Timestamp)> {
        let blocks = self.classes.iter().flat_map(|class| &class.blocks);
        let gaps = blocks.flat_map(|block| &block.gaps);
        let mut all: Vec<_> = gaps.map(|gap| (gap.slot, gap.window.from, gap.window.to)).collect();
        all.sort_unstable();
        all
    }

    /// Whether any slot of the lot could ever take it.
    #[must_use]
    pub fn any_fits(&self, needs: &Needs) -> bool {
        self.classes.iter().any(|class| class.fits(needs))
    }

    /// Every slot that is open for the whole window, in no particular order.
    pub fn all<'a>(
        &'a self,
        needs: &'a Needs,
        window: Window,
    ) -> impl Iterator<Item = SlotIndex> + 'a {
        self.classes
            .iter()
            .filter(|class| class.fits(needs))
            .flat_map(move |class| class.open(window))
            .map(|gap| gap.slot)
    }
}

impl Class {
    fn fits(&self, needs: &Needs) -> bool {
        self.size >= needs.size
            && self.features.has_all(needs.features)
            && needs.zone.is_none_or(|zone| self.zone == Some(zone))
    }

    /// Gaps around the window, the one that begins latest first.
    fn open(&self, window: Window) -> impl Iterator<Item = &Gap> {
        let until = self.blocks.partition_point(|block| block.gaps[0].window.from <= window.from);
        self.blocks[..until]
            .iter()
            .rev()
            .filter(move |block| block.latest_end >= window.to)
            .flat_map(move |block| block.gaps.iter().rev())
            .filter(move |gap| gap.window.from <= window.from && gap.window.to >= window.to)
    }
}

/// The block a gap belongs into: the last one that begins at or before it.
fn block_for(blocks: &[Arc<Block>], gap: &Gap) -> usize {
    blocks.partition_point(|block| block.gaps[0].order() <= gap.order()).saturating_sub(1)
}
