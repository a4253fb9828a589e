//! The list of lots: by code, by distance from a point, by room, or by the price of a stay.

use axum::extract::State;
use axum::response::Response;
use lotkeeper_actors::{Filter, LotHandle};
use lotkeeper_engine::limits::WINDOW_SECONDS_MAX;
use lotkeeper_engine::spec;
use lotkeeper_engine::time::{Seconds, Window};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer;
use super::body::QueryOf;
use super::fields;
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::Problem;
use crate::search::{Circle, FoundPage, Key, Search, Sort};
use crate::wire::Page;
use crate::wire::cursor::{self, List};
use crate::wire::instant::Instant;
use crate::wire::lot::{LotBody, RoomBody};
use crate::wire::money::MoneyBody;
use crate::wire::names::{Kind, Listing, LotSort, Size};
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
    /// Items of a page, 1 to 500; 50 when left out. A page of a window may have fewer and go on.
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
    /// Lots of this category.
    #[param(example = "garage")]
    category: Option<String>,
    /// `bayed` or `counted`.
    kind: Option<String>,
    /// `listed` or `paused`; others than staff see listed lots only.
    listing: Option<String>,
    /// Lots with a slot that has all of these, separated by commas.
    #[param(example = "ev,covered")]
    features: Option<String>,
    /// Lots with a slot for a vehicle of this size.
    #[param(example = "standard")]
    vehicle_size: Option<String>,
    /// Lots with a slot for a vehicle of this type.
    #[param(example = "van")]
    vehicle_type: Option<String>,
    /// Lots with so many places free, now or in the window: of the slots that fit, when `features`,
    /// `vehicle_size` or `vehicle_type` is given.
    free_min: Option<u32>,
    /// The first instant of a window; with `to`.
    #[param(value_type = Option<String>, example = "2026-03-01T09:00:00Z")]
    from: Option<Instant>,
    /// The first instant after the window; with `from`.
    #[param(value_type = Option<String>, example = "2026-03-01T11:00:00Z")]
    to: Option<Instant>,
    /// `code`, `distance` (with `near`), `free` or `price` (with `from` and `to`); `distance` with `near`, else `code`, when left out.
    sort: Option<String>,
}

/// List and search lots
///
/// Drivers, devices and signs find listed lots only.
#[utoipa::path(
    get, path = "/api/v1/lots", tag = "lots", operation_id = "listLots",
    params(LotsQuery),
    responses(
        (status = 200, description = "Lots in the order asked for.", body = Page<LotBody>),
        (status = 422, description = "`window_empty`, `window_too_long`, `search_too_wide`"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    principal: Principal,
    QueryOf(query): QueryOf<LotsQuery>,
) -> Result<Response, Problem> {
    let limit = fields::limit(query.limit)?;
    let mut search = query.search()?;
    if principal.require(Access::Staff).is_err() {
        match search.filter.listing {
            Some(spec::Listing::Paused) => return answer::ok(&Page::<LotBody<'_>>::default()),
            Some(spec::Listing::Listed) | None => {
                search.filter.listing = Some(spec::Listing::Listed);
            }
        }
    }
    let list = match search.sort {
        Sort::Code => List::Lots,
        Sort::Distance => List::NearLots,
        Sort::Free => List::FreeLots,
        Sort::Price => List::PricedLots,
    };
    let after = fields::after(list, query.cursor.as_deref())?;
    let after = after.map(|key| Key::of(&key).ok_or_else(fields::bad_cursor)).transpose()?;
    let page = page_of(&app, principal, search.clone(), (after, limit)).await?;
    let now = app.engine.now();
    let items = page.lots.iter().map(|found| LotBody {
        distance_km: found.metres.map(|metres| f64::from(metres) / METRES_PER_KM),
        room: search.window.zip(found.offer.room).map(RoomBody::from),
        price: found.offer.price.map(|price| MoneyBody::of(price, found.view.spec())),
        ..LotBody::of(&found.view, now)
    });
    let next_cursor = page.next.map(|key| cursor::encode(list, &key.text()));
    answer::ok(&Page { items: items.collect(), next_cursor })
}

async fn page_of(
    app: &App,
    principal: Principal,
    search: Search,
    (after, limit): (Option<Key>, usize),
) -> Result<FoundPage, Problem> {
    let engine = app.engine.clone();
    let compares_all = search.compares_all();
    let look = move || {
        let may_see = |lot: &LotHandle| principal.may_use_lot(lot.code(), lot.id());
        let page = search.page(&engine, &principal.tenant, may_see, (after.as_ref(), limit));
        page.map_err(|too_wide| Problem::search_too_wide(too_wide.to_string()))
    };
    if !compares_all {
        return look();
    }
    // Thousands of lots take milliseconds, for which the runtime's threads have others to answer.
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a search ended badly");
        Err(Problem::internal("the lots cannot be compared; tell the operator the request id"))
    })
}

