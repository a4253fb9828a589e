//! The invented city: twelve lots, 2,000 slots, one car park counted at its barriers.
//!
//! Invariants (tested): codes are unique in their lot; the slots with a part of their own exist. The city is
//! the same for every seed, so a later start finds what an earlier one made. Names are invented; the
//! position is a coast with a real time zone. Deliberately absent: who parks there (`traffic`).

use serde::Serialize;

/// Its name.
pub const NAME: &str = "Port Allery";
/// Its IANA time zone.
pub const TIME_ZONE: &str = "Europe/Dublin";
const CURRENCY: &str = "EUR";
/// The town hall's square; lots lie around it.
const CENTRE: (f64, f64) = (53.0520, -6.0480);

/// The slot that traffic leaves to the reader of the demo's text: lot and slot.
pub const YOURS: (&str, &str) = ("MARKET", "A-001");
/// The lot whose count leads.
pub const COUNTED: &str = "NORTHGATE";
/// Lots with a zone of bays that are booked in advance.
pub const BOOKABLE: [&str; 2] = ["MARKET", "STATION"];
/// That zone's code.
pub const BOOKABLE_ZONE: &str = "booked";

/// Who or what uses a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Anybody who comes by.
    Traffic,
    /// The same, but its sensor has never worked.
    DeadSensor,
    /// The same, but its sensor is heard once at each start of the demo and then falls silent.
    FadingSensor,
    /// Nobody: its sensor says occupied and free by turns, faster than cars come and go.
    FlappingSensor,
    /// Nobody: it is being mended.
    Closed,
    /// Whoever booked it.
    Booked,
    /// The reader of the demo's text.
    Yours,
}

/// Slots that are not like the others.
const SPECIAL: [(&str, &str, Use); 13] = [
    (YOURS.0, YOURS.1, Use::Yours),
    ("MARKET", "B-017", Use::FlappingSensor),
    ("MARKET", "B-044", Use::DeadSensor),
    ("MARKET", "A-023", Use::Closed),
    ("STATION", "C-031", Use::DeadSensor),
    ("STATION", "C-032", Use::DeadSensor),
    ("HARBOUR", "E-012", Use::FadingSensor),
    ("HOSPITAL", "L-055", Use::DeadSensor),
    ("STADIUM", "N-101", Use::DeadSensor),
    ("STADIUM", "N-102", Use::DeadSensor),
    ("LINDEN", "A-009", Use::DeadSensor),
    ("MILL", "A-030", Use::FadingSensor),
    ("CANAL", "W-040", Use::DeadSensor),
];

/// A lot, as `POST /api/v1/lots` wants it, and how it is used.
#[derive(Clone, Debug, Serialize)]
pub struct Lot {
    /// Unique in the city.
    pub code: &'static str,
    /// For people.
    pub name: &'static str,
    /// `bayed` or `counted`.
    pub kind: &'static str,
    time_zone: &'static str,
    currency: &'static str,
    city: &'static str,
    position: Position,
    /// Places of the counted lot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    zones: Vec<Zone>,
    /// Slots, in the order in which they fill.
    pub slots: Vec<Slot>,
    rules: Rules,
    /// Arrivals per slot on an average working day.
    #[serde(skip)]
    pub turnover: f64,
}

