//! Deterministic simulation of Lotkeeper: a seed replays everything.
//!
//! Two tiers. [`episode`] moves engine and journal by hand, without a runtime: a simulated clock, disk and
//! sensors, a naive model that predicts every answer, an auditor that checks every invariant after every
//! step, and faults at every point. [`crew`] runs the real actors on a single-threaded runtime with paused
//! time and kills them. Both are one thread and one source of chance, so the same seed is the same run to
//! the last digit, and a violation is a line that anybody can run again. Beside them stands one scenario:
//! [`week`] plays seven days of two lots, calibrated on real ones.
//!
//! Deliberately absent: sockets, files and processes; those are tried for real (`docs/reliability.md`).

pub mod crew;
pub mod dice;
pub mod episode;
mod model;
pub mod node;
pub mod run;
pub mod tally;
pub mod trace;
pub mod week;
mod workload;
