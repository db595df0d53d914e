//! Jobs of type `trigger`: another flow is started, and, if nothing else is said, its end is the job's.

use std::collections::BTreeMap;

use crate::model::{JobPath, JobPlan, Program, Reports, RepositoryName, Resources, Trigger, Wait};

use super::{
    Reading, duration,
    fields::Fields,
    findings::quoted,
    keys, links,
    node::{Entry, Node, Text, Value},
    scalar::{self, Toggle},
    starts, when,
};

/// A job's keys that are of use here.
const KEYS: [&str; 7] = ["name", "type", "trigger", "subscriptions", "timeout", "allow-failure", "when"];
/// As long as any flow's name.
const MAX_FLOW_BYTES: usize = 100;

/// The job at `path`, which is one of this type.
pub(super) fn read(fields: &mut Fields<'_>, path: JobPath, reading: &mut Reading<'_>) -> JobPlan {
    refuse_others(fields, reading);
    let trigger = trigger(fields, reading);
    let timeout = duration::timeout(fields, reading);
    let allow_failure = scalar::boolean(fields, "allow-failure", Toggle::Off, reading);
    let when = when::read(fields, (&path.stage, Some(&path.action), Some(&path.job)), reading);
    let name = path.job.clone();
    links::read(fields, path, reading);
    JobPlan {
        name,
        image: String::new(),
        program: Program::Entrypoint,
        environments: BTreeMap::new(),
        resources: Resources::default(),
        timeout,
        outputs: Vec::new(),
        subscriptions: Vec::new(),
        inputs: Vec::new(),
        auto_inputs: Vec::new(),
        allow_failure,
        retry: None,
        strict: false,
        shell: Vec::new(),
        kubectl: None,
        trigger,
        when,
        artifacts: Vec::new(),
        reports: Reports::default(),
        downloads: Vec::new(),
    }
}

/// Refuses what means nothing to a job in a container.
pub(super) fn refuse_in_others(fields: &mut Fields<'_>, reading: &mut Reading<'_>) {
    if let Some(entry) = fields.claim_entry("trigger").filter(|entry| !entry.value.is_null()) {
        let message = "`trigger` is for a job of type trigger; this one does something else";
        reading.mistake(entry.key.at, message).hint("use a job of its own");
    }
}

fn refuse_others(fields: &mut Fields<'_>, reading: &mut Reading<'_>) {
    for key in keys::JOB.keys.iter().filter(|key| !KEYS.contains(key)) {
        let Some(entry) = fields.claim_entry(key).filter(|entry| !entry.value.is_null()) else { continue };
        let message = format!("a job of type trigger runs no container: `{key}` means nothing to it");
        reading.mistake(entry.key.at, message).hint("remove it, or use a job of its own");
    }
}

fn trigger(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Option<Trigger> {
    let Some(Entry { value, .. }) = fields.claim_entry("trigger").filter(|entry| !entry.value.is_null()) else {
        let message = "a job of type trigger needs `trigger`: the name of the flow that it starts";
        reading.findings.error(fields.at(), message);
        return None;
    };
    if let Value::Scalar(_) = &value.value {
        let (repository, flow) = flow(value, reading)?;
        return Some(Trigger { repository, flow, branch: None, inputs: BTreeMap::new(), wait: Wait::Yes });
    }
    let mut fields = Fields::of(value, &keys::TRIGGER, reading)?;
    let named = match fields.claim("flow") {
        Some(node) => flow(node, reading),
        None => {
            reading.findings.error(value.at, "`trigger` names no `flow`").hint("its name, or owner/repository/name");
            None
        }
    };
    let branch = fields.claim("branch").and_then(|node| starts::branch(node, reading));
    let inputs = fields.claim("inputs").map(|node| starts::given(node, reading)).unwrap_or_default();
    let wait = fields.claim("wait").map_or(Wait::Yes, |node| wait(node, reading));
    fields.close(reading);
    let (repository, flow) = named?;
    Some(Trigger { repository, flow, branch, inputs, wait })
}

/// A flow's name, after the repository's if it is another's.
fn flow(node: &Node, reading: &mut Reading<'_>) -> Option<(Option<RepositoryName>, String)> {
    let text = scalar::text(node, "`flow`", reading)?;
    let (repository, name) = match text.text.rsplit_once('/') {
        Some((repository, name)) => (Some(repository.parse::<RepositoryName>()), name),
        None => (None, text.text.as_str()),
    };
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let good = !name.is_empty() && name.len() <= MAX_FLOW_BYTES && name.chars().all(is_good);
    match repository.transpose() {
        Ok(repository) if good => Some((repository, name.to_owned())),
        Ok(_) | Err(_) => {
            no_flow(&text, reading);
            None
        }
    }
}

fn no_flow(text: &Text, reading: &mut Reading<'_>) {
    let finding = reading.findings.error(text.at, format!("{} is no flow's name", quoted(&text.text)));
    finding.hint("`deploy` for one of this repository, `owner/repository/deploy` for another's");
}

fn wait(node: &Node, reading: &mut Reading<'_>) -> Wait {
    match &node.value {
        Value::Scalar(text) if text.eq_ignore_ascii_case("true") => Wait::Yes,
        Value::Scalar(text) if text.eq_ignore_ascii_case("false") => Wait::No,
        Value::Null | Value::Scalar(_) | Value::List(_) | Value::Map(_) => {
            duration::node(node, "`wait`", reading).map_or(Wait::Yes, Wait::Within)
        }
    }
}
