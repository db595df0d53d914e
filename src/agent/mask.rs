//! Hides secrets in whatever leaves the pod. It works on lines: a text of several lines is hidden line by line, so a
//! batch of whole lines can be masked by itself, and only a line that comes in parts needs care.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, MatchKind};

/// Shorter texts are no secrets, and hiding them would make a log unreadable.
const SHORTEST: usize = 4;
const STARS: &[u8] = b"***";

/// Texts that must not leave the pod.
#[derive(Debug, Clone)]
pub struct Masks {
    finder: Option<AhoCorasick>,
    longest: usize,
}

impl Masks {
    /// Every line of every text, but those of fewer than four bytes.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let lines = texts.into_iter().flat_map(str::lines).map(str::trim);
        let lines: Vec<&str> = lines.filter(|line| line.len() >= SHORTEST).collect();
        let longest = lines.iter().map(|line| line.len()).max().unwrap_or(0);
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&lines);
        Self { finder: finder.ok().filter(|_| longest > 0), longest }
    }

    /// `text` with stars in place of secrets. It is whole: no secret begins before it or ends after it.
    pub fn hide<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(finder) = &self.finder else { return Cow::Borrowed(text) };
        let mut hidden = Vec::new();
        let mut done = 0;
        for found in finder.find_iter(text) {
            hidden.extend_from_slice(&text[done..found.start()]);
            hidden.extend_from_slice(STARS);
            done = found.end();
        }
        if done == 0 {
            return Cow::Borrowed(text);
        }
        hidden.extend_from_slice(&text[done..]);
        Cow::Owned(hidden)
    }

    /// Like [`Masks::hide`] for a value of an output.
    pub fn hide_str(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.hide(text.as_bytes())).into_owned()
    }

    /// How many bytes of a line's beginning can be hidden and sent before the rest is known: what is after them may
    /// be the beginning of a secret.
    pub fn safe(&self, beginning: &[u8]) -> usize {
        let mut safe = beginning.len().saturating_sub(self.longest.saturating_sub(1));
        if let Some(finder) = &self.finder {
            let over = finder.find_iter(beginning).find(|found| found.start() < safe && safe < found.end());
            safe = over.map_or(safe, |found| found.start());
        }
        safe
    }
}
