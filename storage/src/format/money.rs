//! Money: terms, prices, postings and changes of tariffs. Since frame format 3, snapshot format 2.
//!
//! The order of fields and variants is the format: a later format adds variants at the end. What a tariff and
//! a fee are is in `tariff.rs`.

use std::sync::Arc;

use bincode::{BorrowDecode, Decode, Encode};
use lotkeeper_engine::ids::{PassId, TariffId};
use lotkeeper_engine::lot::{
    self, Account as EngineAccount, Owner as EngineOwner, Purpose as EnginePurpose,
};
use lotkeeper_engine::money::{Amount, PerMille};
use lotkeeper_engine::time::Timestamp;
use uuid::Uuid;

use super::FormatError;
pub(super) use super::fee::Fee;
use super::lot_event::{pseudonym, reservation_id};
use super::pass::Coverage;
use super::payment::{Method, payment_id};
use super::stay::session_id;
use super::stored::Stored;
use super::tariff::{Assignment, Tariff};

#[derive(Encode, BorrowDecode)]
pub(super) struct Terms<'a> {
    tariff: Option<([u8; 16], u32)>,
    multiplier_permille: u32,
    vehicle_type: Option<&'a str>,
    discounts: Vec<&'a str>,
    pass: Option<Coverage>,
}

#[derive(Encode, BorrowDecode)]
pub(super) struct Price<'a> {
    fee: Fee,
    terms: Terms<'a>,
}

#[derive(Clone, Copy, Encode, Decode)]
pub(super) enum Owner {
    Reservation([u8; 16]),
    Session([u8; 16]),
    Vehicle([u8; 16]),
    Pass([u8; 16]),
}

impl Stored<EngineOwner> for Owner {
    fn of(owner: &EngineOwner) -> Self {
        (*owner).into()
    }

    fn engine(self) -> EngineOwner {
        self.into()
    }
}

#[derive(Encode, BorrowDecode)]
enum Account<'a> {
    Customer(Owner),
    Received(Method<'a>),
    Revenue,
    Penalties,
    Tax,
    ServiceFees,
    WrittenOff,
}

#[derive(Clone, Copy, Encode, Decode)]
enum Purpose {
    Charge,
    Cancellation,
    Penalty,
    Payment([u8; 16]),
    Refund([u8; 16]),
    Waiver,
    Reversal(u64),
    Pass,
}

#[derive(Encode, BorrowDecode)]
pub(super) struct Posting<'a> {
    number: u64,
    about: Owner,
    purpose: Purpose,
    entries: Vec<(Account<'a>, i64)>,
}

/// The balances of a lot.
#[derive(Encode, BorrowDecode)]
pub(super) struct Accounts<'a> {
    postings: u64,
    balances: Vec<(Account<'a>, i64)>,
}

#[derive(Encode, BorrowDecode)]
pub(super) enum TariffChange {
    Put(Box<Tariff>),
    End { id: [u8; 16], at: i64 },
    Assign(Assignment),
    Unassign(Assignment),
}

fn boxed(texts: Vec<&str>) -> Box<[Box<str>]> {
    texts.into_iter().map(Into::into).collect()
}

impl<'a> From<&'a lot::Terms> for Terms<'a> {
    fn from(terms: &'a lot::Terms) -> Self {
        Self {
            tariff: terms.tariff.map(|(id, version)| (id.0.into_bytes(), version)),
            multiplier_permille: terms.multiplier.0,
            vehicle_type: terms.vehicle_type.as_deref(),
            discounts: terms.discounts.iter().map(|code| &**code).collect(),
            pass: Stored::of(&terms.pass),
        }
    }
}

impl From<Terms<'_>> for lot::Terms {
    fn from(terms: Terms<'_>) -> Self {
        let tariff = |(id, version)| (TariffId(Uuid::from_bytes(id)), version);
        Self {
            tariff: terms.tariff.map(tariff),
            multiplier: PerMille(terms.multiplier_permille),
            vehicle_type: terms.vehicle_type.map(Into::into),
            discounts: boxed(terms.discounts),
            pass: terms.pass.engine(),
        }
    }
}

impl<'a> From<&'a lot::Price> for Price<'a> {
    fn from(price: &'a lot::Price) -> Self {
        Self { fee: (&price.fee).into(), terms: (&*price.terms).into() }
    }
}

impl TryFrom<Price<'_>> for lot::Price {
    type Error = FormatError;

    fn try_from(price: Price<'_>) -> Result<Self, FormatError> {
        Ok(Self { fee: price.fee.try_into()?, terms: Arc::new(price.terms.into()) })
    }
}

impl From<EngineOwner> for Owner {
    fn from(owner: EngineOwner) -> Self {
        match owner {
            EngineOwner::Reservation(id) => Self::Reservation(id.0.into_bytes()),
            EngineOwner::Session(id) => Self::Session(id.0.into_bytes()),
            EngineOwner::Vehicle(id) => Self::Vehicle(id.0.into_bytes()),
            EngineOwner::Pass(id) => Self::Pass(id.0.into_bytes()),
        }
    }
}

