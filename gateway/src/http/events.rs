//! The log, for operators.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use lotkeeper_actors::{ChangeKind, LotView};
use lotkeeper_engine::ids::{LotKey, Pseudonym, ReservationId};
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::{By, PersonKind, Record, Vault};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::answer;
use super::body::QueryOf;
use super::event_scan::Log;
use super::fields;
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::Problem;
use crate::wire::Page;
use crate::wire::cursor::{self, List};
use crate::wire::event::{ByBody, EventBody, Subject};
use crate::wire::instant::Instant;

/// What a list asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Code or id of a lot.
    lot: Option<String>,
    /// Types, separated by commas.
    #[serde(rename = "type")]
    #[param(example = "slot.occupied,slot.vacated")]
    kind: Option<String>,
    /// `slots/{code}`, `reservations/{id}` or `lots/{code}`.
    #[param(example = "slots/A-101")]
    entity: Option<String>,
    /// Subject of the token that asked; events that nobody asked for have none.
    #[param(example = "desk-7")]
    by: Option<String>,
    /// Events of this instant or later.
    #[param(value_type = Option<String>, example = "2026-03-01T09:00:00Z")]
    from: Option<Instant>,
    /// Events after this sequence: the lot's with `lot`, else the global one.
    after_seq: Option<u64>,
    /// Items of a page, 1 to 500; 50 when left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before, with the same other parameters.
    cursor: Option<String>,
}

/// What an event may be about.
enum Entity {
    Slot(String),
    Reservation(ReservationId),
    Lot(String),
    Session(Uuid),
    Payment(Uuid),
    Violation(Uuid),
    Pass(Uuid),
    Waiting(Uuid),
    Shift(Uuid),
}

struct Filter {
    kinds: Vec<ChangeKind>,
    entity: Option<Entity>,
    by: Option<Pseudonym>,
    from: Option<Timestamp>,
}

/// Read the log
///
/// Oldest first. A page may hold fewer events than `limit`, or none, and still have a `next_cursor`: a
/// filter looks at so many records per request. Without `from` and `after_seq` it begins with the oldest
/// event there is. `by` says who asked. Role operator.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", operation_id = "listEvents",
    params(EventsQuery),
    responses(
        (status = 200, description = "Events.", body = Page<EventBody>),
        (status = 404, description = "`lot_not_found`"),
        (status = 410, description = "`events_pruned`, with the oldest one there is in `first_seq`"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    principal: Principal,
    QueryOf(query): QueryOf<EventsQuery>,
) -> Result<Response, Problem> {
    principal.require(Access::Operator)?;
    let limit = fields::limit(query.limit)?;
    let vault = app.engine.vault();
    let by = match &query.by {
        Some(subject) => find(&*vault, &principal, subject)?.map(Some),
        None => Some(None),
    };
    let filter = Filter::of(&query, by.flatten())?;
    let lot = query.lot.as_ref().map(|lot| answer::lot(&app, &principal, lot)).transpose()?;
    let list = if lot.is_some() { List::LotEvents } else { List::Events };
    let after_cursor = fields::after(list, query.cursor.as_deref())?
        .map(|key| key.parse::<u64>().map_err(|_| fields::bad_cursor()))
        .transpose()?;
    if by.is_none() {
        // Nobody of that name has ever asked for anything here, or he has been erased.
        return answer::ok(&Page::<EventBody> { items: Vec::new(), next_cursor: None });
    }
    // Reads the disk for as long as it takes; a page is some milliseconds.
    let page = tokio::task::spawn_blocking(move || {
        let log = Log::new(&app.engine, lot);
        let after = match after_cursor {
            Some(after) => after,
            None => start(&log, query.after_seq, query.from.map(|from| from.0))?,
        };
        let mut views = Views { app: &app, principal: &principal, known: HashMap::new() };
        let walked = log.walk(after, limit, |record| {
            let view = views.of(record.lot)?;
            filter.takes(record, &view).then(|| (EventBody::of(record, &view), record.by))
        })?;
        let items = walked.items.into_iter().map(|(body, by)| named(&*vault, body, by));
        let cursor = |after: u64| cursor::encode(list, &after.to_string());
        Ok(Page {
            items: items.collect::<Result<_, Problem>>()?,
            next_cursor: walked.next_after.map(cursor),
        })
    });
    let page: Result<Page<EventBody>, Problem> = page.await.map_err(|error| {
        tracing::error!(request = crate::request_id::current(), %error, "reading the log ended early");
        Problem::internal("the log cannot be read; tell the operator the request id")
    })?;
    answer::ok(&page?)
}

/// The pseudonym of a subject of the caller's tenant.
fn find(
    vault: &dyn Vault,
    principal: &Principal,
    subject: &str,
) -> Result<Option<Pseudonym>, Problem> {
    let found = vault.find(&principal.tenant, PersonKind::Subject, subject);
    found.map_err(|error| answer::unreadable("vault", &error))
}

/// Adds who asked, in clear unless he has been erased.
fn named(vault: &dyn Vault, body: EventBody, by: Option<By>) -> Result<EventBody, Problem> {
    let Some(By { subject, role }) = by else { return Ok(body) };
    let clear = vault.reveal(subject).map_err(|error| answer::unreadable("vault", &error))?;
    let subject = clear.map(|clear| clear.to_string());
    Ok(EventBody { by: Some(ByBody { subject, role: role.into() }), ..body })
}

/// The position before the first wanted event.
fn start(log: &Log, after_seq: Option<u64>, from: Option<Timestamp>) -> Result<u64, Problem> {
    let Some(from) = from else {
        return match after_seq {
            Some(after) => Ok(after),
            None => Ok(log.first()? - 1),
        };
    };
    match log.before(from)? {
        // What lies before may be as late as `from` and is gone.
        (before, true) if after_seq.is_none_or(|after| after < before) => {
            Err(Problem::pruned(before + 1))
        }
        (before, _) => Ok(before.max(after_seq.unwrap_or_default())),
    }
}

/// The views of the lots that a page meets: one look-up each, however many events they have.
struct Views<'a> {
    app: &'a App,
    principal: &'a Principal,
    known: HashMap<LotKey, Option<Arc<LotView>>>,
}

