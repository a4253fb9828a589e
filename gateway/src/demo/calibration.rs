//! Figures measured on real data: when people come, how long they stay, how full a car park is.
//!
//! Sources. *Melbourne*: City of Melbourne, "On-street Car Parking Sensor Data", 2016-11-07 to 2016-12-04,
//! 2,410 bays, 118,084 events, licensed CC BY 4.0 (<https://creativecommons.org/licenses/by/4.0/>); the
//! figures below are derived from it, none of its rows are here. *Bath*: counts at the barriers of eight
//! council car parks, 2014 to 2016; hourly means only, none of its rows either.
//!
//! Known bias: the Melbourne file holds stays that exceeded their limit, so its stays are longer than a
//! street's average. Its share of 07 h contains the restriction starts of 07:30, which stand for the cars
//! that had come before them. Deliberately absent: seasons, holidays, events.

use super::clock::CityTime;

/// Hours of a day.
pub const HOURS: usize = 24;

/// Share of a day's arrivals in each hour, Melbourne. From all 59,042 `arrive` rows by local hour; sums to 1.
pub const ARRIVAL_SHARES: [f64; HOURS] = [
    0.0029, 0.0005, 0.0002, 0.0003, 0.0010, 0.0012, 0.0029, 0.1020, 0.0680, 0.0990, 0.0980, 0.1010,
    0.1030, 0.0970, 0.0830, 0.0700, 0.0610, 0.0540, 0.0390, 0.0070, 0.0045, 0.0030, 0.0010, 0.0005,
];

/// Arrivals of a day, Monday first, against the mean of Monday to Friday. Melbourne, without 07:30.
pub const WEEKDAY_FACTORS: [f64; 7] = [0.891, 1.005, 1.013, 1.036, 1.056, 0.776, 0.761];

/// Quantiles of the stay in minutes, Melbourne: (share of stays that are not longer, minutes).
///
/// Measured on the 54,841 pairs of an `arrive` row and the next `depart` row of the same bay, without the
/// pairs that begin at 07:30 sharp (restriction starts, not arrivals); minute resolution. The mean is
/// 128.8 min. `stays_are_those_of_the_data` in `gateway/tests/demo.rs` measures them again.
pub const STAY_QUANTILES: [(f64, f64); 15] = [
    (0.0, 7.0),
    (0.01, 20.0),
    (0.05, 25.0),
    (0.10, 36.0),
    (0.20, 57.0),
    (0.30, 70.0),
    (0.40, 81.0),
    (0.50, 102.0),
    (0.60, 129.0),
    (0.70, 145.0),
    (0.80, 178.0),
    (0.90, 247.0),
    (0.95, 324.0),
    (0.99, 529.0),
    (1.0, 1_272.0),
];

/// Share of the capacity taken in each hour, Monday to Friday: Bath, mean over car parks and days of the
/// hourly means, without counts above the capacity and without rows uploaded before they were measured or
/// more than an hour later.
pub const BATH_WEEKDAY: [f64; HOURS] = [
    0.089, 0.089, 0.089, 0.088, 0.068, 0.072, 0.098, 0.168, 0.292, 0.424, 0.567, 0.670, 0.716,
    0.720, 0.687, 0.610, 0.504, 0.372, 0.260, 0.220, 0.193, 0.155, 0.119, 0.101,
];

/// The same on Saturday and Sunday.
pub const BATH_WEEKEND: [f64; HOURS] = [
    0.104, 0.101, 0.099, 0.097, 0.077, 0.078, 0.080, 0.090, 0.119, 0.200, 0.330, 0.475, 0.580,
    0.621, 0.613, 0.546, 0.419, 0.279, 0.195, 0.169, 0.154, 0.135, 0.112, 0.093,
];

