//! Reports converge: whatever GitHub refuses, delays, loses or takes from others, it shows in the end what is true, and
//! is never asked for more than it gives.

mod budget;
mod check;
mod doubt;
mod figure;
mod others;

use std::time::Duration;

use containerops::{model::Sha, store::ReportRow};

use crate::harness::app::Tester;

/// What is not the last word is told so often at most.
const PACE: Duration = Duration::from_secs(2);

impl Tester {
    /// The rows of a commit's reports.
    async fn report_rows(&self, sha: &Sha) -> Vec<ReportRow> {
        let run = self.newest_run().await;
        let mut tx = self.app().engine.store.read().await.expect("the database is there");
        tx.reports(run.repository_id, sha).await.expect("the database is there")
    }

    /// One of them.
    async fn report_row(&self, sha: &Sha, context: &str) -> ReportRow {
        let rows = self.report_rows(sha).await;
        rows.into_iter().find(|row| row.context.0 == context).expect("it is wanted")
    }
}
