//! `on`: which events start a run. By default every branch and every pull request does, and nothing else.

use crate::model::{ChangedFiles, Event, EventKind, Input, Schedule, Starter};

use super::{
    Reading,
    fields::{Fields, Level},
    findings::quoted,
    globs::Globs,
    keys,
    node::{Node, Text, Value},
    scalar, starts,
};

/// What starts a run of a flow.
#[derive(Debug, Clone, Default)]
pub(super) struct Triggers {
    push: Option<Filter>,
    /// Merge groups too: they are pull requests on their last metres.
    pull_request: Option<Filter>,
    tag: Option<Filter>,
    schedules: Vec<Schedule>,
    /// The inputs, if it can be started by hand.
    manual: Option<Vec<Input>>,
    /// After which flows it runs.
    followed: Vec<String>,
}

/// Why an event starts no run, in words.
#[derive(Debug)]
pub(super) enum LeftOut {
    /// The file does not ask for such events.
    Unasked(String),
    /// It does, but not for this one.
    Filtered(String),
}

/// Which branches or tags, and which changed files; all of them where it has no pattern.
#[derive(Debug, Clone, Default)]
struct Filter {
    names: Globs,
    paths: Globs,
    ignored: Globs,
}

/// The triggers of a flow.
pub(super) fn read(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Triggers {
    let Some(node) = fields.claim("on") else {
        let every = || Some(Filter::default());
        return Triggers { push: every(), pull_request: every(), ..Triggers::default() };
    };
    let mut triggers = Triggers::default();
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
    /// Why an event that changed these files starts no run; `None` if it starts one.
    pub(super) fn left_out(&self, event: &Event, changes: &ChangedFiles) -> Option<LeftOut> {
        match &event.kind {
            EventKind::Push { branch } => judge(self.push.as_ref(), "push", ("branches", branch), changes),
            EventKind::Tag { tag } => judge(self.tag.as_ref(), "tag", ("names", tag), changes),
            EventKind::PullRequest(pull) => {
                judge(self.pull_request.as_ref(), "pull_request", ("branches", &pull.base), changes)
            }
            EventKind::MergeGroup { base, .. } => {
                judge(self.pull_request.as_ref(), "pull_request", ("branches", base), changes)
            }
            EventKind::Schedule { cron, .. } if self.schedules.is_empty() => Some(unasked(&format!("schedule {cron}"))),
            EventKind::Schedule { cron, .. } => {
                let known = self.schedules.iter().any(|schedule| schedule.words() == *cron);
                (!known).then(|| LeftOut::Unasked(format!("`on: schedule` does not have {} any more", quoted(cron))))
            }
            EventKind::Manual { inputs, .. } => match &self.manual {
                Some(declared) => starts::refusal(declared, inputs).map(LeftOut::Unasked),
                None => Some(unasked("manual")),
            },
            EventKind::Flow { after, .. } => {
                let known = self.followed.contains(after);
                (!known).then(|| LeftOut::Unasked(format!("`on: flow` does not name {}", quoted(after))))
            }
        }
    }

    /// Whether the file asks for events of this kind.
    pub(super) fn names(&self, event: &EventKind) -> bool {
        match event {
            EventKind::Push { .. } => self.push.is_some(),
            EventKind::PullRequest(_) | EventKind::MergeGroup { .. } => self.pull_request.is_some(),
            EventKind::Tag { .. } => self.tag.is_some(),
            EventKind::Schedule { .. } => !self.schedules.is_empty(),
            EventKind::Manual { .. } => self.manual.is_some(),
            EventKind::Flow { .. } => !self.followed.is_empty(),
        }
    }

    /// The inputs of a start by hand.
    pub(super) fn inputs(&self) -> &[Input] {
        self.manual.as_deref().unwrap_or_default()
    }

    /// What starts the flow besides what happens on a forge.
    pub(super) fn starters(&self) -> Vec<Starter> {
        let schedules = self.schedules.iter().cloned().map(Starter::Schedule);
        let manual = self.manual.iter().cloned().map(Starter::Manual);
        schedules.chain(manual).chain(self.followed.iter().cloned().map(Starter::Flow)).collect()
    }

    /// Whether it depends on the changed files whether an event starts a run.
    pub(super) fn asks_for_files(&self, event: &EventKind) -> bool {
        let filter = match event {
            EventKind::Push { .. } => self.push.as_ref(),
            EventKind::PullRequest(_) | EventKind::MergeGroup { .. } => self.pull_request.as_ref(),
            EventKind::Tag { .. } | EventKind::Schedule { .. } | EventKind::Manual { .. } | EventKind::Flow { .. } => {
                None
            }
        };
        filter.is_some_and(|filter| !filter.paths.is_empty() || !filter.ignored.is_empty())
    }
}

fn unasked(event: &str) -> LeftOut {
    LeftOut::Unasked(format!("`on` does not name `{event}`"))
}

fn judge(filter: Option<&Filter>, event: &str, (key, name): (&str, &str), changes: &ChangedFiles) -> Option<LeftOut> {
    let Some(filter) = filter else { return Some(unasked(event)) };
    if !filter.names.is_empty() && !filter.names.matches(name) {
        let reason = format!("`on: {event}: {key}` {} does not match {}", filter.names, quoted(name));
        return Some(LeftOut::Filtered(reason));
    }
    filter.unconcerned(changes).map(|why| LeftOut::Filtered(format!("`on: {event}: {why}")))
}

impl Filter {
    /// Why these changes are none of the flow's business. What is not known may be.
    fn unconcerned(&self, changes: &ChangedFiles) -> Option<String> {
        if (self.paths.is_empty() && self.ignored.is_empty()) || changes.gap.is_some() {
            return None;
        }
        let named = |path: &&String| self.paths.is_empty() || self.paths.matches(path);
        let mut named = changes.paths.iter().filter(named).peekable();
        if named.peek().is_none() {
            let (key, patterns) =
                if self.paths.is_empty() { ("ignore-paths", &self.ignored) } else { ("paths", &self.paths) };
            return Some(format!("{key}` {patterns}: {}", none_of(changes.paths.len())));
        }
        let ignored = named.all(|path| self.ignored.matches(path));
        ignored.then(|| format!("ignore-paths` {} matches all that changed", self.ignored))
    }
}

fn none_of(files: usize) -> String {
    match files {
        0 => "no file was changed".to_owned(),
        1 => "the one changed file does not match".to_owned(),
        files => format!("none of {files} changed files matches"),
    }
}

fn read_event(event: &Text, triggers: &mut Triggers, reading: &mut Reading<'_>) {
    match event.text.as_str() {
        "push" => triggers.push = Some(Filter::default()),
        "pull_request" => triggers.pull_request = Some(Filter::default()),
        "tag" => triggers.tag = Some(Filter::default()),
        "manual" => triggers.manual = Some(Vec::new()),
        "schedule" => {
            let finding = reading.findings.error(event.at, "`schedule` needs its times");
            finding.hint("write `schedule: [{cron: \"30 3 * * *\"}]` in a map");
        }
        "flow" => {
            let finding = reading.findings.error(event.at, "`flow` needs the flows after which this one runs");
            finding.hint("write `flow: [acme/shop/ci]` in a map");
        }
        "merge_group" => merge_group(event, reading),
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
    if let Some(entry) = fields.claim_entry("schedule") {
        triggers.schedules = starts::schedules(&entry.value, reading);
    }
    if let Some(entry) = fields.claim_entry("manual") {
        triggers.manual = Some(starts::manual(&entry.value, reading));
    }
    if let Some(entry) = fields.claim_entry("flow") {
        triggers.followed = starts::followed(&entry.value, reading);
    }
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
    let mut globs = |key: &str, reading: &mut Reading<'_>| {
        let known = level.keys.contains(&key).then(|| inner.claim_entry(key)).flatten();
        known.map_or_else(Globs::default, |entry| Globs::read(&entry.value, key, reading))
    };
    let filter =
        Filter { names: globs(key, reading), paths: globs("paths", reading), ignored: globs("ignore-paths", reading) };
    if let Some(entry) = inner.claim_entry("tags") {
        let finding = reading.findings.error(entry.key.at, format!("`tags` is no key of `{event}`"));
        finding.hint("tags are an event of their own: `tag: {names: [\"v*\"]}`");
    }
    inner.close(reading);
    Some(filter)
}
