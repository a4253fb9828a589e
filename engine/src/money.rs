//! Money: whole minor units, and the few operations a price needs.
//!
//! Invariants: nothing overflows in silence; every rounding names its mode. The currency is the lot's
//! and stands nowhere here; deliberately absent are floating point and conversion between currencies.

use core::fmt;

/// An amount in minor units (cents) of the lot's currency; negative where money goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(pub i64);

/// A share or multiplier in thousandths: 1,000 is once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PerMille(pub u32);

/// A share in ten-thousandths, as taxes and discounts are given: 1,900 is 19 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BasisPoints(pub u32);

/// What happens to a part of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Rounding {
    /// To the nearest; a half to the even neighbour, so that many halves do not add up to a gain.
    #[default]
    HalfEven,
    /// To the nearest; a half away from zero.
    HalfUp,
    /// Away from zero.
    Up,
    /// Towards zero.
    Down,
}

impl PerMille {
    /// Once: changes nothing.
    pub const ONE: Self = Self(1_000);
}

impl Default for PerMille {
    fn default() -> Self {
        Self::ONE
    }
}

impl BasisPoints {
    /// The whole.
    pub const WHOLE: Self = Self(10_000);
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum, or `None` where 64 bits do not hold it.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` where 64 bits do not hold it.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The sum of all, or `None` where 64 bits do not hold it.
    #[must_use]
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// The sum; stays at the ends of 64 bits.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference; stays at the ends of 64 bits.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So many thousandths of it; stays at the ends of 64 bits.
    #[must_use]
    pub fn per_mille(self, share: PerMille, rounding: Rounding) -> Self {
        self.part(share.0.into(), 1_000, rounding)
    }

    /// So many ten-thousandths of it; stays at the ends of 64 bits.
    #[must_use]
    pub fn basis_points(self, share: BasisPoints, rounding: Rounding) -> Self {
        self.part(share.0.into(), 10_000, rounding)
    }

    /// `numerator / denominator` of it; stays at the ends of 64 bits. A denominator below one counts as one.
    #[must_use]
    pub fn part(self, numerator: i64, denominator: i64, rounding: Rounding) -> Self {
        let product = i128::from(self.0) * i128::from(numerator);
        Self::clamped(rounding.divide(product, i128::from(denominator.max(1))))
    }

    /// The multiple of `step` that the mode chooses; a step below two changes nothing.
    #[must_use]
    pub fn to_multiple_of(self, step: Self, rounding: Rounding) -> Self {
        if step.0 < 2 {
            return self;
        }
        let step = i128::from(step.0);
        Self::clamped(rounding.divide(self.0.into(), step) * step)
    }

    fn clamped(value: i128) -> Self {
        let end = if value < 0 { i64::MIN } else { i64::MAX };
        Self(i64::try_from(value).unwrap_or(end))
    }
}

impl Rounding {
    /// `numerator / denominator` as a whole number; the denominator is positive.
    #[must_use]
    pub fn divide(self, numerator: i128, denominator: i128) -> i128 {
        let (quotient, rest) = (numerator / denominator, numerator % denominator);
        // Compared with what is missing to a whole, so that nothing is doubled past 128 bits.
        let (rest_size, missing) = (rest.abs(), denominator - rest.abs());
        let away = match self {
            Self::Down => false,
            Self::Up => rest != 0,
            Self::HalfUp => rest_size >= missing,
            Self::HalfEven => rest_size > missing || rest_size == missing && quotient % 2 != 0,
        };
        if away { quotient + numerator.signum() } else { quotient }
    }
}

impl core::ops::Neg for Amount {
    type Output = Self;

    /// The same the other way; stays at the end of 64 bits.
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl fmt::Display for Amount {
    /// Minor units; the outside knows the currency and its digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_where_the_mode_says() {
        use Rounding::{Down, HalfEven, HalfUp, Up};
        // Halves of 5, 7 and -5 and thirds of 7 and 8: 2.5, 3.5, -2.5, 2.33, 2.67.
        let table = [
            (HalfEven, [2, 4, -2, 2, 3]),
            (HalfUp, [3, 4, -3, 2, 3]),
            (Up, [3, 4, -3, 3, 3]),
            (Down, [2, 3, -2, 2, 2]),
        ];
        for (mode, expected) in table {
            let found = [(5, 2), (7, 2), (-5, 2), (7, 3), (8, 3)].map(|(n, d)| mode.divide(n, d));
            assert_eq!(found, expected, "{mode:?}");
        }
    }

    #[test]
    fn nothing_overflows_in_silence() {
        let most = Amount(i64::MAX);
        assert_eq!(most.checked_add(Amount(1)), None);
        assert_eq!(Amount(i64::MIN).checked_sub(Amount(1)), None);
        assert_eq!(Amount::checked_sum([most, Amount(1), Amount(-1)]), None);
        assert_eq!(most.saturating_add(Amount(1)), most);
        assert_eq!(most.per_mille(PerMille(2_000), Rounding::HalfEven), most);
        assert_eq!((-most).per_mille(PerMille(2_000), Rounding::HalfEven), Amount(i64::MIN));
        assert_eq!(-Amount(i64::MIN), most);
    }

    #[test]
    fn shares_and_steps_are_rounded_once() {
        assert_eq!(Amount(1_999).basis_points(BasisPoints(1_900), Rounding::HalfEven), Amount(380));
        assert_eq!(Amount(1_125).per_mille(PerMille(1_500), Rounding::HalfEven), Amount(1_688));
        assert_eq!(Amount(1_122).to_multiple_of(Amount(5), Rounding::HalfEven), Amount(1_120));
        assert_eq!(Amount(1_123).to_multiple_of(Amount(5), Rounding::HalfEven), Amount(1_125));
        assert_eq!(Amount(1_121).to_multiple_of(Amount(5), Rounding::Up), Amount(1_125));
        assert_eq!(Amount(1_121).to_multiple_of(Amount(0), Rounding::Up), Amount(1_121));
    }
}
