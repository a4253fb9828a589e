//! PostgreSQL as its own people would run this work: row locks, one transaction per booking or scan.
//!
//! Two ways of writing each are played, and the better one is the peer: four statements pipelined in one
//! round trip, and one call of a PL/pgSQL function. In both the slot's row is locked before the check, and
//! READ COMMITTED gives every statement a snapshot of its own, so the check sees what the lock waited for.
//! In PostgreSQL's favour: no foreign keys, instants as plain 64-bit numbers, no replication, room on the
//! pages for updates in place, as many statements per round trip as there are.

use super::context::Context;
use super::daemon::{Daemon, Home, User, find_program, free_address, version_of};
use super::drive::{Driven, Hand, drive};
use super::error::CompareError;
use super::postgres_gate::{self, Desk, Gate};
use super::postgres_hands::{Booker, Scanner, Way, batch_hands};
use super::postgres_service;
use super::table::{Row, Work};
use crate::http::HttpClient;
use crate::verify::Check;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

/// What a fair administrator sets on this machine; everything else is the default.
const SETTINGS: [&str; 11] = [
    "shared_buffers=1GB",
    // Tables begin empty, without statistics: without this some runs plan whole scans of them, and keep the plan.
    "enable_seqscan=off",
    "max_wal_size=8GB",
    "max_connections=400",
    "wal_level=minimal",
    "max_wal_senders=0",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "unix_socket_directories=",
    "listen_addresses=127.0.0.1",
];
/// Read back from the server and printed.
const SHOWN: [&str; 8] = [
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_sync_method",
    "shared_buffers",
    "enable_seqscan",
    "max_wal_size",
    "wal_level",
];
/// Looks for the end of its start-up.
const ATTEMPTS_MAX: u32 = 200;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(50);
const SUPERUSER: &str = "lotkeeper";

const SCHEMA: &str = "
create table slots (
    id int primary key, occupied boolean not null default false, observed_us bigint not null default 0
) with (fillfactor = 70);
create table reservations (id uuid primary key, slot int not null, from_us bigint not null, to_us bigint not null);
create index reservations_slot_window on reservations (slot, from_us, to_us);
create table events (
    seq bigint generated always as identity primary key,
    slot int not null, occupied boolean not null, observed_us bigint not null
);
create function book(the_id uuid, the_slot int, the_from bigint, the_to bigint) returns bigint language plpgsql as $$
begin
    perform 1 from slots where id = the_slot for update;
    if exists (select 1 from reservations where slot = the_slot and from_us < the_to and to_us > the_from) then
        return 0;
    end if;
    insert into reservations values (the_id, the_slot, the_from, the_to);
    return 1;
end $$;
create function scan(the_slot int, now_occupied boolean, the_observed bigint) returns bigint language plpgsql as $$
declare known bigint;
begin
    select observed_us into known from slots where id = the_slot for update;
    if known >= the_observed then return 0; end if;
    update slots set occupied = now_occupied, observed_us = the_observed where id = the_slot;
    insert into events (slot, occupied, observed_us) values (the_slot, now_occupied, the_observed);
    return 1;
end $$;";

const OVERLAPS: &str = "select count(*) from (select to_us, lead(from_us) over (partition by slot order by from_us) \
    as next_us from reservations) as r where next_us < to_us";

/// Where the server's programs are; nothing when it is not installed.
pub fn find() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    versions.reverse();
    let initdb = find_program("initdb", &versions)?;
    Some(initdb.parent()?.to_path_buf())
}

/// Ways of writing one transaction: the row, what it is called.
type Ways = [(&'static str, &'static str, Way); 3];

const BOOKINGS: Ways = [
    (
        "postgres.book.stepwise",
        "begin, lock, check and insert, commit, each waited for",
        Way::Stepwise,
    ),
    (
        "postgres.book.pipelined",
        "begin, lock, check and insert, commit in one round trip",
        Way::Pipelined,
    ),
    ("postgres.book.function", "one call of a PL/pgSQL function", Way::Function),
];

const SCANS: Ways = [
    (
        "postgres.scan.stepwise",
        "begin, lock, update and insert, commit, each waited for",
        Way::Stepwise,
    ),
    (
        "postgres.scan.pipelined",
        "begin, lock, update and insert, commit in one round trip",
        Way::Pipelined,
    ),
    ("postgres.scan.function", "one call of a PL/pgSQL function", Way::Function),
];

