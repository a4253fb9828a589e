//! Any posting and balance, and any change of tariffs.

use std::sync::Arc;

use lotkeeper_engine::ids::{PaymentId, TariffId};
use lotkeeper_engine::lot::payment::Method;
use lotkeeper_engine::lot::{Account, Entry, Posting, Purpose, TariffChange};
use lotkeeper_engine::money::Amount;
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use crate::strategies::{at, text};
use crate::tariffs::{assignment, tariff};
use crate::violations::{amount, owner};

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![Just(Method::Cash), Just(Method::Terminal), text().prop_map(Method::Provider),]
}

fn payment_id() -> impl Strategy<Value = PaymentId> {
    uuid().prop_map(PaymentId)
}

fn account() -> impl Strategy<Value = Account> {
    prop_oneof![
        owner().prop_map(Account::Customer),
        method().prop_map(Account::Received),
        Just(Account::Revenue),
        Just(Account::Penalties),
        Just(Account::Tax),
        Just(Account::ServiceFees),
        Just(Account::WrittenOff),
    ]
}

pub fn posting() -> impl Strategy<Value = Posting> {
    let purpose = prop_oneof![
        Just(Purpose::Charge),
        Just(Purpose::Cancellation),
        Just(Purpose::Penalty),
        payment_id().prop_map(Purpose::Payment),
        payment_id().prop_map(Purpose::Refund),
        Just(Purpose::Waiver),
        Just(Purpose::Pass),
        any::<u64>().prop_map(|of| Purpose::Reversal { of }),
    ];
    let side = (account(), amount()).prop_map(|(account, amount)| Entry { account, amount });
    (any::<u64>(), owner(), purpose, vec(side, 0..7)).prop_map(
        |(number, about, purpose, entries)| Posting {
            number,
            about,
            purpose,
            entries: entries.into(),
        },
    )
}

/// Number of postings and balances: none where there were none.
pub fn accounts() -> impl Strategy<Value = (u64, Vec<(Account, Amount)>)> {
    let some = (1..u64::MAX, vec((account(), amount()), 0..20));
    prop_oneof![1 => Just((0, Vec::new())), 3 => some]
}

pub fn tariff_change() -> impl Strategy<Value = TariffChange> {
    prop_oneof![
        tariff().prop_map(|tariff| TariffChange::Put(Arc::new(tariff))).boxed(),
        (uuid(), at()).prop_map(|(id, at)| TariffChange::End { id: TariffId(id), at }),
        assignment().prop_map(TariffChange::Assign),
        assignment().prop_map(TariffChange::Unassign),
    ]
}
