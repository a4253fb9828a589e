//! A tariff as it is stored, and what it is assigned to.
//!
//! The order of fields and variants is the format. Decoding is total: what the engine would not price by is
//! refused. So a limit of tariffs may grow and never shrink.

use bincode::{Decode, Encode};
use lotkeeper_engine::ids::{SlotIndex, ZoneIndex};
use lotkeeper_engine::money::Rounding as EngineRounding;
use lotkeeper_engine::tariff::{
    self, Anchor as EngineAnchor, Assignment as EngineAssignment, Band as EngineBand,
    Cancellation as EngineCancellation, Cap as EngineCap, Clock as EngineClock,
    Dates as EngineDates, Discount as EngineDiscount, Flat as EngineFlat, Grace as EngineGrace,
    GraceMode as EngineGraceMode, Hourly as EngineHourly, Increment as EngineIncrement,
    IncrementMode as EngineIncrementMode, LocalDay, LostTicket as EngineLostTicket,
    Overstay as EngineOverstay, Payer as EnginePayer, Period as EnginePeriod,
    Periods as EnginePeriods, RefundStep as EngineRefundStep, ServiceFee as EngineServiceFee,
    Slab as EngineSlab, Slabs as EngineSlabs, Tariff as EngineTariff, Tax as EngineTax,
    Threshold as EngineThreshold, Tier as EngineTier, TotalRounding as EngineTotalRounding,
    Unit as EngineUnit, Weekdays, Weekly as EngineWeekly,
};

use super::lot_event::Window;
use super::stored::{Stored, choice, record};
use super::{FormatError, append, decode_alone};

const TARIFF: &str = "tariff";

choice!(Rounding = EngineRounding { HalfEven, HalfUp, Up, Down });
choice!(Unit = EngineUnit { Stay, Day, Week, Month });
choice!(Anchor = EngineAnchor { Calendar, Entry });
choice!(Clock = EngineClock { Stay, Band });
choice!(GraceMode = EngineGraceMode { FreeIfShorter, Subtracted });
choice!(IncrementMode = EngineIncrementMode { Begun, Nearest, Completed });
choice!(Payer = EnginePayer { Driver, Owner });

record!(Period = EnginePeriod { unit: Unit, anchor: Anchor });
record!(Flat = EngineFlat { amount: i64 });
record!(Tier = EngineTier { from: u32, amount: i64, per: u32, begun: bool });
record!(Hourly = EngineHourly { tiers: Vec<Tier> });
record!(Slab = EngineSlab { up_to: u32, amount: i64 });
record!(Slabs = EngineSlabs { slabs: Vec<Slab>, longer: i64, every: Option<u32> });
record!(Periods = EnginePeriods { period: Period, amount: i64 });
record!(Grace = EngineGrace { seconds: u32, mode: GraceMode });
record!(Increment = EngineIncrement { seconds: u32, mode: IncrementMode });
record!(Cap = EngineCap { period: Period, amount: i64 });
record!(Threshold = EngineThreshold { occupancy: u32, multiplier: u32 });
record!(
    Overstay =
        EngineOverstay { grace: u32, rate: OverstayRate, multiplier: u32, penalty_per_hour: i64 }
);
record!(Discount = EngineDiscount { code: Box<str>, off: Off });
record!(Tax = EngineTax { code: Box<str>, rate: u32, included: bool, on_penalty: bool });
record!(ServiceFee = EngineServiceFee { payer: Payer, share: u32, fixed: i64 });
record!(LostTicket = EngineLostTicket { amount: i64, instead: bool });
record!(RefundStep = EngineRefundStep { before: u32, refund: u32 });
record!(Cancellation = EngineCancellation { steps: Vec<RefundStep>, no_show: u32 });
record!(TotalRounding = EngineTotalRounding { mode: Rounding, step: i64 });
record!(Dates = EngineDates { first: i32, last: i32 });
record!(Weekly = EngineWeekly { days: u8, from_second: u32, to_second: u32, dates: Vec<Dates> });
record!(Band = EngineBand { code: Box<str>, when: When, effect: Effect });
record!(Tariff = EngineTariff {
    id: [u8; 16],
    version: u32,
    name: Box<str>,
    valid_from: i64,
    valid_until: Option<i64>,
    rate: Rate,
    bands: Vec<Band>,
    caps: Vec<Cap>,
    increment: Increment,
    grace: Option<Grace>,
    demand: Vec<Threshold>,
    overstay: Overstay,
    discounts: Vec<Discount>,
    tax: Option<Tax>,
    service_fee: Option<ServiceFee>,
    lost_ticket: Option<LostTicket>,
    cancellation: Cancellation,
    rounding: TotalRounding,
});
record!(Assignment = EngineAssignment {
    scope: Scope,
    vehicle_type: Option<Box<str>>,
    tariff: [u8; 16],
});

