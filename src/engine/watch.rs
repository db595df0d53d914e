//! Watches placed attempts: the executor is the second witness of every end, and the first of those that come from
//! outside.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Engine, Result,
    settle::Place,
    verdict::{Evidence, verdict},
};
use crate::{
    agent::protocol::EndRecord,
    executor::{ContainerEnd, ExecutorError, Hopeless, Observation},
    model::{AttemptId, Infrastructure, JobId, JobState, Verdict},
    store::{ActionRow, AttemptRow, JobRow},
};

/// How long an agent that was told to stop may stay silent before it is taken away.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
impl Engine {
    /// Looks what became of a placed attempt.
    pub(super) async fn watch(&self, action: &ActionRow, attempt: &AttemptRow) -> Result<()> {
        if let Some(by) = &action.cancelled_by
            && self.may_be_taken_away(attempt).await?
        {
            let verdict = Verdict::Cancelled { by: by.clone() };
            return self.end_now(action, attempt, |_| Some(verdict.clone())).await;
        }
        match self.executor.observe(attempt.id).await {
            Ok(Observation::Waiting { hopeless: Some(hopeless), .. }) => {
                let verdict = hopeless_verdict(hopeless);
                self.end_now(action, attempt, |_| Some(verdict.clone())).await
            }
            Ok(Observation::Waiting { message, hopeless: None }) => self.say(action, &message).await,
            Ok(Observation::Running) => self.weigh_silence(action, attempt).await,
            Ok(Observation::Absent) => {
                let gone = (Infrastructure::Deleted, "nothing is left of it on the executor".to_owned());
                self.end_by_evidence(action, attempt, &[], Some(&gone)).await
            }
            Ok(Observation::Ended { containers, infrastructure }) => {
                self.end_by_evidence(action, attempt, &containers, infrastructure.as_ref()).await
            }
            Err(ExecutorError::Away { message, .. } | ExecutorError::Refused { message, .. }) => {
                tracing::debug!(attempt.id = %attempt.id, message, "attempt not observed");
                Ok(())
            }
        }
    }

    /// A cancelled attempt whose agents never came, or have been silent for long, need not be asked to stop.
    async fn may_be_taken_away(&self, attempt: &AttemptRow) -> Result<bool> {
        let now = self.now();
        let jobs = self.store.read().await?.jobs(attempt.id).await?;
        let running = jobs.iter().find(|job| job.state.0 == JobState::Running);
        Ok(running.is_none_or(|job| job.heard.is_none_or(|heard| now.since(heard) > STOP_PATIENCE)))
    }

    async fn end_by_evidence(
        &self,
        action: &ActionRow,
        attempt: &AttemptRow,
        containers: &[ContainerEnd],
        infrastructure: Option<&(Infrastructure, String)>,
    ) -> Result<()> {
        self.keep_records(attempt.id, containers).await?;
        let refusals = self.refusals(attempt.id).await?;
        let place = Place::of(&mut self.store.read().await?, attempt.id).await?;
        let by_evidence = |job: &JobRow| {
            let container = containers.iter().find(|end| end.job == job.id);
            let record = container.and_then(|end| end.end_record.as_deref()).and_then(|text| record_of(text, job));
            Some(verdict(&Evidence {
                record: record.as_ref(),
                container,
                infrastructure,
                refusal: refusals.get(&job.id).map(String::as_str),
                timeout: place.timeout(self, job.place).unwrap_or(self.settings.job_timeout),
                log: u64::try_from(job.log_length).unwrap_or(0),
            }))
        };
        self.end_now(action, attempt, by_evidence).await
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

fn hopeless_verdict(hopeless: Hopeless) -> Verdict {
    match hopeless {
        Hopeless::ImageNotFound { image, message } => Verdict::ImageNotFound { image, message },
        Hopeless::CannotStart { message } => Verdict::CannotStart { message },
        Hopeless::Infrastructure(kind, message) => Verdict::Infrastructure { kind, message },
    }
}

/// A termination message is an end record only if it is this job's.
pub(super) fn record_of(text: &str, job: &JobRow) -> Option<EndRecord> {
    serde_json::from_str::<EndRecord>(text).ok().filter(|record| record.job == job.id)
}
