//! What a lot must answer to a command, and which events must happen: the rules of `docs/api.md` as
//! questions to plain lists.

use lotkeeper_engine::ids::{ReservationId, SlotIndex, WaitingId};
use lotkeeper_engine::limits;
use lotkeeper_engine::lot::{
    Caller, Choice, Command, Count, CountOutcome, Decision, Event, Heartbeat, Needs, Outcome,
    Rejection, Reserve, Reserved, Service, State,
};
use lotkeeper_engine::spec::Kind;
use lotkeeper_engine::time::{Seconds, Timestamp, Window};

use super::arrivals::{self, Standing};
use super::changes::{change_lot, change_slot, judge_version};
use super::lot::{Booking, LotModel};

/// What must come of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// First what was overdue, then what the command does.
    pub events: Vec<Event>,
    /// The answer.
    pub outcome: Result<Outcome, Rejection>,
    /// A count that gets no record.
    pub heartbeat: Option<Heartbeat>,
}

/// The question: a command at a time, what sensors show, and which slot the engine took where that is
/// its choice.
pub struct Asked<'a> {
    /// What is asked.
    pub command: &'a Command,
    /// When.
    pub now: Timestamp,
    /// What stands on the slots as readers know it.
    pub bays: &'a [Standing],
    /// The slot that "any slot that fits" took.
    pub chosen: Option<SlotIndex>,
}

/// What a granted command does, and what it is answered.
pub type Granted = Result<(Vec<Event>, Outcome), Rejection>;

impl Prediction {
    /// Whether the engine decided so.
    #[must_use]
    pub fn is(&self, decision: &Decision) -> bool {
        let outcome = match (&decision.outcome, &self.outcome) {
            (Err(Rejection::Invalid { .. }), Err(Rejection::Invalid { .. })) => true,
            (engine, model) => engine == model,
        };
        outcome && decision.events.as_slice() == self.events && decision.heartbeat == self.heartbeat
    }
}

/// Predicts an answer.
///
/// # Errors
/// The engine's choice of a slot cannot be right, and why.
pub fn predict(lot: &LotModel, asked: &Asked<'_>) -> Result<Prediction, String> {
    let max = match asked.command {
        Command::Tick { .. } => limits::DUE_PER_TICK_MAX,
        _ => usize::MAX,
    };
    let mut settled = None;
    let mut events = Vec::new();
    while events.len() < max {
        let Some(event) = overdue(settled.as_ref().unwrap_or(lot), asked) else { break };
        settled.get_or_insert_with(|| lot.clone()).apply(&event, asked.now);
        events.push(event);
    }
    let lot = settled.as_ref().unwrap_or(lot);
    let now = asked.now;
    let mut heartbeat = None;
    let granted = match asked.command {
        Command::Reserve(wanted) => reserve(lot, wanted, asked)?,
        Command::Confirm { id, by } => confirm(lot, *id, *by),
        Command::Modify { id, choice: None, from, to, request, expected_version, by } => {
            let moved = modify(lot, (*id, *by), (*from, *to), *expected_version, now);
            moved.map(|(mut events, done)| {
                let new = request.filter(|new| lot.requests.get(&(*id).into()).copied() != *new);
                events.extend(new.map(|request| Event::Requested { id: *id, request }));
                (events, done)
            })
        }
        Command::Cancel { id, reason, by } => cancel(lot, *id, reason.as_deref(), *by),
        Command::Count { count, observed_at } => {
            let counted = count_of(lot, *count, observed_at.unwrap_or(now), now);
            counted.map(|(event, outcome, beat)| {
                heartbeat = beat;
                (event.into_iter().collect(), Outcome::Count(outcome))
            })
        }
        Command::Modify { choice: Some(_), .. }
        | Command::ReserveSeries(_)
        | Command::Scan(_)
        | Command::ChangeStay { .. }
        | Command::Pay(_)
        | Command::StepPayment { .. }
        | Command::Provider(_)
        | Command::Shift(_)
        | Command::ChangeTariffs(_)
        | Command::IssuePass { .. }
        | Command::JoinWaiting { .. }
        | Command::LeaveWaiting { .. }
        | Command::ChangePass { .. }
        | Command::FollowPass { .. }
        | Command::Report(_)
        | Command::ChangeViolation { .. }
        | Command::Look(_) => return Err("a command that is not played".to_owned()),
        Command::ChangeSlot { slot, patch, expected_version } => {
            change_slot(lot, *slot, patch, *expected_version)
        }
        Command::ChangeLot { patch, expected_version } => change_lot(lot, patch, *expected_version),
        Command::Tick { listening_since } => {
            let due = lot.gates.silence_due(*listening_since, &lot.spec.rules);
            let counted = lot.spec.kind == Kind::Counted;
            let silent = counted && due.is_some_and(|due| due <= now);
            Ok((silent.then_some(Event::CounterFellSilent).into_iter().collect(), Outcome::Settled))
        }
    };
    let outcome = granted.map(|(granted, outcome)| {
        events.extend(granted);
        outcome
    });
    Ok(Prediction { events, outcome, heartbeat })
}