#[derive(Encode, Decode)]
pub(super) enum Rate {
    Flat(Flat),
    Hourly(Hourly),
    Slabs(Slabs),
    Periods(Periods),
}

#[derive(Encode, Decode)]
pub(super) enum When {
    Weekly(Weekly),
    Dated(Window),
}

#[derive(Encode, Decode)]
pub(super) enum Effect {
    Replace { rate: Rate, clock: Clock },
    Multiply(u32),
}

#[derive(Encode, Decode)]
pub(super) enum OverstayRate {
    Continued,
    PerHour(i64),
}

#[derive(Encode, Decode)]
pub(super) enum Off {
    Share(u32),
    Amount(i64),
}

#[derive(Encode, Decode)]
pub(super) enum Scope {
    Slot(u16),
    Zone(u16),
    Lot,
    Tenant,
}

impl Stored<Weekdays> for u8 {
    fn of(days: &Weekdays) -> Self {
        days.0
    }

    fn engine(self) -> Weekdays {
        Weekdays(self)
    }
}

impl Stored<LocalDay> for i32 {
    fn of(day: &LocalDay) -> Self {
        day.0
    }

    fn engine(self) -> LocalDay {
        LocalDay(self)
    }
}

impl Stored<tariff::Rate> for Rate {
    fn of(rate: &tariff::Rate) -> Self {
        match rate {
            tariff::Rate::Flat(flat) => Self::Flat(Stored::of(flat)),
            tariff::Rate::Hourly(hourly) => Self::Hourly(Stored::of(hourly)),
            tariff::Rate::Slabs(slabs) => Self::Slabs(Stored::of(slabs)),
            tariff::Rate::Periods(periods) => Self::Periods(Stored::of(periods)),
        }
    }

    fn engine(self) -> tariff::Rate {
        match self {
            Self::Flat(flat) => tariff::Rate::Flat(flat.engine()),
            Self::Hourly(hourly) => tariff::Rate::Hourly(hourly.engine()),
            Self::Slabs(slabs) => tariff::Rate::Slabs(slabs.engine()),
            Self::Periods(periods) => tariff::Rate::Periods(periods.engine()),
        }
    }
}

impl Stored<tariff::When> for When {
    fn of(when: &tariff::When) -> Self {
        match when {
            tariff::When::Weekly(weekly) => Self::Weekly(Stored::of(weekly)),
            tariff::When::Dated(window) => Self::Dated((*window).into()),
        }
    }

    fn engine(self) -> tariff::When {
        match self {
            Self::Weekly(weekly) => tariff::When::Weekly(weekly.engine()),
            Self::Dated(window) => tariff::When::Dated(window.into()),
        }
    }
}

impl Stored<tariff::Effect> for Effect {
    fn of(effect: &tariff::Effect) -> Self {
        match effect {
            tariff::Effect::Replace { rate, clock } => {
                Self::Replace { rate: Stored::of(rate), clock: (*clock).into() }
            }
            tariff::Effect::Multiply(multiplier) => Self::Multiply(multiplier.0),
        }
    }

