//! Secrets as they are kept: encrypted. Nothing here can read one.

use sha2::{Digest as _, Sha256};

use super::{Json, Result, Tx, execute, meant, row, rows};
use crate::model::{ForgeKind, RepositoryName, RunId, SecretLevel, SecretLimits, SecretName, SecretScope, Time};

/// One secret, encrypted.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct SecretRow {
    /// Of which forge.
    pub forge: ForgeKind,
    /// How wide its scope is.
    pub level: SecretLevel,
    /// The owner's or the repository's name.
    pub scope: RepositoryName,
    /// Unique in its scope.
    pub name: SecretName,
    /// Which of the jobs that want it get it.
    pub limits: Json<SecretLimits>,
    /// By which of the server's keys it is encrypted.
    pub key_id: String,
    /// The encrypted value.
    pub sealed: Vec<u8>,
    /// When it was set first.
    pub created: Time,
    /// When it was set last.
    pub changed: Time,
    /// By whom.
    pub changed_by: String,
    /// When a job was given it last.
    pub used: Option<Time>,
}

/// A secret as the jobs of a run were given it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct GivenRow {
    /// The run.
    pub run_id: RunId,
    /// Unique in its run.
    pub version: String,
    /// The secret.
    #[sqlx(flatten)]
    pub secret: SecretRow,
}

impl SecretRow {
    /// Whose it is.
    pub fn scope(&self) -> SecretScope {
        SecretScope { forge: self.forge, level: self.level, name: self.scope.clone() }
    }
}

