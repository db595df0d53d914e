//! Runs that wait for each other, and runs that newer ones supersede.

use std::time::Duration;

use containerops::{
    agent::protocol::{Cause, HeartbeatAnswer},
    model::Sha,
};
use insta::assert_snapshot;

use super::{RUN, SMALL};
use crate::harness::app::{Tester, WIDGET};

/// The context of a pull request's run.
const PULL: &str = "containerops/ci/pr";

fn flow(concurrency: &str) -> String {
    format!("concurrency: {concurrency}\n{SMALL}")
}

/// An open pull request, and the first commit of it.
async fn pull_request(t: &Tester, branch: &str, flow: &str) -> (u64, Sha) {
    t.commit("main", SMALL);
    let sha = t.commit(branch, flow);
    let number = t.github.open_pull_request(WIDGET, "main", WIDGET, branch);
    t.deliver(t.github.pull_request(WIDGET, number, "opened")).await;
    t.settle().await;
    (number, sha)
}

/// One more commit of a pull request.
async fn synchronize(t: &Tester, number: u64, branch: &str, flow: &str) -> Sha {
    let sha = t.commit(branch, flow);
    t.deliver(t.github.pull_request(WIDGET, number, "synchronize")).await;
    t.settle().await;
    sha
}

#[tokio::test]
async fn deploys_go_one_after_another_through_restarts() {
    let t = Tester::start().await;
    let mut commits = Vec::new();
    for _ in 0..3 {
        commits.push(t.push("main", &flow("deploy")).await);
        t.restart().await;
    }
    assert_eq!(t.pods.placed().len(), 1);
    assert_snapshot!(t.runs().await, @r"
    #1 push queued
    #2 push queued: 1 run ahead in group deploy
    #3 push queued: 2 runs ahead in group deploy
    ");
    assert_snapshot!(t.checks(&commits[2]), @r"
    queued containerops/ci/push: Waiting: 2 runs ahead in group deploy
    queued containerops/ci/push/test/test: Waiting for what comes before
    ");
    for left in [2, 1, 0] {
        t.restart().await;
        t.run_the_job("test", 0).await;
        assert_eq!(t.pods.placed().len(), left.min(1), "one at a time, and the next at once");
    }
    assert_snapshot!(t.runs().await, @r"
    #1 push success
    #2 push success
    #3 push success
    ");
    assert_eq!(t.check(&commits[2], RUN).state, "success");
}

#[tokio::test]
async fn a_failed_deploy_lets_the_next_one_go() {
    let t = Tester::start().await;
    for _ in 0..2 {
        t.push("main", &flow("deploy")).await;
    }
    t.run_the_job("test", 1).await;
    assert_snapshot!(t.runs().await, @r"
    #1 push failure
    #2 push queued
    ");
    t.read_writes();
}

#[tokio::test]
async fn a_run_that_waits_for_others_is_cancelled_at_once_and_holds_nobody_up() {
    let t = Tester::start().await;
    t.push("main", &flow("deploy")).await;
    let held = t.push("main", &flow("deploy")).await;
    t.cancel("ada").await;
    let last = t.push("main", &flow("deploy")).await;
    assert_snapshot!(t.runs().await, @r"
    #1 push queued
    #2 push cancelled: cancelled by ada
    #3 push queued: 1 run ahead in group deploy
    ");
    assert_snapshot!(t.checks(&held), @r"
    cancelled containerops/ci/push: cancelled by ada
    cancelled containerops/ci/push/test/test: cancelled by ada
    ");
    assert_snapshot!(t.check(&last, RUN).title, @"Waiting: 1 run ahead in group deploy");
}

#[tokio::test]
async fn a_runs_time_does_not_pass_while_it_is_held() {
    let t = Tester::start().await;
    for _ in 0..2 {
        t.push("main", &format!("timeout: 1h\n{}", flow("deploy"))).await;
    }
    let first = t.claims("test").await;
    t.clock.advance(Duration::from_secs(3000));
    first.exits(0).await;
    t.later(Duration::from_secs(3000)).await;
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.runs().await, @r"
    #1 push success
    #2 push success
    ");
    t.read_writes();
}

#[tokio::test]
async fn two_may_be_under_way_where_the_limit_is_two() {
    let t = Tester::start().await;
    for concurrency in ["{group: rig, limit: 2}", "{group: rig, policy: parallel, limit: 2}"] {
        for _ in 0..2 {
            t.push("main", &flow(concurrency)).await;
        }
    }
    assert_eq!(t.pods.placed().len(), 2);
    assert_snapshot!(t.runs().await, @r"
    #1 push queued
    #2 push queued
    #3 push queued: 2 runs ahead in group rig
    #4 push queued: 3 runs ahead in group rig
    ");
    t.run_the_job("test", 0).await;
    assert_eq!(t.pods.placed().len(), 2);
    assert_snapshot!(t.runs().await, @r"
    #1 push queued
    #2 push success
    #3 push queued
    #4 push queued: 2 runs ahead in group rig
    ");
    t.read_writes();
}

#[tokio::test]
async fn without_a_word_about_it_pushes_run_beside_each_other() {
    let t = Tester::start().await;
    for _ in 0..3 {
        t.push("main", SMALL).await;
    }
    assert_eq!(t.pods.placed().len(), 3);
    t.read_writes();
}

#[tokio::test]
async fn new_code_of_a_pull_request_supersedes_what_runs_of_it() {
    let t = Tester::start().await;
    let (number, old) = pull_request(&t, "idea", SMALL).await;
    let agent = t.claims("test").await.says("half way\n").await;
    let new = synchronize(&t, number, "idea", SMALL).await;
    assert_eq!(agent.hears().await, HeartbeatAnswer::Cancel { by: "run #2, which supersedes it".to_owned() });
    assert_snapshot!(t.check(&new, PULL).title, @"Waiting: 1 run ahead in group ci/acme/widget/pull/3");
    assert_eq!(t.pods.placed().len(), 1, "the newer one comes when the older one is gone");
    agent.ends(Cause::Cancelled { by: "run #2, which supersedes it".to_owned() }).await;
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.checks(&old), @r"
    cancelled containerops/ci/pr: cancelled: superseded by run #2
    cancelled containerops/ci/pr/test/test: cancelled by run #2, which supersedes it
    ");
    assert_snapshot!(t.checks(&new), @r"
    success containerops/ci/pr: 1 action in 5 s
    success containerops/ci/pr/test/test: success in 5 s
    ");
}

#[tokio::test]
async fn of_many_commits_only_the_newest_is_left() {
    let t = Tester::start().await;
    let (number, _) = pull_request(&t, "idea", SMALL).await;
    for _ in 0..3 {
        synchronize(&t, number, "idea", SMALL).await;
    }
    assert_snapshot!(t.runs().await, @r"
    #1 pull_request cancelled: superseded by run #2
    #2 pull_request cancelled: superseded by run #3
    #3 pull_request cancelled: superseded by run #4
    #4 pull_request queued
    ");
    t.read_writes();
}

#[tokio::test]
async fn another_pull_request_is_another_matter() {
    let t = Tester::start().await;
    pull_request(&t, "idea", SMALL).await;
    pull_request(&t, "other", SMALL).await;
    assert_eq!(t.pods.placed().len(), 2);
    t.read_writes();
}

#[tokio::test]
async fn a_superseded_run_that_was_all_but_over_keeps_its_end() {
    let t = Tester::start().await;
    let (number, old) = pull_request(&t, "idea", SMALL).await;
    let agent = t.claims("test").await;
    synchronize(&t, number, "idea", SMALL).await;
    agent.exits(0).await;
    assert_snapshot!(t.checks(&old), @r"
    success containerops/ci/pr: 1 action in 8 s
    success containerops/ci/pr/test/test: success in 8 s
    ");
    assert_eq!(t.pods.placed().len(), 1, "the newer one goes");
}

#[tokio::test]
async fn a_failure_before_the_newer_commit_stays_one() {
    let t = Tester::start().await;
    let two = r#"
stages:
  - {name: lint, image: "rust:1", run: cargo fmt --check, allow-failure: false}
  - {name: docs, needs: [], image: "rust:1", run: cargo doc}
"#;
    let (number, old) = pull_request(&t, "idea", two).await;
    let docs = t.claims("docs").await;
    t.run_the_job("lint", 1).await;
    synchronize(&t, number, "idea", two).await;
    docs.ends(Cause::Cancelled { by: "run #2, which supersedes it".to_owned() }).await;
    assert_snapshot!(t.checks(&old), @r"
    failure containerops/ci/pr: failure in lint/lint: exit code 1
    cancelled containerops/ci/pr/docs/docs: cancelled by run #2, which supersedes it
    failure containerops/ci/pr/lint/lint: failure: exit code 1
    ");
}

#[tokio::test]
async fn an_older_push_that_is_delivered_late_does_not_end_the_newer_ones_run() {
    let t = Tester::start().await;
    let flow = flow("{policy: cancel}");
    let old = t.commit("main", &flow);
    let late = t.github.push(WIDGET, "main");
    let new = t.push("main", &flow).await;
    t.deliver(late).await;
    t.settle().await;
    assert_snapshot!(t.runs().await, @r"
    #1 push queued
    #2 push cancelled: superseded by run #1
    ");
    assert_snapshot!(t.check(&old, RUN).title, @"cancelled: superseded by run #1");
    t.run_the_job("test", 0).await;
    assert_eq!(t.check(&new, RUN).state, "success");
}

#[tokio::test]
async fn a_branch_that_is_reset_to_an_older_commit_is_new_code_all_the_same() {
    let t = Tester::start().await;
    let flow = flow("{policy: cancel}");
    let first = t.push("main", &flow).await;
    t.push("main", &flow).await;
    t.github.reset(WIDGET, "main", &first);
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    assert_snapshot!(t.runs().await, @r"
    #1 push cancelled: superseded by run #2
    #2 push cancelled: superseded by run #3
    #3 push queued
    ");
    t.read_writes();
}

#[tokio::test]
async fn running_old_code_again_waits_for_the_newest_and_does_not_end_it() {
    let t = Tester::start().await;
    let (number, old) = pull_request(&t, "idea", SMALL).await;
    t.run_the_job("test", 1).await;
    synchronize(&t, number, "idea", SMALL).await;
    t.deliver(t.github.suite_rerequested(WIDGET, &old)).await;
    t.settle().await;
    assert_snapshot!(t.runs().await, @r"
    #1 pull_request failure
    #2 pull_request queued
    #3 pull_request queued: 1 run ahead in group ci/acme/widget/pull/3
    ");
    t.run_the_job("test", 0).await;
    assert_eq!(t.pods.placed().len(), 1);
    t.read_writes();
}

#[tokio::test]
async fn a_queue_that_a_restart_interrupts_anywhere_forgets_nobody() {
    let t = Tester::start().await;
    for _ in 0..3 {
        t.push("main", &flow("deploy")).await;
    }
    for _ in 0..3 {
        let agent = t.claims("test").await;
        agent.reports(&agent.record(Cause::Exit { code: 0 })).await;
        // nothing but the end was written by the process that goes now
        t.restart().await;
        t.later(Duration::from_secs(61)).await;
    }
    assert_snapshot!(t.runs().await, @r"
    #1 push success
    #2 push success
    #3 push success
    ");
    t.read_writes();
}
