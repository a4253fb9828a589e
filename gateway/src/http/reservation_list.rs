//! The list of reservations: a driver's own, or the tenant's for staff.

use axum::extract::State;
use axum::response::Response;
use lotkeeper_actors::Item;
use lotkeeper_engine::lot::{Caller, Reservation};
use lotkeeper_storage::PersonKind;
use lotkeeper_storage::history::{Phase, Query};
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use super::answer::{self, unreadable};
use super::body::QueryOf;
use super::reservations::{caller, reveal};
use super::{fields, past};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::Problem;
use crate::wire::Listed;
use crate::wire::cursor::List;
use crate::wire::names::ReservationState;
use crate::wire::reservation::ReservationBody;

/// What a list asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReservationsQuery {
    /// Only the caller's own, which drivers get anyway: `mine`, `mine=true`.
    #[serde(default, deserialize_with = "flag")]
    #[param(value_type = Option<bool>)]
    mine: bool,
    /// Code or id of a lot.
    lot: Option<String>,
    /// States, separated by commas.
    #[param(example = "held,confirmed")]
    state: Option<String>,
    /// Items of a page, 1 to 500; 50 when left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before, with the same other parameters.
    cursor: Option<String>,
}

/// `?mine`, `?mine=true`, `?mine=false`.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.as_str() {
        "" | "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(serde::de::Error::custom("`mine` is true or false")),
    }
}

/// List reservations
///
/// Of all times, the last to be made first. Role driver and up.
#[utoipa::path(
    get, path = "/api/v1/reservations", tag = "reservations", operation_id = "listReservations",
    params(ReservationsQuery),
    responses(
        (status = 200, description = "Reservations.", body = Listed<ReservationBody>),
        (status = 404, description = "`lot_not_found`"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    principal: Principal,
    QueryOf(query): QueryOf<ReservationsQuery>,
) -> Result<Response, Problem> {
    principal.require(Access::Driver)?;
    let limit = fields::limit(query.limit)?;
    let states = fields::values("state", query.state.as_deref(), ReservationState::of)?;
    let after = past::after(List::Reservations, query.cursor.as_deref())?;
    let lots = past::lots(&app, &principal, query.lot.as_deref())?;
    let holder = match seen_by(&app, &principal, query.mine)? {
        None => return answer::ok(&past::nothing::<ReservationBody>(&app)),
        Some(Caller::Staff) => None,
        Some(Caller::Holder(holder)) => Some(holder),
    };
    let states = states.into_iter().map(Phase::from).collect();
    let wanted = Query { lots, states, holder, after, ..Query::of(&principal.tenant, limit) };
    let shown =
        |item: &Item<Reservation>| reveal(&app, &item.document, &item.lot.view(), item.lot_seq);
    answer::ok(&past::list(&app, List::Reservations, wanted, shown).await?)
}

/// Whose reservations the list may hold; nothing when the caller never held one.
fn seen_by(app: &App, principal: &Principal, mine: bool) -> Result<Option<Caller>, Problem> {
    if !mine {
        return caller(app, principal);
    }
    let known = app.engine.vault().find(&principal.tenant, PersonKind::Subject, &principal.subject);
    Ok(known.map_err(|error| unreadable("vault", &error))?.map(Caller::Holder))
}
