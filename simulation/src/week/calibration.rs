//! What the week is calibrated on: when people come, how long they stay, how full a car park is.
//!
//! | figure | source | how |
//! |---|---|---|
//! | [`STAYS`] | City of Melbourne, on-street sensors, three snapshots of 2025 | ages of the 3,525 cars that stood there for less than 12 hours: where people come and go evenly, their density is the share of stays that are longer |
//! | [`CITY_OCCUPANCY`] | Bath, council car parks, 2014 to 2016: Avon Street, Charlotte Street, Podium, SouthGate General | mean share of the capacity by weekday and hour |
//! | [`CITY_ARRIVALS`] | both | the arrivals whose stays fill a lot so: Richardson and Lucy, 3,000 rounds, on the cyclic week |
//! | [`RIDE_OCCUPANCY`] | Bath, the three park-and-ride lots | as above |
//! | [`RIDE_COMING`], [`RIDE_GOING`] | the same | how that rises and falls from hour to hour, as shares of the day |
//! | [`LATE_SECONDS`] | Bath | delay of uploads: median 46 s, 95 % 351 s |
//!
//! `python3 simulation/calibration.py ../shared/data` derives them again. Melbourne: licensed CC BY 4.0
//! (<https://creativecommons.org/licenses/by/4.0/>); none of the rows of either source are here.
//!
//! Known bias: two of the three snapshots were taken before noon, when more had come lately than later in the
//! day, so stays are somewhat too short. Bath's car parks stand for a street, for which there is no true
//! occupancy. There is no data of an airport: what is said of travellers is assumed, and says so.

/// Monday to Thursday, Friday, Saturday, Sunday.
pub const DAYS: usize = 4;
/// By hour of the local day.
pub type Days = [[u64; 24]; DAYS];

/// Which of [`DAYS`] a day of the week is, counted from Monday.
#[must_use]
pub fn day(weekday: usize) -> usize {
    weekday.saturating_sub(3).min(DAYS - 1)
}

/// Quantiles of a short stay: thousandths of all stays that are not longer, minutes. The mean is 66.9 minutes.
#[rustfmt::skip]
pub const STAYS: [(u64, u64); 18] = [
    (0, 0), (11, 5), (55, 10), (125, 15), (242, 20), (441, 30), (538, 45), (634, 60), (702, 75), (760, 90), (855, 120), (911, 150), (939, 180), (965, 240), (977, 300), (987, 360), (994, 480), (1000, 720),
];

/// Thousandths of the capacity taken, in a city.
#[rustfmt::skip]
pub const CITY_OCCUPANCY: Days = [
    [70, 70, 70, 70, 72, 74, 79, 106, 196, 361, 533, 657, 718, 726, 686, 592, 466, 323, 232, 216, 196, 149, 100, 78],
    [77, 75, 75, 76, 76, 78, 82, 109, 199, 370, 549, 669, 726, 741, 701, 607, 483, 350, 275, 292, 304, 267, 187, 130],
    [112, 107, 106, 106, 110, 112, 114, 126, 182, 359, 557, 689, 783, 840, 850, 817, 692, 492, 352, 325, 312, 271, 203, 147],
    [131, 124, 120, 120, 123, 124, 124, 123, 125, 149, 259, 469, 587, 632, 610, 499, 327, 183, 134, 119, 103, 87, 75, 68],
];

/// Arrivals in an hour for each thousand slots, in a city.
#[rustfmt::skip]
pub const CITY_ARRIVALS: Days = [
    [54, 60, 58, 62, 62, 67, 73, 127, 281, 496, 627, 683, 672, 632, 544, 404, 269, 124, 126, 176, 124, 73, 35, 51],
    [61, 59, 63, 66, 64, 72, 74, 130, 284, 513, 645, 685, 680, 653, 552, 418, 286, 162, 177, 284, 246, 176, 68, 68],
    [82, 84, 88, 90, 100, 96, 101, 123, 230, 530, 663, 713, 778, 778, 737, 666, 438, 210, 191, 267, 231, 177, 96, 75],
    [103, 92, 100, 103, 108, 105, 108, 105, 111, 161, 366, 638, 573, 601, 486, 301, 100, 29, 85, 72, 63, 55, 49, 52],
];

/// Thousandths of the capacity taken, where commuters park.
#[rustfmt::skip]
pub const RIDE_OCCUPANCY: Days = [
    [64, 64, 64, 64, 6, 6, 20, 93, 277, 428, 551, 634, 662, 655, 621, 553, 454, 312, 161, 104, 82, 76, 74, 74],
    [71, 71, 72, 72, 7, 7, 20, 85, 249, 388, 505, 585, 611, 604, 570, 503, 408, 277, 155, 107, 88, 81, 76, 74],
    [73, 72, 72, 72, 8, 8, 15, 38, 96, 196, 319, 427, 503, 538, 540, 489, 395, 272, 154, 97, 75, 69, 68, 68],
    [68, 66, 65, 66, 9, 9, 10, 14, 24, 58, 131, 196, 220, 218, 208, 169, 110, 60, 37, 35, 33, 33, 33, 33],
];

/// Ten-thousandths of a day's arrivals, where commuters park.
#[rustfmt::skip]
pub const RIDE_COMING: Days = [
    [4, 7, 3, 0, 0, 109, 663, 1951, 2547, 2081, 1562, 851, 219, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    [9, 4, 4, 0, 0, 104, 641, 1895, 2502, 2112, 1634, 879, 214, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 66, 279, 757, 1487, 2097, 2172, 1730, 1039, 350, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 13, 108, 335, 1054, 2539, 3274, 2112, 563, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0],
];

/// Ten-thousandths of a day's departures, where commuters park.
#[rustfmt::skip]
pub const RIDE_GOING: Days = [
    [9, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 355, 863, 1410, 2045, 2481, 1764, 671, 233, 68, 22, 10],
    [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 65, 381, 940, 1511, 2099, 2350, 1581, 618, 242, 118, 67, 26],
    [21, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 540, 1536, 2296, 2535, 1840, 834, 291, 74, 16, 7],
    [48, 80, 36, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 301, 1292, 2574, 2871, 1943, 662, 81, 33, 7, 16, 17],
];

/// Quantiles of the delay of a late reading: thousandths, seconds.
pub const LATE_SECONDS: [(u64, u64); 4] = [(0, 5), (500, 46), (950, 351), (1_000, 1_800)];

/// Quantiles of a traveller's stay: thousandths, hours. Assumed: a weekend trip, a week, a fortnight.
pub const TRAVELLER_HOURS: [(u64, u64); 7] =
    [(0, 12), (100, 24), (300, 48), (500, 84), (700, 168), (900, 220), (1_000, 336)];

/// Quantiles of how long before his start a traveller books: thousandths, hours. Assumed.
pub const BOOKED_AHEAD_HOURS: [(u64, u64); 5] =
    [(0, 2), (200, 12), (500, 48), (800, 120), (1_000, 240)];

/// The quantile of a table at so many thousandths, in millionths of its unit: straight lines between.
#[must_use]
pub fn quantile_micros(table: &[(u64, u64)], per_mille: u64) -> u64 {
    for pair in table.windows(2) {
        let ((low, from), (high, to)) = (pair[0], pair[1]);
        if per_mille <= high {
            let part = per_mille.saturating_sub(low) * 1_000_000 / (high - low).max(1);
            return from * 1_000_000 + (to - from) * part;
        }
    }
    table.last().map_or(0, |(_, most)| most * 1_000_000)
}
