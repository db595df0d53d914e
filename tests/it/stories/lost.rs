//! What webhooks did not bring runs late, and once.

use std::time::Duration;

use containerops::{executor::ExecutorKind, model::Sha};
use insta::assert_snapshot;

use super::{RUN, SMALL};
use crate::harness::{
    app::{GRACE, INTERVAL, Identity, Tester, WIDGET},
    github::Delivery,
};

const MINUTE: Duration = Duration::from_secs(60);
const OUR_HOOK: &str = "https://ci.example.com/hooks/github";

/// A service that knows the repository and has seen its heads.
async fn in_service() -> Tester {
    in_service_as(Identity::App).await
}

async fn in_service_as(identity: Identity) -> Tester {
    let t = Tester::start_as(identity, ExecutorKind::Process).await;
    t.push("main", SMALL).await;
    t.sweep().await;
    t
}

/// A change of the small flow, so that its commit is new.
fn changed(what: &str) -> String {
    format!("# {what}\n{SMALL}")
}

/// A push of which GitHub tells, but not to us.
fn dropped_push(t: &Tester, branch: &str, flow: &str) -> (Sha, Delivery) {
    let sha = t.commit(branch, flow);
    let delivery = t.github.push(WIDGET, branch);
    t.github.drops(delivery.clone());
    (sha, delivery)
}

/// The last delivery that is listed.
async fn last_delivery(t: &Tester) -> String {
    let all = t.deliveries().await;
    all.lines().last().unwrap_or_default().to_owned()
}

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
async fn a_push_that_is_too_large_for_a_webhook_is_found_by_its_head() {
    let t = in_service().await;
    let sha = t.commit("main", &changed("25 MB of images"));
    assert_eq!(t.sweep_after(INTERVAL).await, 0, "its webhook may be under way");
    assert_eq!(t.sweep_after(GRACE).await, 1);
    t.run_the_job("test", 0).await;
    let run = t.newest_run().await;
    assert_eq!((run.number, &run.sha, run.event.actor.as_str()), (2, &sha, "ada"));
    assert_eq!(run.event.base_sha, Some(t.run(run_one(&t).await).await.sha));
    assert_eq!(run.event.repository.installation, Some(crate::harness::github::INSTALLATION));
    let summary = t.check(&sha, RUN).summary;
    assert!(summary.starts_with("recovered, 7 min late"), "{summary}");
    assert_eq!(t.sweep_after(INTERVAL).await + t.sweep_after(INTERVAL).await, 0);
    assert_eq!(t.runs().await.lines().count(), 2);
}

async fn run_one(t: &Tester) -> containerops::model::RunId {
    let mut tx = t.app().engine.store.read().await.expect("the database is there");
    let filter = containerops::store::RunFilter { limit: 100, ..Default::default() };
    tx.runs(&filter).await.expect("runs").last().expect("the first").id
}

#[tokio::test]
async fn a_webhook_that_comes_after_its_head_was_found_starts_nothing() {
    let t = in_service().await;
    let sha = t.commit("main", &changed("slow"));
    let late = t.github.push(WIDGET, "main");
    t.sweep_after(INTERVAL).await;
    t.sweep_after(GRACE).await;
    t.deliver(late).await;
    t.settle().await;
    assert_eq!(t.runs().await.lines().count(), 2);
    let last = last_delivery(&t).await;
    assert!(
        last.starts_with("push: nothing: it came late: the sweep has found this head before, as delivery "),
        "{last}"
    );
    // and it may still be moved there by hand, from elsewhere
    t.push("main", &changed("another")).await;
    t.clock.advance(INTERVAL);
    t.github.force(WIDGET, "main", &sha);
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    assert_eq!(t.newest_run().await.sha, sha);
    assert_eq!(t.runs().await.lines().count(), 4);
    assert_eq!(t.sweep_after(INTERVAL).await + t.sweep_after(GRACE).await, 0);
    t.read_writes();
}

#[tokio::test]
async fn a_webhook_that_comes_in_the_grace_is_the_one() {
    let t = in_service().await;
    t.commit("main", &changed("slow"));
    t.sweep_after(INTERVAL).await;
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    assert_eq!(t.sweep_after(GRACE).await, 0);
    assert_eq!(t.runs().await.lines().count(), 2);
    assert_eq!(last_delivery(&t).await, "push: started 1");
    t.read_writes();
}

