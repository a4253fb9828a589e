//! Callers and devices: each request is a task of its own, and its answer comes to the mailbox.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use lotkeeper_actors::{CommandError, Done, Engine, LotHandle, ReadingsDone, SlotReading};
use lotkeeper_engine::ids::{Pseudonym, ReservationId, SlotIndex};
use lotkeeper_engine::lot::{Caller, Choice, Command, Needs, Reserve};
use lotkeeper_engine::slot::{Reading, Source};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use lotkeeper_storage::{Claim, ClaimKey, ClaimOutcome};
use uuid::Uuid;

use super::errands::Errands;
use crate::dice::Dice;

/// A command under an idempotency key; the same again is word by word the same.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub lot: usize,
    pub key: u64,
    pub command: Command,
}

/// What a caller was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is so, as of the lot's sequence; whether the key had been answered before.
    Done { lot_seq: u64, answer: ClaimOutcome, repeated: bool },
    /// No, or not now.
    Refused(String),
    /// Nobody knows.
    Unknown,
}

/// What came to the mailbox.
#[derive(Debug)]
pub(super) enum Letter {
    Command(Box<Request>, Answer),
    Readings(usize, Vec<SlotReading>, Result<ReadingsDone, String>),
}

/// Where answers arrive, in the order in which they were given.
#[derive(Clone, Default)]
pub(super) struct Mailbox(Arc<Mutex<VecDeque<Letter>>>);

impl Mailbox {
    fn put(&self, letter: Letter) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(letter);
    }

    pub fn take(&self) -> Option<Letter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Sends a command.
    pub fn command(&self, engine: &Engine, lot: &LotHandle, request: Request) {
        let claim = Claim {
            key: ClaimKey(u128::from(request.key)),
            fingerprint: request.key.wrapping_mul(31),
        };
        let asked = engine.command(lot, request.command.clone(), Some(claim));
        let mailbox = self.clone();
        match asked {
            Err(error) => mailbox.put(Letter::Command(Box::new(request), answer(Err(error)))),
            Ok(asked) => {
                tokio::spawn(async move {
                    let answer = answer(asked.await);
                    mailbox.put(Letter::Command(Box::new(request), answer));
                });
            }
        }
    }

    /// Sends readings.
    pub fn readings(&self, engine: &Engine, lot: (usize, &LotHandle), readings: Vec<SlotReading>) {
        let (number, handle) = lot;
        let mailbox = self.clone();
        match engine.readings(handle, readings.clone(), None) {
            Err(error) => mailbox.put(Letter::Readings(number, readings, Err(error.to_string()))),
            Ok(asked) => {
                tokio::spawn(async move {
                    let answer = asked.await.map_err(|error| error.to_string());
                    mailbox.put(Letter::Readings(number, readings, answer));
                });
            }
        }
    }
}

fn answer(answer: Result<Done, CommandError>) -> Answer {
    match answer {
        Ok(Done { lot_seq, answer, repeated, .. }) => Answer::Done { lot_seq, answer, repeated },
        Err(CommandError::OutcomeUnknown) => Answer::Unknown,
        Err(refused) => Answer::Refused(refused.to_string()),
    }
}

/// What callers remember and devices count.
pub(super) struct Desk {
    next_key: u64,
    sequence: u64,
    ids: Vec<ReservationId>,
    pub errands: Errands,
    /// Sent and not answered for sure: candidates to be sent again.
    pub open: Vec<Request>,
    pub lots: usize,
    pub slots: u64,
}

impl Desk {
    pub fn new(dice: &mut Dice) -> Self {
        let is_season = dice.one_in(3);
        Self {
            next_key: 0,
            sequence: 0,
            ids: Vec::new(),
            errands: Errands::new(is_season),
            open: Vec::new(),
            lots: 1 + usize::from(is_season) + dice.index(3),
            // Who has a pass finds a slot, most of the time.
            slots: 1 + dice.below(5) + if is_season { 12 } else { 0 },
        }
    }

    pub fn request(&mut self, dice: &mut Dice, now: Timestamp) -> Request {
        if !self.open.is_empty() && dice.one_in(3) {
            return self.open[dice.index(self.open.len())].clone();
        }
        self.next_key += 1;
        let command = match dice.below(20) {
            at if at >= 10 || self.errands.is_season => {
                let wanted = window(dice, now);
                self.errands.ask(dice, self.next_key, wanted, now)
            }
            0..5 => self.reserve(dice, now),
            5 | 6 => Command::Confirm { id: self.id(dice), by: Caller::Staff },
            7 => Command::Modify {
                id: self.id(dice),
                choice: None,
                from: None,
                to: Some(window(dice, now).to),
                request: dice.one_in(2).then(|| Some(Pseudonym(Uuid::from_u128(0xA5C0)))),
                expected_version: None,
                by: Caller::Staff,
            },
            _ => Command::Cancel { id: self.id(dice), reason: None, by: Caller::Staff },
        };
        let request = Request { lot: dice.index(self.lots), key: self.next_key, command };
        self.open.push(request.clone());
        if self.open.len() > 12 {
            self.open.remove(0);
        }
        request
    }

    fn id(&self, dice: &mut Dice) -> ReservationId {
        dice.pick(&self.ids).unwrap_or(ReservationId(Uuid::nil()))
    }

    fn reserve(&mut self, dice: &mut Dice, now: Timestamp) -> Command {
        let id = ReservationId(Uuid::from_u128(u128::from(self.next_key)));
        self.ids.push(id);
        if self.ids.len() > 16 {
            self.ids.remove(0);
        }
        let slot = SlotIndex(u16::try_from(dice.below(self.slots)).unwrap_or_default());
        Command::Reserve(Reserve {
            id,
            choice: if dice.one_in(2) { Choice::Slot(slot) } else { Choice::Any(Needs::default()) },
            window: window(dice, now),
            hold: dice.one_in(2).then(|| Seconds(dice.count(1, 900))),
            holder: Pseudonym(Uuid::from_u128(u128::from(dice.below(4)))),
            vehicle: None,
            vehicle_type: None,
            discounts: Box::default(),
            series: None,
            request: None,
        })
    }

    pub fn readings(&mut self, dice: &mut Dice, now: Timestamp) -> Vec<SlotReading> {
        let count = 1 + dice.below(6);
        let mut readings = Vec::new();
        for _ in 0..count {
            self.sequence += 1;
            let late = dice.one_in(5);
            let reading = Reading {
                occupied: dice.one_in(2),
                observed_at: Some(if late { now.minus(Seconds(dice.count(1, 600))) } else { now }),
                sequence: self.sequence,
                id_hash: if dice.one_in(2) { self.sequence } else { 0 },
                source: Source::Sensor,
                confidence_percent: None,
            };
            let slot = SlotIndex(u16::try_from(dice.below(self.slots)).unwrap_or_default());
            readings.push(SlotReading { slot, reading });
        }
        readings
    }
}

fn window(dice: &mut Dice, now: Timestamp) -> Window {
    let grid = now.micros() / 1_000_000 / 300 * 300 + 300;
    let from = grid + dice.between(0, 20) * 300;
    let to = from + dice.between(1, 8) * 300;
    Window { from: Timestamp::from_seconds(from), to: Timestamp::from_seconds(to) }
}
