//! Answers, views and the log held against each other.

use std::collections::{BTreeMap, BTreeSet};

use lotkeeper_actors::LotHandle;
use lotkeeper_engine::ids::PassId;
use lotkeeper_engine::lot;
use lotkeeper_engine::lot::pass::{self, Allowance, Limit};
use lotkeeper_storage::{ClaimOutcome, Event};

use super::Crew;
use super::callers::{Answer, Letter, Request};
use crate::model::LotModel;

/// Records read at once.
const PAGE: usize = 131;

impl Crew {
    /// What was answered is shown, now and after every start.
    pub(super) fn promise(&mut self, number: usize, lot_seq: u64) -> Result<(), String> {
        let shown = self.process.lots[number].view().lot_seq;
        if shown < lot_seq {
            return Err(format!("L{number} answered {lot_seq} and shows {shown}"));
        }
        self.promised_seq[number] = self.promised_seq[number].max(lot_seq);
        Ok(())
    }

    pub(super) fn audit_answer(
        &mut self,
        request: &Request,
        lot_seq: u64,
        what: &ClaimOutcome,
    ) -> Result<(), String> {
        self.promise(request.lot, lot_seq)?;
        let register = &self.process.lots[request.lot].view().lot;
        let (told, shown) = match what {
            ClaimOutcome::Reservation(told) => {
                (told.version, register.reservation(told.id).map(|it| it.version))
            }
            ClaimOutcome::Scanned(_, Some(told)) | ClaimOutcome::Session(told) => {
                (told.version, register.stays().get(told.id).map(|it| it.version))
            }
            ClaimOutcome::Payment(told) => {
                (told.version, register.payments().get(told.id).map(|it| it.version))
            }
            ClaimOutcome::Pass(told) => {
                (told.version, register.passes().get(told.id).map(|it| it.version))
            }
            ClaimOutcome::Waiting(told) => {
                (told.version, register.waiting().get(told.id).map(|it| it.version))
            }
            ClaimOutcome::Shift(told) => {
                (told.version, register.shifts().get(told.id).map(|it| it.version))
            }
            ClaimOutcome::Violation(told) => {
                (told.version, register.violations().get(told.id).map(|it| it.version))
            }
            ClaimOutcome::Scanned(_, None)
            | ClaimOutcome::Lot { .. }
            | ClaimOutcome::Slot { .. }
            | ClaimOutcome::Count(..)
            | ClaimOutcome::Series(_)
            | ClaimOutcome::Tariffs => return Ok(()),
        };
        self.tally.count(answered(what));
        match shown {
            // It may have moved on since, never back.
            Some(shown) if shown >= told => Ok(()),
            other => Err(format!("{what:?} was answered, version {other:?} is shown")),
        }
    }

    /// The first answer under a key is the answer; but what changed nothing has no record to keep its key, and is decided
    /// afresh, so that a later one is kept which did change something.
    pub(super) fn remember(&mut self, request: Request, answer: Answer) -> Result<(), String> {
        let Answer::Done { lot_seq, answer: what, repeated } = &answer else { return Ok(()) };
        if let Some((_, Answer::Done { lot_seq: first_seq, answer: first, .. })) =
            self.kept.get(&request.key)
        {
            if !repeated || (first_seq, first) == (lot_seq, what) {
                return Ok(());
            }
            let (lot_seq, differs) =
                (*lot_seq, format!("{request:?} was answered {first:?}, now {what:?}"));
            self.read_log()?;
            if recorded_at(&self.log, &request) != Some(lot_seq) {
                return Err(differs);
            }
        }
        self.kept.insert(request.key, (request, answer));
        Ok(())
    }

    fn read_log(&mut self) -> Result<(), String> {
        let reader = self.process.engine.reader();
        self.log.clear();
        let durable = self.process.engine.seq();
        loop {
            let after = self.log.last().map_or(0, |record| record.seq);
            let page = reader.after(after, PAGE).map_err(|error| error.to_string())?;
            let taken = page.records.into_iter().filter(|record| record.seq <= durable);
            let before = self.log.len();
            self.log.extend(taken);
            if self.log.len() == before {
                return Ok(());
            }
        }
    }

