//! How much room a lot has: now, or for a window.

use axum::extract::State;
use axum::response::Response;
use lotkeeper_engine::time::Window;
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer;
use super::body::{PathOf, QueryOf};
use super::fields;
use crate::app::App;
use crate::auth::Principal;
use crate::error::{self, Problem};
use crate::wire::availability::{Availability, AvailabilityAnswer, OpenSlots};
use crate::wire::instant::Instant;
use crate::wire::reservation::NeedsBody;

/// A window and what is needed in it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AvailabilityQuery {
    /// The first instant of a window; with `to`.
    #[param(value_type = Option<String>, example = "2026-03-01T09:00:00Z")]
    from: Option<Instant>,
    /// The first instant after the window; with `from`.
    #[param(value_type = Option<String>, example = "2026-03-01T11:00:00Z")]
    to: Option<Instant>,
    /// Features that must be there, separated by commas; with a window.
    features: Option<String>,
    /// The vehicle's size; with a window.
    vehicle_size: Option<String>,
    /// Code of the zone; with a window.
    zone: Option<String>,
    /// Code of the vehicle's type; with a window.
    vehicle_type: Option<String>,
    /// Slots named, 1 to 500; 50 when left out; with a window.
    limit: Option<usize>,
}

/// Availability of a lot
///
/// Now: counts by status, zone and slot type. With `from` and `to`: the slots in service that nobody was
/// promised for the window, in the shape of `OpenSlots`.
#[utoipa::path(
    get, path = "/api/v1/lots/{lot}/availability", tag = "lots", operation_id = "getAvailability",
    params(("lot" = String, Path, description = "Code or id.", example = "L1"), AvailabilityQuery),
    responses(
        (status = 200, description = "Counts now, or the slots that are open.", body = AvailabilityAnswer),
        (status = 404, description = "`lot_not_found`"),
        (status = 422, description = "`window_empty`"),
    ),
)]
pub async fn show(
    State(app): State<App>,
    principal: Principal,
    PathOf(lot): PathOf<String>,
    QueryOf(query): QueryOf<AvailabilityQuery>,
) -> Result<Response, Problem> {
    let lot = answer::lot(&app, &principal, &lot)?;
    let limit = fields::limit(query.limit)?;
    let view = lot.view();
    let Some(window) = query.window()? else {
        let now = Availability::of(&view, app.engine.epoch(), app.engine.now());
        return answer::ok(&AvailabilityAnswer::Now(now));
    };
    let needs = NeedsBody {
        vehicle_size: fields::size(query.vehicle_size.as_deref())?,
        features: fields::names(query.features.as_deref()),
        zone: query.zone,
        vehicle_type: query.vehicle_type,
    };
    let refused = error::check_offered(&view, window).err().map(|problem| problem.code);
    let open: Vec<_> = match needs.in_lot(view.spec()).filter(|_| refused.is_none()) {
        Some(needs) => view.lot.open_slots(&needs, window).collect(),
        None => Vec::new(),
    };
    let slots = OpenSlots { refused, ..OpenSlots::of(&view, window, &open, limit) };
    answer::ok(&AvailabilityAnswer::Window(slots))
}

impl AvailabilityQuery {
    fn window(&self) -> Result<Option<Window>, Problem> {
        let window = fields::window(self.from, self.to)?;
        match window {
            None if self.has_needs() => Err(Problem::malformed_request(
                "`features`, `vehicle_size`, `vehicle_type`, `zone` and `limit` need a window: give `from` and `to`",
            )),
            window => Ok(window),
        }
    }

    fn has_needs(&self) -> bool {
        self.features.is_some()
            || self.vehicle_size.is_some()
            || self.zone.is_some()
            || self.vehicle_type.is_some()
            || self.limit.is_some()
    }
}
