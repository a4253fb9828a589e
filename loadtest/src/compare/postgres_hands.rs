//! Hands that book and scan on PostgreSQL, each on a connection with prepared statements.

use super::context::Context;
use super::drive::{Hand, Turn};
use super::error::CompareError;
use super::wishes::{Rounds, Wish, Wishes};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

/// What a statement is told.
type Told<'a> = &'a [&'a (dyn ToSql + Sync)];

/// How a transaction is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Its statements one by one, each waited for: what an application does that has something to decide
    /// in between.
    Stepwise,
    /// Its statements one behind the other, without waiting in between.
    Pipelined,
    /// One call.
    Function,
}

const LOCK: &str = "select id from slots where id = $1 for update";
const BOOK: &str = "insert into reservations select $1, $2, $3, $4 where not exists \
    (select 1 from reservations where slot = $2 and from_us < $4 and to_us > $3)";
const SCAN: &str = "with changed as (update slots set occupied = $2, observed_us = $3 \
    where id = $1 and observed_us < $3 returning id) \
    insert into events (slot, occupied, observed_us) select id, $2, $3 from changed";
/// In the order of their ids, so that two batches would never wait for each other.
const LOCK_ALL: &str = "select id from slots where id = any($1) order by id for update";
const SCAN_ALL: &str = "with told as (select * from unnest($1::int[], $2::boolean[], $3::bigint[]) \
        as told (slot, occupied, observed_us)), \
    changed as (update slots set occupied = told.occupied, observed_us = told.observed_us from told \
        where slots.id = told.slot and slots.observed_us < told.observed_us \
        returning slots.id, slots.occupied, slots.observed_us) \
    insert into events (slot, occupied, observed_us) select id, occupied, observed_us from changed";

/// One connection that writes transactions in one way.
#[derive(Debug)]
struct Desk {
    client: Client,
    way: Way,
    lock: Statement,
    change: Statement,
    call: Statement,
}

impl Desk {
    /// With its statements prepared: what changes a locked slot, and the call that does all of it.
    async fn new(client: Client, way: Way, change: &str, call: &str) -> Result<Self, Error> {
        Ok(Self {
            lock: client.prepare(LOCK).await?,
            change: client.prepare(change).await?,
            call: client.prepare(call).await?,
            client,
            way,
        })
    }

    /// One transaction: what changed.
    async fn write(&self, slot: i32, told: Told<'_>) -> Result<Turn, String> {
        let statements = (&self.lock, &self.change);
        let changed = match self.way {
            Way::Stepwise => stepwise(&self.client, statements, &[&slot], told).await,
            Way::Pipelined => transaction(&self.client, statements, &[&slot], told).await,
            Way::Function => {
                let row = self.client.query_one(&self.call, told).await;
                row.map(|row| row.get::<_, i64>(0).cast_unsigned())
            }
        };
        changed.map_err(|error| error.to_string()).map(|changed| turn(changed, 1))
    }
}

/// Books on one connection.
#[derive(Debug)]
pub struct Booker {
    desk: Desk,
    wishes: Wishes,
}

impl Booker {
    /// With its statements prepared.
    pub async fn new(
        client: Client,
        way: Way,
        number: usize,
        context: &Context,
    ) -> Result<Self, CompareError> {
        let desk = Desk::new(client, way, BOOK, "select book($1, $2, $3, $4)").await?;
        Ok(Self { desk, wishes: context.wishes(number) })
    }
}

impl Hand for Booker {
    async fn turn(&mut self) -> Result<Turn, String> {
        let Wish { id, slot, from_us, to_us } = self.wishes.next();
        let (slot, from_us, to_us) = (id_of(slot), from_us.cast_signed(), to_us.cast_signed());
        self.desk.write(slot, &[&id, &slot, &from_us, &to_us]).await
    }
}

/// Plays the sensors of some slots on one connection.
#[derive(Debug)]
pub struct Scanner {
    desk: Desk,
    rounds: Rounds,
}

impl Scanner {
    /// With its statements prepared.
    pub async fn new(
        client: Client,
        way: Way,
        number: usize,
        context: &Context,
    ) -> Result<Self, CompareError> {
        let desk = Desk::new(client, way, SCAN, "select scan($1, $2, $3)").await?;
        Ok(Self { desk, rounds: context.rounds(number) })
    }
}

impl Hand for Scanner {
    async fn turn(&mut self) -> Result<Turn, String> {
        let reading = self.rounds.next();
        let (slot, observed_us) = (id_of(reading.slot), reading.observed_us.cast_signed());
        self.desk.write(slot, &[&slot, &reading.occupied, &observed_us]).await
    }
}

/// Scans many slots in one transaction.
#[derive(Debug)]
pub struct Batcher {
    client: Client,
    lock: Statement,
    scan: Statement,
    rounds: Rounds,
    batch: usize,
}

/// The most readings in one transaction.
const BATCH_MAX: usize = 100;

/// One per connection; a batch never has a slot twice.
pub async fn batch_hands(
    clients: Vec<Client>,
    context: &Context,
) -> Result<(Vec<Batcher>, usize), CompareError> {
    let mut hands = Vec::new();
    let batch = context.slots_per_hand().min(BATCH_MAX);
    for (number, client) in clients.into_iter().enumerate() {
        hands.push(Batcher {
            lock: client.prepare(LOCK_ALL).await?,
            scan: client.prepare(SCAN_ALL).await?,
            client,
            rounds: context.rounds(number),
            batch,
        });
    }
    Ok((hands, batch))
}

impl Hand for Batcher {
    async fn turn(&mut self) -> Result<Turn, String> {
        let (mut slots, mut states, mut instants) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.batch {
            let reading = self.rounds.next();
            slots.push(id_of(reading.slot));
            states.push(reading.occupied);
            instants.push(reading.observed_us.cast_signed());
        }
        let told: Told<'_> = &[&slots, &states, &instants];
        let statements = (&self.lock, &self.scan);
        let changed = transaction(&self.client, statements, &[&slots], told).await;
        changed.map_err(|error| error.to_string()).map(|rows| turn(rows, self.batch as u64))
    }
}

/// Begin, lock, change, commit, each waited for: what changed.
async fn stepwise(
    client: &Client,
    (lock, change): (&Statement, &Statement),
    locked: Told<'_>,
    told: Told<'_>,
) -> Result<u64, Error> {
    client.batch_execute("begin").await?;
    client.execute(lock, locked).await?;
    let rows = client.execute(change, told).await?;
    client.batch_execute("commit").await.map(|()| rows)
}

/// Begin, lock, change, commit, one behind the other without waiting: what changed.
async fn transaction(
    client: &Client,
    (lock, change): (&Statement, &Statement),
    locked: Told<'_>,
    told: Told<'_>,
) -> Result<u64, Error> {
    let (begun, locked, changed, committed) = tokio::join!(
        biased;
        client.batch_execute("begin"),
        client.execute(lock, locked),
        client.execute(change, told),
        client.batch_execute("commit"),
    );
    begun?;
    locked?;
    let rows = changed?;
    committed.map(|()| rows)
}

/// A slot as its table knows it.
pub fn id_of(slot: usize) -> i32 {
    i32::try_from(slot).expect("lots times slots is checked to be at most ten million")
}

fn turn(done: u64, asked: u64) -> Turn {
    Turn { done, refused: asked.saturating_sub(done) }
}