    /// The log has everything once, in order, and says what is shown.
    pub(super) fn audit_log(&mut self) -> Result<(), String> {
        self.read_log()?;
        let mut lot_seqs = vec![0; self.process.lots.len()];
        let mut made = BTreeSet::new();
        let mut keys = BTreeSet::new();
        for (seq, record) in (1..).zip(&self.log) {
            let lot_seq = &mut lot_seqs[record.lot.0 as usize];
            *lot_seq += 1;
            if record.seq != seq || record.lot_seq != *lot_seq {
                return Err(format!("record {seq} ({lot_seq} of its lot) is {record:?}"));
            }
            if let Event::Lot(lot::Event::Reserved(reserved)) = &record.event
                && !made.insert(reserved.id)
            {
                return Err(format!("{} was made twice", reserved.id));
            }
            if let Some(claim) = record.claim
                && !keys.insert(claim.key)
            {
                return Err(format!("{:?} took effect twice: {record:?}", claim.key));
            }
        }
        self.trace.value(self.log.len() as u64);
        self.tally.count("audit.log");
        self.count_guests();
        self.audit_uses()?;
        self.audit_views()
    }

    /// The log, told to the first tier's model, is a story without a mistake and ends as it is shown.
    fn audit_story(&self) -> Result<(), String> {
        let mut models: Vec<LotModel> = Vec::new();
        for record in &self.log {
            let Event::Lot(event) = &record.event else { continue };
            match event {
                lot::Event::Created(spec) => models.push(LotModel::new(spec.clone())),
                event => models[record.lot.0 as usize].apply(event, record.at),
            }
        }
        for (number, model) in models.iter().enumerate() {
            let shown = &self.process.lots[number].view().lot;
            let wrong = model.differs_wholly_from(shown).or_else(|| model.waits_in_vain());
            if let Some(wrong) = wrong {
                return Err(format!("L{number}: {wrong}"));
            }
        }
        Ok(())
    }

    fn count_guests(&mut self) {
        for record in &self.log {
            self.tally.count(match &record.event {
                Event::Lot(lot::Event::Pass(pass::Event::Honoured { .. })) => "log.honoured",
                Event::Lot(lot::Event::Pass(pass::Event::Followed { .. })) => "log.followed",
                _ => continue,
            });
        }
    }

