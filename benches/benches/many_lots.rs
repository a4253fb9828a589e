//! What a booking costs in a server of many lots, whose parts are far from the processor when it comes.
//!
//! A town of lots is booked in turn, and between two bookings something else fills the near caches. As in a
//! server there are two copies of every lot: the actor's, which decides, and the durable view's register, which
//! follows. Absent: actors, journal, encoding, and what a lot costs that is at hand (`decide_apply.rs`).
//!
//! `cargo bench -p lotkeeper-benches --bench many_lots`; `cargo test` runs each once.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use lotkeeper_benches::lot_spec;
use lotkeeper_engine::ids::{Pseudonym, ReservationId, SlotIndex};
use lotkeeper_engine::lot::{self, Choice, Command, Lot, NoBays, Register, Reserve};
use lotkeeper_engine::time::{Timestamp, Window};
use uuid::Uuid;

const LOTS: u64 = 100;
const SLOTS_PER_LOT: u64 = 100;
/// Each slot is booked between so many times and twice as many.
const STAYS_PER_SLOT: u64 = 8;
const BOOKINGS_MIN: u64 = STAYS_PER_SLOT * SLOTS_PER_LOT * LOTS;
/// Bookings of one driver in one lot.
const BOOKINGS_PER_HOLDER: u64 = 500;
/// Twice the second cache of a large machine.
const BYTES_BETWEEN: usize = 4 * 1_024 * 1_024;
const BYTES_PER_CACHE_LINE: usize = 64;
/// Stays of an hour, an hour apart.
const STAY_SECONDS: i64 = 3_600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_750_000_000 + seconds)
}

struct Town {
    lots: Vec<(Lot, Register)>,
    bookings: u64,
    dice: u64,
    elsewhere: Vec<u8>,
}

/// What one booking took.
#[derive(Clone, Copy, Default)]
struct Taken {
    decide: Duration,
    apply: Duration,
    view: Duration,
}

/// What of it is looked at.
type Part = fn(Taken) -> Duration;

impl Town {
    fn new() -> Self {
        let slots = usize::try_from(SLOTS_PER_LOT).expect("it is 100");
        let spec = Arc::new(lot_spec("L1", slots));
        let lot = |_| (Lot::new(Arc::clone(&spec)), Register::new(Arc::clone(&spec)));
        let lots = (0..LOTS).map(lot).collect();
        let elsewhere = vec![1; BYTES_BETWEEN];
        let mut town = Self { lots, bookings: 0, dice: 0x5EED_0000_0001, elsewhere };
        while town.bookings < BOOKINGS_MIN {
            town.book();
        }
        town
    }

    /// The next lot's next slot, after its last stay, under a random id as clients make them.
    fn wish(&mut self) -> (usize, Command) {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        let (lot, turn) = (self.bookings % LOTS, self.bookings / LOTS);
        let slot = u16::try_from(turn % SLOTS_PER_LOT).expect("it is below 100");
        let from = i64::try_from(turn / SLOTS_PER_LOT).expect("few") * 2 * STAY_SECONDS;
        self.bookings += 1;
        let wish = Reserve {
            id: ReservationId(Uuid::from_u64_pair(self.dice, self.bookings)),
            choice: Choice::Slot(SlotIndex(slot)),
            window: Window { from: at(from), to: at(from + STAY_SECONDS) },
            hold: None,
            holder: Pseudonym(Uuid::from_u64_pair(3, turn / BOOKINGS_PER_HOLDER)),
            vehicle: None,
            vehicle_type: None,
            discounts: Box::default(),
            series: None,
            request: None,
        };
        (usize::try_from(lot).expect("it is below 100"), Command::Reserve(wish))
    }

    fn do_something_else(&self) {
        let lines = self.elsewhere.iter().step_by(BYTES_PER_CACHE_LINE);
        black_box(lines.map(|byte| u64::from(*byte)).sum::<u64>());
    }

    fn book(&mut self) -> Taken {
        let (place, command) = self.wish();
        let now = at(-2 * STAY_SECONDS);
        let (lot, register) = &mut self.lots[place];
        let began = Instant::now();
        let decision = lot::decide(lot, &command, now, &NoBays);
        let decided = Instant::now();
        let event = decision.events.first().expect("every wish can be granted");
        lot::apply(lot, event, now);
        let applied = Instant::now();
        let effect = register.apply(event, now);
        let view = applied.elapsed();
        assert!(matches!(effect, lot::Effect::Reservation { .. }));
        Taken { decide: decided - began, apply: applied - decided, view }
    }

    /// Books once more, far from the caches; begins anew where the town is twice as full.
    fn book_in_turn(&mut self) -> Taken {
        if self.bookings == 2 * BOOKINGS_MIN {
            *self = Self::new();
        }
        self.do_something_else();
        self.book()
    }
}

fn many_lots(c: &mut Criterion) {
    let mut town = Town::new();
    let mut group = c.benchmark_group("a booking, 100 lots in turn");
    // What is not timed takes many times as long as what is.
    group.warm_up_time(Duration::from_millis(20)).measurement_time(Duration::from_millis(100));
    let parts: [(&str, Part); 3] = [
        ("decide, actor", |taken| taken.decide),
        ("apply, actor", |taken| taken.apply),
        ("apply, view", |taken| taken.view),
    ];
    for (name, part) in parts {
        group.bench_function(name, |b| {
            b.iter_custom(|iterations| (0..iterations).map(|_| part(town.book_in_turn())).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, many_lots);
criterion_main!(benches);
