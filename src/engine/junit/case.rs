//! One test, while it is read.

use std::sync::Arc;

use crate::model::Outcome;

/// A number of seconds that is larger is a mistake of somebody's.
const LONGEST: f64 = 1e9;

/// What is known of a test so far.
#[derive(Debug, Default)]
pub(super) struct Case {
    pub(super) suite: Arc<str>,
    pub(super) class: String,
    pub(super) name: String,
    /// As the report has it.
    pub(super) file: Arc<str>,
    pub(super) line: u64,
    pub(super) millis: u64,
    pub(super) outcome: Option<Outcome>,
    pub(super) is_skipped: bool,
    pub(super) is_flaky: bool,
    pub(super) message: String,
    pub(super) details: String,
    /// What went wrong, in a word: said if nothing else is.
    pub(super) kind: String,
}

impl Case {
    /// A test may say several times what went wrong, and a failure says more than an error after it.
    pub(super) fn went_wrong(&mut self, outcome: Outcome, message: String, kind: String) {
        if self.outcome != Some(Outcome::Failure) {
            self.outcome = Some(outcome);
        }
        if self.message.trim().is_empty() {
            self.message = message;
        }
        if self.kind.is_empty() {
            self.kind = kind;
        }
        if !self.details.is_empty() {
            self.details.push_str("\n\n");
        }
    }
}

/// `1.5`, `0,25`, `1,234.5`: in milliseconds; 0 for what is no number of seconds.
pub(super) fn millis(text: &str) -> u64 {
    let text = text.trim();
    let plain = if text.contains('.') { text.replace(',', "") } else { text.replace(',', ".") };
    let seconds: f64 = plain.parse().ok().filter(|seconds: &f64| seconds.is_finite()).unwrap_or_default();
    std::time::Duration::from_secs_f64(seconds.clamp(0.0, LONGEST)).as_millis().try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::millis;

    #[test]
    fn seconds_are_written_in_many_ways() {
        for (text, expected) in [
            ("1.5", 1500),
            ("0,25", 250),
            ("1,234.5", 1_234_500),
            (" 2 ", 2000),
            ("1e-2", 10),
            ("-1", 0),
            ("NaN", 0),
            ("inf", 0),
            ("1e300", 1_000_000_000_000),
            ("", 0),
            ("soon", 0),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
    }
}
