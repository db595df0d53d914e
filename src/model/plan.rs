//! What a run will do, fixed when it is made: no defaults left to find, nothing hoisted, every name resolved.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Approval, Checkout, Concurrency, Input, JobPath, Kubectl, Receiver, Retry, Service, Trigger};

/// A longer condition is cut where it is shown.
const MOST_SHOWN: usize = 200;

/// A flow, planned for one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The flow's short name, as contexts show it: the last part of its `uri`, or the file's name without `.yml`;
    /// `ci` for `.containerops.yml` without a `uri`.
    pub flow: String,
    /// `<namespace>/<repository>/<name>`.
    pub uri: String,
    /// For people; empty if the file gives none.
    pub title: String,
    /// The whole run's time limit; `None`: the server's maximum.
    pub timeout: Option<Duration>,
    /// Which other runs it waits for, or ends; `None`: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// What was given to it by hand, or stands for that: each job has it in its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// Who is told how it ends, besides the forge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receivers: Vec<Receiver>,
    /// In the file's order. Stages of type `start` and `end` are kept: they are shown, and end at once.
    pub stages: Vec<StagePlan>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagePlan {
    /// Unique in the flow.
    pub name: String,
    /// For people; empty if the file gives none.
    pub title: String,
    /// What it does.
    pub kind: StageKind,
    /// How its actions run.
    pub sequencing: Sequencing,
    /// The stages that must have succeeded or been skipped before: places in [`Plan::stages`], all before this one.
    pub needs: Vec<usize>,
    /// Whether the first failed action stops the stage's others.
    pub fail_fast: bool,
    /// On what condition it runs; `None`: on none, or it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// Empty for `start`, `pause` and `end`.
    pub actions: Vec<ActionPlan>,
    /// What a `pause` asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
}

/// The kinds of stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum StageKind {
    /// The original's beginning of a flow; does nothing.
    Start,
    /// Runs its actions.
    Normal,
    /// Waits for a person.
    Pause,
    /// The original's end of a flow; does nothing.
    End,
}

/// How the actions of a stage run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sequencing {
    /// One after another; the first failure ends the stage.
    Sequence,
    /// All at once.
    Parallel,
}

/// One action: one pod for each attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionPlan {
    /// Unique in its stage.
    pub name: String,
    /// For people; empty if the file gives none.
    pub title: String,
    /// Whether its failure leaves the run green, with a warning.
    pub allow_failure: bool,
    /// On what condition it runs; `None`: on none, or it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// One after another, in one workspace.
    pub jobs: Vec<JobPlan>,
    /// What it finds again of its earlier runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<Cache>,
    /// What is in its workspace at the beginning.
    #[serde(default, skip_serializing_if = "Checkout::is_default")]
    pub checkout: Checkout,
    /// If it is a cell of a matrix: of which, and what people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<Cell>,
    /// A cell's values by their names; empty if it is none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub matrix: BTreeMap<String, String>,
    /// What runs beside its jobs, in the order of their starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// How strongly it is isolated: the `RuntimeClass` of its pod, or an engine's runtime. `None`: as all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// Labels that its node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node: BTreeMap<String, String>,
}

/// What makes an action one of a matrix. Cells of one matrix stand side by side, run all at once, and are one row and
/// one context on the forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The name that the matrix has in the file.
    pub of: String,
    /// Its values in the file's order: `1.95, linux`.
    pub label: String,
}

impl StagePlan {
    /// The place of the first action that may start together with this one: in a sequence only the cells of one matrix
    /// run at once.
    pub fn step_of(&self, place: usize) -> usize {
        match (self.sequencing, self.actions.get(place).and_then(ActionPlan::matrix_name)) {
            (Sequencing::Parallel, _) => 0,
            (Sequencing::Sequence, None) => place,
            (Sequencing::Sequence, Some(matrix)) => {
                let before = self.actions[..place].iter().rev();
                place - before.take_while(|other| other.matrix_name() == Some(matrix)).count()
            }
        }
    }
}