    fn engine(self) -> tariff::Effect {
        match self {
            Self::Replace { rate, clock } => {
                tariff::Effect::Replace { rate: rate.engine(), clock: clock.into() }
            }
            Self::Multiply(multiplier) => tariff::Effect::Multiply(multiplier.engine()),
        }
    }
}

impl Stored<tariff::OverstayRate> for OverstayRate {
    fn of(rate: &tariff::OverstayRate) -> Self {
        match rate {
            tariff::OverstayRate::Continued => Self::Continued,
            tariff::OverstayRate::PerHour(amount) => Self::PerHour(amount.0),
        }
    }

    fn engine(self) -> tariff::OverstayRate {
        match self {
            Self::Continued => tariff::OverstayRate::Continued,
            Self::PerHour(amount) => tariff::OverstayRate::PerHour(amount.engine()),
        }
    }
}

impl Stored<tariff::Off> for Off {
    fn of(off: &tariff::Off) -> Self {
        match off {
            tariff::Off::Share(share) => Self::Share(share.0),
            tariff::Off::Amount(amount) => Self::Amount(amount.0),
        }
    }

    fn engine(self) -> tariff::Off {
        match self {
            Self::Share(share) => tariff::Off::Share(share.engine()),
            Self::Amount(amount) => tariff::Off::Amount(amount.engine()),
        }
    }
}

impl Stored<tariff::Scope> for Scope {
    fn of(scope: &tariff::Scope) -> Self {
        match scope {
            tariff::Scope::Slot(slot) => Self::Slot(slot.0),
            tariff::Scope::Zone(zone) => Self::Zone(zone.0),
            tariff::Scope::Lot => Self::Lot,
            tariff::Scope::Tenant => Self::Tenant,
        }
    }

    fn engine(self) -> tariff::Scope {
        match self {
            Self::Slot(slot) => tariff::Scope::Slot(SlotIndex(slot)),
            Self::Zone(zone) => tariff::Scope::Zone(ZoneIndex(zone)),
            Self::Lot => tariff::Scope::Lot,
            Self::Tenant => tariff::Scope::Tenant,
        }
    }
}

impl From<&EngineTariff> for Tariff {
    fn from(tariff: &EngineTariff) -> Self {
        Stored::of(tariff)
    }
}

impl TryFrom<Tariff> for EngineTariff {
    type Error = FormatError;

    /// Refuses what stays cannot be priced by.
    fn try_from(tariff: Tariff) -> Result<Self, FormatError> {
        let tariff: Self = tariff.engine();
        match tariff.faults().first() {
            None => Ok(tariff),
            Some(fault) => {
                let detail = format!("{}: {}", fault.pointer, fault.detail);
                Err(FormatError::invalid(TARIFF, detail))
            }
        }
    }
}

impl From<&EngineAssignment> for Assignment {
    fn from(assignment: &EngineAssignment) -> Self {
        Stored::of(assignment)
    }
}

impl From<Assignment> for EngineAssignment {
    fn from(assignment: Assignment) -> Self {
        assignment.engine()
    }
}

/// A tariff by itself.
///
/// # Errors
/// What bincode refuses.
pub fn encode_tariff(tariff: &EngineTariff) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    append(&Tariff::from(tariff), TARIFF, &mut bytes)?;
    Ok(bytes)
}

/// A tariff as [`encode_tariff`] made it.
///
/// # Errors
/// Bytes that are none, and a tariff that stays cannot be priced by.
pub fn decode_tariff(bytes: &[u8]) -> Result<EngineTariff, FormatError> {
    decode_alone::<Tariff>(bytes, TARIFF)?.try_into()
}

/// An assignment by itself.
///
/// # Errors
/// What bincode refuses.
pub fn encode_assignment(assignment: &EngineAssignment) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    append(&Assignment::from(assignment), TARIFF, &mut bytes)?;
    Ok(bytes)
}

/// An assignment as [`encode_assignment`] made it.
///
/// # Errors
/// Bytes that are none.
pub fn decode_assignment(bytes: &[u8]) -> Result<EngineAssignment, FormatError> {
    decode_alone::<Assignment>(bytes, TARIFF).map(Into::into)
}
