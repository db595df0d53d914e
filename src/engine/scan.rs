//! Looks through a whole log, as fast as the machine can: parts are unpacked and looked at on several threads, a few of
//! them in memory at a time, and what was found comes together in order. Lines go on from one part to the next, so a
//! part's first and last line are put together here and looked at by themselves.

use std::{ops::Range, sync::Arc, time::Instant};

use bytes::Bytes;
use futures::{TryStreamExt as _, stream};

use super::{
    Engine, EngineError, Result,
    log::{Frame, Unpacker, damaged},
};
use crate::{
    blob::Digest,
    model::JobId,
    store::{ChunkRow, JobRow},
};

/// How many parts are unpacked by one thread before it takes others.
const BATCH: i64 = 8;
/// A line is looked at up to so many bytes, where it goes from one part to the next.
const LINE_MAX: usize = 64 << 10;

/// What is looked for.
pub trait Look: Send + Sync + 'static {
    /// What is found.
    type Found: Found;

    /// What these whole lines hold, the first of which has this number (from 1). The last has no newline.
    fn look(&self, lines: &[u8], first: u64) -> Self::Found;
}

/// What was found in some lines.
pub trait Found: Default + Send + 'static {
    /// And in lines that come after them.
    fn add(&mut self, later: Self);
}

/// What a look through a log came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scanned<F> {
    /// What was found.
    pub found: F,
    /// Whether all of the log was looked at: not if its time was up.
    pub is_whole: bool,
}

/// What one part of a log holds.
struct Part<F> {
    /// The number of its first line, which may have begun before it.
    first: u64,
    /// That line, as far as it is here.
    head: Vec<u8>,
    /// What was found in its whole lines, and the line after them, as far as it is here. `None`: it has no newline.
    rest: Option<(F, u64, Vec<u8>)>,
}

/// Parts that one thread unpacks and looks at.
enum Packed {
    Stored(ChunkRow, Bytes),
    Ready(Frame),
}

impl Engine {
    /// Looks through the log of a job, until its end or until it is `until`.
    ///
    /// # Errors
    /// If the database or the blobs are away.
    pub async fn scan<L: Look>(&self, job: JobId, look: L, until: Option<Instant>) -> Result<Scanned<L::Found>> {
        let look = Arc::new(look);
        let (mut joined, mut is_whole) = (Joined::new(Arc::clone(&look)), true);
        let batches = self.batches(job);
        let looked = batches.map_ok(|batch| {
            let look = Arc::clone(&look);
            async move {
                let work = move || {
                    let mut unpacker = Unpacker::new();
                    batch.into_iter().map(|packed| part(packed, &*look, unpacker.as_mut())).collect::<Vec<_>>()
                };
                tokio::task::spawn_blocking(work).await.map_err(|error| EngineError::Broken(error.to_string()))
            }
        });
        let mut looked = std::pin::pin!(looked.try_buffered(threads()));
        while let Some(parts) = looked.try_next().await? {
            parts.into_iter().for_each(|part| joined.push(part));
            if until.is_some_and(|until| Instant::now() >= until) {
                is_whole = false;
                break;
            }
        }
        Ok(Scanned { found: joined.end(), is_whole })
    }

    /// The log's parts, a few at a time.
    fn batches(&self, job: JobId) -> impl stream::Stream<Item = Result<Vec<Packed>>> {
        stream::try_unfold((self.clone(), 0), move |(engine, offset)| async move {
            let (batch, end) = engine.batch(job, offset).await?;
            Ok((!batch.is_empty()).then_some((batch, (engine, end))))
        })
    }

    /// The parts from `offset` on, which is where one begins, and where they end.
    async fn batch(&self, job: JobId, offset: u64) -> Result<(Vec<Packed>, u64)> {
        let mut tx = self.store.read().await?;
        let rows = tx.places_from_offset(job, offset.cast_signed(), BATCH).await?;
        let row = tx.job(job).await?;
        drop(tx);
        let mut end = offset;
        let unbroken = rows.into_iter().take_while(|chunk| {
            let follows = chunk.start.cast_unsigned() == end;
            end = if follows { end + chunk.length.cast_unsigned() } else { end };
            follows
        });
        let rows: Vec<_> = unbroken.collect();
        if let (Some(row), Some(places)) = (&row, places(&rows)) {
            return Ok((self.stored(row, rows, places).await?, end));
        }
        // it is not sealed yet, or something is missing: what is here, and what is to be said of it
        let frame = self.frame_at_offset(job, offset).await?;
        let end = frame.as_ref().map_or(offset, Frame::end);
        Ok((frame.into_iter().map(Packed::Ready).collect(), end))
    }

