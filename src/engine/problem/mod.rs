//! Finds in a job's log what its tools say of lines of files: compilers, linters, test runners, and whoever writes
//! `::error file=…,line=…::`. Pure, and made for hostile input: any bytes, cut anywhere, within fixed bounds.
//!
//! It is found when a log is sealed, from what is stored: whoever dies, it is found again, and what is masked in the
//! log is masked here.

mod block;
mod command;
mod go;
mod line;
mod pattern;
mod place;
mod remark;

use std::{collections::HashSet, sync::OnceLock};

use aho_corasick::AhoCorasick;

use self::{
    block::{Block, Next},
    command::Command,
    go::Go,
    remark::Remark,
};
use super::tail::plain;
use crate::model::{Level, Problem};

pub use place::Place;

/// Of one job so many are kept: errors first, then warnings.
pub const MOST: usize = 50;
/// So much is read of a line.
const LINE_MAX: usize = 16 << 10;
/// A line that says more than this is data, unless it is an order.
const WIDTH_MAX: usize = 4000;
/// No message is longer.
const LONGEST_MESSAGE: usize = 4000;
const LONGEST_TITLE: usize = 200;
/// No file has more lines.
const LINES_MOST: usize = 10_000_000;
/// A line without any of these says nothing by itself.
const WORDS: [&str; 19] = [
    "::",
    "error",
    "warning",
    "Error",
    "Warning",
    "ERROR",
    "WARNING",
    ".go:",
    ".py:",
    " panicked at ",
    "panic: ",
    "Traceback (most",
    "File \"",
    "___",
    "===",
    "--- ",
    "FAIL\t",
    "ok  \t",
    "?   \t",
];

/// What was found so far in a log.
#[derive(Debug)]
pub struct Finder {
    place: Place,
    /// A line that is not over.
    begun: Vec<u8>,
    number: u64,
    block: Option<Block>,
    go: Go,
    /// pytest says what failed.
    failures: bool,
    /// The line before, which may be a file's name.
    before: Vec<u8>,
    /// The file that rows are about.
    file: Option<String>,
    /// Nothing is an order until this word comes.
    stopped: Option<String>,
    found: Found,
}

impl Finder {
    /// For a job that runs there.
    pub fn new(place: Place) -> Self {
        Self {
            place,
            begun: Vec::new(),
            number: 0,
            block: None,
            go: Go::default(),
            failures: false,
            before: Vec::new(),
            file: None,
            stopped: None,
            found: Found::default(),
        }
    }

