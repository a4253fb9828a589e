//! One message: sent to the engine, a large one in parts, and answered when durable.

use futures_util::future::{BoxFuture, FutureExt};
use lotkeeper_actors::{CommandError, Engine, LotHandle, Origin};
use lotkeeper_engine::lot::{self, Command};
use lotkeeper_engine::slot::Source;
use lotkeeper_storage::{By, ClaimOutcome};

use super::message::{CountsMessage, ReadingsMessage};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::error::{self, FieldError, Problem};
use crate::http::unreadable;
use crate::wire::counts::CountBody;
use crate::wire::readings::{self, Parsed, ReadingsAnswer};
use crate::wire::readings_binary::Message;
use crate::wire::{Refusal, from_json};

/// What becomes of a batch.
pub struct Answered {
    /// The device's number.
    pub batch: u64,
    /// What it did, or why not.
    pub answer: Result<ReadingsAnswer, Problem>,
}

/// A batch that is wholly sent.
pub type InFlight = BoxFuture<'static, Answered>;

/// A batch that is being sent; the next one of its socket waits for that, so that readings keep their order.
pub type Sending = BoxFuture<'static, InFlight>;

/// A message that cannot be taken for a batch: the socket is closed with this reason.
pub struct NotUnderstood(pub String);

/// Reads and sends a batch of readings.
///
/// # Errors
/// Not a message of this kind, and no batch number to answer to.
pub fn send_readings(
    app: &App,
    principal: &Principal,
    batch: u64,
    text: &[u8],
) -> Result<Sending, NotUnderstood> {
    let message: ReadingsMessage<'_> = match from_json(text) {
        Ok(message) => message,
        Err(refusal) => return misshapen(batch, refusal),
    };
    let lot = match find(app, principal, &message.lot) {
        Ok(lot) => lot,
        Err(problem) => return Ok(at_once(batch, Err(problem))),
    };
    match readings::resolve(&lot, source(principal), &message.readings) {
        Ok(parsed) => Ok(send_parsed(app, principal, batch, lot, parsed)),
        Err(faults) => Ok(at_once(batch, Err(invalid(faults)))),
    }
}

/// Reads and sends a batch of readings in the compact form.
///
/// # Errors
/// Not a message of this form: there may be no batch number to answer to.
pub fn send_binary(
    app: &App,
    principal: &Principal,
    bytes: &[u8],
) -> Result<Sending, NotUnderstood> {
    let message = match Message::read(bytes) {
        Ok(message) => message,
        Err(refusal) => return misshapen(0, refusal),
    };
    let batch = message.batch;
    let lot = match find(app, principal, message.lot) {
        Ok(lot) => lot,
        Err(problem) => return Ok(at_once(batch, Err(problem))),
    };
    match message.resolve(&lot, source(principal)) {
        Ok(parsed) => Ok(send_parsed(app, principal, batch, lot, parsed)),
        Err(refusal) => misshapen(batch, refusal),
    }
}

fn send_parsed(
    app: &App,
    principal: &Principal,
    batch: u64,
    lot: LotHandle,
    parsed: Parsed,
) -> Sending {
    if parsed.readings.is_empty() {
        let lot_seq = lot.view().lot_seq;
        return at_once(batch, Ok(parsed.rest.nothing_sent(lot_seq)));
    }
    match asked_by(app, principal) {
        Ok(by) => send_in_parts(app.engine.clone(), batch, lot, parsed, by).boxed(),
        Err(problem) => at_once(batch, Err(problem)),
    }
}

async fn send_in_parts(
    engine: Engine,
    batch: u64,
    lot: LotHandle,
    Parsed { readings, rest }: Parsed,
    by: By,
) -> InFlight {
    match engine.readings_in_parts(&lot, readings, Some(by)).await {
        Err(refused) => answered(batch, Err(refusal_of(&lot, &refused))),
        Ok(done) => async move {
            let answer = match done.await {
                Ok(done) => Ok(rest.answer(&done)),
                Err(refused) => Err(refusal_of(&lot, &refused)),
            };
            Answered { batch, answer }
        }
        .boxed(),
    }
}

