//! Any stay and whatever can happen to one; prices, and promises that move.

use std::sync::Arc;

use lotkeeper_engine::ids::{
    PassId, Pseudonym, ReservationId, SeriesId, SessionId, SlotIndex, TariffId,
};
use lotkeeper_engine::lot::session::{
    Denied, DenyReason, Direction, Entered, Event, Left, OpenReason, Origin, Scanned, Session,
    Settled, State, Verdict,
};
use lotkeeper_engine::lot::{MovedTo, Price, Reminder, Terms};
use lotkeeper_engine::money::PerMille;
use lotkeeper_engine::time::Window;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use crate::passes::coverage;
use crate::strategies::{at, text};
use crate::tariffs::fee;
use crate::violations::amount;

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn id() -> impl Strategy<Value = SessionId> {
    uuid().prop_map(SessionId)
}

fn person() -> impl Strategy<Value = Pseudonym> {
    uuid().prop_map(Pseudonym)
}

fn window() -> impl Strategy<Value = Window> {
    (at(), at()).prop_map(|(from, to)| Window { from, to })
}

fn slot() -> impl Strategy<Value = SlotIndex> {
    any::<u16>().prop_map(SlotIndex)
}

fn origin() -> impl Strategy<Value = Origin> {
    prop_oneof![
        uuid().prop_map(|id| Origin::Reservation(ReservationId(id))),
        uuid().prop_map(|id| Origin::Pass(PassId(id))),
        Just(Origin::DriveIn),
        Just(Origin::Manual),
    ]
}

/// On the heap, as a text is and for the same reason; so are the larger ones below.
fn terms() -> BoxedStrategy<Terms> {
    let tariff = (uuid(), any::<u32>()).prop_map(|(id, version)| (TariffId(id), version));
    let multiplier = any::<u32>().prop_map(PerMille);
    let words = (option::of(text()), vec(text(), 0..4));
    (option::of(tariff), multiplier, words, option::of(coverage()))
        .prop_map(|(tariff, multiplier, (vehicle_type, discounts), pass)| Terms {
            tariff,
            multiplier,
            vehicle_type,
            discounts: discounts.into(),
            pass,
        })
        .boxed()
}

pub fn price() -> BoxedStrategy<Price> {
    (fee(), terms()).prop_map(|(fee, terms)| Price { fee, terms: Arc::new(terms) }).boxed()
}

pub fn series() -> impl Strategy<Value = SeriesId> {
    uuid().prop_map(SeriesId)
}

pub fn reminder() -> impl Strategy<Value = Reminder> {
    select(vec![Reminder::Start, Reminder::End])
}

pub fn moved() -> impl Strategy<Value = MovedTo> {
    (uuid(), slot(), window(), option::of(price())).prop_map(|(id, slot, window, price)| MovedTo {
        id: ReservationId(id),
        slot,
        window,
        price: price.map(Box::new),
    })
}

fn entered() -> impl Strategy<Value = Entered> {
    let who = (id(), origin(), option::of(person()), option::of(person()));
    let place = (option::of(slot()), option::of(window()), option::of(window()));
    (who, place, at(), option::of(text()), terms()).prop_map(
        |((id, origin, vehicle, holder), (slot, claim, booked), at, gate, terms)| Entered {
            id,
            origin,
            vehicle,
            holder,
            slot,
            claim,
            booked,
            at,
            gate,
            terms,
        },
    )
}

fn open_reason() -> impl Strategy<Value = OpenReason> {
    use OpenReason::{DriveIn, OnAccount, Paid, Pass, Repeated, Reserved};
    select(vec![Reserved, Pass, DriveIn, Repeated, Paid, OnAccount])
}

