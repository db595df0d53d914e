//! What the time of attempts and of runs went into: from being wanted to the end, without a gap.
//!
//! Three clocks tell of it: the server's own, the executor's and the agents'. The server's counts. What the others say is
//! moved to the nearest place between what the server saw itself, so that nothing ends before it began; the executor's
//! clock is set by the moment at which it wrote the attempt down. A cluster tells whole seconds, so its phases may be off
//! by one.

mod job;
mod run;
mod words;

use std::time::Duration;

use crate::{
    agent::protocol::Chores,
    model::{JobId, Moments, Phase, PhaseKind, Time, fitted, partition},
    store::{AttemptRow, AttemptTimes, JobRow, JobTimes},
};

pub use run::{OfAttempt, RunTimeline};
pub use words::{Summary, now_words, plain_image, words};

/// A cluster's clock may tell the second that a moment is in, and not the moment.
const SECOND: Duration = Duration::from_secs(1);
/// Where pods wait for a machine.
const CLUSTER: &str = "kubernetes";

/// What is known of an attempt's time.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// When its action was queued for it.
    pub queued: Option<Time>,
    /// When it was decided.
    pub created: Time,
    /// When the executor took it.
    pub placed: Option<Time>,
    /// When its first job started.
    pub started: Option<Time>,
    /// When its last job ended.
    pub ended: Option<Time>,
    /// Where it was placed.
    pub executor: &'a str,
    /// What the executor has told.
    pub moments: &'a Moments,
}

/// What is known of a job's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobFacts {
    /// Which.
    pub id: JobId,
    /// Its place in the action's plan.
    pub place: i64,
    /// Whether it runs beside jobs, and is none.
    pub is_service: bool,
    /// When it was told to start.
    pub started: Option<Time>,
    /// When it had ended.
    pub ended: Option<Time>,
    /// When a service was ready.
    pub ready: Option<Time>,
    /// When its process was started, by the agent's clock, and when the agent had seen its end.
    pub process: Option<(Option<Time>, Time)>,
    /// What its agent did besides, by the same clock.
    pub chores: Chores,
}

/// What an attempt's time went into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// Its own phases: they follow each other without a gap from its beginning to its end.
    pub phases: Vec<Phase>,
    /// Those of its jobs and services, in the plan's order.
    pub jobs: Vec<JobPhases>,
    /// Images that had to be fetched.
    pub pulls: Vec<PullTimes>,
    /// The machine, where it has a name.
    pub node: Option<String>,
    /// Whether it goes on.
    pub open: bool,
}

/// What a job's time went into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPhases {
    /// Which.
    pub job: JobId,
    /// Its place in the action's plan.
    pub place: i64,
    /// They follow each other without a gap. None: there is nothing of it yet.
    pub phases: Vec<Phase>,
}

/// How long an image took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullTimes {
    /// The container that needed it.
    pub container: String,
    /// Its job; `None`: it brings the agent.
    pub job: Option<JobId>,
    /// The image.
    pub image: String,
    /// When it was asked for.
    pub started: Time,
    /// When it was there; `None`: it is on its way.
    pub ended: Option<Time>,
    /// How large it is, in bytes.
    pub bytes: Option<u64>,
}

/// What an attempt's time went into, up to now.
pub fn timeline(facts: &Facts<'_>, jobs: &[JobFacts], now: Time) -> Timeline {
    let frame = Frame::of(facts, now);
    let pulls: Vec<PullTimes> = facts.moments.pulls.iter().map(|pull| frame.pull(facts.moments, pull)).collect();
    let mut known = frame.before_the_start();
    known.extend(pulls.iter().map(|pull| Phase::new(PhaseKind::Pull, pull.started, pull.ended.unwrap_or(frame.to))));
    known.extend(jobs.iter().flat_map(|one| job::of_attempt(&frame, one)));
    Timeline {
        phases: partition(frame.from, frame.to, PhaseKind::Wait, &known),
        jobs: jobs.iter().map(|one| job::phases(&frame, facts.moments, &pulls, one)).collect(),
        pulls,
        node: facts.moments.node.clone(),
        open: facts.ended.is_none(),
    }
}

/// An attempt's own moments in their order, all by the server's clock.
struct Frame {
    from: Time,
    placed: Option<Time>,
    /// When it had a machine; where that is not told, when it was placed.
    scheduled: Option<Time>,
    /// When its first job's container ran.
    running: Option<Time>,
    started: Option<Time>,
    to: Time,
    /// Whether it waits, or waited to its end, for a machine.
    is_homeless: bool,
    /// What is added to the executor's moments, in milliseconds.
    shift: i64,
}