/// Reads and sends a count.
///
/// # Errors
/// Not a message of this kind, and no batch number to answer to.
pub fn send_count(
    app: &App,
    principal: &Principal,
    batch: u64,
    text: &[u8],
) -> Result<Sending, NotUnderstood> {
    let message: CountsMessage<'_> = match from_json(text) {
        Ok(message) => message,
        Err(refusal) => return misshapen(batch, refusal),
    };
    let prepared = find(app, principal, &message.lot).and_then(|lot| {
        let body = CountBody {
            entered: message.entered,
            left: message.left,
            occupied: message.occupied,
            observed_at: message.observed_at,
            gate: message.gate,
        };
        let (count, observed_at) = body.count().map_err(invalid)?;
        let origin = Origin { by: Some(asked_by(app, principal)?), claim: None };
        Ok((lot, Command::Count { count, observed_at }, origin))
    });
    Ok(match prepared {
        Err(problem) => at_once(batch, Err(problem)),
        Ok((lot, command, origin)) => sent(send_command(&app.engine, batch, lot, command, origin)),
    })
}

fn send_command(
    engine: &Engine,
    batch: u64,
    lot: LotHandle,
    command: Command,
    origin: Origin,
) -> InFlight {
    match engine.command(&lot, command, origin) {
        Err(refused) => answered(batch, Err(refusal_of(&lot, &refused))),
        Ok(done) => async move {
            let answer = match done.await {
                Ok(done) => Ok(counted(&done.answer, done.lot_seq)),
                Err(refused) => Err(refusal_of(&lot, &refused)),
            };
            Answered { batch, answer }
        }
        .boxed(),
    }
}

/// A count's outcome as an ack: one message, one thing counted.
fn counted(answer: &ClaimOutcome, lot_seq: u64) -> ReadingsAnswer {
    let is = |wanted: lot::CountOutcome| {
        u32::from(matches!(answer, ClaimOutcome::Count(outcome, _) if *outcome == wanted))
    };
    ReadingsAnswer {
        accepted: is(lot::CountOutcome::Accepted),
        unchanged: is(lot::CountOutcome::Unchanged),
        duplicate: is(lot::CountOutcome::Duplicate),
        late: is(lot::CountOutcome::Late),
        refused: Vec::new(),
        seq: lot_seq,
    }
}

fn find(app: &App, principal: &Principal, lot: &str) -> Result<LotHandle, Problem> {
    principal.require(Access::Device)?;
    let found = app.engine.lot(&principal.tenant, lot).ok_or_else(|| {
        let shown: String = lot.chars().take(80).collect();
        Problem::lot_not_found(format!("no lot `{shown}`; GET /api/v1/lots lists them"))
    })?;
    principal.require_lot(&found)?;
    Ok(found)
}

/// One look-up for a batch, however many readings it has.
fn asked_by(app: &App, principal: &Principal) -> Result<By, Problem> {
    principal.by(&*app.engine.vault()).map_err(|error| unreadable("vault", &error))
}

fn source(principal: &Principal) -> Source {
    if principal.role.may(Access::Staff) { Source::Staff } else { Source::Sensor }
}

fn refusal_of(lot: &LotHandle, refused: &CommandError) -> Problem {
    error::command(&lot.view(), refused)
}

fn invalid(faults: Vec<lotkeeper_engine::spec::Fault>) -> Problem {
    let fields = faults.into_iter().map(|fault| FieldError::new(fault.pointer, fault.detail));
    Problem::validation(fields.collect())
}

/// Wrong fields concern the batch; what is not JSON at all concerns the socket.
fn misshapen(batch: u64, refusal: Refusal) -> Result<Sending, NotUnderstood> {
    match refusal {
        Refusal::Syntax { detail } => Err(NotUnderstood(detail)),
        Refusal::Shape { pointer, detail } => {
            Ok(at_once(batch, Err(Problem::field(pointer, detail))))
        }
        Refusal::Invalid(faults) => Ok(at_once(batch, Err(invalid(faults)))),
    }
}

fn at_once(batch: u64, answer: Result<ReadingsAnswer, Problem>) -> Sending {
    sent(answered(batch, answer))
}

fn answered(batch: u64, answer: Result<ReadingsAnswer, Problem>) -> InFlight {
    std::future::ready(Answered { batch, answer }).boxed()
}

fn sent(batch: InFlight) -> Sending {
    std::future::ready(batch).boxed()
}
