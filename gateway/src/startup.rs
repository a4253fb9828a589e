//! What a start found and did, told once: for people as one report, for machines as fields and figures.
//!
//! Invariant: whatever a start discarded, lost, left out or repaired is in here, with its reason; a start
//! that has something of this kind to say says it as a warning. Metrics: `lotkeeper_recovery_*`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use lotkeeper_actors::Engine;
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{EpochStory, Recovery, RecoveryReport};

use crate::config::LogFormat;
use crate::metrics::Recovered;
use crate::wire::instant::Instant;

/// What is known before the engine has started.
pub struct Found {
    report: RecoveryReport,
    last_seq: u64,
    last_at: Timestamp,
    snapshots: usize,
}

impl Found {
    /// Notes it before the recovery is used up.
    #[must_use]
    pub fn of(recovery: &Recovery) -> Self {
        Self {
            report: recovery.report.clone(),
            last_seq: recovery.last_seq,
            last_at: recovery.last_at,
            snapshots: recovery.snapshots.len(),
        }
    }
}

/// A start.
pub struct Startup {
    data: PathBuf,
    found: Found,
    epoch: u64,
    records_replayed: u64,
    lots: usize,
    reservations: usize,
    opened: Duration,
    started: Duration,
}

impl Startup {
    /// Looks at the engine that has just started; `opened` is how long the journal took, `started` all.
    #[must_use]
    pub fn new(
        data: PathBuf,
        found: Found,
        engine: &Engine,
        (opened, started): (Duration, Duration),
    ) -> Self {
        let lots = engine.all_lots();
        let active = |lot: &lotkeeper_actors::LotHandle| {
            lot.view()
                .lot
                .reservations()
                .filter(|reservation| reservation.state.is_active())
                .count()
        };
        Self {
            data,
            found,
            epoch: engine.epoch(),
            records_replayed: engine.records_replayed(),
            reservations: lots.iter().map(active).sum(),
            lots: lots.len(),
            opened,
            started,
        }
    }

    /// Records that were told to be durable and are not there.
    fn lost(&self) -> u64 {
        let report = &self.found.report;
        let history = report.history_lost.map_or(0, |(first, last)| last + 1 - first);
        self.lost_end() + history
    }

    /// Those of them that were the newest.
    fn lost_end(&self) -> u64 {
        let tip = self.found.report.ends_below_tip;
        tip.map_or(0, |tip| tip.saturating_sub(self.found.last_seq))
    }

    /// People who are known to be lost, since whenever.
    fn lost_people(&self) -> u64 {
        self.found.report.people_lost + self.found.report.people_lost_before
    }

    /// Whether an operator should look at it.
    #[must_use]
    pub fn is_remarkable(&self) -> bool {
        let report = &self.found.report;
        let told = match report.epoch {
            EpochStory::Kept | EpochStory::Created | EpochStory::Restored => false,
            EpochStory::EndsBelowTip | EpochStory::TipLost => true,
        };
        let people = report.people_lost > 0 || report.erasures_lost > 0;
        told || people
            || report.history_lost.is_some()
            || report.rebuilt.is_some()
            || !report.snapshots_left_out.is_empty()
    }

    /// Says it in the log.
    pub fn tell(&self, format: LogFormat) {
        let report = &self.found.report;
        match (format, self.is_remarkable()) {
            (LogFormat::Text, false) => tracing::info!("{self}"),
            (LogFormat::Text, true) => tracing::warn!("{self}"),
            (LogFormat::Json, remarkable) => tracing::info!(
                remarkable,
                data = %self.data.display(),
                format = report.format,
                epoch = format!("{:016x}", self.epoch),
                epoch_because = self.epoch_because(),
                first_seq = report.first_seq,
                last_seq = self.found.last_seq,
                last_at = %Instant(self.found.last_at),
                snapshots = self.found.snapshots,
                snapshots_left_out = report.snapshots_left_out.len(),
                records_replayed = self.records_replayed,
                discarded_frames = report.discarded_frames,
                lost_records = self.lost(),
                ends_below_tip = report.ends_below_tip,
                history_lost_before = report.history_lost.map(|(_, last)| last + 1),
                lost_people = report.people_lost,
                lost_people_before = report.people_lost_before,
                lost_erasures = report.erasures_lost,
                rebuilt = report.rebuilt,
                rebuilt_from = report.rebuilt_from,
                restored = report.restored,
                lots = self.lots,
                active_reservations = self.reservations,
                people = report.people,
                opened_seconds = self.opened.as_secs_f64(),
                started_seconds = self.started.as_secs_f64(),
                "recovered"
            ),
        }
    }

