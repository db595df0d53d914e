//! The same service on GitLab: a webhook in, statuses and a page out.

use std::time::Duration;

use containerops::{executor::ExecutorKind, model::Sha};
use insta::assert_snapshot;
use reqwest::StatusCode;

use super::SMALL;
use crate::{
    gitlab::WIDGET,
    harness::{
        app::{GRACE, INTERVAL, Identity, Tester},
        github::Delivery,
        gitlab::{ModelGitlab, with_token},
    },
};

/// A service for GitHub and GitLab, and what GitLab sees of it.
pub(super) struct World {
    pub(super) t: Tester,
    pub(super) gitlab: ModelGitlab,
}

impl World {
    pub(super) async fn start() -> Self {
        let gitlab = ModelGitlab::start().await;
        let t = Tester::start_among(Identity::App, ExecutorKind::Process, vec![gitlab.neighbour()]).await;
        gitlab.set_clock(&t.clock);
        Self { t, gitlab }
    }

    pub(super) fn commit(&self, branch: &str, what: &str) -> Sha {
        let flow = format!("# {what}\n{SMALL}");
        let sha = self.gitlab.commit(WIDGET, branch, &[(".containerops.yml", flow.as_bytes())]);
        self.gitlab.has_member(WIDGET, "ada", 30);
        sha
    }

    /// Delivers as GitLab does, and settles. How it was answered.
    pub(super) async fn delivers(&self, delivery: Delivery) -> StatusCode {
        let (status, _) = self.t.send("gitlab", delivery).await;
        self.gitlab.answered(status.as_u16());
        self.t.settle().await;
        status
    }

    pub(super) async fn pushes(&self, branch: &str, what: &str) -> Sha {
        let sha = self.commit(branch, what);
        assert_eq!(self.delivers(self.gitlab.push(WIDGET, branch)).await, StatusCode::ACCEPTED);
        sha
    }

    pub(super) fn shows(&self, sha: &Sha) -> String {
        self.gitlab.statuses(WIDGET, sha)
    }

