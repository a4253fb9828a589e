//! Drivers and staff: they book the same few slots around the same few hours, repeat themselves, and ask
//! for what is not theirs or not there.

use lotkeeper_engine::ids::{Pseudonym, ReservationId, SlotIndex, ZoneIndex};
use lotkeeper_engine::lot::{
    Caller, Choice, Command, Count, LotPatch, Needs, Reserve, Service, SlotPatch,
};
use lotkeeper_engine::spec::{FeatureSet, Size, TypeSet};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};
use uuid::Uuid;

use super::gates::Gates;
use super::lots::{allocation, rules};
use crate::dice::Dice;
use crate::model::LotModel;

/// Reservations that callers remember: the newest are asked for most.
const REMEMBERED: usize = 24;
/// People who book.
const HOLDERS: u64 = 6;

/// What callers know.
#[derive(Debug, Default)]
pub struct Callers {
    ids: Vec<ReservationId>,
    next_id: u128,
    last: Option<Command>,
    /// Where the lots have gates and tills.
    gates: Option<Gates>,
}

impl Callers {
    /// Those of lots with gates and tills.
    #[must_use]
    pub fn at_gates() -> Self {
        Self { gates: Some(Gates::default()), ..Self::default() }
    }

    /// Whether the lots have gates and tills.
    #[must_use]
    pub fn have_gates(&self) -> bool {
        self.gates.is_some()
    }

    /// The next request to a lot.
    pub fn ask(&mut self, dice: &mut Dice, lot: &LotModel, now: Timestamp) -> Command {
        if dice.one_in(10)
            && let Some(last) = &self.last
        {
            // Sent again, word by word: the answer was late or lost.
            return last.clone();
        }
        let command = self.command(dice, lot, now);
        self.last = Some(command.clone());
        command
    }

    fn command(&mut self, dice: &mut Dice, lot: &LotModel, now: Timestamp) -> Command {
        if let Some(gates) = &mut self.gates
            && dice.below(5) < 3
        {
            return gates.ask(dice, lot, now);
        }
        let counted = lot.spec.kind == lotkeeper_engine::spec::Kind::Counted;
        match dice.weighted(&[40, 14, 16, 14, if counted { 20 } else { 1 }, 6, 1]) {
            0 => Command::Reserve(self.reserve(dice, lot, now)),
            1 => Command::Confirm { id: self.id(dice, lot), by: caller(dice) },
            2 => self.modify(dice, lot, now),
            3 => Command::Cancel {
                id: self.id(dice, lot),
                reason: dice.one_in(2).then(|| "changed_plans".into()),
                by: caller(dice),
            },
            4 => count(dice, now),
            5 => change_slot(dice, lot, now),
            _ => change_lot(dice, lot, self.have_gates()),
        }
    }

    /// Mostly one that is active in the lot, else one that was asked for, there or elsewhere; one in forty
    /// is nobody's.
    fn id(&self, dice: &mut Dice, lot: &LotModel) -> ReservationId {
        let active = lot.active().count();
        let held = dice.index(active);
        match dice.below(40) {
            0 => ReservationId(Uuid::from_u128(0xDEAD)),
            1..28 if active > 0 => {
                lot.active().nth(held).map_or(ReservationId(Uuid::nil()), |(id, _)| id)
            }
            _ => dice.pick(&self.ids).unwrap_or(ReservationId(Uuid::nil())),
        }
    }

    fn reserve(&mut self, dice: &mut Dice, lot: &LotModel, now: Timestamp) -> Reserve {
        let id = match self.ids.last() {
            Some(id) if dice.one_in(25) => *id,
            _ => {
                self.next_id += 1;
                ReservationId(Uuid::from_u128(0x1_0000 + self.next_id))
            }
        };
        if !self.ids.contains(&id) {
            self.ids.push(id);
            if self.ids.len() > REMEMBERED {
                self.ids.remove(0);
            }
        }
        let choice = match dice.below(5) {
            0 | 1 => Choice::Any(Needs {
                size: dice.pick(&[Size::Compact, Size::Standard, Size::Large]).unwrap_or_default(),
                features: FeatureSet(dice.pick(&[0, 0, 1, 2, 3]).unwrap_or_default()),
                zone: dice.one_in(4).then(|| ZoneIndex(u16::from(dice.one_in(2)))),
                vehicle_type: TypeSet(dice.pick(&[0, 1, 2]).unwrap_or_default()),
            }),
            _ => Choice::Slot(slot(dice, lot)),
        };
        Reserve {
            id,
            choice,
            window: window(dice, now),
            hold: dice.one_in(2).then(|| Seconds(dice.count(0, 1_200))),
            holder: holder(dice),
            vehicle: dice
                .one_in(2)
                .then(|| Pseudonym(Uuid::from_u128(0xC000 + u128::from(dice.below(9))))),
            vehicle_type: None,
            discounts: Box::default(),
            series: None,
            request: dice.one_in(8).then(|| request(dice)),
        }
    }

