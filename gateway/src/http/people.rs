//! Vehicles and people between their clear texts and their pseudonyms.

use lotkeeper_actors::LotView;
use lotkeeper_engine::ids::Pseudonym;
use lotkeeper_engine::limits::NEAR_PLATES_MAX;
use lotkeeper_storage::PersonKind;
use uuid::Uuid;

use super::answer::{invalid, unreadable};
use crate::app::App;
use crate::auth::Principal;
use crate::error::Problem;
use crate::plate::{Country, Stated, compact, countries, one_edit};
use crate::wire::request::{self as wire, InClear};
use crate::wire::vehicle::Vehicle;

/// The pseudonym of a clear text, made when there is none.
pub fn pseudonym(
    app: &App,
    principal: &Principal,
    kind: PersonKind,
    clear: &str,
) -> Result<Pseudonym, Problem> {
    let interned = app.engine.vault().intern(&principal.tenant, kind, clear);
    interned.map_err(|error| unreadable("vault", &error))
}

/// The pseudonym of a clear text, if it has one.
pub fn known(
    app: &App,
    principal: &Principal,
    kind: PersonKind,
    clear: &str,
) -> Result<Option<Pseudonym>, Problem> {
    let found = app.engine.vault().find(&principal.tenant, kind, clear);
    found.map_err(|error| unreadable("vault", &error))
}

/// A vehicle in clear; nothing once it was erased.
pub fn vehicle(app: &App, vehicle: Option<Pseudonym>) -> Result<Option<Vehicle>, Problem> {
    let Some(pseudonym) = vehicle else { return Ok(None) };
    let clear = app.engine.vault().reveal(pseudonym);
    let clear = clear.map_err(|error| unreadable("vault", &error))?;
    Ok(clear.map(|clear| Vehicle::from_canonical(&clear)))
}

/// The pseudonym of what somebody asks for; nothing where that is nothing. The same words of two people are two.
pub fn asked(
    app: &App,
    principal: &Principal,
    whose: Uuid,
    text: Option<&str>,
) -> Result<Option<Pseudonym>, Problem> {
    let text = match text {
        Some(text) => wire::asked(text).map_err(|fault| invalid(vec![fault]))?,
        None => None,
    };
    let clear = text.map(|text| format!("{whose} {text}"));
    clear.map(|clear| pseudonym(app, principal, PersonKind::Request, &clear)).transpose()
}

/// A vehicle and a request in clear; nothing of either once it was erased.
pub fn in_clear(
    app: &App,
    vehicle: Option<Pseudonym>,
    request: Option<Pseudonym>,
) -> Result<InClear, Problem> {
    let vehicle = self::vehicle(app, vehicle)?;
    let Some(request) = request else { return Ok(InClear { vehicle, request: None }) };
    let clear = app.engine.vault().reveal(request);
    let clear = clear.map_err(|error| unreadable("vault", &error))?;
    let request = clear.as_deref().and_then(|clear| Some(clear.split_once(' ')?.1.to_owned()));
    Ok(InClear { vehicle, request })
}

/// The country a lot lies in.
pub fn home(view: &LotView) -> Option<Country> {
    view.spec().place.country.as_deref().and_then(Country::parse)
}

/// Which vehicle a plate means in a lot: of the countries it may be of, the one that the lot expects; else the
/// likeliest that is known, else a new one.
pub fn read(
    app: &App,
    principal: &Principal,
    view: &LotView,
    plate: &str,
    stated: Stated,
) -> Result<Pseudonym, Problem> {
    let (mut first, mut found) = (None, Vec::new());
    for country in countries(stated, home(view)) {
        let country = country.map(|country| country.to_string());
        let clear = Vehicle { plate: plate.to_owned(), country }.canonical().map_err(invalid)?;
        found.extend(known(app, principal, PersonKind::Vehicle, &clear)?);
        first = first.or(Some(clear));
    }
    match *found {
        [] => pseudonym(app, principal, PersonKind::Vehicle, &first.unwrap_or_default()),
        [vehicle] => Ok(vehicle),
        // Looked at last: it asks every promise of the lot.
        [likeliest, ..] => Ok(found
            .into_iter()
            .find(|vehicle| view.expects(*vehicle) || app.engine.has_tenant_pass(*vehicle))
            .unwrap_or(likeliest)),
    }
}

/// Every vehicle with the characters of a plate, whatever its country: somebody who looks for one need not know.
pub fn anyhow(app: &App, principal: &Principal, plate: &str) -> Result<Vec<Pseudonym>, Problem> {
    let mut found = Vec::new();
    for country in Country::all().map(Some).chain([None]) {
        let country = country.map(|country| country.to_string());
        // What is no plate in one country may be one in another.
        let Ok(clear) = (Vehicle { plate: plate.to_owned(), country }).canonical() else {
            continue;
        };
        let vehicle = known(app, principal, PersonKind::Vehicle, &clear)?;
        found.extend(vehicle.filter(|vehicle| !found.contains(vehicle)));
    }
    Ok(found)
}

/// Vehicles that the lot expects and whose plates are one edit away from what was read, where its rule counts
/// those.
pub fn near(
    app: &App,
    view: &LotView,
    read: Pseudonym,
    plate: &str,
) -> Result<Vec<Pseudonym>, Problem> {
    if !view.spec().rules.fuzzy_plates {
        return Ok(Vec::new());
    }
    let Ok(wanted) = compact(plate, home(view)) else { return Ok(Vec::new()) };
    let mut near = Vec::new();
    for candidate in view.expected_vehicles().filter(|candidate| *candidate != read) {
        let Some(known) = vehicle(app, Some(candidate))? else { continue };
        let country = known.country.as_deref().and_then(Country::parse);
        let is_near = compact(&known.plate, country).is_ok_and(|plate| one_edit(&plate, &wanted));
        if is_near && !near.contains(&candidate) {
            near.push(candidate);
        }
        if near.len() == NEAR_PLATES_MAX {
            break;
        }
    }
    Ok(near)
}
