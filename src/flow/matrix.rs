//! `matrix`: one action for each combination of values.
//!
//! Every other key but `include` and `exclude` is an axis. The cells are all combinations of the axes' values but those
//! that `exclude` names; what `include` has is then added to the cells that have its values, or is a cell of its own.

use std::collections::BTreeSet;

use super::{
    Reading,
    findings::quoted,
    names,
    node::{Entry, Node, Place, Text, Value},
    scalar,
};

/// A page shows no more cells in a way that helps, and a forge's table neither.
const MAX_CELLS: usize = 256;
/// Nobody thinks in more dimensions.
const MAX_AXES: usize = 16;
/// A value is a part of a name and a cell of a table.
const MAX_VALUE_BYTES: usize = 255;
/// In an item of `include`: the one key that is no value.
const ALLOW_FAILURE: &str = "allow-failure";

/// One combination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Combination {
    /// In the file's order, the axes first.
    pub(super) values: Vec<(String, String)>,
    /// So many of them are enough to tell it from the others; 0: all are needed.
    pub(super) naming: usize,
    /// What `include` says of it; `None`: what the action says.
    pub(super) allow_failure: Option<bool>,
}

/// Whatever `@NAME@` may name in an action with this matrix.
pub(super) fn names(matrix: &Node) -> BTreeSet<String> {
    let Value::Map(entries) = &matrix.value else { return BTreeSet::new() };
    let mut names = BTreeSet::new();
    for entry in entries {
        match (entry.key.text.as_str(), &entry.value.value) {
            ("include", Value::List(items)) => {
                for item in items {
                    let Value::Map(pairs) = &item.value else { continue };
                    names.extend(pairs.iter().map(|pair| pair.key.text.clone()));
                }
            }
            ("include" | "exclude", _) => {}
            (axis, _) => drop(names.insert(axis.to_owned())),
        }
    }
    names
}

/// All cells, in the file's order; none only if there is a finding that says why.
pub(super) fn read(key: Place, matrix: &Node, reading: &mut Reading<'_>) -> Vec<Combination> {
    let Value::Map(entries) = &matrix.value else {
        let message = format!("`matrix` is a map of names and lists; this is {}", matrix.describe());
        reading.findings.error(matrix.at, message).hint("write `matrix: {version: [\"1\", \"2\"]}`");
        return Vec::new();
    };
    let list = |name: &str| entries.iter().find(|entry| entry.key.text == name).filter(|entry| !entry.value.is_null());
    let axes = axes(key, entries, reading);
    let Some(mut cells) = product(key, &axes, reading) else { return Vec::new() };
    let combinations = cells.len();
    if let Some(entry) = list("exclude") {
        exclude(&mut cells, &axes, entry, reading);
    }
    if combinations > 0 && cells.is_empty() && list("include").is_none() {
        reading.findings.error(key, "`exclude` leaves no cell of this matrix").hint("remove a line of it");
    }
    if let Some(entry) = list("include") {
        include(&mut cells, &axes, entry, reading);
    }
    if cells.is_empty() && axes.is_empty() && list("include").is_none_or(|entry| entry.value.has_no_item()) {
        reading.findings.error(key, "a matrix without a cell").hint("write `matrix: {version: [\"1\", \"2\"]}`");
    }
    check_count(key, cells.len(), reading);
    cells.truncate(MAX_CELLS);
    cells
}

/// An axis: its name and its values.
type Axis = (String, Vec<String>);

fn axes(key: Place, entries: &[Entry], reading: &mut Reading<'_>) -> Vec<Axis> {
    let mut axes = Vec::new();
    for entry in entries.iter().filter(|entry| !matches!(entry.key.text.as_str(), "include" | "exclude")) {
        check_name(&entry.key, reading);
        let values = values(entry, reading);
        if values.is_empty() {
            let message = format!("axis {} has no value", quoted(&entry.key.text));
            reading.findings.error(entry.value.at, message).hint("give it a list of values, or remove it");
        }
        axes.push((entry.key.text.clone(), values));
    }
    if axes.len() > MAX_AXES {
        reading.findings.error(key, format!("{} axes; {MAX_AXES} are the most", axes.len()));
        axes.truncate(MAX_AXES);
    }
    axes
}

