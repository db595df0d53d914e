//! Expressions over an event, in a part of [CEL](https://cel.dev): texts, numbers and flags; `? :`, `||`, `&&`, `!`,
//! comparisons, `in` and `+`; a few functions; `exists` and `all` over lists. No user's types.
//!
//! An expression comes from a repository and is read by the server, so reading and evaluating one must end soon and
//! never fail late: it is short, not deep, checked for its types when it is read, and every variable has a value for
//! every event (an empty one where CEL would have none), so that nothing is left that could go wrong when it is
//! evaluated. Loops do not nest, and what all conditions of a plan cost together is counted and bounded. That is also why it is
//! read here: the parser of the `cel` crate ends the process by a stack overflow on five hundred brackets, it does not
//! check types, and nothing bounds its loops.
//!
//! What is not known (files that a forge did not list) is a value of its own, so that `!changed("x")` is no more certain
//! than `changed("x")`. What is known only later (`result`, `outputs`) is left standing by [`Condition::rest`], with all the
//! rest decided, and decided by [`Rest`] when its turn comes.

mod check;
mod evaluate;
mod fold;
mod lex;
mod parse;
mod show;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ChangedFiles, Event};

pub(super) use evaluate::Work;

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

/// What an expression may speak of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vocabulary<'v> {
    /// The names of manual inputs.
    pub(super) inputs: &'v BTreeSet<String>,
    /// Where it stands.
    pub(super) within: Within,
}

/// Where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// The group of `concurrency`: it is known before anything is.
    Group,
    /// `when`.
    When,
}

/// What is known when an expression is evaluated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'k> {
    /// `None` when it is long past.
    pub(super) event: Option<&'k Event>,
    pub(super) changes: &'k ChangedFiles,
    pub(super) inputs: &'k BTreeMap<String, String>,
    pub(super) matrix: &'k BTreeMap<String, String>,
    /// How what came before ended.
    pub(super) result: Option<Before>,
    /// By their names in `outputs`.
    pub(super) outputs: &'k BTreeMap<String, String>,
}

/// How what came before ended: `result`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// All of it well.
    Success,
    /// Something of it did not.
    Failure,
}

/// What an expression comes to before its turn has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Folded {
    Holds,
    /// It does not hold, whatever else happens.
    Fails,
    /// It depends on this.
    Open(String),
}

/// What is left of a condition until its turn comes.
#[derive(Debug)]
pub(super) struct Rest {
    root: Expression,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    /// It may be any.
    Unknown,
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
    /// `inputs.level`, `outputs["stage.action.job[KEY]"]`.
    Entry(Table, String),
    /// Of a list's items, by the name that stands for each.
    Each(Each, String, Box<[Expression; 2]>),
    List(Vec<Expression>),
    Not(Box<Expression>),
    Binary(Sign, Box<[Expression; 2]>),
    /// The condition, what it is if that holds, and what else.
    Choice(Box<[Expression; 3]>),
    /// A function's name and its arguments; a method's text is the first of them.
    Call(String, Vec<Expression>),
}

/// The maps of texts that an expression may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Inputs,
    Matrix,
    Outputs,
}

