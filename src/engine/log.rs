//! Reads logs, chunk by chunk: from rows while a job runs, from its blob when it has ended. Nobody holds a whole log.

use super::{Engine, EngineError, Result};
use crate::{
    agent::{
        chunk,
        protocol::{CHUNK_TEXT_MAX, Piece},
    },
    blob::Digest,
    model::JobId,
    store::{ChunkRow, JobRow},
};

/// A part of a log, unpacked.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The offset of its first byte in the log.
    pub start: u64,
    /// Newlines in the log before it.
    pub line: u64,
    /// Its bytes, exactly as the job wrote them.
    pub text: Vec<u8>,
    /// Which of them came when, and from which stream.
    pub pieces: Vec<Piece>,
}

impl Frame {
    /// The offset after its last byte.
    pub fn end(&self) -> u64 {
        self.start + self.text.len() as u64
    }

    /// Without the bytes before `offset`.
    fn from(mut self, offset: u64) -> Self {
        let skipped = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let rest = self.text.split_off(skipped.min(self.text.len()));
        let before = std::mem::replace(&mut self.text, rest);
        self.line += memchr::memchr_iter(b'\n', &before).count() as u64;
        self.start += before.len() as u64;
        let mut skipped = before.len() as u64;
        for piece in &mut self.pieces {
            let less = skipped.min(piece.length);
            piece.length -= less;
            skipped -= less;
        }
        self
    }
}

impl Engine {
    /// What a part of a log holds from byte `offset` on; `None` at the log's end.
    ///
    /// # Errors
    /// If the database or the blobs are away, or the log is damaged.
    pub async fn frame_at_offset(&self, job: JobId, offset: u64) -> Result<Option<Frame>> {
        let start = i64::try_from(offset).unwrap_or(i64::MAX);
        let mut tx = self.store.read().await?;
        let chunk = tx.chunks_from_offset(job, start, 1).await?.into_iter().next();
        let row = tx.job(job).await?;
        drop(tx);
        Ok(self.unpack(row, chunk).await?.map(|frame| frame.from(offset)))
    }

    /// The part of a log in which line `line` (from 0) begins, or the one before if it begins just where that ends;
    /// `None` if the log has no such line.
    ///
    /// # Errors
    /// If the database or the blobs are away, or the log is damaged.
    pub async fn frame_at_line(&self, job: JobId, line: u64) -> Result<Option<Frame>> {
        let line = i64::try_from(line).unwrap_or(i64::MAX);
        let mut tx = self.store.read().await?;
        let chunk = tx.chunks_from_line(job, line, 1).await?.into_iter().next();
        let row = tx.job(job).await?;
        drop(tx);
        self.unpack(row, chunk).await
    }

    async fn unpack(&self, job: Option<JobRow>, chunk: Option<ChunkRow>) -> Result<Option<Frame>> {
        let Some(chunk) = chunk else { return Ok(None) };
        let damaged = |what: &str| EngineError::Broken(format!("the log of job {}: {what}", chunk.job_id));
        let packed = match (&chunk.data, chunk.place) {
            (Some(data), _) => bytes::Bytes::copy_from_slice(data),
            (None, Some(place)) => {
                let blob = job.and_then(|job| job.log_blob).ok_or_else(|| damaged("its blob is not named"))?;
                let digest: Digest = blob.parse().map_err(|_| damaged("its blob's name is none"))?;
                let place = u64::try_from(place).unwrap_or(0);
                let size = u64::try_from(chunk.size).unwrap_or(0);
                self.blobs.range(digest, place..place + size).await?
            }
            (None, None) => return Err(damaged("a part is nowhere")),
        };
        let text = zstd::bulk::decompress(&packed, CHUNK_TEXT_MAX).map_err(|_| damaged("a part does not unpack"))?;
        let pieces = chunk::decode_index(&chunk.pieces).map_err(|_| damaged("a part's index does not unpack"))?;
        let number = |n: i64| u64::try_from(n).unwrap_or(0);
        Ok(Some(Frame { start: number(chunk.start), line: number(chunk.line), text, pieces }))
    }
}
