//! A driver: reserves, confirms, moves and gives up, some of it in a race with the others; asks again under
//! the same key when there was no answer, until there is one; and repeats what was answered long ago.
//!
//! Invariant: a reservation is touched by its own driver alone, one request at a time, so what a repeated
//! request must answer is known. Absent: any judgement that needs the log (`history`).

use super::history::Told;
use super::log::Standing;
use super::stage::{Broken, Phase, Stage, knock, pause, ready};
use super::wish::{Doing, Wishes};
use crate::http::{Answer, HttpClient};
use crate::target::Role;
use bytes::Bytes;
use hyper::Method;
use rand::RngExt;
use rand::rngs::SmallRng;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Reservations a driver keeps; beyond, the oldest is given up.
const LIVE_MAX: usize = 40;
/// Between two requests.
const PAUSE_MS: std::ops::Range<u64> = 4..20;
/// Of a hundred turns, those that repeat what was answered.
const REPEAT_PERCENT: u32 = 6;
/// Of those, the ones with another body.
const OTHER_BODY_PERCENT: u32 = 25;
/// Answers from which one is repeated: far fewer than a lot remembers keys.
const REPEATED_FROM: usize = 1_500;
/// After a restart the first requests repeat what was answered before it.
const REPEATED_FIRST: u32 = 2;

/// A write, to be sent as often as it takes.
#[derive(Clone, Debug)]
pub struct Request {
    pub doing: Doing,
    pub lot: usize,
    /// Of the reservation.
    pub id: String,
    pub method: Method,
    pub path: String,
    pub key: Option<String>,
    pub body: Bytes,
    /// How often it was sent without an answer.
    pub unanswered: u32,
}

/// A write and its first answer.
#[derive(Clone, Debug)]
pub struct Kept {
    pub request: Request,
    pub status: u16,
    pub answer: Bytes,
}

/// A reservation that can still be changed.
#[derive(Clone, Debug)]
pub struct Live {
    pub id: String,
    pub lot: usize,
    pub from_us: u64,
    pub to_us: u64,
    pub is_held: bool,
}

/// One driver.
#[derive(Debug)]
pub struct Driver {
    pub number: usize,
    stage: Arc<Stage>,
    client: HttpClient,
    luck: SmallRng,
    wishes: Wishes,
    live: Vec<Live>,
    open: Option<Request>,
    kept: Vec<Kept>,
    repeat_first: u32,
}

impl Driver {
    pub fn new(number: usize, of: usize, stage: &Arc<Stage>) -> Self {
        Self {
            number,
            client: stage.client(Role::Driver, number),
            luck: stage.luck(number as u64),
            wishes: Wishes::new(number, of, stage),
            stage: Arc::clone(stage),
            live: Vec::new(),
            open: None,
            kept: Vec::new(),
            repeat_first: 0,
        }
    }

    /// Plays until the end; gives back every answer that a repeated request must give again.
    pub async fn run(mut self, mut phase: watch::Receiver<Phase>) -> (usize, Vec<Kept>) {
        loop {
            let now = ready(&mut phase).await;
            match (now, self.open.take()) {
                (Phase::End, _) | (Phase::Settle, None) => return (self.number, self.kept),
                (_, Some(request)) => self.send(request).await,
                (_, None) if self.repeat_first > 0 => {
                    self.repeat_first -= 1;
                    self.repeat().await;
                }
                (_, None) => {
                    if self.luck.random_range(0..100) < REPEAT_PERCENT {
                        self.repeat().await;
                    } else {
                        let request = self.next();
                        self.send(request).await;
                    }
                    pause(&mut self.luck, PAUSE_MS).await;
                }
            }
        }
    }

    fn next(&mut self) -> Request {
        let now_us = self.stage.clock.now_us();
        if self.live.len() > LIVE_MAX {
            let oldest = self.live[0].clone();
            return self.wishes.cancel(&oldest, &mut self.luck);
        }
        let dice = self.luck.random_range(0..100);
        if dice < 50 || self.live.is_empty() {
            return self.wishes.reserve(now_us, &mut self.luck);
        }
        let nth = self.luck.random_range(0..self.live.len());
        let live = self.live[nth].clone();
        match dice {
            50..70 if live.is_held => self.wishes.confirm(&live, &mut self.luck),
            50..82 => self.wishes.modify(&live, &mut self.luck),
            _ => self.wishes.cancel(&live, &mut self.luck),
        }
    }

