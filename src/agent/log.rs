//! A job's log on the disk: the text, and beside it an index of who wrote which part when. It only grows. Whatever
//! offset the server wants next, the chunk is read from there, so nothing is lost while the server is away and memory
//! stays constant.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::protocol::{CHUNK_TEXT_MAX, Chunk, LogSeal, Piece, Stream};
use crate::model::Time;

/// Bytes of one mark in the index: offset, time, stream, each in eight bytes.
const MARK: usize = 24;
/// The most pieces in one chunk, so that a log of one-byte lines does not make an index of many megabytes.
const PIECES_MAX: u64 = 16_384;

/// The log of one job.
#[derive(Debug)]
pub struct Log {
    text: File,
    marks: File,
    tail: Mutex<Tail>,
    growth: watch::Sender<Growth>,
}

/// What a reader waits for.
#[derive(Debug, Clone, Copy, Default)]
struct Growth {
    length: u64,
    closed: bool,
}

/// What the next line needs to know of those before it.
#[derive(Debug, Default)]
struct Tail {
    length: u64,
    marks: u64,
    newlines: u64,
    digest: Sha256,
    last: Option<Mark>,
    /// The last byte is not a newline.
    open_line: bool,
    /// Bytes that did not fit on the disk.
    lost: u64,
}

/// From `offset` on, until the next mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    offset: u64,
    time: Time,
    stream: Stream,
}

impl Log {
    /// Makes an empty one in `dir`, in place of what may be there.
    ///
    /// # Errors
    /// The disk's.
    pub fn create(dir: &Path) -> io::Result<Self> {
        let file = |name| OpenOptions::new().read(true).write(true).create(true).truncate(true).open(dir.join(name));
        let (growth, _) = watch::channel(Growth::default());
        Ok(Self { text: file("log")?, marks: file("log.index")?, tail: Mutex::default(), growth })
    }

    /// Adds bytes of one stream: whole lines, or a part of one. Where another stream's line is unfinished, it is ended
    /// first. What does not fit on the disk is counted and left out.
    pub fn append(&self, stream: Stream, time: Time, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut tail = self.tail();
        let breaks = tail.open_line && tail.last.is_some_and(|last| last.stream != stream);
        let written = if breaks { self.write(&mut tail, b"\n") } else { Ok(()) };
        let mark = Mark { offset: tail.length, time, stream };
        let written = written.and_then(|()| self.mark(&mut tail, mark)).and_then(|()| self.write(&mut tail, bytes));
        if written.is_err() {
            tail.lost += bytes.len() as u64;
        }
        let length = tail.length;
        drop(tail);
        self.growth.send_modify(|growth| growth.length = length);
    }

    /// A line of the agent's own.
    pub fn say(&self, time: Time, words: &str) {
        self.append(Stream::Agent, time, format!("{words}\n").as_bytes());
    }

    /// No more will come.
    pub fn close(&self, time: Time) -> LogSeal {
        let lost = self.tail().lost;
        if lost > 0 {
            self.say(time, &format!("the disk was full: {lost} bytes of this log are missing"));
        }
        self.growth.send_modify(|growth| growth.closed = true);
        let tail = self.tail();
        LogSeal {
            length: tail.length,
            lines: tail.newlines + u64::from(tail.open_line),
            sha256: hex::encode(tail.digest.clone().finalize()),
            left_out: None,
            lost,
        }
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
        let (length, marks) = {
            let tail = self.tail();
            (tail.length, tail.marks)
        };
        let (starts, limit) = self.marks_from(offset.min(length), marks)?;
        let limit = limit.unwrap_or(length);
        let wanted = limit.saturating_sub(offset).min(CHUNK_TEXT_MAX as u64);
        let mut text = vec![0; usize::try_from(wanted).map_err(io::Error::other)?];
        self.text.read_exact_at(&mut text, offset)?;
        if offset + wanted < length {
            let line_end = memchr::memrchr(b'\n', &text).map_or(text.len(), |newline| newline + 1);
            text.truncate(line_end);
        }
        Ok(Chunk { pieces: pieces(&starts, offset, offset + text.len() as u64), text })
    }

    /// The marks that matter from `offset` on, and where the first one begins that is left out.
    fn marks_from(&self, offset: u64, count: u64) -> io::Result<(Vec<Mark>, Option<u64>)> {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low.midpoint(high);
            if self.read_mark(middle)?.offset <= offset {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let first = low.saturating_sub(1);
        let end = count.min(first + PIECES_MAX);
        let mut raw = vec![0; usize::try_from(end - first).map_err(io::Error::other)? * MARK];
        self.marks.read_exact_at(&mut raw, first * MARK as u64)?;
        let marks = raw.chunks_exact(MARK).map(Mark::read).collect::<io::Result<_>>()?;
        let left_out = if end < count { Some(self.read_mark(end)?.offset) } else { None };
        Ok((marks, left_out))
    }

    fn read_mark(&self, number: u64) -> io::Result<Mark> {
        let mut raw = [0; MARK];
        self.marks.read_exact_at(&mut raw, number * MARK as u64)?;
        Mark::read(&raw)
    }

    /// Adds a mark, if the one before does not say the same.
    fn mark(&self, tail: &mut Tail, mark: Mark) -> io::Result<()> {
        if tail.last.is_some_and(|last| last.time == mark.time && last.stream == mark.stream) {
            return Ok(());
        }
        // a mark whose text then did not fit is written over by the next
        let number = if tail.last.is_some_and(|last| last.offset == mark.offset) { tail.marks - 1 } else { tail.marks };
        self.marks.write_all_at(&mark.write(), number * MARK as u64)?;
        tail.marks = number + 1;
        tail.last = Some(mark);
        Ok(())
    }

    /// Writes at our own length, not at the file's: half a write does not count.
    fn write(&self, tail: &mut Tail, bytes: &[u8]) -> io::Result<()> {
        self.text.write_all_at(bytes, tail.length)?;
        tail.length += bytes.len() as u64;
        tail.newlines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        tail.open_line = bytes.last().is_some_and(|&byte| byte != b'\n');
        tail.digest.update(bytes);
        Ok(())
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts the marks to `[from, to)`.
fn pieces(marks: &[Mark], from: u64, to: u64) -> Vec<Piece> {
    let ends = marks.iter().skip(1).map(|mark| mark.offset).chain([u64::MAX]);
    let cut = marks.iter().zip(ends).map(|(mark, end)| Piece {
        length: end.min(to).saturating_sub(mark.offset.max(from)),
        time: mark.time,
        stream: mark.stream,
    });
    cut.filter(|piece| piece.length > 0).collect()
}

impl Mark {
    fn write(self) -> [u8; MARK] {
        let mut raw = [0; MARK];
        raw[..8].copy_from_slice(&self.offset.to_le_bytes());
        raw[8..16].copy_from_slice(&self.time.as_millis().to_le_bytes());
        raw[16] = self.stream.code();
        raw
    }

    fn read(raw: &[u8]) -> io::Result<Self> {
        let damaged = || io::Error::other("the log's index is damaged");
        let (offset, rest) = raw.split_first_chunk().ok_or_else(damaged)?;
        let (time, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let stream = rest.first().and_then(|&code| Stream::from_code(code)).ok_or_else(damaged)?;
        Ok(Self { offset: u64::from_le_bytes(*offset), time: Time::from_millis(i64::from_le_bytes(*time)), stream })
    }
}
