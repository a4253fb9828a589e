//! The list of reservations: a driver's own, or the tenant's for staff.

use axum::extract::State;
use axum::response::Response;
use lotkeeper_engine::ids::ReservationId;
use lotkeeper_engine::lot::Caller;
use lotkeeper_storage::PersonKind;
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;
use uuid::Uuid;

use super::answer::{self, unreadable};
use super::body::QueryOf;
use super::fields;
use super::reservations::{caller, reveal};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::Problem;
use crate::wire::Page;
use crate::wire::cursor::{self, List};
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

/// Where a page begins: after a reservation of a lot.
struct After {
    lot: String,
    id: ReservationId,
}

/// List reservations
///
/// In order of lot and id. Lots remember reservations that ended for a while; the log has all. Role driver
/// and up.
#[utoipa::path(
    get, path = "/api/v1/reservations", tag = "reservations", operation_id = "listReservations",
    params(ReservationsQuery),
    responses(
        (status = 200, description = "Reservations.", body = Page<ReservationBody>),
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
    let after = query.after()?;
    let lots = match &query.lot {
        Some(lot) => vec![answer::lot(&app, &principal, lot)?],
        None => app.engine.lots(&principal.tenant),
    };
    let mut page = Page { items: Vec::new(), next_cursor: None };
    let Some(seen_by) = seen_by(&app, &principal, query.mine)? else { return answer::ok(&page) };
    let lots = lots.iter().filter(|lot| principal.may_use_lot(lot.code(), lot.id()));
    for lot in lots.filter(|lot| after.as_ref().is_none_or(|after| *lot.code() >= *after.lot)) {
        let view = lot.view();
        let start = after.as_ref().filter(|after| after.lot == lot.code()).map(|after| after.id);
        for reservation in view.lot.reservations_after(start) {
            let wanted = states.is_empty() || states.contains(&reservation.state.into());
            if !wanted || !seen_by.may_touch(reservation.holder) {
                continue;
            }
            if page.items.len() == limit {
                page.next_cursor = page.items.last().map(cursor_after);
                return answer::ok(&page);
            }
            page.items.push(reveal(&app, reservation, view.spec(), view.lot_seq)?);
        }
    }
    answer::ok(&page)
}

fn cursor_after(last: &ReservationBody) -> String {
    cursor::encode(List::Reservations, &format!("{}/{}", last.lot, last.id))
}

impl ReservationsQuery {
    fn after(&self) -> Result<Option<After>, Problem> {
        let Some(key) = fields::after(List::Reservations, self.cursor.as_deref())? else {
            return Ok(None);
        };
        let (lot, id) = key.split_once('/').ok_or_else(fields::bad_cursor)?;
        let id = Uuid::try_parse(id).map_err(|_| fields::bad_cursor())?;
        Ok(Some(After { lot: lot.to_owned(), id: ReservationId(id) }))
    }
}

/// Whose reservations the list may hold; nothing when the caller never held one.
fn seen_by(app: &App, principal: &Principal, mine: bool) -> Result<Option<Caller>, Problem> {
    if !mine {
        return caller(app, principal);
    }
    let known = app.engine.vault().find(&principal.tenant, PersonKind::Subject, &principal.subject);
    Ok(known.map_err(|error| unreadable("vault", &error))?.map(Caller::Holder))
}
