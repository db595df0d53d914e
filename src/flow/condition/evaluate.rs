//! The value of a checked expression for an event.

use std::cmp::Ordering;

use super::{
    Expression, Node, Sign, Value,
    words::{method, variable},
};
use crate::model::Event;

/// Its value. What `check` has passed has one; of anything else it would be an empty text.
pub(super) fn value(of: &Expression, event: &Event) -> Value {
    match &of.node {
        Node::Literal(value) => value.clone(),
        Node::Variable(name) => variable(name).map_or_else(nothing, |variable| (variable.of)(event)),
        Node::List(items) => Value::List(items.iter().map(|item| value(item, event)).collect()),
        Node::Not(inner) => Value::Flag(!holds(inner, event)),
        Node::Binary(sign, sides) => binary(*sign, sides, event),
        Node::Choice(parts) => {
            let [condition, then, or_else] = parts.as_ref();
            value(if holds(condition, event) { then } else { or_else }, event)
        }
        Node::Call(name, arguments) => call(name, arguments.iter().map(|argument| value(argument, event)).collect()),
    }
}

fn holds(of: &Expression, event: &Event) -> bool {
    value(of, event) == Value::Flag(true)
}

fn binary(sign: Sign, [left, right]: &[Expression; 2], event: &Event) -> Value {
    let both = || (value(left, event), value(right, event));
    let compared = |wanted: &[Ordering]| {
        let (left, right) = both();
        Value::Flag(order(&left, &right).is_some_and(|order| wanted.contains(&order)))
    };
    match sign {
        Sign::Or => Value::Flag(holds(left, event) || holds(right, event)),
        Sign::And => Value::Flag(holds(left, event) && holds(right, event)),
        Sign::Equal => Value::Flag(value(left, event) == value(right, event)),
        Sign::Unequal => Value::Flag(value(left, event) != value(right, event)),
        Sign::Less => compared(&[Ordering::Less]),
        Sign::AtMost => compared(&[Ordering::Less, Ordering::Equal]),
        Sign::Greater => compared(&[Ordering::Greater]),
        Sign::AtLeast => compared(&[Ordering::Greater, Ordering::Equal]),
        Sign::In => match both() {
            (item, Value::List(items)) => Value::Flag(items.contains(&item)),
            (_, Value::Text(_) | Value::Number(_) | Value::Flag(_)) => nothing(),
        },
        Sign::Plus => match both() {
            (Value::Text(left), Value::Text(right)) => Value::Text(left + &right),
            (Value::Number(left), Value::Number(right)) => Value::Number(left.saturating_add(right)),
            (Value::Text(_) | Value::Number(_) | Value::Flag(_) | Value::List(_), _) => nothing(),
        },
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => Some(left.cmp(right)),
        (Value::Text(_) | Value::Number(_) | Value::Flag(_) | Value::List(_), _) => None,
    }
}

fn call(name: &str, arguments: Vec<Value>) -> Value {
    match (name.trim_start_matches('.'), arguments.as_slice()) {
        (name, [Value::Text(text), Value::Text(argument)]) => {
            method(name).map_or_else(nothing, |method| Value::Flag((method.of)(text, argument)))
        }
        ("string", [value]) => Value::Text(value.to_string()),
        ("size", [Value::Text(text)]) => size(text.chars().count()),
        ("size", [Value::List(items)]) => size(items.len()),
        _ => nothing(),
    }
}

fn size(count: usize) -> Value {
    Value::Number(i64::try_from(count).unwrap_or(i64::MAX))
}

const fn nothing() -> Value {
    Value::Text(String::new())
}
