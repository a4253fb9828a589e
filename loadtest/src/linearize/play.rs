//! One round: some lots at once, each with its clients, and the server killed in between.
//!
//! An operation is recorded with the instants before its request and after its answer. A connection that broke says
//! nothing about what was done; where the server was killed meanwhile, the operation took effect before it was up again or
//! never. What was turned away at the door did nothing and is not part of the history.

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
}

impl Player {
    /// Connects at its first request.
    pub fn new(
        (number, by): (u32, Asker),
        round: &Arc<Round>,
        ground: &Arc<Ground>,
        left: &Arc<AtomicUsize>,
        seed: u64,
    ) -> Self {
        Self {
            number,
            by,
            client: HttpClient::new(round.addr, round.tokens.of(by)),
            round: Arc::clone(round),
            ground: Arc::clone(ground),
            left: Arc::clone(left),
            rng: SmallRng::seed_from_u64(seed << 8 | u64::from(number)),
        }
    }

    /// Plays until the lot's operations are used up; what it did.
    pub async fn play(mut self) -> Vec<Operation> {
        let mut done = Vec::new();
        while take_one(&self.left) {
            let _ = take_one(&self.round.left);
            let call = self.ground.next(&mut self.rng);
            match self.perform(call).await {
                Some(operation) => done.push(operation),
                None => break,
            }
        }
        done
    }

    /// What the lot is like when everybody has finished: judged with the rest.
    pub async fn look(mut self) -> Vec<Operation> {
        let mut done = Vec::new();
        for call in [Call::List, Call::Seq] {
            done.extend(self.perform(call).await);
        }
        done
    }

    /// Nothing when there is no server or an answer that cannot be.
    async fn perform(&mut self, call: Call) -> Option<Operation> {
        let request = self.ground.request(&call);
        for _ in 0..TRIES_MAX {
            let called_us = self.round.clock.now_us();
            let answer = send(&mut self.client, &request).await;
            let returned_us = self.round.clock.now_us();
            let outcome = match answer {
                Ok(answer) => match self.ground.read(&call, answer.status, &answer.body) {
                    Read::Told(outcome) => outcome,
                    Read::TurnedAway => {
                        self.round.turned_away.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                    Read::Unexpected(what) => {
                        self.round.fault(what);
                        return None;
                    }
                },
                // It never left.
                Err(HttpError::Connect(_)) => {
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
                Err(_) => Outcome::Unknown { until_us: None },
            };
            let (client, by) = (self.number, self.by);
            let operation = Operation { client, by, call, outcome, called_us, returned_us };
            self.ground.saw(&operation);
            return Some(operation);
        }
        self.round.fault(format!("no server at {} for two minutes", self.round.addr));
        None
    }
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

/// Creates a lot.
pub async fn create(client: &mut HttpClient, ground: &Ground) -> Result<(), LoadError> {
    let doing = || format!("creating lot {}", ground.lot);
    let answer = send(client, &ground.creation()).await;
    let answer = answer.map_err(|source| LoadError::Http { doing: doing(), source })?;
    match answer.status {
        201 => Ok(()),
        status => Err(LoadError::Refused { doing: doing(), status, body: answer.excerpt() }),
    }
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
