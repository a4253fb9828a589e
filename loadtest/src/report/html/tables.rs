//! The page's tables: the same rows as the text report, and the parameters in full.

use super::super::phases::Phases;
use super::super::text::{bytes, fate, thousands, time};
use super::{Report, seconds};
use crate::report::{FanOut, Turn};
use maud::{Markup, html};
use serde::Serialize;
use serde_json::Value;

/// Latency at the usual percentiles.
pub fn latency(report: &Report) -> Markup {
    html! {
        div.table { table {
            caption { "Latency of what was due in the measured time" }
            thead { tr {
                th scope="col" { "what" }
                @for name in ["samples", "p50", "p90", "p99", "p99.9", "p99.99", "max"] { th scope="col" { (name) } }
            } }
            tbody { @for row in &report.latency { tr {
                th scope="row" { (row.what) }
                td { (thousands(row.samples)) }
                @for us in [row.p50_us, row.p90_us, row.p99_us, row.p999_us, row.p9999_us, row.max_us] {
                    td { (time(us)) }
                }
            } } }
        } }
    }
}

/// The turns of `neighbours`, a row each.
pub fn turns(turns: &[Turn]) -> Markup {
    let heads = Turn::heads(turns);
    html! {
        div.table { table {
            caption { "p99 of what was due in the counted part of each turn" }
            thead { tr { @for head in &heads { th scope="col" { (head) } } } }
            tbody { @for turn in turns { tr {
                @for (nth, cell) in turn.cells(&heads).into_iter().enumerate() {
                    @if nth == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                }
            } } }
        } }
    }
}

/// The phases of a spike side by side, and the way back.
pub fn spike(spike: &Phases) -> Markup {
    let first = &spike.phases[0];
    let rates = first.per_second.keys().map(|key| {
        let of = |nth: usize| spike.phases[nth].per_second.get(key).copied().unwrap_or_default();
        (key.replace('_', " ") + " per second", (0..3).map(of).map(whole).collect::<Vec<_>>())
    });
    let latencies = first.latency.iter().map(|row| {
        let of = |nth: usize| {
            let found = spike.phases[nth].latency.iter().find(|other| other.what == row.what);
            found
                .map_or("none".into(), |row| format!("{} / {}", time(row.p50_us), time(row.p99_us)))
        };
        (format!("{}, p50 / p99", row.what), (0..3).map(of).collect())
    });
    let rows: Vec<(String, Vec<String>)> = rates.chain(latencies).collect();
    html! {
        div.stack {
            div.table { table {
                caption { (spike.factor) " times the base rates for a while" }
                thead { tr {
                    th scope="col" { "phase" }
                    @for phase in &spike.phases {
                        th scope="col" { (phase.name) ", " (seconds(phase.to_seconds - phase.from_seconds)) }
                    }
                } }
                tbody { @for (what, cells) in &rows { tr {
                    th scope="row" { (what) }
                    @for cell in cells { td { (cell) } }
                } } }
            } }
            div.table { table {
                caption { "Time from the spike's end until the p99 was normal again and stayed so" }
                thead { tr { th scope="col" { "what" } th scope="col" { "normal is up to" } th scope="col" { "after" } } }
                tbody { @for row in &spike.recovery { tr {
                    th scope="row" { (row.what) }
                    td { (time(row.normal_p99_us)) }
                    td { (after(row.normal_after_seconds)) }
                } } }
            } }
        }
    }
}

fn after(elapsed: Option<f64>) -> String {
    match elapsed {
        None => "not within the run".into(),
        Some(0.0) => "at once".into(),
        Some(elapsed) => seconds(elapsed),
    }
}

/// What this scenario alone measures.
pub fn figures(report: &Report) -> Markup {
    let rows = report.figures.iter().map(|figure| (figure.name.clone(), figure.shown()));
    named("Figures of this scenario", rows)
}

/// How often what happened.
pub fn rates(report: &Report) -> Markup {
    let (rate, total) = (&report.per_second, &report.totals);
    let rows = [
        ("readings acknowledged durable", rate.readings, total.readings),
        ("bookings granted", rate.bookings_granted, total.bookings_granted),
        ("bookings refused with 409", rate.bookings_refused, total.bookings_refused),
        ("bookings confirmed or cancelled", rate.bookings_changed, total.bookings_changed),
        ("entries streamed to subscribers", rate.stream_entries, total.stream_entries),
        ("reads answered", rate.reads, total.reads),
    ];
    html! {
        div.table { table {
            caption { "Throughput in the measured time" }
            thead { tr { th scope="col" { "what" } th scope="col" { "per second" } th scope="col" { "in all" } } }
            tbody { @for (what, per_second, all) in rows { tr {
                th scope="row" { (what) } td { (whole(per_second)) } td { (thousands(all)) }
            } } }
        } }
    }
}

