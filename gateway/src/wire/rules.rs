//! A lot's rules, each optional in a request. Where a time of 0 means never or none, it says so.

use lotkeeper_engine::limits::{HOLD_SECONDS_MAX, RULE_SECONDS_MAX, STAY_SECONDS_MAX};
use lotkeeper_engine::spec::{Fault, Rules};
use lotkeeper_engine::time::Seconds;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault;
use super::names::{Arrival, PlateOnce, Settlement};

/// A day: a clock that is further ahead is not skewed, it is wrong.
const DAY_SECONDS: u32 = 86_400;

/// A lot's own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Rules)]
pub struct RulesBody {
    /// How long a hold lasts that does not say.
    pub hold_seconds: u32,
    /// A reservation shows as held this long before it begins.
    pub hold_lead_seconds: u32,
    /// A confirmed reservation is released when nobody came this long after its start.
    pub no_show_seconds: u32,
    /// A sensor unheard for this long is silent, its slot unknown.
    pub silence_seconds: u32,
    /// How far in the future a reading or count may be observed.
    pub skew_seconds: u32,
    /// The entry of a reservation is accepted this long before its start.
    pub early_entry_seconds: u32,
    /// A vehicle that should have left this long ago, or entered this long ago without an expected end, is taken for gone.
    pub auto_exit_seconds: u32,
    /// Free time to drive out after paying at a machine.
    pub exit_window_seconds: u32,
    /// The same plate at the same gate within this time is one visit.
    pub repeat_window_seconds: u32,
    /// A driver is reminded this long before his start; 0 is never.
    pub remind_before_start_seconds: u32,
    /// A driver is reminded this long before his end; 0 is never.
    pub remind_before_end_seconds: u32,
    /// How long a slot that became free is offered to one who waits.
    pub offer_seconds: u32,
    /// No overstay before this has passed since the end.
    pub overstay_grace_seconds: u32,
    /// The first notice of an overstay is given this long after the end.
    pub overstay_notice_first_seconds: u32,
    /// Each further notice follows after this.
    pub overstay_notice_every_seconds: u32,
    /// A vehicle without a reservation has its slot for so long at first, and on while nobody else has it.
    pub drive_in_stay_seconds: u32,
    /// The longest stay; 0 when there is none.
    pub stay_max_seconds: u32,
    /// How an arrival is known.
    pub arrival: Arrival,
    /// When a stay is paid.
    pub settlement: Settlement,
    /// Whether vehicles without a reservation may enter.
    pub drive_in: bool,
    /// Where a plate may be inside only once.
    pub plate_once: PlateOnce,
    /// Whether a plate that differs in one character from one that is expected counts as it.
    pub fuzzy_plates: bool,
    /// A camera that is less sure of a plate is not believed alone.
    pub confidence_min_percent: u8,
    /// So many notices of an overstay at most.
    pub overstay_notices_max: u8,
    /// In a counted lot, whether whoever a gate lets through is counted; false where a counter of its own reports.
    pub gates_count: bool,
    /// Whether what stands on a slot is compared with who came in: a vehicle elsewhere than it was sent is moved, one that nobody let in is a violation.
    pub enforce_slots: bool,
    /// How long something may stand on a slot before that is asked.
    pub enforce_grace_seconds: u32,
    /// Drivers change and cancel confirmed reservations until this long before the start; 0 when at any time.
    pub change_until_seconds: u32,
}

impl From<&Rules> for RulesBody {
    fn from(rules: &Rules) -> Self {
        Self {
            hold_seconds: rules.hold.0,
            hold_lead_seconds: rules.hold_lead.0,
            no_show_seconds: rules.no_show.0,
            silence_seconds: rules.silence.0,
            skew_seconds: rules.skew.0,
            early_entry_seconds: rules.early_entry.0,
            auto_exit_seconds: rules.auto_exit.0,
            exit_window_seconds: rules.exit_window.0,
            repeat_window_seconds: rules.repeat_window.0,
            remind_before_start_seconds: rules.remind_before_start.0,
            remind_before_end_seconds: rules.remind_before_end.0,
            offer_seconds: rules.offer.0,
            overstay_grace_seconds: rules.overstay_grace.0,
            overstay_notice_first_seconds: rules.overstay_notice_first.0,
            overstay_notice_every_seconds: rules.overstay_notice_every.0,
            drive_in_stay_seconds: rules.drive_in_stay.0,
            stay_max_seconds: rules.stay_max.map_or(0, |seconds| seconds.0),
            arrival: rules.arrival.into(),
            settlement: rules.settlement.into(),
            drive_in: rules.drive_in,
            plate_once: rules.plate_once.into(),
            fuzzy_plates: rules.fuzzy_plates,
            confidence_min_percent: rules.confidence_min_percent,
            overstay_notices_max: rules.overstay_notices_max,
            gates_count: rules.gates_count,
            enforce_slots: rules.enforce_slots,
            enforce_grace_seconds: rules.enforce_grace.0,
            change_until_seconds: rules.change_until.map_or(0, |seconds| seconds.0),
        }
    }
}

