//! Searches of lots: who is asked, in which order, and where a page ends.
//!
//! Candidates come from the index one after the other, in the order of the list. Each is judged against its
//! durable view until the page is full. Where a list by room asks for more than the lot as a whole shows
//! (slots that fit, a window), what is shown is the most that a lot may have, and the page is full when no lot
//! to come may have more than the last on it. Lists by price judge all. Invariants: a lot is in a list once; pages join without gap or
//! repetition as long as nothing changes that the order rests on; what a window costs is bounded by
//! [`JUDGED_MAX`] lots a page, or [`PRICED_MAX`] of which the price alone is looked at.
//!
//! What a lot offers is one function of one candidate, [`Search::offer`]: what else it may offer belongs there,
//! and its order into [`Key`]. Absent: HTTP, and who may see which lot (both the caller's); exchange rates.

mod candidates;

use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

use lotkeeper_actors::{Engine, Filter, LotHandle, LotView, Near, Order, Place, Sought};
use lotkeeper_engine::lot::{Ask, Bays, Rejection};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::spec::{Kind, Position, Spec};
use lotkeeper_engine::status::Status;
use lotkeeper_engine::time::{Timestamp, Window};

use self::candidates::Candidates;
use crate::wire::reservation::NeedsBody;

/// Lots judged for a window in one page: each slot's promises are looked at, which takes some microseconds a
/// lot.
pub const JUDGED_MAX: usize = 1_000;
/// Lots compared by the price of a window alone, which takes one to three microseconds a lot.
pub const PRICED_MAX: usize = 10_000;

/// A circle on the earth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circle {
    /// Its middle.
    pub centre: Position,
    /// On the ground.
    pub radius_km: f64,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// By code.
    Code,
    /// The nearest first.
    Distance,
    /// Those with the most room first.
    Free,
    /// Those where the stay costs least first: by currency, then by amount, those without a price last.
    Price,
}

/// What a search asks for.
#[derive(Clone, Debug)]
pub struct Search {
    /// Within which circle.
    pub circle: Option<Circle>,
    /// What the lot is.
    pub filter: Filter,
    /// What one of its slots must have.
    pub needs: Option<NeedsBody>,
    /// When there must be room; now without.
    pub window: Option<Window>,
    /// For how many.
    pub free_min: u32,
    /// In which order.
    pub sort: Sort,
}

/// A lot's place in the order of a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// What the list is sorted by first, the best first.
    first: u64,
    metres: u32,
    code: Box<str>,
}

impl Key {
    /// As in a cursor.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}:{}:{}", self.first, self.metres, self.code)
    }

    /// As it was given in a cursor.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let (first, rest) = text.split_once(':')?;
        let (metres, code) = rest.split_once(':')?;
        Some(Self { first: first.parse().ok()?, metres: metres.parse().ok()?, code: code.into() })
    }
}

/// How much of what is asked for is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// From the promises on its slots.
    Promises,
    /// From the count: the window begins about now, and the count is of now.
    Count,
    /// Nothing: a count says nothing of a later time.
    Nothing,
    /// From the lot's owner: it is paused, and promises nothing.
    Paused,
    /// From its hours: it is closed when the window begins or ends, and promises nothing.
    Closed,
}

/// Room in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Places that nobody was promised; nothing where nothing is known.
    pub open: Option<u32>,
    /// How that is known.
    pub known: Known,
}

impl Room {
    /// Whether a booking of the window would be refused by the lot itself.
    fn is_refused(self) -> bool {
        matches!(self.known, Known::Paused | Known::Closed)
    }
}

/// What a lot has for a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Places for it, now or in the window.
    pub free: u32,
    /// Room in the window asked for.
    pub room: Option<Room>,
    /// What a stay of that window costs, as a quote says; where the list goes by it and a tariff applies.
    pub price: Option<Amount>,
}

/// A lot that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its durable view.
    pub view: Arc<LotView>,
    /// How far away it is.
    pub metres: Option<u32>,
    /// What it has.
    pub offer: Offer,
    key: Key,
}

