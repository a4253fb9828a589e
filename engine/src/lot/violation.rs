//! Violations: what somebody does in a lot that he may not, what that costs him, and what became of it.
//!
//! Invariants: only open violations move; whoever is penalised has an account for it.
//! Absent: the kinds (`violation/kind.rs`), what decides about them (`decide/violation.rs`), and anybody's name or free text.

mod kind;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet, Vector};
use uuid::Uuid;

pub use kind::{Kind, Severity};

use super::timeline::Owner;
use crate::ids::{Pseudonym, SessionId, SlotIndex, ViolationId};
use crate::limits::ENDED_VIOLATIONS_KEPT_PER_LOT;
use crate::money::Amount;
use crate::spec::Rules;
use crate::time::Timestamp;

/// Where a violation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody was told yet.
    Open,
    /// Whoever did it was told.
    Notified,
    /// He says that it is wrong; staff must decide.
    Appealed,
    /// Its penalty is paid.
    Paid,
    /// Given up, the penalty as well.
    Waived,
    /// Over; a penalty that is not paid stays owed.
    Resolved,
}

impl State {
    /// Whether something can still become of it.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            Self::Open | Self::Notified | Self::Appealed => true,
            Self::Paid | Self::Waived | Self::Resolved => false,
        }
    }
}

/// What shows it: where it is found, never what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// A code: `photo`, `reading`, `note-number`.
    pub kind: Box<str>,
    /// A code or an address.
    pub reference: Box<str>,
}

/// One violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Public id.
    pub id: ViolationId,
    /// What is wrong.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub state: State,
    /// Whether the engine found it; else somebody reported it.
    pub detected: bool,
    /// Since when it is wrong.
    pub since: Timestamp,
    /// The stay it is about.
    pub session: Option<SessionId>,
    /// On which slot.
    pub slot: Option<SlotIndex>,
    /// The vehicle, when known.
    pub vehicle: Option<Pseudonym>,
    /// The person it belongs to, when known.
    pub holder: Option<Pseudonym>,
    /// Who pays its penalty; nobody while neither stay nor vehicle is known.
    pub account: Option<Owner>,
    /// What is to be paid for it, beside the fee of the stay.
    pub penalty: Amount,
    /// What shows it.
    pub evidence: Vec<Evidence>,
    /// How often somebody was told.
    pub notices: u8,
    /// When last.
    pub notified_at: Option<Timestamp>,
    /// When its penalty was paid, whatever became of it then.
    pub paid_at: Option<Timestamp>,
    /// The number of the posting that charged it last.
    pub charge: Option<u64>,
    /// A code: why it was appealed against, waived or resolved.
    pub reason: Option<Box<str>>,
    /// Record time of its first event.
    pub created_at: Timestamp,
    /// Record time of its last.
    pub updated_at: Timestamp,
    /// Events applied to it.
    pub version: u32,
}

impl Violation {
    /// The posting that is to be taken back when it is waived: where its penalty was paid. What was never paid
    /// is written off instead.
    #[must_use]
    pub fn charge_to_reverse(&self) -> Option<u64> {
        self.paid_at.and(self.charge)
    }

    /// When the next notice is due; nothing when there is none.
    #[must_use]
    pub fn next_notice(&self, rules: &Rules) -> Option<Timestamp> {
        let told = match self.state {
            State::Open | State::Notified => self.notices,
            State::Appealed | State::Paid | State::Waived | State::Resolved => return None,
        };
        if !self.kind.has_notices() || !self.detected || told >= rules.overstay_notices_max {
            return None;
        }
        // After the last one, so that an engine that was down does not tell everything at once.
        Some(match self.notified_at {
            Some(last) => last.plus(rules.overstay_notice_every),
            None => self.since.plus(rules.overstay_notice_first),
        })
    }
}

/// A violation as raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// Identity.
    pub id: ViolationId,
    /// What is wrong.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// Whether the engine found it.
    pub detected: bool,
    /// Since when.
    pub since: Timestamp,
    /// The stay.
    pub session: Option<SessionId>,
    /// On which slot.
    pub slot: Option<SlotIndex>,
    /// The vehicle.
    pub vehicle: Option<Pseudonym>,
    /// The person.
    pub holder: Option<Pseudonym>,
    /// Who pays.
    pub account: Option<Owner>,
    /// How much.
    pub penalty: Amount,
    /// What shows it.
    pub evidence: Vec<Evidence>,
}

