//! What the tests of a job came to: `GET /jobs/{id}/tests`, and in short with every job.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    asked::{Asked, Count, Cursor, Limit, List, Page},
};
use crate::{
    model::{FailedTest, JobId, Outcome, RunId},
    store::{TestsRead, TestsRow, Tx},
    web::{
        Web,
        access::{OfJob, See},
    },
};

/// So many failed tests are named with their job.
const NAMED: i64 = 20;
/// The same of each job of a run.
const NAMED_OF_RUN: TestsRead = TestsRead { of_job: NAMED, of_run: 2_000, said: 0 };

/// Which of the failed ones.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TestsQuery {
    /// How many are left out.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 999999999)]
    from: Option<Cursor<Count>>,
    /// The `next` of an earlier answer: what follows it.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,9}$", example = "100")]
    cursor: Option<Cursor<Count>>,
    /// At most as many.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 100)]
    limit: Limit,
}

/// What the tests of a job came to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobTests {
    /// `null`: the job has no reports.
    #[schema(required = true)]
    tests: Option<Counts>,
    failed: Vec<WholeTest>,
    /// The `cursor` of what follows; `null`: nothing does.
    #[schema(required = true)]
    next: Option<String>,
}

/// How many tests there were, and how they ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TestCounts)]
struct Counts {
    /// Reports.
    files: u64,
    tests: u64,
    failures: u64,
    errors: u64,
    skipped: u64,
    flaky: u64,
    seconds: f64,
    #[schema(example = "2 of 30 tests failed")]
    words: String,
    /// What is odd about the reports.
    notes: Vec<String>,
}

/// The same, with the first of those that failed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TestsInShort {
    #[serde(flatten)]
    counts: Counts,
    failed: Vec<Test>,
}

/// A test that failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FailedTest)]
struct Test {
    /// What it was written in; empty: nothing.
    suite: String,
    /// Its class, module or package; empty if it has none.
    class: String,
    name: String,
    state: Outcome,
    seconds: f64,
    /// What it says, in short.
    message: String,
    /// The file that it is in, or failed in; `null` if nobody says.
    #[schema(required = true)]
    file: Option<String>,
    /// The line there, from 1; `null` if nobody says.
    #[schema(required = true)]
    line: Option<u64>,
}

/// A test that failed, with all that it says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FailedTestDetails)]
struct WholeTest {
    #[serde(flatten)]
    test: Test,
    details: String,
}

impl List for JobTests {
    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// What the tests of a job came to, and those that failed.
#[utoipa::path(get, path = "/jobs/{id}/tests", tag = "jobs", operation_id = "listTests", params(("id" = JobId, Path, description = "The job's id"), TestsQuery), responses((status = 200, description = "Counts, and a page of failed tests", body = JobTests)))]
pub(super) async fn list(
    OfJob { job, .. }: OfJob<See>,
    State(web): State<Web>,
    Asked(query): Asked<TestsQuery>,
) -> Result<Page<JobTests>, Problem> {
    let from = i64::from(query.cursor.or(query.from).map_or(0, |cursor| cursor.0.0));
    let limit = query.limit.0;
    let mut tx = web.engine.store.read().await?;
    let row = tx.tests(job.id).await?;
    let mut failed = tx.failed_tests(job.id, from, limit + 1).await?;
    let has_more = failed.len() as i64 > limit;
    failed.truncate(usize::try_from(limit).unwrap_or_default());
    Ok(Page(JobTests {
        tests: row.as_ref().map(Counts::of),
        failed: failed.iter().map(WholeTest::of).collect(),
        next: has_more.then(|| Cursor(from + limit).to_string()),
    }))
}

/// `None`: the job has no reports.
pub(super) async fn in_short(tx: &mut Tx, job: JobId) -> Result<Option<TestsInShort>, Problem> {
    let Some(row) = tx.tests(job).await? else { return Ok(None) };
    let failed = if row.tests.failed() > 0 { tx.failed_tests(job, 0, NAMED).await? } else { Vec::new() };
    Ok(Some(TestsInShort::of(&row, &failed)))
}

/// The same of all of a run's jobs.
pub(super) async fn of_run(tx: &mut Tx, run: RunId) -> Result<BTreeMap<JobId, TestsInShort>, Problem> {
    let rows = tx.tests_of_run(run).await?;
    let some_failed = rows.values().any(|row| row.tests.failed() > 0);
    let failed = if some_failed { tx.failed_tests_of_run(run, NAMED_OF_RUN).await? } else { BTreeMap::new() };
    let of_job = |job| failed.get(job).map_or(&[][..], Vec::as_slice);
    Ok(rows.iter().map(|(job, row)| (*job, TestsInShort::of(row, of_job(job)))).collect())
}

impl TestsInShort {
    fn of(row: &TestsRow, failed: &[FailedTest]) -> Self {
        Self { counts: Counts::of(row), failed: failed.iter().map(Test::of).collect() }
    }
}

impl Counts {
    fn of(row: &TestsRow) -> Self {
        let tests = &row.tests;
        Self {
            files: row.files,
            tests: tests.tests,
            failures: tests.failures,
            errors: tests.errors,
            skipped: tests.skipped,
            flaky: tests.flaky,
            seconds: seconds(tests.millis),
            words: tests.to_string(),
            notes: row.notes.clone(),
        }
    }
}

impl Test {
    fn of(test: &FailedTest) -> Self {
        Self {
            suite: test.suite.clone(),
            class: test.class.clone(),
            name: test.name.clone(),
            state: test.outcome,
            seconds: seconds(test.millis),
            message: test.message.clone(),
            file: Some(test.file.clone()).filter(|file| !file.is_empty()),
            line: Some(test.line).filter(|line| *line > 0),
        }
    }
}

impl WholeTest {
    fn of(test: &FailedTest) -> Self {
        Self { test: Test::of(test), details: test.details.clone() }
    }
}

fn seconds(millis: u64) -> f64 {
    std::time::Duration::from_millis(millis).as_secs_f64()
}
