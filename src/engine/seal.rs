//! Logs of ended jobs become one blob each: the frames one after another. The rows stay as the index into it.

use std::io::Write as _;

use super::{Engine, Result};
use crate::model::JobId;

/// How many logs are sealed in one go.
const BATCH: i64 = 16;

impl Engine {
    /// Seals every log that is due. How many there were.
    ///
    /// # Errors
    /// If the database or the blobs are away; the rows stay then.
    pub async fn seal_logs(&self) -> Result<usize> {
        let due = self.store.read().await?.logs_to_seal(BATCH).await?;
        for job in &due {
            self.seal_log(*job).await?;
        }
        Ok(due.len())
    }

    async fn seal_log(&self, job: JobId) -> Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.settings.scratch)?;
        let mut offset = 0;
        loop {
            // chunk by chunk: a log of any size takes the memory of one
            let chunks = self.store.read().await?.chunks_from_offset(job, offset, 1).await?;
            let Some(chunk) = chunks.into_iter().next() else { break };
            file.write_all(&chunk.data.unwrap_or_default())?;
            offset = chunk.start + chunk.length;
        }
        file.flush()?;
        let digest = self.blobs.put_file(file.path()).await?;
        let mut tx = self.store.write().await?;
        tx.seal_log(job, &digest.to_string()).await?;
        Ok(tx.commit().await?)
    }
}
