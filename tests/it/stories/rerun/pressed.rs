//! GitHub's own re-run buttons, and ours at its checks.

use std::time::Duration;

use insta::assert_snapshot;

use super::super::RUN;
use super::FLOW;
use crate::harness::app::{Tester, WIDGET};

const UNIT: &str = "containerops/ci/push/check/unit";
const LINT: &str = "containerops/ci/push/check/lint";

#[tokio::test]
async fn re_run_at_an_actions_check_runs_that_action() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    t.fails_both_checks().await;
    t.deliver(t.github.rerequested(WIDGET, UNIT)).await;
    t.settle().await;
    assert_eq!(t.pods.placed(), ["check.unit"]);
    t.run_the_job("check.unit.unit", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in check/lint: exit code 1
    success containerops/ci/push/build/build: carried over from run #1, success in 5 s
    failure containerops/ci/push/check/lint: carried over from run #1, failure: exit code 1
    success containerops/ci/push/check/unit: success in 5 s
    skipped containerops/ci/push/ship/ship: skipped: stage `check` ended: failure
    ");
    assert_eq!(t.newest_run().await.repeats.expect("a re-run").by, "ada");
}

#[tokio::test]
async fn re_run_at_the_runs_check_runs_what_failed_or_else_everything() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    t.fails_both_checks().await;
    t.deliver(t.github.rerequested(WIDGET, RUN)).await;
    t.settle().await;
    assert_eq!(t.pods.placed(), ["check.lint", "check.unit"]);
    for job in ["check.unit.unit", "check.lint.lint", "ship"] {
        t.run_the_job(job, 0).await;
    }
    t.deliver(t.github.rerequested(WIDGET, RUN)).await;
    t.settle().await;
    assert_eq!(t.pods.placed(), ["build.build"]);
    t.read_writes();
}

#[tokio::test]
async fn our_button_stops_a_run_once() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    t.deliver(t.github.pressed(WIDGET, RUN, "cancel")).await;
    t.settle().await;
    assert_eq!(t.check(&sha, RUN).state, "cancelled");
    assert_eq!(t.check(&sha, RUN).buttons, ["rerun-failed", "rerun-all", "rerun-newest"]);
    assert_snapshot!(t.deliveries().await, @r"
    push: started 1
    check_run: obeyed: #1 was cancelled
    ");
}

#[tokio::test]
async fn our_buttons_stand_at_a_run_that_is_over_and_do_what_they_say() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    assert_eq!(t.check(&sha, RUN).buttons, ["cancel"]);
    t.fails_both_checks().await;
    assert_eq!(t.check(&sha, RUN).buttons, ["rerun-failed", "rerun-all", "rerun-newest"]);
    t.deliver(t.github.pressed(WIDGET, RUN, "rerun-failed")).await;
    t.settle().await;
    assert_eq!(t.pods.placed(), ["check.lint", "check.unit"]);
    t.run_the_job("check.unit.unit", 1).await;
    t.run_the_job("check.lint.lint", 0).await;
    t.commit("main", &FLOW.replace("make test", "make tests"));
    t.deliver(t.github.pressed(WIDGET, RUN, "rerun-newest")).await;
    t.settle().await;
    assert_eq!(t.pods.placed(), ["check.unit"], "lint and build are as they were");
    let unit = t.claims("check.unit.unit").await;
    assert!(format!("{:?}", unit.work.start).contains("make tests"));
    unit.exits(0).await;
    t.run_the_job("ship", 0).await;
    assert_eq!(t.check(&sha, RUN).buttons, ["rerun-all"]);
    t.deliver(t.github.pressed(WIDGET, RUN, "rerun-all")).await;
    t.settle().await;
    assert_eq!(t.pods.placed(), ["build.build"]);
    assert_snapshot!(t.deliveries().await, @r"
    push: started 1
    check_run: started 1
    check_run: started 1
    check_run: started 1
    ");
    t.read_writes();
}

#[tokio::test]
async fn a_button_pressed_while_the_run_goes_on_waits_for_its_end() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    t.builds().await;
    t.run_the_job("check.unit.unit", 1).await;
    t.deliver(t.github.rerequested(WIDGET, UNIT)).await;
    t.settle().await;
    assert_snapshot!(t.deliveries().await, @r"
    push: started 1
    check_run: waits: run #1 still runs; when it has ended, this begins
    ");
    t.restart().await;
    t.run_the_job("check.lint.lint", 0).await;
    t.later(Duration::from_secs(600)).await;
    assert_eq!((t.newest_run().await.number, t.pods.placed()), (2, vec!["check.unit".to_owned()]));
    t.read_writes();
}

#[tokio::test]
async fn re_run_failed_checks_presses_every_button_and_each_runs_once() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    t.fails_both_checks().await;
    for check in [UNIT, LINT, RUN] {
        t.deliver(t.github.rerequested(WIDGET, check)).await;
    }
    t.settle().await;
    t.run_the_job("check.unit.unit", 0).await;
    t.later(Duration::from_secs(600)).await;
    t.run_the_job("check.lint.lint", 0).await;
    t.run_the_job("ship", 0).await;
    t.later(Duration::from_secs(3600)).await;
    assert_snapshot!(t.deliveries().await, @r"
    push: started 1
    check_run: started 1
    check_run: started 1
    check_run: nothing: nothing failed in run #3; everything can run again
    ");
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 2 actions in 12 s, 2 carried over
    success containerops/ci/push/build/build: carried over from run #1, success in 5 s
    success containerops/ci/push/check/lint: success in 5 s
    success containerops/ci/push/check/unit: carried over from run #2, success in 5 s
    success containerops/ci/push/ship/ship: success in 5 s
    ");
}

#[tokio::test]
async fn a_check_of_an_earlier_release_names_its_run_alone_and_is_still_understood() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    t.fails_both_checks().await;
    let delivery = t.github.rerequested(WIDGET, UNIT);
    let mut old: serde_json::Value = serde_json::from_slice(&delivery.body).expect("JSON");
    old["check_run"]["external_id"] = serde_json::json!(t.newest_run().await.id);
    t.deliver(t.github.signed("check_run", &old)).await;
    t.settle().await;
    assert_eq!(t.pods.placed(), ["check.lint", "check.unit"], "what failed of the run");
    t.read_writes();
}
