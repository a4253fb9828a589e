//! A desk: lets vehicles of its own in and out, takes their money, reports and forgives, sells passes; asks again
//! under the same key when there was no answer, until there is one; and repeats what was answered long ago.
//!
//! Invariant: a vehicle is one desk's alone, one request at a time, so what the server may answer is known.

use super::super::history::Told;
use super::super::stage::{Broken, Phase, Stage, knock, pause, ready};
use super::ask::{Answered, Ask, Shows, What, lasting, repeat};
use super::fact::{Fact, Money};
use crate::http::{Answer, HttpClient};
use crate::target::Role;
use bytes::Bytes;
use hyper::Method;
use rand::RngExt;
use rand::rngs::SmallRng;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Vehicles a desk has inside; beyond, somebody has to leave.
const INSIDE_MAX: usize = 8;
/// Between two requests.
const PAUSE_MS: std::ops::Range<u64> = 6..24;
/// Of a hundred turns, those that repeat what was answered.
const REPEAT_PERCENT: u32 = 8;
/// Of those, the ones with another body.
const OTHER_BODY_PERCENT: u32 = 25;
/// Answers from which one is repeated: far fewer than a lot remembers keys.
const REPEATED_FROM: usize = 1_500;

/// A vehicle inside.
#[derive(Clone, Debug)]
struct Car {
    session: String,
    shows: Shows,
    /// All that it owes was paid, and nothing came since.
    is_settled: bool,
    /// A violation that is open.
    violation: Option<String>,
    /// A pass pays all of its stay.
    has_pass: bool,
}

/// A stay in an answer.
#[derive(Debug, Deserialize)]
struct StayShown {
    id: String,
    #[serde(default)]
    fee: Option<FeeShown>,
}

#[derive(Debug, Deserialize)]
struct FeeShown {
    total: Money,
}

/// What a gate is told.
#[derive(Debug, Deserialize)]
struct Scanned {
    decision: String,
    code: String,
    seq: u64,
    #[serde(default)]
    session: Option<StayShown>,
    #[serde(default)]
    ticket: Option<String>,
}

/// Anything else that was made or changed.
#[derive(Debug, Default, Deserialize)]
struct Made {
    id: String,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    qr: Option<String>,
    #[serde(default)]
    amount: Money,
}

/// One desk.
#[derive(Debug)]
pub struct Desk {
    number: usize,
    lot: String,
    stage: Arc<Stage>,
    device: HttpClient,
    staff: HttpClient,
    driver: HttpClient,
    luck: SmallRng,
    turn: u64,
    cars: Vec<Car>,
    /// What must come next, because of what came before.
    next: Option<Ask>,
    open: Option<Ask>,
    kept: Vec<Answered>,
}

impl Desk {
    pub fn new(number: usize, stage: &Arc<Stage>) -> Self {
        Self {
            number,
            lot: stage.stays.clone(),
            device: stage.client(Role::Device, number),
            staff: stage.client(Role::Operator, number),
            driver: stage.client(Role::Driver, number),
            luck: stage.luck(4_000 + number as u64),
            stage: Arc::clone(stage),
            turn: 0,
            cars: Vec::new(),
            next: None,
            open: None,
            kept: Vec::new(),
        }
    }

    /// Plays until the end; gives back every answer that a repeated request must give again.
    pub async fn run(mut self, mut phase: watch::Receiver<Phase>) -> Vec<Answered> {
        loop {
            let now = ready(&mut phase).await;
            match (now, self.open.take()) {
                (Phase::End, _) | (Phase::Settle, None) => return self.kept,
                (_, Some(ask)) => self.send(ask).await,
                (_, None) if self.luck.random_range(0..100) < REPEAT_PERCENT => self.repeat().await,
                (_, None) => {
                    let ask = self.next.take().unwrap_or_else(|| self.choose());
                    self.send(ask).await;
                    pause(&mut self.luck, PAUSE_MS).await;
                }
            }
        }
    }

    fn choose(&mut self) -> Ask {
        let now_us = self.stage.clock.now_us();
        let (dice, luck) = (self.luck.random_range(0..100), &mut self.luck);
        if self.cars.len() < 2 || self.cars.len() < INSIDE_MAX && dice < 35 {
            self.turn += 1;
            let plate = format!("K{} {}", self.number, self.turn);
            let ago = Some((now_us, luck.random_range(0..400)));
            return match luck.random_range(0..10) {
                0..4 => Ask::enter(&self.lot, Shows::Nothing, None, ago, luck),
                4..6 => Ask::enter(&self.lot, Shows::Plate(plate), None, ago, luck),
                6..9 => Ask::reserve(&self.lot, &plate, now_us, luck),
                _ => Ask::issue(&self.lot, &plate, now_us, luck),
            };
        }
        let car = self.cars[luck.random_range(0..self.cars.len())].clone();
        match (luck.random_range(0..100), &car.violation) {
            (0..12, None) => Ask::report(&self.lot, &car.session, luck),
            (0..40, Some(id)) => Ask::waive(&car.session, id, luck),
            (12..60, _) if !car.is_settled => Ask::pay(&car.session, luck),
            _ => Ask::exit(&self.lot, &car.session, &car.shows, luck),
        }
    }

