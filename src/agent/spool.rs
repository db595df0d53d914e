//! Lines on the disk, and beside them an index of who wrote which part when. Offsets only grow. Where a spool has less
//! room than is written, it is a ring: what is new takes the place of what is oldest.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use super::protocol::{CHUNK_TEXT_MAX, Chunk, Piece, Stream};
use crate::model::Time;

/// Bytes of one mark in the index: offset, time, stream, each in eight bytes.
const MARK: usize = 24;
/// The most pieces in one chunk, so that a log of one-byte lines does not make an index of many megabytes.
const PIECES_MAX: u64 = 16_384;
/// There is room for one mark in so many bytes of text, and at least for [`MARKS_MIN`]: ordinary lines share one with
/// those that were read with them, and need fewer.
const BYTES_OF_MARK: u64 = 64;
const MARKS_MIN: u64 = 1_024;
/// What a spool reserves on the disk, in bytes of text and of marks: an ordinary log has room if the disk is full later.
const RESERVED: [usize; 2] = [256 << 10, 2_048 * MARK];

/// The files of a spool.
#[derive(Debug)]
pub(super) struct Spool {
    text: File,
    marks: File,
}

/// How far a spool is written, and what of that it keeps. Whoever writes has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Bytes that were written.
    pub(super) length: u64,
    /// Bytes that are kept.
    room: u64,
    marks: u64,
    marks_room: u64,
    last: Option<Mark>,
}

/// From `offset` on, until the next mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    offset: u64,
    time: Time,
    stream: Stream,
}

impl Extent {
    /// Empty, and keeps all.
    pub(super) const fn new() -> Self {
        Self { length: 0, room: u64::MAX, marks: 0, marks_room: u64::MAX, last: None }
    }

    /// Empty, and keeps the last `room` bytes, or less if they are of very many marks.
    pub(super) fn ring(room: u64) -> Self {
        Self { room: room.max(1), marks_room: marks_of(room), ..Self::new() }
    }

    /// How many of these bytes fit into `room`, with all that is there: whole lines only.
    pub(super) fn fitting(&self, room: u64, bytes: &[u8]) -> usize {
        let left = usize::try_from(room.saturating_sub(self.length)).unwrap_or(usize::MAX);
        match bytes.get(..left) {
            _ if self.marks >= marks_of(room) => 0,
            Some(beginning) if left < bytes.len() => memchr::memrchr(b'\n', beginning).map_or(0, |newline| newline + 1),
            Some(_) | None => bytes.len(),
        }
    }

    /// Whose the last bytes are, and when they were read.
    pub(super) fn author(&self) -> Option<(Stream, Time)> {
        self.last.map(|last| (last.stream, last.time))
    }
}

fn marks_of(room: u64) -> u64 {
    (room / BYTES_OF_MARK).max(MARKS_MIN)
}

impl Spool {
    /// Makes an empty one in `dir`, in place of what may be there.
    pub(super) fn create(dir: &Path, name: &str) -> io::Result<Self> {
        let file =
            |name: &str| OpenOptions::new().read(true).write(true).create(true).truncate(true).open(dir.join(name));
        Ok(Self { text: file(name)?, marks: file(&format!("{name}.index"))? })
    }

    /// Takes the room of an ordinary log, as far as it is there.
    pub(super) fn reserve(&self) {
        for (file, room) in [&self.text, &self.marks].into_iter().zip(RESERVED) {
            let _ = file.write_all_at(&vec![0; room], 0);
        }
    }

    /// Gives its room on the disk back.
    pub(super) fn discard(&self) {
        for file in [&self.text, &self.marks] {
            let _ = file.set_len(0);
        }
    }

    /// Adds bytes. If that fails, none of them count.
    pub(super) fn push(&self, extent: &mut Extent, stream: Stream, time: Time, bytes: &[u8]) -> io::Result<()> {
        self.mark(extent, Mark { offset: extent.length, time, stream })?;
        // written at our own length, not at the file's: half a write does not count
        let skipped = bytes.len().saturating_sub(usize::try_from(extent.room).unwrap_or(usize::MAX));
        let kept = &bytes[skipped..];
        for (at, part) in turns(extent.room, extent.length + skipped as u64, kept.len()) {
            self.text.write_all_at(&kept[part], at)?;
        }
        extent.length += bytes.len() as u64;
        Ok(())
    }

