//! The walk of a push, a pull request, a tag and a comment, where the forge is a Gitea or a Forgejo.

use std::time::Duration;

use insta::assert_snapshot;
use reqwest::StatusCode;

use super::SMALL;
use crate::harness::{
    app::{GRACE, INTERVAL, WIDGET},
    gitea::GiteaStory,
};

const LABELLED: &str = r#"stages: [{name: test, image: "rust:1", run: cargo test, when: '"counting" in pr.labels'}]"#;
const NOTHING: [&str; 0] = [];

/// What one or the other is told of a green push and a red one.
async fn told(forgejo: bool) -> String {
    let t = GiteaStory::start().await;
    t.gitea.is(|quirks| quirks.forgejo = forgejo);
    let sha = t.pushes("main", SMALL).await;
    let mut told = t.statuses(&sha);
    let agent = t.claims("test").await;
    // the source is fetched with the token, which stands in no pod
    assert_eq!(agent.fetches_source().await, StatusCode::OK);
    agent.exits(0).await;
    told += &t.statuses(&sha);
    let run = t.newest_run().await;
    assert_eq!((run.event.actor.as_str(), run.event.title.as_str()), ("ada", "Change 1 files"));
    let red = t.pushes("main", &format!("{SMALL}\n")).await;
    t.run_the_job("test", 3).await;
    told += &t.statuses(&red);
    assert_eq!(t.read_statuses(), 0, "nothing is told twice");
    told
}