/// A slot.
#[derive(Clone, Debug, Serialize)]
pub struct Slot {
    /// Unique in the lot.
    pub code: String,
    zone: &'static str,
    size: &'static str,
    features: Vec<&'static str>,
    /// By whom.
    #[serde(skip)]
    pub used_by: Use,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Position {
    lat: f64,
    lon: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Zone {
    code: &'static str,
    name: &'static str,
    level: i16,
}

/// Real time: the server's rules know nothing of the city's clock.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Rules {
    #[serde(skip_serializing_if = "Option::is_none")]
    silence_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_show_seconds: Option<u32>,
}

/// A fading sensor is silent after a coffee, the others report four times as often (`sensors`).
const SILENCE_SECONDS: u32 = 900;
/// Booked bays are released fast enough to be seen.
pub(super) const NO_SHOW_SECONDS: u32 = 30;

/// So many slots of this size with these features.
type Group = (usize, &'static str, &'static [&'static str]);

struct ZonePlan {
    zone: Zone,
    letter: char,
    slots: usize,
    /// On all its slots.
    features: &'static [&'static str],
    /// The first ones; the rest are standard.
    groups: &'static [Group],
}

const fn zone(
    code: &'static str,
    name: &'static str,
    level: i16,
    letter: char,
    slots: usize,
    features: &'static [&'static str],
    groups: &'static [Group],
) -> ZonePlan {
    ZonePlan { zone: Zone { code, name, level }, letter, slots, features, groups }
}

struct LotPlan {
    code: &'static str,
    name: &'static str,
    /// Hundredths of a degree from the centre, north and east.
    offset: (f64, f64),
    turnover: f64,
    zones: &'static [ZonePlan],
}

const NONE: &[&str] = &[];
const EV: &[&str] = &["ev"];
const ACCESSIBLE: &[&str] = &["accessible"];
const COVERED: &[&str] = &["covered", "lighting"];
const LIT: &[&str] = &["lighting"];

const STREET: &[Group] = &[(2, "standard", ACCESSIBLE), (2, "standard", EV), (8, "compact", NONE)];
const GROUND: &[Group] = &[
    (6, "standard", NONE),
    (8, "standard", ACCESSIBLE),
    (12, "standard", EV),
    (8, "large", NONE),
    (4, "motorcycle", NONE),
];
const UPPER: &[Group] = &[(2, "standard", ACCESSIBLE), (24, "compact", NONE), (10, "large", NONE)];
const OPEN: &[Group] = &[(6, "standard", ACCESSIBLE), (6, "standard", EV), (12, "large", NONE)];
const COACHES: &[Group] = &[(12, "oversized", NONE), (20, "large", NONE)];
const CLINIC: &[Group] = &[(24, "standard", ACCESSIBLE), (8, "standard", EV), (6, "large", NONE)];
const BOOKED: &[Group] = &[(4, "standard", EV), (2, "standard", ACCESSIBLE)];

#[rustfmt::skip]
const BAYED: [LotPlan; 11] = [
    LotPlan { code: "MARKET", name: "Market Street", offset: (0.10, 0.05), turnover: 3.5, zones: &[
        zone("level-0", "Level 0", 0, 'A', 96, COVERED, GROUND),
        zone("level-1", "Level 1", 1, 'B', 106, COVERED, UPPER),
        zone("roof", "Roof", 2, 'R', 106, LIT, &[(30, "compact", NONE)]),
        zone(BOOKABLE_ZONE, "Booked bays", 0, 'X', 12, COVERED, BOOKED),
    ] },
    LotPlan { code: "STATION", name: "Station Road", offset: (0.42, -0.35), turnover: 3.3, zones: &[
        zone("level-0", "Level 0", 0, 'A', 92, COVERED, GROUND),
        zone("level-1", "Level 1", 1, 'B', 98, COVERED, UPPER),
        zone("level-2", "Level 2", 2, 'C', 98, COVERED, UPPER),
        zone("level-3", "Level 3", 3, 'D', 98, LIT, UPPER),
        zone(BOOKABLE_ZONE, "Booked bays", 0, 'X', 14, COVERED, BOOKED),
    ] },
    LotPlan { code: "HARBOUR", name: "Harbour Quay", offset: (-0.20, 0.90), turnover: 3.0, zones: &[
        zone("east", "East quay", 0, 'E', 100, LIT, OPEN),
        zone("west", "West quay", 0, 'W', 80, LIT, &[(10, "oversized", NONE)]),
    ] },
    LotPlan { code: "HOSPITAL", name: "St Brenna Hospital", offset: (1.10, 0.30), turnover: 3.4, zones: &[
        zone("visitors", "Visitors", 0, 'K', 140, LIT, CLINIC),
        zone("lower", "Lower deck", -1, 'L', 100, COVERED, UPPER),
    ] },
    LotPlan { code: "THEATRE", name: "Theatre Square", offset: (0.05, -0.15), turnover: 3.2, zones: &[
        zone("minus-1", "Level -1", -1, 'G', 105, COVERED, GROUND),
        zone("minus-2", "Level -2", -2, 'H', 105, COVERED, UPPER),
    ] },
    LotPlan { code: "STADIUM", name: "Old Stadium", offset: (-0.85, -1.20), turnover: 2.6, zones: &[
        zone("north", "North stand", 0, 'N', 140, LIT, OPEN),
        zone("coaches", "Coach park", 0, 'S', 120, LIT, COACHES),
    ] },
    LotPlan { code: "LINDEN", name: "Linden Row", offset: (0.25, 0.18), turnover: 3.6, zones: &[
        zone("kerb", "Kerbside", 0, 'A', 64, NONE, STREET),
    ] },
    LotPlan { code: "MILL", name: "Mill Lane", offset: (-0.12, 0.22), turnover: 3.3, zones: &[
        zone("kerb", "Kerbside", 0, 'A', 48, NONE, STREET),
    ] },
    LotPlan { code: "LIBRARY", name: "Library Garden", offset: (0.33, -0.05), turnover: 3.2, zones: &[
        zone("garden", "Garden", 0, 'A', 90, LIT, OPEN),
    ] },
    LotPlan { code: "CANAL", name: "Canal Side", offset: (-0.40, -0.30), turnover: 2.9, zones: &[
        zone("wharf", "Wharf", 0, 'W', 72, LIT, STREET),
    ] },
    LotPlan { code: "MUSEUM", name: "Museum Hill", offset: (0.60, 0.75), turnover: 2.8, zones: &[
        zone("terrace", "Terrace", 0, 'T', 66, LIT, OPEN),
        zone("garden", "Garden", 0, 'U', 50, NONE, STREET),
    ] },
];

/// Places behind the barriers of the counted lot.
const COUNTED_CAPACITY: u32 = 620;

/// The bayed lots.
#[must_use]
pub fn bayed() -> Vec<Lot> {
    BAYED.iter().map(LotPlan::lot).collect()
}

/// The lot that knows how many, not where.
#[must_use]
pub fn counted() -> Lot {
    let plan = LotPlan {
        code: COUNTED,
        name: "Northgate Park and Ride",
        offset: (2.40, -0.60),
        turnover: 0.0,
        zones: &[],
    };
    // A quiet night is no broken barrier: the server's own, long silence applies.
    let rules = Rules::default();
    Lot { kind: "counted", capacity: Some(COUNTED_CAPACITY), rules, ..plan.lot() }
}

impl LotPlan {
    fn lot(&self) -> Lot {
        let bookable = BOOKABLE.contains(&self.code);
        let rules = match bookable {
            // Booked bays are heard when somebody comes, and yours when you say so.
            true => Rules { no_show_seconds: Some(NO_SHOW_SECONDS), ..Rules::default() },
            false => Rules { silence_seconds: Some(SILENCE_SECONDS), ..Rules::default() },
        };
        let (north, east) = self.offset;
        Lot {
            code: self.code,
            name: self.name,
            kind: "bayed",
            time_zone: TIME_ZONE,
            currency: CURRENCY,
            city: NAME,
            position: Position { lat: CENTRE.0 + north / 100.0, lon: CENTRE.1 + east / 100.0 },
            capacity: None,
            zones: self.zones.iter().map(|plan| plan.zone).collect(),
            slots: self.zones.iter().flat_map(|plan| plan.slots(self.code)).collect(),
            rules,
            turnover: self.turnover,
        }
    }
}

impl ZonePlan {
    fn slots(&self, lot: &'static str) -> impl Iterator<Item = Slot> {
        let groups = self
            .groups
            .iter()
            .flat_map(|&(count, size, features)| std::iter::repeat_n((size, features), count));
        let kinds = groups.chain(std::iter::repeat(("standard", NONE)));
        kinds.take(self.slots).zip(1_usize..).map(move |((size, own), number)| {
            let code = format!("{}-{number:03}", self.letter);
            let features = self.features.iter().chain(own).copied().collect();
            let used_by = self.used_by(lot, &code);
            Slot { code, zone: self.zone.code, size, features, used_by }
        })
    }

