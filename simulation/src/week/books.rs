//! The books of a week, made anew from the log alone: stays, fees, postings.
//!
//! Invariants looked for: every stay that ended has one fee and one charge of the same amount; what was not
//! booked costs what the sign says, computed by hand; every posting adds up to nothing, their numbers have no
//! gap; what customers owe, was received and earned are the postings' sums.

use std::collections::BTreeMap;

use lotkeeper_engine::ids::{ReservationId, SessionId};
use lotkeeper_engine::lot::session::{self, Entered, Origin};
use lotkeeper_engine::lot::{Account, Accounts, Event, Owner, Posting, Purpose};
use lotkeeper_engine::tariff::{Fee, LineKind};
use lotkeeper_engine::time::Timestamp;

use super::lots::{DAY_AMOUNT, by_hand};

/// A stay as the log tells it.
struct Stay {
    entered: Entered,
    settled: bool,
    /// Its fees: one, once it ended.
    fees: Vec<Option<i64>>,
}

/// The books of one lot.
#[derive(Default)]
pub(super) struct Books {
    lot: usize,
    stays: BTreeMap<SessionId, Stay>,
    of_reservation: BTreeMap<ReservationId, SessionId>,
    charges: BTreeMap<Owner, Vec<i64>>,
    balances: BTreeMap<Account, i64>,
    postings: u64,
}

impl Books {
    pub fn of(lot: usize) -> Self {
        Self { lot, ..Self::default() }
    }

    pub fn take(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Session(event) => self.stay(event),
            Event::Posted(posting) => self.post(posting),
            _ => Ok(()),
        }
    }

    fn stay(&mut self, event: &session::Event) -> Result<(), String> {
        use session::Event as E;
        match event {
            E::Entered(entered) => {
                if let Origin::Reservation(id) = entered.origin
                    && let Some(before) = self.of_reservation.insert(id, entered.id)
                {
                    return Err(format!("{id} came in twice: {before} and {}", entered.id));
                }
                let stay = Stay { entered: (**entered).clone(), settled: false, fees: Vec::new() };
                match self.stays.insert(entered.id, stay) {
                    Some(_) => Err(format!("{} entered twice", entered.id)),
                    None => Ok(()),
                }
            }
            E::Settled { id, .. } => {
                self.known(*id)?.settled = true;
                Ok(())
            }
            E::Left(left) => self.ended(left.id, left.fee.as_deref(), Some(left.at)),
            E::Abandoned { id, fee } => self.ended(*id, fee.as_deref(), None),
            E::Placed { .. }
            | E::Overstayed { .. }
            | E::Identified { .. }
            | E::TicketLost { .. }
            | E::Requested { .. }
            | E::Denied(_) => Ok(()),
        }
    }

    fn known(&mut self, id: SessionId) -> Result<&mut Stay, String> {
        self.stays.get_mut(&id).ok_or_else(|| format!("{id} never entered"))
    }

    fn ended(
        &mut self,
        id: SessionId,
        fee: Option<&Fee>,
        left_at: Option<Timestamp>,
    ) -> Result<(), String> {
        let lot = self.lot;
        let stay = self.known(id)?;
        stay.fees.push(fee.map(|fee| fee.total.0));
        let Some(fee) = fee else { return Err(format!("{id} ended without a fee")) };
        if !fee.adds_up() {
            return Err(format!("the fee of {id} is no sum: {fee:?}"));
        }
        let Some(left_at) = left_at else {
            // Nobody saw it leave: at most a day, and no penalty.
            return match stay.entered.booked.is_some() || fee.total.0 <= DAY_AMOUNT[lot] {
                true if fee.of(LineKind::Penalty).0 == 0 => Ok(()),
                _ => Err(format!("{id} was given up for {fee:?}")),
            };
        };
        let whole = left_at.whole_seconds() - stay.entered.at.whole_seconds();
        if !stay.settled && (whole - i64::from(fee.stayed.0)).abs() > 1 {
            return Err(format!("{id} stayed {whole} s and is billed {fee:?}"));
        }
        let plain = matches!(stay.entered.origin, Origin::DriveIn | Origin::Manual);
        let lost = fee.of(LineKind::LostTicket).0;
        let expected = by_hand(lot, fee.stayed) + lost;
        match plain && fee.total.0 != expected {
            true => Err(format!("{id} costs {expected} by hand, not {fee:?}")),
            false => Ok(()),
        }
    }

    fn post(&mut self, posting: &Posting) -> Result<(), String> {
        self.postings += 1;
        if posting.number != self.postings || !posting.is_balanced() {
            return Err(format!("posting {} is {posting:?}", self.postings));
        }
        for entry in &posting.entries {
            *self.balances.entry(entry.account.clone()).or_default() += entry.amount.0;
        }
        if matches!(posting.purpose, Purpose::Charge | Purpose::Cancellation) {
            let customer = Account::Customer(posting.about);
            let of = posting.entries.iter().filter(|entry| entry.account == customer);
            let charged = of.map(|entry| entry.amount.0).sum();
            self.charges.entry(posting.about).or_default().push(charged);
        }
        Ok(())
    }

    /// What must be true once nothing more happens.
    pub fn close(&self, accounts: &Accounts, paid: i64) -> Result<(), String> {
        for (id, stay) in &self.stays {
            let owner = match stay.entered.origin {
                Origin::Reservation(id) => Owner::Reservation(id),
                _ => Owner::Session(*id),
            };
            let charged = self.charges.get(&owner).map_or(&[][..], Vec::as_slice);
            match (stay.fees.as_slice(), charged) {
                ([], []) | ([Some(0)], []) => {}
                ([Some(fee)], [charge]) if fee == charge => {}
                (fees, charged) => {
                    return Err(format!("{id} has the fees {fees:?} and the charges {charged:?}"));
                }
            }
        }
        if let Some((owner, twice)) = self.charges.iter().find(|(_, charged)| charged.len() > 1) {
            return Err(format!("{owner:?} is charged {twice:?}"));
        }
        let kept = self.balances.iter().filter(|(_, amount)| **amount != 0);
        if !kept.eq(accounts
            .balances()
            .map(|(account, amount)| (account, amount.0))
            .collect::<BTreeMap<_, _>>()
            .iter()
            .map(|(a, b)| (*a, b)))
        {
            return Err("the balances are not the sums of the postings".to_owned());
        }
        let received = self.balances.iter().filter(|(it, _)| matches!(it, Account::Received(_)));
        let received: i64 = received.map(|(_, amount)| amount).sum();
        if received != paid {
            return Err(format!("{received} were received, people paid {paid}"));
        }
        let sum: i64 = self.balances.values().sum();
        match (sum, self.postings == accounts.postings()) {
            (0, true) => Ok(()),
            _ => Err(format!("{} postings add up to {sum}", self.postings)),
        }
    }

    /// Stays that ended.
    pub fn ended_count(&self) -> u64 {
        self.stays.values().filter(|stay| !stay.fees.is_empty()).count() as u64
    }
}
