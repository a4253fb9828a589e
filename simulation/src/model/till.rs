//! What changes of stays must be answered, and what may happen by itself.

use lotkeeper_engine::ids::{Pseudonym, SessionId};
use lotkeeper_engine::limits;
use lotkeeper_engine::lot::{
    Event, Outcome, Owner, Rejection, Reminder, Service, Session, State, StayChange, Violation,
    pass, session, violation, waiting,
};
use lotkeeper_engine::tariff::Ending;
use lotkeeper_engine::time::{Seconds, Timestamp};

use super::arrivals::{self, Standing};
use super::changes::judge_version;
use super::fines::{self, Fines};
use super::lot::LotModel;

type Answer = Result<Outcome, Rejection>;

/// What a change of a stay must be answered.
pub fn change(
    lot: &LotModel,
    id: SessionId,
    change: &StayChange,
    expected_version: Option<u32>,
) -> Answer {
    let life = &lot.life;
    let stay = life.stays.get(&id).ok_or(Rejection::SessionNotFound)?;
    judge_version(expected_version, stay.version)?;
    let done = Ok(Outcome::Session(id));
    if !stay.state.is_inside() {
        return match change {
            StayChange::Leave { .. } => done,
            _ => Err(Rejection::SessionEnded { state: stay.state }),
        };
    }
    match change {
        StayChange::Leave { .. } | StayChange::LoseTicket | StayChange::Request(_) => done,
        StayChange::Identify { vehicle } => match life.of_vehicle(Some(*vehicle)) {
            Some(other) if other.id != id => Err(Rejection::VehicleInside { session: other.id }),
            Some(_) | None => done,
        },
        StayChange::Place { slot: None } => done,
        StayChange::Place { slot } if *slot == stay.slot => done,
        StayChange::Place { slot: Some(slot) } => {
            if lot.spec.slot(*slot).is_none() {
                return Err(Rejection::SlotNotFound);
            }
            if let Some(other) = life.at_slot(*slot) {
                return Err(Rejection::VehicleInside { session: other.id });
            }
            let booking = stay.reservation().and_then(|id| Some((id, lot.bookings.get(&id)?)));
            match booking.filter(|(_, it)| it.state.is_active()) {
                Some((own, it)) => match lot.clash_but(*slot, it.window, Some(own)) {
                    Some(clash) => Err(Rejection::SlotTaken { slot: *slot, clash }),
                    None => done,
                },
                None => done,
            }
        }
    }
}

/// What is recorded when something is asked for during a stay.
#[must_use]
pub fn requested(lot: &LotModel, id: SessionId, request: Option<Pseudonym>) -> Option<Event> {
    let known = lot.requests.get(&Owner::Session(id)).copied();
    let requested = session::Event::Requested { id, request };
    (known != request).then_some(Event::Session(requested))
}

/// When a stay does something by itself.
fn stay_due(lot: &LotModel, stay: &Session) -> Timestamp {
    let rules = &lot.spec.rules;
    let expected = expected(lot, stay);
    let overstay = expected.filter(|_| stay.state == session::State::Inside);
    let abandon = expected.unwrap_or(stay.entered_at).plus(rules.auto_exit);
    let all = [stay.claim.map(|claim| claim.to), overstay.map(|at| at.plus(rules.overstay_grace))];
    all.into_iter().flatten().fold(abandon, Timestamp::min)
}

/// Something that should have happened by itself already, or is left undone by what did.
#[must_use]
pub fn is_late(lot: &LotModel, now: Timestamp) -> Option<String> {
    let life = &lot.life;
    let stay = life.inside().find(|stay| stay_due(lot, stay) <= now);
    let stay = stay.map(|late| format!("{late:?} is due since {}", stay_due(lot, late)));
    let pass = || {
        let late = life.passes.going_on().find(|pass| pass.terms.valid.to <= now);
        late.map(|late| format!("{late:?} has run out"))
    };
    let waiter = || {
        let late = life.line.waiters().find(|it| it.terms.window.from <= now);
        late.map(|late| format!("{late:?} waits for what has begun"))
    };
    let notice = || {
        let due = |it: &&Violation| Fines::notice_due(it, &lot.spec.rules);
        let late = life.fines.open().find(|it| due(it).is_some_and(|at| at <= now));
        late.map(|late| format!("nobody was told of {late:?}"))
    };
    stay.or_else(pass).or_else(waiter).or_else(notice).or_else(|| lot.waits_in_vain())
}