/// Rules as a request gives them: what is left out stays, or is the server's default.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = NewRules)]
pub struct RulesPatch {
    /// How long a hold lasts that does not say: 1 to 86,400.
    pub hold_seconds: Option<u32>,
    /// A reservation shows as held this long before it begins: up to 604,800.
    pub hold_lead_seconds: Option<u32>,
    /// A confirmed reservation is released when nobody came this long after its start: up to 604,800.
    pub no_show_seconds: Option<u32>,
    /// A sensor unheard for this long is silent, its slot unknown: 1 to 31,622,400.
    pub silence_seconds: Option<u32>,
    /// How far in the future a reading or count may be observed: up to 86,400.
    pub skew_seconds: Option<u32>,
    /// The entry of a reservation is accepted this long before its start: up to 604,800.
    pub early_entry_seconds: Option<u32>,
    /// A vehicle that should have left this long ago, or entered this long ago without an expected end, is taken for gone: 1 to 31,622,400.
    pub auto_exit_seconds: Option<u32>,
    /// Free time to drive out after paying at a machine: up to 604,800.
    pub exit_window_seconds: Option<u32>,
    /// The same plate at the same gate within this time is one visit: up to 604,800.
    pub repeat_window_seconds: Option<u32>,
    /// A driver is reminded this long before his start; 0 is never: up to 604,800.
    pub remind_before_start_seconds: Option<u32>,
    /// A driver is reminded this long before his end; 0 is never: up to 604,800.
    pub remind_before_end_seconds: Option<u32>,
    /// How long a slot that became free is offered to one who waits: 1 to 86,400.
    pub offer_seconds: Option<u32>,
    /// No overstay before this has passed since the end: up to 604,800.
    pub overstay_grace_seconds: Option<u32>,
    /// The first notice of an overstay is given this long after the end: up to 604,800.
    pub overstay_notice_first_seconds: Option<u32>,
    /// Each further notice follows after this: 1 to 604,800.
    pub overstay_notice_every_seconds: Option<u32>,
    /// A vehicle without a reservation has its slot for so long at first, and on while nobody else has it: 1 to 604,800.
    pub drive_in_stay_seconds: Option<u32>,
    /// The longest stay: up to 31,622,400; 0 when there is none.
    pub stay_max_seconds: Option<u32>,
    /// How an arrival is known.
    pub arrival: Option<Arrival>,
    /// When a stay is paid.
    pub settlement: Option<Settlement>,
    /// Whether vehicles without a reservation may enter.
    pub drive_in: Option<bool>,
    /// Where a plate may be inside only once.
    pub plate_once: Option<PlateOnce>,
    /// Whether a plate that differs in one character from one that is expected counts as it.
    pub fuzzy_plates: Option<bool>,
    /// A camera that is less sure of a plate is not believed alone: up to 100.
    #[schema(maximum = 100)]
    pub confidence_min_percent: Option<u8>,
    /// So many notices of an overstay at most.
    pub overstay_notices_max: Option<u8>,
    /// In a counted lot, whether whoever a gate lets through is counted; false where a counter of its own reports.
    pub gates_count: Option<bool>,
    /// Whether what stands on a slot is compared with who came in: a vehicle elsewhere than it was sent is moved, one that nobody let in is a violation.
    pub enforce_slots: Option<bool>,
    /// How long something may stand on a slot before that is asked: 1 to 604,800.
    pub enforce_grace_seconds: Option<u32>,
    /// Drivers change and cancel confirmed reservations until this long before the start: up to 31,622,400; 0 when at any time.
    pub change_until_seconds: Option<u32>,
}

