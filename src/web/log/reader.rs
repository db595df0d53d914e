//! Reads a log's chunks, wherever they are: rows while the job runs, a blob when it has ended.

use bytes::Bytes;

use crate::{
    agent::protocol::{Chunk, ChunkError},
    blob::{BlobError, Blobs, Digest, DigestError},
    model::JobId,
    store::{ChunkRow, Store, StoreError},
};

/// Reads one log.
#[derive(Debug, Clone)]
pub struct LogReader {
    /// Where the index is.
    pub store: Store,
    /// Where ended logs are.
    pub blobs: Blobs,
    /// Whose log.
    pub job: JobId,
}

/// A chunk, or the end of one, with its place.
#[derive(Debug)]
pub struct Loaded {
    /// The offset of its first byte.
    pub offset: u64,
    /// The line that its first byte belongs to, from 1.
    pub line: u64,
    /// The bytes.
    pub chunk: Chunk,
}

/// A log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Its index.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its blob.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// Its blob's name.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A chunk of it.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A row without text, of a log without a blob.
    #[error("a chunk of the log of job {0} is nowhere")]
    Nowhere(JobId),
}

impl Loaded {
    /// The offset after its last byte.
    pub fn end(&self) -> u64 {
        self.offset + self.chunk.text.len() as u64
    }

    /// Without the bytes before `offset`.
    fn from(mut self, offset: u64) -> Self {
        let skipped = usize::try_from(offset.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let skipped = skipped.min(self.chunk.text.len());
        let before = self.chunk.text.drain(..skipped);
        self.line += memchr::memchr_iter(b'\n', before.as_slice()).count() as u64;
        drop(before);
        self.offset += skipped as u64;
        let mut rest = skipped as u64;
        for piece in &mut self.chunk.pieces {
            let less = rest.min(piece.length);
            piece.length -= less;
            rest -= less;
        }
        self
    }
}

impl LogReader {
    /// The chunk in which line `line` (from 1) begins; `None` if it does not.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn at_line(&self, line: u64) -> Result<Option<Loaded>, ReadError> {
        let index = i64::try_from(line.saturating_sub(1)).unwrap_or(i64::MAX);
        let rows = self.store.read().await?.chunks_from_line(self.job, index, 1).await?;
        self.load(rows).await
    }

    /// What a chunk holds from `offset` on; `None` if the log ends there.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn at_offset(&self, offset: u64) -> Result<Option<Loaded>, ReadError> {
        let start = i64::try_from(offset).unwrap_or(i64::MAX);
        let rows = self.store.read().await?.chunks_from_offset(self.job, start, 1).await?;
        Ok(self.load(rows).await?.map(|loaded| loaded.from(offset)))
    }

    async fn load(&self, rows: Vec<ChunkRow>) -> Result<Option<Loaded>, ReadError> {
        let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
        let frame = match row.data.take() {
            Some(data) => Bytes::from(data),
            None => self.frame(&row).await?,
        };
        let head = u32::try_from(row.pieces.len()).map_err(|_| ChunkError::TooLarge)?.to_le_bytes();
        let chunk = Chunk::decode(&[&head[..], &row.pieces, &frame].concat())?;
        Ok(Some(Loaded { offset: row.start.cast_unsigned(), line: row.line.cast_unsigned() + 1, chunk }))
    }

    /// A chunk's frame, from the blob.
    async fn frame(&self, row: &ChunkRow) -> Result<Bytes, ReadError> {
        let job = self.store.read().await?.job(self.job).await?;
        let (Some(blob), Some(place)) = (job.and_then(|job| job.log_blob), row.place) else {
            return Err(ReadError::Nowhere(self.job));
        };
        let place = place.cast_unsigned();
        let digest: Digest = blob.parse()?;
        Ok(self.blobs.range(digest, place..place + row.size.cast_unsigned()).await?)
    }
}
