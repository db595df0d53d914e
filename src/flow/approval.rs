//! `approval`: whom a stage of type `pause` asks, what, and for how long it waits.

use std::time::Duration;

use crate::model::{Approval, StageKind};

use super::{
    Reading, duration,
    fields::Fields,
    findings::quoted,
    keys,
    node::{Node, Text},
    scalar,
};

/// How long a stage waits that does not say.
const EXPIRES: Duration = Duration::from_secs(7 * 24 * 3600);
/// More people than this are a role.
const MAX_BY: usize = 20;
/// Longer than any forge's names.
const MAX_NAME_CHARS: usize = 64;
/// It stands in a check's title.
const MAX_NOTE_CHARS: usize = 200;

/// What a `pause` asks; for no other stage is there anything to ask.
pub(super) fn read(fields: &mut Fields<'_>, kind: StageKind, reading: &mut Reading<'_>) -> Option<Approval> {
    let entry = fields.claim_entry("approval");
    if kind != StageKind::Pause {
        if let Some(entry) = entry {
            let message = "`approval` is of a stage of type pause";
            reading
                .findings
                .error(entry.key.at, message)
                .hint("put a stage `{type: pause, approval: …}` before this one");
        }
        return None;
    }
    let mut approval = Approval { by: Vec::new(), expires: EXPIRES, note: String::new() };
    if let Some(node) = entry.map(|entry| &entry.value).filter(|node| !node.is_null()) {
        read_map(node, &mut approval, reading);
    }
    Some(approval)
}

fn read_map(node: &Node, approval: &mut Approval, reading: &mut Reading<'_>) {
    let Some(mut inner) = Fields::of(node, &keys::APPROVAL, reading) else { return };
    if let Some(node) = inner.claim("by") {
        approval.by = by(node, reading);
    }
    if let Some(text) = inner.claim("expires").and_then(|node| scalar::text(node, "`expires`", reading)) {
        approval.expires = duration::span(&text, "`expires`", reading).unwrap_or(EXPIRES);
    }
    if let Some(text) = inner.claim("note").and_then(|node| scalar::text(node, "`note`", reading)) {
        approval.note = note(text, reading);
    }
    inner.close(reading);
}

fn by(node: &Node, reading: &mut Reading<'_>) -> Vec<String> {
    let mut by: Vec<String> = Vec::new();
    let names = scalar::texts(node, "a name in `by`", reading);
    if names.len() > MAX_BY {
        reading
            .findings
            .error(node.at, format!("`by` names {}; {MAX_BY} are the most", names.len()))
            .hint("name a role");
    }
    for name in names.into_iter().take(MAX_BY) {
        let is_good = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '[' | ']');
        let text = name.text.trim_start_matches('@');
        if text.is_empty() || text.chars().count() > MAX_NAME_CHARS || !text.chars().all(is_good) {
            let finding = reading.findings.error(name.at, format!("{} is nobody's name", quoted(&name.text)));
            finding.hint("a role such as maintainers, or a name as the forge has it");
        } else if !by.iter().any(|other| other == text) {
            by.push(text.to_owned());
        }
    }
    by
}

fn note(text: Text, reading: &mut Reading<'_>) -> String {
    if text.text.chars().count() > MAX_NOTE_CHARS {
        reading.findings.error(text.at, format!("a note has at most {MAX_NOTE_CHARS} characters"));
    }
    text.text.split_whitespace().collect::<Vec<_>>().join(" ")
}
