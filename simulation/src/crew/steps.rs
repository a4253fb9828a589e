//! What can happen next among the actors.

use lotkeeper_actors::CatchUp;
use lotkeeper_engine::ids::SlotIndex;
use lotkeeper_engine::spec::{Size, SlotSpec};
use lotkeeper_storage::FaultPlan;

use super::callers::{Answer, Letter};
use super::{Crew, Process};
use crate::node::View;
use crate::workload::lot;

const NAMES: [&str; 11] = [
    "step.ask",
    "step.read",
    "step.turns",
    "step.commit",
    "step.publish",
    "step.wait",
    "step.tick",
    "step.kill",
    "step.follow",
    "step.settle",
    "step.crash",
];
const WEIGHTS: [u32; NAMES.len()] = [120, 100, 160, 90, 90, 50, 40, 24, 60, 6, 2];

impl Crew {
    /// The lots come to be.
    pub(super) async fn begin(&mut self) -> Result<(), String> {
        for number in 0..self.desk.lots {
            let mut spec = lot(&mut self.dice, number, super::START, (1, false));
            let slot = spec.slots.first().cloned();
            spec.kind = lotkeeper_engine::spec::Kind::Bayed;
            spec.slots = (0..self.desk.slots)
                .zip(std::iter::repeat(slot))
                .filter_map(|(at, slot)| slot.map(|slot| (at, slot)))
                .map(|(at, mut slot)| {
                    if self.desk.errands.is_season {
                        slot = SlotSpec { size: Size::Large, ..SlotSpec::default() };
                    }
                    slot.code = format!("A-{at}").into();
                    slot.id.0 =
                        uuid::Uuid::from_u128(u128::from(at) + 1_000 * (1 + number as u128));
                    slot
                })
                .collect();
            if spec.slots.is_empty() {
                continue;
            }
            spec.capacity = u32::try_from(self.desk.slots).unwrap_or(u32::MAX);
            let engine = self.process.engine.clone();
            let created = tokio::spawn(async move { engine.create_lot(spec, None).await });
            self.settle().await;
            let done = created.await.map_err(|error| error.to_string())?;
            done.map_err(|error| format!("lot {number}: {error}"))?;
        }
        self.process.lots = self.process.engine.all_lots();
        self.process.read_to = vec![0; self.process.lots.len()];
        self.promised_seq = vec![0; self.process.lots.len()];
        self.desk.lots = self.process.lots.len();
        Ok(())
    }

    pub(super) async fn step(&mut self) -> Result<(), String> {
        let kind = self.dice.weighted(&WEIGHTS);
        self.trace.step(u8::try_from(kind).unwrap_or(u8::MAX));
        self.tally.count(NAMES[kind]);
        if self.desk.lots == 0 {
            return Ok(());
        }
        match kind {
            0 => self.ask(),
            1 => self.read(),
            2 => {
                let turns = self.dice.below(12);
                self.turns(turns).await;
            }
            3 => self.process.pump.commit(),
            4 => drop(self.process.pump.publish()),
            5 => self.clock.advance(self.dice.count(0, 240)),
            6 => self.process.engine.tick(),
            7 => self.kill(),
            8 => self.follow()?,
            9 => self.settle().await,
            _ => self.crash().await?,
        }
        self.open_letters()?;
        if self.process.failed.load(std::sync::atomic::Ordering::SeqCst) {
            // Whoever waits is told before the process ends.
            self.settle().await;
            self.open_letters()?;
            self.tally.count("end.commit_failed");
            self.crash().await?;
        }
        Ok(())
    }

    fn ask(&mut self) {
        let request = self.desk.request(&mut self.dice, self.clock.now());
        let now = self.clock.now();
        self.trace.note(|| format!("{now} asks {request:?}"));
        let lot = self.process.lots[request.lot].clone();
        self.mailbox.command(&self.process.engine, &lot, request);
    }

    fn read(&mut self) {
        let readings = self.desk.readings(&mut self.dice, self.clock.now());
        let number = self.dice.index(self.desk.lots);
        let lot = self.process.lots[number].clone();
        self.trace.note(|| format!("L{number} reads {readings:?}"));
        self.mailbox.readings(&self.process.engine, (number, &lot), readings);
    }

    fn kill(&mut self) {
        let number = self.dice.index(self.desk.lots);
        let slot = (!self.dice.one_in(3)).then(|| {
            SlotIndex(u16::try_from(self.dice.below(self.desk.slots)).unwrap_or_default())
        });
        self.trace.note(|| format!("L{number} {slot:?} is killed"));
        self.process.engine.kill(&self.process.lots[number], slot);
    }

