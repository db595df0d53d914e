//! One step of a kubectl job: what is next, and how it is written down.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Trouble, log,
    progress::{Object, Progress, Stage},
};
use crate::{
    engine::{
        Engine, EngineError, Result,
        settle::{Place, left_out},
    },
    executor::kubernetes::deploy::{Account, DeployError},
    model::{AttemptId, Infrastructure, JobState, Kubectl, Span, Time, Verdict},
    store::{ActionRow, JobRow, PodlessRow},
};

/// How long it is waited for what rolls out, if the job does not say.
const WAIT: Duration = Duration::from_secs(300);
/// How long a cluster, or a manifest's server, may be away before it is somebody else's turn to care.
const AWAY_MAX: Duration = Duration::from_secs(600);

/// A job that is gone on with.
pub(super) struct Work<'a> {
    pub(super) engine: &'a Engine,
    pub(super) action: &'a ActionRow,
    pub(super) place: Place,
    pub(super) job: JobRow,
    pub(super) kubectl: Kubectl,
    pub(super) account: Account,
    pub(super) progress: Progress,
}

/// What a step came to.
pub(super) enum Step {
    /// There is more to do.
    Again,
    /// It is over.
    End(Verdict, Vec<String>),
}

impl Engine {
    /// Takes a step with the first job of an attempt that has no container and has not ended, if it is its turn.
    pub(in crate::engine) async fn step_podless(&self, action: &ActionRow, attempt: AttemptId) -> Result<()> {
        let Some((job, row)) = self.podless_turn(attempt).await? else { return Ok(()) };
        let place = Place::of(&mut self.store.read().await?, attempt).await?;
        let plan = self.job_plan(&place, &job)?;
        if job.state.0 == JobState::Waiting
            && let Some(reason) = left_out(&mut self.store.read().await?, &place, &job).await?
        {
            let mut tx = self.hold(action, self.now()).await?;
            self.end_job(&mut tx, &job, Verdict::Skipped { reason }, self.now()).await?;
            return Ok(tx.commit().await?);
        }
        if let Some(trigger) = plan.trigger.clone() {
            return self.step_trigger(action, &place, &job, &trigger).await;
        }
        let Some(kubectl) = plan.kubectl.clone() else { return Ok(()) };
        let account = self.deploys.place(&kubectl, &place.run.event).and_then(|(cluster, account)| {
            cluster.account(&kubectl.namespace, account).map_err(|error: DeployError| error.to_string())
        });
        let broken = |error: serde_json::Error| EngineError::Broken(format!("the progress of job {}: {error}", job.id));
        let progress =
            if row.progress.is_empty() { Ok(Progress::default()) } else { serde_json::from_str(&row.progress) };
        let progress = progress.map_err(broken)?;
        let account = match account {
            Ok(account) => account,
            Err(reason) => return self.refuse_podless(action, &place, &job, reason).await,
        };
        Work { engine: self, action, place, job, kubectl, account, progress }.go_on().await
    }

    /// The first open job of an attempt that has no container, if all before it have ended.
    pub(in crate::engine) async fn podless_turn(&self, attempt: AttemptId) -> Result<Option<(JobRow, PodlessRow)>> {
        let mut tx = self.store.read().await?;
        let mut rows = tx.podless(attempt).await?;
        let jobs = tx.jobs(attempt).await?;
        let Some(job) = jobs.into_iter().find(|job| job.state.verdict().is_none()) else { return Ok(None) };
        let Some(at) = rows.iter().position(|row| row.job_id == job.id) else { return Ok(None) };
        let place = Place::of(&mut tx, attempt).await?;
        let may_start = crate::engine::claim::may_start(&mut tx, &place, &job).await?;
        Ok(may_start.then(|| (job, rows.swap_remove(at))))
    }

