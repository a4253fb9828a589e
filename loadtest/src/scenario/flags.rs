//! Flags of the scenarios that take a course of their own; without a word they stand at their defaults.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What a silent socket subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum View {
    /// Nothing: a bare websocket.
    None,
    /// The lot's figures.
    Counts,
    /// Every slot of the lot.
    Slots,
}

impl View {
    /// As the stream names it; nothing for a bare websocket.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Counts => Some("counts"),
            Self::Slots => Some("slots"),
        }
    }
}

/// What `idle`, `storm`, `overload`, `neighbours`, `soak` and `crash` take.
#[derive(Clone, Debug, Args)]
pub struct CourseFlags {
    /// idle: websockets that are held open.
    #[arg(long, default_value_t = 8_000)]
    pub connections: usize,

    /// idle: new websockets per second.
    #[arg(long, default_value_t = 1_000.0)]
    pub connect_rate: f64,

    /// idle: what each websocket subscribes to.
    #[arg(long, value_enum, default_value_t = View::Slots)]
    pub subscribe: View,

    /// storm: how often everybody is cut off.
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,

    /// storm: the server is killed with SIGKILL and started again instead; with an own server only.
    #[arg(long, conflicts_with = "url")]
    pub kill_server: bool,

    /// overload: what is offered, in multiples of the capacity found.
    #[arg(long, default_value_t = 8.0)]
    pub overload_factor: f64,

    /// crash: how often the server is killed.
    #[arg(long, default_value_t = 200)]
    pub kills: usize,

    /// crash: `lotkeeper check` looks at the directory after every so many kills.
    #[arg(long, default_value_t = 10)]
    pub check_every: usize,

    /// crash: leaves the server's directory where it is when a check failed.
    #[arg(long)]
    pub keep_failed: bool,

    /// neighbours: stream readers that do not read.
    #[arg(long, default_value_t = 200)]
    pub stalled_readers: usize,

    /// neighbours: what the p99 of calm tenants may rise by, in percent.
    #[arg(long, default_value_t = 50.0)]
    pub rise_percent: f64,

    /// neighbours: how often calm and flooded have their turn in the measured time.
    #[arg(long, default_value_t = 6)]
    pub turns: usize,

    /// neighbours: a third side has turns too, in which the flood meets another server of this machine.
    #[arg(long)]
    pub flood_elsewhere: bool,

    /// soak: every look at memory, disk and the like is appended here as it comes, a line of JSON each.
    #[arg(long, value_name = "FILE")]
    pub samples: Option<PathBuf>,
}
