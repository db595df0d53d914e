//! Others have a say: somebody writes over what we have told, or GitHub takes nothing of us.

use std::time::Duration;

use crate::{
    harness::app::Tester,
    stories::{RUN, SMALL},
};

const A_LITTLE_LATER: Duration = Duration::from_secs(5 * 60);

#[tokio::test]
async fn what_somebody_else_has_written_over_a_last_word_is_repaired() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.run_the_job("test", 1).await;
    t.github.somebody_writes(sha.as_str(), RUN, "success");
    t.later(A_LITTLE_LATER).await;
    assert_eq!(t.github.now_shows(sha.as_str(), RUN).state, "failure");
    t.read_writes();
}

#[tokio::test]
async fn nobody_is_fought_for_ever() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.run_the_job("test", 1).await;
    t.read_writes();
    for _ in 0..20 {
        t.github.somebody_writes(sha.as_str(), RUN, "success");
        t.later(A_LITTLE_LATER).await;
    }
    assert_eq!(t.read_writes(), 3);
    let row = t.report_row(&sha, RUN).await;
    assert_eq!(row.trouble, "the forge was told 4 times, and shows something else again");
}

#[tokio::test]
async fn what_is_shown_is_not_told_again_though_nobody_heard_so_for_long() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.run_the_job("test", 0).await;
    t.read_writes();
    // GitHub refuses a re-run's reports, and shows for other reasons what they would have said
    t.github.fail_next(4, 422);
    t.runs_again(t.newest_run().await.id).await;
    t.settle().await;
    t.run_the_job("test", 0).await;
    let row = t.report_row(&sha, RUN).await;
    assert!(!row.is_acknowledged());
    t.github.somebody_tells(sha.as_str(), RUN, &row.wanted);
    t.later(Duration::from_secs(10 * 60)).await;
    assert!(t.report_row(&sha, RUN).await.is_acknowledged());
    assert_eq!(t.github.writes().iter().filter(|write| write.context == RUN).count(), 0);
}

#[tokio::test]
async fn a_refusal_is_said_on_the_runs_page_and_by_the_api_and_tried_seldom() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.github.fail_next(1, 422);
    t.run_the_job("test", 0).await;
    let run = t.newest_run().await;
    let trouble = "github refused (422): on demand";
    let page = t.http.get(format!("{}/github/acme/widget/runs/{}", t.url(), run.number)).send().await.expect("a page");
    assert!(page.text().await.expect("a page").contains(trouble));
    let api = t.http.get(format!("{}/api/v1/runs/{}", t.url(), run.id)).send().await.expect("an answer");
    let api: serde_json::Value = api.json().await.expect("JSON");
    let reports = api["reports"].as_array().expect("reports");
    let refused: Vec<_> = reports.iter().filter(|report| report["trouble"] == trouble).collect();
    assert_eq!((reports.len(), refused.len()), (2, 1));
    assert_eq!(refused[0]["acknowledged"], false);
    let calls = t.github.calls("PATCH").len();
    t.later(Duration::from_secs(14 * 60)).await;
    assert_eq!(t.github.calls("PATCH").len(), calls);
    t.later(Duration::from_secs(60)).await;
    assert!(t.report_rows(&sha).await.iter().all(|row| row.is_acknowledged() && row.trouble.is_empty()));
    t.read_writes();
}

#[tokio::test]
async fn a_github_that_refuses_for_days_is_left_alone_until_somebody_runs_it_again() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.github.remove_checks();
    t.github.fail_next(10_000, 403);
    t.run_the_job("test", 0).await;
    for _ in 0..24 * 10 {
        t.later(Duration::from_secs(3600)).await;
    }
    let row = t.report_row(&sha, RUN).await;
    assert_eq!(row.trouble, "github refused (403): on demand; given up after 10 tries");
    let calls = t.github.calls("").len();
    t.later(Duration::from_secs(30 * 24 * 3600)).await;
    assert_eq!(t.github.calls("").len(), calls);
    t.github.mend();
    t.runs_again(t.newest_run().await.id).await;
    t.settle().await;
    t.run_the_job("test", 0).await;
    assert_eq!(t.github.now_shows(sha.as_str(), RUN).state, "success");
    t.read_writes();
}
