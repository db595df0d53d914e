//! What the tests of a job came to: `GET /jobs/{id}/tests?from=…&limit=…`, and in short with every job.

use axum::{
    Json,
    extract::{Query, State},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, PAGE, Problem};
use crate::{
    model::{FailedTest, JobId},
    store::{TestsRow, Tx},
    web::{
        Web,
        access::{OfJob, See},
        pages::Failure,
    },
};

/// So many failed tests are named with their job.
const NAMED: i64 = 20;

/// `?from=100&limit=100`
#[derive(Debug, Deserialize)]
pub(super) struct TestsQuery {
    from: Option<i64>,
    limit: Option<i64>,
}

/// Counts, and the failed tests with all that is kept of what they say.
pub(super) async fn list(
    OfJob { job, .. }: OfJob<See>,
    State(web): State<Web>,
    query: Result<Query<TestsQuery>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|_| Failure::Query)?;
    let (from, limit) = (query.from.unwrap_or(0).max(0), query.limit.unwrap_or(PAGE).clamp(1, PAGE));
    let mut tx = web.engine.store.read().await?;
    let row = tx.tests(job.id).await?;
    let mut failed = tx.failed_tests(job.id, from, limit + 1).await?;
    let has_more = failed.len() as i64 > limit;
    failed.truncate(usize::try_from(limit).unwrap_or_default());
    let whole = |test: &FailedTest| {
        let mut value = named(test);
        value["details"] = json!(test.details);
        value
    };
    Ok(Json(json!({
        "tests": row.as_ref().map(counts), "failed": failed.iter().map(whole).collect::<Vec<_>>(),
        "next": has_more.then_some(from + limit),
    })))
}

/// `null`: the job has no reports.
pub(super) async fn value(tx: &mut Tx, job: JobId) -> Result<Value, Problem> {
    let Some(row) = tx.tests(job).await? else { return Ok(Value::Null) };
    let mut value = counts(&row);
    let failed = if row.tests.failed() > 0 { tx.failed_tests(job, 0, NAMED).await? } else { Vec::new() };
    value["failed"] = failed.iter().map(named).collect();
    Ok(value)
}

fn counts(row: &TestsRow) -> Value {
    let tests = &row.tests;
    json!({
        "files": row.files, "tests": tests.tests, "failures": tests.failures, "errors": tests.errors,
        "skipped": tests.skipped, "flaky": tests.flaky, "seconds": seconds(tests.millis),
        "words": tests.to_string(), "notes": row.notes,
    })
}

fn named(test: &FailedTest) -> Value {
    json!({
        "suite": test.suite, "class": test.class, "name": test.name, "state": test.outcome.as_str(),
        "seconds": seconds(test.millis), "message": test.message,
        "file": Some(&test.file).filter(|file| !file.is_empty()), "line": Some(test.line).filter(|line| *line > 0),
    })
}

fn seconds(millis: u64) -> f64 {
    std::time::Duration::from_millis(millis).as_secs_f64()
}
