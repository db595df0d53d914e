//! What the tests of a run came to, for the forge: in titles, in summaries, and in the margins of the lines where they
//! failed. Pure.

use std::{collections::HashSet, fmt::Write as _};

use super::tell::{Chapter, Story, cell, job_url};
use crate::{
    model::{Annotation, FailedTest, JobId, Level, Span, Tests},
    store::{JobRow, TestsRead, TestsRow},
};

/// So many failed tests of each job are read to be told.
pub(super) const READ: TestsRead = TestsRead { of_job: 100, of_run: 1000, said: 500 };
/// So many are listed of an action, or of a run; the run's page has more.
const LISTED: usize = 20;
/// So much is listed that is odd about reports.
const NOTES: usize = 5;
/// What a test says in a list, in characters.
const WORDS: usize = 200;

/// A job of which there are reports.
struct Told<'a> {
    chapter: &'a Chapter,
    name: &'a str,
    row: &'a TestsRow,
    failed: &'a [FailedTest],
}

/// All tests of the newest attempts at these actions; `None` if there are no reports.
pub(super) fn of(story: &Story, row: &[Chapter]) -> Option<Tests> {
    let mut all = told(story, row).filter(|told| told.row.files > 0).peekable();
    all.peek()?;
    let mut sum = Tests::default();
    all.for_each(|told| sum += told.row.tests);
    Some(sum)
}

/// ", 120 tests, 2 failed": of one job.
pub(super) fn of_job(story: &Story, job: JobId) -> String {
    let row = story.tests.get(&job).filter(|row| row.files > 0);
    row.map_or_else(String::new, |row| format!(", {}", row.tests))
}

/// "2 of 120 tests failed", if some did.
pub(super) fn trouble(story: &Story, row: &[Chapter]) -> Option<String> {
    of(story, row)?.trouble()
}

/// After an end that is good: a job's exit code decides, and what its tests say is never kept back.
pub(super) fn after_success(story: &Story, row: &[Chapter]) -> String {
    match of(story, row) {
        None if told(story, row).next().is_some() => ", but no report of tests was found".to_owned(),
        None => String::new(),
        Some(tests) => match tests.trouble() {
            Some(trouble) => format!(", but {trouble}"),
            None => format!(", {tests}"),
        },
    }
}

/// Before why something failed.
pub(super) fn before_reason(story: &Story, row: &[Chapter]) -> String {
    trouble(story, row).map_or_else(String::new, |trouble| format!("{trouble}, "))
}

/// What the tests of these actions came to, the failed ones by name, and what is odd about their reports.
pub(super) fn list(story: &Story, row: &[Chapter]) -> String {
    let mut out = String::new();
    if let Some(tests) = of(story, row) {
        let took = if tests.millis > 0 { format!(" in {}", Span(tests.took())) } else { String::new() };
        let _ = write!(out, "\n**Tests**: {tests}{took}\n");
    }
    out += &failed(story, row);
    out += &notes(story, row);
    out
}

/// The same of a whole run, if tests failed, or reports could not be read.
pub(super) fn list_of_failed(story: &Story) -> String {
    let row = story.actions.as_slice();
    let trouble = trouble(story, row).map_or_else(String::new, |trouble| format!("\n**Tests**: {trouble}\n"));
    trouble + &failed(story, row) + &notes(story, row)
}

fn failed(story: &Story, row: &[Chapter]) -> String {
    let mut out = String::new();
    let all: u64 = told(story, row).map(|told| told.row.tests.failed()).sum();
    let (mut listed, mut seen) = (0, HashSet::new());
    for Told { chapter, name, failed, .. } in told(story, row) {
        for test in failed.iter().take(LISTED.saturating_sub(listed)) {
            if seen.insert(chapter.action.id) {
                let place = format!("{} / {} / {name}", chapter.stage, chapter.shown);
                let _ = write!(out, "\n[{}]({}):\n\n", cell(&place), job_url(story, chapter, name));
            }
            out += &item(test);
            listed += 1;
        }
    }
    if let Some(more) = all.checked_sub(listed as u64).filter(|more| *more > 0) {
        let _ = writeln!(out, "- and {more} more ([all of them]({}))", story.url);
    }
    out
}

fn item(test: &FailedTest) -> String {
    let short = |text: &str| text.chars().take(WORDS).collect::<String>();
    let at = if test.line == 0 { test.file.clone() } else { format!("{}:{}", test.file, test.line) };
    let at = if test.file.is_empty() { String::new() } else { format!(" ({})", cell(&short(&at))) };
    let said = test.first_line();
    let said = if said.is_empty() { String::new() } else { format!(": {}", cell(&short(said))) };
    format!("- ❌ {}{at}{said}\n", cell(&short(&test.title())))
}

fn notes(story: &Story, row: &[Chapter]) -> String {
    let all: Vec<(&str, &String)> =
        told(story, row).flat_map(|told| told.row.notes.iter().map(move |note| (told.name, note))).collect();
    let mut out = String::new();
    for (name, note) in all.iter().take(NOTES) {
        let _ = write!(out, "\nReports of {}: {}\n", cell(name), cell(note));
    }
    if let Some(more) = all.len().checked_sub(NOTES).filter(|more| *more > 0) {
        let _ = write!(out, "\n{more} more notes about reports: [on the run's page]({})\n", story.url);
    }
    out
}

/// The failed tests of which a place is known.
pub(super) fn annotations<'a>(story: &'a Story, row: &'a [Chapter]) -> impl Iterator<Item = Annotation> {
    let mut seen = HashSet::new();
    let failed = told(story, row).flat_map(|told| told.failed).filter(|test| !test.file.is_empty() && test.line > 0);
    // cells say the same of the same line
    failed.filter(move |test| seen.insert((&test.file, test.line, test.title(), test.first_line()))).map(annotation)
}

fn annotation(test: &FailedTest) -> Annotation {
    let words = if test.message.trim().is_empty() || test.message == "Failed" { &test.details } else { &test.message };
    Annotation {
        path: test.file.clone(),
        line: usize::try_from(test.line).unwrap_or(usize::MAX),
        end_line: 0,
        column: 0,
        length: 0,
        severity: Level::Error,
        title: format!("{} failed", test.title()).chars().take(WORDS).collect(),
        message: if words.trim().is_empty() { "this test failed".to_owned() } else { words.trim().to_owned() },
    }
}

fn told<'a>(story: &'a Story, row: &'a [Chapter]) -> impl Iterator<Item = Told<'a>> {
    row.iter().flat_map(move |chapter| {
        let jobs: &[JobRow] = chapter.attempt.as_ref().map_or(&[], |(_, jobs)| jobs);
        chapter.names.iter().zip(jobs).filter_map(move |(name, job)| {
            let row = story.tests.get(&job.id)?;
            let failed = story.failed_tests.get(&job.id).map_or(&[][..], Vec::as_slice);
            Some(Told { chapter, name, row, failed })
        })
    })
}
