//! Hides secrets in whatever leaves the pod, and once more in whatever the server keeps.
//!
//! A secret is looked for in all the forms that programs give it by accident: as it is, in base64 at each offset and in both
//! alphabets, and as URLs, JSON, shells and HTML quote it ([`forms`]). It works on lines: a text of several lines is
//! hidden line by line, so a batch of whole lines can be masked by itself, and only a line that comes in parts needs
//! care. A long form is looked for piece by piece, so that also a part of it is hidden, and a bounded tail of a text is
//! all that a search over its end needs.
//!
//! Every line of every job goes through this, so it looks at few bytes: of each form's beginning it knows all runs of
//! some bytes, and takes one such run of the text for as many bytes as the shortest form lets it skip ([`find`]).

mod filter;
mod find;
mod forms;
mod live;

use std::{borrow::Cow, ops::Range, sync::Arc};

use find::Finder;
pub use live::LiveMasks;

/// Shorter texts are no secrets, and hiding them would make a log unreadable.
pub(super) const SHORTEST: usize = 4;
const STARS: &[u8] = b"***";

/// Texts that must not leave the pod.
#[derive(Clone, Default)]
pub struct Masks {
    /// Few bytes are skipped where short ones are looked for, so long ones have a search of their own.
    finders: Vec<Arc<Finder>>,
    longest: usize,
}

impl Masks {
    /// All forms of every text, and of every line of it, but those of fewer than four bytes.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let pieces = forms::of_all(texts);
        let longest = pieces.iter().map(forms::Piece::longest).max().unwrap_or(0);
        Self { finders: Finder::several(pieces).into_iter().map(Arc::new).collect(), longest }
    }

    /// What both of them hide.
    pub fn and(&self, other: &Self) -> Self {
        let finders = self.finders.iter().chain(&other.finders).cloned().collect();
        Self { finders, longest: self.longest.max(other.longest) }
    }

    /// Whether there is nothing to hide.
    pub const fn is_empty(&self) -> bool {
        self.longest == 0
    }

    /// `text` with stars in place of secrets. It is whole: no secret begins before it or ends after it.
    pub fn hide<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let found = self.find(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut hidden = Vec::with_capacity(text.len());
        let mut done = 0;
        for range in found {
            hidden.extend_from_slice(&text[done..range.start]);
            hidden.extend_from_slice(STARS);
            done = range.end;
        }
        hidden.extend_from_slice(&text[done..]);
        Cow::Owned(hidden)
    }

    /// Like [`Masks::hide`] for a value of an output.
    pub fn hide_str(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.hide(text.as_bytes())).into_owned()
    }

    /// Puts a star in the place of each byte of a secret, so that nothing moves. How many there were.
    pub fn blot(&self, text: &mut [u8]) -> usize {
        let found = self.find(text);
        found
            .into_iter()
            .map(|range| {
                let length = range.len();
                text[range].fill(b'*');
                length
            })
            .sum()
    }

    /// Whether a secret is in it.
    pub fn is_in(&self, text: &[u8]) -> bool {
        !self.find(text).is_empty()
    }

    /// How many bytes of a line's beginning can be hidden and sent before the rest is known: what is after them may
    /// be the beginning of a secret.
    pub fn safe(&self, beginning: &[u8]) -> usize {
        let safe = beginning.len().saturating_sub(self.reach());
        let over = self.find(beginning).into_iter().find(|found| found.start < safe && safe < found.end);
        over.map_or(safe, |found| found.start)
    }

    /// So many bytes before a text's end may be the beginning of a secret that goes on after it.
    pub const fn reach(&self) -> usize {
        self.longest.saturating_sub(1)
    }

    /// Where secrets are, first to last; those that touch are one.
    fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        self.finders.iter().for_each(|finder| finder.find(text, &mut found));
        found.sort_unstable_by_key(|range: &Range<usize>| range.start);
        let mut apart: Vec<Range<usize>> = Vec::with_capacity(found.len());
        for range in found {
            match apart.last_mut().filter(|last| range.start <= last.end) {
                Some(last) => last.end = last.end.max(range.end),
                None => apart.push(range),
            }
        }
        apart
    }
}

/// What it hides is nowhere else either.
impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masks(…)")
    }
}