fn check_name(name: &Text, reading: &mut Reading<'_>) {
    if names::is_variable(&name.text) {
        return;
    }
    let message = format!("{} is no name of a matrix' values", quoted(&name.text));
    let near = reading.findings.did_you_mean(&name.text, ["include", "exclude"]);
    let hint = near.unwrap_or_else(|| "letters, digits and `_`, not beginning with a digit".to_owned());
    reading.findings.error(name.at, message).hint(hint);
}

fn values(entry: &Entry, reading: &mut Reading<'_>) -> Vec<String> {
    if entry.value.is_null() {
        return Vec::new();
    }
    let mut values: Vec<String> = Vec::new();
    for text in scalar::texts(&entry.value, "a value of a matrix", reading) {
        check_value(&text, reading);
        if values.contains(&text.text) {
            reading.findings.error(text.at, format!("{} is given twice on this axis", quoted(&text.text)));
        } else if values.len() <= MAX_CELLS {
            values.push(text.text);
        }
    }
    values
}

fn check_value(value: &Text, reading: &mut Reading<'_>) {
    if value.text.len() > MAX_VALUE_BYTES || value.text.chars().any(char::is_control) {
        let message = format!("a value of a matrix is one line of at most {MAX_VALUE_BYTES} bytes");
        reading.findings.error(value.at, message);
    }
}

/// All combinations; none of no axes. `None` if they are too many.
fn product(key: Place, axes: &[Axis], reading: &mut Reading<'_>) -> Option<Vec<Combination>> {
    if axes.is_empty() {
        return Some(Vec::new());
    }
    let count = axes.iter().fold(1_usize, |count, (_, values)| count.saturating_mul(values.len()));
    if count > MAX_CELLS {
        check_count(key, count, reading);
        return None;
    }
    let mut cells = vec![Combination::default()];
    for (name, values) in axes {
        let with = |cell: &Combination, value: &String| {
            let mut cell = cell.clone();
            cell.values.push((name.clone(), value.clone()));
            cell.naming += 1;
            cell
        };
        cells = cells.iter().flat_map(|cell| values.iter().map(move |value| with(cell, value))).collect();
    }
    Some(cells)
}

fn check_count(key: Place, count: usize, reading: &mut Reading<'_>) {
    if count > MAX_CELLS {
        let finding = reading.findings.error(key, format!("a matrix of {count} cells; {MAX_CELLS} are the most"));
        finding.hint("leave some out by `exclude`, or split the action");
    }
}

fn exclude(cells: &mut Vec<Combination>, axes: &[Axis], entry: &Entry, reading: &mut Reading<'_>) {
    for item in items(entry, reading) {
        let pairs = pairs(item, reading);
        for (name, _) in pairs.iter().filter(|(name, _)| !axes.iter().any(|(axis, _)| *axis == name.text)) {
            let hint = reading.findings.did_you_mean(&name.text, axes.iter().map(|(axis, _)| axis.as_str()));
            reading.findings.error(name.at, format!("no axis is named {}", quoted(&name.text))).maybe_hint(hint);
        }
        let before = cells.len();
        cells.retain(|cell| !pairs.iter().all(|(name, value)| cell.has(&name.text, value)));
        if cells.len() == before && !pairs.is_empty() {
            reading.findings.warning(item.at, "no cell has these values; nothing is left out");
        }
    }
}

