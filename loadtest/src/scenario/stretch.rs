//! Stretches of a run, each with its own rate, and the turns in them. What was due in a stretch and did
//! not leave before its end is given up and counted: a backlog of one stretch must not be the load of the next.

use crate::clock::Pace;

/// A stretch of time and how often something is due in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    pub from_us: u64,
    pub to_us: u64,
    /// As often as answers leave room when there is none.
    pub per_second: Option<f64>,
}

/// The turns of one connection through all stretches.
#[derive(Debug)]
pub struct Turns {
    stretches: Vec<Stretch>,
    at: usize,
    pace: Option<Pace>,
    /// Where in its interval this connection begins, 0 to 1: connections take turns.
    offset: f64,
    /// Turns that were due and given up.
    pub given_up: u64,
}

impl Turns {
    /// Stretches in order, none overlapping.
    pub fn new(stretches: Vec<Stretch>, offset: f64) -> Self {
        let mut turns = Self { stretches, at: 0, pace: None, offset, given_up: 0 };
        turns.enter();
        turns
    }

    fn enter(&mut self) {
        let offset = self.offset;
        self.pace = self.stretches.get(self.at).and_then(|stretch| {
            let rate = stretch.per_second?;
            let ahead_us = if rate > 0.0 { (offset * 1e6 / rate) as u64 } else { 0 };
            Some(Pace::new(stretch.from_us + ahead_us, rate))
        });
    }

    /// Leaves stretches that have ended.
    fn advance(&mut self, now_us: u64) {
        while let Some(stretch) = self.stretches.get(self.at).copied().filter(|s| s.to_us <= now_us)
        {
            self.given_up += self.pace.as_mut().map_or(0, |pace| pace.left_before(stretch.to_us));
            self.at += 1;
            self.enter();
        }
    }

    /// Whether all stretches have ended.
    pub fn is_over(&mut self, now_us: u64) -> bool {
        self.advance(now_us);
        self.at >= self.stretches.len()
    }

    /// When the next turn is due; nothing when there is none.
    pub fn next_due_us(&mut self, now_us: u64) -> Option<u64> {
        self.advance(now_us);
        let stretch = self.stretches.get(self.at)?;
        let due_us = self.pace.as_ref().map_or(stretch.from_us.max(now_us), Pace::next_due_us);
        // What is due after the end of a stretch waits for the next one to begin.
        Some(due_us.min(stretch.to_us))
    }

    /// Takes a turn when one is due.
    pub fn take(&mut self, now_us: u64) -> Option<u64> {
        self.advance(now_us);
        let stretch = self.stretches.get(self.at).filter(|stretch| stretch.from_us <= now_us)?;
        match &mut self.pace {
            Some(pace) => pace.take(now_us).filter(|due_us| *due_us < stretch.to_us),
            None => Some(now_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(from_us: u64, to_us: u64, per_second: f64) -> Stretch {
        Stretch { from_us, to_us, per_second: Some(per_second) }
    }

    #[test]
    fn what_was_not_taken_in_its_stretch_is_given_up() {
        let quick = stretch(0, 1_000, 10_000.0);
        let slow = stretch(1_000, 2_000, 1_000.0);
        let mut turns = Turns::new(vec![quick, slow], 0.0);
        assert_eq!(turns.take(250), Some(0));
        assert_eq!(turns.take(250), Some(100));
        assert_eq!(turns.next_due_us(250), Some(200));
        assert_eq!(turns.take(1_050), Some(1_000), "the next stretch has its own times");
        assert_eq!(turns.given_up, 8);
        assert!(!turns.is_over(1_999) && turns.is_over(2_000));
        assert_eq!((turns.take(2_000), turns.given_up), (None, 8));
    }

    #[test]
    fn connections_take_turns_and_a_closed_loop_is_always_due() {
        let mut late = Turns::new(vec![stretch(0, 1_000, 10_000.0)], 0.5);
        assert_eq!((late.take(49), late.take(50)), (None, Some(50)));
        let mut closed =
            Turns::new(vec![Stretch { from_us: 10, to_us: 20, per_second: None }], 0.5);
        assert_eq!((closed.take(9), closed.next_due_us(9)), (None, Some(10)));
        assert_eq!((closed.take(15), closed.take(15), closed.take(20)), (Some(15), Some(15), None));
    }
}
