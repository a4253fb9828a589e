//! `lotkeeper-load`: plays the users of Lotkeeper at full speed, checks what it got, prints a report.
//!
//! Exit codes: 0 when every check passed, 1 when one failed or the run could not be made, 2 for wrong usage.
//! Deliberately absent: any knowledge of the server's inside. Everything goes over its sockets, as users' work does.

mod alarm;
mod audit;
mod booker;
mod clock;
mod drift;
mod encoder;
mod error;
mod fleet;
mod http;
mod ingest;
mod limit;
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
mod target;
mod verify;
mod warning;
mod wire;

use crate::error::LoadError;
use crate::options::Options;
use crate::report::Report;
use crate::scenario::Plan;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(report) if report.passed() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("lotkeeper-load: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Plans, runs, prints.
fn run(options: &Options) -> Result<Report, LoadError> {
    let plan = Plan::of(options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(plan.threads)
        .enable_all()
        .build()
        .map_err(|source| LoadError::Runtime { source })?;
    let report = runtime.block_on(until_interrupted(scenario::run(&plan, options)))?;
    print!("{report}");
    if let Some(path) = &options.json {
        report.write_json(path)?;
    }
    if let Some(path) = &options.html {
        report.write_html(path)?;
    }
    Ok(report)
}

/// Dropping the run ends the server's process and removes its directory, so Ctrl-C leaves nothing behind.
async fn until_interrupted(
    run: impl Future<Output = Result<Report, LoadError>>,
) -> Result<Report, LoadError> {
    tokio::select! {
        outcome = run => outcome,
        _ = tokio::signal::ctrl_c() => Err(LoadError::Interrupted),
    }
}
