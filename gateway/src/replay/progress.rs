//! Showing how far a replay is: a bar on a terminal, else a line every few seconds.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::summary::{Summary, grouped};

const BAR_INTERVAL: Duration = Duration::from_millis(100);
const LINE_INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct Progress {
    bytes_read: Arc<AtomicU64>,
    bytes_total: u64,
    started: Instant,
    shown: Instant,
    manner: Manner,
}

enum Manner {
    Bar(ProgressBar),
    Lines,
    Quiet,
}

impl Progress {
    pub(super) fn new(bytes_read: Arc<AtomicU64>, bytes_total: u64, quiet: bool) -> Self {
        let manner = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Manner::Quiet,
            (false, true) => Manner::Bar(bar(bytes_total)),
            (false, false) => Manner::Lines,
        };
        let now = Instant::now();
        Self { bytes_read, bytes_total, started: now, shown: now, manner }
    }

    /// Shows `summary` if the last showing is long enough ago.
    pub(super) fn update(&mut self, summary: &Summary) {
        let interval = match self.manner {
            Manner::Bar(_) => BAR_INTERVAL,
            Manner::Lines => LINE_INTERVAL,
            Manner::Quiet => return,
        };
        let now = Instant::now();
        if now.duration_since(self.shown) < interval {
            return;
        }
        self.shown = now;
        let bytes = self.bytes_read.load(Ordering::Relaxed);
        let seconds = now.duration_since(self.started).as_secs().max(1);
        let rate = grouped(summary.sent / seconds);
        let sent = grouped(summary.sent);
        match &self.manner {
            Manner::Bar(bar) => {
                bar.set_position(bytes);
                bar.set_message(format!("{sent} acknowledged, {rate}/s"));
            }
            Manner::Lines => tracing::info!(
                file_bytes_read = bytes,
                file_bytes = self.bytes_total,
                rows_acknowledged = summary.sent,
                rows_per_second = summary.sent / seconds,
                "replaying"
            ),
            Manner::Quiet => {}
        }
    }

    pub(super) fn finish(&self) {
        if let Manner::Bar(bar) = &self.manner {
            bar.finish_and_clear();
        }
    }
}

/// A bar for bytes.
pub(crate) fn bar(bytes_total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes_total).with_style(style)
}
