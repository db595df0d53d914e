//! What no webhook was sent for is found where it is.

use containerops::model::{ForgeKind, Visibility};
use insta::assert_snapshot;

use super::{MINUTE, changed, in_service};
use crate::{
    harness::{
        app::{GRACE, INTERVAL, Tester, WIDGET},
        github::INSTALLATION,
    },
    stories::{RUN, SMALL},
};

/// The last delivery that is listed.
async fn last_delivery(t: &Tester) -> String {
    let all = t.deliveries().await;
    all.lines().last().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_push_that_is_too_large_for_a_webhook_is_found_by_its_head() {
    let t = in_service().await;
    let before = t.newest_run().await.sha;
    let sha = t.commit("main", &changed("25 MB of images"));
    assert_eq!(t.sweep_after(INTERVAL).await, 0, "its webhook may be under way");
    assert_eq!(t.sweep_after(GRACE).await, 1);
    t.run_the_job("test", 0).await;
    let run = t.newest_run().await;
    assert_eq!((run.number, &run.sha, run.event.actor.as_str()), (2, &sha, "ada"));
    assert_eq!(run.event.base_sha, Some(before));
    assert_eq!(run.event.repository.installation, Some(INSTALLATION));
    let summary = t.check(&sha, RUN).summary;
    assert!(summary.starts_with("recovered, 7 min late"), "{summary}");
    assert_eq!(t.sweep_after(INTERVAL).await + t.sweep_after(INTERVAL).await, 0);
    assert_eq!(t.runs().await.lines().count(), 2);
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
    let pull = run.event.pull_request().expect("a pull request");
    assert_eq!(
        (pull.number, pull.branch.as_str(), pull.labels.as_slice()),
        (number, "idea", &["counting".to_owned()][..])
    );
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
    assert_snapshot!(last_delivery(&t).await, @"pull_request: started 1");
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
async fn who_may_see_a_repository_is_asked_together_with_its_heads() {
    let t = in_service().await;
    let visibility = async || {
        let mut tx = t.app().engine.store.read().await.expect("the database is there");
        let row = tx.repository_named(ForgeKind::Github, &WIDGET.parse().expect("a name")).await;
        row.expect("the database is there").expect("it is known").facts.visibility
    };
    assert_eq!(visibility().await, Visibility::Public);
    let old = t.github.push(WIDGET, "main");
    t.github.is_private(WIDGET, true);
    t.sweep_after(INTERVAL).await;
    assert_eq!(visibility().await, Visibility::Private);
    // what was recorded when it was public makes it public no more
    t.deliver(old).await;
    t.settle().await;
    assert_eq!(visibility().await, Visibility::Private);
    t.github.is_private(WIDGET, false);
    t.sweep_after(INTERVAL).await;
    assert_eq!(visibility().await, Visibility::Public);
    t.read_writes();
}
