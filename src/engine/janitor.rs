//! Nothing is left behind: what no row needs any more is found where it lies, by its name or its label alone, and
//! removed. Nobody has to have noted it for that, so it makes no difference who died when.
//!
//! Each round does a bounded amount of work. A blob that no row names is removed only when it has been so for a week of
//! looking: rows may come back, out of a backup.

use std::time::Duration;

use super::{
    Engine, Result,
    collect::{Collected, Collector},
};
use crate::{
    blob::{Digest, remove_old},
    model::AttemptState,
};

/// A snapshot outlives its last run by this, so that a re-run has the very same bytes. One that comes later has them
/// made again.
pub const SOURCE_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// A cache is kept for so long after it was found last.
pub const CACHE_KEPT: Duration = Duration::from_secs(14 * 24 * 3600);
/// What the jobs of a run were given is kept for so long after its end: its last words are still told to forges.
const GIVEN_KEPT: Duration = Duration::from_secs(24 * 3600);
/// A blob that nobody needs is kept for so long.
pub const UNNEEDED_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// A token that has expired is shown for so long, so that its owner sees why it is refused.
const TOKEN_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// So many lines of the audit log are kept.
const AUDIT_KEPT: i64 = 100_000;
/// Nothing is under way in the scratch directory for as long as this.
const SCRATCH_KEPT: Duration = Duration::from_secs(24 * 3600);
/// The most attempts that are removed in one round.
const ATTEMPTS: usize = 64;
/// The most runs whose logs and artifacts go in one round.
const RUNS: usize = 200;
/// About how many blobs are looked at in one round.
const BLOBS: usize = 1000;

impl Engine {
    /// Removes what the executor holds of attempts that nobody waits for: after a crash between two lines, or when the
    /// database was lost or restored from an older copy. An attempt's row is made before its pod, so one without a row
    /// is nobody's. How many there were.
    ///
    /// # Errors
    /// If the database is away; an executor that is away is asked again in the next round.
    pub async fn sweep_forgotten(&self) -> Result<usize> {
        let Ok(held) = self.executor.attempts().await else { return Ok(0) };
        let mut removed = 0;
        for id in held {
            let attempt = self.store.read().await?.attempt(id).await?;
            if attempt.is_none_or(|attempt| attempt.state.0 == AttemptState::Removed) {
                tracing::warn!(attempt.id = %id, "removing an attempt that nobody waits for");
                removed += usize::from(self.executor.remove(id).await.is_ok());
            }
            if removed == ATTEMPTS {
                break;
            }
        }
        Ok(removed)
    }

    /// One round through what lies on the disk: snapshots, artifacts, caches, blobs, halves of uploads, scratch files.
    ///
    /// # Errors
    /// If the database or the disk is away.
    pub async fn tidy(&self) -> Result<()> {
        let mut tx = self.store.write().await?;
        tx.forget_sources(self.now().before(SOURCE_KEPT)).await?;
        tx.forget_checkouts(self.now().before(SOURCE_KEPT)).await?;
        tx.expire_artifacts(self.now()).await?;
        tx.forget_caches(self.now().before(CACHE_KEPT)).await?;
        tx.forget_bundles().await?;
        tx.forget_given_secrets(self.now().before(GIVEN_KEPT)).await?;
        tx.forget_sessions(self.now(), self.now().before(TOKEN_KEPT)).await?;
        tx.forget_audit(AUDIT_KEPT).await?;
        tx.forget_removed_blobs(self.now().before(2 * UNNEEDED_KEPT)).await?;
        tx.commit().await?;
        self.retain().await?;
        self.count_logs().await?;
        for digest in self.blobs.some(BLOBS).await? {
            self.look_at_blob(digest).await?;
        }
        self.blobs.forget_halves().await?;
        let scratch = self.settings.scratch.clone();
        let tidied = tokio::task::spawn_blocking(move || remove_old(&scratch, SCRATCH_KEPT));
        Ok(tidied.await.map_err(std::io::Error::other)??)
    }

    async fn look_at_blob(&self, digest: Digest) -> Result<()> {
        let mut tx = self.store.read().await?;
        let name = digest.to_string();
        if tx.needs_blob(&name).await? && !tx.is_unneeded(&name).await? {
            return Ok(());
        }
        drop(tx);
        // whoever puts the same bytes at this moment needs them
        let Some(_removing) = self.blobs.removing() else { return Ok(()) };
        let collector = Collector { store: &self.store, blobs: &self.blobs, now: self.now() };
        if collector.collect(digest, UNNEEDED_KEPT).await? == Collected::Removed {
            tracing::info!(digest = name, "removed a blob that nobody needs");
        }
        Ok(())
    }

    /// Lets go of the logs and artifacts of runs that are over a limit of their repository.
    async fn retain(&self) -> Result<()> {
        let collector = Collector { store: &self.store, blobs: &self.blobs, now: self.now() };
        for expired in collector.over_limits(&self.settings.retention).await?.into_iter().take(RUNS) {
            if collector.prune(&expired).await? {
                let (repository, number) = (&expired.group.name, expired.number);
                tracing::info!(%repository, run.number = number, why = %expired.over, "removed a run's logs and artifacts");
            }
        }
        Ok(())
    }
}
