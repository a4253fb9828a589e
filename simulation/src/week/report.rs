//! What the operator reads on Monday: who came, what went wrong, what was earned, and how full the lots were
//! beside the real lots that they are calibrated on.

use std::collections::BTreeMap;
use std::fmt;

use lotkeeper_engine::lot::session::{self, Origin};
use lotkeeper_engine::lot::{Event, Purpose, violation};
use lotkeeper_engine::tariff::{Fee, LineKind};
use lotkeeper_engine::time::Timestamp;

use super::calibration::{CITY_ARRIVALS, CITY_OCCUPANCY, DAYS, Days, RIDE_OCCUPANCY, day};
use super::clock::Clock;
use super::lots::{AIRPORT, NAMES, SLOTS, STREET};

/// A lot at half past an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Sessions.
    pub inside: u64,
    /// Of them, with a pass.
    pub passes: u64,
    /// Slots seen occupied.
    pub seen: u64,
    /// Cars that truly stand there.
    pub standing: u64,
}

/// One lot's week.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LotReport {
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// Who was not let through, by reason.
    pub denials: BTreeMap<String, u64>,
    /// What stays cost, by the lines of their fees.
    pub lines: BTreeMap<LineKind, i64>,
    /// Charged beside stays: cancellations and no-shows, penalties.
    pub others: BTreeMap<&'static str, i64>,
    arrivals: [[u64; 24]; DAYS],
    sums: [[Sample; 24]; DAYS],
    samples: [[u64; 24]; DAYS],
    peak: Sample,
}

/// The report of a week.
#[derive(Clone, Debug)]
pub struct Report {
    clock: Clock,
    /// By lot.
    pub lots: [LotReport; 2],
}

const DAY_NAMES: [&str; DAYS] = ["Mon-Thu", "Fri", "Sat", "Sun"];
/// Of how many days the mean is, where an hour counts once each.
const DAYS_OF: [u64; DAYS] = [4, 1, 1, 1];

impl Report {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, lots: Default::default() }
    }

    pub(super) fn count(&mut self, lot: usize, event: &Event, at: Timestamp) {
        if at < self.clock.begins() {
            return;
        }
        let (weekday, hour) = self.clock.local(at);
        let it = &mut self.lots[lot];
        let mut count = |name| *it.counts.entry(name).or_default() += 1;
        match event {
            Event::Reserved(_) => count("booked"),
            Event::NoShow { .. } => count("no-shows"),
            Event::Cancelled { .. } => count("cancelled"),
            Event::Expired { .. } => count("holds expired"),
            Event::Session(session::Event::Entered(entered)) => {
                count(match entered.origin {
                    Origin::Reservation(_) => "arrived, booked",
                    Origin::Pass(_) => "arrived, with a pass",
                    Origin::DriveIn | Origin::Manual => "arrived, drive-in",
                });
                it.arrivals[day(weekday)][hour] += 1;
            }
            Event::Session(session::Event::Overstayed { .. }) => count("overstays"),
            Event::Session(session::Event::Left(left)) => {
                count("left");
                it.earn(left.fee.as_deref());
            }
            Event::Session(session::Event::Abandoned { fee, .. }) => {
                count("given up");
                it.earn(fee.as_deref());
            }
            Event::Session(session::Event::Denied(denied)) => {
                *it.denials.entry(format!("{:?}", denied.reason)).or_default() += 1;
            }
            Event::Violation(violation::Event::Raised(raised)) => {
                count(match raised.kind {
                    violation::Kind::Overstay => "violations: overstay",
                    violation::Kind::WrongSlotType => "violations: wrong type",
                    violation::Kind::NoSession => "violations: no session",
                    violation::Kind::ExpiredPass => "violations: pass expired",
                    violation::Kind::Reported(_) => "violations: reported",
                });
            }
            Event::Posted(posting) => {
                let name = match posting.purpose {
                    Purpose::Cancellation => "cancellations, no-shows",
                    Purpose::Penalty => "penalties",
                    Purpose::Waiver => "waived",
                    _ => return,
                };
                let debit = posting.entries.iter().map(|entry| entry.amount.0.max(0)).sum::<i64>();
                *it.others.entry(name).or_default() += debit;
            }
            _ => {}
        }
    }

    pub(super) fn sample(&mut self, lot: usize, at: Timestamp, sample: Sample) {
        let (weekday, hour) = self.clock.local(at);
        let it = &mut self.lots[lot];
        let sum = &mut it.sums[day(weekday)][hour];
        it.samples[day(weekday)][hour] += 1;
        let join = |into: &mut Sample, f: fn(u64, u64) -> u64| {
            into.inside = f(into.inside, sample.inside);
            into.passes = f(into.passes, sample.passes);
            into.seen = f(into.seen, sample.seen);
            into.standing = f(into.standing, sample.standing);
        };
        join(sum, |sum, one| sum + one);
        join(&mut it.peak, u64::max);
    }

    /// How far the street's hours are from the calibration on average, in thousandths of the capacity.
    #[must_use]
    pub fn street_differs_per_mille(&self) -> u64 {
        let street = &self.lots[STREET];
        let hours = (0..DAYS).flat_map(|day| (0..24).map(move |hour| (day, hour)));
        let differ = hours.map(|(day, hour)| {
            let share = street.share(day, hour, |sample| sample.standing, SLOTS[STREET]);
            DAYS_OF[day] * share.abs_diff(CITY_OCCUPANCY[day][hour])
        });
        differ.sum::<u64>() / (7 * 24)
    }

    /// How far the airport's staff is from commuters' hours, in thousandths of the most there are.
    #[must_use]
    pub fn staff_differs_per_mille(&self) -> u64 {
        let airport = &self.lots[AIRPORT];
        let most = (0..24).map(|hour| RIDE_OCCUPANCY[0][hour]).max().unwrap_or(1);
        let hours = (0..DAYS).flat_map(|day| (5..23).map(move |hour| (day, hour)));
        let differ = hours.map(|(day, hour)| {
            let share = airport.share(day, hour, |sample| sample.passes, 80);
            DAYS_OF[day] * share.abs_diff(RIDE_OCCUPANCY[day][hour] * 1_000 / most)
        });
        differ.sum::<u64>() / (7 * 18)
    }
}