/// The loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Each {
    Exists,
    All,
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
    pub(super) fn read(source: &str, vocabulary: Vocabulary<'_>) -> Result<Self, Mistake> {
        let length = source.chars().count();
        if length > MAX_CHARS {
            return Err(Mistake::new(0, length, format!("an expression has at most {MAX_CHARS} characters")));
        }
        let root = parse::parse(lex::tokens(source)?, length, parse::Whose::Authors)?;
        let kind = check::kind(&root, vocabulary)?;
        Ok(Self { root, kind })
    }

    /// Reads one again that was checked when its file was read.
    pub(super) fn again(source: &str) -> Option<Self> {
        let tokens = lex::tokens(source).ok()?;
        let root = parse::parse(tokens, source.chars().count(), parse::Whose::Authors).ok()?;
        Some(Self { root, kind: Kind::Flag })
    }

    /// What kind of value it has, whatever the event.
    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its value as a text: numbers and flags as one writes them.
    pub(super) fn text(&self, known: &Known<'_>) -> String {
        evaluate::value(&self.root, known, &Work::default()).to_string()
    }

    /// Whether it asks how what came before ended.
    pub(super) fn asks_for_result(&self) -> bool {
        self.root.mentions(&|node| matches!(node, Node::Variable(name) if name == "result"))
    }

    /// Whether it asks for the changed files.
    pub(super) fn asks_for_files(&self) -> bool {
        self.root.mentions(&|node| {
            matches!(node, Node::Variable(name) if name == "files")
                || matches!(node, Node::Call(name, _) if name == "changed")
        })
    }

    /// The outputs that it asks for.
    pub(super) fn outputs(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        self.root.visit(&mut |node| {
            if let Node::Entry(Table::Outputs, name) = node {
                names.insert(name.clone());
            }
        });
        names.into_iter().collect()
    }

    /// What it comes to by what is known now.
    pub(super) fn rest(&self, known: &Known<'_>, work: &Work) -> Folded {
        let rest = fold::fold(&self.root, known, work);
        let Node::Literal(value) = &rest.node else { return Folded::Open(show::show(&rest)) };
        // what nobody can say is run rather than not
        if *value == Value::Flag(false) { Folded::Fails } else { Folded::Holds }
    }
}

impl Rest {
    /// Reads what [`Condition::rest`] has left.
    pub(super) fn read(source: &str) -> Option<Self> {
        let tokens = lex::tokens(source).ok()?;
        Some(Self { root: parse::parse(tokens, source.chars().count(), parse::Whose::Ours).ok()? })
    }

    /// Whether it holds, now that all is known. What nobody can say is run rather than not.
    pub(super) fn holds(&self, result: Before, outputs: &BTreeMap<String, String>) -> bool {
        let (nothing, changes) = (BTreeMap::new(), ChangedFiles::default());
        let known =
            Known { event: None, changes: &changes, inputs: &nothing, matrix: &nothing, result: Some(result), outputs };
        evaluate::value(&self.root, &known, &Work::default()) != Value::Flag(false)
    }
}

impl Expression {
    /// Shows every node to `see`.
    fn visit(&self, see: &mut dyn FnMut(&Node)) {
        see(&self.node);
        match &self.node {
            Node::Literal(_) | Node::Variable(_) | Node::Entry(..) => {}
            Node::List(parts) | Node::Call(_, parts) => parts.iter().for_each(|part| part.visit(see)),
            Node::Not(inner) => inner.visit(see),
            Node::Binary(_, parts) | Node::Each(_, _, parts) => parts.iter().for_each(|part| part.visit(see)),
            Node::Choice(parts) => parts.iter().for_each(|part| part.visit(see)),
        }
    }

    fn mentions(&self, what: &dyn Fn(&Node) -> bool) -> bool {
        let mut found = false;
        self.visit(&mut |node| found |= what(node));
        found
    }

    /// Whether it is known only when its turn has come.
    fn is_open(&self) -> bool {
        self.mentions(&|node| {
            matches!(node, Node::Variable(name) if name == "result") || matches!(node, Node::Entry(Table::Outputs, _))
        })
    }
}

impl Before {
    /// As expressions have it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

impl Table {
    const ALL: [(&'static str, Self); 3] =
        [("inputs", Self::Inputs), ("matrix", Self::Matrix), ("outputs", Self::Outputs)];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, table)| *table)
    }

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, table)| *table == self).map_or("", |(name, _)| name)
    }
}

/// Whether a text is the name of a variable.
pub(super) fn is_variable(text: &str) -> bool {
    words::variable(text).is_some()
}

/// A text as an expression of just that text.
pub(super) fn literal(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
    format!("\"{text}\"")
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
            Self::Unknown => Ok(()),
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
