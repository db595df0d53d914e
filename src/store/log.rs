//! Logs: chunks while a job runs, one blob when it has ended. The rows stay as the index into the blob.

use super::{Change, Result, Tx, execute, meant, row, rows};
use crate::model::JobId;

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
    /// Which bytes came when and from which stream: a chunk's index, as the agent wrote it.
    pub pieces: Vec<u8>,
    /// The frame, while it is not in a blob.
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
             WHERE id = $1 AND log_length = $2 AND log_blob IS NULL",
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
            "SELECT * FROM log_chunks WHERE job_id = $1 AND start + length > $2 ORDER BY start LIMIT $3",
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
            "SELECT * FROM log_chunks WHERE job_id = $1 AND line + newlines >= $2 ORDER BY start LIMIT $3",
            job,
            line,
            limit,
        )
    }

    /// The first chunk of a log that is still a row, for the blob to be made of.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn logs_to_seal(&mut self, limit: i64) -> Result<Vec<JobId>> {
        let found: Vec<(JobId,)> = rows!(
            self,
            (JobId,),
            "SELECT id FROM jobs WHERE phase = 'ended' AND log_blob IS NULL AND log_length > 0 ORDER BY id LIMIT $1",
            limit,
        )?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }

    /// One chunk, by its place in the log.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn chunk(&mut self, job: JobId, start: i64) -> Result<Option<ChunkRow>> {
        row!(self, ChunkRow, "SELECT * FROM log_chunks WHERE job_id = $1 AND start = $2", job, start)
    }

    /// The log's frames stand in this blob now, one after another: the rows keep only where.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn seal_log(&mut self, job: JobId, blob: &str) -> Result<()> {
        execute!(
            self,
            "UPDATE log_chunks SET data = NULL, place = (SELECT CAST(COALESCE(SUM(b.size), 0) AS BIGINT) FROM log_chunks b \
             WHERE b.job_id = log_chunks.job_id AND b.start < log_chunks.start) WHERE job_id = $1",
            job,
        )?;
        let met = execute!(self, "UPDATE jobs SET log_blob = $2 WHERE id = $1 AND log_blob IS NULL", job, blob)?;
        self.ring(Change::Log(job));
        meant("a log is sealed", 1, met)
    }
}
