//! Inputs that once broke a promise, each with what it broke.

use lotkeeper_fuzz::TARGETS;

/// Target, input, and what went wrong.
const FOUND: &[(&str, &[u8], &str)] = &[
    (
        "config",
        b"[auth]\nkey = \"a secret that is in the seeds only",
        "the refusal showed the line, and with it the key",
    ),
    (
        "snapshot",
        include_bytes!("found/snapshot.bin"),
        "a list was made as long as it announced: 3.4 MB for 1,460 bytes",
    ),
    ("json", b"{\"a\":[1]}", "a place beyond the text overflowed"),
];

#[test]
fn what_was_found_stays_mended() {
    for (name, input, broke) in FOUND {
        let target = TARGETS.iter().find(|target| target.name == *name);
        let target = target.unwrap_or_else(|| panic!("{name} is no target"));
        println!("{name}: {broke}");
        (target.run)(input);
    }
}
