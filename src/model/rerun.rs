//! Runs that repeat others: what is asked for, and what a new run says of it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{ActionId, IdError, NameError, Repository, RunId, Sha};

/// What of a run is to run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// All of it.
    Everything,
    /// What did not succeed, and what was skipped for that.
    Failed,
    /// One action, and what was skipped because of it.
    Action(ActionPath),
    /// A stage, and what was skipped because of it.
    Stage(String),
    /// Nothing: somebody has said that it is not needed.
    Nothing,
}

/// Which flow file is to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FlowChoice {
    /// The plan as it was.
    Same,
    /// The file at the newest commit of the event's branch, on the same commit's code.
    Newest,
}

/// Somebody's wish for a re-run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// What of the run.
    pub what: What,
    /// By which flow file.
    pub flow: FlowChoice,
    /// Who wishes it.
    pub by: String,
}

/// What a re-run repeats. Which run, its row says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Repeats {
    /// What of it.
    pub what: What,
    /// Where its flow file is from; `None`: the plan is the repeated run's.
    pub newest: Option<FlowSource>,
    /// Who asked for it.
    pub by: String,
}

/// Where the newest flow file was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct FlowSource {
    /// The branch.
    pub branch: String,
    /// Its newest commit then.
    pub sha: Sha,
}

/// Where an action stands in its flow: `stage.action`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ActionPath {
    /// The stage's name.
    pub stage: String,
    /// The action's name.
    pub action: String,
}

/// What a forge keeps of a check for us: the run that speaks there, and the action, if it is one's. Before it named
/// actions it was the run's id alone, which is still read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalId {
    /// The run.
    pub run: RunId,
    /// Its action.
    pub action: Option<ActionId>,
}

/// A button that a forge shows at a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Button {
    /// What did not succeed.
    Failed,
    /// All of it.
    Everything,
    /// What did not succeed, by the newest flow file.
    Newest,
    /// What waits because its code is untrusted.
    Approve,
    /// Nothing: what runs is stopped.
    Cancel,
}

/// Someone asked the forge to run something again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rerun {
    /// Where.
    pub repository: Repository,
    /// At which commit.
    pub sha: Sha,
    /// One check's `external_id` as we gave it, or `None` for all runs of the commit.
    pub external_id: Option<String>,
    /// Which of our buttons was pressed there; `None`: the forge's own.
    pub button: Option<Button>,
    /// Who asked.
    pub actor: String,
}

impl Repeats {
    /// All of a run's words on what it repeats of run `number`: `the failed actions of run #4`, …
    pub fn words(&self, number: i64) -> String {
        let what = match &self.what {
            What::Everything => format!("everything of run #{number}"),
            What::Failed => format!("the failed actions of run #{number}"),
            What::Action(path) => format!("action {path} of run #{number}"),
            What::Stage(name) => format!("stage {name} of run #{number}"),
            What::Nothing => format!("nothing of run #{number}"),
        };
        match &self.newest {
            Some(FlowSource { branch, sha }) => {
                format!("{what}, by the newest flow file (commit {} of {branch})", sha.short())
            }
            None => what,
        }
    }
}

impl fmt::Display for ActionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.stage, self.action)
    }
}

impl FromStr for ActionPath {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('.') {
            Some((stage, action)) if text.chars().count() <= 255 && !stage.is_empty() && !action.is_empty() => {
                Ok(Self { stage: stage.to_owned(), action: action.to_owned() })
            }
            Some(_) | None => Err(NameError::new("action", "`stage.action`", text)),
        }
    }
}

impl From<ActionPath> for String {
    fn from(path: ActionPath) -> Self {
        path.to_string()
    }
}

impl TryFrom<String> for ActionPath {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.action {
            Some(action) => write!(f, "{}.{action}", self.run),
            None => write!(f, "{}", self.run),
        }
    }
}

impl FromStr for ExternalId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.split_once('.') {
            Some((run, action)) => Ok(Self { run: run.parse()?, action: Some(action.parse()?) }),
            None => Ok(Self { run: text.parse()?, action: None }),
        }
    }
}
