//! `name,last_update_local,uploaded_local,occupancy,capacity,status`: car parks of Bath, counted
//! at their barriers.
//!
//! Rows are in upload order. A count observed after its own upload by more than the skew is a
//! wrong clock: it is not sent, for it would hold the lot in the future and make every true count
//! after it late. Late counts are sent: the server says so. A count above the capacity is sent as
//! it is: the server shows `unknown`, and nobody clips it.

use csv::StringRecord;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::clock::{self, Candidates};
use super::item::{Fault, Item, Name, Notes};
use super::parser::{Columns, Parsed};
use super::plan::{BATH, Kind, Plan};

pub(super) const HEADER: [&str; 5] =
    ["name", "last_update_local", "uploaded_local", "occupancy", "capacity"];

#[derive(Debug)]
pub(super) struct Bath {
    columns: Columns<5>,
    zone: TimeZone,
    skew: SignedDuration,
    previous_upload: Option<Timestamp>,
}

impl Bath {
    pub(super) fn new(columns: Columns<5>, zone: TimeZone, skew: SignedDuration) -> Self {
        Self { columns, zone, skew, previous_upload: None }
    }

    pub(super) fn parse(
        &mut self,
        record: &StringRecord,
        plan: &mut Plan,
    ) -> Result<Parsed, String> {
        let [name, observed, uploaded, occupancy, capacity] = self.columns.of(record)?;
        let local = |field: &str, text| {
            Candidates::of(&self.zone, text).map_err(|error| format!("{field} {error}"))
        };
        let observed = local("last_update_local", observed)?;
        let uploaded = local("uploaded_local", uploaded)?;
        let occupied = whole("occupancy", occupancy, 0)?;
        let capacity = whole("capacity", capacity, 1)?;
        let index = plan.lot(name, Kind::Counted, &BATH).map_err(|e| format!("name {e}"))?;
        let (observed_at, uploaded_at) =
            clock::observation_and_upload(observed, uploaded, self.previous_upload);
        self.previous_upload = Some(uploaded_at);
        plan.observed(observed_at);

        let lot = &mut plan.lots[index];
        lot.capacity.get_or_insert(capacity);
        let lot = Name::clone(&lot.code);
        let ahead = observed_at.duration_since(uploaded_at);
        let item = if ahead > self.skew {
            Item::Skipped(Fault::Early { ahead_seconds: ahead.as_secs() })
        } else {
            Item::Count { lot, occupied, capacity, observed_at }
        };
        let notes = Notes { above_capacity: occupied > capacity, local_time: observed.local_time };
        Ok(Parsed { clock: Some(uploaded_at), item, notes })
    }
}

fn whole(field: &str, text: &str, least: u32) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|number| *number >= least)
        .ok_or_else(|| format!("{field} {text:?} is not a whole number of {least} or more"))
}
