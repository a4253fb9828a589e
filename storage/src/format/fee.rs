//! An itemised fee as it is stored.
//!
//! The order of fields and variants is the format. A fee whose lines do not add up to its total is refused.

use lotkeeper_engine::tariff::{Fee as EngineFee, Line as EngineLine, LineKind as EngineLineKind};
use lotkeeper_engine::time;

use super::lot_event::Window;
use super::stored::{Stored, choice, record};
use super::tariff::Payer;
use super::{FormatError, append, decode_alone};

const FEE: &str = "fee";

choice!(
    LineKind = EngineLineKind {
        Base,
        Demand,
        Cap,
        Overstay,
        Penalty,
        LostTicket,
        Extra,
        Pass,
        Discount,
        Tax,
        ServiceFee,
        Rounding,
    }
);
record!(Line = EngineLine {
    kind: LineKind,
    code: Box<str>,
    seconds: u32,
    quantity: u32,
    rate: Option<i64>,
    rate_per: u32,
    window: Option<Window>,
    amount: i64,
});
record!(Fee = EngineFee {
    tariff: [u8; 16],
    version: u32,
    lines: Vec<Line>,
    subtotal: i64,
    discount: i64,
    tax: i64,
    tax_included: bool,
    service_fee: i64,
    service_fee_payer: Option<Payer>,
    total: i64,
    multiplier: u32,
    booked: u32,
    stayed: u32,
    tzdb: Box<str>,
});

impl Stored<time::Window> for Window {
    fn of(window: &time::Window) -> Self {
        (*window).into()
    }

    fn engine(self) -> time::Window {
        self.into()
    }
}

impl From<&EngineFee> for Fee {
    fn from(fee: &EngineFee) -> Self {
        Stored::of(fee)
    }
}

impl TryFrom<Fee> for EngineFee {
    type Error = FormatError;

    /// Refuses a fee that is not the sum of its lines.
    fn try_from(fee: Fee) -> Result<Self, FormatError> {
        let fee: Self = fee.engine();
        if fee.adds_up() {
            Ok(fee)
        } else {
            let detail = format!("its lines do not add up to its total of {}", fee.total);
            Err(FormatError::invalid(FEE, detail))
        }
    }
}

/// A fee by itself.
///
/// # Errors
/// What bincode refuses.
pub fn encode_fee(fee: &EngineFee) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    append(&Fee::from(fee), FEE, &mut bytes)?;
    Ok(bytes)
}

/// A fee as [`encode_fee`] made it.
///
/// # Errors
/// Bytes that are none, and a fee that is not the sum of its lines.
pub fn decode_fee(bytes: &[u8]) -> Result<EngineFee, FormatError> {
    decode_alone::<Fee>(bytes, FEE)?.try_into()
}
