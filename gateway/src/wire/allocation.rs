//! Which slot is chosen for whoever wants any that fits: a list of criteria, zones by their codes.

use lotkeeper_engine::ids::ZoneIndex;
use lotkeeper_engine::spec::{Allocation, Criterion, Fault, Zone};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::slot::unknown_zone;

/// One question of the choice: a name, or an object that says more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Criterion)]
pub enum CriterionBody {
    /// The smallest slot first; of one size, those that admit the fewest types of vehicles.
    SmallestFit,
    /// Slots with features that nobody asked for last; of as many, those with features the lot named later.
    KeepSpecial,
    /// One zone after the other: those listed by code, then slots without a zone, then the others in the
    /// lot's order.
    FillZones(Vec<String>),
    /// The shortest walk first, in bands: 10, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400, 600 metres, more,
    /// not known.
    NearestEntrance,
    /// The slot whose opening begins latest: long openings stay whole.
    WasteLeast,
}

/// As it is shown.
#[must_use]
pub fn shown(allocation: &Allocation, zones: &[Zone]) -> Vec<CriterionBody> {
    let code = |zone: &ZoneIndex| zones.get(zone.at()).map(|zone| zone.code.to_string());
    let criterion = |criterion: &Criterion| match criterion {
        Criterion::SmallestFit => CriterionBody::SmallestFit,
        Criterion::KeepSpecial => CriterionBody::KeepSpecial,
        Criterion::FillZones(order) => {
            CriterionBody::FillZones(order.iter().filter_map(code).collect())
        }
        Criterion::NearestEntrance => CriterionBody::NearestEntrance,
        Criterion::WasteLeast => CriterionBody::WasteLeast,
    };
    allocation.0.iter().map(criterion).collect()
}

/// As a request gives it, in terms of the lot's zones by code; what is named twice is the engine's to refuse.
pub fn checked<'a>(
    criteria: &[CriterionBody],
    zones: &(impl Iterator<Item = &'a str> + Clone),
    faults: &mut Vec<Fault>,
) -> Allocation {
    let mut zone = |(code, pointer): (&String, String)| {
        let position = zones.clone().position(|known| known == code);
        if position.is_none() {
            faults.push(unknown_zone(pointer, code));
        }
        position.and_then(|at| u16::try_from(at).ok()).map(ZoneIndex)
    };
    let criterion = |(at, criterion): (usize, &CriterionBody)| match criterion {
        CriterionBody::SmallestFit => Criterion::SmallestFit,
        CriterionBody::KeepSpecial => Criterion::KeepSpecial,
        CriterionBody::FillZones(codes) => {
            let pointer =
                |(position, code)| zone((code, format!("/allocation/{at}/fill_zones/{position}")));
            Criterion::FillZones(codes.iter().enumerate().filter_map(pointer).collect())
        }
        CriterionBody::NearestEntrance => Criterion::NearestEntrance,
        CriterionBody::WasteLeast => Criterion::WasteLeast,
    };
    Allocation(criteria.iter().enumerate().map(criterion).collect())
}