/// What a count does: what is recorded, what is answered, and what only the heartbeat shows.
fn count_of(
    lot: &LotModel,
    count: Count,
    observed_at: Timestamp,
    now: Timestamp,
) -> Result<(Option<Event>, CountOutcome, Option<Heartbeat>), Rejection> {
    let rules = &lot.spec.rules;
    let ahead_micros = observed_at.micros_since(now);
    if lot.spec.kind == Kind::Bayed {
        return Err(Rejection::NotCounted);
    }
    if ahead_micros > rules.skew.micros() {
        return Err(Rejection::InFuture { ahead_micros });
    }
    let (outcome, recorded) = lot.gates.judge(count, observed_at, now, rules);
    let beats = outcome == CountOutcome::Unchanged && !recorded;
    let absolute = matches!(count, Count::Absolute { .. });
    let heartbeat = beats.then_some(Heartbeat { observed_at, absolute });
    Ok((recorded.then_some(Event::Counted { count, observed_at }), outcome, heartbeat))
}

/// What is most overdue: by its instant, reservations before closures, then by id.
fn overdue(lot: &LotModel, asked: &Asked<'_>) -> Option<Event> {
    let bookings = lot.active().map(|(id, booking)| {
        let (at, event) = next_move(lot, id, booking, asked);
        ((at, 0, id.0.as_u128()), event)
    });
    let closures = lot.services.iter().zip(lot.spec.slot_indices()).filter_map(|(state, slot)| {
        let Service::OutOfService { until: Some(until), .. } = &state.0 else { return None };
        let event = Event::ServiceChanged { slot, service: Service::InService };
        Some(((*until, 1, u128::from(slot.0)), event))
    });
    let due = bookings.chain(closures).filter(|((at, _, _), _)| *at <= asked.now);
    due.min_by_key(|(order, _)| *order).map(|(_, event)| event)
}

/// What an active booking does by itself next. At one instant a hold runs out before anything else, its
/// slot is shown before an arrival is judged, and the end comes last.
fn next_move(
    lot: &LotModel,
    id: ReservationId,
    booking: &Booking,
    asked: &Asked<'_>,
) -> (Timestamp, Event) {
    let rules = &lot.spec.rules;
    let judged = || match arrivals::judged(lot, booking, asked.bays) {
        Some(proof) => Event::CheckedIn { id, proof },
        None => Event::NoShow { id },
    };
    let end = booking.window.to;
    let mut moves = Vec::new();
    match booking.state {
        State::Held { expires_at } => {
            moves.push((expires_at, 0, Event::Expired { id }));
            moves.push((end, 3, Event::Expired { id }));
        }
        State::Confirmed => {
            moves.push((booking.window.from.plus(rules.no_show), 2, judged()));
            moves.push((end, 3, judged()));
        }
        _ => moves.push((end, 3, Event::Completed { id })),
    }
    if !booking.shown {
        moves.push((booking.window.from.minus(rules.hold_lead), 1, Event::HoldBegan { id }));
    }
    let next = moves.into_iter().min_by_key(|(at, order, _)| (*at, *order));
    next.map_or((Timestamp::MAX, Event::Expired { id }), |(at, _, event)| (at, event))
}

