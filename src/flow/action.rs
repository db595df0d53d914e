//! The action level: jobs in order, in one pod.

use std::collections::BTreeSet;

use crate::model::{ActionPlan, JobPath, JobPlan, Service};

use super::{
    Reading, cache, cell, checkout, children,
    fields::Fields,
    findings::quoted,
    job, keys,
    names::{self, Named},
    placing,
    scalar::{self, Toggle},
    service, when,
};

/// The action in `fields`, or each cell of its matrix; none if it has no job, which is a success that needs no pod. No
/// cell has a name that is `taken`.
pub(super) fn read(
    fields: &mut Fields<'_>,
    stage: &str,
    name: &str,
    taken: &mut BTreeSet<String>,
    reading: &mut Reading<'_>,
) -> Vec<ActionPlan> {
    match fields.claim_entry("matrix").filter(|entry| !entry.value.is_null()) {
        Some(matrix) => cell::each(fields, matrix, (stage, name), taken, reading),
        None => one(fields, stage, [name, name], reading).into_iter().collect(),
    }
}

/// A single action, and what its only job is called if it has no name of its own.
pub(super) fn one(
    fields: &mut Fields<'_>,
    stage: &str,
    [name, job]: [&str; 2],
    reading: &mut Reading<'_>,
) -> Option<ActionPlan> {
    let title = scalar::title(fields, reading);
    let when = when::read(fields, (stage, Some(name), None), reading);
    let allow_failure = scalar::boolean(fields, "allow-failure", Toggle::Off, reading);
    let caches = cache::read(fields, name, reading);
    let checkout = checkout::read(fields, reading);
    let (cell, matrix) = cell::read(fields, reading);
    let runtime = placing::runtime(fields, reading);
    let node = placing::node(fields, reading);
    let mut services = service::read(fields, (stage, name), reading);
    let jobs = jobs(fields, stage, [name, job], &mut services, reading);
    service::check(name, fields, (&services, &jobs), reading);
    if jobs.is_empty() && services.is_empty() {
        let message = format!("action {} has no job and is left out", quoted(name));
        reading.findings.warning(fields.at(), message).hint("give it `jobs`, or an `image`");
        return None;
    }
    Some(ActionPlan {
        name: name.to_owned(),
        title,
        allow_failure,
        when,
        jobs,
        caches,
        checkout,
        cell,
        matrix,
        services,
        runtime,
        node,
    })
}

/// The jobs; those that are services are put to the others.
fn jobs(
    fields: &mut Fields<'_>,
    stage: &str,
    [action, only]: [&str; 2],
    services: &mut Vec<Service>,
    reading: &mut Reading<'_>,
) -> Vec<JobPlan> {
    let path = |job: &str| JobPath { stage: stage.to_owned(), action: action.to_owned(), job: job.to_owned() };
    let Some(entry) = fields.claim_entry("jobs") else {
        if !fields.has_keys_of(&keys::JOB) {
            return Vec::new();
        }
        // an action of a single job may have the job's keys itself; the job is called like the action
        fields.hoist(&keys::JOB);
        return vec![job::read(fields, path(only), reading)];
    };
    let mut items = children::each(entry, &keys::JOB, reading);
    let names = names::claim_all(&mut items, Named::Job(only), reading);
    let mut jobs = Vec::new();
    for (mut item, name) in items.into_iter().zip(&names) {
        if service::is_one(&item) {
            services.push(service::of_job(&mut item, path(&name.text), (name, jobs.len()), reading));
        } else {
            jobs.push(job::read(&mut item, path(&name.text), reading));
        }
        item.close(reading);
    }
    jobs
}
