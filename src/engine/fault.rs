//! Which line of a failed job's log people look for: the first that reads like an error. A guess, and it says so by
//! only choosing where the page opens.

use std::sync::OnceLock;

use aho_corasick::AhoCorasick;

use super::{
    scan::{Found, Look},
    tail::plain,
};

/// How sure we are that a line is the fault. Surer is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It speaks of an error somewhere.
    Mention,
    /// It is one, in the form that compilers, test runners and shells give it.
    Certain,
}

/// Longer lines are data, not messages.
const LINE_MAX: usize = 2_000;
/// What a line that announces an error begins with, after blanks.
const BEGINNINGS: [&str; 16] = [
    "error:",
    "error[",
    "error ",
    "fatal:",
    "fatal error",
    "fail:",
    "fail ",
    "failed ",
    "failures:",
    "--- fail",
    "panic:",
    "traceback (most recent",
    "npm err!",
    "e   ",
    "exception in",
    "unhandled",
];
/// What it holds, wherever it stands.
const CERTAIN: [&str; 9] = [
    ": error:",
    ": fatal error:",
    " panicked at ",
    "assertionerror",
    "... failed",
    "segmentation fault",
    ": command not found",
    ": not found",
    "error: process completed",
];
const MENTIONS: [&str; 8] =
    ["error", "failed", "failure", "exception", "no such file", "permission denied", "cannot ", "killed"];
/// "All is well" in the words of those who count.
const DENIALS: [&str; 9] =
    ["0 error", "0 failed", "0 failure", "no error", "0 exception", "errors: 0", "failures: 0", "failed: 0", "error=0"];

/// Whether a line reads like an error.
pub fn fault(line: &[u8]) -> Option<Fault> {
    if line.len() > LINE_MAX || !may_matter(line) {
        return None;
    }
    let text = plain(line, LINE_MAX).to_ascii_lowercase();
    if DENIALS.iter().any(|denial| counts_none(&text, denial)) {
        return None;
    }
    let start = text.trim_start();
    if BEGINNINGS.iter().any(|b| start.starts_with(b)) || CERTAIN.iter().any(|c| text.contains(c)) {
        return Some(Fault::Certain);
    }
    let mention = MENTIONS.iter().any(|word| holds_word(&text, word));
    mention.then_some(Fault::Mention)
}

/// Where a log's fault is: its first certain one, else the first line that mentions one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    certain: Option<u64>,
    mention: Option<u64>,
}

impl Faults {
    /// The line's number, from 1.
    pub fn line(&self) -> Option<u64> {
        self.certain.or(self.mention)
    }
}

impl Found for Faults {
    fn add(&mut self, later: Self) {
        self.certain = self.certain.or(later.certain);
        self.mention = self.mention.or(later.mention);
    }
}

/// Looks for the fault behind a line.
#[derive(Debug, Clone, Copy)]
pub struct After(pub u64);

impl Look for After {
    type Found = Faults;

    fn look(&self, lines: &[u8], first: u64) -> Faults {
        let mut found = Faults::default();
        for (line, number) in lines.split(|&b| b == b'\n').zip(first..).filter(|(_, number)| *number > self.0) {
            match fault(line) {
                Some(Fault::Certain) => return Faults { certain: Some(number), ..found },
                Some(Fault::Mention) => found.mention = found.mention.or(Some(number)),
                None => {}
            }
        }
        found
    }
}

/// A quick look that most lines do not pass, before the slow one.
fn may_matter(line: &[u8]) -> bool {
    static WORDS: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    let words = WORDS.get_or_init(|| {
        let all = BEGINNINGS.iter().chain(&CERTAIN).chain(&MENTIONS);
        AhoCorasick::builder().ascii_case_insensitive(true).build(all).ok()
    });
    words.as_ref().is_none_or(|words| words.is_match(line))
}

/// `0 failed`, but not `10 failed`.
fn counts_none(text: &str, denial: &str) -> bool {
    text.match_indices(denial).any(|(at, _)| !text[..at].ends_with(|c: char| c.is_ascii_digit()))
}

/// `error` or `errors`, but not `thiserror` or `error_code`.
fn holds_word(text: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/');
    text.match_indices(word).any(|(at, _)| {
        let after = text[at + word.len()..].trim_start_matches('s');
        !text[..at].ends_with(part_of_name) && !after.starts_with(part_of_name)
    })
}
