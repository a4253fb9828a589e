//! The HTTP interface: one file per resource, routes and description from the same attributes.
//!
//! Invariants: a route that is not in `openapi.json` does not exist; every refusal is a
//! [`crate::error::Problem`]; a handler that names a `Principal` is protected. A handler parses, sends
//! one command to the owner of the answer and shows the durable view; it decides nothing.
//! Deliberately absent: pages, websockets, request ids, limits of rate and time (`server`).

pub(crate) mod answer;
mod availability;
mod backup;
mod body;
mod counts;
mod event_scan;
mod events;
mod fields;
pub(crate) mod fingerprint;
pub(crate) mod intent;
mod lots;
mod openapi;
pub(crate) mod precondition;
mod probes;
mod readings;
mod reservation_list;
mod reservations;
mod search;
mod slots;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub(crate) use answer::unreadable;
pub use openapi::document;

/// All routes of the interface.
pub fn routes() -> Router<App> {
    described().split_for_parts().0
}

/// Routes together with what describes them.
fn described() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(lots::create, search::list))
        .routes(routes!(lots::show, lots::change))
        .routes(routes!(availability::show))
        .routes(routes!(slots::list))
        .routes(routes!(slots::show, slots::change))
        .routes(routes!(readings::take))
        .routes(routes!(counts::take))
        .routes(routes!(reservations::create, reservation_list::list))
        .routes(routes!(reservations::show, reservations::change))
        .routes(routes!(reservations::confirm))
        .routes(routes!(reservations::cancel))
        .routes(routes!(events::list))
        .routes(routes!(backup::take))
        .routes(routes!(probes::livez))
        .routes(routes!(probes::readyz))
        .routes(routes!(probes::metrics))
        .routes(routes!(openapi::show))
}
