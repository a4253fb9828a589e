//! `ts,bay,event,area`: in-ground bay sensors of the City of Melbourne, 2016.
//!
//! Times are local wall clock to the minute, so many rows of one bay share their instant. The
//! ordinal of the row among its bay's rows is sent as the source's sequence: (observed, sequence)
//! then rises strictly in file order, and a second replay of the file repeats it exactly.

use csv::StringRecord;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::clock::Candidates;
use super::item::{Item, Name, Notes};
use super::parser::{Columns, Parsed};
use super::plan::{Kind, MELBOURNE, Plan};

pub(super) const HEADER: [&str; 4] = ["ts", "bay", "event", "area"];

#[derive(Debug)]
pub(super) struct Melbourne2016 {
    columns: Columns<4>,
    zone: TimeZone,
    previous: Option<Timestamp>,
}

impl Melbourne2016 {
    pub(super) fn new(columns: Columns<4>, zone: TimeZone) -> Self {
        Self { columns, zone, previous: None }
    }

    pub(super) fn parse(
        &mut self,
        record: &StringRecord,
        plan: &mut Plan,
    ) -> Result<Parsed, String> {
        let [ts, bay, event, area] = self.columns.of(record)?;
        let candidates = Candidates::of(&self.zone, ts).map_err(|error| format!("ts {error}"))?;
        let occupied = match event {
            "arrive" => true,
            "depart" => false,
            other => return Err(format!("event {other:?} is neither arrive nor depart")),
        };
        if bay.is_empty() {
            return Err("bay is empty".to_owned());
        }
        let index = plan.lot(area, Kind::Bayed, &MELBOURNE).map_err(|e| format!("area {e}"))?;
        let observed_at = candidates.in_file_order(self.previous);
        self.previous = Some(observed_at);
        plan.observed(observed_at);

        let lot = &mut plan.lots[index];
        let slot = lot.slot(bay);
        slot.rows += 1;
        let (slot, sequence) = (Name::clone(&slot.code), Some(slot.rows));
        let lot = Name::clone(&lot.code);
        Ok(Parsed {
            clock: Some(observed_at),
            item: Item::Reading { lot, slot, occupied, observed_at, sequence },
            notes: Notes { local_time: candidates.local_time, ..Notes::default() },
        })
    }
}
