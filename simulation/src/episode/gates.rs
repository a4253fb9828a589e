//! Commands to lots with gates: every answer is predicted, what happens by itself is judged one by one.

use lotkeeper_engine::lot::{
    Command, Decision, Event, Outcome, Price, Rejection, StayChange, pass, violation, waiting,
};
use lotkeeper_engine::time::Timestamp;

use super::Episode;
use super::names::name;
use super::steps::touched;
use crate::model::{Asked, Granted, LotModel, Scanned, Standing, predict, till};
use crate::model::{fines, line, passes, payments, shifts};

impl Episode {
    pub(super) fn command_at_gates(&mut self, lot: usize, command: &Command) -> Result<(), String> {
        let bays = self.node.lots[lot].view.bays();
        let now = self.now;
        let Some(decision) = self.node.command(lot, command, now) else { return Ok(()) };
        self.trace.note(|| format!("{now} L{lot} {command:?} -> {decision:?}"));
        let model = &mut self.expected[lot].lot.ahead;
        let wrong = |what: String| format!("L{lot} {command:?}: {what}, in {decision:?}");
        let (overdue, done) = decision.events.split_at(decision.overdue);
        let (done, offers) = done.split_at(done.len() - decision.offers);
        happens(model, overdue, now, &bays).map_err(wrong)?;
        if let Some(late) = till::is_late(model, now) {
            return Err(wrong(late));
        }
        let asked = Asked { command, now, bays: &bays, chosen: chosen(command, done) };
        judge(model, &asked, &decision, done).map_err(wrong)?;
        for event in done {
            model.apply(event, now);
            guest(event).into_iter().for_each(|name| self.tally.count(name));
        }
        happens(model, offers, now, &bays).map_err(wrong)?;
        if let Some(vain) = model.waits_in_vain() {
            return Err(wrong(vain));
        }
        if let Some(heartbeat) = decision.heartbeat {
            model.gates.hear(heartbeat, now);
        }
        self.trace.value(decision.events.len() as u64);
        self.trace.value(u64::from(decision.outcome.is_ok()));
        self.tally.count(name(command, decision.outcome.as_ref().ok()));
        let all = overdue.iter().chain(offers);
        all.filter_map(by_itself).for_each(|name| self.tally.count(name));
        self.audit_actor(lot, &touched(decision.events.iter()))
    }
}

/// What nobody asked for happens, each for a reason of its own, and with all that it brings along.
fn happens(
    model: &mut LotModel,
    events: &[Event],
    now: Timestamp,
    bays: &[Standing],
) -> Result<(), String> {
    for event in events {
        if let Some(what) = till::may_not(model, event, now, bays) {
            return Err(what);
        }
        check_prices(model, std::slice::from_ref(event))?;
        model.apply(event, now);
    }
    till::is_not_found(model, events).map_or(Ok(()), Err)
}

/// What happens with a pass that is good in all lots of its tenant.
fn guest(event: &Event) -> Option<&'static str> {
    match event {
        Event::Pass(pass::Event::Honoured { .. }) => Some("guest.honoured"),
        Event::Pass(pass::Event::Followed { .. }) => Some("guest.followed"),
        _ => None,
    }
}

fn chosen(command: &Command, done: &[Event]) -> Option<lotkeeper_engine::ids::SlotIndex> {
    done.iter().find_map(|event| match (event, command) {
        (Event::Reserved(it), Command::Reserve(wanted)) if it.id == wanted.id => Some(it.slot),
        _ => None,
    })
}

