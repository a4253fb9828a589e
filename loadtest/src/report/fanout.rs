//! What the scenario `fanout` adds to a report.

use super::text::thousands;
use crate::scenario::View;
use serde::Serialize;
use std::fmt;

/// What reaching many subscribers cost. A delivery is one change that reached one subscriber; on the counts
/// view, one change that one subscriber's numbers included for the first time.
#[derive(Clone, Debug, Serialize)]
pub struct FanOut {
    pub view: View,
    pub subscribers: usize,
    /// Full speed when there is none.
    pub changes_per_second_asked: Option<f64>,
    pub changes_per_second: f64,
    pub deliveries: u64,
    pub deliveries_per_second: f64,
    pub messages_per_second: f64,
    pub server_cpu_us_per_delivery: Option<f64>,
    pub server_cpu_us_per_message: Option<f64>,
    pub client_cpu_us_per_delivery: Option<f64>,
    pub bytes_per_delivery: Option<f64>,
    /// Subscribers that fell out of the ring and got a snapshot, and the changes it stood for.
    pub lags: u64,
    pub missed: u64,
}

impl fmt::Display for FanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |rate: f64| thousands(rate.round() as u64);
        let speed = match self.changes_per_second_asked {
            Some(rate) => format!("paced at {rate}/s"),
            None => "full speed".into(),
        };
        writeln!(
            f,
            "fan-out   {} changes/s ({speed}) to {} subscribers of {}: {} deliveries/s in {} messages/s",
            whole(self.changes_per_second),
            self.subscribers,
            self.view.name(),
            whole(self.deliveries_per_second),
            whole(self.messages_per_second),
        )?;
        let us = |us: Option<f64>| us.map_or("unknown".into(), |us| format!("{us:.3} us"));
        writeln!(
            f,
            "          server CPU {} per delivery, {} per message; client CPU {} per delivery; {:.0} bytes per delivery",
            us(self.server_cpu_us_per_delivery),
            us(self.server_cpu_us_per_message),
            us(self.client_cpu_us_per_delivery),
            self.bytes_per_delivery.unwrap_or_default(),
        )?;
        if self.lags > 0 {
            writeln!(
                f,
                "          {} times a subscriber lagged and got a snapshot for {} changes",
                thousands(self.lags),
                thousands(self.missed)
            )?;
        }
        Ok(())
    }
}
