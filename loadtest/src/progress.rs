//! The line that shows a run is alive; on a terminal only, and never part of the report.

use crate::clock::Clock;
use crate::recorder::Window;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often the line is drawn anew.
const DRAW_INTERVAL: Duration = Duration::from_millis(250);

/// What the tasks add to while they work; read by the progress line alone.
#[derive(Debug, Default)]
pub struct Gauges {
    pub readings: AtomicU64,
    pub bookings: AtomicU64,
    pub entries: AtomicU64,
}

impl Gauges {
    /// Relaxed: a figure for the eye.
    pub fn add(gauge: &AtomicU64, how_many: u64) {
        gauge.fetch_add(how_many, Ordering::Relaxed);
    }
}

/// Draws until the window's end; hidden where standard error is no terminal.
pub async fn show(clock: Clock, began_us: u64, window: Window, gauges: Arc<Gauges>) {
    let bar = ProgressBar::new(window.to_us.saturating_sub(began_us) / 1_000);
    if bar.is_hidden() {
        return;
    }
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {prefix:9} {msg}") {
        bar.set_style(style);
    }
    let mut interval = tokio::time::interval(DRAW_INTERVAL);
    loop {
        interval.tick().await;
        let now_us = clock.now_us();
        if now_us >= window.to_us {
            break;
        }
        let shown = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        bar.set_position((now_us - began_us) / 1_000);
        bar.set_prefix(if now_us < window.from_us { "warm-up" } else { "measuring" });
        bar.set_message(format!(
            "{} readings, {} bookings, {} entries streamed",
            shown(&gauges.readings),
            shown(&gauges.bookings),
            shown(&gauges.entries)
        ));
    }
    bar.finish_and_clear();
}

/// A line for a run that is counted in kills; whoever runs it moves it on.
pub fn of_kills(kills: u64) -> ProgressBar {
    let bar = ProgressBar::new(kills);
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}, {eta} left") {
        bar.set_style(style);
    }
    bar
}
