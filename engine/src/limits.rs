//! Every limit of the domain, with its unit in its name and its reason beside it.

/// Slots in one lot: the largest real car parks hold about 20,000 in several buildings; a building is a lot.
pub const SLOTS_PER_LOT_MAX: usize = 10_000;
/// Zones in one lot.
pub const ZONES_PER_LOT_MAX: usize = 500;
/// Different features in one lot: they are bits of one word.
pub const FEATURES_PER_LOT_MAX: usize = 64;
/// Capacity of a counted lot.
pub const CAPACITY_MAX: u32 = 1_000_000;
/// Characters in a code: it stands in paths and on signs.
pub const CODE_CHARS_MAX: usize = 64;
/// Characters in a name.
pub const NAME_CHARS_MAX: usize = 200;
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
/// Longest window of one reservation: 366 days.
pub const WINDOW_SECONDS_MAX: u32 = 366 * 86_400;
/// How far ahead a window may begin: two years.
pub const WINDOW_AHEAD_SECONDS_MAX: u32 = 2 * 366 * 86_400;
/// A window may have begun this long ago: the request was on its way.
pub const WINDOW_LATE_SECONDS_MAX: u32 = 300;
/// Longest hold before it must be confirmed.
pub const HOLD_SECONDS_MAX: u32 = 86_400;
/// Overdue events settled in one decision of a tick: keeps one commit small.
pub const DUE_PER_TICK_MAX: usize = 1_024;
/// Bays looked at for one that is empty now before an occupied one is taken.
pub const EMPTY_BAY_PROBES_MAX: usize = 64;

const _: () = assert!(SLOTS_PER_LOT_MAX <= u16::MAX as usize, "a slot index is 16 bits");
const _: () = assert!(ZONES_PER_LOT_MAX < u16::MAX as usize, "a zone index is 16 bits");
const _: () = assert!(READINGS_PER_BATCH_MAX >= SLOTS_PER_LOT_MAX, "one batch can name every slot");
const _: () = assert!(HOLD_SECONDS_MAX < WINDOW_SECONDS_MAX);
