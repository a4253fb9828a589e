//! The index behind "any slot that fits": open gaps, so that a full lot says no in microseconds.
//!
//! Slots that are alike (zone, size, features, vehicle types, walk) form a class. Classes stand in the order
//! of the lot's allocation (`class.rs`); what it does not tell apart before it asks which opening begins
//! latest is one group. Each class keeps the gaps between the promises of its slots, sorted by start, in
//! small blocks that know the latest end inside them. A window fits a slot exactly when one gap starts at or
//! before it and ends at or after it; blocks whose latest end is too early are skipped whole. Measured in
//! `benches/benches/decide_apply.rs`.
//!
//! Classes and blocks are shared by reference count, so a copy of a lot for a reader costs pointers, not
//! gaps. Total: what the index does not hold is left alone (invariant I5 finds such a difference).

use std::collections::BinaryHeap;
use std::sync::Arc;

use imbl::Vector;

use super::Needs;
use super::class::{Alike, Place, places};
use crate::ids::SlotIndex;
use crate::spec::Spec;
use crate::time::{Timestamp, Window};

/// Entries in a block before it splits: a block is scanned in well under a microsecond and moved in less.
const BLOCK_GAPS_MAX: usize = 128;
/// A block that shrinks below this looks for a neighbour to join, so that blocks stay few.
const BLOCK_GAPS_LOW: usize = BLOCK_GAPS_MAX / 4;
/// Joined blocks are at most this large: far from the next split.
const JOINED_GAPS_MAX: usize = BLOCK_GAPS_MAX / 2;
/// Blocks that are built at once have room to grow.
const BUILT_GAPS: usize = BLOCK_GAPS_MAX * 3 / 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    window: Window,
    slot: SlotIndex,
}

/// By start; at one start the lowest slot comes last, because the search runs backwards.
type Order = (Timestamp, core::cmp::Reverse<SlotIndex>);

impl Gap {
    fn order(&self) -> Order {
        (self.window.from, core::cmp::Reverse(self.slot))
    }
}

/// Where it begins and how far it reaches lies beside its neighbours': a search looks into the gaps of
/// one block only.
#[derive(Clone, Debug)]
struct Block {
    first: Order,
    latest_end: Timestamp,
    /// Never empty.
    gaps: Arc<Vec<Gap>>,
}

impl Block {
    fn new(gaps: Vec<Gap>) -> Option<Self> {
        let first = gaps.first()?.order();
        let latest_end = latest_end(&gaps)?;
        Some(Self { first, latest_end, gaps: Arc::new(gaps) })
    }

    /// The gaps that begin at or before an instant.
    fn begun(&self, at: Timestamp) -> &[Gap] {
        &self.gaps[..self.gaps.partition_point(|gap| gap.window.from <= at)]
    }

    /// After a gap that ended at `to` left or ends elsewhere now. The gaps after the last promises all end
    /// with time itself: mostly the next one says that nothing changed.
    fn forget_end(&mut self, to: Timestamp) {
        if to == self.latest_end && !self.gaps.iter().rev().any(|gap| gap.window.to == to) {
            self.latest_end = latest_end(&self.gaps).unwrap_or(Timestamp::MIN);
        }
    }
}

fn latest_end(gaps: &[Gap]) -> Option<Timestamp> {
    gaps.iter().map(|gap| gap.window.to).max()
}

#[derive(Clone, Debug)]
struct Class {
    alike: Alike,
    /// Classes of one group differ in nothing that is asked before the latest opening.
    place: Place,
    /// Sorted, none empty.
    blocks: Vec<Block>,
}

/// All gaps of a lot by class. Slots that cannot take a promise (out of service, booked out) have none.
#[derive(Clone, Debug, Default)]
pub struct Openings {
    /// In the order of the lot's allocation: the first one with a gap has the best slot.
    classes: Vector<Arc<Class>>,
    class_of: Arc<Vec<u16>>,
}

/// The same slots and gaps; where blocks end depends on history and does not count.
impl PartialEq for Openings {
    fn eq(&self, other: &Self) -> bool {
        self.class_of == other.class_of
            && self.classes.len() == other.classes.len()
            && self.classes.iter().zip(&other.classes).all(|(one, two)| one.is_same(two))
    }
}

impl Eq for Openings {}

impl Openings {
    /// All gaps at once, in any order.
    pub(super) fn of(spec: &Spec, gaps: impl Iterator<Item = (SlotIndex, Window)>) -> Self {
        let (places, class_of) = places(spec);
        let mut gaps_of: Vec<Vec<Gap>> = vec![Vec::new(); places.len()];
        for (slot, window) in gaps {
            let class =
                class_of.get(slot.at()).and_then(|class| gaps_of.get_mut(usize::from(*class)));
            if let Some(class) = class {
                class.push(Gap { window, slot });
            }
        }
        let classes = places.into_iter().zip(gaps_of).map(|((alike, place), mut gaps)| {
            gaps.sort_unstable_by_key(Gap::order);
            let blocks = gaps.chunks(BUILT_GAPS).filter_map(|gaps| Block::new(gaps.to_vec()));
            Arc::new(Class { alike, place, blocks: blocks.collect() })
        });
        Self { classes: classes.collect(), class_of: Arc::new(class_of) }
    }

