//! Finds text in a log: which lines have it, how many, and which come before and after the one that is shown. Colours
//! and what was overwritten are no text.

use std::{borrow::Cow, ops::Range};

use regex::bytes::{Regex, RegexBuilder};

use super::ansi;
use crate::engine::scan::{Found, Look};

/// Longer texts are not looked for.
pub const PATTERN_MAX: usize = 1_000;
/// What a regular expression may grow to, in bytes.
const SIZE_MAX: usize = 1 << 20;

/// A text or a regular expression to be looked for. Without a capital letter in it, case does not matter.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
}

/// It cannot be looked for, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(String);

impl Pattern {
    /// Reads it.
    ///
    /// # Errors
    /// If it is empty, too long, or no regular expression.
    pub fn new(text: &str, is_regex: bool) -> Result<Self, Unfit> {
        if text.is_empty() {
            return Err(Unfit("there is nothing to look for".to_owned()));
        }
        if text.len() > PATTERN_MAX {
            return Err(Unfit(format!("it is longer than {PATTERN_MAX} bytes")));
        }
        let source = if is_regex { Cow::Borrowed(text) } else { Cow::Owned(regex::escape(text)) };
        let regex = RegexBuilder::new(&source)
            .case_insensitive(!text.chars().any(char::is_uppercase))
            .multi_line(true)
            .size_limit(SIZE_MAX)
            .dfa_size_limit(SIZE_MAX)
            .build();
        Ok(Self { regex: regex.map_err(|error| Unfit(plainly(&error)))? })
    }

    /// Where it is in the text of a line, in bytes; nothing that is empty.
    pub fn places(&self, line: &str) -> Vec<Range<usize>> {
        let found = self.regex.find_iter(line.as_bytes()).map(|found| found.range());
        found.filter(|place| !place.is_empty()).collect()
    }

    /// The lines of `text` that have it, in order: where each begins and ends.
    fn lines<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
        let mut from = 0;
        std::iter::from_fn(move || {
            while from <= text.len() {
                let found = self.regex.find_at(text, from)?;
                let start = memchr::memrchr(b'\n', &text[..found.start()]).map_or(0, |at| at + 1).max(from);
                let end = memchr::memchr(b'\n', &text[found.start()..]).map_or(text.len(), |at| found.start() + at);
                from = end + 1;
                // what goes over a line's end is in no line
                if found.end() <= end || self.regex.is_match(&text[start..end]) {
                    return Some(start..end);
                }
            }
            None
        })
    }
}

/// The last line of the library's account, which says what is wrong.
fn plainly(error: &regex::Error) -> String {
    let words = error.to_string();
    let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    format!("not a regular expression: {}", last.trim().trim_start_matches("error: "))
}

/// Looks for a pattern, as seen from a line.
#[derive(Debug, Clone)]
pub struct Search {
    /// What is looked for.
    pub pattern: Pattern,
    /// The line that is shown, from 1; 0: none yet.
    pub at: u64,
    /// How many of the lines after `at` are kept one by one.
    pub keep: usize,
}

/// Which lines have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hits {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Option<u64>,
    /// The last one before the line that is shown.
    pub previous: Option<u64>,
    /// How many there are up to the line that is shown, with it.
    pub up_to: u64,
    /// Whether the line that is shown is one.
    pub is_here: bool,
    /// The first one after it.
    pub next: Option<u64>,
    /// The last of all.
    pub last: Option<u64>,
    /// Those after the line that is shown, with their text, as many as are kept.
    pub lines: Vec<Hit>,
    keep: usize,
}

/// A line that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its number, from 1.
    pub number: u64,
    /// Its text, cut after some hundred bytes.
    pub text: String,
}

/// So much of a line's text is kept.
const TEXT_MAX: usize = 500;

impl Look for Search {
    type Found = Hits;

    fn look(&self, lines: &[u8], first: u64) -> Hits {
        let text = readable(lines);
        let mut hits = Hits { keep: self.keep, ..Hits::default() };
        let (mut number, mut counted) = (first, 0);
        for line in self.pattern.lines(&text) {
            number += memchr::memchr_iter(b'\n', &text[counted..line.start]).count() as u64;
            counted = line.start;
            hits.hit(self.at, number, &text[line]);
        }
        hits
    }
}

impl Hits {
    fn hit(&mut self, at: u64, number: u64, text: &[u8]) {
        self.count += 1;
        self.first = self.first.or(Some(number));
        self.last = Some(number);
        self.up_to += u64::from(number <= at);
        self.is_here |= number == at;
        if number < at {
            self.previous = Some(number);
        }
        if number > at {
            self.next = self.next.or(Some(number));
            if self.lines.len() < self.keep {
                let text = String::from_utf8_lossy(&text[..text.len().min(TEXT_MAX)]).into_owned();
                self.lines.push(Hit { number, text });
            }
        }
    }
}

impl Found for Hits {
    fn add(&mut self, later: Self) {
        self.keep = self.keep.max(later.keep);
        self.count += later.count;
        self.first = self.first.or(later.first);
        self.previous = later.previous.or(self.previous);
        self.up_to += later.up_to;
        self.is_here |= later.is_here;
        self.next = self.next.or(later.next);
        self.last = later.last.or(self.last);
        let room = self.keep.saturating_sub(self.lines.len());
        self.lines.extend(later.lines.into_iter().take(room));
    }
}

/// The lines as a terminal shows them. Most have nothing in them that a terminal obeys, and are not touched.
fn readable(lines: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = obeyed(lines) else { return Cow::Borrowed(lines) };
    let mut text = Vec::with_capacity(lines.len());
    let (mut done, mut next) = (0, Some(first));
    while let Some(at) = next {
        let start = memchr::memrchr(b'\n', &lines[done..at]).map_or(done, |before| done + before + 1);
        let end = memchr::memchr(b'\n', &lines[at..]).map_or(lines.len(), |after| at + after);
        text.extend_from_slice(&lines[done..start]);
        text.extend_from_slice(&shown(&lines[start..end]));
        done = end;
        next = obeyed(&lines[done..]).map(|at| done + at);
    }
    text.extend_from_slice(&lines[done..]);
    Cow::Owned(text)
}

/// Where the first byte is that a terminal does not just show.
fn obeyed(text: &[u8]) -> Option<usize> {
    memchr::memchr3(0x1b, b'\r', 0x08, text)
}

/// A line as a terminal shows it. Colours, by far the most frequent, are left out without asking one.
fn shown(line: &[u8]) -> Cow<'_, [u8]> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    without_colours(line).map_or_else(|| Cow::Owned(ansi::plain(line).into_bytes()), Cow::Owned)
}

/// `None`: there is more in it than colours.
fn without_colours(line: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = obeyed(rest) {
        let sequence = rest[at..].strip_prefix(b"\x1b[")?;
        let end = sequence.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':'))?;
        if sequence[end] != b'm' {
            return None;
        }
        text.extend_from_slice(&rest[..at]);
        rest = &sequence[end + 1..];
    }
    text.extend_from_slice(rest);
    Some(text)
}
