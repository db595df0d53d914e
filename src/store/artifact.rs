//! Artifacts: who left them, and until when.

use super::{Change, Result, Tx, execute, meant, row, rows, run::column};
use crate::model::{ArtifactId, BundleId, JobId, RunId, Time};

/// How many expire in one transaction.
const AT_ONCE: i64 = 100;

/// One artifact.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ArtifactRow {
    /// Ours.
    pub id: ArtifactId,
    /// Who left it.
    pub job_id: JobId,
    /// Unique in its job.
    pub name: String,
    /// Of its parts together.
    pub digest: String,
    /// Its bytes, until it has expired.
    pub bundle_id: Option<BundleId>,
    /// The blob that lists its files, until it has expired.
    pub listing: Option<String>,
    /// Bytes of its tar.
    pub length: i64,
    /// Files and links.
    pub files: i64,
    /// When it came.
    pub created: Time,
    /// Until when it is kept.
    pub expires: Time,
}

impl Tx {
    /// Keeps an artifact; one of its name must not be there.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn insert_artifact(&mut self, artifact: &ArtifactRow) -> Result<()> {
        let met = execute!(
            self,
            "INSERT INTO artifacts (id, job_id, name, digest, bundle_id, listing, length, files, created, expires) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            artifact.id,
            artifact.job_id,
            &artifact.name,
            &artifact.digest,
            artifact.bundle_id,
            artifact.listing.as_deref(),
            artifact.length,
            artifact.files,
            artifact.created,
            artifact.expires,
        )?;
        self.ring(Change::Log(artifact.job_id));
        meant("an artifact", 1, met)
    }

    /// A job's artifacts, by name.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn artifacts(&mut self, job: JobId) -> Result<Vec<ArtifactRow>> {
        rows!(self, ArtifactRow, "SELECT * FROM artifacts WHERE job_id = $1 ORDER BY name", job)
    }

    /// One of a job's artifacts.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn artifact(&mut self, job: JobId, name: &str) -> Result<Option<ArtifactRow>> {
        row!(self, ArtifactRow, "SELECT * FROM artifacts WHERE job_id = $1 AND name = $2", job, name)
    }

    /// An artifact of a job at these places of a run's plan, from the newest attempt that left one; of an action that
    /// was carried over the one that it left where it ran.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn artifact_of(
        &mut self,
        run: RunId,
        (stage, action, job): (usize, usize, usize),
        name: &str,
    ) -> Result<Option<ArtifactRow>> {
        row!(
            self,
            ArtifactRow,
            "SELECT f.* FROM actions a JOIN attempts t ON t.action_id = COALESCE(a.carried_from, a.id) \
             JOIN jobs j ON j.attempt_id = t.id JOIN artifacts f ON f.job_id = j.id \
             WHERE a.run_id = $1 AND a.stage = $2 AND a.place = $3 AND j.place = $4 AND f.name = $5 \
             ORDER BY t.number DESC LIMIT 1",
            run,
            column(stage),
            column(action),
            column(job),
            name,
        )
    }

    /// How many bytes the artifacts of a run have that it has left itself.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn artifacts_length(&mut self, run: RunId) -> Result<u64> {
        let found: Option<(i64,)> = row!(
            self,
            (i64,),
            "SELECT CAST(COALESCE(SUM(f.length), 0) AS BIGINT) FROM actions a JOIN attempts t ON t.action_id = a.id \
             JOIN jobs j ON j.attempt_id = t.id JOIN artifacts f ON f.job_id = j.id WHERE a.run_id = $1",
            run,
        )?;
        Ok(found.map_or(0, |(length,)| length.cast_unsigned()))
    }

    /// Lets go of what is kept no longer. How many there were.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn expire_artifacts(&mut self, now: Time) -> Result<u64> {
        execute!(
            self,
            "UPDATE artifacts SET bundle_id = NULL, listing = NULL WHERE id IN \
             (SELECT id FROM artifacts WHERE bundle_id IS NOT NULL AND expires <= $1 LIMIT $2)",
            now,
            AT_ONCE,
        )
    }
}
