//! One file: its elements, from the first to the last or to the first that is wrong.

use std::sync::Arc;

use quick_xml::{
    Reader as Xml,
    events::{BytesStart, Event},
};

use super::{
    Reader,
    case::{Case, millis},
    text::{reference, unescape},
};
use crate::model::Outcome;

/// Suites may be in suites, but not like this.
const DEEPEST: usize = 64;
/// No element has so many attributes that mean something.
const ATTRIBUTES: usize = 64;

/// Why a file, or the rest of it, is not read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wrong {
    #[error("it is empty")]
    Empty,
    #[error("it is no report in JUnit's XML: it begins with <{0}>")]
    Other(String),
    #[error("it is no report in JUnit's XML: it has no element")]
    NoXml,
    #[error("line {line}: {words}; what stands before it counts")]
    Broken { line: usize, words: String },
    #[error("line {line}: elements are nested deeper than {DEEPEST}; what stands before it counts")]
    Deep { line: usize },
    #[error("it ends within <{0}>; what stands before it counts")]
    CutOff(String),
}

/// An element that is open.
#[derive(Debug)]
enum Open {
    Suite(Suite),
    Case,
    /// What went wrong with a test; of a suite itself it is a test of its own.
    Wrong {
        of_suite: bool,
    },
    Other,
}

/// Shared with its tests: there may be a million of them.
#[derive(Debug)]
struct Suite {
    name: Arc<str>,
    file: Arc<str>,
}

pub(super) struct File<'r> {
    out: &'r mut Reader,
    open: Vec<(String, Open)>,
    case: Option<Case>,
    has_root: bool,
}

impl<'r> File<'r> {
    pub(super) fn new(out: &'r mut Reader) -> Self {
        Self { out, open: Vec::new(), case: None, has_root: false }
    }

    pub(super) fn read(mut self, text: &str) -> Result<(), Wrong> {
        if text.trim().is_empty() {
            return Err(Wrong::Empty);
        }
        let mut xml = Xml::from_str(text);
        xml.config_mut().allow_dangling_amp = true;
        loop {
            let at = xml.buffer_position();
            let went_on = match xml.read_event() {
                Ok(Event::Eof) => break,
                Ok(event) => self.take(event),
                Err(error) => Err(Wrong::Broken { line: 0, words: error.to_string() }),
            };
            if let Err(wrong) = went_on {
                self.close();
                return Err(wrong.at(line_of(text, at)));
            }
        }
        match self.open.last().map(|(name, _)| name.clone()) {
            Some(name) => {
                self.close();
                Err(Wrong::CutOff(name))
            }
            None if self.has_root => Ok(()),
            None => Err(Wrong::NoXml),
        }
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), Wrong> {
        match event {
            Event::Start(start) => self.start(&start)?,
            Event::Empty(start) => {
                self.start(&start)?;
                self.end();
            }
            Event::End(_) => self.end(),
            Event::Text(text) => self.say(&text),
            Event::CData(text) => self.say(&text),
            Event::GeneralRef(name) => match reference(&name) {
                Some(c) => self.say(c.encode_utf8(&mut [0; 4])),
                None => self.say(&format!("&{};", &*name)),
            },
            // a document type may define entities, and none of them is used
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Eof => {}
        }
        Ok(())
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), Wrong> {
        let name = start.local_name().as_ref().to_owned();
        if self.open.len() == DEEPEST {
            return Err(Wrong::Deep { line: 0 });
        }
        if !std::mem::replace(&mut self.has_root, true) && !matches!(name.as_str(), "testsuites" | "testsuite") {
            return Err(Wrong::Other(name.chars().take(80).collect()));
        }
        let within = self.open.last().map(|(_, open)| open);
        let open = match (name.as_str(), within) {
            ("testsuites" | "testsuite", None | Some(Open::Suite(_))) => self.suite(start),
            ("testcase", Some(Open::Suite(_))) => self.begin(start),
            (kind, Some(Open::Case)) => self.part(kind, start),
            (kind @ ("failure" | "error"), Some(Open::Suite(suite))) => {
                let (name, suite) = (suite.name.to_string(), Arc::clone(&suite.name));
                self.case = Some(Case { name, suite, ..Case::default() });
                self.wrong(kind, start, true)
            }
            _ => Open::Other,
        };
        self.open.push((name, open));
        Ok(())
    }

