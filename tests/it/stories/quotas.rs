//! Organisations that share a server: what they may use at once and in a month, whose turn it is, and what is said to
//! those who wait.

use std::time::Duration;

use containerops::model::{ForgeKind, Quota, QuotaScope, Sha};
use insta::assert_snapshot;

use super::{
    RUN, SMALL,
    caches::{agent_runs, finds_and_leaves},
};
use crate::harness::app::Tester;

const APP: &str = "beta/app";

fn server() -> QuotaScope {
    QuotaScope::Server
}

fn owner(name: &str) -> QuotaScope {
    QuotaScope::Owner(ForgeKind::Github, name.parse().expect("a name"))
}

fn actions(limit: i64) -> Quota {
    Quota { actions: Some(limit), ..Quota::default() }
}

async fn set(t: &Tester, scope: QuotaScope, quota: Quota) {
    t.app().engine.set_quota(&scope, &quota, "root").await.expect("the database is there");
}

/// A push to another organisation's repository.
async fn push_to(t: &Tester, repository: &str, flow: &str) -> Sha {
    let sha = t.github.commit(repository, "main", &[(".containerops.yml", flow.as_bytes())]);
    t.deliver(t.github.push(repository, "main")).await;
    t.settle().await;
    sha
}

fn wide(cells: usize) -> String {
    let cells: Vec<String> = (1..=cells).map(|cell| cell.to_string()).collect();
    let flow = r#"stages: [{name: test, actions: [{name: test, matrix: {N: [CELLS]}, image: "rust:1", run: make}]}]"#;
    flow.replace("CELLS", &cells.join(", "))
}

#[tokio::test]
async fn who_has_one_action_starts_next_though_others_have_hundreds_also_across_restarts() {
    let t = Tester::start().await;
    set(&t, server(), actions(10)).await;
    t.push("main", &wide(200)).await;
    assert_eq!(t.pods.placed().len(), 10);
    let beta = push_to(&t, APP, SMALL).await;
    t.restart().await;
    t.settle().await;
    assert_eq!(t.pods.placed().len(), 10, "there is no room");
    assert_snapshot!(t.check(&beta, RUN).title, @"Waiting: the server runs 10 of 10 actions");
    assert_snapshot!(t.check(&beta, "containerops/ci/push/test/test").title, @"Waiting: the server runs 10 of 10 actions");
    // somebody's action ends, and the server dies before anybody could see that there is room
    let first = t.claims("test.test-1.test").await;
    first.exits(0).await;
    t.restart().await;
    t.settle().await;
    assert_eq!(t.check(&beta, "containerops/ci/push/test/test").state, "queued");
    t.run_the_job("test", 0).await;
    assert_eq!(t.check(&beta, RUN).state, "success");
    assert_eq!(t.pods.placed().len(), 10, "whatever is free is used");
}

