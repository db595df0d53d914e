//! Ends of a job's own after which its flow wants it tried again.

use std::time::Duration;

use containerops::{agent::protocol::Cause, model::Infrastructure};
use insta::assert_snapshot;

use crate::harness::app::Tester;

const FLAKY: &str = "stages: [{name: test, image: alpine, run: ./test.sh, retry: {max: 2, on: [transient]}}]";

#[tokio::test]
async fn a_job_that_says_try_again_is_tried_again_and_each_attempt_keeps_its_log() {
    let t = Tester::start().await;
    let sha = t.push("main", FLAKY).await;
    t.claims("test").await.says("the mirror is busy\n").await.exits(75).await;
    assert_snapshot!(t.checks(&sha), @r"
    in_progress containerops/ci/push: Running: 0 of 1 actions have ended; test/test: attempt 2 of 3
    queued containerops/ci/push/test/test: Waiting: exit code 75 (temporary failure); attempt 2 of 3 follows
    ");
    let second = t.claims("test").await;
    assert_snapshot!(t.checks(&sha), @r"
    in_progress containerops/ci/push: Running: 0 of 1 actions have ended; test/test: attempt 2 of 3
    queued containerops/ci/push/test/test: Waiting: exit code 75 (temporary failure); attempt 2 of 3 follows
    ");
    second.says("still busy\n").await.exits(75).await;
    t.later(Duration::from_secs(30)).await;
    t.claims("test").await.says("well\n").await.exits(0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 49 s
    success containerops/ci/push/test/test: success in 49 s
    ");
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: exit code 75 (temporary failure) (19 bytes)
    test/test 2: exit code 75 (temporary failure) (11 bytes)
    test/test 3: success (5 bytes)
    ");
}

#[tokio::test]
async fn retries_are_limited_and_the_last_end_counts() {
    let t = Tester::start().await;
    let sha = t.push("main", "stages: [{name: test, image: alpine, run: ./test.sh, retry: 1}]").await;
    t.run_the_job("test", 3).await;
    t.run_the_job("test", 4).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in test/test: exit code 4 (attempt 2 of 2)
    failure containerops/ci/push/test/test: failure: exit code 4 (attempt 2 of 2)
    ");
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: exit code 3 (0 bytes)
    test/test 2: exit code 4 (0 bytes)
    ");
}

#[tokio::test]
async fn what_nobody_asked_for_is_not_tried_again() {
    let t = Tester::start().await;
    let sha = t.push("main", FLAKY).await;
    t.run_the_job("test", 1).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in test/test: exit code 1
    failure containerops/ci/push/test/test: failure: exit code 1
    ");
}

#[tokio::test]
async fn bad_luck_uses_up_no_retry() {
    let t = Tester::start().await;
    t.push("main", "stages: [{name: test, image: alpine, run: ./test.sh, retry: {max: 1, on: timeout}}]").await;
    t.claims("test").await;
    t.pods.dies("test.test", Infrastructure::Evicted, "the node was low on memory");
    t.settle().await;
    t.claims("test").await.ends(Cause::TimedOut).await;
    t.later(Duration::from_secs(30)).await;
    t.run_the_job("test", 0).await;
    t.read_writes();
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: infrastructure: evicted: the node was low on memory (0 bytes)
    test/test 2: timed out after 1 h 0 min (0 bytes)
    test/test 3: success (0 bytes)
    ");
}

#[tokio::test]
async fn whoever_cancels_wants_no_other_attempt() {
    let t = Tester::start().await;
    let sha = t.push("main", "stages: [{name: test, image: alpine, run: ./test.sh, retry: 3}]").await;
    let job = t.claims("test").await;
    t.cancel("Ada").await;
    job.exits(1).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in test/test: exit code 1
    failure containerops/ci/push/test/test: failure: exit code 1
    ");
}

#[tokio::test]
async fn a_strict_job_must_say_that_all_is_well() {
    let t = Tester::start().await;
    let sha = t.push("main", "stages: [{name: test, image: alpine, run: ./test.sh, strict: true}]").await;
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in test/test: no CO_RESULT, and the job is strict
    failure containerops/ci/push/test/test: failure: no CO_RESULT, and the job is strict
    ");
}
