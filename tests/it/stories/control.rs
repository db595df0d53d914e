//! Stopping: by people, and by the clock.

use std::time::Duration;

use containerops::{
    agent::protocol::{Cause, HeartbeatAnswer},
    model::Infrastructure,
};
use insta::assert_snapshot;

use super::{RUN, SMALL};
use crate::harness::app::Tester;

const TWO_STAGES: &str = r#"
stages:
  - name: build
    actions:
      - name: build
        jobs:
          - {name: compile, image: "cc:1", run: make}
          - {name: check, image: "cc:1", run: make check}
  - {name: ship, image: "tar:1", run: tar}
"#;

#[tokio::test]
async fn a_cancelled_run_tells_its_agent_and_starts_nothing_more() {
    let t = Tester::start().await;
    let sha = t.push("main", TWO_STAGES).await;
    let agent = t.claims("build.build.compile").await;
    assert_eq!(agent.hears().await, HeartbeatAnswer::GoOn);
    t.cancel("ada").await;
    assert_eq!(agent.hears().await, HeartbeatAnswer::Cancel { by: "ada".to_owned() });
    agent.ends(Cause::Cancelled { by: "ada".to_owned() }).await;
    assert_snapshot!(t.checks(&sha), @r"
    cancelled containerops/ci/push: cancelled by ada
    cancelled containerops/ci/push/build/build: cancelled: job `compile`: cancelled by ada
    cancelled containerops/ci/push/ship/ship: cancelled by ada
    ");
    assert_snapshot!(t.attempts().await, @"build/build 1: cancelled by ada (0 bytes) skipped: job `compile`: cancelled by ada (0 bytes)");
    assert!(t.pods.placed().is_empty());
    let again = t.app().engine.cancel(t.newest_run().await.id, "bob").await.expect("the database is there");
    assert!(!again, "a run that is over is not cancelled");
}

#[tokio::test]
async fn a_run_that_waits_is_cancelled_at_once() {
    let t = Tester::start().await;
    let sha = t.push("main", TWO_STAGES).await;
    t.cancel("ada").await;
    assert_snapshot!(t.checks(&sha), @r"
    cancelled containerops/ci/push: cancelled by ada
    cancelled containerops/ci/push/build/build: cancelled: job `compile`: cancelled by ada
    cancelled containerops/ci/push/ship/ship: cancelled by ada
    ");
    assert!(t.pods.placed().is_empty());
}

#[tokio::test]
async fn an_agent_that_does_not_listen_is_taken_away() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let silent = t.claims("test").await;
    t.cancel("ada").await;
    assert_eq!(t.pods.placed(), ["test.test"], "it has time to end by itself");
    t.later(Duration::from_secs(61)).await;
    assert!(t.pods.placed().is_empty());
    assert_snapshot!(t.checks(&sha), @r"
    cancelled containerops/ci/push: cancelled by ada
    cancelled containerops/ci/push/test/test: cancelled by ada
    ");
    assert_eq!(silent.hears().await, HeartbeatAnswer::Cancel { by: "the server: the job is over".to_owned() });
}

#[tokio::test]
async fn a_pod_that_dies_while_it_is_being_stopped_is_cancelled_all_the_same() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let _agent = t.claims("test").await;
    t.cancel("ada").await;
    t.pods.dies("test.test", Infrastructure::NodeLost, "node-1 is gone");
    t.settle().await;
    assert_snapshot!(t.checks(&sha), @r"
    cancelled containerops/ci/push: cancelled by ada
    cancelled containerops/ci/push/test/test: cancelled by ada
    ");
}

#[tokio::test]
async fn a_jobs_time_limit_is_its_agents() {
    let t = Tester::start().await;
    let sha = t.push("main", &SMALL.replace("}]", ", timeout: 20m}]")).await;
    let agent = t.claims("test").await;
    assert_eq!(agent.work.timeout, Duration::from_secs(20 * 60));
    agent.ends(Cause::TimedOut).await;
    assert_snapshot!(t.checks(&sha), @r"
    timed_out containerops/ci/push: timed out in test/test: after 20 min 0 s
    timed_out containerops/ci/push/test/test: timed out after 20 min 0 s
    ");
}

#[tokio::test]
async fn a_run_over_its_time_is_stopped_and_says_so() {
    let t = Tester::start().await;
    let sha = t.push("main", &format!("timeout: 1h\n{TWO_STAGES}")).await;
    let agent = t.claims("build.build.compile").await;
    t.clock.advance(Duration::from_secs(3601));
    assert_eq!(agent.hears().await, HeartbeatAnswer::GoOn);
    t.settle().await;
    let by = "the run's time limit".to_owned();
    assert_eq!(agent.hears().await, HeartbeatAnswer::Cancel { by: by.clone() });
    agent.ends(Cause::Cancelled { by }).await;
    assert_snapshot!(t.checks(&sha), @r"
    timed_out containerops/ci/push: timed out in build/build: job `compile`: timed out: its run was over its time limit
    timed_out containerops/ci/push/build/build: timed out: job `compile`: timed out: its run was over its time limit
    timed_out containerops/ci/push/ship/ship: timed out: over the run's time limit
    ");
    assert_eq!(t.check(&sha, RUN).state, "timed_out");
}
