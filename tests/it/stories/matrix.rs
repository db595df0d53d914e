//! A matrix: its cells run at once, and are one row on the forge.

use containerops::agent::protocol::Cause;
use insta::assert_snapshot;

use super::RUN;
use crate::harness::app::{Tester, WIDGET};

/// A stage of a matrix and an action after it.
fn flow(keys: &str) -> String {
    format!(
        r#"
stages:
  - name: check
    {keys}
    actions:
      - name: unit
        matrix: {{rust: ["1.95", beta], include: [{{rust: nightly, allow-failure: true}}]}}
        image: "rust:@rust@"
        run: cargo test
        outputs: [VERSION]
      - {{name: after, image: "i:1", run: make}}
  - {{name: ship, image: "i:1", run: ship}}
"#
    )
}

#[tokio::test]
async fn cells_run_at_once_in_a_sequence_too_and_are_one_context() {
    let t = Tester::start().await;
    let sha = t.push("main", &flow("sequencing: sequence")).await;
    assert_eq!(t.pods.placed(), ["check.unit-1-95", "check.unit-beta", "check.unit-nightly"]);
    t.run_the_job("check.unit-1-95.unit", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
in_progress containerops/ci/push: Running: 1 of 5 actions have ended
queued containerops/ci/push/check/after: Waiting for what comes before
in_progress containerops/ci/push/check/unit: Running: 1 of 3 cells have ended
queued containerops/ci/push/ship/ship: Waiting for what comes before
");
    t.run_the_job("check.unit-nightly.unit", 1).await;
    t.run_the_job("check.unit-beta.unit", 0).await;
    assert_eq!(t.pods.placed(), ["check.after"]);
    t.run_the_job("check.after", 0).await;
    t.run_the_job("ship", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
neutral containerops/ci/push: warning: 5 actions in 33 s
success containerops/ci/push/check/after: success in 5 s
neutral containerops/ci/push/check/unit: warning in 1 of 3 cells: nightly: exit code 1
success containerops/ci/push/ship/ship: success in 5 s
");
    assert_snapshot!(t.check(&sha, "containerops/ci/push/check/unit").summary, @r"
| Cell | State | Duration |
| --- | --- | --- |
| [1.95](https://ci.example.com/github/acme/widget/runs/1/check/unit-1-95/unit) | ✅ success | 5 s |
| [beta](https://ci.example.com/github/acme/widget/runs/1/check/unit-beta/unit) | ✅ success | 5 s |
| [nightly](https://ci.example.com/github/acme/widget/runs/1/check/unit-nightly/unit) | ⚠️ warning | 5 s |

**check / unit (nightly) / unit**: exit code 1

[Its log](https://ci.example.com/github/acme/widget/runs/1/check/unit-nightly/unit)
");
}

#[tokio::test]
async fn fail_fast_stops_the_other_cells_and_says_who_it_was() {
    let t = Tester::start().await;
    let sha = t.push("main", &flow("fail-fast: true")).await;
    let slow = t.claims("check.unit-1-95.unit").await;
    let may_fail = t.claims("check.unit-nightly.unit").await;
    t.run_the_job("check.unit-beta.unit", 1).await;
    let answer = slow.hears().await;
    assert_snapshot!(format!("{answer:?}"), @r#"Cancel { by: "fail-fast: action `unit (beta)` did not succeed" }"#);
    slow.ends(Cause::Cancelled { by: "fail-fast".to_owned() }).await;
    may_fail.ends(Cause::Cancelled { by: "fail-fast".to_owned() }).await;
    assert_snapshot!(t.checks(&sha), @r"
failure containerops/ci/push: failure in check/unit (beta): exit code 1
skipped containerops/ci/push/check/after: skipped: action `unit (beta)` did not succeed
failure containerops/ci/push/check/unit: failure in 1 of 3 cells: beta: exit code 1
skipped containerops/ci/push/ship/ship: skipped: stage `check` ended: failure
");
}

#[tokio::test]
async fn a_cell_that_may_fail_stops_nobody() {
    let t = Tester::start().await;
    let sha = t.push("main", &flow("fail-fast: true")).await;
    t.run_the_job("check.unit-nightly.unit", 1).await;
    assert_eq!(t.pods.placed(), ["check.unit-1-95", "check.unit-beta"]);
    for job in ["check.unit-1-95.unit", "check.unit-beta.unit", "check.after", "ship"] {
        t.run_the_job(job, 0).await;
    }
    assert_eq!(t.check(&sha, RUN).state, "neutral");
}

#[tokio::test]
async fn without_fail_fast_every_cell_ends_and_the_next_action_runs() {
    let t = Tester::start().await;
    let sha = t.push("main", &flow("fail-fast: false")).await;
    for (cell, code) in [("1-95", 1), ("beta", 2), ("nightly", 0)] {
        t.run_the_job(&format!("check.unit-{cell}.unit"), code).await;
    }
    t.run_the_job("check.after", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
failure containerops/ci/push: failure in check/unit (1.95): exit code 1
success containerops/ci/push/check/after: success in 5 s
failure containerops/ci/push/check/unit: failure in 2 of 3 cells: 1.95: exit code 1
skipped containerops/ci/push/ship/ship: skipped: stage `check` ended: failure
");
}

#[tokio::test]
async fn pressed_again_a_matrix_runs_the_cells_that_failed() {
    let t = Tester::start().await;
    let sha = t.push("main", &flow("fail-fast: false")).await;
    for (cell, code) in [("1-95", 0), ("beta", 2), ("nightly", 0)] {
        t.run_the_job(&format!("check.unit-{cell}.unit"), code).await;
    }
    t.run_the_job("check.after", 0).await;
    t.deliver(t.github.rerequested(WIDGET, "containerops/ci/push/check/unit")).await;
    t.settle().await;
    assert_eq!(t.pods.placed(), ["check.unit-beta"]);
    t.run_the_job("check.unit-beta.unit", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
in_progress containerops/ci/push: Running: 4 of 5 actions have ended
success containerops/ci/push/check/after: carried over from run #1, success in 5 s
success containerops/ci/push/check/unit: success: 3 cells in 36 s
queued containerops/ci/push/ship/ship: Waiting to start
");
}

#[tokio::test]
async fn the_page_and_the_api_show_the_cells_together() {
    let t = Tester::start().await;
    t.push("main", &flow("sequencing: sequence")).await;
    let page = t.page("/github/acme/widget/runs/1").await;
    assert!(page.contains("aria-label=\"Matrix unit\"") && page.contains("matrix of 3"), "{page}");
    assert!(page.contains("unit (1.95)"), "{page}");
    let run = t.newest_run().await.id;
    let api: serde_json::Value = serde_json::from_str(&t.page(&format!("/api/v1/runs/{run}")).await).expect("JSON");
    assert_snapshot!(api["stages"][0]["actions"][1]["matrix"], @r#"{"name":"unit","values":{"rust":"beta"}}"#);
    t.read_writes();
}
