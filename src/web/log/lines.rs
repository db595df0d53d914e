//! Takes the wanted lines out of a log's parts that come one after another.

use std::ops::Range;

use crate::{
    agent::protocol::{Piece, Stream},
    model::Time,
};

/// The most bytes of one line that a page shows; the rest is in the raw log.
pub const LINE_MAX: usize = 10_000;

/// One line, without its newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub number: u64,
    /// When its first byte was read.
    pub time: Time,
    /// Where its first byte came from.
    pub stream: Stream,
    /// At most [`LINE_MAX`] bytes.
    pub text: Vec<u8>,
    /// How many bytes more it has.
    pub cut: u64,
}

/// Collects lines.
#[derive(Debug)]
pub struct Collector {
    /// The line that the next byte belongs to, from 1.
    next: u64,
    /// The offset in the log at which that line begins.
    begins: u64,
    /// The offset of the next byte.
    offset: u64,
    wanted: Range<u64>,
    open: Option<Line>,
    lines: Vec<Line>,
}

impl Collector {
    /// Will keep the lines numbered `wanted`; the first byte it sees is at `offset` and of line `next`.
    pub const fn new(next: u64, offset: u64, wanted: Range<u64>) -> Self {
        Self { next, begins: offset, offset, wanted, open: None, lines: Vec::new() }
    }

    /// The next bytes, and which of them came when. Text that no piece covers is not read.
    pub fn push(&mut self, text: &[u8], pieces: &[Piece]) {
        let mut rest = text;
        for piece in pieces {
            let length = usize::try_from(piece.length).unwrap_or(usize::MAX).min(rest.len());
            let (text, after) = rest.split_at(length);
            rest = after;
            self.piece(text, piece.time, piece.stream);
        }
    }

    /// The offset at which the line that is not complete yet begins: where to go on reading later.
    pub const fn resume(&self) -> u64 {
        self.begins
    }

    /// Whether all wanted lines are there.
    pub const fn is_done(&self) -> bool {
        self.next >= self.wanted.end
    }

    /// The complete lines so far; what is begun stays.
    pub fn take(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.lines)
    }

    /// All of them, with a last one that has no newline.
    pub fn finish(mut self) -> Vec<Line> {
        self.lines.extend(self.open);
        self.lines
    }

    fn piece(&mut self, mut text: &[u8], time: Time, stream: Stream) {
        while !text.is_empty() && !self.is_done() {
            let newline = memchr::memchr(b'\n', text);
            let (line, after) = text.split_at(newline.map_or(text.len(), |at| at + 1));
            self.part(&line[..newline.unwrap_or(line.len())], time, stream);
            self.offset += line.len() as u64;
            if newline.is_some() {
                self.lines.extend(self.open.take());
                self.next += 1;
                self.begins = self.offset;
            }
            text = after;
        }
    }

    fn part(&mut self, bytes: &[u8], time: Time, stream: Stream) {
        if self.wanted.contains(&self.next) {
            let new = || Line { number: self.next, time, stream, text: Vec::new(), cut: 0 };
            self.open.get_or_insert_with(new).append(bytes);
        }
    }
}

impl Line {
    /// A progress bar may write megabytes into one line, of which only the end is seen: what comes after the last
    /// carriage return replaces what is too long.
    fn append(&mut self, bytes: &[u8]) {
        let room = LINE_MAX - self.text.len();
        if bytes.len() <= room {
            self.text.extend_from_slice(bytes);
            return;
        }
        let body = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let shown = memchr::memrchr(b'\r', body).map(|at| &bytes[at + 1..]);
        if shown.is_some() {
            self.text.clear();
            self.cut = 0;
        }
        let shown = shown.unwrap_or(bytes);
        let room = (LINE_MAX - self.text.len()).min(shown.len());
        self.text.extend_from_slice(&shown[..room]);
        self.cut += (shown.len() - room) as u64;
    }
}