/// A page of a list.
#[derive(Clone, Debug, Default)]
pub struct FoundPage {
    /// In order.
    pub lots: Vec<Found>,
    /// After which key the next page begins; nothing on the last.
    pub next: Option<Key>,
}

/// Why a search is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "more than {0} lots may fit, and no more are compared by their room or price in a window; make `radius_km` \
     smaller, name a `city`, or sort by distance"
)]
pub struct TooWide(pub usize);

/// A lot in its place.
#[derive(Debug)]
struct Ranked {
    key: Key,
    view: Arc<LotView>,
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl Search {
    /// A page of the lots of a tenant that fit, after `after`, of those that `may_see` lets through.
    ///
    /// # Errors
    /// More lots than can be compared by their room in a window.
    pub fn page(
        &self,
        engine: &Engine,
        tenant: &str,
        may_see: impl Fn(&LotHandle) -> bool,
        (after, limit): (Option<&Key>, usize),
    ) -> Result<FoundPage, TooWide> {
        let candidates = Candidates {
            search: self,
            engine,
            tenant,
            may_see: &may_see,
            after: after.filter(|_| self.is_by_what_shows()).map(|after| self.place(after)),
            batch: limit + 1,
            ready: Vec::new().into_iter(),
            is_last: false,
        };
        let now = engine.now();
        match self.sort {
            Sort::Free | Sort::Price if self.compares_all() => {
                // So all are taken at once.
                let most = if self.is_by_price_alone() { PRICED_MAX } else { JUDGED_MAX };
                let candidates = Candidates { batch: most + 1, ..candidates };
                let all: Vec<Near> = candidates.take(most + 1).collect();
                if all.len() > most {
                    return Err(TooWide(most));
                }
                Ok(self.by_offer(all.into_iter(), now, (after, limit)))
            }
            Sort::Free | Sort::Price => Ok(self.by_offer(candidates, now, (after, limit))),
            Sort::Code | Sort::Distance => Ok(self.in_order(candidates, now, limit)),
        }
    }

    /// Whether all lots that may fit are compared, however many come onto the page.
    #[must_use]
    pub fn compares_all(&self) -> bool {
        self.window.is_some() && matches!(self.sort, Sort::Free | Sort::Price)
    }

    /// Whether the list's order is that of the candidates; else what a lot has is known when it was judged.
    fn is_by_what_shows(&self) -> bool {
        match self.sort {
            Sort::Code | Sort::Distance => true,
            Sort::Free => self.window.is_none() && self.needs.is_none(),
            Sort::Price => false,
        }
    }

    /// Where the index has what a cursor names.
    fn place(&self, key: &Key) -> Place {
        // A page by room begins with the greatest number, which is the smallest in a cursor.
        let free = u32::try_from(key.first).map_or(0, |first| u32::MAX - first);
        let free = if self.sort == Sort::Free { free } else { 0 };
        Place { free, metres: key.metres, code: key.code.clone() }
    }

    /// What the index can tell apart. What shows as free says nothing of a window.
    fn sought(&self) -> Sought<'_> {
        Sought {
            circle: self.circle.map(|circle| (circle.centre, circle.radius_km)),
            filter: &self.filter,
            free_min: if self.window.is_some() { 0 } else { self.free_min },
            by_slots: self.needs.is_some(),
            order: match self.sort {
                Sort::Code => Order::Code,
                Sort::Distance => Order::Distance,
                Sort::Free if self.window.is_none() => Order::Free,
                // All are compared: the index says soonest who lies in a circle.
                Sort::Free | Sort::Price if self.circle.is_some() => Order::Distance,
                Sort::Free | Sort::Price => Order::Code,
            },
        }
    }

