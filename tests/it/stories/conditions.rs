//! What a condition leaves out, and what runs though something failed.

use insta::assert_snapshot;

use super::RUN;
use crate::harness::app::Tester;

const CLEAN: &str = r#"
stages:
  - {name: build, image: "i:1", run: make, outputs: [VERSION]}
  - {name: ship, image: "i:1", run: make ship, when: 'outputs["build.build.build[VERSION]"] == "2"'}
  - {name: clean, image: "i:1", run: make clean, when: 'result == "always"'}
  - {name: cheer, image: "i:1", run: make cheer, needs: [build], when: 'event == "tag"'}
  - {name: tell, image: "i:1", run: make tell, when: 'result == "failure"'}
  - {name: after, image: "i:1", run: make after, needs: [clean]}
"#;

#[tokio::test]
async fn what_does_not_hold_is_skipped_and_says_so_and_what_follows_runs() {
    let t = Tester::start().await;
    let sha = t.push("main", CLEAN).await;
    t.claims("build").await.writes(&[("VERSION", "1")]).await.exits(0).await;
    t.run_the_job("clean", 0).await;
    t.run_the_job("after", 0).await;
    assert_snapshot!(t.checks(&sha), @r#"
    success containerops/ci/push: 3 actions in 19 s, 3 skipped
    success containerops/ci/push/after/after: success in 5 s
    success containerops/ci/push/build/build: success in 5 s
    skipped containerops/ci/push/cheer/cheer: skipped: `when: event == "tag"` does not hold
    success containerops/ci/push/clean/clean: success in 5 s
    skipped containerops/ci/push/ship/ship: skipped: `when: outputs["build.build.build[VERSION]"] == "2"` does not hold
    skipped containerops/ci/push/tell/tell: skipped: `when: result == "failure"` does not hold
    "#);
}

#[tokio::test]
async fn what_asks_for_the_result_runs_after_a_failure_and_opens_nothing() {
    let t = Tester::start().await;
    let sha = t.push("main", CLEAN).await;
    t.run_the_job("build", 1).await;
    t.run_the_job("clean", 0).await;
    t.run_the_job("tell", 0).await;
    let checks = t.checks(&sha);
    assert_eq!(t.check(&sha, RUN).state, "failure");
    assert_snapshot!(checks, @r"
    failure containerops/ci/push: failure in build/build: exit code 1
    skipped containerops/ci/push/after/after: skipped: stage `build` ended: failure
    failure containerops/ci/push/build/build: failure: exit code 1
    skipped containerops/ci/push/cheer/cheer: skipped: stage `build` ended: failure
    success containerops/ci/push/clean/clean: success in 5 s
    skipped containerops/ci/push/ship/ship: skipped: stage `build` ended: failure
    success containerops/ci/push/tell/tell: success in 5 s
    ");
}

#[tokio::test]
async fn actions_of_a_sequence_ask_for_those_before_them() {
    let t = Tester::start().await;
    let flow = r#"
stages:
  - name: check
    actions:
      - {name: a, image: "i:1", run: make a, when: 'branch == "next"'}
      - {name: b, image: "i:1", run: make b}
      - {name: c, image: "i:1", run: make c}
      - {name: d, image: "i:1", run: make d, when: 'result != "success"'}
"#;
    let sha = t.push("main", flow).await;
    t.run_the_job("check.b", 1).await;
    t.run_the_job("check.d", 0).await;
    assert_snapshot!(t.checks(&sha), @r#"
    failure containerops/ci/push: failure in check/b: exit code 1
    skipped containerops/ci/push/check/a: skipped: `when: branch == "next"` does not hold
    failure containerops/ci/push/check/b: failure: exit code 1
    skipped containerops/ci/push/check/c: skipped: action `b` did not succeed
    success containerops/ci/push/check/d: success in 5 s
    "#);
}

const JOBS: &str = r#"
stages:
  - name: check
    jobs:
      - {name: a, image: "i:1", run: make a, when: 'event == "tag"'}
      - {name: b, image: "i:1", run: make b}
      - {name: c, image: "i:1", run: make c}
      - {name: d, image: "i:1", run: make d, when: 'result == "failure"'}
"#;

#[tokio::test]
async fn jobs_are_left_out_one_by_one_and_the_first_that_runs_has_the_source() {
    let t = Tester::start().await;
    let sha = t.push("main", JOBS).await;
    assert_snapshot!(t.leaves("check.check.a").await, @r#"`when: event == "tag"` does not hold"#);
    let agent = t.claims("check.check.b").await;
    assert!(agent.work.source.is_some(), "nobody before it has laid it out");
    agent.exits(1).await;
    t.run_the_job("check.check.d", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in check/check: job `b`: exit code 1
    failure containerops/ci/push/check/check: failure: job `b`: exit code 1
    ");
}

#[tokio::test]
async fn an_action_all_of_whose_jobs_are_left_out_needs_no_pod() {
    let t = Tester::start().await;
    let sha =
        t.push("main", r#"stages: [{name: check, jobs: [{name: a, image: "i:1", when: 'event == "tag"'}]}]"#).await;
    assert!(t.pods.placed().is_empty());
    assert!(
        t.checks(&sha)
            .contains(r#"skipped containerops/ci/push/check/check: skipped: `when: event == "tag"` does not hold"#)
    );
}

#[tokio::test]
async fn a_run_that_is_cancelled_starts_nothing_though_it_asks_for_the_result() {
    let t = Tester::start().await;
    t.push("main", CLEAN).await;
    let agent = t.claims("build").await;
    t.cancel("Ada").await;
    agent.ends(containerops::agent::protocol::Cause::Cancelled { by: "Ada".to_owned() }).await;
    assert!(t.pods.placed().is_empty(), "nothing is left to run");
    let sha = t.newest_run().await.sha;
    assert!(t.checks(&sha).starts_with("cancelled containerops/ci/push"));
}
