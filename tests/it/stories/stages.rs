//! Who waits for whom, and what a failure means for the others.

use insta::assert_snapshot;

use super::RUN;
use crate::harness::app::Tester;

/// A stage of three actions.
fn three(keys: &str) -> String {
    let action = |name: &str| format!("      - {{name: {name}, image: \"i:1\", run: make {name}}}\n");
    let actions: String = ["a", "b", "c"].map(action).concat();
    format!("stages:\n  - name: check\n    {keys}\n    actions:\n{actions}")
}

#[tokio::test]
async fn a_sequence_takes_turns_and_ends_with_its_first_failure() {
    let t = Tester::start().await;
    let sha = t.push("main", &three("sequencing: sequence")).await;
    assert_eq!(t.pods.placed(), ["check.a"]);
    t.run_the_job("check.a", 0).await;
    assert_eq!(t.pods.placed(), ["check.b"]);
    t.run_the_job("check.b", 1).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in check/b: exit code 1
    success containerops/ci/push/check/a: success in 5 s
    failure containerops/ci/push/check/b: failure: exit code 1
    skipped containerops/ci/push/check/c: skipped: action `b` did not succeed
    ");
}

#[tokio::test]
async fn fail_fast_stops_what_runs_beside() {
    let t = Tester::start().await;
    let sha = t.push("main", &three("sequencing: parallel\n    fail-fast: true")).await;
    let slow = t.claims("check.b").await;
    t.run_the_job("check.a", 1).await;
    let answer = slow.hears().await;
    assert_snapshot!(format!("{answer:?}"), @r#"Cancel { by: "fail-fast: action `a` did not succeed" }"#);
    slow.ends(containerops::agent::protocol::Cause::Cancelled { by: "fail-fast".to_owned() }).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in check/a: exit code 1
    failure containerops/ci/push/check/a: failure: exit code 1
    cancelled containerops/ci/push/check/b: cancelled by fail-fast
    cancelled containerops/ci/push/check/c: cancelled by fail-fast: action `a` did not succeed
    ");
}

#[tokio::test]
async fn without_fail_fast_the_others_go_on() {
    let t = Tester::start().await;
    let sha = t.push("main", &three("sequencing: parallel\n    fail-fast: false")).await;
    t.run_the_job("check.a", 1).await;
    assert_eq!(t.pods.placed(), ["check.b", "check.c"], "in the order of their names");
    t.run_the_job("check.b", 0).await;
    t.run_the_job("check.c", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in check/a: exit code 1
    failure containerops/ci/push/check/a: failure: exit code 1
    success containerops/ci/push/check/b: success in 5 s
    success containerops/ci/push/check/c: success in 5 s
    ");
}

#[tokio::test]
async fn a_failed_stage_skips_what_needs_it_and_nothing_else() {
    let t = Tester::start().await;
    let stage = |name: &str, needs: &str| format!("  - {{name: {name}, image: \"i:1\", run: make, needs: {needs}}}\n");
    let stages = [
        stage("a", "[]"),
        stage("b", "[]"),
        stage("after-a", "[a]"),
        stage("after-b", "[b]"),
        stage("last", "[after-a, after-b]"),
    ];
    let sha = t.push("main", &format!("stages:\n{}", stages.concat())).await;
    t.run_the_job("a", 1).await;
    t.run_the_job("b", 0).await;
    t.run_the_job("after-b", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in a/a: exit code 1
    failure containerops/ci/push/a/a: failure: exit code 1
    skipped containerops/ci/push/after-a/after-a: skipped: stage `a` ended: failure
    success containerops/ci/push/after-b/after-b: success in 5 s
    success containerops/ci/push/b/b: success in 5 s
    skipped containerops/ci/push/last/last: skipped: stage `a` ended: failure
    ");
}

#[tokio::test]
async fn a_failure_that_is_allowed_is_a_warning_and_holds_nobody_up() {
    let t = Tester::start().await;
    let flow = r#"
stages:
  - name: check
    actions:
      - {name: lint, image: "i:1", run: lint, allow-failure: true}
      - name: unit
        jobs:
          - {name: slow, image: "i:1", run: slow, allow-failure: true}
          - {name: fast, image: "i:1", run: fast}
  - {name: ship, image: "i:1", run: ship}
"#;
    let sha = t.push("main", flow).await;
    t.run_the_job("check.lint", 1).await;
    t.run_the_job("check.unit.slow", 1).await;
    t.run_the_job("check.unit.fast", 0).await;
    t.run_the_job("ship", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    neutral containerops/ci/push: warning: 3 actions in 26 s
    neutral containerops/ci/push/check/lint: warning: exit code 1
    neutral containerops/ci/push/check/unit: warning: job `slow`: exit code 1
    success containerops/ci/push/ship/ship: success in 5 s
    ");
}

#[tokio::test]
async fn a_failed_job_skips_the_next_of_its_action() {
    let t = Tester::start().await;
    let flow = r#"
stages:
  - name: build
    actions:
      - name: build
        jobs: [{name: one, image: "i:1", run: one}, {name: two, image: "i:1", run: two}]
"#;
    let sha = t.push("main", flow).await;
    t.run_the_job("build.build.one", 2).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in build/build: job `one`: exit code 2
    failure containerops/ci/push/build/build: failure: job `one`: exit code 2
    ");
    assert_snapshot!(t.attempts().await, @"build/build 1: exit code 2 (0 bytes) skipped: job `one`: exit code 2 (0 bytes)");
}

#[tokio::test]
async fn start_and_end_do_nothing_and_hold_nobody_up() {
    let t = Tester::start().await;
    let flow = r#"
stages:
  - {name: begin, type: start}
  - {name: test, image: "i:1", run: make}
  - {name: done, type: end}
"#;
    let sha = t.push("main", flow).await;
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 5 s
    success containerops/ci/push/test/test: success in 5 s
    ");
    assert_eq!(t.check(&sha, RUN).state, "success");
}