    /// Sends it; without an answer it is kept to be sent again.
    async fn send(&mut self, mut ask: Ask) {
        let answer = {
            let _flight = self.stage.fly();
            let client = match ask.role {
                Role::Device => &mut self.device,
                Role::Driver => &mut self.driver,
                Role::Operator | Role::Display => &mut self.staff,
            };
            let body = Bytes::from(ask.body.clone());
            client.write(Method::POST, &ask.path, Some(&ask.key), body).await
        };
        let Ok(answer) = answer else {
            ask.unanswered += 1;
            self.open = Some(ask);
            return knock().await;
        };
        let is_unsure = matches!(answer.status, 429 | 500 | 503)
            || answer.status == 409 && answer.problem().ends_with("request_in_progress");
        if is_unsure {
            self.stage.error(format!("desk {}", answer.problem()));
            tokio::time::sleep(Duration::from_millis(50)).await;
            ask.unanswered += 1;
            self.open = Some(ask);
            return;
        }
        if ask.unanswered > 0 {
            self.stage.tallies.retried.fetch_add(1, Ordering::Relaxed);
        }
        match answer.status {
            200 | 201 => self.granted(ask, &answer),
            _ => self.refused(&ask, &answer),
        }
    }

    fn granted(&mut self, ask: Ask, answer: &Answer) {
        let unreadable = |error: &dyn std::fmt::Display| {
            self.stage.fault(Broken::Kept, format!("POST {}: {error}", ask.path));
        };
        match &ask.what {
            What::Enter { .. } | What::CheckIn { .. } | What::Exit { .. } => {
                match answer.json::<Scanned>() {
                    Ok(scanned) => self.scanned(&ask.what, scanned),
                    Err(error) => return unreadable(&error),
                }
            }
            _ => match answer.json::<Made>() {
                Ok(made) => self.made(&ask.what, made),
                Err(error) => return unreadable(&error),
            },
        }
        let first = answer.json::<Value>().map(lasting).unwrap_or_default();
        self.kept.push(Answered { ask, desk: self.number, status: answer.status, first });
    }

    fn scanned(&mut self, what: &What, scanned: Scanned) {
        let Scanned { decision, code, seq, session, ticket } = scanned;
        let fact = match (decision.as_str(), what, session) {
            ("open", What::Exit { session: wanted }, Some(left)) => {
                if left.id != *wanted {
                    self.wrong(&format!("{wanted} wanted out and {} was let out", left.id));
                }
                self.cars.retain(|car| car.session != *wanted);
                Fact::Left { session: left.id, fee: left.fee.map(|fee| fee.total.amount) }
            }
            ("open", What::Enter { .. } | What::CheckIn { .. }, Some(entered)) => {
                let shows = match (what, ticket) {
                    (What::Enter { shows: Shows::Nothing, .. }, Some(ticket)) => {
                        Shows::Ticket(ticket)
                    }
                    (What::Enter { shows, .. }, _) => shows.clone(),
                    (What::CheckIn { reservation }, _) => self.code_of(reservation),
                    _ => Shows::Nothing,
                };
                let (session, has_pass) = (entered.id, self.has_pass(&shows));
                let (is_settled, violation) = (false, None);
                let car = Car { session: session.clone(), shows, is_settled, violation, has_pass };
                self.cars.push(car);
                Fact::Entered { session }
            }
            ("deny", _, _) => {
                self.denied(what, &code);
                Fact::Denied
            }
            (_, _, session) => {
                return self.wrong(&format!("{what:?} was answered {decision} {code} {session:?}"));
            }
        };
        self.told(seq, fact);
    }

    /// The code of a reservation, as the answer to it said.
    fn code_of(&self, reservation: &str) -> Shows {
        let made = self.kept.iter().rev().find(|kept| match &kept.ask.what {
            What::Reserve { id } => id == reservation,
            _ => false,
        });
        let qr = made.and_then(|kept| kept.first["qr"].as_str());
        qr.map_or(Shows::Nothing, |qr| Shows::Qr(qr.into()))
    }

    /// Whether it is a plate that this desk sold a pass for.
    fn has_pass(&self, shows: &Shows) -> bool {
        let Shows::Plate(plate) = shows else { return false };
        self.kept.iter().rev().any(|kept| match &kept.ask.what {
            What::Issue { plate: issued, .. } => issued == plate,
            _ => false,
        })
    }

