//! What a job's time went into: its image, its container, its turn, what it needs, its process, and what it leaves.

use super::{Frame, JobFacts, JobPhases, PullTimes};
use crate::agent::protocol::{Chores, Stretch};
use crate::model::{Moments, Phase, PhaseKind, Time, fitted, partition};

/// What a job's work means for its attempt. A service runs beside jobs: until it is ready they may wait for it, and
/// then it counts for nothing.
pub(super) fn of_attempt(frame: &Frame, job: &JobFacts) -> Vec<Phase> {
    let mut known = work(frame, job);
    known.retain(|phase| !(job.is_service && phase.kind == PhaseKind::Run));
    known
}

/// What a job's time went into, from the first that there is of it.
pub(super) fn phases(frame: &Frame, moments: &Moments, pulls: &[PullTimes], job: &JobFacts) -> JobPhases {
    let ran = moments.container(job.id);
    let pull = pulls.iter().find(|pull| pull.job == Some(job.id));
    let limit = job.started.unwrap_or(frame.to).clamp(frame.from, frame.to);
    let made = ran.map(|ran| frame.ours(ran.started, frame.scheduled.unwrap_or(frame.from), limit));
    let mut known = work(frame, job);
    known.extend(pull.map(|pull| Phase::new(PhaseKind::Pull, pull.started, pull.ended.unwrap_or(frame.to).min(limit))));
    let (pulled, beginning) = (pull.and_then(|pull| pull.ended), pull.map(|pull| pull.started));
    known.extend(pulled.map(|pulled| Phase::new(PhaseKind::Init, pulled, made.unwrap_or(limit))));
    let first = beginning.into_iter().chain(made).chain(job.started.map(|_| limit)).min();
    let end = job.ended.unwrap_or(frame.to).clamp(limit, frame.to);
    let phases = first.map(|first| partition(first, end, PhaseKind::Wait, &known)).unwrap_or_default();
    JobPhases { job: job.id, place: job.place, phases }
}

/// From its turn to its end.
fn work(frame: &Frame, job: &JobFacts) -> Vec<Phase> {
    let Some(started) = job.started else { return Vec::new() };
    let started = started.clamp(frame.started.unwrap_or(frame.from), frame.to);
    let ended = job.ended.unwrap_or(frame.to).clamp(started, frame.to);
    if job.is_service {
        return service(job, started, ended);
    }
    // what the agent's clock says, and where that is by ours
    let (theirs, (begun, over)) = match job.process {
        None => (None, (started, ended)),
        // there was never a process
        Some((None, over)) => (first(&job.chores).map(|first| (first, over)), (ended, ended)),
        Some((Some(begun), over)) => (Some((begun, over)), fitted((begun, over), started, ended)),
    };
    let mut known = vec![
        Phase::new(PhaseKind::Fetch, started, begun),
        Phase::new(PhaseKind::Run, begun, over),
        Phase::new(PhaseKind::Keep, over, ended),
    ];
    if let Some(theirs) = theirs {
        let by = fitted(theirs, started, ended).0.as_millis().saturating_sub(theirs.0.as_millis());
        known.extend(chores(&job.chores, by, (started, begun), (over, ended)));
    }
    known
}

/// When the agent began with what it had to do.
fn first(chores: &Chores) -> Option<Time> {
    [chores.source, chores.restore, chores.download].into_iter().flatten().map(|Stretch(started, _)| started).min()
}

/// What an agent did before the process and after it, moved by so many milliseconds to the server's clock.
fn chores(all: &Chores, by: i64, before: (Time, Time), after: (Time, Time)) -> impl Iterator<Item = Phase> {
    let all = [
        (PhaseKind::Source, all.source, before),
        (PhaseKind::Restore, all.restore, before),
        (PhaseKind::Download, all.download, before),
        (PhaseKind::Report, all.report, after),
        (PhaseKind::Upload, all.upload, after),
        (PhaseKind::Save, all.save, after),
    ];
    all.into_iter().filter_map(move |(kind, stretch, (lowest, highest))| {
        let Stretch(started, ended) = stretch?;
        let ours = |time: Time| Time::from_millis(time.as_millis().saturating_add(by)).clamp(lowest, highest);
        Some(Phase::new(kind, ours(started), ours(ended)))
    })
}

fn service(job: &JobFacts, started: Time, ended: Time) -> Vec<Phase> {
    let ready = job.ready.unwrap_or(ended).clamp(started, ended);
    vec![Phase::new(PhaseKind::Init, started, ready), Phase::new(PhaseKind::Run, ready, ended)]
}
