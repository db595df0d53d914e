//! Percentiles.

use serde::Serialize;
use utoipa::ToSchema;

/// How values are spread, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
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
        let count = values.len();
        // putting all of them in order takes several times as long: what is below one percentile has the lower ones
        let (p99, values) = percentile(&mut values, count, 99)?;
        let (p90, values) = percentile(values, count, 90)?;
        let (p50, _) = percentile(values, count, 50)?;
        Some(Self { count, p50, p90, p99 })
    }
}

/// The smallest of `count` values that `percent` of them are not above, and those up to it. `lowest` are as many of the
/// smallest as that takes, in any order.
fn percentile(lowest: &mut [u64], count: usize, percent: usize) -> Option<(u64, &mut [u64])> {
    let rank = (count * percent).div_ceil(100).max(1);
    if rank > lowest.len() {
        return None;
    }
    let found = *lowest.select_nth_unstable(rank - 1).1;
    Some((found, &mut lowest[..rank]))
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

    #[test]
    fn no_order_of_the_values_changes_them() {
        for count in 1..=400_u64 {
            let values: Vec<u64> = (0..count).map(|n| n * 7919 % 211).collect();
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let at = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
            let spread = Spread::of(values).expect("there are values");
            assert_eq!((spread.p50, spread.p90, spread.p99), (at(50), at(90), at(99)), "{count}");
        }
    }
}
