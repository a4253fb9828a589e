//! Lotkeeper.
fn main() {}