fn judge(
    model: &LotModel,
    asked: &Asked<'_>,
    decision: &Decision,
    done: &[Event],
) -> Result<(), String> {
    check_prices(model, done)?;
    let told = &decision.outcome;
    let answer = match asked.command {
        Command::Scan(scan) => {
            let scanned = Scanned { lot: model, scan, now: asked.now, events: done };
            let verdict = scanned.verdict()?;
            let theirs = match told {
                Ok(Outcome::Scanned(scanned)) => Ok(scanned.verdict),
                Ok(other) => return Err(format!("a scan is answered {other:?}")),
                Err(rejection) => Err(rejection.clone()),
            };
            if theirs != verdict {
                return Err(format!("{theirs:?}, predicted {verdict:?}"));
            }
            let what = verdict.ok().and_then(|verdict| scanned.wrong_events(verdict));
            return what.map_or(Ok(()), Err);
        }
        Command::ChangeStay { id, change, expected_version } => {
            let answer = till::change(model, *id, change, *expected_version);
            if let (StayChange::Request(request), Ok(_)) = (change, &answer) {
                let asked = till::requested(model, *id, *request).into_iter().collect();
                let granted = answer.map(|outcome| (asked, outcome));
                return judge_to_the_event(&granted, told, done);
            }
            answer
        }
        Command::ChangeTariffs(_) => Ok(Outcome::Tariffs),
        Command::ReserveSeries(_) => series(model, asked)?,
        Command::Look(_) => return Err("lots that enforce are not played".to_owned()),
        Command::Pay(_)
        | Command::StepPayment { .. }
        | Command::Provider(_)
        | Command::Shift(_)
        | Command::IssuePass { .. }
        | Command::ChangePass { .. }
        | Command::FollowPass { .. }
        | Command::JoinWaiting { .. }
        | Command::LeaveWaiting { .. }
        | Command::Report(_)
        | Command::ChangeViolation { .. } => {
            return judge_to_the_event(&desk(model, asked, told)?, told, done);
        }
        Command::Reserve(_)
        | Command::Confirm { .. }
        | Command::Modify { .. }
        | Command::Cancel { .. }
        | Command::Count { .. }
        | Command::ChangeSlot { .. }
        | Command::ChangeLot { .. }
        | Command::Tick { .. } => return judge_wholly(model, asked, decision, done),
    };
    let is_refused = answer.is_err() && !done.is_empty();
    match &answer == told && !is_refused {
        true => Ok(()),
        false => Err(format!("predicted {answer:?}")),
    }
}

/// What a desk's command must do and be answered.
fn desk(
    model: &LotModel,
    asked: &Asked<'_>,
    told: &Result<Outcome, Rejection>,
) -> Result<Granted, String> {
    let now = asked.now;
    Ok(match asked.command {
        Command::Pay(pay) => payments::pay(model, pay, now),
        Command::StepPayment { id, step } => payments::step(model, (*id, *step), now),
        Command::Provider(command) => payments::provider(model, command, now),
        Command::Shift(command) => shifts::decide(model, command),
        Command::IssuePass { id, terms, reach } => passes::issue(model, (*id, *reach), terms, now),
        Command::FollowPass { id, state, since } => {
            Ok((passes::follow(model, *id, (*state, *since)), Outcome::Settled))
        }
        Command::ChangePass { id, change, expected_version } => {
            passes::change(model, (*id, change), *expected_version, now)
        }
        Command::JoinWaiting { id, terms } => {
            let slot = match told {
                Err(Rejection::SlotFree { slot }) => Some(*slot),
                _ => None,
            };
            line::join(model, (*id, terms), now, slot)?
        }
        Command::LeaveWaiting { id, by } => line::leave(model, *id, *by),
        Command::Report(report) => fines::report(model, report, now),
        Command::ChangeViolation { id, change, expected_version, by } => {
            fines::change(model, (*id, change), (*expected_version, *by), now)
        }
        other => return Err(format!("{other:?} is not a desk's")),
    })
}

/// Only what exactly is wrong with a request, and the ids that the engine makes up, are not predicted.
fn judge_to_the_event(
    granted: &Granted,
    told: &Result<Outcome, Rejection>,
    done: &[Event],
) -> Result<(), String> {
    let same = match (granted, told) {
        (Ok((events, outcome)), Ok(told)) => {
            events.iter().eq(&done.iter().map(fines::without_id).collect::<Vec<_>>())
                && outcome == told
        }
        (Err(Rejection::Invalid { .. }), Err(Rejection::Invalid { .. })) => done.is_empty(),
        (Err(rejection), Err(told)) => rejection == told && done.is_empty(),
        _ => false,
    };
    if same { Ok(()) } else { Err(format!("predicted {granted:?}")) }
}

