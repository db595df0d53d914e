//! The webhooks that a forge has for us: seen, registered, and set right. What follows from what is seen is
//! [`HookState`]'s to say.

use async_trait::async_trait;
use url::Url;

use super::ForgeError;
use crate::model::{HookFault, HookState, RepositoryName};

/// The part of a [`Forge`](super::Forge) that looks after its webhooks. `url` is where a hook of ours delivers; one that
/// delivers elsewhere is somebody else's, and nothing here touches it. Every call may be repeated.
#[async_trait]
pub trait HookKeeper: Send + Sync {
    /// The hooks that bring this repository's events to `url`, the best first: its own, or one of the whole forge's
    /// (a GitHub App's). Empty: there is none.
    ///
    /// # Errors
    /// [`ForgeError::Refused`] if we may not see them; it names the permission that is missing.
    async fn hooks_at(&self, of: &RepositoryName, url: &str) -> Result<Vec<Hook>, ForgeError>;

    /// Registers a hook of the repository with all that it needs: events, secret, JSON.
    async fn add_hook(&self, of: &RepositoryName, url: &str) -> Result<(), ForgeError>;

    /// Sets all of a hook again that [`hooks_at`](Self::hooks_at) has returned, also its secret, which no forge tells, and
    /// switches it on.
    async fn set_hook(&self, of: &RepositoryName, url: &str, hook: &Hook) -> Result<(), ForgeError>;

    /// Removes one that [`hooks_at`](Self::hooks_at) has returned beside another. One that is gone is no error.
    async fn remove_hook(&self, of: &RepositoryName, hook: &Hook) -> Result<(), ForgeError>;
}

/// A hook that delivers to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The forge's word for it.
    pub id: String,
    /// What is wrong with it, as far as the forge tells.
    pub faults: Vec<HookFault>,
    /// What a forge's own calls need besides.
    pub told: serde_json::Value,
}

impl Hook {
    /// What is to be said of a repository with these hooks. Pure.
    pub fn state(hooks: &[Self]) -> HookState {
        let Some(first) = hooks.first() else { return HookState::Missing };
        let mut faults = first.faults.clone();
        if hooks.len() > 1 {
            faults
                .push(HookFault::wrong(format!("{} webhooks deliver to us: each event arrives as often", hooks.len())));
        }
        if faults.is_empty() { HookState::Good } else { HookState::Faulty { faults } }
    }
}

/// Whether two URLs are one, however they are written.
pub(super) fn is_same_url(one: &str, other: &str) -> bool {
    let plain = |text: &str| Url::parse(text).map(|url| url.as_str().trim_end_matches('/').to_owned());
    plain(one).is_ok_and(|one| plain(other).is_ok_and(|other| one == other))
}
