//! What the tests of a job came to, on its run's page. All of it is text that somebody's tests have written.

use crate::{
    model::{FailedTest, Span},
    store::TestsRow,
};

/// So much of what each says, in characters.
const SAID: usize = 4000;

pub(super) struct TestsView {
    pub(super) label: &'static str,
    /// Empty: no report was read.
    pub(super) words: String,
    pub(super) took: Option<Span>,
    pub(super) notes: Vec<String>,
    pub(super) failed: Vec<FailedView>,
    /// How many there are that are not shown, and where.
    pub(super) more: u64,
    pub(super) url: String,
}

pub(super) struct FailedView {
    pub(super) outcome: &'static str,
    pub(super) title: String,
    pub(super) place: String,
    pub(super) first: String,
    pub(super) suite: String,
    pub(super) said: String,
}

impl TestsView {
    /// Of the first failed tests as many are shown as there is room for.
    pub(super) fn new(row: &TestsRow, failed: &[FailedTest], mut takes: impl FnMut(usize) -> bool) -> Self {
        let views = failed.iter().map(|test| FailedView::new(test.clone()));
        let failed: Vec<_> = views.take_while(|view| takes(view.length())).collect();
        Self {
            label: if row.tests.failed() > 0 { "failure" } else { "success" },
            words: if row.files > 0 { row.tests.to_string() } else { String::new() },
            took: (row.tests.millis > 0).then(|| Span(row.tests.took())),
            notes: row.notes.clone(),
            more: row.tests.failed().saturating_sub(failed.len() as u64),
            url: format!("/api/v1/jobs/{}/tests?from={}", row.job_id, failed.len()),
            failed,
        }
    }

    /// Whether a line says all of it.
    pub(super) fn is_line(&self) -> bool {
        self.failed.is_empty() && self.more == 0 && self.notes.is_empty()
    }

    /// That line.
    pub(super) fn line(&self) -> String {
        let took = self.took.map_or_else(String::new, |took| format!(" in {took}"));
        if self.words.is_empty() { String::new() } else { format!("{}{took}", self.words) }
    }
}

impl FailedView {
    /// About so many characters of HTML.
    fn length(&self) -> usize {
        200 + 2 * self.title.len() + self.place.len() + self.first.len() + self.suite.len() + self.said.len()
    }

    fn new(test: FailedTest) -> Self {
        let at = if test.line == 0 { test.file.clone() } else { format!("{}:{}", test.file, test.line) };
        let both = match (test.message.as_str(), test.details.as_str()) {
            (message, "") => message.to_owned(),
            (message, details) if details.contains(message) => details.to_owned(),
            (message, details) => format!("{message}\n\n{details}"),
        };
        Self {
            outcome: test.outcome.as_str(),
            title: test.title(),
            place: if test.file.is_empty() { String::new() } else { at },
            first: test.first_line().to_owned(),
            said: shortened(both),
            suite: if test.class.starts_with(&test.suite) { String::new() } else { test.suite },
        }
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(SAID) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
