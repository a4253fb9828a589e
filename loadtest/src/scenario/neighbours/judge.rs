//! What neighbours cost: the calm tenants' p99 stage by stage, memory against its bound, the flood's answers.

use super::Played;
use super::flood::Flooded;
use crate::recorder::{Measure, Recorder};
use crate::report::Figure;
use crate::verify::{Check, MEMORY_IS_BOUNDED, NEIGHBOURS_KEEP_THEIR_PACE};

/// What a stalled reader may hold of the server: a round of 256 KiB that cannot leave, the snapshot that went
/// over it, and its buffers (docs/stream.md).
pub const STALLED_BYTES_MAX: u64 = 512 << 10;
/// What a flood may hold: records in flight, bodies and buffers of its connections.
const FLOOD_BYTES_MAX: u64 = 128 << 20;
/// A p99 rests on ten samples beyond it.
const SAMPLES_MIN: u64 = 1_000;

fn p99_us(recorder: &Recorder, measure: Measure) -> Option<u64> {
    let histogram = recorder.histogram(measure)?;
    (histogram.len() >= SAMPLES_MIN).then(|| histogram.value_at_quantile(0.99))
}

/// Whether the p99 of everything that both stages have rose by no more than so much.
pub fn pace(alone: &Played, here: &Played, rise_percent: f64) -> Check {
    let mut check = Check::new(NEIGHBOURS_KEEP_THEIR_PACE, "latencies");
    for measure in Measure::ALL {
        let of = |played: &Played| p99_us(&played.recorder, measure);
        let (Some(calm), Some(beside)) = (of(alone), of(here)) else { continue };
        check.examine(1);
        let most = calm as f64 * (1.0 + rise_percent / 100.0);
        if beside as f64 > most {
            check.fault(format!(
                "p99 of {}: {:.2} ms alone, {:.2} ms beside bad neighbours, at most {:.2} ms is allowed",
                measure.name(),
                calm as f64 / 1e3,
                beside as f64 / 1e3,
                most / 1e3
            ));
        }
    }
    check
}

/// Whether memory stayed within its bound.
pub fn memory(here: &Played) -> Check {
    let mut check = Check::new(MEMORY_IS_BOUNDED, "figures");
    let Some(told) = here.stalled else { return check };
    let [Some(before), Some(stalled), Some(end)] = told.memory_bytes else { return check };
    let mib = |bytes: u64| bytes >> 20;
    let of_stalled = told.readers as u64 * STALLED_BYTES_MAX;
    for (what, grown, most) in [
        ("stalled readers", stalled.saturating_sub(before), of_stalled),
        ("all of it", end.saturating_sub(before), of_stalled + FLOOD_BYTES_MAX),
    ] {
        check.examine(1);
        if grown > most {
            check.fault(format!("{what}: {} MiB more, at most {} MiB", mib(grown), mib(most)));
        }
    }
    check
}

/// Of the flood: refusals say when.
pub fn flood(here: &Played) -> Option<Check> {
    here.flooded.as_ref().map(|flooded| flooded.hints.clone())
}

/// Puts checks of one name together.
pub fn merge(all: &mut Vec<Check>, more: &[Check]) {
    for check in more.iter().filter(|check| check.examined > 0 || !check.passed()) {
        match all.iter_mut().find(|known| known.name == check.name) {
            Some(known) => known.merge(check),
            None => all.push(check.clone()),
        }
    }
}

