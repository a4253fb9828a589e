//! The lots of one tenant in the three orders in which they are asked for: by code, by distance, by room.
//!
//! A search takes the next few of an order and no more: by code from a tree of codes; by distance from the
//! index by place, walked best-first (the nearest box or lot on a heap is opened next); by room with a heap of
//! as many lots as are wanted, over numbers that lie side by side. What a lot is made of is told apart by its
//! facts before it is looked at. Invariants: every lot is in it once, at the place that its durable view says;
//! none that fits is left out. Absent: views (whoever holds one may be asking for the guard that this lies
//! behind), and who may see what, which is asked for each lot.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Bound;

use lotkeeper_engine::spec::Spec;
use rstar::{AABB, ParentNode, PointDistance, RTree, RTreeNode, RTreeObject};

use crate::directory::LotHandle;
use crate::facts::{Facts, Wanted};
use crate::globe::{self, Disc, Point};
use crate::room::Room;
use crate::sought::{Near, Order, Place, Sought, Step};

/// Lots in a circle that are sorted by code themselves. When there are more, going through all codes finds a
/// page of them soon.
const FEW: usize = 256;

struct Row {
    lot: LotHandle,
    facts: Facts,
    point: Option<Point>,
}

/// What a walk needs of a lot lies in the tree itself.
#[derive(Clone)]
struct Spot {
    point: Point,
    facts: Facts,
    room: Room,
    row: u32,
}

impl PartialEq for Spot {
    fn eq(&self, other: &Self) -> bool {
        self.row == other.row
    }
}

impl RTreeObject for Spot {
    type Envelope = AABB<Point>;

    fn envelope(&self) -> Self::Envelope {
        AABB::from_point(self.point)
    }
}

impl PointDistance for Spot {
    fn distance_2(&self, point: &Point) -> f64 {
        globe::chord_2(&self.point, point)
    }
}

/// The lots of one tenant.
#[derive(Default)]
pub(crate) struct Atlas {
    /// In order of creation.
    rows: Vec<Row>,
    by_code: BTreeMap<Box<str>, u32>,
    tree: RTree<Spot>,
}

/// A question, made ready.
struct Want<'a> {
    disc: Option<Disc>,
    facts: Wanted,
    free_min: u32,
    by_slots: bool,
    after: Option<&'a Place>,
    may_see: &'a dyn Fn(&LotHandle) -> bool,
}

impl Want<'_> {
    fn free(&self, room: &Room) -> u32 {
        let free = room.free();
        if self.by_slots { free.of_slots } else { free.shown }
    }

    fn takes(&self, facts: &Facts, room: &Room, lot: &LotHandle) -> bool {
        self.facts.may_be(facts)
            && (self.free_min == 0 || self.free(room) >= self.free_min)
            && (self.may_see)(lot)
    }

    /// Whether a lot is not behind already.
    fn is_to_come(&self, step: &Step<'_>) -> bool {
        self.after
            .is_none_or(|after| step.key() > (Reverse(after.free), after.metres, &*after.code))
    }
}

/// What a walk by distance may open next. Ordered for a heap, which gives the greatest first: the nearest by
/// the straight line, for an arc costs more than all the rest of a step.
struct Open<'a> {
    chord_2: f64,
    what: What<'a>,
}

enum What<'a> {
    Box(&'a ParentNode<Spot>),
    Lot(&'a Spot),
}

impl PartialEq for Open<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Open<'_> {}

impl PartialOrd for Open<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Open<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.chord_2.total_cmp(&self.chord_2)
    }
}

/// A little less than the line to a box: the way it is added up differs from a point's by a rounding.
const ROUNDING: f64 = 1.0 - 1e-9;

/// No lot of the box is further than this.
fn furthest(node: &ParentNode<Spot>, centre: &Point) -> f64 {
    let (lower, upper) = (node.envelope().lower(), node.envelope().upper());
    let sides = centre.iter().zip(lower.iter().zip(&upper));
    sides.map(|(c, (low, up))| (c - low).abs().max((c - up).abs()).powi(2)).sum()
}

/// The best so far of a list by room, the worst of them on top.
struct Best<'a> {
    steps: BinaryHeap<Step<'a>>,
    count: usize,
    /// Of the worst when there are enough: its room, and the longest line of what is as far.
    bound: Option<(u32, f64)>,
}

