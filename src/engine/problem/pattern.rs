//! Patterns that are made when they are first needed.

use std::sync::OnceLock;

use regex::{Captures, Regex};

/// What a line may look like.
pub(super) struct Pattern {
    text: &'static str,
    made: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(super) const fn new(text: &'static str) -> Self {
        Self { text, made: OnceLock::new() }
    }

    /// The line's groups, if it looks like this.
    pub(super) fn read<'a>(&self, line: &'a str) -> Option<Captures<'a>> {
        self.made.get_or_init(|| Regex::new(self.text).ok()).as_ref()?.captures(line)
    }

    pub(super) fn is(&self, line: &str) -> bool {
        self.read(line).is_some()
    }
}

/// A group's text; empty if it is not there.
pub(super) fn group<'a>(found: &Captures<'a>, at: usize) -> &'a str {
    found.get(at).map_or("", |group| group.as_str())
}

/// A group's number; 0 if it is not there, or none that a file could have.
pub(super) fn number(found: &Captures<'_>, at: usize) -> usize {
    group(found, at).parse().unwrap_or(0)
}
