//! An executor whose pods are all in our mind: it says whom it was to place, and what is placed runs until it is removed.

use std::{collections::BTreeSet, sync::Mutex};

use async_trait::async_trait;
use containerops::{
    agent::protocol::{Cause, ClaimRequest, EndRecord, LogSeal, VERSION},
    executor::{Changed, Executor, ExecutorError, ExecutorKind, Observation, Placement, Sight},
    model::{AttemptId, Clock, JobId},
};
use secrecy::ExposeSecret as _;

/// What is placed, and who hears of each job's token.
pub(crate) struct Paper {
    placed: Mutex<BTreeSet<AttemptId>>,
    tell: Box<dyn Fn(&str) + Send + Sync>,
}

impl Paper {
    pub(crate) fn telling(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { placed: Mutex::default(), tell: Box::new(tell) }
    }

    fn placed(&self) -> std::sync::MutexGuard<'_, BTreeSet<AttemptId>> {
        self.placed.lock().expect("a lock")
    }
}

#[async_trait]
impl Executor for Paper {
    fn kind(&self) -> ExecutorKind {
        ExecutorKind::Process
    }

    async fn start(&self, placement: &Placement) -> Result<(), ExecutorError> {
        if self.placed().insert(placement.attempt) {
            placement.containers.iter().for_each(|container| (self.tell)(container.token.expose_secret()));
        }
        Ok(())
    }

    async fn look(&self, attempt: AttemptId) -> Result<Sight, ExecutorError> {
        Ok(if self.placed().contains(&attempt) { Observation::Running.into() } else { Sight::absent() })
    }

    async fn remove(&self, attempt: AttemptId) -> Result<(), ExecutorError> {
        self.placed().remove(&attempt);
        Ok(())
    }

    async fn attempts(&self) -> Result<Vec<AttemptId>, ExecutorError> {
        Ok(self.placed().iter().copied().collect())
    }

    async fn changed(&self) -> Changed {
        std::future::pending().await
    }
}

/// The claim of an agent with this session.
pub(crate) fn claim(session: &str) -> ClaimRequest {
    ClaimRequest { protocol: VERSION, version: "figure".to_owned(), session: session.to_owned() }
}

/// The record of a job that ended well and wrote nothing.
pub(crate) fn ended_well(job: JobId) -> EndRecord {
    let now = Clock::System.now();
    EndRecord {
        chores: Default::default(),
        ready: None,
        job,
        cause: Cause::Exit { code: 0 },
        started: Some(now),
        ended: now,
        result: None,
        memory_peak: None,
        memory_limit: None,
        oom_kills: 0,
        log: LogSeal::default(),
    }
}
