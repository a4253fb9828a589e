//! What a long run held, minute by minute: a chart for figures that belong together, a table of slopes.

use super::Report;
use super::chart::{Chart, Line, NARROW, Scale};
use super::charts::{count, mib, plain, time_ticks};
use crate::report::trends::{level, verdict};
use crate::trend::Trend;
use maud::{Markup, html};

const MIB: f64 = 1_048_576.0;
const HOUR_SECONDS: f64 = 3_600.0;

/// One chart: its title, the axis, which trends, what a value is divided by, and how ticks are written.
struct Bundle {
    title: &'static str,
    axis: &'static str,
    keys: &'static [&'static str],
    unit: f64,
    text: fn(f64) -> String,
}

const BUNDLES: [Bundle; 8] = [
    Bundle {
        title: "Server's memory by the minute",
        axis: "resident",
        keys: &["resident_bytes", "anonymous_bytes"],
        unit: MIB,
        text: mib,
    },
    Bundle {
        title: "Data directory",
        axis: "bytes on the disk",
        keys: &["disk_bytes", "journal_disk_bytes", "archive_bytes"],
        unit: MIB,
        text: mib,
    },
    Bundle {
        title: "File handles and threads",
        axis: "how many",
        keys: &["descriptors", "connections", "threads"],
        unit: 1.0,
        text: count,
    },
    Bundle {
        title: "Files",
        axis: "how many",
        keys: &["files", "archive_files"],
        unit: 1.0,
        text: count,
    },
    Bundle {
        title: "Records kept, and keys remembered",
        axis: "how many",
        keys: &["retained_records", "claims"],
        unit: 1.0,
        text: count,
    },
    Bundle {
        title: "Records written and pruned",
        axis: "per second",
        keys: &["seq", "pruned_records"],
        unit: 1.0,
        text: count,
    },
    Bundle { title: "Commits", axis: "per second", keys: &["commits"], unit: 1.0, text: count },
    Bundle {
        title: "Snapshots, rotations, archives pruned",
        axis: "per hour, logarithmic",
        keys: &["snapshots", "rotations", "pruned_files"],
        unit: 1.0 / HOUR_SECONDS,
        text: count,
    },
];

/// The section; nothing for a run that was not looked at so.
pub fn section(report: &Report) -> Markup {
    html! {
        @if !report.trends.is_empty() {
            h2 { "What it held, and whether that grew" }
            p.soft {
                "Medians of equal parts of the measured time; a pace stands for the whole part. "
                "Growth is the median of the slopes between all pairs of points (Theil and Sen)."
            }
            div.charts { @for bundle in &BUNDLES { @if let Some(drawn) = draw(report, bundle) { (drawn) } } }
            (table(report))
        }
    }
}

fn draw(report: &Report, bundle: &Bundle) -> Option<Markup> {
    let found = bundle.keys.iter().filter_map(|key| report.trends.iter().find(|t| t.key == *key));
    let lines: Vec<Line> = found.map(|trend| line(trend, bundle.unit)).collect();
    let (x_label, x_ticks) = time_ticks(0.0, report.measured_seconds);
    let is_log = bundle.axis.ends_with("logarithmic");
    let chart = Chart {
        id: bundle.title.chars().filter(char::is_ascii_alphanumeric).collect(),
        size: NARROW,
        title: bundle.title.into(),
        description: lines.iter().map(|line| line.name.clone()).collect::<Vec<_>>().join("; ")
            + ".",
        x_label,
        x_ticks,
        y_label: bundle.axis,
        y_text: bundle.text,
        scale: if is_log { Scale::Log } else { Scale::Linear },
        lines,
        bands: Vec::new(),
    };
    chart.draw()
}

fn line(trend: &Trend, unit: f64) -> Line {
    let points = trend.points.iter().map(|(second, value)| (*second, Some(value / unit))).collect();
    Line { name: format!("{} ({})", trend.title.to_lowercase(), trend.growth()), points }
}

fn table(report: &Report) -> Markup {
    html! {
        div.table style="margin-top:14px" { table {
            caption { "Over the measured time" }
            thead { tr {
                @for name in ["what", "median", "least", "most", "growth in an hour", "bound", "verdict"] {
                    th scope="col" { (name) }
                }
            } }
            tbody { @for trend in &report.trends { tr {
                th scope="row" { (trend.title) }
                @for value in [trend.median, trend.least, trend.most] { td { (level(trend, value)) } }
                td { (trend.growth()) }
                td { (plain(trend.percent_per_hour_max)) " %" }
                td class=(if trend.is_flat { "ok" } else { "fail" }) { (verdict(trend)) }
            } } }
        } }
    }
}
