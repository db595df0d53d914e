//! Tools that need several lines to say one thing.

use super::{
    pattern::{Pattern, group, number},
    place::Place,
    remark::Remark,
};
use crate::model::Level;

/// rustc and Cargo: what is wrong. Where follows.
static HEADER: Pattern = Pattern::new(r"^(error|warning)(?:\[([\w:-]+)\])?: (.+)$");
static ARROW: Pattern = Pattern::new(r"^\s*--> (.+):(\d{1,7}):(\d{1,7})$");
/// A panic of Rust.
static PANIC: Pattern = Pattern::new(r"^thread '(.*)' (?:\(\d+\) )?panicked at (.+):(\d{1,7}):(\d{1,7}):$");
static OLD_PANIC: Pattern = Pattern::new(r"^thread '(.*)' panicked at '(.*)', (.+):(\d{1,7}):(\d{1,7})$");
/// A panic of Go, and where it was, innermost first.
static GO_PANIC: Pattern = Pattern::new(r"^panic: (.+?)(?: \[recovered.*\])?$");
static GO_FRAME: Pattern = Pattern::new(r"^\t(/.+\.go):(\d{1,7})(?: \+0x[0-9a-f]+)?$");
/// Python: where it was.
static FRAME: Pattern = Pattern::new(r#"^\s*File "(.+)", line (\d{1,7})(, in .*)?$"#);
/// pytest: one test's part of what failed.
static PART: Pattern = Pattern::new(r"^_{3,} (.+?) _{3,}$");
static RULE: Pattern = Pattern::new(r"^={3,} (.+?) ={3,}$");
static WHERE: Pattern = Pattern::new(r"^([^\s>:][^:]*):(\d{1,7}):(?: .*)?$");

/// So far away from its header an arrow is another's.
const HEADER_LINES: usize = 10;
/// So many lines of a panic's or a test's words are told.
const TOLD_LINES: usize = 12;
/// So far away from its panic a frame is another's.
const FRAMES: usize = 100;
/// No story is longer.
const STORY_LINES: usize = 5000;

/// What a line is to a block that is open.
pub(super) enum Next {
    /// It is a part of it.
    More(Block),
    /// It is none, and the block waits on.
    Beside(Block),
    /// It is the last part.
    Done(Option<Remark>),
    /// The block ended before it.
    Left(Option<Remark>),
}

/// A block that is open.
#[derive(Debug)]
pub(super) enum Block {
    /// It is said what, but not where.
    Header { remark: Remark, left: usize },
    /// It is said where, and partly what.
    Panic { remark: Remark, left: usize },
    /// It is said what, and then which functions it went through.
    GoPanic { remark: Remark, left: usize },
    /// A traceback.
    Trace(Trace),
    /// A test that failed.
    Test(Test),
}

#[derive(Debug)]
pub(super) struct Trace {
    /// The innermost place that is the repository's.
    frame: Option<(String, usize)>,
    at: u64,
    left: usize,
}

#[derive(Debug)]
pub(super) struct Test {
    title: String,
    frame: Option<(String, usize)>,
    words: Vec<String>,
    at: u64,
    is_said: bool,
    /// What the test wrote itself follows.
    is_captured: bool,
    left: usize,
}

impl Block {
    /// The block that a line opens, or what it says by itself. `failures`: pytest has begun to say what failed.
    pub(super) fn open(line: &str, at: u64, failures: bool, place: &Place) -> Option<Result<Self, Remark>> {
        if let Some(found) = HEADER.read(line) {
            let level = if group(&found, 1) == "error" { Level::Error } else { Level::Warning };
            let remark = Remark::new("", 0, 0, level, group(&found, 3)).titled(group(&found, 2)).at(at);
            return Some(Ok(Self::Header { remark, left: HEADER_LINES }));
        }
        if let Some(found) = PANIC.read(line) {
            let remark = Remark::new(group(&found, 2), number(&found, 3), number(&found, 4), Level::Error, "").at(at);
            let remark = remark.titled(&format!("{} panicked", group(&found, 1)));
            return Some(Ok(Self::Panic { remark, left: TOLD_LINES }));
        }
        if let Some(found) = OLD_PANIC.read(line) {
            let (line, column) = (number(&found, 4), number(&found, 5));
            let remark = Remark::new(group(&found, 3), line, column, Level::Error, group(&found, 2)).at(at);
            return Some(Err(remark.titled(&format!("{} panicked", group(&found, 1)))));
        }
        if let Some(found) = GO_PANIC.read(line) {
            let remark = Remark::new("", 0, 0, Level::Error, group(&found, 1)).titled("panic").at(at);
            return Some(Ok(Self::GoPanic { remark, left: FRAMES }));
        }
        if line.trim_start().starts_with("Traceback (most recent call last)") {
            return Some(Ok(Self::Trace(Trace { frame: None, at, left: STORY_LINES })));
        }
        if let Some(found) = FRAME.read(line).filter(|found| found.get(3).is_none()) {
            let frame = place.path(group(&found, 1)).map(|path| (path, number(&found, 2)));
            return Some(Ok(Self::Trace(Trace { frame, at, left: STORY_LINES })));
        }
        let found = PART.read(line).filter(|_| failures)?;
        let name = group(&found, 1);
        // "ERROR collecting …", "ERROR at setup of …"
        let title = if name.starts_with("ERROR ") { name.to_owned() } else { format!("{name} failed") };
        let (frame, words) = (None, Vec::new());
        let test = Test { title, frame, words, at, is_said: false, is_captured: false, left: STORY_LINES };
        Some(Ok(Self::Test(test)))
    }

    /// Goes on with the next line.
    pub(super) fn next(self, line: &str, at: u64, place: &Place) -> Next {
        match self {
            Self::Header { remark, left } => header(remark, left, line),
            Self::Panic { remark, left } => panic(remark, left, line),
            Self::GoPanic { remark, left } => go_panic(remark, left, line, place),
            Self::Trace(trace) => trace.next(line, place),
            Self::Test(test) => test.next(line, at, place),
        }
    }

    /// The log is over.
    pub(super) fn end(self) -> Option<Remark> {
        match self {
            Self::Panic { remark, .. } => Some(remark),
            Self::Test(test) => test.told(),
            Self::Header { .. } | Self::GoPanic { .. } | Self::Trace(_) => None,
        }
    }
}

/// Whether pytest says from here on what failed, or does so no longer; `None`: neither.
pub(super) fn turns(line: &str) -> Option<bool> {
    let found = RULE.read(line)?;
    Some(matches!(group(&found, 1), "FAILURES" | "ERRORS"))
}

fn header(mut remark: Remark, left: usize, line: &str) -> Next {
    if let Some(found) = ARROW.read(line) {
        remark.path = group(&found, 1).to_owned();
        (remark.line, remark.column) = (number(&found, 2), number(&found, 3));
        return Next::Done(Some(remark));
    }
    if left == 0 || line.trim().is_empty() {
        return Next::Left(None);
    }
    Next::Beside(Block::Header { remark, left: left - 1 })
}

fn panic(mut remark: Remark, left: usize, line: &str) -> Next {
    let ends = ["note: ", "stack backtrace:", "thread '"];
    if left == 0 || line.is_empty() || ends.iter().any(|end| line.starts_with(end)) {
        return Next::Left(Some(remark));
    }
    if !remark.message.is_empty() {
        remark.message.push('\n');
    }
    remark.message.push_str(line.trim_end());
    Next::More(Block::Panic { remark, left: left - 1 })
}

/// The first function of the repository's is the one whose line is meant.
fn go_panic(mut remark: Remark, left: usize, line: &str, place: &Place) -> Next {
    if let Some((path, number)) =
        GO_FRAME.read(line).and_then(|found| Some((place.path(group(&found, 1))?, number(&found, 2))))
    {
        (remark.path, remark.line) = (path, number);
        return Next::Done(Some(remark));
    }
    if left == 0 || line.starts_with("FAIL") {
        Next::Left(None)
    } else {
        Next::Beside(Block::GoPanic { remark, left: left - 1 })
    }
}

impl Trace {
    fn next(mut self, line: &str, place: &Place) -> Next {
        if self.left == 0 {
            return Next::Left(None);
        }
        self.left -= 1;
        if let Some(found) = FRAME.read(line) {
            let frame = place.path(group(&found, 1)).map(|path| (path, number(&found, 2)));
            self.frame = frame.or(self.frame);
            return Next::More(Block::Trace(self));
        }
        if line.starts_with(char::is_whitespace) {
            return Next::More(Block::Trace(self));
        }
        let told =
            |(path, at): (String, usize)| Remark::new(&path, at, 0, Level::Error, line).titled(kind(line)).at(self.at);
        if line.is_empty() { Next::Left(None) } else { Next::Done(self.frame.map(told)) }
    }
}

/// `ValueError` of `ValueError: not a number`.
fn kind(line: &str) -> &str {
    line.split_once(':').map_or(line, |(kind, _)| kind)
}

impl Test {
    fn next(mut self, line: &str, at: u64, place: &Place) -> Next {
        if self.left == 0 || PART.is(line) || RULE.is(line) {
            return Next::Left(self.told());
        }
        self.left -= 1;
        self.is_captured |= line.starts_with("---") && line.contains(" Captured ");
        if !self.is_captured {
            self.look(line, at, place);
        }
        Next::More(Block::Test(self))
    }

    fn look(&mut self, line: &str, at: u64, place: &Place) {
        if let Some(words) = line.strip_prefix('E').filter(|words| words.is_empty() || words.starts_with("  ")) {
            if !self.is_said {
                self.words.clear();
                self.at = at;
            }
            if self.words.len() < TOLD_LINES {
                self.words.push(words.strip_prefix("   ").unwrap_or(words.trim_start()).to_owned());
            }
            self.is_said = true;
            return;
        }
        self.is_said = false;
        if let Some(found) = WHERE.read(line) {
            let frame = place.path(group(&found, 1)).map(|path| (path, number(&found, 2)));
            self.frame = frame.or(self.frame.take());
        }
    }

    fn told(self) -> Option<Remark> {
        let (path, line) = self.frame?;
        let indented = self.words.first().map_or(0, |first| first.len() - first.trim_start().len());
        let flush = |words: &String| words.get(indented..).unwrap_or(words.trim_start()).to_owned();
        let words: Vec<String> = self.words.iter().map(flush).collect();
        Some(Remark::new(&path, line, 0, Level::Error, &words.join("\n")).titled(&self.title).at(self.at))
    }
}
