//! Forges: where events come from, where flow files and sources are read, and who is told.

pub mod git;
mod git_command;
pub mod gitea;
pub mod github;
pub mod gitlab;
mod hook;
pub mod mirror;
pub mod oauth;
mod payload;
mod recall;
mod report;
mod swept;
mod words;

use async_trait::async_trait;
use std::time::Duration;

use crate::model::{
    Audience, ChangedFiles, Closing, Comment, CommentPlace, Event, ForgeKind, Repository, Rerun, Role, Sha, Visibility,
};

pub use git_command::{GitCommand, GitCommandError};
pub use hook::{Hook, HookKeeper};
pub use recall::{AttemptsPage, DeliveryAttempt, Head, Heads, Hooks, Left, Moved, Recall, Webhook};
pub use report::{Allowance, AtOnce, Shown, Told, Wanted, Writes};

/// One forge. Every call to the outside has a time limit and may be repeated; none is made from the request that
/// caused it, but for a dry run's, which somebody waits for.
#[async_trait]
pub trait Forge: Send + Sync {
    /// Which.
    fn kind(&self) -> ForgeKind;

    /// Checks a delivery's signature over the raw body, in constant time, and reads from its headers what it is.
    /// `None`: not authentic.
    fn authenticate(&self, headers: &http::HeaderMap, body: &[u8]) -> Option<Authentic>;

    /// What an authentic delivery means. Pure.
    ///
    /// # Errors
    /// If the body is no JSON, or not of the shape its event has.
    fn read(&self, event: &str, body: &[u8]) -> Result<Reading, Unreadable>;

    /// The commit's flow files: `.containerops.yml`, else `.containerops/*.yml` sorted by name; empty if there is none.
    /// A file over 1 MiB is returned with its first 1 MiB + 1 bytes, so that whoever parses it refuses it.
    async fn flow_files(&self, repository: &Repository, sha: &Sha) -> Result<Vec<FlowFile>, ForgeError>;

    /// The number of the open pull request from this branch of this repository into it, if there is one.
    async fn open_pull_request(&self, repository: &Repository, branch: &str) -> Result<Option<u64>, ForgeError>;

    /// The newest commit of a branch; `None` if there is no such branch (any more).
    async fn branch_head(&self, repository: &Repository, branch: &str) -> Result<Option<Sha>, ForgeError>;

    /// The beginning of a commit's message, however many lines that has; `None`: this forge cannot tell.
    async fn message(&self, _: &Repository, _: &Sha) -> Result<Option<String>, ForgeError> {
        Ok(None)
    }

    /// The paths that an event changed. What this forge does not tell is a gap, and no error.
    async fn changed_files(&self, event: &Event) -> Result<ChangedFiles, ForgeError> {
        Ok(ChangedFiles::unknown(format!("{} does not tell them", event.repository.forge)))
    }

    /// What someone may do in a repository; `None`: nothing, as far as this forge tells.
    async fn role(&self, _: &Repository, _: &str) -> Result<Option<Role>, ForgeError> {
        Ok(None)
    }

    /// Whether the repository has commits of someone, by this login; false as well where this forge does not tell.
    async fn has_contributed(&self, _: &Repository, _: &str) -> Result<bool, ForgeError> {
        Ok(false)
    }

    /// Who may see a repository, as this forge says now; `Unknown`: it does not say.
    async fn visibility(&self, _: &Repository) -> Result<Visibility, ForgeError> {
        Ok(Visibility::Unknown)
    }

    /// Answers a comment with words, or, if there are none, with a sign that all of it was done. A mark goes with the
    /// words, and finds them `again` if they may have arrived before.
    async fn reply(&self, _: &CommentPlace, _: (&str, &str), _again: bool) -> Result<(), ForgeError> {
        Ok(())
    }

    /// Where `git fetch` finds the event's commit.
    async fn source(&self, event: &Event) -> Result<Source, ForgeError>;

    /// Who pays for what this repository is told, and how much that may be. Pure.
    fn allowance(&self, repository: &Repository) -> Allowance;

