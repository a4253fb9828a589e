//! The gateway's own figures, as verbs; the engine's register themselves in the same registry.
//!
//! Invariants: every name begins with `lotkeeper_`, has its unit at the end and a row in
//! `docs/metrics.md` (tested); labels have few values: route templates, never paths; codes, never ids.
//! Deliberately absent: slots, lots, people, plates as labels.

mod labels;
mod providers;

use std::sync::Arc;
use std::time::Duration;

use labels::{CLOSE_CODES, close_text, status_text};
use prometheus::{
    Encoder, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};
pub use providers::Providers;

/// From a cached read to a commit on a slow disk.
const REQUEST_BUCKETS_SECONDS: [f64; 13] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// The figures; a copy is the same.
#[derive(Clone)]
pub struct Metrics(Arc<Parts>);

struct Parts {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    in_flight: IntGauge,
    problems: IntCounterVec,
    panics: IntCounter,
    connections: IntGauge,
    accepted: IntCounter,
    websockets: IntGaugeVec,
    websockets_closed: IntCounterVec,
    subscriptions: IntGauge,
    subscribed: IntCounterVec,
    lagged: IntCounter,
    /// By kind, then direction; kept, because a look-up costs as much as a message.
    messages: [[Messages; 2]; 2],
    batches: IntCounterVec,
    providers: Providers,
    care: Care,
}

/// How the data are kept: starts and backups.
struct Care {
    backups: IntCounterVec,
    backup_at: IntGauge,
    recovery_seconds: Gauge,
    recovery: [IntGauge; 7],
}

impl Care {
    fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            backups: make.counters(
                "lotkeeper_backups_total",
                "Backups that were asked for, by outcome: taken or failed.",
                &["outcome"],
            )?,
            backup_at: make.gauge(
                "lotkeeper_backup_timestamp_seconds",
                "Unix time of the last backup that was taken since the start; 0 before.",
            )?,
            recovery_seconds: make
                .put(Gauge::new("lotkeeper_recovery_seconds", "Time until it served."))?,
            recovery: [
                make.gauge(
                    "lotkeeper_recovery_replayed_records",
                    "Records replayed at the start.",
                )?,
                make.gauge("lotkeeper_recovery_discarded_frames", "Frames dropped at the start.")?,
                make.gauge(
                    "lotkeeper_recovery_lost_records",
                    "Durable once, missing since the start.",
                )?,
                make.gauge(
                    "lotkeeper_recovery_lost_people",
                    "People whose clear texts the disk lost, found at this start or before.",
                )?,
                make.gauge("lotkeeper_recovery_lost_erasures", "Missing at the start.")?,
                make.gauge("lotkeeper_recovery_new_epoch", "1 when the start began a new epoch.")?,
                make.gauge(
                    "lotkeeper_recovery_rebuilt",
                    "1 when the start copied the good frames.",
                )?,
            ],
        })
    }
}

/// What a start found and did, as figures.
#[derive(Clone, Copy, Debug)]
pub struct Recovered {
    /// How long it took until it served.
    pub seconds: f64,
    /// Records on top of the snapshots.
    pub replayed_records: u64,
    /// Of a commit that was never acknowledged.
    pub discarded_frames: u64,
    /// Durable once, missing now.
    pub lost_records: u64,
    /// Whose clear texts are gone and were not erased; those of earlier starts too.
    pub lost_people: u64,
    /// Erasures of which there is no trace.
    pub lost_erasures: u64,
    /// Whether the epoch is a new one.
    pub new_epoch: bool,
    /// Whether the good frames were copied to a fresh directory.
    pub rebuilt: bool,
}

/// Messages of one kind of websocket in one direction.
struct Messages {
    count: IntCounter,
    bytes: IntCounter,
}

/// Kinds of websockets, as labels.
const KINDS: [&str; 2] = ["stream", "ingest"];
/// Directions, as labels.
const DIRECTIONS: [&str; 2] = ["in", "out"];

/// One request on its way; dropping it takes it off the gauge.
pub struct InFlight(IntGauge);

/// One open websocket; dropping it takes it off the gauge.
pub struct OpenWebsocket(IntGauge);

