//! Our own turn at the gate and at the price: scans that let reserved vehicles in and out again, and quotes,
//! over HTTP with tokens, by as many clients as everybody has.
//!
//! Every client has slots of its own. It books them all, shows the code of each at the entry, then at the exit,
//! and begins again; nothing is measured while somebody books. Every answer is looked at: a gate that does not
//! open, or a quote without a price, ends the stage.

use super::context::Context;
use super::drive::{Hand, Turn, drive};
use super::error::CompareError;
use super::table::{Row, Work};
use super::usage::Tree;
use super::wishes::{Wish, Wishes};
use crate::clock::{Clock, MICROS_PER_SECOND, Rfc3339};
use crate::error::LoadError;
use crate::fleet::{Fleet, slot_code};
use crate::http::HttpClient;
use crate::options::Options;
use crate::scenario::session::{Ground, Session};
use crate::target::Role;
use bytes::Bytes;
use clap::Parser;
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;

const NAME: &str = "Lotkeeper";
const QUOTES: &str = "ours.quote";
const SCANS: &str = "ours.gate";
/// A booking begins so soon: the gate opens up to half an hour before.
const BEGINS_US: u64 = 10 * 60 * MICROS_PER_SECOND;
const BOOKED_US: u64 = 2 * 60 * 60 * MICROS_PER_SECOND;
/// What an hour, a night and a day cost, with tax: as many rules as a town's garage has.
const TARIFF: &str = r#"{"tariff":{"name":"Compared","rate":{"hourly":{"tiers":[{"amount":300,"begun":true},{"from_seconds":3600,"amount":100,"per_seconds":1800,"begun":true}]}},"bands":[{"code":"night","weekly":{"from":"22:00","to":"06:00"},"rate":{"flat":{"amount":500}},"clock":"band"}],"caps":[{"unit":"day","anchor":"calendar","amount":2000}],"tax":{"code":"VAT","rate_bp":1900,"included":true,"on_penalty":true}}}"#;

/// Both stages, each on a fresh server.
pub async fn play(context: &mut Context) -> Result<(), CompareError> {
    if context.options.wants(Work::Quotes) {
        let stage = Stage::open(context).await?;
        stage.put_tariffs().await?;
        let quoter = |number: usize| Quoter {
            client: stage.client(Role::Driver, number),
            fleet: Arc::clone(&stage.ground.fleet),
            wishes: context.wishes(number),
        };
        let hands = (0..context.options.connections).map(quoter).collect();
        let what = "price of half an hour at a slot, by a tariff of four rules";
        stage.play(context, (QUOTES, Work::Quotes, what), hands).await?;
    }
    if context.options.wants(Work::Scans) {
        let stage = Stage::open(context).await?;
        let gate = |number: usize| stage.gate(context, number);
        let hands = (0..context.options.connections).map(gate).collect();
        let what =
            "code of a reservation at the entry, then at the exit; decided, recorded, durable";
        stage.play(context, (SCANS, Work::Scans, what), hands).await?;
    }
    Ok(())
}

fn broken(what: String) -> CompareError {
    CompareError::Stage { name: NAME, what }
}

/// A server with its lots.
struct Stage {
    session: Session,
    ground: Ground,
}

impl Stage {
    async fn open(context: &Context) -> Result<Self, CompareError> {
        let mut line = vec!["lotkeeper-load".to_owned(), "book".to_owned()];
        if let Some(parent) = &context.options.data_parent {
            line.extend(["--data-parent".to_owned(), parent.display().to_string()]);
        }
        let options = Options::try_parse_from(&line)
            .map_err(|error| LoadError::usage(format!("{}: {error}", line.join(" "))))?;
        let length = context.options.warm_up + context.options.duration;
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let session = Session::own(&options, length, &[], any_port).await?;
        let (lots, slots) = (context.options.lots, context.options.slots);
        let ground = session.prepare(Clock::start(), lots, slots).await?;
        Ok(Self { session, ground })
    }

    fn client(&self, role: Role, number: usize) -> HttpClient {
        let target = &self.session.target;
        HttpClient::new(target.addr, target.token(role, number))
    }

    async fn put_tariffs(&self) -> Result<(), CompareError> {
        let mut operator = self.client(Role::Operator, 0);
        for lot in &self.ground.fleet.lots {
            let path = format!("/api/v1/lots/{}/tariffs", lot.code);
            let answer = operator.post(&path, Bytes::from_static(TARIFF.as_bytes())).await;
            let answer = answer.map_err(|error| broken(error.to_string()))?;
            if answer.status != 201 {
                return Err(broken(format!("a tariff is answered {}", answer.excerpt())));
            }
        }
        Ok(())
    }

    fn gate(&self, context: &Context, number: usize) -> Gate {
        let each = context.slots_per_hand();
        Gate {
            device: self.client(Role::Device, number),
            driver: self.client(Role::Driver, number),
            fleet: Arc::clone(&self.ground.fleet),
            slots: number * each..(number + 1) * each,
            passes: Vec::new(),
            next: 0,
            is_inside: false,
        }
    }

