//! The value of a checked expression.

use std::{
    cell::{Cell, RefCell},
    cmp::Ordering,
    collections::BTreeMap,
};

use regex::{Regex, RegexBuilder};

use super::{
    Each, Expression, Known, Node, Sign, Table, Value,
    words::{method, variable},
};
use crate::flow::globs;

/// What all conditions of a plan may cost together: each node that is evaluated is one, each file that is looked at, too.
const MOST_STEPS: u64 = 2_000_000;
/// What a regular expression may take when it is compiled.
const MOST_PATTERN_BYTES: usize = 1 << 18;

/// What evaluating has cost so far, and what need not be done twice.
#[derive(Debug, Default)]
pub(in crate::flow) struct Work {
    steps: Cell<u64>,
    changed: RefCell<BTreeMap<String, Value>>,
    patterns: RefCell<BTreeMap<String, Option<Regex>>>,
}

impl Work {
    /// Whether it was more than it may be; then values are worth nothing.
    pub(in crate::flow) fn is_too_much(&self) -> bool {
        self.steps.get() > MOST_STEPS
    }

    fn costs(&self, steps: usize) {
        self.steps.set(self.steps.get().saturating_add(steps as u64));
    }
}

/// A regular expression, or what is wrong with it.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(MOST_PATTERN_BYTES).build().map_err(|error| {
        let words = error.to_string();
        words.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

/// Its value. What `check` has passed has one; of anything else it would be an empty text.
pub(super) fn value(of: &Expression, known: &Known<'_>, work: &Work) -> Value {
    Desk { known, work, item: None }.value(of)
}

/// What is at hand.
#[derive(Clone, Copy)]
struct Desk<'d> {
    known: &'d Known<'d>,
    work: &'d Work,
    /// What the loop is at.
    item: Option<(&'d str, &'d Value)>,
}

impl Desk<'_> {
    fn value(&self, of: &Expression) -> Value {
        self.work.costs(1);
        if self.work.is_too_much() {
            return Value::Unknown;
        }
        match &of.node {
            Node::Literal(value) => value.clone(),
            Node::Variable(name) => self.variable(name),
            Node::Entry(table, name) => self.entry(*table, name),
            Node::List(items) => Value::List(items.iter().map(|item| self.value(item)).collect()),
            Node::Not(inner) => not(self.value(inner)),
            Node::Binary(sign, sides) => self.binary(*sign, sides),
            Node::Choice(parts) => self.choice(parts),
            Node::Each(each, name, parts) => self.each(*each, name, parts),
            Node::Call(name, arguments) => {
                self.call(name, &arguments.iter().map(|argument| self.value(argument)).collect::<Vec<_>>())
            }
        }
    }

    fn variable(&self, name: &str) -> Value {
        if let Some((_, value)) = self.item.filter(|(item, _)| *item == name) {
            return value.clone();
        }
        if name == "files" {
            self.work.costs(self.known.changes.paths.len());
        }
        variable(name).map_or_else(nothing, |variable| (variable.of)(self.known))
    }

    fn entry(&self, table: Table, name: &str) -> Value {
        let table = match table {
            Table::Inputs => self.known.inputs,
            Table::Matrix => self.known.matrix,
            Table::Outputs => self.known.outputs,
        };
        Value::Text(table.get(name).cloned().unwrap_or_default())
    }

    fn choice(&self, [condition, then, or_else]: &[Expression; 3]) -> Value {
        match self.value(condition) {
            Value::Flag(true) => self.value(then),
            Value::Unknown => {
                let (then, or_else) = (self.value(then), self.value(or_else));
                if then == or_else { then } else { Value::Unknown }
            }
            Value::Flag(false) | Value::Text(_) | Value::Number(_) | Value::List(_) => self.value(or_else),
        }
    }

    fn binary(&self, sign: Sign, [left, right]: &[Expression; 2]) -> Value {
        match sign {
            Sign::Or => return self.until(&Value::Flag(true), left, right),
            Sign::And => return self.until(&Value::Flag(false), left, right),
            Sign::Equal
            | Sign::Unequal
            | Sign::Less
            | Sign::AtMost
            | Sign::Greater
            | Sign::AtLeast
            | Sign::In
            | Sign::Plus => {}
        }
        let (a, b) = (self.value(left), self.value(right));
        if is_always(left, &b) || is_always(right, &a) {
            return Value::Flag(sign != Sign::Unequal);
        }
        match (sign, a, b) {
            (Sign::In, item, Value::List(items)) => contains(&items, &item),
            (_, Value::Unknown, _) | (_, _, Value::Unknown) => Value::Unknown,
            (Sign::Equal, a, b) => equal(&a, &b),
            (Sign::Unequal, a, b) => not(equal(&a, &b)),
            (Sign::Plus, Value::Text(left), Value::Text(right)) => Value::Text(left + &right),
            (Sign::Plus, Value::Number(left), Value::Number(right)) => Value::Number(left.saturating_add(right)),
            (sign, a, b) => ordered(sign, &a, &b),
        }
    }

    /// Both sides of `||` and `&&`: one that decides it does so whatever the other is.
    fn until(&self, decides: &Value, left: &Expression, right: &Expression) -> Value {
        let left = self.value(left);
        if left == *decides {
            return left;
        }
        match (left, self.value(right)) {
            (_, right) if right == *decides => right,
            (Value::Unknown, _) | (_, Value::Unknown) => Value::Unknown,
            (_, right) => right,
        }
    }

    fn each(&self, each: Each, name: &str, [list, body]: &[Expression; 2]) -> Value {
        let Value::List(items) = self.value(list) else { return Value::Unknown };
        let decides = Value::Flag(each == Each::Exists);
        let mut all = not(decides.clone());
        for item in &items {
            match (Desk { item: Some((name, item)), ..*self }).value(body) {
                found if found == decides => return found,
                Value::Unknown => all = Value::Unknown,
                Value::Flag(_) | Value::Text(_) | Value::Number(_) | Value::List(_) => {}
            }
        }
        all
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Value {
        match (name.trim_start_matches('.'), arguments) {
            ("changed", [Value::Text(pattern)]) => self.changed(pattern),
            ("size", [Value::List(items)]) if items.contains(&Value::Unknown) => Value::Unknown,
            (_, arguments) if arguments.contains(&Value::Unknown) => Value::Unknown,
            ("matches", [Value::Text(text), Value::Text(pattern)]) => self.matches(text, pattern),
            (name, [Value::Text(text), Value::Text(argument)]) => {
                method(name).map_or_else(nothing, |method| Value::Flag((method.of)(text, argument)))
            }
            ("string", [value]) => Value::Text(value.to_string()),
            ("size", [Value::Text(text)]) => size(text.chars().count()),
            ("size", [Value::List(items)]) => size(items.len()),
            _ => nothing(),
        }
    }

    fn changed(&self, pattern: &str) -> Value {
        if let Some(known) = self.work.changed.borrow().get(pattern) {
            return known.clone();
        }
        let Ok(glob) = globs::glob(pattern) else { return Value::Unknown };
        let (matcher, changes) = (glob.compile_matcher(), self.known.changes);
        self.work.costs(changes.paths.len());
        let found = match changes.paths.iter().any(|path| matcher.is_match(path)) {
            true => Value::Flag(true),
            false if changes.gap.is_some() => Value::Unknown,
            false => Value::Flag(false),
        };
        self.work.changed.borrow_mut().insert(pattern.to_owned(), found.clone());
        found
    }

    fn matches(&self, text: &str, wanted: &str) -> Value {
        self.work.costs(1 + text.len() / 16);
        let mut patterns = self.work.patterns.borrow_mut();
        if !patterns.contains_key(wanted) {
            patterns.insert(wanted.to_owned(), pattern(wanted).ok());
        }
        match patterns.get(wanted) {
            Some(Some(pattern)) => Value::Flag(pattern.is_match(text)),
            Some(None) | None => Value::Unknown,
        }
    }
}

