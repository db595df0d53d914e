//! Logs: chunks while a job runs, one blob when it has ended. The rows stay as the index into the blob.

use serde::{Deserialize, Serialize};

use super::{Change, JobRow, Json, Result, Tx, execute, meant, row, rows};
use crate::{
    agent::protocol::Held,
    meters::Fact,
    model::{Fold, JobId, JobState, RunId, Time},
};

/// A part of a log. Its text is one zstd frame: in the row, or in the log's blob at `place`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ChunkRow {
    /// Whose.
    pub job_id: JobId,
    /// The offset of its first byte in the log's text.
    pub start: i64,
    /// Bytes of text.
    pub length: i64,
    /// Newlines in the log before it.
    pub line: i64,
    /// Newlines in it.
    pub newlines: i64,
    /// Which bytes came when and from which stream: a chunk's index, as the agent wrote it. Empty of a part that was
    /// asked for without what it holds.
    #[sqlx(default)]
    pub pieces: Vec<u8>,
    /// The frame, while it is not in a blob. `None`, too, of a part that was asked for without what it holds.
    #[sqlx(default)]
    pub data: Option<Vec<u8>>,
    /// Where the frame begins in the blob.
    pub place: Option<i64>,
    /// The frame's bytes.
    pub size: i64,
}

/// A chunk to be kept.
#[derive(Debug)]
pub struct NewChunk<'a> {
    /// Whose.
    pub job: JobId,
    /// The offset of its first byte: the log's length so far.
    pub start: i64,
    /// Bytes of text.
    pub length: i64,
    /// Newlines in it.
    pub newlines: i64,
    /// Whether its last byte is no newline.
    pub open: bool,
    /// The index as the agent wrote it.
    pub pieces: &'a [u8],
    /// The text as one zstd frame.
    pub data: &'a [u8],
}

/// What a log that grows no more was found to be, when all of it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// SHA-256 of its bytes as they are read, hexadecimal.
    pub sha256: String,
    /// Where bytes are missing or damaged: first, and first after. The first few of them.
    pub holes: Vec<[u64; 2]>,
    /// The line that people look for in a failed job's log, from 1; of a log that was not searched for one, `None`, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<u64>,
}

/// A job that has written something, and where it is in its run.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct LoggedRow {
    /// The job.
    pub id: JobId,
    /// Its stage's place in the plan.
    pub stage: i64,
    /// Its action's place in the stage.
    pub action: i64,
    /// Its place in the action.
    pub place: i64,
    /// Which attempt.
    pub attempt: i64,
    /// How many bytes.
    pub length: i64,
    /// How far the job is.
    pub state: Json<JobState>,
    /// When it started.
    pub started: Option<Time>,
    /// When it ended.
    pub ended: Option<Time>,
}

#[derive(sqlx::FromRow)]
struct FoldsRow {
    found: Json<Vec<Fold>>,
}