    fn blocks_mut(&mut self, slot: SlotIndex) -> Option<&mut Vec<Block>> {
        let class = self.classes.get_mut(usize::from(*self.class_of.get(slot.at())?))?;
        Some(&mut Arc::make_mut(class).blocks)
    }

    /// A promise took `window` out of `gap`: what is left before it keeps its place in the order.
    pub(super) fn split(&mut self, slot: SlotIndex, gap: Window, window: Window) {
        if gap.from < window.from {
            self.end(slot, gap, window.from);
        } else {
            self.remove(slot, gap);
        }
        self.insert(slot, Window { from: window.to, to: gap.to });
    }

    /// A promise gave `window` back: with what was open before and after it, it is `gap`.
    pub(super) fn join(&mut self, slot: SlotIndex, gap: Window, window: Window) {
        self.remove(slot, Window { from: window.to, to: gap.to });
        if gap.from < window.from {
            self.end(slot, Window { from: gap.from, to: window.from }, gap.to);
        } else {
            self.insert(slot, gap);
        }
    }

    /// Lets a gap end elsewhere.
    fn end(&mut self, slot: SlotIndex, window: Window, to: Timestamp) {
        let gap = Gap { window, slot };
        let Some(blocks) = self.blocks_mut(slot) else { return };
        let Some((at, position)) = place_of(blocks, &gap) else { return };
        let block = &mut blocks[at];
        Arc::make_mut(&mut block.gaps)[position].window.to = to;
        block.latest_end = block.latest_end.max(to);
        block.forget_end(window.to);
    }

    /// An empty gap is none.
    pub(super) fn insert(&mut self, slot: SlotIndex, window: Window) {
        let gap = Gap { window, slot };
        let Some(blocks) = self.blocks_mut(slot).filter(|_| window.from < window.to) else {
            return;
        };
        if blocks.is_empty() {
            blocks.extend(Block::new(vec![gap]));
            return;
        }
        let at = block_for(blocks, &gap);
        let block = &mut blocks[at];
        let position = block.gaps.partition_point(|other| other.order() < gap.order());
        let gaps = Arc::make_mut(&mut block.gaps);
        gaps.insert(position, gap);
        block.first = block.first.min(gap.order());
        block.latest_end = block.latest_end.max(window.to);
        if gaps.len() > BLOCK_GAPS_MAX {
            let upper = gaps.split_off(BLOCK_GAPS_MAX / 2);
            block.latest_end = latest_end(gaps).unwrap_or(Timestamp::MIN);
            let upper = Block::new(upper);
            blocks.splice(at + 1..at + 1, upper);
        }
    }

    pub(super) fn remove(&mut self, slot: SlotIndex, window: Window) {
        let gap = Gap { window, slot };
        let Some(blocks) = self.blocks_mut(slot) else { return };
        let Some((at, position)) = place_of(blocks, &gap) else { return };
        let block = &mut blocks[at];
        let gaps = Arc::make_mut(&mut block.gaps);
        gaps.remove(position);
        let Some(first) = gaps.first().map(Gap::order) else {
            blocks.remove(at);
            return;
        };
        block.first = first;
        let is_low = gaps.len() < BLOCK_GAPS_LOW;
        block.forget_end(window.to);
        if is_low {
            join_neighbour(blocks, at);
        }
    }

    /// The best open slot under the lot's allocation. `standing` tells that a vehicle stands there; an empty
    /// bay is preferred among the first `probes`, because a promise rests on the timeline only and never
    /// fails for a parked car.
    #[must_use]
    pub fn find(
        &self,
        needs: &Needs,
        window: Window,
        probes: usize,
        standing: impl Fn(SlotIndex) -> bool,
    ) -> Option<SlotIndex> {
        let mut probe = Probe { first: None, left: probes, standing };
        let mut fitting = self.classes.iter().filter(|class| class.fits(needs)).peekable();
        while let Some(class) = fitting.next() {
            let is_next = |next: &&Arc<Class>| next.place.group == class.place.group;
            let found = match fitting.next_if(is_next) {
                // Mostly a group is one class.
                None => class.open(window).find_map(|gap| probe.look(gap.slot)),
                Some(second) => {
                    let mut group = vec![&**class, &**second];
                    group.extend(std::iter::from_fn(|| fitting.next_if(is_next)).map(|c| &**c));
                    merged(&group, window).find_map(|slot| probe.look(slot))
                }
            };
            if found.is_some() {
                return found;
            }
        }
        probe.first
    }

