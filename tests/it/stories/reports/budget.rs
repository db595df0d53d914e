//! GitHub takes so much in a minute and in an hour, and not more.

use std::time::Duration;

use super::PACE;
use crate::{
    harness::app::{Identity, Tester, WIDGET},
    stories::{ACTION, RUN, SMALL},
};
use containerops::executor::ExecutorKind;

const MINUTE: Duration = Duration::from_secs(61);
const ACTIONS: usize = 300;

/// One stage of so many actions.
fn wide(actions: usize) -> String {
    let actions: String =
        (0..actions).map(|n| format!("      - {{name: a{n}, image: \"rust:1\", run: cargo test}}\n")).collect();
    format!("stages:\n  - name: test\n    actions:\n{actions}")
}

#[tokio::test]
async fn every_last_word_of_a_wide_run_is_told_within_githubs_budget() {
    let t = Tester::start().await;
    t.github.takes_writes(&t.clock, 80, 500);
    let sha = t.push("main", &wide(ACTIONS)).await;
    let (taken, _) = t.github.budget();
    assert!((55..=60).contains(&taken), "some of a minute is kept: {taken}");
    let waits = t.report_rows(&sha).await.into_iter().find(|row| !row.is_acknowledged()).expect("not all is told");
    assert_eq!(
        waits.trouble,
        "waits: 80 calls a minute and 500 an hour are what github/acme takes, and the rest of them is kept for final states"
    );
    for _ in 0..3 {
        t.later(MINUTE).await;
    }
    let before = t.github.budget().0;
    assert!(before <= 500 - (ACTIONS + 1), "each context keeps its place: {before}");
    t.cancel("a test").await;
    let mut minutes = 0;
    while t.report_rows(&sha).await.iter().any(|row| !row.is_acknowledged()) {
        assert_eq!(t.github.now_shows(sha.as_str(), RUN).state, "cancelled", "the run comes first");
        minutes += 1;
        assert!(minutes <= 4, "not all is told after {minutes} minutes");
        t.later(MINUTE).await;
    }
    assert_eq!(t.github.budget().0, before + ACTIONS + 1, "one call for each");
    assert_eq!(t.github.budget().1, 0, "GitHub never had to refuse");
    t.read_writes();
}

#[tokio::test]
async fn a_crash_loop_does_not_spend_more() {
    let t = Tester::start().await;
    t.github.takes_writes(&t.clock, 80, 500);
    t.commit("main", &wide(120));
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.drain().await;
    for _ in 0..30 {
        t.restart().await;
        t.clock.advance(Duration::from_secs(1));
        t.drain().await;
    }
    assert_eq!(t.github.budget().1, 0, "GitHub never had to refuse");
    assert!(t.github.budget().0 <= 61, "{:?}", t.github.budget());
    t.read_writes();
}

#[tokio::test]
async fn what_changes_often_is_told_at_its_pace_and_an_end_at_once() {
    let t = Tester::start().await;
    let flow = wide(12);
    let sha = t.push("main", &flow).await;
    t.read_writes();
    for n in 0..10 {
        let agent = t.claims(&format!("test.a{n}.a{n}")).await;
        let record = agent.record(containerops::agent::protocol::Cause::Exit { code: 0 });
        agent.reports(&record).await;
        t.drain().await;
    }
    let of_run = |t: &Tester| t.github.writes().iter().filter(|write| write.context == RUN).count();
    assert_eq!(of_run(&t), 1, "ten ends within a moment are one change of the run");
    t.later(PACE).await;
    assert_eq!(of_run(&t), 1);
    assert!(t.github.now_shows(sha.as_str(), RUN).title.contains("10 of 12"));
    assert_eq!(t.github.now_shows(sha.as_str(), "containerops/ci/push/test/a3").state, "success", "told at once");
}

#[tokio::test]
async fn one_installations_limit_is_no_others() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.github.limit_next(Duration::from_secs(600));
    let agent = t.claims("test").await;
    t.later(PACE).await;
    agent.exits(0).await;
    let other = t.github.commit("other/gadget", "main", &[(".containerops.yml", SMALL.as_bytes()), ("a", b"1")]);
    t.deliver(t.github.push("other/gadget", "main")).await;
    t.settle().await;
    assert_eq!(t.github.now_shows(other.as_str(), RUN).state, "queued", "other's budget is its own");
    // what was under way with the call that was refused may have arrived
    assert_ne!(t.github.now_shows(sha.as_str(), RUN).state, "success", "acme's installation is limited");
    t.later(Duration::from_secs(601)).await;
    assert_eq!(t.github.now_shows(sha.as_str(), RUN).state, "success");
    t.read_writes();
}

#[tokio::test]
async fn a_limit_that_comes_again_is_waited_for_longer() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.github.fail_next(2, 429);
    t.run_the_job("test", 0).await;
    let calls = t.github.calls("").len();
    // a minute after the first, two after the next
    t.github.fail_next(2, 429);
    t.later(Duration::from_secs(60)).await;
    assert!(t.github.calls("").len() > calls);
    let calls = t.github.calls("").len();
    t.later(Duration::from_secs(61)).await;
    assert_eq!(t.github.calls("").len(), calls, "this time it is two minutes");
    t.later(Duration::from_secs(61)).await;
    assert_eq!(t.github.now_shows(sha.as_str(), RUN).state, "success");
    t.read_writes();
}

#[tokio::test]
async fn a_slow_call_holds_up_no_other() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    t.clock.advance(PACE);
    let held = t.github.hold_next();
    let app = t.app();
    let telling = tokio::spawn(async move { app.reporter.tell().await });
    held.arrived().await;
    let other = t.github.commit(WIDGET, "next", &[(".containerops.yml", SMALL.as_bytes()), ("a", b"1")]);
    t.deliver(t.github.push(WIDGET, "next")).await;
    t.settle().await;
    assert_eq!(t.github.now_shows(other.as_str(), RUN).state, "queued");
    held.go_on();
    telling.await.expect("no panic").expect("the database is there");
    agent.exits(0).await;
    assert_eq!(t.github.now_shows(sha.as_str(), RUN).state, "success");
    t.read_writes();
}

#[tokio::test]
async fn a_context_that_takes_no_more_statuses_is_left_and_says_so() {
    let t = Tester::start_as(Identity::Token, ExecutorKind::Process).await;
    let sha = t.push("main", SMALL).await;
    t.github.has_statuses(&sha, RUN, 1000);
    t.run_the_job("test", 0).await;
    let row = t.report_row(&sha, RUN).await;
    assert_eq!(row.trouble, "This SHA and context has reached the maximum number of statuses.");
    assert_eq!(t.github.now_shows(sha.as_str(), ACTION).state, "success", "the other context goes on");
    let calls = t.github.calls("POST").len();
    for _ in 0..5 {
        t.later(Duration::from_secs(24 * 3600)).await;
    }
    t.runs_again(t.newest_run().await.id).await;
    t.settle().await;
    t.run_the_job("test", 0).await;
    let of_action = t.github.calls("POST").len() - calls;
    assert!((1..=4).contains(&of_action), "the full context is not asked for again: {of_action} calls");
    assert!(t.report_row(&sha, RUN).await.trouble.contains("takes 1000 states of one context on one commit"));
    t.read_writes();
}