impl LotReport {
    fn earn(&mut self, fee: Option<&Fee>) {
        for line in fee.into_iter().flat_map(|fee| &fee.lines) {
            *self.lines.entry(line.kind).or_default() += line.amount.0;
        }
    }

    /// A mean in thousandths.
    fn share(&self, day: usize, hour: usize, of: fn(&Sample) -> u64, whole: u16) -> u64 {
        let samples = self.samples[day][hour].max(1);
        of(&self.sums[day][hour]) * 1_000 / (samples * u64::from(whole))
    }

    /// How often something happened.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, of: impl Fn(usize) -> u64) -> fmt::Result {
    write!(f, "    {name:<22}")?;
    (0..24).try_for_each(|hour| write!(f, "{:>4}", of(hour)))?;
    writeln!(f)
}

fn percent(per_mille: u64) -> u64 {
    (per_mille + 5) / 10
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for lot in [AIRPORT, STREET] {
            let it = &self.lots[lot];
            writeln!(f, "{}, {} slots", NAMES[lot], SLOTS[lot])?;
            for (name, number) in &it.counts {
                writeln!(f, "  {name:<30}{number:>8}")?;
            }
            for (reason, number) in &it.denials {
                writeln!(f, "  denied: {reason:<22}{number:>8}")?;
            }
            let money = |f: &mut fmt::Formatter<'_>, name: &str, cents: i64| {
                let sign = if cents < 0 { "-" } else { "" };
                let (whole, part) = (cents.abs() / 100, cents.abs() % 100);
                writeln!(f, "  earned: {name:<22}{:>8}.{part:02}", format!("{sign}{whole}"))
            };
            for (kind, cents) in &it.lines {
                money(f, &format!("{kind:?}"), *cents)?;
            }
            for (name, cents) in &it.others {
                money(f, name, *cents)?;
            }
            let Sample { inside, seen, standing, .. } = it.peak;
            writeln!(f, "  at most {inside} sessions, {seen} seen, {standing} standing")?;
            for (day, name) in DAY_NAMES.iter().enumerate() {
                writeln!(f, "  {name}, by hour; shares in percent of the slots")?;
                let slots = SLOTS[lot];
                row(f, "sessions", |hour| percent(it.share(day, hour, |s| s.inside, slots)))?;
                row(f, "seen by sensors", |hour| percent(it.share(day, hour, |s| s.seen, slots)))?;
                let stands: fn(&Sample) -> u64 = |s| s.standing;
                row(f, "truly standing", |hour| percent(it.share(day, hour, stands, slots)))?;
                row(f, "arrivals a day", |hour| it.arrivals[day][hour] / DAYS_OF[day])?;
                calibrated(f, lot, day, it)?;
            }
        }
        write!(
            f,
            "street against Bath's city: {} thousandths on average; staff against Bath's commuters: {}",
            self.street_differs_per_mille(),
            self.staff_differs_per_mille()
        )
    }
}

/// What the data say of the same hours.
fn calibrated(f: &mut fmt::Formatter<'_>, lot: usize, day: usize, it: &LotReport) -> fmt::Result {
    let of = |days: &Days, hour: usize| days[day][hour];
    if lot == STREET {
        row(f, "data: Bath, city", |hour| percent(of(&CITY_OCCUPANCY, hour)))?;
        let slots = u64::from(SLOTS[STREET]);
        return row(f, "data: arrivals a day", |hour| {
            (of(&CITY_ARRIVALS, hour) * slots + 500) / 1_000
        });
    }
    row(f, "staff, % of 80", |hour| percent(it.share(day, hour, |s| s.passes, 80)))?;
    let most = RIDE_OCCUPANCY[0].iter().copied().max().unwrap_or(1);
    row(f, "data: Bath, commuters", |hour| percent(of(&RIDE_OCCUPANCY, hour) * 1_000 / most))
}
