//! Metrics of the engine, as verbs. Names and meaning: `docs/metrics.md`, held to it by a test.
//! Never a label per lot, slot, plate or user.

use std::time::Duration;

use lotkeeper_engine::lot::Rejection;
use lotkeeper_engine::slot::Outcome;
use lotkeeper_engine::tariff::Refused;
use lotkeeper_storage::Maintenance;
use lotkeeper_storage::history::Meta;
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// The engine's metrics; label children are kept, because a look-up costs a microsecond.
#[derive(Clone)]
pub struct Metrics {
    commits: IntCounter,
    commit_seconds: Histogram,
    commit_records: Histogram,
    readings: [IntCounter; 4],
    readings_refused: IntCounter,
    rejections: IntCounterVec,
    shed: IntCounter,
    in_flight: IntGauge,
    tenants: IntGauge,
    busy: Gauge,
    allowed: Gauge,
    restarts_slot: IntCounter,
    restarts_lot: IntCounter,
    lots: IntGauge,
    actors: IntGauge,
    seq: IntGauge,
    claims: IntGauge,
    snapshots: IntCounter,
    rotations: IntCounter,
    journal_bytes: IntGauge,
    free_bytes: IntGauge,
    first_seq: IntGauge,
    broken: IntCounterVec,
    clock: IntGauge,
    history: OfHistory,
}

/// What is told of the history.
#[derive(Clone)]
struct OfHistory {
    lag: IntGauge,
    documents: IntGauge,
    bytes: IntGauge,
    rebuilds: IntCounter,
}