/// All figures of the three stages.
pub fn figures(alone: &Played, elsewhere: &Played, here: &Played, readers: usize) -> Vec<Figure> {
    let mut rows = Vec::new();
    for measure in Measure::ALL {
        let of = |played: &Played| p99_us(&played.recorder, measure);
        let (Some(a), Some(b), Some(c)) = (of(alone), of(elsewhere), of(here)) else { continue };
        let name = measure.name();
        rows.extend([
            Figure::new(format!("p99 of {name}: alone"), a as f64, "us"),
            Figure::new(format!("p99 of {name}: flood elsewhere"), b as f64, "us"),
            Figure::new(format!("p99 of {name}: beside it"), c as f64, "us"),
            Figure::new(format!("p99 of {name}: of alone"), 100.0 * c as f64 / a as f64, "%"),
        ]);
    }
    for (where_to, played) in [("elsewhere", elsewhere), ("here", here)] {
        if let Some(flooded) = &played.flooded {
            rows.extend(of_flood(where_to, flooded));
        }
    }
    for (name, played) in [("alone", alone), ("flood elsewhere", elsewhere), ("beside it", here)] {
        rows.extend(cores(name, played));
    }
    if let Some(told) = here.stalled {
        let each = |bytes: u64| bytes as f64 / readers.max(1) as f64;
        rows.push(Figure::new("stalled readers", told.readers as f64, "sockets"));
        rows.push(Figure::new("stalled readers ended by the server", told.cut as f64, "sockets"));
        if let [Some(before), Some(stalled), Some(end)] = told.memory_bytes {
            let grown = stalled.saturating_sub(before);
            rows.extend([
                Figure::new("server memory before them", before as f64, "bytes"),
                Figure::new("server memory, all stalled", stalled as f64, "bytes"),
                Figure::new("server memory after the flood", end as f64, "bytes"),
                Figure::new("server memory per stalled reader", each(grown), "bytes"),
            ]);
        }
        rows.extend(told.descriptors.map(|n| Figure::new("server's file handles", n, "handles")));
    }
    rows
}

fn of_flood<'a>(where_to: &'a str, flooded: &'a Flooded) -> impl Iterator<Item = Figure> + use<'a> {
    let per_second = |times: u64| times as f64 / flooded.seconds.max(1e-3);
    flooded.outcomes.iter().map(move |(outcome, times)| {
        Figure::new(format!("flood {where_to}: {outcome}"), per_second(*times), "per second")
    })
}

fn cores(name: &str, played: &Played) -> Option<Figure> {
    let [first, last] = &played.samples;
    let seconds = last.at_us.saturating_sub(first.at_us) as f64 / 1e6;
    let used = last.server?.cpu_seconds - first.server?.cpu_seconds;
    Some(Figure::new(format!("server, {name}"), used / seconds.max(1e-6), "cores"))
}

#[cfg(test)]
mod tests {
    use super::super::stalled::Told;
    use super::*;
    use crate::recorder::Window;

    /// A stage in which bookings took so long.
    fn played(booking_us: u64, memory_mib: [u64; 3]) -> Played {
        let window = Window { from_us: 0, to_us: 10_000_000 };
        let mut recorder = Recorder::new(window);
        for nth in 0..2_000 {
            recorder.latency(Measure::Booking, nth, nth + booking_us);
        }
        // Too few to have a p99.
        (0..10).for_each(|nth| recorder.latency(Measure::Read, nth, nth + booking_us * 100));
        let memory_bytes = memory_mib.map(|mib| Some(mib << 20));
        let stalled = Some(Told { readers: 200, cut: 0, memory_bytes, descriptors: None });
        Played {
            recorder,
            checks: Vec::new(),
            lags: 0,
            samples: Default::default(),
            usage: Vec::new(),
            window,
            began_us: 0,
            stalled,
            flooded: None,
        }
    }

    #[test]
    fn a_p99_may_rise_by_so_much_and_no_more() {
        let flat = [100; 3];
        for (beside_us, passes) in [(2_000, true), (2_990, true), (3_100, false)] {
            let check = pace(&played(2_000, flat), &played(beside_us, flat), 50.0);
            assert_eq!((check.examined, check.passed()), (1, passes), "{beside_us}: {check:?}");
        }
    }

    #[test]
    fn memory_beyond_the_bound_is_a_fault() {
        for (memory, faults) in
            [([100, 100, 100], 0), ([100, 190, 300], 0), ([100, 250, 300], 1), ([100, 250, 400], 2)]
        {
            assert_eq!(memory_check(memory).faults, faults, "{memory:?}");
        }
    }

    fn memory_check(memory_mib: [u64; 3]) -> Check {
        memory(&played(1, memory_mib))
    }
}
