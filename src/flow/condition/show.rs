//! An expression as a text that is read as the same expression again.

use super::{Each, Expression, Node, Sign, Value, literal};

/// More than any sign has.
const CLOSED: u8 = 9;

/// The text.
pub(super) fn show(of: &Expression) -> String {
    within(of, 0)
}

/// In brackets if it binds less closely than it must.
fn within(of: &Expression, strength: u8) -> String {
    let (text, own) = bare(of);
    if own < strength { format!("({text})") } else { text }
}

fn bare(of: &Expression) -> (String, u8) {
    match &of.node {
        Node::Literal(value) => (constant(value), CLOSED),
        Node::Variable(name) => (name.clone(), CLOSED),
        Node::Entry(table, name) => (format!("{}[{}]", table.as_str(), literal(name)), CLOSED),
        Node::List(items) => (format!("[{}]", list(items)), CLOSED),
        Node::Not(inner) => (format!("!{}", within(inner, CLOSED - 1)), CLOSED - 1),
        Node::Binary(sign, sides) => binary(*sign, sides),
        Node::Choice(parts) => {
            let [condition, then, or_else] = parts.as_ref();
            (format!("{} ? {} : {}", within(condition, 1), show(then), show(or_else)), 0)
        }
        Node::Each(each, name, parts) => {
            let [of, body] = parts.as_ref();
            let word = if *each == Each::Exists { "exists" } else { "all" };
            (format!("{}.{word}({name}, {})", within(of, CLOSED), show(body)), CLOSED)
        }
        Node::Call(name, arguments) => (call(name, arguments), CLOSED),
    }
}

fn binary(sign: Sign, [left, right]: &[Expression; 2]) -> (String, u8) {
    let own = sign.strength();
    (format!("{} {} {}", within(left, own), sign.as_str(), within(right, own + 1)), own)
}

fn call(name: &str, arguments: &[Expression]) -> String {
    match (name.strip_prefix('.'), arguments) {
        (Some(name), [target, rest @ ..]) => format!("{}.{name}({})", within(target, CLOSED), list(rest)),
        (Some(name), []) => format!("{name}()"),
        (None, _) => format!("{name}({})", list(arguments)),
    }
}

fn list(items: &[Expression]) -> String {
    items.iter().map(show).collect::<Vec<_>>().join(", ")
}

fn constant(value: &Value) -> String {
    match value {
        Value::Unknown => "unknown".to_owned(),
        Value::Text(text) => literal(text),
        Value::Number(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::List(items) => format!("[{}]", items.iter().map(constant).collect::<Vec<_>>().join(", ")),
    }
}