/// One open connection; dropping it takes it off the gauge.
pub struct OpenConnection(IntGauge);

macro_rules! leave_on_drop {
    ($($guard:ident)+) => {
        $(impl Drop for $guard {
            fn drop(&mut self) {
                self.0.dec();
            }
        })+
    };
}
leave_on_drop!(InFlight OpenWebsocket OpenConnection);

/// Makes metrics and puts them into the registry.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn put<M: prometheus::core::Collector + Clone + 'static>(
        &self,
        made: prometheus::Result<M>,
    ) -> prometheus::Result<M> {
        let metric = made?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.put(IntGauge::new(name, help))
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.put(IntCounter::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.put(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.put(IntCounterVec::new(Opts::new(name, help), labels))
    }
}

impl Parts {
    /// A series that begins with its first event hides that event from `rate()`.
    fn begin_at_zero(&self) {
        for (code, _) in crate::error::CODES {
            self.problems.with_label_values(&[code]);
        }
        for kind in KINDS {
            self.websockets.with_label_values(&[kind]);
            for code in CLOSE_CODES {
                self.websockets_closed.with_label_values(&[kind, close_text(code)]);
            }
        }
        for view in ["slots", "counts"] {
            for start in ["recovered", "snapshot"] {
                self.subscribed.with_label_values(&[view, start]);
            }
        }
        self.batches.with_label_values(&["ack"]);
        for outcome in ["taken", "failed"] {
            self.care.backups.with_label_values(&[outcome]);
        }
    }
}

impl Metrics {
    /// Registers the gateway's figures.
    ///
    /// # Errors
    /// When a name is taken in the registry.
    pub fn new(registry: Registry) -> prometheus::Result<Self> {
        let make = Maker(&registry);
        let seconds = HistogramOpts::new("lotkeeper_http_request_seconds", "Time to answer.")
            .buckets(REQUEST_BUCKETS_SECONDS.to_vec());
        let directed = ["kind", "direction"];
        let (name, help) = ("lotkeeper_websocket_messages_total", "Messages by direction.");
        let messages = make.counters(name, help, &directed)?;
        let (name, help) = ("lotkeeper_websocket_bytes_total", "Bytes of messages by direction.");
        let bytes = make.counters(name, help, &directed)?;
        let parts = Parts {
            requests: make.counters(
                "lotkeeper_http_requests_total",
                "Requests answered.",
                &["method", "route", "status"],
            )?,
            request_seconds: make.put(HistogramVec::new(seconds, &["method", "route"]))?,
            in_flight: make.gauge("lotkeeper_http_in_flight_requests", "Requests on their way.")?,
            problems: make.counters(
                "lotkeeper_http_problems_total",
                "Refusals by code.",
                &["code"],
            )?,
            panics: make.counter("lotkeeper_http_panics_total", "Handlers that panicked: bugs.")?,
            connections: make.gauge("lotkeeper_http_connections", "Open connections.")?,
            accepted: make.counter("lotkeeper_http_connections_total", "Connections accepted.")?,
            websockets: make.gauges("lotkeeper_websockets", "Open websockets.", &["kind"])?,
            websockets_closed: make.counters(
                "lotkeeper_websockets_closed_total",
                "Websockets closed, by close code.",
                &["kind", "code"],
            )?,
            subscriptions: make.gauge("lotkeeper_stream_subscriptions", "Open subscriptions.")?,
            subscribed: make.counters(
                "lotkeeper_stream_subscribed_total",
                "Subscriptions made, by view and by how they began: recovered or snapshot.",
                &["view", "start"],
            )?,
            lagged: make.counter(
                "lotkeeper_stream_lagged_total",
                "Readers that fell out of a ring and got a snapshot.",
            )?,
            messages: KINDS.map(|kind| {
                DIRECTIONS.map(|direction| Messages {
                    count: messages.with_label_values(&[kind, direction]),
                    bytes: bytes.with_label_values(&[kind, direction]),
                })
            }),
            batches: make.counters(
                "lotkeeper_ingest_batches_total",
                "Batches answered, by outcome: ack or the error's code.",
                &["outcome"],
            )?,
            providers: Providers::new(&make)?,
            care: Care::new(&make)?,
            registry,
        };
        parts.begin_at_zero();
        Ok(Self(Arc::new(parts)))
    }

    /// Where everybody's figures are.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// All figures as Prometheus reads them.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.0.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be encoded");
        }
        String::from_utf8(text).unwrap_or_default()
    }

    /// A request came in.
    #[must_use]
    pub fn request_began(&self) -> InFlight {
        self.0.in_flight.inc();
        InFlight(self.0.in_flight.clone())
    }

    /// A request was answered.
    pub fn request_answered(&self, method: &str, route: &str, status: u16, elapsed: Duration) {
        let status = status_text(status);
        self.0.requests.with_label_values(&[method, route, status]).inc();
        let seconds = elapsed.as_secs_f64();
        self.0.request_seconds.with_label_values(&[method, route]).observe(seconds);
    }

    /// A request was refused.
    pub fn refused(&self, code: &str) {
        self.0.problems.with_label_values(&[code]).inc();
    }

    /// A handler panicked.
    pub fn panicked(&self) {
        self.0.panics.inc();
    }

    /// A connection was accepted.
    #[must_use]
    pub fn connection_opened(&self) -> OpenConnection {
        self.0.accepted.inc();
        self.0.connections.inc();
        OpenConnection(self.0.connections.clone())
    }

    /// A websocket was opened: `stream` or `ingest`.
    #[must_use]
    pub fn websocket_opened(&self, kind: &str) -> OpenWebsocket {
        let gauge = self.0.websockets.with_label_values(&[kind]);
        gauge.inc();
        OpenWebsocket(gauge)
    }

    /// A websocket was closed; a code that is not ours or the standard's counts as `other`.
    pub fn websocket_closed(&self, kind: &str, code: Option<u16>) {
        let code = close_text(code);
        self.0.websockets_closed.with_label_values(&[kind, code]).inc();
    }

    /// A subscription was made.
    pub fn subscribed(&self, view: &str, recovered: bool) {
        let start = if recovered { "recovered" } else { "snapshot" };
        self.0.subscribed.with_label_values(&[view, start]).inc();
        self.0.subscriptions.inc();
    }

    /// So many subscriptions ended.
    pub fn unsubscribed(&self, count: usize) {
        self.0.subscriptions.sub(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A reader fell out of a ring.
    pub fn lagged(&self) {
        self.0.lagged.inc();
    }

    /// Messages were sent on a websocket.
    pub fn messages_sent(&self, kind: &str, messages: u64, bytes: u64) {
        self.messages(kind, 1, messages, bytes);
    }

    /// Messages came in on a websocket.
    pub fn messages_received(&self, kind: &str, messages: u64, bytes: u64) {
        self.messages(kind, 0, messages, bytes);
    }

    fn messages(&self, kind: &str, direction: usize, messages: u64, bytes: u64) {
        let kind = usize::from(kind == KINDS[1]);
        let figures = &self.0.messages[kind][direction];
        figures.count.inc_by(messages);
        figures.bytes.inc_by(bytes);
    }

    /// The engine has started.
    pub fn recovered(&self, start: &Recovered) {
        self.0.care.recovery_seconds.set(start.seconds);
        let flags = [start.new_epoch, start.rebuilt].map(u64::from);
        let counts = [
            start.replayed_records,
            start.discarded_frames,
            start.lost_records,
            start.lost_people,
            start.lost_erasures,
        ];
        for (gauge, value) in self.0.care.recovery.iter().zip(counts.into_iter().chain(flags)) {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    /// A backup was handed out as a whole, or not.
    pub fn backup_ended(&self, taken: bool) {
        let outcome = if taken { "taken" } else { "failed" };
        self.0.care.backups.with_label_values(&[outcome]).inc();
        if taken {
            self.0.care.backup_at.set(jiff::Timestamp::now().as_second());
        }
    }

    /// An ingest batch was answered with `ack` or an error's code.
    pub fn batch_answered(&self, outcome: &str) {
        self.0.batches.with_label_values(&[outcome]).inc();
    }

    /// How payment providers answer.
    #[must_use]
    pub fn providers(&self) -> &Providers {
        &self.0.providers
    }
}