#[tokio::test]
async fn a_push_is_built_and_told_by_statuses() {
    let gitea = told(false).await;
    assert_snapshot!(gitea, @r"
    pending containerops/ci/push: Waiting to start
    pending containerops/ci/push/test/test: Waiting to start
    success containerops/ci/push: 1 action in 5 s
    success containerops/ci/push/test/test: success in 5 s
    failure containerops/ci/push: failure in test/test: exit code 3
    failure containerops/ci/push/test/test: failure: exit code 3
    ");
    assert_eq!(told(true).await, gitea, "Forgejo");
}

#[tokio::test]
async fn a_delivery_is_taken_once_and_a_forged_one_not_at_all() {
    let t = GiteaStory::start().await;
    t.gitea.is(|quirks| quirks.forgejo = true);
    t.commits("main", SMALL);
    let delivery = t.gitea.push(WIDGET, "main");
    let mut forged = delivery.clone();
    let wrong = "00".repeat(32).parse().expect("a header");
    forged.headers.insert("x-forgejo-signature", wrong);
    assert_eq!(t.send("gitea", forged).await.0, StatusCode::UNAUTHORIZED, "what Gitea's header proves is no matter");
    assert_eq!(t.deliveries().await, "");
    t.delivers(delivery.clone()).await;
    t.delivers(delivery.clone()).await;
    // what is right for Gitea is nothing to GitHub
    assert_eq!(t.send("github", delivery).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(t.deliveries().await, "push: started 1\n");
    t.read_statuses();
}

#[tokio::test]
async fn a_tag_runs_once_though_two_events_tell_of_it() {
    let t = GiteaStory::start().await;
    let flow = format!("on: [push, tag]\n{SMALL}");
    let sha = t.pushes("main", &flow).await;
    let [push, create] = t.gitea.tag(WIDGET, "main", "v1.0.0");
    t.delivers(create).await;
    t.delivers(push).await;
    assert_snapshot!(t.deliveries().await, @r"
    push: started 1
    create: nothing: the tag v1.0.0 was made; its `push` event counts
    push: started 1
    ");
    assert_eq!(t.newest_run().await.sha, sha, "the commit, and not the tag's own object");
    t.read_statuses();
}

#[tokio::test]
async fn a_pull_request_of_ours_runs_and_its_branch_does_not_run_beside_it() {
    let t = GiteaStory::start().await;
    t.commits("main", SMALL);
    let sha = t.commits("twice", LABELLED);
    let number = t.gitea.open_pull_request(WIDGET, "main", WIDGET, "twice");
    t.delivers(t.gitea.pull_request(WIDGET, number, "opened")).await;
    t.delivers(t.gitea.push(WIDGET, "twice")).await;
    let agent = t.claims("test").await;
    assert_eq!(agent.fetches_source().await, StatusCode::OK);
    agent.exits(0).await;
    assert_snapshot!(t.statuses(&sha), @r"
    success containerops/ci/pr: 1 action in 5 s
    success containerops/ci/pr/test/test: success in 5 s
    ");
    t.commits("twice", &format!("{SMALL}\n\n"));
    t.delivers(t.gitea.pull_request(WIDGET, number, "synchronized")).await;
    t.delivers(t.gitea.pull_request(WIDGET, number, "label_updated")).await;
    assert_snapshot!(t.deliveries().await.replace(&format!("#{number}"), "#N"), @r"
    pull_request: started 1
    push: nothing: pull request #N is open from this branch: its run is the one
    pull_request: started 1
    pull_request: nothing: `pull_request` events with the action `label_updated` start nothing
    ");
    t.read_statuses();
}

#[tokio::test]
async fn a_forks_pull_request_is_not_trusted() {
    let t = GiteaStory::start().await;
    t.commits("main", SMALL);
    t.gitea.commit("mallory/widget", "main", &[("gift.sh", b"rm -rf /")]);
    let number = t.gitea.open_pull_request(WIDGET, "main", "mallory/widget", "main");
    t.delivers(t.gitea.pull_request(WIDGET, number, "opened")).await;
    let runs = t.runs().await;
    assert!(runs.contains("waits for approval: the code comes from the fork mallory/widget"), "{runs}");
    t.read_statuses();
}

#[tokio::test]
async fn comments_and_reviews_are_obeyed_and_answered() {
    let t = GiteaStory::start().await;
    t.gitea.allows("ada", "admin");
    t.gitea.allows("eve", "read");
    t.commits("main", SMALL);
    t.commits("twice", &format!("{SMALL}\n"));
    let number = t.gitea.open_pull_request(WIDGET, "main", WIDGET, "twice");
    t.delivers(t.gitea.pull_request(WIDGET, number, "opened")).await;
    t.run_the_job("test", 1).await;
    t.delivers(t.gitea.comment(WIDGET, number, "eve", "/retest")).await;
    assert_eq!(t.gitea.answers(), NOTHING, "nobody can make us write");
    t.delivers(t.gitea.comment(WIDGET, number, "ada", "> /cancel\n\n/retest")).await;
    assert_eq!(t.gitea.answers(), ["comment 5031: +1"]);
    t.run_the_job("test", 0).await;
    // a review has nothing to put a thumb up to
    t.delivers(t.gitea.review(WIDGET, number, "ada", "/retest")).await;
    let answers = t.gitea.answers().join("\n");
    assert_snapshot!(answers.replace(&format!("{number}: "), "N: "), @"N: `/retest`: nothing has failed here");
    t.delivers(t.gitea.review(WIDGET, number, "ada", "/approve")).await;
    assert_eq!(t.gitea.answers().len(), 1);
    t.read_statuses();
}

#[tokio::test]
async fn a_forge_that_is_away_or_busy_is_told_later() {
    let t = GiteaStory::start().await;
    let sha = t.pushes("main", SMALL).await;
    t.read_statuses();
    let agent = t.claims("test").await;
    t.settle().await;
    t.read_statuses();
    t.gitea.fail_next(1, 502);
    t.gitea.limit_next(Duration::from_secs(30));
    agent.exits(0).await;
    t.passes(Duration::from_secs(300)).await;
    assert_snapshot!(t.statuses(&sha), @r"
    success containerops/ci/push: 1 action in 7 s
    success containerops/ci/push/test/test: success in 7 s
    ");
    let run = "containerops/ci/push";
    t.gitea.somebody_posts(&sha, run, "failure");
    assert!(!t.gitea.calls(&format!("/commits/{sha}/status")).is_empty(), "what it shows is read back");
}

#[tokio::test]
async fn what_no_webhook_brought_is_found_by_heads() {
    let t = GiteaStory::start().await;
    t.gitea.is(|quirks| quirks.page = 2);
    t.pushes("main", &format!("on: [push, tag, pull_request]\n{SMALL}")).await;
    t.sweep().await;
    let sha = t.commits("main", &format!("on: [push, tag, pull_request]\n{SMALL}\n"));
    t.gitea.make_tag(WIDGET, "main", "v2");
    for branch in ["a", "b", "c"] {
        t.gitea.commit(WIDGET, branch, &[("x", branch.as_bytes())]);
    }
    t.commits("twice", &format!("{SMALL}\n\n"));
    t.gitea.open_pull_request(WIDGET, "main", WIDGET, "twice");
    t.gitea.commit("mallory/widget", "main", &[("gift.sh", b"rm -rf /")]);
    t.gitea.open_pull_request(WIDGET, "main", "mallory/widget", "main");
    let late = t.gitea.push(WIDGET, "main");
    assert_eq!(t.sweep_after(INTERVAL).await, 0, "webhooks may be under way");
    // main, three branches, twice and its pull request, the fork's, the tag
    assert_eq!(t.sweep_after(GRACE).await, 8);
    let all = t.deliveries().await;
    assert_eq!(all.matches("started 1").count(), 5, "{all}");
    assert!(t.runs().await.contains("the fork mallory/widget"), "{}", t.runs().await);
    assert!(t.runs().await.matches(" queued").count() >= 3, "{}", t.runs().await);
    // the webhook comes after all
    t.delivers(late).await;
    assert!(t.deliveries().await.contains("it came late: the sweep has found this head before"));
    assert_eq!(t.sweep_after(INTERVAL).await, 0);
    assert!(t.statuses(&sha).contains("containerops/ci/push"));
}

#[tokio::test]
async fn what_waits_ends_with_its_pull_request() {
    let t = GiteaStory::start().await;
    t.commits("main", SMALL);
    t.gitea.commit("mallory/widget", "main", &[("gift.sh", b"rm -rf /")]);
    let number = t.gitea.open_pull_request(WIDGET, "main", "mallory/widget", "main");
    t.delivers(t.gitea.pull_request(WIDGET, number, "opened")).await;
    assert!(t.newest_run().await.reason.starts_with("waits for approval"), "{}", t.runs().await);
    t.delivers(t.gitea.pull_request(WIDGET, number, "closed")).await;
    let reason = t.newest_run().await.reason;
    assert!(
        reason.starts_with("cancelled by ") && reason.ends_with(&format!(", who closed pull request #{number}")),
        "{reason}"
    );
    t.read_statuses();
}
