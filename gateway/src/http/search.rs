//! The list of lots: by code, or by distance from a point.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use lotkeeper_actors::LotView;
use lotkeeper_engine::status::Status;
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer;
use super::body::QueryOf;
use super::fields;
use crate::app::App;
use crate::auth::Principal;
use crate::error::Problem;
use crate::wire::Page;
use crate::wire::cursor::{self, List};
use crate::wire::lot::LotBody;
use crate::wire::names::Size;
use crate::wire::place::PositionBody;
use crate::wire::reservation::NeedsBody;

/// How far a search goes that does not say.
const RADIUS_KM_DEFAULT: f64 = 10.0;
/// Half the way around the earth.
const RADIUS_KM_MAX: f64 = 20_038.0;
/// Distances are compared and shown in whole metres.
const METRES_PER_KM: f64 = 1_000.0;

/// What a search asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LotsQuery {
    /// Items of a page, 1 to 500; 50 when left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before, with the same other parameters.
    cursor: Option<String>,
    /// `lat,lon`: lots within `radius_km`, the nearest first.
    #[param(example = "52.52,13.4")]
    near: Option<String>,
    /// With `near`; 10 when left out.
    radius_km: Option<f64>,
    /// Lots of this city, whatever the case of its letters.
    city: Option<String>,
    /// Lots with a slot that has all of these, separated by commas.
    #[param(example = "ev,covered")]
    features: Option<String>,
    /// Lots with a slot for a vehicle of this size.
    #[param(example = "standard")]
    vehicle_size: Option<String>,
    /// Lots with so many places free now: of the slots that fit, when `features` or `vehicle_size` is given.
    free_min: Option<u32>,
}

struct Search {
    near: Option<(PositionBody, f64)>,
    city: Option<String>,
    needs: Option<NeedsBody>,
    free_min: u32,
}

/// A lot that was found, and its place in the order of the list.
struct Found {
    view: Arc<LotView>,
    metres: Option<u64>,
}

/// List and search lots
#[utoipa::path(
    get, path = "/api/v1/lots", tag = "lots", operation_id = "listLots",
    params(LotsQuery),
    responses((status = 200, description = "Lots in order of code, or of distance.", body = Page<LotBody>)),
)]
pub async fn list(
    State(app): State<App>,
    principal: Principal,
    QueryOf(query): QueryOf<LotsQuery>,
) -> Result<Response, Problem> {
    let limit = fields::limit(query.limit)?;
    let search = Search::of(&query)?;
    let list = if search.near.is_some() { List::NearLots } else { List::Lots };
    let after = fields::after(list, query.cursor.as_deref())?;
    let lots = app.engine.lots(&principal.tenant);
    let lots = lots.iter().filter(|lot| principal.may_use_lot(lot.code(), lot.id()));
    let mut found: Vec<Found> = match list {
        List::NearLots => {
            let mut all: Vec<Found> = lots.filter_map(|lot| search.judge(lot.view())).collect();
            all.sort_by_cached_key(Found::key);
            let later = |found: &Found| after.as_ref().is_none_or(|after| found.key() > *after);
            all.into_iter().filter(later).take(limit + 1).collect()
        }
        _ => lots
            .filter(|lot| after.as_deref().is_none_or(|after| lot.code() > after))
            .filter_map(|lot| search.judge(lot.view()))
            .take(limit + 1)
            .collect(),
    };
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|last| cursor::encode(list, &last.key()));
    let now = app.engine.now();
    let items = found.iter().map(|found| LotBody {
        distance_km: found.metres.map(|metres| metres as f64 / METRES_PER_KM),
        ..LotBody::of(&found.view, now)
    });
    answer::ok(&Page { items: items.collect(), next_cursor })
}

impl Found {
    /// Sorts as text: metres in a fixed width, then the code.
    fn key(&self) -> String {
        let code = &self.view.spec().code;
        match self.metres {
            Some(metres) => format!("{metres:012}:{code}"),
            None => code.to_string(),
        }
    }
}

impl Search {
    fn of(query: &LotsQuery) -> Result<Self, Problem> {
        let features = fields::names(query.features.as_deref());
        let vehicle_size: Option<Size> = fields::size(query.vehicle_size.as_deref())?;
        let any = features.is_empty() && vehicle_size.is_none();
        Ok(Self {
            near: near(query.near.as_deref(), query.radius_km)?,
            city: query.city.as_ref().map(|city| city.to_lowercase()),
            needs: (!any).then_some(NeedsBody { vehicle_size, features, zone: None }),
            free_min: query.free_min.unwrap_or_default(),
        })
    }

    fn judge(&self, view: Arc<LotView>) -> Option<Found> {
        let place = &view.spec().place;
        if let Some(wanted) = &self.city {
            place.city.as_ref().filter(|city| city.to_lowercase() == *wanted)?;
        }
        let metres = match self.near {
            Some((point, radius_km)) => {
                let distance_km = point.distance_km(place.position?.into());
                (distance_km <= radius_km).then_some(())?;
                // At most half the earth in metres, and never negative.
                Some((distance_km * METRES_PER_KM).round() as u64)
            }
            None => None,
        };
        self.has_room(&view).then_some(Found { view, metres })
    }

    fn has_room(&self, view: &LotView) -> bool {
        let Some(needs) = &self.needs else {
            return view.shown_counts().free >= self.free_min;
        };
        let spec = view.spec();
        let Some(needs) = needs.in_lot(spec) else { return false };
        let mut fitting = spec
            .slot_indices()
            .filter(|slot| spec.slot(*slot).is_some_and(|slot| needs.fit(slot)))
            .peekable();
        if fitting.peek().is_none() {
            return false;
        }
        let wanted = self.free_min as usize;
        let free = fitting.filter(|slot| wanted > 0 && view.status(*slot) == Status::Free);
        free.take(wanted).count() == wanted
    }
}

fn near(
    point: Option<&str>,
    radius_km: Option<f64>,
) -> Result<Option<(PositionBody, f64)>, Problem> {
    let Some(text) = point else {
        return match radius_km {
            Some(_) => Err(Problem::malformed_request("`radius_km` needs `near=lat,lon`")),
            None => Ok(None),
        };
    };
    let Some(point) = PositionBody::from_pair(text) else {
        return Err(fields::unknown("near", text));
    };
    let radius_km = radius_km.unwrap_or(RADIUS_KM_DEFAULT);
    if !(0.0..=RADIUS_KM_MAX).contains(&radius_km) {
        let detail = format!("radius_km {radius_km} is not between 0 and {RADIUS_KM_MAX}");
        return Err(Problem::malformed_request(detail));
    }
    Ok(Some((point, radius_km)))
}
