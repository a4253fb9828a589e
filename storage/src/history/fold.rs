//! What an event makes of a document: the engine's own `apply` on a register that holds nothing else.
//!
//! So the history cannot disagree with the lots about what an event means. A document does not know its lot's
//! slots; the register has one, which stands for whichever it is.

use std::sync::Arc;

use lotkeeper_engine::ids::{PaymentId, ReservationId, SlotIndex};
use lotkeeper_engine::lot::{
    Effect, Event, LotParts, MovedTo, Payment, Register, Reservation, Reserved, Service, Session,
    payment, session,
};
use lotkeeper_engine::spec::{Rules, SlotSpec, Spec};
use lotkeeper_engine::time::Timestamp;

const SLOT: SlotIndex = SlotIndex(0);

fn register(rules: &Rules, parts: LotParts) -> Register {
    let spec = Spec { rules: *rules, slots: vec![SlotSpec::default()], ..Spec::default() };
    let slots = vec![(Service::InService, 0)];
    Register::from_parts(LotParts { spec: Arc::new(spec), slots, ..parts })
}

/// The reservation an event is about.
pub(super) fn reservation_of(event: &Event) -> Option<ReservationId> {
    match event {
        Event::Reserved(reserved) => Some(reserved.id),
        Event::Moved(moved) => Some(moved.id),
        Event::Confirmed { id }
        | Event::Modified { id, .. }
        | Event::Cancelled { id, .. }
        | Event::Expired { id }
        | Event::HoldBegan { id }
        | Event::HoldEnded { id }
        | Event::CheckedIn { id, .. }
        | Event::NoShow { id }
        | Event::Completed { id }
        | Event::Requested { id, .. }
        | Event::Reminded { id, .. } => Some(*id),
        Event::Created(_)
        | Event::Changed(_)
        | Event::SlotChanged(_)
        | Event::ServiceChanged { .. }
        | Event::Session(_)
        | Event::Payment(_)
        | Event::Posted(_)
        | Event::Violation(_)
        | Event::Pass(_)
        | Event::Waiting(_)
        | Event::Shift(_)
        | Event::TariffsChanged(_)
        | Event::Counted { .. }
        | Event::CounterFellSilent => None,
    }
}

/// Whether the stay inside that came of a reservation may follow this event of it.
pub(super) fn moves_its_stay(event: &Event) -> bool {
    matches!(event, Event::Modified { .. } | Event::Moved(_))
}

/// A reservation after an event, and the stay inside that came of it where that followed; nothing when nothing
/// came of the event.
pub(super) fn reservation(
    known: Option<&Arc<Reservation>>,
    stay: Option<Arc<Session>>,
    event: &Event,
    rules: &Rules,
    at: Timestamp,
) -> Option<(Arc<Reservation>, Option<Arc<Session>>)> {
    // An id may come again once the lot has forgotten what ended under it.
    let known = known.filter(|known| match event {
        Event::Reserved(_) => known.state.is_active(),
        _ => true,
    });
    let mut slot = known.map(|known| known.slot);
    let here = known.map(|known| Arc::new(Reservation { slot: SLOT, ..(**known).clone() }));
    let event = match event {
        Event::Reserved(reserved) => {
            slot.get_or_insert(reserved.slot);
            Event::Reserved(Box::new(Reserved { slot: SLOT, ..(**reserved).clone() }))
        }
        Event::Moved(moved) => {
            slot = slot.map(|_| moved.slot);
            Event::Moved(Box::new(MovedTo { slot: SLOT, ..(**moved).clone() }))
        }
        other => other.clone(),
    };
    let reservations = here.into_iter().collect();
    let sessions = stay.into_iter().collect();
    let mut register = register(rules, LotParts { reservations, sessions, ..LotParts::default() });
    match register.apply(&event, at) {
        Effect::Reservation { after, stay, .. } => {
            let slot = slot.unwrap_or(SLOT);
            let after = Reservation { slot, ..(*after).clone() };
            Some((Arc::new(after), stay.map(|moved| moved.after)))
        }
        _ => None,
    }
}

/// A stay after an event; nothing when nothing came of it.
pub(super) fn session(
    known: Option<&Arc<Session>>,
    event: &session::Event,
    rules: &Rules,
    at: Timestamp,
) -> Option<Arc<Session>> {
    let known = known.filter(|known| match event {
        session::Event::Entered(_) => known.state.is_inside(),
        _ => true,
    });
    let sessions = known.cloned().into_iter().collect();
    let mut register = register(rules, LotParts { sessions, ..LotParts::default() });
    match register.apply(&Event::Session(event.clone()), at) {
        Effect::Stay(moved) => Some(moved.after),
        _ => None,
    }
}

/// A payment after an event; nothing when nothing came of it.
pub(super) fn payment(
    known: Option<&Arc<Payment>>,
    event: &payment::Event,
    rules: &Rules,
    at: Timestamp,
) -> Option<Arc<Payment>> {
    let known = known.filter(|known| match event {
        payment::Event::Recorded(_) | payment::Event::Requested(_) => known.state.is_open(),
        _ => true,
    });
    let version = known.map(|known| known.version);
    let payments = known.cloned().into_iter().collect();
    let mut register = register(rules, LotParts { payments, ..LotParts::default() });
    register.apply(&Event::Payment(event.clone()), at);
    let PaymentId(id) = event.id();
    let after = register.payments().get(PaymentId(id))?;
    (Some(after.version) != version).then(|| Arc::clone(after))
}
