//! Every limit of the domain, with its unit in its name and its reason beside it.

/// Slots in one lot: the largest real car parks hold about 20,000 in several buildings; a building is a lot.
pub const SLOTS_PER_LOT_MAX: usize = 10_000;
/// Zones in one lot.
pub const ZONES_PER_LOT_MAX: usize = 500;
/// Different features in one lot: they are bits of one word.
pub const FEATURES_PER_LOT_MAX: usize = 64;
/// Different vehicle types that the slots of one lot name: they are bits of one word as well.
pub const VEHICLE_TYPES_PER_LOT_MAX: usize = 64;
/// Capacity of a counted lot.
pub const CAPACITY_MAX: u32 = 1_000_000;
/// Characters in a code: it stands in paths and on signs.
pub const CODE_CHARS_MAX: usize = 64;
/// Characters in a name.
pub const NAME_CHARS_MAX: usize = 200;
/// Characters in a line of an address.
pub const ADDRESS_CHARS_MAX: usize = 200;
/// Characters in a postal code: the longest in use have ten.
pub const POSTAL_CODE_CHARS_MAX: usize = 16;
/// Characters in what a lot says of itself or of how to get in: a page, not a book, in every answer.
pub const TEXT_CHARS_MAX: usize = 2_000;
/// What somebody asks for in his own words.
pub const REQUEST_CHARS_MAX: usize = 500;
/// Images of a lot.
pub const IMAGES_PER_LOT_MAX: usize = 20;
/// Bytes of an image's address.
pub const IMAGE_URL_BYTES_MAX: usize = 500;
/// Lines of a lot's opening hours: four stretches on each day of the week.
pub const OPENINGS_PER_LOT_MAX: usize = 28;
/// Readings in one batch, by HTTP or websocket.
pub const READINGS_PER_BATCH_MAX: usize = 10_000;
/// Reading ids remembered per slot: a retry repeats the last few, not the last hundred.
pub const READING_IDS_KEPT: usize = 4;
/// Changes this close together count as flapping (a car does not come and go in ten seconds).
pub const FLAP_GAP_SECONDS: u32 = 10;
/// So many of them in a row make the sensor's health `flapping`.
pub const FLAPS_UNTIL_FLAPPING: u8 = 5;
/// Active reservations of one holder in one lot: one person does not fill a lot.
pub const RESERVATIONS_PER_HOLDER_MAX: usize = 1_000;
/// Active reservations on one slot: a year of daily bookings and some. A slot that has them all is left
/// out of "any slot that fits".
pub const RESERVATIONS_PER_SLOT_MAX: usize = 512;
/// Ended reservations a lot remembers; older ones are in the log.
pub const ENDED_RESERVATIONS_KEPT_PER_LOT: usize = 2_048;
/// Ended stays a lot remembers; older ones are in the log and the history.
pub const ENDED_SESSIONS_KEPT_PER_LOT: usize = 2_048;
/// Passes of one lot that go on: as many as the largest car parks have places.
pub const PASSES_PER_LOT_MAX: usize = 20_000;
/// Passes that go on and are good in all lots of one tenant.
pub const PASSES_PER_TENANT_MAX: usize = 20_000;
/// Ended passes a lot remembers: who comes with one is told so.
pub const ENDED_PASSES_KEPT_PER_LOT: usize = 2_048;
/// Vehicles of one pass.
pub const VEHICLES_PER_PASS_MAX: usize = 8;
/// Who waits in one lot: all of them are looked at whenever time is freed, which is tens of microseconds.
pub const WAITERS_PER_LOT_MAX: usize = 1_000;
/// Places of one holder on the waiting list of one lot: every working day of a month.
pub const WAITERS_PER_HOLDER_MAX: usize = 25;
/// Ended places on the waiting list that a lot remembers; older ones are in the log.
pub const ENDED_WAITERS_KEPT_PER_LOT: usize = 2_048;
/// Open violations of one lot: one for every slot. Beyond it none is raised until some are closed.
pub const OPEN_VIOLATIONS_PER_LOT_MAX: usize = 10_000;
/// Ended violations a lot remembers; older ones are in the log.
pub const ENDED_VIOLATIONS_KEPT_PER_LOT: usize = 2_048;
/// Pieces of evidence of one violation.
pub const EVIDENCE_PER_VIOLATION_MAX: usize = 8;
/// Payments a lot remembers beside those a provider has only promised.
pub const PAYMENTS_KEPT_PER_LOT: usize = 2_048;
/// Payments of one lot whose providers still have to answer, bring in or let go: as many as the largest car parks
/// have places.
pub const UNSETTLED_PAYMENTS_PER_LOT_MAX: usize = 20_000;
/// Open shifts of one lot: more desks than the largest airports have.
pub const OPEN_SHIFTS_PER_LOT_MAX: usize = 256;
/// Closed shifts a lot remembers: a year of three desks in two shifts; older ones are in the log.
pub const CLOSED_SHIFTS_KEPT_PER_LOT: usize = 2_048;
/// Stays that left last, among which a camera's second look at a car is searched.
pub const LAST_LEFT_LOOKED_AT: usize = 64;
/// A gate that was cut off may tell this late what it saw.
pub const SCAN_LATE_SECONDS_MAX: u32 = 86_400;
/// Of a stay that nobody saw end, so much is billed when nothing longer was booked.
pub const ABANDONED_BILLED_SECONDS_MAX: u32 = 86_400;
/// Plates one edit away that a scan may bring.
pub const NEAR_PLATES_MAX: usize = 8;
/// Windows in one recurring request: a year of days.
pub const OCCURRENCES_MAX: usize = 366;
/// Longest window of one reservation: 366 days.
pub const WINDOW_SECONDS_MAX: u32 = 366 * 86_400;
/// How far ahead a window may begin: two years.
pub const WINDOW_AHEAD_SECONDS_MAX: u32 = 2 * 366 * 86_400;
/// A window may have begun this long ago: the request was on its way.
pub const WINDOW_LATE_SECONDS_MAX: u32 = 300;
/// Longest hold before it must be confirmed.
pub const HOLD_SECONDS_MAX: u32 = 86_400;
/// Longest lead, grace, reminder or release of a rule: a week.
pub const RULE_SECONDS_MAX: u32 = 7 * 86_400;
/// Longest stay that a rule allows or waits for: a year.
pub const STAY_SECONDS_MAX: u32 = 366 * 86_400;
/// Overdue events settled in one decision of a tick: keeps one commit small.
pub const DUE_PER_TICK_MAX: usize = 1_024;
/// Bays looked at for one that is empty now before an occupied one is taken.
pub const EMPTY_BAY_PROBES_MAX: usize = 64;