    async fn page(&self, path: &str) -> (StatusCode, String) {
        let answer = self.t.http.get(format!("{}{path}", self.t.url())).send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("a text"))
    }

    pub(super) async fn last_delivery(&self) -> String {
        self.t.deliveries().await.lines().last().unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn a_push_becomes_statuses_that_go_green_and_pages_below_all_its_groups() {
    let w = World::start().await;
    let sha = w.pushes("main", "first").await;
    assert_snapshot!(w.shows(&sha), @r"
    pending containerops/ci/push/test/test: Waiting to start (main)
    pending containerops/ci/push: Waiting to start (main)
    ");
    let agent = w.t.claims("test").await;
    w.t.settle().await;
    assert_snapshot!(w.shows(&sha), @r"
    running containerops/ci/push/test/test: Running (main)
    running containerops/ci/push: Running: 0 of 1 actions have ended (main)
    ");
    agent.exits(0).await;
    assert_snapshot!(w.shows(&sha), @r"
    success containerops/ci/push/test/test: success in 7 s (main)
    success containerops/ci/push: 1 action in 7 s (main)
    ");
    assert_eq!(w.gitlab.pipelines_of(&sha), 1);
    assert_eq!(w.gitlab.met(), 0, "no call met another");
    for path in ["", "/runs/1", "/runs/1/test/test/test", "/runs/1/test/test/test/log.txt"] {
        let (status, _) = w.page(&format!("/gitlab/{WIDGET}{path}")).await;
        assert_eq!(status, StatusCode::OK, "{path}");
    }
    let (_, page) = w.page(&format!("/gitlab/{WIDGET}/runs/1")).await;
    assert!(page.contains(&format!("{}/{WIDGET}/-/commit/{sha}", w.gitlab.url())), "{page}");
    // the same delivery again is no second run, and what nobody can read harms no hook
    let again = w.gitlab.push(WIDGET, "main");
    w.delivers(again.clone()).await;
    let runs = w.t.runs().await;
    w.delivers(again).await;
    assert_eq!(w.t.runs().await, runs);
    w.gitlab.story();
    for body in ["", "no JSON", "[]", "{\"object_kind\": \"push\"}", "{\"object_kind\": \"emoji\"}"] {
        let delivery = with_token("Push Hook", &format!("id of {body}"), body.into());
        assert_eq!(w.delivers(delivery).await, StatusCode::ACCEPTED, "{body}");
    }
    assert!(!w.gitlab.is_disabled());
    let mut forged = w.gitlab.push(WIDGET, "main");
    forged.headers.remove("x-gitlab-token");
    assert_eq!(w.delivers(forged).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_merge_request_runs_for_its_branch_and_a_forks_is_not_trusted() {
    let w = World::start().await;
    w.pushes("main", "first").await;
    let sha = w.commit("feature/a&b", "idea");
    let iid = w.gitlab.open(WIDGET, "main", WIDGET, "feature/a&b");
    w.delivers(w.gitlab.push(WIDGET, "feature/a&b")).await;
    assert_snapshot!(w.last_delivery().await, @"Push Hook: nothing: pull request #1 is open from this branch: its run is the one");
    w.delivers(w.gitlab.merge_request(WIDGET, iid, "open")).await;
    assert_snapshot!(w.last_delivery().await, @"Merge Request Hook: started 1");
    w.t.run_the_job("test", 3).await;
    assert_snapshot!(w.shows(&sha), @r"
    failed containerops/ci/pr/test/test: failure: exit code 3 (feature/a&b)
    failed containerops/ci/pr: failure in test/test: exit code 3 (feature/a&b)
    ");
    w.delivers(w.gitlab.merge_request(WIDGET, iid, "approved")).await;
    assert_snapshot!(w.last_delivery().await, @"Merge Request Hook: nothing: merge requests with the action `approved` start nothing");
    w.commit("feature/a&b", "better idea");
    w.delivers(w.gitlab.merge_request(WIDGET, iid, "update")).await;
    assert_snapshot!(w.last_delivery().await, @"Merge Request Hook: started 1");

    w.gitlab.commit("mallory/widget", "fix", &[(".containerops.yml", SMALL.as_bytes())]);
    let iid = w.gitlab.open(WIDGET, "main", "mallory/widget", "fix");
    w.delivers(w.gitlab.merge_request(WIDGET, iid, "open")).await;
    assert_snapshot!(w.last_delivery().await, @"Merge Request Hook: started 1");
    let reason = w.t.newest_run().await.reason;
    assert!(reason.contains("waits for approval: the code comes from the fork mallory/widget"), "{reason}");
    // a tag's commit is the one that is built
    let tagged = w.gitlab.commit(WIDGET, "main", &[(".containerops.yml", format!("on: [tag]\n{SMALL}").as_bytes())]);
    w.delivers(w.gitlab.tag(WIDGET, "main", "v1")).await;
    assert_snapshot!(w.shows(&tagged), @r"
    pending containerops/ci/push/test/test: Waiting to start (v1)
    pending containerops/ci/push: Waiting to start (v1)
    ");
}

#[tokio::test]
async fn comments_are_obeyed_by_who_may_write() {
    let w = World::start().await;
    w.commit("main", "first");
    w.gitlab.has_member(WIDGET, "dev", 30);
    w.gitlab.has_member(WIDGET, "rep", 20);
    let sha = w.commit("fix", "fix");
    let iid = w.gitlab.open(WIDGET, "main", WIDGET, "fix");
    w.delivers(w.gitlab.merge_request(WIDGET, iid, "open")).await;
    for login in ["rep", "mallory"] {
        w.delivers(w.gitlab.note(WIDGET, iid, login, "/cancel")).await;
        assert!(w.last_delivery().await.contains("may not write to this repository"), "{}", w.last_delivery().await);
    }
    assert!(w.gitlab.answers().is_empty(), "nobody else makes us write");
    w.delivers(w.gitlab.note(WIDGET, iid, "dev", "Wrong.\n\n/cancel\n")).await;
    assert_snapshot!(w.last_delivery().await, @"Note Hook: obeyed: #1 was cancelled");
    w.delivers(w.gitlab.note_on_commit(WIDGET, &sha, "dev", "/cancel")).await;
    assert_snapshot!(w.gitlab.answers().join("\n").replace(sha.as_str(), "SHA"), @r"
    note 1244: :thumbsup:
    commit SHA: `/cancel`: nothing runs here
    ");
    w.delivers(w.gitlab.note_on_line(WIDGET, iid, "rep", "/retest")).await;
    assert!(w.last_delivery().await.contains("may not write to this repository"), "{}", w.last_delivery().await);
    w.delivers(w.gitlab.note_on_line(WIDGET, iid, "dev", "A typo.\n\n/skip")).await;
    assert_snapshot!(w.gitlab.answers().join("\n"), @"merge request 1: `/skip`: dev does not maintain this repository");
    assert_snapshot!(w.shows(&sha), @r"
    canceled containerops/ci/pr/test/test: cancelled by dev (by a comment) (fix)
    canceled containerops/ci/pr: cancelled by dev (by a comment) (fix)
    ");
}

#[tokio::test]
async fn what_no_webhook_told_of_is_found_by_its_head() {
    let w = World::start().await;
    w.pushes("main", "first").await;
    w.t.sweep().await;
    let sha = w.commit("main", "one of four branches that were pushed together");
    w.gitlab.commit(WIDGET, "fix", &[(".containerops.yml", format!("# fix\n{SMALL}").as_bytes())]);
    let iid = w.gitlab.open(WIDGET, "main", WIDGET, "fix");
    w.t.sweep_after(INTERVAL).await;
    assert_eq!(w.t.sweep_after(GRACE).await, 3);
    assert_snapshot!(w.t.deliveries().await.replace(&format!("#{iid}"), "#N"), @r"
    Push Hook: started 1
    Push Hook: nothing: pull request #N is open from this branch: its run is the one
    Push Hook: started 1
    Merge Request Hook: started 1
    ");
    assert_eq!(w.shows(&sha).lines().count(), 2);
    assert_eq!(w.t.sweep_after(INTERVAL).await + w.t.sweep_after(GRACE).await, 0, "once");
    w.gitlab.merge(WIDGET, iid);
    assert_eq!(w.t.sweep_after(INTERVAL).await + w.t.sweep_after(GRACE).await, 0);
    w.gitlab.story();
}

#[tokio::test]
async fn a_gitlab_that_is_away_busy_or_strict_is_told_everything_in_the_end() {
    let w = World::start().await;
    w.gitlab.fail_next(1, 503);
    let sha = w.commit("main", "first");
    w.delivers(w.gitlab.push(WIDGET, "main")).await;
    w.t.later(Duration::from_secs(5)).await;
    assert_eq!(w.shows(&sha).matches("pending").count(), 2, "{}", w.shows(&sha));
    // a lock, an answer that is lost, and a limit
    w.gitlab.fail_next(2, 409);
    w.gitlab.lose_next();
    let agent = w.t.claims("test").await;
    w.t.settle().await;
    w.gitlab.limit_next(Duration::from_secs(30));
    agent.exits(0).await;
    w.t.passes(Duration::from_secs(400)).await;
    assert_snapshot!(w.shows(&sha), @r"
    success containerops/ci/push/test/test: success in 7 s (main)
    success containerops/ci/push: 1 action in 7 s (main)
    ");
    assert_eq!((w.gitlab.met(), w.gitlab.pipelines_of(&sha)), (0, 1));
    let before = w.gitlab.calls("POST").len();
    w.t.passes(Duration::from_secs(700)).await;
    assert_eq!(w.gitlab.calls("POST").len(), before, "what is shown is not said again");
}

#[tokio::test]
async fn what_waits_ends_with_its_merge_request() {
    let w = World::start().await;
    w.pushes("main", "first").await;
    w.gitlab.commit("mallory/widget", "fix", &[(".containerops.yml", SMALL.as_bytes())]);
    let iid = w.gitlab.open(WIDGET, "main", "mallory/widget", "fix");
    for (action, end) in [("close", "closed"), ("merge", "merged")] {
        w.delivers(w.gitlab.merge_request(WIDGET, iid, if end == "closed" { "open" } else { "reopen" })).await;
        assert!(w.t.newest_run().await.reason.starts_with("waits for approval"), "{}", w.t.runs().await);
        w.delivers(w.gitlab.merge_request(WIDGET, iid, action)).await;
        let reason = w.t.newest_run().await.reason;
        assert_eq!(reason, format!("cancelled by mallory, who {end} pull request #{iid}"));
    }
    w.gitlab.story();
}
