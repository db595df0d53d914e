//! Finds text in a log: which lines have it, how many, and which come before and after the one that is shown. Colours
//! and what was overwritten are no text.

use std::{borrow::Cow, cell::RefCell, ops::Range};

use regex::bytes::{Regex, RegexBuilder};

use memchr::memmem::Finder;
use regex_syntax::hir::{Hir, HirKind};

use super::ansi;
use crate::engine::scan::{Found, Look};

/// Longer texts are not looked for.
pub const PATTERN_MAX: usize = 1_000;
/// What a regular expression may grow to, in bytes.
const SIZE_MAX: usize = 1 << 20;

/// No shorter text is looked for instead of an expression: too many lines have it.
const NEEDLE_MIN: usize = 2;

/// A text or a regular expression to be looked for. Without a capital letter in it, case does not matter; of a text of
/// ASCII, that of ASCII letters.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    /// What every line has that has the pattern.
    needle: Option<Needle>,
}

/// A text that can be found fast.
#[derive(Debug, Clone)]
struct Needle {
    finder: Finder<'static>,
    /// It is in small letters, and is looked for in a copy in small letters.
    folds: bool,
    /// There is no more to the pattern.
    is_all: bool,
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
        let folds = !text.chars().any(char::is_uppercase);
        let regex = RegexBuilder::new(&source)
            .case_insensitive(folds)
            // else a k would be a Kelvin sign, too
            .unicode(is_regex || !text.is_ascii())
            .multi_line(true)
            .size_limit(SIZE_MAX)
            .dfa_size_limit(SIZE_MAX)
            .build();
        let regex = regex.map_err(|error| Unfit(plainly(&error)))?;
        let needle = if is_regex { inner(text, folds) } else { whole(text, folds) };
        Ok(Self { regex, needle })
    }

    /// Where it is in the text of a line, in bytes; nothing that is empty.
    pub fn places(&self, line: &str) -> Vec<Range<usize>> {
        let found = self.regex.find_iter(line.as_bytes()).map(|found| found.range());
        found.filter(|place| !place.is_empty()).collect()
    }

    /// The lines of `text` that have it, in order: a place in each, from which its beginning can be found, to its end.
    fn each(&self, text: &[u8], hit: impl FnMut(Range<usize>)) {
        match &self.needle {
            Some(needle) if needle.folds => FOLDED.with_borrow_mut(|folded| {
                folded.clear();
                folded.extend_from_slice(text);
                folded.make_ascii_lowercase();
                self.each_with(needle, folded, text, hit);
            }),
            Some(needle) => self.each_with(needle, text, text, hit),
            None => self.each_by_regex(text, hit),
        }
    }

    /// The same, by a text that they must have; `folded` has it as it is.
    fn each_with(&self, needle: &Needle, folded: &[u8], text: &[u8], mut hit: impl FnMut(Range<usize>)) {
        let mut from = 0;
        while let Some(at) = needle.finder.find(&folded[from..]).map(|at| from + at) {
            let end = memchr::memchr(b'\n', &folded[at..]).map_or(folded.len(), |after| at + after);
            if needle.is_all || self.regex.is_match(&text[line_start(folded, at)..end]) {
                hit(at..end);
            }
            from = (end + 1).min(folded.len());
        }
    }

    fn each_by_regex(&self, text: &[u8], mut hit: impl FnMut(Range<usize>)) {
        let mut from = 0;
        while from <= text.len() {
            let Some(found) = self.regex.find_at(text, from) else { return };
            let start = line_start(text, found.start());
            let end = memchr::memchr(b'\n', &text[found.start()..]).map_or(text.len(), |at| found.start() + at);
            from = end + 1;
            // what goes over a line's end is in no line
            if found.end() <= end || self.regex.is_match(&text[start..end]) {
                hit(start..end);
            }
        }
    }
}

thread_local! {
    /// A text in small letters; one after another stands here.
    static FOLDED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Where the line begins that `at` is in.
fn line_start(text: &[u8], at: usize) -> usize {
    memchr::memrchr(b'\n', &text[..at]).map_or(0, |before| before + 1)
}

/// All of a text.
fn whole(text: &str, folds: bool) -> Option<Needle> {
    // letters of other scripts fold in ways of their own; and what goes over a line's end is in no line
    let is_plain = (text.is_ascii() || !folds) && !text.contains('\n');
    is_plain.then(|| Needle { finder: Finder::new(text.as_bytes()).into_owned(), folds, is_all: true })
}

/// The longest text that stands in everything that an expression matches.
fn inner(source: &str, folds: bool) -> Option<Needle> {
    // without its case: a letter is one, and not the class of two
    let hir = regex_syntax::ParserBuilder::new().utf8(false).multi_line(true).build().parse(source).ok()?;
    let mut best: &[u8] = &[];
    longest(&hir, &mut |literal| {
        for part in plain_parts(literal, folds) {
            if part.len() > best.len() {
                best = part;
            }
        }
    });
    let is_long = best.len() >= NEEDLE_MIN;
    is_long
        .then(|| Needle { finder: Finder::new(&best.to_ascii_lowercase()).into_owned(), folds, is_all: false })
        .map(|needle| if folds { needle } else { Needle { finder: Finder::new(best).into_owned(), ..needle } })
}

/// The texts that must be there, one after another.
fn longest<'a>(hir: &'a Hir, found: &mut impl FnMut(&'a [u8])) {
    match hir.kind() {
        HirKind::Literal(literal) => found(&literal.0),
        HirKind::Capture(capture) => longest(&capture.sub, found),
        HirKind::Repetition(repeated) if repeated.min > 0 => longest(&repeated.sub, found),
        HirKind::Concat(parts) => parts.iter().for_each(|part| longest(part, found)),
        HirKind::Repetition(_) | HirKind::Alternation(_) | HirKind::Class(_) | HirKind::Look(_) | HirKind::Empty => {}
    }
}

/// A text's parts that can be found in a line byte by byte. Where case does not matter, a k may be a Kelvin sign, and an s
/// a long one.
fn plain_parts(literal: &[u8], folds: bool) -> impl Iterator<Item = &[u8]> {
    literal.split(move |byte| *byte == b'\n' || (folds && (!byte.is_ascii() || b"kKsS".contains(byte))))
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
        let after = first + newlines(&text) + 1;
        if self.at >= after || (self.at < first && self.keep == 0) {
            return self.count(&text, first);
        }
        let mut hits = Hits { keep: self.keep, ..Hits::default() };
        let (mut number, mut counted) = (first, 0);
        self.pattern.each(&text, |line| {
            number += newlines(&text[counted..line.start]);
            counted = line.start;
            hits.hit(self.at, number, &text[line_start(&text, line.start)..line.end]);
        });
        hits
    }
}

impl Search {
    /// What lines hold that are all before the line that is shown, or all after it: of most of them no number is needed.
    fn count(&self, text: &[u8], first: u64) -> Hits {
        let (mut count, mut one, mut last) = (0, None, 0);
        self.pattern.each(text, |line| {
            count += 1;
            one = one.or(Some(line.start));
            last = line.start;
        });
        let Some(one) = one else { return Hits { keep: self.keep, ..Hits::default() } };
        let number = |start: usize| Some(first + newlines(&text[..start]));
        let (one, last) = (number(one), number(last));
        let is_before = self.at >= first;
        Hits {
            count,
            first: one,
            previous: last.filter(|_| is_before),
            up_to: if is_before { count } else { 0 },
            next: one.filter(|_| !is_before),
            last,
            keep: self.keep,
            ..Hits::default()
        }
    }
}

fn newlines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
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
