//! Numbers as people read them.

use std::fmt;

/// In groups of three digits: `48,213`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouped(pub u64);

/// So many of something: `1 line`, `48,213 lines`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted(pub u64, pub &'static str);

/// Bytes in decimal units, cut after a tenth: `12 bytes`, `4.1 kB`, `200 MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.char_indices() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", Grouped(self.0), self.1)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_000_000_000_u64, "GB"), (1_000_000, "MB"), (1_000, "kB")];
        let Some((unit, name)) = units.into_iter().find(|(unit, _)| self.0 >= *unit) else {
            return write!(f, "{}", Counted(self.0, "byte"));
        };
        match (Grouped(self.0 / unit), self.0 % unit / (unit / 10)) {
            (whole, 0) => write!(f, "{whole} {name}"),
            (whole, tenths) => write!(f, "{whole}.{tenths} {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_people() {
        let grouped = [0, 999, 1_000, 48_213, 1_234_567].map(|n| Grouped(n).to_string());
        assert_eq!(grouped, ["0", "999", "1,000", "48,213", "1,234,567"]);
        assert_eq!([0, 1, 2].map(|n| Counted(n, "line").to_string()), ["0 lines", "1 line", "2 lines"]);
        let sizes = [1, 999, 4_196, 200_000_000, 345_678_901, 1_234_000_000_000].map(|n| Size(n).to_string());
        assert_eq!(sizes, ["1 byte", "999 bytes", "4.1 kB", "200 MB", "345.6 MB", "1,234 GB"]);
    }
}
