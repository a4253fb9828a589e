//! Which charts the page has: latency by percentile, and the run over time in small multiples, each with
//! lines that belong together.

use super::super::curve::{NINES_MAX, nines};
use super::super::text::{thousands, time};
use super::super::timeline::{LatencyLine, Timeline};
use super::Report;
use super::chart::{Band, Chart, Line, NARROW, Scale, WIDE, nice_step};
use maud::{Markup, html};

/// The unit in which memory is drawn, so that the axis is round in it.
const MIB: f64 = 1_048_576.0;
/// Tallies that are drawn together, and what the chart is called.
const THROUGHPUT: [(&str, &[(&str, &str)]); 4] = [
    ("Readings acknowledged", &[("readings", "readings")]),
    (
        "Bookings answered",
        &[
            ("bookings_granted", "granted"),
            ("bookings_refused", "refused with 409"),
            ("bookings_changed", "confirmed or cancelled"),
        ],
    ),
    ("Entries streamed to subscribers", &[("stream_entries", "entries")]),
    ("Reads answered", &[("reads", "reads")]),
];

/// All latencies by percentile.
pub fn percentiles(report: &Report) -> Markup {
    let line = |curve: &super::super::curve::Curve| Line {
        name: curve.what.into(),
        points: curve.points.iter().map(|(p, us)| (nines(*p), Some(*us as f64))).collect(),
    };
    let p99 = |row: &super::super::Latency| format!("{} {}", row.what, time(row.p99_us));
    let p99s: Vec<String> = report.latency.iter().map(p99).collect();
    let ticks = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99];
    let chart = Chart {
        id: "percentiles".into(),
        size: WIDE,
        title: "Latency by percentile".into(),
        description: format!(
            "Latency from the fastest to the 99.99th percentile. At the 99th: {}.",
            p99s.join(", ")
        ),
        x_label: "percentile: each step leaves a tenth of the one before",
        x_ticks: ticks.map(|p| (nines(p).min(NINES_MAX), format!("{p} %"))).to_vec(),
        y_label: "latency, logarithmic",
        y_text: clock_time,
        scale: Scale::Log,
        lines: report.curves.iter().map(line).collect(),
        bands: Vec::new(),
    };
    html! {
        @match chart.draw() {
            Some(drawn) => (drawn),
            None => p.soft { "Nothing was measured." },
        }
    }
}

/// Throughput, latency, processors and memory over time.
pub fn over_time(report: &Report) -> Markup {
    let timeline = &report.chart;
    let mut charts: Vec<Chart> = Vec::new();
    for (title, lines) in THROUGHPUT {
        let known = lines.iter().filter_map(|(key, name)| {
            let rates = timeline.per_second.get(key)?;
            Some(over(timeline, name, rates.iter().map(|rate| Some(*rate))))
        });
        charts.push(chart(report, title, "per second", Scale::Linear, count, known.collect()));
    }
    charts.extend(timeline.latency.iter().map(|line| latency(report, line)));
    let cores = vec![
        over(timeline, "server", timeline.server_cores.iter().copied()),
        over(timeline, "client", timeline.client_cores.iter().copied()),
    ];
    charts.push(chart(report, "Processors used", "cores", Scale::Linear, plain, cores));
    let resident = timeline.server_resident_bytes.iter().map(|bytes| bytes.map(|b| b as f64 / MIB));
    let memory = vec![over(timeline, "resident", resident)];
    charts.push(chart(report, "Server's memory", "resident", Scale::Linear, mib, memory));
    html! {
        p.soft {
            "Each point stands for " (super::seconds(timeline.interval_seconds))
            ". Latency stands where the work was due, throughput where the answer came. The warm-up is shaded"
            @if report.spike.is_some() { ", and so is the spike" } "."
        }
        div.charts { @for chart in &charts { @if let Some(drawn) = chart.draw() { (drawn) } } }
    }
}

fn latency(report: &Report, line: &LatencyLine) -> Chart {
    let of = |name: &str, values: &[Option<u64>]| {
        over(&report.chart, name, values.iter().map(|us| us.map(|us| us.max(1) as f64)))
    };
    let lines = vec![of("max", &line.max_us), of("p99", &line.p99_us), of("p50", &line.p50_us)];
    let title = format!("Latency: {}", line.what);
    chart(report, &title, "latency, logarithmic", Scale::Log, clock_time, lines)
}

