//! What the time of attempts went into. Of what goes on no answer says how long it has: it would be another one each time
//! that it is asked for.

use serde::Serialize;
use utoipa::ToSchema;

use super::schema::At;
use crate::{
    engine::timeline::{Facts, JobFacts, JobPhases, PullTimes, Timeline, timeline, words},
    model::{JobId, Phase, PhaseKind, Time},
    store::{AttemptRow, JobRow},
};

/// Later than everything: the end of what has none, which is not told.
const NEVER: Time = Time::from_millis(i64::MAX);

/// What an attempt's time went into.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Times {
    /// They follow each other without a gap from the moment at which it was queued.
    phases: Vec<PhaseTimes>,
    /// Where the time went, in words; `null`: it goes on.
    #[schema(required = true, example = "waited 12 s for a node, pulled images for 34 s, ran 2 min 5 s")]
    words: Option<String>,
    /// The machine that ran it, where that has a name.
    #[schema(required = true)]
    node: Option<String>,
    /// Images that had to be fetched for it.
    pulls: Vec<ImagePull>,
    /// The phases of its jobs and services, in the plan's order.
    jobs: Vec<JobTimes>,
}

/// A stretch of time that went into one thing.
#[derive(Debug, Serialize, ToSchema)]
struct PhaseTimes {
    phase: PhaseKind,
    started: At,
    /// `null`: it goes on.
    #[schema(required = true)]
    ended: Option<At>,
    /// How long it was; `null`: it goes on.
    #[schema(required = true)]
    seconds: Option<f64>,
}

/// How an image came.
#[derive(Debug, Serialize, ToSchema)]
struct ImagePull {
    /// The container that needed it.
    #[schema(example = "job-0")]
    container: String,
    image: String,
    /// When it was asked for.
    started: At,
    /// When it was there; `null`: it is on its way.
    #[schema(required = true)]
    ended: Option<At>,
    /// Its size, where the executor tells.
    #[schema(required = true)]
    bytes: Option<u64>,
}

/// What a job's time went into.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobPhases)]
struct JobTimes {
    id: JobId,
    /// They follow each other without a gap from the first that there is of its container. `init` of a service is until it
    /// was ready.
    phases: Vec<PhaseTimes>,
}

impl Times {
    /// Those of an attempt and its jobs.
    pub(super) fn of(attempt: &AttemptRow, jobs: &[JobRow]) -> Self {
        let facts: Vec<JobFacts> = jobs.iter().map(JobFacts::from).collect();
        let Timeline { phases, jobs: of_jobs, pulls, node, open } = timeline(&Facts::from(attempt), &facts, NEVER);
        let goes_on = |id: JobId| open && jobs.iter().any(|job| job.id == id && job.ended.is_none());
        let job = |of: &JobPhases| JobTimes { id: of.job, phases: values(&of.phases, goes_on(of.job)) };
        Self {
            words: (!open).then(|| words(&phases)),
            phases: values(&phases, open),
            node,
            pulls: pulls.into_iter().map(ImagePull::from).collect(),
            jobs: of_jobs.iter().map(job).collect(),
        }
    }
}

fn values(phases: &[Phase], open: bool) -> Vec<PhaseTimes> {
    let value = |(at, phase): (usize, &Phase)| {
        let has_ended = !open || at + 1 < phases.len();
        PhaseTimes {
            phase: phase.kind,
            started: At(phase.started),
            ended: has_ended.then_some(At(phase.ended)),
            seconds: has_ended.then(|| phase.span().as_secs_f64()),
        }
    };
    phases.iter().enumerate().map(value).collect()
}

impl From<PullTimes> for ImagePull {
    fn from(pull: PullTimes) -> Self {
        Self {
            container: pull.container,
            image: pull.image,
            started: At(pull.started),
            ended: pull.ended.map(At),
            bytes: pull.bytes,
        }
    }
}