/// Processor time and memory.
pub fn cost(report: &Report) -> Markup {
    let mut rows: Vec<(&str, String)> = Vec::new();
    if let Some(server) = &report.server {
        rows.push(("server, cores used", format!("{:.2}", server.cores_used)));
        let us = |us: f64| format!("{us:.2} us");
        if let Some(each) = server.cpu_us_per_reading {
            rows.push(("server CPU per reading, all its work over the readings", us(each)));
        }
        if let Some(each) = server.cpu_us_per_booking {
            rows.push(("server CPU per booking, confirm or cancel", us(each)));
        }
        rows.push(("server's memory at the end", bytes(server.resident_bytes)));
        rows.push(("server's memory at its peak", bytes(server.resident_peak_bytes)));
    }
    rows.push(("client, cores used", format!("{:.2}", report.client_cores_used)));
    rows.push(("other processes, cores used", format!("{:.2}", report.other_cores_used)));
    named("What it cost", rows.into_iter().map(|(name, value)| (name.into(), value)))
}

/// Every check with its verdict and first faults.
pub fn checks(report: &Report) -> Markup {
    html! {
        div.table { table.words {
            caption { "What was verified, limits included" }
            thead { tr {
                th scope="col" { "verdict" } th scope="col" { "promise" } th scope="col" { "examined" } th scope="col" { "faults" }
            } }
            tbody { @for check in &report.checks { tr {
                @if check.passed() { td.ok { "passed" } } @else { td.fail { "failed" } }
                td {
                    (check.name)
                    @if !check.first_faults.is_empty() {
                        ul { @for fault in &check.first_faults { li { (fault) } } }
                    }
                }
                td { (thousands(check.examined)) " " (check.unit) }
                td { (thousands(check.faults)) }
            } } }
        } }
    }
}

/// Errors by code, and what never began.
pub fn errors(report: &Report) -> Markup {
    let operations = thousands(report.operations);
    html! {
        @if report.errors.is_empty() && report.unstarted.is_empty() {
            p.soft { "None in " (operations) " operations." }
        } @else {
            div.table { table {
                caption { "Of " (operations) " operations" }
                thead { tr { th scope="col" { "error" } th scope="col" { "times" } } }
                tbody {
                    @for (code, times) in &report.errors {
                        tr { th scope="row" { (code) } td { (thousands(*times)) } }
                    }
                    @for (what, times) in &report.unstarted {
                        tr { th scope="row" { (what) " that were due and never began" } td { (thousands(*times)) } }
                    }
                }
            } }
        }
    }
}

/// The machine and the software.
pub fn place(report: &Report) -> Markup {
    let m = &report.machine;
    let data = report
        .data_dir
        .as_ref()
        .map_or("a running server's own".into(), |dir| format!("{dir} ({})", fate(dir)));
    named(
        "Machine and software",
        [
            ("processor", m.cpu.clone()),
            ("cores", m.cores.to_string()),
            ("memory", bytes(m.memory_bytes)),
            ("system", m.os.clone()),
            ("server", format!("lotkeeper {}", report.server_version)),
            ("client", format!("lotkeeper-load {}", report.client_version)),
            ("commit", report.commit.clone()),
            ("data directory", data),
        ]
        .map(|(name, value)| (name.to_string(), value)),
    )
}

/// Every parameter of the run, as the JSON names them.
pub fn parameters(report: &Report) -> Markup {
    as_json_has_them("Parameters", &report.parameters)
}

/// What reaching many subscribers cost.
pub fn fan_out(fan_out: &FanOut) -> Markup {
    as_json_has_them("Deliveries in the measured time", fan_out)
}

fn as_json_has_them(caption: &str, fields: &impl Serialize) -> Markup {
    let all = serde_json::to_value(fields).unwrap_or_default();
    let rows = all.as_object().into_iter().flatten().map(|(name, value)| {
        let value = match value {
            Value::Null => "full speed or none".into(),
            Value::String(text) => text.clone(),
            Value::Number(number) if number.is_f64() => {
                format!("{:.3}", number.as_f64().unwrap_or_default())
            }
            other => other.to_string(),
        };
        (name.replace('_', " "), value)
    });
    named(caption, rows)
}

fn named(caption: &str, rows: impl IntoIterator<Item = (String, String)>) -> Markup {
    html! {
        div.table { table {
            caption { (caption) }
            tbody { @for (name, value) in rows { tr { th scope="row" { (name) } td { (value) } } } }
        } }
    }
}

fn whole(rate: f64) -> String {
    thousands(rate.round() as u64)
}