    async fn play<H: Hand>(
        mut self,
        context: &mut Context,
        (key, work, what): (&'static str, Work, &str),
        hands: Vec<H>,
    ) -> Result<(), CompareError> {
        context.begin(key).await?;
        let tree = Tree::new(self.session.server_pid());
        let driven = drive(hands, context.timing(), tree).await.map_err(broken)?;
        let version = format!("{NAME} {}", self.ground.server_version);
        context.put(Row::of(key, work, &version, what, &driven));
        if let Some(server) = &mut self.session.server {
            server.stop().await.map_err(broken)?;
        }
        Ok(())
    }
}

/// Asks for prices on one connection.
struct Quoter {
    client: HttpClient,
    fleet: Arc<Fleet>,
    wishes: Wishes,
}

impl Hand for Quoter {
    async fn turn(&mut self) -> Result<Turn, String> {
        let Wish { slot, from_us, to_us, .. } = self.wishes.next();
        let lot = &self.fleet.lots[slot / self.fleet.slots_per_lot].code;
        let slot = slot_code(slot % self.fleet.slots_per_lot);
        let (from, to) = (Rfc3339(from_us), Rfc3339(to_us));
        let body = format!(r#"{{"lot":"{lot}","slot":"{slot}","from":"{from}","to":"{to}"}}"#);
        let answer = self.client.post("/api/v1/quotes", Bytes::from(body)).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let quote: Option<Quote> = answer.json().ok().filter(|_| answer.status == 200);
        match quote {
            Some(quote) if quote.price.total.amount > 0 => Ok(Turn { done: 1, refused: 0 }),
            _ => Err(format!("a quote is answered {} {}", answer.status, answer.excerpt())),
        }
    }
}

#[derive(Deserialize)]
struct Quote {
    price: Price,
}

#[derive(Deserialize)]
struct Price {
    total: Money,
}

#[derive(Deserialize)]
struct Money {
    amount: i64,
}

/// Somebody with a code, and the lot he is expected at.
struct Pass {
    lot: usize,
    qr: String,
}

/// A gate for some slots: everybody in, everybody out, and again.
struct Gate {
    device: HttpClient,
    driver: HttpClient,
    fleet: Arc<Fleet>,
    slots: std::ops::Range<usize>,
    passes: Vec<Pass>,
    next: usize,
    is_inside: bool,
}

#[derive(Deserialize)]
struct Booked {
    qr: String,
}

#[derive(Deserialize)]
struct Decided {
    decision: String,
}

impl Hand for Gate {
    fn is_spent(&self) -> bool {
        self.next == self.passes.len() && (self.is_inside || self.passes.is_empty())
    }

    /// A reservation of every slot, from soon on.
    async fn prepare(&mut self) -> Result<(), String> {
        self.passes.clear();
        (self.next, self.is_inside) = (0, false);
        let from_us = Clock::start().now_us() + BEGINS_US;
        let (from, to) = (Rfc3339(from_us), Rfc3339(from_us + BOOKED_US));
        for slot in self.slots.clone() {
            let lot = slot / self.fleet.slots_per_lot;
            let code = &self.fleet.lots[lot].code;
            let slot = slot_code(slot % self.fleet.slots_per_lot);
            let body = format!(r#"{{"lot":"{code}","slot":"{slot}","from":"{from}","to":"{to}"}}"#);
            let answer = self.driver.post("/api/v1/reservations", Bytes::from(body)).await;
            let answer = answer.map_err(|error| error.to_string())?;
            let booked: Option<Booked> = answer.json().ok().filter(|_| answer.status == 201);
            let Some(Booked { qr }) = booked else {
                return Err(format!("a booking is answered {}", answer.excerpt()));
            };
            self.passes.push(Pass { lot, qr });
        }
        Ok(())
    }

    async fn turn(&mut self) -> Result<Turn, String> {
        if self.next == self.passes.len() {
            (self.next, self.is_inside) = (0, true);
        }
        let Pass { lot, qr } = &self.passes[self.next];
        self.next += 1;
        let lot = &self.fleet.lots[*lot].code;
        let direction = if self.is_inside { "exit" } else { "entry" };
        let body = format!(
            r#"{{"lot":"{lot}","gate":"north","direction":"{direction}","credential":{{"qr":"{qr}"}}}}"#
        );
        let answer = self.device.post("/api/v1/scans", Bytes::from(body)).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let decided: Option<Decided> = answer.json().ok().filter(|_| answer.status == 200);
        match decided {
            Some(Decided { decision }) if decision == "open" => Ok(Turn { done: 1, refused: 0 }),
            _ => {
                let said = String::from_utf8_lossy(&answer.body);
                Err(format!("a scan at the {direction} is answered {} {said}", answer.status))
            }
        }
    }
}
