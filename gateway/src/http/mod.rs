//! The HTTP interface: one file per resource, routes and description from the same attributes.
//!
//! Invariants: a route that is not in `openapi.json` does not exist; every refusal is a
//! [`crate::error::Problem`]; a handler that names a `Principal` is protected. A handler parses, sends
//! one command to the owner of the answer and shows the durable view; it decides nothing.
//! Deliberately absent: pages, websockets, request ids, limits of rate and time (`server`).

mod anpr;
pub(crate) mod answer;
mod authorisations;
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
mod passes;
mod past;
mod payments;
mod people;
mod picture;
pub(crate) mod precondition;
mod probes;
mod readings;
mod reservation_gate;
mod reservation_list;
mod reservation_target;
mod reservations;
mod scan_list;
mod scans;
mod search;
mod series;
mod sessions;
mod shifts;
mod slots;
mod tariffs;
mod violations;
mod waiting;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub(crate) use answer::unreadable;
pub use openapi::document;
pub(crate) use reservations::own;

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
        .routes(routes!(reservation_gate::qr))
        .routes(routes!(reservation_gate::check_in))
        .routes(routes!(reservation_gate::check_out))
        .routes(routes!(series::create))
        .routes(routes!(payments::pay_reservation))
        .routes(routes!(scans::scan, scan_list::list))
        .routes(routes!(anpr::post))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::show, sessions::change))
        .routes(routes!(sessions::exit))
        .routes(routes!(sessions::ticket))
        .routes(routes!(payments::pay_session, payments::of_session))
        .routes(routes!(payments::show))
        .routes(routes!(payments::refund))
        .routes(routes!(authorisations::authorise_session))
        .routes(routes!(authorisations::authorise_reservation))
        .routes(routes!(authorisations::authorise_violation))
        .routes(routes!(authorisations::capture))
        .routes(routes!(authorisations::void))
        .routes(routes!(payments::ledger))
        .routes(routes!(shifts::open, shifts::list))
        .routes(routes!(shifts::show))
        .routes(routes!(shifts::close))
        .routes(routes!(tariffs::list, tariffs::upload))
        .routes(routes!(tariffs::end))
        .routes(routes!(tariffs::quote))
        .routes(routes!(passes::create, passes::list))
        .routes(routes!(passes::show, passes::change))
        .routes(routes!(waiting::create, waiting::list))
        .routes(routes!(waiting::show, waiting::leave))
        .routes(routes!(payments::pay_pass))
        .routes(routes!(authorisations::authorise_pass))
        .routes(routes!(violations::create, violations::list))
        .routes(routes!(violations::show, violations::change))
        .routes(routes!(violations::appeal))
        .routes(routes!(violations::waive))
        .routes(routes!(violations::resolve))
        .routes(routes!(violations::notify))
        .routes(routes!(payments::pay_violation, payments::of_violation))
        .routes(routes!(events::list))
        .routes(routes!(backup::take))
        .routes(routes!(probes::livez))
        .routes(routes!(probes::readyz))
        .routes(routes!(probes::metrics))
        .routes(routes!(openapi::show))
}
