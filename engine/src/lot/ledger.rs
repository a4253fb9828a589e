//! Money owed and paid in one lot: a double-entry ledger of immutable postings.
//!
//! Every posting adds up to nothing, so all balances together do at any time (invariant I9). Nothing is ever
//! changed: a mistake is taken back by a posting that reverses it and points to it. Postings themselves are
//! events of the log; kept here are the balances that follow from them, and who still owes what.
//!
//! Signs: a debit is positive, a credit negative. A stay's account above zero is what it owes; below zero is
//! what was paid in advance.

use imbl::OrdMap;
use smallvec::{SmallVec, smallvec};

use super::payment::Method;
use super::timeline::Owner;
use crate::ids::PaymentId;
use crate::money::Amount;
use crate::tariff::{Fee, LineKind};

/// Where money is, or what it is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// What a reservation and the stay that comes of it owe.
    Customer(Owner),
    /// Received, by how it was paid: cash in the drawers, the terminal's, a provider's.
    Received(Method),
    /// Earned by parking.
    Revenue,
    /// Earned by penalties.
    Penalties,
    /// Owed to the tax office.
    Tax,
    /// Earned by, or owed to, whoever runs the market place.
    ServiceFees,
    /// Given up: waived, or left unpaid for good.
    WrittenOff,
}

/// What a posting is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A stay is billed.
    Charge,
    /// A reservation that was given up, or not used, is billed for what is kept.
    Cancellation,
    /// A violation's penalty.
    Penalty,
    /// Money came in.
    Payment(PaymentId),
    /// Money went back.
    Refund(PaymentId),
    /// A claim is given up.
    Waiver,
    /// A pass is sold.
    Pass,
    /// Takes another posting back.
    Reversal {
        /// Its number.
        of: u64,
    },
}

/// One side of a posting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// On which account.
    pub account: Account,
    /// Debit positive, credit negative.
    pub amount: Amount,
}

/// Entries that add up to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Its place in the lot's ledger: 1, 2, 3, ... without a gap.
    pub number: u64,
    /// Whose.
    pub about: Owner,
    /// What for.
    pub purpose: Purpose,
    /// The sides.
    pub entries: SmallVec<[Entry; 4]>,
}

/// The balances of one lot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    postings: u64,
    /// Those that are not zero.
    balances: OrdMap<Account, Amount>,
}

impl Posting {
    /// Whether its sides add up to nothing.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.entries.iter().map(|entry| i128::from(entry.amount.0)).sum::<i128>() == 0
    }

    fn between(
        about: Owner,
        purpose: Purpose,
        number: u64,
        (debit, credit): (Account, Account),
        amount: Amount,
    ) -> Self {
        let entries = smallvec![
            Entry { account: debit, amount },
            Entry { account: credit, amount: Amount(-amount.0) },
        ];
        Self { number, about, purpose, entries }
    }
}

/// So much of an amount as `part` is of `whole`, towards zero.
fn share(amount: Amount, part: Amount, whole: i64) -> Amount {
    let share = i128::from(amount.0) * i128::from(part.0) / i128::from(whole);
    Amount(i64::try_from(share).unwrap_or(amount.0))
}

impl Accounts {
    /// As they were taken apart by [`Accounts::parts`].
    #[must_use]
    pub fn from_parts((postings, balances): (u64, Vec<(Account, Amount)>)) -> Self {
        let balances = balances.into_iter().filter(|(_, amount)| amount.0 != 0).collect();
        Self { postings, balances }
    }

    /// What a snapshot must hold: the number of postings, and the balances that are not zero.
    #[must_use]
    pub fn parts(&self) -> (u64, Vec<(Account, Amount)>) {
        let balances = self.balances.iter().map(|(account, amount)| (account.clone(), *amount));
        (self.postings, balances.collect())
    }

    /// How many postings there were.
    #[must_use]
    pub fn postings(&self) -> u64 {
        self.postings
    }

    /// The balance of an account.
    #[must_use]
    pub fn balance(&self, account: &Account) -> Amount {
        self.balances.get(account).copied().unwrap_or_default()
    }

    /// All balances that are not zero.
    pub fn balances(&self) -> impl Iterator<Item = (&Account, Amount)> {
        self.balances.iter().map(|(account, amount)| (account, *amount))
    }

