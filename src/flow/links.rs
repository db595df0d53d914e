//! `subscriptions`: outputs of earlier jobs that become variables.
//!
//! `{"stage.action.job[KEY]": VARIABLE}`, several pairs in one map or one by one in a list. `optional: true` in the same
//! map lets the job run without its variables if the outputs were never written.

use crate::model::{JobPath, Output, Plan, Subscription, When};

use super::{
    Reading, Shape, environments,
    fields::Fields,
    findings::{Findings, quoted},
    node::{Entry, Node, Text, Value},
    scalar,
    source::{self, Map, Places, Written, Wrong},
    when::Asking,
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

/// Puts the outputs that conditions ask for into the plan, or says why they cannot be asked for.
pub(super) fn resolve_conditions(plan: &mut Plan, reading: &mut Reading<'_>) {
    let mut resolved = Vec::new();
    let map = Map::of(plan);
    for asking in std::mem::take(&mut reading.asking) {
        let Some(to) = place_of(plan, &asking) else { continue };
        for text in &asking.outputs {
            match asked(&map, text, to, &reading.findings) {
                Ok(found) if found.to_string() == *text => resolved.push((to, found)),
                Ok(found) => {
                    let message = format!("{} is written out in a condition", quoted(text));
                    reading.findings.error(asking.at, message).hint(format!("write outputs[\"{found}\"]"));
                }
                Err((message, hint)) => reading.findings.error(asking.at, message).maybe_hint(hint),
            }
        }
    }
    for (to, found) in resolved {
        when_at(plan, to).into_iter().for_each(|when| when.outputs.push(found.clone()));
    }
}

/// Where a condition stands: in a stage, an action of it, or a job of that.
type Level = (usize, Option<(usize, Option<usize>)>);

fn place_of(plan: &Plan, asking: &Asking) -> Option<Level> {
    let s = plan.stages.iter().position(|stage| stage.name == asking.stage)?;
    let Some(action) = &asking.action else { return Some((s, None)) };
    let a = plan.stages[s].actions.iter().position(|known| known.name == *action)?;
    let Some(job) = &asking.job else { return Some((s, Some((a, None)))) };
    let j = plan.stages[s].actions[a].jobs.iter().position(|known| known.name == *job)?;
    Some((s, Some((a, Some(j)))))
}

fn when_at(plan: &mut Plan, (s, within): Level) -> Option<&mut When> {
    let stage = plan.stages.get_mut(s)?;
    let Some((a, job)) = within else { return stage.when.as_mut() };
    let action = stage.actions.get_mut(a)?;
    match job {
        None => action.when.as_mut(),
        Some(j) => action.jobs.get_mut(j)?.when.as_mut(),
    }
}

/// The output that a condition means. It is asked before the first of what it stands in starts.
fn asked(map: &Map<'_>, text: &str, (s, within): Level, findings: &Findings<'_>) -> Result<Output, Wrong> {
    let to = within.map_or((s, 0, 0), |(a, job)| (s, a, job.unwrap_or_default()));
    map.output_if(written(text)?, to, findings, |from| match within {
        None if from.0 == s => Err(("the condition of a stage is decided before the stage starts".to_owned(), None)),
        Some((a, None)) if (from.0, from.1) == (s, a) => {
            Err(("the condition of an action is decided before the action starts".to_owned(), None))
        }
        None | Some(_) => map.check_direction(from, to),
    })
}

/// Puts every link into the plan, or says why it cannot be.
pub(super) fn resolve(plan: &mut Plan, reading: &mut Reading<'_>) {
    let mut resolved = Vec::new();
    let map = Map::of(plan);
    for link in std::mem::take(&mut reading.links) {
        let Some(to) = source::find(plan, &link.subscriber) else { continue };
        match output(&map, &link.source.text, to, reading) {
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

fn output(map: &Map<'_>, source: &str, to: Places, reading: &Reading<'_>) -> Result<Output, Wrong> {
    let written = written(source)?;
    match reading.shape {
        Shape::Ours => map.output(written, to, &reading.findings),
        Shape::Original => map.output_of_the_original(written, to, &reading.findings),
    }
}

fn written(source: &str) -> Result<Written<'_>, Wrong> {
    source::split(source).filter(|written| written.path.is_empty()).ok_or_else(|| {
        let message = format!("{} does not name an output", quoted(source));
        (message, Some("write \"stage.action.job[KEY]\"".to_owned()))
    })
}

fn subscribe(plan: &mut Plan, (s, a, j): Places, from: Output, link: Link) {
    let subscription = Subscription { from, variable: link.variable, optional: link.optional };
    plan.stages[s].actions[a].jobs[j].subscriptions.push(subscription);
}
