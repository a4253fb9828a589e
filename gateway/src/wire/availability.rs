//! Counts by status, as HTTP answers and the stream's `counts` view show them.

use lotkeeper_actors::LotView;
use lotkeeper_engine::counts::Counts;
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::time::{Timestamp, Window};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::instant::Instant;
use super::names::{Condition, Size};

/// Places by status: `free + occupied + held + unknown + out_of_service = capacity`, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Counts)]
pub struct CountsBody {
    /// All places.
    pub capacity: u32,
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

impl From<&Counts> for CountsBody {
    fn from(counts: &Counts) -> Self {
        Self {
            capacity: counts.capacity(),
            free: counts.free,
            occupied: counts.occupied,
            held: counts.held,
            unknown: counts.unknown,
            out_of_service: counts.out_of_service,
        }
    }
}

/// Groups by name, written as an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups<'a>(pub Vec<(&'a str, CountsBody)>);

impl serde::Serialize for Groups<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, counts) in &self.0 {
            map.serialize_entry(name, counts)?;
        }
        map.end()
    }
}

/// What a lot shows as a whole and by its groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Shown<'a> {
    /// The lot: its count where it is counted, else its slots.
    #[serde(flatten)]
    pub counts: CountsBody,
    /// Its slots by zone.
    #[schema(value_type = std::collections::BTreeMap<String, CountsBody>)]
    pub by_zone: Groups<'a>,
    /// Its slots by size, and by feature where a slot has any.
    #[schema(value_type = std::collections::BTreeMap<String, CountsBody>)]
    pub by_type: Groups<'a>,
}

impl<'a> Shown<'a> {
    /// Of a view.
    #[must_use]
    pub fn of(view: &'a LotView) -> Self {
        let spec = view.spec();
        let zones = spec.zones.iter().zip(&view.counts.by_zone);
        let sizes = Size::ALL.iter().map(|size| size.text()).zip(&view.counts.by_size);
        let features = spec.features.iter().map(|name| &**name).zip(&view.counts.by_feature);
        let any = |(_, counts): &(&str, &Counts)| counts.capacity() > 0;
        let by_type = sizes.chain(features).filter(any).map(|(name, c)| (name, c.into()));
        Self {
            counts: (&view.shown_counts()).into(),
            by_zone: Groups(zones.map(|(zone, counts)| (&*zone.code, counts.into())).collect()),
            by_type: Groups(by_type.collect()),
        }
    }
}

/// The count of a counted lot, raw and judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counted {
    /// Vehicles inside as counted: below zero or above the capacity when counters err.
    pub occupied: i64,
    /// Places.
    pub capacity: u32,
    /// Whether the count can be true.
    pub condition: Condition,
    /// When it was last counted; left out before the first count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Instant>,
    /// The last absolute count minus what the flows since the one before said.
    pub drift: i64,
}

impl Counted {
    /// Of a view; nothing for a lot without a counter.
    #[must_use]
    pub fn of(view: &LotView) -> Option<Self> {
        let tally = view.lot.tally()?;
        let capacity = view.spec().capacity;
        Some(Self {
            occupied: tally.occupied,
            capacity,
            condition: tally.condition(capacity).into(),
            observed_at: tally.observed_at.map(Instant),
            drift: tally.drift,
        })
    }
}

/// The counts of a lot now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Availability<'a> {
    /// Code of the lot.
    pub lot: &'a str,
    /// Changes when history may have shrunk.
    pub epoch: String,
    /// The lot's sequence it is as of.
    pub seq: u64,
    /// The server's time of the answer.
    pub as_of: Instant,
    /// The counts.
    #[serde(flatten)]
    pub shown: Shown<'a>,
    /// The raw count; counted lots only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
}

impl<'a> Availability<'a> {
    /// Of a view.
    #[must_use]
    pub fn of(view: &'a LotView, epoch: u64, now: Timestamp) -> Self {
        Self {
            lot: &view.spec().code,
            epoch: epoch_text(epoch),
            seq: view.lot_seq,
            as_of: Instant(now),
            shown: Shown::of(view),
            counted: Counted::of(view),
        }
    }
}

/// An epoch on the wire.
#[must_use]
pub fn epoch_text(epoch: u64) -> String {
    format!("{epoch:016x}")
}

/// The counts of a lot now, in brief: part of a lot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LotAvailability {
    /// The lot's sequence it is as of.
    pub seq: u64,
    /// The server's time of the answer.
    pub as_of: Instant,
    /// The counts.
    #[serde(flatten)]
    pub counts: CountsBody,
}

impl LotAvailability {
    /// Of a view.
    #[must_use]
    pub fn of(view: &LotView, now: Timestamp) -> Self {
        let counts = (&view.shown_counts()).into();
        Self { seq: view.lot_seq, as_of: Instant(now), counts }
    }
}

/// The slots that nobody was promised for a window.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OpenSlots<'a> {
    /// Code of the lot.
    pub lot: &'a str,
    /// The lot's sequence it is as of.
    pub seq: u64,
    /// The first instant of the window.
    pub from: Instant,
    /// The first instant after it.
    pub to: Instant,
    /// How many there are.
    pub open: usize,
    /// The first `limit` of them by code, in the lot's order.
    pub slots: Vec<&'a str>,
    /// `lot_paused` or `lot_closed`, where a booking of the window would be refused with it; there are no slots then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<&'static str>,
}

impl<'a> OpenSlots<'a> {
    /// Of the slots that are open, in the order of the lot.
    #[must_use]
    pub fn of(view: &'a LotView, window: Window, open: &[SlotIndex], limit: usize) -> Self {
        let spec = view.spec();
        let codes = open.iter().take(limit).filter_map(|slot| spec.slot(*slot));
        Self {
            lot: &spec.code,
            seq: view.lot_seq,
            from: Instant(window.from),
            to: Instant(window.to),
            open: open.len(),
            slots: codes.map(|slot| &*slot.code).collect(),
            refused: None,
        }
    }
}

/// How much room a lot has: counts now, or the slots that are open for a window.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum AvailabilityAnswer<'a> {
    /// Without `from` and `to`.
    Now(Availability<'a>),
    /// With them.
    Window(OpenSlots<'a>),
}
