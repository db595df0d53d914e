//! What the time of attempts went into, as JSON.

use serde::Serialize;

use super::Moment;
use crate::{
    engine::timeline::{Facts, JobFacts, PullTimes, Timeline, timeline, words},
    model::{JobId, Phase, PhaseKind, Time},
    store::{AttemptRow, JobRow},
};

/// What an attempt's time went into.
#[derive(Debug, Serialize)]
pub(super) struct Times {
    /// Its phases: they follow each other without a gap from the moment at which it was queued.
    pub(super) phases: Vec<PhaseValue>,
    /// Where the time went, in words.
    pub(super) words: String,
    /// The machine that ran it, where that has a name.
    pub(super) node: Option<String>,
    /// Images that had to be fetched for it.
    pub(super) pulls: Vec<PullValue>,
    /// The phases of its jobs and services, in the plan's order.
    pub(super) jobs: Vec<JobPhasesValue>,
}

/// A stretch of time that went into one thing.
#[derive(Debug, Serialize)]
pub(super) struct PhaseValue {
    /// Into what: `queue`, `schedule`, `pull`, `init`, `wait`, `fetch`, `run`, `keep`.
    pub(super) phase: PhaseKind,
    /// Its beginning.
    pub(super) started: String,
    /// Its end; `null`: it goes on.
    pub(super) ended: Option<String>,
    /// How long it was, or is so far.
    pub(super) seconds: f64,
}

/// How an image came.
#[derive(Debug, Serialize)]
pub(super) struct PullValue {
    /// The container that needed it.
    pub(super) container: String,
    /// The image.
    pub(super) image: String,
    /// When it was asked for.
    pub(super) started: String,
    /// When it was there; `null`: it is on its way.
    pub(super) ended: Option<String>,
    /// Its size, where the executor tells.
    pub(super) bytes: Option<u64>,
}

/// What a job's time went into.
#[derive(Debug, Serialize)]
pub(super) struct JobPhasesValue {
    /// The job.
    pub(super) id: JobId,
    /// Its phases: they follow each other without a gap from the first that there is of its container. `init` of a
    /// service is until it was ready.
    pub(super) phases: Vec<PhaseValue>,
}

impl Times {
    /// Those of an attempt and its jobs, up to now.
    pub(super) fn of(attempt: &AttemptRow, jobs: &[JobRow], now: Time) -> Self {
        let facts: Vec<JobFacts> = jobs.iter().map(JobFacts::from).collect();
        let Timeline { phases, jobs: of_jobs, pulls, node, .. } = timeline(&Facts::from(attempt), &facts, now);
        let job = |of: &crate::engine::timeline::JobPhases| {
            let open = jobs.iter().any(|job| job.id == of.job && job.ended.is_none()) && attempt.ended.is_none();
            JobPhasesValue { id: of.job, phases: values(&of.phases, open) }
        };
        Self {
            words: words(&phases),
            phases: values(&phases, attempt.ended.is_none()),
            node,
            pulls: pulls.into_iter().map(PullValue::from).collect(),
            jobs: of_jobs.iter().map(job).collect(),
        }
    }
}

fn values(phases: &[Phase], open: bool) -> Vec<PhaseValue> {
    let last = phases.len();
    let value = |(at, phase): (usize, &Phase)| PhaseValue {
        phase: phase.kind,
        started: Moment(phase.started).iso(),
        ended: (!open || at + 1 < last).then(|| Moment(phase.ended).iso()),
        seconds: phase.span().as_secs_f64(),
    };
    phases.iter().enumerate().map(value).collect()
}

impl From<PullTimes> for PullValue {
    fn from(pull: PullTimes) -> Self {
        Self {
            container: pull.container,
            image: pull.image,
            started: Moment(pull.started).iso(),
            ended: pull.ended.map(|ended| Moment(ended).iso()),
            bytes: pull.bytes,
        }
    }
}
