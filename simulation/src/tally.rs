//! What a run did, in numbers: a simulation that never reaches a place proves nothing about it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

/// Counts by name; a name is `area.what`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    /// One more.
    pub fn count(&mut self, name: &'static str) {
        self.add(name, 1);
    }

    /// So many more.
    pub fn add(&mut self, name: &'static str, number: u64) {
        *self.0.entry(name).or_default() += number;
    }

    /// How many.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        for (name, number) in &other.0 {
            self.add(name, *number);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let area = |name: &'static str| name.split('.').next().unwrap_or(name);
        let mut last = "";
        for (name, number) in &self.0 {
            let (this, what) = name.split_once('.').unwrap_or((name, ""));
            match this == last {
                true => write!(f, ", {number} {what}")?,
                false if last.is_empty() => write!(f, "  {this:<10} {number} {what}")?,
                false => write!(f, "\n  {this:<10} {number} {what}")?,
            }
            last = area(name);
        }
        Ok(())
    }
}
