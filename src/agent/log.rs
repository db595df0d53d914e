//! A job's log on the disk. Whatever offset the server wants next, the chunk is read from there, so nothing is lost
//! while the server is away, and memory stays constant.
//!
//! A log has a limit. Its first half, the head, is sent as it comes. What comes after goes to a ring that keeps the
//! last half, and is sent when the job has ended: if all of it is still there, the log is as the job wrote it, and else
//! a line in the middle says how much was left out. What the disk does not take is counted, and a line says so where it
//! is missing. The job never hears of any of that.

use std::{
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::{
    protocol::{Chunk, Held, LOG_LIMIT, LeftOut, LogSeal, Stream},
    spool::{Extent, Spool},
};
use crate::model::{Counted, Size, Time};

/// How much of the ring is read at once when the log is closed.
const READ: u64 = 256 << 10;

/// The log of one job.
#[derive(Debug)]
pub struct Log {
    head: Spool,
    ring: Spool,
    state: Mutex<State>,
    growth: watch::Sender<Growth>,
}

/// What a reader waits for.
#[derive(Debug, Clone, Copy, Default)]
struct Growth {
    length: u64,
    closed: bool,
}

/// What the next line needs to know of those before it.
#[derive(Debug)]
struct State {
    limit: u64,
    head: Extent,
    /// Newlines in the head.
    newlines: u64,
    /// Of the head.
    digest: Sha256,
    /// The head's last byte is not a newline.
    head_is_open: bool,
    /// What comes when the head is full; none before.
    ring: Option<Ring>,
    /// Whose the last bytes are, and when they were read.
    last: Option<(Stream, Time)>,
    /// The last byte is not a newline.
    open_line: bool,
    /// What did not fit on the disk, and is not said yet.
    gap: Gap,
    /// All that did not fit on the disk.
    lost: u64,
}

/// What is kept of a log's end.
#[derive(Debug, Clone, Copy)]
struct Ring {
    /// It keeps a byte more than it has room for: the one that tells whether a line begins with the next.
    extent: Extent,
    room: u64,
    /// Newlines that were written, whether they are still there or not.
    newlines: u64,
    /// When the log is closed: the first byte that belongs to it.
    from: u64,
}

/// Bytes that did not fit on the disk.
#[derive(Debug, Clone, Copy, Default)]
struct Gap {
    bytes: u64,
    newlines: u64,
}

/// So many of the last bytes were not written.
#[derive(Debug)]
struct Unwritten(usize);

impl Log {
    /// Makes an empty one in `dir`, in place of what may be there, with the limit that is usual.
    ///
    /// # Errors
    /// The disk's.
    pub fn create(dir: &Path) -> io::Result<Self> {
        let (growth, _) = watch::channel(Growth::default());
        let state = State {
            limit: LOG_LIMIT,
            head: Extent::new(),
            newlines: 0,
            digest: Sha256::new(),
            head_is_open: false,
            ring: None,
            last: None,
            open_line: false,
            gap: Gap::default(),
            lost: 0,
        };
        let (head, ring) = (Spool::create(dir, "log")?, Spool::create(dir, "log.end")?);
        head.reserve();
        Ok(Self { head, ring, state: Mutex::new(state), growth })
    }

    /// Keeps no more than so many bytes, not counting a line about what is left out. Only for a log that is empty.
    pub fn limit(&self, limit: u64) {
        self.state().limit = limit;
    }

    /// Adds bytes of one stream: whole lines, or a part of one. Where another stream's line is unfinished, it is ended
    /// first.
    pub fn append(&self, stream: Stream, time: Time, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut state = self.state();
        let said = self.say_gap(&mut state, time).map_err(|_| Unwritten(bytes.len()));
        let written = said.and_then(|()| self.add(&mut state, stream, time, bytes));
        if let Err(Unwritten(count)) = written {
            let lost = &bytes[bytes.len() - count.min(bytes.len())..];
            state.gap.bytes += lost.len() as u64;
            state.gap.newlines += newlines(lost);
            state.lost += lost.len() as u64;
        }
        let length = state.head.length;
        drop(state);
        self.growth.send_if_modified(|growth| std::mem::replace(&mut growth.length, length) != length);
    }

    /// A line of the agent's own.
    pub fn say(&self, time: Time, words: &str) {
        self.append(Stream::Agent, time, format!("{words}\n").as_bytes());
    }

    /// What is not sent before the log is closed; none if all is sent as it comes.
    pub fn held(&self) -> Option<Held> {
        let ring = self.state().ring?;
        Some(Held { bytes: ring.extent.length, lines: ring.newlines })
    }

    /// No more will come. What the disk kept of it is put together, and sealed.
    pub fn close(&self, time: Time) -> LogSeal {
        let mut state = self.state();
        let _ = self.say_gap(&mut state, time);
        let left_out = self.join(&mut state, time);
        let ring = state.ring.map_or(0, |ring| ring.extent.length - ring.from);
        let seal = LogSeal {
            length: state.head.length + ring,
            lines: state.newlines + u64::from(state.open_line),
            sha256: hex::encode(state.digest.clone().finalize()),
            left_out,
            lost: state.lost,
        };
        drop(state);
        self.growth.send_modify(|growth| *growth = Growth { length: seal.length, closed: true });
        seal
    }

    /// Waits until there is something at `offset`. False: it is closed, and there will never be.
    pub async fn has(&self, offset: u64) -> bool {
        let mut growth = self.growth.subscribe();
        let known = growth.wait_for(|growth| growth.length > offset || growth.closed).await;
        known.is_ok_and(|growth| growth.length > offset)
    }

    /// What begins at `offset`: as much as a chunk holds, up to the end of a line where there is one.
    ///
    /// # Errors
    /// The disk's.
    pub fn chunk(&self, offset: u64) -> io::Result<Chunk> {
        let (head, ring) = {
            let state = self.state();
            (state.head, state.ring)
        };
        match ring {
            Some(ring) if offset >= head.length => self.ring.chunk(&ring.extent, ring.from + (offset - head.length)),
            Some(_) | None => self.head.chunk(&head, offset),
        }
    }

    /// Gives the disk back, when the server has all of it.
    pub(super) fn discard(&self) {
        self.head.discard();
        self.ring.discard();
    }

    /// Adds bytes where they belong.
    fn add(&self, state: &mut State, stream: Stream, time: Time, bytes: &[u8]) -> Result<(), Unwritten> {
        if let Some((last, then)) = state.last.filter(|(last, _)| state.open_line && *last != stream) {
            self.put(state, last, then, b"\n").map_err(|_| Unwritten(bytes.len()))?;
        }
        self.put(state, stream, time, bytes)
    }

    fn put(&self, state: &mut State, stream: Stream, time: Time, bytes: &[u8]) -> Result<(), Unwritten> {
        let fitting = if state.ring.is_none() { state.head.fitting(state.limit / 2, bytes) } else { 0 };
        let (first, rest) = bytes.split_at(fitting);
        self.put_head(state, stream, time, first).map_err(|_| Unwritten(bytes.len()))?;
        self.put_ring(state, stream, time, rest).map_err(|_| Unwritten(rest.len()))
    }

    fn put_head(&self, state: &mut State, stream: Stream, time: Time, bytes: &[u8]) -> io::Result<()> {
        let Some(last) = bytes.last() else { return Ok(()) };
        self.head.push(&mut state.head, stream, time, bytes)?;
        state.newlines += newlines(bytes);
        state.digest.update(bytes);
        state.last = Some((stream, time));
        state.open_line = *last != b'\n';
        state.head_is_open = state.open_line;
        Ok(())
    }

    fn put_ring(&self, state: &mut State, stream: Stream, time: Time, bytes: &[u8]) -> io::Result<()> {
        let Some(last) = bytes.last() else { return Ok(()) };
        let room = state.limit.saturating_sub(state.head.length);
        let ring =
            state.ring.get_or_insert_with(|| Ring { extent: Extent::ring(room + 1), room, newlines: 0, from: 0 });
        self.ring.push(&mut ring.extent, stream, time, bytes)?;
        ring.newlines += newlines(bytes);
        state.last = Some((stream, time));
        state.open_line = *last != b'\n';
        Ok(())
    }

    /// A line in the place of what did not fit on the disk, now that something may fit again.
    fn say_gap(&self, state: &mut State, time: Time) -> Result<(), Unwritten> {
        if state.gap.bytes == 0 {
            return Ok(());
        }
        let (size, lines) = (Counted(state.gap.bytes, "byte"), Counted(state.gap.newlines, "line"));
        let words = format!("… {size} ({lines}) are missing here: the disk had no room for them, or failed …\n");
        self.add(state, Stream::Agent, time, words.as_bytes())?;
        state.gap = Gap::default();
        Ok(())
    }

    /// Puts what is kept of the log's end behind its head, and between them a line about what is not.
    fn join(&self, state: &mut State, time: Time) -> Option<LeftOut> {
        let mut ring = state.ring?;
        ring.from = self.first_kept(&ring);
        let (mut kept, mut last) = (0, b'\n');
        state.lost += self.visit(&mut ring, |block| {
            kept += newlines(block);
            last = block.last().copied().unwrap_or(last);
        });
        let lines = ring.newlines.saturating_sub(kept);
        let left_out = (ring.from > 0).then(|| self.say_left_out(state, ring.from, lines, time));
        state.lost += self.visit(&mut ring, |block| state.digest.update(block));
        state.newlines += kept;
        state.open_line = last != b'\n';
        state.ring = Some(ring);
        left_out
    }

    /// Where a line begins in the ring. A line that is as long as half of the ring is rather cut than left out.
    fn first_kept(&self, ring: &Ring) -> u64 {
        let Ring { room, extent, .. } = *ring;
        let Ok(oldest) = self.ring.oldest(&extent) else { return extent.length };
        if oldest == 0 && extent.length <= room {
            return 0;
        }
        let end = oldest.midpoint(extent.length);
        let mut at = oldest;
        while at < end {
            let count = usize::try_from(READ.min(end - at)).unwrap_or(usize::MAX);
            let Ok(block) = self.ring.read(&extent, at, count) else { break };
            if let Some(newline) = memchr::memchr(b'\n', &block) {
                return at + newline as u64 + 1;
            }
            at += count as u64;
        }
        oldest.max(extent.length.saturating_sub(room))
    }

    /// Reads what is kept in the ring, part by part. What cannot be read is cut off; how many bytes that were.
    fn visit(&self, ring: &mut Ring, mut block: impl FnMut(&[u8])) -> u64 {
        let mut at = ring.from;
        while at < ring.extent.length {
            let count = usize::try_from(READ.min(ring.extent.length - at)).unwrap_or(usize::MAX);
            let Ok(bytes) = self.ring.read(&ring.extent, at, count) else {
                return ring.extent.length - std::mem::replace(&mut ring.extent.length, at);
            };
            block(&bytes);
            at += count as u64;
        }
        0
    }

    fn say_left_out(&self, state: &mut State, bytes: u64, lines: u64, time: Time) -> LeftOut {
        let limit = Size(state.limit);
        let words = format!(
            "… {} ({}) were left out here: the log is over its limit of {limit} …\n",
            Counted(lines, "line"),
            Size(bytes)
        );
        // an unfinished line is ended by whoever wrote it
        if let Some((stream, then)) = state.head.author().filter(|_| state.head_is_open) {
            let _ = self.put_head(state, stream, then, b"\n");
        }
        let line = state.newlines + 1;
        if self.put_head(state, Stream::Agent, time, words.as_bytes()).is_err() {
            state.lost += words.len() as u64;
        }
        LeftOut { line, bytes, lines }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
