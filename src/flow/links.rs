//! `subscriptions`: outputs of earlier jobs that become variables.
//!
//! `{"stage.action.job[KEY]": VARIABLE}`, several pairs in one map or one by one in a list. `optional: true` in the same
//! map lets the job run without its variables if the outputs were never written.

use crate::model::{JobPath, Output, Plan, Subscription};

use super::{
    Reading, environments,
    fields::Fields,
    findings::{Findings, quoted},
    node::{Entry, Node, Text, Value},
    scalar,
    source::{self, Map, Places, Wrong},
};

/// As many as a job may have outputs.
const MAX_LINKS: usize = 256;

/// One subscription as the file has it.
#[derive(Debug)]
pub(super) struct Link {
    subscriber: JobPath,
    source: Text,
    variable: String,
    optional: bool,
}

/// Takes a job's subscriptions down, to be resolved when all jobs are known.
pub(super) fn read(fields: &mut Fields<'_>, subscriber: JobPath, reading: &mut Reading<'_>) {
    let Some(node) = fields.claim("subscriptions") else { return };
    let mut links = Vec::new();
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| read_map(item, &subscriber, &mut links, reading)),
        Value::Null | Value::Scalar(_) | Value::Map(_) => read_map(node, &subscriber, &mut links, reading),
    }
    if links.len() > MAX_LINKS {
        reading.findings.error(node.at, format!("more than {MAX_LINKS} subscriptions"));
        links.truncate(MAX_LINKS);
    }
    reading.links.extend(links);
}

/// Puts every link into the plan, or says why it cannot be.
pub(super) fn resolve(plan: &mut Plan, reading: &mut Reading<'_>) {
    let mut resolved = Vec::new();
    let map = Map::of(plan);
    for link in std::mem::take(&mut reading.links) {
        let Some(to) = source::find(plan, &link.subscriber) else { continue };
        match output(&map, &link.source.text, to, &reading.findings) {
            Ok(from) => resolved.push((to, from, link)),
            Err((message, hint)) => reading.findings.error(link.source.at, message).maybe_hint(hint),
        }
    }
    for (to, from, link) in resolved {
        subscribe(plan, to, from, link);
    }
}

fn read_map(node: &Node, subscriber: &JobPath, links: &mut Vec<Link>, reading: &mut Reading<'_>) {
    let Value::Map(entries) = &node.value else {
        if !node.is_null() {
            let message = format!("a subscription is a map; this is {}", node.describe());
            reading.findings.error(node.at, message).hint("write \"stage.action.job[KEY]\": VARIABLE");
        }
        return;
    };
    let optional = entries.iter().any(|entry| is_optional(entry, reading));
    for entry in entries.iter().filter(|entry| entry.key.text != "optional") {
        let Some(variable) = scalar::text(&entry.value, "a subscription's variable", reading) else { continue };
        environments::check_name(&variable.text, variable.at, reading);
        if links.iter().any(|other: &Link| other.variable == variable.text) {
            let message = format!("two subscriptions for one variable, {}", quoted(&variable.text));
            reading.findings.error(variable.at, message);
        }
        let (subscriber, source) = (subscriber.clone(), entry.key.clone());
        links.push(Link { subscriber, source, variable: variable.text, optional });
    }
}

fn is_optional(entry: &Entry, reading: &mut Reading<'_>) -> bool {
    if entry.key.text != "optional" {
        return false;
    }
    match &entry.value.value {
        Value::Scalar(text) if text == "true" => true,
        Value::Scalar(text) if text == "false" => false,
        Value::Null | Value::Scalar(_) | Value::List(_) | Value::Map(_) => {
            reading.findings.error(entry.value.at, "`optional` is true or false");
            false
        }
    }
}

fn output(map: &Map<'_>, source: &str, to: Places, findings: &Findings<'_>) -> Result<Output, Wrong> {
    let written = source::split(source).filter(|written| written.path.is_empty()).ok_or_else(|| {
        let message = format!("{} does not name an output", quoted(source));
        (message, Some("write \"stage.action.job[KEY]\"".to_owned()))
    })?;
    map.output(written, to, findings)
}

fn subscribe(plan: &mut Plan, (s, a, j): Places, from: Output, link: Link) {
    let subscription = Subscription { from, variable: link.variable, optional: link.optional };
    plan.stages[s].actions[a].jobs[j].subscriptions.push(subscription);
}
