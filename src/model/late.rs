//! How late something was taken that its webhook did not bring.

use std::{fmt, time::Duration};

use super::Span;

/// From when it happened to when we took it. For people: `recovered, 4 min late`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late(pub Duration);

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0.as_secs();
        match s {
            0..60 => write!(f, "recovered, {s} s late"),
            // seconds would claim more than a forge tells
            60..3600 => write!(f, "recovered, {} min late", s / 60),
            3600.. => write!(f, "recovered, {} late", Span(self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_said_as_exactly_as_it_is_known() {
        for (seconds, words) in [
            (0, "recovered, 0 s late"),
            (59, "recovered, 59 s late"),
            (60, "recovered, 1 min late"),
            (299, "recovered, 4 min late"),
            (3600, "recovered, 1 h 0 min late"),
            (266_400, "recovered, 74 h 0 min late"),
        ] {
            assert_eq!(Late(Duration::from_secs(seconds)).to_string(), words);
        }
    }
}
