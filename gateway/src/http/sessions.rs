//! Stays: found, shown, and put right by staff.

use axum::extract::State;
use axum::response::Response;
use lotkeeper_actors::{CommandError, Done, Item, Origin};
use lotkeeper_engine::ids::{Pseudonym, Reference, ReservationId, SessionId};
use lotkeeper_engine::lot::session::Session;
use lotkeeper_engine::lot::{Command, Rejection, StayChange};
use lotkeeper_engine::spec::Fault;
use lotkeeper_storage::history::Query;
use lotkeeper_storage::{ClaimOutcome, PersonKind};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::answer::{self, invalid};
use super::body::{JsonBody, PathOf, QueryOf};
use super::intent::Intent;
use super::precondition::IfMatch;
use super::{fields, past, people, picture, scans};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::credential::Ticket;
use crate::error::{self, Problem};
use crate::wire::Listed;
use crate::wire::cursor::List;
use crate::wire::instant::Instant;
use crate::wire::names::SessionState;
use crate::wire::stay::{ManualExit, SessionBody, SessionPatch};
use crate::wire::vehicle::Vehicle;

/// What a list asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionsQuery {
    /// Code or id of a lot.
    lot: Option<String>,
    /// States, separated by commas.
    #[param(example = "inside,overstaying")]
    state: Option<String>,
    /// A plate, however it is spelled.
    plate: Option<String>,
    /// The country that issued it.
    country: Option<String>,
    /// The number of a ticket.
    ticket: Option<String>,
    /// The reservation it came of.
    reservation: Option<Uuid>,
    /// Entered at this instant or later.
    from: Option<Instant>,
    /// Entered before this instant.
    to: Option<Instant>,
    /// Items of a page, 1 to 500; 50 when left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before, with the same other parameters.
    cursor: Option<String>,
}

