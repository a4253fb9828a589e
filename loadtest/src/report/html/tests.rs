//! The page, read back: well formed, complete, and asking nobody for anything.

use super::*;
use crate::error::LoadError;
use crate::machine::Usage;
use crate::options::Options;
use crate::pace::Surge;
use crate::recorder::{Measure, Recorder, Tally, Window};
use crate::report::{Facts, Figure};
use crate::scenario::{Plan, Sample};
use crate::verify::Check;
use clap::Parser;

const SECOND_US: u64 = 1_000_000;
/// A page that is sent by mail and opened on a telephone.
const PAGE_BYTES_MAX: usize = 200_000;

/// So long a run of everything, with something hostile in every text that comes from outside.
fn report(measured_seconds: u64) -> Result<Report, LoadError> {
    let began_us = 1_772_355_600 * SECOND_US;
    let from_us = began_us + 2 * SECOND_US;
    let window = Window { from_us, to_us: from_us + measured_seconds * SECOND_US };
    let mut recorder = Recorder::new(window);
    let mut usage = Vec::new();
    for second in 0..measured_seconds + 2 {
        let at_us = began_us + second * SECOND_US;
        for (nth, measure) in Measure::ALL.into_iter().enumerate() {
            for sample in 1..=20 {
                let us = (nth as u64 + 1) * 300 + sample * sample * (second * 37 % 101);
                recorder.attempt();
                recorder.latency(measure, at_us, at_us + us);
            }
        }
        for (nth, tally) in Tally::ALL.into_iter().enumerate() {
            recorder.count(tally, (nth as u64 + 1) * 1_000 + second * 7_919 % 503, at_us);
        }
        let cpu_seconds = second as f64 * 0.73;
        let resident_bytes = (100 << 20) + second * 12_345;
        let used = Usage { cpu_seconds, resident_bytes, resident_peak_bytes: 200 << 20 };
        usage.push(Sample { at_us, server: Some(used), client: used, ..Sample::default() });
    }
    recorder.error("<img src=x onerror=alert(1)> & co");
    recorder.unstarted("bookings", 4_321);
    let mut broken = Check::new("lots & slots are <right>", "slots");
    broken.examine(12_345);
    broken.fault("lot \"L\" <b>slot</b>");
    let surge =
        Surge { from_us: from_us + 3 * SECOND_US, to_us: from_us + 5 * SECOND_US, factor: 5.0 };
    let facts = Facts {
        recorder,
        began_us,
        window,
        surge: Some(surge),
        samples: [usage[2], usage[usage.len() - 1]],
        usage,
        checks: vec![broken],
        lags: 3,
        server_version: "0.1.0</title>".into(),
        data_dir: Some("/tmp/<dir>".into()),
        data_in_memory: true,
        vitals: Vec::new(),
        figures: vec![
            Figure::new("returns <i>", 1_240_000.0, "us"),
            Figure::new("server while idle", 0.0125, "cores"),
        ],
        course: Some("8,000 <silent> sockets".into()),
    };
    let duration = format!("{measured_seconds}s");
    let line = ["lotkeeper-load", "spike", "--threads", "1", "--duration", &duration];
    let plan = Plan::of(&Options::try_parse_from(line).unwrap())?;
    Ok(Report::of(&plan, &facts))
}

/// The page as XML: what HTML writes otherwise (the doctype, elements without an end) is put in its form.
fn as_xml(page: &str) -> String {
    page.replacen("<!DOCTYPE html>", "", 1)
        .split_inclusive('>')
        .map(|piece| match piece.rfind("<meta") {
            Some(_) => piece.replace('>', "/>"),
            None => piece.to_string(),
        })
        .collect()
}

#[test]
fn the_page_is_well_formed_and_loads_nothing() {
    let page = page(&report(20).unwrap()).into_string();
    let xml = as_xml(&page);
    let tree = roxmltree::Document::parse(&xml).unwrap();
    for node in tree.descendants().filter(roxmltree::Node::is_element) {
        let name = node.tag_name().name();
        assert!(!["script", "link", "img", "iframe", "object", "use"].contains(&name), "{name}");
        for attribute in node.attributes() {
            assert!(!["src", "href", "style"].contains(&attribute.name()), "{attribute:?}");
            assert!(!attribute.name().starts_with("on"), "{attribute:?}");
        }
    }
    for load in ["http://", "https://", "url(", "@import", "//cdn"] {
        assert!(!page.contains(load), "{load}");
    }
}

#[test]
fn every_chart_is_named_described_and_every_table_has_heads() {
    let xml = as_xml(&page(&report(20).unwrap()).into_string());
    let tree = roxmltree::Document::parse(&xml).unwrap();
    let all = || tree.descendants().filter(roxmltree::Node::is_element);
    let charts: Vec<_> = all().filter(|node| node.attribute("role") == Some("img")).collect();
    // Percentiles, four throughputs, five latencies, processors, memory.
    assert_eq!(charts.len(), 12);
    for chart in charts {
        let named = chart.attribute("aria-labelledby").unwrap();
        for id in named.split(' ') {
            let target: Vec<_> = all().filter(|node| node.attribute("id") == Some(id)).collect();
            assert_eq!(target.len(), 1, "{id}");
            assert!(target[0].text().is_some_and(|text| text.len() > 10), "{id}");
        }
    }
    for table in all().filter(|node| node.has_tag_name("table")) {
        assert!(table.descendants().any(|node| node.has_tag_name("caption")));
        let heads = || table.descendants().filter(|node| node.has_tag_name("th"));
        assert!(heads().count() > 0 && heads().all(|head| head.attribute("scope").is_some()));
    }
}

#[test]
fn every_figure_of_the_text_is_in_the_page() {
    let report = report(20).unwrap();
    let xml = as_xml(&page(&report).into_string());
    let tree = roxmltree::Document::parse(&xml).unwrap();
    let said: String = tree.root().descendants().filter_map(|node| node.text()).collect();
    for row in &report.latency {
        for us in [row.p50_us, row.p90_us, row.p99_us, row.p999_us, row.p9999_us, row.max_us] {
            assert!(said.contains(&time(us)), "{}: {us}", row.what);
        }
        assert!(said.contains(row.what) && said.contains(&thousands(row.samples)));
    }
    let rate = &report.per_second;
    for per_second in [rate.readings, rate.bookings_refused, rate.bookings_changed, rate.reads] {
        assert!(said.contains(&thousands(per_second.round() as u64)), "{per_second}");
    }
    let server = report.server.as_ref().unwrap();
    for text in [
        format!("{:.2}", server.cores_used),
        format!("{:.2} us", server.cpu_us_per_reading.unwrap()),
        bytes(server.resident_peak_bytes),
        "FAILED".into(),
        "lots & slots are <right>".into(),
        "lot \"L\" <b>slot</b>".into(),
        "<img src=x onerror=alert(1)> & co".into(),
        "12,345 slots".into(),
        "4,321".into(),
        "bookings per second".into(),
        "returns <i>".into(),
        "1.24 s".into(),
        "0.013 cores".into(),
        "8,000 <silent> sockets".into(),
        report.machine.cpu.clone(),
    ] {
        assert!(said.contains(&text), "{text}");
    }
    for warning in &report.warnings {
        assert!(said.contains(&warning.to_string()), "{warning}");
    }
}

#[test]
fn the_page_of_a_long_run_stays_small() {
    for measured_seconds in [20, 3_000] {
        let bytes = page(&report(measured_seconds).unwrap()).into_string().len();
        assert!(bytes < PAGE_BYTES_MAX, "{measured_seconds} s: {bytes} bytes");
    }
}
