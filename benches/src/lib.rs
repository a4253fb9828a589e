//! What several benches need: a lot to work on, and what the process costs.

use lotkeeper_engine::ids::{LotId, SlotId};
use lotkeeper_engine::spec::{FeatureSet, Kind, Place, Rules, Size, SlotSpec, Spec};
use lotkeeper_engine::time::{Seconds, Timestamp};
use uuid::Uuid;

/// A bayed lot of equal slots.
///
/// # Panics
/// With more slots than a lot may have.
#[must_use]
pub fn lot_spec(code: &str, slots: usize) -> Spec {
    let digest = code.bytes().fold(7_u128, |hash, byte| hash * 31 + u128::from(byte)) << 32;
    let slot = |number: usize| SlotSpec {
        id: SlotId(Uuid::from_u128(digest + 1 + number as u128)),
        code: format!("A-{number}").into(),
        zone: None,
        size: Size::Standard,
        features: FeatureSet::default(),
    };
    Spec {
        id: LotId(Uuid::from_u128(digest)),
        tenant: "default".into(),
        code: code.into(),
        name: code.into(),
        kind: Kind::Bayed,
        capacity: u32::try_from(slots).expect("a lot's slots fit 32 bits"),
        place: Place {
            time_zone: "UTC".into(),
            currency: "EUR".into(),
            city: None,
            position: None,
        },
        zones: Vec::new(),
        features: Vec::new(),
        slots: (0..slots).map(slot).collect(),
        rules: Rules {
            hold: Seconds(600),
            hold_lead: Seconds(1_800),
            no_show: Seconds(1_800),
            silence: Seconds(86_400),
            skew: Seconds(60),
        },
        created_at: Timestamp::default(),
    }
}

/// User and system time of this process so far, from `/proc/self/stat` (proc(5): fields 14 and 15, in
/// ticks of 1/100 s on Linux); 0 where there is none.
#[must_use]
pub fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is in parentheses and may hold blanks.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |place: usize| {
        fields
            .split_whitespace()
            .nth(place)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}

/// Resident memory of this process, from `/proc/self/status`; 0 where there is none.
#[must_use]
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}
