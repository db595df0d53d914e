//! Deaths that are nobody's code's fault: tried again twice, each by its name, and never green.

use std::time::Duration;

use containerops::{
    agent::protocol::Cause,
    executor::{Hopeless, Why},
    model::Infrastructure,
};
use insta::assert_snapshot;

use super::{RUN, SMALL};
use crate::harness::{
    app::{Tester, WIDGET},
    pods::Fault,
};

/// The engine's pause before the last attempt.
const RETRY_PAUSE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_evicted_pod_is_tried_again_and_may_still_succeed() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let _lost = t.claims("test").await.says("half of it\n").await;
    t.pods.dies("test.test", Infrastructure::Evicted, "the node was low on memory");
    t.settle().await;
    assert_snapshot!(t.checks(&sha), @r"
    in_progress containerops/ci/push: Running: 0 of 1 actions have ended; test/test: infrastructure, attempt 2 of 3
    queued containerops/ci/push/test/test: Waiting: infrastructure: evicted: the node was low on memory; attempt 2 of 3 follows
    ");
    t.claims("test").await.says("all of it, now\n").await.exits(0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 7 s
    success containerops/ci/push/test/test: success in 7 s
    ");
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: infrastructure: evicted: the node was low on memory (11 bytes)
    test/test 2: success (15 bytes)
    ");
    assert_snapshot!(t.check(&sha, RUN).summary, @r"
    | Stage | Action | State | Duration |
    | --- | --- | --- | --- |
    | test | [test](https://ci.example.com/github/acme/widget/runs/1/test/test/test) | ✅ success, attempt 2 | 7 s |

    [The whole run](https://ci.example.com/github/acme/widget/runs/1)
    ");
}

#[tokio::test]
async fn three_deaths_are_an_error_that_keeps_each_log() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    for (kind, message) in [
        (Infrastructure::Evicted, "low on memory"),
        (Infrastructure::NodeLost, "node-1 is gone"),
        (Infrastructure::Preempted, "a more important pod"),
    ] {
        t.claims("test").await.says("trying\n").await;
        t.pods.dies("test.test", kind, message);
        t.settle().await;
        t.later(RETRY_PAUSE).await;
    }
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: infrastructure: test/test: all 3 attempts failed: preempted: a more important pod
    failure containerops/ci/push/test/test: infrastructure: all 3 attempts failed: preempted: a more important pod
    ");
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: infrastructure: evicted: low on memory (7 bytes)
    test/test 2: infrastructure: node lost: node-1 is gone (7 bytes)
    test/test 3: infrastructure: preempted: a more important pod (7 bytes)
    ");
}

#[tokio::test]
async fn the_last_attempt_is_not_made_at_once() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    for _ in 0..2 {
        t.pods.vanishes("test.test");
        t.settle().await;
    }
    assert!(t.pods.placed().is_empty(), "there is a pause");
    assert_snapshot!(t.checks(&sha), @r"
    queued containerops/ci/push: Waiting: infrastructure: pod deleted: nothing is left of it on the executor; attempt 3 of 3 follows
    queued containerops/ci/push/test/test: Waiting: infrastructure: pod deleted: nothing is left of it on the executor; attempt 3 of 3 follows
    ");
    t.later(RETRY_PAUSE).await;
    assert_eq!(t.pods.placed(), ["test.test"]);
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: infrastructure: pod deleted: nothing is left of it on the executor (0 bytes)
    test/test 2: infrastructure: pod deleted: nothing is left of it on the executor (0 bytes)
    test/test 3: waiting (0 bytes)
    ");
}

#[tokio::test]
async fn a_container_that_ends_without_a_word_is_never_green() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    for _ in 0..3 {
        t.claims("test").await;
        t.pods.ends_silently("test.test", 0);
        t.settle().await;
        t.later(RETRY_PAUSE).await;
    }
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: infrastructure: test/test: all 3 attempts failed: agent lost: the container ended with code 0 (Error) without the agent's end record
    failure containerops/ci/push/test/test: infrastructure: all 3 attempts failed: agent lost: the container ended with code 0 (Error) without the agent's end record
    ");
}

#[tokio::test]
async fn an_end_that_only_the_pod_can_tell_is_believed() {
    let t = Tester::start().await;
    let sha = t.push("main", &SMALL.replace("}]", ", timeout: 20m}]")).await;
    let agent = t.claims("test").await.says("all is well\n").await;
    t.pods.ends_with("test.test", &agent.record(Cause::TimedOut));
    t.settle().await;
    assert_eq!(t.check(&sha, RUN).title, "timed out in test/test: after 20 min 0 s");
}

#[tokio::test]
async fn a_success_with_half_its_log_says_so() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let agent = t.claims("test").await.says("half of it\n").await;
    let mut record = agent.record(Cause::Exit { code: 0 });
    record.log.length += 12;
    t.pods.ends_with("test.test", &record);
    t.settle().await;
    assert_snapshot!(t.checks(&sha), @r"
    neutral containerops/ci/push: warning: 1 action in 0 ms
    neutral containerops/ci/push/test/test: warning: success, but the last 12 bytes of its log are missing
    ");
}

#[tokio::test]
async fn a_record_of_another_job_proves_nothing() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    let mut record = agent.record(Cause::Exit { code: 0 });
    record.job = containerops::model::JobId::from_i64(7);
    t.pods.ends_with("test.test", &record);
    t.settle().await;
    assert_eq!(t.check(&sha, RUN).state, "in_progress", "it is tried again");
}

#[tokio::test]
async fn a_job_whose_source_did_not_come_is_tried_again() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    t.claims("test").await.ends(Cause::NotPrepared { message: "the disk is full".to_owned() }).await;
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: infrastructure: source not prepared: the disk is full (0 bytes)
    test/test 2: success (0 bytes)
    ");
    t.read_writes();
}

