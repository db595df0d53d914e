//! Where a test failed: what the report says of it, or what stands in the test's own words. These are looked through as
//! logs are, so that a place is the same in both.

use std::sync::LazyLock;

use regex::Regex;

use super::case::Case;
use crate::{
    engine::problem::{Finder, Place},
    model::Level,
};

/// So much of what a test says is looked through.
const LOOKED_THROUGH: usize = 16_000;
/// So many frames are looked at.
const FRAMES: usize = 500;
/// A frame of a stack: `(src/sum.test.js:5:17)`, `/workspace/tests/SumTest.php:12`. Go's names are of no use without folders.
static FRAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let name = r"(?:\.{0,2}/)?[\w.@+/-]+\.(?:[cm]?[jt]sx?|vue|svelte|php|py|rb|exs?|dart|lua)|/[\w.@+/-]+\.go";
    Regex::new(&format!(r"(?:^|[\s(])(?:file://)?({name}):(\d{{1,7}})")).ok()
});

/// A file of the repository and a line in it, or an empty path and 0.
pub(super) fn place(case: &Case, details: &str, place: &Place) -> (String, u64) {
    let (file, line) = told(case, place);
    let end = details.char_indices().nth(LOOKED_THROUGH).map_or(details.len(), |(end, _)| end);
    let details = &details[..end];
    // a report says where a test begins, and the test where it failed
    let exact = match file.is_empty() {
        true => in_words(case, details, place),
        false => frames(details, place).into_iter().find(|(path, _)| *path == file),
    };
    exact.unwrap_or((file, line))
}

/// The same by the report's attributes alone.
pub(super) fn told(case: &Case, place: &Place) -> (String, u64) {
    match place.path(&case.file) {
        Some(path) => (path, case.line),
        None => (String::new(), 0),
    }
}

fn in_words(case: &Case, details: &str, place: &Place) -> Option<(String, u64)> {
    if details.trim().is_empty() {
        return None;
    }
    let title = case.name.replace(['\n', '\r'], " ");
    // as the tools' own logs have them
    let pytest = format!("=== FAILURES ===\n___ {title} ___\n{details}\n");
    let go = format!(
        "--- FAIL: {} (0.00s)\n{details}\nFAIL\t{}\t0.1s\n",
        title.replace(' ', "_"),
        case.class.replace(['\t', '\n'], " ")
    );
    let is_go = details.contains(".go:");
    let logs = if is_go { [go.as_str(), details] } else { [details, pytest.as_str()] };
    logs.into_iter().find_map(|log| first(log, place)).or_else(|| frames(details, place).into_iter().next())
}

fn first(log: &str, place: &Place) -> Option<(String, u64)> {
    let mut finder = Finder::new(place.clone());
    finder.read(log.as_bytes());
    let errors = finder.end().into_iter().map(|problem| problem.remark);
    let mut errors =
        errors.filter(|remark| remark.severity == Level::Error && !remark.path.is_empty() && remark.line > 0);
    errors.next().map(|remark| (remark.path, remark.line as u64))
}

fn frames(details: &str, place: &Place) -> Vec<(String, u64)> {
    let Some(form) = FRAME.as_ref() else { return Vec::new() };
    let frames = form.captures_iter(details).take(FRAMES);
    frames.filter_map(|frame| Some((place.path(&frame[1])?, frame[2].parse().ok().filter(|line| *line > 0)?))).collect()
}