    /// Reads bytes that are still there.
    pub(super) fn read(&self, extent: &Extent, offset: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        for (at, part) in turns(extent.room, offset, count) {
            self.text.read_exact_at(&mut bytes[part], at)?;
        }
        Ok(bytes)
    }

    /// The first byte that is still there.
    pub(super) fn oldest(&self, extent: &Extent) -> io::Result<u64> {
        let by_text = extent.length.saturating_sub(extent.room);
        match extent.marks.saturating_sub(extent.marks_room) {
            0 => Ok(by_text),
            first => Ok(self.read_mark(extent, first)?.offset.max(by_text)),
        }
    }

    /// What begins at `offset`: as much as a chunk holds, up to the end of a line where there is one.
    pub(super) fn chunk(&self, extent: &Extent, offset: u64) -> io::Result<Chunk> {
        let (starts, limit) = self.marks_from(extent, offset.min(extent.length))?;
        let limit = limit.unwrap_or(extent.length);
        let wanted = limit.saturating_sub(offset).min(CHUNK_TEXT_MAX as u64);
        let mut text = self.read(extent, offset, usize::try_from(wanted).map_err(io::Error::other)?)?;
        if offset + wanted < extent.length {
            let line_end = memchr::memrchr(b'\n', &text).map_or(text.len(), |newline| newline + 1);
            text.truncate(line_end);
        }
        Ok(Chunk { pieces: pieces(&starts, offset, offset + text.len() as u64), text })
    }

    /// The marks that matter from `offset` on, and where the first one begins that is left out.
    fn marks_from(&self, extent: &Extent, offset: u64) -> io::Result<(Vec<Mark>, Option<u64>)> {
        let oldest = extent.marks.saturating_sub(extent.marks_room);
        let (mut low, mut high) = (oldest, extent.marks);
        while low < high {
            let middle = low.midpoint(high);
            if self.read_mark(extent, middle)?.offset <= offset {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let first = low.saturating_sub(1).max(oldest);
        let end = extent.marks.min(first + PIECES_MAX);
        let mut raw = vec![0; usize::try_from(end - first).map_err(io::Error::other)? * MARK];
        for (at, part) in turns(extent.marks_room.saturating_mul(MARK as u64), first * MARK as u64, raw.len()) {
            self.marks.read_exact_at(&mut raw[part], at)?;
        }
        let marks = raw.chunks_exact(MARK).map(Mark::read).collect::<io::Result<_>>()?;
        let left_out = if end < extent.marks { Some(self.read_mark(extent, end)?.offset) } else { None };
        Ok((marks, left_out))
    }

    fn read_mark(&self, extent: &Extent, number: u64) -> io::Result<Mark> {
        let mut raw = [0; MARK];
        self.marks.read_exact_at(&mut raw, number % extent.marks_room * MARK as u64)?;
        Mark::read(&raw)
    }

    /// Adds a mark, if the one before does not say the same.
    fn mark(&self, extent: &mut Extent, mark: Mark) -> io::Result<()> {
        if extent.last.is_some_and(|last| last.time == mark.time && last.stream == mark.stream) {
            return Ok(());
        }
        // a mark whose text then did not fit is written over by the next
        let again = extent.last.is_some_and(|last| last.offset == mark.offset);
        let number = if again { extent.marks - 1 } else { extent.marks };
        self.marks.write_all_at(&mark.write(), number % extent.marks_room * MARK as u64)?;
        extent.marks = number + 1;
        extent.last = Some(mark);
        Ok(())
    }
}

/// Where `count` bytes from `offset` on stand in a ring: places in the file, each with its part of the bytes.
fn turns(room: u64, offset: u64, count: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = (offset + done as u64) % room;
        let fits = usize::try_from(room - at).unwrap_or(usize::MAX).min(count - done);
        let part = done..done + fits;
        done = part.end;
        (!part.is_empty()).then_some((at, part))
    })
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
