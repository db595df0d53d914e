//! `variables`, and `@NAME@` in every value but `run`, `command` and `when`: no text of a script is ever put together by us.
//!
//! A matrix' values are known only when its cells are read (`cell`); here they are marked, so that a replaced text need
//! not be looked at again. Only values are replaced, and no keys but those of `subscriptions`. What is not exactly `@`, a name and
//! `@` is left as it is, so that `a@b.example` needs no quoting.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Shape, cell,
    fields::Level,
    findings::{Findings, quoted},
    given::Given,
    keys, matrix, names,
    node::{Entry, Node, Place, Value},
    starts,
};

/// What all replaced texts may have together.
const MAX_REPLACED_BYTES: usize = 4 << 20;

/// Replaces the variables of a whole file in place, with given values where there are such, and marks what is a matrix'
/// value; the names that the file has. Inputs of a start by hand are variables, too.
pub(super) fn replace(root: &mut Node, shape: Shape, given: &Given, findings: &mut Findings<'_>) -> BTreeSet<String> {
    let inputs = starts::raw_inputs(root);
    let Value::Map(entries) = &mut root.value else { return BTreeSet::new() };
    let own = entries.iter().find(|entry| entry.key.text == "variables");
    // the original had no variables, so that an `@` in its files means itself
    let strict = own.is_some() || !inputs.is_empty() || shape == Shape::Ours;
    let mut variables = own.map_or_else(BTreeMap::new, |entry| read(&entry.value, findings));
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
    let (scope, elsewhere) = (BTreeSet::new(), BTreeSet::new());
    Replacer { variables, strict, scope, elsewhere, budget: MAX_REPLACED_BYTES, findings }.root(entries);
    names
}

/// Where a value stands. Only a level's own `run` is a script; a variable may have the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Level,
    Environments,
    /// The one place where a key is replaced, too: it is the source of a link.
    Subscriptions,
}

struct Replacer<'f, 's> {
    variables: BTreeMap<String, String>,
    /// Whether an unknown name is a mistake.
    strict: bool,
    /// The values of the matrix around what is read.
    scope: BTreeSet<String>,
    /// The values of the matrix beside what is read.
    elsewhere: BTreeSet<String>,
    budget: usize,
    findings: &'f mut Findings<'s>,
}

impl Replacer<'_, '_> {
    fn root(&mut self, entries: &mut [Entry]) {
        let is_hoisted = !entries.iter().any(|entry| entry.key.text == "stages");
        if is_hoisted {
            return self.stage(entries, &[&keys::FLOW, &keys::STAGE]);
        }
        for entry in entries.iter_mut().filter(|entry| entry.key.text != "variables") {
            if entry.key.text == "stages" {
                self.each(entry, |replacer, stage| replacer.stage(stage, &[&keys::STAGE]));
            } else {
                self.entry(entry, Within::Level);
            }
        }
    }

    /// A stage, which may have the keys of its only action; `own` are the levels whose keys are no action's.
    fn stage(&mut self, entries: &mut [Entry], own: &[&Level]) {
        if !entries.iter().any(|entry| entry.key.text == "actions") {
            return self.action(entries, own);
        }
        for entry in entries.iter_mut().filter(|entry| entry.key.text != "variables") {
            if entry.key.text == "actions" {
                self.each(entry, |replacer, action| replacer.action(action, &[]));
            } else {
                self.entry(entry, Within::Level);
            }
        }
    }

    fn action(&mut self, entries: &mut [Entry], own: &[&Level]) {
        let matrix = entries.iter().find(|entry| entry.key.text == "matrix");
        let names = matrix.map_or_else(BTreeSet::new, |entry| matrix::names(&entry.value));
        let is_own = |key: &str| {
            matches!(key, "matrix" | "name" | "cell")
                || (key != "environments" && own.iter().any(|level| level.has(key)))
        };
        for entry in entries.iter_mut().filter(|entry| entry.key.text != "variables") {
            let names = names.clone();
            if is_own(&entry.key.text) {
                self.elsewhere = names
            } else {
                self.scope = names
            }
            self.entry(entry, Within::Level);
            self.scope.clear();
            self.elsewhere.clear();
        }
    }

    /// The maps of a list, one by one.
    fn each(&mut self, entry: &mut Entry, read: impl Fn(&mut Self, &mut [Entry])) {
        let Value::List(items) = &mut entry.value.value else { return self.node(&mut entry.value, Within::Level) };
        for item in items {
            match &mut item.value {
                Value::Map(entries) => read(self, entries),
                Value::Null | Value::Scalar(_) | Value::List(_) => self.node(item, Within::Level),
            }
        }
    }

    fn entry(&mut self, entry: &mut Entry, within: Within) {
        match (within, entry.key.text.as_str()) {
            (Within::Level, "run" | "command" | "when") => {}
            (Within::Level, "environments") => self.node(&mut entry.value, Within::Environments),
            (Within::Level, "subscriptions") => self.node(&mut entry.value, Within::Subscriptions),
            (Within::Level | Within::Environments, _) => self.node(&mut entry.value, within),
            (Within::Subscriptions, _) => {
                if let Some(replaced) = self.text(&entry.key.text, entry.key.at) {
                    entry.key.text = replaced;
                }
                self.node(&mut entry.value, within);
            }
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
            self.push_value(&mut replaced, name, at);
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

    fn push_value(&mut self, text: &mut String, name: &str, at: Place) {
        if self.scope.contains(name) {
            text.push(cell::MARK);
            text.push_str(name);
            text.push(cell::MARK);
        } else if let Some(value) = self.variables.get(name) {
            text.push_str(value);
        } else if self.strict {
            self.unknown(name, at);
        } else {
            text.push_str(&format!("@{name}@"));
        }
    }

    fn unknown(&mut self, name: &str, at: Place) {
        let known = self.variables.keys().chain(&self.scope).map(String::as_str);
        let hint = self.findings.did_you_mean(name, known);
        let hint = hint.unwrap_or_else(|| {
            if self.elsewhere.contains(name) {
                "a matrix' values belong to its action, and cannot be a part of its name".to_owned()
            } else {
                format!("add `{name}` to the flow's `variables`")
            }
        });
        self.findings.error(at, format!("no variable is named {}", quoted(name))).hint(hint);
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
