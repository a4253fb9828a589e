# Short names for what is typed often; `just` lists them. Nothing here is needed to build or test.

# What this file can do.
default:
    @just --list

# A small city on http://127.0.0.1:8080 with live traffic.
demo:
    cargo run --release -- demo

# All tests; browser and strace tests skip where the tool is missing.
test:
    cargo test --workspace

# What must hold before a commit, without the slow proofs.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test --workspace

# What CI runs.
ci:
    .ci/run

# Writes docs/openapi.json anew from the code.
openapi:
    LOTKEEPER_BLESS=1 cargo test -p lotkeeper-gateway --test http_openapi

# Load on a server of its own; see `lotkeeper-load --help`.
load *options:
    cargo build --release --workspace
    target/release/lotkeeper-load {{ options }}

# Engine and journal simulated from a seed; `just simulate 42 --tier actors --steps 100000`.
simulate seed *options:
    cargo run --release -p lotkeeper-simulation -- --seed {{ seed }} {{ options }}

# Benches, with figures.
bench:
    cargo bench -p lotkeeper-benches

# What a data directory holds and whether it is sound.
verify data="./data":
    cargo run --release -- check --data {{ data }}
