//! Percentiles.

use serde::Serialize;

/// How values are spread, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(in crate::web) struct Spread {
    /// How many values there are.
    pub(in crate::web) count: usize,
    /// Half of them are no greater.
    pub(in crate::web) p50: u64,
    /// Nine of ten are no greater.
    pub(in crate::web) p90: u64,
    /// Of a hundred one is greater.
    pub(in crate::web) p99: u64,
}

impl Spread {
    /// Of these values, in any order; `None` if there are none.
    pub(in crate::web) fn of(mut values: Vec<u64>) -> Option<Self> {
        values.sort_unstable();
        let at = |percent| percentile(&values, percent);
        Some(Self { count: values.len(), p50: at(50)?, p90: at(90)?, p99: at(99)? })
    }
}

/// The smallest of the values, which are in order, that `percent` of all are not above.
pub(in crate::web) fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent.min(100)).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_there() {
        let hundred: Vec<u64> = (1..=100).collect();
        for (values, expected) in [
            (vec![], None),
            (vec![7], Some((1, 7, 7, 7))),
            (vec![5; 9], Some((9, 5, 5, 5))),
            (vec![2, 1], Some((2, 1, 2, 2))),
            (hundred, Some((100, 50, 90, 99))),
            (vec![u64::MAX, 0, 3], Some((3, 3, u64::MAX, u64::MAX))),
        ] {
            let spread = Spread::of(values.clone());
            assert_eq!(spread.map(|s| (s.count, s.p50, s.p90, s.p99)), expected, "{values:?}");
        }
    }
}