impl OfHistory {
    fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        Ok(Self {
            lag: make.gauge("lotkeeper_history_lag_records", "Records the history is behind")?,
            documents: make.gauge("lotkeeper_history_documents", "Documents in the history")?,
            bytes: make.gauge("lotkeeper_history_bytes", "Bytes of the history")?,
            rebuilds: make.counter(
                "lotkeeper_history_rebuilds_total",
                "Times the history was found damaged and made anew",
            )?,
        })
    }
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// A name that is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let make = Maker(registry);
        let readings =
            make.counters("lotkeeper_readings_total", "Readings answered, by outcome", "outcome")?;
        let restarts =
            make.counters("lotkeeper_actor_restarts_total", "Actors restarted, by kind", "kind")?;
        Ok(Self {
            commits: make.counter("lotkeeper_journal_commits_total", "Commits made durable")?,
            commit_seconds: make.histogram(
                "lotkeeper_journal_commit_seconds",
                "Time of one commit, encode to sync",
                prometheus::exponential_buckets(0.000_1, 2.0, 16)?,
            )?,
            commit_records: make.histogram(
                "lotkeeper_journal_commit_records",
                "Records in one commit",
                prometheus::exponential_buckets(1.0, 2.0, 15)?,
            )?,
            readings: ["accepted", "unchanged", "duplicate", "late"]
                .map(|outcome| readings.with_label_values(&[outcome])),
            readings_refused: readings.with_label_values(&["refused"]),
            rejections: make.counters(
                "lotkeeper_rejections_total",
                "Commands refused by a rule, by reason",
                "reason",
            )?,
            shed: make
                .counter("lotkeeper_shed_total", "Requests shed at the door: too much in flight")?,
            in_flight: make
                .gauge("lotkeeper_in_flight_records", "Records between permit and reply")?,
            tenants: make.gauge(
                "lotkeeper_tenants_at_work",
                "Tenants that asked for something in the last seconds",
            )?,
            busy: make.ratio(
                "lotkeeper_busy_ratio",
                "Part of the time that workers or journal, whichever more, were busy lately",
            )?,
            allowed: make.ratio(
                "lotkeeper_tenant_allowed_cores",
                "Processors that one tenant may use now, while others are at work",
            )?,
            restarts_slot: restarts.with_label_values(&["slot"]),
            restarts_lot: restarts.with_label_values(&["lot"]),
            lots: make.gauge("lotkeeper_lots", "Lots")?,
            actors: make.gauge("lotkeeper_actors", "Live lot and slot actors")?,
            seq: make.gauge("lotkeeper_seq", "Newest durable global sequence")?,
            claims: make.gauge("lotkeeper_idempotency_keys", "Idempotency keys remembered")?,
            snapshots: make.counter("lotkeeper_snapshots_total", "Lot snapshots written")?,
            rotations: make.counter("lotkeeper_journal_rotations_total", "Journal rotations")?,
            journal_bytes: make
                .gauge("lotkeeper_journal_bytes", "Bytes of the journal directory")?,
            free_bytes: make
                .gauge("lotkeeper_free_bytes", "Free bytes on the journal's file system")?,
            first_seq: make.gauge("lotkeeper_first_seq", "Oldest retained global sequence")?,
            broken: make.counters(
                "lotkeeper_invariant_broken_total",
                "Broken invariants seen in production: always 0, alarm otherwise",
                "invariant",
            )?,
            clock: make.gauge(
                "lotkeeper_clock_disagrees",
                "1 while wall clock and engine clock disagree by more than a minute",
            )?,
            history: OfHistory::new(&make)?,
        })
    }

    /// Metrics that nobody scrapes: for tests and tools.
    ///
    /// # Panics
    /// Never: a fresh registry takes every name.
    #[must_use]
    pub fn unregistered() -> Self {
        Self::new(&Registry::new()).expect("a fresh registry takes every name")
    }

    pub(crate) fn committed(&self, records: usize, took: Duration) {
        self.commits.inc();
        self.commit_seconds.observe(took.as_secs_f64());
        self.commit_records.observe(f64::from(u32::try_from(records).unwrap_or(u32::MAX)));
    }

    /// The time of all commits so far, in seconds.
    pub(crate) fn commit_seconds(&self) -> f64 {
        self.commit_seconds.get_sample_sum()
    }

    pub(crate) fn paced(&self, busy: f64, allowed_cores: f64) {
        self.busy.set(busy);
        self.allowed.set(allowed_cores);
    }

    pub(crate) fn reading(&self, outcome: Outcome) {
        let place = match outcome {
            Outcome::Accepted => 0,
            Outcome::Unchanged => 1,
            Outcome::Duplicate => 2,
            Outcome::Late => 3,
        };
        self.readings[place].inc();
    }

    pub(crate) fn reading_refused(&self) {
        self.readings_refused.inc();
    }

    pub(crate) fn rejected(&self, rejection: &Rejection) {
        self.rejections.with_label_values(&[reason(rejection)]).inc();
    }

    pub(crate) fn shed(&self) {
        self.shed.inc();
    }

    pub(crate) fn permits(&self, in_flight: usize) {
        self.in_flight.set(to_i64(in_flight));
    }

    pub(crate) fn tenants_at_work(&self, tenants: usize) {
        self.tenants.set(to_i64(tenants));
    }

    pub(crate) fn actor_restarted(&self, slot: bool) {
        if slot { self.restarts_slot.inc() } else { self.restarts_lot.inc() }
    }

    pub(crate) fn lots(&self, lots: usize, actors: usize) {
        self.lots.set(to_i64(lots));
        self.actors.set(to_i64(actors));
    }

    pub(crate) fn seq(&self, seq: u64) {
        self.seq.set(i64::try_from(seq).unwrap_or(i64::MAX));
    }

    pub(crate) fn claims(&self, claims: usize) {
        self.claims.set(to_i64(claims));
    }

    pub(crate) fn snapshot_saved(&self) {
        self.snapshots.inc();
    }

    pub(crate) fn journal_seen(&self, seen: &Maintenance) {
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.journal_bytes.set(bytes(seen.journal_bytes));
        self.first_seq.set(bytes(seen.first_seq));
        if let Some(free) = seen.free_bytes {
            self.free_bytes.set(bytes(free));
        }
        if seen.rotated {
            self.rotations.inc();
        }
    }

    pub(crate) fn invariant_broken(&self, invariant: &str) {
        self.broken.with_label_values(&[invariant]).inc();
    }

    pub(crate) fn history(&self, lag_records: u64, meta: &Meta) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.history.lag.set(number(lag_records));
        self.history.documents.set(number(meta.documents));
    }

    pub(crate) fn history_bytes(&self, bytes: u64) {
        self.history.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(crate) fn history_rebuilt(&self) {
        self.history.rebuilds.inc();
    }

    pub(crate) fn clock_disagrees(&self, disagrees: bool) {
        self.clock.set(i64::from(disagrees));
    }
}