#[tokio::test]
async fn a_quota_that_is_reached_is_told_and_ends_by_itself() {
    let t = Tester::start().await;
    set(&t, owner("acme"), actions(1)).await;
    t.push("main", SMALL).await;
    let second = t.push("main", SMALL).await;
    push_to(&t, APP, SMALL).await;
    assert_eq!(t.pods.placed().len(), 2, "others have room");
    assert_snapshot!(t.runs().await, @r"
    #1 push queued
    #2 push queued: acme runs 1 of 1 action
    #1 push queued
    ");
    assert_snapshot!(t.checks(&second), @r"
    queued containerops/ci/push: Waiting: acme runs 1 of 1 action
    queued containerops/ci/push/test/test: Waiting: acme runs 1 of 1 action
    ");
    // who raises it lets them start
    set(&t, owner("acme"), actions(2)).await;
    t.settle().await;
    assert_eq!(t.pods.placed().len(), 3);
    assert_snapshot!(t.checks(&second), @r"
    queued containerops/ci/push: Waiting to start
    queued containerops/ci/push/test/test: Waiting to start
    ");
    // a run that waits for room is cancelled at once
    set(&t, owner("acme"), actions(0)).await;
    let third = t.push("main", SMALL).await;
    assert_snapshot!(t.check(&third, RUN).title, @"Waiting: acme may start no action for now");
    t.cancel("ada").await;
    assert_snapshot!(t.check(&third, RUN).title, @"cancelled by ada");
    // and without a quota nobody waits
    let fourth = t.push("main", SMALL).await;
    set(&t, owner("acme"), Quota::default()).await;
    t.settle().await;
    assert_eq!(t.pods.placed().len(), 4);
    assert_snapshot!(t.check(&fourth, RUN).title, @"Waiting to start");
}

#[tokio::test]
async fn cpu_and_memory_are_counted_by_what_flows_ask_for_and_what_never_fits_fails_when_it_is_planned() {
    let t = Tester::start().await;
    let limit = Quota { cpu: Some(2000), memory: Some(4 << 30), ..Quota::default() };
    set(&t, owner("acme"), limit).await;
    let asks =
        |cpu: &str, memory: &str| SMALL.replace('}', &format!(", resources: {{cpu: {cpu}, memory: {memory}}}}}"));
    t.push("main", &asks("1500m", "1Gi")).await;
    let waits = t.push("main", &asks("1", "1Gi")).await;
    assert_snapshot!(t.check(&waits, RUN).title, @"Waiting: acme has less than 1 CPU left of its 2");
    t.push("main", &asks("500m", "3Gi")).await;
    assert_eq!(t.pods.placed().len(), 2, "what fits passes by");
    let never = t.push("main", &asks("3", "8Gi")).await;
    assert_snapshot!(t.checks(&never), @"failure containerops/ci/push: action `test.test` can never run here: it needs 3 CPU, and acme may use 2 at once");
    // what was planned before the quota was lowered fails, too, and can be run again
    let lower = Quota { cpu: Some(900), ..Quota::default() };
    set(&t, owner("acme"), lower).await;
    t.settle().await;
    assert_snapshot!(t.checks(&waits), @r"
    failure containerops/ci/push: failure in test/test: refused: it needs 1 CPU, and acme may use 900m at once
    failure containerops/ci/push/test/test: failure: refused: it needs 1 CPU, and acme may use 900m at once
    ");
    set(&t, owner("acme"), Quota::default()).await;
    assert_snapshot!(t.runs().await, @r"
    #1 push queued
    #2 push failure
    #3 push queued
    #4 push failure: action `test.test` can never run here: it needs 3 CPU, and acme may use 2 at once
    ");
}

#[tokio::test]
async fn a_month_whose_minutes_are_used_up_is_told_at_once_and_the_next_one_begins_anew() {
    let t = Tester::start().await;
    set(&t, owner("acme"), Quota { minutes: Some(30), ..Quota::default() }).await;
    t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    t.clock.advance(Duration::from_secs(1800));
    agent.exits(0).await;
    let late = t.push("main", SMALL).await;
    assert_snapshot!(t.checks(&late), @r"
    failure containerops/ci/push: failure in test/test: refused: acme has used its 30 minutes of March; there are new ones on 1 April (UTC)
    failure containerops/ci/push/test/test: failure: refused: acme has used its 30 minutes of March; there are new ones on 1 April (UTC)
    ");
    let run = t.newest_run().await.id;
    // thirty-one days later
    t.clock.advance(Duration::from_secs(31 * 86_400));
    t.runs_again(run).await;
    t.settle().await;
    t.run_the_job("test", 0).await;
    assert_eq!(t.check(&late, RUN).state, "success");
}

#[tokio::test]
async fn what_is_kept_has_its_limit_caches_give_way_and_an_artifact_that_does_not_fit_is_refused() {
    let t = Tester::start().await;
    // three of ten bytes each
    set(&t, owner("acme"), Quota { storage: Some(35), ..Quota::default() }).await;
    for key in ["a", "b", "c"] {
        finds_and_leaves(&t, key, 1).await;
    }
    let exact = Some("hit by its key of branch main".to_owned());
    assert_eq!(finds_and_leaves(&t, "a", 1).await, exact, "three have room");
    finds_and_leaves(&t, "d", 1).await;
    assert_ne!(finds_and_leaves(&t, "b", 1).await, exact, "b was found least lately, and gave way");
    let limit = Quota { storage: Some(100_000), ..Quota::default() };
    set(&t, owner("acme"), limit).await;
    let run = "head -c 90000 /dev/urandom > out";
    let flow =
        format!("stages: [{{name: build, image: \"i:1\", run: \"{run}\", artifacts: [{{name: bin, paths: [out]}}]}}]");
    t.push("main", &flow).await;
    assert_eq!(agent_runs(&t, "build.build").await.0, Some(0), "one has room");
    let sha = t.push("main", &flow).await;
    let (code, log) = agent_runs(&t, "build.build").await;
    assert!(code == Some(1) && log.contains("of the 100 kB that it may"), "{log}");
    assert_snapshot!(t.check(&sha, RUN).title, @"failure in build/build: not kept: artifact bin could not be kept: the server refused artifacts with 400 Bad Request: it is not kept: acme k…");
}