/// Search stays
///
/// Of all times, the last to come in first. Drivers see their own.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "sessions", operation_id = "listSessions",
    params(SessionsQuery),
    responses(
        (status = 200, description = "Stays.", body = Listed<SessionBody>),
        (status = 404, description = "`lot_not_found`"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    principal: Principal,
    QueryOf(query): QueryOf<SessionsQuery>,
) -> Result<Response, Problem> {
    principal.require(Access::Driver)?;
    match wanted(&app, &principal, &query)? {
        None => answer::ok(&past::nothing::<SessionBody>(&app)),
        Some(wanted) => {
            let shown = |item: &Item<Session>| {
                scans::body(&app, &item.lot.view(), &item.document, item.lot_seq)
            };
            answer::ok(&past::list(&app, List::Sessions, wanted, shown).await?)
        }
    }
}

/// Nothing when nobody can match: a plate or person that nobody ever told of.
fn wanted(
    app: &App,
    principal: &Principal,
    query: &SessionsQuery,
) -> Result<Option<Query<Session>>, Problem> {
    let limit = fields::limit(query.limit)?;
    let after = past::after(List::Sessions, query.cursor.as_deref())?;
    let lots = past::lots(app, principal, query.lot.as_deref())?;
    let states = fields::values("state", query.state.as_deref(), SessionState::of)?;
    let holder = match principal.role.may(Access::Staff) {
        true => None,
        false => {
            let own = people::known(app, principal, PersonKind::Subject, &principal.subject)?;
            let Some(own) = own else { return Ok(None) };
            Some(own)
        }
    };
    let vehicles = match &query.plate {
        Some(plate) => Some(vehicles(app, principal, plate, query.country.as_deref())?),
        None => None,
    };
    let reference = match &query.ticket {
        Some(text) => {
            let ticket = Ticket::parse(text);
            let ticket = ticket.map_err(|error| Problem::malformed_request(error.to_string()))?;
            let Some(reference) = Reference::of_number(ticket.number()) else { return Ok(None) };
            Some(reference)
        }
        None => None,
    };
    Ok(Some(Query {
        lots,
        states: states.into_iter().map(Into::into).collect(),
        holder,
        vehicles,
        reference,
        reservation: query.reservation.map(ReservationId),
        from: query.from.map(|from| from.0),
        to: query.to.map(|to| to.0),
        after,
        ..Query::of(&principal.tenant, limit)
    }))
}

/// Every vehicle that a plate may mean: with a country that one, without any that is known under it.
fn vehicles(
    app: &App,
    principal: &Principal,
    plate: &str,
    country: Option<&str>,
) -> Result<Vec<Pseudonym>, Problem> {
    let vehicle = Vehicle { plate: plate.to_owned(), country: country.map(Into::into) };
    let wrong = |faults: Vec<Fault>| {
        let told: Vec<String> = faults.into_iter().map(|fault| fault.detail).collect();
        Problem::malformed_request(told.join("; "))
    };
    let clear = vehicle.canonical().map_err(wrong)?;
    match country {
        Some(_) => {
            let known = people::known(app, principal, PersonKind::Vehicle, &clear)?;
            Ok(known.into_iter().collect())
        }
        None => people::anyhow(app, principal, plate),
    }
}

/// A stay that the caller may see, as its lot knows it or, where that has forgotten it, as the history does. A command
/// about the latter is sent all the same: a repeated key gets its first answer, whatever was forgotten since.
pub async fn target(app: &App, principal: &Principal, id: &str) -> Result<Item<Session>, Problem> {
    principal.require(Access::Driver)?;
    let missing = || no_session(id);
    let wanted = SessionId(Uuid::try_parse(id).map_err(|_| missing())?);
    let found =
        past::one(app, principal, wanted.0, move |history, tenant| history.session(tenant, wanted));
    let item = found.await?.ok_or_else(missing)?;
    principal.require_lot(&item.lot)?;
    if may_see(app, principal, &item.document)? { Ok(item) } else { Err(missing()) }
}

/// Show a stay
///
/// However long ago it was.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}", tag = "sessions", operation_id = "getSession",
    params(("id" = Uuid, Path, description = "Its id.")),
    responses(
        (status = 200, description = "The stay.", body = SessionBody, headers(("ETag"))),
        (status = 404, description = "`session_not_found`"),
    ),
)]
pub async fn show(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Response, Problem> {
    let Item { lot, lot_seq, document } = target(&app, &principal, &id).await?;
    let body = scans::body(&app, &lot.view(), &document, lot_seq)?;
    Ok(answer::with_version(answer::ok(&body)?, body.version))
}

fn no_session(id: &str) -> Problem {
    let shown = answer::shorten(id);
    Problem::session_not_found(format!("no session `{shown}` that you may see"))
}

/// Staff see all, drivers their own.
fn may_see(app: &App, principal: &Principal, session: &Session) -> Result<bool, Problem> {
    if principal.role.may(Access::Staff) {
        return Ok(true);
    }
    let own = people::known(app, principal, PersonKind::Subject, &principal.subject)?;
    Ok(own.is_some() && session.holder == own)
}

/// Correct a stay
///
/// Its slot, its vehicle, that its ticket is lost, or what somebody asks for; one of them at a time. Role staff; what
/// they ask for drivers say of their own stays.
#[utoipa::path(
    patch, path = "/api/v1/sessions/{id}", tag = "sessions", operation_id = "changeSession",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was seen."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    request_body = SessionPatch,
    responses(
        (status = 200, description = "The stay after the change.", body = SessionBody, headers(("ETag"))),
        (status = 404, description = "`session_not_found`, `slot_not_found`"),
        (status = 409, description = "`session_ended`, `vehicle_inside`, `slot_taken`, `request_in_progress`"),
        (status = 412, description = "`version_mismatch`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
    ),
)]
pub async fn change(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    if_match: IfMatch,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    let target = target(&app, &principal, &id).await?;
    let request: SessionPatch = body.parse()?;
    // Whoever may see a stay may ask for something.
    if request.request.is_none() {
        principal.require(Access::Staff)?;
    }
    let change = change_of(&app, &principal, &target, &request)?;
    let expected_version = if_match.expected(target.document.version)?;
    let id = target.document.id;
    let command = Command::ChangeStay { id, change, expected_version };
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    changed(&app, &sent(&app, target, command, origin).await?)
}

