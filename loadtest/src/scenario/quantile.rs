//! Quantiles of a few values, as they occurred; histograms are for the millions (`recorder`).

/// Of ascending values: the smallest that so large a share does not exceed; 0 of none.
pub fn quantile(ascending: &[u64], share: f64) -> u64 {
    let rank = (ascending.len() as f64 * share).ceil() as usize;
    ascending.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// The same of values in any order.
pub fn quantile_of(values: impl Iterator<Item = u64>, share: f64) -> u64 {
    let mut ascending: Vec<u64> = values.collect();
    ascending.sort_unstable();
    quantile(&ascending, share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        for (share, expected) in [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)] {
            assert_eq!(quantile_of((1..=100).rev(), share), expected, "{share}");
        }
        assert_eq!(quantile(&[1, 2, 3], 0.5), 2, "rounded up");
        assert_eq!(quantile(&[], 0.99), 0);
    }
}
