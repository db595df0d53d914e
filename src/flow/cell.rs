//! The cells of a matrix as actions: their names, and their values in place of `@NAME@`.
//!
//! An action with a matrix is read once for each cell, from a copy with the cell's values in it. `variables` has marked
//! where they belong with a NUL before and behind the name, which no file can have.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ActionPlan, Cell};

use super::{
    Reading, action,
    fields::Fields,
    findings::quoted,
    keys,
    matrix::{self, Combination},
    names,
    node::{Entry, Node, Text, Value, Weight},
    scalar,
};

/// What all copies of all cells may have together.
const MAX_COPIED: Weight = Weight { nodes: 200_000, bytes: 4 << 20 };
/// Before and behind the name of a value in a text.
pub(super) const MARK: char = '\0';
/// So many hexadecimal digits tell cells apart whose values look alike.
const TELLING: usize = 8;

/// The cells of the action `name` in `fields`, whose matrix is at `entry`; none takes a name that is `taken`.
pub(super) fn each(
    fields: &mut Fields<'_>,
    entry: &Entry,
    (stage, name): (&str, &str),
    taken: &mut BTreeSet<String>,
    reading: &mut Reading<'_>,
) -> Vec<ActionPlan> {
    let mut cells = matrix::read(entry.key.at, &entry.value, reading);
    if cells.is_empty() || !can_copy(fields, cells.len(), entry, reading) {
        // what else is wrong with the action is told all the same
        cells = vec![stand_in(&entry.value)];
    }
    let rest: Vec<Entry> = fields.rest().cloned().collect();
    let (mut actions, mut claims) = (Vec::new(), Vec::new());
    for cell in &cells {
        let mut filler = Filler { cell, action: name, reading };
        let entries: Vec<Entry> = rest.iter().map(|entry| filler.entry(entry)).collect();
        let mut copy = fields.copy(&entries);
        let own = free_name(name, cell, taken);
        let plan = action::one(&mut copy, stage, [&own, name], reading);
        claims.push(copy.into_claims());
        let Some(plan) = plan else { continue };
        actions.push(ActionPlan {
            allow_failure: cell.allow_failure.unwrap_or(plan.allow_failure),
            cell: Some(Cell { of: name.to_owned(), label: label(cell) }),
            matrix: cell.values.iter().cloned().collect(),
            ..plan
        });
    }
    fields.adopt(&claims);
    actions
}

/// `cell`, as `plan` writes it: the action is one of a matrix that is written out.
pub(super) fn read(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> (Option<Cell>, BTreeMap<String, String>) {
    let nothing = (None, BTreeMap::new());
    let Some(entry) = fields.claim_entry("cell").filter(|entry| !entry.value.is_null()) else { return nothing };
    let Some(mut fields) = Fields::of(&entry.value, &keys::CELL, reading) else { return nothing };
    let mut text = |key: &str| {
        let text = fields.claim(key).and_then(|node| scalar::text(node, &format!("`{key}`"), reading));
        if text.is_none() {
            reading.findings.error(entry.key.at, format!("`cell` needs `{key}`"));
        }
        text
    };
    let (of, label) = (text("of"), text("label"));
    if let Some(of) = &of {
        names::check(of, reading);
    }
    let values = fields.claim("values").map(|node| values(node, reading)).unwrap_or_default();
    fields.close(reading);
    let cell = of.zip(label).map(|(of, label)| Cell { of: of.text, label: label.text });
    (cell, values)
}

fn values(node: &Node, reading: &mut Reading<'_>) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let Value::Map(entries) = &node.value else {
        let message = format!("`values` is a map of names and texts; this is {}", node.describe());
        reading.findings.error(node.at, message);
        return values;
    };
    for entry in entries {
        if let Some(value) = scalar::text(&entry.value, "a value of a matrix", reading) {
            values.insert(entry.key.text.clone(), value.text);
        }
    }
    values
}

/// Puts a cell's values into a text that is a part of no action: the flow's own environments, if its only action is a
/// matrix. A name that the cell does not have is left out, and returned.
pub(super) fn filled(text: &str, values: &BTreeMap<String, String>) -> (String, Option<String>) {
    fill(text, |name| values.get(name).map(String::as_str))
}