fn chart(
    report: &Report,
    title: &str,
    y_label: &'static str,
    scale: Scale,
    y_text: fn(f64) -> String,
    mut lines: Vec<Line>,
) -> Chart {
    lines.retain(|line| line.points.iter().any(|(_, y)| y.is_some()));
    let seconds = &report.chart.seconds;
    let first = seconds.first().copied().unwrap_or(0.0);
    let last = seconds.last().map_or(1.0, |last| last + report.chart.interval_seconds);
    let mut bands = Vec::new();
    if first < 0.0 {
        bands.push(Band { from: first, to: 0.0, name: "warm-up" });
    }
    let spike = report.spike.iter().flat_map(|spike| &spike.phases).find(|p| p.name == "spike");
    bands.extend(spike.map(|p| Band { from: p.from_seconds, to: p.to_seconds, name: "spike" }));
    let (x_label, x_ticks) = time_ticks(first, last);
    Chart {
        size: NARROW,
        id: title.chars().filter(char::is_ascii_alphanumeric).collect(),
        title: title.into(),
        description: describe(&lines, y_text),
        x_label,
        x_ticks,
        y_label,
        y_text,
        scale,
        lines,
        bands,
    }
}

fn over(timeline: &Timeline, name: &str, values: impl Iterator<Item = Option<f64>>) -> Line {
    let middle = timeline.interval_seconds / 2.0;
    let seconds = timeline.seconds.iter().map(|second| second + middle);
    Line { name: name.into(), points: seconds.zip(values).collect() }
}

/// The chart in words: for each line its least and its most.
fn describe(lines: &[Line], y_text: fn(f64) -> String) -> String {
    let words = lines.iter().filter_map(|line| {
        let known = || line.points.iter().filter_map(|(_, y)| *y);
        let (least, most) = (known().reduce(f64::min)?, known().reduce(f64::max)?);
        Some(format!("{} between {} and {}", line.name, y_text(least), y_text(most)))
    });
    words.collect::<Vec<_>>().join("; ") + "."
}

/// Round seconds, minutes or hours, and what the axis is called.
pub(super) fn time_ticks(first: f64, last: f64) -> (&'static str, Vec<(f64, String)>) {
    let (unit, label) = match last - first {
        span if span > 2.0 * 3_600.0 => (3_600.0, "hours since measuring began"),
        span if span > 180.0 => (60.0, "minutes since measuring began"),
        _ => (1.0, "seconds since measuring began"),
    };
    let step = nice_step((last - first) / unit / 9.0) * unit;
    let from = (first / step).ceil() as i64;
    let until = (last / step + 1e-9).floor() as i64;
    let decimals = if step < unit { 1 } else { 0 };
    let tick = |nth: i64| {
        let at = nth as f64 * step;
        (at, format!("{:.decimals$}", at / unit))
    };
    (label, (from..=until).map(tick).collect())
}

fn clock_time(us: f64) -> String {
    match us {
        us if us < 1_000.0 => format!("{us:.0} us"),
        us if us < 1_000_000.0 => format!("{} ms", trimmed(us / 1e3)),
        us => format!("{} s", trimmed(us / 1e6)),
    }
}

pub(super) fn count(value: f64) -> String {
    if value > 0.0 && value < 10.0 { trimmed(value) } else { thousands(value.round() as u64) }
}

pub(super) fn plain(value: f64) -> String {
    trimmed(value)
}

pub(super) fn mib(value: f64) -> String {
    format!("{} MiB", thousands(value.round() as u64))
}

/// At most two decimals, none where they are nought.
fn trimmed(value: f64) -> String {
    format!("{}", (value * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_in_round_steps_of_its_unit() {
        let (label, ticks) = time_ticks(-2.0, 10.0);
        assert!(label.starts_with("seconds"));
        let names: Vec<&str> = ticks.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["-2", "0", "2", "4", "6", "8", "10"]);
        let (label, ticks) = time_ticks(0.0, 86_400.0);
        assert!(label.starts_with("hours") && ticks.len() < 10, "{ticks:?}");
        assert_eq!(ticks.last().unwrap(), &(72_000.0, "20".into()));
        let (_, short) = time_ticks(-0.2, 1.0);
        assert!(short.iter().any(|(_, name)| name == "0.4"), "{short:?}");
    }

    #[test]
    fn axis_numbers_are_short() {
        let told = [clock_time(100.0), clock_time(1e4), clock_time(2.5e6), count(2.5), count(4e5)];
        assert_eq!(told, ["100 us", "10 ms", "2.5 s", "2.5", "400,000"]);
        assert_eq!((plain(0.1 + 0.2), mib(1_024.0)), ("0.3".into(), "1,024 MiB".into()));
    }
}
