//! What drivers ask for: windows of their own, windows everybody wants, any slot of a lot; soon enough to
//! show as held, or later; with holds that end in seconds and holds that do not.

use super::driver::{Live, Request};
use super::log::Standing;
use super::stage::Stage;
use crate::clock::{MICROS_PER_SECOND, Rfc3339, parse_rfc3339};
use crate::fleet::{Fleet, slot_code};
use crate::wire::ReservationState;
use bytes::Bytes;
use hyper::Method;
use rand::RngExt;
use rand::rngs::SmallRng;
use std::sync::Arc;
use uuid::Uuid;

const MINUTE_US: u64 = 60 * MICROS_PER_SECOND;
/// Slots and windows everybody wants.
const WANTED_SLOTS: usize = 3;
const WANTED_WINDOWS: u64 = 8;
/// A hold that ends while the run goes on, down times included; and one that does not.
const HOLD_SECONDS: [u64; 2] = [3, 3_600];

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Reserve,
    Confirm,
    Modify,
    Cancel,
}

/// One driver's wishes.
#[derive(Debug)]
pub struct Wishes {
    number: usize,
    of: usize,
    fleet: Arc<Fleet>,
    /// The same instants for all, so that they meet.
    base_us: u64,
    turn: u64,
}

impl Wishes {
    pub fn new(number: usize, of: usize, stage: &Stage) -> Self {
        let fleet = Arc::clone(&stage.fleet);
        // Whole hours: far from now, so that nobody has to come while the run goes on.
        let base_us = (stage.clock.now_us() / (60 * MINUTE_US) + 3) * 60 * MINUTE_US;
        Self { number, of, fleet, base_us, turn: 0 }
    }

    /// A reservation with an id of the client's own.
    pub fn reserve(&mut self, now_us: u64, luck: &mut SmallRng) -> Request {
        let id = id(luck);
        let dice = luck.random_range(0..100_u32);
        let (lot, slot, from_us) = match dice {
            0..40 => {
                let window = luck.random_range(0..WANTED_WINDOWS);
                // A quarter of what everybody wants begins within the lead, and shows.
                let from_us = match luck.random_range(0..4) {
                    0 => now_us / MINUTE_US * MINUTE_US + 20 * MINUTE_US,
                    _ => self.base_us + window * 60 * MINUTE_US,
                };
                (
                    luck.random_range(0..2.min(self.lots())),
                    Some(luck.random_range(0..WANTED_SLOTS)),
                    from_us,
                )
            }
            40..60 => (luck.random_range(0..self.lots()), None, self.later()),
            _ => {
                let own = (WANTED_SLOTS..self.fleet.slots_per_lot)
                    .filter(|slot| slot % self.of == self.number);
                let own: Vec<usize> = own.collect();
                let slot = own.get(luck.random_range(0..own.len().max(1))).copied();
                (luck.random_range(0..self.lots()), slot, self.later())
            }
        };
        let minutes = luck.random_range(2..12) * 5;
        let (from, to) = (Rfc3339(from_us), Rfc3339(from_us + minutes * MINUTE_US));
        let code = &self.fleet.lots[lot].code;
        let slot = slot.map_or(String::new(), |slot| format!(r#","slot":"{}""#, slot_code(slot)));
        let hold = match luck.random_range(0..4) {
            0 => format!(r#","hold_seconds":{}"#, HOLD_SECONDS[0]),
            1 | 2 => format!(r#","hold_seconds":{}"#, HOLD_SECONDS[1]),
            _ => String::new(),
        };
        let plate = match luck.random_range(0..3) {
            0 => format!(
                r#","vehicle":{{"plate":"C-RA {}","country":"D"}}"#,
                luck.random_range(1..2_000)
            ),
            _ => String::new(),
        };
        let body = format!(
            r#"{{"id":"{id}","lot":"{code}"{slot},"from":"{from}","to":"{to}"{hold}{plate}}}"#
        );
        // The id alone works as a key.
        let key = luck.random_bool(0.7).then(|| key(luck));
        self.request(
            Doing::Reserve,
            lot,
            id,
            Method::POST,
            "/api/v1/reservations".into(),
            key,
            body,
        )
    }

    pub fn confirm(&self, live: &Live, luck: &mut SmallRng) -> Request {
        self.change(Doing::Confirm, live, "/confirm", luck, String::new())
    }

    pub fn cancel(&self, live: &Live, luck: &mut SmallRng) -> Request {
        self.change(Doing::Cancel, live, "/cancel", luck, r#"{"reason":"crash_test"}"#.into())
    }

    /// A little longer, or a little later.
    pub fn modify(&self, live: &Live, luck: &mut SmallRng) -> Request {
        let by_us = luck.random_range(1..4) * 5 * MINUTE_US;
        let from_us = if luck.random_bool(0.5) { live.from_us } else { live.from_us + by_us };
        let (from, to) = (Rfc3339(from_us), Rfc3339(live.to_us + by_us));
        self.change(Doing::Modify, live, "", luck, format!(r#"{{"from":"{from}","to":"{to}"}}"#))
    }

    fn change(
        &self,
        doing: Doing,
        live: &Live,
        what: &str,
        luck: &mut SmallRng,
        body: String,
    ) -> Request {
        let path = format!("/api/v1/reservations/{}{what}", live.id);
        let method = if doing == Doing::Modify { Method::PATCH } else { Method::POST };
        self.request(doing, live.lot, live.id.clone(), method, path, Some(key(luck)), body)
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of what it makes")]
    fn request(
        &self,
        doing: Doing,
        lot: usize,
        id: String,
        method: Method,
        path: String,
        key: Option<String>,
        body: String,
    ) -> Request {
        Request { doing, lot, id, method, path, key, body: Bytes::from(body), unanswered: 0 }
    }

    /// The same under another fingerprint, where that can be asked for.
    pub fn other_body(request: &Request) -> Option<Bytes> {
        let text = std::str::from_utf8(&request.body).ok()?;
        match request.doing {
            Doing::Reserve => {
                let rest = text.strip_suffix('}')?;
                let rest =
                    rest.split(r#","hold_seconds""#).next()?.split(r#","vehicle""#).next()?;
                Some(Bytes::from(format!(r#"{rest},"hold_seconds":77}}"#)))
            }
            Doing::Cancel => Some(Bytes::from_static(br#"{"reason":"another"}"#)),
            Doing::Modify => Some(Bytes::from(text.split(r#","to""#).next()?.to_string() + "}")),
            Doing::Confirm => None,
        }
    }

    /// What a granted request leaves to be changed.
    pub fn live(request: &Request, standing: &Standing) -> Option<Live> {
        Some(Live {
            id: standing.id.clone(),
            lot: request.lot,
            from_us: parse_rfc3339(&standing.from)?,
            to_us: parse_rfc3339(&standing.to)?,
            is_held: standing.state == ReservationState::Held,
        })
    }

    fn lots(&self) -> usize {
        self.fleet.lots.len()
    }

    /// Windows that go on and on, hours after those that everybody wants.
    fn later(&mut self) -> u64 {
        self.turn += 1;
        self.base_us + (WANTED_WINDOWS + 2 + self.turn % 8_000) * 60 * MINUTE_US
    }
}

fn id(luck: &mut SmallRng) -> String {
    uuid::Builder::from_random_bytes(luck.random()).into_uuid().to_string()
}

fn key(luck: &mut SmallRng) -> String {
    Uuid::from_u128(luck.random()).simple().to_string()
}
