//! `idle`: many silent websockets, connected at a rate, held, and each of them served a change at the end.
//!
//! What is measured is what a socket costs while nothing happens: memory, and the processor time of pings.
//! Silent is not dead: pings are answered and counted, and a socket that closes by itself is a fault.

mod member;

use super::flags::{CourseFlags, View};
use super::runner::{measure, window};
use super::session::{Ground, Session};
use super::{Plan, Profile, Sample};
use crate::alarm::Alarm;
use crate::clock::{Clock, Pace, Rfc3339};
use crate::error::LoadError;
use crate::fleet::{Fleet, slot_code};
use crate::http::HttpClient;
use crate::machine::allow_descriptors;
use crate::options::Options;
use crate::recorder::Recorder;
use crate::report::{Facts, Figure, Report};
use crate::target::Role;
use crate::verify::{Check, SOCKETS_STAY_OPEN, SOCKETS_STILL_SERVED};
use bytes::Bytes;
use member::{Crowd, Cue, Member};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Nobody sends, books or reads, for so long that every socket answers pings.
pub const PROFILE: Profile = Profile { duration: Some(Duration::from_secs(60)), ..Profile::NOBODY };

/// Sockets beyond: the ports of one address run out first.
const CONNECTIONS_MAX: usize = 25_000;
/// Descriptors for everything that is no silent socket, in the client and in the server.
const OTHER_DESCRIPTORS: u64 = 128;
/// What the server's own configuration allows when nothing is said.
const SERVER_CONNECTIONS_MAX: usize = 20_000;
/// Plays the plan.
pub async fn run(plan: &Plan, options: &Options) -> Result<Report, LoadError> {
    let flags = &options.course;
    let sockets = flags.connections;
    check(sockets, flags.connect_rate)?;
    // Before the server starts: it inherits the limit.
    allow_descriptors(sockets as u64 + OTHER_DESCRIPTORS)?;
    let places = sockets + usize::try_from(OTHER_DESCRIPTORS).unwrap_or(0);
    let mut settings = Vec::new();
    if places > SERVER_CONNECTIONS_MAX && options.server_config.is_none() {
        settings.push(("LOTKEEPER_SERVER_CONNECTIONS_MAX", places.to_string()));
    }
    let session = Session::open(options, plan.warm_up + plan.duration, &settings).await?;
    let facts = play(plan, options, &session).await?;
    Ok(Report::of(plan, &session.close(facts).await))
}

fn check(sockets: usize, connect_rate: f64) -> Result<(), LoadError> {
    if !(1..=CONNECTIONS_MAX).contains(&sockets) {
        return Err(LoadError::usage(format!(
            "--connections is {sockets}; give 1 to {CONNECTIONS_MAX}"
        )));
    }
    if !(1.0..=1e6).contains(&connect_rate) {
        return Err(LoadError::usage(format!(
            "--connect-rate is {connect_rate}; give 1 to 1000000"
        )));
    }
    Ok(())
}

