//! Durations as people write them: `90s`, `20m`, `2h`, `1h30m`, `7d`, or whole seconds.

use std::time::Duration;

use super::{
    Reading,
    fields::Fields,
    findings::quoted,
    node::{Node, Text},
    scalar,
};

/// No run lasts longer than a month; a greater number is a slip.
const MAX_SECONDS: u64 = 31 * 24 * 3600;
/// What is needed for longer than a year belongs to a place for releases.
const MAX_KEPT_SECONDS: u64 = 400 * 24 * 3600;

/// How long an artifact is kept; `None` if the file does not say.
pub(super) fn keep(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Option<Duration> {
    let text = scalar::text(fields.claim("keep")?, "`keep`", reading)?;
    match seconds(&text.text) {
        Some(seconds) if (1..=MAX_KEPT_SECONDS).contains(&seconds) => Some(Duration::from_secs(seconds)),
        Some(_) => {
            reading.findings.error(text.at, "an artifact is kept for a second at least, and 400 days at most");
            None
        }
        None => {
            let message = format!("{} is no duration", quoted(&text.text));
            reading.findings.error(text.at, message).hint("write 12h, 14d, or whole seconds");
            None
        }
    }
}

/// The `timeout`; `None` if it is absent or 0, as the original had it.
pub(super) fn timeout(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Option<Duration> {
    of(fields, "timeout", "a timeout", reading)
}

/// The duration at a key, which messages call `what`; `None` if it is absent or 0.
pub(super) fn of(fields: &mut Fields<'_>, key: &str, what: &str, reading: &mut Reading<'_>) -> Option<Duration> {
    read(scalar::text(fields.claim(key)?, &format!("`{key}`"), reading)?, what, reading)
}

/// The duration of a node, which messages call `what`; `None` if it is 0.
pub(super) fn node(node: &Node, what: &str, reading: &mut Reading<'_>) -> Option<Duration> {
    read(scalar::text(node, what, reading)?, what, reading)
}

fn read(text: Text, what: &str, reading: &mut Reading<'_>) -> Option<Duration> {
    match seconds(&text.text) {
        Some(0) => None,
        Some(seconds) if seconds <= MAX_SECONDS => Some(Duration::from_secs(seconds)),
        Some(_) => {
            reading.findings.error(text.at, format!("{what} is at most 31 days"));
            None
        }
        None => {
            let message = format!("{} is no duration", quoted(&text.text));
            reading.findings.error(text.at, message).hint("write 90s, 20m, 1h30m, 7d, or whole seconds");
            None
        }
    }
}

/// A duration that is neither 0 nor longer than a month.
pub(super) fn span(text: &Text, what: &str, reading: &mut Reading<'_>) -> Option<Duration> {
    let seconds = seconds(&text.text).filter(|seconds| (1..=MAX_SECONDS).contains(seconds));
    if seconds.is_none() {
        let message = format!("{what} is a duration from a second to 31 days; {} is none", quoted(&text.text));
        reading.findings.error(text.at, message).hint("write 90s, 20m, 1h30m, 7d, or whole seconds");
    }
    seconds.map(Duration::from_secs)
}

fn seconds(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds);
    }
    let mut total: u64 = 0;
    let mut rest = text;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes().get(digits)? {
            b'd' => 86400,
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        // from great to small, each once: `30m1h` is more likely a slip than a wish
        if unit >= last_unit {
            return None;
        }
        last_unit = unit;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (last_unit != u64::MAX).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn durations_are_read_exactly() {
        let good = [("90", 90), ("0", 0), ("90s", 90), ("20m", 1200), ("2h", 7200), ("1h30m", 5400), ("7d", 604_800)];
        for (text, expected) in good {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for bad in ["", "s", "-1", "1.5h", "30m1h", "1h1h", "1w", "h1", "99999999999999999999d", "1 h", "1hä"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
