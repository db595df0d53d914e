use containerops::{forge::Forge as _, model::Progress};
use insta::assert_snapshot;

use super::{DONE, Place, WIDGET, event, forked};
use crate::harness::gitlab::{May, ModelGitlab, Quirks};

const PR: &str = "containerops/ci/pr";

#[tokio::test]
async fn a_forks_states_are_shown_in_the_fork_where_we_may() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    let (_, event) = forked(&model, &gitlab);
    let mut told = Place::new(&gitlab, &event, PR);
    told.tell(DONE, "3 of 3").await.expect("taken");
    assert_snapshot!(model.story(), @r"
    running containerops/ci/pr of mallory/widget: 3 of 3 (fix)
    success containerops/ci/pr of mallory/widget: 3 of 3 (fix)
    ");
    assert!(told.is_shown(DONE, "3 of 3").await);
    assert_snapshot!(told.way().expect("not where people look first"), @"GitLab shows the states in mallory/widget, where the code comes from");
}

#[tokio::test]
async fn else_in_the_project_that_it_goes_to() {
    let model = ModelGitlab::start().await;
    model.is(Quirks { takes_requests: true, ..Quirks::default() });
    let gitlab = model.forge();
    let (_, event) = forked(&model, &gitlab);
    model.lets_us("mallory/widget", May::Read);
    let mut told = Place::new(&gitlab, &event, PR);
    told.tell(Progress::Queued, "waiting").await.expect("taken");
    told.tell(DONE, "3 of 3").await.expect("taken");
    assert_snapshot!(model.story(), @r"
    pending containerops/ci/pr of acme/tools/widget: waiting (refs/merge-requests/1/head)
    running containerops/ci/pr of acme/tools/widget: 3 of 3 (refs/merge-requests/1/head)
    success containerops/ci/pr of acme/tools/widget: 3 of 3 (refs/merge-requests/1/head)
    ");
    assert!(told.is_shown(DONE, "3 of 3").await);
    assert_snapshot!(told.way().expect("not where people look first"), @"GitLab shows the states in this project, and not in mallory/widget: gitlab refused (403): 403 Forbidden");
    // the fork was asked once, and not for each state and context
    let mut action = Place::new(&gitlab, &event, "containerops/ci/pr/test/test");
    action.tell(Progress::Queued, "waiting").await.expect("taken");
    assert_eq!(model.calls("POST /api/v4/projects/mallory").len(), 1);
    model.story();
}

#[tokio::test]
async fn else_in_one_comment_that_is_kept_up_to_date() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    let (iid, first) = forked(&model, &gitlab);
    model.lets_us("mallory/widget", May::Nothing);
    model.somebody_notes(WIDGET, iid, "<!-- containerops states -->\nI am you");
    let mut run = Place::new(&gitlab, &first, PR);
    let mut action = Place::new(&gitlab, &first, "containerops/ci/pr/test/test");
    run.tell(Progress::Queued, "waiting for `@all`\n/close").await.expect("taken");
    action.tell(Progress::Running, "running").await.expect("taken");
    run.tell(DONE, "3 of 3").await.expect("taken");
    assert_eq!(model.notes_below(WIDGET, iid).len(), 2, "there is one comment of ours");
    assert_snapshot!(model.notes_below(WIDGET, iid)[1].replace(first.sha.short(), "SHA"), @r"
    We may write commit statuses neither in the fork nor here, so this comment says what they would. It is about `SHA`.

    - ✅ [`containerops/ci/pr`](https://ci.example.com/gitlab/acme/tools/widget/runs/1): `3 of 3`
    - ⏳ [`containerops/ci/pr/test/test`](https://ci.example.com/gitlab/acme/tools/widget/runs/1): `running`
    ");
    assert!(run.is_shown(DONE, "3 of 3").await && action.is_shown(Progress::Running, "running").await);
    assert_snapshot!(run.way().expect("not where people look first"), @"A comment below the merge request shows the states: gitlab refused (404): 404 Commit Not Found");

    // new code: the comment is about that, and what is still told of the old one is let be
    model.commit("mallory/widget", "fix", &[("a", b"3")]);
    let second = event(&gitlab, &model.merge_request(WIDGET, iid, "update"));
    let anew = model.forge();
    let mut newer = Place::new(&anew, &second, PR);
    newer.tell(Progress::Running, "running").await.expect("taken");
    action.tell(DONE, "too late").await.expect("taken");
    assert_snapshot!(model.notes_below(WIDGET, iid)[1].replace(second.sha.short(), "SHA"), @r"
    We may write commit statuses neither in the fork nor here, so this comment says what they would. It is about `SHA`.

    - ⏳ [`containerops/ci/pr`](https://ci.example.com/gitlab/acme/tools/widget/runs/1): `running`
    ");
    assert_eq!(model.notes_below(WIDGET, iid).len(), 2);
    let of_old = gitlab.shown(&first.repository, &first.sha, std::slice::from_ref(&first)).await;
    assert_eq!(of_old.expect("it is there"), None, "what was said of old code can no longer be read");
    model.answers();
}