fn include(cells: &mut Vec<Combination>, axes: &[Axis], entry: &Entry, reading: &mut Reading<'_>) {
    let combinations = cells.len();
    for item in items(entry, reading) {
        let mut allow_failure = None;
        let mut pairs = pairs(item, reading);
        pairs.retain(|(name, value)| {
            let is_value = name.text != ALLOW_FAILURE;
            if !is_value {
                allow_failure = flag(name, value, reading);
            }
            is_value
        });
        pairs.iter().for_each(|(name, _)| check_name(name, reading));
        let of_axes = |name: &str| axes.iter().any(|(axis, _)| axis == name);
        let matches = |cell: &&mut Combination| {
            pairs.iter().filter(|(name, _)| of_axes(&name.text)).all(|(name, value)| cell.has(&name.text, value))
        };
        let mut extended = false;
        for cell in cells[..combinations].iter_mut().filter(matches) {
            cell.extend(&pairs, allow_failure);
            extended = true;
        }
        if !extended {
            pairs.sort_by_key(|(name, _)| axes.iter().position(|(axis, _)| *axis == name.text).unwrap_or(axes.len()));
            let naming = pairs.iter().filter(|(name, _)| of_axes(&name.text)).count();
            let cell = Combination { naming, ..Combination::default() };
            add(cells, cell, &pairs, allow_failure, item.at, reading);
        }
    }
}

fn add(
    cells: &mut Vec<Combination>,
    mut cell: Combination,
    pairs: &[(Text, String)],
    allow_failure: Option<bool>,
    at: Place,
    reading: &mut Reading<'_>,
) {
    cell.extend(pairs, allow_failure);
    if cells.iter().any(|other| other.naming().eq(cell.naming())) {
        cell.naming = 0;
    }
    if cell.values.is_empty() {
        reading.findings.error(at, "a cell needs a value").hint("write `include: [{version: \"3\"}]`");
    } else if cells.iter().any(|other| other.values == cell.values) {
        reading.findings.error(at, "there is already a cell with these values");
    } else {
        cells.push(cell);
    }
}

/// The maps of `include` or `exclude`.
fn items<'n>(entry: &'n Entry, reading: &mut Reading<'_>) -> &'n [Node] {
    let Value::List(items) = &entry.value.value else {
        let message = format!("`{}` is a list of maps; this is {}", entry.key.text, entry.value.describe());
        reading.findings.error(entry.value.at, message).hint("begin each item with `- `");
        return &[];
    };
    if items.len() > MAX_CELLS {
        let message = format!("`{}` has {} items; {MAX_CELLS} are the most", entry.key.text, items.len());
        reading.findings.error(entry.key.at, message);
    }
    &items[..items.len().min(MAX_CELLS)]
}

fn pairs(item: &Node, reading: &mut Reading<'_>) -> Vec<(Text, String)> {
    let Value::Map(entries) = &item.value else {
        let message = format!("a cell is a map of names and values; this is {}", item.describe());
        reading.findings.error(item.at, message);
        return Vec::new();
    };
    let mut pairs = Vec::new();
    for entry in entries {
        let Some(value) = scalar::text(&entry.value, "a value of a matrix", reading) else { continue };
        check_value(&value, reading);
        pairs.push((entry.key.clone(), value.text));
    }
    if pairs.len() > MAX_AXES {
        reading.findings.error(item.at, format!("{} values of one cell; {MAX_AXES} are the most", pairs.len()));
        pairs.truncate(MAX_AXES);
    }
    pairs
}

fn flag(name: &Text, value: &str, reading: &mut Reading<'_>) -> Option<bool> {
    let flag = value.parse().ok();
    if flag.is_none() {
        reading.findings.error(name.at, format!("`{ALLOW_FAILURE}` is true or false"));
    }
    flag
}

impl Combination {
    /// The value of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The values that tell it from the others.
    pub(super) fn naming(&self) -> impl Iterator<Item = &str> {
        let count = if self.naming == 0 { self.values.len() } else { self.naming };
        self.values.iter().take(count).map(|(_, value)| value.as_str())
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value)
    }

    /// Adds values; those of one name replace each other.
    fn extend(&mut self, pairs: &[(Text, String)], allow_failure: Option<bool>) {
        for (name, value) in pairs {
            match self.values.iter_mut().find(|(own, _)| *own == name.text) {
                Some((_, own)) => own.clone_from(value),
                None => self.values.push((name.text.clone(), value.clone())),
            }
        }
        self.allow_failure = allow_failure.or(self.allow_failure);
    }
}
