//! Passes: what happened to them, and what they are at one sequence. Since frame format 3, snapshot format 2.
//!
//! The order of fields and variants is the format: a later format adds variants at the end.

use bincode::{Decode, Encode};
use lotkeeper_engine::ids::PassId;
use lotkeeper_engine::lot::guest::{Calendar as EngineCalendar, Guest as EngineGuest};
use lotkeeper_engine::lot::pass::{
    Allowance as EngineAllowance, Event, Limit as EngineLimit, Pass as EnginePass,
    PassTerms as EngineTerms, Per as EnginePer, Reach, State as EngineState, Used as EngineUsed,
};
use lotkeeper_engine::tariff::{Coverage as EngineCoverage, Covers as EngineCovers};

use super::lot_event::Window;
use super::stored::{Stored, choice, record};

choice!(State = EngineState { Active, Paused, Ended });
choice!(Per = EnginePer { Day, Week, Month, Total });

#[derive(Clone, Copy, Encode, Decode)]
pub(super) enum Limit {
    Entries(u32),
    Minutes(u32),
}

#[derive(Clone, Copy, Encode, Decode)]
pub(super) enum Covers {
    Whole,
    SharePermille(u32),
    FirstSeconds(u32),
}

impl Stored<EngineLimit> for Limit {
    fn of(limit: &EngineLimit) -> Self {
        match limit {
            EngineLimit::Entries(entries) => Self::Entries(*entries),
            EngineLimit::Minutes(minutes) => Self::Minutes(*minutes),
        }
    }

    fn engine(self) -> EngineLimit {
        match self {
            Self::Entries(entries) => EngineLimit::Entries(entries),
            Self::Minutes(minutes) => EngineLimit::Minutes(minutes),
        }
    }
}

impl Stored<EngineCovers> for Covers {
    fn of(covers: &EngineCovers) -> Self {
        match covers {
            EngineCovers::Whole => Self::Whole,
            EngineCovers::Share(share) => Self::SharePermille(Stored::of(share)),
            EngineCovers::First(first) => Self::FirstSeconds(Stored::of(first)),
        }
    }

    fn engine(self) -> EngineCovers {
        match self {
            Self::Whole => EngineCovers::Whole,
            Self::SharePermille(share) => EngineCovers::Share(share.engine()),
            Self::FirstSeconds(first) => EngineCovers::First(first.engine()),
        }
    }
}

record!(Allowance = EngineAllowance { limit: Limit, per: Per });
record!(Used = EngineUsed { period: i64, entries: u32, stayed: u32 });
record!(Coverage = EngineCoverage { code: Box<str>, covers: Covers });

record!(PassTerms = EngineTerms {
    plan: Box<str>,
    holder: Option<[u8; 16]>,
    vehicles: Vec<[u8; 16]>,
    price: i64,
    valid: Window,
    allowance: Option<Allowance>,
    covers: Covers,
});

/// One pass. Where it is good stands beside it: passes of a whole tenant came later.
#[derive(Encode, Decode)]
pub(super) struct Pass {
    id: [u8; 16],
    terms: PassTerms,
    state: State,
    used: Used,
    created_at: i64,
    updated_at: i64,
    version: u32,
}

impl Pass {
    pub(super) fn of(pass: &EnginePass) -> Self {
        Self {
            id: Stored::of(&pass.id),
            terms: Stored::of(&pass.terms),
            state: Stored::of(&pass.state),
            used: Stored::of(&pass.used),
            created_at: Stored::of(&pass.created_at),
            updated_at: Stored::of(&pass.updated_at),
            version: pass.version,
        }
    }

    pub(super) fn engine(self, reach: Reach) -> EnginePass {
        EnginePass {
            id: self.id.engine(),
            reach,
            terms: self.terms.engine(),
            state: self.state.engine(),
            used: self.used.engine(),
            created_at: self.created_at.engine(),
            updated_at: self.updated_at.engine(),
            version: self.version,
        }
    }
}

record!(Calendar = EngineCalendar { per: Per, zone: Box<str> });
record!(Guest = EngineGuest { id: [u8; 16], state: State, by: Calendar, used: Used });

#[derive(Encode, Decode)]
pub(super) enum PassEvent {
    Issued { id: [u8; 16], terms: Box<PassTerms> },
    Changed { id: [u8; 16], terms: Box<PassTerms> },
    Paused { id: [u8; 16] },
    Resumed { id: [u8; 16] },
    Ended { id: [u8; 16] },
    Used { id: [u8; 16], period: i64, entries: u32, stayed_seconds: u32 },
    IssuedForTenant { id: [u8; 16], terms: Box<PassTerms> },
    Honoured { id: [u8; 16], session: [u8; 16], period: i64, by: Calendar },
    Followed { id: [u8; 16], state: State },
}

fn issued(id: PassId, reach: Reach, terms: &EngineTerms) -> PassEvent {
    let (id, terms) = (Stored::of(&id), Box::new(Stored::of(terms)));
    match reach {
        Reach::Lot => PassEvent::Issued { id, terms },
        Reach::Tenant => PassEvent::IssuedForTenant { id, terms },
    }
}

impl From<&Event> for PassEvent {
    fn from(event: &Event) -> Self {
        match event {
            Event::Issued { id, reach, terms } => issued(*id, *reach, terms),
            Event::Changed { id, terms } => {
                Self::Changed { id: Stored::of(id), terms: Box::new(Stored::of(&**terms)) }
            }
            Event::Paused { id } => Self::Paused { id: Stored::of(id) },
            Event::Resumed { id } => Self::Resumed { id: Stored::of(id) },
            Event::Ended { id } => Self::Ended { id: Stored::of(id) },
            Event::Used { id, period, entries, stayed } => Self::Used {
                id: Stored::of(id),
                period: *period,
                entries: *entries,
                stayed_seconds: stayed.0,
            },
            Event::Honoured { id, session, period, by } => Self::Honoured {
                id: Stored::of(id),
                session: Stored::of(session),
                period: *period,
                by: Stored::of(by),
            },
            Event::Followed { id, state } => {
                Self::Followed { id: Stored::of(id), state: Stored::of(state) }
            }
        }
    }
}

impl From<PassEvent> for Event {
    fn from(event: PassEvent) -> Self {
        use PassEvent as E;
        match event {
            E::Issued { id, terms } => {
                Self::Issued { id: id.engine(), reach: Reach::Lot, terms: Box::new(terms.engine()) }
            }
            E::IssuedForTenant { id, terms } => Self::Issued {
                id: id.engine(),
                reach: Reach::Tenant,
                terms: Box::new(terms.engine()),
            },
            E::Honoured { id, session, period, by } => Self::Honoured {
                id: id.engine(),
                session: session.engine(),
                period,
                by: by.engine(),
            },
            E::Followed { id, state } => Self::Followed { id: id.engine(), state: state.engine() },
            E::Changed { id, terms } => {
                Self::Changed { id: id.engine(), terms: Box::new(terms.engine()) }
            }
            E::Paused { id } => Self::Paused { id: id.engine() },
            E::Resumed { id } => Self::Resumed { id: id.engine() },
            E::Ended { id } => Self::Ended { id: id.engine() },
            E::Used { id, period, entries, stayed_seconds } => {
                Self::Used { id: id.engine(), period, entries, stayed: stayed_seconds.engine() }
            }
        }
    }
}