impl Tx {
    /// Keeps a secret, in the place of what its scope has by that name; when that was set first stays.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn put_secret(&mut self, new: &SecretRow) -> Result<()> {
        let met = execute!(
            self,
            "INSERT INTO secrets (forge, level, scope, name, limits, key_id, sealed, created, changed, changed_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (forge, level, scope, name) DO UPDATE SET limits = excluded.limits, \
             key_id = excluded.key_id, sealed = excluded.sealed, changed = excluded.changed, \
             changed_by = excluded.changed_by",
            new.forge,
            new.level,
            &new.scope,
            &new.name,
            Json(&new.limits.0),
            &new.key_id,
            &new.sealed,
            new.created,
            new.changed,
            &new.changed_by,
        )?;
        meant("a secret", 1, met)
    }

    /// Puts the same value, encrypted by another key, in the place of what was read. False: it has changed since.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn seal_secret_again(&mut self, old: &SecretRow, key_id: &str, sealed: &[u8]) -> Result<bool> {
        let met = execute!(
            self,
            "UPDATE secrets SET key_id = $5, sealed = $6 \
             WHERE forge = $1 AND level = $2 AND scope = $3 AND name = $4 AND sealed = $7",
            old.forge,
            old.level,
            &old.scope,
            &old.name,
            key_id,
            sealed,
            &old.sealed,
        )?;
        Ok(met == 1)
    }

    /// Forgets a secret. False: there is none.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn remove_secret(&mut self, scope: &SecretScope, name: &SecretName) -> Result<bool> {
        let met = execute!(
            self,
            "DELETE FROM secrets WHERE forge = $1 AND level = $2 AND scope = $3 AND name = $4",
            scope.forge,
            scope.level,
            &scope.name,
            name,
        )?;
        Ok(met == 1)
    }

    /// A scope's secrets, by name.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn secrets(&mut self, scope: &SecretScope) -> Result<Vec<SecretRow>> {
        rows!(
            self,
            SecretRow,
            "SELECT * FROM secrets WHERE forge = $1 AND level = $2 AND scope = $3 ORDER BY name",
            scope.forge,
            scope.level,
            &scope.name,
        )
    }

    /// The secret of this name that a repository's jobs would have: its own, or that of who is nearest above it.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn nearest_secret(
        &mut self,
        forge: ForgeKind,
        repository: &RepositoryName,
        name: &str,
    ) -> Result<Option<SecretRow>> {
        row!(
            self,
            SecretRow,
            "SELECT * FROM secrets WHERE forge = $1 AND name = $2 AND ((level = 'repository' AND scope = $3) \
             OR (level = 'owner' AND SUBSTR($3, 1, LENGTH(scope) + 1) = scope || '/')) \
             ORDER BY LENGTH(scope) DESC LIMIT 1",
            forge,
            name,
            repository,
        )
    }

    /// A job of a run is about to be given a secret: it is kept for the run as it is now, and when it was used.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn give_secret(&mut self, run: RunId, secret: &SecretRow, now: Time) -> Result<()> {
        execute!(
            self,
            "INSERT INTO given_secrets (run_id, version, forge, level, scope, name, limits, key_id, sealed, given) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (run_id, version) DO NOTHING",
            run,
            hex::encode(Sha256::digest(&secret.sealed)),
            secret.forge,
            secret.level,
            &secret.scope,
            &secret.name,
            Json(&secret.limits.0),
            &secret.key_id,
            &secret.sealed,
            now,
        )?;
        meant("a secret that is used", 1, u64::from(self.secret_used(secret, now).await?))
    }

    /// A secret was used. False: it is not there any more.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn secret_used(&mut self, secret: &SecretRow, now: Time) -> Result<bool> {
        let met = execute!(
            self,
            "UPDATE secrets SET used = $5 WHERE forge = $1 AND level = $2 AND scope = $3 AND name = $4",
            secret.forge,
            secret.level,
            &secret.scope,
            &secret.name,
            now,
        )?;
        Ok(met == 1)
    }

    /// What the jobs of a run were given.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn given_secrets(&mut self, run: RunId) -> Result<Vec<GivenRow>> {
        rows!(
            self,
            GivenRow,
            "SELECT run_id, version, forge, level, scope, name, limits, key_id, sealed, given AS created, \
             given AS changed, '' AS changed_by, given AS used FROM given_secrets WHERE run_id = $1 ORDER BY version",
            run,
        )
    }

    /// How many secrets a run's jobs were given.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn count_given_secrets(&mut self, run: RunId) -> Result<i64> {
        if let Some(known) = self.known.given.get(&run) {
            return Ok(*known);
        }
        let found: Option<(i64,)> = row!(self, (i64,), "SELECT COUNT(*) FROM given_secrets WHERE run_id = $1", run)?;
        let count = found.map_or(0, |(count,)| count);
        if self.known.learns {
            self.known.given.insert(run, count);
        }
        Ok(count)
    }

    /// What the jobs of all runs were given.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn all_given_secrets(&mut self) -> Result<Vec<GivenRow>> {
        rows!(
            self,
            GivenRow,
            "SELECT run_id, version, forge, level, scope, name, limits, key_id, sealed, given AS created, \
             given AS changed, '' AS changed_by, given AS used FROM given_secrets ORDER BY run_id, version",
        )
    }

    /// Puts the same value, encrypted by another key, in the place of what a run was given. False: it is gone.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn seal_given_again(&mut self, old: &GivenRow, key_id: &str, sealed: &[u8]) -> Result<bool> {
        let met = execute!(
            self,
            "UPDATE given_secrets SET key_id = $3, sealed = $4 WHERE run_id = $1 AND version = $2",
            old.run_id,
            &old.version,
            key_id,
            sealed,
        )?;
        Ok(met == 1)
    }

    /// Forgets what the jobs of runs were given that ended before this.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn forget_given_secrets(&mut self, before: Time) -> Result<()> {
        execute!(self, "DELETE FROM given_secrets WHERE run_id IN (SELECT id FROM runs WHERE ended <= $1)", before)?;
        Ok(())
    }

    /// Every secret there is.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn all_secrets(&mut self) -> Result<Vec<SecretRow>> {
        rows!(self, SecretRow, "SELECT * FROM secrets ORDER BY forge, level, scope, name")
    }
}
