//! By the newest flow file, which the forge is asked for after the answer.

use containerops::engine::rerun::EVENT;
use insta::assert_snapshot;
use reqwest::StatusCode;
use serde_json::json;

use super::super::RUN;
use super::FLOW;
use crate::harness::app::{Tester, WIDGET};

#[tokio::test]
async fn a_mistake_in_the_flow_file_is_mended_without_another_commit_of_code() {
    let t = Tester::start().await;
    let sha = t.push("main", &FLOW.replace("make test", "make tset")).await;
    t.fails_both_checks().await;
    let mended = t.commit("main", FLOW);
    let (status, answer) = t.asks(1, &json!({"what": "failed", "flow": "newest"})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let page = t.http.get(format!("{}/deliveries/{}", t.url(), answer["delivery"].as_str().expect("an id"))).send();
    let page = page.await.expect("an answer").text().await.expect("text");
    assert!(page.contains("href=\"/github/acme/widget/runs/2\""), "the delivery leads to the new run\n{page}");
    let run = t.newest_run().await;
    assert_eq!((run.number, &run.sha), (2, &sha), "the code is the same");
    let newest = run.repeats.expect("a re-run").newest.clone().expect("by the newest file");
    assert_eq!((newest.branch.as_str(), newest.sha), ("main", mended));
    let unit = t.claims("check.unit.unit").await;
    assert_eq!(unit.work.environments["VERSION"], "1.2.3", "the build is carried over");
    unit.exits(0).await;
    t.run_the_job("check.lint.lint", 0).await;
    t.run_the_job("ship", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 3 actions in 19 s, 1 carried over
    success containerops/ci/push/build/build: carried over from run #1, success in 5 s
    success containerops/ci/push/check/lint: success in 5 s
    success containerops/ci/push/check/unit: success in 5 s
    success containerops/ci/push/ship/ship: success in 5 s
    ");
    assert!(t.check(&sha, RUN).summary.contains("by the newest flow file"));
}

#[tokio::test]
async fn what_is_new_or_changed_runs_and_so_does_what_comes_after_it() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    t.fails_both_checks().await;
    t.commit("main", &FLOW.replace("run: make,", "run: make -j,"));
    t.asks(1, &json!({"what": "failed", "flow": "newest"})).await;
    assert_eq!(t.pods.placed(), ["build.build"], "the build is another");
    t.read_writes();
}

#[tokio::test]
async fn a_check_that_the_newest_file_does_not_have_is_not_red_for_ever() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    t.fails_both_checks().await;
    let without: String = FLOW.lines().filter(|line| !line.contains("lint")).map(|line| format!("{line}\n")).collect();
    t.commit("main", &without);
    t.asks(1, &json!({"what": {"action": "check.unit"}, "flow": "newest"})).await;
    t.run_the_job("check.unit.unit", 0).await;
    t.run_the_job("ship", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 2 actions in 12 s, 1 carried over
    success containerops/ci/push/build/build: carried over from run #1, success in 5 s
    skipped containerops/ci/push/check/lint: Skipped: the newest flow file does not have it
    success containerops/ci/push/check/unit: success in 5 s
    success containerops/ci/push/ship/ship: success in 5 s
    ");
}

#[tokio::test]
async fn a_newest_file_that_is_broken_is_a_failed_run_with_its_mistakes() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    t.fails_both_checks().await;
    t.commit("main", "stages: 7");
    t.asks(1, &json!({"flow": "newest"})).await;
    assert_snapshot!(t.runs().await, @r"
    #1 push failure
    #2 push failure: the flow file has 1 error
    ");
    assert!(t.check(&sha, RUN).summary.contains("stages: 7"));
    // and from there it can be mended
    t.commit("main", FLOW);
    t.asks(2, &json!({"what": "failed", "flow": "newest"})).await;
    assert_eq!(t.pods.placed(), ["build.build"]);
    t.read_writes();
}

#[tokio::test]
async fn a_forge_that_is_away_is_asked_again_and_what_it_does_not_have_is_said() {
    let t = Tester::start().await;
    t.push("feature", FLOW).await;
    t.fails_both_checks().await;
    t.github.fail_next(1, 502);
    t.asks(1, &json!({"what": "failed", "flow": "newest"})).await;
    t.restart().await;
    t.later(std::time::Duration::from_secs(60)).await;
    assert_eq!(t.newest_run().await.number, 2, "the wish outlives the forge's trouble and our own");
    t.claims("check.unit.unit").await.exits(1).await;
    t.run_the_job("check.lint.lint", 0).await;
    t.github.delete_branch(WIDGET, "feature");
    t.asks(2, &json!({"what": "failed", "flow": "newest"})).await;
    assert_snapshot!(t.deliveries().await, @r"
    push: started 1
    rerun: started 1
    rerun: nothing: branch feature is gone, and its newest flow file with it
    ");
    t.read_writes();
}

#[tokio::test]
async fn nobody_passes_a_delivery_for_a_wish_of_ours() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    t.fails_both_checks().await;
    let run = t.newest_run().await.id;
    let body = json!({"run": run, "what": "everything", "flow": "newest", "by": "mallory"});
    let (status, _) = t.send("github", t.github.signed(EVENT, &body)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    t.settle().await;
    assert_eq!(t.newest_run().await.number, 1);
    t.read_writes();
}
