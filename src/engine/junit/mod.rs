//! Reads what tests have written: reports in JUnit's XML, in the dialects of those who write it. Pure, and made for hostile
//! input: any bytes, within fixed bounds. No entity but XML's own five is ever replaced, and nothing is fetched.
//!
//! What cannot be read is a note, and what stands before it counts. Counts are of the cases that are there, and not what
//! a suite says of itself.

mod case;
mod file;
mod locate;
mod text;

use std::sync::Arc;

use self::{
    case::Case,
    file::File,
    text::{cut, cut_to_mark, decode},
};
use super::problem::Place;
use crate::{
    agent::mask::Masks,
    model::{FailedTest, Outcome, Tests},
};

/// Of one job so many failed tests are kept; all are counted.
pub const KEPT: usize = 1000;
/// They have so many bytes in all, more or less: then they say in short what they say.
const ROOM: usize = 4 << 20;
/// So many of them are looked through for a place.
const LOCATED: usize = 200;
/// So much is said that is odd about a job's reports.
const NOTES: usize = 20;
const LONGEST_NOTE: usize = 500;
/// In characters.
const LONGEST_NAME: usize = 500;
const LONGEST_MESSAGE: usize = 4000;
const LONGEST_DETAILS: usize = 16_000;
/// If there is no room.
const SHORT_MESSAGE: usize = 200;

/// What a job's reports say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// How many files were read.
    pub files: u64,
    /// All tests, counted.
    pub tests: Tests,
    /// Those that failed, the first [`KEPT`] of them.
    pub failed: Vec<FailedTest>,
    /// What is odd about the files, in words.
    pub notes: Vec<String>,
}

/// Reads the reports of one job, one file after another.
pub struct Reader {
    place: Place,
    masks: Arc<Masks>,
    found: Found,
    room: usize,
    left_out: usize,
}

impl Reader {
    /// For a job that ran there; what is to be hidden is hidden in all that is kept.
    pub fn new(place: Place, masks: Arc<Masks>) -> Self {
        Self { place, masks, found: Found::default(), room: ROOM, left_out: 0 }
    }

    /// Reads a file of this name.
    pub fn read(&mut self, path: &str, bytes: &[u8]) {
        self.found.files += 1;
        let text = decode(bytes);
        if let Err(wrong) = File::new(self).read(&text) {
            self.note(&format!("{path}: {wrong}"));
        }
    }

    /// Keeps what is odd.
    pub fn note(&mut self, words: &str) {
        if self.found.notes.len() == NOTES {
            self.left_out += 1;
            return;
        }
        let note = cut(&self.shown(words), LONGEST_NOTE);
        self.found.notes.push(note);
    }

    /// All of it.
    pub fn end(mut self) -> Found {
        if self.left_out > 0 {
            self.found.notes.push(format!("and {} more notes", self.left_out));
        }
        self.found
    }

    /// Whether what a failed test says is kept.
    fn has_room(&self) -> bool {
        self.found.failed.len() < KEPT
    }

    fn take(&mut self, case: Case) {
        let mut counts = Tests { tests: 1, millis: case.millis, ..Tests::default() };
        match case.outcome {
            Some(Outcome::Failure) => counts.failures = 1,
            Some(Outcome::Error) => counts.errors = 1,
            None if case.is_skipped => counts.skipped = 1,
            None => counts.flaky = u64::from(case.is_flaky),
        }
        self.found.tests += counts;
        if let Some(outcome) = case.outcome.filter(|_| self.has_room()) {
            let failed = self.failed(case, outcome);
            self.room = self.room.saturating_sub(failed.message.len() + failed.details.len());
            self.found.failed.push(failed);
        }
    }

    fn failed(&self, case: Case, outcome: Outcome) -> FailedTest {
        let name = |text: &str| cut(&self.shown(text), LONGEST_NAME).replace('\n', " ");
        let (message, details) = if self.room > 0 { (LONGEST_MESSAGE, LONGEST_DETAILS) } else { (SHORT_MESSAGE, 0) };
        let said = self.shown(&case.details);
        let says_nothing = case.message.trim().is_empty() && said.trim().is_empty();
        let short = if says_nothing { &case.kind } else { &case.message };
        let (file, line) = match self.found.failed.len() < LOCATED {
            true => locate::place(&case, &said, &self.place),
            false => locate::told(&case, &self.place),
        };
        FailedTest {
            suite: name(&case.suite),
            class: name(&case.class),
            name: name(&case.name),
            outcome,
            millis: case.millis,
            message: cut_to_mark(self.shown(short).trim(), message),
            details: cut_to_mark(said.trim_matches('\n'), details),
            // where a secret is in a path, there is no such file in the repository
            file: Some(file).filter(|file| !self.masks.is_in(file.as_bytes())).unwrap_or_default(),
            line,
        }
    }

    /// Text as people may see it. Hidden first, and cut then: of a secret that is cut nobody would find the rest.
    fn shown(&self, text: &str) -> String {
        self.masks.hide_str(&text::plain(text))
    }
}
