//! `on`: which events start a run. By default every branch and every pull request does, and no tag.

use globset::{GlobBuilder, GlobMatcher};

use crate::model::EventKind;

use super::{
    Reading,
    fields::{Fields, Level},
    findings::quoted,
    keys,
    node::{Node, Text, Value},
    scalar,
};

/// Every pattern is tried on every event.
const MAX_PATTERNS: usize = 100;
/// As long as a branch's name may be on any forge.
const MAX_PATTERN_BYTES: usize = 255;

/// What starts a run of a flow.
#[derive(Debug, Clone)]
pub(super) struct Triggers {
    push: Option<Filter>,
    /// Merge groups too: they are pull requests on their last metres.
    pull_request: Option<Filter>,
    tag: Option<Filter>,
}

/// Why an event starts no run, in words.
#[derive(Debug)]
pub(super) enum LeftOut {
    /// The file does not ask for such events.
    Unasked(String),
    /// It does, but not for this one.
    Filtered(String),
}

/// Which branches or tags; all of them if it has no pattern.
#[derive(Debug, Clone, Default)]
struct Filter {
    patterns: Vec<String>,
    matchers: Vec<GlobMatcher>,
}

/// The triggers of a flow.
pub(super) fn read(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Triggers {
    let Some(node) = fields.claim("on") else {
        return Triggers { push: Some(Filter::default()), pull_request: Some(Filter::default()), tag: None };
    };
    let mut triggers = Triggers { push: None, pull_request: None, tag: None };
    match &node.value {
        Value::Map(_) => read_map(node, &mut triggers, reading),
        Value::Null | Value::Scalar(_) | Value::List(_) => {
            for event in scalar::texts(node, "an event", reading) {
                read_event(&event, &mut triggers, reading);
            }
        }
    }
    triggers
}

impl Triggers {
    /// Why an event starts no run; `None` if it starts one.
    pub(super) fn left_out(&self, event: &EventKind) -> Option<LeftOut> {
        match event {
            EventKind::Push { branch } => judge(self.push.as_ref(), "push", "branches", branch),
            EventKind::Tag { tag } => judge(self.tag.as_ref(), "tag", "names", tag),
            EventKind::PullRequest(pull) => judge(self.pull_request.as_ref(), "pull_request", "branches", &pull.base),
            EventKind::MergeGroup { base, .. } => judge(self.pull_request.as_ref(), "pull_request", "branches", base),
        }
    }
}

fn judge(filter: Option<&Filter>, event: &str, key: &str, name: &str) -> Option<LeftOut> {
    let Some(filter) = filter else {
        return Some(LeftOut::Unasked(format!("`on` does not name `{event}`")));
    };
    if filter.patterns.is_empty() || filter.matchers.iter().any(|matcher| matcher.is_match(name)) {
        return None;
    }
    let patterns = filter.patterns.join(", ");
    Some(LeftOut::Filtered(format!("`on: {event}: {key}` [{patterns}] does not match {}", quoted(name))))
}

fn read_event(event: &Text, triggers: &mut Triggers, reading: &mut Reading<'_>) {
    match event.text.as_str() {
        "push" => triggers.push = Some(Filter::default()),
        "pull_request" => triggers.pull_request = Some(Filter::default()),
        "tag" => triggers.tag = Some(Filter::default()),
        "merge_group" => merge_group(event, reading),
        other if keys::ON.later.contains(&other) => {
            reading.findings.error(event.at, format!("`on: {other}` is not supported yet")).hint("remove it");
        }
        other => {
            let hint = reading.findings.did_you_mean(other, keys::ON.keys.iter().copied());
            reading.findings.error(event.at, format!("{} is no event", quoted(other))).maybe_hint(hint);
        }
    }
}

fn merge_group(event: &Text, reading: &mut Reading<'_>) {
    let finding = reading.findings.error(event.at, "`merge_group` is no event of its own in `on`");
    finding.hint("it goes with `pull_request`");
}

fn read_map(node: &Node, triggers: &mut Triggers, reading: &mut Reading<'_>) {
    let Some(mut fields) = Fields::of(node, &keys::ON, reading) else { return };
    triggers.push = filter(&mut fields, "push", &keys::BRANCHES, "branches", reading);
    triggers.pull_request = filter(&mut fields, "pull_request", &keys::BRANCHES, "branches", reading);
    triggers.tag = filter(&mut fields, "tag", &keys::TAGS, "names", reading);
    if let Some(entry) = fields.claim_entry("merge_group") {
        merge_group(&entry.key, reading);
    }
    fields.close(reading);
}

fn filter(
    fields: &mut Fields<'_>,
    event: &str,
    level: &'static Level,
    key: &str,
    reading: &mut Reading<'_>,
) -> Option<Filter> {
    let entry = fields.claim_entry(event)?;
    if entry.value.is_null() {
        return Some(Filter::default());
    }
    let mut inner = Fields::of(&entry.value, level, reading)?;
    let filter = match inner.claim_entry(key) {
        Some(entry) => patterns(&entry.value, key, reading),
        None => Filter::default(),
    };
    if let Some(entry) = inner.claim_entry("tags") {
        let finding = reading.findings.error(entry.key.at, format!("`tags` is no key of `{event}`"));
        finding.hint("tags are an event of their own: `tag: {names: [\"v*\"]}`");
    }
    inner.close(reading);
    Some(filter)
}

fn patterns(node: &Node, key: &str, reading: &mut Reading<'_>) -> Filter {
    let texts = if node.is_null() { Vec::new() } else { scalar::texts(node, "a pattern", reading) };
    if texts.is_empty() {
        let message = format!("`{key}` is empty, and would match nothing");
        reading.findings.error(node.at, message).hint("remove it to match everything");
    }
    if texts.len() > MAX_PATTERNS {
        reading.findings.error(node.at, format!("more than {MAX_PATTERNS} patterns"));
    }
    let mut filter = Filter::default();
    for text in texts.into_iter().take(MAX_PATTERNS) {
        if let Some(matcher) = matcher(&text, reading) {
            filter.patterns.push(text.text);
            filter.matchers.push(matcher);
        }
    }
    filter
}

fn matcher(text: &Text, reading: &mut Reading<'_>) -> Option<GlobMatcher> {
    let pattern = text.text.as_str();
    if pattern.is_empty() || pattern.len() > MAX_PATTERN_BYTES {
        reading.findings.error(text.at, format!("a pattern has 1 to {MAX_PATTERN_BYTES} bytes"));
        return None;
    }
    if pattern.starts_with('!') {
        reading.findings.error(text.at, "patterns cannot be negated").hint("name what should match");
        return None;
    }
    match GlobBuilder::new(pattern).literal_separator(true).build() {
        Ok(glob) => Some(glob.compile_matcher()),
        Err(error) => {
            let message = format!("{} is no pattern: {}", quoted(pattern), error.kind());
            reading.findings.error(text.at, message);
            None
        }
    }
}
