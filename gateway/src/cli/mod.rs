//! The command line: reads it, runs one command, turns the outcome into an exit code.
//!
//! Exit codes: 0 fine, 2 wrong usage or configuration, 1 anything else. Results go to standard output,
//! everything else to standard error; an error names the thing, the value and the remedy.
//! Deliberately absent: commands' own work; each lives in its module.

mod backup;
mod restore;
pub(crate) mod transfer;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use backup::{BackupFailed, BackupOptions};
pub use restore::{RestoreFailed, RestoreOptions};

use crate::config::{self, Config, ConfigError, Flags};
use crate::logging::{self, LoggingError};
use crate::serve::{self, ServeError};
use crate::token::{self, TokenArgs, TokenError};

/// Lotkeeper: a realtime parking occupancy engine.
#[derive(Parser)]
#[command(name = "lotkeeper", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the engine until SIGTERM or Ctrl-C
    Serve(Common),
    /// Run a server with an invented city and live traffic, to look at
    Demo(crate::demo::Options),
    /// Stream a real data file into a running server
    Replay(crate::replay::Options),
    /// Mint a token with the server's key
    Token {
        #[command(flatten)]
        args: TokenArgs,
        #[command(flatten)]
        common: Common,
    },
    /// Verify a data directory without starting; exit 1 when something is wrong
    Check(Common),
    /// Take a backup from a running server, or of a directory that nobody serves
    Backup(BackupOptions),
    /// Make a new data directory out of a backup, as of its end, a sequence or an instant
    Restore(RestoreOptions),
}

/// Flags that most commands have.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// The data directory [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address and port; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Configuration file; LOTKEEPER_* variables and flags override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Common {
    /// The configuration from all sources.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let flags = Flags {
            config: self.config.clone(),
            data: self.data.clone(),
            listen: self.listen.clone(),
        };
        // A variable that is not text cannot be one of ours with a valid value.
        let environment = std::env::vars_os().map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        });
        config::load(&flags, environment)
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CommandFailed {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Logging(#[from] LoggingError),
    #[error("{0}")]
    Token(#[from] TokenError),
    #[error("{0}")]
    Serve(#[from] ServeError),
    #[error("{0}")]
    Demo(#[from] crate::demo::Error),
    #[error("{0}")]
    Replay(#[from] crate::replay::Error),
    #[error("cannot check the data directory: {0}")]
    Check(#[from] lotkeeper_storage::JournalError),
    #[error("{0}")]
    Backup(#[from] BackupFailed),
    #[error("{0}")]
    Restore(#[from] RestoreFailed),
    #[error("cannot write to standard output: {0}")]
    Output(std::io::Error),
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
}

impl CommandFailed {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_)
            | Self::Logging(_)
            | Self::Token(_)
            | Self::Backup(BackupFailed::NoToken) => ExitCode::from(2),
            Self::Serve(error) => serve::exit_code(error),
            Self::Demo(error) => error.exit_code(),
            Self::Replay(_)
            | Self::Check(_)
            | Self::Backup(_)
            | Self::Restore(_)
            | Self::Output(_)
            | Self::Runtime(_) => ExitCode::FAILURE,
        }
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    lotkeeper_storage::silence_guarded_panics();
    // Wrong usage ends here, with clap's text and exit code 2.
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lotkeeper: {error}");
            error.exit_code()
        }
    }
}

fn run(command: Command) -> Result<ExitCode, CommandFailed> {
    match command {
        Command::Serve(common) => {
            let config = common.load()?;
            logging::start(&config.log)?;
            block_on(serve::run(config))??;
        }
        Command::Demo(options) => {
            let config = options.load()?;
            logging::start(&config.log)?;
            block_on(crate::demo::run(config, &options))??;
        }
        Command::Replay(options) => {
            logging::start(&Config::default().log)?;
            print(&block_on(crate::replay::run(options))??)?;
        }
        Command::Token { args, common } => print(&token::mint(&common.load()?, &args)?)?,
        Command::Check(common) => return check(&common.load()?),
        Command::Backup(options) => {
            logging::start(&Config::default().log)?;
            let done = block_on(backup::run(options))??;
            match done.goes_to_stderr() {
                true => eprintln!("{done}"),
                false => print(&done)?,
            }
        }
        Command::Restore(options) => {
            logging::start(&Config::default().log)?;
            print(&restore::run(options)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A result; whoever reads it may have gone, which is no reason to panic.
fn print(result: &dyn std::fmt::Display) -> Result<(), CommandFailed> {
    writeln!(std::io::stdout().lock(), "{result}").map_err(CommandFailed::Output)
}

fn check(config: &Config) -> Result<ExitCode, CommandFailed> {
    let report = lotkeeper_storage::check(&config.storage.data)?;
    print(&report)?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn block_on<F: Future>(work: F) -> Result<F::Output, CommandFailed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    Ok(runtime.map_err(CommandFailed::Runtime)?.block_on(work))
}
