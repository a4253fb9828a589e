//! The waiting list as a plain list: whose turn it is, and who may have what.

use std::collections::{BTreeMap, VecDeque};

use lotkeeper_engine::ids::{SlotIndex, WaitingId};
use lotkeeper_engine::limits::{
    ENDED_WAITERS_KEPT_PER_LOT, HOLD_SECONDS_MAX, RESERVATIONS_PER_SLOT_MAX, WAITERS_PER_HOLDER_MAX,
};
use lotkeeper_engine::lot::waiting::{Event as Told, State, Waiter, WaiterTerms};
use lotkeeper_engine::lot::{Caller, Event, Needs, Outcome, Rejection, Reserved, Service};
use lotkeeper_engine::time::{Seconds, Timestamp, Window};

use super::lot::LotModel;
use super::promises::{Granted, judge_window};

/// Who waits in one lot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// All places that are remembered.
    pub all: BTreeMap<WaitingId, Waiter>,
    /// Those that wait, in the order in which they came.
    pub waiting: Vec<WaitingId>,
    ended: VecDeque<WaitingId>,
}

impl Line {
    /// Those that wait, in their order.
    pub fn waiters(&self) -> impl Iterator<Item = &Waiter> {
        self.waiting.iter().filter_map(|id| self.all.get(id))
    }

    /// An event happened; what is wrong with that.
    pub fn apply(&mut self, event: &Told, at: Timestamp) -> Option<String> {
        let id = event.id();
        if let Told::Joined { terms, .. } = event {
            let waiter = Waiter {
                id,
                terms: (**terms).clone(),
                state: State::Waiting,
                created_at: at,
                updated_at: at,
                version: 1,
            };
            self.waiting.push(id);
            let before = self.all.insert(id, waiter);
            return before.map(|waiter| format!("{waiter:?} joined twice"));
        }
        let Some(waiter) = self.all.get_mut(&id).filter(|it| it.state == State::Waiting) else {
            return Some(format!("{event:?} of one that does not wait"));
        };
        waiter.state = match event {
            Told::Joined { .. } | Told::Offered { .. } => State::Offered,
            Told::Left { .. } => State::Left,
            Told::RanOut { .. } => State::RanOut,
            Told::Refused { .. } => State::Refused,
        };
        (waiter.updated_at, waiter.version) = (at, waiter.version + 1);
        self.waiting.retain(|waiting| *waiting != id);
        self.ended.push_back(id);
        if self.ended.len() > ENDED_WAITERS_KEPT_PER_LOT
            && let Some(oldest) = self.ended.pop_front()
        {
            self.all.remove(&oldest);
        }
        None
    }
}

impl LotModel {
    /// Slots that anybody could be promised for a window.
    pub fn open(&self, needs: Needs, window: Window) -> impl Iterator<Item = SlotIndex> {
        self.spec.slot_indices().filter(move |slot| {
            self.spec.slot(*slot).is_some_and(|spec| needs.fit(spec))
                && self.services[slot.at()].0 == Service::InService
                && self.stretches(*slot) < RESERVATIONS_PER_SLOT_MAX
                && self.clash(*slot, window, None).is_none()
        })
    }

    /// Somebody who waits for a window in which he could have a slot.
    #[must_use]
    pub fn waits_in_vain(&self) -> Option<String> {
        let mut waiters = self.life.line.waiters();
        waiters.find_map(|it| {
            let slot = self.open(it.terms.needs, it.terms.window).next()?;
            Some(format!("{it:?} waits, and {slot:?} is open"))
        })
    }

    /// Whether an offer to him is right: he waits, and nobody who came before him could have something.
    pub(super) fn is_his_turn(&self, id: WaitingId, now: Timestamp) -> bool {
        let line = &self.life.line;
        let mut before = line.waiters().take_while(|it| it.id != id);
        let him = line.all.get(&id).filter(|it| it.state == State::Waiting);
        him.is_some_and(|it| now < it.terms.window.from)
            && before.all(|it| self.open(it.terms.needs, it.terms.window).next().is_none())
    }

    /// Whether a promise that nobody asked for now is an offer: it holds an open slot for as long as the lot says.
    pub(super) fn is_offer(&self, it: &Reserved, now: Timestamp) -> bool {
        let waiter = self.life.line.all.get(&WaitingId(it.id.0));
        waiter.filter(|waiter| waiter.state == State::Offered).is_some_and(|waiter| {
            let terms = &waiter.terms;
            let hold = self.spec.rules.offer.min(Seconds(HOLD_SECONDS_MAX));
            waiter.updated_at == now
                && !self.bookings.contains_key(&it.id)
                && (it.window, it.holder, it.vehicle) == (terms.window, terms.holder, terms.vehicle)
                && it.expires_at == Some(now.plus(hold))
                && self.open(terms.needs, terms.window).any(|slot| slot == it.slot)
        })
    }
}

/// What joining must do; which open slot he is told of is the engine's choice.
///
/// # Errors
/// The slot he was told of cannot be right.
pub fn join(
    lot: &LotModel,
    (id, terms): (WaitingId, &WaiterTerms),
    now: Timestamp,
    told: Option<SlotIndex>,
) -> Result<Granted, String> {
    let line = &lot.life.line;
    let reservation = lotkeeper_engine::ids::ReservationId(id.0);
    if line.all.contains_key(&id) || lot.bookings.contains_key(&reservation) {
        return Ok(Err(Rejection::IdTaken));
    }
    if let Err(rejection) = judge_window(terms.window, now) {
        return Ok(Err(rejection));
    }
    if terms.window.from <= now {
        return Ok(Err(Rejection::WindowInPast));
    }
    if line.waiters().filter(|it| it.terms.holder == terms.holder).count() >= WAITERS_PER_HOLDER_MAX
    {
        return Ok(Err(Rejection::TooManyWaiting));
    }
    let fits = |slot| lot.spec.slot(slot).is_some_and(|slot| terms.needs.fit(slot));
    let open: Vec<SlotIndex> = lot.open(terms.needs, terms.window).collect();
    Ok(match (open.first(), told) {
        (Some(_), Some(slot)) if open.contains(&slot) => Err(Rejection::SlotFree { slot }),
        (Some(slot), _) => return Err(format!("{slot:?} is open, told was {told:?}")),
        (None, _) if !lot.spec.slot_indices().any(fits) => Err(Rejection::NoSlotFits),
        (None, _) => {
            let joined = Told::Joined { id, terms: Box::new(terms.clone()) };
            Ok((vec![Event::Waiting(joined)], Outcome::Waiting(id)))
        }
    })
}

/// What giving a place up must do.
pub fn leave(lot: &LotModel, id: WaitingId, by: Caller) -> Granted {
    let waiter = lot.life.line.all.get(&id).filter(|it| by.may_touch(it.terms.holder));
    match waiter.map(|it| it.state) {
        None => Err(Rejection::WaiterNotFound),
        Some(State::Left) => Ok((Vec::new(), Outcome::Waiting(id))),
        Some(State::Waiting) => Ok((vec![Event::Waiting(Told::Left { id })], Outcome::Waiting(id))),
        Some(state) => Err(Rejection::WaiterEnded { state }),
    }
}
