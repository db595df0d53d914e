//! What GitHub could not deliver is asked for again.

use insta::assert_snapshot;

use super::{MINUTE, changed, dropped_push, in_service, in_service_as, trouble};
use crate::{
    harness::{
        app::{GRACE, INTERVAL, Identity, Tester, WIDGET},
        github::fixture,
    },
    stories::RUN,
};

const OUR_HOOK: &str = "https://ci.example.com/hooks/github";

/// What the newest run, its delivery and the API say.
async fn pages(t: &Tester) -> (String, String, serde_json::Value) {
    let run = t.newest_run().await;
    let get = async |path: String| t.http.get(format!("{}{path}", t.url())).send().await.expect("it answers");
    let page = get(format!("/github/{WIDGET}/runs/{}", run.number)).await.text().await.expect("a page");
    let delivery = get(format!("/deliveries/{}", run.delivery_id.expect("a delivery"))).await;
    let api = get(format!("/api/v1/runs/{}", run.id)).await.json().await.expect("JSON");
    (page, delivery.text().await.expect("a page"), api)
}

#[tokio::test]
async fn a_dropped_push_is_delivered_again_runs_once_and_says_so() {
    let t = in_service().await;
    t.clock.advance(MINUTE);
    let (sha, _) = dropped_push(&t, "main", &changed("lost"));
    assert_eq!(t.sweep_after(4 * MINUTE).await, 1);
    assert_eq!(t.redelivered().await, 1);
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.runs().await, @r"
    #1 push queued
    #2 push success
    ");
    let check = t.check(&sha, RUN);
    assert!(
        check.summary.starts_with("recovered, 4 min late: its webhook did not come in time\n"),
        "{}",
        check.summary
    );
    let (run, delivery, api) = pages(&t).await;
    assert!(run.contains("recovered, 4 min late"), "{run}");
    assert!(delivery.contains("recovered, 4 min late"), "{delivery}");
    assert_snapshot!(api["recovered"], @r#"{"late_seconds":243,"words":"recovered, 4 min late"}"#);
    assert_eq!(t.sweep_after(INTERVAL).await + t.sweep_after(INTERVAL).await, 0, "it is not asked for again");
    assert_eq!(t.runs().await.lines().count(), 2);
}

#[tokio::test]
async fn an_hour_of_absence_is_made_up_for_once() {
    let t = in_service().await;
    t.github.page(3);
    let mut shas = Vec::new();
    for n in 0..10 {
        t.clock.advance(6 * MINUTE);
        shas.push(dropped_push(&t, &format!("branch-{n}"), &changed(&n.to_string())).0);
    }
    t.restart().await;
    let mut asked = t.sweep().await;
    while t.redelivered().await > 0 {
        asked += t.sweep_after(INTERVAL).await;
    }
    asked += t.sweep_after(GRACE).await + t.sweep_after(INTERVAL).await;
    assert_eq!(asked, 10, "each was asked for once");
    assert_eq!(t.runs().await.lines().count(), 11);
    for sha in shas {
        assert!(t.check(&sha, RUN).summary.starts_with("recovered, "));
    }
}

#[tokio::test]
async fn no_more_is_asked_for_in_a_minute_than_github_takes_also_in_a_crash_loop() {
    let t = in_service().await;
    for n in 0..100 {
        dropped_push(&t, &format!("branch-{n}"), &changed(&n.to_string()));
    }
    t.clock.advance(INTERVAL);
    for _ in 0..5 {
        t.restart().await;
        t.app().engine.recover().await.expect("no trouble");
    }
    assert_eq!(t.github.asked().len(), 80);
    t.clock.advance(MINUTE + MINUTE / 30);
    t.app().engine.recover().await.expect("no trouble");
    assert_eq!(t.github.asked().len(), 20);
    t.read_writes();
}

#[tokio::test]
async fn what_fails_again_is_asked_for_again_but_not_for_ever() {
    let t = in_service().await;
    let (_, delivery) = dropped_push(&t, "main", &changed("lost"));
    let mut asked = Vec::new();
    for minute in (0..3 * 24 * 60).step_by(5) {
        t.clock.advance(5 * MINUTE);
        t.app().engine.recover().await.expect("no trouble");
        for delivery in t.github.asked() {
            asked.push(minute);
            t.github.drops(delivery);
        }
    }
    assert_eq!(asked.len(), 5, "{asked:?}");
    t.settle().await;
    assert_eq!(t.runs().await.lines().count(), 2, "its head was found instead");
    t.deliver(delivery).await;
    t.settle().await;
    assert_eq!(t.runs().await.lines().count(), 2);
    t.read_writes();
}

#[tokio::test]
async fn what_we_took_though_github_heard_no_answer_is_not_asked_for() {
    let t = in_service().await;
    t.commit("main", &changed("slow answer"));
    let delivery = t.github.push(WIDGET, "main");
    t.deliver(delivery.clone()).await;
    t.github.tried(delivery, 504);
    assert_eq!(t.sweep_after(INTERVAL).await + t.sweep_after(INTERVAL).await, 0);
    assert!(t.github.asked().is_empty());
    t.read_writes();
}

#[tokio::test]
async fn what_starts_nothing_is_not_asked_for() {
    let t = in_service().await;
    t.github.drops(t.github.signed("ping", &fixture("ping")));
    let mut labelled = fixture("pull_request_closed");
    labelled["action"] = "labeled".into();
    t.github.drops(t.github.signed("pull_request", &labelled));
    assert_eq!(t.sweep_after(INTERVAL).await, 0);
    // but what ends something is
    t.github.drops(t.github.signed("pull_request", &fixture("pull_request_closed")));
    assert_eq!(t.sweep_after(INTERVAL).await, 1);
    t.read_writes();
}

#[tokio::test]
async fn a_token_finds_what_the_repositorys_own_hook_could_not_deliver() {
    let t = in_service_as(Identity::Token).await;
    t.github.add_hook(WIDGET, OUR_HOOK);
    let (sha, _) = dropped_push(&t, "main", &changed("lost"));
    assert_eq!(t.sweep_after(INTERVAL).await, 1);
    assert_eq!(t.redelivered().await, 1);
    assert_eq!(t.newest_run().await.sha, sha);
    assert_eq!(t.sweep_after(INTERVAL).await + t.sweep_after(GRACE).await, 0);
    assert_eq!(t.runs().await.lines().count(), 2);
    t.read_writes();
}

#[tokio::test]
async fn a_token_that_may_not_see_hooks_says_so_and_finds_heads_as_often() {
    let t = in_service_as(Identity::Token).await;
    t.github.hide_hooks();
    let (sha, _) = dropped_push(&t, "main", &changed("lost"));
    t.sweep_after(INTERVAL).await;
    assert_eq!(t.sweep_after(GRACE).await, 1);
    assert_eq!(t.newest_run().await.sha, sha);
    assert_snapshot!(trouble(&t, WIDGET).await, @"github refused (403): Resource not accessible by personal access token; to find deliveries that failed, the token needs the permission `Webhooks: read and write` of acme/widget");
    t.read_writes();
}
