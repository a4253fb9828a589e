//! Lists over all times: which lots, where a page begins and ends, and the history asked off the runtime's threads.

use lotkeeper_actors::{History, Item, Listing, Remembered};
use lotkeeper_engine::ids::LotKey;
use lotkeeper_engine::time::Timestamp;
use lotkeeper_storage::JournalError;
use lotkeeper_storage::history::{Position, Query};
use uuid::Uuid;

use super::answer::{self, unreadable};
use super::fields;
use crate::app::App;
use crate::auth::Principal;
use crate::error::Problem;
use crate::wire::Listed;
use crate::wire::cursor::{self, List};

/// The lots a list is about: one that is named, or those the token is good for; nothing when that is all of them.
pub fn lots(
    app: &App,
    principal: &Principal,
    named: Option<&str>,
) -> Result<Option<Vec<LotKey>>, Problem> {
    if let Some(named) = named {
        return Ok(Some(vec![answer::lot(app, principal, named)?.key()]));
    }
    if principal.lots.is_none() {
        return Ok(None);
    }
    let lots = app.engine.lots(&principal.tenant).into_iter();
    let allowed = lots.filter(|lot| principal.may_use_lot(lot.code(), lot.id()));
    Ok(Some(allowed.map(|lot| lot.key()).collect()))
}

/// Where a page begins.
pub fn after(list: List, given: Option<&str>) -> Result<Option<Position>, Problem> {
    let Some(key) = fields::after(list, given)? else { return Ok(None) };
    let (micros, id) = key.split_once('/').ok_or_else(fields::bad_cursor)?;
    let micros = micros.parse().map_err(|_| fields::bad_cursor())?;
    let id = Uuid::try_parse(id).map_err(|_| fields::bad_cursor())?;
    Ok(Some(Position::new(Timestamp::from_micros(micros), id)))
}

fn cursor_after(list: List, last: Position) -> String {
    cursor::encode(list, &format!("{}/{}", last.at().micros(), last.id()))
}

/// A page, each item as `shown`.
pub async fn list<D: Remembered + Send + Sync + 'static, T>(
    app: &App,
    list: List,
    query: Query<D>,
    shown: impl Fn(&Item<D>) -> Result<T, Problem>,
) -> Result<Listed<T>, Problem>
where
    D::State: Send + Sync + 'static,
{
    let history = app.engine.history();
    let listing: Listing<D> = off_the_runtime(move || history.list(&query)).await?;
    let items = listing.items.iter().map(shown).collect::<Result<_, _>>()?;
    let next_cursor = listing.next.map(|next| cursor_after(list, next));
    Ok(Listed { items, next_cursor, as_of_seq: listing.as_of_seq })
}

/// A page of nothing: of somebody whom nobody knows.
pub fn nothing<T>(app: &App) -> Listed<T> {
    let as_of_seq = app.engine.history().applied_seq();
    Listed { items: Vec::new(), next_cursor: None, as_of_seq }
}

/// One of all times: at once when a lot remembers it.
pub async fn one<T: Send + 'static>(
    app: &App,
    principal: &Principal,
    id: Uuid,
    find: impl FnOnce(&History, &str) -> Result<Option<Item<T>>, JournalError> + Send + 'static,
) -> Result<Option<Item<T>>, Problem>
where
    Item<T>: Send,
{
    let (history, tenant) = (app.engine.history(), principal.tenant.clone());
    if app.engine.lot_of(&tenant, id).is_some() {
        return find(&history, &tenant).map_err(|error| unreadable("history", &error));
    }
    off_the_runtime(move || find(&history, &tenant)).await
}

/// Reads from the disk may wait; the runtime's threads may not.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| unreadable("history", &error)),
        Err(error) => {
            tracing::error!(%error, "a look into the history ended badly");
            Err(Problem::internal("the history cannot be read; tell the operator the request id"))
        }
    }
}
