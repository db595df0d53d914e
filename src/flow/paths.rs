//! Paths in a workspace, and patterns of them.

use super::{Reading, fields::Fields, findings::quoted, node::Text, scalar};

/// As many as anybody writes by hand.
const MAX_PATTERNS: usize = 100;
const MAX_BYTES: usize = 1024;

/// The patterns at a key, a text or a list of them; `None` if there are none.
pub(super) fn patterns(fields: &mut Fields<'_>, key: &str, reading: &mut Reading<'_>) -> Option<Vec<String>> {
    let node = fields.claim(key)?;
    let texts = scalar::texts(node, "a path", reading);
    if texts.len() > MAX_PATTERNS {
        reading.findings.error(node.at, format!("more than {MAX_PATTERNS} paths"));
    }
    if texts.is_empty() {
        reading.findings.error(node.at, format!("`{key}` is empty"));
    }
    Some(texts.iter().take(MAX_PATTERNS).map(|text| pattern(text, reading)).collect())
}

/// A pattern of paths in the workspace.
fn pattern(text: &Text, reading: &mut Reading<'_>) -> String {
    let pattern = inside(text, reading);
    if pattern.starts_with('!') {
        reading.findings.error(text.at, "patterns cannot be negated").hint("name what should match");
    } else if let Err(error) = globset::GlobBuilder::new(&pattern).literal_separator(true).build() {
        let message = format!("{} is no pattern: {}", quoted(&text.text), error.kind());
        reading.findings.error(text.at, message).hint(r"`\` before a character takes it as it is");
    }
    if pattern.is_empty() { ".".to_owned() } else { pattern }
}

/// A path in the workspace, as it was written, but for `./` in front and `/` at the end.
pub(super) fn inside(text: &Text, reading: &mut Reading<'_>) -> String {
    let path = text.text.as_str();
    if path.is_empty() || path.len() > MAX_BYTES || path.chars().any(char::is_control) {
        let message = format!("{} is no path: 1 to {MAX_BYTES} bytes, none of them a control character", quoted(path));
        reading.findings.error(text.at, message);
    } else if path.starts_with(['/', '~']) || path.split('/').any(|part| part == "..") {
        let message = format!("{} is not in the workspace", quoted(path));
        reading.findings.error(text.at, message).hint("paths are given from the workspace on, without `..`");
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    parts.join("/")
}
