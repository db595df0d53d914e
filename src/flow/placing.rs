//! `runtime` and `node` of an action: how strongly it is isolated, and where it may run.

use std::collections::BTreeMap;

use super::{
    Reading,
    fields::Fields,
    findings::quoted,
    node::{Text, Value},
    scalar,
};

/// More labels no cluster's nodes are told apart by.
const MAX_LABELS: usize = 16;
/// As long as a name of Kubernetes.
const MAX_NAME_BYTES: usize = 253;
/// As long as a label's name, and its value.
const MAX_LABEL_BYTES: usize = 63;

/// The name of a `RuntimeClass`, or of an engine's runtime.
pub(super) fn runtime(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Option<String> {
    let text = scalar::text(fields.claim("runtime")?, "`runtime`", reading)?;
    if !is_domain(&text.text) {
        let message = format!("{} is no name of a RuntimeClass", quoted(&text.text));
        reading.findings.error(text.at, message).hint("small letters, digits, `-` and `.`, such as `gvisor`");
    }
    Some(text.text)
}

/// The labels that an action's node must have.
pub(super) fn node(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let Some(node) = fields.claim("node") else { return labels };
    let Value::Map(entries) = &node.value else {
        let message = format!("`node` is a map of labels and their values; this is {}", node.describe());
        reading.findings.error(node.at, message).hint("for example `node: {kubernetes.io/arch: arm64}`");
        return labels;
    };
    if entries.len() > MAX_LABELS {
        reading.findings.error(node.at, format!("`node` has at most {MAX_LABELS} labels"));
    }
    for entry in entries.iter().take(MAX_LABELS) {
        check_label(&entry.key, reading);
        let Some(value) = scalar::text(&entry.value, "a label's value", reading) else { continue };
        if !value.text.is_empty() && !is_label_part(&value.text) {
            let message = format!("{} is no label's value", quoted(&value.text));
            let hint = format!("at most {MAX_LABEL_BYTES} letters, digits, `-`, `_` and `.`");
            reading.findings.error(value.at, message).hint(hint);
        }
        labels.insert(entry.key.text.clone(), value.text);
    }
    labels
}

fn check_label(key: &Text, reading: &mut Reading<'_>) {
    let is_label = match key.text.split_once('/') {
        Some((prefix, name)) => is_domain(prefix) && is_label_part(name),
        None => is_label_part(&key.text),
    };
    if !is_label {
        let message = format!("{} is no label's name", quoted(&key.text));
        reading.findings.error(key.at, message).hint("for example `kubernetes.io/arch`");
    }
}

fn is_domain(text: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_part = |part: &str| {
        part.starts_with(is_edge) && part.ends_with(is_edge) && part.chars().all(|c| is_edge(c) || c == '-')
    };
    text.len() <= MAX_NAME_BYTES && text.split('.').all(is_part)
}

fn is_label_part(text: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_alphanumeric();
    text.len() <= MAX_LABEL_BYTES
        && text.starts_with(is_edge)
        && text.ends_with(is_edge)
        && text.chars().all(|c| is_edge(c) || matches!(c, '-' | '_' | '.'))
}
