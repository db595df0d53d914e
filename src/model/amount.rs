//! Quantities as flows and clusters write them: `500m`, `1Gi`.

use std::cmp::Ordering;

/// Which of two is more.
pub fn compare(one: &str, other: &str) -> Ordering {
    amount(one).total_cmp(&amount(other))
}

/// A quantity's number. What is none counts as nothing: the flow's reader has refused it already, and so would the
/// API server.
pub fn amount(quantity: &str) -> f64 {
    let end = quantity.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(end);
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        _ => return quantity.parse().unwrap_or_default(),
    };
    number.parse::<f64>().unwrap_or_default() * factor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_compared_across_units() {
        for (less, more) in [("999m", "1"), ("1G", "1Gi"), ("1023Mi", "1Gi"), ("12e2", "2k"), ("9E", "8Ei")] {
            assert!(compare(less, more).is_lt(), "{less} < {more}");
        }
        assert!(compare("nonsense", "1").is_lt());
    }
}