/// What staff found out later; all values are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amended {
    /// Which.
    pub id: ViolationId,
    /// How bad it is.
    pub severity: Severity,
    /// The vehicle.
    pub vehicle: Option<Pseudonym>,
    /// Who pays.
    pub account: Option<Owner>,
    /// How much in all.
    pub penalty: Amount,
    /// What shows it.
    pub evidence: Vec<Evidence>,
}

/// What happened to a violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was found or reported.
    Raised(Box<Raised>),
    /// More is known of it.
    Amended(Box<Amended>),
    /// Whoever did it is to be told.
    Notified {
        /// Which.
        id: ViolationId,
        /// Which notice: 1, 2, 3, ...
        number: u8,
        /// What is owed so far, the penalty and the fee of the stay.
        fee: Amount,
    },
    /// Its penalty is paid.
    Paid {
        /// Which.
        id: ViolationId,
    },
    /// Somebody says that it is wrong.
    Appealed {
        /// Which.
        id: ViolationId,
        /// A code.
        reason: Option<Box<str>>,
    },
    /// Given up.
    Waived {
        /// Which.
        id: ViolationId,
        /// A code.
        reason: Option<Box<str>>,
    },
    /// Over.
    Resolved {
        /// Which.
        id: ViolationId,
        /// A code.
        reason: Option<Box<str>>,
    },
}

impl Event {
    /// Which violation.
    #[must_use]
    pub fn id(&self) -> ViolationId {
        match self {
            Self::Raised(raised) => raised.id,
            Self::Amended(amended) => amended.id,
            Self::Notified { id, .. }
            | Self::Paid { id }
            | Self::Appealed { id, .. }
            | Self::Waived { id, .. }
            | Self::Resolved { id, .. } => *id,
        }
    }
}

/// The violations of one lot that are open, and the last ones that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    violations: OrdMap<ViolationId, Arc<Violation>>,
    /// Oldest first: the order in which they are forgotten.
    ended: Vector<ViolationId>,
    /// Open ones by who pays, and by where.
    by_account: OrdSet<(Owner, ViolationId)>,
    by_slot: OrdSet<(SlotIndex, ViolationId)>,
}

/// A violation before and after an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it was; nothing when it is new.
    pub before: Option<Arc<Violation>>,
    /// What it is.
    pub after: Arc<Violation>,
}

const FIRST: ViolationId = ViolationId(Uuid::nil());
const LAST: ViolationId = ViolationId(Uuid::max());

impl Violations {
    /// As they were taken apart by [`Violations::parts`].
    #[must_use]
    pub fn from_parts(parts: Vec<Arc<Violation>>) -> Self {
        let mut violations = Self::default();
        for violation in parts {
            if !violation.state.is_open() {
                violations.ended.push_back(violation.id);
            }
            violations.take(violation);
        }
        violations
    }

    /// What a snapshot must hold: open ones in order of id, then ended ones, oldest first.
    #[must_use]
    pub fn parts(&self) -> Vec<Arc<Violation>> {
        let ended = self.ended.iter().filter_map(|id| self.violations.get(id));
        self.open().chain(ended).cloned().collect()
    }

    /// A violation the lot remembers.
    #[must_use]
    pub fn get(&self, id: ViolationId) -> Option<&Arc<Violation>> {
        self.violations.get(&id)
    }

