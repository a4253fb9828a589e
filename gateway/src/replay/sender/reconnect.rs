//! What the sender does when the server is not there: try again, until the patience ends.
//!
//! Pauses double, are bounded, and never fall on the same moment as everybody else's.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::error::Error;
use super::Sender;
use crate::client::{self, IngestClient};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

impl Sender {
    /// Sets a counted lot's capacity over HTTP; sending it twice is harmless.
    pub(super) async fn change_capacity(
        &mut self,
        lane: usize,
        capacity: u32,
    ) -> Result<(), Error> {
        let path = format!("/api/v1/lots/{}", self.lanes[lane].lot);
        let body = json!({ "capacity": capacity });
        for attempt in 0.. {
            match self.client.patch_json::<Value>(&path, &body).await {
                Ok(_) => break,
                Err(error) if error.is_transient() => {
                    self.last_trouble = error.to_string();
                    tokio::time::sleep(backoff(attempt, rand::random())).await;
                    self.check_patience()?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.summary.capacity_changes += 1;
        self.finished(lane, 0);
        Ok(())
    }

    /// A new connection after `cause`, and everything that was under way goes out again.
    pub(super) async fn reconnect(&mut self, cause: client::Error) -> Result<(), Error> {
        if !cause.is_transient() {
            return Err(cause.into());
        }
        self.waiting_since.get_or_insert_with(Instant::now);
        for (_, (lane, work)) in std::mem::take(&mut self.under_way) {
            self.summary.sent_again += 1;
            self.lanes[lane].put_back(work);
        }
        let mut pause = first_pause(&cause, rand::random());
        self.last_trouble = cause.to_string();
        tracing::warn!(cause = self.last_trouble, "the ingest socket broke; connecting again");
        for attempt in 1.. {
            tokio::time::sleep(pause).await;
            self.check_patience()?;
            match IngestClient::connect(&self.client, &self.token).await {
                Ok(socket) => {
                    self.socket = socket;
                    self.summary.reconnects += 1;
                    break;
                }
                Err(error) if error.is_transient() => {
                    self.last_trouble = error.to_string();
                    pause = backoff(attempt, rand::random());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    pub(super) fn check_patience(&self) -> Result<(), Error> {
        match self.waiting_since {
            Some(since) if since.elapsed() >= self.patience => Err(Error::GaveUp {
                patience_seconds: self.patience.as_secs(),
                last: self.last_trouble.clone(),
                acknowledged: self.summary.sent,
            }),
            _ => Ok(()),
        }
    }
}

/// The pause before attempt number `attempt` (from 0); `jitter` in 0..1 spreads it over the upper
/// half of the step.
fn backoff(attempt: u32, jitter: f64) -> Duration {
    let step = FIRST.saturating_mul(2_u32.saturating_pow(attempt)).min(LONGEST);
    step.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

/// The pause before the first attempt: what the closing server asked for, spread up to twice
/// that, or the first step.
fn first_pause(cause: &client::Error, jitter: f64) -> Duration {
    match cause.retry_after_ms() {
        Some(pause_ms) => {
            let asked = Duration::from_millis(pause_ms).min(LONGEST);
            asked.mul_f64(1.0 + jitter.clamp(0.0, 1.0))
        }
        None => backoff(0, jitter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound() {
        for (attempt, jitter, milliseconds) in [
            (0, 0.0, 50),
            (0, 1.0, 100),
            (1, 1.0, 200),
            (3, 0.5, 600),
            (6, 1.0, 5_000),
            (u32::MAX, 1.0, 5_000),
        ] {
            let pause = backoff(attempt, jitter);
            assert_eq!(pause, Duration::from_millis(milliseconds), "{attempt} {jitter}");
        }
    }

    #[test]
    fn a_closing_servers_wish_comes_first() {
        let closed =
            |reason: &str| client::Error::Closed { code: Some(4503), reason: reason.to_owned() };
        for (reason, jitter, milliseconds) in [
            ("retry_after_ms=800", 0.0, 800),
            ("retry_after_ms=800", 0.5, 1_200),
            ("retry_after_ms=99999999", 0.0, 5_000),
            ("going away", 1.0, 100),
        ] {
            let pause = first_pause(&closed(reason), jitter);
            assert_eq!(pause, Duration::from_millis(milliseconds), "{reason} {jitter}");
        }
    }
}