impl ActionPlan {
    /// What people call it: its name; for a cell its matrix and its values, `unit (1.95, linux)`.
    pub fn shown(&self) -> String {
        match &self.cell {
            Some(Cell { of, label }) => format!("{of} ({label})"),
            None => self.name.clone(),
        }
    }

    /// All that has a row and a log of its own: its jobs in order, and then its services.
    pub fn members(&self) -> impl Iterator<Item = &JobPlan> {
        self.jobs.iter().chain(self.services.iter().map(|service| &service.job))
    }

    /// The one at this place of [`Self::members`].
    pub fn member(&self, place: usize) -> Option<&JobPlan> {
        self.jobs.get(place).or_else(|| self.service(place).map(|service| &service.job))
    }

    /// The service at this place of [`Self::members`]; `None`: it is a job's.
    pub fn service(&self, place: usize) -> Option<&Service> {
        self.services.get(place.checked_sub(self.jobs.len())?)
    }

    /// The matrix that it is a cell of.
    pub fn matrix_name(&self) -> Option<&str> {
        self.cell.as_ref().map(|cell| cell.of.as_str())
    }
}

/// Files that an action finds again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// Unique in its action.
    pub name: String,
    /// Patterns of the files whose bytes make its key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key_files: Vec<String>,
    /// In the workspace; or elsewhere, if they begin with `/` or `~/`.
    pub paths: Vec<String>,
}

/// How a cache was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheHit {
    /// By its key.
    Exact,
    /// The newest of the run's own branch, pull request or tag.
    Own,
    /// The newest of a branch that its code comes from or goes to.
    Base,
    /// Not at all.
    Miss,
}

impl CacheHit {
    /// For columns and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Own => "own",
            Self::Base => "base",
            Self::Miss => "miss",
        }
    }

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Exact => "hit by its key",
            Self::Own | Self::Base => "hit, the newest",
            Self::Miss => "missed",
        }
    }
}

/// One job: one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPlan {
    /// Unique in its action.
    pub name: String,
    /// The image as the file names it.
    pub image: String,
    /// What is started in it.
    pub program: Program,
    /// Flow's and job's variables, merged.
    pub environments: BTreeMap<String, String>,
    /// What it asks of the machine.
    pub resources: Resources,
    /// Its time limit; `None`: the server's maximum.
    pub timeout: Option<Duration>,
    /// The `[COUT]` keys that are kept.
    pub outputs: Vec<String>,
    /// Outputs of earlier jobs that become variables.
    pub subscriptions: Vec<Subscription>,
    /// What its `CO_DATA` is built of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// The reports in which the rest of what its `CO_DATA` names is looked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auto_inputs: Vec<Output>,
    /// Whether its failure lets the action's next job go on, and leaves the action green with a warning.
    pub allow_failure: bool,
    /// After which ends of its own the action is tried again; `None`: after none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Whether exit code 0 without a `CO_RESULT` is a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// Who reads its script: a program and its arguments, to which the script's file is added. Empty: `/bin/sh -e`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
    /// On what condition it runs; `None`: on none, or it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// What is kept of the workspace when it has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// Where its tests write what came of them.
    #[serde(default, skip_serializing_if = "Reports::is_empty")]
    pub reports: Reports,
    /// Artifacts of earlier jobs that are brought into the workspace before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub downloads: Vec<Download>,
    /// What the server itself applies to a cluster instead of starting a container; `None`: it is a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubectl: Option<Kubectl>,
    /// The flow that it starts instead; `None`: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
}

impl JobPlan {
    /// Whether it has no container: the server does its work itself.
    pub const fn is_podless(&self) -> bool {
        self.kubectl.is_some() || self.trigger.is_some()
    }

    /// What people see of where it runs: its image, or what is applied or started.
    pub fn shown(&self) -> String {
        match (&self.kubectl, &self.trigger) {
            (Some(kubectl), _) => format!("kubectl {} to namespace {}", kubectl.manifest, kubectl.namespace),
            (None, Some(trigger)) => format!("trigger {trigger}"),
            (None, None) => self.image.clone(),
        }
    }
}

/// Files that outlive their workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Unique in its job.
    pub name: String,
    /// Patterns of paths in the workspace.
    pub paths: Vec<String>,
    /// After which ends.
    pub on: KeepOn,
    /// For how long; `None`: the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Duration>,
}

