//! The entry point of libFuzzer: `LOTKEEPER_FUZZ_TARGET=name lotkeeper-fuzz [FLAGS] [CORPUS]`. `fuzz/run` builds
//! and starts it.
#![no_main]
// The macro makes functions with fixed symbols for the C++ side to call; nothing else here is unsafe.
#![allow(unsafe_code)]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use lotkeeper_fuzz::{TARGETS, Target};

static CHOSEN: OnceLock<&Target> = OnceLock::new();

fn choose() {
    let name = std::env::var("LOTKEEPER_FUZZ_TARGET").unwrap_or_default();
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    let chosen = TARGETS.iter().find(|target| target.name == name);
    let chosen = chosen.unwrap_or_else(|| {
        panic!("LOTKEEPER_FUZZ_TARGET is `{name}`; take one of {}", names.join(", "))
    });
    CHOSEN.get_or_init(|| chosen);
}

fuzz_target!(
    init: choose(),
    |bytes: &[u8]| {
        if let Some(target) = CHOSEN.get() {
            (target.run)(bytes);
        }
    }
);