    /// Every gap with its slot in a canonical order, for comparison: block boundaries depend on history.
    #[must_use]
    pub fn sorted(&self) -> Vec<(SlotIndex, Timestamp, Timestamp)> {
        let gaps = self.classes.iter().flat_map(|class| class.gaps());
        let mut all: Vec<_> = gaps.map(|gap| (gap.slot, gap.window.from, gap.window.to)).collect();
        all.sort_unstable();
        all
    }

    /// Whether the index can be searched: no block empty or too large, all in order, each block's first
    /// gap and latest end true. Part of invariant I5.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.classes.iter().all(|class| {
            let sizes = 1..=BLOCK_GAPS_MAX;
            class.gaps().is_sorted_by_key(Gap::order)
                && class.blocks.iter().all(|block| {
                    sizes.contains(&block.gaps.len())
                        && latest_end(&block.gaps) == Some(block.latest_end)
                        && block.gaps.first().map(Gap::order) == Some(block.first)
                })
        })
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
    fn is_same(&self, other: &Self) -> bool {
        (self.alike, self.place) == (other.alike, other.place) && self.gaps().eq(other.gaps())
    }

    fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.blocks.iter().flat_map(|block| block.gaps.iter())
    }

    fn fits(&self, needs: &Needs) -> bool {
        self.alike.size >= needs.size
            && self.alike.features.has_all(needs.features)
            && needs.zone.is_none_or(|zone| self.alike.zone == Some(zone))
            && self.alike.vehicle_types.admits(needs.vehicle_type)
    }

    /// Gaps around the window, the one that begins latest first.
    fn open(&self, window: Window) -> impl Iterator<Item = &Gap> + use<'_> {
        let until = self.blocks.partition_point(|block| block.first.0 <= window.from);
        self.blocks[..until]
            .iter()
            .rev()
            .filter(move |block| block.latest_end >= window.to)
            .flat_map(move |block| block.begun(window.from).iter().rev())
            .filter(move |gap| gap.window.to >= window.to)
    }
}

/// Looks for an empty bay among the best slots, and remembers the best one of all.
struct Probe<F> {
    first: Option<SlotIndex>,
    left: usize,
    standing: F,
}

impl<F: Fn(SlotIndex) -> bool> Probe<F> {
    /// The slot to take, once that is decided.
    fn look(&mut self, slot: SlotIndex) -> Option<SlotIndex> {
        if self.left == 0 {
            return Some(self.first.unwrap_or(slot));
        }
        if !(self.standing)(slot) {
            return Some(slot);
        }
        self.first = self.first.or(Some(slot));
        self.left -= 1;
        None
    }
}

/// Open slots of several classes: the latest opening first, then by what the allocation asks after that, then
/// in the order of the slots.
fn merged<'a>(group: &[&'a Class], window: Window) -> impl Iterator<Item = SlotIndex> + use<'a> {
    use core::cmp::Reverse;
    let mut open: Vec<_> = group.iter().map(|class| (class.open(window), class.place)).collect();
    let mut heap = BinaryHeap::with_capacity(open.len());
    let key = |gap: &Gap, place: Place| (gap.window.from, Reverse(place.then), Reverse(gap.slot));
    for (number, (gaps, place)) in open.iter_mut().enumerate() {
        heap.extend(gaps.next().map(|gap| (key(gap, *place), number)));
    }
    std::iter::from_fn(move || {
        let ((_, _, Reverse(slot)), number) = heap.pop()?;
        let (gaps, place) = &mut open[number];
        heap.extend(gaps.next().map(|gap| (key(gap, *place), number)));
        Some(slot)
    })
}

/// The block a gap belongs into: the last one that begins at or before it.
fn block_for(blocks: &[Block], gap: &Gap) -> usize {
    blocks.partition_point(|block| block.first <= gap.order()).saturating_sub(1)
}

/// Block and position of a gap that is there just so.
fn place_of(blocks: &[Block], gap: &Gap) -> Option<(usize, usize)> {
    let at = block_for(blocks, gap);
    let gaps = &blocks.get(at)?.gaps;
    let position = gaps.partition_point(|other| other.order() < gap.order());
    (gaps.get(position) == Some(gap)).then_some((at, position))
}

/// Joins a small block with the one after or before it where both together are small enough.
fn join_neighbour(blocks: &mut Vec<Block>, at: usize) {
    let fits = |left: &usize| {
        let pair = blocks.get(*left..=*left + 1);
        pair.is_some_and(|pair| pair[0].gaps.len() + pair[1].gaps.len() <= JOINED_GAPS_MAX)
    };
    if let Some(left) = [Some(at), at.checked_sub(1)].into_iter().flatten().find(fits) {
        let right = blocks.remove(left + 1);
        let joined = &mut blocks[left];
        Arc::make_mut(&mut joined.gaps).extend_from_slice(&right.gaps);
        joined.latest_end = joined.latest_end.max(right.latest_end);
    }
}
