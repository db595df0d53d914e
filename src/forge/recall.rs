//! What a forge can say again, for what its webhooks did not bring: the deliveries that failed, and the heads as they
//! are.
//!
//! A forge that tries only once, or leaves events out, loses some. Nothing here decides what was lost: that is the
//! engine's, which knows what has arrived.

use std::path::PathBuf;

use async_trait::async_trait;

use super::ForgeError;
use crate::model::{Repository, RepositoryName, Sha, Time};

/// The part of a [`Forge`](super::Forge) that can be asked afterwards. Every call may be repeated.
#[async_trait]
pub trait Recall: Send + Sync {
    /// Where it keeps what became of its deliveries.
    fn hooks(&self) -> Hooks;

    /// One page of the attempts that a hook has made to deliver something that may start runs, newest first. `of`: the
    /// repository whose hook it is, or `None` for the hook of the whole forge. `url` is where a hook of ours delivers;
    /// `page` what an earlier answer had as `next`.
    ///
    /// # Errors
    /// [`ForgeError::Refused`] if we may not see it, or if `page` is no longer known.
    async fn attempts(
        &self,
        of: Option<&Repository>,
        url: &str,
        page: Option<&str>,
    ) -> Result<AttemptsPage, ForgeError>;

    /// Asks for the delivery of a failed attempt once more. It keeps its id, so asking twice does no harm.
    async fn deliver_again(&self, of: Option<&Repository>, attempt: &str) -> Result<(), ForgeError>;

    /// Where the repository's branches, tags and open pull requests are now.
    ///
    /// # Errors
    /// [`ForgeError::Refused`] if it is gone, hidden from us, or has another name by now.
    async fn heads(&self, repository: &Repository) -> Result<Heads, ForgeError>;

    /// The webhook that would have told of a head, in the forge's own shape. `before`: where the head was, or zeros.
    ///
    /// # Errors
    /// [`ForgeError::Refused`] if there is no such head (any more).
    async fn webhook(&self, repository: &Repository, head: &Head, before: &Sha) -> Result<Webhook, ForgeError>;

    /// The head that a delivery tells of, if it tells that one has moved. Pure.
    fn moved(&self, event: &str, body: &[u8]) -> Option<Moved>;

    /// What hooks could not bring and have left where we can read it, in the order in which each of them has. Whoever has
    /// taken one removes its file.
    async fn left(&self) -> Vec<Left> {
        Vec::new()
    }
}

/// Where a forge keeps what became of its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hooks {
    /// One hook brings the events of all repositories.
    OfAll,
    /// Each repository has a hook of its own.
    OfEach,
    /// Nowhere.
    None,
}

/// One attempt at a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// The forge's word for it: what [`Recall::deliver_again`] needs.
    pub id: String,
    /// The delivery's id, which all attempts at it share.
    pub delivery: String,
    /// When it was made.
    pub at: Time,
    /// Whether it failed.
    pub failed: bool,
}

/// A page of attempts, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttemptsPage {
    /// Those at deliveries that may start runs.
    pub attempts: Vec<DeliveryAttempt>,
    /// When the oldest attempt of the page was made, whatever it delivers.
    pub oldest: Option<Time>,
    /// Where older ones are; `None` if there are none.
    pub next: Option<String>,
}

/// The heads of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heads {
    /// Each once.
    pub heads: Vec<Head>,
    /// What the names begin with of which there are more than were listed: `refs/tags/`, …
    pub cut: Vec<&'static str>,
}

/// One head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// `refs/heads/…`, `refs/tags/…` or `refs/pull/N`.
    pub name: String,
    /// Where it is.
    pub sha: Sha,
    /// What else the forge's list says of it, for [`Recall::webhook`].
    pub told: serde_json::Value,
}

/// A webhook that never came, made of what the forge says now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The event's name on the forge.
    pub event: String,
    /// The body, in the forge's own shape.
    pub body: Vec<u8>,
    /// When it happened, as far as the forge tells.
    pub happened: Option<Time>,
}

/// A delivery that its hook has written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// What it is about.
    pub repository: RepositoryName,
    /// Its id, by which the hook sends it, too.
    pub delivery: String,
    /// What is in it.
    pub webhook: Webhook,
    /// Where it is.
    pub file: PathBuf,
}

/// A head that has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Where.
    pub repository: RepositoryName,
    /// The head, as in [`Head::name`].
    pub name: String,
    /// Where it is now.
    pub sha: Sha,
    /// When it moved, as far as the delivery tells.
    pub happened: Option<Time>,
}