impl<'a> Best<'a> {
    /// Whether so much room so far away is worse than all that is kept.
    fn is_beyond(&self, free: u32, chord_2: f64) -> bool {
        self.bound.is_some_and(|bound| free < bound.0 || free == bound.0 && chord_2 > bound.1)
    }

    fn keep(&mut self, want: &Want<'_>, step: Step<'a>) {
        if !want.is_to_come(&step) {
            return;
        }
        self.steps.push(step);
        if self.steps.len() > self.count {
            self.steps.pop();
        }
        let worst = self.steps.peek().filter(|_| self.steps.len() == self.count);
        self.bound = worst.map(|worst| (worst.free, globe::chord_2_beyond(worst.metres)));
    }
}

impl Atlas {
    /// Puts a lot where its specification says.
    pub fn put(&mut self, lot: &LotHandle, spec: &Spec) {
        let (facts, point) = (Facts::of(spec), spec.place.position.map(globe::point));
        let next = u32::try_from(self.rows.len()).expect("lots are counted in 32 bits");
        let row = *self.by_code.entry(lot.code().into()).or_insert(next);
        let room = &lot.0.room;
        let spot = |point, facts| Spot { point, facts, room: room.clone(), row };
        match self.rows.get_mut(row as usize) {
            None => self.rows.push(Row { lot: lot.clone(), facts, point }),
            Some(known) if known.facts == facts && known.point == point => return,
            Some(known) => {
                if let Some(point) = known.point {
                    self.tree.remove(&spot(point, known.facts));
                }
                (known.facts, known.point) = (facts, point);
            }
        }
        if let Some(point) = point {
            self.tree.insert(spot(point, facts));
        }
    }

    pub fn find(&self, code: &str) -> Option<&LotHandle> {
        self.by_code.get(code).map(|row| &self.row(*row).lot)
    }

    /// All, in order of code.
    pub fn all(&self) -> impl Iterator<Item = &LotHandle> {
        self.by_code.values().map(|row| &self.row(*row).lot)
    }

    fn row(&self, row: u32) -> &Row {
        // Rows are never taken out.
        &self.rows[row as usize]
    }

    /// The next `count` lots after `after` that may be what is sought; fewer at the end of the order.
    pub fn next(
        &self,
        sought: &Sought<'_>,
        may_see: &dyn Fn(&LotHandle) -> bool,
        (after, count): (Option<&Place>, usize),
    ) -> Vec<Near> {
        let want = Want {
            disc: sought.circle.map(|(centre, radius_km)| Disc::new(centre, radius_km)),
            facts: sought.filter.wanted(),
            free_min: sought.free_min,
            by_slots: sought.by_slots,
            after,
            may_see,
        };
        match (sought.order, want.disc) {
            (Order::Distance, Some(disc)) => self.nearest(&want, &disc, count),
            // Without a place everything is as far.
            (Order::Code | Order::Distance, None) => self.by_code(&want, count),
            (Order::Code, Some(disc)) => self.by_code_within(&want, &disc, count),
            (Order::Free, _) => self.freest(&want, count),
        }
    }

    /// Best-first: what is opened is never further than anything that is still closed. Lots that are as far in
    /// whole metres are in order of code, so the last metre is finished before the walk ends.
    fn nearest(&self, want: &Want<'_>, disc: &Disc, count: usize) -> Vec<Near> {
        let before = want.after.map_or(0.0, |after| globe::chord_2_before(after.metres));
        let mut found: Vec<Step<'_>> = Vec::new();
        let mut open = BinaryHeap::new();
        let mut next = Some(Open { chord_2: 0.0, what: What::Box(self.tree.root()) });
        while let Some(Open { what, .. }) = next {
            match what {
                What::Box(node) => self.open(node, (want, disc, before), &mut open),
                What::Lot(spot) => {
                    let lot = &self.row(spot.row).lot;
                    if let Some(metres) = disc.metres_to(&spot.point) {
                        if found.len() >= count && found.last().is_some_and(|l| l.metres < metres) {
                            break;
                        }
                        let step = Step { free: 0, metres, lot };
                        if want.is_to_come(&step) {
                            found.push(step);
                        }
                    }
                }
            }
            next = open.pop();
        }
        found.sort_unstable();
        found.iter().take(count).map(Step::near).collect()
    }

