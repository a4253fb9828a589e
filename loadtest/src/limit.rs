//! Limits from the command line: what a run must reach, read with precise errors, judged like a check.
//!
//! Grammar: `[MEASURE.]pXX=DURATION`, `[MEASURE.]max=DURATION`, `TALLY.rate=NUMBER` (at least),
//! `errors=PERCENT%`, `server.rss=SIZE`, `server.cpu_per_reading=DURATION`, `server.cpu_per_booking=DURATION`.
//! Invariant: a limit of something that was not measured fails; silence is not speed.

use crate::recorder::{Measure, Recorder, Tally};
use crate::verify::Check;

/// One limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// As it was given.
    text: String,
    bound: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    /// Of one measure, or of each that was measured; the share is 1 for the longest.
    Latency {
        measure: Option<Measure>,
        share: f64,
        us_max: f64,
    },
    Rate {
        tally: Tally,
        per_second_min: f64,
    },
    Errors {
        percent_max: f64,
    },
    ServerResident {
        bytes_max: f64,
    },
    CpuPerReading {
        us_max: f64,
    },
    CpuPerBooking {
        us_max: f64,
    },
}

/// What limits are held against.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    pub recorder: &'a Recorder,
    pub seconds: f64,
    pub server_resident_peak_bytes: Option<u64>,
    pub cpu_us_per_reading: Option<f64>,
    pub cpu_us_per_booking: Option<f64>,
}

const TIMES: [(&str, f64); 4] = [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("m", 6e7)];
const SIZES: [(&str, f64); 7] = [
    ("B", 1.0),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
];

impl Limit {
    /// From the command line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` has no `=`; give NAME=VALUE such as p99=20ms"))?;
        let bound = match name {
            "errors" => Bound::Errors { percent_max: with_unit(value, &[("%", 1.0)], "0.1%")? },
            "server.rss" => {
                Bound::ServerResident { bytes_max: with_unit(value, &SIZES, "1300MiB")? }
            }
            "server.cpu_per_reading" => {
                Bound::CpuPerReading { us_max: with_unit(value, &TIMES, "4us")? }
            }
            "server.cpu_per_booking" => {
                Bound::CpuPerBooking { us_max: with_unit(value, &TIMES, "40us")? }
            }
            _ => named(name, value)?,
        };
        Ok(Self { text: text.into(), bound })
    }

    /// The limit as a check of a run.
    pub fn judge(&self, measured: &Measured<'_>) -> Check {
        let mut check = Check::new(format!("limit {}", self.text), "figures");
        for (what, value, is_within) in self.figures(measured) {
            check.examine(1);
            if !is_within {
                check.fault(format!("{what} is {value}, the limit is {}", self.text));
            }
        }
        if check.examined == 0 {
            check.fault(format!("nothing was measured that {} is a limit of", self.text));
        }
        check
    }

    /// What it is, how large, whether that is within the limit.
    fn figures(&self, measured: &Measured<'_>) -> Vec<(String, String, bool)> {
        let recorder = measured.recorder;
        let cpu = |what: &str, us: Option<f64>, us_max: f64| {
            us.map(|us| (what.to_string(), format!("{us:.2} us"), us <= us_max))
                .into_iter()
                .collect()
        };
        match self.bound {
            Bound::Latency { measure, share, us_max } => Measure::ALL
                .into_iter()
                .filter(|each| measure.is_none_or(|one| one == *each))
                .filter_map(|each| Some((each, recorder.histogram(each)?)))
                .map(|(each, histogram)| {
                    let us = histogram.value_at_quantile(share);
                    (each.key().to_string(), time(us), us as f64 <= us_max)
                })
                .collect(),
            Bound::Rate { tally, per_second_min } => {
                let rate = recorder.total(tally) as f64 / measured.seconds.max(1e-9);
                vec![(tally.key().into(), format!("{rate:.0}/s"), rate >= per_second_min)]
            }
            Bound::Errors { percent_max } => {
                let errors: u64 = recorder.errors().values().sum();
                let percent = errors as f64 * 100.0 / recorder.operations().max(1) as f64;
                vec![("share of errors".into(), format!("{percent:.3}%"), percent <= percent_max)]
            }
            Bound::ServerResident { bytes_max } => {
                let row = |bytes: u64| {
                    let mib = bytes as f64 / 1_048_576.0;
                    (
                        "server's peak memory".into(),
                        format!("{mib:.0} MiB"),
                        bytes as f64 <= bytes_max,
                    )
                };
                measured.server_resident_peak_bytes.map(row).into_iter().collect()
            }
            Bound::CpuPerReading { us_max } => {
                cpu("server's CPU per reading", measured.cpu_us_per_reading, us_max)
            }
            Bound::CpuPerBooking { us_max } => {
                cpu("server's CPU per booking", measured.cpu_us_per_booking, us_max)
            }
        }
    }
}

