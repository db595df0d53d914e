//! Executors place an attempt's containers somewhere, watch them, and remove them. They know nothing of flows, logs or
//! results: those come from the agent that each container runs.

mod ability;
mod answer;
pub mod docker;
pub mod kubernetes;
mod label;
mod news;
pub mod process;
pub mod registry;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use secrecy::SecretString;

use self::registry::RegistryKeys;
use crate::model::{
    AttemptId, Event, ForgeKind, Infrastructure, JobId, Moments, Plan, Quota, QuotaScope, RepositoryName, Resources,
    RunId,
};

pub use ability::{Unable, UntrustedCode};
pub use news::{Changed, News};
pub use process::Process;

/// A place where containers run.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Which.
    fn kind(&self) -> ExecutorKind;

    /// What of a plan it cannot do: such a run ends when it is made, with these words.
    fn unable(&self, _plan: &Plan) -> Vec<Unable> {
        Vec::new()
    }

    /// Why it does not run untrusted code, if it cannot keep that apart: such a run ends when it is made, with these
    /// words.
    fn unable_to_isolate(&self) -> Option<Unable> {
        None
    }

    /// Whether each tenant has a home of its own there, which its quotas bound.
    fn makes_homes(&self) -> bool {
        false
    }

    /// Places an attempt. Its name is the attempt's id, so that a repeated call finds it and is a success.
    ///
    /// # Errors
    /// [`ExecutorError::Away`]: try again. [`ExecutorError::NoRoom`]: try again for a while.
    /// [`ExecutorError::Refused`]: it will never work.
    async fn start(&self, placement: &Placement) -> Result<(), ExecutorError>;

    /// What became of an attempt, from the newest that is known of it, and when what happened to it.
    async fn look(&self, attempt: AttemptId) -> Result<Sight, ExecutorError>;

    /// What became of an attempt, whenever that was.
    async fn observe(&self, attempt: AttemptId) -> Result<Observation, ExecutorError> {
        Ok(self.look(attempt).await?.observation)
    }

    /// Ends whatever runs of an attempt and removes all that is left of it. Nothing there is a success.
    async fn remove(&self, attempt: AttemptId) -> Result<(), ExecutorError>;

    /// Every attempt of which something is left, so that forgotten ones can be removed.
    async fn attempts(&self) -> Result<Vec<AttemptId>, ExecutorError>;

    /// Returns when something may have changed since the last call, or never, and of what. A hint: whoever waits also
    /// has a timer.
    async fn changed(&self) -> Changed;
}

/// Which executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutorKind {
    /// Pods.
    Kubernetes,
    /// Containers of Docker or Podman.
    Docker,
    /// Processes of this machine, with no isolation at all.
    Process,
}

impl ExecutorKind {
    /// As the setting names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Docker => "docker",
            Self::Process => "process",
        }
    }
}

/// One attempt at one action, as an executor needs it. No environment, secret or command of the flow is in it.
#[derive(Debug, Clone)]
pub struct Placement {
    /// Its name.
    pub attempt: AttemptId,
    /// For labels, so that people find the pod of a run.
    pub run: RunId,
    /// Whose it is.
    pub tenant: Tenant,
    /// The flow's name.
    pub flow: String,
    /// `stage.action`.
    pub action: String,
    /// Jobs in the order of their turns, and then services; all are placed at once.
    pub containers: Vec<Container>,
    /// The most time that all of it may take.
    pub deadline: Duration,
    /// Where the agents find the server.
    pub agent_url: String,
    /// Whether its code is trusted.
    pub isolation: Isolation,
    /// How strongly it is isolated: the `RuntimeClass`, or the engine's runtime. `None`: as all are.
    pub runtime: Option<String>,
    /// Labels that its node must have.
    pub node: BTreeMap<String, String>,
    /// By what its images are fetched that not everybody may have.
    pub keys: RegistryKeys,
}

/// A repository, and what it may use.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Which forge's.
    pub forge: ForgeKind,
    /// Its name.
    pub repository: RepositoryName,
    /// Of it and all around it, as far as there are any. Only an [`Executor`] that makes homes is told.
    pub quotas: BTreeMap<QuotaScope, Quota>,
}

impl Tenant {
    /// All that its use counts for, the widest first.
    pub fn around(&self) -> Vec<QuotaScope> {
        QuotaScope::around(self.forge, &self.repository)
    }
}

/// How far an attempt is kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// As all of trusted code.
    Usual,
    /// From trusted code, from the cluster and from the server: nobody vouches for what it does.
    Strict,
}

impl From<&Event> for Isolation {
    fn from(event: &Event) -> Self {
        match event.trusted() {
            Some(_) => Self::Usual,
            None => Self::Strict,
        }
    }
}

