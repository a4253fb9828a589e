//! The table for people: as text for a terminal, as Markdown for `docs/benchmarks`. Same cells in both.

use super::bars::{Side, Verdict};
use super::calm::PROBE_BYTES;
use super::table::{Row, Table, Work};
use crate::report::text::{bytes, thousands, time};
use std::fmt::{self, Write};

const HEAD: [&str; 10] = [
    "who",
    "what",
    "per second",
    "best = 1",
    "server CPU",
    "client CPU",
    "p50",
    "p99",
    "bytes",
    "disk before",
];
const BAR_HEAD: [&str; 5] = ["bar", "measured", "must", "aim", "verdict"];

impl Row {
    /// One line for the one who waits.
    pub fn brief(&self) -> String {
        let rate = thousands(self.per_second.round() as u64);
        let verdict = if self.passed() { "" } else { "; CHECK FAILED" };
        let cpu = micros(self.server_cpu_us);
        format!("{rate} {}/s, server CPU {cpu} each{verdict}", self.work.unit())
    }

    fn cells(&self, best: f64) -> [String; 10] {
        let latency = |us: Option<u64>| us.map_or_else(|| "-".into(), time);
        [
            self.who.clone(),
            self.what.clone(),
            thousands(self.per_second.round() as u64),
            format!("{:.3}", if best > 0.0 { self.per_second / best } else { 0.0 }),
            micros(self.server_cpu_us),
            micros(self.client_cpu_us),
            latency(self.p50_us),
            latency(self.p99_us),
            self.bytes_each.map_or_else(|| "-".into(), |bytes| format!("{bytes:.0}")),
            latency(self.disk_p99_us),
        ]
    }
}

impl Verdict {
    fn cells(&self) -> [String; 5] {
        let sign = match self.side {
            Side::AtLeast => ">=",
            Side::AtMost => "<=",
        };
        let bar = |bar: Option<f64>| bar.map_or_else(|| "-".into(), |bar| format!("{sign} {bar}"));
        [
            self.what.into(),
            self.measured.map_or_else(|| "-".into(), |value| format!("{value:.3}")),
            bar(self.must),
            bar(self.aim),
            match &self.why {
                Some(why) => format!("{}: {why}", self.said),
                None => self.said.to_string(),
            },
        ]
    }
}

/// A heading and its lines.
struct Part {
    title: String,
    head: Vec<&'static str>,
    lines: Vec<Vec<String>>,
}

impl Table {
    fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        for work in Work::ALL {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.work == work).collect();
            if rows.is_empty() {
                continue;
            }
            let best = rows.iter().map(|row| row.per_second).fold(0.0, f64::max);
            let lines = rows.iter().map(|row| row.cells(best).to_vec()).collect();
            let title = format!("{} ({})", work.title(), work.unit());
            parts.push(Part { title, head: HEAD.to_vec(), lines });
        }
        let lines = self.bars.iter().map(|verdict| verdict.cells().to_vec()).collect();
        parts.push(Part { title: "Our bars".into(), head: BAR_HEAD.to_vec(), lines });
        parts
    }

    fn about(&self) -> Vec<String> {
        let (m, p) = (&self.machine, &self.parameters);
        vec![
            format!("{}, {} cores, {}, {}; commit {}", m.cpu, m.cores, bytes(m.memory_bytes), m.os, self.commit),
            format!(
                "{} s measured after {} s of warm-up per stage, one stage after the other; {} lots of {} slots, {} connections, \
                 {} subscribers, {} changes/s where paced, {} client threads, seed {}; {:.0} s in all",
                p.duration_seconds,
                p.warm_up_seconds,
                p.lots,
                p.slots_per_lot,
                p.connections,
                p.subscribers,
                p.changes_per_second,
                p.client_threads,
                p.seed,
                self.age_seconds()
            ),
            "Client, server and disk share the machine. Server CPU is that of all processes of the server, per thing counted.".into(),
            format!(
                "Disk before: p99 of {PROBE_BYTES} bytes and sync_data to a plain file, directly before the stage; {} at best.",
                self.disk_best_p99_us.map_or_else(|| "not measured".into(), time)
            ),
        ]
    }

    fn checks(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for row in &self.rows {
            for check in &row.checks {
                let verdict = if check.passed() { "ok" } else { "FAILED" };
                let (key, name) = (row.key, &check.name);
                let examined = thousands(check.examined);
                lines.push(format!("{verdict}: {key}: {name} ({examined} {})", check.unit));
                lines.extend(
                    check.first_faults.iter().map(|fault| format!("FAILED: {key}: {fault}")),
                );
            }
        }
        lines.extend(self.failures.iter().map(|what| format!("FAILED: {what}")));
        lines
    }

    /// For `docs/benchmarks`.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}, compared\n\n", self.date);
        for line in self.about() {
            text += &format!("{line}\n");
        }
        text += "\nMade by `lotkeeper-load compare`.\n";
        for part in self.parts() {
            let rule = vec!["---"; part.head.len()].join("|");
            text += &format!("\n## {}\n| {} |\n|{rule}|\n", part.title, part.head.join(" | "));
            for line in part.lines {
                text += &format!("| {} |\n", line.join(" | "));
            }
        }
        let mut list = |title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                text += &format!("\n## {title}\n");
                lines.iter().for_each(|line| text += &format!("- {}\n", line.replace('\n', " ")));
            }
        };
        list("Versions and settings, as the servers say them", self.settings());
        list("What was checked", self.checks());
        list("Left out, or to be doubted", self.notes.clone());
        text
    }

    fn settings(&self) -> Vec<String> {
        self.peers.iter().map(|[version, settings]| format!("{version}: {settings}")).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "lotkeeper-load compare, {}", self.date)?;
        self.about().iter().try_for_each(|line| writeln!(f, "{line}"))?;
        for part in self.parts() {
            writeln!(f, "\n{}", part.title)?;
            let head: Vec<String> = part.head.iter().map(ToString::to_string).collect();
            let widths: Vec<usize> = (0..head.len())
                .map(|at| {
                    let cells = std::iter::once(&head).chain(&part.lines);
                    cells.map(|line| line[at].chars().count()).max().unwrap_or(0)
                })
                .collect();
            for line in std::iter::once(&head).chain(&part.lines) {
                let mut text = String::new();
                for (cell, width) in line.iter().zip(&widths) {
                    write!(text, "{cell:width$}  ")?;
                }
                writeln!(f, "  {}", text.trim_end())?;
            }
        }
        for (title, lines) in [
            ("settings", self.settings()),
            ("checks", self.checks()),
            ("notes", self.notes.clone()),
        ] {
            if !lines.is_empty() {
                writeln!(f, "\n{title}")?;
                lines.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
            }
        }
        Ok(())
    }
}

