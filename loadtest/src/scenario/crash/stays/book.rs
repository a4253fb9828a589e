//! The lot of stays as its log tells it: every stay, payment, posting, violation and pass once, every step on
//! the one before, every posting in balance, one charge for every stay that ended.
//!
//! Invariant: a fault in the log is noted once and the model goes on from what the log says.

use super::super::checks::Checks;
use super::super::log::LogEvent;
use super::fact::Money;
use crate::verify::Check;
use std::collections::{BTreeMap, HashMap};

/// The end of a stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    pub seq: u64,
    pub fee: Option<i64>,
}

/// A stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    pub entered_seq: u64,
    pub left: Option<Left>,
    /// Whose account it is billed to: the reservation's, or its own.
    account: String,
}

/// A payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    pub seq: u64,
    pub amount: i64,
}

/// A violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    pub raised_seq: u64,
    pub ended_seq: Option<u64>,
}

/// A reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    pub made_seq: u64,
    pub has_ended: bool,
}

/// The model.
#[derive(Debug)]
pub struct StayBook {
    pub code: String,
    /// By lot sequence, from 1: what kind of event it is.
    kinds: Vec<String>,
    stays: BTreeMap<String, Stay>,
    payments: HashMap<String, Payment>,
    violations: HashMap<String, Violation>,
    passes: HashMap<String, u64>,
    reservations: BTreeMap<String, Reserved>,
    /// How many, and of whom how much was charged for parking.
    postings: u64,
    charged: HashMap<String, Vec<i64>>,
    /// Posted for a payment of which no record has come.
    money_of: HashMap<String, i64>,
    balances: BTreeMap<String, i64>,
}

impl StayBook {
    /// Before its first event.
    pub fn new(code: &str) -> Self {
        Self {
            code: code.into(),
            kinds: Vec::new(),
            stays: BTreeMap::new(),
            payments: HashMap::new(),
            violations: HashMap::new(),
            passes: HashMap::new(),
            reservations: BTreeMap::new(),
            postings: 0,
            charged: HashMap::new(),
            money_of: HashMap::new(),
            balances: BTreeMap::new(),
        }
    }

    /// The last sequence.
    pub fn head(&self) -> u64 {
        self.kinds.len() as u64
    }

    pub fn kind_at(&self, seq: u64) -> Option<&str> {
        self.kinds.get(usize::try_from(seq).ok()?.checked_sub(1)?).map(String::as_str)
    }

    pub fn stay(&self, id: &str) -> Option<&Stay> {
        self.stays.get(id)
    }

    pub fn stays(&self) -> &BTreeMap<String, Stay> {
        &self.stays
    }

    pub fn payment(&self, id: &str) -> Option<&Payment> {
        self.payments.get(id)
    }

    pub fn violation(&self, id: &str) -> Option<&Violation> {
        self.violations.get(id)
    }

    pub fn pass(&self, id: &str) -> Option<u64> {
        self.passes.get(id).copied()
    }

    pub fn reservation(&self, id: &str) -> Option<&Reserved> {
        self.reservations.get(id)
    }

    pub fn reservations(&self) -> &BTreeMap<String, Reserved> {
        &self.reservations
    }

    /// Balances that are not zero, and how many postings made them.
    pub fn ledger(&self) -> (u64, BTreeMap<&str, i64>) {
        let balances = self.balances.iter().filter(|(_, balance)| **balance != 0);
        (self.postings, balances.map(|(account, balance)| (account.as_str(), *balance)).collect())
    }

    /// Whether anything was made under an id.
    pub fn has(&self, id: &str) -> bool {
        self.stays.contains_key(id)
            || self.payments.contains_key(id)
            || self.violations.contains_key(id)
            || self.passes.contains_key(id)
            || self.reservations.contains_key(id)
    }

    /// What is only wrong when nothing comes after: money that was posted for no payment.
    pub fn closed(&self, check: &mut Check) {
        for id in self.money_of.keys() {
            check.fault(format!(
                "lot {}: money is posted of payment {id}, which is not recorded",
                self.code
            ));
        }
    }

    /// The next event.
    pub fn take(&mut self, event: &LogEvent, checks: &mut Checks) {
        let (seq, expected) = (event.lot_seq, self.head() + 1);
        if seq < expected {
            checks.whole.fault(self.says(event, "its lot seq comes again"));
            return;
        }
        if seq > expected {
            checks.whole.fault(self.says(event, &format!("it follows lot seq {}", expected - 1)));
            self.kinds.resize((seq - 1) as usize, String::new());
        }
        self.kinds.push(event.kind.clone());
        let fault = match event.kind.split_once('.') {
            Some(("session", what)) => self.session(event, what),
            Some(("reservation", what)) => self.reserved(event, what),
            Some(("payment", "recorded")) => self.paid(event),
            Some(("ledger", "posted")) => self.posted(event, &mut checks.money),
            Some(("violation", what)) => self.violated(event, what),
            Some(("pass", "issued")) => self.issued(event),
            _ => Ok(()),
        };
        if let Err(why) = fault {
            checks.once.fault(self.says(event, &why));
        }
        if event.kind == "session.left" || event.kind == "session.abandoned" {
            self.billed_once(event, &mut checks.money);
        }
    }

    fn says(&self, event: &LogEvent, what: &str) -> String {
        format!("lot {} event {} ({}): {what}", self.code, event.seq, event.kind)
    }

