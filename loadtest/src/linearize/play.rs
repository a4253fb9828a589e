//! One round: some lots at once, each with its clients, and the server killed in between.
//!
//! An operation is recorded with the instants before its request and after its answer. A connection that broke says
//! nothing about what was done; where the server was killed meanwhile, the operation took effect before it was up again or
//! never. What was turned away at the door did nothing and is not part of the history.

use super::gates::history::{GateCall, GateOperation, GateOutcome};
use super::gates::script::Gates;
use super::judge::history::{Asker, Call, Operation, Outcome};
use super::judge::script::{Ground, Read, Request};
use crate::clock::Clock;
use crate::error::{HttpError, LoadError};
use crate::http::{Answer, HttpClient};
use crate::server::Server;
use bytes::Bytes;
use hyper::Method;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Between two tries to reach a server that is being started.
const RETRY: Duration = Duration::from_millis(5);
/// Of a hundred operations at a lot with gates, those at its gates and tills.
const AT_GATES_PERCENT: u32 = 60;
/// Tries after which there is no server: two minutes.
const TRIES_MAX: u32 = 24_000;

/// What each asker shows at the door.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub staff: String,
    pub drivers: Vec<String>,
    pub stranger: String,
}

impl Tokens {
    fn of(&self, asker: Asker) -> &str {
        match asker {
            Asker::Staff => &self.staff,
            Asker::Driver(nth) => &self.drivers[usize::from(nth)],
            Asker::Stranger => &self.stranger,
        }
    }
}

/// What all players of a round share.
#[derive(Debug)]
pub struct Round {
    pub clock: Clock,
    pub addr: SocketAddr,
    pub tokens: Tokens,
    /// Operations that are still to be begun, over all lots.
    left: AtomicUsize,
    operations: usize,
    /// Answers that the interface does not have, and servers that are not there.
    pub faults: std::sync::Mutex<Vec<String>>,
    pub turned_away: AtomicU64,
}

impl Round {
    /// A round of so many operations.
    pub fn new(clock: Clock, addr: SocketAddr, tokens: Tokens, operations: usize) -> Arc<Self> {
        Arc::new(Self {
            clock,
            addr,
            tokens,
            left: AtomicUsize::new(operations),
            operations,
            faults: <_>::default(),
            turned_away: AtomicU64::new(0),
        })
    }

    fn fault(&self, what: String) {
        self.faults.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(what);
    }

    fn is_broken(&self) -> bool {
        !self.faults.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_empty()
    }

    fn begun(&self) -> usize {
        self.operations - self.left.load(Ordering::Relaxed).min(self.operations)
    }
}

/// One client of one lot.
pub struct Player {
    pub number: u32,
    pub by: Asker,
    pub round: Arc<Round>,
    pub ground: Arc<Ground>,
    /// Operations of this lot that are still to be begun.
    pub left: Arc<AtomicUsize>,
    pub rng: SmallRng,
    client: HttpClient,
    /// The lot's gates, where it has any, and who works there.
    gates: Option<(Arc<Gates>, HttpClient)>,
}

/// What a client did, by the half of the lot that it is about.
#[derive(Debug, Default)]
pub struct Done {
    pub operations: Vec<Operation>,
    pub at_gates: Vec<GateOperation>,
}

/// An operation with its answer, or without one where that is unknown.
struct Exchanged<O> {
    told: Option<O>,
    called_us: u64,
    returned_us: u64,
}

impl Player {
    /// Connects at its first request.
    pub fn new(
        (number, by): (u32, Asker),
        round: &Arc<Round>,
        (ground, gates): (&Arc<Ground>, Option<&Arc<Gates>>),
        left: &Arc<AtomicUsize>,
        seed: u64,
    ) -> Self {
        Self {
            number,
            by,
            client: HttpClient::new(round.addr, round.tokens.of(by)),
            gates: gates
                .map(|gates| (Arc::clone(gates), HttpClient::new(round.addr, &round.tokens.staff))),
            round: Arc::clone(round),
            ground: Arc::clone(ground),
            left: Arc::clone(left),
            rng: SmallRng::seed_from_u64(seed << 8 | u64::from(number)),
        }
    }

    /// Plays until the lot's operations are used up; what it did.
    pub async fn play(mut self) -> Done {
        let mut done = Done::default();
        while take_one(&self.left) {
            let _ = take_one(&self.round.left);
            let gates = self.gates.as_ref().map(|(gates, _)| Arc::clone(gates));
            let gates = gates.filter(|_| self.rng.random_range(0..100) < AT_GATES_PERCENT);
            let went_on = match gates {
                Some(gates) => {
                    let call = gates.next(&mut self.rng);
                    let operation = self.perform_at_gates(call).await;
                    operation.map(|operation| done.at_gates.push(operation))
                }
                None => {
                    let call = self.ground.next(&mut self.rng);
                    self.perform(call).await.map(|operation| done.operations.push(operation))
                }
            };
            if went_on.is_none() {
                break;
            }
        }
        done
    }

