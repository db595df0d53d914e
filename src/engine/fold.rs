//! Parts of a log that belong together and have a title: what jobs mark as a group (GitHub's `::group::`, Azure's
//! `##[group]`, GitLab's `section_start:`, Travis' `travis_fold:`), and what the agent says in several lines. Pure, and
//! made for hostile input: within fixed bounds, and never wrong about what is no mark.

use std::{borrow::Cow, sync::OnceLock};

use aho_corasick::AhoCorasick;

use super::{log::Frame, tail::plain};
use crate::{
    agent::protocol::Stream,
    model::{Fold, Time},
};

/// Of one log so many are kept.
const MOST: usize = 1_000;
/// Deeper groups are lines like others.
const DEPTH_MAX: usize = 8;
/// No title has more characters.
const TITLE_MAX: usize = 200;
/// A line with a mark in it is read up to so many bytes.
const LINE_MAX: usize = 4 << 10;
const WORDS: [&str; 7] =
    ["::group::", "::endgroup::", "##[group]", "##[endgroup]", "travis_fold:", "section_start:", "section_end:"];

/// What a line says about groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// One begins. A name tells whose end is its end.
    Begin {
        /// Its name; empty: it ends with the next end.
        name: String,
        /// What people read.
        title: String,
    },
    /// The one of this name ends; without a name the newest.
    End {
        /// Which.
        name: String,
    },
}

/// What a line says about groups, in order: Travis ends one and begins the next in the same line.
pub fn marks(line: &[u8]) -> Vec<Mark> {
    let line = &line[..line.len().min(LINE_MAX)];
    if !words().is_some_and(|words| words.is_match(line)) {
        return Vec::new();
    }
    // what a terminal erases: Travis and GitLab write a mark, go back, and write the title over it
    let parts = line.split(|&b| b == b'\r').map(|part| part.strip_prefix(b"\x1b[0K").unwrap_or(part));
    let title = plain(line, TITLE_MAX);
    parts.filter_map(|part| mark(std::str::from_utf8(part).ok()?, &title)).collect()
}

/// A line as people read it where nothing folds: the begin of a part is its title, and of an end nothing is left.
pub fn shown(line: &str) -> Option<Cow<'_, str>> {
    let marks = marks(line.as_bytes());
    let title = marks.iter().rev().find_map(|mark| match mark {
        Mark::Begin { title, .. } => Some(title),
        Mark::End { .. } => None,
    });
    match title {
        Some(title) => Some(Cow::Owned(format!("\u{25b8} {title}"))),
        // Travis times what it runs by marks of their own
        None if !marks.is_empty() || line.trim_start().starts_with("travis_time:") => None,
        None => Some(Cow::Borrowed(line)),
    }
}

fn mark(part: &str, title: &str) -> Option<Mark> {
    let begin = |name: &str, title: &str| Mark::Begin { name: name.to_owned(), title: title.to_owned() };
    let end = |name: &str| Mark::End { name: name.to_owned() };
    // GitHub and Azure take them after blanks and colours, too
    let shown = plain(part.as_bytes(), TITLE_MAX);
    let shown = shown.trim();
    if let Some(title) = shown.strip_prefix("::group::").or_else(|| shown.strip_prefix("##[group]")) {
        return Some(begin("", if title.is_empty() { "Group" } else { title }));
    }
    if shown.starts_with("::endgroup::") || shown.starts_with("##[endgroup]") {
        return Some(end(""));
    }
    let named = |name: &str| name.chars().take(TITLE_MAX).collect::<String>();
    if let Some((kind, name)) = part.strip_prefix("travis_fold:").and_then(|rest| rest.split_once(':')) {
        let name = named(name.trim());
        let said = if title.is_empty() || title.starts_with("travis_") { name.as_str() } else { title };
        return match kind {
            "start" => Some(begin(&name, said)),
            "end" => Some(end(&name)),
            _ => None,
        };
    }
    let section = part.strip_prefix("section_start:").map(|rest| (true, rest));
    let (begins, rest) = section.or_else(|| part.strip_prefix("section_end:").map(|rest| (false, rest)))?;
    let (time, name) = rest.split_once(':')?;
    time.parse::<u64>().ok()?;
    let name = named(name.split('[').next().unwrap_or_default().trim());
    let said = if title.is_empty() || title.starts_with("section_") { name.as_str() } else { title };
    Some(if begins { begin(&name, said) } else { end(&name) })
}

fn words() -> Option<&'static AhoCorasick> {
    static ALL: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    ALL.get_or_init(|| AhoCorasick::new(WORDS).ok()).as_ref()
}

/// Finds them in a log that is read from its beginning.
#[derive(Debug, Default)]
pub struct Folds {
    found: Vec<Fold>,
    /// Those that have not ended: which of `found`, and their names.
    open: Vec<(usize, String)>,
    /// The lines of the agent that come one after another: which of `found`, if there are enough of them.
    agent: Option<Fold>,
    /// Newlines so far.
    newlines: u64,
    /// A line that is not over, and when it came.
    begun: Vec<u8>,
    begun_at: Option<Time>,
    /// When the last line came.
    last: Option<Time>,
}