    /// Judges one after the other until the page is full.
    fn in_order(&self, candidates: Candidates<'_>, now: Timestamp, limit: usize) -> FoundPage {
        let judged_max = if self.window.is_some() { JUDGED_MAX } else { usize::MAX };
        let mut page = FoundPage::default();
        let mut last = None;
        for (judged, Near { lot, metres, .. }) in candidates.enumerate() {
            if judged == judged_max {
                // What was judged is behind, whether it fits or not.
                page.next = last;
                break;
            }
            let key = || Key { first: 0, metres, code: lot.code().into() };
            if self.window.is_some() {
                last = Some(key());
            }
            let view = lot.view();
            let Some(offer) = self.offer(&view, now) else { continue };
            if page.lots.len() == limit {
                page.next = page.lots.last().map(|found| found.key.clone());
                break;
            }
            let metres = (self.sort == Sort::Distance).then_some(metres);
            page.lots.push(Found { view, metres, offer, key: key() });
        }
        page
    }

    /// Those with the most room, or the lowest price. Candidates by room come by what shows as free, which is the
    /// most that a lot may have now: when the page is full of better ones, no other can come onto it.
    fn by_offer(
        &self,
        candidates: impl Iterator<Item = Near>,
        now: Timestamp,
        (after, limit): (Option<&Key>, usize),
    ) -> FoundPage {
        let mut best: BinaryHeap<Ranked> = BinaryHeap::new();
        // Room changes between two batches, and a lot may come again.
        let mut seen = HashSet::new();
        for near in candidates {
            let worst = best.peek().filter(|_| best.len() > limit).map(|worst| &worst.key);
            let key = |first| Key { first, metres: near.metres, code: near.lot.code().into() };
            let shows_all = self.sort == Sort::Free && self.window.is_none();
            if shows_all && worst.is_some_and(|worst| *worst <= key(by_room(near.free))) {
                break;
            }
            if !seen.insert(near.lot.key()) {
                continue;
            }
            let view = near.lot.view();
            let Some(first) = self.first(&view, now) else { continue };
            // Most are told apart before their codes.
            let is_worse = |worst: &Key| (worst.first, worst.metres) < (first, near.metres);
            if worst.is_some_and(is_worse) {
                continue;
            }
            let key = key(first);
            if after.is_some_and(|after| key <= *after) {
                continue;
            }
            best.push(Ranked { key, view });
            if best.len() > limit + 1 {
                best.pop();
            }
        }
        let mut ranked = best.into_sorted_vec();
        let more = ranked.len() > limit;
        ranked.truncate(limit);
        let next = ranked.last().filter(|_| more).map(|last| last.key.clone());
        // Of the same view, so it has what it was put in its place for.
        let found = |Ranked { key, view }| {
            let metres = self.circle.is_some().then_some(key.metres);
            let offer = self.offer(&view, now)?;
            Some(Found { view, metres, offer, key })
        };
        FoundPage { lots: ranked.into_iter().filter_map(found).collect(), next }
    }

    /// Whether room is counted only for those that come onto the page.
    fn is_by_price_alone(&self) -> bool {
        self.sort == Sort::Price && self.free_min == 0
    }

    /// What puts a lot in its place in a list by what lots have, the best first; nothing when it is not what is asked
    /// for. Where the price alone decides, places are not counted: that is done for those that come onto the page.
    fn first(&self, view: &LotView, now: Timestamp) -> Option<u64> {
        let price = match self.window {
            Some(window) if self.is_by_price_alone() => {
                let refused = view.lot.check_offered(window).is_err();
                let spec = view.spec();
                (self.filter.fits(spec) && self.is_for(spec, refused)).then_some(())?;
                (!refused).then(|| self.price(view, window)).flatten()
            }
            _ => {
                let offer = self.offer(view, now)?;
                if self.sort != Sort::Price {
                    return Some(by_room(offer.free));
                }
                offer.price
            }
        };
        Some(price_rank(&view.spec().place.currency, price))
    }

    /// What one lot has for this search; nothing when it is not what is asked for.
    #[must_use]
    pub fn offer(&self, view: &LotView, now: Timestamp) -> Option<Offer> {
        self.filter.fits(view.spec()).then_some(())?;
        let offer = match self.window {
            None => Offer { free: self.free_now(view)?, room: None, price: None },
            Some(window) => {
                let room = self.room(view, window, now)?;
                let is_priced = self.sort == Sort::Price && !room.is_refused();
                let price = is_priced.then(|| self.price(view, window)).flatten();
                Offer { free: room.open.unwrap_or_default(), room: Some(room), price }
            }
        };
        (offer.free >= self.free_min).then_some(offer)
    }