    /// Answers that arrived, in order. From its answer on, a write is seen by every read.
    pub(super) fn open_letters(&mut self) -> Result<(), String> {
        while let Some(letter) = self.mailbox.take() {
            self.trace.note(|| format!("told {letter:?}"));
            match letter {
                Letter::Command(request, answer) => {
                    self.count(&answer);
                    if let Answer::Done { lot_seq, answer: what, repeated } = &answer {
                        self.trace.value(*lot_seq);
                        self.trace.value(u64::from(*repeated));
                        self.audit_answer(&request, *lot_seq, what)?;
                    }
                    self.remember(*request, answer)?;
                }
                Letter::Readings(number, sent, Ok(done)) => {
                    let told =
                        u64::from(done.accepted + done.unchanged + done.duplicate + done.late);
                    let told = told + done.refused.len() as u64;
                    if told != sent.len() as u64 {
                        return Err(format!(
                            "{told} of {} readings were answered: {done:?}",
                            sent.len()
                        ));
                    }
                    self.trace.value(done.lot_seq);
                    self.tally.add("reading.accepted", u64::from(done.accepted));
                    self.tally.add("reading.unchanged", u64::from(done.unchanged));
                    self.tally.add("reading.late", u64::from(done.late));
                    self.promise(number, done.lot_seq)?;
                }
                Letter::Readings(..) => self.tally.count("reading.not_taken"),
            }
        }
        Ok(())
    }

    fn count(&mut self, answer: &Answer) {
        self.tally.count(match answer {
            Answer::Done { repeated: true, .. } => "answer.repeated",
            Answer::Done { repeated: false, .. } => "answer.done",
            Answer::Refused(_) => "answer.refused",
            Answer::Unknown => "answer.unknown",
        });
    }

    /// Reads on in the rings: every sequence once, in order.
    fn follow(&mut self) -> Result<(), String> {
        for (number, lot) in self.process.lots.iter().enumerate() {
            let read_to = &mut self.process.read_to[number];
            match lot.ring().after(*read_to, 1_000) {
                CatchUp::Batches(batches) => {
                    for change in batches.iter().flat_map(|batch| &batch.changes) {
                        if change.seq != *read_to + 1 {
                            return Err(format!(
                                "ring of L{number}: {} after {read_to}",
                                change.seq
                            ));
                        }
                        *read_to = change.seq;
                    }
                }
                CatchUp::UpToDate => {}
                other => {
                    // It holds a thousand; nobody is that far behind here.
                    return Err(format!("ring of L{number} after {read_to}: {other:?}"));
                }
            }
            if *read_to > lot.view().lot_seq {
                return Err(format!("ring of L{number} is ahead of the view"));
            }
        }
        Ok(())
    }

    /// The process ends between two steps and starts on what its disk kept.
    pub(super) async fn crash(&mut self) -> Result<(), String> {
        let cut = self.dice.one_in(2);
        self.tally.count(if cut { "end.power_cut" } else { "end.killed" });
        self.trace.note(|| format!("the process ends, power cut: {cut}"));
        let plan = self.plan_faults();
        self.restart(plan, cut).await?;
        self.audit_log()
    }

    async fn restart(&mut self, plan: FaultPlan, power_cut: bool) -> Result<(), String> {
        // What is in the mailbox now came before the end; whoever still waits hears nothing any more.
        self.open_letters()?;
        self.mailbox = super::Mailbox::default();
        self.process.engine.abandon().await;
        if power_cut {
            self.store.power_cut();
        }
        let started = Process::start(&self.store, plan, &self.clock, self.permits).await?;
        self.process = started.0;
        self.trace.value(started.1);
        for (number, lot) in self.process.lots.iter().enumerate() {
            let (shown, promised) = (lot.view().lot_seq, self.promised_seq[number]);
            if shown < promised {
                return Err(format!(
                    "L{number} was answered up to {promised} and is back at {shown}"
                ));
            }
        }
        Ok(())
    }

    /// Everything in flight arrives; the log, replayed, is what is shown.
    pub(super) async fn finish(&mut self) -> Result<(), String> {
        for _ in 0..3 {
            self.settle().await;
            self.open_letters()?;
        }
        self.follow()?;
        // What may still go wrong with a commit must not go wrong with the last questions.
        self.restart(FaultPlan::none(), false).await?;
        // A pass may run out at the first look, and other lots hear of it at the next one.
        for _ in 0..3 {
            self.process.engine.tick();
            self.settle().await;
        }
        self.audit_log()?;
        self.audit_guests()?;
        self.audit_alive().await
    }

    /// A view from the log alone.
    pub(super) fn replayed(&self) -> Vec<View> {
        let mut views: Vec<View> = Vec::new();
        for record in &self.log {
            match &record.event {
                lotkeeper_storage::Event::Lot(lotkeeper_engine::lot::Event::Created(spec)) => {
                    views.push(View::new(spec, record));
                }
                _ => views[record.lot.0 as usize].apply(record),
            }
        }
        views
    }
}
