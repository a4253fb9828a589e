//! Recurring reservations.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use lotkeeper_engine::ids::{ReservationId, SeriesId};
use lotkeeper_engine::lot::{Command, Reserve};
use lotkeeper_engine::time::Seconds;
use lotkeeper_storage::{ClaimOutcome, PersonKind};
use uuid::Uuid;

use super::answer::{self, invalid};
use super::body::JsonBody;
use super::intent::Intent;
use super::people;
use super::reservations::{Clear, choice, reveal, send};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::Problem;
use crate::wire::reservation::NewReservation;
use crate::wire::series::{NewSeriesBody, SeriesBody};

/// Reserve again and again
///
/// Each occurrence is a reservation of its own; all are granted or none. One that cannot be had is named, counted
/// from 0. Role driver and up.
#[utoipa::path(
    post, path = "/api/v1/reservations/series", tag = "reservations", operation_id = "reserveSeries",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless; a client-made `id` does as well.")),
    request_body = NewSeriesBody,
    responses(
        (status = 201, description = "The reservations.", body = SeriesBody),
        (status = 404, description = "`lot_not_found`, `slot_not_found`"),
        (status = 409, description = "`slot_taken`, `no_slot_free`, `slot_out_of_service`, `lot_paused`, `lot_closed`, `id_taken`, `too_many_reservations`, `request_in_progress`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`, `window_empty`, `window_in_past`, `window_too_long`, `no_slot_fits`, `discount_unknown`, `unpriceable`, `too_many_occurrences`"),
    ),
)]
pub async fn create(
    State(app): State<App>,
    principal: Principal,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Driver)?;
    let request: NewSeriesBody = body.parse()?;
    let one = as_one(&request);
    one.check().map_err(invalid)?;
    let lot = answer::lot(&app, &principal, &request.lot)?;
    let windows = request.windows(&lot.spec().place.time_zone).map_err(invalid)?;
    let choice = choice(&lot, request.slot.as_deref(), request.needs.as_ref())?;
    let vehicle = match &request.vehicle {
        Some(vehicle) => Some(Clear::of(&app, &principal, &lot, vehicle)?.pseudonym),
        None => None,
    };
    let holder = people::pseudonym(&app, &principal, PersonKind::Subject, &principal.subject)?;
    let asked = people::asked(&app, &principal, holder.0, request.request.as_deref())?;
    let series = SeriesId(request.id.unwrap_or_else(Uuid::now_v7));
    let origin = intent.origin(&app, &principal, body.bytes(), request.id)?;
    let occurrence = |window| Reserve {
        id: ReservationId(Uuid::now_v7()),
        choice,
        window,
        hold: request.hold_seconds.map(Seconds),
        holder,
        vehicle,
        vehicle_type: one.priced_type(),
        discounts: request.discounts.iter().map(|code| code.as_str().into()).collect(),
        series: Some(series),
        request: asked,
    };
    let occurrences = windows.into_iter().map(occurrence).collect();
    let done = send(&app, &lot, Command::ReserveSeries(occurrences), origin).await?;
    let ClaimOutcome::Series(series) = done.answer else {
        return Err(answer::unexpected("series", &done.answer));
    };
    let view = done.lot.view();
    let mut own: Vec<_> = view.lot.reservations().filter(|r| r.series == Some(series)).collect();
    own.sort_by_key(|reservation| (reservation.window.from, reservation.id));
    let items = own.into_iter().map(|r| reveal(&app, r, &view, done.lot_seq));
    let items = items.collect::<Result<_, Problem>>()?;
    answer::json(StatusCode::CREATED, &SeriesBody { series: series.0, items })
}

/// Its first occurrence alone: what is wrong with that is wrong with all.
fn as_one(request: &NewSeriesBody) -> NewReservation {
    NewReservation {
        id: None,
        lot: request.lot.clone(),
        slot: request.slot.clone(),
        needs: request.needs.clone(),
        from: request.from,
        to: request.to,
        vehicle: request.vehicle.clone(),
        hold_seconds: request.hold_seconds,
        vehicle_type: None,
        discounts: request.discounts.clone(),
        request: request.request.clone(),
    }
}
