//! What happened on a forge, in our words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ForgeKind, RepositoryName, Sha, Trust, Visibility};

/// A repository as its forge describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Repository {
    /// Its forge.
    pub forge: ForgeKind,
    /// Its name there.
    pub name: RepositoryName,
    /// `main`, usually.
    pub default_branch: String,
    /// Where `git fetch` reads it; without credentials. Empty where that is a place on the server.
    pub clone_url: String,
    /// Its page on the forge; empty where it has none.
    pub web_url: String,
    /// The GitHub App's installation that sees it.
    pub installation: Option<u64>,
    /// Who may see it, as far as this was told.
    #[serde(default, skip_serializing_if = "Visibility::is_unknown")]
    pub visibility: Visibility,
}

/// Something that may start runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Event {
    /// Where it happened.
    pub repository: Repository,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
    /// The commit that is built, and on which is reported.
    pub sha: Sha,
    /// The commit before, or the one it is compared with.
    pub base_sha: Option<Sha>,
    /// Who did it: the forge's login.
    pub actor: String,
    /// The head commit's message, or the pull request's title; shown to people, first line at most 200 characters.
    pub title: String,
    /// Whether its code may be trusted.
    pub trust: Trust,
    /// The head commit's whole message, if what told of the event has it. It is not kept.
    #[serde(skip)]
    pub message: Option<String>,
}

/// The kinds of [`Event`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// Commits arrived on a branch.
    Push {
        /// The branch's name, without `refs/heads/`.
        branch: String,
    },
    /// A tag was made or moved.
    Tag {
        /// The tag's name, without `refs/tags/`.
        tag: String,
    },
    /// A pull request has new code.
    PullRequest(PullRequest),
    /// A merge queue wants to know about a merge.
    MergeGroup {
        /// The branch it will be merged into.
        base: String,
        /// The queue's own branch.
        branch: String,
    },
    /// A time that the flow's `schedule` names has come.
    Schedule {
        /// The branch whose newest commit is built.
        branch: String,
        /// The line that named the time, and its zone if that is not UTC.
        cron: String,
    },
    /// Somebody wants it.
    Manual {
        /// The branch whose newest commit is built.
        branch: String,
        /// What was given; what was not has its default.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        inputs: BTreeMap<String, String>,
        /// The flows whose jobs led here, by `uri`, first to last; empty: a person did.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        chain: Vec<String>,
    },
    /// Another flow has succeeded.
    Flow {
        /// The branch that is built.
        branch: String,
        /// That flow's `uri`.
        after: String,
        /// The flows before that one which led here, first to last.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        chain: Vec<String>,
    },
}

/// A pull request (GitLab: merge request) at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// The branch with the new code.
    pub branch: String,
    /// The branch it is to be merged into.
    pub base: String,
    /// The repository of the new code; `None` if that was deleted.
    pub head_repository: Option<RepositoryName>,
    /// Who opened it.
    pub author: String,
    /// A draft.
    pub draft: bool,
    /// Its head before, where the event is about new commits and the forge says.
    #[serde(default)]
    pub before: Option<Sha>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

impl PullRequest {
    /// The line of its runs.
    pub(super) fn line(number: u64) -> String {
        format!("pull/{number}")
    }
}

/// The paths that an event changed, as far as its forge tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangedFiles {
    /// What was added, changed, moved (both names) or removed.
    pub paths: Vec<String>,
    /// Why there may be others; `None`: these are all.
    pub gap: Option<String>,
}

impl ChangedFiles {
    /// Nothing is known of them, for this reason.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self { paths: Vec::new(), gap: Some(reason.into()) }
    }

    /// All of them.
    pub const fn all(paths: Vec<String>) -> Self {
        Self { paths, gap: None }
    }
}

impl Event {
    /// As it is shown: where a repository lies on the server concerns nobody else.
    #[must_use]
    pub fn shown(mut self) -> Self {
        let url = &mut self.repository.clone_url;
        if self.repository.forge == ForgeKind::Git || !url.contains("://") {
            url.clear();
        }
        self
    }

