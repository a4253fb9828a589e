//! `lotkeeper-load compare`: the same work on Lotkeeper and on what people use today, one table.
//!
//! One stage after the other, never two at once, each with a warm-up, on files of its own and on a disk that
//! has come to rest; those that write gigabytes are last. A peer that is not installed is left out with a line
//! that says so, and so do the bars that need it. A missed bar never fails the command; a check that
//! fails or a stage that breaks does, after the others have had their turn.

mod bars;
mod calm;
mod context;
mod daemon;
mod disk;
mod drive;
pub mod echo;
mod error;
mod example;
mod fanout_peers;
mod gate;
pub mod options;
mod ours;
mod postgres;
mod postgres_gate;
mod postgres_hands;
pub mod postgres_service;
mod pubsub;
mod redis;
mod table;
mod text;
mod usage;
mod wishes;

use crate::error::LoadError;
use crate::machine::allow_descriptors;
use clap::ValueEnum;
use context::Context;
use error::CompareError;
use options::{CompareOptions, Peer, Wanted};
use std::path::PathBuf;
use table::Work;

/// The command's name.
pub const SUBCOMMAND: &str = "compare";
/// Where tables are kept, seen from the root of the sources.
const KEPT_IN: &str = "docs/benchmarks";
/// Why there are no rows of a peer.
const NOT_WANTED: &str = "left out by --only";
const BROKE: &str = "its stage broke; see what failed";
/// Descriptors for everything that is no connection of a user.
const OTHER_DESCRIPTORS: u64 = 256;

/// What was found of the peers.
#[derive(Debug)]
struct Installed {
    postgres: Option<PathBuf>,
    redis: Option<PathBuf>,
    nats: Option<PathBuf>,
    nchan: Option<(PathBuf, PathBuf)>,
    journal: Result<PathBuf, String>,
}

impl Installed {
    async fn find(options: &CompareOptions) -> Self {
        let journal = match options.plays(Peer::Disk) {
            true => example::prepare().await,
            false => Err(NOT_WANTED.into()),
        };
        Self {
            journal,
            postgres: postgres::find(),
            redis: daemon::find_program("redis-server", &[]),
            nats: daemon::find_program("nats-server", &[]),
            nchan: fanout_peers::find_nchan(),
        }
    }

    /// What is not here, by the beginning of its rows' keys, with the remedy.
    fn missing(&self) -> Vec<(Peer, &'static str, String)> {
        let nchan = "nginx with nchan is not installed (packages nginx, libnginx-mod-nchan)";
        let installed = [
            (
                Peer::Postgres,
                self.postgres.is_some(),
                "PostgreSQL is not installed (package postgresql)",
            ),
            (Peer::Redis, self.redis.is_some(), "Redis is not installed (package redis-server)"),
            (Peer::Nats, self.nats.is_some(), "NATS is not installed (package nats-server)"),
            (Peer::Nchan, self.nchan.is_some(), nchan),
        ];
        let missing = installed.into_iter().filter(|(_, is_here, _)| !is_here);
        let mut missing: Vec<(Peer, &'static str, String)> =
            missing.map(|(peer, _, why)| (peer, rows_of(peer), why.into())).collect();
        if let Err(why) = &self.journal {
            missing.push((Peer::Disk, "journal.", format!("journal_speed is missing: {why}")));
        }
        missing
    }
}

/// How the keys of a peer's rows begin.
fn rows_of(peer: Peer) -> &'static str {
    match peer {
        Peer::Postgres => "postgres.",
        Peer::Redis => "redis.",
        Peer::Disk => "file.",
        Peer::Echo => "echo",
        Peer::Nats => "nats.",
        Peer::Nchan => "nchan.",
        Peer::Ours => "ours.",
    }
}