/// Arrivals per second at `at`, where an average working day has `per_day` of them.
#[must_use]
pub fn arrivals_per_second(per_day: f64, at: CityTime) -> f64 {
    per_day * WEEKDAY_FACTORS[at.weekday()] * ARRIVAL_SHARES[at.hour()] / 3_600.0
}

/// The stay at `share` (0 to 1) of the distribution, in minutes: straight lines between the quantiles.
#[must_use]
pub fn stay_minutes(share: f64) -> f64 {
    let share = share.clamp(0.0, 1.0);
    for pair in STAY_QUANTILES.windows(2) {
        let ((low, from), (high, to)) = (pair[0], pair[1]);
        if share <= high {
            // The last hundredth is a thin tail: most of it lies near its beginning.
            let part = (share - low) / (high - low);
            let part = if high >= 1.0 { part.powi(TAIL_POWER) } else { part };
            return from + (to - from) * part;
        }
    }
    STAY_QUANTILES[STAY_QUANTILES.len() - 1].1
}

/// Puts nine tenths of the last hundredth below 642 min, where the data have them.
const TAIL_POWER: i32 = 18;

/// Share of the counted lot's capacity that is taken at `at`: the hourly means hold in the middle of their
/// hours, straight lines between.
#[must_use]
pub fn counted_share(at: CityTime) -> f64 {
    let mean = |at: CityTime| {
        let curve = if at.is_weekend() { &BATH_WEEKEND } else { &BATH_WEEKDAY };
        curve[at.hour()]
    };
    const HALF_HOUR_SECONDS: f64 = 1_800.0;
    let before = at.plus_seconds(-HALF_HOUR_SECONDS);
    let part = before.seconds_of_hour() / 3_600.0;
    let (from, to) = (mean(before), mean(at.plus_seconds(HALF_HOUR_SECONDS)));
    from + (to - from) * part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_day_are_the_whole_day() {
        let sum: f64 = ARRIVAL_SHARES.iter().sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        let working_days: f64 = WEEKDAY_FACTORS[..5].iter().sum();
        assert!((working_days / 5.0 - 1.0).abs() < 1e-3, "{working_days}");
        let week: f64 = (0..7 * HOURS)
            .map(|hour| arrivals_per_second(100.0, CityTime::of_week(0, hour, 30)) * 3_600.0)
            .sum();
        let factors: f64 = WEEKDAY_FACTORS.iter().sum();
        assert!((week - 100.0 * factors).abs() < 1e-6, "{week}");
    }

    #[test]
    fn stays_pass_through_their_quantiles_and_grow() {
        for (share, minutes) in STAY_QUANTILES {
            assert!((stay_minutes(share) - minutes).abs() < 1e-6, "{share}");
        }
        let stays: Vec<f64> = (0..=10_000).map(|n| stay_minutes(f64::from(n) / 1e4)).collect();
        assert!(stays.windows(2).all(|pair| pair[0] <= pair[1]));
        let mean = stays.iter().sum::<f64>() / stays.len() as f64;
        assert!((mean - 128.8).abs() < 2.0, "the data's mean is 128.8, this one {mean}");
        assert!(stay_minutes(0.999) < 660.0, "{}", stay_minutes(0.999));
        assert!((stay_minutes(-1.0), stay_minutes(2.0)) == (7.0, 1_272.0));
    }

    #[test]
    fn the_counted_curve_meets_the_hourly_means_at_half_past() {
        for hour in 0..HOURS {
            let (tuesday, saturday) =
                (CityTime::of_week(1, hour, 30), CityTime::of_week(5, hour, 30));
            assert!((counted_share(tuesday) - BATH_WEEKDAY[hour]).abs() < 1e-9, "{hour}");
            assert!((counted_share(saturday) - BATH_WEEKEND[hour]).abs() < 1e-9, "{hour}");
        }
        let noon = counted_share(CityTime::of_week(1, 12, 0));
        assert!((noon - (0.670 + 0.716) / 2.0).abs() < 1e-9, "{noon}");
    }
}