    /// By the calculation of quotes and bookings. Nothing where no tariff applies or none can price the stay.
    fn price(&self, view: &LotView, window: Window) -> Option<Amount> {
        let vehicle_type = self.needs.as_ref().and_then(|needs| needs.vehicle_type.as_deref());
        let ask = Ask {
            window,
            slot: None,
            zone: None,
            vehicle_type: vehicle_type.map(Into::into),
            discounts: Box::default(),
            occupancy: view.occupancy(),
        };
        view.lot.quote(&ask).ok().flatten().map(|price| price.fee.total)
    }

    /// Places that show as free: of the slots that fit, when some are asked for. Nothing when none could fit.
    fn free_now(&self, view: &LotView) -> Option<u32> {
        let Some(needs) = &self.needs else { return Some(view.shown_counts().free) };
        let spec = view.spec();
        let needs = needs.in_lot(spec)?;
        let slots = spec.slot_indices().zip(&spec.slots);
        let mut fitting = slots.filter(|(_, slot)| needs.fit(slot)).peekable();
        fitting.peek()?;
        let free = fitting.filter(|(slot, _)| view.status(*slot) == Status::Free).count();
        u32::try_from(free).ok()
    }

    /// Whether a lot could ever take what is asked for, be there room or not. One that takes nothing at that time is
    /// found by whoever asks for nothing special, and so is one that only counts.
    fn is_for(&self, spec: &Spec, is_refused: bool) -> bool {
        if self.needs.is_none() && (is_refused || spec.kind == Kind::Counted) {
            return true;
        }
        let needs = self.needs.clone().unwrap_or_default().in_lot(spec);
        needs.is_some_and(|needs| spec.slots.iter().any(|slot| needs.fit(slot)))
    }

    /// Room in a window. A count is of now: it speaks for a window that begins about now, which is when a
    /// promise would show as held already.
    fn room(&self, view: &LotView, window: Window, now: Timestamp) -> Option<Room> {
        let spec = view.spec();
        let refused = view.lot.check_offered(window).err();
        self.is_for(spec, refused.is_some()).then_some(())?;
        if let Some(why) = refused {
            let known = if why == Rejection::LotPaused { Known::Paused } else { Known::Closed };
            return Some(Room { open: Some(0), known });
        }
        match spec.kind {
            Kind::Bayed => {
                let needs = self.needs.clone().unwrap_or_default().in_lot(spec)?;
                let open = view.lot.open_slots(&needs, window).count();
                Some(Room { open: u32::try_from(open).ok(), known: Known::Promises })
            }
            Kind::Counted => {
                let soon = window.from <= now.plus(spec.rules.hold_lead);
                let counts = view.shown_counts();
                Some(match soon && counts.unknown == 0 {
                    true => Room { open: Some(counts.free), known: Known::Count },
                    false => Room { open: None, known: Known::Nothing },
                })
            }
        }
    }
}

/// More room is less of this.
fn by_room(free: u32) -> u64 {
    u64::from(u32::MAX - free)
}

/// Amounts are comparable within a currency only, so the currency goes first; a lot without a price is last.
fn price_rank(currency: &str, price: Option<Amount>) -> u64 {
    const AMOUNT_BITS: u32 = 48;
    const LETTERS: u64 = 26;
    let Some(price) = price else { return u64::MAX };
    let letter = |rank: u64, letter: u8| rank * LETTERS + u64::from(letter.wrapping_sub(b'A'));
    let currency = currency.bytes().take(3).fold(0, letter);
    let amount = u64::try_from(price.0).unwrap_or_default().min((1 << AMOUNT_BITS) - 1);
    (currency << AMOUNT_BITS) | amount
}
