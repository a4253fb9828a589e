//! The auditor: what is shown and what is recorded must be what was predicted.

use lotkeeper_engine::ids::{LotKey, ReservationId};
use lotkeeper_engine::invariants;
use lotkeeper_engine::lot::Register;
use lotkeeper_storage::{JournalError, Record};

use super::Episode;

/// Records read at once.
const PAGE: usize = 257;

impl Episode {
    /// After records of a lot were shown.
    pub(super) fn audit_view(&self, lot: usize, moved: &[ReservationId]) -> Result<(), String> {
        let view = &self.node.lots[lot].view;
        let expected = &self.expected[lot];
        if let Some(broken) = view.broken().first() {
            return Err(format!("view of L{lot}: {broken}"));
        }
        if let Some(difference) = expected.lot.durable.differs_from(&view.register, moved) {
            return Err(format!("view of L{lot}: {difference}"));
        }
        let slots = expected.slots.iter().zip(&view.slots);
        match slots.filter_map(|(model, slot)| model.durable.differs_from(slot)).next() {
            Some(difference) => Err(format!("view of L{lot}: {difference}")),
            None => Ok(()),
        }
    }

    /// When nothing is in flight: actors and views say the same, to the last remembered reservation.
    pub(super) fn audit_all(&self) -> Result<(), String> {
        for (lot, expected) in self.expected.iter().enumerate() {
            let node = &self.node.lots[lot];
            let ids: Vec<ReservationId> = expected.lot.durable.bookings.keys().copied().collect();
            self.audit_view(lot, &ids)?;
            let wholly = |register: &Register| expected.lot.durable.differs_wholly_from(register);
            if let Some(difference) = wholly(&node.view.register) {
                return Err(format!("view of L{lot}: {difference}"));
            }
            let Some(actor) = &node.actor else {
                return Err(format!("L{lot} did not come back, and nothing is in flight"));
            };
            if let Some(difference) = expected.lot.ahead.differs_wholly_from(actor.register()) {
                return Err(format!("L{lot}: {difference}"));
            }
            if let Some(broken) = invariants::check_lot(actor).first() {
                return Err(format!("L{lot}: {broken}"));
            }
            for (index, (model, slot)) in expected.slots.iter().zip(&node.slots).enumerate() {
                let Some(slot) = slot else {
                    return Err(format!("slot {index} of L{lot} did not come back"));
                };
                if let Some(difference) = model.ahead.differs_from(slot) {
                    return Err(format!("L{lot}: {difference}"));
                }
            }
        }
        Ok(())
    }

    /// The newest `records_max` of the log, read as anybody reads them, are what was committed: in order, once.
    pub(super) fn audit_log(&self, records_max: u64) -> Result<(), String> {
        let reader = self.node.reader();
        let after = (self.first_seq - 1).max(self.committed_seq.saturating_sub(records_max));
        let kept = &self.log[usize::try_from(after).unwrap_or(usize::MAX)..];
        let all = read(after, &mut |after| reader.after(after, PAGE), |it| it.seq)?;
        same(&all, kept.iter(), "the log")?;
        if self.first_seq > 1 {
            match reader.after(0, PAGE) {
                Err(JournalError::Pruned { first_seq }) if first_seq == self.first_seq => {}
                other => {
                    return Err(format!(
                        "what is pruned was read: {:?}",
                        other.map(|it| it.first_seq)
                    ));
                }
            }
        }
        for lot in 0..self.expected.len() {
            let key = LotKey(u32::try_from(lot).unwrap_or(u32::MAX));
            let mut of_lot = kept.iter().filter(|record| record.lot == key).peekable();
            let Some(first) = of_lot.peek().map(|record| record.lot_seq) else { continue };
            let mut page = |after| reader.lot_after(key, after, PAGE);
            let found = read(first - 1, &mut page, |it| it.lot_seq)?;
            same(&found, of_lot, &format!("the log of L{lot}"))?;
        }
        Ok(())
    }
}

fn read(
    mut after: u64,
    page: &mut dyn FnMut(u64) -> Result<lotkeeper_storage::Page, JournalError>,
    place: impl Fn(&Record) -> u64,
) -> Result<Vec<Record>, String> {
    let mut all = Vec::new();
    loop {
        let records =
            page(after).map_err(|error| format!("reading after {after}: {error}"))?.records;
        let Some(last) = records.last() else { return Ok(all) };
        after = place(last);
        all.extend(records);
    }
}

fn same<'a>(
    found: &[Record],
    wanted: impl Iterator<Item = &'a Record>,
    what: &str,
) -> Result<(), String> {
    let mut found = found.iter();
    for record in wanted {
        match found.next() {
            Some(it) if it == record => {}
            other => return Err(format!("{what} has {other:?} instead of {record:?}")),
        }
    }
    match found.next() {
        Some(extra) => Err(format!("{what} has {extra:?} after its end")),
        None => Ok(()),
    }
}
