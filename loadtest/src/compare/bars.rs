//! What we want to be better than, and by how much. The one place for these numbers.
//!
//! A bar is never moved to be reached, and a bar that has no figures is said to have none.

use super::table::Row;
use serde::Serialize;
use std::fmt;

/// Rows of PostgreSQL that write the same transaction in different ways: the better one is the peer.
const BOOK_PEERS: [&str; 2] = ["postgres.book.pipelined", "postgres.book.function"];
const SCAN_PEERS: [&str; 2] = ["postgres.scan.pipelined", "postgres.scan.function"];

const GATE_PEERS: [&str; 2] = ["postgres.gate.stepwise", "postgres.gate.function"];
/// The same behind an HTTP service, which a gate needs as it needs ours.
const HTTP_GATE_PEERS: [&str; 2] = ["postgres.gate.http.stepwise", "postgres.gate.http.function"];

/// What is measured by a bar.
#[derive(Clone, Copy, Debug)]
enum Figure {
    /// Things per second of a row over those of the best of others.
    Rate(&'static str, &'static [&'static str]),
    /// Server CPU per thing of a row over the least of others.
    Cpu(&'static str, &'static [&'static str]),
    /// Server CPU per thing, in microseconds.
    CpuUs(&'static str),
    /// The 99th percentile, in milliseconds.
    P99Ms(&'static str),
}

/// One line of what must hold.
#[derive(Clone, Copy, Debug)]
struct Bar {
    what: &'static str,
    figure: Figure,
    side: Side,
    must: f64,
    /// What we are after; nothing where the bar is all.
    aim: Option<f64>,
}

/// Which side of a bar is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    AtLeast,
    AtMost,
}

impl Side {
    fn holds(self, measured: f64, bar: f64) -> bool {
        match self {
            Self::AtLeast => measured >= bar,
            Self::AtMost => measured <= bar,
        }
    }
}

const fn bar(what: &'static str, figure: Figure, side: Side, must: f64, aim: Option<f64>) -> Bar {
    Bar { what, figure, side, must, aim }
}

const BARS: [Bar; 19] = {
    use Figure::{Cpu, CpuUs, P99Ms, Rate};
    use Side::{AtLeast, AtMost};
    [
        bar(
            "readings, binary, over the PostgreSQL scan",
            Rate("ours.binary", &SCAN_PEERS),
            AtLeast,
            15.0,
            Some(30.0),
        ),
        bar("readings, binary: server CPU, us", CpuUs("ours.binary"), AtMost, 4.0, Some(2.5)),
        bar(
            "readings, JSON, over the PostgreSQL scan",
            Rate("ours.json", &SCAN_PEERS),
            AtLeast,
            10.0,
            Some(20.0),
        ),
        bar(
            "bookings over HTTP, over the PostgreSQL booking",
            Rate("ours.book", &BOOK_PEERS),
            AtLeast,
            4.0,
            Some(8.0),
        ),
        bar("bookings over HTTP: p99, ms", P99Ms("ours.book"), AtMost, 20.0, None),
        bar(
            "bookings over HTTP, over the bare JSON echo",
            Rate("ours.book", &["echo"]),
            AtLeast,
            0.5,
            None,
        ),
        bar(
            "scans at a gate over HTTP, over the PostgreSQL scan transaction",
            Rate("ours.gate", &GATE_PEERS),
            AtLeast,
            4.0,
            None,
        ),
        bar(
            "scans at a gate over HTTP, over the PostgreSQL scan transaction over HTTP",
            Rate("ours.gate", &HTTP_GATE_PEERS),
            AtLeast,
            4.0,
            None,
        ),
        bar(
            "quotes over HTTP, over the bare JSON echo",
            Rate("ours.quote", &["echo"]),
            AtLeast,
            0.5,
            None,
        ),
        bar(
            "fan-out at full speed: server CPU over nats-server's",
            Cpu("ours.fanout.full", &["nats.full"]),
            AtMost,
            0.5,
            None,
        ),
        bar(
            "fan-out at full speed: server CPU over nchan's",
            Cpu("ours.fanout.full", &["nchan.full"]),
            AtMost,
            0.05,
            None,
        ),
        bar(
            "fan-out at full speed: server CPU per delivery, us",
            CpuUs("ours.fanout.full"),
            AtMost,
            f64::INFINITY,
            Some(0.1),
        ),
        bar(
            "fan-out paced, slots: server CPU over nchan's",
            Cpu("ours.fanout.paced", &["nchan.paced"]),
            AtMost,
            0.5,
            Some(0.25),
        ),
        bar(
            "fan-out paced, counts: server CPU over nchan's",
            Cpu("ours.counts.paced", &["nchan.paced"]),
            AtMost,
            0.5,
            Some(0.25),
        ),
        bar(
            "sensor to subscriber at 10 %: p99, ms",
            P99Ms("ours.latency.10"),
            AtMost,
            5.0,
            Some(2.0),
        ),
        bar(
            "sensor to subscriber at 80 %: p99, ms",
            P99Ms("ours.latency.80"),
            AtMost,
            50.0,
            Some(20.0),
        ),
        bar(
            "journal over the plain file, commits of 2,000 records",
            Rate("journal.2000", &["file.2000"]),
            AtLeast,
            0.45,
            Some(0.7),
        ),
        bar(
            "journal over the plain file, commits of 200 records",
            Rate("journal.200", &["file.200"]),
            AtLeast,
            0.45,
            Some(0.7),
        ),
        bar(
            "journal over the plain file, commits of 1 record",
            Rate("journal.1", &["file.1"]),
            AtLeast,
            0.45,
            Some(0.7),
        ),
    ]
};

/// What became of a bar.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    pub what: &'static str,
    pub side: Side,
    /// Nothing where the stages did not run.
    pub measured: Option<f64>,
    /// Nothing where there is only an aim.
    pub must: Option<f64>,
    pub aim: Option<f64>,
    pub said: Said,
    /// Of what was not measured.
    pub why: Option<String>,
}

/// In a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// The aim, or the bar where there is no aim.
    Reached,
    /// The bar but not the aim.
    Met,
    /// Not the bar.
    Missed,
    /// Stages that did not run.
    NotMeasured,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reached => "aim reached",
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::NotMeasured => "not measured",
        })
    }
}

