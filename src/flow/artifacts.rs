//! `artifacts` of a job: what it leaves (`{name, paths, on, keep}`), and what it takes of an earlier one
//! (`{from, name, to, optional}`).

use crate::model::{Artifact, Download, JobPath, KeepOn, Plan};

use super::{
    Reading, duration,
    fields::Fields,
    findings::{Findings, quoted},
    keys, links, names,
    node::{Node, Place, Text, Value},
    paths,
    scalar::{self, Toggle},
};

/// More than anybody can tell apart on a page.
const MAX_ARTIFACTS: usize = 32;

/// A download as the file has it.
#[derive(Debug)]
pub(super) struct Wish {
    by: JobPath,
    from: Text,
    name: Option<Text>,
    to: String,
    optional: bool,
}

/// What the job at `path` leaves. What it takes is noted, to be resolved when all jobs are known.
pub(super) fn read(fields: &mut Fields<'_>, path: &JobPath, reading: &mut Reading<'_>) -> Vec<Artifact> {
    let Some(node) = fields.claim("artifacts") else { return Vec::new() };
    let items: &[Node] = match &node.value {
        Value::List(items) => items,
        Value::Null | Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(node),
    };
    if items.len() > MAX_ARTIFACTS {
        reading.findings.error(node.at, format!("more than {MAX_ARTIFACTS} artifacts"));
    }
    let mut artifacts: Vec<Artifact> = Vec::new();
    for item in items.iter().take(MAX_ARTIFACTS) {
        let Some(mut item) = Fields::of(item, &keys::ARTIFACT, reading) else { continue };
        if item.has("from") {
            let wish = wish(&mut item, path, reading);
            reading.downloads.extend(wish);
        } else {
            let (at, artifact) = artifact(&mut item, path, reading);
            if artifacts.iter().any(|other| other.name == artifact.name) {
                let message = format!("{} is already the name of another artifact of this job", quoted(&artifact.name));
                reading.findings.error(at, message);
            }
            artifacts.push(artifact);
        }
        refuse_the_other_kinds(&mut item, reading);
        item.close(reading);
    }
    artifacts
}

fn artifact(fields: &mut Fields<'_>, path: &JobPath, reading: &mut Reading<'_>) -> (Place, Artifact) {
    let name = name(fields, reading).unwrap_or_else(|| Text { at: fields.at(), text: path.job.clone() });
    let paths = paths::patterns(fields, "paths", reading);
    if paths.is_none() {
        reading.findings.error(fields.at(), "an artifact needs `paths`, or `from` to take one of another job");
    }
    let ends = [("success", KeepOn::Success), ("failure", KeepOn::Failure), ("always", KeepOn::Always)];
    let on = scalar::choice(fields, "on", &ends, reading).unwrap_or(KeepOn::Success);
    let keep = duration::keep(fields, reading);
    (name.at, Artifact { name: name.text, paths: paths.unwrap_or_default(), on, keep })
}

fn wish(fields: &mut Fields<'_>, by: &JobPath, reading: &mut Reading<'_>) -> Option<Wish> {
    let from = fields.claim("from").and_then(|node| scalar::text(node, "`from`", reading));
    let name = name(fields, reading);
    let to = fields.claim("to").and_then(|node| scalar::text(node, "`to`", reading));
    let to = to.map(|to| paths::inside(&to, reading)).unwrap_or_default();
    let optional = scalar::boolean(fields, "optional", Toggle::Off, reading);
    Some(Wish { by: by.clone(), from: from?, name, to, optional })
}

fn name(fields: &mut Fields<'_>, reading: &mut Reading<'_>) -> Option<Text> {
    let name = scalar::text(fields.claim("name")?, "a name", reading)?;
    names::check(&name, reading);
    Some(name)
}

/// What is left of `paths` where something is taken, or of `to` where something is left, is a slip.
fn refuse_the_other_kinds(fields: &mut Fields<'_>, reading: &mut Reading<'_>) {
    let takes = fields.has("from");
    for key in ["paths", "on", "keep", "to", "optional"] {
        if let Some(entry) = fields.claim_entry(key) {
            let message = if takes {
                format!("`{key}` belongs to an artifact that this job leaves; `from` takes one of another")
            } else {
                format!("`{key}` belongs to an artifact that is taken `from` another job")
            };
            reading.findings.error(entry.key.at, message).hint("write two items");
        }
    }
}

/// Puts every download into the plan, or says why it cannot be.
pub(super) fn resolve(plan: &mut Plan, reading: &mut Reading<'_>) {
    let before = links::reachable(&plan.stages);
    for wish in std::mem::take(&mut reading.downloads) {
        let Some(to) = links::find(plan, &wish.by) else { continue };
        match source(plan, &before, &wish, to, &reading.findings) {
            Ok((from, name)) => {
                let download = Download { from, name, to: wish.to, optional: wish.optional };
                plan.stages[to.0].actions[to.1].jobs[to.2].downloads.push(download);
            }
            Err((message, hint)) => reading.findings.error(wish.from.at, message).maybe_hint(hint),
        }
    }
}

fn source(
    plan: &Plan,
    before: &[Vec<bool>],
    wish: &Wish,
    to: links::Places,
    findings: &Findings<'_>,
) -> Result<(JobPath, String), links::Wrong> {
    let from = links::job_named(plan, parts(plan, &wish.from.text)?, findings)?;
    links::check_direction(plan, before, from, to)?;
    let (stage, action) = (&plan.stages[from.0], &plan.stages[from.0].actions[from.1]);
    let job = &action.jobs[from.2];
    let names: Vec<&str> = job.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
    let path = JobPath { stage: stage.name.clone(), action: action.name.clone(), job: job.name.clone() };
    match (&wish.name, names.as_slice()) {
        (Some(name), names) if names.contains(&name.text.as_str()) => Ok((path, name.text.clone())),
        (Some(name), names) => {
            let message = format!("job {} has no artifact {}", quoted(&job.name), quoted(&name.text));
            let hint = findings.did_you_mean(&name.text, names.iter().copied());
            Err((message, hint.or_else(|| Some("add it to the `artifacts` of that job".to_owned()))))
        }
        (None, [only]) => Ok((path, (*only).to_owned())),
        (None, []) => {
            let message = format!("job {} has no artifact", quoted(&job.name));
            Err((message, Some("add one to the `artifacts` of that job".to_owned())))
        }
        (None, several) => {
            let message = format!("job {} has several artifacts: {}", quoted(&job.name), several.join(", "));
            Err((message, Some("say which by `name`".to_owned())))
        }
    }
}

/// Stage, action and job. What is left out is the only one there, or is called like what it stands in.
fn parts<'t>(plan: &'t Plan, text: &'t str) -> Result<[&'t str; 3], links::Wrong> {
    let wrong = || {
        let message = format!("{} does not name a job", quoted(text));
        (message, Some("write stage.action.job; of an only action or job the name may be left out".to_owned()))
    };
    let parts: Vec<&str> = text.split('.').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(wrong());
    }
    match *parts.as_slice() {
        [stage, action, job] => Ok([stage, action, job]),
        [stage, action] => Ok([stage, action, ""]),
        [stage] => {
            let actions = plan.stages.iter().find(|other| other.name == stage).map(|stage| stage.actions.as_slice());
            match actions {
                Some([only]) => Ok([stage, &only.name, ""]),
                Some(_) => Err(wrong()),
                // the stage's name is what is wrong, and that is said better elsewhere
                None => Ok([stage, "", ""]),
            }
        }
        _ => Err(wrong()),
    }
}