    /// All violations the lot remembers, in order of id.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Violation>> {
        self.violations.values()
    }

    /// Violations after `after` in order of id: a page of a list.
    pub fn after(&self, after: Option<ViolationId>) -> impl Iterator<Item = &Arc<Violation>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        self.violations.range((start, Unbounded)).map(|(_, violation)| violation)
    }

    /// Open ones in order of id.
    pub fn open(&self) -> impl Iterator<Item = &Arc<Violation>> {
        self.violations.values().filter(|violation| violation.state.is_open())
    }

    /// How many are open.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.violations.len() - self.ended.len()
    }

    /// Open ones that an account pays for.
    pub fn of_account(&self, owner: Owner) -> impl Iterator<Item = &Arc<Violation>> {
        let range = self.by_account.range((owner, FIRST)..=(owner, LAST));
        range.filter_map(|(_, id)| self.violations.get(id))
    }

    /// Open ones on a slot.
    pub fn at_slot(&self, slot: SlotIndex) -> impl Iterator<Item = &Arc<Violation>> {
        let range = self.by_slot.range((slot, FIRST)..=(slot, LAST));
        range.filter_map(|(_, id)| self.violations.get(id))
    }

    /// The one that is forgotten next.
    #[must_use]
    pub fn oldest_ended(&self) -> Option<ViolationId> {
        self.ended.front().copied()
    }

    /// Applies one event and tells which violation it moved. Total: what is about one that is not there, or
    /// that ended, is ignored.
    /// `postings` is how many there are: a penalty is posted before its violation tells of it.
    pub(super) fn apply(&mut self, event: &Event, at: Timestamp, postings: u64) -> Option<Step> {
        let end = |state, reason: &Option<Box<str>>| {
            let reason = reason.clone();
            move |violation: &mut Violation| {
                (violation.state, violation.reason) = (state, reason);
            }
        };
        match event {
            Event::Raised(raised) => self.raise(raised, at, postings),
            Event::Amended(amended) => self.step(amended.id, at, |violation| {
                let is_moved = amended.account != violation.account;
                if amended.penalty > violation.penalty || is_moved {
                    violation.charge = Some(postings);
                }
                violation.severity = amended.severity;
                violation.vehicle = amended.vehicle;
                violation.account = amended.account;
                violation.penalty = amended.penalty;
                violation.evidence.clone_from(&amended.evidence);
            }),
            Event::Notified { id, number, .. } => self.step(*id, at, |violation| {
                // An appeal waits for staff to decide, whatever they send meanwhile.
                if violation.state != State::Appealed {
                    violation.state = State::Notified;
                }
                violation.notices = *number;
                violation.notified_at = Some(at);
            }),
            Event::Paid { id } => self.step(*id, at, |violation| {
                (violation.state, violation.paid_at) = (State::Paid, Some(at));
            }),
            Event::Appealed { id, reason } => {
                self.reopen(*id);
                self.step(*id, at, end(State::Appealed, reason))
            }
            Event::Waived { id, reason } => self.step(*id, at, end(State::Waived, reason)),
            Event::Resolved { id, reason } => self.step(*id, at, end(State::Resolved, reason)),
        }
    }

    /// What was paid is open again while staff decide.
    fn reopen(&mut self, id: ViolationId) {
        let paid = self.violations.get(&id).filter(|violation| violation.state == State::Paid);
        let Some(paid) = paid else { return };
        let open = Violation { state: State::Open, ..Violation::clone(paid) };
        if let Some(place) = self.ended.index_of(&id) {
            self.ended.remove(place);
        }
        self.violations.insert(id, Arc::new(open));
    }

    fn raise(&mut self, raised: &Raised, at: Timestamp, postings: u64) -> Option<Step> {
        if self.violations.contains_key(&raised.id) {
            return None;
        }
        let after = Arc::new(Violation {
            id: raised.id,
            kind: raised.kind.clone(),
            severity: raised.severity,
            state: State::Open,
            detected: raised.detected,
            since: raised.since,
            session: raised.session,
            slot: raised.slot,
            vehicle: raised.vehicle,
            holder: raised.holder,
            account: raised.account,
            penalty: raised.penalty,
            evidence: raised.evidence.clone(),
            notices: 0,
            notified_at: None,
            paid_at: None,
            charge: (raised.penalty > Amount::ZERO).then_some(postings),
            reason: None,
            created_at: at,
            updated_at: at,
            version: 1,
        });
        self.take(Arc::clone(&after));
        Some(Step { before: None, after })
    }

    fn step(
        &mut self,
        id: ViolationId,
        at: Timestamp,
        change: impl FnOnce(&mut Violation),
    ) -> Option<Step> {
        let before = self.violations.get(&id).filter(|v| v.state.is_open()).cloned()?;
        let mut after = Violation::clone(&before);
        change(&mut after);
        after.updated_at = at;
        after.version = after.version.wrapping_add(1);
        let after = Arc::new(after);
        if let Some(owner) = before.account {
            self.by_account.remove(&(owner, id));
        }
        if let Some(slot) = before.slot {
            self.by_slot.remove(&(slot, id));
        }
        self.take(Arc::clone(&after));
        if !after.state.is_open() {
            self.ended.push_back(id);
            while self.ended.len() > ENDED_VIOLATIONS_KEPT_PER_LOT {
                self.ended.pop_front().map(|oldest| self.violations.remove(&oldest));
            }
        }
        Some(Step { before: Some(before), after })
    }

    fn take(&mut self, violation: Arc<Violation>) {
        if violation.state.is_open() {
            if let Some(owner) = violation.account {
                self.by_account.insert((owner, violation.id));
            }
            if let Some(slot) = violation.slot {
                self.by_slot.insert((slot, violation.id));
            }
        }
        self.violations.insert(violation.id, violation);
    }
}
