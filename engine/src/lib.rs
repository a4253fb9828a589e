//! The parking domain, pure.
//!
//! [`slot`] knows what *is* (what sensors and people say of one slot), [`lot`] knows what is *promised*
//! (holds and reservations per slot and window, service states, counted occupancy, deadlines).
//! [`tariff`] prices stays: one function for the quote before and the bill after.
//! The first two speak one grammar: a command is decided against the state into events or a rejection, and
//! events are applied to the state. `decide` never changes anything, `apply` never fails.
//!
//! Deliberately absent: clocks (time is an argument), I/O, async, serde, randomness, actors.

// A new state, command or event must be thought about wherever one is matched. Two lints, because clippy
// has one for a wildcard that stands for several variants and another for a single one.
#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

pub mod counts;
pub mod ids;
pub mod invariants;
pub mod limits;
pub mod lot;
pub mod money;
pub mod slot;
pub mod spec;
pub mod status;
pub mod tariff;
pub mod time;
