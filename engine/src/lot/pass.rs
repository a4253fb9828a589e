//! Passes: who may come in for a time without reserving, and what of his stays is paid by that.
//!
//! Invariants: a pass that ended never opens a gate again; what was used of an allowance is counted in the
//! decision that uses it, for the period it falls in, so it follows from the log alone. A stay keeps what its
//! pass covered when it came in. Absent: the passes of a lot (`passes.rs`), what decides about
//! them (`decide/pass.rs`), where its price is owed (`ledger.rs`), and passes of other lots (`guest.rs`).

use super::guest::Calendar;
use crate::ids::{PassId, Pseudonym, SessionId};
use crate::money::Amount;
use crate::tariff::{Coverage, Covers};
use crate::time::{Seconds, Timestamp, Window};

/// Where a pass is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It opens within its window.
    Active,
    /// Staff stopped it for a while.
    Paused,
    /// Run out, or ended by staff.
    Ended,
}

/// Where a pass is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// In the lot that issued it.
    #[default]
    Lot,
    /// In every lot of the tenant, later ones too.
    Tenant,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many entries.
    Entries(u32),
    /// So many minutes inside; a begun one counts when it is over.
    Minutes(u32),
}

/// How long a limit holds, by the lot's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// A local day.
    Day,
    /// A week, from Monday.
    Week,
    /// A month.
    Month,
    /// The pass.
    Total,
}

/// How much a pass may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// What is limited.
    pub limit: Limit,
    /// For how long.
    pub per: Per,
}

/// What was used in the newest period in which anything was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// The period's number, as the lot's calendar counts them.
    pub period: i64,
    /// Entries.
    pub entries: u32,
    /// Time of stays that ended.
    pub stayed: Seconds,
}

impl Used {
    /// Counts use on top. What falls in a period before the newest is not kept: nobody asks for it again.
    pub(super) fn count(&mut self, period: i64, entries: u32, stayed: Seconds) {
        if period < self.period {
            return;
        }
        if period > self.period {
            *self = Self { period, ..Self::default() };
        }
        self.entries = self.entries.saturating_add(entries);
        self.stayed.0 = self.stayed.0.saturating_add(stayed.0);
    }
}

/// What a pass is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassTerms {
    /// The tenant's code of its plan.
    pub plan: Box<str>,
    /// Whose.
    pub holder: Option<Pseudonym>,
    /// For which vehicles; each may be inside.
    pub vehicles: Vec<Pseudonym>,
    /// What it costs.
    pub price: Amount,
    /// When it is good.
    pub valid: Window,
    /// How much it may be used.
    pub allowance: Option<Allowance>,
    /// What it pays of a stay.
    pub covers: Covers,
}

impl PassTerms {
    /// How long its limit holds; without one all is one period.
    #[must_use]
    pub fn per(&self) -> Per {
        self.allowance.map_or(Per::Total, |allowance| allowance.per)
    }
}

/// One pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Public id.
    pub id: PassId,
    /// Where it is good.
    pub reach: Reach,
    /// What it is good for.
    pub terms: PassTerms,
    /// Where it is.
    pub state: State,
    /// What was used, in this lot.
    pub used: Used,
    /// Record time of its first event.
    pub created_at: Timestamp,
    /// Record time of its last.
    pub updated_at: Timestamp,
    /// Changes so far; use is none.
    pub version: u32,
}

impl Pass {
    /// When it ends by itself.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Active | State::Paused => Some(self.terms.valid.to),
            State::Ended => None,
        }
    }

    /// Whether it opens at an instant, as far as time and state go.
    #[must_use]
    pub fn is_good_at(&self, at: Timestamp) -> bool {
        self.state == State::Active && self.terms.valid.from <= at && at < self.terms.valid.to
    }

    /// What of a period is left; all where nothing is limited.
    #[must_use]
    pub fn left_in(&self, period: i64) -> Left {
        self.left_of(if self.used.period == period { self.used } else { Used::default() })
    }

    /// What of a period is left when so much was used of it.
    #[must_use]
    pub fn left_of(&self, used: Used) -> Left {
        match self.terms.allowance.map(|allowance| allowance.limit) {
            None => Left::All,
            Some(Limit::Entries(entries)) if used.entries < entries => Left::All,
            Some(Limit::Entries(_)) => Left::Nothing,
            Some(Limit::Minutes(minutes)) => {
                match minutes.saturating_mul(60).saturating_sub(used.stayed.0) {
                    0 => Left::Nothing,
                    seconds => Left::Time(Seconds(seconds)),
                }
            }
        }
    }

    /// What it pays of a stay that begins with so much left.
    #[must_use]
    pub fn coverage(&self, left: Left) -> Coverage {
        let covers = match (self.terms.covers, left) {
            (Covers::Whole, Left::Time(left)) => Covers::First(left),
            (Covers::First(first), Left::Time(left)) => Covers::First(first.min(left)),
            (covers, _) => covers,
        };
        Coverage { code: self.terms.plan.clone(), covers }
    }
}

/// What is left of an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It is not limited now.
    All,
    /// So much time.
    Time(Seconds),
    /// Nothing.
    Nothing,
}

/// What becomes of a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassChange {
    /// It is good for something else: all of it, as it is to be.
    Amend(Box<PassTerms>),
    /// It opens nothing for a while.
    Pause,
    /// It goes on.
    Resume,
    /// It is over.
    End,
}

/// What happened to a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It came to be.
    Issued {
        /// Identity.
        id: PassId,
        /// Where it is good.
        reach: Reach,
        /// What it is good for.
        terms: Box<PassTerms>,
    },
    /// It is good for something else.
    Changed {
        /// Which.
        id: PassId,
        /// All of it, as it is now.
        terms: Box<PassTerms>,
    },
    /// Staff stopped it.
    Paused {
        /// Which.
        id: PassId,
    },
    /// It goes on.
    Resumed {
        /// Which.
        id: PassId,
    },
    /// It ran out, or staff ended it.
    Ended {
        /// Which.
        id: PassId,
    },
    /// A stay used it.
    Used {
        /// Which.
        id: PassId,
        /// In which period.
        period: i64,
        /// Entries, on top.
        entries: u32,
        /// Time, on top.
        stayed: Seconds,
    },
    /// A stay began here with a pass that is good in all lots of the tenant: one entry more.
    Honoured {
        /// Which.
        id: PassId,
        /// The stay.
        session: SessionId,
        /// In which period.
        period: i64,
        /// How the periods are counted: by the calendar of the lot that issued it.
        by: Calendar,
    },
    /// A pass of another lot, used here, is where it was not before; an ended one is forgotten.
    Followed {
        /// Which.
        id: PassId,
        /// Where it is.
        state: State,
    },
}

impl Event {
    /// Which pass.
    #[must_use]
    pub fn id(&self) -> PassId {
        match self {
            Self::Issued { id, .. }
            | Self::Changed { id, .. }
            | Self::Paused { id }
            | Self::Resumed { id }
            | Self::Ended { id }
            | Self::Used { id, .. }
            | Self::Honoured { id, .. }
            | Self::Followed { id, .. } => *id,
        }
    }
}
