//! What the time of a whole run went into: at each moment the thing that is furthest, of all its attempts.

use std::collections::HashMap;

use super::{Facts, JobFacts, Timeline, timeline};
use crate::{
    engine::Result,
    model::{AttemptId, Phase, PhaseKind, Time, partition},
    store::{ApprovalRow, AttemptTimes, QueuedRow, RunRow, Tx},
};

/// A run's time, and that of every attempt at its actions.
#[derive(Debug)]
pub struct RunTimeline {
    /// Its first moment.
    pub from: Time,
    /// Its end, or now.
    pub to: Time,
    /// What its time went into, without a gap.
    pub phases: Vec<Phase>,
    /// Its attempts, in the plan's order, of each action first to last.
    pub attempts: Vec<OfAttempt>,
    /// Actions that wait for an attempt, in the plan's order.
    pub queued: Vec<(QueuedRow, Phase)>,
    /// The questions to people, by their stages' places.
    pub approvals: Vec<(i64, Phase)>,
    /// Whether it goes on.
    pub open: bool,
}

/// An attempt's row, and what its time went into.
#[derive(Debug)]
pub struct OfAttempt {
    /// What is known of it.
    pub row: AttemptTimes,
    /// What that means.
    pub times: Timeline,
}

impl RunTimeline {
    /// Reads it, as it is now: four statements, however large the run is.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn read(tx: &mut Tx, run: &RunRow, now: Time) -> Result<Self> {
        let mut jobs: HashMap<AttemptId, Vec<JobFacts>> = HashMap::new();
        for job in tx.job_times(run.id).await? {
            jobs.entry(job.attempt_id).or_default().push(JobFacts::from(&job));
        }
        let of = |row: AttemptTimes| {
            let jobs = jobs.get(&row.id).map_or(&[][..], Vec::as_slice);
            OfAttempt { times: timeline(&Facts::from(&row), jobs, now), row }
        };
        let attempts = tx.attempt_times(run.id).await?.into_iter().map(of).collect();
        let queued = if run.ended.is_none() { tx.queued_actions(run.id).await? } else { Vec::new() };
        Ok(Self::of(run, (attempts, queued), &tx.approvals(run.id).await?, now))
    }

    fn of(
        run: &RunRow,
        (attempts, queued): (Vec<OfAttempt>, Vec<QueuedRow>),
        approvals: &[ApprovalRow],
        now: Time,
    ) -> Self {
        let (from, open) = (run.created, run.ended.is_none());
        let to = run.ended.unwrap_or(now).max(from);
        let asked = |row: &ApprovalRow| {
            (row.stage, Phase::new(PhaseKind::Approval, row.asked.max(from), row.answered.unwrap_or(to).min(to)))
        };
        let approvals: Vec<_> = approvals.iter().map(asked).collect();
        let waits = |row: QueuedRow| {
            let phase = Phase::new(PhaseKind::Queue, row.queued.clamp(from, to), to);
            (row, phase)
        };
        let queued = queued.into_iter().map(waits).collect();
        let all = attempts.iter().flat_map(|attempt| &attempt.times.phases);
        let known: Vec<Phase> = all.chain(approvals.iter().map(|(_, phase)| phase)).copied().collect();
        Self { from, to, phases: partition(from, to, PhaseKind::Queue, &known), attempts, queued, approvals, open }
    }
}