fn reserve(lot: &LotModel, wanted: &Reserve, asked: &Asked<'_>) -> Result<Granted, String> {
    let now = asked.now;
    let waits = lot.life.line.all.contains_key(&WaitingId(wanted.id.0));
    if waits || lot.bookings.contains_key(&wanted.id) {
        return Ok(Err(Rejection::IdTaken));
    }
    if let Err(rejection) = judge_window(wanted.window, now) {
        return Ok(Err(rejection));
    }
    let held = lot.active().filter(|(_, it)| it.holder == wanted.holder).count();
    if held >= limits::RESERVATIONS_PER_HOLDER_MAX {
        return Ok(Err(Rejection::TooManyReservations));
    }
    let slot = match wanted.choice {
        Choice::Slot(slot) => judge_slot(lot, slot, wanted.window),
        Choice::Any(needs) => judge_choice(lot, &needs, wanted.window, asked)?,
    };
    Ok(slot.map(|slot| {
        let hold = wanted.hold.map(|hold| hold.min(Seconds(limits::HOLD_SECONDS_MAX)));
        let mut events = vec![Event::Reserved(Box::new(Reserved {
            id: wanted.id,
            slot,
            window: wanted.window,
            expires_at: hold.map(|hold| now.plus(hold)),
            holder: wanted.holder,
            vehicle: wanted.vehicle,
            price: None,
            series: None,
            request: wanted.request,
        }))];
        if begun(lot, wanted.window, now) {
            events.push(Event::HoldBegan { id: wanted.id });
        }
        (events, Outcome::Reservation(wanted.id))
    }))
}

fn begun(lot: &LotModel, window: Window, now: Timestamp) -> bool {
    window.from.minus(lot.spec.rules.hold_lead) <= now
}

fn judge_slot(lot: &LotModel, slot: SlotIndex, window: Window) -> Result<SlotIndex, Rejection> {
    judge_service(lot, slot, window)?;
    if let Some(clash) = lot.clash(slot, window, None) {
        return Err(Rejection::SlotTaken { slot, clash });
    }
    match lot.stretches(slot) >= limits::RESERVATIONS_PER_SLOT_MAX {
        true => Err(Rejection::SlotBookedOut { slot }),
        false => Ok(slot),
    }
}

fn judge_service(lot: &LotModel, slot: SlotIndex, window: Window) -> Result<(), Rejection> {
    match &lot.services.get(slot.at()).ok_or(Rejection::SlotNotFound)?.0 {
        Service::InService => Ok(()),
        Service::OutOfService { until: Some(until), .. } if *until <= window.from => Ok(()),
        Service::OutOfService { until, .. } => {
            Err(Rejection::SlotOutOfService { slot, until: *until })
        }
    }
}

/// The engine's choice must fit and be open; where none was made, none may have been possible.
fn judge_choice(
    lot: &LotModel,
    needs: &Needs,
    window: Window,
    asked: &Asked<'_>,
) -> Result<Result<SlotIndex, Rejection>, String> {
    let fits = |slot: &SlotIndex| lot.spec.slot(*slot).is_some_and(|spec| needs.fit(spec));
    let offered = |slot: &SlotIndex| {
        lot.services[slot.at()].0 == Service::InService
            && lot.stretches(*slot) < limits::RESERVATIONS_PER_SLOT_MAX
    };
    let fitting: Vec<SlotIndex> = lot.spec.slot_indices().filter(fits).collect();
    let open: Vec<SlotIndex> = fitting
        .iter()
        .copied()
        .filter(|slot| offered(slot) && lot.clash(*slot, window, None).is_none())
        .collect();
    let standing =
        |slot: &SlotIndex| asked.bays.get(slot.at()).copied().flatten().is_some_and(|(it, _)| it);
    match asked.chosen {
        Some(chosen) if !open.contains(&chosen) => {
            Err(format!("{chosen:?} was promised for {window:?}, open are {open:?}"))
        }
        Some(chosen)
            if begun(lot, window, asked.now)
                && standing(&chosen)
                && open.len() <= limits::EMPTY_BAY_PROBES_MAX
                && open.iter().any(|slot| !standing(slot)) =>
        {
            Err(format!("{chosen:?} is occupied, {open:?} are open and one of them is empty"))
        }
        Some(chosen) => Ok(Ok(chosen)),
        None if !open.is_empty() => {
            Err(format!("none was promised for {window:?}, open are {open:?}"))
        }
        None if fitting.is_empty() => Ok(Err(Rejection::NoSlotFits)),
        None => Ok(Err(Rejection::NoSlotFree)),
    }
}

