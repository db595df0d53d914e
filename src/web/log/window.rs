//! A window of lines out of a log of any length: only the parts that hold them are read, one at a time.

use std::ops::Range;

use super::lines::{Collector, Line};
use crate::{
    engine::{Engine, EngineError, log::Frame},
    model::JobId,
};

/// How many rows a page shows at once.
pub const WINDOW: u64 = 600;
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
        Reader::new(engine, job).read(wanted).await
    }
}

/// Reads several windows of a log, from its beginning to its end. What is unpacked already is not unpacked again.
pub struct Reader<'a> {
    engine: &'a Engine,
    job: JobId,
    frame: Option<Frame>,
    budget: u64,
}

impl<'a> Reader<'a> {
    /// Of this job's log.
    pub const fn new(engine: &'a Engine, job: JobId) -> Self {
        Self { engine, job, frame: None, budget: READ_MAX }
    }

    /// The lines that are numbered `wanted` (from 1), as far as they are there.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn read(&mut self, wanted: Range<u64>) -> Result<Window, EngineError> {
        let first = wanted.start.saturating_sub(1);
        // a line that begins in the part at hand; its first one may have begun before
        let at_hand = self.frame.take().filter(|frame| frame.line < first && first < frame.line + newlines(frame));
        let frame = match at_hand {
            Some(frame) => Some(frame),
            None => self.engine.frame_at_line(self.job, first).await?,
        };
        let Some(mut frame) = frame else { return Ok(Window::default()) };
        let mut collector = Collector::new(frame.line + 1, frame.start, wanted);
        loop {
            collector.push(&frame.text, &frame.pieces);
            self.budget = self.budget.saturating_sub(frame.text.len() as u64);
            if collector.is_done() || self.budget == 0 {
                break;
            }
            match self.engine.frame_at_offset(self.job, frame.end()).await? {
                Some(next) => frame = next,
                None => break,
            }
        }
        self.frame = Some(frame);
        let resume = collector.resume();
        Ok(Window { lines: collector.finish(), resume })
    }
}

fn newlines(frame: &Frame) -> u64 {
    memchr::memchr_iter(b'\n', &frame.text).count() as u64
}