    /// `push`, `tag`, `pull_request`, `merge_group`, `schedule`, `manual` or `flow`: what `CO_EVENT` says.
    pub const fn name(&self) -> &'static str {
        match self.kind {
            EventKind::Schedule { .. } => "schedule",
            EventKind::Manual { .. } => "manual",
            EventKind::Flow { .. } => "flow",
            EventKind::Push { .. } => "push",
            EventKind::Tag { .. } => "tag",
            EventKind::PullRequest(_) => "pull_request",
            EventKind::MergeGroup { .. } => "merge_group",
        }
    }

    /// The branch whose code it is.
    pub fn branch(&self) -> Option<&str> {
        match &self.kind {
            EventKind::Push { branch }
            | EventKind::MergeGroup { branch, .. }
            | EventKind::Schedule { branch, .. }
            | EventKind::Manual { branch, .. }
            | EventKind::Flow { branch, .. } => Some(branch),
            EventKind::PullRequest(pull) => Some(&pull.branch),
            EventKind::Tag { .. } => None,
        }
    }

    /// The pull request, if it is one.
    pub const fn pull_request(&self) -> Option<&PullRequest> {
        match &self.kind {
            EventKind::PullRequest(pull) => Some(pull),
            EventKind::Push { .. }
            | EventKind::Tag { .. }
            | EventKind::MergeGroup { .. }
            | EventKind::Schedule { .. }
            | EventKind::Manual { .. }
            | EventKind::Flow { .. } => None,
        }
    }

    /// Whether `other` is about the same branch, tag or pull request, and says that it came after this one's commit.
    /// Deliveries may arrive in another order; that neither says so proves nothing.
    pub fn precedes(&self, other: &Self) -> bool {
        self.kind.is_about_the_same(&other.kind) && other.replaced() == Some(&self.sha)
    }

    /// The commit that stood there before.
    pub const fn replaced(&self) -> Option<&Sha> {
        match &self.kind {
            EventKind::Push { .. } | EventKind::Tag { .. } => self.base_sha.as_ref(),
            EventKind::PullRequest(pull) => pull.before.as_ref(),
            // each has a branch of its own, which never moves
            EventKind::MergeGroup { .. } => None,
            // they build what is there, and move nothing
            EventKind::Schedule { .. } | EventKind::Manual { .. } | EventKind::Flow { .. } => None,
        }
    }

    /// What it is one of a line of: a branch, a pull request, the tags. A run can be said to have fixed what an earlier
    /// one of its line had broken.
    pub fn line(&self) -> String {
        match &self.kind {
            EventKind::PullRequest(pull) => PullRequest::line(pull.number),
            EventKind::MergeGroup { branch, .. } => format!("merge/{branch}"),
            EventKind::Push { branch }
            | EventKind::Schedule { branch, .. }
            | EventKind::Manual { branch, .. }
            | EventKind::Flow { branch, .. } => format!("branch/{branch}"),
            EventKind::Tag { .. } => "tags".to_owned(),
        }
    }

    /// The last part of a context: `pr` for pull requests and merge groups, `push` for the rest, so that two runs
    /// of one commit never write over each other.
    pub const fn context_suffix(&self) -> &'static str {
        match self.kind {
            EventKind::PullRequest(_) | EventKind::MergeGroup { .. } => "pr",
            EventKind::Push { .. }
            | EventKind::Tag { .. }
            | EventKind::Schedule { .. }
            | EventKind::Manual { .. }
            | EventKind::Flow { .. } => "push",
        }
    }
}

impl EventKind {
    /// The flows that led here, one after another or by jobs that start others, first to last.
    pub fn way(&self) -> Vec<String> {
        match self {
            Self::Flow { after, chain, .. } => chain.iter().chain([after]).cloned().collect(),
            Self::Manual { chain, .. } => chain.clone(),
            Self::Push { .. }
            | Self::Tag { .. }
            | Self::PullRequest(_)
            | Self::MergeGroup { .. }
            | Self::Schedule { .. } => Vec::new(),
        }
    }

    fn is_about_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Push { branch: a }, Self::Push { branch: b }) | (Self::Tag { tag: a }, Self::Tag { tag: b }) => {
                a == b
            }
            (Self::PullRequest(a), Self::PullRequest(b)) => a.number == b.number,
            (Self::Push { .. } | Self::Tag { .. } | Self::PullRequest(_) | Self::MergeGroup { .. }, _)
            | (Self::Schedule { .. } | Self::Manual { .. } | Self::Flow { .. }, _) => false,
        }
    }
}