impl Folds {
    /// The next part of the log.
    pub fn read(&mut self, frame: &Frame) {
        if frame.is_hole {
            // words of ours for what is missing: whatever was there is not known
            self.newlines += memchr::memchr_iter(b'\n', &frame.text).count() as u64;
            self.begun.clear();
            return self.end_agent();
        }
        let mut rest = frame.text.as_slice();
        for piece in &frame.pieces {
            let length = usize::try_from(piece.length).unwrap_or(usize::MAX).min(rest.len());
            let (text, after) = rest.split_at(length);
            rest = after;
            self.piece(text, piece.stream, piece.time);
        }
    }

    fn piece(&mut self, text: &[u8], stream: Stream, time: Time) {
        if stream == Stream::Agent {
            self.of_agent(text, time);
        } else {
            self.end_agent();
            self.of_job(text, time);
        }
        self.newlines += memchr::memchr_iter(b'\n', text).count() as u64;
        self.last = Some(time);
    }

    fn of_job(&mut self, text: &[u8], time: Time) {
        let mut at = 0;
        // the rest of the line that began in an earlier part
        if !self.begun.is_empty() {
            let end = memchr::memchr(b'\n', text);
            self.begin(&text[..end.unwrap_or(text.len())], time);
            let Some(end) = end else { return };
            let (line, begun_at) = (std::mem::take(&mut self.begun), self.begun_at.take());
            self.line(&line, self.newlines + 1, begun_at.unwrap_or(time));
            at = end + 1;
        }
        let whole = memchr::memrchr(b'\n', text).map_or(at, |end| (end + 1).max(at));
        self.whole(&text[at..whole], self.newlines + u64::from(at > 0), time);
        self.begin(&text[whole..], time);
    }

    /// Whole lines, before which there are so many newlines.
    fn whole(&mut self, text: &[u8], newlines: u64, time: Time) {
        let Some(words) = words() else { return };
        let (mut from, mut number, mut counted) = (0, newlines + 1, 0);
        while let Some(found) = words.find(&text[from..]) {
            let at = from + found.start();
            let start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |before| before + 1);
            let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |after| at + after);
            number += memchr::memchr_iter(b'\n', &text[counted..start]).count() as u64;
            counted = start;
            self.line(&text[start..end], number, time);
            from = (end + 1).min(text.len());
        }
    }

    fn begin(&mut self, text: &[u8], time: Time) {
        if text.is_empty() {
            return;
        }
        self.begun_at.get_or_insert(time);
        let room = LINE_MAX.saturating_sub(self.begun.len());
        self.begun.extend_from_slice(&text[..text.len().min(room)]);
    }

    fn line(&mut self, line: &[u8], number: u64, time: Time) {
        let bare = plain(line, TITLE_MAX).trim().is_empty();
        for mark in marks(line) {
            match mark {
                Mark::Begin { name, title } => {
                    self.start(Fold { first: number, last: number, title, from: time, to: time }, name)
                }
                // a line that says nothing else belongs to what it ends
                Mark::End { name } => {
                    let last = if name.is_empty() || bare { number } else { number - 1 };
                    self.stop(&name, last, time);
                }
            }
        }
    }

    fn start(&mut self, fold: Fold, name: String) {
        // a group without a name ends where the next one begins: it cannot have others in it
        if name.is_empty() && self.open.last().is_some_and(|(_, open)| open.is_empty()) {
            self.stop("", fold.first - 1, fold.from);
        }
        if self.found.len() < MOST && self.open.len() < DEPTH_MAX {
            self.open.push((self.found.len(), name));
            self.found.push(fold);
        }
    }

    /// The newest open one of this name ends, and with it all that began after it.
    fn stop(&mut self, name: &str, last: u64, time: Time) {
        let Some(at) = self.open.iter().rposition(|(_, open)| open == name) else { return };
        for (which, _) in self.open.drain(at..) {
            let fold = &mut self.found[which];
            fold.last = last.max(fold.first);
            fold.to = time;
        }
    }

    fn of_agent(&mut self, text: &[u8], time: Time) {
        let number = self.newlines + 1;
        let last = self.newlines + (memchr::memchr_iter(b'\n', text).count() as u64).max(1);
        let title = || plain(text.split(|&b| b == b'\n').next().unwrap_or_default(), TITLE_MAX);
        let fold = self.agent.get_or_insert_with(|| Fold { first: number, last, title: title(), from: time, to: time });
        (fold.last, fold.to) = (last, time);
    }

    fn end_agent(&mut self) {
        let Some(fold) = self.agent.take().filter(|fold| fold.lines() > 1) else { return };
        // what the agent says within a group of the job is a part of it
        if self.open.is_empty() && self.found.len() < MOST {
            self.found.push(fold);
        }
    }

    /// All of them, by their first lines. What has not ended goes on to the log's end.
    pub fn end(mut self) -> Vec<Fold> {
        self.end_agent();
        let last = self.newlines + u64::from(!self.begun.is_empty());
        if let Some(time) = self.last {
            while let Some((_, name)) = self.open.last().cloned() {
                self.stop(&name, last, time);
            }
        }
        self.found.retain(|fold| fold.lines() > 1);
        self.found.sort_by_key(|fold| fold.first);
        self.found
    }
}
