//! `variables`, and `@NAME@` in every value but `run` and `command`: no text of a script is ever put together by us.
//!
//! Only values are replaced, no keys, and a replaced text is not looked at again. What is not exactly `@`, a name and
//! `@` is left as it is, so that `a@b.example` needs no quoting.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Shape,
    findings::{Findings, quoted},
    given::Given,
    names,
    node::{Entry, Node, Place, Value},
    starts,
};

/// What all replaced texts may have together.
const MAX_REPLACED_BYTES: usize = 4 << 20;

/// Replaces the variables of a whole file in place, with given values where there are such; the names that the file
/// has. Inputs of a start by hand are variables, too.
pub(super) fn replace(root: &mut Node, shape: Shape, given: &Given, findings: &mut Findings<'_>) -> BTreeSet<String> {
    let inputs = starts::raw_inputs(root);
    let Value::Map(entries) = &mut root.value else { return BTreeSet::new() };
    let mut variables = match entries.iter().find(|entry| entry.key.text == "variables") {
        Some(entry) => read(&entry.value, findings),
        // the original had no variables, so that an `@` in its files means itself
        None if shape == Shape::Original && inputs.is_empty() => return BTreeSet::new(),
        None => BTreeMap::new(),
    };
    for (name, value) in &mut variables {
        if let Some(other) = given.variables.get(name) {
            value.clone_from(other);
        }
    }
    let names = variables.keys().cloned().collect();
    for (name, default) in inputs {
        if variables.contains_key(&name) {
            let at = entries.iter().find(|entry| entry.key.text == "on").map_or(Place::default(), |entry| entry.key.at);
            let finding = findings.error(at, format!("{} is a variable and an input", quoted(&name)));
            finding.hint("give one of them another name");
        }
        let value = given.inputs.get(&name).cloned().unwrap_or(default);
        variables.insert(name, value);
    }
    let mut replacer = Replacer { variables, budget: MAX_REPLACED_BYTES, findings };
    for entry in entries.iter_mut().filter(|entry| entry.key.text != "variables") {
        replacer.entry(entry, Within::Level);
    }
    names
}

/// Where a value stands. Only a level's own `run` is a script; a variable may have the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Level,
    Environments,
}

struct Replacer<'f, 's> {
    variables: BTreeMap<String, String>,
    budget: usize,
    findings: &'f mut Findings<'s>,
}

impl Replacer<'_, '_> {
    fn entry(&mut self, entry: &mut Entry, within: Within) {
        match (within, entry.key.text.as_str()) {
            (Within::Level, "run" | "command" | "when") => {}
            (Within::Level, "environments") => self.node(&mut entry.value, Within::Environments),
            (Within::Level | Within::Environments, _) => self.node(&mut entry.value, within),
        }
    }

    fn node(&mut self, node: &mut Node, within: Within) {
        match &mut node.value {
            Value::Null => {}
            Value::Scalar(text) => {
                if let Some(replaced) = self.text(text, node.at) {
                    *text = replaced;
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.node(item, within)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| self.entry(entry, within)),
        }
    }

    fn text(&mut self, text: &str, at: Place) -> Option<String> {
        let mut replaced = String::new();
        let mut rest = text;
        let mut found = false;
        while let Some((before, name, after)) = next_reference(rest) {
            found = true;
            replaced.push_str(before);
            replaced.push_str(self.value(name, at));
            rest = after;
            if replaced.len() > self.budget {
                self.budget = 0;
                self.findings.error(at, "`variables` make this file longer than 4 MiB");
                return None;
            }
        }
        if !found {
            return None;
        }
        replaced.push_str(rest);
        self.budget = self.budget.saturating_sub(replaced.len());
        Some(replaced)
    }

    fn value(&mut self, name: &str, at: Place) -> &str {
        if !self.variables.contains_key(name) {
            let hint = self
                .findings
                .did_you_mean(name, self.variables.keys().map(String::as_str))
                .unwrap_or_else(|| format!("add `{name}` to the flow's `variables`"));
            self.findings.error(at, format!("no variable is named {}", quoted(name))).hint(hint);
        }
        self.variables.get(name).map_or("", String::as_str)
    }
}

/// The text before the first reference, its name, and the text after it.
fn next_reference(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(start) = text[from..].find('@').map(|place| from + place) {
        let rest = &text[start + 1..];
        let length = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        if rest.as_bytes().get(length) == Some(&b'@') && names::is_variable(&rest[..length]) {
            return Some((&text[..start], &rest[..length], &rest[length + 1..]));
        }
        // what follows may be the beginning of a reference itself: `a@b@NAME@` has none, `@@NAME@` has one
        from = start + 1 + length;
    }
    None
}

fn read(node: &Node, findings: &mut Findings<'_>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    match &node.value {
        Value::Null => {}
        Value::Map(entries) => entries.iter().for_each(|entry| {
            if let Some(value) = read_entry(entry, findings) {
                variables.insert(entry.key.text.clone(), value);
            }
        }),
        Value::Scalar(_) | Value::List(_) => {
            let message = format!("`variables` is a map of names and texts; this is {}", node.describe());
            findings.error(node.at, message);
        }
    }
    variables
}

fn read_entry(entry: &Entry, findings: &mut Findings<'_>) -> Option<String> {
    if !names::is_variable(&entry.key.text) {
        let message = format!("{} is no variable's name", quoted(&entry.key.text));
        findings.error(entry.key.at, message).hint("letters, digits and `_`, not beginning with a digit");
    }
    match &entry.value.value {
        Value::Scalar(text) => Some(text.clone()),
        Value::Null => Some(String::new()),
        Value::List(_) | Value::Map(_) => {
            let message = format!("a variable is a text; this is {}", entry.value.describe());
            findings.error(entry.value.at, message);
            Some(String::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::next_reference;

    #[test]
    fn only_a_name_between_two_at_signs_is_a_reference() {
        assert_eq!(next_reference("rust:@RUST@-slim"), Some(("rust:", "RUST", "-slim")));
        assert_eq!(next_reference("@@A@"), Some(("@", "A", "")));
        for plain in ["", "@", "@@", "a@b.example", "git@h:x@y.z", "@1@", "@a b@", "sha256:@é@"] {
            assert_eq!(next_reference(plain), None, "{plain}");
        }
    }
}
