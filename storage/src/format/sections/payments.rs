//! Section 6: payments, oldest first.

use std::sync::Arc;

use super::{Section, decode};
use crate::format::payment::Payment;
use crate::format::{FormatError, append};
use crate::snapshot::LotSnapshot;

pub(super) const SECTION: Section =
    Section { tag: 6, name: "payments", required: false, write, read };

fn write(snapshot: &LotSnapshot, into: &mut Vec<u8>) -> Result<(), FormatError> {
    let payments: Vec<Payment<'_>> =
        snapshot.parts.payments.iter().map(|payment| (&**payment).into()).collect();
    if payments.is_empty() { Ok(()) } else { append(&payments, "snapshot", into) }
}

fn read(bytes: &[u8], snapshot: &mut LotSnapshot) -> Result<(), FormatError> {
    let payments: Vec<Payment<'_>> = decode(bytes)?;
    let payments = payments.into_iter().map(|payment| Arc::new(payment.into()));
    snapshot.parts.payments = payments.collect();
    Ok(())
}