/// One amount of a tariff in minor units: a year in the weakest currency, and 100 million euros.
pub const AMOUNT_MAX: i64 = 10_000_000_000;
/// One line of a fee, in minor units: a thousand of them add up without overflow.
pub const LINE_AMOUNT_MAX: i64 = 1_000_000_000_000_000;
/// The longest stay that is priced: the longest booking, and as much again of overstay.
pub const PRICED_SECONDS_MAX: u32 = 2 * WINDOW_SECONDS_MAX;
/// Steps of one rate: tiers or slabs. A price list of a day by the hour has 24.
pub const RATE_STEPS_MAX: usize = 24;
/// Time bands of one tariff: every one may cut every day of a stay.
pub const BANDS_PER_TARIFF_MAX: usize = 32;
/// Date ranges of one band: the holidays of four years.
pub const DATES_PER_BAND_MAX: usize = 64;
/// Caps of one tariff: stay, day, week and month, from entry and by the calendar.
pub const CAPS_PER_TARIFF_MAX: usize = 8;
/// Thresholds of demand in one tariff.
pub const THRESHOLDS_PER_TARIFF_MAX: usize = 16;
/// Discounts a tariff knows, and a stay brings.
pub const DISCOUNTS_MAX: usize = 64;
/// Steps of a cancellation rule.
pub const REFUND_STEPS_MAX: usize = 16;
/// Extras that one stay brings.
pub const EXTRAS_PER_STAY_MAX: usize = 64;
/// The largest multiplier, in thousandths: ten times the price.
pub const MULTIPLIER_PER_MILLE_MAX: u32 = 10_000;
/// Shortest time after which slabs begin anew: it bounds the work of a long stay.
pub const SLAB_CYCLE_SECONDS_MIN: u32 = 3_600;
/// Longest grace, at the start and after the booked end: a day.
pub const GRACE_SECONDS_MAX: u32 = 86_400;
/// Tariffs of one lot with all their versions.
pub const TARIFFS_PER_LOT_MAX: usize = 10_000;
/// Tariffs assigned to one slot, zone, lot or tenant: one for each type of vehicle, and the next ones.
pub const ASSIGNMENTS_PER_SCOPE_MAX: usize = 64;

const _: () = assert!(SLOTS_PER_LOT_MAX <= u16::MAX as usize, "a slot index is 16 bits");
const _: () = assert!(ZONES_PER_LOT_MAX < u16::MAX as usize, "a zone index is 16 bits");
const _: () = assert!(READINGS_PER_BATCH_MAX >= SLOTS_PER_LOT_MAX, "one batch can name every slot");
const _: () = assert!(HOLD_SECONDS_MAX < WINDOW_SECONDS_MAX);
const _: () = assert!(AMOUNT_MAX < LINE_AMOUNT_MAX && LINE_AMOUNT_MAX < i64::MAX / 4_096);
const _: () = assert!(
    2 * BANDS_PER_TARIFF_MAX * RATE_STEPS_MAX + DISCOUNTS_MAX + EXTRAS_PER_STAY_MAX + 64 < 4_096,
    "the lines of one fee"
);