/// Ways of passing a gate, and whether over HTTP, as ours is.
const GATES: [(&str, &str, Way, bool); 4] = [
    (
        "postgres.gate.stepwise",
        "begin, look up and lock, decide, stay, booking, event, commit, each waited for",
        Way::Stepwise,
        false,
    ),
    ("postgres.gate.function", "one call of a PL/pgSQL function", Way::Function, false),
    (
        "postgres.gate.http.stepwise",
        "the transaction statement by statement, behind a bare HTTP service",
        Way::Stepwise,
        true,
    ),
    (
        "postgres.gate.http.function",
        "the PL/pgSQL function, behind a bare HTTP service",
        Way::Function,
        true,
    ),
];

/// All stages.
pub async fn play(bin: &Path, context: &mut Context) -> Result<(), CompareError> {
    let (daemon, addr) = start(bin, context).await?;
    let version = version_of(&bin.join("postgres"), "--version").await;
    let version = format!("PostgreSQL {version}");
    let client = connect(addr).await?;
    let slots = context.slots();
    client.batch_execute(SCHEMA).await?;
    let fill = format!("insert into slots select generate_series(0, {})", slots - 1);
    client.batch_execute(&fill).await?;
    let mut shown = Vec::new();
    for name in SHOWN {
        let row = client.query_one(&format!("show {name}"), &[]).await?;
        shown.push(format!("{name}={}", row.get::<_, String>(0)));
    }
    context.peer(&version, &shown.join(", "));
    if context.options.wants(Work::Bookings) {
        book(addr, &client, &daemon, (&version, &mut *context)).await?;
    }
    if context.options.wants(Work::Scans) {
        pass(addr, &client, &daemon, (&version, &mut *context)).await?;
    }
    if context.options.wants(Work::Readings) {
        scan(addr, &client, &daemon, (&version, &mut *context)).await?;
    }
    Ok(())
}

/// What every stage is played with: its row's first cell, and the run.
type Played<'a> = (&'a str, &'a mut Context);

async fn book(
    addr: SocketAddr,
    client: &Client,
    daemon: &Daemon,
    (version, context): Played<'_>,
) -> Result<(), CompareError> {
    for (key, what, way) in BOOKINGS {
        fresh(client).await?;
        let mut hands = Vec::new();
        for number in 0..context.options.connections {
            hands.push(Booker::new(connect(addr).await?, way, number, context).await?);
        }
        let driven = stage(context, daemon, key, hands).await?;
        let row = Row::of(key, Work::Bookings, version, what, &driven);
        let row = row.with_check(booked(client, &driven).await?);
        context.put(row);
    }
    Ok(())
}

/// Vehicles at gates.
async fn pass(
    addr: SocketAddr,
    client: &Client,
    daemon: &Daemon,
    (version, context): Played<'_>,
) -> Result<(), CompareError> {
    client.batch_execute(postgres_gate::SCHEMA).await?;
    for (key, what, way, over_http) in GATES {
        postgres_gate::fill(client, context).await?;
        let service = match over_http {
            true => Some(service(addr, way, context).await?),
            false => None,
        };
        let mut hands = Vec::new();
        for number in 0..context.options.connections {
            let desk = Desk::new(connect(addr).await?, way).await?;
            let http = service.as_ref().map(|(_, at)| HttpClient::new(*at, "none"));
            hands.push(Gate::new(desk, http, number, context));
        }
        context.begin(key).await?;
        let tree = match &service {
            Some((service, _)) => daemon.tree().and(service.tree()),
            None => daemon.tree(),
        };
        let driven = drive(hands, context.timing(), tree).await.map_err(broken)?;
        let row = Row::of(key, Work::Scans, version, what, &driven);
        let row = row.with_check(postgres_gate::check(client, driven.done_in_all).await?);
        context.put(row);
    }
    Ok(())
}

async fn scan(
    addr: SocketAddr,
    client: &Client,
    daemon: &Daemon,
    (version, context): Played<'_>,
) -> Result<(), CompareError> {
    for (key, what, way) in SCANS {
        fresh(client).await?;
        let mut hands = Vec::new();
        for number in 0..context.options.connections {
            hands.push(Scanner::new(connect(addr).await?, way, number, context).await?);
        }
        let driven = stage(context, daemon, key, hands).await?;
        let row = Row::of(key, Work::Readings, version, what, &driven);
        let row = row.with_check(scanned(client, &driven).await?);
        context.put(row);
    }
    fresh(client).await?;
    let key = "postgres.scan.batched";
    let mut clients = Vec::new();
    for _ in 0..context.options.connections {
        clients.push(connect(addr).await?);
    }
    let (hands, batch) = batch_hands(clients, context).await?;
    let driven = stage(context, daemon, key, hands).await?;
    let what = format!("{batch} readings per transaction with UNNEST; latency is a batch's");
    let row = Row::of(key, Work::Readings, version, &what, &driven);
    let row = row.with_check(scanned(client, &driven).await?);
    context.put(row);
    Ok(())
}