impl Tx {
    /// Appends a chunk to a log, if the log ends just where the chunk begins. False: it does not, or it is sealed.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn append_log(&mut self, chunk: &NewChunk<'_>) -> Result<bool> {
        let size = i64::try_from(chunk.data.len()).unwrap_or(i64::MAX);
        let met = execute!(
            self,
            "INSERT INTO log_chunks (job_id, start, length, line, newlines, pieces, data, size) \
             SELECT id, log_length, $3, log_newlines, $4, $5, $6, $7 FROM jobs \
             WHERE id = $1 AND log_length = $2 AND log_check IS NULL",
            chunk.job,
            chunk.start,
            chunk.length,
            chunk.newlines,
            chunk.pieces,
            chunk.data,
            size,
        )?;
        if met == 0 {
            return Ok(false);
        }
        let met = execute!(
            self,
            "UPDATE jobs SET log_length = log_length + $2, log_newlines = log_newlines + $3, log_open = $4 \
             WHERE id = $1",
            chunk.job,
            chunk.length,
            chunk.newlines,
            i64::from(chunk.open),
        )?;
        self.ring(Change::Log(chunk.job));
        self.count(Fact::Logged(chunk.length.cast_unsigned()));
        meant("a log grows", 1, met)?;
        Ok(true)
    }

    /// The chunks of a log from the one that holds byte `offset`, in order, at most `limit`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn chunks_from_offset(&mut self, job: JobId, offset: i64, limit: i64) -> Result<Vec<ChunkRow>> {
        rows!(
            self,
            ChunkRow,
            "SELECT * FROM log_chunks WHERE job_id = $1 AND start + length > $2 AND start >= COALESCE((SELECT MAX(start) \
             FROM log_chunks WHERE job_id = $1 AND start <= $2), 0) ORDER BY start LIMIT $3",
            job,
            offset,
            limit,
        )
    }

    /// As [`Tx::chunks_from_offset`], without what they hold: where they are, and how large.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn places_from_offset(&mut self, job: JobId, offset: i64, limit: i64) -> Result<Vec<ChunkRow>> {
        rows!(
            self,
            ChunkRow,
            "SELECT job_id, start, length, line, newlines, place, size FROM log_chunks WHERE job_id = $1 AND start + length > $2 \
             AND start >= COALESCE((SELECT MAX(start) FROM log_chunks WHERE job_id = $1 AND start <= $2), 0) \
             ORDER BY start LIMIT $3",
            job,
            offset,
            limit,
        )
    }

    /// The chunks of a log from the one in which line `line` (counted from 0) begins, in order, at most `limit`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn chunks_from_line(&mut self, job: JobId, line: i64, limit: i64) -> Result<Vec<ChunkRow>> {
        rows!(
            self,
            ChunkRow,
            "SELECT * FROM log_chunks WHERE job_id = $1 AND line + newlines >= $2 AND start >= COALESCE((SELECT start \
             FROM log_chunks WHERE job_id = $1 AND line < $2 ORDER BY line DESC, start DESC LIMIT 1), 0) \
             ORDER BY start LIMIT $3",
            job,
            line,
            limit,
        )
    }

    /// The chunk of a log before byte `offset`.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn chunk_before(&mut self, job: JobId, offset: i64) -> Result<Option<ChunkRow>> {
        row!(
            self,
            ChunkRow,
            "SELECT * FROM log_chunks WHERE job_id = $1 AND start < $2 ORDER BY start DESC LIMIT 1",
            job,
            offset,
        )
    }

    /// Jobs whose logs can be sealed: their agents have told the end, or are gone with their pods.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn logs_to_seal(&mut self, limit: i64) -> Result<Vec<JobRow>> {
        rows!(
            self,
            JobRow,
            "SELECT * FROM jobs WHERE phase = 'ended' AND log_check IS NULL AND log_length > 0 AND (record IS NOT NULL \
             OR EXISTS (SELECT 1 FROM attempts WHERE id = attempt_id AND phase = 'removed')) ORDER BY id LIMIT $1",
            limit,
        )
    }

    /// A log was found to be like this, and its frames stand in this blob now, one after another: the rows keep only
    /// where. False: it is longer than `job` has it, and stays as it is.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn seal_log(&mut self, job: &JobRow, blob: &str, check: &Check) -> Result<bool> {
        let met = execute!(
            self,
            "UPDATE jobs SET log_blob = $2, log_check = $3 WHERE id = $1 AND log_check IS NULL AND log_length = $4",
            job.id,
            blob,
            Json(check),
            job.log_length,
        )?;
        if met == 0 {
            return Ok(false);
        }
        execute!(
            self,
            "UPDATE log_chunks SET data = NULL, place = (SELECT CAST(COALESCE(SUM(b.size), 0) AS BIGINT) FROM log_chunks b \
             WHERE b.job_id = log_chunks.job_id AND b.start < log_chunks.start) WHERE job_id = $1",
            job.id,
        )?;
        self.ring(Change::Log(job.id));
        Ok(true)
    }

    /// The jobs of a run that have written something, in the plan's order; not those of an older run that it has taken over.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn logs_of_run(&mut self, run: RunId) -> Result<Vec<LoggedRow>> {
        rows!(
            self,
            LoggedRow,
            "SELECT j.id, a.stage, a.place AS action, j.place, t.number AS attempt, j.log_length AS length, j.state, j.started, \
             j.ended FROM actions a JOIN attempts t ON t.action_id = a.id JOIN jobs j ON j.attempt_id = t.id \
             WHERE a.run_id = $1 AND j.log_length > 0 ORDER BY a.stage, a.place, t.number DESC, j.place",
            run,
        )
    }

    /// Keeps what belongs together in a log.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_folds(&mut self, job: JobId, found: &[Fold]) -> Result<()> {
        execute!(
            self,
            "INSERT INTO log_folds (job_id, found) VALUES ($1, $2) ON CONFLICT (job_id) DO UPDATE SET found = excluded.found",
            job,
            Json(found),
        )?;
        Ok(())
    }

    /// What belongs together in a sealed log, by first lines.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn folds(&mut self, job: JobId) -> Result<Vec<Fold>> {
        let row = row!(self, FoldsRow, "SELECT found FROM log_folds WHERE job_id = $1", job)?;
        Ok(row.map(|row| row.found.0).unwrap_or_default())
    }

    /// Puts a part of a log in the place of one of the same length, while it is in its row.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn rewrite_log(&mut self, chunk: &ChunkRow, data: &[u8]) -> Result<()> {
        let size = i64::try_from(data.len()).unwrap_or(i64::MAX);
        let met = execute!(
            self,
            "UPDATE log_chunks SET data = $3, size = $4 WHERE job_id = $1 AND start = $2 AND data IS NOT NULL",
            chunk.job_id,
            chunk.start,
            data,
            size,
        )?;
        meant("a part of a log", 1, met)
    }

    /// So many bytes of a log were secrets that its agent had let pass.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn log_hides(&mut self, job: JobId, bytes: usize) -> Result<()> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let met = execute!(self, "UPDATE jobs SET log_hidden = log_hidden + $2 WHERE id = $1", job, bytes)?;
        meant("what a log hides", 1, met)
    }

    /// From now on a log is over its limit: what comes is not kept.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn log_is_over(&mut self, job: JobId) -> Result<()> {
        execute!(self, "UPDATE jobs SET log_over = 1 WHERE id = $1", job)?;
        self.ring(Change::Log(job));
        Ok(())
    }

    /// What an agent holds back of its log.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn keep_log_held(&mut self, job: JobId, held: &Held) -> Result<()> {
        execute!(self, "UPDATE jobs SET log_held = $2 WHERE id = $1", job, Json(held))?;
        self.ring(Change::Log(job));
        Ok(())
    }
}