    async fn refuse_podless(&self, action: &ActionRow, place: &Place, job: &JobRow, reason: String) -> Result<()> {
        let now = self.now();
        let verdict = Verdict::NotDeployed { message: reason.clone() };
        let record = log::record(self, job.id, std::slice::from_ref(&reason), &verdict, now).await?;
        let mut tx = self.hold(action, now).await?;
        self.started(&mut tx, place, job, now).await?;
        log::append(&mut tx, job.id, &[reason], now).await?;
        tx.keep_record(job.id, &record).await?;
        self.end_job(&mut tx, job, verdict, now).await?;
        Ok(tx.commit().await?)
    }

    /// Says in the log of a job without a container that it was stopped.
    pub(in crate::engine) async fn tell_podless(&self, action: &ActionRow, attempt: AttemptId, by: &str) -> Result<()> {
        let mut tx = self.store.read().await?;
        let rows = tx.podless(attempt).await?;
        let jobs = tx.jobs(attempt).await?;
        drop(tx);
        let is_running =
            |job: &&JobRow| job.state.0 == JobState::Running && rows.iter().any(|row| row.job_id == job.id);
        let Some(job) = jobs.iter().filter(|job| job.record.is_none()).find(is_running) else { return Ok(()) };
        let (now, verdict) = (self.now(), Verdict::stopped_by(by));
        let place = Place::of(&mut self.store.read().await?, attempt).await?;
        let left = match self.job_plan(&place, job)?.trigger {
            Some(_) => self.stop_trigger(action, job, by, now).await?,
            None => "what was applied stays as it is".to_owned(),
        };
        let line = [format!("{verdict}; {left}")];
        let record = log::record(self, job.id, &line, &verdict, now).await?;
        let mut tx = self.hold(action, now).await?;
        log::append(&mut tx, job.id, &line, now).await?;
        tx.keep_record(job.id, &record).await?;
        Ok(tx.commit().await?)
    }
}

