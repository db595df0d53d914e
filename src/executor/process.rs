//! Processes of this machine, with no isolation at all: for trying out, and for machines that are a sandbox already.
//!
//! An attempt is a directory named by it. Its agents are sessions of their own and live on when the server is killed.
//! What is known of them is on the disk, so a server that starts again sees what the one before saw:
//!
//! - `placement.json` says which containers there are; it is written before the first one is started.
//! - `job-0.lock` is locked by the agent while it lives and holds its process id. The kernel drops the lock with the
//!   process, so neither a killed agent nor a process id that was used again can be mistaken for a living one. An
//!   agent that finds a process id in it exits at once: a repeated start starts nothing twice, even if the server
//!   died at the worst moment.
//! - `job-0.end` is the end record that the agent leaves, and `job-0.exit` the exit code, if the server was there.
//!
//! Whatever a job starts inherits `CONTAINEROPS_ATTEMPT` in its environment, by which the last of it is found and killed.

mod attempt;
mod system;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs, io,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::Arc,
};

use async_trait::async_trait;
use tokio::process::Child;

use self::attempt::{Agent, Attempt};
use super::{
    Changed, Container, Executor, ExecutorError, ExecutorKind, News, Placement, Sight, Unable, UntrustedCode, ability,
};
use crate::model::{AttemptId, Plan};

/// Runs agents below a directory.
#[derive(Debug, Clone)]
pub struct Process {
    dir: PathBuf,
    agent: Vec<OsString>,
    news: Arc<News>,
    untrusted: UntrustedCode,
}

impl Process {
    /// `dir` is where attempts are kept; `agent` is the program and first arguments of what understands `job …`, such
    /// as `containerops agent`.
    pub fn new(dir: PathBuf, agent: Vec<OsString>) -> Self {
        Self { dir, agent, news: Arc::default(), untrusted: UntrustedCode::default() }
    }

    /// The same, for code that nobody vouches for as well, or not.
    pub fn with(self, untrusted: UntrustedCode) -> Self {
        Self { untrusted, ..self }
    }

    fn attempt(&self, attempt: AttemptId) -> Attempt {
        Attempt::new(&self.dir, attempt)
    }

    fn spawn(&self, attempt: &Attempt, container: &Container, url: &str) -> Result<(), ExecutorError> {
        let mut command = attempt.command(&self.agent, &container.name, url)?;
        let child = command.spawn().map_err(|error| {
            let program = self.agent.first().cloned().unwrap_or_default();
            refused(&format!("the agent {} cannot be started: {error}", program.display()))
        })?;
        let (news, id) = (Arc::clone(&self.news), attempt.id);
        let (lock, exit) = (attempt.file(&container.name, "lock"), attempt.file(&container.name, "exit"));
        tokio::spawn(async move {
            watch(child, &lock, &exit).await;
            news.tell(id);
        });
        Ok(())
    }
}

/// Waits for an agent, so that it does not stay as a zombie, and notes how it exited.
async fn watch(mut child: Child, lock: &Path, exit: &Path) {
    let pid = child.id().map(|pid| pid.to_string());
    let status = child.wait().await;
    // one that exited because another had the lock says nothing about the job
    let ours = attempt::read_some(lock).is_none_or(|holder| Some(holder) == pid);
    let by_signal = |status: &ExitStatus| status.signal().map(|signal| 128 + signal);
    let code = status.ok().and_then(|status| status.code().or_else(|| by_signal(&status)));
    if let Some(code) = code.filter(|_| ours) {
        // the attempt may have been removed meanwhile
        let _ = attempt::note_exit(exit, code);
    }
}

#[async_trait]
impl Executor for Process {
    fn kind(&self) -> ExecutorKind {
        ExecutorKind::Process
    }

    fn unable(&self, plan: &Plan) -> Vec<Unable> {
        ability::of_processes(plan)
    }

    fn unable_to_isolate(&self) -> Option<Unable> {
        self.untrusted.unable("untrusted code would be processes of this machine, with the server's own rights")
    }

    async fn start(&self, placement: &Placement) -> Result<(), ExecutorError> {
        let attempt = self.attempt(placement.attempt);
        attempt.prepare(placement).map_err(|error| away(&error))?;
        for container in &placement.containers {
            if attempt.agent(&container.name).map_err(|error| away(&error))? == Agent::Unborn {
                self.spawn(&attempt, container, &placement.agent_url)?;
            }
        }
        self.news.tell(placement.attempt);
        Ok(())
    }

    async fn look(&self, attempt: AttemptId) -> Result<Sight, ExecutorError> {
        let attempt = self.attempt(attempt);
        let observation = attempt.observe().map_err(|error| away(&error))?;
        let moments = attempt.moments().map_err(|error| away(&error))?;
        Ok(Sight { observation, moments })
    }

    async fn remove(&self, attempt: AttemptId) -> Result<(), ExecutorError> {
        let files = self.attempt(attempt);
        files.end().await.map_err(|error| away(&error))?;
        files.remove().map_err(|error| away(&error))?;
        self.news.tell(attempt);
        Ok(())
    }

    /// Also those of which only processes are left, without their directory.
    async fn attempts(&self) -> Result<Vec<AttemptId>, ExecutorError> {
        let mut found: BTreeSet<AttemptId> = system::strays(attempt::MARK, &self.dir).into_iter().collect();
        match fs::read_dir(&self.dir) {
            Ok(entries) => {
                let names = entries.flatten().map(|entry| entry.file_name());
                found.extend(names.filter_map(|name| name.to_str()?.parse::<AttemptId>().ok()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(away(&error)),
        }
        Ok(found.into_iter().collect())
    }

    async fn changed(&self) -> Changed {
        self.news.next().await
    }
}

fn away(error: &io::Error) -> ExecutorError {
    ExecutorError::Away { kind: ExecutorKind::Process, message: error.to_string() }
}

fn refused(message: &str) -> ExecutorError {
    ExecutorError::Refused { kind: ExecutorKind::Process, message: message.to_owned() }
}