    /// Of a pass of the tenant all lots together let in no more than may be.
    fn audit_uses(&self) -> Result<(), String> {
        let mut entries_max = BTreeMap::new();
        let mut entries: BTreeMap<(PassId, i64), u32> = BTreeMap::new();
        for record in &self.log {
            match &record.event {
                Event::Lot(lot::Event::Pass(pass::Event::Issued { id, terms, .. })) => {
                    if let Some(Allowance { limit: Limit::Entries(most), .. }) = terms.allowance {
                        entries_max.insert(*id, most);
                    }
                }
                Event::Lot(lot::Event::Pass(pass::Event::Honoured { id, period, .. })) => {
                    let sum = entries.entry((*id, *period)).or_default();
                    *sum += 1;
                    if entries_max.get(id).is_some_and(|most| *sum > *most) {
                        return Err(format!("{record:?} is entry {sum} by its pass"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// In the end every lot knows where the passes of other lots are that were used in it.
    pub(super) fn audit_guests(&mut self) -> Result<(), String> {
        let views: Vec<_> = self.process.lots.iter().map(LotHandle::view).collect();
        for (number, view) in views.iter().enumerate() {
            for guest in view.lot.passes().guests() {
                self.tally.count("guest.followed");
                let home = views.iter().find_map(|view| view.lot.passes().get(guest.id));
                let state = home.map_or(pass::State::Ended, |home| home.state);
                if guest.state != state {
                    return Err(format!("L{number} knows {guest:?}, which is {state:?}"));
                }
            }
        }
        Ok(())
    }

    fn audit_views(&self) -> Result<(), String> {
        self.audit_story()?;
        for (number, replayed) in self.replayed().iter().enumerate() {
            let shown = self.process.lots[number].view();
            if let Some(broken) = shown.broken().into_iter().chain(replayed.broken()).next() {
                return Err(format!("L{number}: {broken}"));
            }
            let same = shown.lot == replayed.register
                && shown.slots.iter().eq(&replayed.slots)
                && shown.counts == replayed.counts
                && shown.lot_seq == replayed.lot_seq;
            if !same {
                return Err(format!(
                    "L{number} shows otherwise than its log: {shown:?}, {replayed:?}"
                ));
            }
        }
        Ok(())
    }

    /// After all that, every actor lives, every permit is back, and every key has its first answer.
    pub(super) async fn audit_alive(&mut self) -> Result<(), String> {
        for number in 0..self.desk.lots {
            let readings = self.desk.readings(&mut self.dice, self.clock.now());
            let readings: Vec<_> = readings.into_iter().take(self.permits).collect();
            let lot = self.process.lots[number].clone();
            self.mailbox.readings(&self.process.engine, (number, &lot), readings);
            self.settle().await;
            match self.mailbox.take() {
                Some(Letter::Readings(_, _, Ok(done))) => self.promise(number, done.lot_seq)?,
                other => return Err(format!("L{number} takes no readings any more: {other:?}")),
            }
        }
        let kept: Vec<(Request, Answer)> = self.kept.values().rev().take(20).cloned().collect();
        for (request, first) in kept {
            let lot = self.process.lots[request.lot].clone();
            self.mailbox.command(&self.process.engine, &lot, request.clone());
            self.settle().await;
            match (self.mailbox.take(), first) {
                (
                    Some(Letter::Command(_, Answer::Done { lot_seq, answer, repeated: true })),
                    Answer::Done { lot_seq: first_seq, answer: first, .. },
                ) if (lot_seq, &answer) == (first_seq, &first) => self.tally.count("answer.again"),
                // The first one changed nothing, and a later one did.
                (
                    Some(Letter::Command(_, Answer::Done { lot_seq, repeated: true, .. })),
                    Answer::Done { lot_seq: first_seq, .. },
                ) if lot_seq > first_seq && recorded_at(&self.log, &request) == Some(lot_seq) => {
                    self.tally.count("answer.of_a_later_one");
                }
                // Without a record of its own it is decided afresh.
                (Some(Letter::Command(_, answer)), _)
                    if recorded_at(&self.log, &request).is_none() =>
                {
                    self.count_afresh(&answer);
                }
                (other, first) => {
                    return Err(format!("{request:?} was answered {first:?}, at last {other:?}"));
                }
            }
        }
        Ok(())
    }

    fn count_afresh(&mut self, answer: &Answer) {
        self.tally.count(match answer {
            Answer::Done { .. } => "answer.afresh",
            Answer::Refused(_) | Answer::Unknown => "answer.afresh_refused",
        });
    }
}

fn answered(what: &ClaimOutcome) -> &'static str {
    match what {
        ClaimOutcome::Reservation(_) => "answered.reservation",
        ClaimOutcome::Scanned(..) => "answered.scan",
        ClaimOutcome::Session(_) => "answered.stay",
        ClaimOutcome::Payment(_) => "answered.payment",
        ClaimOutcome::Pass(_) => "answered.pass",
        ClaimOutcome::Waiting(_) => "answered.waiting",
        ClaimOutcome::Shift(_) => "answered.shift",
        ClaimOutcome::Violation(_) => "answered.violation",
        _ => "answered.other",
    }
}

/// The lot's sequence of what a request did under its key.
fn recorded_at(log: &[lotkeeper_storage::Record], request: &Request) -> Option<u64> {
    let key = u128::from(request.key);
    log.iter().find(|it| it.claim.is_some_and(|claim| claim.key.0 == key)).map(|it| it.lot_seq)
}
