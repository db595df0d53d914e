//! The variables and functions of expressions.

use super::{Kind, Value};
use crate::model::{Event, EventKind, Trust, UntrustedReason};

/// A variable: its name, its kind, and what it is for an event.
pub(super) struct Variable {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) of: fn(&Event) -> Value,
}

/// A method of texts: its name, and what it says of a text and its argument.
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) of: fn(&str, &str) -> bool,
}

/// All variables. One that an event has nothing for is empty, 0 or false.
pub(super) const VARIABLES: [Variable; 11] = [
    Variable { name: "event", kind: Kind::Text, of: |event| text(Some(event.name())) },
    Variable { name: "branch", kind: Kind::Text, of: |event| text(event.branch()) },
    Variable { name: "tag", kind: Kind::Text, of: |event| text(tag(event)) },
    Variable { name: "sha", kind: Kind::Text, of: |event| text(Some(event.sha.as_str())) },
    Variable { name: "base", kind: Kind::Text, of: |event| text(base(event)) },
    Variable { name: "trusted", kind: Kind::Flag, of: |event| Value::Flag(event.trust == Trust::Trusted) },
    Variable { name: "pr.number", kind: Kind::Number, of: |event| Value::Number(number(event)) },
    Variable {
        name: "pr.title",
        kind: Kind::Text,
        of: |event| text(event.pull_request().map(|_| event.title.as_str())),
    },
    Variable {
        name: "pr.author",
        kind: Kind::Text,
        of: |event| text(event.pull_request().map(|pull| pull.author.as_str())),
    },
    Variable {
        name: "pr.draft",
        kind: Kind::Flag,
        of: |event| Value::Flag(event.pull_request().is_some_and(|pull| pull.draft)),
    },
    Variable { name: "pr.from_fork", kind: Kind::Flag, of: |event| Value::Flag(is_from_fork(event)) },
];

/// All methods.
pub(super) const METHODS: [Method; 3] = [
    Method { name: "startsWith", of: |text, begin| text.starts_with(begin) },
    Method { name: "endsWith", of: |text, end| text.ends_with(end) },
    Method { name: "contains", of: |text, part| text.contains(part) },
];

/// The functions: `string` of anything but a list, `size` of a text or a list; both may be methods, too.
pub(super) const FUNCTIONS: [&str; 2] = ["string", "size"];

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

fn number(event: &Event) -> i64 {
    event.pull_request().map_or(0, |pull| i64::try_from(pull.number).unwrap_or(i64::MAX))
}

fn is_from_fork(event: &Event) -> bool {
    match &event.trust {
        Trust::Trusted => false,
        Trust::Untrusted(UntrustedReason::Fork(_) | UntrustedReason::HeadRepositoryGone) => true,
    }
}
