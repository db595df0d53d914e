//! Nobody knows what became of a call.

use std::time::Duration;

use super::PACE;
use crate::{
    harness::{
        app::{Identity, Tester},
        github::How,
    },
    stories::{ACTION, RUN, SMALL},
};
use containerops::executor::ExecutorKind;

const SIXTY_ERRORS: usize = 60;

/// A flow file with so many unknown keys.
fn broken(errors: usize) -> String {
    let keys: String = (0..errors).map(|n| format!("    key-{n}: 1\n")).collect();
    format!("stages:\n  - name: test\n    image: busybox\n    run: 'true'\n{keys}")
}

#[tokio::test]
async fn an_older_runs_call_that_is_under_way_does_not_have_the_last_word() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let older = t.newest_run().await.id;
    let agent = t.claims("test").await;
    t.clock.advance(PACE);
    let held = t.github.hold_next();
    let app = t.app();
    let telling = tokio::spawn(async move { app.reporter.tell().await });
    held.arrived().await;
    // while that call is under way the older run ends, and a newer one begins and ends
    agent.exits(1).await;
    let newer = t.runs_again(older).await;
    t.settle().await;
    t.run_the_job("test", 0).await;
    held.go_on();
    telling.await.expect("no panic").expect("the database is there");
    t.settle().await;
    for context in [RUN, ACTION] {
        let shown = t.github.now_shows(sha.as_str(), context);
        assert_eq!(shown.state, "success", "{context}");
        assert!(shown.external_id.starts_with(&newer.to_string()), "{context}: {}", shown.external_id);
        assert_eq!(t.github.checks_of_name(sha.as_str(), context), 1, "updated by its id");
    }
    t.read_writes();
}

#[tokio::test]
async fn a_state_that_lands_late_over_a_newer_one_is_written_over_again() {
    for identity in [Identity::App, Identity::Token] {
        let t = Tester::start_as(identity, ExecutorKind::Process).await;
        let sha = t.push("main", SMALL).await;
        let agent = t.claims("test").await;
        t.clock.advance(PACE);
        // both calls that say `running` are given up by GitHub, and carried out a minute later
        t.github.late_next();
        t.github.late_next();
        t.drain().await;
        agent.exits(0).await;
        t.later(Duration::from_secs(10)).await;
        assert_eq!(t.github.now_shows(sha.as_str(), RUN).state, "success");
        t.github.land().await;
        assert_ne!(
            t.github.now_shows(sha.as_str(), RUN).state,
            "success",
            "{identity:?}: the older state is the newest"
        );
        t.later(Duration::from_secs(31)).await;
        for context in [RUN, ACTION] {
            assert_eq!(t.github.now_shows(sha.as_str(), context).state, "success", "{identity:?} {context}");
        }
        t.read_writes();
    }
}

#[tokio::test]
async fn a_check_that_was_made_unheard_is_found_and_not_made_twice() {
    let t = Tester::start().await;
    let sha = t.commit("main", SMALL);
    t.deliver(t.github.push("acme/widget", "main")).await;
    t.app().engine.intake().await.expect("it is read");
    t.github.cut_next();
    t.github.cut_next();
    t.drain().await;
    assert!(t.report_rows(&sha).await.iter().all(|row| row.is_in_doubt()), "nobody heard of the two checks");
    t.later(PACE).await;
    t.run_the_job("test", 0).await;
    for context in [RUN, ACTION] {
        assert_eq!(t.github.checks_of_name(sha.as_str(), context), 1);
        assert_eq!(t.github.now_shows(sha.as_str(), context).state, "success");
    }
    t.read_writes();
}

