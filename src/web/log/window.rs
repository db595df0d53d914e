//! A window of lines out of a log of any length: only the parts that hold them are read, one at a time.

use std::ops::Range;

use super::lines::{Collector, Line};
use crate::{
    engine::{Engine, EngineError},
    model::JobId,
};

/// How many lines a page shows at once.
pub const WINDOW: u64 = 1_000;
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

impl Window {
    /// The lines of a job's log that are numbered `wanted` (from 1), as far as they are there.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn read(engine: &Engine, job: JobId, wanted: Range<u64>) -> Result<Self, EngineError> {
        let first = wanted.start.saturating_sub(1);
        let Some(mut frame) = engine.frame_at_line(job, first).await? else { return Ok(Self::default()) };
        let mut collector = Collector::new(frame.line + 1, frame.start, wanted);
        let mut budget = READ_MAX;
        loop {
            collector.push(&frame.text, &frame.pieces);
            budget = budget.saturating_sub(frame.text.len() as u64);
            if collector.is_done() || budget == 0 {
                break;
            }
            match engine.frame_at_offset(job, frame.end()).await? {
                Some(next) => frame = next,
                None => break,
            }
        }
        let resume = collector.resume();
        Ok(Self { lines: collector.finish(), resume })
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
