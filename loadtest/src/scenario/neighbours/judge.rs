//! What neighbours cost: the calm tenants' p99 side by side, memory against its bound, the flood's answers.

use super::flood::Flooded;
use super::schedule::{Schedule, Side};
use crate::recorder::Measure;
use crate::report::{Figure, Turn};
use crate::series::{Point, Series};
use crate::verify::{Check, MEMORY_IS_BOUNDED, NEIGHBOURS_KEEP_THEIR_PACE};

/// What a stalled reader may hold of the server: a round of 256 KiB that cannot leave, the snapshot that went
/// over it, and its buffers (docs/stream.md).
pub const STALLED_BYTES_MAX: u64 = 512 << 10;
/// What the calm tenants' own work may add meanwhile, whoever reads: a run of ten readers shows little else.
const MEANWHILE_BYTES_MAX: u64 = 16 << 20;
/// What a flood may hold: records in flight, bodies and buffers of its connections.
const FLOOD_BYTES_MAX: u64 = 128 << 20;
/// A p99 rests on ten samples beyond it.
const SAMPLES_MIN: u64 = 1_000;
/// Up to here the host's steal leaves a turn quiet. An idle machine is taken away from more readily than a busy one, so
/// with steal the calm side looks worse than it is, and the other one better beside it.
const QUIET_STEAL_PERCENT: f64 = 0.5;

/// What the readers that stalled cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stalls {
    pub readers: usize,
    /// How often the server ended one.
    pub cut: u64,
    /// Those to whom the server could not write any more, without the flood.
    pub backed_up: Option<usize>,
    /// Before they came, once all were stalled, and at most beside the flood.
    pub memory_bytes: [Option<u64>; 3],
    pub descriptors: Option<f64>,
}

/// What the run left behind.
pub struct Course<'a> {
    pub series: &'a Series,
    pub schedule: &'a Schedule,
    pub sides: &'a [Side],
    /// As the report has them, in order.
    pub turns: &'a [Turn],
}

/// Which turns are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    All,
    /// Those in which the host took next to nothing.
    Quiet,
}

impl Which {
    const BOTH: [Self; 2] = [Self::All, Self::Quiet];

    fn takes(self, turn: Option<&Turn>) -> bool {
        let steal_percent = turn.and_then(|turn| turn.steal_percent);
        self == Self::All || steal_percent.is_some_and(|percent| percent <= QUIET_STEAL_PERCENT)
    }

    fn name(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Quiet => " in quiet turns",
        }
    }
}

impl Course<'_> {
    /// What was due in the counted parts of a side's turns, and how many turns those are.
    fn of_side(&self, side: Side, which: Which) -> (Point, usize) {
        let (mut all, mut many) = (Point::default(), 0);
        for (nth, turn) in self.schedule.measured().iter().enumerate() {
            if turn.side == side && which.takes(self.turns.get(nth)) {
                all.merge(&self.series.within(turn.counted));
                many += 1;
            }
        }
        (all, many)
    }

    /// Whether the p99 of everything that calm and flooded turns have rose by no more than so much: in all turns, and in
    /// the quiet ones by themselves where there are enough of them.
    pub fn pace(&self, rise_percent: f64) -> Check {
        let mut check = Check::new(NEIGHBOURS_KEEP_THEIR_PACE, "latencies");
        for which in Which::BOTH {
            let [calm, flooded] =
                [Side::Calm, Side::Flooded].map(|side| self.of_side(side, which).0);
            for measure in Measure::ALL {
                let p99s = p99_us(&calm, measure).zip(p99_us(&flooded, measure));
                let Some((calm, flooded)) = p99s else { continue };
                check.examine(1);
                let most = calm as f64 * (1.0 + rise_percent / 100.0);
                if flooded as f64 > most {
                    check.fault(format!(
                        "p99 of {}{}: {:.2} ms calm, {:.2} ms beside bad neighbours, at most {:.2} ms is allowed",
                        measure.name(),
                        which.name(),
                        calm as f64 / 1e3,
                        flooded as f64 / 1e3,
                        most / 1e3
                    ));
                }
            }
        }
        if check.examined == 0 {
            check.fault(format!(
                "no latency has {SAMPLES_MIN} samples on both sides; give a longer --duration or higher rates"
            ));
        }
        check
    }

    /// The p99 of each side, its turns together, and what the host took in them.
    pub fn figures(&self) -> Vec<Figure> {
        let mut rows = Vec::new();
        for which in Which::BOTH {
            let points: Vec<_> =
                self.sides.iter().map(|side| (*side, self.of_side(*side, which))).collect();
            rows.extend(Measure::ALL.into_iter().flat_map(|measure| p99s(&points, measure, which)));
            for (side, (_, many)) in points {
                let name = format!("turns{}: {}", which.name(), side.name());
                rows.push(Figure::new(name, many as f64, "turns"));
            }
        }
        for side in self.sides {
            let mean = |of: fn(&Turn) -> Option<f64>| {
                let own = self.turns.iter().filter(|turn| turn.side == side.name());
                let all: Vec<f64> = own.filter_map(of).collect();
                (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
            };
            let of = |what: &str| format!("{what}, {}", side.name());
            let steal = mean(|turn| turn.steal_percent);
            rows.extend(steal.map(|value| Figure::new(of("steal by the host"), value, "%")));
            let cores = mean(|turn| turn.server_cores);
            rows.extend(cores.map(|value| Figure::new(of("server"), value, "cores")));
        }
        rows
    }
}