fn micros(us: Option<f64>) -> String {
    us.map_or_else(|| "-".into(), |us| format!("{us:.3} us"))
}

#[cfg(test)]
mod tests {
    use super::super::options::CompareOptions;
    use super::*;
    use crate::verify::Check;
    use clap::Parser;

    fn table() -> Table {
        let options = CompareOptions::try_parse_from(["compare"]).unwrap();
        let mut table = Table::new(&options);
        for (key, per_second) in [("postgres.scan.function", 10_000.0), ("ours.json", 250_000.0)] {
            let row = Row::new(key, Work::Readings, key, "one by one");
            let row = Row {
                per_second,
                server_cpu_us: Some(2.5),
                p99_us: Some(1_500),
                disk_p99_us: Some(203),
                ..row
            };
            table.rows.push(row.with_check(Check::new("all is there", "rows")));
        }
        table.peers.push(["PostgreSQL 15".into(), "fsync=on".into()]);
        table.absent.push(("journal.", "it is not built; build it".into()));
        table.judge();
        table
    }

    #[test]
    fn text_and_markdown_hold_figures_ratios_verdicts_and_settings() {
        let table = table();
        for text in [table.to_string(), table.markdown()] {
            for part in [
                "250,000",
                "0.040",
                "2.500 us",
                "1.50 ms",
                "203 us",
                "not measured: it is not built; build it",
                "25.000",
                "aim reached",
                "fsync=on",
                "ok: ours.json",
            ] {
                assert!(text.contains(part), "{part} in\n{text}");
            }
            assert!(!text.contains("Fan-out at full speed ("), "a part without rows");
        }
    }

    #[test]
    fn a_missed_bar_is_no_fault_and_a_failed_check_is() {
        let mut table = table();
        table.rows[1].per_second = 1.0;
        table.judge();
        assert!(table.to_string().contains("MISSED") && table.passed());
        let mut check = Check::new("as many rows as were acknowledged", "rows");
        check.fault("3 rows, 4 acknowledged");
        table.rows[0].checks.push(check);
        assert!(!table.passed());
        assert!(table.markdown().contains("FAILED: postgres.scan.function: 3 rows"));
    }

    #[test]
    fn the_name_of_a_file_says_its_form() {
        let dir = tempfile::tempdir().unwrap();
        let read = |name: &str| {
            let path = dir.path().join(name);
            table().write(&path).unwrap();
            std::fs::read_to_string(path).unwrap()
        };
        assert!(read("t.md").starts_with("# "));
        assert!(read("t.txt").starts_with("lotkeeper-load compare"));
        let json: serde_json::Value = serde_json::from_str(&read("t.json")).unwrap();
        assert_eq!(json["rows"][1]["key"], "ours.json");
        assert_eq!(json["bars"][2]["said"], "reached");
    }
}
