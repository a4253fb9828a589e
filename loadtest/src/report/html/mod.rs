//! The report as one page that needs nothing else: no script, no font, no request. What it shows is what
//! the text and the JSON say, from the same figures, and the run over time.
//!
//! Invariants: everything from outside is escaped (`maud`); each chart has its figures in a table or in the
//! JSON as well, and a title and a description for those who do not see it.

mod chart;
mod charts;
mod tables;
mod trends;

use super::Report;
use super::text::{bytes, thousands, time};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub fn page(report: &Report) -> Markup {
    let title = format!("lotkeeper-load {}: {}", report.scenario, verdict(report));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (head(report))
                    (warnings(report))
                    h2 { "Latency" }
                    (charts::percentiles(report))
                    (tables::latency(report))
                    @if let Some(spike) = &report.spike {
                        h2 { "The spike" }
                        (tables::spike(spike))
                    }
                    @if let Some(fan_out) = &report.fan_out {
                        h2 { "Fan-out" }
                        (tables::fan_out(fan_out))
                    }
                    @if !report.figures.is_empty() {
                        h2 { "Of this scenario" }
                        (tables::figures(report))
                    }
                    @if !report.turns.is_empty() {
                        h2 { "Turn by turn" }
                        (tables::turns(&report.turns))
                    }
                    (trends::section(report))
                    h2 { "Over time" }
                    (charts::over_time(report))
                    h2 { "Figures" }
                    div.two { (tables::rates(report)) (tables::cost(report)) }
                    h2 { "Checks" }
                    (tables::checks(report))
                    h2 { "Errors" }
                    (tables::errors(report))
                    h2 { "What ran where" }
                    div.two { (tables::place(report)) (tables::parameters(report)) }
                    (foot(report))
                }
            }
        }
    }
}

fn verdict(report: &Report) -> &'static str {
    if report.passed { "passed" } else { "failed" }
}

fn head(report: &Report) -> Markup {
    let class = if report.passed { "badge" } else { "badge bad" };
    let failed = report.checks.iter().filter(|check| !check.passed()).count();
    let (p, m) = (&report.parameters, &report.machine);
    html! {
        header {
            div.head {
                h1 { "lotkeeper-load " (report.scenario) }
                span class=(class) { (verdict(report).to_uppercase()) }
            }
            p {
                @if failed > 0 { strong { (failed) " of " (report.checks.len()) " checks failed. " } }
                @else { "All " (report.checks.len()) " checks passed. " }
                @if let Some(course) = &report.course { (course) }
                @else { (thousands(p.lots as u64)) " lots of " (thousands(p.slots_per_lot as u64)) " slots" }
                ", measured for " (seconds(report.measured_seconds)) " after " (seconds(p.warm_up_seconds)) " of warm-up."
            }
            p.soft {
                "lotkeeper " (report.server_version) " at commit " (report.commit) " on " (m.cpu) ", "
                (m.cores) " cores, " (bytes(m.memory_bytes)) ", " (m.os) "; client and server share the machine."
            }
        }
        (cards(report))
    }
}

/// The few figures that one looks for first.
fn cards(report: &Report) -> Markup {
    let rate = |per_second: f64| thousands(per_second.round() as u64) + "/s";
    let mut cards: Vec<(String, String)> = Vec::new();
    let per_second = &report.per_second;
    for (what, value) in [
        ("readings acknowledged durable", per_second.readings),
        ("bookings granted", per_second.bookings_granted),
        ("entries streamed", per_second.stream_entries),
        ("reads answered", per_second.reads),
    ] {
        if value > 0.0 {
            cards.push((rate(value), what.into()));
        }
    }
    for row in &report.latency {
        cards.push((time(row.p99_us), format!("p99 of {}", row.what)));
    }
    if let Some(server) = &report.server {
        if let Some(us) = server.cpu_us_per_reading {
            cards.push((format!("{us:.2} us"), "server CPU per reading".into()));
        } else if let Some(us) = server.cpu_us_per_booking {
            cards.push((format!("{us:.1} us"), "server CPU per booking".into()));
        }
        cards.push((bytes(server.resident_peak_bytes), "server's peak memory".into()));
    }
    html! {
        ul.cards { @for (value, what) in &cards { li { b { (value) } span { (what) } } } }
    }
}

fn warnings(report: &Report) -> Markup {
    html! {
        h2 { "Warnings" }
        @if report.warnings.is_empty() {
            p.soft { "None: nothing was seen that makes these figures doubtful." }
        } @else {
            ul.notes { @for warning in &report.warnings { li { (warning) } } }
        }
    }
}

fn foot(report: &Report) -> Markup {
    html! {
        footer {
            "lotkeeper-load " (report.client_version)
            ". Latency of work at fixed times counts from the time it was due, so waiting for a busy server is in it. "
            "The same figures are written for programs by " code { "--json" } "."
        }
    }
}

pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.2} s"),
        s if s < 600.0 => format!("{s:.1} s"),
        s => format!("{:.1} min", s / 60.0),
    }
}

#[cfg(test)]
mod tests;
