//! A lot's own rules: data that decisions ask, with the defaults of a lot that names none.
//!
//! The defaults are also what records of formats 1 and 2 mean, which have only the first five: to change one
//! changes how old lots behave.

use super::Fault;
use crate::limits::{self, HOLD_SECONDS_MAX, RULE_SECONDS_MAX, STAY_SECONDS_MAX};
use crate::time::Seconds;

/// How an arrival is known in a lot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arrival {
    /// Where the slot has a live sensor it proves the arrival; elsewhere the driver is believed.
    #[default]
    BySensor,
    /// By gates or staff: whom nobody saw did not come.
    Proved,
    /// Nobody can know: stays begin and end by themselves.
    Assumed,
}

/// When a stay is paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Settlement {
    /// Before it begins.
    Before,
    /// Before the vehicle leaves.
    #[default]
    AtExit,
    /// Later, by invoice.
    OnAccount,
}

/// Where a plate may be inside only once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlateOnce {
    /// In this lot.
    #[default]
    Lot,
    /// In all lots of the tenant that say so.
    Tenant,
}

/// A lot's own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long a hold lasts that does not say.
    pub hold: Seconds,
    /// A reservation shows as held this long before it begins.
    pub hold_lead: Seconds,
    /// A confirmed reservation is released when nobody came this long after its start.
    pub no_show: Seconds,
    /// A sensor unheard for this long is silent, its slot unknown.
    pub silence: Seconds,
    /// A reading or count may be observed this far in the future, by clock error; beyond it is refused.
    pub skew: Seconds,
    /// How an arrival is known.
    pub arrival: Arrival,
    /// The entry of a reservation is accepted this long before its start.
    pub early_entry: Seconds,
    /// The longest stay; without, there is none.
    pub stay_max: Option<Seconds>,
    /// A vehicle that should have left this long ago, or entered this long ago without an expected end, is
    /// taken for gone.
    pub auto_exit: Seconds,
    /// When a stay is paid.
    pub settlement: Settlement,
    /// Free time to drive out after paying at a machine.
    pub exit_window: Seconds,
    /// Whether vehicles without a reservation may enter.
    pub drive_in: bool,
    /// Where a plate may be inside only once.
    pub plate_once: PlateOnce,
    /// Whether a plate that differs in one character from one that is expected counts as it.
    pub fuzzy_plates: bool,
    /// A camera that is less sure of a plate is not believed alone.
    pub confidence_min_percent: u8,
    /// The same plate at the same gate within this time is one visit.
    pub repeat_window: Seconds,
    /// A driver is reminded this long before his start; never, if 0.
    pub remind_before_start: Seconds,
    /// A driver is reminded this long before his end; never, if 0.
    pub remind_before_end: Seconds,
    /// How long a slot that became free is offered to one who waits.
    pub offer: Seconds,
    /// No overstay before this has passed since the end.
    pub overstay_grace: Seconds,
    /// The first notice of an overstay is given this long after the end.
    pub overstay_notice_first: Seconds,
    /// Each further notice follows after this.
    pub overstay_notice_every: Seconds,
    /// So many notices at most.
    pub overstay_notices_max: u8,
    /// A vehicle without a reservation has its slot for so long at first, and on while nobody else has it.
    pub drive_in_stay: Seconds,
    /// In a counted lot, whether the gates are its counters: who is let through is counted.
    pub gates_count: bool,
    /// Whether what stands on a slot is compared with who came in: a vehicle elsewhere than it was sent is
    /// moved, one that nobody let in is a violation.
    pub enforce_slots: bool,
    /// How long something may stand on a slot before that is asked.
    pub enforce_grace: Seconds,
    /// A driver changes and cancels his confirmed reservation until this long before its start; without, at any
    /// time. Staff always may.
    pub change_until: Option<Seconds>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            hold: Seconds(600),
            hold_lead: Seconds(1_800),
            no_show: Seconds(1_800),
            silence: Seconds(86_400),
            skew: Seconds(60),
            arrival: Arrival::default(),
            early_entry: Seconds(1_800),
            stay_max: None,
            auto_exit: Seconds(72 * 3_600),
            settlement: Settlement::default(),
            exit_window: Seconds(900),
            drive_in: true,
            plate_once: PlateOnce::default(),
            fuzzy_plates: false,
            confidence_min_percent: 80,
            repeat_window: Seconds(30),
            // When the slot begins to show as held and the gate to open: time enough to set out in town.
            remind_before_start: Seconds(1_800),
            // Time enough to walk back, or to extend while nobody else has the slot yet.
            remind_before_end: Seconds(900),
            // A message is read, the price is looked at, a plan is changed.
            offer: Seconds(900),
            overstay_grace: Seconds(600),
            // Right after the grace: before it, it would be no overstay.
            overstay_notice_first: Seconds(900),
            overstay_notice_every: Seconds(1_800),
            overstay_notices_max: 3,
            drive_in_stay: Seconds(4 * 3_600),
            gates_count: true,
            enforce_slots: false,
            // Time to drive from the gate to the slot, and for a reading of both to arrive.
            enforce_grace: Seconds(300),
            change_until: None,
        }
    }
}

impl Rules {
    /// Times that would make promises, sensors or stays useless at once.
    pub(super) fn check(&self, faults: &mut Vec<Fault>) {
        let mut check = |field: &str, Seconds(value): Seconds, (min, max): (u32, u32)| {
            if value < min || value > max {
                faults.push(Fault {
                    pointer: format!("/rules/{field}"),
                    detail: format!("{value} is not between {min} and {max} seconds"),
                });
            }
        };
        check("hold_seconds", self.hold, (1, HOLD_SECONDS_MAX));
        check("silence_seconds", self.silence, (1, u32::MAX));
        check("early_entry_seconds", self.early_entry, (0, RULE_SECONDS_MAX));
        if let Some(stay_max) = self.stay_max {
            check("stay_max_seconds", stay_max, (1, STAY_SECONDS_MAX));
        }
        if let Some(change_until) = self.change_until {
            check("change_until_seconds", change_until, (1, STAY_SECONDS_MAX));
        }
        check("auto_exit_seconds", self.auto_exit, (1, STAY_SECONDS_MAX));
        check("exit_window_seconds", self.exit_window, (0, RULE_SECONDS_MAX));
        check("repeat_window_seconds", self.repeat_window, (0, RULE_SECONDS_MAX));
        check("remind_before_start_seconds", self.remind_before_start, (0, RULE_SECONDS_MAX));
        check("remind_before_end_seconds", self.remind_before_end, (0, RULE_SECONDS_MAX));
        check("offer_seconds", self.offer, (1, limits::HOLD_SECONDS_MAX));
        check("overstay_grace_seconds", self.overstay_grace, (0, RULE_SECONDS_MAX));
        check("overstay_notice_first_seconds", self.overstay_notice_first, (0, RULE_SECONDS_MAX));
        check("overstay_notice_every_seconds", self.overstay_notice_every, (1, RULE_SECONDS_MAX));
        check("enforce_grace_seconds", self.enforce_grace, (1, RULE_SECONDS_MAX));
        check("drive_in_stay_seconds", self.drive_in_stay, (1, RULE_SECONDS_MAX));
        if self.confidence_min_percent > 100 {
            faults.push(Fault {
                pointer: "/rules/confidence_min_percent".to_owned(),
                detail: format!("{} is not between 0 and 100", self.confidence_min_percent),
            });
        }
    }
}
