//! `concurrency`: which runs of a repository wait for each other, or end each other.
//!
//! A file says it once; what it means for one event is resolved when the event is planned, so that a plan names its
//! group.

use std::num::NonZeroU32;

use crate::model::{Concurrency, Event, EventKind, Policy};

use super::{
    Reading,
    condition::{self, Condition, Kind, Known, Vocabulary, Within},
    fields::Fields,
    findings::{printable, quoted},
    keys,
    node::{Node, Text, Value},
    scalar,
};

/// A group's name is shown in a line of a page, and is a key of an index.
const MAX_GROUP_CHARS: usize = 200;
/// More runs at once than any cluster of ours has room for: a greater number is a slip.
const MAX_LIMIT: u32 = 1000;
/// How much of a digest makes a shortened group's name its own.
const DIGEST_CHARS: usize = 16;

const POLICIES: [(&str, Policy); 3] =
    [("cancel", Policy::Cancel), ("queue", Policy::Queue), ("parallel", Policy::Parallel)];

/// What a file says about its runs; by default nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Rule {
    /// Whether the file has the key at all.
    given: bool,
    group: Group,
    policy: Option<Policy>,
    limit: Option<NonZeroU32>,
}

#[derive(Debug, Clone, Default)]
enum Group {
    /// One for each branch, tag and pull request.
    #[default]
    Default,
    Named(String),
    /// A text of the event's making; an empty one is no group.
    Expression(Box<Condition>),
}

/// The `concurrency` of a flow: a map, or its group alone.
pub(super) fn read(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Rule {
    let Some(node) = fields.claim("concurrency") else { return Rule::default() };
    match &node.value {
        Value::Null | Value::Scalar(_) | Value::List(_) => {
            Rule { given: true, group: group(node, reading), ..Rule::default() }
        }
        Value::Map(_) => {
            let Some(mut inner) = Fields::of(node, &keys::CONCURRENCY, reading) else { return Rule::default() };
            let rule = Rule {
                given: true,
                group: inner.claim("group").map_or_else(Group::default, |node| group(node, reading)),
                policy: scalar::choice(&mut inner, "policy", &POLICIES, reading),
                limit: inner.claim("limit").and_then(|node| limit(node, reading)),
            };
            inner.close(reading);
            rule
        }
    }
}

impl Rule {
    /// What the rule is for one event of the flow of this name; `None`: its runs have nothing to do with others.
    pub(super) fn of(&self, event: &Event, known: &Known<'_>, flow: &str) -> Option<Concurrency> {
        let own = matches!(self.group, Group::Default);
        let is_pull = event.pull_request().is_some();
        if !self.given && !is_pull {
            return None;
        }
        let group = match &self.group {
            Group::Default => shortened(&default_group(event, flow)),
            Group::Named(name) => name.clone(),
            Group::Expression(condition) => shortened(&condition.text(known)),
        };
        if group.is_empty() {
            return None;
        }
        // in a group of its own a pull request's older code interests nobody; in one that it shares with others it
        // must not end them unless the file says so
        let policy = self.policy.unwrap_or(if own && is_pull { Policy::Cancel } else { Policy::Queue });
        let limit = match policy {
            Policy::Cancel | Policy::Queue => Some(self.limit.unwrap_or(NonZeroU32::MIN)),
            Policy::Parallel => self.limit,
        };
        Some(Concurrency { group, policy, limit })
    }
}

/// Holds the head repository, so that branches of the same name in two forks are two groups.
fn default_group(event: &Event, flow: &str) -> String {
    let home = &event.repository.name;
    match &event.kind {
        EventKind::Push { branch }
        | EventKind::MergeGroup { branch, .. }
        | EventKind::Schedule { branch, .. }
        | EventKind::Manual { branch, .. }
        | EventKind::Flow { branch, .. } => format!("{flow}/{home}/branch/{branch}"),
        EventKind::Tag { tag } => format!("{flow}/{home}/tag/{tag}"),
        EventKind::PullRequest(pull) => {
            let head = pull.head_repository.as_ref().map_or("deleted", |name| name.as_str());
            format!("{flow}/{head}/pull/{}", pull.number)
        }
    }
}

/// A name of at most 200 characters, each of which can be seen; a longer one keeps its beginning, and a digest keeps it
/// apart from others.
pub fn shortened(name: &str) -> String {
    use sha2::Digest as _;
    let shown = printable(name);
    if shown == name && name.chars().count() <= MAX_GROUP_CHARS {
        return shown;
    }
    let digest = hex::encode(sha2::Sha256::digest(name));
    let begin: String = shown.chars().take(MAX_GROUP_CHARS - DIGEST_CHARS - 1).collect();
    format!("{begin}~{}", &digest[..DIGEST_CHARS])
}

/// What is not a name as it stands is an expression.
fn group(node: &Node, reading: &mut Reading<'_>) -> Group {
    let Some(text) = scalar::text(node, "a group", reading) else { return Group::Default };
    if !is_name(&text.text) {
        return expression(&text, reading)
            .map_or_else(Group::default, |condition| Group::Expression(Box::new(condition)));
    }
    if text.text.len() > MAX_GROUP_CHARS {
        reading.findings.error(text.at, format!("a group's name has at most {MAX_GROUP_CHARS} characters"));
    } else if condition::is_variable(&text.text) {
        let message = format!("{} is a name here, and the same for all runs", quoted(&text.text));
        let finding = reading.findings.warning(text.at, message);
        finding.hint(format!("as an expression it is ({})", text.text));
    }
    Group::Named(text.text)
}

fn expression(text: &Text, reading: &mut Reading<'_>) -> Option<Condition> {
    let vocabulary = Vocabulary { inputs: &reading.manual_inputs, within: Within::Group };
    match Condition::read(&text.text, vocabulary) {
        Ok(condition) if condition.kind() == Kind::Text => return Some(condition),
        Ok(condition) => {
            let message = format!("a group is a text; this expression is {}", condition.kind());
            reading.findings.error(text.at, message).hint("`string(…)` makes a text of it");
        }
        Err(mistake) => {
            let at = reading.findings.within(text.at, &text.text, mistake.from, mistake.length);
            let hint = mistake.hint.unwrap_or_else(|| {
                "a group is a name of letters, digits, `.`, `_`, `/` and `-`, or an expression".to_owned()
            });
            reading.findings.error(at, mistake.message).hint(hint);
        }
    }
    None
}

/// Whether a text is a name as it stands.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'/' | b'-'))
}

fn limit(node: &Node, reading: &mut Reading<'_>) -> Option<NonZeroU32> {
    let text = scalar::text(node, "`limit`", reading)?;
    let limit = text.text.parse::<NonZeroU32>().ok().filter(|limit| limit.get() <= MAX_LIMIT);
    if limit.is_none() {
        let message = format!("`limit` is a number from 1 to {MAX_LIMIT}; {} is none", quoted(&text.text));
        reading.findings.error(text.at, message);
    }
    limit
}