    /// Looks through the next bytes of a log.
    pub fn read(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            if self.begun.is_empty() {
                self.line(line);
            } else {
                self.begin(line);
                let line = std::mem::take(&mut self.begun);
                self.line(&line);
            }
        }
        self.begin(rest);
    }

    /// The log is over. What was found: the worst first, then as it stands there.
    pub fn end(mut self) -> Vec<Problem> {
        if !self.begun.is_empty() {
            let line = std::mem::take(&mut self.begun);
            self.line(&line);
        }
        if let Some(remark) = self.block.take().and_then(Block::end) {
            self.keep(remark);
        }
        for remark in std::mem::take(&mut self.go).end(&self.place) {
            self.keep(remark);
        }
        self.found.sorted()
    }

    fn begin(&mut self, bytes: &[u8]) {
        let room = LINE_MAX.saturating_sub(self.begun.len());
        self.begun.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn line(&mut self, raw: &[u8]) {
        self.number += 1;
        let raw = &raw[..raw.len().min(LINE_MAX)];
        if self.block.is_some() || self.go.is_open() || self.stopped.is_some() || may_matter(raw) {
            let text = plain(raw, LINE_MAX);
            self.text(&text);
        }
        self.before.clear();
        self.before.extend_from_slice(&raw[..raw.len().min(WIDTH_MAX)]);
    }

    fn text(&mut self, text: &str) {
        if self.obeys(text) || text.len() > WIDTH_MAX {
            return;
        }
        if let Some(failures) = block::turns(text) {
            self.failures = failures;
        }
        let mut is_taken = false;
        if let Some(block) = self.block.take() {
            let (remark, block, taken) = match block.next(text, self.number, &self.place) {
                Next::More(block) => (None, Some(block), true),
                Next::Beside(block) => (None, Some(block), false),
                Next::Done(remark) => (remark, None, true),
                Next::Left(remark) => (remark, None, false),
            };
            (self.block, is_taken) = (block, taken);
            remark.into_iter().for_each(|remark| self.keep(remark));
        }
        if !is_taken && !self.go.take(text, self.number) {
            self.alone(text);
        }
    }

    /// A line that is no part of what came before.
    fn alone(&mut self, text: &str) {
        let remark = match Block::open(text, self.number, self.failures, &self.place) {
            Some(Ok(block)) => return self.block = Some(block),
            Some(Err(remark)) => Some(remark),
            None => line::read(text).or_else(|| self.row(text)),
        };
        if let Some(remark) = remark {
            self.keep(remark.at(self.number));
        }
    }

    /// A row below a file's name, or below another row.
    fn row(&mut self, text: &str) -> Option<Remark> {
        if !line::is_row(text) {
            return None;
        }
        let before = plain(&self.before, WIDTH_MAX);
        if line::is_file(&before) {
            self.file = Some(before);
        } else if !line::is_row(&before) {
            self.file = None;
        }
        line::row(text, self.file.as_deref()?)
    }

    /// Whether a line is an order, or would be one.
    fn obeys(&mut self, text: &str) -> bool {
        if let Some(word) = &self.stopped {
            if text.trim().strip_prefix("::").and_then(|rest| rest.strip_suffix("::")) == Some(word) {
                self.stopped = None;
            }
            return text.trim_start().starts_with("::");
        }
        match command::read(text) {
            Some(Command::Tell(remark)) => {
                let remark = remark.at(self.number);
                self.tell(remark);
            }
            Some(Command::Stop(word)) => self.stopped = Some(word.to_owned()),
            Some(Command::Other) => {}
            None => return false,
        }
        true
    }

    /// What is said in so many words is told, whatever file it is about.
    fn tell(&mut self, mut remark: Remark) {
        let path = self.place.path(&remark.path).unwrap_or_default();
        if path.is_empty() && !remark.path.is_empty() {
            remark.message = format!("{}:{}: {}", remark.path, remark.line, remark.message);
        }
        if path.is_empty() {
            (remark.line, remark.end_line, remark.column, remark.length) = (1, 0, 0, 0);
        }
        self.found.add(path, remark);
    }

    /// What was found is kept, if it is about a file of the repository.
    fn keep(&mut self, remark: Remark) {
        if let Some(path) = self.place.path(&remark.path).filter(|_| remark.line > 0) {
            self.found.add(path, remark);
        }
    }
}

/// A quick look that most lines do not pass.
fn may_matter(line: &[u8]) -> bool {
    static MATTERING: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    let words = MATTERING.get_or_init(|| AhoCorasick::new(WORDS).ok());
    words.as_ref().is_none_or(|words| words.is_match(line))
}

/// What is kept. Tools say the same twice: for a library and for its tests, where it is and at the end.
#[derive(Debug, Default)]
struct Found {
    errors: Vec<Problem>,
    others: Vec<Problem>,
    said: HashSet<(String, usize, usize, String)>,
}

impl Found {
    fn add(&mut self, path: String, mut remark: Remark) {
        let kept = if remark.level == Level::Error { &mut self.errors } else { &mut self.others };
        if kept.len() >= MOST || remark.line > LINES_MOST || remark.end_line > LINES_MOST {
            return;
        }
        shorten(&mut remark.message, LONGEST_MESSAGE);
        shorten(&mut remark.title, LONGEST_TITLE);
        if self.said.insert((path.clone(), remark.line, remark.column, remark.message.clone())) {
            let at = remark.at;
            kept.push(Problem { remark: remark.of(path), at });
        }
    }

    fn sorted(self) -> Vec<Problem> {
        let mut all: Vec<Problem> = self.errors.into_iter().chain(self.others).collect();
        all.sort_by_key(|problem| (std::cmp::Reverse(problem.remark.severity), problem.at));
        all.truncate(MOST);
        all
    }
}

fn shorten(text: &mut String, most: usize) {
    if text.len() > most {
        let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}
