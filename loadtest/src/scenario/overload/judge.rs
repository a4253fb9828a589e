//! What the answers of an overload say: rates and quantiles per stretch, and when it was normal again.

use crate::scenario::feeder::Answered;
use crate::scenario::quantile::quantile_of;
use crate::scenario::stretch::Stretch;

/// Answers are looked at in slices of this length when it is asked since when it is normal.
pub const SLICE_US: u64 = 100_000;

/// One kind of work in one stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// Attempts with an answer, per second.
    pub answered_per_second: f64,
    /// Readings or bookings taken, per second.
    pub taken_per_second: f64,
    /// Attempts that were refused, in percent.
    pub refused_percent: f64,
    pub accepted_p50_us: u64,
    pub accepted_p99_us: u64,
    pub refused_p99_us: u64,
    /// The same two, from when the work really left: what the server alone took.
    pub accepted_p99_from_sending_us: u64,
    pub refused_p99_from_sending_us: u64,
}

impl Share {
    /// Of the answers that were due in a stretch.
    pub fn of(answers: &[Answered], stretch: Stretch) -> Self {
        let seconds = (stretch.to_us - stretch.from_us) as f64 / 1e6;
        let due = || answers.iter().filter(|answer| is_in(answer.due_us, stretch));
        let latency = |answer: &Answered| answer.done_us.saturating_sub(answer.due_us);
        let sent = |answer: &Answered| answer.done_us.saturating_sub(answer.sent_us);
        let kind = |is_accepted| due().filter(move |answer| answer.is_accepted == is_accepted);
        let of_kind = |is_accepted| kind(is_accepted).map(latency);
        let (all, refused) = (due().count(), due().filter(|answer| !answer.is_accepted).count());
        Self {
            answered_per_second: all as f64 / seconds,
            taken_per_second: taken_per_second(answers, stretch),
            refused_percent: 100.0 * refused as f64 / all.max(1) as f64,
            accepted_p50_us: quantile_of(of_kind(true), 0.5),
            accepted_p99_us: quantile_of(of_kind(true), 0.99),
            refused_p99_us: quantile_of(of_kind(false), 0.99),
            accepted_p99_from_sending_us: quantile_of(kind(true).map(sent), 0.99),
            refused_p99_from_sending_us: quantile_of(kind(false).map(sent), 0.99),
        }
    }
}

/// What was taken by answers that came inside the stretch.
pub fn taken_per_second(answers: &[Answered], stretch: Stretch) -> f64 {
    let inside = answers.iter().filter(|answer| is_in(answer.done_us, stretch));
    let taken: u64 = inside.map(|answer| answer.taken).sum();
    taken as f64 / ((stretch.to_us - stretch.from_us) as f64 / 1e6)
}

/// How long after the beginning of `stretch` the work that was due is normal, and stays so: nothing is
/// refused and the p99 of a slice is at most `p99_us_max`. Nothing when it never is.
pub fn normal_after_us(answers: &[Answered], stretch: Stretch, p99_us_max: u64) -> Option<u64> {
    let slices = (stretch.to_us - stretch.from_us).div_ceil(SLICE_US);
    let is_normal = |slice: u64| {
        let from_us = stretch.from_us + slice * SLICE_US;
        let slice = Stretch { from_us, to_us: from_us + SLICE_US, per_second: None };
        let due = || answers.iter().filter(move |answer| is_in(answer.due_us, slice));
        let p99_us = quantile_of(due().map(|a| a.done_us.saturating_sub(a.due_us)), 0.99);
        due().all(|answer| answer.is_accepted) && p99_us <= p99_us_max
    };
    let normal_at_the_end = (0..slices).rev().take_while(|slice| is_normal(*slice)).count() as u64;
    (normal_at_the_end > 0).then(|| (slices - normal_at_the_end) * SLICE_US)
}

fn is_in(at_us: u64, stretch: Stretch) -> bool {
    (stretch.from_us..stretch.to_us).contains(&at_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(due_us: u64, latency_us: u64, is_accepted: bool) -> Answered {
        let taken = if is_accepted { 10 } else { 0 };
        Answered {
            due_us,
            sent_us: due_us + latency_us / 2,
            done_us: due_us + latency_us,
            is_accepted,
            taken,
        }
    }

    const SECOND: Stretch = Stretch { from_us: 1_000_000, to_us: 2_000_000, per_second: None };

    #[test]
    fn latencies_belong_to_when_work_was_due_and_rates_to_when_it_was_done() {
        let mut answers: Vec<Answered> =
            (0..100).map(|n| answer(1_000_000 + n, 100 + n, n % 4 == 0)).collect();
        answers.push(answer(999_000, 2_000, true));
        answers.push(answer(1_999_999, 500_000, true));
        let share = Share::of(&answers, SECOND);
        assert_eq!(share.taken_per_second, 260.0, "25 in the stretch, one due before it");
        assert!((share.refused_percent - 74.26).abs() < 0.01, "{share:?}");
        assert_eq!((share.accepted_p99_us, share.refused_p99_us), (500_000, 199));
        assert_eq!(share.accepted_p99_from_sending_us, 250_000);
        assert_eq!(Share::of(&[], SECOND).accepted_p99_us, 0);
    }

    #[test]
    fn normal_is_from_where_on_nothing_is_slow_or_refused() {
        let calm = |slice: u64| answer(1_000_000 + slice * SLICE_US, 1_000, true);
        let all_calm: Vec<Answered> = (0..10).map(calm).collect();
        assert_eq!(normal_after_us(&all_calm, SECOND, 2_000), Some(0));
        for (slice, latency_us, is_accepted, expected) in [
            (0, 3_000, true, Some(100_000)),
            (4, 1_000, false, Some(500_000)),
            (9, 3_000, true, None),
        ] {
            let mut answers = all_calm.clone();
            answers.push(answer(1_000_000 + slice * SLICE_US + 5, latency_us, is_accepted));
            assert_eq!(normal_after_us(&answers, SECOND, 2_000), expected, "slice {slice}");
        }
    }
}
