//! `lotkeeper`: the whole program is `lotkeeper_gateway::cli`; this is its door.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// A reading is made by a socket's thread and freed by the publisher's: `docs/adr/0014-allocator.md`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    lotkeeper_gateway::cli::main()
}
