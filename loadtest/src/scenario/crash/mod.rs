//! `crash`: the own server is killed with SIGKILL again and again, under load, while it starts, while it
//! rotates; after every restart everything that clients were told is held against the log.
//!
//! The plan of the kills comes from the seed; where they hit, and what the load was doing then, does not: no
//! clock stops two processes at the same instruction twice. Absent: loss of power (the kernel lives on and
//! has every write), and any knowledge of the server beyond its documents, `lotkeeper check` included.

mod auditor;
mod blow;
mod book;
mod cast;
mod checks;
mod driver;
mod gates;
mod history;
mod hits;
mod log;
mod onlooker;
mod sensors;
mod stage;
mod stays;
mod watcher;
mod wish;

use self::auditor::Auditor;
use self::blow::Blow;
use self::cast::{Cast, Left, make_lots};
use self::hits::{Hits, is_rotating};
use self::stage::{Phase, Stage};
use super::session::{Session, run_name, version};
use super::{Plan, Profile, Sample};
use crate::audit::Audit;
use crate::clock::Clock;
use crate::error::LoadError;
use crate::fleet::Fleet;
use crate::http::HttpClient;
use crate::options::Options;
use crate::progress;
use crate::recorder::{Recorder, Tally, Window};
use crate::report::{Facts, Figure, Report};
use crate::server::Server;
use crate::target::Role;
use crate::verify::{Check, SERVER_ENDS_WELL, STREAM_IS_WHOLE};
use indicatif::ProgressBar;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The players of this scenario are its own.
pub const PROFILE: Profile = Profile::NOBODY;

/// More lots or slots would only spread the same load thinner; `--lots` and `--slots` can make it fewer.
const LOTS_MAX: usize = 4;
const SLOTS_MAX: usize = 60;
/// Without these somebody would have nothing to do.
const LOTS_MIN: usize = 2;
const SLOTS_MIN: usize = 10;
/// Snapshots and rotations come often, and rings hold what anybody may miss.
const SNAPSHOT_EVERY_RECORDS: u64 = 2_000;
const SETTINGS: [(&str, &str); 3] = [
    ("LOTKEEPER_STORAGE_SNAPSHOT_EVERY_RECORDS", "2000"),
    ("LOTKEEPER_STORAGE_ROTATE_BYTES", "16777216"),
    ("LOTKEEPER_ENGINE_RING_CHANGES_PER_LOT", "100000"),
];
/// Tokens outlive any run.
const RUN_MAX: Duration = Duration::from_secs(24 * 3_600);
/// How long players may take to settle what is open.
const SETTLE_MAX: Duration = Duration::from_secs(60);
/// Between two looks at the directory.
const LOOK: Duration = Duration::from_millis(1);
/// A server with nothing to do has had so long to do it.
const IDLE_MAX: Duration = Duration::from_secs(2);
/// Below the ports that connections take for themselves: while the server is down nobody else gets its port,
/// and no client connects to itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Plays the plan.
pub async fn run(plan: &Plan, options: &Options) -> Result<Report, LoadError> {
    let (lots, slots) = (plan.lots.min(LOTS_MAX), plan.slots.min(SLOTS_MAX));
    let flags = &options.course;
    if options.url.is_some() {
        return Err(LoadError::usage("crash kills its server: leave --url out"));
    }
    if lots < LOTS_MIN || slots < SLOTS_MIN || flags.kills == 0 || flags.check_every == 0 {
        return Err(LoadError::usage(format!(
            "crash needs --lots of at least {LOTS_MIN}, --slots of at least {SLOTS_MIN}, --kills and --check-every of at least 1"
        )));
    }
    let settings = SETTINGS.map(|(name, value)| (name, value.to_string()));
    let mut session = Session::own(options, RUN_MAX, &settings, free_address()).await?;
    let server = session.server.as_mut().expect("an own server was started");
    let clock = Clock::start();
    let fleet = Arc::new(Fleet::new(&run_name(clock), lots, slots));
    let mut operator =
        HttpClient::new(session.target.addr, session.target.token(Role::Operator, 0));
    let server_version = version(&mut operator).await?;
    make_lots(&mut operator, &fleet).await?;

    let began_us = clock.now_us();
    let before = Sample::take(clock, None);
    let (stage, heard) = Stage::new(session.target.clone(), clock, fleet, plan.seed);
    stays::make_lot(&mut operator, &stage.stays).await?;
    let (phase, _) = watch::channel(Phase::Down);
    let mut round = Round {
        cast: Cast::start(&stage, &phase, SNAPSHOT_EVERY_RECORDS),
        auditor: Auditor::new(&stage, heard, lots - 1),
        stage,
        phase,
        hits: Hits::default(),
        logged_bytes: 0,
        kills: 0,
        is_up: true,
        check_every: flags.check_every,
    };
    let blows = blow::plan(plan.seed, flags.kills);
    let outcome = round.play(server, &blows).await;
    let ended = round.end(server, outcome).await;
    if flags.keep_failed && ended.iter().any(|check| !check.passed()) {
        server.keep_dir();
        eprintln!("lotkeeper-load: kept {}", server.dir().display());
    }
    let window = Window { from_us: began_us, to_us: clock.now_us() };
    let samples = [before, Sample::take(clock, None)];
    let course = format!(
        "{} kills of a server with {lots} lots of {slots} slots, under readings, counts, bookings, scans, payments, violations, passes, streams and reads",
        round.kills
    );
    let facts = Facts {
        recorder: round.recorder(window),
        began_us,
        window,
        surge: None,
        samples,
        usage: samples.to_vec(),
        vitals: Vec::new(),
        checks: ended,
        lags: 0,
        server_version,
        data_dir: Some(server.dir().display().to_string()),
        data_in_memory: server.is_in_memory(),
        figures: round.figures(),
        course: Some(course),
    };
    let duration = Duration::from_micros(window.to_us - window.from_us);
    let plan = Plan { duration, warm_up: Duration::ZERO, lots, slots, ..plan.clone() };
    Ok(Report::of(&plan, &facts))
}