    /// Sends it; without an answer it is kept to be sent again.
    async fn send(&mut self, mut request: Request) {
        let answer = {
            let _flight = self.stage.fly();
            let Request { method, path, key, body, .. } = &request;
            self.client.write(method.clone(), path, key.as_deref(), body.clone()).await
        };
        let Ok(answer) = answer else {
            request.unanswered += 1;
            self.open = Some(request);
            self.repeat_first = REPEATED_FIRST;
            return knock().await;
        };
        let is_unsure = matches!(answer.status, 429 | 500 | 503)
            || answer.status == 409 && answer.problem().ends_with("request_in_progress");
        if is_unsure {
            self.stage.error(format!("booking {}", answer.problem()));
            let seconds = answer.retry_after_seconds.unwrap_or(0).min(1);
            tokio::time::sleep(Duration::from_millis(50 + seconds * 100)).await;
            request.unanswered += 1;
            self.open = Some(request);
            return;
        }
        if request.unanswered > 0 {
            self.stage.tallies.retried.fetch_add(1, Ordering::Relaxed);
        }
        match answer.status {
            200 | 201 => self.granted(request, answer),
            _ => self.refused(&request, &answer),
        }
    }

    fn granted(&mut self, request: Request, answer: Answer) {
        let standing = match answer.json::<Standing>() {
            Ok(standing) => standing,
            Err(error) => {
                let what = format!("{} {}: {error}", request.method, request.path);
                return self.stage.fault(Broken::Kept, what);
            }
        };
        if standing.id != request.id {
            let what = format!("{} {} answered {standing:?}", request.method, request.path);
            self.stage.fault(Broken::Kept, what);
        }
        if request.doing != Doing::Reserve {
            self.stage.tallies.changed.fetch_add(1, Ordering::Relaxed);
        }
        self.live.retain(|live| live.id != request.id);
        if standing.state.is_active() {
            self.live.extend(Wishes::live(&request, &standing));
        }
        self.stage.told(Told::Granted(standing));
        self.kept.push(Kept { request, status: answer.status, answer: answer.body });
    }

    fn refused(&mut self, request: &Request, answer: &Answer) {
        let problem = answer.problem();
        let lot = self.stage.fleet.lots[request.lot].code.clone();
        self.stage.tallies.refused.fetch_add(1, Ordering::Relaxed);
        let code = problem.split(' ').nth(1).unwrap_or_default();
        match (request.doing, code) {
            (Doing::Reserve, "slot_taken" | "no_slot_free" | "too_many_reservations") => {
                self.stage.told(Told::Refused { id: request.id.clone(), lot });
            }
            (
                Doing::Confirm | Doing::Modify | Doing::Cancel,
                "hold_expired" | "reservation_ended",
            ) => {
                self.live.retain(|live| live.id != request.id);
            }
            (Doing::Modify, "slot_taken") => {}
            (_, "reservation_not_found") => {
                self.live.retain(|live| live.id != request.id);
                self.stage.told(Told::Absent { id: request.id.clone(), lot });
            }
            (_, "idempotency_key_reused" | "id_taken") => {
                let Request { method, path, .. } = request;
                let what = format!("{method} {path}, sent as before: {}", answer.excerpt());
                self.stage.fault(Broken::Keys, what);
            }
            _ => self.stage.error(format!("booking {problem}")),
        }
    }

    /// Asks once more for what was answered, as it was asked or with another body.
    async fn repeat(&mut self) {
        let first = self.kept.len().saturating_sub(REPEATED_FROM);
        if first == self.kept.len() {
            return;
        }
        let nth = self.luck.random_range(first..self.kept.len());
        let kept = self.kept[nth].clone();
        let other = self.luck.random_range(0..100) < OTHER_BODY_PERCENT;
        // A broken connection says nothing; there are more to repeat.
        let _ = repeat(&self.stage, &mut self.client, &kept, other).await;
    }
}

