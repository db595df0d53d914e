//! What a job asks to have hidden while it runs: a line `::add-mask::` and a value, as on GitHub. Its own secrets, such as a
//! token that it was given by someone else, become those of the whole job.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use super::{Masks, SHORTEST};

const MARK: &[u8] = b"::add-mask::";
/// So many values may be added, with so many bytes in all: looking for more would cost every later line too much.
const VALUES_MAX: usize = 200;
const BYTES_MAX: usize = 64 << 10;
/// What is said, once, of the first that is not added.
const FULL: &str =
    "::add-mask:: takes up to 200 values with 64 KiB in all: what came after them is not hidden elsewhere";

/// Masks that grow. All who have one share it.
#[derive(Clone)]
pub struct LiveMasks {
    given: Masks,
    now: Arc<RwLock<Arc<Masks>>>,
    added: Arc<Mutex<Added>>,
}

#[derive(Default)]
struct Added {
    values: Vec<String>,
    bytes: usize,
    is_full: bool,
}

impl LiveMasks {
    /// With those that a job was given.
    pub fn new(given: Masks) -> Self {
        let now = Arc::new(RwLock::new(Arc::new(given.clone())));
        Self { given, now, added: Arc::default() }
    }

    /// All that is to be hidden now.
    pub fn now(&self) -> Arc<Masks> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds what these lines ask for, and takes it out of them. What is to be said in the log, if there is something.
    pub fn listen<'a>(&self, lines: &'a [u8]) -> (Cow<'a, [u8]>, Option<&'static str>) {
        if memchr::memmem::find(lines, MARK).is_none() {
            return (Cow::Borrowed(lines), None);
        }
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, was_full) = (added.values.len(), added.is_full);
        let mut shown = Vec::with_capacity(lines.len());
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            match value_of(line) {
                None => shown.extend_from_slice(line),
                Some(value) => {
                    added.add(&value);
                    shown.extend_from_slice(MARK);
                    shown.extend_from_slice(b"***");
                    shown.extend_from_slice(if line.ends_with(b"\n") { b"\n" } else { b"" });
                }
            }
        }
        if added.values.len() > before {
            let all = self.given.and(&Masks::new(added.values.iter().map(String::as_str)));
            *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(all);
        }
        (Cow::Owned(shown), (added.is_full && !was_full).then_some(FULL))
    }
}

impl Added {
    fn add(&mut self, value: &str) {
        if value.trim().len() < SHORTEST || self.values.iter().any(|known| known == value) {
            return;
        }
        if self.values.len() >= VALUES_MAX || self.bytes + value.len() > BYTES_MAX {
            self.is_full = true;
            return;
        }
        self.bytes += value.len();
        self.values.push(value.to_owned());
    }
}

/// What a line asks to have hidden; `None`: it asks for nothing. A newline in the value is written as `%0A`.
fn value_of(line: &[u8]) -> Option<String> {
    let value = line.trim_ascii_start().strip_prefix(MARK)?;
    let value = String::from_utf8_lossy(value.trim_ascii_end());
    Some(value.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(masks: &LiveMasks, lines: &str) -> (String, Option<&'static str>) {
        let (shown, words) = masks.listen(lines.as_bytes());
        let hidden = masks.now().hide(&shown).into_owned();
        (String::from_utf8(hidden).expect("text"), words)
    }

    #[test]
    fn what_a_job_adds_is_hidden_with_what_it_was_given() {
        let masks = LiveMasks::new(Masks::new(["hunter22"]));
        let others = masks.clone();
        let (shown, words) = seen(&masks, "a token\n  ::add-mask::token\r\nhunter22 token\necho ::add-mask::x\n");
        assert_eq!(shown, "a ***\n::add-mask::***\n*** ***\necho ::add-mask::x\n");
        assert_eq!(words, None);
        assert_eq!(seen(&others, "dG9rZW4=\n").0, "***=\n", "whoever shares it hides it, in all forms");
        // a character that holds bits of what stands beside it is hidden if the others are the value's
        assert_eq!(seen(&others, "eHRva2Vu dG9rZW5z dG9rZWA=\n").0, "e*** ***z ***A=\n");
        assert_eq!(seen(&masks, "::add-mask::two%0Alines%25\nlines%\n").0, "::add-mask::***\n***\n");
        assert_eq!(seen(&masks, "::add-mask::ab\n::add-mask::\nab\n").0, "::add-mask::***\n::add-mask::***\nab\n");
    }

    #[test]
    fn a_flood_of_them_is_bounded_and_said_once() {
        let masks = LiveMasks::new(Masks::default());
        let flood: String = (0..100_000).map(|n| format!("::add-mask::value-{n:06}\n")).collect();
        let (shown, words) = seen(&masks, &flood);
        assert!(!shown.contains("value-") && words.is_some());
        assert_eq!(seen(&masks, "value-000199 value-000200\n").0, "*** value-000200\n");
        assert_eq!(seen(&masks, "::add-mask::one more\n"), ("::add-mask::***\n".to_owned(), None));
        let large = LiveMasks::new(Masks::default());
        assert!(seen(&large, &format!("::add-mask::{}\n", "x".repeat(BYTES_MAX + 1))).1.is_some());
    }
}