/// Commands that the model of promises knows to the last event; what they cost is judged apart.
fn judge_wholly(
    model: &LotModel,
    asked: &Asked<'_>,
    decision: &Decision,
    done: &[Event],
) -> Result<(), String> {
    let predicted = predict(model, asked)?;
    let without_money = |event: &Event| match event {
        Event::Posted(_) => None,
        Event::Reserved(reserved) => {
            let mut reserved = reserved.clone();
            reserved.price = None;
            Some(Event::Reserved(reserved))
        }
        Event::Modified { id, window, .. } => {
            Some(Event::Modified { id: *id, window: *window, price: None })
        }
        other => Some(other.clone()),
    };
    let events = done.iter().filter_map(without_money).collect();
    let plain = Decision { events, overdue: 0, ..decision.clone() };
    match predicted.is(&plain) {
        true => Ok(()),
        false => Err(format!("predicted {predicted:?}")),
    }
}

/// One after the other, each on top of those before.
fn series(model: &LotModel, asked: &Asked<'_>) -> Result<Result<Outcome, Rejection>, String> {
    let Command::ReserveSeries(all) = asked.command else { return Err("no series".to_owned()) };
    let Some(series) = all.first().and_then(|first| first.series) else {
        return Ok(Err(Rejection::OccurrencesOutOfRange { count: all.len() }));
    };
    let mut so_far = model.clone();
    for (occurrence, one) in all.iter().enumerate() {
        let command = Command::Reserve(one.clone());
        let predicted = predict(&so_far, &Asked { command: &command, ..*asked })?;
        if let Err(why) = predicted.outcome {
            return Ok(Err(Rejection::Occurrence { occurrence, why: Box::new(why) }));
        }
        predicted.events.iter().for_each(|event| so_far.apply(event, asked.now));
    }
    Ok(Ok(Outcome::Series(series)))
}

/// A price is what the tariff of its terms says of its window; it changes with the window only.
fn check_prices(model: &LotModel, done: &[Event]) -> Result<(), String> {
    for event in done {
        let (price, window, before): (&Option<Box<Price>>, _, _) = match event {
            Event::Reserved(it) => (&it.price, it.window, None),
            Event::Modified { id, window, price } => (price, *window, model.bookings.get(id)),
            Event::Moved(it) => (&it.price, it.window, model.bookings.get(&it.id)),
            _ => continue,
        };
        let terms = before.and_then(|it| it.price.as_ref()).map(|price| &price.terms);
        let Some(price) = price else {
            if terms.is_some() {
                return Err(format!("{event:?} has lost its price"));
            }
            continue;
        };
        if terms.is_some_and(|terms| *terms != price.terms) {
            return Err(format!("{event:?} has other terms than before"));
        }
        if model.quote(&price.terms, window).as_ref() != Some(&price.fee) {
            return Err(format!("{event:?} has another price than its tariff"));
        }
    }
    Ok(())
}

fn by_itself(event: &Event) -> Option<&'static str> {
    use lotkeeper_engine::lot::session::Event as Stay;
    match event {
        Event::Reminded { .. } => Some("itself.reminded"),
        Event::NoShow { .. } => Some("itself.no_show"),
        Event::Completed { .. } => Some("itself.completed"),
        Event::Session(Stay::Placed { claim: Some(_), .. }) => Some("itself.claim_extended"),
        Event::Session(Stay::Placed { claim: None, .. }) => Some("itself.claim_ended"),
        Event::Session(Stay::Overstayed { .. }) => Some("itself.overstayed"),
        Event::Session(Stay::Abandoned { .. }) => Some("itself.abandoned"),
        Event::Expired { .. } => Some("itself.expired"),
        Event::Pass(pass::Event::Ended { .. }) => Some("itself.pass_ran_out"),
        Event::Waiting(waiting::Event::Offered { .. }) => Some("itself.offered"),
        Event::Waiting(waiting::Event::RanOut { .. }) => Some("itself.waited_in_vain"),
        Event::Violation(violation::Event::Notified { .. }) => Some("itself.notified"),
        Event::Violation(violation::Event::Raised(_)) => Some("itself.found"),
        _ => None,
    }
}