impl Placement {
    /// The host names of its services.
    pub fn services(&self) -> Vec<String> {
        self.containers.iter().filter_map(|container| container.service.clone()).collect()
    }
}

/// One job's container, or a service's.
#[derive(Debug, Clone)]
pub struct Container {
    /// Whose.
    pub job: JobId,
    /// `job-0`, `job-1`, …, `service-0`, …
    pub name: String,
    /// The host name by which jobs reach it, if it is a service: it runs beside them.
    pub service: Option<String>,
    /// With its digest where that is known.
    pub image: String,
    /// What it asks for.
    pub resources: Resources,
    /// Whether it may do to its machine whatever that itself may.
    pub privileged: bool,
    /// For the agent's first claim.
    pub token: SecretString,
}

/// What an executor sees of an attempt, and when what happened to it as far as it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// What became of it.
    pub observation: Observation,
    /// By the executor's own clocks.
    pub moments: Moments,
}

impl Sight {
    /// There is nothing.
    pub fn absent() -> Self {
        Observation::Absent.into()
    }
}

impl From<Observation> for Sight {
    fn from(observation: Observation) -> Self {
        Self { observation, moments: Moments::default() }
    }
}

/// What an executor sees of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// Nothing: never started, or removed.
    Absent,
    /// Placed; not all containers run yet.
    Waiting {
        /// Why, in the cluster's own words; empty if it is only young.
        message: String,
        /// Set if waiting will not help (a wrong image name) or has lasted too long.
        hopeless: Option<Hopeless>,
    },
    /// Containers run, and none has ended.
    Running,
    /// Containers run or wait for their turn, and others have ended.
    PartlyEnded {
        /// Those that have.
        containers: Vec<ContainerEnd>,
    },
    /// No container runs any more.
    Ended {
        /// In the placement's order, as far as known.
        containers: Vec<ContainerEnd>,
        /// Set if it was ended from outside: evicted, deleted, its node lost.
        outside: Option<Outside>,
    },
}

/// What ended an attempt from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outside {
    /// Nobody's mistake, and the cluster's words for it.
    Infrastructure(Infrastructure, String),
    /// It wrote more than it may: the author's mistake, and the cluster's words for it.
    OutOfDisk(String),
}

/// An attempt, or one of its jobs, will never run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hopeless {
    /// The job that it is about; `None`: all of them.
    pub job: Option<JobId>,
    /// The reason.
    pub why: Why,
}

impl Hopeless {
    /// No job of the attempt will run.
    pub const fn all(why: Why) -> Self {
        Self { job: None, why }
    }
}

/// Why something will never run. The messages are the cluster's or the registry's own.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Why {
    /// There is no such image. The author's mistake.
    ImageNotFound {
        /// Which.
        image: String,
        /// What the registry said.
        message: String,
    },
    /// The registry gives the image only to those whom it knows.
    ImageDenied {
        /// Which.
        image: String,
        /// What the registry said.
        message: String,
    },
    /// The image's name cannot be read. The author's mistake.
    ImageInvalid {
        /// Which.
        image: String,
        /// What is wrong with it.
        message: String,
    },
    /// The author's mistake, such as a container that cannot be created.
    CannotStart {
        /// What the cluster said.
        message: String,
    },
    /// Nobody's mistake.
    Infrastructure(Infrastructure, String),
}

/// How a container ended, by the executor's account: the second witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerEnd {
    /// Whose.
    pub job: JobId,
    /// The agent's exit code, if there was one.
    pub exit_code: Option<i32>,
    /// The executor says it was killed for memory.
    pub oom_killed: bool,
    /// The most memory that it could have, in bytes, where there is a limit.
    pub memory_limit: Option<u64>,
    /// Its reason, in its own words.
    pub reason: String,
    /// The agent's end record as JSON, if it came this way.
    pub end_record: Option<String>,
}

/// An executor did not do what we asked.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// It cannot be reached, or cannot do it now: try again.
    #[error("the {} executor is away: {message}", kind.as_str())]
    Away {
        /// Which.
        kind: ExecutorKind,
        /// What happened.
        message: String,
    },
    /// It has no room now, for what others use of it: try again, but not for ever.
    #[error("the {} executor has no room: {message}", kind.as_str())]
    NoRoom {
        /// Which.
        kind: ExecutorKind,
        /// What it said.
        message: String,
    },
    /// It said no, and will say so again.
    #[error("the {} executor refused: {message}", kind.as_str())]
    Refused {
        /// Which.
        kind: ExecutorKind,
        /// What it said.
        message: String,
    },
}