impl From<Owner> for EngineOwner {
    fn from(owner: Owner) -> Self {
        match owner {
            Owner::Reservation(id) => Self::Reservation(reservation_id(id)),
            Owner::Session(id) => Self::Session(session_id(id)),
            Owner::Vehicle(id) => Self::Vehicle(pseudonym(id)),
            Owner::Pass(id) => Self::Pass(PassId(Uuid::from_bytes(id))),
        }
    }
}

impl<'a> From<&'a EngineAccount> for Account<'a> {
    fn from(account: &'a EngineAccount) -> Self {
        match account {
            EngineAccount::Customer(owner) => Self::Customer((*owner).into()),
            EngineAccount::Received(method) => Self::Received(method.into()),
            EngineAccount::Revenue => Self::Revenue,
            EngineAccount::Penalties => Self::Penalties,
            EngineAccount::Tax => Self::Tax,
            EngineAccount::ServiceFees => Self::ServiceFees,
            EngineAccount::WrittenOff => Self::WrittenOff,
        }
    }
}

impl From<Account<'_>> for EngineAccount {
    fn from(account: Account<'_>) -> Self {
        match account {
            Account::Customer(owner) => Self::Customer(owner.into()),
            Account::Received(method) => Self::Received(method.into()),
            Account::Revenue => Self::Revenue,
            Account::Penalties => Self::Penalties,
            Account::Tax => Self::Tax,
            Account::ServiceFees => Self::ServiceFees,
            Account::WrittenOff => Self::WrittenOff,
        }
    }
}

impl From<EnginePurpose> for Purpose {
    fn from(purpose: EnginePurpose) -> Self {
        match purpose {
            EnginePurpose::Charge => Self::Charge,
            EnginePurpose::Cancellation => Self::Cancellation,
            EnginePurpose::Penalty => Self::Penalty,
            EnginePurpose::Payment(id) => Self::Payment(id.0.into_bytes()),
            EnginePurpose::Refund(id) => Self::Refund(id.0.into_bytes()),
            EnginePurpose::Waiver => Self::Waiver,
            EnginePurpose::Pass => Self::Pass,
            EnginePurpose::Reversal { of } => Self::Reversal(of),
        }
    }
}

impl From<Purpose> for EnginePurpose {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Charge => Self::Charge,
            Purpose::Cancellation => Self::Cancellation,
            Purpose::Penalty => Self::Penalty,
            Purpose::Payment(id) => Self::Payment(payment_id(id)),
            Purpose::Refund(id) => Self::Refund(payment_id(id)),
            Purpose::Waiver => Self::Waiver,
            Purpose::Pass => Self::Pass,
            Purpose::Reversal(of) => Self::Reversal { of },
        }
    }
}

impl<'a> From<&'a lot::Posting> for Posting<'a> {
    fn from(posting: &'a lot::Posting) -> Self {
        let entry = |entry: &'a lot::Entry| ((&entry.account).into(), entry.amount.0);
        Self {
            number: posting.number,
            about: posting.about.into(),
            purpose: posting.purpose.into(),
            entries: posting.entries.iter().map(entry).collect(),
        }
    }
}

impl From<Posting<'_>> for lot::Posting {
    fn from(posting: Posting<'_>) -> Self {
        let entry = |(account, amount): (Account<'_>, i64)| lot::Entry {
            account: account.into(),
            amount: Amount(amount),
        };
        Self {
            number: posting.number,
            about: posting.about.into(),
            purpose: posting.purpose.into(),
            entries: posting.entries.into_iter().map(entry).collect(),
        }
    }
}

impl<'a> From<&'a (u64, Vec<(EngineAccount, Amount)>)> for Accounts<'a> {
    fn from((postings, balances): &'a (u64, Vec<(EngineAccount, Amount)>)) -> Self {
        let balance = |(account, amount): &'a (EngineAccount, Amount)| (account.into(), amount.0);
        Self { postings: *postings, balances: balances.iter().map(balance).collect() }
    }
}

impl From<Accounts<'_>> for (u64, Vec<(EngineAccount, Amount)>) {
    fn from(accounts: Accounts<'_>) -> Self {
        let balance = |(account, amount): (Account<'_>, i64)| (account.into(), Amount(amount));
        (accounts.postings, accounts.balances.into_iter().map(balance).collect())
    }
}

impl From<&lot::TariffChange> for TariffChange {
    fn from(change: &lot::TariffChange) -> Self {
        match change {
            lot::TariffChange::Put(tariff) => Self::Put(Box::new((&**tariff).into())),
            lot::TariffChange::End { id, at } => {
                Self::End { id: id.0.into_bytes(), at: at.micros() }
            }
            lot::TariffChange::Assign(assignment) => Self::Assign(assignment.into()),
            lot::TariffChange::Unassign(assignment) => Self::Unassign(assignment.into()),
        }
    }
}

impl TryFrom<TariffChange> for lot::TariffChange {
    type Error = FormatError;

    fn try_from(change: TariffChange) -> Result<Self, FormatError> {
        Ok(match change {
            TariffChange::Put(tariff) => Self::Put(Arc::new((*tariff).try_into()?)),
            TariffChange::End { id, at } => {
                let id = TariffId(Uuid::from_bytes(id));
                Self::End { id, at: Timestamp::from_micros(at) }
            }
            TariffChange::Assign(assignment) => Self::Assign(assignment.into()),
            TariffChange::Unassign(assignment) => Self::Unassign(assignment.into()),
        })
    }
}
