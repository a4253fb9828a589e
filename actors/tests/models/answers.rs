//! A batch is answered once, when the last of its readings is settled, with all that became of them.

use loom::thread;
use lotkeeper_engine::slot::{Outcome, Rejection};

use crate::explore;
use crate::reply::{ReadingBatch, ReadingTicket};

#[test]
fn a_batch_is_answered_with_everything_in_it() {
    explore(3, || {
        let (batch, mut answered) = ReadingBatch::new(4 + 1, None, None);
        let tickets: Vec<_> = (0..4).map(|index| ReadingTicket::new(&batch, index)).collect();
        let mut tickets = tickets.into_iter();
        let (a, b) = (tickets.next().unwrap(), tickets.next().unwrap());
        let (c, d) = (tickets.next().unwrap(), tickets.next().unwrap());
        let publisher = thread::spawn(move || {
            a.settle(Outcome::Accepted, 7);
            b.settle(Outcome::Late, 0);
        });
        let actors = thread::spawn(move || {
            c.refuse(Rejection::InFuture { ahead_micros: 1 });
            // Died with its actor.
            drop(d);
        });
        // The sender's own place: until now the batch cannot be complete.
        assert!(answered.try_recv().is_err());
        batch.sent();
        publisher.join().unwrap();
        actors.join().unwrap();
        assert!(answered.try_recv().is_ok(), "answered by the last one");
        let round = batch.round();
        let done = &round.done;
        assert_eq!((done.accepted, done.unchanged, done.duplicate, done.late), (1, 0, 0, 1));
        assert_eq!((done.lot_seq, round.failed), (7, false));
        assert_eq!(done.refused.iter().map(|refused| refused.index).collect::<Vec<_>>(), [2]);
        assert_eq!(round.lost, [3]);
    });
}