    /// The same as figures.
    #[must_use]
    pub fn figures(&self) -> Recovered {
        let report = &self.found.report;
        Recovered {
            seconds: self.started.as_secs_f64(),
            replayed_records: self.records_replayed,
            discarded_frames: report.discarded_frames,
            lost_records: self.lost(),
            lost_people: self.lost_people(),
            lost_erasures: report.erasures_lost,
            new_epoch: report.epoch != EpochStory::Kept,
            rebuilt: report.rebuilt.is_some(),
        }
    }

    fn epoch_because(&self) -> &'static str {
        match self.found.report.epoch {
            EpochStory::Kept => "as before: nothing that was ever told is missing",
            EpochStory::Created => "new: so is the log",
            EpochStory::EndsBelowTip => {
                "new: records that were durable are missing; streams begin with a snapshot"
            }
            EpochStory::TipLost => {
                "new: TIP is missing, unreadable or another log's, so records may be missing; streams begin with a snapshot"
            }
            EpochStory::Restored => "new, by the restore; streams begin with a snapshot",
        }
    }
}

impl Startup {
    /// What is missing and does not change the epoch.
    fn write_losses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.found.report;
        if let Some((first, last)) = report.history_lost {
            writeln!(
                f,
                "  LOST HISTORY  records {first} to {last}: files of the archive that nobody pruned are gone; \
                 restore a backup, or do without"
            )?;
        }
        if report.people_lost > 0 {
            writeln!(
                f,
                "  LOST PEOPLE   {}: their clear texts are not there and nobody erased them; \
                 restore a backup, or their records stay without a name",
                report.people_lost
            )?;
        }
        if report.people_lost_before > 0 {
            writeln!(
                f,
                "  lost people   {}, as an earlier start has told",
                report.people_lost_before
            )?;
        }
        if report.erasures_lost > 0 {
            writeln!(
                f,
                "  LOST ERASURES {}: clear texts of people who were erased may be back; erase them again",
                report.erasures_lost
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Startup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (report, last_seq) = (&self.found.report, self.found.last_seq);
        writeln!(f, "recovered {}", self.data.display())?;
        writeln!(f, "  directory     format {}, live journal {}", report.format, report.journal)?;
        writeln!(f, "  epoch         {:016x}, {}", self.epoch, self.epoch_because())?;
        match last_seq {
            0 => writeln!(f, "  log           empty")?,
            last => writeln!(
                f,
                "  log           sequence {} to {last}, the last record at {}; {} archive files",
                report.first_seq,
                Instant(self.found.last_at),
                report.archives
            )?,
        }
        writeln!(
            f,
            "  replayed      {} snapshots and {} records in {:.3} s ({:.3} s of it to open the journal)",
            self.found.snapshots,
            self.records_replayed,
            self.started.as_secs_f64(),
            self.opened.as_secs_f64()
        )?;
        match report.discarded_frames {
            0 => writeln!(f, "  discarded     nothing")?,
            frames => writeln!(
                f,
                "  discarded     {frames} frames of a commit that was cut short: nobody was told of it"
            )?,
        }
        if let Some(tip) = report.ends_below_tip {
            writeln!(
                f,
                "  LOST          {} records: TIP had seen sequence {tip}, the log ends at {last_seq}; \
                 restore a backup, or tell whom it concerns",
                self.lost_end()
            )?;
        }
        self.write_losses(f)?;
        if let Some(why) = &report.rebuilt {
            let from = report.rebuilt_from.as_deref().unwrap_or("the journal before");
            writeln!(
                f,
                "  rebuilt       from {from}: {why}; the disk that failed deserves a look"
            )?;
        }
        for left_out in &report.snapshots_left_out {
            writeln!(f, "  left out      {left_out}")?;
        }
        if let Some(what) = &report.restored {
            writeln!(f, "  restored      {what}")?;
        }
        write!(
            f,
            "  serves        {} lots, {} active reservations, {} people in the vault",
            self.lots, self.reservations, report.people
        )
    }
}
