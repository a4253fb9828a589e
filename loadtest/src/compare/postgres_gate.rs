//! The gate on PostgreSQL, as an operator would write it: a booking is looked up by its code and locked, looked
//! at, a stay inserted or ended, the booking moved on, an event inserted, and all of it committed.
//!
//! In PostgreSQL's favour, beside what `postgres` says: a code is looked up as it is and no signature is
//! checked, nothing is priced, and a booking is one row without history.

use super::context::Context;
use super::drive::{Hand, Turn};
use super::postgres_hands::{Way, id_of};
use super::postgres_service;
use crate::clock::{Clock, MICROS_PER_SECOND};
use crate::http::HttpClient;
use crate::verify::Check;
use std::ops::Range;
use tokio_postgres::{Client, Error, Statement};
use uuid::Uuid;

/// States of a booking, as its column has them.
const CONFIRMED: i16 = 1;
const INSIDE: i16 = 2;
/// A gate opens so long before a booking begins, as ours does when nobody says otherwise.
const EARLY_US: i64 = 30 * 60 * MICROS_PER_SECOND.cast_signed();

pub const SCHEMA: &str = "
create table bookings (
    id uuid primary key, code text not null unique, slot int not null,
    state smallint not null, from_us bigint not null, to_us bigint not null
) with (fillfactor = 70);
create table stays (
    id uuid primary key, booking uuid not null, gate text not null, entered_us bigint not null, left_us bigint
) with (fillfactor = 70);
create index stays_booking on stays (booking);
create table gate_events (
    seq bigint generated always as identity primary key,
    booking uuid not null, state smallint not null, at_us bigint not null
);
create function enter(the_code text, the_stay uuid, now_us bigint) returns bigint language plpgsql as $$
declare known bookings;
begin
    select * into known from bookings where code = the_code for update;
    if not found or known.state <> 1 or known.from_us > now_us + 1800000000 or known.to_us <= now_us then
        return 0;
    end if;
    insert into stays values (the_stay, known.id, 'north', now_us, null);
    update bookings set state = 2 where id = known.id;
    insert into gate_events (booking, state, at_us) values (known.id, 2, now_us);
    return 1;
end $$;
create function leave(the_code text, now_us bigint) returns bigint language plpgsql as $$
declare known bookings;
begin
    select * into known from bookings where code = the_code for update;
    if not found or known.state <> 2 then return 0; end if;
    update stays set left_us = now_us where booking = known.id and left_us is null;
    update bookings set state = 3 where id = known.id;
    insert into gate_events (booking, state, at_us) values (known.id, 3, now_us);
    return 1;
end $$;";

/// One booking of every slot, from soon on, and nobody inside.
pub async fn fill(client: &Client, context: &Context) -> Result<(), Error> {
    client.batch_execute("truncate bookings, stays, gate_events restart identity").await?;
    let from_us = Clock::start().now_us().cast_signed() + EARLY_US / 3;
    let (to_us, slots) = (from_us + 4 * EARLY_US, context.slots());
    let fill = format!(
        "insert into bookings select gen_random_uuid(), 'B' || lpad(slot::text, 12, '0'), slot, {CONFIRMED}, \
         {from_us}, {to_us} from generate_series(0, {}) as slot",
        slots - 1
    );
    client.batch_execute(&fill).await?;
    client.batch_execute("vacuum analyze bookings").await?;
    client.batch_execute("analyze").await?;
    client.batch_execute("checkpoint").await
}

/// As many events as gates opened, and as many stays open as bookings are inside.
pub async fn check(client: &Client, opened: u64) -> Result<Check, Error> {
    let mut check =
        Check::new("as many events as gates opened, a stay for everybody inside", "rows");
    let count = async |query: &str| {
        let count: i64 = client.query_one(query, &[]).await?.get(0);
        Ok::<u64, Error>(count.cast_unsigned())
    };
    let rows = count("select count(*) from gate_events").await?;
    check.examine(rows);
    if rows != opened {
        check.fault(format!("{rows} rows, {opened} opened"));
    }
    let inside = count("select count(*) from bookings where state = 2").await?;
    let stays = count("select count(*) from stays where left_us is null").await?;
    if inside != stays {
        check.fault(format!("{inside} bookings are inside, {stays} stays are open"));
    }
    Ok(check)
}

/// Somebody shows a code at a gate.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    pub code: &'a str,
    pub is_exit: bool,
    /// What his stay is to be known by, should he come in.
    pub stay: Uuid,
    pub now_us: i64,
}

/// One connection with its statements prepared.
#[derive(Debug)]
pub struct Desk {
    client: Client,
    way: Way,
    look: Statement,
    enter: Statement,
    leave: Statement,
    moved: Statement,
    event: Statement,
    call_enter: Statement,
    call_leave: Statement,
}