async fn start(bin: &Path, context: &Context) -> Result<(Daemon, SocketAddr), CompareError> {
    let name = "PostgreSQL";
    // It refuses to run as root.
    let user = User::instead_of_root(&["postgres", "nobody"]);
    let home = Home::new("postgres", &context.parent(), user)?;
    let mut initdb = home.command(&bin.join("initdb"))?;
    initdb.args(["-D", "data", "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--no-locale"]);
    let status = initdb.status().await.map_err(|source| CompareError::Spawn { name, source })?;
    if !status.success() {
        let why = format!("initdb ended with {status}");
        return Err(CompareError::Down { name, why, log_tail: home.log_tail() });
    }
    let addr = free_address()?;
    let mut command = home.command(&bin.join("postgres"))?;
    command.args(["-D", "data", "-p", &addr.port().to_string()]);
    SETTINGS.iter().for_each(|setting| {
        command.args(["-c", setting]);
    });
    // Immediate shutdown: nothing of it is kept, and unlike a kill it lets go of its shared memory.
    let daemon = Daemon::start(name, command, home, Signal::QUIT, addr).await?;
    Ok((daemon, addr))
}

/// A connection, as soon as there is one.
pub async fn connect(addr: SocketAddr) -> Result<Client, CompareError> {
    let mut config = tokio_postgres::Config::new();
    config.host(addr.ip().to_string()).port(addr.port()).user(SUPERUSER).dbname("postgres");
    let mut attempts = 0;
    loop {
        match config.connect(NoTls).await {
            Ok((client, connection)) => {
                // What breaks it is seen by the statement that was under way.
                tokio::spawn(async move { drop(connection.await) });
                return Ok(client);
            }
            // It listens before it has started up.
            Err(_) if attempts < ATTEMPTS_MAX => attempts += 1,
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(ATTEMPT_PAUSE).await;
    }
}

/// Empty tables, statistics, and nothing left to write back.
async fn fresh(client: &Client) -> Result<(), CompareError> {
    let reset = "truncate reservations, events restart identity; \
        update slots set occupied = false, observed_us = 0";
    client.batch_execute(reset).await?;
    client.batch_execute("vacuum full analyze slots").await?;
    client.batch_execute("analyze").await?;
    client.batch_execute("checkpoint").await?;
    Ok(())
}

async fn stage<H: Hand>(
    context: &mut Context,
    daemon: &Daemon,
    key: &'static str,
    hands: Vec<H>,
) -> Result<Driven, CompareError> {
    context.begin(key).await?;
    let driven = drive(hands, context.timing(), daemon.tree()).await;
    driven.map_err(broken)
}

fn broken(what: String) -> CompareError {
    CompareError::Stage { name: "PostgreSQL", what }
}

/// Starts what takes scans over HTTP and asks the database.
async fn service(
    database: SocketAddr,
    way: Way,
    context: &Context,
) -> Result<(Daemon, SocketAddr), CompareError> {
    let name = "the HTTP service before PostgreSQL";
    let binary = std::env::current_exe().map_err(|source| CompareError::Spawn { name, source })?;
    let home = Home::new("postgres-service", &context.parent(), None)?;
    let addr = free_address()?;
    let mut command = home.command(&binary)?;
    command.args(postgres_service::arguments(addr, database, way));
    let daemon = Daemon::start(name, command, home, Signal::TERM, addr).await?;
    Ok((daemon, addr))
}

async fn count(client: &Client, query: &str) -> Result<u64, CompareError> {
    let count: i64 = client.query_one(query, &[]).await?.get(0);
    Ok(u64::try_from(count).unwrap_or_default())
}

async fn booked(client: &Client, driven: &Driven) -> Result<Check, CompareError> {
    let rows = count(client, "select count(*) from reservations").await?;
    let mut check =
        Check::new("as many reservations as were acknowledged, none overlapping", "rows");
    check.examine(rows);
    if rows != driven.done_in_all {
        check.fault(format!("{rows} rows, {} acknowledged", driven.done_in_all));
    }
    let overlaps = count(client, OVERLAPS).await?;
    if overlaps > 0 {
        check.fault(format!("{overlaps} reservations overlap the next of their slot"));
    }
    Ok(check)
}

async fn scanned(client: &Client, driven: &Driven) -> Result<Check, CompareError> {
    let rows = count(client, "select count(*) from events").await?;
    let mut check = Check::new("as many events as readings were acknowledged", "rows");
    check.examine(rows);
    if rows != driven.done_in_all || driven.refused_in_all > 0 {
        check.fault(format!(
            "{rows} rows, {} acknowledged, {} refused though every reading is newer",
            driven.done_in_all, driven.refused_in_all
        ));
    }
    Ok(check)
}
