//! Looks after what is not settled: questions without an answer, and promises whose stay is over.
//!
//! At a start everything open is looked up at once, as nobody knows what was on its way; later each question waits
//! twice as long as before, an hour at most, or until its provider answers again. Invariants: a question that is
//! with its provider is left alone (`till.rs`); so many are put at a time, and a lot without open questions costs a
//! look at a number.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use lotkeeper_actors::{LotHandle, Origin};
use lotkeeper_engine::lot::payment::Method;
use lotkeeper_engine::lot::provider::{Command as Ask, Wanted};
use lotkeeper_engine::lot::{Command, Payment};
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::ClaimOutcome;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;

/// Questions put at a time: a provider that is slow holds up so many, and each for its time limit.
const AT_ONCE_MAX: usize = 32;
/// The longest wait before a question is put again.
const WAIT_SECONDS_MAX: i64 = 3_600;

/// Runs until the end of the server.
pub async fn run(app: App, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    loop {
        tokio::select! {
            () = app.shutdown.begun() => return,
            _ = ticks.tick() => {}
        }
        let now = app.engine.now();
        tokio::select! {
            // What is cut off here is open at the next start.
            () = app.shutdown.begun() => return,
            () = look(&app, last, now) => {}
        }
        last = Some(now);
    }
}

async fn look(app: &App, last: Option<Timestamp>, now: Timestamp) {
    let mut running = JoinSet::new();
    let (back, mut open) = (app.till.back(), 0);
    for lot in app.engine.all_lots() {
        let view = lot.view();
        for payment in view.lot.payments().unsettled() {
            open += u64::from(payment.asked.is_some());
            let is_due = match payment.asked {
                Some(intent) => {
                    is_by_any_of(payment, &back)
                        || last.is_none_or(|last| is_due(intent.at, last, now))
                }
                None => view.lot.is_to_be_collected(payment),
            };
            if !is_due {
                continue;
            }
            if running.len() >= AT_ONCE_MAX {
                running.join_next().await;
            }
            running.spawn(settle(app.clone(), lot.clone(), Arc::clone(payment)));
        }
    }
    app.metrics.providers().asked(open);
    while running.join_next().await.is_some() {}
}

fn is_by_any_of(payment: &Payment, providers: &HashSet<&'static str>) -> bool {
    matches!(&payment.method, Method::Provider(name) if providers.contains(&**name))
}

/// Whether the wait that doubles each time, or the longest one, ended between two looks.
fn is_due(asked: Timestamp, last: Timestamp, now: Timestamp) -> bool {
    let waits = |at: Timestamp| {
        let seconds = (at.micros_since(asked) / 1_000_000).max(0);
        (seconds.checked_ilog2(), seconds / WAIT_SECONDS_MAX)
    };
    waits(last) != waits(now)
}

async fn settle(app: App, lot: LotHandle, payment: Arc<Payment>) {
    if payment.asked.is_some() {
        app.till.carry(&app.engine, &lot, &payment, true).await;
        return;
    }
    let ask = Ask::Ask { id: payment.id, wanted: Wanted::Collect };
    let command = Command::Provider(Box::new(ask));
    let asked = match app.engine.command(&lot, command, Origin { by: None, claim: None }) {
        Ok(done) => done.await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(done) => {
            if let ClaimOutcome::Payment(payment) = &done.answer {
                app.till.carry(&app.engine, &lot, payment, false).await;
            }
        }
        // Nothing is lost: the next look finds it again.
        Err(error) => {
            tracing::warn!(payment = %payment.id, lot = lot.code(), %error, "a promise was not collected");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_waits_twice_as_long_each_time_and_an_hour_at_most() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let asked = at(100);
        let mut due = Vec::new();
        for second in 1..3 * WAIT_SECONDS_MAX {
            if is_due(asked, at(100 + second - 1), at(100 + second)) {
                due.push(second);
            }
        }
        let expected =
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 3_600, 4_096, 7_200, 8_192];
        assert_eq!(due, expected);
        // A clock that was set back asks nothing of anybody.
        assert!(!is_due(asked, at(90), at(95)));
    }
}