    fn session(&mut self, event: &LogEvent, what: &str) -> Result<(), String> {
        let id = event.data.session.clone().ok_or("it names no session")?;
        let known = self.stays.get_mut(&id);
        match (what, known) {
            ("entered", Some(_)) => Err(format!("session {id} came in before")),
            ("entered", None) => {
                let account = match &event.data.reservation {
                    Some(reservation) => format!("reservations/{reservation}"),
                    None => format!("sessions/{id}"),
                };
                let stay = Stay { entered_seq: event.lot_seq, left: None, account };
                self.stays.insert(id, stay);
                Ok(())
            }
            (_, None) => Err(format!("session {id} never came in")),
            (_, Some(Stay { left: Some(_), .. })) => Err(format!("session {id} was over")),
            ("left" | "abandoned", Some(stay)) => {
                let fee = event.data.fee.map(|fee| fee.amount);
                stay.left = Some(Left { seq: event.lot_seq, fee });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The bill comes before the end, so all of it is there by now.
    fn billed_once(&self, event: &LogEvent, check: &mut Check) {
        check.examine(1);
        let Some(stay) = event.data.session.as_ref().and_then(|id| self.stays.get(id)) else {
            return;
        };
        let fee = stay.left.and_then(|left| left.fee);
        let charged = self.charged.get(&stay.account).map(Vec::as_slice).unwrap_or_default();
        let wanted: &[i64] = match &fee {
            None | Some(0) => &[],
            Some(fee) => std::slice::from_ref(fee),
        };
        if charged != wanted {
            let what = format!("the fee is {fee:?}, {} was charged {charged:?}", stay.account);
            check.fault(self.says(event, &what));
        }
        if fee.is_none() {
            check.fault(self.says(event, "it ended without a fee"));
        }
    }

    fn reserved(&mut self, event: &LogEvent, what: &str) -> Result<(), String> {
        let id = event.data.reservation.clone().ok_or("it names no reservation")?;
        let is_new = what == "held" || what == "confirmed" && event.window().is_some();
        let has_ended = matches!(what, "cancelled" | "expired" | "completed" | "no_show");
        match (self.reservations.get_mut(&id), is_new) {
            (Some(_), true) => Err(format!("reservation {id} is made again")),
            (None, false) => Err(format!("reservation {id} was never made")),
            (Some(known), false) if known.has_ended => Err(format!("reservation {id} was over")),
            (Some(known), false) => {
                known.has_ended = has_ended;
                Ok(())
            }
            (None, true) => {
                self.reservations.insert(id, Reserved { made_seq: event.lot_seq, has_ended });
                Ok(())
            }
        }
    }

    fn paid(&mut self, event: &LogEvent) -> Result<(), String> {
        let id = event.named("payments/").ok_or("it names no payment")?;
        let Money { amount } = event.data.amount.ok_or("it has no amount")?;
        let posted = self.money_of.remove(id);
        let known = self.payments.insert(id.into(), Payment { seq: event.lot_seq, amount });
        if known.is_some() {
            return Err(format!("payment {id} is recorded again"));
        }
        match posted {
            Some(posted) if posted == amount => Ok(()),
            posted => Err(format!("payment {id} of {amount}, and {posted:?} was posted")),
        }
    }

    fn posted(&mut self, event: &LogEvent, check: &mut Check) -> Result<(), String> {
        check.examine(1);
        let data = &event.data;
        let expected = self.postings + 1;
        self.postings = data.number.unwrap_or(expected);
        if data.number != Some(expected) {
            check.fault(
                self.says(event, &format!("posting {:?} follows {}", data.number, expected - 1)),
            );
        }
        let about = data.about.clone().ok_or("it is about nobody")?;
        let customer = format!("customer:{about}");
        let mut of_customer = 0;
        for side in &data.entries {
            *self.balances.entry(side.account.clone()).or_default() += side.amount.amount;
            of_customer += if side.account == customer { side.amount.amount } else { 0 };
        }
        let sum: i64 = data.entries.iter().map(|side| side.amount.amount).sum();
        if sum != 0 || data.entries.is_empty() {
            check.fault(self.says(event, &format!("its sides add up to {sum}")));
        }
        match (data.purpose.as_deref(), &data.of) {
            (Some("charge"), _) => self.charged.entry(about).or_default().push(of_customer),
            (Some("payment"), Some(of)) => {
                let of = of.as_str().ok_or("it is of no payment")?.to_string();
                if self.payments.contains_key(&of) || self.money_of.contains_key(&of) {
                    return Err(format!("payment {of} is posted again"));
                }
                self.money_of.insert(of, -of_customer);
            }
            _ => {}
        }
        Ok(())
    }

    fn violated(&mut self, event: &LogEvent, what: &str) -> Result<(), String> {
        let id = event.named("violations/").ok_or("it names no violation")?;
        let has_ended = matches!(what, "paid" | "waived" | "resolved");
        match (self.violations.get_mut(id), what) {
            (Some(_), "raised") => Err(format!("violation {id} is raised again")),
            (None, "raised") => {
                let raised = Violation { raised_seq: event.lot_seq, ended_seq: None };
                self.violations.insert(id.into(), raised);
                Ok(())
            }
            (None, _) => Err(format!("violation {id} was never raised")),
            (Some(known), _) if known.ended_seq.is_some() => {
                Err(format!("violation {id} was over at {:?}", known.ended_seq))
            }
            (Some(known), _) => {
                known.ended_seq = has_ended.then_some(event.lot_seq);
                Ok(())
            }
        }
    }

    fn issued(&mut self, event: &LogEvent) -> Result<(), String> {
        let id = event.named("passes/").ok_or("it names no pass")?;
        match self.passes.insert(id.into(), event.lot_seq) {
            Some(first) => Err(format!("pass {id} was issued at {first}")),
            None => Ok(()),
        }
    }
}