/// Sends it. What its lot has forgotten is answered as while it was remembered: it is over.
async fn sent(
    app: &App,
    target: Item<Session>,
    command: Command,
    origin: Origin,
) -> Result<Done, Problem> {
    let Item { lot, lot_seq, document } = target;
    let is_exit = matches!(command, Command::ChangeStay { change: StayChange::Leave { .. }, .. });
    let answered = match app.engine.command(&lot, command, origin) {
        Ok(answer) => answer.await,
        Err(error) => Err(error),
    };
    let state = document.state;
    match answered {
        Err(CommandError::Rejected(Rejection::SessionNotFound)) if !state.is_inside() => {
            if is_exit {
                let answer = ClaimOutcome::Session(document);
                return Ok(Done { lot, lot_seq, answer, repeated: false });
            }
            let ended = CommandError::Rejected(Rejection::SessionEnded { state });
            Err(error::command(&lot.view(), &ended))
        }
        answered => answered.map_err(|error| error::command(&lot.view(), &error)),
    }
}

fn change_of(
    app: &App,
    principal: &Principal,
    Item { lot, document: stay, .. }: &Item<Session>,
    request: &SessionPatch,
) -> Result<StayChange, Problem> {
    let request_given = request.request.is_some();
    let given = [request.slot.is_some(), request.vehicle.is_some(), request.ticket_lost];
    if given.iter().filter(|given| **given).count() + usize::from(request_given) != 1 {
        let detail = "give one of `slot`, `vehicle`, `ticket_lost` and `request`";
        return Err(Problem::field("", detail));
    }
    if let Some(text) = &request.request {
        let whose = stay.holder.map_or(stay.id.0, |holder| holder.0);
        return Ok(StayChange::Request(people::asked(app, principal, whose, text.as_deref())?));
    }
    if let Some(slot) = &request.slot {
        let slot = match slot {
            Some(code) => Some(lot.slot(code).ok_or_else(|| answer::no_slot(lot, code))?),
            None => None,
        };
        return Ok(StayChange::Place { slot });
    }
    let Some(vehicle) = &request.vehicle else { return Ok(StayChange::LoseTicket) };
    let clear = vehicle.clone().at_home_in(people::home(&lot.view()));
    let clear = clear.canonical().map_err(invalid)?;
    let vehicle = people::pseudonym(app, principal, PersonKind::Vehicle, &clear)?;
    Ok(StayChange::Identify { vehicle })
}

/// Say that a vehicle left
///
/// Where nobody scanned it. Its fee is billed and stays owed. One that left already stays as it is. Role staff.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/exit", tag = "sessions", operation_id = "endSession",
    params(
        ("id" = Uuid, Path, description = "Its id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry harmless."),
    ),
    request_body = Option<ManualExit>,
    responses(
        (status = 200, description = "The stay.", body = SessionBody, headers(("ETag"))),
        (status = 404, description = "`session_not_found`"),
        (status = 409, description = "`request_in_progress`"),
        (status = 422, description = "`idempotency_key_reused`"),
    ),
)]
pub async fn exit(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    intent: Intent,
    body: JsonBody,
) -> Result<Response, Problem> {
    principal.require(Access::Staff)?;
    let target = target(&app, &principal, &id).await?;
    let request: ManualExit = body.parse_or_default()?;
    let id = target.document.id;
    let command = Command::ChangeStay { id, change: request.into(), expected_version: None };
    let origin = intent.origin(&app, &principal, body.bytes(), None)?;
    changed(&app, &sent(&app, target, command, origin).await?)
}

fn changed(app: &App, done: &Done) -> Result<Response, Problem> {
    let ClaimOutcome::Session(session) = &done.answer else {
        return Err(answer::unexpected("session", &done.answer));
    };
    let body = scans::body(app, &done.lot.view(), session, done.lot_seq)?;
    Ok(answer::with_version(answer::ok(&body)?, body.version))
}

/// The code on a ticket
///
/// As a picture.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/ticket", tag = "sessions", operation_id = "getTicket",
    params(("id" = Uuid, Path, description = "Its id."), picture::PictureQuery),
    responses(
        (status = 200, description = "The picture.", content((String = "image/svg+xml"), (Vec<u8> = "image/png"))),
        (status = 404, description = "`session_not_found`"),
    ),
)]
pub async fn ticket(
    State(app): State<App>,
    principal: Principal,
    PathOf(id): PathOf<String>,
    QueryOf(query): QueryOf<picture::PictureQuery>,
) -> Result<Response, Problem> {
    let Item { lot, document, .. } = target(&app, &principal, &id).await?;
    picture::of(&scans::ticket_token(&app, lot.tenant(), &document), &query)
}
