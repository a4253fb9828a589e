//! The report for people: a screenful, figures first, then what was checked and what to doubt.

use super::Report;
use super::phases::Phases;
use std::fmt;
use std::path::Path;

/// Names of figures have at least so much room.
const FIGURE_NAME_CHARS: usize = 44;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        self.write_rates(f)?;
        self.write_latency(f)?;
        if let Some(spike) = &self.spike {
            write_spike(spike, f)?;
        }
        self.write_figures(f)?;
        super::turns::write(&self.turns, f)?;
        super::trends::write(&self.trends, f)?;
        self.write_checks(f)
    }
}

impl Report {
    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_course(f)?;
        let (measured, warm_up) = (self.measured_seconds, self.parameters.warm_up_seconds);
        writeln!(f, "measured  {measured:.2} s after {warm_up:.2} s of warm-up")?;
        let m = &self.machine;
        let memory = bytes(m.memory_bytes);
        writeln!(f, "machine   {}, {} cores, {memory}, {}", m.cpu, m.cores, m.os)?;
        let (client, server) = (self.client_version, &self.server_version);
        write!(f, "software  lotkeeper {server}, lotkeeper-load {client}, commit {}", self.commit)?;
        match &self.data_dir {
            Some(dir) => writeln!(f, "; data in {dir} ({})", fate(dir)),
            None => writeln!(f, "; a running server"),
        }
    }

    fn write_course(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p = &self.parameters;
        if let Some(course) = &self.course {
            return writeln!(f, "lotkeeper-load {}: {course}; seed {}", self.scenario, p.seed);
        }
        let speed = match p.rate_per_second {
            Some(rate) => format!("open loop, {rate} readings/s"),
            None => "full speed".into(),
        };
        let bookings = match p.bookings_per_second {
            Some(rate) => format!("open loop, {rate} bookings/s"),
            None => "full speed".into(),
        };
        writeln!(
            f,
            "lotkeeper-load {}: {} lots of {} slots; {} sensors' sockets ({} batches of {}, {} in flight, {speed}), \
             {} bookers ({bookings}), {} subscribers, {} reads/s; {} arrivals; seed {}",
            self.scenario,
            p.lots,
            p.slots_per_lot,
            p.ingest_connections,
            p.encoding,
            p.batch,
            p.in_flight,
            p.bookers,
            p.subscribers,
            p.reads_per_second,
            p.arrivals,
            p.seed
        )
    }

    fn write_rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, total, p) = (&self.per_second, &self.totals, &self.parameters);
        writeln!(f)?;
        if p.ingest_connections > 0 {
            let (readings, all) = (whole(rate.readings), thousands(total.readings));
            writeln!(f, "readings  {readings}/s acknowledged durable ({all})")?;
        }
        if p.bookers > 0 {
            writeln!(
                f,
                "bookings  {}/s granted, {}/s refused with 409, {}/s confirmed or cancelled",
                whole(rate.bookings_granted),
                whole(rate.bookings_refused),
                whole(rate.bookings_changed)
            )?;
        }
        if p.subscribers > 0 {
            writeln!(f, "stream    {} entries/s received", whole(rate.stream_entries))?;
        }
        if let Some(fan_out) = &self.fan_out {
            write!(f, "{fan_out}")?;
        }
        if let Some(server) = &self.server {
            write!(f, "server    {:.2} cores", server.cores_used)?;
            if let Some(us) = server.cpu_us_per_reading {
                let mixed = p.bookers > 0 || p.subscribers > 0 || p.reads_per_second > 0.0;
                let all = if mixed { " (all its work over the readings)" } else { "" };
                write!(f, ", {us:.2} us CPU per reading{all}")?;
            }
            if let Some(us) = server.cpu_us_per_booking {
                write!(f, ", {us:.2} us CPU per booking, confirm or cancel")?;
            }
            let (now, peak) = (bytes(server.resident_bytes), bytes(server.resident_peak_bytes));
            writeln!(f, ", {now} resident (peak {peak})")?;
        }
        let (client, others, threads) =
            (self.client_cores_used, self.other_cores_used, p.client_threads);
        writeln!(f, "client    {client:.2} cores on {threads} threads; others {others:.2} cores")
    }

    fn write_latency(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.latency.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n{:<22}{:>12}{:>11}{:>11}{:>11}{:>11}",
            "latency", "samples", "p50", "p99", "p99.9", "max"
        )?;
        for row in &self.latency {
            let samples = thousands(row.samples);
            write!(f, "{:<22}{samples:>12}", row.what)?;
            for us in [row.p50_us, row.p99_us, row.p999_us, row.max_us] {
                write!(f, "{:>11}", time(us))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn write_figures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.figures.is_empty() {
            writeln!(f)?;
        }
        let longest = self.figures.iter().map(|figure| figure.name.chars().count() + 2).max();
        let wide = longest.unwrap_or_default().max(FIGURE_NAME_CHARS);
        for figure in &self.figures {
            writeln!(f, "{:<wide$}{}", figure.name, figure.shown())?;
        }
        Ok(())
    }

    fn write_checks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nchecks")?;
        for check in &self.checks {
            let verdict = if check.passed() { "ok  " } else { "FAIL" };
            writeln!(
                f,
                "  {verdict}  {} ({} {})",
                check.name,
                thousands(check.examined),
                check.unit
            )?;
            for fault in &check.first_faults {
                writeln!(f, "        {fault}")?;
            }
            let more = check.faults - check.first_faults.len() as u64;
            if more > 0 {
                writeln!(f, "        and {} more", thousands(more))?;
            }
        }
        if self.errors.is_empty() {
            writeln!(f, "errors    none in {} operations", thousands(self.operations))?;
        }
        for (code, times) in &self.errors {
            writeln!(f, "error     {code}: {}", thousands(*times))?;
        }
        for (what, times) in &self.unstarted {
            writeln!(f, "left      {} {what} were due and never began", thousands(*times))?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning   {warning}")?;
        }
        Ok(())
    }
}

/// The three phases, one line for each latency.
fn write_spike(spike: &Phases, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let [before, during, after] = spike.phases.as_slice() else { return Ok(()) };
    writeln!(
        f,
        "\nspike of {} times, {:.1} s",
        spike.factor,
        during.to_seconds - during.from_seconds
    )?;
    writeln!(f, "{:<22}{:>14}{:>14}{:>14}   normal again", "p99", "before", "spike", "after")?;
    for row in &spike.recovery {
        write!(f, "{:<22}", row.what)?;
        for phase in [before, during, after] {
            let found = phase.latency.iter().find(|latency| latency.what == row.what);
            write!(f, "{:>14}", found.map_or("none".into(), |latency| time(latency.p99_us)))?;
        }
        match row.normal_after_seconds {
            Some(seconds) => writeln!(f, "   {seconds:.1} s after it")?,
            None => writeln!(f, "   not within the run")?,
        }
    }
    Ok(())
}

/// What became of the data: a report is written when the run has cleared up.
pub(super) fn fate(dir: &str) -> &'static str {
    if Path::new(dir).exists() { "kept" } else { "removed" }
}

pub(super) fn whole(rate: f64) -> String {
    thousands(rate.round() as u64)
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub fn time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{:.2} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

pub fn bytes(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 10_240.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1_024.0) }
}