    /// A gate that stays shut must have a reason that this desk knows of.
    fn denied(&mut self, what: &What, code: &str) {
        let car = match what {
            What::Exit { session } => self.cars.iter().find(|car| car.session == *session),
            _ => None,
        };
        let is_known = match (what, code, car) {
            (What::Exit { .. }, "payment_required", Some(car)) => !car.is_settled,
            (What::Enter { .. }, "lot_full", _) => true,
            _ => false,
        };
        if !is_known {
            self.wrong(&format!("{what:?} was denied with {code}, known of it is {car:?}"));
        }
        if let What::Exit { session } = what
            && code != "payment_required"
        {
            let session = session.clone();
            self.cars.retain(|car| car.session != session);
        }
    }

    fn made(&mut self, what: &What, made: Made) {
        let Made { id: told, seq, qr, amount } = made;
        let id = match what {
            What::Reserve { id }
            | What::Pay { id, .. }
            | What::Report { id, .. }
            | What::Waive { id, .. }
            | What::Issue { id, .. } => id.clone(),
            What::Enter { .. } | What::CheckIn { .. } | What::Exit { .. } => return,
        };
        if told != id {
            self.wrong(&format!("{what:?} was answered for {told}"));
        }
        let fact = match what {
            What::Reserve { .. } => {
                self.next = Some(match (qr, self.luck.random_bool(0.4)) {
                    (Some(qr), false) => {
                        let shows = Shows::Qr(qr);
                        Ask::enter(&self.lot, shows, Some(id.clone()), None, &mut self.luck)
                    }
                    _ => Ask::check_in(id.clone(), &mut self.luck),
                });
                Fact::Reserved { id }
            }
            What::Pay { session, .. } => {
                self.change(session, |car| {
                    car.is_settled = true;
                    car.violation = None;
                });
                Fact::Paid { id, amount: amount.amount }
            }
            What::Report { session, .. } => {
                let violation = Some(id.clone());
                self.change(session, |car| {
                    car.is_settled = false;
                    car.violation = violation;
                });
                Fact::Reported { id }
            }
            What::Waive { session, .. } => {
                self.change(session, |car| car.violation = None);
                Fact::Waived { id }
            }
            _ => {
                if let What::Issue { plate, .. } = what {
                    let shows = Shows::Plate(plate.clone());
                    self.next = Some(Ask::enter(&self.lot, shows, None, None, &mut self.luck));
                }
                Fact::Issued { id }
            }
        };
        self.told(seq, fact);
    }

    fn change(&mut self, session: &str, change: impl FnOnce(&mut Car)) {
        if let Some(car) = self.cars.iter_mut().find(|car| car.session == session) {
            change(car);
        }
    }

    fn refused(&mut self, ask: &Ask, answer: &Answer) {
        let problem = answer.problem();
        let code = problem.split(' ').nth(1).unwrap_or_default();
        self.stage.tallies.refused.fetch_add(1, Ordering::Relaxed);
        match (&ask.what, code) {
            (What::Reserve { id }, "no_slot_free") => {
                self.told(0, Fact::Nothing { id: id.clone() });
            }
            (What::Pay { session, id }, "nothing_owed") => {
                // A pass covers all of it; else it came in this second, and will owe something in the next one.
                self.change(session, |car| car.is_settled = car.has_pass);
                self.told(0, Fact::Nothing { id: id.clone() });
            }
            (what, _) => {
                self.wrong(&format!(
                    "{what:?}, sent {} times: {}",
                    ask.unanswered + 1,
                    answer.excerpt()
                ));
            }
        }
    }

    fn told(&self, seq: u64, fact: Fact) {
        self.stage.told(Told::Stay { lot: self.lot.clone(), seq, fact });
    }

    fn wrong(&self, what: &str) {
        self.stage.fault(Broken::Kept, format!("desk {}: {what}", self.number));
    }

    /// Asks once more for what was answered, as it was asked or with another body.
    async fn repeat(&mut self) {
        let first = self.kept.len().saturating_sub(REPEATED_FROM);
        if first == self.kept.len() {
            return;
        }
        let nth = self.luck.random_range(first..self.kept.len());
        let other = self.luck.random_range(0..100) < OTHER_BODY_PERCENT;
        let kept = &self.kept[nth];
        let client = match kept.ask.role {
            Role::Device => &mut self.device,
            Role::Driver => &mut self.driver,
            Role::Operator | Role::Display => &mut self.staff,
        };
        // A broken connection says nothing; there are more to repeat.
        let _ = repeat(&self.stage, client, kept, other).await;
    }
}
