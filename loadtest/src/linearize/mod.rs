//! `lotkeeper-load linearize`: concurrent histories over HTTP against the real server process, with crashes, judged.
//!
//! A history is all that happens to one lot: promises of lots do not depend on each other, so lots are judged one by
//! one. Rounds of some lots are played at the same time; a kill meets all of them.
//! The checker is our own (`judge/checker.rs`). Those that exist for Rust take specifications with one next state
//! only and want an answer to every call, while "any slot that fits" without an answer has several, and a crash leaves
//! calls without one; the one that takes open calls goes through all orders without a memory.

pub mod gates;
pub mod judge;
pub mod options;
mod page;
mod play;

#[cfg(test)]
mod checker_tests;
#[cfg(test)]
mod tests;

use self::gates::history::GateOperation;
use self::gates::script::Gates;
use self::gates::{GateJudgement, explain};
use self::judge::history::{Asker, Operation};
use self::judge::script::{Ground, asker};
use self::judge::{Judgement, Violation, indefinite, judge, text};
use self::options::LinearizeOptions;
use self::play::{Done, Player, Round, Tokens};
use crate::clock::Clock;
use crate::error::LoadError;
use crate::http::HttpClient;
use crate::server::{Server, Start};
use crate::target::Role;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// As the command line names it.
pub const SUBCOMMAND: &str = "linearize";
/// The clients' threads: histories are small, and the server wants the cores.
pub const CLIENT_THREADS: usize = 2;
/// Tokens are good for so long; a run ends before.
const TOKENS_VALID: Duration = Duration::from_secs(24 * 3_600);
/// The tenant of those for whom the lots of a history are not there.
const ELSEWHERE: &str = "elsewhere";
/// The number of the client that looks at the end.
const LOOKER: u32 = 1_000;

/// What a run did.
#[derive(Debug, Default)]
struct Figures {
    histories: usize,
    operations: usize,
    at_gates: usize,
    indefinite: usize,
    crashes: usize,
    configurations: usize,
    hardest: usize,
    turned_away: u64,
    undecided: usize,
    violations: usize,
}

/// One lot's history.
struct Played {
    seed: u64,
    slots: u8,
    operations: Vec<Operation>,
    /// What happened at its gates, where it has any.
    at_gates: Option<Vec<GateOperation>>,
}

