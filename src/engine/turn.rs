//! What agents ask and tell. Each call may come again and then changes nothing; none is believed without its token.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::FutureExt as _;
use secrecy::ExposeSecret as _;

use super::{
    Engine, EngineError, Result,
    checkout::{self, Ready},
    hide, inputs, service,
    settle::{Place, left_out, places},
    verdict::{Evidence, verdict},
};
use crate::{
    agent::protocol::{
        Cause, ChunkError, ClaimAnswer, EndRecord, Heartbeat, HeartbeatAnswer, JOBS_ENDED, LogAnswer, OUTPUT_VALUE_MAX,
        OUTPUTS_MAX, Outputs, Start, Upload, Work,
    },
    blob::{Blob, Digest},
    executor::ExecutorKind,
    flow::{self, data::MAX_DATA_BYTES},
    model::{
        ActionState, Artifact, AttemptId, AttemptState, EventKind, JobPlan, JobState, Program, RunState, Subscription,
        Time, Verdict,
    },
    store::{Change, JobRow, RunRow, Tx, Wanted},
};

/// An agent is not answered as it would like.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// The token or session is unknown, or another agent has the job: 401.
    #[error("this token is good for nothing (any more)")]
    Unknown,
    /// The agent speaks another protocol: 400.
    #[error("{0}")]
    Protocol(String),
    /// A log chunk that is none: 400.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// The chunk does not begin where the log ends: 409, with where it does.
    #[error("the log has {} bytes", .0.length)]
    Gap(LogAnswer),
    /// An event's body is none: 400.
    #[error("the event's body is not `{{\"INFO\": {{\"status\": true or false}}}}`: {0}")]
    Event(String),
    /// A part or an artifact that is none, or not this job's, or too much: 400.
    #[error("it is not kept: {0}")]
    Bundle(String),
    /// More output than a job may have: 413.
    #[error("outputs may have {OUTPUT_VALUE_MAX} bytes each and {OUTPUTS_MAX} in all")]
    TooMuch,
    /// Not the agent's doing: 503.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<crate::store::StoreError> for Denied {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl Engine {
    pub(super) async fn answer(&self, tx: &mut Tx, job: &JobRow, now: Time) -> Result<ClaimAnswer> {
        let leave = |reason: &str| Ok(ClaimAnswer::Leave { reason: reason.to_owned() });
        let place = Place::of(tx, job.attempt_id).await?;
        if !place.attempt.state.0.is_under_way() {
            return leave("the attempt is over");
        }
        match &job.state.0 {
            JobState::Ended(verdict) => return leave(&verdict.to_string()),
            JobState::Running => return self.work(tx, &place, job, now).await,
            JobState::Waiting => {}
        }
        if let Some(by) = &place.action.cancelled_by {
            self.end_job(tx, job, Verdict::stopped_by(by), now).await?;
            return leave("cancelled");
        }
        if !super::claim::may_start(tx, &place, job).await? {
            return Ok(ClaimAnswer::Wait);
        }
        if let Some(reason) = left_out(tx, &place, job).await? {
            self.end_job(tx, job, Verdict::Skipped { reason: reason.clone() }, now).await?;
            return leave(&reason);
        }
        self.work(tx, &place, job, now).await
    }

    /// The job's work; from now on it runs. A subscription to an output that was never written ends it instead.
    async fn work(&self, tx: &mut Tx, place: &Place, job: &JobRow, now: Time) -> Result<ClaimAnswer> {
        let plan = self.job_plan(place, job)?;
        // a service takes the workspace as it is
        let ready = if job.is_service() { Ready::With(None) } else { checkout::ready(tx, place).await? };
        let source = match ready {
            Ready::With(source) => source,
            Ready::Broken(why) => return self.cannot_start(tx, job, why, now).await,
            Ready::NotYet => return Ok(ClaimAnswer::Wait),
        };
        let mut environments = plan.environments.clone();
        let mut given = match self.secrets_of(tx, place, plan).await? {
            Ok(given) => given,
            Err(words) => return self.cannot_start(tx, job, words, now).await,
        };
        if self.is_privileged(&place.run, &plan.image) && self.executor.kind() != ExecutorKind::Process {
            given.notes.push(format!("this container is privileged, as the operator has it for {}", plan.image));
        }
        self.hide_from_now(tx, place, &given).await?;
        let secrets: Vec<String> = given.variables.values().map(|value| value.expose_secret().to_owned()).collect();
        environments.extend(given.variables.keys().cloned().zip(secrets.iter().cloned()));
        for subscription in &plan.subscriptions {
            match self.value_of(tx, place, subscription).await? {
                Some(value) if value.len() > MAX_DATA_BYTES => {
                    return self.cannot_start(tx, job, too_long(subscription, value.len()), now).await;
                }
                Some(value) => drop(environments.insert(subscription.variable.clone(), value)),
                None if subscription.optional => {}
                None => return self.unwritten(tx, job, subscription, now).await,
            }
        }
        match inputs::data_of(tx, place, plan).await? {
            Ok(data) => environments.extend(data.map(|data| ("CO_DATA".to_owned(), data))),
            Err(message) => return self.cannot_start(tx, job, message, now).await,
        }
        // the first job that runs lays out the workspace; those before it may have been left out
        let before = tx.jobs(job.attempt_id).await?;
        let action = place.plan()?;
        let has_workspace = |other: &JobRow| {
            let plan = usize::try_from(other.place).ok().and_then(|at| action.member(at));
            plan.is_some_and(|job| !job.is_podless())
        };
        let mut before = before.iter().filter(|other| other.place < job.place && has_workspace(other));
        let first = if before.all(|other| other.started.is_none()) { Turn::First } else { Turn::Later };
        let downloads = match self.downloads(tx, place, plan, job.id).await? {
            Ok(downloads) => downloads,
            Err(words) => return self.cannot_start(tx, job, words, now).await,
        };
        environments.extend(self.variables(place, plan)?);
        let log_limit = job.log_limit.map_or(self.settings.log_limit, i64::cast_unsigned);
        environments.extend(self.event_urls(job.id).into_iter().map(|(name, url)| (name.to_owned(), url)));
        self.started(tx, place, job, now).await?;
        Ok(ClaimAnswer::Run(Box::new(Work {
            job: job.id,
            start: start(plan, place),
            environments,
            source: source.filter(|_| first == Turn::First),
            timeout: place.timeout(self, job.place)?,
            outputs: plan.outputs.clone(),
            masks: vec![self.key.event_token(job.id).expose_secret().to_owned()],
            secrets,
            notes: given.notes,
            log_limit,
            shell: plan.shell.clone(),
            downloads,
            artifacts: uploads(plan),
            reports: plan.reports.junit.clone(),
            artifact_limit: self.settings.artifact_limit,
            caches: super::cache::caches(place, job, first)?,
            cache_limit: self.settings.cache_limit,
            strict: plan.strict,
            ready: place.service(job.place)?.map(|service| service.ready.clone()),
        })))
    }

    async fn unwritten(&self, tx: &mut Tx, job: &JobRow, missing: &Subscription, now: Time) -> Result<ClaimAnswer> {
        let message = format!(
            "{} did not write {}, which it subscribes to; with `optional: true` it would run without",
            missing.from.job, missing.from.key
        );
        self.cannot_start(tx, job, message, now).await
    }

    async fn cannot_start(&self, tx: &mut Tx, job: &JobRow, message: String, now: Time) -> Result<ClaimAnswer> {
        self.end_job(tx, job, Verdict::CannotStart { message: message.clone() }, now).await?;
        Ok(ClaimAnswer::Leave { reason: message })
    }

    pub(super) async fn started(&self, tx: &mut Tx, place: &Place, job: &JobRow, now: Time) -> Result<()> {
        if job.state.0 == JobState::Running {
            return Ok(());
        }
        tx.promise_log_limit(job.id, self.settings.log_limit.cast_signed()).await?;
        tx.set_job_state(job.id, &JobState::Running, now).await?;
        if place.attempt.state.0 == AttemptState::Starting {
            tx.set_attempt_state(place.attempt.id, &AttemptState::Running, now).await?;
        }
        if place.action.state.0 != ActionState::Running {
            tx.set_action_state(place.action.id, &ActionState::Running, "", now).await?;
        }
        if place.run.state.0 == RunState::Queued {
            tx.set_run_state(place.run.id, &RunState::Running, "", now).await?;
        }
        self.settle(tx, place.run.id, now).await
    }

    pub(super) fn job_plan<'a>(&self, place: &'a Place, job: &JobRow) -> Result<&'a JobPlan> {
        let at = usize::try_from(job.place).unwrap_or(usize::MAX);
        let broken = || EngineError::Broken(format!("job {} is not in its run's plan", job.id));
        place.plan()?.member(at).ok_or_else(broken)
    }

    pub(super) async fn value_of(
        &self,
        tx: &mut Tx,
        place: &Place,
        subscription: &Subscription,
    ) -> Result<Option<String>> {
        let Some(places) = place.flow()?.find(&subscription.from.job) else { return Ok(None) };
        Ok(tx.output_of(place.run.id, places, &subscription.from).await?)
    }

    /// The `CO_*` variables, which no file may set.
    pub(super) fn variables(&self, place: &Place, job: &JobPlan) -> Result<BTreeMap<String, String>> {
        let run = &place.run;
        let event = &run.event.0;
        let (stage, _) = places(&place.action);
        let stage_name = place.flow()?.stages.get(stage).map(|stage| stage.name.clone()).unwrap_or_default();
        let mut all = vec![
            ("CI", "true".to_owned()),
            ("CONTAINEROPS", "true".to_owned()),
            ("CO_EVENT", event.name().to_owned()),
            ("CO_SHA", event.sha.to_string()),
            ("CO_ACTOR", event.actor.clone()),
            ("CO_REPOSITORY", event.repository.name.to_string()),
            ("CO_FLOW", run.flow.clone()),
            ("CO_RUN_ID", run.id.to_string()),
            ("CO_RUN_NUMBER", run.number.to_string()),
            ("CO_RUN_URL", super::tell::run_url(&self.settings.public_url, &event.repository, run.number)),
            ("CO_STAGE", stage_name),
            ("CO_ACTION", place.plan()?.name.clone()),
            ("CO_JOB", job.name.clone()),
            ("CO_ATTEMPT", place.attempt.number.to_string()),
        ];
        all.extend(event.branch().map(|branch| ("CO_BRANCH", branch.to_owned())));
        all.extend(event.base_sha.as_ref().map(|sha| ("CO_BASE_SHA", sha.to_string())));
        all.extend(event.pull_request().map(|pull| ("CO_PR_NUMBER", pull.number.to_string())));
        if let EventKind::Tag { tag } = &event.kind {
            all.push(("CO_TAG", tag.clone()));
        }
        let inputs = place.flow()?.inputs.iter().map(|(name, value)| (flow::input_variable(name), value.clone()));
        Ok(all.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(inputs).collect())
    }

    /// The job of a session, whose agent speaks.
    ///
    /// # Errors
    /// [`Denied::Unknown`] if there is none.
    pub async fn job_of_session(&self, session: &str) -> Result<JobRow, Denied> {
        let job = self.store.read().await?.job_by_session(&super::hash(session)).await?.ok_or(Denied::Unknown)?;
        self.contact.heard(job.id, self.now());
        Ok(job)
    }

    /// Keeps a job's outputs, those that its plan names.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn keep_outputs(&self, session: &str, new: &Outputs) -> Result<(), Denied> {
        let job = self.job_of_session(session).await?;
        let sizes = new.outputs.iter().map(|(name, value)| name.len() + value.len());
        if new.outputs.values().any(|value| value.len() > OUTPUT_VALUE_MAX) || sizes.sum::<usize>() > OUTPUTS_MAX {
            return Err(Denied::TooMuch);
        }
        if job.state.verdict().is_some() {
            // it has them already; or its attempt was given up, and they must not pass for another's
            return Ok(());
        }
        let masks = self.masks_of(job.attempt_id).await?;
        let mut tx = self.store.write().await?;
        let place = Place::of(&mut tx, job.attempt_id).await?;
        let wanted = &self.job_plan(&place, &job)?.outputs;
        for (name, value) in new.outputs.iter().filter(|(name, _)| wanted.contains(name)) {
            tx.keep_output(job.id, name, &masks.hide_str(value)).await?;
        }
        tx.ring(Change::Run(place.run.id));
        Ok(tx.commit().await?)
    }

    /// Answers a heartbeat when there is news, at the latest after `patience`.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn heartbeat(
        &self,
        session: &str,
        said: Heartbeat,
        patience: Duration,
    ) -> Result<HeartbeatAnswer, Denied> {
        let deadline = tokio::time::Instant::now() + patience;
        let job = self.job_of_session(session).await?;
        let mut bell = self.store.bell().listen_to(job.attempt_id);
        if let Some(held) = said.log.filter(|held| job.log_held.as_deref() != Some(held)) {
            let mut tx = self.store.write().await?;
            tx.keep_log_held(job.id, &held).await?;
            tx.commit().await?;
        }
        loop {
            let wish = self.wish_to_stop(&job).await?;
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            match wish {
                Wish::Stop { by } => return Ok(HeartbeatAnswer::Cancel { by }),
                Wish::GoOn { .. } if left.is_zero() => return Ok(HeartbeatAnswer::GoOn),
                Wish::GoOn { stops_in } => {
                    let left = stops_in.map_or(left, |stops_in| left.min(stops_in));
                    tokio::select! {
                        () = bell.wait(left, |change| change == Change::Attempt(job.attempt_id)) => {}
                        () = self.store.meters().pulse().closing() => return Ok(HeartbeatAnswer::GoOn),
                    }
                }
            }
        }
    }

    async fn wish_to_stop(&self, job: &JobRow) -> Result<Wish> {
        let stop = |by: &str| Wish::Stop { by: by.to_owned() };
        let mut tx = self.store.read().await?;
        let Some(now) = tx.job(job.id).await? else { return Ok(stop("the server")) };
        if now.state.verdict().is_some() {
            return Ok(stop("the server: the job is over"));
        }
        let attempt = tx.attempt(job.attempt_id).await?;
        let attempt = attempt.ok_or_else(|| EngineError::Broken(format!("job {} is of no attempt", job.id)))?;
        if let Some(by) = tx.action(attempt.action_id).await?.cancelled_by {
            return Ok(Wish::Stop { by });
        }
        if now.is_service() && service::jobs_have_ended(&tx.jobs(attempt.id).await?) {
            return Ok(stop(JOBS_ENDED));
        }
        Ok(match super::event::stops_in(&mut tx, job.id, self.now()).await? {
            Some(Duration::ZERO) => stop(super::event::ITSELF),
            stops_in => Wish::GoOn { stops_in },
        })
    }

    /// The snapshot of the session's own run, or a part of a bundle that its job was told of.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn source_of(&self, session: &str, digest: &str) -> Result<Option<Blob>, Denied> {
        let job = self.job_of_session(session).await?;
        let run = Place::of(&mut self.store.read().await?, job.attempt_id).await?.run;
        let asked = digest.strip_prefix("sha256:").unwrap_or(digest);
        let Ok(digest) = asked.parse::<Digest>() else { return Ok(None) };
        match run.source.as_deref() {
            Some(source) if source == asked => match self.blobs.get(digest).await.map_err(EngineError::from)? {
                Some(blob) => Ok(Some(blob)),
                None => Err(self.make_source_again(&run, asked).await?),
            },
            Some(_) | None if self.is_checkout(job.attempt_id, asked).await? => {
                match self.blobs.get(digest).await.map_err(EngineError::from)? {
                    Some(blob) => Ok(Some(blob)),
                    None => Err(self.make_source_again(&run, asked).await?),
                }
            }
            Some(_) | None => match self.part_of(job.id, asked).await? {
                None if run.source.is_none() => Err(source_is_made_again()),
                part => Ok(part),
            },
        }
    }

    /// Whether this is the snapshot of the attempt's own checkout.
    async fn is_checkout(&self, attempt: AttemptId, digest: &str) -> Result<bool> {
        let mut tx = self.store.read().await?;
        let place = Place::of(&mut tx, attempt).await?;
        Ok(checkout::ready(&mut tx, &place).await? == Ready::With(Some(digest.to_owned())))
    }

    /// The snapshot is not where its row says, as after the loss of a disk: the agent asks again until it is.
    async fn make_source_again(&self, run: &RunRow, digest: &str) -> Result<Denied> {
        tracing::warn!(run.id = %run.id, digest, "the snapshot is gone, and is made again");
        let mut tx = self.store.write().await?;
        tx.source_lost(run.id, digest, self.now()).await?;
        tx.checkout_lost(run.id, digest, self.now()).await?;
        tx.commit().await?;
        Ok(source_is_made_again())
    }

    /// Takes the agent's end record: the job's verdict, and all that follows.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn end(&self, session: &str, record: &EndRecord) -> Result<(), Denied> {
        let (engine, now) = (self.clone(), self.now());
        let session = super::hash(session);
        let said = Arc::new((session.clone(), record.clone()));
        self.in_lot(Wanted::JobOf(session), move |tx| {
            let (engine, said) = (engine.clone(), Arc::clone(&said));
            async move { engine.end_within(tx, &said.0, &said.1, now).await }.boxed()
        })
        .await
    }

    async fn end_within(&self, tx: &mut Tx, session: &str, record: &EndRecord, now: Time) -> Result<(), Denied> {
        let job = tx.job_by_session(session).await?.ok_or(Denied::Unknown)?;
        if record.job != job.id {
            return Err(Denied::Unknown);
        }
        self.contact.heard(job.id, now);
        let record = &hide::record(&*self.masks_within(tx, job.attempt_id).await?, record);
        if job.state.verdict().is_some() {
            return Ok(self.note_late_record(tx, &job, record).await?);
        }
        tx.keep_record(job.id, record).await?;
        if let Some(at) = record.ready.filter(|_| job.is_service()) {
            tx.service_ready(job.id, at).await?;
        }
        let place = Place::of(tx, job.attempt_id).await?;
        if record.cause == Cause::Terminated {
            // who ended the pod, and why, the executor tells in a moment
            return Ok(tx.hurry_action(place.action.id).await?);
        }
        let evidence =
            Evidence { record: Some(record), timeout: place.timeout(self, job.place)?, ..Evidence::default() };
        let refusal = super::event::refusal(tx, job.id).await?;
        let strict = place.is_strict(job.place);
        let evidence = Evidence { refusal: refusal.as_deref(), log: super::log::length_of(&job), strict, ..evidence };
        let found = verdict(&evidence);
        let rows = tx.jobs(job.attempt_id).await?;
        let job = rows.iter().find(|row| row.id == job.id).unwrap_or(&job);
        let verdict = self.end_of(&place, &rows, job, found, now);
        self.end_job_of(tx, &place, job, verdict, now).await?;
        // once the attempt is over, what follows has a time of its own
        if tx.attempt(job.attempt_id).await?.is_some_and(|attempt| attempt.state.0.is_under_way()) {
            tx.hurry_action(place.action.id).await?;
        }
        Ok(())
    }
}

/// Whether a job finds its action's workspace as it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    First,
    Later,
}

/// What is wanted of a running job.
enum Wish {
    Stop {
        by: String,
    },
    GoOn {
        /// When that will change by itself.
        stops_in: Option<Duration>,
    },
}

fn source_is_made_again() -> Denied {
    EngineError::Broken("the snapshot is being made again".to_owned()).into()
}

fn start(plan: &JobPlan, place: &Place) -> Start {
    match &plan.program {
        Program::Script(text) => Start::Script(text.clone()),
        Program::Command(words) => Start::Command(words.clone()),
        Program::Entrypoint => {
            Start::Entrypoint(place.run.pins.get(&plan.image).map(|pin| pin.entrypoint.clone()).unwrap_or_default())
        }
    }
}

fn too_long(subscription: &Subscription, length: usize) -> String {
    let from = &subscription.from;
    format!("{from} has {length} bytes, which it subscribes to; a variable has at most {MAX_DATA_BYTES}")
}

fn uploads(plan: &JobPlan) -> Vec<Upload> {
    let upload = |artifact: &Artifact| {
        let Artifact { name, paths, on, .. } = artifact.clone();
        Upload { name, paths, on }
    };
    plan.artifacts.iter().map(upload).collect()
}
