//! Collects what is wrong with a file, so that its author hears of everything at once.

use std::collections::HashSet;

use crate::model::{Diagnostic, Severity};

use super::node::Place;

/// A page of a hundred mistakes is long enough; the rest is only counted.
const MAX_SHOWN: usize = 100;
/// What [`Diagnostic::source`] promises.
const MAX_SOURCE_CHARS: usize = 200;
/// A name longer than this says no more in a message.
const MAX_QUOTED_CHARS: usize = 80;
/// Nothing longer is a slip of the finger, and the distance of two names costs the product of their lengths.
const MAX_SLIP_BYTES: usize = 40;
/// The nearest of a few hundred names is near enough.
const MAX_CANDIDATES: usize = 300;

/// All findings so far.
#[derive(Debug)]
pub(super) struct Findings<'s> {
    lines: Vec<&'s str>,
    list: Vec<Finding>,
}

/// One finding; a [`Diagnostic`] that has not looked up its line yet.
#[derive(Debug)]
pub(super) struct Finding {
    severity: Severity,
    at: Place,
    message: String,
    hint: Option<String>,
}

impl Finding {
    /// What the author may do about it.
    pub(super) fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }

    /// The same, where there is not always something to say.
    pub(super) fn maybe_hint(&mut self, hint: Option<String>) {
        self.hint = hint;
    }
}

impl<'s> Findings<'s> {
    /// None yet, for this file.
    pub(super) fn new(source: &'s str) -> Self {
        Self { lines: source.lines().collect(), list: Vec::new() }
    }

    /// Something that keeps the flow from running.
    pub(super) fn error(&mut self, at: Place, message: impl Into<String>) -> &mut Finding {
        self.push(Severity::Error, at, message.into())
    }

    /// Something odd.
    pub(super) fn warning(&mut self, at: Place, message: impl Into<String>) -> &mut Finding {
        self.push(Severity::Warning, at, message.into())
    }

    /// Makes warnings of all errors so far.
    pub(super) fn soften(&mut self) {
        self.list.iter_mut().for_each(|finding| finding.severity = Severity::Warning);
    }

    /// Whether the flow cannot run.
    pub(super) fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// "did you mean `x`?", if a candidate is near. Nothing for findings that nobody will see: looking for names is
    /// the one costly thing here, and a hostile file may have any number of mistakes.
    pub(super) fn did_you_mean<'c>(&self, text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
        if self.list.len() >= MAX_SHOWN || text.len() > MAX_SLIP_BYTES {
            return None;
        }
        nearest(text, candidates).map(|near| format!("did you mean {}?", quoted(near)))
    }

    /// The place of a part of a scalar that stands at `at`, if the file has its text as it is and on one line; else of
    /// the whole. `from` and `length` are in characters.
    pub(super) fn within(&self, at: Place, text: &str, from: usize, length: usize) -> Place {
        let line = self.lines.get(at.line.saturating_sub(1)).copied().unwrap_or_default();
        let rest: String = line.chars().skip(at.column.saturating_sub(1)).collect();
        let quote = usize::from(rest.starts_with(['"', '\'']));
        let begins = rest.get(quote..).is_some_and(|rest| rest.starts_with(text));
        if begins { Place { line: at.line, column: at.column + quote + from, length } } else { at }
    }

    /// The findings in the file's order, each with its line. Errors are kept before warnings if there are too many.
    pub(super) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        // what is wrong with an action is so in each cell of its matrix
        let mut seen = HashSet::new();
        let (mut list, mut total) = (std::mem::take(&mut self.list), 0);
        list.retain(|finding| {
            let is_new = seen.insert((finding.at.line, finding.at.column, finding.message.clone()));
            total += usize::from(is_new);
            is_new
        });
        self.list = list;
        self.list.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        self.list.truncate(MAX_SHOWN);
        self.list.sort_by_key(|finding| (finding.at.line, finding.at.column));
        let list = std::mem::take(&mut self.list);
        let mut diagnostics: Vec<_> = list.into_iter().map(|finding| self.diagnostic(finding)).collect();
        if let (Some(last), true) = (diagnostics.last_mut(), total > MAX_SHOWN) {
            last.message.push_str(&format!(" (and {} more findings in this file)", total - MAX_SHOWN));
        }
        diagnostics
    }

    fn push(&mut self, severity: Severity, at: Place, message: String) -> &mut Finding {
        let place = self.list.len();
        self.list.push(Finding { severity, at, message, hint: None });
        &mut self.list[place]
    }

    fn diagnostic(&self, finding: Finding) -> Diagnostic {
        // the parser counts a line after a final newline, which nobody sees
        let line = finding.at.line.clamp(1, self.lines.len().max(1));
        let source = self.lines.get(line - 1).copied().unwrap_or_default();
        let width = source.chars().count();
        let column = if line == finding.at.line { finding.at.column.clamp(1, width + 1) } else { width + 1 };
        Diagnostic {
            severity: finding.severity,
            message: finding.message,
            line,
            column,
            length: finding.at.length.min(width + 1 - column),
            source: source.chars().take(MAX_SOURCE_CHARS).map(visible).collect(),
            hint: finding.hint,
        }
    }
}

/// Text from a file as a message may show it: cut, and without anything that moves a cursor or turns the writing.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_QUOTED_CHARS).map(visible).collect();
    if text.chars().nth(MAX_QUOTED_CHARS).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The candidate that was probably meant.
pub(super) fn nearest<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
    let wanted = plain(text);
    let allowed = 1 + wanted.len() / 4;
    let distance = |candidate: &str| {
        let candidate = plain(candidate);
        // whoever wrote `mem` began to write `memory`
        if wanted.len() >= 3 && candidate.starts_with(&wanted) {
            return 1;
        }
        let is_near = candidate.len().abs_diff(wanted.len()) <= allowed;
        if is_near { strsim::damerau_levenshtein(&wanted, &candidate) } else { usize::MAX }
    };
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Text as it may be printed: nothing in it moves a cursor or turns the direction of writing.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(visible).collect()
}

fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        // marks that turn the direction of writing could make a line look like another one
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}
