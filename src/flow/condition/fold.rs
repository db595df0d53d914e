//! Decides of an expression what can be decided now, and leaves the rest standing.

use super::{
    Expression, Known, Node, Sign, Value,
    evaluate::{Work, value},
};

/// The same expression, as far as it is open.
pub(super) fn fold(of: &Expression, known: &Known<'_>, work: &Work) -> Expression {
    if !of.is_open() {
        return literal(of, value(of, known, work));
    }
    let each = |parts: &[Expression]| parts.iter().map(|part| fold(part, known, work)).collect::<Vec<_>>();
    let node = match &of.node {
        Node::Binary(sign, sides) => return binary(of, *sign, sides, known, work),
        Node::Choice(parts) => return choice(of, parts, known, work),
        Node::Not(inner) => Node::Not(Box::new(fold(inner, known, work))),
        Node::List(items) => Node::List(each(items)),
        Node::Call(name, arguments) => Node::Call(name.clone(), each(arguments)),
        // loops are never open: `check` has seen to that
        Node::Literal(_) | Node::Variable(_) | Node::Entry(..) | Node::Each(..) => of.node.clone(),
    };
    Expression { node, ..of.clone() }
}

fn literal(of: &Expression, value: Value) -> Expression {
    Expression { from: of.from, length: of.length, node: Node::Literal(value) }
}

fn binary(of: &Expression, sign: Sign, sides: &[Expression; 2], known: &Known<'_>, work: &Work) -> Expression {
    let [left, right] = [fold(&sides[0], known, work), fold(&sides[1], known, work)];
    let flag = |side: &Expression| {
        let Node::Literal(Value::Flag(flag)) = &side.node else { return None };
        Some(*flag)
    };
    match (sign, flag(&left), flag(&right)) {
        (Sign::Or, Some(true), _) | (Sign::Or, _, Some(true)) => literal(of, Value::Flag(true)),
        (Sign::And, Some(false), _) | (Sign::And, _, Some(false)) => literal(of, Value::Flag(false)),
        (Sign::Or | Sign::And, Some(_), _) => right,
        (Sign::Or | Sign::And, _, Some(_)) => left,
        _ => Expression { node: Node::Binary(sign, Box::new([left, right])), ..of.clone() },
    }
}

fn choice(of: &Expression, parts: &[Expression; 3], known: &Known<'_>, work: &Work) -> Expression {
    let [condition, then, or_else] = parts;
    let condition = fold(condition, known, work);
    if let Node::Literal(Value::Flag(flag)) = &condition.node {
        return fold(if *flag { then } else { or_else }, known, work);
    }
    let parts = [condition, fold(then, known, work), fold(or_else, known, work)];
    Expression { node: Node::Choice(Box::new(parts)), ..of.clone() }
}
