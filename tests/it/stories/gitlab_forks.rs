//! A fork's merge request on GitLab, from its webhook to what GitLab shows: in the fork, here, or in a comment.

use std::time::Duration;

use containerops::model::Sha;
use insta::assert_snapshot;
use reqwest::StatusCode;
use tokio::task::JoinSet;

use super::{SMALL, gitlab::World};
use crate::{
    access::{SIGNED_IN, Shows, form},
    gitlab::WIDGET,
    harness::gitlab::{May, Quirks},
};

const FORK: &str = "mallory/widget";
/// What a fork would rather have run.
const EVIL: &str = "stages: [{name: test, image: alpine, run: ./mine-coins.sh}]";

impl World {
    /// People sign in, and a fork opens a merge request.
    async fn with_fork() -> (Self, u64, Sha) {
        let w = Self::start().await;
        w.t.set_up(SIGNED_IN).await;
        w.commit("main", "first");
        w.gitlab.has_member(WIDGET, "dev", 30);
        w.gitlab.has_member(WIDGET, "rep", 20);
        let sha = w.gitlab.commit(FORK, "fix", &[(".containerops.yml", EVIL.as_bytes()), ("a", b"a")]);
        let iid = w.gitlab.open(WIDGET, "main", FORK, "fix");
        (w, iid, sha)
    }

    async fn opens(&self, iid: u64) {
        assert_eq!(self.delivers(self.gitlab.merge_request(WIDGET, iid, "open")).await, StatusCode::ACCEPTED);
        assert_eq!(self.last_delivery().await, "Merge Request Hook: started 1");
        assert!(self.t.pods.placed().is_empty(), "nothing of a fork runs by itself");
    }

    /// The line of the newest run's page that says where GitLab shows its states.
    async fn way(&self, shows: &Shows) -> String {
        let page = self.t.text(shows, &self.newest_page().await).await;
        let line = page.lines().find(|line| line.contains("GitLab shows") || line.contains("A comment below"));
        let words = line.unwrap_or("it is not said").trim();
        words.trim_start_matches("<p class=\"reason\">").trim_end_matches("</p>").to_owned()
    }

    async fn newest_page(&self) -> String {
        format!("/gitlab/{WIDGET}/runs/{}", self.t.newest_run().await.number)
    }

    fn fork_shows(&self, sha: &Sha) -> String {
        self.gitlab.statuses(FORK, sha)
    }

    /// Someone presses "Approve" on the newest run's page, who has looked at this commit.
    async fn presses(&self, shows: &Shows, sha: &Sha) -> u16 {
        let request = self.t.http.post(format!("{}{}/approve", self.t.url(), self.newest_page().await));
        let request = shows.on(form(request, &[("sha", sha.as_str())]));
        let status = request.send().await.expect("an answer").status().as_u16();
        self.t.settle().await;
        status
    }

    async fn says(&self, iid: u64, login: &str, words: &str) -> String {
        self.delivers(self.gitlab.note(WIDGET, iid, login, words)).await;
        self.gitlab.answers().join("\n")
    }
}

