//! What stands on a repository's page beside its runs, for those who maintain it: its webhook, its secrets, its rule.
//!
//! Buttons, the API, a sweep and commands of other processes change them, and no bell tells of all of these. So what a
//! page's script has seen of them is said by what they are.

use sha2::{Digest as _, Sha256};

use super::{
    Failure,
    hook::{HookView, hook},
    rule::RuleView,
    secret::{SecretView, secrets},
};
use crate::{model::ForgeKind, store::RepositoryRow, web::Web};

/// All of it; nothing, for whoever may not see it.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Its webhook, if something is wrong with it.
    pub(super) hook: Option<HookView>,
    /// What its jobs may ask for.
    pub(super) secrets: Vec<SecretView>,
    /// What becomes of untrusted code; a plain Git repository has none.
    pub(super) rule: Option<RuleView>,
}

impl Beside {
    pub(super) async fn read(web: &Web, row: &RepositoryRow) -> Result<Self, Failure> {
        let rule = match row.forge {
            ForgeKind::Git => None,
            ForgeKind::Github | ForgeKind::Gitlab | ForgeKind::Gitea => {
                Some(RuleView::new(row, &web.engine.rule(row).await?))
            }
        };
        let mut tx = web.engine.store.read().await?;
        Ok(Self { hook: hook(&mut tx, row).await?, secrets: secrets(&mut tx, row).await?, rule })
    }

    /// Another word than before if any of it has changed; empty for whoever sees nothing of it.
    pub(super) fn seen(&self) -> String {
        if self.hook.is_none() && self.secrets.is_empty() && self.rule.is_none() {
            return String::new();
        }
        format!("-{}", hex::encode(&Sha256::digest(format!("{self:?}"))[..8]))
    }
}
