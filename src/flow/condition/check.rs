//! The kind of an expression, or what does not fit in it.

use super::{
    Expression, Kind, Mistake, Node, Sign, Value,
    words::{FUNCTIONS, METHODS, VARIABLES, method, variable},
};
use crate::flow::findings::{nearest, quoted};

/// What kind of value an expression has, whatever the event.
pub(super) fn kind(of: &Expression) -> Result<Kind, Mistake> {
    match &of.node {
        Node::Literal(Value::Text(_)) => Ok(Kind::Text),
        Node::Literal(Value::Number(_)) => Ok(Kind::Number),
        Node::Literal(Value::Flag(_)) => Ok(Kind::Flag),
        Node::Literal(Value::List(_)) => Ok(Kind::Texts),
        Node::Variable(name) => variable(name).map(|variable| variable.kind).ok_or_else(|| unknown(of, name)),
        Node::List(items) => list(items),
        Node::Not(inner) => expect(inner, Kind::Flag).map(|()| Kind::Flag),
        Node::Binary(sign, sides) => binary(of, *sign, sides),
        Node::Choice(parts) => choice(parts),
        Node::Call(name, arguments) => call(of, name, arguments),
    }
}

fn binary(of: &Expression, sign: Sign, [left, right]: &[Expression; 2]) -> Result<Kind, Mistake> {
    let (a, b) = (kind(left)?, kind(right)?);
    let result = match (sign, a, b) {
        (Sign::Or | Sign::And, Kind::Flag, Kind::Flag) => Some(Kind::Flag),
        (Sign::Equal | Sign::Unequal, a, b) if a == b => Some(Kind::Flag),
        (Sign::Less | Sign::AtMost | Sign::Greater | Sign::AtLeast, Kind::Number, Kind::Number)
        | (Sign::Less | Sign::AtMost | Sign::Greater | Sign::AtLeast, Kind::Text, Kind::Text)
        | (Sign::In, Kind::Text, Kind::Texts)
        | (Sign::In, Kind::Number, Kind::Numbers) => Some(Kind::Flag),
        (Sign::Plus, Kind::Text, Kind::Text) => Some(Kind::Text),
        (Sign::Plus, Kind::Number, Kind::Number) => Some(Kind::Number),
        _ => None,
    };
    result.ok_or_else(|| {
        let mistake = wrong(of, format!("`{}` does not go between {a} and {b}", sign.as_str()));
        match (sign, a, b) {
            (Sign::Plus, Kind::Text, Kind::Number | Kind::Flag)
            | (Sign::Plus, Kind::Number | Kind::Flag, Kind::Text) => mistake.hint("`string(…)` makes a text of it"),
            _ => mistake,
        }
    })
}

fn list(items: &[Expression]) -> Result<Kind, Mistake> {
    let Some((first, rest)) = items.split_first() else { return Ok(Kind::Texts) };
    let (wanted, of_all) = match kind(first)? {
        Kind::Text => (Kind::Text, Kind::Texts),
        Kind::Number => (Kind::Number, Kind::Numbers),
        other @ (Kind::Flag | Kind::Texts | Kind::Numbers) => {
            return Err(wrong(first, format!("a list is of texts or of numbers; this is {other}")));
        }
    };
    rest.iter().try_for_each(|item| expect(item, wanted)).map(|()| of_all)
}

fn choice([condition, then, or_else]: &[Expression; 3]) -> Result<Kind, Mistake> {
    expect(condition, Kind::Flag)?;
    let kind = kind(then)?;
    expect(or_else, kind).map(|()| kind)
}

fn call(of: &Expression, name: &str, arguments: &[Expression]) -> Result<Kind, Mistake> {
    let plain = name.trim_start_matches('.');
    match (name.starts_with('.').then(|| method(plain)).flatten(), arguments) {
        (Some(_), [text, argument]) => {
            expect(text, Kind::Text)?;
            return expect(argument, Kind::Text).map(|()| Kind::Flag);
        }
        (Some(_), _) => return Err(wrong(of, format!("`{plain}` takes one text"))),
        (None, _) => {}
    }
    let [argument] = arguments else { return Err(no_function(of, plain)) };
    match (plain, kind(argument)?) {
        ("string", Kind::Text | Kind::Number | Kind::Flag) => Ok(Kind::Text),
        ("size", Kind::Text | Kind::Texts | Kind::Numbers) => Ok(Kind::Number),
        ("string" | "size", other) => Err(wrong(argument, format!("`{plain}` does not take {other}"))),
        _ => Err(no_function(of, plain)),
    }
}

fn expect(of: &Expression, wanted: Kind) -> Result<(), Mistake> {
    match kind(of)? {
        found if found == wanted => Ok(()),
        found => Err(wrong(of, format!("{wanted} is expected here; this is {found}"))),
    }
}

fn no_function(of: &Expression, name: &str) -> Mistake {
    let known = METHODS.iter().map(|method| method.name).chain(FUNCTIONS);
    if FUNCTIONS.contains(&name) {
        return wrong(of, format!("`{name}` takes one value"));
    }
    let mistake = wrong(of, format!("there is no function {} here", quoted(name)));
    if method(name).is_some() {
        return mistake.hint(format!("it is asked of a text: `branch.{name}(\"x\")`"));
    }
    match nearest(name, known.clone()) {
        Some(near) => mistake.hint(format!("did you mean `{near}`?")),
        None => mistake.hint(format!("there are {}", known.collect::<Vec<_>>().join(", "))),
    }
}

fn unknown(of: &Expression, name: &str) -> Mistake {
    let known = VARIABLES.iter().map(|variable| variable.name);
    let mistake = wrong(of, format!("there is no variable {} here", quoted(name)));
    match nearest(name, known.clone()) {
        Some(near) => mistake.hint(format!("did you mean `{near}`? A text stands in quotes of its own: '\"{name}\"'")),
        None => mistake
            .hint(format!("there are {}; a text stands in quotes of its own", known.collect::<Vec<_>>().join(", "))),
    }
}

fn wrong(of: &Expression, message: String) -> Mistake {
    Mistake::new(of.from, of.length, message)
}