fn p99_us(all: &Point, measure: Measure) -> Option<u64> {
    let spread = &all.latency[measure as usize];
    (spread.len() >= SAMPLES_MIN).then(|| spread.quantile_us(0.99))?
}

/// The sides beside each other, and what the others are of the calm one.
fn p99s(sides: &[(Side, (Point, usize))], measure: Measure, which: Which) -> Vec<Figure> {
    let mut rows = Vec::new();
    let mut calm = None;
    for (side, (all, _)) in sides {
        let Some(p99) = p99_us(all, measure) else { continue };
        let name = format!("p99 of {}{}: {}", measure.name(), which.name(), side.name());
        rows.push(Figure::new(&name, p99 as f64, "us"));
        match (side, calm) {
            (Side::Calm, _) => calm = Some(p99),
            (_, Some(calm)) => {
                let percent = 100.0 * p99 as f64 / calm as f64;
                rows.push(Figure::new(name + ", of calm", percent, "%"));
            }
            (_, None) => {}
        }
    }
    rows
}

/// Whether memory stayed within its bound.
pub fn memory(stalls: &Stalls) -> Check {
    let mut check = Check::new(MEMORY_IS_BOUNDED, "figures");
    let [Some(before), Some(stalled), Some(most_beside)] = stalls.memory_bytes else {
        return check;
    };
    let mib = |bytes: u64| bytes >> 20;
    let of_stalled = stalls.readers as u64 * STALLED_BYTES_MAX + MEANWHILE_BYTES_MAX;
    for (what, grown, most) in [
        ("stalled readers", stalled.saturating_sub(before), of_stalled),
        ("all of it", most_beside.saturating_sub(before), of_stalled + FLOOD_BYTES_MAX),
    ] {
        check.examine(1);
        if grown > most {
            check.fault(format!("{what}: {} MiB more, at most {} MiB", mib(grown), mib(most)));
        }
    }
    check
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

/// What stalled readers cost.
pub fn of_stalls(stalls: &Stalls) -> Vec<Figure> {
    let mut rows = vec![
        Figure::new("stalled readers", stalls.readers as f64, "sockets"),
        Figure::new("stalled readers ended by the server", stalls.cut as f64, "sockets"),
    ];
    let sockets = |many: usize| Figure::new("sockets the server waits for", many as f64, "sockets");
    rows.extend(stalls.backed_up.map(sockets));
    if let [Some(before), Some(stalled), Some(most)] = stalls.memory_bytes {
        let each = stalled.saturating_sub(before) as f64 / stalls.readers.max(1) as f64;
        rows.extend([
            Figure::new("server memory before them", before as f64, "bytes"),
            Figure::new("server memory, all stalled", stalled as f64, "bytes"),
            Figure::new("server memory beside the flood, at most", most as f64, "bytes"),
            Figure::new("server memory per stalled reader", each, "bytes"),
        ]);
    }
    rows.extend(stalls.descriptors.map(|n| Figure::new("server's file handles", n, "handles")));
    rows
}

/// What became of a flood, per second of its turns.
pub fn of_flood<'a>(
    where_to: &'a str,
    flooded: &'a Flooded,
) -> impl Iterator<Item = Figure> + use<'a> {
    let per_second = |times: u64| times as f64 / flooded.seconds.max(1e-3);
    flooded.outcomes.iter().map(move |(outcome, times)| {
        Figure::new(format!("flood {where_to}: {outcome}"), per_second(*times), "per second")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Window;

    const SECOND_US: u64 = 1_000_000;
    const SIDES: [Side; 2] = [Side::Calm, Side::Flooded];

    /// Four turns of ten seconds; bookings take so long in those of a side, and for ever while a turn settles. There are
    /// too few reads to have a p99.
    fn played(calm_us: u64, flooded_us: u64) -> (Series, Schedule) {
        let schedule = Schedule::new(0, 0, 40 * SECOND_US, &SIDES, 2).unwrap();
        let mut series = Series::new(Window { from_us: 0, to_us: 40 * SECOND_US });
        for turn in schedule.measured() {
            let us = if turn.side == Side::Calm { calm_us } else { flooded_us };
            for at_us in (turn.whole.from_us..turn.whole.to_us).step_by(10_000) {
                let settles = at_us < turn.counted.from_us;
                series.latency(Measure::Booking, at_us, if settles { 60 * SECOND_US } else { us });
            }
            series.latency(Measure::Read, turn.counted.from_us, us * 100);
        }
        (series, schedule)
    }

    /// As the report has a turn in which the host took so much.
    fn told(side: Side, steal_percent: f64) -> Turn {
        Turn {
            side: side.name(),
            from_seconds: 0.0,
            to_seconds: 8.0,
            steal_percent: Some(steal_percent),
            server_cores: None,
            latency: Vec::new(),
        }
    }

    #[test]
    fn a_p99_may_rise_by_so_much_and_no_more() {
        for (flooded_us, passes) in [(2_000, true), (2_900, true), (3_200, false)] {
            let (series, schedule) = played(2_000, flooded_us);
            let course = Course { series: &series, schedule: &schedule, sides: &SIDES, turns: &[] };
            let check = course.pace(50.0);
            assert_eq!((check.examined, check.passed()), (1, passes), "{flooded_us}: {check:?}");
        }
    }

    /// Calm, flooded, flooded, calm: the host spoils the last turn so that all together look well.
    #[test]
    fn a_host_that_takes_the_machine_hides_nothing() {
        let (mut series, schedule) = played(2_000, 8_000);
        let spoilt = schedule.measured()[3].counted;
        for at_us in (spoilt.from_us..spoilt.to_us).step_by(100_000) {
            series.latency(Measure::Booking, at_us, 60_000);
        }
        let steal = [0.1, 0.0, 0.2, 3.0];
        let told =
            schedule.measured().iter().zip(steal).map(|(turn, steal)| told(turn.side, steal));
        let turns: Vec<Turn> = told.collect();
        let course = Course { series: &series, schedule: &schedule, sides: &SIDES, turns: &turns };
        let check = course.pace(50.0);
        assert_eq!((check.examined, check.faults), (1, 0), "one quiet turn has too few: {check:?}");

        for turn in [0, 1].map(|nth| schedule.measured()[nth].counted) {
            for at_us in (turn.from_us..turn.to_us).step_by(10_000) {
                let us = if turn == schedule.measured()[0].counted { 2_000 } else { 8_000 };
                series.latency(Measure::Booking, at_us, us);
            }
        }
        let course = Course { series: &series, schedule: &schedule, sides: &SIDES, turns: &turns };
        let check = course.pace(50.0);
        assert_eq!((check.examined, check.faults), (2, 1), "{check:?}");
        assert!(check.first_faults[0].contains("in quiet turns"), "{check:?}");
    }

    #[test]
    fn a_run_that_compared_nothing_does_not_pass() {
        let schedule = Schedule::new(0, 0, 40 * SECOND_US, &SIDES, 2).unwrap();
        let series = Series::new(schedule.window());
        let course = Course { series: &series, schedule: &schedule, sides: &SIDES, turns: &[] };
        let check = course.pace(50.0);
        assert!(!check.passed() && check.first_faults[0].contains("--duration"), "{check:?}");
    }

    #[test]
    fn sides_stand_beside_each_other() {
        let (series, schedule) = played(2_000, 3_000);
        let course = Course { series: &series, schedule: &schedule, sides: &SIDES, turns: &[] };
        let rows = course.figures();
        let names: Vec<&str> = rows.iter().take(3).map(|row| row.name.as_str()).collect();
        let expected =
            ["p99 of booking: calm", "p99 of booking: flooded", "p99 of booking: flooded, of calm"];
        assert_eq!(names, expected);
        assert!((145.0..155.0).contains(&rows[2].value), "{rows:?}");
    }

    #[test]
    fn memory_beyond_the_bound_is_a_fault() {
        for (memory_mib, faults) in
            [([100, 100, 100], 0), ([100, 190, 300], 0), ([100, 250, 300], 1), ([100, 250, 400], 2)]
        {
            let memory_bytes = memory_mib.map(|mib: u64| Some(mib << 20));
            let check = memory(&Stalls { readers: 200, memory_bytes, ..Stalls::default() });
            assert_eq!(check.faults, faults, "{memory_mib:?}");
        }
    }
}
