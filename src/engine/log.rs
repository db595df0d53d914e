//! Reads logs, chunk by chunk: from rows while a job runs, from its blob when it has ended. Nobody holds a whole log.
//!
//! What is missing or damaged is said at its place, in as many bytes and lines as it had, by whatever reads the log: a
//! page, the raw text, a stream.

use std::ops::Range;

use super::{Engine, EngineError, Result};
use crate::{
    agent::{
        chunk,
        protocol::{CHUNK_TEXT_MAX, Piece, Stream},
    },
    blob::{BlobError, Digest},
    model::{Grouped, JobId, Time},
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
    /// The bytes are not the job's: they say that its own are missing.
    pub is_hole: bool,
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
    /// What a part of a log holds from byte `offset` on; `None` at the log's end. What should be there and is not, or
    /// cannot be read, comes as a [`Frame`] that says so.
    ///
    /// # Errors
    /// If the database or the blobs are away.
    pub async fn frame_at_offset(&self, job: JobId, offset: u64) -> Result<Option<Frame>> {
        let mut tx = self.store.read().await?;
        let chunk = tx.chunks_from_offset(job, column(offset), 1).await?.into_iter().next();
        let row = tx.job(job).await?;
        let next = chunk.as_ref().map(|chunk| number(chunk.start));
        if next.is_some_and(|next| next <= offset) {
            drop(tx);
            return Ok(self.unpack(row, chunk).await?.map(|frame| frame.from(offset)));
        }
        let end = next.or_else(|| row.as_ref().map(|row| number(row.log_length)));
        let Some(end) = end.filter(|end| *end > offset) else { return Ok(None) };
        let before = tx.chunk_before(job, column(offset)).await?;
        let (start, line) = before.map_or((0, 0), |chunk| (chunk.start + chunk.length, chunk.line + chunk.newlines));
        let lines_after = chunk.map(|chunk| chunk.line).or_else(|| row.map(|row| row.log_newlines)).unwrap_or(line);
        let hole = Hole { bytes: number(start)..end, line: number(line), newlines: number(lines_after - line) };
        Ok(Some(hole.frame(offset)))
    }

    /// The part of a log in which line `line` (from 0) begins, or the one before if it begins just where that ends;
    /// `None` if the log has no such line.
    ///
    /// # Errors
    /// If the database or the blobs are away.
    pub async fn frame_at_line(&self, job: JobId, line: u64) -> Result<Option<Frame>> {
        let mut tx = self.store.read().await?;
        let chunk = tx.chunks_from_line(job, column(line), 1).await?.into_iter().next();
        let row = tx.job(job).await?;
        if chunk.as_ref().is_some_and(|chunk| number(chunk.line) <= line) {
            drop(tx);
            return self.unpack(row, chunk).await;
        }
        if row.is_none_or(|row| number(row.log_newlines) < line) {
            return Ok(None);
        }
        // the line is in a hole, which begins where the part before it ends
        let next = chunk.map_or(i64::MAX, |chunk| chunk.start);
        let before = tx.chunk_before(job, next).await?;
        drop(tx);
        self.frame_at_offset(job, before.map_or(0, |chunk| number(chunk.start + chunk.length))).await
    }

    async fn unpack(&self, job: Option<JobRow>, chunk: Option<ChunkRow>) -> Result<Option<Frame>> {
        let Some(chunk) = chunk else { return Ok(None) };
        let (start, line) = (number(chunk.start), number(chunk.line));
        let unpacked = match self.packed(job, &chunk).await {
            Ok(packed) => unpacked(&packed, &chunk),
            Err(EngineError::Blob(BlobError::Missing(_)) | EngineError::Broken(_)) => None,
            Err(error) => return Err(error),
        };
        if let Some((text, pieces)) = unpacked {
            return Ok(Some(Frame { start, line, text, pieces, is_hole: false }));
        }
        Ok(Some(damaged(&chunk)))
    }

    /// A part's text as it is stored.
    async fn packed(&self, job: Option<JobRow>, chunk: &ChunkRow) -> Result<bytes::Bytes> {
        let damaged = |what: &str| EngineError::Broken(format!("the log of job {}: {what}", chunk.job_id));
        match (&chunk.data, chunk.place) {
            (Some(data), _) => Ok(bytes::Bytes::copy_from_slice(data)),
            (None, Some(place)) => {
                let blob = job.and_then(|job| job.log_blob).ok_or_else(|| damaged("its blob is not named"))?;
                let digest: Digest = blob.parse().map_err(|_| damaged("its blob's name is none"))?;
                Ok(self.blobs.range(digest, number(place)..number(place + chunk.size)).await?)
            }
            (None, None) => Err(damaged("a part is nowhere")),
        }
    }
}