impl Desk {
    /// Prepares them.
    pub async fn new(client: Client, way: Way) -> Result<Self, Error> {
        let look = "select id, state, from_us, to_us from bookings where code = $1 for update";
        let leave = "update stays set left_us = $2 where booking = $1 and left_us is null";
        let event = "insert into gate_events (booking, state, at_us) values ($1, $2, $3)";
        Ok(Self {
            look: client.prepare(look).await?,
            enter: client.prepare("insert into stays values ($1, $2, 'north', $3, null)").await?,
            leave: client.prepare(leave).await?,
            moved: client.prepare("update bookings set state = $2 where id = $1").await?,
            event: client.prepare(event).await?,
            call_enter: client.prepare("select enter($1, $2, $3)").await?,
            call_leave: client.prepare("select leave($1, $2)").await?,
            client,
            way,
        })
    }

    /// Whether the gate opens.
    pub async fn opens(&self, shown: Shown<'_>) -> Result<bool, Error> {
        match self.way {
            Way::Function => self.call(shown).await,
            Way::Stepwise | Way::Pipelined => self.stepwise(shown).await,
        }
    }

    /// What an application does: it looks before it decides.
    async fn stepwise(&self, shown: Shown<'_>) -> Result<bool, Error> {
        let Shown { code, is_exit, stay, now_us } = shown;
        self.client.batch_execute("begin").await?;
        let row = self.client.query_opt(&self.look, &[&code]).await?;
        let may_pass = row.as_ref().is_some_and(|row| {
            let (state, from_us, to_us): (i16, i64, i64) = (row.get(1), row.get(2), row.get(3));
            match is_exit {
                false => state == CONFIRMED && from_us <= now_us + EARLY_US && now_us < to_us,
                true => state == INSIDE,
            }
        });
        let Some(row) = row.filter(|_| may_pass) else {
            self.client.batch_execute("rollback").await?;
            return Ok(false);
        };
        let id: Uuid = row.get(0);
        match is_exit {
            true => self.client.execute(&self.leave, &[&id, &now_us]).await?,
            false => self.client.execute(&self.enter, &[&stay, &id, &now_us]).await?,
        };
        let state = if is_exit { INSIDE + 1 } else { INSIDE };
        self.client.execute(&self.moved, &[&id, &state]).await?;
        self.client.execute(&self.event, &[&id, &state, &now_us]).await?;
        self.client.batch_execute("commit").await?;
        Ok(true)
    }

    async fn call(&self, shown: Shown<'_>) -> Result<bool, Error> {
        let Shown { code, is_exit, stay, now_us } = shown;
        let row = match is_exit {
            false => self.client.query_one(&self.call_enter, &[&code, &stay, &now_us]).await?,
            true => self.client.query_one(&self.call_leave, &[&code, &now_us]).await?,
        };
        Ok(row.get::<_, i64>(0) == 1)
    }

    /// Everybody of some slots is expected again.
    async fn expect_again(&self, slots: &Range<usize>) -> Result<(), Error> {
        let (from, to) = (id_of(slots.start), id_of(slots.end));
        let again = "update bookings set state = 1 where slot >= $1 and slot < $2";
        self.client.execute(again, &[&from, &to]).await.map(drop)
    }
}

/// A gate for some slots: everybody in, everybody out, and again. With a service, it is asked in place of the
/// desk.
#[derive(Debug)]
pub struct Gate {
    desk: Desk,
    service: Option<HttpClient>,
    slots: Range<usize>,
    next: usize,
    is_inside: bool,
    /// Stays of this gate so far, whose ids begin with the gate's number.
    stays: u128,
}

impl Gate {
    /// The gate of a number.
    pub fn new(desk: Desk, service: Option<HttpClient>, number: usize, context: &Context) -> Self {
        let each = context.slots_per_hand();
        Self {
            desk,
            service,
            slots: number * each..(number + 1) * each,
            next: number * each,
            is_inside: false,
            stays: (number as u128 + 1) << 64,
        }
    }
}

impl Hand for Gate {
    fn is_spent(&self) -> bool {
        self.next == self.slots.end && self.is_inside
    }

    async fn prepare(&mut self) -> Result<(), String> {
        self.desk.expect_again(&self.slots).await.map_err(|error| error.to_string())?;
        (self.next, self.is_inside) = (self.slots.start, false);
        Ok(())
    }

    async fn turn(&mut self) -> Result<Turn, String> {
        if self.next == self.slots.end {
            (self.next, self.is_inside) = (self.slots.start, true);
        }
        let code = format!("B{:012}", self.next);
        self.next += 1;
        let is_open = match &mut self.service {
            Some(service) => postgres_service::ask(service, &code, self.is_inside).await?,
            None => {
                self.stays += 1;
                let now_us = Clock::start().now_us().cast_signed();
                let (stay, is_exit) = (Uuid::from_u128(self.stays), self.is_inside);
                let opened = self.desk.opens(Shown { code: &code, is_exit, stay, now_us }).await;
                opened.map_err(|error| error.to_string())?
            }
        };
        match is_open {
            true => Ok(Turn { done: 1, refused: 0 }),
            false => Err(format!("the gate stays closed for {code}")),
        }
    }
}
