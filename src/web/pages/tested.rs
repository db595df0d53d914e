//! What the tests of a job came to, on its run's page. All of it is text that somebody's tests have written.

use super::Failure;
use crate::{
    model::{FailedTest, JobId, Span},
    store::Tx,
};

/// So many failed tests of a job are shown; the API has more.
const SHOWN: i64 = 50;
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
    /// `None`: the job has no reports.
    pub(super) async fn read(tx: &mut Tx, job: JobId) -> Result<Option<Self>, Failure> {
        let Some(row) = tx.tests(job).await? else { return Ok(None) };
        let has_failed = row.tests.failed() > 0;
        let failed = if has_failed { tx.failed_tests(job, 0, SHOWN).await? } else { Vec::new() };
        Ok(Some(Self {
            label: if has_failed { "failure" } else { "success" },
            words: if row.files > 0 { row.tests.to_string() } else { String::new() },
            took: (row.tests.millis > 0).then(|| Span(row.tests.took())),
            notes: row.notes,
            more: row.tests.failed().saturating_sub(failed.len() as u64),
            url: format!("/api/v1/jobs/{job}/tests?from={SHOWN}"),
            failed: failed.into_iter().map(FailedView::new).collect(),
        }))
    }
}

impl FailedView {
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
