//! A lot's rules: seconds, each optional in a request.

use lotkeeper_engine::limits::HOLD_SECONDS_MAX;
use lotkeeper_engine::spec::{Fault, Rules};
use lotkeeper_engine::time::Seconds;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault;

/// A week: no lead or release needs longer.
const WEEK_SECONDS: u32 = 7 * 86_400;
/// A year: a sensor silent for longer is not silent, it is gone.
const YEAR_SECONDS: u32 = 366 * 86_400;
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
}

impl From<&Rules> for RulesBody {
    fn from(rules: &Rules) -> Self {
        Self {
            hold_seconds: rules.hold.0,
            hold_lead_seconds: rules.hold_lead.0,
            no_show_seconds: rules.no_show.0,
            silence_seconds: rules.silence.0,
            skew_seconds: rules.skew.0,
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
    /// A sensor unheard for this long is silent: 1 to 31,622,400.
    pub silence_seconds: Option<u32>,
    /// How far in the future a reading or count may be observed: up to 86,400.
    pub skew_seconds: Option<u32>,
}

impl RulesPatch {
    /// The rules with what is given in place of `old`; what is out of bounds becomes a fault.
    #[must_use]
    pub fn over(&self, old: Rules, faults: &mut Vec<Fault>) -> Rules {
        let mut rule = |name: &str, given: Option<u32>, old: Seconds, min: u32, max: u32| {
            let Some(seconds) = given else { return old };
            if !(min..=max).contains(&seconds) {
                let detail = format!("{seconds} is not between {min} and {max} seconds");
                faults.push(fault(format!("/rules/{name}"), detail));
            }
            Seconds(seconds)
        };
        Rules {
            hold: rule("hold_seconds", self.hold_seconds, old.hold, 1, HOLD_SECONDS_MAX),
            hold_lead: rule(
                "hold_lead_seconds",
                self.hold_lead_seconds,
                old.hold_lead,
                0,
                WEEK_SECONDS,
            ),
            no_show: rule("no_show_seconds", self.no_show_seconds, old.no_show, 0, WEEK_SECONDS),
            silence: rule("silence_seconds", self.silence_seconds, old.silence, 1, YEAR_SECONDS),
            skew: rule("skew_seconds", self.skew_seconds, old.skew, 0, DAY_SECONDS),
        }
    }
}