impl Frame {
    fn of(facts: &Facts<'_>, now: Time) -> Self {
        let (moments, from) = (facts.moments, facts.queued.map_or(facts.created, |queued| queued.min(facts.created)));
        let to = facts.ended.unwrap_or(now).max(from);
        let placed = facts.placed.map(|placed| placed.clamp(from, to));
        let started = facts.started.map(|started| started.clamp(placed.unwrap_or(from), to));
        let first = moments.containers.iter().filter(|ran| ran.job.is_some()).map(|ran| ran.started).min();
        let frame = Self {
            from,
            placed,
            scheduled: None,
            running: None,
            started,
            to,
            is_homeless: false,
            shift: shift(facts, now),
        };
        let told = moments.scheduled.map(|at| frame.ours(at, placed.unwrap_or(from), frame.limit()));
        let is_homeless = facts.executor == CLUSTER && told.is_none() && first.is_none() && started.is_none();
        let scheduled = told.or(placed).filter(|_| !is_homeless);
        let running = first.map(|at| frame.ours(at, scheduled.unwrap_or(from), frame.limit()));
        Self { scheduled, running, is_homeless, ..frame }
    }

    /// The latest moment for what comes before the first job's start.
    fn limit(&self) -> Time {
        self.started.unwrap_or(self.to)
    }

    /// The executor's moment as ours.
    fn moved(&self, theirs: Time) -> Time {
        Time::from_millis(theirs.as_millis().saturating_add(self.shift))
    }

    /// The same, between two of ours.
    fn ours(&self, theirs: Time, lowest: Time, highest: Time) -> Time {
        self.moved(theirs).clamp(lowest, highest.max(lowest))
    }

    fn before_the_start(&self) -> Vec<Phase> {
        let limit = self.limit();
        let mut known = vec![Phase::new(PhaseKind::Queue, self.from, self.placed.unwrap_or(limit))];
        let Some(placed) = self.placed else { return known };
        known.push(Phase::new(PhaseKind::Schedule, placed, self.scheduled.unwrap_or(limit)));
        if !self.is_homeless {
            let has_it = self.scheduled.unwrap_or(placed);
            known.push(Phase::new(PhaseKind::Init, has_it, self.running.unwrap_or(limit)));
        }
        known.extend(self.running.map(|running| Phase::new(PhaseKind::Wait, running, limit)));
        known
    }

    fn pull(&self, moments: &Moments, pull: &crate::model::Pull) -> PullTimes {
        let ran = moments.containers.iter().find(|ran| ran.container == pull.container);
        // a container that runs has its image, whoever has missed the word for it
        let ended = pull.ended.or(ran.map(|ran| ran.started)).map(|ended| self.moved(ended));
        let lowest = moments.scheduled.and(self.scheduled).unwrap_or(self.from);
        let started = self.moved(pull.started);
        let (started, until) = fitted((started, ended.unwrap_or(self.to)), lowest, self.to);
        PullTimes {
            container: pull.container.clone(),
            job: pull.job,
            image: pull.image.clone(),
            started,
            ended: ended.map(|_| until),
            bytes: pull.bytes,
        }
    }
}

/// How far the executor's clock is behind ours: it wrote the attempt down after we had decided it, and before we heard
/// that it had. The least that makes that true.
fn shift(facts: &Facts<'_>, now: Time) -> i64 {
    let Some(made) = facts.moments.made else { return 0 };
    let latest = facts.placed.unwrap_or(now).max(facts.created);
    let right = made.clamp(facts.created.before(SECOND), latest);
    right.as_millis().saturating_sub(made.as_millis())
}

/// The same of a whole row and of what is read of it for a run's timeline.
macro_rules! facts {
    ($($attempt:ty, $job:ty;)*) => {$(
        impl<'a> From<&'a $attempt> for Facts<'a> {
            fn from(row: &'a $attempt) -> Self {
                Self {
                    queued: row.queued,
                    created: row.created,
                    placed: row.placed,
                    started: row.started,
                    ended: row.ended,
                    executor: &row.executor,
                    moments: &row.moments.0,
                }
            }
        }

        impl From<&$job> for JobFacts {
            fn from(row: &$job) -> Self {
                Self {
                    id: row.id,
                    place: row.place,
                    is_service: row.service_after.is_some(),
                    started: row.started,
                    ended: row.ended,
                    ready: row.ready,
                    process: row.record.as_ref().map(|record| (record.started, record.ended)),
                    chores: row.record.as_ref().map(|record| record.chores).unwrap_or_default(),
                }
            }
        }
    )*};
}

facts! {
    AttemptRow, JobRow;
    AttemptTimes, JobTimes;
}
