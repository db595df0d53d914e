//! Which blobs are needed: rows say so, and nothing else does.

use super::{Result, Tx, execute, meant, row};
use crate::model::{RunId, Time};

/// How many snapshots are let go in one transaction.
const SOURCES_AT_ONCE: i64 = 100;

/// What is known of a blob that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody thought of removing it.
    Safe,
    /// It was looked upon as unneeded, and may have been removed before.
    Unneeded,
    /// Somebody is removing it just now.
    Leaving,
}

impl Standing {
    /// By what its row says: since when nobody needs it, or, below zero, until when somebody is removing it.
    pub fn of(since: Time, now: Time) -> Self {
        if since.as_millis() < 0 && -since.as_millis() > now.as_millis() { Self::Leaving } else { Self::Unneeded }
    }
}

impl Tx {
    /// Lets go of the snapshots that no open run needs and no run has needed since `before`: a re-run makes its own
    /// again. How many runs have none now.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn forget_sources(&mut self, before: Time) -> Result<u64> {
        execute!(
            self,
            "UPDATE runs SET source = NULL WHERE source IN (SELECT source FROM runs WHERE source IS NOT NULL \
             GROUP BY source HAVING COUNT(CASE WHEN phase <> 'ended' THEN 1 END) = 0 AND MAX(COALESCE(ended, 0)) < $1 \
             LIMIT $2)",
            before,
            SOURCES_AT_ONCE,
        )
    }

    /// An open run's snapshot is gone: it is to be made again. False: that is known already.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn source_lost(&mut self, run: RunId, digest: &str, now: Time) -> Result<bool> {
        let met = execute!(
            self,
            "UPDATE runs SET source = NULL, source_due = $3 WHERE id = $1 AND source = $2 AND phase <> 'ended'",
            run,
            digest,
            now,
        )?;
        self.ring(super::Change::Run(run));
        Ok(met == 1)
    }

    /// Whether a run, a log, a bundle or a list of files needs this blob.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn needs_blob(&mut self, digest: &str) -> Result<bool> {
        let found: Option<(i64,)> = row!(
            self,
            (i64,),
            "SELECT CAST(1 AS BIGINT) WHERE EXISTS (SELECT 1 FROM runs WHERE source = $1) \
             OR EXISTS (SELECT 1 FROM checkouts WHERE source = $1) \
             OR EXISTS (SELECT 1 FROM jobs WHERE log_blob = $1) \
             OR EXISTS (SELECT 1 FROM bundle_parts WHERE digest = $1) \
             OR EXISTS (SELECT 1 FROM put_parts WHERE digest = $1) \
             OR EXISTS (SELECT 1 FROM artifacts WHERE listing = $1)",
            digest,
        )?;
        Ok(found.is_some())
    }

    /// Since when nobody needs this blob, if that is known.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn known_unneeded(&mut self, digest: &str) -> Result<Option<Time>> {
        let since: Option<(Time,)> = row!(self, (Time,), "SELECT since FROM unneeded_blobs WHERE digest = $1", digest)?;
        Ok(since.map(|(since,)| since))
    }

    /// A blob was put, and this transaction is about to write down who needs it.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn blob_wanted(&mut self, digest: &str, now: Time) -> Result<Standing> {
        let Some(since) = self.known_unneeded(digest).await? else { return Ok(Standing::Safe) };
        if let Standing::Leaving = Standing::of(since, now) {
            return Ok(Standing::Leaving);
        }
        let met = execute!(self, "UPDATE unneeded_blobs SET since = $2 WHERE digest = $1", digest, now)?;
        meant("a blob that is wanted", 1, met)?;
        Ok(Standing::Unneeded)
    }

    /// Somebody is about to remove a blob, and is done until then: nobody counts on it meanwhile.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn blob_leaves(&mut self, digest: &str, until: Time) -> Result<()> {
        let met = execute!(self, "UPDATE unneeded_blobs SET since = $2 WHERE digest = $1", digest, -until.as_millis())?;
        meant("a blob that leaves", 1, met)
    }

    /// A blob is gone. Its row stays for whoever puts the same bytes, unless somebody else has taken its removal over.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn blob_removed(&mut self, digest: &str, until: Time, now: Time) -> Result<()> {
        let leaving = -until.as_millis();
        execute!(self, "UPDATE unneeded_blobs SET since = $3 WHERE digest = $1 AND since = $2", digest, leaving, now,)?;
        Ok(())
    }

    /// Forgets what was known of blobs that nobody has looked at since then: they are gone.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn forget_removed_blobs(&mut self, before: Time) -> Result<u64> {
        execute!(
            self,
            "DELETE FROM unneeded_blobs WHERE (since >= 0 AND since < $1) OR (since < 0 AND -since < $1)",
            before,
        )
    }

    /// Whether nobody needed this blob when it was looked at last.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn is_unneeded(&mut self, digest: &str) -> Result<bool> {
        let found: Option<(i64,)> =
            row!(self, (i64,), "SELECT CAST(1 AS BIGINT) FROM unneeded_blobs WHERE digest = $1", digest)?;
        Ok(found.is_some())
    }

    /// Since when nobody needs this blob, as far as we have looked: from `now` on, if we had not before.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn unneeded_since(&mut self, digest: &str, now: Time) -> Result<Time> {
        let met = execute!(
            self,
            "INSERT INTO unneeded_blobs (digest, since) VALUES ($1, $2) ON CONFLICT (digest) DO UPDATE SET since = unneeded_blobs.since",
            digest,
            now,
        )?;
        meant("a blob is looked at", 1, met)?;
        let since: Option<(Time,)> = row!(self, (Time,), "SELECT since FROM unneeded_blobs WHERE digest = $1", digest)?;
        since.map(|(since,)| since).ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// A blob is needed (again), or gone: what we knew of it counts no more.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn forget_unneeded(&mut self, digest: &str) -> Result<()> {
        execute!(self, "DELETE FROM unneeded_blobs WHERE digest = $1", digest)?;
        Ok(())
    }
}
