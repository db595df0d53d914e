//! A window of lines out of a log of any length: the index says which chunks hold them, and only those are read.

use std::{future::Future, ops::Range};

use super::{
    fault::{Fault, fault},
    lines::{Collector, Line},
};
use crate::agent::protocol::Chunk;

/// How many lines a page shows at once.
pub const WINDOW: u64 = 1_000;
/// How much of a log is searched for its first error; of a longer one, the end.
pub const SEARCH_MAX: u64 = 32 << 20;
/// How much is read of chunks for one window: a window of the longest lines there can be.
const READ_MAX: u64 = 64 << 20;

/// Where a chunk stands in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Bytes before it.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
    /// Newlines before it.
    pub before: u64,
    /// Newlines in it.
    pub newlines: u64,
}

/// How many lines a log has at most: one more than newlines, for a last one that has none.
pub fn lines_at_most(frames: &[Frame]) -> u64 {
    frames.last().map_or(0, |last| last.before + last.newlines + 1)
}

/// How many bytes a log has.
pub fn length(frames: &[Frame]) -> u64 {
    frames.last().map_or(0, |last| last.offset + last.length)
}

/// The lines numbered `wanted` (from 1), as far as they are there. Holds one chunk at a time.
///
/// # Errors
/// Those of `read`.
pub async fn window<R, F, E>(frames: &[Frame], wanted: Range<u64>, read: R) -> Result<Vec<Line>, E>
where
    R: Fn(Frame) -> F,
    F: Future<Output = Result<Chunk, E>>,
{
    let frames = covering(frames, &wanted);
    let Some(first) = frames.first() else { return Ok(Vec::new()) };
    let mut collector = Collector::new(first.before + 1, wanted);
    let mut budget = READ_MAX;
    for frame in frames {
        if collector.is_full() && frame.newlines == 0 {
            collector.skip(frame.length);
            continue;
        }
        if collector.is_done() || budget == 0 {
            break;
        }
        budget = budget.saturating_sub(frame.length);
        collector.push(&read(*frame).await?);
    }
    Ok(collector.finish())
}

/// The number of the line that looks most like the fault: the first certain one, else the first that mentions one.
///
/// # Errors
/// Those of `read`.
pub async fn first_fault<R, F, E>(frames: &[Frame], read: R) -> Result<Option<u64>, E>
where
    R: Fn(Frame) -> F,
    F: Future<Output = Result<Chunk, E>>,
{
    let from = length(frames).saturating_sub(SEARCH_MAX);
    let frames = &frames[frames.partition_point(|frame| frame.offset < from)..];
    let Some(first) = frames.first() else { return Ok(None) };
    let mut collector = Collector::new(first.before + 1, 1..u64::MAX);
    let mut mention = None;
    for frame in frames {
        collector.push(&read(*frame).await?);
        for line in collector.take() {
            match fault(&line.text) {
                Some(Fault::Certain) => return Ok(Some(line.number)),
                Some(Fault::Mention) => mention = mention.or(Some(line.number)),
                None => {}
            }
        }
    }
    let last = collector.finish().into_iter().find(|line| fault(&line.text).is_some());
    Ok(mention.or(last.map(|line| line.number)))
}

/// The frames that hold any byte of these lines.
fn covering<'a>(frames: &'a [Frame], wanted: &Range<u64>) -> &'a [Frame] {
    let Some(index) = wanted.start.checked_sub(1) else { return &[] };
    let from = frames.partition_point(|frame| frame.before + frame.newlines < index);
    let to = frames.partition_point(|frame| frame.before + 1 < wanted.end);
    frames.get(from..to).unwrap_or_default()
}

/// `WINDOW` lines around `line`, a third of them before it; all within 1 to `lines`.
pub fn around(line: u64, lines: u64) -> Range<u64> {
    let latest = lines.saturating_sub(WINDOW - 1).max(1);
    let from = line.saturating_sub(WINDOW / 3).clamp(1, latest);
    from..(from + WINDOW).min(lines.max(1) + 1)
}
