//! Jobs are counted for their repository's statistics when they end, in the transaction of that end.

use super::{admit::month_of, settle::Place};
use crate::{
    model::{Conclusion, JobState, Listed, Time, Verdict},
    store::{EndedJob, JobRow, Tx},
};

/// The time that a job has run on the executor is used up of its month's.
pub(super) fn use_time(tx: &mut Tx, place: &Place, job: &JobRow, now: Time) {
    let (JobState::Running, Some(started)) = (&job.state.0, job.started) else { return };
    let is_own = |at: i64| place.plan().ok()?.jobs.get(usize::try_from(at).ok()?).map(|plan| !plan.is_podless());
    if is_own(job.place) != Some(true) {
        return;
    }
    let took = i64::try_from(now.since(started).as_millis()).unwrap_or(i64::MAX);
    tx.use_time(place.run.repository_id, month_of(now).number(), took, now);
}

/// Counts a job that has run to an end. One that was stopped, left out or lost with its machine says nothing of itself.
pub(super) fn count(tx: &mut Tx, place: &Place, job: &JobRow, verdict: &Verdict, now: Time) {
    let (JobState::Running, Some(started)) = (&job.state.0, job.started) else { return };
    let failed = match verdict.conclusion() {
        Conclusion::Success | Conclusion::Warning => false,
        Conclusion::Failure | Conclusion::TimedOut => true,
        Conclusion::Cancelled | Conclusion::Skipped | Conclusion::Error => return,
    };
    let Some(name) = name(place, job) else { return };
    tx.count_job(EndedJob {
        repository: place.run.repository_id,
        run: place.run.number,
        sha: place.run.sha.clone(),
        flow: place.run.flow.clone(),
        branch: default_branch(place).to_owned(),
        job: name,
        failed,
        took: i64::try_from(now.since(started).as_millis()).unwrap_or(i64::MAX),
        at: now,
    });
}

/// `stage/action/job`; `None` for a service, which ends when its jobs have.
fn name(place: &Place, job: &JobRow) -> Option<String> {
    if job.is_service() {
        return None;
    }
    let (action, stage) =
        (place.plan().ok()?, place.flow().ok()?.stages.get(usize::try_from(place.action.stage).ok()?)?);
    let job = action.jobs.get(usize::try_from(job.place).ok()?)?;
    Some(format!("{}/{}/{}", stage.name, action.name, job.name))
}

/// The default branch's name if that is what ran.
fn default_branch(place: &Place) -> &str {
    let (event, default) = (&place.run.event.0, &place.run.event.0.repository.default_branch);
    let is_default = event.pull_request().is_none() && Listed::from(event).branch.as_ref() == Some(default);
    if is_default { default } else { "" }
}