/// Why something must not happen by itself now.
#[must_use]
pub fn may_not(lot: &LotModel, event: &Event, now: Timestamp, bays: &[Standing]) -> Option<String> {
    let rules = &lot.spec.rules;
    let is_due = |at: Timestamp| at <= now;
    let booking = |id| lot.bookings.get(id);
    let right = match event {
        Event::Expired { id } => booking(id).is_some_and(|it| match it.state {
            State::Held { expires_at } => is_due(expires_at.min(it.window.to)),
            _ => false,
        }),
        Event::HoldBegan { id } => booking(id).is_some_and(|it| {
            !it.shown && it.state.is_active() && is_due(it.window.from.minus(rules.hold_lead))
        }),
        Event::CheckedIn { id, .. } | Event::NoShow { id } => booking(id).is_some_and(|it| {
            let judged = arrivals::judged(lot, it, bays);
            let told = match event {
                Event::CheckedIn { proof, .. } => Some(*proof),
                _ => None,
            };
            let at = it.window.from.plus(rules.no_show).min(it.window.to);
            it.state == State::Confirmed && is_due(at) && judged == told
        }),
        Event::Completed { id } => booking(id).is_some_and(|it| {
            // At its end, or with its stay that is given up.
            let gives_up = lot.life.inside_of(*id).is_some_and(|stay| is_due(stay_due(lot, stay)));
            matches!(it.state, State::CheckedIn { .. }) && (is_due(it.window.to) || gives_up)
        }),
        Event::Reminded { id, of } => booking(id).is_some_and(|it| match of {
            Reminder::Start => {
                it.state == State::Confirmed
                    && it.reminded.is_none()
                    && is_due(it.window.from.minus(rules.remind_before_start))
            }
            Reminder::End => {
                matches!(it.state, State::CheckedIn { .. })
                    && it.reminded != Some(Reminder::End)
                    && is_due(it.window.to.minus(rules.remind_before_end))
            }
        }),
        Event::ServiceChanged { slot, service: Service::InService } => {
            match &lot.services[slot.at()].0 {
                Service::OutOfService { until: Some(until), .. } => is_due(*until),
                _ => false,
            }
        }
        Event::Session(event) => return stay_may_not(lot, event, now),
        Event::Violation(event) => is_of_what_was_found(lot, event, now),
        Event::Pass(pass::Event::Ended { id }) => {
            lot.life.passes.all.get(id).is_some_and(|pass| is_due(pass.terms.valid.to))
        }
        // Whose stay is given up; how long that was is judged there.
        Event::Pass(pass::Event::Used { id, entries: 0, .. }) => lot
            .life
            .inside()
            .any(|stay| stay.origin == session::Origin::Pass(*id) && is_due(stay_due(lot, stay))),
        Event::Waiting(waiting::Event::RanOut { id }) => {
            let waiter = lot.life.line.all.get(id);
            waiter.is_some_and(|it| is_due(it.terms.window.from))
        }
        Event::Waiting(waiting::Event::Offered { id }) => lot.is_his_turn(*id, now),
        Event::Reserved(reserved) => lot.is_offer(reserved, now),
        // What is posted is judged where its stay or reservation ends.
        Event::Posted(_) => true,
        _ => false,
    };
    (!right).then(|| format!("{event:?} must not happen by itself"))
}

