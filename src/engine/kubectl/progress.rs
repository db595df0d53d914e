//! How far a kubectl job is: a row, written before and after whatever changes the cluster.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{Time, Verdict};

/// What a job has done so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// What names the manifest, once it was read: another one is not gone on with.
    #[serde(default)]
    pub(super) digest: String,
    /// How many objects there are in all.
    #[serde(default)]
    pub(super) total: usize,
    /// Those that were begun, in order.
    #[serde(default)]
    pub(super) objects: Vec<Object>,
    /// When all were applied.
    #[serde(default)]
    pub(super) applied: Option<Time>,
    /// How often the log was told of a rollout.
    #[serde(default)]
    pub(super) told: usize,
    /// The end to come, when all is rolled back.
    #[serde(default)]
    pub(super) failure: Option<Verdict>,
    /// Since when the cluster, or the manifest, cannot be reached.
    #[serde(default)]
    pub(super) away: Option<Time>,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Object {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    /// As people know it: `deployment.apps/web`.
    pub(super) title: String,
    pub(super) former: Former,
    /// The version that it had.
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) stage: Stage,
    /// What the log said of it last.
    #[serde(default)]
    pub(super) said: String,
}

/// What an object was before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Former {
    /// It was not there.
    New,
    /// This.
    Was(Value),
    /// Something that is not kept: nobody asked for it, or it is a Secret.
    Unkept,
}

/// How far an object is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// It is about to be applied, or was and nobody wrote it down.
    #[default]
    Begun,
    /// It was applied.
    Applied,
    /// It runs.
    Done,
    /// It was brought back, or cannot be.
    RolledBack,
}

impl Progress {
    /// Whether all objects were applied.
    pub(super) fn is_applied(&self) -> bool {
        self.total > 0 && self.objects.len() == self.total && self.objects.iter().all(|one| one.stage != Stage::Begun)
    }
}
