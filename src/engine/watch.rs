//! Watches placed attempts: the executor is the second witness of every end, and the first of those that come from
//! outside.

use std::collections::BTreeMap;

use super::{
    Engine, Result,
    settle::Place,
    verdict::{Evidence, verdict},
};
use crate::{
    agent::protocol::EndRecord,
    executor::{ContainerEnd, ExecutorError, Hopeless, Observation, Outside, Why},
    model::{AttemptId, Infrastructure, JobId, JobState, Verdict},
    store::{ActionRow, AttemptRow, JobRow},
};

/// Which jobs of an attempt the executor's account is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// All: nothing of it runs any more.
    All,
    /// Those whose containers have ended, while others go on.
    Ended,
}

impl Engine {
    /// Looks what became of a placed attempt.
    pub(super) async fn watch(&self, action: &ActionRow, attempt: &AttemptRow) -> Result<()> {
        if let Some(by) = &action.cancelled_by
            && self.may_be_taken_away(attempt).await?
        {
            let verdict = Verdict::stopped_by(by);
            return self.end_now(action, attempt, |_| Some(verdict.clone())).await;
        }
        let looked = self.executor.look(attempt.id).await;
        if let Ok(sight) = &looked {
            self.keep_moments(attempt, &sight.moments).await?;
        }
        match looked.map(|sight| sight.observation) {
            Ok(Observation::Waiting { hopeless: Some(hopeless), .. }) => {
                self.end_hopeless(action, attempt, &hopeless).await
            }
            Ok(Observation::Waiting { message, hopeless: None }) => self.say(action, &message).await,
            Ok(Observation::Running) => self.look_after_agents(action, attempt).await,
            Ok(Observation::PartlyEnded { containers }) => {
                self.end_by_evidence(action, attempt, &containers, None, About::Ended).await?;
                self.look_after_agents(action, attempt).await
            }
            Ok(Observation::Absent) => {
                let words = "nothing is left of it on the executor".to_owned();
                let gone = Outside::Infrastructure(Infrastructure::Deleted, words);
                self.end_by_evidence(action, attempt, &[], Some(&gone), About::All).await
            }
            Ok(Observation::Ended { containers, outside }) => {
                self.end_by_evidence(action, attempt, &containers, outside.as_ref(), About::All).await
            }
            Err(
                ExecutorError::Away { message, .. }
                | ExecutorError::NoRoom { message, .. }
                | ExecutorError::Refused { message, .. },
            ) => {
                tracing::debug!(attempt.id = %attempt.id, message, "attempt not observed");
                Ok(())
            }
        }
    }

    /// A cancelled attempt whose agents never came, or have been silent for long, need not be asked to stop.
    async fn may_be_taken_away(&self, attempt: &AttemptRow) -> Result<bool> {
        let (now, patience) = (self.now(), self.settings.patience.stop);
        let jobs = self.store.read().await?.jobs(attempt.id).await?;
        let mut running = jobs.iter().filter(|job| job.state.0 == JobState::Running);
        Ok(running.all(|job| job.heard.is_none_or(|heard| now.since(heard) > patience)))
    }

    /// Ends jobs by what the executor tells of their containers, and of the whole attempt.
    pub(super) async fn end_by_evidence(
        &self,
        action: &ActionRow,
        attempt: &AttemptRow,
        containers: &[ContainerEnd],
        outside: Option<&Outside>,
        about: About,
    ) -> Result<()> {
        self.keep_records(attempt.id, containers).await?;
        let rows = self.store.read().await?.jobs(attempt.id).await?;
        let refusals = self.refusals(attempt.id).await?;
        let place = Place::of(&mut self.store.read().await?, attempt.id).await?;
        let podless = self.store.read().await?.podless(attempt.id).await?;
        let masks = self.masks_of(attempt.id).await?;
        let by_evidence = |job: &JobRow| {
            if podless.iter().any(|row| row.job_id == job.id) {
                // it was never there, so its end says nothing
                return None;
            }
            let container = containers.iter().find(|end| end.job == job.id);
            let left = container.and_then(|end| end.end_record.as_deref()).and_then(|text| record_of(text, job));
            let left = left.map(|record| super::hide::record(&masks, &record));
            let told = job.record.as_ref().map(|record| &record.0);
            let evidence = Evidence {
                record: left.as_ref().or(told),
                container,
                outside,
                hopeless: None,
                refusal: refusals.get(&job.id).map(String::as_str),
                strict: place.is_strict(job.place),
                timeout: place.timeout(self, job.place).unwrap_or(self.settings.job_timeout),
                log: u64::try_from(job.log_length).unwrap_or(0),
            };
            (about == About::All || container.is_some())
                .then(|| self.end_of(&place, &rows, job, verdict(&evidence), self.now()))
        };
        self.end_now(action, attempt, by_evidence).await
    }

    /// Ends an attempt that can never run as a whole: first the job that it is about, then those beside it.
    async fn end_hopeless(&self, action: &ActionRow, attempt: &AttemptRow, hopeless: &Hopeless) -> Result<()> {
        let end = verdict(&Evidence { hopeless: Some(&hopeless.why), ..Evidence::default() });
        let is_meant = |job: &JobRow| hopeless.job.is_none_or(|meant| meant == job.id);
        let jobs = self.store.read().await?.jobs(attempt.id).await?;
        let (meant, beside): (Vec<_>, Vec<_>) = jobs.into_iter().partition(is_meant);
        let reason = match (&hopeless.why, beside.is_empty()) {
            (Why::Infrastructure(..), _) | (_, true) => None,
            (_, false) => Some(format!("another job of the action: {end}")),
        };
        let now = self.now();
        let mut tx = self.hold(action, now).await?;
        let of_meant = |job: &JobRow| meant.iter().any(|one| one.id == job.id).then(|| end.clone());
        self.end_attempt(&mut tx, attempt.id, of_meant, now).await?;
        let of_others = |job: &JobRow| Some(reason.as_ref().map_or_else(|| end.clone(), |why| left_out(job, why)));
        self.end_attempt(&mut tx, attempt.id, of_others, now).await?;
        Ok(tx.commit().await?)
    }

    /// What the jobs of an attempt have posted against themselves.
    async fn refusals(&self, attempt: AttemptId) -> Result<BTreeMap<JobId, String>> {
        let mut tx = self.store.read().await?;
        let mut refusals = BTreeMap::new();
        for job in tx.jobs(attempt).await? {
            refusals.extend(super::event::refusal(&mut tx, job.id).await?.map(|refusal| (job.id, refusal)));
        }
        Ok(refusals)
    }
}

/// The end of a job that is not to blame for its action's.
fn left_out(job: &JobRow, why: &str) -> Verdict {
    match &job.state.0 {
        JobState::Running => Verdict::Cancelled { by: why.to_owned() },
        JobState::Waiting | JobState::Ended(_) => Verdict::Skipped { reason: why.to_owned() },
    }
}

/// A termination message is an end record only if it is this job's.
pub(super) fn record_of(text: &str, job: &JobRow) -> Option<EndRecord> {
    serde_json::from_str::<EndRecord>(text).ok().filter(|record| record.job == job.id)
}