impl Views<'_> {
    /// Nothing for another tenant's lot, or one that the token is not for.
    fn of(&mut self, key: LotKey) -> Option<Arc<LotView>> {
        let (app, principal) = (self.app, self.principal);
        let view = self.known.entry(key).or_insert_with(|| {
            let lot = app.engine.lot_by_key(key)?;
            let allowed =
                lot.tenant() == &*principal.tenant && principal.may_use_lot(lot.code(), lot.id());
            allowed.then(|| lot.view())
        });
        view.clone()
    }
}

impl Filter {
    fn of(query: &EventsQuery, by: Option<Pseudonym>) -> Result<Self, Problem> {
        let of = |text: &str| ChangeKind::ALL.iter().copied().find(|kind| kind.name() == text);
        Ok(Self {
            kinds: fields::values("type", query.kind.as_deref(), of)?,
            entity: query.entity.as_deref().map(Entity::of).transpose()?,
            by,
            from: query.from.map(|from| from.0),
        })
    }

    fn takes(&self, record: &Record, view: &LotView) -> bool {
        self.from.is_none_or(|from| record.at >= from)
            && (self.kinds.is_empty() || self.kinds.contains(&ChangeKind::of(&record.event)))
            && self.by.is_none_or(|by| record.by.is_some_and(|asked| asked.subject == by))
            && self.entity.as_ref().is_none_or(|entity| entity.is(record, view))
    }
}

impl Entity {
    fn of(text: &str) -> Result<Self, Problem> {
        let unknown = || fields::unknown("entity", text);
        let (what, name) = text.split_once('/').ok_or_else(unknown)?;
        match what {
            "slots" => Ok(Self::Slot(name.to_owned())),
            "lots" => Ok(Self::Lot(name.to_owned())),
            "sessions" | "payments" | "violations" | "passes" | "waiting" | "shifts" => {
                let id = Uuid::try_parse(name).map_err(|_| unknown())?;
                Ok(match what {
                    "sessions" => Self::Session(id),
                    "payments" => Self::Payment(id),
                    "passes" => Self::Pass(id),
                    "waiting" => Self::Waiting(id),
                    "shifts" => Self::Shift(id),
                    _ => Self::Violation(id),
                })
            }
            "reservations" => {
                let id = Uuid::try_parse(name).map_err(|_| unknown())?;
                Ok(Self::Reservation(ReservationId(id)))
            }
            _ => Err(unknown()),
        }
    }

    fn is(&self, record: &Record, view: &LotView) -> bool {
        let subject = Subject::of(&record.event, view);
        match self {
            Self::Slot(code) => subject
                .slot
                .and_then(|slot| view.spec().slot(slot))
                .is_some_and(|slot| *slot.code == **code),
            Self::Reservation(id) => subject.reservation == Some(*id),
            Self::Session(id) => subject.session.is_some_and(|session| session.0 == *id),
            Self::Waiting(id) => subject.waiting.is_some_and(|waiting| waiting.0 == *id),
            Self::Pass(id) => subject.pass.is_some_and(|pass| pass.0 == *id),
            Self::Shift(id) => subject.shift.is_some_and(|shift| shift.0 == *id),
            Self::Violation(id) => subject.violation.is_some_and(|violation| violation.0 == *id),
            Self::Payment(id) => subject.payment.is_some_and(|payment| payment.0 == *id),
            Self::Lot(code) => subject == Subject::default() && *view.spec().code == **code,
        }
    }
}
