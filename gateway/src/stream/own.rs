//! The view `reservations`: what one person holds in one lot, with the stays that came of it, and what becomes of it.
//!
//! Invariants: nothing is looked at but what the subject of the token holds; a reservation is told as it is by then,
//! never as it was before the sequence of its message. The ring names neither people nor reservations, so what changed
//! is found from the slots it names and from what is known already: a change costs no walk through the lot.
//! Absent: the past (the list of reservations has it), fees that only grow with time.

use std::collections::BTreeMap;

use lotkeeper_actors::{Batch, Change, ChangeKind, LotView};
use lotkeeper_engine::ids::{Pseudonym, ReservationId};
use lotkeeper_engine::lot::{Owner, Reservation};
use lotkeeper_engine::money::Amount;
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::PersonKind;
use serde::Serialize;

use crate::app::App;
use crate::auth::Principal;
use crate::error::Problem;
use crate::http::own;
use crate::wire::reservation::ReservationBody;
use crate::wire::stay::SessionBody;

/// Kinds of changes, by the beginning of their names, that may concern somebody's reservation or its stay.
const CONCERNING: [&str; 5] = ["reservation.", "slot.hold_", "session.", "payment.", "ledger."];

/// A reservation and the stay that came of it.
#[derive(Serialize)]
pub struct OwnBody {
    #[serde(flatten)]
    reservation: ReservationBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionBody>,
}

/// What tells one state of a reservation from the next.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    version: u32,
    session_version: Option<u32>,
    payment_versions: u64,
    owed: Amount,
}

impl Seen {
    fn of(reservation: &Reservation, view: &LotView) -> Self {
        let owner = Owner::Reservation(reservation.id);
        let session = view.lot.stays().of_reservation(reservation.id);
        let payments = view.lot.payments().of(owner);
        Self {
            version: reservation.version,
            session_version: session.map(|session| session.version),
            payment_versions: payments.map(|payment| u64::from(payment.version)).sum(),
            owed: view.lot.accounts().owed_by(owner),
        }
    }
}

/// What somebody holds in a lot, as far as he was told.
pub struct Own {
    tenant: String,
    subject: String,
    /// Known from the first reservation on.
    holder: Option<Pseudonym>,
    /// What the lot remembers of his; with what he was told, if he was.
    known: BTreeMap<ReservationId, Option<Seen>>,
}

impl Own {
    /// Of the subject of a token.
    pub fn of(principal: &Principal) -> Self {
        Self {
            tenant: principal.tenant.to_string(),
            subject: principal.subject.to_string(),
            holder: None,
            known: BTreeMap::new(),
        }
    }

    /// As if nothing had been told yet.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// What is still to come or going on.
    ///
    /// # Errors
    /// The vault's disk.
    pub fn all(&mut self, app: &App, view: &LotView) -> Result<Vec<OwnBody>, Problem> {
        self.look_up(app, view)?;
        self.tell(app, view, |reservation| is_live(reservation, view))
    }

    /// What may have changed for somebody who comes back and missed these changes, up to the view's sequence. All that
    /// lives is told once more where anything of the kind happened, and what has ended since.
    ///
    /// # Errors
    /// The vault's disk.
    pub fn missed(
        &mut self,
        app: &App,
        view: &LotView,
        missed: &[&Change],
    ) -> Result<Vec<OwnBody>, Problem> {
        self.look_up(app, view)?;
        let concerning = missed.iter().filter(|change| concerns(change.kind));
        // Told by time, because nothing of his says its sequence; records of one lot may be a little out of order.
        let Some(since) = concerning.map(|change| change.at).min() else {
            return self.tell(app, view, |_| false);
        };
        self.tell(app, view, |reservation| {
            is_live(reservation, view) || changed_at(reservation, view) >= since
        })
    }

    /// What became of his through the changes of some batches after a sequence.
    ///
    /// # Errors
    /// The vault's disk.
    pub fn changed<'a>(
        &mut self,
        app: &App,
        view: &LotView,
        batches: impl Iterator<Item = &'a Batch>,
    ) -> Result<Vec<OwnBody>, Problem> {
        let mut any = false;
        let mut slots = Vec::new();
        for change in batches.flat_map(|batch| &batch.changes) {
            any |= concerns(change.kind);
            // Only a window says that it is a reservation's.
            slots.extend(change.window.and(change.slot).map(|(slot, _)| slot));
        }
        if !any {
            return Ok(Vec::new());
        }
        if self.holder.is_none() {
            self.look_up(app, view)?;
        }
        slots.sort_unstable();
        slots.dedup();
        let spans = slots.iter().filter_map(|slot| view.lot.promise(*slot));
        for span in spans.flat_map(|promise| promise.timeline.spans()) {
            if let Owner::Reservation(id) = span.owner
                && view.lot.reservation(id).is_some_and(|it| Some(it.holder) == self.holder)
            {
                self.known.entry(id).or_default();
            }
        }
        self.tell(app, view, |_| true)
    }

    /// Finds him and what he holds.
    fn look_up(&mut self, app: &App, view: &LotView) -> Result<(), Problem> {
        let found = app.engine.vault().find(&self.tenant, PersonKind::Subject, &self.subject);
        self.holder = found.map_err(|error| crate::http::unreadable("vault", &error))?;
        let Some(holder) = self.holder else { return Ok(()) };
        let own = view.lot.reservations().filter(|reservation| reservation.holder == holder);
        own.for_each(|reservation| {
            self.known.entry(reservation.id).or_default();
        });
        Ok(())
    }

    /// Those of the known ones that are wanted and differ from what was told. What is not wanted counts as told.
    fn tell(
        &mut self,
        app: &App,
        view: &LotView,
        wanted: impl Fn(&Reservation) -> bool,
    ) -> Result<Vec<OwnBody>, Problem> {
        self.known.retain(|id, _| view.lot.reservation(*id).is_some());
        let (mut told, mut seen_now) = (Vec::new(), Vec::new());
        for (id, seen) in &self.known {
            let Some(reservation) = view.lot.reservation(*id) else { continue };
            let now = Seen::of(reservation, view);
            if *seen != Some(now) && wanted(reservation) {
                let (reservation, session) = own(app, view, reservation)?;
                told.push(OwnBody { reservation, session });
            }
            seen_now.push((*id, Some(now)));
        }
        // Only now: what could not be told counts as untold.
        self.known.extend(seen_now);
        Ok(told)
    }
}

fn concerns(kind: ChangeKind) -> bool {
    CONCERNING.iter().any(|start| kind.name().starts_with(start))
}

/// It is to come or going on: promised, or its vehicle is inside still.
fn is_live(reservation: &Reservation, view: &LotView) -> bool {
    let session = view.lot.stays().of_reservation(reservation.id);
    reservation.state.is_active() || session.is_some_and(|session| session.state.is_inside())
}

fn changed_at(reservation: &Reservation, view: &LotView) -> Timestamp {
    let session = view.lot.stays().of_reservation(reservation.id);
    session.map_or(reservation.updated_at, |it| it.updated_at.max(reservation.updated_at))
}