impl Work<'_> {
    async fn go_on(mut self) -> Result<()> {
        self.begin().await?;
        let step = match self.overdue() {
            Some(verdict) if self.progress.failure.is_none() => self.fail(verdict).await,
            Some(_) | None => self.next().await,
        };
        match step {
            Ok(Step::Again) => Ok(()),
            Ok(Step::End(verdict, lines)) => self.end(verdict, &lines).await,
            Err(Trouble::Engine(error)) => Err(error),
            Err(Trouble::Later(message)) => self.away(&message).await,
            Err(Trouble::Never(message)) => match self.fail(Verdict::NotDeployed { message }).await {
                Ok(Step::End(verdict, lines)) => self.end(verdict, &lines).await,
                Ok(Step::Again) => Ok(()),
                Err(Trouble::Engine(error)) => Err(error),
                Err(Trouble::Later(message) | Trouble::Never(message)) => Err(EngineError::Broken(message)),
            },
        }
    }

    async fn next(&mut self) -> Result<Step, Trouble> {
        if self.progress.failure.is_some() {
            return self.roll_back().await;
        }
        if !self.progress.is_applied() {
            self.apply().await?;
        }
        if self.progress.applied.is_none() {
            self.progress.applied = Some(self.engine.now());
            self.note(&[]).await?;
        }
        self.look().await
    }

    /// The job runs, from its first step on.
    async fn begin(&mut self) -> Result<()> {
        if self.job.state.0 == JobState::Running {
            return Ok(());
        }
        let now = self.engine.now();
        let line = format!("applying {} to namespace {}", self.kubectl.manifest, self.kubectl.namespace);
        let mut tx = self.engine.hold(self.action, now).await?;
        self.engine.started(&mut tx, &self.place, &self.job, now).await?;
        log::append(&mut tx, self.job.id, &[line], now).await?;
        let job = tx.job(self.job.id).await?;
        tx.commit().await?;
        self.job = job.ok_or_else(|| EngineError::Broken(format!("job {} vanished", self.job.id)))?;
        Ok(())
    }

    /// Its end, if it is over its time.
    fn overdue(&self) -> Option<Verdict> {
        let limit = self.place.timeout(self.engine, self.job.place).ok()?;
        let started = self.job.started?;
        (self.engine.now().since(started) > limit).then_some(Verdict::TimedOut { after: limit })
    }

    /// How long it is waited.
    pub(super) fn patience(&self) -> Duration {
        self.kubectl.wait.unwrap_or(WAIT)
    }

    /// Writes down how far it is, with what is to be told of it.
    pub(super) async fn note(&mut self, lines: &[String]) -> Result<()> {
        let now = self.engine.now();
        let progress = serde_json::to_string(&self.progress).map_err(|error| EngineError::Broken(error.to_string()))?;
        let mut tx = self.engine.hold(self.action, now).await?;
        log::append(&mut tx, self.job.id, lines, now).await?;
        tx.podless_progress(self.job.id, &progress).await?;
        Ok(tx.commit().await?)
    }

    async fn end(&mut self, verdict: Verdict, lines: &[String]) -> Result<()> {
        let now = self.engine.now();
        let record = log::record(self.engine, self.job.id, lines, &verdict, now).await?;
        let mut tx = self.engine.hold(self.action, now).await?;
        log::append(&mut tx, self.job.id, lines, now).await?;
        tx.keep_record(self.job.id, &record).await?;
        // nobody needs what was there before any more, and it may be large
        tx.podless_progress(self.job.id, "").await?;
        let job = tx.job(self.job.id).await?;
        let job = job.ok_or_else(|| EngineError::Broken(format!("job {} vanished", self.job.id)))?;
        self.engine.end_job(&mut tx, &job, verdict, now).await?;
        Ok(tx.commit().await?)
    }

    /// A failure: the end, or the beginning of a way back.
    async fn fail(&mut self, verdict: Verdict) -> Result<Step, Trouble> {
        let line = verdict.to_string();
        if !self.kubectl.roll_back || self.progress.objects.is_empty() {
            return Ok(Step::End(verdict, vec![line]));
        }
        self.progress.failure = Some(verdict);
        self.note(&[line, "rolling back".to_owned()]).await?;
        Ok(Step::Again)
    }

    /// Nobody's fault, for a while.
    async fn away(&mut self, message: &str) -> Result<()> {
        let now = self.engine.now();
        match self.progress.away {
            None => {
                self.progress.away = Some(now);
                self.note(&[format!("{message}; it is tried again")]).await
            }
            Some(since) if now.since(since) > AWAY_MAX => {
                let message = format!("{message}, for {}", Span(now.since(since)));
                let verdict = Verdict::Infrastructure { kind: Infrastructure::Executor, message };
                let line = verdict.to_string();
                self.end(verdict, &[line]).await
            }
            Some(_) => Ok(()),
        }
    }

    /// The outside answers.
    pub(super) async fn is_back(&mut self) -> Result<()> {
        match self.progress.away.take() {
            Some(_) => self.note(&["it answers again".to_owned()]).await,
            None => Ok(()),
        }
    }

    /// The variables that a manifest's `@NAME@` may name.
    pub(super) async fn variables(&self) -> Result<BTreeMap<String, String>, Trouble> {
        let plan = self.engine.job_plan(&self.place, &self.job)?;
        let mut variables = plan.environments.clone();
        let mut tx = self.engine.store.read().await?;
        for subscription in &plan.subscriptions {
            match self.engine.value_of(&mut tx, &self.place, subscription).await? {
                Some(value) => drop(variables.insert(subscription.variable.clone(), value)),
                None if subscription.optional => {}
                None => {
                    let from = &subscription.from;
                    return Err(Trouble::Never(format!("{} did not write {}, which it needs", from.job, from.key)));
                }
            }
        }
        variables.extend(self.engine.variables(&self.place, plan)?);
        Ok(variables)
    }

    /// The moment that all were applied.
    pub(super) fn since(&self) -> Time {
        self.progress.applied.unwrap_or_else(|| self.engine.now())
    }

    pub(super) fn set(&mut self, at: usize, change: impl FnOnce(&mut Object)) {
        if let Some(object) = self.progress.objects.get_mut(at) {
            change(object);
        }
    }

    /// The places of the objects that are in this stage.
    pub(super) fn places(&self, stage: Stage) -> Vec<usize> {
        let objects = self.progress.objects.iter().enumerate();
        objects.filter(|(_, object)| object.stage == stage).map(|(at, _)| at).collect()
    }
}
