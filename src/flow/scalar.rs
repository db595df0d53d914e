//! Scalars by what is expected of them. Any scalar is a text, and keeps its source text: `1.0` stays `1.0`.

use super::{
    Reading,
    fields::Fields,
    findings::quoted,
    node::{Node, Text, Value},
};

/// Longer titles fit on no page.
const MAX_TITLE_CHARS: usize = 200;

/// A text. `what` begins the sentence of the finding: "`image`", "a name".
pub(super) fn text(node: &Node, what: &str, reading: &mut Reading<'_>) -> Option<Text> {
    match &node.value {
        Value::Null => Some(Text { at: node.at, text: String::new() }),
        Value::Scalar(text) => Some(Text { at: node.at, text: text.clone() }),
        Value::List(_) | Value::Map(_) => {
            let finding = reading.findings.error(node.at, format!("{what} is a text; this is {}", node.describe()));
            if matches!(node.value, Value::Map(_)) {
                finding.hint("put it in quotes if it is meant to be a text");
            }
            None
        }
    }
}

/// Texts: a list of them, or a single one.
pub(super) fn texts(node: &Node, what: &str, reading: &mut Reading<'_>) -> Vec<Text> {
    match &node.value {
        Value::List(items) => items.iter().filter_map(|item| text(item, what, reading)).collect(),
        Value::Null | Value::Scalar(_) | Value::Map(_) => text(node, what, reading).into_iter().collect(),
    }
}

/// `true` or `false`, from a key that has `default` when it is absent.
pub(super) fn boolean(fields: &mut Fields<'_>, key: &str, default: Toggle, reading: &mut Reading<'_>) -> bool {
    let toggle = choice(fields, key, &[("true", Toggle::On), ("false", Toggle::Off)], reading);
    toggle.unwrap_or(default) == Toggle::On
}

/// The two states of a key that is `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Toggle {
    /// `true`.
    On,
    /// `false`.
    Off,
}

/// One of several words.
pub(super) fn choice<T: Copy>(
    fields: &mut Fields<'_>,
    key: &str,
    choices: &[(&str, T)],
    reading: &mut Reading<'_>,
) -> Option<T> {
    let word = text(fields.claim(key)?, &format!("`{key}`"), reading)?;
    let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(&word.text));
    if found.is_none() {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let hint = reading.findings.did_you_mean(&word.text, names.iter().copied());
        let message = format!("`{key}` is {}; {} is none of them", names.join(" or "), quoted(&word.text));
        reading.findings.error(word.at, message).maybe_hint(hint);
    }
    found.map(|(_, value)| *value)
}

/// The `title`, or an empty text.
pub(super) fn title(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> String {
    let Some(title) = fields.claim("title").and_then(|node| text(node, "`title`", reading)) else {
        return String::new();
    };
    if title.text.chars().count() > MAX_TITLE_CHARS {
        reading.findings.error(title.at, format!("a title has at most {MAX_TITLE_CHARS} characters"));
    }
    title.text
}
