//! GitHub is away, slow, or asks for patience: nothing is lost, and nothing is said twice.

use std::time::Duration;

use insta::assert_snapshot;

use super::{RUN, SMALL};
use crate::harness::{
    app::{Tester, WIDGET},
    github::How,
};

#[tokio::test]
async fn what_a_broken_github_did_not_take_it_is_told_later() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let before = t.checks(&sha);
    // two calls, and the look at what became of them
    t.github.fail_next(3, 503);
    t.run_the_job("test", 0).await;
    assert_eq!(t.checks(&sha), before, "nobody has been told of the end");
    t.later(Duration::from_secs(10)).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 5 s
    success containerops/ci/push/test/test: success in 5 s
    ");
}

#[tokio::test]
async fn an_end_that_comes_while_github_is_away_is_told_alone() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    t.read_writes();
    let agent = t.claims("test").await;
    t.github.fail_next(2, 502);
    t.drain().await;
    agent.exits(0).await;
    t.later(Duration::from_secs(5)).await;
    assert_eq!(t.read_writes(), 2, "one for the run and one for the action: `in_progress` is no news any more");
}

#[tokio::test]
async fn an_answer_that_was_lost_changes_nothing() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.read_writes();
    t.github.cut_next();
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 5 s
    success containerops/ci/push/test/test: success in 5 s
    ");
    assert_eq!(t.check(&sha, RUN).how, How::Updated);
}

#[tokio::test]
async fn a_limit_is_obeyed_for_all_that_is_to_be_told() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let calls = t.github.calls("").len();
    t.github.limit_next(Duration::from_secs(600));
    let agent = t.claims("test").await;
    t.drain().await;
    t.later(Duration::from_secs(300)).await;
    assert!(t.github.calls("").len() <= calls + 2, "GitHub is asked no more");
    agent.exits(0).await;
    assert!(t.github.calls("").len() <= calls + 2, "GitHub is still asked no more");
    t.later(Duration::from_secs(301)).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 5 min 5 s
    success containerops/ci/push/test/test: success in 5 min 5 s
    ");
}

#[tokio::test]
async fn a_delivery_waits_for_a_github_that_is_away() {
    let t = Tester::start().await;
    let sha = t.commit("main", SMALL);
    t.github.fail_next(1, 500);
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.drain().await;
    assert_snapshot!(t.deliveries().await, @"push: waits: github is away: it answered 500 Internal Server Error: on demand");
    assert_eq!(t.runs().await, "");
    t.later(Duration::from_secs(2)).await;
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.deliveries().await, @"push: started 1");
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 5 s
    success containerops/ci/push/test/test: success in 5 s
    ");
}

#[tokio::test]
async fn a_run_waits_for_its_source_and_says_so() {
    let t = Tester::start().await;
    let sha = t.commit("main", SMALL);
    let repository = format!("{}/{WIDGET}.git", t.github.url().trim_start_matches("file://"));
    std::fs::rename(&repository, format!("{repository}-away")).expect("it is there");
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    let away = t.check(&sha, RUN);
    assert_eq!(away.state, "queued");
    assert!(away.title.starts_with("Waiting: the source is away: "), "{}", away.title);
    std::fs::rename(format!("{repository}-away"), &repository).expect("it is there");
    t.later(Duration::from_secs(60)).await;
    t.run_the_job("test", 0).await;
    assert_eq!(t.check(&sha, RUN).state, "success");
}

#[tokio::test]
async fn a_refusal_does_not_hold_up_the_run() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.github.fail_next(2, 422);
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.runs().await, @"#1 push success");
    t.later(Duration::from_secs(15 * 60)).await;
    assert_eq!(t.check(&sha, RUN).state, "success", "it is told once more, seldom");
}

#[tokio::test]
async fn what_github_shows_already_is_not_said_again() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    t.run_the_job("test", 0).await;
    assert!(t.read_writes() > 0);
    for _ in 0..3 {
        t.later(Duration::from_secs(3600)).await;
    }
    assert_eq!(t.read_writes(), 0);
}

#[tokio::test]
async fn a_check_that_github_has_forgotten_is_made_anew() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.read_writes();
    t.github.remove_checks();
    t.run_the_job("test", 0).await;
    assert_eq!((t.check(&sha, RUN).how, t.check(&sha, RUN).state.as_str()), (How::Created, "success"));
}