    fn used_by(&self, lot: &str, code: &str) -> Use {
        let special = SPECIAL.iter().find(|special| special.0 == lot && special.1 == code);
        match special {
            Some(special) => special.2,
            None if self.zone.code == BOOKABLE_ZONE => Use::Booked,
            None => Use::Traffic,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_city_is_twelve_lots_with_two_thousand_slots() {
        let (lots, counted) = (bayed(), counted());
        assert_eq!(lots.len() + 1, 12);
        assert_eq!(lots.iter().map(|lot| lot.slots.len()).sum::<usize>(), 2_000);
        assert_eq!((counted.code, counted.capacity, counted.slots.len()), (COUNTED, Some(620), 0));
        let codes: BTreeSet<_> = lots.iter().map(|lot| lot.code).chain([counted.code]).collect();
        assert_eq!(codes.len(), 12);
        for lot in &lots {
            let slots: BTreeSet<_> = lot.slots.iter().map(|slot| &slot.code).collect();
            assert_eq!(slots.len(), lot.slots.len(), "{}", lot.code);
        }
        assert!(jiff::tz::TimeZone::get(TIME_ZONE).is_ok());
    }

    #[test]
    fn every_special_slot_exists_and_every_use_occurs() {
        let lots = bayed();
        let slots = || lots.iter().flat_map(|lot| lot.slots.iter().map(move |slot| (lot, slot)));
        for (lot, slot, used_by) in SPECIAL {
            let found = slots().find(|(at, one)| at.code == lot && one.code == slot);
            assert_eq!(found.map(|(_, slot)| slot.used_by), Some(used_by), "{lot} {slot}");
        }
        for (used_by, count) in [(Use::Booked, 26), (Use::Traffic, 2_000 - 26 - SPECIAL.len())] {
            assert_eq!(slots().filter(|(_, slot)| slot.used_by == used_by).count(), count);
        }
        for wanted in ["ev", "accessible", "covered"] {
            assert!(slots().any(|(_, slot)| slot.features.contains(&wanted)), "{wanted}");
        }
        for wanted in ["motorcycle", "compact", "standard", "large", "oversized"] {
            assert!(slots().any(|(_, slot)| slot.size == wanted), "{wanted}");
        }
    }

    #[test]
    fn the_server_takes_every_lot_of_the_city() {
        let rules = crate::config::Config::default().rules.0;
        let now = lotkeeper_engine::time::Timestamp::from_seconds(1_700_000_000);
        for lot in bayed().into_iter().chain([counted()]) {
            let body = serde_json::to_vec(&lot).unwrap();
            let request: crate::wire::new_lot::NewLot = crate::wire::from_json(&body).unwrap();
            let spec = request.into_spec("default", now, rules);
            assert_eq!(spec.map(|spec| spec.slots.len()), Ok(lot.slots.len()), "{}", lot.code);
        }
    }
}