/// Whether it is what comes of a stay that is too long or of a pass that ran out: a violation without a
/// penalty, notices at their time, and its end with the stay.
fn is_of_what_was_found(lot: &LotModel, event: &violation::Event, now: Timestamp) -> bool {
    let life = &lot.life;
    match event {
        violation::Event::Raised(raised) => {
            let Some(stay) = raised.session.and_then(|id| life.stays.get(&id)) else {
                return false;
            };
            let since = match (&raised.kind, stay.origin) {
                (violation::Kind::Overstay, _) => {
                    let too_long = stay.state == session::State::Overstaying;
                    expected(lot, stay).filter(|_| too_long)
                }
                (violation::Kind::ExpiredPass, session::Origin::Pass(id)) => {
                    let pass = life.passes.all.get(&id);
                    pass.filter(|it| it.state == pass::State::Ended).map(|it| it.terms.valid.to)
                }
                _ => None,
            };
            let predicted = since.and_then(|since| lot.found(stay, &raised.kind, since));
            let told = Event::Violation(event.clone());
            let is_new = !life.fines.all.contains_key(&raised.id);
            is_new && predicted.as_ref() == Some(&fines::without_id(&told))
        }
        violation::Event::Notified { id, number, fee } => {
            life.fines.all.get(id).is_some_and(|it| {
                let due = Fines::notice_due(it, &lot.spec.rules);
                *number == it.notices + 1
                    && due.is_some_and(|due| due <= now)
                    && *fee == lot.owed_of(it, now)
            })
        }
        violation::Event::Resolved { id, reason } => {
            let stay = life.fines.all.get(id).and_then(|it| life.stays.get(&it.session?));
            let ends = stay.filter(|stay| stay.state.is_inside() && stay_due(lot, stay) <= now);
            reason.as_deref() == Some("session_ended")
                && ends.is_some_and(|stay| {
                    life.fines.by_itself_of(stay.id, stay.account()).any(|it| it.id == *id)
                })
        }
        _ => false,
    }
}

/// When a stay is expected to end.
fn expected(lot: &LotModel, stay: &Session) -> Option<Timestamp> {
    let longest = lot.spec.rules.stay_max.map(|longest| stay.entered_at.plus(longest));
    stay.booked.map(|booked| booked.to).or(longest)
}

/// What was found about those whom a pass lets stay no more, and those who stay too long.
#[must_use]
pub fn is_not_found(lot: &LotModel, events: &[Event]) -> Option<String> {
    let unknown = |stay: &Session, kind: violation::Kind| {
        let missing = stay.state.is_inside() && lot.found(stay, &kind, stay.entered_at).is_some();
        missing.then(|| format!("{kind:?} of {stay:?} was not found"))
    };
    events.iter().find_map(|event| match event {
        Event::Session(session::Event::Overstayed { id }) => {
            unknown(lot.life.stays.get(id)?, violation::Kind::Overstay)
        }
        Event::Pass(pass::Event::Ended { id }) => {
            let mut inside = lot.life.inside().filter(|it| it.origin == session::Origin::Pass(*id));
            inside.find_map(|stay| unknown(stay, violation::Kind::ExpiredPass))
        }
        Event::Waiting(waiting::Event::Offered { id }) => {
            let promise = lotkeeper_engine::ids::ReservationId(id.0);
            let is_held = lot.bookings.contains_key(&promise);
            (!is_held).then(|| format!("{id} was offered nothing"))
        }
        _ => None,
    })
}

fn stay_may_not(lot: &LotModel, event: &session::Event, now: Timestamp) -> Option<String> {
    let rules = &lot.spec.rules;
    let stay = event.session().and_then(|id| lot.life.stays.get(&id))?;
    let expected = expected(lot, stay);
    let right = match event {
        session::Event::Placed { slot, claim, .. } => {
            let ran_out = stay.claim.is_none_or(|claim| claim.to <= now);
            ran_out && *slot == stay.slot && claim.is_none_or(|claim| now < claim.to)
        }
        session::Event::Overstayed { .. } => {
            let late = expected.is_some_and(|at| at.plus(rules.overstay_grace) <= now);
            late && stay.state == session::State::Inside
        }
        session::Event::Abandoned { fee, .. } => {
            let day = stay.entered_at.plus(Seconds(limits::ABANDONED_BILLED_SECONDS_MAX));
            let until = expected.map_or(day, |expected| expected.max(day)).min(now);
            let costs = lot.bill(stay, until, Ending::Abandoned);
            let at = expected.unwrap_or(stay.entered_at).plus(rules.auto_exit);
            at <= now && costs.as_ref() == fee.as_deref()
        }
        _ => false,
    };
    (!right).then(|| format!("{event:?} must not happen by itself to {stay:?}"))
}
