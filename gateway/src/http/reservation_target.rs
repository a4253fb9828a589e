//! The reservation that a request is about: one that its lot remembers, or one that only the history knows.
//!
//! Invariant: what a lot has forgotten is answered as the lot would have answered while it remembered it. A key
//! comes first: a repeated request gets its first answer, whatever was forgotten since.

use std::sync::Arc;

use lotkeeper_actors::{CommandError, Done, Item, LotHandle, Origin};
use lotkeeper_engine::ids::ReservationId;
use lotkeeper_engine::lot::{Caller, Command, Rejection, Reservation, State};
use lotkeeper_storage::ClaimOutcome;
use uuid::Uuid;

use super::reservations::caller;
use super::{answer, past};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::{self, Problem};

/// A reservation that the caller may see: the lot that has it, its id, and who asks.
pub struct Target {
    pub lot: LotHandle,
    pub id: ReservationId,
    pub by: Caller,
    /// As it is, or as it was when its lot forgot it.
    pub last: Arc<Reservation>,
    /// The sequence of the lot that `last` is as of.
    lot_seq: u64,
}

/// Finds it.
pub async fn target(app: &App, principal: &Principal, id: &str) -> Result<Target, Problem> {
    principal.require(Access::Driver)?;
    let missing = || no_reservation(id);
    let id = ReservationId(Uuid::try_parse(id).map_err(|_| missing())?);
    let by = caller(app, principal)?.ok_or_else(missing)?;
    let found =
        past::one(app, principal, id.0, move |history, tenant| history.reservation(tenant, id));
    let Item { lot, lot_seq, document } = found.await?.ok_or_else(missing)?;
    principal.require_lot(&lot)?;
    if by.may_touch(document.holder) {
        Ok(Target { lot, id, by, last: document, lot_seq })
    } else {
        Err(missing())
    }
}

/// Nobody has it, or not for the caller.
pub fn no_reservation(id: &str) -> Problem {
    let shown = answer::shorten(id);
    Problem::reservation_not_found(format!("no reservation `{shown}` that you may see"))
}

impl Target {
    /// Sends a command about it to its lot, and waits for the answer.
    pub async fn send(self, app: &App, command: Command, origin: Origin) -> Result<Done, Problem> {
        let forgotten = self.answer_to(&command);
        let sent = app.engine.command(&self.lot, command, origin);
        let answered = match sent {
            Ok(answer) => answer.await,
            Err(error) => Err(error),
        };
        match (answered, forgotten) {
            (Err(CommandError::Rejected(Rejection::ReservationNotFound)), Some(Ok(()))) => {
                let Self { lot, lot_seq, last, .. } = self;
                let answer = ClaimOutcome::Reservation(last);
                Ok(Done { lot, lot_seq, answer, repeated: false })
            }
            (Err(CommandError::Rejected(Rejection::ReservationNotFound)), Some(Err(why))) => {
                Err(error::command(&self.lot.view(), &CommandError::Rejected(why)))
            }
            (answered, _) => answered.map_err(|error| error::command(&self.lot.view(), &error)),
        }
    }

    /// What its lot would answer if it still remembered how it ended; nothing for other commands. The history may be
    /// a moment behind, and not know how it ended: then nothing is said.
    fn answer_to(&self, command: &Command) -> Option<Result<(), Rejection>> {
        let state = self.last.state;
        if state.is_active() {
            return None;
        }
        match (command, state) {
            (Command::Confirm { .. }, State::Expired) => Some(Err(Rejection::HoldExpired)),
            (Command::Cancel { .. }, State::Cancelled) => Some(Ok(())),
            (Command::Confirm { .. } | Command::Cancel { .. } | Command::Modify { .. }, state) => {
                Some(Err(Rejection::ReservationEnded { state }))
            }
            _ => None,
        }
    }
}