/// Rows that are not there, by the beginning of their keys, and why.
type Absent = (&'static str, String);

/// Every bar by the rows that are there; the first known reason counts where one is not.
pub fn judge(rows: &[Row], absent: &[Absent]) -> Vec<Verdict> {
    BARS.iter().map(|bar| bar.judge(rows, absent)).collect()
}

impl Bar {
    fn judge(&self, rows: &[Row], absent: &[Absent]) -> Verdict {
        let measured = self.figure.of(rows);
        let said = match measured {
            None => Said::NotMeasured,
            Some(value) if !self.side.holds(value, self.must) => Said::Missed,
            Some(value) if self.aim.is_none_or(|aim| self.side.holds(value, aim)) => Said::Reached,
            Some(_) => Said::Met,
        };
        let must = Some(self.must).filter(|must| must.is_finite() && *must > 0.0);
        let why = (said == Said::NotMeasured).then(|| self.figure.why_not(rows, absent));
        Verdict { what: self.what, side: self.side, measured, must, aim: self.aim, said, why }
    }
}

impl Figure {
    fn of(self, rows: &[Row]) -> Option<f64> {
        let row = |key: &str| rows.iter().find(|row| row.key == key);
        let rate = |key: &str| row(key).map(|row| row.per_second).filter(|rate| *rate > 0.0);
        let cpu = |key: &str| row(key)?.server_cpu_us.filter(|us| *us > 0.0);
        match self {
            Self::Rate(ours, theirs) => {
                let best = theirs.iter().filter_map(|key| rate(key)).reduce(f64::max)?;
                Some(rate(ours)? / best)
            }
            Self::Cpu(ours, theirs) => {
                let least = theirs.iter().filter_map(|key| cpu(key)).reduce(f64::min)?;
                Some(cpu(ours)? / least)
            }
            Self::CpuUs(ours) => cpu(ours),
            Self::P99Ms(ours) => Some(row(ours)?.p99_us? as f64 / 1e3),
        }
    }

    /// Why there is no figure: what is known of the first row that is missing.
    fn why_not(self, rows: &[Row], absent: &[Absent]) -> String {
        let mut keys: Vec<&str> = match self {
            Self::Rate(ours, theirs) | Self::Cpu(ours, theirs) => {
                let theirs = theirs.iter().copied();
                std::iter::once(ours).chain(theirs).collect()
            }
            Self::CpuUs(ours) | Self::P99Ms(ours) => vec![ours],
        };
        keys.retain(|key| !rows.iter().any(|row| row.key == *key));
        let known = |key: &&str| absent.iter().find(|(rows, _)| key.starts_with(rows));
        match (keys.iter().find_map(known), keys.first()) {
            (Some((_, why)), _) => why.clone(),
            (None, Some(key)) => format!("{key} did not play"),
            (None, None) => "a row has no such figure".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::Work;
    use super::*;

    fn row(key: &'static str, per_second: f64, cpu_us: f64) -> Row {
        let row = Row::new(key, Work::Readings, "x", "y");
        Row { per_second, server_cpu_us: Some(cpu_us), p99_us: Some(19_000), ..row }
    }

    fn said(rows: &[Row], what: &str) -> (Option<f64>, Said) {
        let verdicts = judge(rows, &[]);
        let verdict = verdicts.iter().find(|verdict| verdict.what == what).unwrap();
        (verdict.measured, verdict.said)
    }

    #[test]
    fn without_figures_nothing_is_claimed() {
        for verdict in judge(&[], &[]) {
            assert_eq!(
                (verdict.measured, verdict.said),
                (None, Said::NotMeasured),
                "{}",
                verdict.what
            );
        }
    }

    #[test]
    fn a_bar_without_figures_says_why() {
        let absent = [("journal.", "no such program; build it".to_string()), ("p", "gone".into())];
        let why = |rows: &[Row], what: &str| {
            let verdicts = judge(rows, &absent);
            verdicts.into_iter().find(|verdict| verdict.what == what).unwrap().why
        };
        let journal = "journal over the plain file, commits of 200 records";
        let scan = "readings, binary, over the PostgreSQL scan";
        let file = row("file.200", 1.0, 1.0);
        assert_eq!(why(std::slice::from_ref(&file), journal).unwrap(), "no such program; build it");
        assert_eq!(why(&[file, row("journal.200", 1.0, 1.0)], journal), None);
        assert_eq!(
            why(&[], "readings, binary: server CPU, us").unwrap(),
            "ours.binary did not play"
        );
        assert_eq!(why(&[row("ours.binary", 1.0, 1.0)], scan).unwrap(), "gone");
        let halted = row("ours.book", 0.0, 0.0);
        let peer = row("echo", 1.0, 1.0);
        let echo = "bookings over HTTP, over the bare JSON echo";
        assert_eq!(why(&[halted, peer], echo).unwrap(), "a row has no such figure");
    }

    #[test]
    fn the_better_way_of_writing_a_transaction_is_the_peer() {
        let what = "readings, JSON, over the PostgreSQL scan";
        for (ours, expected) in
            [(9_999.0, Said::Missed), (10_000.0, Said::Met), (20_000.0, Said::Reached)]
        {
            let rows = [
                row("postgres.scan.pipelined", 1_000.0, 1.0),
                row("postgres.scan.function", 900.0, 1.0),
                row("ours.json", ours, 1.0),
            ];
            assert_eq!(said(&rows, what), (Some(ours / 1_000.0), expected));
        }
    }

    #[test]
    fn less_is_better_where_a_bar_is_a_cost() {
        let what = "fan-out at full speed: server CPU over nats-server's";
        for (ours, expected) in [(0.4, Said::Reached), (0.6, Said::Missed)] {
            let rows = [row("nats.full", 1.0, 1.0), row("ours.fanout.full", 1.0, ours)];
            assert_eq!(said(&rows, what), (Some(ours), expected));
        }
    }

    #[test]
    fn a_bar_without_an_aim_is_reached_when_it_holds() {
        let rows = [row("ours.book", 1.0, 1.0)];
        assert_eq!(said(&rows, "bookings over HTTP: p99, ms"), (Some(19.0), Said::Reached));
        let aim_alone = "fan-out at full speed: server CPU per delivery, us";
        assert_eq!(said(&[row("ours.fanout.full", 1.0, 0.2)], aim_alone).1, Said::Met);
        assert_eq!(said(&[row("ours.fanout.full", 1.0, 0.09)], aim_alone).1, Said::Reached);
    }
}