/// What is said in the place of a part that cannot be read.
pub(super) fn damaged(chunk: &ChunkRow) -> Frame {
    let (start, line) = (number(chunk.start), number(chunk.line));
    tracing::error!(job.id = %chunk.job_id, start, length = chunk.length, "a part of a log is damaged");
    Hole { bytes: start..start + number(chunk.length), line, newlines: number(chunk.newlines) }.frame(start)
}

/// Text and pieces; `None` if they are not what their row says.
fn unpacked(packed: &[u8], chunk: &ChunkRow) -> Option<(Vec<u8>, Vec<Piece>)> {
    Some((text_of(packed, chunk)?, chunk::decode_index(&chunk.pieces).ok()?))
}

/// Unpacks one part after another to the same place, which costs less than a new one each time.
pub(super) struct Unpacker {
    zstd: zstd::bulk::Decompressor<'static>,
    text: Vec<u8>,
}

impl Unpacker {
    /// `None`: there is no memory for it.
    pub(super) fn new() -> Option<Self> {
        Some(Self { zstd: zstd::bulk::Decompressor::new().ok()?, text: Vec::new() })
    }

    /// A part's text; `None` if it is not what its row says.
    pub(super) fn text_of(&mut self, packed: &[u8], chunk: &ChunkRow) -> Option<&[u8]> {
        self.text.clear();
        self.text.reserve(usize::try_from(number(chunk.length)).ok()?.min(CHUNK_TEXT_MAX));
        self.zstd.decompress_to_buffer(packed, &mut self.text).ok()?;
        (self.text.len() as u64 == number(chunk.length)).then_some(self.text.as_slice())
    }
}

/// A part's text; `None` if it is not what its row says.
fn text_of(packed: &[u8], chunk: &ChunkRow) -> Option<Vec<u8>> {
    let text = zstd::bulk::decompress(packed, CHUNK_TEXT_MAX).ok()?;
    (text.len() as u64 == number(chunk.length)).then_some(text)
}

/// Bytes of a log that were here once, or should be.
struct Hole {
    bytes: Range<u64>,
    /// Newlines in the log before it.
    line: u64,
    /// Newlines in it.
    newlines: u64,
}

impl Hole {
    /// Words in the hole's place, from byte `offset` of the log on. They have as many bytes and newlines as it has, so
    /// that offsets and line numbers after it stay right.
    fn frame(&self, offset: u64) -> Frame {
        let words = format!("[{}]", missing(&self.bytes));
        let newlines_from = self.bytes.end.saturating_sub(self.newlines).max(self.bytes.start);
        let end = self.bytes.end.min(offset + CHUNK_TEXT_MAX as u64);
        let byte = |at: u64| match usize::try_from(at - self.bytes.start).ok().and_then(|at| words.as_bytes().get(at)) {
            _ if at >= newlines_from => b'\n',
            Some(byte) => *byte,
            None => b' ',
        };
        let piece = Piece { length: end - offset, time: Time::from_millis(0), stream: Stream::Agent };
        Frame {
            start: offset,
            line: self.line + offset.saturating_sub(newlines_from),
            text: (offset..end).map(byte).collect(),
            pieces: vec![piece],
            is_hole: true,
        }
    }
}

/// The words for bytes that are not there; the last one is named, as HTTP does.
pub(super) fn missing(bytes: &Range<u64>) -> String {
    format!("bytes {} to {} are missing", Grouped(bytes.start), Grouped(bytes.end.saturating_sub(1)))
}

/// How many bytes of a job's log are here.
pub(super) fn length_of(job: &JobRow) -> u64 {
    number(job.log_length)
}

fn number(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
