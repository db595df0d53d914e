//! The action level: jobs in order, in one pod.

use crate::model::{ActionPlan, JobPath, JobPlan};

use super::{
    Reading, cache, checkout, children,
    fields::Fields,
    findings::quoted,
    job, keys,
    names::{self, Named},
    scalar::{self, Toggle},
    when,
};

/// The action in `fields`; none if it has no job, which is a success that needs no pod.
pub(super) fn read(fields: &mut Fields<'_>, stage: &str, name: &str, reading: &mut Reading<'_>) -> Option<ActionPlan> {
    let title = scalar::title(fields, reading);
    let when = when::read(fields, (stage, Some(name), None), reading);
    let allow_failure = scalar::boolean(fields, "allow-failure", Toggle::Off, reading);
    let caches = cache::read(fields, name, reading);
    let checkout = checkout::read(fields, reading);
    let jobs = jobs(fields, stage, name, reading);
    if jobs.is_empty() {
        let message = format!("action {} has no job and is left out", quoted(name));
        reading.findings.warning(fields.at(), message).hint("give it `jobs`, or an `image`");
        return None;
    }
    Some(ActionPlan { name: name.to_owned(), title, allow_failure, when, jobs, caches, checkout })
}

fn jobs(fields: &mut Fields<'_>, stage: &str, action: &str, reading: &mut Reading<'_>) -> Vec<JobPlan> {
    let path = |job: &str| JobPath { stage: stage.to_owned(), action: action.to_owned(), job: job.to_owned() };
    let Some(entry) = fields.claim_entry("jobs") else {
        if !fields.has_keys_of(&keys::JOB) {
            return Vec::new();
        }
        // an action of a single job may have the job's keys itself; the job is called like the action
        fields.hoist(&keys::JOB);
        return vec![job::read(fields, path(action), reading)];
    };
    let mut items = children::each(entry, &keys::JOB, reading);
    let names = names::claim_all(&mut items, Named::Job(action), reading);
    let mut jobs = Vec::new();
    for (mut item, name) in items.into_iter().zip(&names) {
        jobs.push(job::read(&mut item, path(&name.text), reading));
        item.close(reading);
    }
    jobs
}
