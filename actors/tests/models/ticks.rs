//! A lot that has something due is ticked again, whenever its actor dies.

use std::sync::Arc;

use loom::thread;

use crate::explore;
use crate::sync::{Mutex, RwLock};
use crate::tick_flag::{TickFlag, TickTicket};

/// An actor's mailbox; once the actor is dead, whatever is sent there is dropped.
#[derive(Default)]
struct Mailbox(Mutex<(bool, Vec<TickTicket>)>);

impl Mailbox {
    fn send(&self, tick: TickTicket) {
        let mut inside = self.0.lock();
        if !inside.0 {
            inside.1.push(tick);
        }
    }

    fn die(&self) {
        let mut inside = self.0.lock();
        *inside = (true, Vec::new());
    }
}

struct Lot {
    flag: TickFlag,
    actor: RwLock<Arc<Mailbox>>,
}

impl Lot {
    fn tick(&self) {
        if let Some(tick) = self.flag.take() {
            self.actor.read().send(tick);
        }
    }
}

#[test]
fn a_lot_is_ticked_again_after_any_death() {
    explore(3, || {
        let first = Arc::new(Mailbox::default());
        let lot = Lot { flag: TickFlag::default(), actor: RwLock::new(Arc::clone(&first)) };
        let lot = Arc::new(lot);
        let ticker = {
            let lot = Arc::clone(&lot);
            thread::spawn(move || (0..2).for_each(|_| lot.tick()))
        };
        let killer = thread::spawn(move || first.die());
        // As the supervisor does: the new actor's state, then its place among the handles.
        let second = Arc::new(Mailbox::default());
        *lot.actor.write() = Arc::clone(&second);
        ticker.join().unwrap();
        killer.join().unwrap();
        // The next round of the ticker at the latest reaches the one that lives.
        lot.tick();
        assert_eq!(second.0.lock().1.len(), 1, "due, and never ticked");
    });
}