/// Plays and judges. Whether everything had an order.
pub async fn run(options: LinearizeOptions) -> Result<bool, LoadError> {
    options.check()?;
    let began = Instant::now();
    let parent = options.data_parent.as_deref();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let how = Start { config: None, parent, settings: &[], listen };
    let mut server = Server::start(how).await?;
    let target = server.target(TOKENS_VALID).await?;
    let elsewhere = server.target_of(ELSEWHERE, TOKENS_VALID).await?;
    let drivers = 0..usize::from(options.drivers);
    let tokens = Tokens {
        staff: target.token(Role::Operator, 0).to_string(),
        drivers: drivers.map(|nth| target.token(Role::Driver, nth).to_string()).collect(),
        stranger: elsewhere.token(Role::Operator, 0).to_string(),
    };
    let clock = Clock::start();
    let mut figures = Figures::default();
    let mut faults = Vec::new();
    // One round with a violation says enough: each is printed, written and drawn.
    while figures.histories < options.histories && faults.is_empty() && figures.violations == 0 {
        let lots = options.lots.min(options.histories - figures.histories);
        let seed = options.seed + figures.histories as u64;
        let round = Round::new(clock, target.addr, tokens.clone(), lots * options.operations);
        let played = play_round(&mut server, &round, &options, seed, lots, &mut figures).await?;
        for history in &played {
            judge_one(history, &options.out, &mut figures)?;
        }
        figures.turned_away += round.turned_away.load(Ordering::Relaxed);
        faults.append(&mut round.faults.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
    let ended = server.stop().await;
    faults.extend(ended.err().map(|why| format!("the server did not end well: {why}")));
    report(&figures, &faults, began.elapsed());
    Ok(faults.is_empty() && figures.violations == 0 && figures.undecided == 0)
}

async fn play_round(
    server: &mut Server,
    round: &Arc<Round>,
    options: &LinearizeOptions,
    seed: u64,
    lots: usize,
    figures: &mut Figures,
) -> Result<Vec<Played>, LoadError> {
    let mut operator = HttpClient::new(round.addr, &round.tokens.staff);
    let mut grounds = Vec::new();
    for nth in 0..lots as u64 {
        let seed = seed + nth;
        let slots = 2 + u8::try_from(seed % u64::from(options.slots - 1)).unwrap_or_default();
        let lot = format!("H{}-{seed}", std::process::id());
        let ground = Ground::new(lot, slots, round.clock.now_us(), seed);
        // Every second lot has gates as well.
        let gates = seed.is_multiple_of(2).then(|| Gates::new(&ground.lot, round.clock));
        play::create(&mut operator, &ground, gates.as_deref()).await?;
        grounds.push((seed, slots, ground, gates));
    }
    let mut players = JoinSet::new();
    for (lot, (seed, _, ground, gates)) in grounds.iter().enumerate() {
        let left = Arc::new(AtomicUsize::new(options.operations));
        for number in 0..u32::try_from(options.clients).unwrap_or(u32::MAX) {
            let who = (number, asker(number, options.drivers));
            let place = (ground, gates.as_ref());
            let player = Player::new(who, round, place, &left, *seed);
            players.spawn(async move { (lot, player.play().await) });
        }
    }
    let times = if options.crashes { options.crashes_per_round } else { 0 };
    let mut rng = SmallRng::seed_from_u64(seed);
    let down = play::crash(server, round, times, &mut rng).await?;
    figures.crashes += down.len();
    let mut histories: Vec<Done> = (0..lots).map(|_| Done::default()).collect();
    while let Some(ended) = players.join_next().await {
        let (lot, done) = ended.map_err(|source| LoadError::Task { source })?;
        histories[lot].operations.extend(done.operations);
        histories[lot].at_gates.extend(done.at_gates);
    }
    let mut played = Vec::new();
    for ((seed, slots, ground, gates), mut done) in grounds.into_iter().zip(histories) {
        let none_left = Arc::new(AtomicUsize::new(0));
        let looker = (LOOKER, Asker::Staff);
        let place = (&ground, gates.as_ref());
        let last = Player::new(looker, round, place, &none_left, seed).look().await;
        done.operations.extend(last.operations);
        done.at_gates.extend(last.at_gates);
        play::bound(&mut done.operations, &down);
        Gates::bound(&mut done.at_gates, &down);
        if gates.is_some() {
            done.operations.iter_mut().for_each(Operation::forget_seq);
        }
        let at_gates = gates.map(|_| done.at_gates);
        played.push(Played { seed, slots, operations: done.operations, at_gates });
    }
    Ok(played)
}

fn judge_one(history: &Played, out: &Path, figures: &mut Figures) -> Result<(), LoadError> {
    figures.histories += 1;
    figures.operations += history.operations.len();
    figures.indefinite += indefinite(&history.operations);
    judge_gates(history, out, figures)?;
    match judge(&history.operations, history.slots) {
        Judgement::Linearizable { configurations } => {
            figures.configurations += configurations;
            figures.hardest = figures.hardest.max(configurations);
        }
        Judgement::Undecided { configurations } => {
            figures.undecided += 1;
            let seed = history.seed;
            println!("UNDECIDED  history {seed}: no order within {configurations} configurations");
            write_history(history, out)?;
        }
        Judgement::Violated(violation) => {
            figures.violations += 1;
            println!("VIOLATION  history {}", history.seed);
            print!("{}", text::explain(&violation));
            write_history(history, out)?;
            write_page(history.seed, &violation, out)?;
        }
    }
    Ok(())
}

/// What happened at the gates of a lot is judged by itself.
fn judge_gates(history: &Played, out: &Path, figures: &mut Figures) -> Result<(), LoadError> {
    let Some(at_gates) = &history.at_gates else { return Ok(()) };
    figures.at_gates += at_gates.len();
    let seed = history.seed;
    match gates::judge(at_gates, history.slots) {
        GateJudgement::Linearizable { configurations } => {
            figures.configurations += configurations;
            figures.hardest = figures.hardest.max(configurations);
            return Ok(());
        }
        GateJudgement::Undecided { configurations } => {
            figures.undecided += 1;
            println!(
                "UNDECIDED  gates of history {seed}: no order within {configurations} configurations"
            );
        }
        GateJudgement::Violated(violation) => {
            figures.violations += 1;
            println!("VIOLATION  gates of history {seed}");
            print!("{}", explain(&violation));
        }
    }
    write_history(history, out)
}

fn write_history(history: &Played, out: &Path) -> Result<(), LoadError> {
    let path = out.join(format!("history-{}.json", history.seed));
    let json = serde_json::json!({
        "seed": history.seed, "slots": history.slots, "operations": history.operations,
        "at_gates": history.at_gates,
    });
    println!("  the whole history: {}", path.display());
    std::fs::write(&path, format!("{json:#}")).map_err(|source| LoadError::File { path, source })
}

fn write_page(seed: u64, violation: &Violation, out: &Path) -> Result<(), LoadError> {
    let path = out.join(format!("history-{seed}.html"));
    println!("  its smallest part as a picture: {}", path.display());
    let page = page::page(&format!("History {seed}"), violation);
    std::fs::write(&path, page).map_err(|source| LoadError::File { path, source })
}

fn report(figures: &Figures, faults: &[String], took: Duration) {
    let Figures { histories, operations, indefinite, crashes, .. } = figures;
    println!(
        "{histories} histories, {operations} operations, {} more at gates, {indefinite} without an answer, {crashes} crashes, \
         {} turned away, {} configurations looked at, {} for the hardest history, {:.1} s",
        figures.at_gates,
        figures.turned_away,
        figures.configurations,
        figures.hardest,
        took.as_secs_f64()
    );
    faults.iter().for_each(|fault| println!("FAULT  {fault}"));
    match (figures.violations, figures.undecided) {
        (0, 0) if faults.is_empty() => {
            println!("every history has an order that explains its answers");
        }
        (violations, undecided) => {
            let faults = faults.len();
            println!("FAILED: {violations} violations, {undecided} undecided, {faults} faults");
        }
    }
}
