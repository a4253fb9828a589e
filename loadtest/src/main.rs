//! `lotkeeper-load`: plays the users of Lotkeeper at full speed, checks what it got, prints a report.
//!
//! Exit codes: 0 when every check passed, 1 when one failed or the run could not be made, 2 for wrong usage.
//! Deliberately absent: any knowledge of the server's inside. Everything goes over its sockets, as users' work does.

mod alarm;
mod audit;
mod booker;
mod clock;
mod compare;
mod drift;
mod encoder;
mod error;
mod fleet;
mod http;
mod ingest;
mod limit;
mod linearize;
mod machine;
mod model;
mod options;
mod pace;
mod progress;
mod quiet;
mod reader;
mod recorder;
mod report;
mod retry;
mod scenario;
mod series;
mod server;
mod socket;
mod subscriber;
mod swarm;
mod target;
mod trend;
mod verify;
mod vitals;
mod warning;
mod wire;

use crate::compare::options::CompareOptions;
use crate::compare::{echo, postgres_service};
use crate::error::LoadError;
use crate::linearize::options::LinearizeOptions;
use crate::options::Options;
use crate::report::Report;
use crate::scenario::Plan;
use clap::Parser;
use std::process::ExitCode;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    match command() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("lotkeeper-load: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// The comparison and the judge of histories have flags of their own, so they are told from the scenarios
/// before any is parsed.
fn command() -> Result<bool, LoadError> {
    let words: Vec<String> = std::env::args().collect();
    match words.get(1).map(String::as_str) {
        Some(compare::SUBCOMMAND) => {
            let name = "lotkeeper-load compare".to_string();
            let words = std::iter::once(name).chain(words.into_iter().skip(2));
            let options = CompareOptions::parse_from(words);
            let runtime = runtime(options.threads())?;
            runtime.block_on(until_interrupted(compare::run(options)))
        }
        Some(linearize::SUBCOMMAND) => {
            let name = "lotkeeper-load linearize".to_string();
            let words = std::iter::once(name).chain(words.into_iter().skip(2));
            let options = LinearizeOptions::parse_from(words);
            let runtime = runtime(linearize::CLIENT_THREADS)?;
            runtime.block_on(until_interrupted(linearize::run(options)))
        }
        Some(postgres_service::SUBCOMMAND) => postgres_service::serve(&words[2..]).map(|()| true),
        Some(echo::SUBCOMMAND) => echo::serve(words.get(2).map(String::as_str)).map(|()| true),
        _ => run(&Options::parse()).map(|report| report.passed()),
    }
}

fn runtime(threads: usize) -> Result<Runtime, LoadError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|source| LoadError::Runtime { source })
}

/// Plans, runs, prints.
fn run(options: &Options) -> Result<Report, LoadError> {
    let plan = Plan::of(options)?;
    let report =
        runtime(plan.threads)?.block_on(until_interrupted(scenario::run(&plan, options)))?;
    print!("{report}");
    if let Some(path) = &options.json {
        report.write_json(path)?;
    }
    if let Some(path) = &options.html {
        report.write_html(path)?;
    }
    Ok(report)
}

/// Dropping the run ends the servers it started and removes their directories, so that neither Ctrl-C nor
/// SIGTERM leaves anything behind.
async fn until_interrupted<T>(
    run: impl Future<Output = Result<T, LoadError>>,
) -> Result<T, LoadError> {
    let ended = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            // Without it, Ctrl-C alone ends the run in order.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        outcome = run => outcome,
        _ = tokio::signal::ctrl_c() => Err(LoadError::Interrupted),
        _ = ended => Err(LoadError::Interrupted),
    }
}