    /// Tells the forge the state of one context, by one call that writes. `known` is what the last call for this
    /// context returned, or what [`shown`](Self::shown) did.
    ///
    /// # Errors
    /// [`ForgeError`]. After [`ForgeError::Away`] nobody knows whether it was done, or will be in a moment.
    async fn report(&self, wanted: &Wanted<'_>, known: Option<&str>) -> Result<Told, ForgeError>;

    /// What the forge would show if it had been told this. Pure.
    fn expected(&self, wanted: &Wanted<'_>) -> Shown;

    /// What the forge shows of a commit, at most one for each context: ours, and what others have written under names
    /// of their own. `None`: this forge shows nothing that could be read, and its word is all there is. `events` are
    /// those of the runs that speak.
    async fn shown(
        &self,
        repository: &Repository,
        sha: &Sha,
        events: &[Event],
    ) -> Result<Option<Vec<Shown>>, ForgeError>;

    /// Where the states that `known` is of are shown, and why there, if that is not where people look first: a
    /// sentence for the run's page. Pure.
    fn way(&self, _known: &str) -> Option<String> {
        None
    }

    /// How to find what its webhooks did not bring. None: it cannot be asked afterwards.
    fn recall(&self) -> Option<&dyn Recall> {
        None
    }

    /// How to look after its webhooks. None: it has none that could be looked after, or we may not.
    fn hook_keeper(&self) -> Option<&dyn HookKeeper> {
        None
    }
}

/// What a signature proved, with the names that make a delivery unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentic {
    /// Which hook sent it; empty where the forge does not say.
    pub hook: String,
    /// The delivery's id on the forge.
    pub delivery: String,
    /// The event's name on the forge: `push`, `check_run`, …
    pub event: String,
}

/// What a delivery means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are events, and each is taken apart at once")]
pub enum Reading {
    /// It may start runs.
    Event(Event),
    /// Someone wants runs again.
    Rerun(Rerun),
    /// Someone tells us to do something.
    Comment(Comment),
    /// A pull request is open no longer.
    Closed(Closing),
    /// Other people may see a repository.
    Audience(Audience),
    /// It starts nothing, for this reason: a sentence for the delivery's page.
    Nothing(String),
}

/// An authentic delivery that we cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON: answered with 400.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// JSON, but not as this event should be.
    #[error("the `{event}` payload is not of the expected shape: {message}")]
    Shape {
        /// The event's name.
        event: String,
        /// What is missing or wrong, and where.
        message: String,
    },
}

/// One flow file, as it stands in the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowFile {
    /// Its path in the repository.
    pub path: String,
    /// Its bytes, which may be anything.
    pub content: Vec<u8>,
}

/// Where `git fetch` finds a commit.
#[derive(Debug, Clone)]
pub struct Source {
    /// A URL or a path, without credentials.
    pub url: String,
    /// An HTTP header for that URL alone (`Authorization: …`); never written to a disk or a command line.
    pub header: Option<secrecy::SecretString>,
    /// Refs to ask for if the commit itself cannot be asked for by its sha, best first.
    pub refs: Vec<String>,
    /// A ref that holds the merge of the commit into its base; used if its second parent is the commit.
    pub merge_ref: Option<String>,
    /// Where its submodules may be.
    pub realm: Realm,
}

/// Where a repository's submodules may be, besides what everybody can fetch. A flow's author may name any address, so
/// whatever the server could read for itself is not to be had in this way, unless somebody has allowed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Realm {
    /// On the same host: what everybody can read there, and these repositories with the source's own header.
    Host {
        /// Patterns of `owner/name`.
        shared: Vec<String>,
    },
    /// Bare repositories below this directory.
    Below(std::path::PathBuf),
    /// At their places in this working tree.
    Tree(std::path::PathBuf),
}

/// A forge did not do what we asked.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// It cannot be reached, timed out, or answered 5xx: try again later.
    #[error("{forge} is away: {message}")]
    Away {
        /// Which.
        forge: ForgeKind,
        /// What happened.
        message: String,
    },
    /// It asks for patience (403 or 429 with `retry-after` or an empty budget).
    #[error("{forge} asks us to wait {} s: {message}", after.as_secs())]
    Limited {
        /// Which.
        forge: ForgeKind,
        /// For how long.
        after: Duration,
        /// What it said.
        message: String,
    },
    /// It said no, and will say so again: no such thing, no permission, a body it does not take.
    #[error("{forge} refused ({status}): {message}")]
    Refused {
        /// Which.
        forge: ForgeKind,
        /// The HTTP status, or 0 where there is none.
        status: u16,
        /// What it said.
        message: String,
    },
}