pub(super) fn judge_window(window: Window, now: Timestamp) -> Result<(), Rejection> {
    let earliest = now.minus(Seconds(limits::WINDOW_LATE_SECONDS_MAX));
    let latest = now.plus(Seconds(limits::WINDOW_AHEAD_SECONDS_MAX));
    if window.from >= window.to {
        Err(Rejection::WindowEmpty)
    } else if window.from < earliest || window.to <= now {
        Err(Rejection::WindowInPast)
    } else if window.from > latest {
        Err(Rejection::WindowTooLong)
    } else {
        judge_length(window)
    }
}

fn judge_length(window: Window) -> Result<(), Rejection> {
    match window.to.micros_since(window.from) > Seconds(limits::WINDOW_SECONDS_MAX).micros() {
        true => Err(Rejection::WindowTooLong),
        false => Ok(()),
    }
}

fn seen_by(lot: &LotModel, id: ReservationId, by: Caller) -> Result<&Booking, Rejection> {
    match (lot.bookings.get(&id), by) {
        (Some(booking), Caller::Staff) => Ok(booking),
        (Some(booking), Caller::Holder(caller)) if booking.holder == caller => Ok(booking),
        (Some(_) | None, _) => Err(Rejection::ReservationNotFound),
    }
}

fn confirm(lot: &LotModel, id: ReservationId, by: Caller) -> Granted {
    let done = Outcome::Reservation(id);
    match seen_by(lot, id, by)?.state {
        State::Held { .. } => Ok((vec![Event::Confirmed { id }], done)),
        State::Confirmed | State::CheckedIn { .. } => Ok((Vec::new(), done)),
        State::Expired => Err(Rejection::HoldExpired),
        state => Err(Rejection::ReservationEnded { state }),
    }
}

fn cancel(lot: &LotModel, id: ReservationId, reason: Option<&str>, by: Caller) -> Granted {
    let done = Outcome::Reservation(id);
    match seen_by(lot, id, by)?.state {
        State::Cancelled => Ok((Vec::new(), done)),
        state if state.is_active() => {
            if let Some(stay) = lot.life.inside_of(id) {
                return Err(Rejection::VehicleInside { session: stay.id });
            }
            Ok((vec![Event::Cancelled { id, reason: reason.map(Box::from) }], done))
        }
        state => Err(Rejection::ReservationEnded { state }),
    }
}

fn modify(
    lot: &LotModel,
    (id, by): (ReservationId, Caller),
    (from, to): (Option<Timestamp>, Option<Timestamp>),
    expected_version: Option<u32>,
    now: Timestamp,
) -> Granted {
    let booking = seen_by(lot, id, by)?;
    if !booking.state.is_active() {
        return Err(Rejection::ReservationEnded { state: booking.state });
    }
    judge_version(expected_version, booking.version)?;
    let (old, slot) = (booking.window, booking.slot);
    let window = Window { from: from.unwrap_or(old.from), to: to.unwrap_or(old.to) };
    let done = Outcome::Reservation(id);
    if window == old {
        return Ok((Vec::new(), done));
    }
    // A stay that runs may keep its start; everything else is as with a new window.
    let runs_on = window.from == old.from && window.from < now && window.from < window.to;
    match runs_on {
        true if window.to <= now => return Err(Rejection::WindowInPast),
        true => judge_length(window)?,
        false => judge_window(window, now)?,
    }
    let inside = lot.life.inside_of(id).filter(|_| window.from != old.from);
    if let Some(stay) = inside {
        return Err(Rejection::VehicleInside { session: stay.id });
    }
    let within = old.from <= window.from && window.to <= old.to;
    if !within {
        judge_service(lot, slot, window)?;
    }
    if let Some(clash) = lot.clash(slot, window, Some(id)) {
        return Err(Rejection::SlotTaken { slot, clash });
    }
    let mut events = vec![Event::Modified { id, window, price: None }];
    if begun(lot, window, now) && !booking.shown {
        events.push(Event::HoldBegan { id });
    }
    Ok((events, done))
}
