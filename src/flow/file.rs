//! The flow level, and what is checked of the whole.

use std::collections::BTreeMap;

use crate::model::{JobPlan, Plan, RepositoryName, StagePlan};

use super::{
    Reading, artifacts, cell, children,
    concurrency::{self, Rule},
    duration, environments,
    fields::Fields,
    findings::quoted,
    inputs, keys, kubectl, links,
    names::{self, Named},
    node::{Node, Text},
    receivers, scalar, stage,
    triggers::{self, Triggers},
};

/// A page shows no more stages in a way that helps.
const MAX_STAGES: usize = 256;
/// What one run may be in all; every job is a row, a container and a log.
const MAX_JOBS: usize = 1000;
/// Flow's variables are copied into every job; more than this, and one small file would fill a database.
const MAX_VARIABLE_BYTES: usize = 4 << 20;

/// What a file comes to before there is an event.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) plan: Plan,
    pub(super) triggers: Triggers,
    pub(super) concurrency: Rule,
}

/// The whole file. Worth nothing if there are errors among the findings.
pub(super) fn read(root: &Node, path: &str, repository: &RepositoryName, reading: &mut Reading<'_>) -> Option<Draft> {
    if root.is_null() {
        reading.findings.error(root.at, "the file is empty").hint("the smallest flow has `stages`");
        return None;
    }
    let mut fields = Fields::of(root, &keys::FLOW, reading)?;
    let uri = names::uri(fields.claim("uri"), path, repository, reading);
    let title = scalar::title(&mut fields, reading);
    for shown in ["version", "tag"] {
        if let Some(node) = fields.claim(shown) {
            scalar::text(node, &format!("`{shown}`"), reading);
        }
    }
    fields.claim_entry("variables");
    let triggers = triggers::read(&mut fields, reading);
    reading.manual_inputs = triggers.inputs().iter().map(|input| input.name.clone()).collect();
    let environments = environments::read(&mut fields, reading);
    let concurrency = concurrency::read(&mut fields, reading);
    let timeout = duration::timeout(&mut fields, reading);
    kubectl::of_flow(&mut fields, reading);
    let receivers = receivers::read(&mut fields, reading);
    let stages = stages(&mut fields, &uri.name, reading);
    fields.close(reading);

    let mut plan = Plan {
        flow: uri.name,
        uri: uri.uri,
        title,
        timeout,
        concurrency: None,
        inputs: BTreeMap::new(),
        receivers,
        stages,
    };
    check_sizes(&plan, root, reading);
    spread(&environments, &mut plan, root, reading);
    links::resolve(&mut plan, reading);
    inputs::resolve(&mut plan, reading);
    links::resolve_conditions(&mut plan, reading);
    artifacts::resolve(&mut plan, reading);
    Some(Draft { plan, triggers, concurrency })
}

fn stages(fields: &mut Fields<'_>, flow: &str, reading: &mut Reading<'_>) -> Vec<StagePlan> {
    let Some(entry) = fields.claim_entry("stages") else {
        return hoisted(fields, flow, reading);
    };
    let mut items = children::each(entry, &keys::STAGE, reading);
    if items.len() > MAX_STAGES {
        reading.findings.error(entry.key.at, format!("{} stages; {MAX_STAGES} are the most", items.len()));
        items.truncate(MAX_STAGES);
    }
    let names = names::claim_all(&mut items, Named::Stage, reading);
    let mut stages = Vec::new();
    for (index, mut item) in items.into_iter().enumerate() {
        stages.push(stage::read(&mut item, index, &names, reading));
        item.close(reading);
    }
    stages
}

/// A flow of a single stage may have the stage's keys itself.
fn hoisted(fields: &mut Fields<'_>, flow: &str, reading: &mut Reading<'_>) -> Vec<StagePlan> {
    if ![&keys::STAGE, &keys::ACTION, &keys::JOB].iter().any(|level| fields.has_keys_of(level)) {
        reading.findings.error(fields.at(), "a flow needs `stages`");
        return Vec::new();
    }
    fields.hoist(&keys::STAGE);
    let name = Text { at: fields.at(), text: flow.replace('.', "-") };
    vec![stage::read(fields, 0, &[name], reading)]
}

fn check_sizes(plan: &Plan, root: &Node, reading: &mut Reading<'_>) {
    if reading.jobs > MAX_JOBS {
        reading.findings.error(root.at, format!("{} jobs; {MAX_JOBS} are the most", reading.jobs));
    } else if jobs(plan).next().is_none() && !reading.findings.has_errors() {
        reading.findings.error(root.at, "nothing to run: the flow has no job");
    }
}

/// Gives every job the flow's variables; its own win.
fn spread(environments: &BTreeMap<String, String>, plan: &mut Plan, root: &Node, reading: &mut Reading<'_>) {
    let size: usize = environments.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size.saturating_mul(reading.jobs) > MAX_VARIABLE_BYTES {
        reading.findings.error(root.at, "the flow's `environments`, copied into every job, have more than 4 MiB");
        return;
    }
    for action in plan.stages.iter_mut().flat_map(|stage| &mut stage.actions) {
        for (name, value) in environments {
            let (value, missing) = cell::filled(value, &action.matrix);
            if let Some(missing) = missing {
                let message = format!("cell {} of the matrix has no {}", quoted(&action.shown()), quoted(&missing));
                reading.findings.error(root.at, message).hint("give it one in `include`");
            }
            let services = action.services.iter_mut().map(|service| &mut service.job);
            for job in action.jobs.iter_mut().chain(services) {
                job.environments.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }
}

fn jobs(plan: &Plan) -> impl Iterator<Item = &JobPlan> {
    plan.stages.iter().flat_map(|stage| &stage.actions).flat_map(|action| &action.jobs)
}