/// Plays everything, prints the table and writes it. Whether all checks passed.
pub async fn run(options: CompareOptions) -> Result<bool, LoadError> {
    options.check()?;
    // Before any server starts: they inherit the limit.
    let sockets = options.subscribers + options.connections;
    allow_descriptors(sockets as u64 + OTHER_DESCRIPTORS)?;
    let mut context = Context::new(options);
    let installed = Installed::find(&context.options).await;
    for peer in Peer::value_variants() {
        if !context.options.plays(*peer) {
            context.leave_out(rows_of(*peer), NOT_WANTED);
        }
    }
    let mut missing = installed.missing();
    missing.retain(|(peer, ..)| context.options.plays(*peer));
    if context.options.peers == Wanted::All && !missing.is_empty() {
        let whys: Vec<String> = missing.into_iter().map(|(.., why)| why).collect();
        return Err(LoadError::usage(format!("--peers all: {}", whys.join("; "))));
    }
    for (_, rows, why) in missing {
        context.note(format!("left out: {why}"));
        context.leave_out(rows, why);
    }
    play(&installed, &mut context).await;
    let Context { mut table, options, .. } = context;
    table.judge();
    print!("{table}");
    for path in places(&options, &table.date) {
        table.write(&path)?;
        eprintln!("written to {}", path.display());
    }
    Ok(table.passed())
}

/// Every peer in turn; one that breaks keeps none of the others from theirs. PostgreSQL and Redis write
/// gigabytes and are last.
async fn play(installed: &Installed, context: &mut Context) {
    if context.options.plays(Peer::Ours) {
        let played = ours::play(context).await;
        ended(context, Peer::Ours, played);
    }
    if context.options.plays(Peer::Disk) && context.options.wants(Work::Log) {
        let played = disk::play(installed.journal.clone().ok(), context).await;
        if played.is_err() {
            context.leave_out("journal.", BROKE);
        }
        ended(context, Peer::Disk, played);
    }
    // The bookings' ceiling is the quotes' as well.
    let is_held_against = |work| context.options.wants(work);
    if context.options.plays(Peer::Echo)
        && [Work::Bookings, Work::Quotes].into_iter().any(is_held_against)
    {
        let played = echo::play(context).await;
        ended(context, Peer::Echo, played);
    }
    let plays = |context: &Context, peer| {
        let fan_out = [Work::FanOutFull, Work::FanOutPaced];
        let is_wanted = match peer {
            Peer::Nats | Peer::Nchan => fan_out.into_iter().any(|w| context.options.wants(w)),
            Peer::Redis => {
                [Work::Readings, Work::Bookings].into_iter().any(|w| context.options.wants(w))
            }
            Peer::Postgres | Peer::Disk | Peer::Echo | Peer::Ours => true,
        };
        is_wanted && context.options.plays(peer)
    };
    if let Some(binary) = installed.nats.as_ref().filter(|_| plays(context, Peer::Nats)) {
        let played = fanout_peers::play_nats(binary, context).await;
        ended(context, Peer::Nats, played);
    }
    let nchan = installed.nchan.as_ref().filter(|_| plays(context, Peer::Nchan));
    if let Some((nginx, module)) = nchan {
        let played = fanout_peers::play_nchan(nginx, module, context).await;
        ended(context, Peer::Nchan, played);
    }
    if let Some(bin) = installed.postgres.as_ref().filter(|_| plays(context, Peer::Postgres)) {
        let played = postgres::play(bin, context).await;
        ended(context, Peer::Postgres, played);
    }
    if let Some(binary) = installed.redis.as_ref().filter(|_| plays(context, Peer::Redis)) {
        let played = redis::play(binary, context).await;
        ended(context, Peer::Redis, played);
    }
}

/// A peer had its turn; when it broke, the rows that it still had to bring are known to be missing.
fn ended(context: &mut Context, peer: Peer, played: Result<(), CompareError>) {
    if let Err(error) = played {
        eprintln!("         {error}");
        context.table.failures.push(error.to_string());
        context.leave_out(rows_of(peer), BROKE);
    }
}

/// Where to write when nobody says.
fn places(options: &CompareOptions, date: &str) -> Vec<PathBuf> {
    let kept_in = PathBuf::from(KEPT_IN);
    if options.out.is_empty() && kept_in.is_dir() {
        return vec![kept_in.join(format!("{date}-compare.md"))];
    }
    options.out.clone()
}