#[tokio::test]
async fn the_last_attempt_is_not_made_at_once_either_when_agents_say_why() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    for _ in 0..2 {
        t.claims("test").await.ends(Cause::NotPrepared { message: "the disk is full".to_owned() }).await;
        t.settle().await;
    }
    assert!(t.pods.placed().is_empty(), "there is a pause");
    t.later(RETRY_PAUSE).await;
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: infrastructure: source not prepared: the disk is full (0 bytes)
    test/test 2: infrastructure: source not prepared: the disk is full (0 bytes)
    test/test 3: success (0 bytes)
    ");
    t.read_writes();
}

#[tokio::test]
async fn a_pod_that_is_never_scheduled_waits_with_its_reason_then_is_an_error() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.pods.waits("test.test", "0/3 nodes are available: 3 Insufficient memory", None);
    t.settle().await;
    assert_snapshot!(t.checks(&sha), @r"
    queued containerops/ci/push: Waiting: 0/3 nodes are available: 3 Insufficient memory
    queued containerops/ci/push/test/test: Waiting: 0/3 nodes are available: 3 Insufficient memory
    ");
    for _ in 0..3 {
        let why = Why::Infrastructure(Infrastructure::Unschedulable, "Insufficient memory".to_owned());
        t.pods.waits("test.test", "", Some(Hopeless::all(why)));
        t.settle().await;
        t.later(RETRY_PAUSE).await;
    }
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: infrastructure: test/test: all 3 attempts failed: not scheduled: Insufficient memory
    failure containerops/ci/push/test/test: infrastructure: all 3 attempts failed: not scheduled: Insufficient memory
    ");
}

#[tokio::test]
async fn an_executor_that_is_away_is_waited_for() {
    let t = Tester::start().await;
    t.pods.fail_next(Fault::Away);
    let sha = t.commit("main", SMALL);
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.drain().await;
    assert_snapshot!(t.checks(&sha), @r"
    queued containerops/ci/push: Waiting: no route to host
    queued containerops/ci/push/test/test: Waiting: no route to host
    ");
    t.settle().await;
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 5 s
    success containerops/ci/push/test/test: success in 5 s
    ");
    assert_snapshot!(t.attempts().await, @"test/test 1: success (0 bytes)");
}

#[tokio::test]
async fn an_executor_that_refuses_is_not_asked_again() {
    let t = Tester::start().await;
    t.pods.fail_next(Fault::Refused);
    let sha = t.push("main", SMALL).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in test/test: refused: no such class
    failure containerops/ci/push/test/test: failure: refused: no such class
    ");
}

#[tokio::test]
async fn a_pod_that_was_placed_unheard_is_not_placed_twice() {
    let t = Tester::start().await;
    t.pods.fail_next(Fault::LostAnswer);
    t.push("main", SMALL).await;
    t.run_the_job("test", 0).await;
    assert_eq!(t.pods.most_placed(), 1);
    assert_snapshot!(t.attempts().await, @"test/test 1: success (0 bytes)");
    t.read_writes();
}
