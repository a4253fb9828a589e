//! `lotkeeper-load compare`: the same work on Lotkeeper and on what people use today, one table.
//!
//! One stage after the other, never two at once, each with a warm-up and on files of its own. A peer that is
//! not installed is left out with a line that says so. A missed bar never fails the command; a check that
//! fails or a stage that breaks does, after the others have had their turn.

mod bars;
mod context;
mod daemon;
mod disk;
mod drive;
pub mod echo;
mod error;
mod fanout_peers;
pub mod options;
mod ours;
mod postgres;
mod postgres_hands;
mod pubsub;
mod redis;
mod table;
mod text;
mod usage;
mod wishes;

use crate::error::LoadError;
use crate::machine::allow_descriptors;
use context::Context;
use error::CompareError;
use options::{CompareOptions, Peer, Wanted};
use std::path::PathBuf;

/// The command's name.
pub const SUBCOMMAND: &str = "compare";
/// Where tables are kept, seen from the root of the sources.
const KEPT_IN: &str = "docs/benchmarks";
/// Descriptors for everything that is no connection of a user.
const OTHER_DESCRIPTORS: u64 = 256;

/// What was found of the peers.
#[derive(Debug)]
struct Installed {
    postgres: Option<PathBuf>,
    redis: Option<PathBuf>,
    nats: Option<PathBuf>,
    nchan: Option<(PathBuf, PathBuf)>,
    journal: Option<PathBuf>,
}

impl Installed {
    fn find() -> Self {
        Self {
            postgres: postgres::find(),
            redis: daemon::find_program("redis-server", &[]),
            nats: daemon::find_program("nats-server", &[]),
            nchan: fanout_peers::find_nchan(),
            journal: disk::find_example(),
        }
    }

    /// What is wanted and not here, with the remedy.
    fn missing(&self, options: &CompareOptions) -> Vec<&'static str> {
        [
            (Peer::Postgres, self.postgres.is_none(), "PostgreSQL is not installed (package postgresql)"),
            (Peer::Redis, self.redis.is_none(), "Redis is not installed (package redis-server)"),
            (Peer::Nats, self.nats.is_none(), "NATS is not installed (package nats-server)"),
            (Peer::Nchan, self.nchan.is_none(), "nginx with nchan is not installed (packages nginx, libnginx-mod-nchan)"),
            (
                Peer::Disk,
                self.journal.is_none(),
                "the journal's example is not built (cargo build --release -p lotkeeper-storage --example journal_speed)",
            ),
        ]
        .into_iter()
        .filter_map(|(peer, is_missing, what)| (is_missing && options.plays(peer)).then_some(what))
        .collect()
    }
}

/// Plays everything, prints the table and writes it. Whether all checks passed.
pub async fn run(options: CompareOptions) -> Result<bool, LoadError> {
    options.check()?;
    // Before any server starts: they inherit the limit.
    let sockets = options.subscribers + options.connections;
    allow_descriptors(sockets as u64 + OTHER_DESCRIPTORS)?;
    let installed = Installed::find();
    let missing = installed.missing(&options);
    if options.peers == Wanted::All && !missing.is_empty() {
        return Err(LoadError::usage(format!("--peers all: {}", missing.join("; "))));
    }
    let mut context = Context::new(options);
    for what in missing {
        context.note(format!("left out: {what}"));
    }
    play(&installed, &mut context).await;
    let Context { mut table, options } = context;
    table.judge();
    print!("{table}");
    for path in places(&options, &table.date) {
        table.write(&path)?;
        eprintln!("written to {}", path.display());
    }
    Ok(table.passed())
}

/// Every peer in turn; one that breaks keeps none of the others from theirs.
async fn play(installed: &Installed, context: &mut Context) {
    let plays = |context: &Context, peer| context.options.plays(peer);
    if let Some(bin) = installed.postgres.as_ref().filter(|_| plays(context, Peer::Postgres)) {
        let played = postgres::play(bin, context).await;
        settle(context, played);
    }
    if let Some(binary) = installed.redis.as_ref().filter(|_| plays(context, Peer::Redis)) {
        let played = redis::play(binary, context).await;
        settle(context, played);
    }
    if plays(context, Peer::Disk) {
        let played = disk::play(installed.journal.clone(), context).await;
        settle(context, played);
    }
    if plays(context, Peer::Echo) {
        let played = echo::play(context).await;
        settle(context, played);
    }
    if let Some(binary) = installed.nats.as_ref().filter(|_| plays(context, Peer::Nats)) {
        let played = fanout_peers::play_nats(binary, context).await;
        settle(context, played);
    }
    let nchan = installed.nchan.as_ref().filter(|_| plays(context, Peer::Nchan));
    if let Some((nginx, module)) = nchan {
        let played = fanout_peers::play_nchan(nginx, module, context).await;
        settle(context, played);
    }
    if plays(context, Peer::Ours) {
        let played = ours::play(context).await;
        settle(context, played);
    }
}

fn settle(context: &mut Context, played: Result<(), CompareError>) {
    if let Err(error) = played {
        eprintln!("         {error}");
        context.table.failures.push(error.to_string());
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
