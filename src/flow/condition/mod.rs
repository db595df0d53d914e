//! Expressions over an event, in a part of [CEL](https://cel.dev): texts, numbers and flags; `? :`, `||`, `&&`, `!`,
//! comparisons, `in` and `+`; a few functions. No loops, no regular expressions, no user's types.
//!
//! An expression comes from a repository and is read by the server, so reading and evaluating one must end soon and
//! never fail late: it is short, not deep, checked for its types when it is read, and every variable has a value for
//! every event (an empty one where CEL would have none), so that nothing is left that could go wrong when it is
//! evaluated. Cost is linear in its length. That is also why it is read here: the parser of the `cel` crate ends the
//! process by a stack overflow on five hundred brackets, it does not check types, and nothing bounds its loops.

mod check;
mod evaluate;
mod lex;
mod parse;
mod words;

use crate::model::Event;

/// Enough for a page of conditions; the cost of all that follows is bounded by it.
const MAX_CHARS: usize = 1000;

/// An expression without mistakes.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    root: Expression,
    kind: Kind,
}

/// What is wrong with an expression, and where in it: in characters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) from: usize,
    pub(super) length: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// The kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Flag,
    /// Of texts.
    Texts,
    /// Of numbers.
    Numbers,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
    List(Vec<Value>),
}

/// A node, with its place in the source.
#[derive(Debug, Clone)]
struct Expression {
    from: usize,
    length: usize,
    node: Node,
}

#[derive(Debug, Clone)]
enum Node {
    Literal(Value),
    /// A variable's full name: `pr.number`.
    Variable(String),
    List(Vec<Expression>),
    Not(Box<Expression>),
    Binary(Sign, Box<[Expression; 2]>),
    /// The condition, what it is if that holds, and what else.
    Choice(Box<[Expression; 3]>),
    /// A function's name and its arguments; a method's text is the first of them.
    Call(String, Vec<Expression>),
}

/// What stands between two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    In,
    Plus,
}

impl Condition {
    /// Reads and checks an expression.
    pub(super) fn read(source: &str) -> Result<Self, Mistake> {
        let length = source.chars().count();
        if length > MAX_CHARS {
            return Err(Mistake::new(0, length, format!("an expression has at most {MAX_CHARS} characters")));
        }
        let root = parse::parse(lex::tokens(source)?, length)?;
        let kind = check::kind(&root)?;
        Ok(Self { root, kind })
    }

    /// What kind of value it has, whatever the event.
    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its value as a text: numbers and flags as one writes them.
    pub(super) fn text(&self, event: &Event) -> String {
        evaluate::value(&self.root, event).to_string()
    }
}

/// Whether a text is the name of a variable.
pub(super) fn is_variable(text: &str) -> bool {
    words::variable(text).is_some()
}

/// A text as an expression of just that text.
pub(super) fn literal(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Mistake {
    fn new(from: usize, length: usize, message: impl Into<String>) -> Self {
        Self { from, length, message: message.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Flag => "true or false",
            Self::Texts => "a list of texts",
            Self::Numbers => "a list of numbers",
        })
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::List(items) => items.iter().try_for_each(|item| write!(f, "{item} ")),
        }
    }
}

impl Sign {
    const ALL: [(&'static str, Self); 10] = [
        ("||", Self::Or),
        ("&&", Self::And),
        ("==", Self::Equal),
        ("!=", Self::Unequal),
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("<", Self::Less),
        (">", Self::Greater),
        ("in", Self::In),
        ("+", Self::Plus),
    ];

    /// As it is written.
    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, sign)| *sign == self).map_or("", |(text, _)| text)
    }

    /// What binds more closely has more.
    const fn strength(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Equal | Self::Unequal | Self::Less | Self::AtMost | Self::Greater | Self::AtLeast | Self::In => 3,
            Self::Plus => 4,
        }
    }
}
