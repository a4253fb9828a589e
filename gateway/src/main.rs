//! `lotkeeper`: the whole program is `lotkeeper_gateway::cli`; this is its door.

use std::process::ExitCode;

fn main() -> ExitCode {
    lotkeeper_gateway::cli::main()
}