#[tokio::test]
async fn a_forks_merge_request_waits_is_approved_on_its_page_and_told_to_the_fork() {
    let (w, iid, sha) = World::with_fork().await;
    w.opens(iid).await;
    assert_snapshot!(w.fork_shows(&sha), @r"
    pending containerops/ci/pr/test/test: Waits for approval: the code comes from the fork mallory/widget (fix)
    pending containerops/ci/pr: Waits for approval: the code comes from the fork mallory/widget (fix)
    ");
    let (dev, rep) = (w.t.session("gitlab/dev").await, w.t.session("gitlab/rep").await);
    let elsewhere = w.t.session("github/dev").await;
    for (shows, may) in [(&dev, true), (&rep, false), (&elsewhere, false), (&Shows::Nothing, false)] {
        let page = w.t.text(shows, &w.newest_page().await).await;
        assert!(page.contains("waits for approval: the code comes from the fork mallory/widget"), "{page}");
        assert_eq!(page.contains("Approve this commit"), may, "{shows:?}");
        if !may {
            assert_eq!(w.presses(shows, &sha).await, 403, "{shows:?}");
        }
    }
    assert_eq!(w.presses(&dev, &"0123456789".repeat(4).parse().expect("a sha")).await, 409);
    assert!(w.t.pods.placed().is_empty());
    assert_eq!(w.presses(&dev, &sha).await, 200);
    let agent = w.t.claims("test").await;
    w.t.settle().await;
    assert!(format!("{:?}", agent.work.start).contains("cargo test"), "by the file of the base branch");
    assert_snapshot!(w.fork_shows(&sha), @r"
    running containerops/ci/pr/test/test: Running (fix)
    running containerops/ci/pr: Running: 0 of 1 actions have ended (fix)
    ");
    agent.exits(0).await;
    assert_snapshot!(w.fork_shows(&sha), @r"
    success containerops/ci/pr/test/test: success in 7 s (fix)
    success containerops/ci/pr: 1 action in 7 s (fix)
    ");
    assert_eq!(w.shows(&sha), "", "nothing is said in two places");
    assert_snapshot!(w.way(&rep).await, @"GitLab shows the states in mallory/widget, where the code comes from");
    assert_snapshot!(w.t.audited().await.replace(sha.short(), "SHA"), @r"
    gitlab/dev (page) answer for untrusted code: ci #1: refused: run #1 is of commit SHA, and not of 01234567: look at it first
    gitlab/dev (page) answer for untrusted code: ci #1: run #1 was approved at SHA
    ");
    assert_eq!((w.gitlab.met(), w.gitlab.pipelines_of(&sha)), (0, 1));
}

#[tokio::test]
async fn where_the_fork_refuses_statuses_the_target_has_them_and_a_comment_approves() {
    let (w, iid, sha) = World::with_fork().await;
    w.gitlab.is(Quirks { takes_requests: true, ..Quirks::default() });
    w.gitlab.lets_us(FORK, May::Read);
    w.opens(iid).await;
    assert_snapshot!(w.shows(&sha), @r"
    pending containerops/ci/pr/test/test: Waits for approval: the code comes from the fork mallory/widget (refs/merge-requests/1/head)
    pending containerops/ci/pr: Waits for approval: the code comes from the fork mallory/widget (refs/merge-requests/1/head)
    ");
    // strangers are not even answered, and who may write must name the commit that waits
    for stranger in ["rep", "mallory"] {
        assert_eq!(w.says(iid, stranger, &format!("/approve {sha}")).await, "");
    }
    let bare = w.says(iid, "dev", "/approve").await;
    assert!(bare.contains(&format!("Say which commit you have looked at: `/approve {sha}`")), "{bare}");
    assert!(w.t.pods.placed().is_empty());
    assert_eq!(w.says(iid, "dev", &format!("/approve {sha} fine")).await, "note 1244: :thumbsup:");
    w.t.run_the_job("test", 3).await;
    assert_snapshot!(w.shows(&sha), @r"
    failed containerops/ci/pr/test/test: failure: exit code 3 (refs/merge-requests/1/head)
    failed containerops/ci/pr: failure in test/test: exit code 3 (refs/merge-requests/1/head)
    ");
    assert_eq!(w.fork_shows(&sha), "");
    assert_snapshot!(w.way(&Shows::Nothing).await, @"GitLab shows the states in this project, and not in mallory/widget: gitlab refused (403): 403 Forbidden");
    assert_eq!(w.gitlab.calls("POST /api/v4/projects/mallory").len(), 1, "a no is heard once");
    assert_snapshot!(w.t.audited().await.replace(sha.as_str(), "SHA").replace(sha.short(), "SHA"), @r"
    gitlab/dev (GitLab comment) approve: a comment on acme/tools/widget: refused: #1 waits for approval: the code comes from the fork mallory/widget. Say which commit you have looked at: `/approve SHA`
    gitlab/dev (GitLab comment) approve: a comment on acme/tools/widget: dev approved #1 at SHA
    ");
}

#[tokio::test]
async fn where_nobody_takes_statuses_one_comment_is_kept_up_to_date() {
    let (w, iid, first) = World::with_fork().await;
    w.gitlab.lets_us(FORK, May::Nothing);
    w.opens(iid).await;
    let notes = || w.gitlab.notes_below(WIDGET, iid).join("\n---\n");
    assert_snapshot!(notes().replace(first.short(), "SHA"), @r"
    We may write commit statuses neither in the fork nor here, so this comment says what they would. It is about `SHA`.

    - ⏳ [`containerops/ci/pr`](https://ci.example.com/gitlab/acme/tools/widget/runs/1): `Waits for approval: the code comes from the fork mallory/widget`
    - ⏳ [`containerops/ci/pr/test/test`](https://ci.example.com/gitlab/acme/tools/widget/runs/1/test/test/test): `Waits for approval: the code comes from the fork mallory/widget`
    ");
    let only = w.gitlab.answers();
    assert_eq!(only.len(), 1, "there is one comment: {only:?}");
    assert_eq!(w.says(iid, "dev", &format!("/approve {first}")).await, "note 1244: :thumbsup:");
    let agent = w.t.claims("test").await;
    w.t.settle().await;
    assert_snapshot!(notes().replace(first.short(), "SHA"), @r"
    We may write commit statuses neither in the fork nor here, so this comment says what they would. It is about `SHA`.

    - ⏳ [`containerops/ci/pr`](https://ci.example.com/gitlab/acme/tools/widget/runs/1): `Running: 0 of 1 actions have ended`
    - ⏳ [`containerops/ci/pr/test/test`](https://ci.example.com/gitlab/acme/tools/widget/runs/1/test/test/test): `Running`
    ");
    assert_snapshot!(w.way(&Shows::Nothing).await, @"A comment below the merge request shows the states: gitlab refused (404): 404 Commit Not Found");

    // new code: what was approved is not this, and the comment is about it alone
    let second = w.gitlab.commit(FORK, "fix", &[(".containerops.yml", SMALL.as_bytes()), ("a", b"b")]);
    w.gitlab.moves_request(WIDGET, iid);
    w.delivers(w.gitlab.merge_request(WIDGET, iid, "update")).await;
    agent.exits(0).await;
    assert_snapshot!(w.t.runs().await, @r"
    #1 pull_request success
    #2 pull_request queued: waits for approval: the code comes from the fork mallory/widget
    ");
    assert_snapshot!(notes().replace(second.short(), "SHA"), @r"
    We may write commit statuses neither in the fork nor here, so this comment says what they would. It is about `SHA`.

    - ⏳ [`containerops/ci/pr`](https://ci.example.com/gitlab/acme/tools/widget/runs/2): `Waits for approval: the code comes from the fork mallory/widget`
    - ⏳ [`containerops/ci/pr/test/test`](https://ci.example.com/gitlab/acme/tools/widget/runs/2/test/test/test): `Waits for approval: the code comes from the fork mallory/widget`
    ");
    let late = w.says(iid, "dev", &format!("/approve {first}")).await;
    assert!(late.contains(&format!("the newest code here is {}", second.short())), "{late}");
    assert_eq!(w.says(iid, "dev", &format!("/approve {second}")).await, "note 1244: :thumbsup:");
    w.t.run_the_job("test", 0).await;
    w.t.restart().await;
    w.t.passes(Duration::from_secs(400)).await;
    let notes = notes().replace(first.as_str(), "FIRST").replace(second.as_str(), "SECOND");
    assert_snapshot!(notes.replace(second.short(), "SHA"), @r"
    We may write commit statuses neither in the fork nor here, so this comment says what they would. It is about `SHA`.

    - ✅ [`containerops/ci/pr`](https://ci.example.com/gitlab/acme/tools/widget/runs/2): `1 action in 5 s`
    - ✅ [`containerops/ci/pr/test/test`](https://ci.example.com/gitlab/acme/tools/widget/runs/2/test/test/test): `success in 5 s`
    ---
    `/approve`: the newest code here is SHA, not FIRST: look at it first, then write `/approve SECOND`
    ");
    assert!(w.gitlab.answers().is_empty(), "the comment was edited, and none written");
}

#[tokio::test]
async fn a_commit_about_which_gitlab_hangs_holds_up_no_other() {
    let w = World::start().await;
    let jobs: Vec<String> = (0..20).map(|n| format!("{{name: a{n}, image: alpine, run: x}}")).collect();
    let wide = format!("stages: [{{name: test, actions: [{}]}}]", jobs.join(", "));
    let slow = w.gitlab.commit(WIDGET, "main", &[(".containerops.yml", wide.as_bytes())]);
    let quick = w.commit("other", "second");
    w.gitlab.is_slow_about(&slow);
    for branch in ["main", "other"] {
        w.t.send("gitlab", w.gitlab.push(WIDGET, branch)).await;
        w.t.app().engine.intake().await.expect("the database is there");
    }
    let (app, mut calls) = (w.t.app(), JoinSet::new());
    let told = || w.shows(&quick).lines().count();
    for _ in 0..4 {
        for errand in app.reporter.errands().await.expect("the database is there") {
            let reporter = app.reporter.clone();
            calls.spawn(async move { reporter.run(errand).await.expect("the database is there") });
        }
        // the slow one's call does not end
        let ended = tokio::time::timeout(Duration::from_secs(2), calls.join_next()).await;
        if ended.is_err() || told() == 2 {
            break;
        }
    }
    assert_eq!(told(), 2, "the other commit waits for the slow one");
    assert_eq!(w.shows(&slow), "");
    w.gitlab.goes_on_about(&slow);
    calls.join_all().await;
    w.t.settle().await;
    assert_eq!(w.shows(&slow).matches("pending").count(), 21);
    assert_eq!((w.gitlab.met(), w.gitlab.pipelines_of(&slow)), (0, 1), "one after the other");
}
