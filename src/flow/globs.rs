//! Patterns for names and paths: `*` and `?` stop at a `/`, `**` does not.

use globset::{Glob, GlobBuilder, GlobSet};

use super::{
    Reading,
    findings::quoted,
    node::{Node, Text},
    scalar,
};

/// Every pattern is tried on every event, and on every file that it changed.
const MAX_PATTERNS: usize = 100;
/// As long as a branch's name may be on any forge.
const MAX_PATTERN_BYTES: usize = 255;

/// Several patterns, of which any may match.
#[derive(Debug, Clone, Default)]
pub(super) struct Globs {
    patterns: Vec<String>,
    set: GlobSet,
}

impl Globs {
    /// The patterns in a list, or the single one.
    pub(super) fn read(node: &Node, key: &str, reading: &mut Reading<'_>) -> Self {
        let texts = if node.is_null() { Vec::new() } else { scalar::texts(node, "a pattern", reading) };
        if texts.is_empty() {
            let message = format!("`{key}` is empty, and would match nothing");
            reading.findings.error(node.at, message).hint("remove it to match everything");
        }
        if texts.len() > MAX_PATTERNS {
            reading.findings.error(node.at, format!("more than {MAX_PATTERNS} patterns"));
        }
        let mut patterns = Vec::new();
        let mut set = GlobSet::builder();
        for text in texts.into_iter().take(MAX_PATTERNS) {
            if let Some(glob) = checked(&text, reading) {
                set.add(glob);
                patterns.push(text.text);
            }
        }
        let set = set.build().unwrap_or_else(|error| {
            reading.findings.error(node.at, format!("the patterns of `{key}` are too much together: {error}"));
            GlobSet::empty()
        });
        Self { patterns, set }
    }

    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether any of them matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.set.is_match(name)
    }
}

/// Whether a name matches a pattern; nothing matches what is none.
pub fn is_match(pattern: &str, name: &str) -> bool {
    glob(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(name))
}

/// Why a text is no pattern; `None`: it is one.
pub fn not_a_pattern(text: &str) -> Option<String> {
    glob(text).err().map(|(message, _)| message)
}

/// As the file has them.
impl std::fmt::Display for Globs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}]", self.patterns.join(", "))
    }
}

/// One pattern, or what is wrong with it and what to do.
pub(super) fn glob(pattern: &str) -> Result<Glob, (String, Option<&'static str>)> {
    if pattern.is_empty() || pattern.len() > MAX_PATTERN_BYTES {
        return Err((format!("a pattern has 1 to {MAX_PATTERN_BYTES} bytes"), None));
    }
    if pattern.starts_with('!') {
        return Err(("patterns cannot be negated".to_owned(), Some("name what should match")));
    }
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.map_err(|error| (format!("{} is no pattern: {}", quoted(pattern), error.kind()), None))
}

fn checked(text: &Text, reading: &mut Reading<'_>) -> Option<Glob> {
    match glob(&text.text) {
        Ok(glob) => Some(glob),
        Err((message, hint)) => {
            reading.findings.error(text.at, message).maybe_hint(hint.map(str::to_owned));
            None
        }
    }
}
