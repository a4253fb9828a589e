//! `lotkeeper-simulate`: runs the simulation, prints its seed first and its digest last.
//!
//! Exit codes: 0 nothing found, 1 a violation, 2 wrong usage.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use lotkeeper_simulation::run::{self, Found, Plan, Summary, Tier};
use lotkeeper_simulation::week::{self, clock::Variant};

/// Simulate the engine: a seed replays everything.
#[derive(Parser)]
#[command(name = "lotkeeper-simulate", version)]
struct Options {
    /// Everything follows from it [default: a new one]
    #[arg(long)]
    seed: Option<u64>,
    /// Steps in all
    #[arg(long, default_value_t = 1_000_000)]
    steps: u64,
    /// What is simulated: engine and journal by hand, or the real actors
    #[arg(long, value_enum, default_value_t = Tier::Engine)]
    tier: Tier,
    /// Run this episode alone and print what happens in it
    #[arg(long, value_name = "NUMBER")]
    episode: Option<u64>,
    /// Play this instead and print what came of it
    #[arg(long, value_enum)]
    scenario: Option<Scenario>,
    /// Which week is played
    #[arg(long, value_enum, default_value_t = Variant::Plain)]
    week: Variant,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scenario {
    /// Seven days of an airport's lot and a street's
    Week,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    if let Some(Scenario::Week) = options.scenario {
        return play_week(seed, options.week);
    }
    let plan = Plan::new(seed, options.steps, options.tier);
    let ran = match options.episode {
        Some(episode) => run::replay(&plan, episode).map(|done| print!("{}", done.trace)),
        None => run_all(&plan),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(found) => {
            println!("{found}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a week; one that finds something is run again with its lines, which are printed.
fn play_week(seed: u64, variant: Variant) -> ExitCode {
    let began = Instant::now();
    match week::run(week::Setup { seed, variant, lines: false }) {
        Ok(week::Done { trace, tally, report }) => {
            println!("{report}\n{tally}");
            let (steps, digest) = (trace.steps(), trace.digest());
            let took = began.elapsed().as_secs_f64();
            println!(
                "{} steps, nothing found; {took:.1} s; digest {digest:016x}",
                HumanCount(steps)
            );
            ExitCode::SUCCESS
        }
        Err(found) => {
            let again = week::run(week::Setup { seed, variant, lines: true });
            let trace = again.map_or_else(|found| *found.trace, |done| done.trace);
            trace.last(run::LINES_SHOWN).iter().for_each(|line| println!("{line}"));
            println!("\nviolation in step {}: {found}", found.trace.steps());
            ExitCode::FAILURE
        }
    }
}

fn run_all(plan: &Plan) -> Result<(), Box<Found>> {
    let bar = ProgressBar::new(plan.steps);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {per_sec}, {eta} left");
    // The template is a constant and parses.
    bar.set_style(style.expect("a valid template"));
    let began = Instant::now();
    let summary = run::run(plan, |summary| bar.set_position(summary.steps))?;
    bar.finish_and_clear();
    print(&summary, began.elapsed());
    Ok(())
}

fn print(summary: &Summary, took: Duration) {
    let Summary { episodes, steps, digest, tally } = summary;
    let per_second = u128::from(*steps) * 1_000 / took.as_millis().max(1);
    println!("{tally}");
    println!(
        "{} steps in {episodes} episodes, nothing found; {:.1} s, {} steps/s; digest {digest:016x}",
        HumanCount(*steps),
        took.as_secs_f64(),
        HumanCount(u64::try_from(per_second).unwrap_or(u64::MAX)),
    );
}