    /// What of a box may be wanted.
    fn open<'a>(
        &'a self,
        node: &'a ParentNode<Spot>,
        (want, disc, before): (&Want<'_>, &Disc, f64),
        open: &mut BinaryHeap<Open<'a>>,
    ) {
        for child in node.children() {
            match child {
                RTreeNode::Parent(node) => {
                    let chord_2 = node.envelope().distance_2(&disc.centre) * ROUNDING;
                    let is_behind = before > 0.0 && furthest(node, &disc.centre) < before;
                    if chord_2 <= disc.reach && !is_behind {
                        open.push(Open { chord_2, what: What::Box(node) });
                    }
                }
                RTreeNode::Leaf(spot) => {
                    let chord_2 = spot.distance_2(&disc.centre);
                    if (before..=disc.reach).contains(&chord_2)
                        && want.takes(&spot.facts, &spot.room, &self.row(spot.row).lot)
                    {
                        open.push(Open { chord_2, what: What::Lot(spot) });
                    }
                }
            }
        }
    }

    /// Keeps the best of all: a lot with less room than the worst kept is passed by at one look at its number, one
    /// with as much that is further by its line.
    fn freest(&self, want: &Want<'_>, count: usize) -> Vec<Near> {
        let mut best = Best { steps: BinaryHeap::new(), count, bound: None };
        match &want.disc {
            Some(disc) => {
                for spot in self.tree.locate_within_distance(disc.centre, disc.reach) {
                    let (free, chord_2) = (want.free(&spot.room), spot.distance_2(&disc.centre));
                    let lot = &self.row(spot.row).lot;
                    if free < want.free_min
                        || best.is_beyond(free, chord_2)
                        || !want.facts.may_be(&spot.facts)
                        || !(want.may_see)(lot)
                    {
                        continue;
                    }
                    if let Some(metres) = disc.metres_to(&spot.point) {
                        best.keep(want, Step { free, metres, lot });
                    }
                }
            }
            None => {
                // In order of code: whoever comes later loses where the room is the same.
                for row in self.by_code.values().map(|row| self.row(*row)) {
                    let free = want.free(&row.lot.0.room);
                    if free >= want.free_min
                        && !best.is_beyond(free, f64::INFINITY)
                        && want.takes(&row.facts, &row.lot.0.room, &row.lot)
                    {
                        best.keep(want, Step { free, metres: 0, lot: &row.lot });
                    }
                }
            }
        }
        best.steps.into_sorted_vec().iter().map(Step::near).collect()
    }

    /// A few are sorted; of many, a page is soon found among all codes.
    fn by_code_within(&self, want: &Want<'_>, disc: &Disc, count: usize) -> Vec<Near> {
        let spots = self.tree.locate_within_distance(disc.centre, disc.reach);
        let inside = spots.filter_map(|spot| {
            let lot = &self.row(spot.row).lot;
            let step = Step { free: 0, metres: 0, lot };
            (want.takes(&spot.facts, &spot.room, lot)
                && want.is_to_come(&step)
                && disc.metres_to(&spot.point).is_some())
            .then_some(step)
        });
        let mut few: Vec<Step<'_>> = inside.take(FEW + 1).collect();
        if few.len() > FEW {
            return self.by_code(want, count);
        }
        few.sort_unstable();
        few.iter().take(count).map(Step::near).collect()
    }

    fn by_code(&self, want: &Want<'_>, count: usize) -> Vec<Near> {
        let from = want.after.map_or(Bound::Unbounded, |after| Bound::Excluded(&*after.code));
        let later = self.by_code.range::<str, _>((from, Bound::Unbounded));
        let rows = later.map(|(_, row)| self.row(*row));
        let inside = rows.filter(|row| {
            let is_inside = |disc: &Disc| row.point.and_then(|at| disc.metres_to(&at)).is_some();
            want.takes(&row.facts, &row.lot.0.room, &row.lot)
                && want.disc.as_ref().is_none_or(is_inside)
        });
        let near = inside.map(|row| Near { lot: row.lot.clone(), metres: 0, free: 0 });
        near.take(count).collect()
    }
}