    fn modify(&self, dice: &mut Dice, lot: &LotModel, now: Timestamp) -> Command {
        let id = self.id(dice, lot);
        let wanted = window(dice, now);
        let version = lot.bookings.get(&id).map_or(1, |booking| booking.version);
        Command::Modify {
            id,
            choice: None,
            from: dice.one_in(2).then_some(wanted.from),
            to: (!dice.one_in(3)).then_some(wanted.to),
            request: dice.one_in(3).then(|| (!dice.one_in(3)).then(|| request(dice))),
            expected_version: dice.one_in(3).then(|| version + u32::from(dice.one_in(4))),
            by: caller(dice),
        }
    }
}

fn slot(dice: &mut Dice, lot: &LotModel) -> SlotIndex {
    // One more than there are.
    let slots = lot.services.len() as u64 + u64::from(dice.one_in(40));
    SlotIndex(u16::try_from(dice.below(slots)).unwrap_or(u16::MAX))
}

/// Few, so that some ask for the same again.
pub(super) fn request(dice: &mut Dice) -> Pseudonym {
    Pseudonym(Uuid::from_u128(0xA5C0 + u128::from(dice.below(3))))
}

fn holder(dice: &mut Dice) -> Pseudonym {
    Pseudonym(Uuid::from_u128(0xF000 + u128::from(dice.below(HOLDERS))))
}

fn caller(dice: &mut Dice) -> Caller {
    if !dice.one_in(4) { Caller::Staff } else { Caller::Holder(holder(dice)) }
}

/// On a grid of five minutes, so that windows touch and meet; sometimes off it, empty, past or too long.
fn window(dice: &mut Dice, now: Timestamp) -> Window {
    const GRID_SECONDS: i64 = 300;
    let now_seconds = now.micros() / 1_000_000;
    let begin = match dice.below(12) {
        0 => now_seconds + dice.between(-600, 600),
        1 => now_seconds + dice.between(0, 70_000_000),
        _ => (now_seconds / GRID_SECONDS + dice.between(0, 24)) * GRID_SECONDS,
    };
    let length = match dice.below(20) {
        0 => dice.between(-60, 60),
        1 => dice.between(0, 40_000_000),
        _ => dice.between(1, 18) * GRID_SECONDS,
    };
    Window { from: Timestamp::from_seconds(begin), to: Timestamp::from_seconds(begin + length) }
}

fn count(dice: &mut Dice, now: Timestamp) -> Command {
    let count = match dice.below(3) {
        0 => Count::Absolute { occupied: dice.count(0, 12) },
        _ => Count::Flow { entered: dice.count(0, 3), left: dice.count(0, 3) },
    };
    let observed_at = (!dice.one_in(4))
        .then(|| Timestamp::from_micros(now.micros() + dice.between(-90_000_000, 90_000_000)));
    Command::Count { count, observed_at }
}

fn change_slot(dice: &mut Dice, lot: &LotModel, now: Timestamp) -> Command {
    let slot = slot(dice, lot);
    let service = dice.one_in(2).then(|| match dice.below(3) {
        0 => Service::InService,
        _ => Service::OutOfService {
            reason: "cleaning".into(),
            until: dice.one_in(2).then(|| now.plus(Seconds(dice.count(0, 7_200)))),
        },
    });
    let names: [&[&str]; 4] = [&[], &["ev"], &["covered"], &["covered", "ev"]];
    let patch = SlotPatch {
        service,
        zone: dice.one_in(4).then(|| dice.one_in(2).then_some(ZoneIndex(1))),
        size: if dice.one_in(4) {
            dice.pick(&[Size::Compact, Size::Standard, Size::Large])
        } else {
            None
        },
        features: dice
            .one_in(4)
            .then(|| names[dice.index(4)].iter().map(|name| Box::from(*name)).collect()),
        vehicle_types: dice.one_in(4).then(|| match dice.one_in(2) {
            true => Vec::new(),
            false => vec!["van".into()],
        }),
        walk_metres: dice.one_in(4).then(|| dice.one_in(2).then(|| u16::from(dice.one_in(2)) * 70)),
    };
    let version = lot.services.get(slot.at()).map_or(0, |(_, version)| *version);
    let expected_version = dice.one_in(3).then(|| version + u32::from(dice.one_in(4)));
    Command::ChangeSlot { slot, patch, expected_version }
}

fn change_lot(dice: &mut Dice, lot: &LotModel, gates: bool) -> Command {
    let counted = lot.spec.kind == lotkeeper_engine::spec::Kind::Counted;
    let patch = LotPatch {
        name: dice.one_in(2).then(|| format!("Lot {}", dice.below(9)).into()),
        capacity: (counted && dice.one_in(3)).then(|| dice.count(1, 200)),
        place: None,
        rules: dice.one_in(2).then(|| rules(dice, gates)),
        about: None,
        allocation: dice.one_in(4).then(|| allocation(dice)),
    };
    let expected_version = dice.one_in(3).then(|| lot.version + u32::from(dice.one_in(4)));
    Command::ChangeLot { patch, expected_version }
}