/// Files with the results of a job's tests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reports {
    /// Patterns of paths in the workspace: reports in JUnit's XML.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub junit: Vec<String>,
}

impl Reports {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.junit.is_empty()
    }
}

/// After which ends of a job something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepOn {
    /// It ended well.
    Success,
    /// It did not.
    Failure,
    /// Either.
    Always,
}

/// An artifact of an earlier job that is brought into the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// Whose.
    pub from: JobPath,
    /// Its name.
    pub name: String,
    /// Where to, from the workspace; empty: the workspace itself.
    pub to: String,
    /// Whether the job runs without it if there is none.
    pub optional: bool,
}

impl KeepOn {
    /// As the flow file says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Always => "always",
        }
    }
}

/// A condition that is still to be decided, or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct When {
    /// As the file has it.
    pub text: String,
    /// What is to be decided when its turn has come; `None`: it does not hold, whatever happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// The outputs that it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Output>,
}

/// The words for what it leaves out.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line: Vec<&str> = self.text.split_whitespace().collect();
        let line = line.join(" ");
        match line.char_indices().nth(MOST_SHOWN) {
            Some((end, _)) => write!(f, "`when: {}…` does not hold", &line[..end]),
            None => write!(f, "`when: {line}` does not hold"),
        }
    }
}

/// What is started in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    /// `run`: a text for `/bin/sh -e`, or for the job's own shell.
    Script(String),
    /// `command`: a program and its arguments.
    Command(Vec<String>),
    /// Neither: whatever the image itself starts.
    Entrypoint,
}

/// Requests and limits, in Kubernetes' own quantities (`500m`, `1Gi`), checked when the file was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// CPU asked for.
    pub cpu: Option<String>,
    /// Memory asked for.
    pub memory: Option<String>,
    /// CPU at most.
    pub cpu_limit: Option<String>,
    /// Memory at most.
    pub memory_limit: Option<String>,
}

/// One output of one job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Output {
    /// Who writes it.
    pub job: JobPath,
    /// Its key.
    pub key: String,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.job, self.key)
    }
}

/// `{"stage.action.job[KEY]": VARIABLE}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Where the value comes from.
    pub from: Output,
    /// The variable that gets it.
    pub variable: String,
    /// Whether the job runs without the variable if the output was never written.
    pub optional: bool,
}

/// The plan's SHA-256 in hexadecimal: same file, same event, same settings, same digest, on the server and on
/// one's own machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanDigest(pub String);

impl fmt::Display for PlanDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Plan {
    /// Digest of the plan's canonical JSON.
    pub fn digest(&self) -> PlanDigest {
        use sha2::Digest as _;
        let json = serde_json::to_vec(self).unwrap_or_default();
        PlanDigest(hex::encode(sha2::Sha256::digest(json)))
    }

    /// The job, or the service, at these places.
    pub fn job(&self, stage: usize, action: usize, job: usize) -> Option<&JobPlan> {
        self.action(stage, action)?.member(job)
    }

    /// Where a job stands: its stage's place, its action's there, and its own.
    pub fn find(&self, path: &JobPath) -> Option<(usize, usize, usize)> {
        let stage = self.stages.iter().position(|stage| stage.name == path.stage)?;
        let action = self.stages[stage].actions.iter().position(|action| action.name == path.action)?;
        let job = self.stages[stage].actions[action].jobs.iter().position(|job| job.name == path.job)?;
        Some((stage, action, job))
    }

    /// The action at these places.
    pub fn action(&self, stage: usize, action: usize) -> Option<&ActionPlan> {
        self.stages.get(stage)?.actions.get(action)
    }
}

/// One thing that is wrong with a flow file, or odd about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Diagnostic {
    /// Whether the flow can run all the same.
    pub severity: Severity,
    /// What is wrong, with the names as the author wrote them.
    pub message: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// How many characters the fault covers; 0 if it has no extent.
    pub length: usize,
    /// The line itself, cut at 200 characters.
    pub source: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How bad a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The flow runs.
    Warning,
    /// The flow cannot run.
    Error,
}