impl LotsQuery {
    fn search(&self) -> Result<Search, Problem> {
        let features = fields::names(self.features.as_deref());
        let vehicle_size: Option<Size> = fields::size(self.vehicle_size.as_deref())?;
        let any = features.is_empty() && vehicle_size.is_none() && self.vehicle_type.is_none();
        let circle = near(self.near.as_deref(), self.radius_km)?;
        let sort = match fields::value("sort", self.sort.as_deref(), LotSort::of)? {
            None if circle.is_some() => Sort::Distance,
            None | Some(LotSort::Code) => Sort::Code,
            Some(LotSort::Free) => Sort::Free,
            Some(LotSort::Price) => Sort::Price,
            Some(LotSort::Distance) if circle.is_some() => Sort::Distance,
            Some(LotSort::Distance) => {
                return Err(Problem::malformed_request("`sort=distance` needs `near=lat,lon`"));
            }
        };
        let filter = Filter {
            listing: fields::value("listing", self.listing.as_deref(), Listing::of)?
                .map(Into::into),
            kind: fields::value("kind", self.kind.as_deref(), Kind::of)?.map(Into::into),
            city: self.city.clone(),
            category: self.category.clone(),
            features: features.clone(),
            vehicle_size: vehicle_size.map(Into::into),
            vehicle_type: self.vehicle_type.clone(),
        };
        let vehicle_type = self.vehicle_type.clone();
        let needs = NeedsBody { vehicle_size, features, zone: None, vehicle_type };
        let window = fields::window(self.from, self.to)?;
        if sort == Sort::Price {
            priceable(window)?;
        }
        Ok(Search {
            circle,
            filter,
            needs: (!any).then_some(needs),
            window,
            free_min: self.free_min.unwrap_or_default(),
            sort,
        })
    }
}

/// A price is of a stay, and a stay has an end that a quote would take.
fn priceable(window: Option<Window>) -> Result<(), Problem> {
    let Some(window) = window else {
        return Err(Problem::malformed_request("`sort=price` needs `from` and `to`"));
    };
    if window.to > window.from.plus(Seconds(WINDOW_SECONDS_MAX)) {
        return Err(Problem::window_too_long("a window lasts at most 366 days"));
    }
    Ok(())
}

fn near(point: Option<&str>, radius_km: Option<f64>) -> Result<Option<Circle>, Problem> {
    let Some(text) = point else {
        return match radius_km {
            Some(_) => Err(Problem::malformed_request("`radius_km` needs `near=lat,lon`")),
            None => Ok(None),
        };
    };
    let position = PositionBody::from_pair(text).and_then(|at| at.checked(&mut Vec::new()));
    let Some(centre) = position else {
        return Err(fields::unknown("near", text));
    };
    let radius_km = radius_km.unwrap_or(RADIUS_KM_DEFAULT);
    if !(0.0..=RADIUS_KM_MAX).contains(&radius_km) {
        let detail = format!("radius_km {radius_km} is not between 0 and {RADIUS_KM_MAX}");
        return Err(Problem::malformed_request(detail));
    }
    Ok(Some(Circle { centre, radius_km }))
}
