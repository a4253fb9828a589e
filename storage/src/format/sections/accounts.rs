//! Section 7: the ledger's number of postings and its balances that are not zero.

use super::{Section, decode};
use crate::format::money::Accounts;
use crate::format::{FormatError, append};
use crate::snapshot::LotSnapshot;

pub(super) const SECTION: Section =
    Section { tag: 7, name: "accounts", required: false, write, read };

fn write(snapshot: &LotSnapshot, into: &mut Vec<u8>) -> Result<(), FormatError> {
    if snapshot.parts.accounts.0 == 0 {
        return Ok(());
    }
    append(&Accounts::from(&snapshot.parts.accounts), "snapshot", into)
}

fn read(bytes: &[u8], snapshot: &mut LotSnapshot) -> Result<(), FormatError> {
    let accounts: Accounts<'_> = decode(bytes)?;
    snapshot.parts.accounts = accounts.into();
    Ok(())
}