    /// What is owed, or below zero what was paid in advance.
    #[must_use]
    pub fn owed_by(&self, owner: Owner) -> Amount {
        self.balance(&Account::Customer(owner))
    }

    /// Whether all balances add up to nothing (invariant I9).
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.balances.values().map(|amount| i128::from(amount.0)).sum::<i128>() == 0
    }

    pub(super) fn apply(&mut self, posting: &Posting) {
        self.postings = self.postings.max(posting.number);
        for Entry { account, amount } in &posting.entries {
            let balance = self.balance(account).0.saturating_add(amount.0);
            if balance == 0 {
                self.balances.remove(account);
            } else {
                self.balances.insert(account.clone(), Amount(balance));
            }
        }
    }

    /// Bills a fee, line by line to where each belongs.
    #[must_use]
    pub fn charge(&self, about: Owner, purpose: Purpose, fee: &Fee) -> Posting {
        self.charge_part(about, purpose, fee, Amount::ZERO)
    }

    /// Bills what is left of a fee when `refund` of it is let off; tax and shares shrink with it.
    #[must_use]
    pub fn charge_part(
        &self,
        about: Owner,
        purpose: Purpose,
        fee: &Fee,
        refund: Amount,
    ) -> Posting {
        let total = fee.total.saturating_sub(refund);
        let part = |amount: Amount| match fee.total.0 {
            0 => amount,
            whole => share(amount, total, whole),
        };
        let penalties = part(fee.of(LineKind::Penalty));
        let (tax, service_fees) = (part(fee.tax), part(fee.service_fee));
        // What is left belongs to the operator: so the sides add up whatever was rounded.
        let others = [tax, service_fees, penalties];
        let revenue = others.into_iter().fold(total, Amount::saturating_sub);
        let mut entries: SmallVec<[Entry; 4]> =
            smallvec![Entry { account: Account::Customer(about), amount: total }];
        for (account, amount) in [
            (Account::Revenue, revenue),
            (Account::Penalties, penalties),
            (Account::ServiceFees, service_fees),
            (Account::Tax, tax),
        ] {
            if amount != Amount::ZERO {
                entries.push(Entry { account, amount: Amount(amount.0.saturating_neg()) });
            }
        }
        Posting { number: self.postings + 1, about, purpose, entries }
    }

    /// Money that came in.
    #[must_use]
    pub fn receive(&self, about: Owner, id: PaymentId, method: &Method, amount: Amount) -> Posting {
        let sides = (Account::Received(method.clone()), Account::Customer(about));
        Posting::between(about, Purpose::Payment(id), self.postings + 1, sides, amount)
    }

    /// Money that went back.
    #[must_use]
    pub fn refund(&self, about: Owner, id: PaymentId, method: &Method, amount: Amount) -> Posting {
        let sides = (Account::Customer(about), Account::Received(method.clone()));
        Posting::between(about, Purpose::Refund(id), self.postings + 1, sides, amount)
    }

    /// A penalty that is owed.
    #[must_use]
    pub fn penalise(&self, about: Owner, amount: Amount) -> Posting {
        let sides = (Account::Customer(about), Account::Penalties);
        Posting::between(about, Purpose::Penalty, self.postings + 1, sides, amount)
    }

    /// The price of a pass. What of it is tax is the plan's business, outside of here.
    #[must_use]
    pub fn sell(&self, about: Owner, amount: Amount) -> Posting {
        let sides = (Account::Customer(about), Account::Revenue);
        Posting::between(about, Purpose::Pass, self.postings + 1, sides, amount)
    }

    /// A claim that is given up.
    #[must_use]
    pub fn waive(&self, about: Owner, amount: Amount) -> Posting {
        let sides = (Account::WrittenOff, Account::Customer(about));
        Posting::between(about, Purpose::Waiver, self.postings + 1, sides, amount)
    }

    /// Takes a posting back: the same with its signs turned.
    #[must_use]
    pub fn reverse(&self, posting: &Posting) -> Posting {
        let turned = posting
            .entries
            .iter()
            .map(|entry| Entry { account: entry.account.clone(), amount: Amount(-entry.amount.0) });
        Posting {
            number: self.postings + 1,
            about: posting.about,
            purpose: Purpose::Reversal { of: posting.number },
            entries: turned.collect(),
        }
    }
}
