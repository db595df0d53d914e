//! What reports say of a job's tests.

use std::collections::BTreeMap;

use super::{Change, Json, Result, Tx, execute, meant, row, rows, run::column};
use crate::model::{FailedTest, JobId, Outcome, RunId, Tests};

/// What a job's tests came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestsRow {
    /// Whose.
    pub job_id: JobId,
    /// Of what the reports came in: one that comes again is the same.
    pub digest: String,
    /// How many files there were.
    pub files: u64,
    /// How many tests.
    pub tests: Tests,
    /// What is odd about the files.
    pub notes: Vec<String>,
}

/// How much of failed tests is read at once.
#[derive(Debug, Clone, Copy)]
pub struct TestsRead {
    /// So many of each job.
    pub of_job: i64,
    /// So many together.
    pub of_run: i64,
    /// So many characters of what each says at length.
    pub said: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    job_id: JobId,
    digest: String,
    files: i64,
    tests: i64,
    failures: i64,
    errors: i64,
    skipped: i64,
    flaky: i64,
    millis: i64,
    notes: Json<Vec<String>>,
}

#[derive(sqlx::FromRow)]
struct FailedRow {
    job_id: JobId,
    suite: String,
    class: String,
    name: String,
    outcome: String,
    millis: i64,
    message: String,
    details: String,
    file: String,
    line: i64,
}

impl From<Row> for TestsRow {
    fn from(row: Row) -> Self {
        let tests = Tests {
            tests: row.tests.cast_unsigned(),
            failures: row.failures.cast_unsigned(),
            errors: row.errors.cast_unsigned(),
            skipped: row.skipped.cast_unsigned(),
            flaky: row.flaky.cast_unsigned(),
            millis: row.millis.cast_unsigned(),
        };
        Self { job_id: row.job_id, digest: row.digest, files: row.files.cast_unsigned(), tests, notes: row.notes.0 }
    }
}

impl From<FailedRow> for FailedTest {
    fn from(row: FailedRow) -> Self {
        let outcome = if row.outcome == Outcome::Error.as_str() { Outcome::Error } else { Outcome::Failure };
        Self {
            suite: row.suite,
            class: row.class,
            name: row.name,
            outcome,
            millis: row.millis.cast_unsigned(),
            message: row.message,
            details: row.details,
            file: row.file,
            line: row.line.cast_unsigned(),
        }
    }
}

impl Tx {
    /// Keeps what a job's reports say; nothing of it may be there.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn insert_tests(&mut self, new: &TestsRow, failed: &[FailedTest]) -> Result<()> {
        let Tests { tests, failures, errors, skipped, flaky, millis } = new.tests;
        let met = execute!(
            self,
            "INSERT INTO tests (job_id, digest, files, tests, failures, errors, skipped, flaky, millis, notes) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            new.job_id,
            &new.digest,
            number(new.files),
            number(tests),
            number(failures),
            number(errors),
            number(skipped),
            number(flaky),
            number(millis),
            Json(&new.notes),
        )?;
        meant("what tests came to", 1, met)?;
        for (at, test) in failed.iter().enumerate() {
            let met = execute!(
                self,
                "INSERT INTO failed_tests \
                 (job_id, number, suite, class, name, outcome, millis, message, details, file, line) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                new.job_id,
                column(at),
                &test.suite,
                &test.class,
                &test.name,
                test.outcome.as_str(),
                number(test.millis),
                &test.message,
                &test.details,
                &test.file,
                number(test.line),
            )?;
            meant("a failed test", 1, met)?;
        }
        self.ring(Change::Log(new.job_id));
        Ok(())
    }

    /// What a job's tests came to; `None` if nothing is known of any.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn tests(&mut self, job: JobId) -> Result<Option<TestsRow>> {
        Ok(row!(self, Row, "SELECT * FROM tests WHERE job_id = $1", job)?.map(TestsRow::from))
    }

    /// A job's failed tests, from this one on, in the reports' order.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn failed_tests(&mut self, job: JobId, from: i64, most: i64) -> Result<Vec<FailedTest>> {
        let rows = rows!(
            self,
            FailedRow,
            "SELECT * FROM failed_tests WHERE job_id = $1 AND number >= $2 ORDER BY number LIMIT $3",
            job,
            from,
            most,
        )?;
        Ok(rows.into_iter().map(FailedTest::from).collect())
    }

    /// What the tests of a run's jobs came to, also of those that were carried over.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn tests_of_run(&mut self, run: RunId) -> Result<BTreeMap<JobId, TestsRow>> {
        let rows = rows!(
            self,
            Row,
            "SELECT s.* FROM actions a JOIN attempts t ON t.action_id = COALESCE(a.carried_from, a.id) \
             JOIN jobs j ON j.attempt_id = t.id JOIN tests s ON s.job_id = j.id WHERE a.run_id = $1",
            run,
        )?;
        Ok(rows.into_iter().map(|row| (row.job_id, TestsRow::from(row))).collect())
    }

    /// The first failed tests of each of a run's jobs, and no more than anybody reads: it is read at every change of a run.
    ///
    /// # Errors
    /// As every statement: [`StoreError`](super::StoreError).
    pub async fn failed_tests_of_run(
        &mut self,
        run: RunId,
        read: TestsRead,
    ) -> Result<BTreeMap<JobId, Vec<FailedTest>>> {
        let rows = rows!(
            self,
            FailedRow,
            "SELECT f.job_id, f.suite, f.class, f.name, f.outcome, f.millis, f.file, f.line, \
             SUBSTR(f.message, 1, 1000) AS message, SUBSTR(f.details, 1, CAST($4 AS INTEGER)) AS details \
             FROM actions a JOIN attempts t ON t.action_id = COALESCE(a.carried_from, a.id) \
             JOIN jobs j ON j.attempt_id = t.id JOIN failed_tests f ON f.job_id = j.id \
             WHERE a.run_id = $1 AND f.number < $2 ORDER BY f.job_id, f.number LIMIT $3",
            run,
            read.of_job,
            read.of_run,
            read.said,
        )?;
        let mut all: BTreeMap<JobId, Vec<FailedTest>> = BTreeMap::new();
        for row in rows {
            all.entry(row.job_id).or_default().push(row.into());
        }
        Ok(all)
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