fn deny_reason() -> impl Strategy<Value = DenyReason> {
    use DenyReason as D;
    let all = vec![
        D::CredentialUnknown,
        D::TokenInvalid,
        D::TokenExpired,
        D::WrongLot,
        D::TooEarly,
        D::TooLate,
        D::NotConfirmed,
        D::HoldExpired,
        D::Cancelled,
        D::AlreadyInside,
        D::AlreadyUsed,
        D::PlateInside,
        D::PlateElsewhere,
        D::ConfidenceTooLow,
        D::NotEntitled,
        D::PassNotValid,
        D::LotFull,
        D::LotClosed,
        D::PaymentRequired,
        D::NotInside,
        D::AlreadyLeft,
    ];
    select(all)
}

fn denied() -> impl Strategy<Value = Denied> {
    let direction = select(vec![Direction::Entry, Direction::Exit]);
    let about = (option::of(person()), option::of(uuid()), option::of(id()));
    let when = (option::of(amount()), option::of(at()));
    (option::of(text()), direction, deny_reason(), about, when).prop_map(
        |(gate, direction, reason, (vehicle, reservation, session), (due, not_before))| Denied {
            gate,
            direction,
            reason,
            vehicle,
            reservation: reservation.map(ReservationId),
            session,
            due,
            not_before,
        },
    )
}

pub fn event() -> impl Strategy<Value = Event> {
    let left = (id(), at(), option::of(text()), option::of(fee()), option::of(open_reason()));
    let left = left.prop_map(|(id, at, gate, fee, reason)| Left {
        id,
        at,
        gate,
        fee: fee.map(Box::new),
        reason,
    });
    let placed = (id(), option::of(slot()), option::of(window()));
    prop_oneof![
        entered().prop_map(|entered| Event::Entered(Box::new(entered))).boxed(),
        placed.prop_map(|(id, slot, claim)| Event::Placed { id, slot, claim }),
        id().prop_map(|id| Event::Overstayed { id }),
        (id(), person()).prop_map(|(id, vehicle)| Event::Identified { id, vehicle }),
        id().prop_map(|id| Event::TicketLost { id }),
        (id(), option::of(person())).prop_map(|(id, request)| Event::Requested { id, request }),
        (id(), fee(), at()).prop_map(|(id, fee, leave_by)| Event::Settled {
            id,
            fee: Box::new(fee),
            leave_by
        }),
        left.prop_map(|left| Event::Left(Box::new(left))).boxed(),
        (id(), option::of(fee()))
            .prop_map(|(id, fee)| Event::Abandoned { id, fee: fee.map(Box::new) }),
        denied().prop_map(|denied| Event::Denied(Box::new(denied))).boxed(),
    ]
}

pub fn session() -> BoxedStrategy<Session> {
    let states = vec![State::Inside, State::Overstaying, State::Left, State::Abandoned];
    let settled = (fee(), at());
    let settled = settled.prop_map(|(fee, leave_by)| Settled { fee: Arc::new(fee), leave_by });
    let end = (option::of(at()), option::of(text()), option::of(settled), option::of(fee()));
    (entered().boxed(), select(states), end.boxed(), any::<(bool, u32)>(), at())
        .prop_map(
            |(
                entered,
                state,
                (left_at, exit_gate, settled, fee),
                (ticket_lost, version),
                updated_at,
            )| {
                Session {
                    id: entered.id,
                    origin: entered.origin,
                    state,
                    vehicle: entered.vehicle,
                    holder: entered.holder,
                    slot: entered.slot,
                    claim: entered.claim,
                    booked: entered.booked,
                    entered_at: entered.at,
                    entry_gate: entered.gate,
                    left_at,
                    exit_gate,
                    terms: Arc::new(entered.terms),
                    ticket_lost,
                    settled,
                    fee: fee.map(Arc::new),
                    updated_at,
                    version,
                }
            },
        )
        .boxed()
}

pub fn scanned() -> impl Strategy<Value = Scanned> {
    let verdict =
        prop_oneof![open_reason().prop_map(Verdict::Open), deny_reason().prop_map(Verdict::Deny),];
    (verdict, option::of(id()), option::of(uuid()), option::of(amount()), option::of(at()))
        .prop_map(|(verdict, session, reservation, due, not_before)| Scanned {
            verdict,
            session,
            reservation: reservation.map(ReservationId),
            due,
            not_before,
        })
}
