//! `subscriptions`: outputs of earlier jobs that become variables.
//!
//! `{"stage.action.job[KEY]": VARIABLE}`, several pairs in one map or one by one in a list. `optional: true` in the same
//! map lets the job run without its variables if the outputs were never written. As in the original, an empty job
//! part means the action's only job.

use crate::model::{JobPath, Output, Plan, Sequencing, StagePlan, Subscription, When};

use super::{
    Reading, Shape, environments,
    fields::Fields,
    findings::{Findings, quoted},
    names,
    node::{Entry, Node, Text, Value},
    scalar,
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
    let before = reachable(&plan.stages);
    for asking in std::mem::take(&mut reading.asking) {
        let Some(to) = place_of(plan, &asking) else { continue };
        for text in &asking.outputs {
            match output(plan, text, reading, |plan, from| check_reach(plan, &before, from, to)) {
                Ok(found) if found.to_string() == *text => {
                    when_at(plan, to).into_iter().for_each(|when| when.outputs.push(found.clone()));
                }
                Ok(found) => {
                    let message = format!("{} is written out in a condition", quoted(text));
                    reading.findings.error(asking.at, message).hint(format!("write outputs[\"{found}\"]"));
                }
                Err((message, hint)) => reading.findings.error(asking.at, message).maybe_hint(hint),
            }
        }
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

/// A condition is asked before the first of what it stands in starts.
fn check_reach(plan: &Plan, before: &[Vec<bool>], from: Places, (s, within): Level) -> Result<(), Wrong> {
    match within {
        None if from.0 == s => Err(("the condition of a stage is decided before the stage starts".to_owned(), None)),
        Some((a, None)) if (from.0, from.1) == (s, a) => {
            Err(("the condition of an action is decided before the action starts".to_owned(), None))
        }
        None => check_direction(plan, before, from, (s, 0, 0)),
        Some((a, job)) => check_direction(plan, before, from, (s, a, job.unwrap_or_default())),
    }
}

/// Puts every link into the plan, or says why it cannot be.
pub(super) fn resolve(plan: &mut Plan, reading: &mut Reading<'_>) {
    let before = reachable(&plan.stages);
    for link in std::mem::take(&mut reading.links) {
        let Some(to) = find(plan, &link.subscriber) else { continue };
        match source(plan, &before, &link, to, reading) {
            Ok(from) => subscribe(plan, to, from, link),
            Err((message, hint)) => reading.findings.error(link.source.at, message).maybe_hint(hint),
        }
    }
}

/// Places of a job: stage, action, job.
pub(super) type Places = (usize, usize, usize);
/// A message and a hint.
pub(super) type Wrong = (String, Option<String>);

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

fn source(plan: &Plan, before: &[Vec<bool>], link: &Link, to: Places, reading: &Reading<'_>) -> Result<Output, Wrong> {
    output(plan, &link.source.text, reading, |plan, from| check_direction(plan, before, from, to))
}

/// The output that a text names, if `reaches` has nothing against it.
fn output(
    plan: &Plan,
    text: &str,
    reading: &Reading<'_>,
    reaches: impl Fn(&Plan, Places) -> Result<(), Wrong>,
) -> Result<Output, Wrong> {
    let findings = &reading.findings;
    let (stage, action, job, key) = split(text).ok_or_else(|| {
        let message = format!("{} does not name an output", quoted(text));
        (message, Some("write \"stage.action.job[KEY]\"".to_owned()))
    })?;
    let from = match reading.shape {
        Shape::Ours => job_named(plan, [stage, action, job], findings)?,
        Shape::Original => original(plan, [stage, action, job], key, findings)?,
    };
    reaches(plan, from)?;
    let (stage, action, job) = (&plan.stages[from.0], &plan.stages[from.0].actions[from.1], from.2);
    let job = &action.jobs[job];
    if !job.outputs.iter().any(|output| output == key) {
        let message = format!("job {} has no output {}", quoted(&job.name), quoted(key));
        let hint = findings
            .did_you_mean(key, job.outputs.iter().map(String::as_str))
            .unwrap_or_else(|| "add it to the `outputs` of that job".to_owned());
        return Err((message, Some(hint)));
    }
    let job = JobPath { stage: stage.name.clone(), action: action.name.clone(), job: job.name.clone() };
    Ok(Output { job, key: key.to_owned() })
}

fn split(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (path, key) = text.strip_suffix(']')?.split_once('[')?;
    let mut parts = path.split('.');
    let (stage, action, job) = (parts.next()?, parts.next()?, parts.next()?);
    (parts.next().is_none() && !stage.is_empty() && !action.is_empty() && !key.is_empty())
        .then_some((stage, action, job, key))
}

/// The job of these names; an empty one means an action's only job.
pub(super) fn job_named(
    plan: &Plan,
    [stage, action, job]: [&str; 3],
    findings: &Findings<'_>,
) -> Result<Places, Wrong> {
    let s = place("stage", stage, plan.stages.iter().map(|stage| stage.name.as_str()), findings)?;
    let actions = &plan.stages[s].actions;
    let a = place("action", action, actions.iter().map(|action| action.name.as_str()), findings)?;
    let jobs = &actions[a].jobs;
    let j = if job.is_empty() && jobs.len() == 1 {
        0
    } else {
        place("job", job, jobs.iter().map(|job| job.name.as_str()), findings)?
    };
    Ok((s, a, j))
}

/// A job by the original's own names. Those without one shared an empty name, and the last that wrote a key counted.
fn original(plan: &Plan, names: [&str; 3], key: &str, findings: &Findings<'_>) -> Result<Places, Wrong> {
    let [stage, action, job] = names.map(|name| if name.is_empty() { String::new() } else { names::plain(name) });
    let nameless = job.is_empty().then(|| {
        let s = plan.stages.iter().position(|other| other.name == stage)?;
        let a = plan.stages[s].actions.iter().position(|other| other.name == action)?;
        let j = plan.stages[s].actions[a].jobs.iter().rposition(|job| job.outputs.iter().any(|output| output == key));
        Some((s, a, j?))
    });
    match nameless.flatten() {
        Some(places) => Ok(places),
        None => job_named(plan, [&stage, &action, &job], findings),
    }
}

fn place<'n>(
    what: &str,
    name: &str,
    names: impl Iterator<Item = &'n str> + Clone,
    findings: &Findings<'_>,
) -> Result<usize, Wrong> {
    names.clone().position(|other| other == name).ok_or_else(|| {
        let only: Vec<&str> = names.clone().take(2).collect();
        let hint = findings.did_you_mean(name, names).or(match only.as_slice() {
            [only] => Some(format!("the only {what} there is {}", quoted(only))),
            _ => None,
        });
        (format!("no {what} is named {}", quoted(name)), hint)
    })
}

/// A link points only to what has certainly ended when its job starts.
pub(super) fn check_direction(plan: &Plan, before: &[Vec<bool>], from: Places, to: Places) -> Result<(), Wrong> {
    let (from_stage, to_stage) = (&plan.stages[from.0], &plan.stages[to.0]);
    if from.0 != to.0 {
        return if before[to.0][from.0] {
            Ok(())
        } else {
            let message = format!("stage {} need not have ended before this one", quoted(&from_stage.name));
            let hint = format!("add it to the `needs` of stage {}, below it", quoted(&to_stage.name));
            Err((message, Some(hint)))
        };
    }
    if from.1 == to.1 {
        return if from.2 < to.2 { Ok(()) } else { Err(("a link points to an earlier job".to_owned(), None)) };
    }
    match to_stage.sequencing {
        Sequencing::Sequence if from.1 < to.1 => Ok(()),
        Sequencing::Sequence => Err(("a link points to an earlier action".to_owned(), None)),
        Sequencing::Parallel => {
            let message = format!("the actions of stage {} run in parallel", quoted(&to_stage.name));
            Err((message, Some("write `sequencing: sequence`, or use two stages".to_owned())))
        }
    }
}

/// For every stage, which stages have certainly ended when it starts.
pub(super) fn reachable(stages: &[StagePlan]) -> Vec<Vec<bool>> {
    let mut before: Vec<Vec<bool>> = Vec::with_capacity(stages.len());
    for stage in stages {
        let mut row = vec![false; stages.len()];
        for &need in stage.needs.iter().filter(|&&need| need < before.len()) {
            row[need] = true;
            row.iter_mut().zip(&before[need]).for_each(|(mine, theirs)| *mine |= theirs);
        }
        before.push(row);
    }
    before
}

/// Where a plan has this job.
pub(super) fn find(plan: &Plan, path: &JobPath) -> Option<Places> {
    let s = plan.stages.iter().position(|stage| stage.name == path.stage)?;
    let a = plan.stages[s].actions.iter().position(|action| action.name == path.action)?;
    let j = plan.stages[s].actions[a].jobs.iter().position(|job| job.name == path.job)?;
    Some((s, a, j))
}

fn subscribe(plan: &mut Plan, (s, a, j): Places, from: Output, link: Link) {
    let subscription = Subscription { from, variable: link.variable, optional: link.optional };
    plan.stages[s].actions[a].jobs[j].subscriptions.push(subscription);
}