#[tokio::test]
async fn of_two_checks_of_one_name_the_one_that_is_shown_is_told() {
    let t = Tester::start().await;
    let sha = t.commit("main", SMALL);
    t.deliver(t.github.push("acme/widget", "main")).await;
    t.app().engine.intake().await.expect("it is read");
    t.github.late_next();
    t.github.late_next();
    t.drain().await;
    // nothing is there yet, so checks are made; then GitHub makes the first ones after all
    t.run_the_job("test", 0).await;
    t.later(Duration::from_secs(10)).await;
    t.github.land().await;
    assert_eq!(t.github.checks_of_name(sha.as_str(), RUN), 2);
    assert_eq!(t.github.now_shows(sha.as_str(), RUN).state, "queued", "the newer one hides the older");
    t.later(Duration::from_secs(31)).await;
    for context in [RUN, ACTION] {
        assert_eq!(t.github.now_shows(sha.as_str(), context).state, "success");
    }
    t.read_writes();
}

#[tokio::test]
async fn a_call_that_died_with_the_service_is_looked_for_before_it_is_made_again() {
    let t = Tester::start().await;
    let sha = t.commit("main", SMALL);
    t.deliver(t.github.push("acme/widget", "main")).await;
    t.app().engine.intake().await.expect("it is read");
    let begun = t.app().reporter.errands().await.expect("the database is there");
    assert_eq!(begun.len(), 2);
    let held = t.github.hold_next();
    let app = t.app();
    let dying = tokio::spawn(async move {
        for errand in begun {
            let _ = app.reporter.run(errand).await;
        }
    });
    held.arrived().await;
    dying.abort();
    t.restart().await;
    held.go_on();
    // on a database that others share, nobody knows at once that whoever made it is gone
    t.later(Duration::from_secs(3 * 60)).await;
    t.run_the_job("test", 0).await;
    for context in [RUN, ACTION] {
        assert_eq!(t.github.checks_of_name(sha.as_str(), context), 1);
        assert_eq!(t.github.now_shows(sha.as_str(), context).state, "success");
    }
    t.read_writes();
}

#[tokio::test]
async fn a_call_that_nobody_hears_of_is_given_up_and_asked_about() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    t.clock.advance(PACE);
    let begun = t.app().reporter.errands().await.expect("the database is there");
    assert!(!begun.is_empty());
    drop(begun);
    agent.exits(0).await;
    assert_eq!(t.github.now_shows(sha.as_str(), ACTION).state, "queued", "one call of a context at a time");
    t.later(Duration::from_secs(3 * 60)).await;
    assert_eq!(t.github.now_shows(sha.as_str(), ACTION).state, "success");
    t.read_writes();
}

#[tokio::test]
async fn annotations_are_told_in_batches_and_none_twice_though_an_answer_is_lost() {
    let t = Tester::start().await;
    // the first batch is done, and its answer lost; then the second one is
    for lost in 0..3 {
        let sha = t.commit("main", &broken(SIXTY_ERRORS + lost));
        t.deliver(t.github.push("acme/widget", "main")).await;
        t.app().engine.intake().await.expect("it is read");
        for _ in 0..lost {
            t.github.cut_next();
            t.app().reporter.tell().await.expect("the database is there");
            t.restart().await;
            t.later(Duration::from_secs(2)).await;
        }
        t.settle().await;
        let check = t.github.now_shows(sha.as_str(), RUN);
        let messages: std::collections::BTreeSet<_> = check.annotations.iter().collect();
        assert_eq!((check.annotations.len(), messages.len()), (SIXTY_ERRORS + lost, SIXTY_ERRORS + lost), "{lost}");
        assert_eq!(check.state, "failure");
        assert!(t.report_row(&sha, RUN).await.is_acknowledged());
    }
    t.read_writes();
}

#[tokio::test]
async fn a_rerun_does_not_double_annotations() {
    let t = Tester::start().await;
    let sha = t.push("main", &broken(SIXTY_ERRORS)).await;
    let run = t.newest_run().await.id;
    t.runs_again(run).await;
    t.settle().await;
    let check = t.github.now_shows(sha.as_str(), RUN);
    assert_eq!((check.how, check.annotations.len()), (How::Updated, SIXTY_ERRORS));
    t.read_writes();
}