async fn play(plan: &Plan, options: &Options, session: &Session) -> Result<Facts, LoadError> {
    let (clock, flags) = (Clock::start(), &options.course);
    let Ground { fleet, server_version, .. } =
        session.prepare(clock, plan.lots, plan.slots).await?;
    let sample = || Sample::take(clock, session.server_pid());
    let before = sample();
    let crowd = Arc::new(Crowd::of(flags.connections));
    let (cue, _) = watch::channel(Cue::Hold);
    let mut members = connect(plan, flags, session, &fleet, &crowd, &cue, clock).await;
    let everybody = flags.connections as u64;
    let arrived =
        |crowd: &Crowd| crowd.ready.load(Ordering::Acquire) + crowd.ended.load(Ordering::Acquire);
    crowd.wait_until(|crowd| arrived(crowd) >= everybody).await;
    let connected = sample();
    let window = window(connected.at_us, plan);
    let ([first, last], usage) = measure(clock, window, session.server_pid()).await;
    let pongs = crowd.pongs_sent.load(Ordering::Acquire);

    let served = serve_all(plan, flags.subscribe, session, &fleet, &crowd, &cue, clock).await;
    let mut stayed = Check::new(SOCKETS_STAY_OPEN, "sockets");
    stayed.examine(everybody);
    // Nobody listens when all have ended.
    let _ = cue.send(Cue::End);
    let mut recorder = Recorder::new(window);
    while let Some(ended) = members.join_next().await {
        recorder.attempt();
        if let Err(why) = ended.map_err(|source| LoadError::Task { source })? {
            recorder.error("silent socket lost");
            stayed.fault(why);
        }
    }
    let course = format!(
        "{everybody} silent websockets over {} lots of {} slots, subscribed to {}, connected at {}/s",
        plan.lots,
        plan.slots,
        flags.subscribe.name().unwrap_or("nothing"),
        flags.connect_rate
    );
    let taken = Taken { before, connected, first, last };
    Ok(Facts {
        recorder,
        began_us: connected.at_us,
        window,
        surge: None,
        samples: [first, last],
        usage,
        figures: figures(taken, everybody, stayed.faults, pongs),
        checks: vec![stayed, served],
        lags: 0,
        server_version,
        data_dir: None,
        data_in_memory: false,
        vitals: Vec::new(),
        course: Some(course),
    })
}

/// Everybody, one after the other at the rate asked for.
async fn connect(
    plan: &Plan,
    flags: &CourseFlags,
    session: &Session,
    fleet: &Fleet,
    crowd: &Arc<Crowd>,
    cue: &watch::Sender<Cue>,
    clock: Clock,
) -> JoinSet<Result<(), String>> {
    let mut members = JoinSet::new();
    let token: Arc<str> = session.target.token(Role::Display, 0).into();
    let (alarm, mut pace) = (Alarm::new(clock), Pace::new(clock.now_us(), flags.connect_rate));
    for number in 0..flags.connections {
        alarm.until(pace.take_next()).await;
        let member = Member {
            number,
            addr: session.target.addr,
            token: Arc::clone(&token),
            lot: fleet.lots[number % plan.lots].code.clone(),
            view: flags.subscribe,
            clock,
            crowd: Arc::clone(crowd),
        };
        members.spawn(member.run(cue.subscribe()));
    }
    members
}

/// The moments that are compared.
#[derive(Clone, Copy, Debug)]
struct Taken {
    before: Sample,
    connected: Sample,
    first: Sample,
    last: Sample,
}

fn figures(taken: Taken, sockets: u64, lost: u64, pongs: u64) -> Vec<Figure> {
    let Taken { before, connected, first, last } = taken;
    let mut rows = vec![
        Figure::new("sockets", sockets as f64, "open"),
        Figure::new("closed by themselves", lost as f64, "sockets"),
        Figure::new("pings answered", pongs as f64, "pings"),
        Figure::new("time to connect all", (connected.at_us - before.at_us) as f64, "us"),
    ];
    let each = |from: u64, to: u64| to.saturating_sub(from) as f64 / sockets.max(1) as f64;
    if let (Some(before), Some(connected), Some(first), Some(last)) =
        (before.server, connected.server, first.server, last.server)
    {
        let (from, to) = (before.resident_bytes, last.resident_bytes);
        rows.extend([
            Figure::new("server memory before", from as f64, "bytes"),
            Figure::new("server memory, all connected", connected.resident_bytes as f64, "bytes"),
            Figure::new("server memory at the end", to as f64, "bytes"),
            Figure::new(
                "server memory per socket, connected",
                each(from, connected.resident_bytes),
                "bytes",
            ),
            Figure::new("server memory per socket, at the end", each(from, to), "bytes"),
        ]);
        let seconds = (taken.last.at_us - taken.first.at_us) as f64 / 1e6;
        let cpu = (last.cpu_seconds - first.cpu_seconds) / seconds.max(1e-6);
        rows.push(Figure::new("server while idle", cpu, "cores"));
    }
    let own = each(before.client.resident_bytes, last.client.resident_bytes);
    rows.push(Figure::new("client memory per socket", own, "bytes"));
    rows
}