impl RulesPatch {
    /// The rules with what is given in place of `old`; what is out of bounds becomes a fault.
    #[must_use]
    pub fn over(&self, old: Rules, faults: &mut Vec<Fault>) -> Rules {
        let mut rule = |name: &str, given: Option<u32>, old: Seconds, (min, max): (u32, u32)| {
            let Some(seconds) = given else { return old };
            if !(min..=max).contains(&seconds) {
                let detail = format!("{seconds} is not between {min} and {max} seconds");
                faults.push(fault(format!("/rules/{name}"), detail));
            }
            Seconds(seconds)
        };
        let stay_max = old.stay_max.unwrap_or_default();
        let stay_max =
            rule("stay_max_seconds", self.stay_max_seconds, stay_max, (0, STAY_SECONDS_MAX));
        let (given, old_until) = (self.change_until_seconds, old.change_until.unwrap_or_default());
        let change_until = rule("change_until_seconds", given, old_until, (0, STAY_SECONDS_MAX));
        // The field of the engine, the name outside, and between what it may be.
        macro_rules! seconds {
            ($field:ident = $name:ident, $min:literal, $max:ident) => {
                rule(stringify!($name), self.$name, old.$field, ($min, $max))
            };
        }
        Rules {
            hold: seconds!(hold = hold_seconds, 1, HOLD_SECONDS_MAX),
            hold_lead: seconds!(hold_lead = hold_lead_seconds, 0, RULE_SECONDS_MAX),
            no_show: seconds!(no_show = no_show_seconds, 0, RULE_SECONDS_MAX),
            silence: seconds!(silence = silence_seconds, 1, STAY_SECONDS_MAX),
            skew: seconds!(skew = skew_seconds, 0, DAY_SECONDS),
            early_entry: seconds!(early_entry = early_entry_seconds, 0, RULE_SECONDS_MAX),
            auto_exit: seconds!(auto_exit = auto_exit_seconds, 1, STAY_SECONDS_MAX),
            exit_window: seconds!(exit_window = exit_window_seconds, 0, RULE_SECONDS_MAX),
            repeat_window: seconds!(repeat_window = repeat_window_seconds, 0, RULE_SECONDS_MAX),
            remind_before_start: seconds!(
                remind_before_start = remind_before_start_seconds,
                0,
                RULE_SECONDS_MAX
            ),
            remind_before_end: seconds!(
                remind_before_end = remind_before_end_seconds,
                0,
                RULE_SECONDS_MAX
            ),
            offer: seconds!(offer = offer_seconds, 1, HOLD_SECONDS_MAX),
            overstay_grace: seconds!(overstay_grace = overstay_grace_seconds, 0, RULE_SECONDS_MAX),
            overstay_notice_first: seconds!(
                overstay_notice_first = overstay_notice_first_seconds,
                0,
                RULE_SECONDS_MAX
            ),
            overstay_notice_every: seconds!(
                overstay_notice_every = overstay_notice_every_seconds,
                1,
                RULE_SECONDS_MAX
            ),
            enforce_grace: seconds!(enforce_grace = enforce_grace_seconds, 1, RULE_SECONDS_MAX),
            enforce_slots: self.enforce_slots.unwrap_or(old.enforce_slots),
            drive_in_stay: seconds!(drive_in_stay = drive_in_stay_seconds, 1, RULE_SECONDS_MAX),
            change_until: (change_until.0 > 0).then_some(change_until),
            stay_max: (stay_max.0 > 0).then_some(stay_max),
            arrival: self.arrival.map_or(old.arrival, Into::into),
            settlement: self.settlement.map_or(old.settlement, Into::into),
            drive_in: self.drive_in.unwrap_or(old.drive_in),
            plate_once: self.plate_once.map_or(old.plate_once, Into::into),
            fuzzy_plates: self.fuzzy_plates.unwrap_or(old.fuzzy_plates),
            confidence_min_percent: self
                .confidence_min_percent
                .unwrap_or(old.confidence_min_percent),
            overstay_notices_max: self.overstay_notices_max.unwrap_or(old.overstay_notices_max),
            gates_count: self.gates_count.unwrap_or(old.gates_count),
        }
    }
}
