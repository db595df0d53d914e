//! A window of lines out of a log of any length: only the chunks that hold them are read, one at a time.

use std::ops::Range;

use super::{
    fault::{Fault, fault},
    lines::{Collector, Line},
    reader::{LogReader, ReadError},
};

/// How many lines a page shows at once.
pub const WINDOW: u64 = 1_000;
/// How much of a log is searched for its first error; of a longer one, the end.
const SEARCH_MAX: u64 = 32 << 20;
/// How much is read for one window, which lines of megabytes would make without end.
const READ_MAX: u64 = 64 << 20;

/// Lines, and where the log goes on after them.
#[derive(Debug, Default)]
pub struct Window {
    /// The lines, in order.
    pub lines: Vec<Line>,
    /// The offset at which the first line begins that is not here, or not complete yet.
    pub resume: u64,
}

impl LogReader {
    /// The lines numbered `wanted` (from 1), as far as they are there.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn window(&self, wanted: Range<u64>) -> Result<Window, ReadError> {
        let Some(mut loaded) = self.at_line(wanted.start).await? else { return Ok(Window::default()) };
        let mut collector = Collector::new(loaded.line, loaded.offset, wanted);
        let mut budget = READ_MAX;
        loop {
            collector.push(&loaded.chunk);
            budget = budget.saturating_sub(loaded.chunk.text.len() as u64);
            if collector.is_done() || budget == 0 {
                break;
            }
            match self.at_offset(loaded.end()).await? {
                Some(next) => loaded = next,
                None => break,
            }
        }
        let resume = collector.resume();
        Ok(Window { lines: collector.finish(), resume })
    }

    /// The number of the line that looks most like the fault in a log of `length` bytes: the first certain one, else
    /// the first that mentions one.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn first_fault(&self, length: u64) -> Result<Option<u64>, ReadError> {
        let from = length.saturating_sub(SEARCH_MAX);
        let Some(mut loaded) = self.at_offset(from).await? else { return Ok(None) };
        let mut collector = Collector::new(loaded.line, loaded.offset, 1..u64::MAX);
        let mut mention = None;
        loop {
            collector.push(&loaded.chunk);
            for line in collector.take() {
                match fault(&line.text) {
                    Some(Fault::Certain) => return Ok(Some(line.number)),
                    Some(Fault::Mention) => mention = mention.or(Some(line.number)),
                    None => {}
                }
            }
            match self.at_offset(loaded.end()).await? {
                Some(next) => loaded = next,
                None => break,
            }
        }
        let last = collector.finish().into_iter().find(|line| fault(&line.text).is_some());
        Ok(mention.or(last.map(|line| line.number)))
    }
}

/// `WINDOW` lines around `line`, a third of them before it; all within 1 to `lines`.
pub fn around(line: u64, lines: u64) -> Range<u64> {
    let latest = lines.saturating_sub(WINDOW - 1).max(1);
    from(line.saturating_sub(WINDOW / 3).clamp(1, latest), lines)
}

/// `WINDOW` lines from `line` on; all within 1 to `lines`.
pub fn from(line: u64, lines: u64) -> Range<u64> {
    let line = line.clamp(1, lines.max(1));
    line..line.saturating_add(WINDOW).min(lines.max(1) + 1)
}