    fn suite(&self, start: &BytesStart<'_>) -> Open {
        let [name, file] = attributes(start, ["name", "file"]);
        let around = self.suites().next();
        Open::Suite(Suite {
            name: own_or(name, around.map(|suite| &suite.name)),
            file: own_or(file, around.map(|suite| &suite.file)),
        })
    }

    /// From the innermost.
    fn suites(&self) -> impl Iterator<Item = &Suite> {
        self.open.iter().rev().filter_map(|(_, open)| match open {
            Open::Suite(suite) => Some(suite),
            Open::Case | Open::Wrong { .. } | Open::Other => None,
        })
    }

    fn begin(&mut self, start: &BytesStart<'_>) -> Open {
        let [name, class, of_java, file, line, time, status, result] =
            attributes(start, ["name", "classname", "class", "file", "line", "time", "status", "result"]);
        let suite = self.suites().next();
        // pytest counts lines from 0
        let from_zero = u64::from(self.suites().any(|suite| &*suite.name == "pytest"));
        let line: u64 = line.trim().parse().unwrap_or_default();
        // GoogleTest says so of tests that are switched off
        let is_off = |word: &String| matches!(word.as_str(), "notrun" | "disabled" | "skipped" | "suppressed");
        self.case = Some(Case {
            suite: suite.map(|suite| Arc::clone(&suite.name)).unwrap_or_default(),
            class: if class.is_empty() { of_java } else { class },
            name,
            line: if file.is_empty() { line } else { line.saturating_add(from_zero) },
            file: own_or(file, suite.map(|suite| &suite.file)),
            millis: millis(&time),
            is_skipped: [status, result].iter().any(is_off),
            ..Case::default()
        });
        Open::Case
    }

    fn part(&mut self, kind: &str, start: &BytesStart<'_>) -> Open {
        let Some(case) = &mut self.case else { return Open::Other };
        match kind {
            "failure" | "error" => return self.wrong(kind, start, false),
            "skipped" | "disabled" | "ignored" => case.is_skipped = true,
            "flakyFailure" | "flakyError" => case.is_flaky = true,
            _ => {}
        }
        Open::Other
    }

    fn wrong(&mut self, kind: &str, start: &BytesStart<'_>, of_suite: bool) -> Open {
        let [message, of] = attributes(start, ["message", "type"]);
        let outcome = if kind == "error" { Outcome::Error } else { Outcome::Failure };
        if let Some(case) = &mut self.case {
            case.went_wrong(outcome, message, of);
        }
        Open::Wrong { of_suite }
    }

    fn say(&mut self, text: &str) {
        if let (Some((_, Open::Wrong { .. })), Some(case), true) =
            (self.open.last(), &mut self.case, self.out.has_room())
        {
            case.details.push_str(text);
        }
    }

    fn end(&mut self) {
        match self.open.pop() {
            Some((_, Open::Case | Open::Wrong { of_suite: true })) => {
                if let Some(case) = self.case.take() {
                    self.out.take(case);
                }
            }
            Some((_, Open::Suite(_) | Open::Wrong { of_suite: false } | Open::Other)) | None => {}
        }
    }

    /// A test in which the file ends is counted by what is known of it, but not as one that passed.
    fn close(&mut self) {
        if let Some(case) = self.case.take().filter(|case| case.outcome.is_some()) {
            self.out.take(case);
        }
    }
}

impl Wrong {
    fn at(self, at: usize) -> Self {
        match self {
            Self::Broken { words, .. } => Self::Broken { line: at, words },
            Self::Deep { .. } => Self::Deep { line: at },
            Self::Empty | Self::Other(_) | Self::NoXml | Self::CutOff(_) => self,
        }
    }
}

/// The values of these attributes; empty: it has none. Checks that names are there once take too long, and help nobody.
fn attributes<const N: usize>(start: &BytesStart<'_>, names: [&str; N]) -> [String; N] {
    let mut values = [const { String::new() }; N];
    let mut all = start.attributes();
    for attribute in all.with_checks(false).flatten().take(ATTRIBUTES) {
        let name = attribute.key.local_name();
        if let Some(at) = names.iter().position(|wanted| *wanted == name.as_ref()) {
            values[at] = unescape(&attribute.value);
        }
    }
    values
}

fn own_or(own: String, other: Option<&Arc<str>>) -> Arc<str> {
    if own.is_empty() { other.cloned().unwrap_or_default() } else { own.into() }
}

fn line_of(text: &str, at: u64) -> usize {
    let before = &text.as_bytes()[..usize::try_from(at).unwrap_or(usize::MAX).min(text.len())];
    memchr::memchr_iter(b'\n', before).count() + 1
}