/// Limits whose name begins with a measure or a tally, or is a quantile alone.
fn named(name: &str, value: &str) -> Result<Bound, String> {
    let (thing, figure) = match name.split_once('.') {
        Some((thing, figure)) if !is_quantile(name) => (Some(thing), figure),
        _ => (None, name),
    };
    if figure == "rate" {
        let tally = Tally::ALL.into_iter().find(|tally| Some(tally.key()) == thing);
        let tally = tally.ok_or_else(|| unknown(name))?;
        let per_second_min = with_unit(value, &[("", 1.0)], "400000")?;
        return Ok(Bound::Rate { tally, per_second_min });
    }
    let measure = match thing {
        None => None,
        Some(thing) => Some(
            Measure::ALL
                .into_iter()
                .find(|measure| measure.key() == thing)
                .ok_or_else(|| unknown(name))?,
        ),
    };
    let share = match figure.strip_prefix('p') {
        _ if figure == "max" => 1.0,
        Some(percent) => percent
            .parse::<f64>()
            .ok()
            .filter(|percent| *percent > 0.0 && *percent < 100.0)
            .map(|percent| percent / 100.0)
            .ok_or_else(|| format!("`{figure}` is no percentile; give p50, p99.9 or the like"))?,
        None => return Err(unknown(name)),
    };
    Ok(Bound::Latency { measure, share, us_max: with_unit(value, &TIMES, "20ms")? })
}

/// `p99.9` has a dot of its own.
fn is_quantile(name: &str) -> bool {
    name.strip_prefix('p').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn unknown(name: &str) -> String {
    let measures: Vec<&str> = Measure::ALL.map(Measure::key).to_vec();
    let tallies: Vec<String> = Tally::ALL.map(|tally| format!("{}.rate", tally.key())).to_vec();
    format!(
        "no such figure `{name}`; known are pXX and max, alone or after one of {}, as in {}.p99; {}; \
         errors; server.rss, server.cpu_per_reading, server.cpu_per_booking",
        measures.join(", "),
        measures[0],
        tallies.join(", ")
    )
}

/// A number that is not negative, with one of the units.
fn with_unit(value: &str, units: &[(&str, f64)], example: &str) -> Result<f64, String> {
    let unit_at = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let (number, unit) = value.split_at(unit_at);
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| factor);
    match (number.parse::<f64>(), factor) {
        (Ok(number), Some(factor)) if number.is_finite() => Ok(number * factor),
        (Ok(_), None) if names == [""] => {
            Err(format!("`{value}` has a unit too many; give a number such as {example}"))
        }
        (Ok(_), None) => Err(format!(
            "`{value}` needs one of the units {}; give a value such as {example}",
            names.join(", ")
        )),
        _ => Err(format!("`{value}` is no number; give a value such as {example}")),
    }
}

fn time(us: u64) -> String {
    if us < 1_000 { format!("{us} us") } else { format!("{:.2} ms", us as f64 / 1e3) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Window;

    /// A thousand bookings of 1 to 1000 ms and 4,000 readings in two seconds, five errors in a thousand.
    fn recorder() -> Recorder {
        let mut recorder = Recorder::new(Window { from_us: 0, to_us: 2_000_000 });
        for ms in 1..=1_000 {
            recorder.attempt();
            recorder.latency(Measure::Booking, 0, ms * 1_000);
        }
        (0..5).for_each(|_| recorder.error("overloaded"));
        recorder.count(Tally::Readings, 4_000, 0);
        recorder
    }

    fn judge(text: &str) -> Check {
        let recorder = recorder();
        Limit::parse(text).unwrap().judge(&Measured {
            recorder: &recorder,
            seconds: 2.0,
            server_resident_peak_bytes: Some(100 << 20),
            cpu_us_per_reading: Some(3.5),
            cpu_us_per_booking: None,
        })
    }

    #[test]
    fn every_kind_of_limit_holds_and_breaks() {
        for (holds, breaks) in [
            ("p99=1s", "p99=980ms"),
            ("p99.9=1.1s", "p99.9=0.9s"),
            ("booking.p50=510ms", "booking.p50=490ms"),
            ("booking.max=1001ms", "max=900000us"),
            ("readings.rate=2000", "readings.rate=2001"),
            ("reads.rate=0", "reads.rate=1"),
            ("errors=0.5%", "errors=0.4%"),
            ("server.rss=100MiB", "server.rss=100MB"),
            ("server.cpu_per_reading=4us", "server.cpu_per_reading=3us"),
        ] {
            assert!(judge(holds).passed(), "{:?}", judge(holds));
            let broken = judge(breaks);
            assert_eq!(broken.faults, 1, "{breaks}");
            assert_eq!(broken.name, format!("limit {breaks}"));
            assert!(broken.first_faults[0].contains(breaks), "{broken:?}");
        }
    }

    #[test]
    fn what_was_not_measured_breaks_its_limit() {
        for text in ["read.p99=1s", "server.cpu_per_booking=1s"] {
            let check = judge(text);
            assert!(check.faults == 1 && check.first_faults[0].contains("nothing was measured"));
        }
    }

    #[test]
    fn wrong_limits_are_refused_with_the_remedy() {
        for (text, remedy) in [
            ("p99", "no `=`"),
            ("p99=20", "units us, ms, s, m"),
            ("p99=fast", "no number"),
            ("p99=-1ms", "no number"),
            ("p100=1ms", "no percentile"),
            ("pp=1ms", "no percentile"),
            ("read.p0=1ms", "no percentile"),
            ("reeds.p99=1ms", "ingest_ack, booking, booking_change, sensor_to_subscriber, read"),
            ("writes.rate=3", "readings.rate, bookings_granted.rate"),
            ("rate=3", "readings.rate"),
            ("readings.rate=3/s", "a unit too many"),
            ("errors=0.1", "units %"),
            ("server.rss=12", "MiB"),
            ("server.heat=1", "server.cpu_per_reading"),
        ] {
            let said = Limit::parse(text).expect_err(text);
            assert!(said.contains(remedy), "{text}: {said}");
        }
    }
}