    /// Parts that stand one after another in the log's blob.
    async fn stored(&self, job: &JobRow, rows: Vec<ChunkRow>, places: Range<u64>) -> Result<Vec<Packed>> {
        let digest: Option<Digest> = job.log_blob.as_ref().and_then(|blob| blob.parse().ok());
        let bytes = match digest {
            Some(digest) => self.blobs.range(digest, places.clone()).await,
            None => Ok(Bytes::new()),
        };
        // of what is missing its own words are said
        let bytes = match bytes {
            Err(crate::blob::BlobError::Missing(_)) => Bytes::new(),
            bytes => bytes?,
        };
        let part = |chunk: ChunkRow| {
            let from = usize::try_from(chunk.place.unwrap_or(0).cast_unsigned() - places.start).unwrap_or(usize::MAX);
            let to = from.saturating_add(usize::try_from(chunk.size).unwrap_or(0));
            let packed = if to <= bytes.len() { bytes.slice(from..to) } else { Bytes::new() };
            Packed::Stored(chunk, packed)
        };
        Ok(rows.into_iter().map(part).collect())
    }
}

/// Which bytes of the log's blob these parts are; `None` if they are not all in it.
fn places(rows: &[ChunkRow]) -> Option<Range<u64>> {
    let (first, last) = (rows.first()?, rows.last()?);
    let all = rows.iter().all(|chunk| chunk.place.is_some());
    all.then_some(first.place?.cast_unsigned()..(last.place? + last.size).cast_unsigned())
}

/// What a part holds.
fn part<L: Look>(packed: Packed, look: &L, unpacker: Option<&mut Unpacker>) -> Part<L::Found> {
    match packed {
        Packed::Ready(frame) => look_at(&frame.text, frame.line, newlines(&frame.text), look),
        Packed::Stored(chunk, bytes) => {
            let (line, within) = (chunk.line.cast_unsigned(), chunk.newlines.cast_unsigned());
            match unpacker.and_then(|unpacker| unpacker.text_of(&bytes, &chunk)) {
                Some(text) => look_at(text, line, within, look),
                None => look_at(&damaged(&chunk).text, line, within, look),
            }
        }
    }
}

/// What a part holds before which there are so many newlines, and `within` it so many.
fn look_at<L: Look>(text: &[u8], newlines: u64, within: u64, look: &L) -> Part<L::Found> {
    let first = newlines + 1;
    let (Some(begin), Some(end)) = (memchr::memchr(b'\n', text), memchr::memrchr(b'\n', text)) else {
        return Part { first, head: cut(text), rest: None };
    };
    let (middle, after) = (&text[(begin + 1).min(end)..end], cut(&text[end + 1..]));
    let found = if begin < end { look.look(middle, first + 1) } else { L::Found::default() };
    Part { first, head: cut(&text[..begin]), rest: Some((found, first + within, after)) }
}

fn newlines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

fn cut(line: &[u8]) -> Vec<u8> {
    line[..line.len().min(LINE_MAX)].to_vec()
}

/// Puts parts together.
struct Joined<L: Look> {
    look: Arc<L>,
    found: L::Found,
    /// The line that goes on, and its number.
    open: Vec<u8>,
    number: u64,
}

impl<L: Look> Joined<L> {
    fn new(look: Arc<L>) -> Self {
        Self { look, found: L::Found::default(), open: Vec::new(), number: 1 }
    }

    fn push(&mut self, part: Part<L::Found>) {
        if self.open.is_empty() {
            self.number = part.first;
        }
        let room = LINE_MAX.saturating_sub(self.open.len());
        self.open.extend_from_slice(&part.head[..part.head.len().min(room)]);
        let Some((found, number, after)) = part.rest else { return };
        self.line();
        self.found.add(found);
        (self.open, self.number) = (after, number);
    }

    fn line(&mut self) {
        let line = std::mem::take(&mut self.open);
        self.found.add(self.look.look(&line, self.number));
    }

    fn end(mut self) -> L::Found {
        if !self.open.is_empty() {
            self.line();
        }
        self.found
    }
}

/// One for each processor, and no more than make sense.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(8)
}