/// `1.95, linux`: the values that tell it from the others.
fn label(cell: &Combination) -> String {
    let shown = |value: &str| if value.is_empty() { "''".to_owned() } else { value.to_owned() };
    cell.naming().map(shown).collect::<Vec<_>>().join(", ")
}

/// The action's name and the values, as far as a name can have them: `unit-1-95-linux`. Cells that would be called
/// alike, and those whose name would be too long, get a few digits of their values' hash.
fn free_name(action: &str, cell: &Combination, taken: &mut BTreeSet<String>) -> String {
    let values = cell.naming().map(slug).filter(|value| !value.is_empty());
    let readable = std::iter::once(action.to_owned()).chain(values).collect::<Vec<_>>().join("-");
    let name = if readable.len() <= names::MAX_LENGTH && readable != action && !taken.contains(&readable) {
        readable
    } else {
        let begin: String = readable.chars().take(names::MAX_LENGTH - TELLING - 1).collect();
        format!("{begin}-{}", telling(cell))
    };
    taken.insert(name.clone());
    name
}

fn slug(value: &str) -> String {
    let plain: String = value.chars().map(|c| if names::is_plain(c) { c } else { '-' }).collect();
    plain.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

fn telling(cell: &Combination) -> String {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    for (name, value) in &cell.values {
        hash.update(format!("{name}={value}\n"));
    }
    hex::encode(hash.finalize()).chars().take(TELLING).collect()
}

fn can_copy(fields: &Fields<'_>, cells: usize, entry: &Entry, reading: &mut Reading<'_>) -> bool {
    let mut one = Weight::default();
    fields.rest().for_each(|entry| one.add(entry.value.weight()));
    let all = Weight { nodes: one.nodes.saturating_mul(cells), bytes: one.bytes.saturating_mul(cells) };
    reading.copied.add(all);
    let fits = reading.copied.nodes <= MAX_COPIED.nodes && reading.copied.bytes <= MAX_COPIED.bytes;
    if !fits {
        let message = "the cells of all matrices have more than 200000 values or 4 MiB of text";
        reading.findings.error(entry.key.at, message).hint("put long scripts in files of the repository");
    }
    fits
}

/// A cell for an action whose matrix is wrong.
fn stand_in(matrix: &Node) -> Combination {
    let values = matrix::names(matrix).into_iter().map(|name| (name, "x".to_owned())).collect();
    Combination { values, ..Combination::default() }
}

/// Copies nodes with a cell's values in them.
struct Filler<'c, 'r, 's> {
    cell: &'c Combination,
    action: &'c str,
    reading: &'r mut Reading<'s>,
}

impl Filler<'_, '_, '_> {
    fn entry(&mut self, entry: &Entry) -> Entry {
        let Text { at, text } = &entry.key;
        let text = if text.contains(MARK) { self.text(&entry.key) } else { text.clone() };
        Entry { key: Text { at: *at, text }, value: self.node(&entry.value) }
    }

    fn node(&mut self, node: &Node) -> Node {
        let value = match &node.value {
            Value::Null => Value::Null,
            Value::Scalar(text) if text.contains(MARK) => {
                Value::Scalar(self.text(&Text { at: node.at, text: text.clone() }))
            }
            Value::Scalar(text) => Value::Scalar(text.clone()),
            Value::List(items) => Value::List(items.iter().map(|item| self.node(item)).collect()),
            Value::Map(entries) => Value::Map(entries.iter().map(|entry| self.entry(entry)).collect()),
        };
        Node { at: node.at, value }
    }

    fn text(&mut self, text: &Text) -> String {
        let (filled, missing) = fill(&text.text, |name| self.cell.get(name));
        if let Some(name) = missing {
            let cell = quoted(&format!("{} ({})", self.action, label(self.cell)));
            let message = format!("cell {cell} of the matrix has no {}", quoted(&name));
            self.reading.findings.error(text.at, message).hint("give it one in `include`");
        }
        filled
    }
}

fn fill<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> (String, Option<String>) {
    let mut filled = String::with_capacity(text.len());
    let mut missing = None;
    for (place, part) in text.split(MARK).enumerate() {
        match (place % 2, value(part)) {
            (0, _) => filled.push_str(part),
            (_, Some(value)) => filled.push_str(value),
            (_, None) => missing = Some(part.to_owned()),
        }
    }
    (filled, missing)
}
