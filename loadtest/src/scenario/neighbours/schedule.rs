//! Who has the machine when: the sides take turns, and the order of each round is that of the last one reversed.
//!
//! A machine that is shared with others is not the same for two stages one after the other; in turns of a few
//! seconds both sides see the same of it. Invariants: turns lie on the grid of the series, do not overlap, and each side
//! has as many; a turn's first part settles what the one before left behind and is not counted.

use crate::error::LoadError;
use crate::recorder::Window;
use crate::series::base_interval_us;
use serde::Serialize;

/// What settles at most, at the beginning of a turn.
const SETTLE_US_MAX: u64 = 2_000_000;
/// And at most this part of it: the rest is to be counted.
const SETTLE_PART: u64 = 4;

/// Who bothers the calm tenants in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Stalled readers alone, before the measured time: for what they cost in memory.
    Stalled,
    /// Nobody.
    Calm,
    /// A flood of another server on this machine.
    Elsewhere,
    /// Stalled readers and a flood of the same server.
    Flooded,
}

impl Side {
    /// As the report names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Calm => "calm",
            Self::Elsewhere => "flood elsewhere",
            Self::Flooded => "flooded",
        }
    }

    /// Whether readers are stalled in it.
    pub fn has_stalled(self) -> bool {
        matches!(self, Self::Stalled | Self::Flooded)
    }
}

/// One turn of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    pub side: Side,
    /// From its first moment, settling included.
    pub whole: Window,
    /// What is measured of it.
    pub counted: Window,
}

/// All turns in order.
#[derive(Clone, Debug)]
pub struct Schedule {
    turns: Vec<Turn>,
}

impl Schedule {
    /// Readers stall for so long; then each side has so many turns in the measured time, whose beginning is not before
    /// the given instant.
    pub fn new(
        ready_us: u64,
        stall_us: u64,
        duration_us: u64,
        sides: &[Side],
        turns_each: usize,
    ) -> Result<Self, LoadError> {
        let interval_us = base_interval_us(Window { from_us: 0, to_us: duration_us });
        let many = (sides.len() * turns_each) as u64;
        let length_us = duration_us / many / interval_us * interval_us;
        let settle_us = (length_us / SETTLE_PART).min(SETTLE_US_MAX).next_multiple_of(interval_us);
        if length_us <= settle_us {
            return Err(LoadError::usage(format!(
                "--duration leaves {} ms for each of {many} turns; give at least {} ms in all, or fewer --turns",
                duration_us / many / 1_000,
                many * 2 * interval_us / 1_000
            )));
        }
        let from_us = (ready_us + stall_us).next_multiple_of(interval_us);
        let stalled = Window { from_us: from_us - stall_us, to_us: from_us };
        let mut turns = vec![Turn { side: Side::Stalled, whole: stalled, counted: stalled }];
        let rounds = (0..turns_each).flat_map(|round| {
            let forth = sides.iter().copied();
            let (forth, back) = match round % 2 {
                0 => (Some(forth), None),
                _ => (None, Some(forth.rev())),
            };
            forth.into_iter().flatten().chain(back.into_iter().flatten())
        });
        for (side, nth) in rounds.zip(0_u64..) {
            let from_us = from_us + nth * length_us;
            let whole = Window { from_us, to_us: from_us + length_us };
            let counted = Window { from_us: from_us + settle_us, ..whole };
            turns.push(Turn { side, whole, counted });
        }
        Ok(Self { turns })
    }

    /// The measured turns.
    pub fn measured(&self) -> &[Turn] {
        &self.turns[1..]
    }

    /// From the first measured turn to the end of the last.
    pub fn window(&self) -> Window {
        let measured = self.measured();
        let of = |turn: Option<&Turn>| turn.map_or(self.turns[0].whole, |turn| turn.whole);
        Window { from_us: of(measured.first()).from_us, to_us: of(measured.last()).to_us }
    }

    /// The turn at that instant, or the next one, of a kind.
    pub fn next(&self, now_us: u64, is_mine: impl Fn(Side) -> bool) -> Option<Turn> {
        let mut left = self.turns.iter().filter(|turn| turn.whole.to_us > now_us);
        left.find(|turn| is_mine(turn.side)).copied()
    }

    /// How long a side has the machine, settling included, in seconds.
    pub fn seconds_of(&self, side: Side) -> f64 {
        let own = self.turns.iter().filter(|turn| turn.side == side);
        own.map(|turn| turn.whole.to_us - turn.whole.from_us).sum::<u64>() as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: u64 = 1_000_000;

    #[test]
    fn sides_take_turns_and_every_other_round_is_reversed() {
        let sides = [Side::Calm, Side::Flooded];
        let schedule =
            Schedule::new(100 * SECOND_US + 7, 6 * SECOND_US, 48 * SECOND_US, &sides, 3).unwrap();
        let began_us = schedule.window().from_us;
        assert_eq!(began_us, 107 * SECOND_US, "on the grid, and not before readers have stalled");
        let rows: Vec<_> = schedule
            .measured()
            .iter()
            .map(|turn| {
                let seconds = |at_us: u64| (at_us - began_us) / SECOND_US;
                let Window { from_us, to_us } = turn.counted;
                (turn.side, seconds(turn.whole.from_us), seconds(from_us), seconds(to_us))
            })
            .collect();
        let (calm, flooded) = (Side::Calm, Side::Flooded);
        let expected = [
            (calm, 0, 2, 8),
            (flooded, 8, 10, 16),
            (flooded, 16, 18, 24),
            (calm, 24, 26, 32),
            (calm, 32, 34, 40),
            (flooded, 40, 42, 48),
        ];
        assert_eq!(rows, expected);
        assert_eq!(schedule.seconds_of(flooded), 24.0);
    }

    #[test]
    fn who_waits_for_his_turn_finds_it_or_its_end() {
        let sides = [Side::Calm, Side::Flooded];
        let schedule = Schedule::new(0, 6 * SECOND_US, 16 * SECOND_US, &sides, 1).unwrap();
        let next = |seconds: u64, is_mine: fn(Side) -> bool| {
            let turn = schedule.next(seconds * SECOND_US, is_mine)?;
            Some((turn.whole.from_us / SECOND_US, turn.whole.to_us / SECOND_US))
        };
        assert_eq!(next(0, Side::has_stalled), Some((0, 6)));
        assert_eq!(next(6, Side::has_stalled), Some((14, 22)), "between its turns it waits");
        assert_eq!(next(0, |side| side == Side::Flooded), Some((14, 22)));
        assert_eq!(next(21, |side| side == Side::Flooded), Some((14, 22)));
        assert_eq!(next(22, |side| side == Side::Flooded), None);
    }

    #[test]
    fn a_time_too_short_for_its_turns_is_refused_with_what_is_enough() {
        let sides = [Side::Calm, Side::Flooded];
        let of = |duration_us| Schedule::new(0, 0, duration_us, &sides, 6);
        assert!(of(2_400_000).is_ok());
        let said = of(2_300_000).unwrap_err().to_string();
        assert!(said.contains("--turns") && said.contains("2400 ms"), "{said}");
    }
}
