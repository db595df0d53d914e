//! The rule of a repository for untrusted code: what it is, and how somebody changes it.

use super::{Engine, EngineError, Result};
use crate::{
    model::{Repository, RepositoryId, RunUntrusted, UntrustedPolicy},
    store::{RepositoryRow, StoreError, Tx},
};

/// The rule of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What holds.
    pub policy: UntrustedPolicy,
    /// What the server's setting says.
    pub by_setting: UntrustedPolicy,
    /// Who has given the repository a rule of its own; `None`: nobody.
    pub set_by: Option<String>,
}

/// Who gives a repository a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleMaker {
    /// Their name, which is kept with it.
    pub name: String,
    /// Whether the server is theirs.
    pub is_admin: bool,
}

/// Why a rule is not set.
#[derive(Debug, thiserror::Error)]
pub enum Unruly {
    /// It would let run what the server's owner has shut out.
    #[error(
        "the server's setting is that such code is never run here: only an administrator of the server changes that"
    )]
    Never,
    /// Not their doing.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<StoreError> for Unruly {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl Engine {
    /// The rule of a repository, and whose it is.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn rule(&self, of: &RepositoryRow) -> Result<Rule> {
        self.rule_in(&mut self.store.read().await?, of).await
    }

    /// Gives a repository a rule of its own, or takes it away. Where such code is never run from now on, what waits ends.
    ///
    /// # Errors
    /// [`Unruly`].
    pub async fn set_rule(
        &self,
        of: &RepositoryRow,
        wanted: Option<UntrustedPolicy>,
        maker: &RuleMaker,
    ) -> Result<Rule, Unruly> {
        let by_setting = self.by_setting(&of.facts);
        if wanted.is_some_and(|wanted| !by_setting.may_become(wanted)) && !maker.is_admin {
            return Err(Unruly::Never);
        }
        let mut tx = self.store.write().await?;
        tx.set_untrusted_policy(of.id, wanted, &maker.name, self.now()).await?;
        let rule = self.rule_in(&mut tx, of).await?;
        if rule.policy.run == RunUntrusted::Never {
            let by = format!("{}, whose rule is that such code is never run here", maker.name);
            self.end_all_waiting(&mut tx, of.id, &by).await?;
        }
        let own = if rule.set_by.is_some() { "" } else { ", by the setting" };
        self.note(&mut tx, &format!("the rule is `{}`{own}", rule.policy)).await?;
        tx.commit().await?;
        tracing::info!(repository = %of.name, rule = %rule.policy, by = maker.name, "the rule for untrusted code was set");
        Ok(rule)
    }

    async fn rule_in(&self, tx: &mut Tx, of: &RepositoryRow) -> Result<Rule> {
        let by_setting = self.by_setting(&of.facts);
        Ok(match tx.untrusted_policy(of.id).await? {
            Some((policy, by)) => Rule { policy, by_setting, set_by: Some(by) },
            None => Rule { policy: by_setting, by_setting, set_by: None },
        })
    }

    /// What holds in a repository.
    pub(super) async fn policy_in(&self, tx: &mut Tx, id: RepositoryId, of: &Repository) -> Result<UntrustedPolicy> {
        let own = tx.untrusted_policy(id).await?;
        Ok(own.map_or_else(|| self.by_setting(of), |(policy, _)| policy))
    }

    pub(super) fn by_setting(&self, of: &Repository) -> UntrustedPolicy {
        UntrustedPolicy::of(&self.settings.untrusted, of.forge, &of.name)
    }
}