#[tokio::test]
async fn a_webhook_that_is_handled_before_the_sweeps_delivery_is_the_one() {
    let t = in_service().await;
    t.commit("main", &changed("slow"));
    t.sweep_after(INTERVAL).await;
    t.clock.advance(GRACE);
    // the webhook waits in the queue when the sweep looks
    t.deliver(t.github.push(WIDGET, "main")).await;
    assert_eq!(t.app().engine.recover().await.expect("no trouble"), 1);
    t.settle().await;
    assert_eq!(t.runs().await.lines().count(), 2);
    let last = last_delivery(&t).await;
    assert!(last.starts_with("push: nothing: its webhook came after all, as delivery "), "{last}");
    t.read_writes();
}

#[tokio::test]
async fn a_branch_that_goes_there_and_back_unheard_is_found() {
    let t = in_service().await;
    let first = t.newest_run().await.sha;
    t.push("main", &changed("second")).await;
    t.sweep_after(INTERVAL).await;
    t.clock.advance(4 * INTERVAL);
    t.sweep().await;
    t.github.force(WIDGET, "main", &first);
    t.sweep_after(INTERVAL).await;
    assert_eq!(t.sweep_after(GRACE).await, 1);
    assert_eq!(t.newest_run().await.sha, first);
    assert_eq!(t.runs().await.lines().count(), 3);
    t.read_writes();
}

#[tokio::test]
async fn webhooks_in_the_wrong_order_are_no_reason_to_run_anything_again() {
    let t = in_service().await;
    t.commit("main", &changed("second"));
    let second = t.github.push(WIDGET, "main");
    t.commit("main", &changed("third"));
    let third = t.github.push(WIDGET, "main");
    t.deliver(third).await;
    t.deliver(second).await;
    t.settle().await;
    assert_eq!(t.sweep_after(INTERVAL).await + t.sweep_after(GRACE).await + t.sweep_after(INTERVAL).await, 0);
    assert_eq!(t.runs().await.lines().count(), 3);
    t.read_writes();
}

