//! Services: rows of an attempt behind those of its jobs, with agents like theirs.
//!
//! A service starts when the jobs before it have ended, and the jobs after it start when it is ready. That it is, is a
//! column of its row, written at its agent's word: whoever dies in between, the jobs' agents ask again and hear it.
//! When the last job has ended, the services' agents hear that they are to stop; the attempt has ended when they have.
//! What a service's end means is decided here: pure, by its row and those beside it.

use std::time::Duration;

use super::{Engine, Result, settle::Place, turn::Denied};
use crate::{
    agent::protocol::{EndRecord, JOBS_ENDED},
    model::{ActionPlan, Check, Conclusion, JobState, Ready, Span, Time, Verdict},
    store::{AttemptRow, Change, JobRow},
};

/// Whether all of an attempt's jobs have ended: its services are needed no more.
pub(super) fn jobs_have_ended(rows: &[JobRow]) -> bool {
    rows.iter().filter(|row| !row.is_service()).all(|row| row.state.verdict().is_some())
}

/// Whether all that comes before a job, or a service, has ended or is ready.
pub(super) fn is_its_turn(rows: &[JobRow], row: &JobRow) -> bool {
    let before = row.service_after.unwrap_or(row.place);
    let mut jobs = rows.iter().filter(|other| !other.is_service() && other.place < before);
    let is_up = |service: &JobRow| service.ready.is_some() || service.state.verdict().is_some();
    let mut services = rows.iter().filter(|other| other.service_after.is_some_and(|after| after <= row.place));
    jobs.all(|job| job.state.verdict().is_some()) && (row.is_service() || services.all(is_up))
}

/// Those whose agents should have come by now: the job that is next, and the services before it.
pub(super) fn awaited(rows: &[JobRow]) -> impl Iterator<Item = &JobRow> {
    let next = rows.iter().find(|row| !row.is_service() && row.state.verdict().is_none());
    let started = next.map_or(-1, |job| job.place);
    let services = rows.iter().filter(move |row| row.service_after.is_some_and(|after| after <= started));
    next.into_iter().chain(services.filter(|service| service.state.verdict().is_none()))
}

/// What a row's end counts for in its action. A service counts if it was not ready, for its jobs could not start then;
/// later their own ends decide, and that it was gone is told.
pub(super) fn counted(row: &JobRow) -> Option<Verdict> {
    let verdict = row.state.verdict()?;
    if !row.is_service() || (row.ready.is_none() && !verdict.conclusion().lets_go_on()) {
        return Some(verdict.clone());
    }
    let warning = match verdict.conclusion() {
        Conclusion::Success | Conclusion::Warning | Conclusion::Skipped | Conclusion::Cancelled => None,
        Conclusion::Failure | Conclusion::TimedOut | Conclusion::Error => {
            Some(format!("ended while jobs ran: {verdict}"))
        }
    };
    Some(Verdict::Success { warning })
}

/// Why the jobs after a service cannot start: it has ended, and was never ready.
pub(super) fn failure_of(plan: &ActionPlan, row: &JobRow) -> Option<String> {
    let verdict = row.state.verdict().filter(|verdict| row.ready.is_none() && !verdict.conclusion().lets_go_on())?;
    let name = plan.member(usize::try_from(row.place).ok()?).map_or("", |service| &service.name);
    Some(format!("service `{name}`: {verdict}"))
}

/// How a service stood when it ended.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// What makes it ready.
    pub ready: &'a Ready,
    /// Whether it was.
    pub was_ready: bool,
    /// Whether all jobs had ended.
    pub jobs_ended: bool,
    /// For how long it ran.
    pub ran: Duration,
}