    /// What the lot is like when everybody has finished: judged with the rest.
    pub async fn look(mut self) -> Done {
        let mut done = Done::default();
        for call in [Call::List, Call::Seq] {
            done.operations.extend(self.perform(call).await);
        }
        if self.gates.is_some() {
            done.at_gates.extend(self.perform_at_gates(GateCall::Inside).await);
        }
        done
    }

    /// Nothing when there is no server or an answer that cannot be.
    async fn perform(&mut self, call: Call) -> Option<Operation> {
        let request = self.ground.request(&call);
        let ground = Arc::clone(&self.ground);
        let read = |answer: &Answer| ground.read(&call, answer.status, &answer.body);
        let Exchanged { told, called_us, returned_us } =
            exchange(&self.round, &mut self.client, &request, read).await?;
        let outcome = told.unwrap_or(Outcome::Unknown { until_us: None });
        let (client, by) = (self.number, self.by);
        let operation = Operation { client, by, call, outcome, called_us, returned_us };
        self.ground.saw(&operation);
        Some(operation)
    }

    /// The same at a gate or a till.
    async fn perform_at_gates(&mut self, call: GateCall) -> Option<GateOperation> {
        let (gates, staff) = self.gates.as_mut()?;
        let request = gates.request(&self.ground, &call);
        let read = |answer: &Answer| gates.read(&self.ground, &call, answer.status, &answer.body);
        let Exchanged { told, called_us, returned_us } =
            exchange(&self.round, staff, &request, read).await?;
        let outcome = told.unwrap_or(GateOutcome::Unknown { until_us: None });
        Some(GateOperation { client: self.number, call, outcome, called_us, returned_us })
    }
}

/// Asks until there is an answer that belongs into a history, or a connection that broke.
async fn exchange<O>(
    round: &Round,
    client: &mut HttpClient,
    request: &Request,
    read: impl Fn(&Answer) -> Read<O>,
) -> Option<Exchanged<O>> {
    for _ in 0..TRIES_MAX {
        let called_us = round.clock.now_us();
        let answer = send(client, request).await;
        let returned_us = round.clock.now_us();
        let told = match answer.map(|answer| read(&answer)) {
            Ok(Read::Told(told)) => Some(told),
            Ok(Read::TurnedAway) => {
                round.turned_away.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(RETRY).await;
                continue;
            }
            Ok(Read::Unexpected(what)) => {
                round.fault(what);
                return None;
            }
            // It never left.
            Err(HttpError::Connect(_)) => {
                tokio::time::sleep(RETRY).await;
                continue;
            }
            Err(_) => None,
        };
        return Some(Exchanged { told, called_us, returned_us });
    }
    round.fault(format!("no server at {} for two minutes", round.addr));
    None
}

fn take_one(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

async fn send(client: &mut HttpClient, request: &Request) -> Result<Answer, HttpError> {
    let method = match request.method {
        "POST" => Method::POST,
        "PATCH" => Method::PATCH,
        _ => Method::GET,
    };
    let body = request.body.clone().map_or_else(Bytes::new, Bytes::from);
    client.send(method, &request.path, body, request.if_match).await
}

/// Creates a lot, and the tariff of its gates where it has any.
pub async fn create(
    client: &mut HttpClient,
    ground: &Ground,
    gates: Option<&Gates>,
) -> Result<(), LoadError> {
    let creation = ground.creation(gates.map(|_| Gates::rules()));
    for request in [Some(creation), gates.map(Gates::tariff)].into_iter().flatten() {
        let doing = || format!("creating lot {}", ground.lot);
        let answer = send(client, &request).await;
        let answer = answer.map_err(|source| LoadError::Http { doing: doing(), source })?;
        if answer.status != 201 {
            let (status, body) = (answer.status, answer.excerpt());
            return Err(LoadError::Refused { doing: doing(), status, body });
        }
    }
    Ok(())
}

/// Kills the server so many times at moments of chance, each time when its share of the operations has begun.
/// Tells from when to when it was down.
pub async fn crash(
    server: &mut Server,
    round: &Round,
    times: usize,
    rng: &mut SmallRng,
) -> Result<Vec<(u64, u64)>, LoadError> {
    let mut moments: Vec<usize> =
        (0..times).map(|_| rng.random_range(0..round.operations * 9 / 10)).collect();
    moments.sort_unstable();
    let mut down = Vec::new();
    for moment in moments {
        // A client that met a fault plays no more, and the moment may never come.
        while round.begun() < moment && !round.is_broken() {
            tokio::time::sleep(Duration::from_micros(rng.random_range(200..2_000))).await;
        }
        let killed_us = round.clock.now_us();
        server.kill().await?;
        server.start_again().await?;
        down.push((killed_us, round.clock.now_us()));
    }
    Ok(down)
}

/// What was under way when the server was killed took effect before it was up again, or never.
pub fn bound(operations: &mut [Operation], down: &[(u64, u64)]) {
    for operation in operations {
        let Outcome::Unknown { until_us } = &mut operation.outcome else { continue };
        // The last kill it can have met: a server takes requests a moment before it is known to be up.
        let met = down.iter().rfind(|(killed_us, up_us)| {
            operation.called_us <= *up_us && operation.returned_us >= *killed_us
        });
        if let Some((_, up_us)) = met {
            *until_us = Some((*up_us).max(operation.called_us));
        }
    }
}