/// Repeats a request and holds the answer against the first; nothing when there was no answer.
pub async fn repeat(
    stage: &Stage,
    client: &mut HttpClient,
    kept: &Kept,
    other: bool,
) -> Option<()> {
    let Request { method, path, key, body, .. } = &kept.request;
    let other_body = if other { Wishes::other_body(&kept.request) } else { None };
    let sent = other_body.clone().unwrap_or_else(|| body.clone());
    let answer = {
        let _flight = stage.fly();
        client.write(method.clone(), path, key.as_deref(), sent).await.ok()?
    };
    if matches!(answer.status, 429 | 500 | 503) {
        stage.error(format!("repeated booking {}", answer.problem()));
        return None;
    }
    stage.tallies.repeated.fetch_add(1, Ordering::Relaxed);
    if let Some(fault) = broken_key(kept, other_body.is_some(), &answer) {
        stage.fault(Broken::Keys, fault);
    }
    Some(())
}

/// How the answer to a repeated request breaks the promise of its key, if it does.
fn broken_key(kept: &Kept, with_other_body: bool, answer: &Answer) -> Option<String> {
    let Request { method, path, key, .. } = &kept.request;
    let named = format!("{method} {path} under {}", key.as_deref().unwrap_or("its id"));
    if with_other_body {
        let is_refused =
            answer.status == 422 && answer.problem().ends_with("idempotency_key_reused");
        return (!is_refused).then(|| format!("{named} with another body: {}", answer.excerpt()));
    }
    let is_first = answer.status == kept.status && answer.body == kept.answer;
    let text = |body: &Bytes| String::from_utf8_lossy(body).into_owned();
    (!is_first).then(|| {
        let (was, is) = (text(&kept.answer), text(&answer.body));
        format!("{named}: first {} {was}, then {} {is}", kept.status, answer.status)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_answer_under_a_key_is_found() {
        let request = Request {
            doing: Doing::Reserve,
            lot: 0,
            id: "r-1".into(),
            method: Method::POST,
            path: "/api/v1/reservations".into(),
            key: Some("k".into()),
            body: Bytes::from_static(br#"{"id":"r-1"}"#),
            unanswered: 0,
        };
        let kept = Kept { request, status: 201, answer: Bytes::from_static(b"first") };
        let reused = r#"{"code":"idempotency_key_reused"}"#;
        for (other, status, body, holds) in [
            (false, 201, "first", true),
            (false, 200, "first", false),
            (false, 201, "second", false),
            (false, 409, r#"{"code":"slot_taken"}"#, false),
            (true, 422, reused, true),
            (true, 201, "first", false),
            (true, 422, r#"{"code":"validation_failed"}"#, false),
        ] {
            let answer = Answer { status, retry_after_seconds: None, body: Bytes::from(body) };
            let fault = broken_key(&kept, other, &answer);
            assert_eq!(fault.is_none(), holds, "{other} {status} {body}: {fault:?}");
        }
    }

    #[test]
    fn another_body_is_another_and_still_readable() {
        let request = |doing, body: &'static str| Request {
            doing,
            lot: 0,
            id: "r-1".into(),
            method: Method::POST,
            path: String::new(),
            key: None,
            body: Bytes::from_static(body.as_bytes()),
            unanswered: 0,
        };
        for (doing, body, other) in [
            (
                Doing::Reserve,
                r#"{"id":"r-1","to":"x","hold_seconds":3,"vehicle":{"plate":"A"}}"#,
                r#"{"id":"r-1","to":"x","hold_seconds":77}"#,
            ),
            (
                Doing::Reserve,
                r#"{"id":"r-1","to":"x","vehicle":{"plate":"A"}}"#,
                r#"{"id":"r-1","to":"x","hold_seconds":77}"#,
            ),
            (Doing::Reserve, r#"{"id":"r-1"}"#, r#"{"id":"r-1","hold_seconds":77}"#),
            (Doing::Modify, r#"{"from":"x","to":"y"}"#, r#"{"from":"x"}"#),
            (Doing::Cancel, r#"{"reason":"crash_test"}"#, r#"{"reason":"another"}"#),
        ] {
            let made = Wishes::other_body(&request(doing, body)).unwrap();
            assert_eq!(made, other, "{doing:?}");
        }
        assert_eq!(Wishes::other_body(&request(Doing::Confirm, "")), None);
    }
}