#[tokio::test]
async fn a_pull_request_that_nobody_told_of_is_found_and_its_branch_runs_once() {
    let t = in_service().await;
    t.commit("idea", &changed("an idea"));
    let number = t.github.open_pull_request(WIDGET, "main", WIDGET, "idea");
    t.sweep_after(INTERVAL).await;
    assert_eq!(t.sweep_after(GRACE).await, 2);
    assert_snapshot!(t.deliveries().await.replace(&format!("#{number}"), "#N"), @r"
    push: started 1
    push: nothing: pull request #N is open from this branch: its run is the one
    pull_request: started 1
    ");
    let run = t.newest_run().await;
    assert_eq!(run.event.pull_request().map(|pull| (pull.number, pull.branch.as_str())), Some((number, "idea")));
    // new code for it is lost, too
    t.commit("idea", &changed("a better idea"));
    t.sweep_after(INTERVAL).await;
    assert_eq!(t.sweep_after(GRACE).await, 2);
    assert_eq!(t.runs().await.lines().count(), 3);
    t.read_writes();
}

#[tokio::test]
async fn a_forks_pull_request_that_is_found_is_as_little_trusted() {
    let t = in_service().await;
    t.github.commit("mallory/widget", "main", &[(".containerops.yml", b"stages: []")]);
    t.github.open_pull_request(WIDGET, "main", "mallory/widget", "main");
    t.sweep_after(INTERVAL).await;
    assert_eq!(t.sweep_after(GRACE).await, 1);
    assert_snapshot!(last_delivery(&t).await, @"pull_request: nothing: the code comes from the fork mallory/widget, and code that nobody vouches for is not run");
    t.read_writes();
}

#[tokio::test]
async fn tags_that_are_pushed_together_are_found_but_not_a_whole_history_of_them() {
    let flow = format!("on: [push, tag]\n{SMALL}");
    let t = Tester::start().await;
    let sha = t.push("main", &flow).await;
    t.sweep().await;
    for tag in ["v1", "v2", "v3", "v4"] {
        t.github.make_tag(WIDGET, "main", tag);
    }
    t.sweep_after(INTERVAL).await;
    assert_eq!(t.sweep_after(GRACE).await, 4);
    assert_eq!(t.runs().await.matches("tag queued").count(), 4);
    assert_eq!(t.newest_run().await.sha, sha);
    for n in 0..100 {
        t.github.make_tag(WIDGET, "main", &format!("old-{n}"));
    }
    t.sweep_after(INTERVAL).await;
    assert_eq!(t.sweep_after(GRACE).await + t.sweep_after(INTERVAL).await, 0);
    t.read_writes();
}

#[tokio::test]
async fn what_was_there_before_us_does_not_run() {
    let t = Tester::start().await;
    for n in 0..5 {
        t.commit(&format!("old-{n}"), &changed(&n.to_string()));
    }
    t.commit("main", SMALL);
    t.github.open_pull_request(WIDGET, "main", WIDGET, "old-0");
    t.github.drops(t.github.push(WIDGET, "old-1"));
    t.clock.advance(MINUTE);
    t.deliver(t.github.push(WIDGET, "main")).await;
    for _ in 0..4 {
        assert_eq!(t.sweep_after(INTERVAL).await, 0);
    }
    assert_eq!(t.runs().await, "#1 push queued\n");
    t.read_writes();
}

#[tokio::test]
async fn branches_of_a_merge_queue_and_branches_that_go_are_let_be() {
    let t = in_service().await;
    t.commit("gh-readonly-queue/main/pr-17", &changed("queued"));
    t.push("idea", &changed("idea")).await;
    t.sweep_after(INTERVAL).await;
    t.github.remove_branch(WIDGET, "idea");
    for _ in 0..3 {
        assert_eq!(t.sweep_after(INTERVAL).await, 0);
    }
    t.read_writes();
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
    t.github.drops(t.github.signed("ping", &crate::harness::github::fixture("ping")));
    t.github.drops(t.github.signed("pull_request", &crate::harness::github::fixture("pull_request_closed")));
    assert_eq!(t.sweep_after(INTERVAL).await, 0);
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

async fn trouble(t: &Tester, name: &str) -> String {
    let mut tx = t.app().engine.store.read().await.expect("the database is there");
    let sweep = tx.sweep(containerops::model::ForgeKind::Github, name).await.expect("the database is there");
    sweep.expect("it is swept").trouble
}

#[tokio::test]
async fn a_repository_that_is_gone_or_renamed_holds_up_no_other() {
    let t = in_service().await;
    for name in ["acme/gone", "acme/old"] {
        t.github.commit(name, "main", &[(".containerops.yml", SMALL.as_bytes())]);
        t.deliver(t.github.push(name, "main")).await;
        t.settle().await;
        t.sweep().await;
    }
    t.github.remove_repository("acme/gone");
    t.github.moved("acme/old", &format!("/repos/{WIDGET}"));
    t.commit("main", &changed("large"));
    t.sweep_after(INTERVAL).await;
    assert_eq!(t.sweep_after(GRACE).await, 1);
    assert_eq!(trouble(&t, "acme/gone").await, "github refused (404): Not Found");
    assert!(trouble(&t, "acme/old").await.starts_with("github refused (301)"));
    assert_eq!(trouble(&t, WIDGET).await, "");
    t.read_writes();
}

#[tokio::test]
async fn a_limit_is_obeyed_by_all_looks() {
    let t = in_service().await;
    t.github.commit("acme/other", "main", &[(".containerops.yml", SMALL.as_bytes())]);
    t.deliver(t.github.push("acme/other", "main")).await;
    t.settle().await;
    let (sha, _) = dropped_push(&t, "main", &changed("lost"));
    t.github.limit_next(10 * MINUTE);
    let before = t.github.calls("").len();
    for _ in 0..9 {
        t.sweep_after(MINUTE).await;
    }
    assert_eq!(t.github.calls("").len() - before, 1, "one call, which was told to wait");
    t.sweep_after(2 * MINUTE).await;
    t.redelivered().await;
    assert_eq!(t.newest_run().await.sha, sha);
    t.read_writes();
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let t = in_service().await;
    let (sha, _) = dropped_push(&t, "main", &changed("lost"));
    t.github.cut_next();
    t.sweep_after(INTERVAL).await;
    t.sweep_after(INTERVAL).await;
    t.redelivered().await;
    assert_eq!(t.newest_run().await.sha, sha);
    assert_eq!(t.runs().await.lines().count(), 2);
    t.read_writes();
}

#[tokio::test]
async fn what_is_lost_is_found_once_wherever_the_plug_is_pulled() {
    let t = in_service().await;
    let (lost, _) = dropped_push(&t, "main", &changed("lost"));
    let large = t.commit("idea", &changed("large"));
    for _ in 0..8 {
        t.clock.advance(GRACE);
        t.app().engine.recover().await.expect("no trouble");
        t.restart().await;
        t.redelivered().await;
        t.restart().await;
        t.app().engine.intake().await.expect("no trouble");
        t.restart().await;
    }
    t.settle().await;
    assert_eq!(t.runs().await.lines().count(), 3);
    for sha in [lost, large] {
        assert!(t.check(&sha, RUN).summary.starts_with("recovered, "));
    }
}
