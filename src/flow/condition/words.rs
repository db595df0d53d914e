//! The variables and functions of expressions.

use super::{Before, Kind, Known, Value};
use crate::model::{Event, EventKind, PullRequest, Trust};

/// A variable: its name, its kind, and what it is.
pub(super) struct Variable {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) of: fn(&Known<'_>) -> Value,
}

/// A method of texts: its name, and what it says of a text and its argument.
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) of: fn(&str, &str) -> bool,
}

/// All variables. One that an event has nothing for is empty, 0 or false.
pub(super) const VARIABLES: [Variable; 14] = [
    Variable { name: "event", kind: Kind::Text, of: |known| text(known.event.map(Event::name)) },
    Variable { name: "branch", kind: Kind::Text, of: |known| text(known.event.and_then(Event::branch)) },
    Variable { name: "tag", kind: Kind::Text, of: |known| text(known.event.and_then(tag)) },
    Variable { name: "sha", kind: Kind::Text, of: |known| text(known.event.map(|event| event.sha.as_str())) },
    Variable { name: "base", kind: Kind::Text, of: |known| text(known.event.and_then(base)) },
    Variable { name: "trusted", kind: Kind::Flag, of: |known| flag(known, |event| event.trust == Trust::Trusted) },
    Variable { name: "pr.number", kind: Kind::Number, of: |known| Value::Number(pull(known).map_or(0, number)) },
    Variable { name: "pr.title", kind: Kind::Text, of: |known| text(pull(known).and(known.event).map(title)) },
    Variable { name: "pr.author", kind: Kind::Text, of: |known| text(pull(known).map(|pull| pull.author.as_str())) },
    Variable { name: "pr.labels", kind: Kind::Texts, of: |known| texts(pull(known).map_or(&[], |pull| &pull.labels)) },
    Variable {
        name: "pr.draft",
        kind: Kind::Flag,
        of: |known| Value::Flag(pull(known).is_some_and(|pull| pull.draft)),
    },
    Variable { name: "pr.from_fork", kind: Kind::Flag, of: |known| flag(known, is_from_fork) },
    Variable { name: "files", kind: Kind::Texts, of: files },
    Variable { name: "result", kind: Kind::Text, of: |known| text(known.result.map(Before::as_str)) },
];

/// All methods.
pub(super) const METHODS: [Method; 3] = [
    Method { name: "startsWith", of: |text, begin| text.starts_with(begin) },
    Method { name: "endsWith", of: |text, end| text.ends_with(end) },
    Method { name: "contains", of: |text, part| text.contains(part) },
];

/// The functions: `string` of anything but a list, `size` of a text or a list, both of which may be methods, too; and
/// `changed` of a pattern.
pub(super) const FUNCTIONS: [&str; 3] = ["string", "size", "changed"];
/// The words that are checked on their own: a method of texts and the loops.
pub(super) const OTHERS: [&str; 3] = ["matches", "exists", "all"];

pub(super) fn variable(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

pub(super) fn method(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

fn text(text: Option<&str>) -> Value {
    Value::Text(text.unwrap_or_default().to_owned())
}

fn tag(event: &Event) -> Option<&str> {
    match &event.kind {
        EventKind::Tag { tag } => Some(tag),
        EventKind::Push { .. }
        | EventKind::PullRequest(_)
        | EventKind::MergeGroup { .. }
        | EventKind::Schedule { .. }
        | EventKind::Manual { .. }
        | EventKind::Flow { .. } => None,
    }
}

fn base(event: &Event) -> Option<&str> {
    match &event.kind {
        EventKind::PullRequest(pull) => Some(&pull.base),
        EventKind::MergeGroup { base, .. } => Some(base),
        EventKind::Push { .. }
        | EventKind::Tag { .. }
        | EventKind::Schedule { .. }
        | EventKind::Manual { .. }
        | EventKind::Flow { .. } => None,
    }
}

fn texts(items: &[String]) -> Value {
    Value::List(items.iter().cloned().map(Value::Text).collect())
}

fn flag(known: &Known<'_>, of: fn(&Event) -> bool) -> Value {
    Value::Flag(known.event.is_some_and(of))
}

fn pull<'k>(known: &Known<'k>) -> Option<&'k PullRequest> {
    known.event?.pull_request()
}

fn title(event: &Event) -> &str {
    &event.title
}

fn number(pull: &PullRequest) -> i64 {
    i64::try_from(pull.number).unwrap_or(i64::MAX)
}

/// Behind what is known stands, for all others that there may be, one of which nothing is known.
fn files(known: &Known<'_>) -> Value {
    let paths = known.changes.paths.iter().cloned().map(Value::Text);
    Value::List(paths.chain(known.changes.gap.as_ref().map(|_| Value::Unknown)).collect())
}

fn is_from_fork(event: &Event) -> bool {
    // one of somebody who may write is trusted, and yet it is from there
    let elsewhere = |pull: &PullRequest| pull.head_repository.as_ref() != Some(&event.repository.name);
    event.pull_request().is_some_and(elsewhere)
}