/// What a service's end is called, by what a job's would be.
pub fn end(found: Verdict, standing: &Standing<'_>) -> Verdict {
    let is_stopped = matches!(&found, Verdict::Cancelled { by } if by != JOBS_ENDED) || found == Verdict::RunTimedOut;
    if standing.jobs_ended && !is_stopped {
        // nobody needs it any more, however it went down
        return Verdict::success();
    }
    let how = match &found {
        Verdict::Success { .. } => "exit code 0".to_owned(),
        Verdict::Exit { .. } | Verdict::Signal { .. } | Verdict::ResultFalse { .. } | Verdict::StatusFalse { .. } => {
            found.to_string()
        }
        Verdict::NoResult
        | Verdict::OutOfMemory { .. }
        | Verdict::TimedOut { .. }
        | Verdict::Cancelled { .. }
        | Verdict::Skipped { .. }
        | Verdict::OutOfDisk { .. }
        | Verdict::RunTimedOut
        | Verdict::CannotStart { .. }
        | Verdict::NotKept { .. }
        | Verdict::ImageNotFound { .. }
        | Verdict::ImageDenied { .. }
        | Verdict::ImageInvalid { .. }
        | Verdict::Refused { .. }
        | Verdict::NotDeployed { .. }
        | Verdict::NotTriggered { .. }
        | Verdict::NotReady { .. }
        | Verdict::Infrastructure { .. } => return found,
    };
    if standing.was_ready {
        return found;
    }
    let check = &standing.ready.check;
    let waited = if *check == Check::Started { String::new() } else { format!(", while {check} was waited for") };
    Verdict::NotReady { message: format!("{how} after {}{waited}", Span(standing.ran)) }
}

impl Engine {
    /// A service's agent says that it is ready: jobs that waited for it may start.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn ready(&self, session: &str) -> Result<(), Denied> {
        let job = self.job_of_session(session).await?;
        if !job.is_service() || job.ready.is_some() || job.state.0 != JobState::Running {
            return Ok(());
        }
        let mut tx = self.store.write().await?;
        tx.service_ready(job.id, self.now()).await?;
        let place = Place::of(&mut tx, job.attempt_id).await?;
        tx.hurry_action(place.action.id).await?;
        tx.ring(Change::Attempt(job.attempt_id));
        tx.ring(Change::Run(place.run.id));
        Ok(tx.commit().await?)
    }

    /// The verdict of a row, by what it would be for a job.
    pub(super) fn end_of(&self, place: &Place, rows: &[JobRow], row: &JobRow, found: Verdict, now: Time) -> Verdict {
        let plan = place.plan().ok();
        let at = usize::try_from(row.place).unwrap_or(usize::MAX);
        let Some(service) = plan.and_then(|plan| plan.service(at)) else { return found };
        let record: Option<&EndRecord> = row.record.as_ref().map(|record| &record.0);
        let ended = record.map_or(now, |record| record.ended);
        let started = record.and_then(|record| record.started).or(row.started);
        let standing = Standing {
            ready: &service.ready,
            was_ready: row.ready.is_some(),
            jobs_ended: jobs_have_ended(rows),
            ran: started.map_or(Duration::ZERO, |started| ended.since(started)),
        };
        end(found, &standing)
    }

    /// Whether services go on for too long after the last job, though they were told to stop.
    pub(super) fn overstay(&self, rows: &[JobRow]) -> bool {
        let open = rows.iter().any(|row| row.is_service() && row.state.verdict().is_none());
        let last = rows.iter().filter(|row| !row.is_service()).filter_map(|row| row.ended).max();
        let (now, Some(last)) = (self.now(), last) else { return false };
        let since = last.max(self.contact.listening_since(now));
        open && jobs_have_ended(rows) && now.since(since) > self.settings.patience.stop
    }

    /// Ends what overstays: its pod is taken away then.
    pub(super) async fn end_overstaying(&self, action: &crate::store::ActionRow, attempt: &AttemptRow) -> Result<()> {
        tracing::warn!(attempt.id = %attempt.id, "services do not stop, and are taken away");
        let stopped = Verdict::Success { warning: Some("its agent did not answer when it was to stop".to_owned()) };
        self.end_now(action, attempt, |row| row.is_service().then(|| stopped.clone())).await
    }
}