/// `result == "always"` holds, however what came before ended.
fn is_always(side: &Expression, other: &Value) -> bool {
    asks_always(side)
        && match other {
            Value::Text(text) => text == "always",
            Value::List(items) => items.contains(&Value::Text("always".to_owned())),
            Value::Unknown | Value::Number(_) | Value::Flag(_) => false,
        }
}

fn asks_always(side: &Expression) -> bool {
    matches!(&side.node, Node::Variable(name) if name == "result")
}

fn not(value: Value) -> Value {
    match value {
        Value::Flag(flag) => Value::Flag(!flag),
        Value::Unknown => Value::Unknown,
        Value::Text(_) | Value::Number(_) | Value::List(_) => nothing(),
    }
}

fn equal(left: &Value, right: &Value) -> Value {
    let partly = |value: &Value| matches!(value, Value::List(items) if items.contains(&Value::Unknown));
    if partly(left) || partly(right) { Value::Unknown } else { Value::Flag(left == right) }
}

fn contains(items: &[Value], item: &Value) -> Value {
    if *item != Value::Unknown && items.contains(item) {
        return Value::Flag(true);
    }
    let unknown = *item == Value::Unknown || items.contains(&Value::Unknown);
    if unknown { Value::Unknown } else { Value::Flag(false) }
}

fn ordered(sign: Sign, left: &Value, right: &Value) -> Value {
    let order = match (left, right) {
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right)) => left.cmp(right),
        _ => return nothing(),
    };
    match sign {
        Sign::Less => Value::Flag(order == Ordering::Less),
        Sign::AtMost => Value::Flag(order != Ordering::Greater),
        Sign::Greater => Value::Flag(order == Ordering::Greater),
        Sign::AtLeast => Value::Flag(order != Ordering::Less),
        Sign::Or | Sign::And | Sign::Equal | Sign::Unequal | Sign::In | Sign::Plus => nothing(),
    }
}

fn size(count: usize) -> Value {
    Value::Number(i64::try_from(count).unwrap_or(i64::MAX))
}

const fn nothing() -> Value {
    Value::Text(String::new())
}
