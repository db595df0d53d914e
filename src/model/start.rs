//! What starts runs besides what happens on a forge, as flow files name it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EventKind, RepositoryName, Sha};

/// A time at which a flow is to run, again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Minute, hour, day of the month, month and day of the week.
    pub cron: String,
    /// The IANA name of the zone whose clock counts.
    pub timezone: String,
    /// The branch whose newest commit is built; `None`: the default branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

impl Schedule {
    /// The line as people are shown it, with its zone if that is not UTC.
    pub fn words(&self) -> String {
        if self.timezone == "UTC" { self.cron.clone() } else { format!("{} {}", self.cron, self.timezone) }
    }
}

/// What can be given to a flow that is started by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ManualInput {
    /// As `@NAME@` and conditions have it.
    pub name: String,
    /// What it is if it is not given; `None`: it must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What it may be; empty: any text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// How a flow can be started, as its file at the newest commit of a branch says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Starter {
    /// By a clock.
    Schedule(Schedule),
    /// By hand, with these inputs.
    Manual(Vec<ManualInput>),
    /// By the success of the flow with this `uri`.
    Flow(String),
}

impl Starter {
    /// One word, for queries.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Schedule(_) => "schedule",
            Self::Manual(_) => "manual",
            Self::Flow(_) => "flow",
        }
    }

    /// What makes it one of its kind.
    pub fn name(&self) -> String {
        match self {
            Self::Schedule(schedule) => schedule.words(),
            Self::Manual(_) => String::new(),
            Self::Flow(uri) => uri.clone(),
        }
    }
}

/// The wish to start flows at the newest commit of a branch. It is the body of a delivery of our own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Whose flows.
    pub repository: RepositoryName,
    /// Why, and on which branch.
    #[serde(flatten)]
    pub kind: EventKind,
    /// The commit; `None`: the branch's newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha: Option<Sha>,
    /// Only the flow in this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only the flow of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<String>,
    /// Who or what wants it.
    pub by: String,
}

/// What somebody asks for who starts flows by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The branch; `None`: the default branch.
    pub branch: Option<String>,
    /// Only the flow of this name; `None`: all that can be started by hand.
    pub flow: Option<String>,
    /// What is given.
    pub inputs: BTreeMap<String, String>,
    /// Who asks.
    pub by: String,
}
