//! Counts at the gates of a counted lot.

use lotkeeper_engine::lot::{self, Count, CountState};
use lotkeeper_engine::spec::Fault;
use lotkeeper_engine::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::instant::Instant;
use super::names::{Condition, CountOutcome};
use super::{code_fault, fault, is_code};

/// What a counter reports: `entered` and `left` since its last report, or `occupied` as an absolute figure.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCount, example = json!({"entered": 2, "left": 1, "observed_at": "2026-03-01T09:00:00Z", "gate": "north"}))]
pub struct CountBody {
    /// Vehicles that came in.
    #[serde(default)]
    pub entered: Option<u32>,
    /// Vehicles that went out.
    #[serde(default)]
    pub left: Option<u32>,
    /// Vehicles inside.
    #[serde(default)]
    pub occupied: Option<u32>,
    /// When it was seen; the time of receipt when left out.
    #[serde(default)]
    pub observed_at: Option<Instant>,
    /// Which gate counted: a code, for the counter's own use.
    #[serde(default)]
    pub gate: Option<String>,
}

impl CountBody {
    /// What the engine is told.
    ///
    /// # Errors
    /// Neither a flow nor a figure, or both; a gate that is not a code.
    pub fn count(&self) -> Result<(Count, Option<Timestamp>), Vec<Fault>> {
        let count = match (self.occupied, self.entered, self.left) {
            (Some(occupied), None, None) => Count::Absolute { occupied },
            (None, entered, left) if entered.or(left).is_some() => {
                Count::Flow { entered: entered.unwrap_or_default(), left: left.unwrap_or_default() }
            }
            (Some(_), _, _) => {
                let detail =
                    "an absolute count stands alone; send `entered` and `left` by themselves";
                return Err(vec![fault("/occupied", detail)]);
            }
            (None, _, _) => {
                let detail = "a count has `entered` and `left`, or `occupied`";
                return Err(vec![fault("", detail)]);
            }
        };
        match &self.gate {
            Some(gate) if !is_code(gate) => Err(vec![code_fault("/gate", gate)]),
            Some(_) | None => Ok((count, self.observed_at.map(|at| at.0))),
        }
    }
}

/// What a count did, once it is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CountAnswer {
    /// What it did.
    pub outcome: CountOutcome,
    /// Vehicles inside as counted: below zero or above the capacity when counters err.
    pub occupied: i64,
    /// Whether that can be true.
    pub condition: Condition,
    /// The last absolute count minus what the flows since the one before said.
    pub drift: i64,
    /// The lot's sequence that includes it.
    pub seq: u64,
}

impl CountAnswer {
    /// From the engine's answer.
    #[must_use]
    pub fn new(outcome: lot::CountOutcome, state: CountState, lot_seq: u64) -> Self {
        Self {
            outcome: outcome.into(),
            occupied: state.occupied,
            condition: state.condition.into(),
            drift: state.drift,
            seq: lot_seq,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::from_json;

    #[test]
    fn a_count_is_a_flow_or_a_figure() {
        for (body, count) in [
            (r#"{"entered":2,"left":1}"#, Ok(Count::Flow { entered: 2, left: 1 })),
            (r#"{"entered":2}"#, Ok(Count::Flow { entered: 2, left: 0 })),
            (r#"{"left":0,"gate":"north"}"#, Ok(Count::Flow { entered: 0, left: 0 })),
            (r#"{"occupied":270}"#, Ok(Count::Absolute { occupied: 270 })),
            (r#"{"occupied":270,"left":1}"#, Err("/occupied")),
            ("{}", Err("")),
            (r#"{"occupied":1,"gate":"my gate"}"#, Err("/gate")),
        ] {
            let parsed: CountBody = from_json(body.as_bytes()).unwrap();
            let result = parsed.count().map(|(count, _)| count);
            let result = result.map_err(|faults| faults[0].pointer.clone());
            assert_eq!(result, count.map_err(str::to_owned), "{body}");
        }
        assert!(from_json::<CountBody>(br#"{"entered":-1}"#).is_err());
    }
}