/// One reading for every lot; every subscribed socket must hear of it. Bare ones answer a ping.
async fn serve_all(
    plan: &Plan,
    view: View,
    session: &Session,
    fleet: &Fleet,
    crowd: &Crowd,
    cue: &watch::Sender<Cue>,
    clock: Clock,
) -> Check {
    let mut check = Check::new(SOCKETS_STILL_SERVED, "sockets");
    check.examine(crowd.seen.len() as u64);
    if view == View::None {
        // Told 1: the pong counts as that.
        fleet.lots.iter().for_each(|lot| lot.was_told(1));
        let _ = cue.send(Cue::Probe);
    } else {
        let token = session.target.token(Role::Device, 0);
        let mut client = HttpClient::new(session.target.addr, token);
        for (number, lot) in fleet.lots.iter().enumerate().take(crowd.seen.len()) {
            match read_once(&mut client, &lot.code, number % plan.slots, clock).await {
                Ok(seq) => lot.was_told(seq),
                Err(why) => check.fault(format!("lot {}: {why}", lot.code)),
            }
        }
    }
    let owed = |number: usize| fleet.lots[number % fleet.lots.len()].told_seq().max(1);
    let has_seen =
        |(number, seen): (usize, &AtomicU64)| seen.load(Ordering::Acquire) >= owed(number);
    crowd
        .wait_until(|crowd| {
            let lost = crowd.ended.load(Ordering::Acquire);
            let missing = crowd.seen.iter().enumerate().filter(|seen| !has_seen(*seen)).count();
            missing as u64 <= lost
        })
        .await;
    for (number, seen) in crowd.seen.iter().enumerate() {
        if !has_seen((number, seen)) {
            let (seen, owed) = (seen.load(Ordering::Acquire), owed(number));
            check.fault(format!("socket {number} has seen {seen} and is owed {owed}"));
        }
    }
    check
}

/// A reading of a slot nobody heard of yet: it changes the slot, whatever it says.
async fn read_once(
    client: &mut HttpClient,
    lot: &str,
    slot: usize,
    clock: Clock,
) -> Result<u64, String> {
    /// The part of the answer that says which sequence has it.
    #[derive(serde::Deserialize)]
    struct Taken {
        accepted: u64,
        seq: u64,
    }
    let (slot, at) = (slot_code(slot), Rfc3339(clock.now_us()));
    let body =
        format!(r#"{{"readings":[{{"slot":"{slot}","occupied":true,"observed_at":"{at}"}}]}}"#);
    let path = format!("/api/v1/lots/{lot}/readings");
    let answer = client.post(&path, Bytes::from(body)).await.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("the reading was answered with {}", answer.problem()));
    }
    let taken: Taken = answer.json().map_err(|error| error.to_string())?;
    if taken.accepted == 1 { Ok(taken.seq) } else { Err("the reading was not accepted".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Usage;

    fn sample(at_us: u64, resident_bytes: u64, cpu_seconds: f64) -> Sample {
        let server = Some(Usage { cpu_seconds, resident_bytes, resident_peak_bytes: 0 });
        Sample { at_us, server, ..Sample::default() }
    }

    #[test]
    fn memory_is_counted_over_the_sockets_and_processor_time_over_the_hold() {
        let taken = Taken {
            before: sample(0, 1_000, 1.0),
            connected: sample(1_000_000, 5_000, 2.0),
            first: sample(2_000_000, 5_000, 2.5),
            last: sample(6_000_000, 9_000, 3.5),
        };
        let rows = figures(taken, 4, 0, 7);
        for (name, value) in [
            ("server memory per socket, connected", 1_000.0),
            ("server memory per socket, at the end", 2_000.0),
            ("server while idle", 0.25),
            ("time to connect all", 1e6),
            ("pings answered", 7.0),
        ] {
            assert_eq!(rows.iter().find(|row| row.name == name).unwrap().value, value, "{name}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        check(8_000, 1_000.0).unwrap();
        for (sockets, rate) in [(0, 1.0), (CONNECTIONS_MAX + 1, 1.0), (1, 0.0), (1, f64::NAN)] {
            assert_eq!(check(sockets, rate).unwrap_err().exit_code(), 2);
        }
    }
}
