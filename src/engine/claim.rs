//! Claims: an agent asks for its job's turn. Most are answered "not yet", and then nothing is written.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::FutureExt as _;

use super::{Engine, Result, checkout::Ready, service, settle::Place, turn::Denied};
use crate::{
    agent::protocol::{self, ClaimAnswer, ClaimRequest, Work},
    model::{Infrastructure, JobState, Time, Verdict},
    store::{Change, JobRow, Tx, Wanted},
};

/// A claim, as it is looked up.
#[derive(Clone)]
struct Asked {
    token: String,
    session: String,
    protocol: u32,
    now: Time,
}

/// Whose last claim was answered "not yet", by their tokens' hashes: only what they ask again is worth a look before
/// the writer's turn. A hint, which may be lost.
#[derive(Default)]
pub(super) struct Waiting(Mutex<HashSet<String>>);

/// So many are remembered; then it begins anew.
const WAITING_MAX: usize = 16_384;

impl Waiting {
    fn has(&self, token: &str) -> bool {
        self.lock().contains(token)
    }

    fn note(&self, token: String, waits: bool) {
        let mut waiting = self.lock();
        if !waits {
            waiting.remove(&token);
            return;
        }
        if waiting.len() >= WAITING_MAX {
            waiting.clear();
        }
        waiting.insert(token);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing of a claim has happened.
enum Unclaimed {
    Denied(Denied),
    /// The agent is one of another time.
    Refused {
        job: Box<JobRow>,
        message: String,
    },
}

impl<E: Into<Denied>> From<E> for Unclaimed {
    fn from(error: E) -> Self {
        Self::Denied(error.into())
    }
}

impl Engine {
    /// Answers a claim, at the latest after [`protocol::LONG_POLL`].
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn claim(&self, token: &str, request: &ClaimRequest) -> Result<ClaimAnswer, Denied> {
        let deadline = tokio::time::Instant::now() + protocol::LONG_POLL;
        let mut bell = None;
        loop {
            let (job, answer) = self.claim_now(token, request).await?;
            let patience = deadline.saturating_duration_since(tokio::time::Instant::now());
            if answer != ClaimAnswer::Wait || patience.is_zero() {
                return Ok(answer);
            }
            match &mut bell {
                // only now it is known what to listen to; what was rung before is looked for once more
                None => bell = Some(self.store.bell().listen_to(job.attempt_id)),
                Some(bell) => tokio::select! {
                    () = bell.wait(patience, |change| change == Change::Attempt(job.attempt_id)) => {}
                    () = self.store.meters().pulse().closing() => return Ok(answer),
                },
            }
        }
    }

    async fn claim_now(&self, token: &str, request: &ClaimRequest) -> Result<(JobRow, ClaimAnswer), Denied> {
        let session = super::hash(&request.session);
        let token = super::hash(token);
        if self.waiting.has(&token)
            && let Some(job) = self.waits_on(&token, &session).await?
        {
            return Ok((job, ClaimAnswer::Wait));
        }
        let asked = Asked { token: token.clone(), session, protocol: request.protocol, now: self.now() };
        let engine = self.clone();
        let answered = self.in_lot(Wanted::JobOf(asked.token.clone()), move |tx| {
            let (engine, asked) = (engine.clone(), asked.clone());
            async move { engine.claim_within(tx, &asked).await }.boxed()
        });
        let answered = answered.await;
        self.waiting.note(token, matches!(&answered, Ok((_, ClaimAnswer::Wait))));
        match answered {
            Ok(answered) => Ok(answered),
            Err(Unclaimed::Denied(denied)) => Err(denied),
            // it never began
            Err(Unclaimed::Refused { job, message }) => self.refuse(&job, message).await,
        }
    }

    async fn claim_within(&self, tx: &mut Tx, asked: &Asked) -> Result<(JobRow, ClaimAnswer), Unclaimed> {
        let job = tx.job_by_token(&asked.token).await?.ok_or(Denied::Unknown)?;
        if !tx.bind_session(job.id, &asked.session, asked.now).await? {
            return Err(Denied::Unknown.into());
        }
        if !protocol::is_spoken(asked.protocol) {
            return Err(Unclaimed::Refused { message: stranger(asked.protocol), job: Box::new(job) });
        }
        let answer = self.answer(tx, &job, asked.now).await?;
        if let ClaimAnswer::Run(work) = &answer
            && work.needs() > asked.protocol
        {
            return Err(Unclaimed::Refused { message: too_old(work, asked.protocol), job: Box::new(job) });
        }
        Ok((job, answer))
    }

    /// A job whose agent has claimed before and must wait on, which most of its claims do: nothing is written then.
    async fn waits_on(&self, token: &str, session: &str) -> Result<Option<JobRow>> {
        let mut tx = self.store.read().await?;
        let Some(job) = tx.job_by_token(token).await? else { return Ok(None) };
        if job.session_hash.as_deref() != Some(session) || job.state.0 != JobState::Waiting {
            return Ok(None);
        }
        self.contact.heard(job.id, self.now());
        let place = Place::of(&mut tx, job.attempt_id).await?;
        let lives = place.attempt.state.0.is_under_way();
        let waits = lives && place.action.cancelled_by.is_none() && !may_start(&mut tx, &place, &job).await?;
        Ok(waits.then_some(job))
    }

    /// An agent of another time: its job cannot run, and its page says why.
    async fn refuse(&self, job: &JobRow, message: String) -> Result<(JobRow, ClaimAnswer), Denied> {
        let mut tx = self.store.write().await?;
        if job.state.verdict().is_none() {
            let verdict = Verdict::Infrastructure { kind: Infrastructure::Executor, message: message.clone() };
            self.end_attempt(&mut tx, job.attempt_id, |_| Some(verdict.clone()), self.now()).await?;
            tx.commit().await?;
        }
        Err(Denied::Protocol(message))
    }
}

/// Whether all jobs before it have ended, its services are ready, and there is a source to work on.
pub(super) async fn may_start(tx: &mut Tx, place: &Place, job: &JobRow) -> Result<bool> {
    let is_its_turn = service::is_its_turn(&tx.jobs(job.attempt_id).await?, job);
    // a service starts on an empty workspace, or on one that a job has laid out
    Ok(is_its_turn && (job.is_service() || super::checkout::ready(tx, place).await? != Ready::NotYet))
}

/// What is wrong with an agent of this protocol, and what to do about it.
fn stranger(protocol: u32) -> String {
    let spoken = format!("this server speaks {} to {}", protocol::OLDEST, protocol::VERSION);
    format!("the agent speaks protocol {protocol}, and {spoken}: {REMEDY}")
}

/// An agent that would leave out a part of its job's work.
fn too_old(work: &Work, protocol: u32) -> String {
    let what = match (work.reports.is_empty(), work.secrets.is_empty(), &work.ready) {
        (false, _, _) => "reports of tests",
        (true, false, _) => "secrets",
        (true, true, Some(_)) => "services",
        (true, true, None) => "artifacts, caches or shells",
    };
    format!("the agent speaks protocol {protocol}, which knows no {what}: {REMEDY}")
}

const REMEDY: &str = "let CONTAINEROPS_KUBERNETES_AGENT_IMAGE name the image of the server's own release";