/// A run under way.
#[derive(Debug)]
struct Round {
    stage: Arc<Stage>,
    phase: watch::Sender<Phase>,
    cast: Cast,
    auditor: Auditor,
    hits: Hits,
    logged_bytes: usize,
    kills: usize,
    is_up: bool,
    check_every: usize,
}

impl Round {
    /// All kills, and the last start.
    async fn play(&mut self, server: &mut Server, blows: &[Blow]) -> Result<(), LoadError> {
        let bar = progress::of_kills(blows.len() as u64);
        self.phase.send_replace(Phase::Up);
        for blow in blows {
            self.strike(server, *blow).await?;
            self.kills += 1;
            self.show(&bar);
            if self.kills.is_multiple_of(self.check_every) {
                self.check(server).await?;
            }
        }
        self.start(server).await?;
        bar.finish_and_clear();
        Ok(())
    }

    /// One kill, where the plan says; a server that is down is started for it.
    async fn strike(&mut self, server: &mut Server, blow: Blow) -> Result<(), LoadError> {
        if let Blow::Starting { after } = blow {
            let listened = server.start_and_kill(after).await?;
            self.hits.before_listening += u64::from(!listened);
            self.hits.after_listening += u64::from(listened);
            self.hits.look_at(&server.data_dir());
            return Ok(());
        }
        if !self.is_up {
            self.start(server).await?;
            self.auditor.audit().await?;
        }
        match blow {
            Blow::Loaded { after, rotating } => self.wait(server, after, rotating).await,
            Blow::Idle | Blow::Starting { .. } => {
                self.phase.send_replace(Phase::Idle);
                let began = Instant::now();
                while self.stage.in_flight() > 0 && began.elapsed() < IDLE_MAX {
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
        let in_flight = self.stage.in_flight();
        server.kill().await?;
        self.phase.send_replace(Phase::Down);
        self.is_up = false;
        self.hits.cut_off += in_flight;
        match blow {
            Blow::Idle | Blow::Starting { .. } => self.hits.idle += 1,
            Blow::Loaded { .. } if in_flight > 0 => self.hits.in_flight += 1,
            Blow::Loaded { .. } => self.hits.nothing_in_flight += 1,
        }
        self.hits.look_at(&server.data_dir());
        Ok(())
    }

    /// Until the time has come, or a rotation that is to be hit.
    async fn wait(&self, server: &Server, after: Duration, rotating: Option<Duration>) {
        let (began, data) = (Instant::now(), server.data_dir());
        while began.elapsed() < after {
            if let Some(then) = rotating.filter(|_| is_rotating(&data)) {
                return tokio::time::sleep(then).await;
            }
            tokio::time::sleep(LOOK.min(after.saturating_sub(began.elapsed()))).await;
        }
    }

    async fn start(&mut self, server: &mut Server) -> Result<(), LoadError> {
        self.auditor.checks.starts.examine(1);
        let began = Instant::now();
        if let Err(error) = server.start_again().await {
            self.auditor.checks.starts.fault(format!("after {} kills: {error}", self.kills));
            return Err(error);
        }
        self.hits.starts_us.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        let log = server.log_from(self.logged_bytes);
        self.logged_bytes += log.len();
        self.hits.read_log(&log);
        self.is_up = true;
        self.phase.send_replace(Phase::Up);
        Ok(())
    }

    /// While the server is down.
    async fn check(&mut self, server: &Server) -> Result<(), LoadError> {
        let clean = &mut self.auditor.checks.clean;
        clean.examine(1);
        let verdict = server.check().await?;
        if !verdict.is_clean {
            clean.fault(format!("after {} kills: {}", self.kills, verdict.said));
        }
        Ok(())
    }

    fn show(&self, bar: &ProgressBar) {
        bar.set_position(self.kills as u64);
        let faults: u64 = self.auditor.checks.all().into_iter().map(|check| check.faults).sum();
        bar.set_message(format!(
            "kills, {} events, {} writes checked, {faults} faults",
            self.auditor.history.head(),
            self.auditor.writes
        ));
    }

    /// The end of everybody, the last judgement, the end of the server.
    async fn end(&mut self, server: &mut Server, outcome: Result<(), LoadError>) -> Vec<Check> {
        let mut ended = Check::new(SERVER_ENDS_WELL, "servers");
        let mut views = None;
        let outcome = match outcome {
            Ok(()) => self.settle().await.map(|check| views = Some(check)),
            Err(error) => Err(error),
        };
        self.phase.send_replace(Phase::End);
        self.cast.players.shutdown().await;
        self.cast.watchers.shutdown().await;
        self.auditor.take_faults();
        if let Err(error) = outcome {
            // A start that failed has been noted; anything else kept the log from being judged.
            if self.auditor.checks.starts.passed() {
                self.auditor.checks.whole.fault(format!("after {} kills: {error}", self.kills));
            }
        } else {
            ended.examine(1);
            if let Err(why) = server.stop().await {
                ended.fault(why);
            }
            if let Err(error) = self.check(server).await {
                self.auditor.checks.clean.fault(error);
            }
        }
        let log = server.log_from(self.logged_bytes);
        self.hits.read_log(&log);
        self.all_checks(views, ended)
    }

    fn all_checks(&mut self, views: Option<Check>, ended: Check) -> Vec<Check> {
        let mut whole = Check::new(STREAM_IS_WHOLE, "entries");
        for watched in self.cast.slots_views.iter().chain(&self.cast.counts_views) {
            whole.merge(&watched.fold().check);
        }
        let tallies = &self.stage.tallies;
        let checks = &mut self.auditor.checks;
        checks.keys.examine(tallies.repeated.load(Ordering::Relaxed));
        let returns = &[&tallies.resumed, &tallies.by_snapshot];
        checks.resumed.examine(returns.iter().map(|all| all.load(Ordering::Relaxed)).sum());
        let own = checks.all().into_iter().cloned();
        own.chain([whole]).chain(views).chain([ended]).collect()
    }

    /// What is open is settled, everything is judged once more, streams are held against the server.
    async fn settle(&mut self) -> Result<Check, LoadError> {
        self.auditor.audit().await?;
        self.phase.send_replace(Phase::Settle);
        let players = &mut self.cast.players;
        let settling = async {
            let mut kept: Vec<Left> = Vec::new();
            while let Some(player) = players.join_next().await {
                kept.push(player.map_err(|source| LoadError::Task { source })?);
            }
            Ok::<_, LoadError>(kept)
        };
        let kept = match tokio::time::timeout(SETTLE_MAX, settling).await {
            Ok(kept) => kept?,
            Err(_) => {
                let what = format!(
                    "somebody has no answer {} s after the last start",
                    SETTLE_MAX.as_secs()
                );
                self.stage.fault(stage::Broken::Kept, what);
                Vec::new()
            }
        };
        self.auditor.audit_all(kept).await?;
        let client = self.stage.client(Role::Operator, 0);
        let mut audit = Audit::new(client, self.stage.clock, Arc::clone(&self.stage.fleet));
        Ok(audit.slot_views(&self.cast.slots_views).await)
    }

    fn recorder(&self, window: Window) -> Recorder {
        let mut recorder = Recorder::new(window);
        for (tally, how_many, at_us) in &self.auditor.tallies {
            recorder.count(*tally, *how_many, *at_us);
        }
        let changed = self.stage.tallies.changed.load(Ordering::Relaxed);
        recorder.count(Tally::Changed, changed, window.from_us);
        let (attempts, errors) = self.stage.errors();
        recorder.tell(attempts, &errors);
        recorder
    }

    fn figures(&self) -> Vec<Figure> {
        let tallies = &self.stage.tallies;
        let of = |name, number: u64, unit| Figure::new(name, number as f64, unit);
        let relaxed = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let mut rows = vec![of("kills", self.kills as u64, "kills")];
        rows.extend(self.hits.figures());
        rows.extend([
            of("events in the log", self.auditor.history.head(), "events"),
            of("answers to writes checked", self.auditor.writes, "answers"),
            of("requests answered after being sent again", relaxed(&tallies.retried), "requests"),
            of("requests repeated under their key", relaxed(&tallies.repeated), "requests"),
            of("batches sent again after a crash", relaxed(&tallies.resent_batches), "batches"),
            of("longest wait for the history", self.auditor.longest_wait_ms, "ms"),
            of("streams resumed", relaxed(&tallies.resumed), "returns"),
            of("streams given a snapshot", relaxed(&tallies.by_snapshot), "returns"),
        ]);
        rows
    }
}

/// An address that stays free while the server is down.
fn free_address() -> SocketAddr {
    use rand::RngExt;
    let mut luck = rand::rng();
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let port = (0..100).map(|_| luck.random_range(PORTS)).find(is_free);
    SocketAddr::from(([127, 0, 0, 1], port.unwrap_or(0)))
}