fn to_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A rejection's name, as its code outside.
fn reason(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::SlotTaken { .. } => "slot_taken",
        Rejection::NoSlotFree => "no_slot_free",
        Rejection::NoSlotFits => "no_slot_fits",
        Rejection::SlotOutOfService { .. } => "slot_out_of_service",
        Rejection::SlotBookedOut { .. } => "slot_booked_out",
        Rejection::TooManyReservations => "too_many_reservations",
        Rejection::HoldExpired => "hold_expired",
        Rejection::ReservationEnded { .. } => "reservation_ended",
        Rejection::ReservationNotFound => "reservation_not_found",
        Rejection::IdTaken => "id_taken",
        Rejection::SlotNotFound => "slot_not_found",
        Rejection::WindowEmpty => "window_empty",
        Rejection::WindowInPast => "window_in_past",
        Rejection::WindowTooLong => "window_too_long",
        Rejection::NotCounted => "not_counted",
        Rejection::InFuture { .. } => "reading_in_future",
        Rejection::TooLongAgo { .. } => "observed_too_long_ago",
        Rejection::ChangeTooLate { .. } => "change_too_late",
        Rejection::LotPaused => "lot_paused",
        Rejection::LotClosed { .. } => "lot_closed",
        Rejection::Occurrence { why, .. } => reason(why),
        Rejection::OccurrencesOutOfRange { .. } => "too_many_occurrences",
        Rejection::SessionNotFound => "session_not_found",
        Rejection::SessionEnded { .. } => "session_ended",
        Rejection::VehicleInside { .. } => "vehicle_inside",
        Rejection::NothingOwed => "nothing_owed",
        Rejection::AmountNotOwed { .. } => "amount_not_owed",
        Rejection::PaymentNotFound => "payment_not_found",
        Rejection::PaymentEnded { .. } => "payment_ended",
        Rejection::PaymentInProgress => "payment_in_progress",
        Rejection::PaymentsFull => "payments_full",
        Rejection::ShiftNotFound => "shift_not_found",
        Rejection::ShiftClosed => "shift_closed",
        Rejection::ShiftOpen { .. } => "shift_open",
        Rejection::ShiftsFull => "shifts_full",
        Rejection::PassNotFound => "pass_not_found",
        Rejection::PassEnded => "pass_ended",
        Rejection::PassesFull => "passes_full",
        Rejection::SlotFree { .. } => "slot_free",
        Rejection::WaiterNotFound => "waiting_not_found",
        Rejection::WaiterEnded { .. } => "waiting_ended",
        Rejection::TooManyWaiting => "too_many_waiting",
        Rejection::WaitingFull => "waiting_full",
        Rejection::ViolationNotFound => "violation_not_found",
        Rejection::ViolationEnded { .. } => "violation_ended",
        Rejection::ViolationsFull => "violations_full",
        Rejection::Unpriceable(_) => "unpriceable",
        Rejection::DiscountUnknown { .. } => "discount_unknown",
        Rejection::TariffRefused(Refused::Full { .. } | Refused::Crowded { .. }) => "tariffs_full",
        Rejection::TariffRefused(Refused::Unknown(_)) => "tariff_not_found",
        Rejection::VersionMismatch { .. } => "version_mismatch",
        Rejection::Invalid { .. } => "validation_failed",
    }
}

/// Makes and registers in one step.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        let made = IntCounter::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        label: &str,
    ) -> Result<IntCounterVec, prometheus::Error> {
        let made = IntCounterVec::new(Opts::new(name, help), &[label])?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let made = IntGauge::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn ratio(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        let made = Gauge::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: Vec<f64>,
    ) -> Result<Histogram, prometheus::Error> {
        let made = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
}
