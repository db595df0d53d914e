use containerops::{
    forge::ForgeError,
    model::{Conclusion, Progress},
};
use insta::assert_snapshot;

use super::{DONE, Place, RUN, WIDGET, event, pushed};
use crate::harness::gitlab::{ModelGitlab, Quirks};

#[tokio::test]
async fn what_ends_has_run_before_and_a_rerun_is_a_new_job() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    let mut told = Place::new(&gitlab, &pushed(&model, &gitlab), RUN);
    assert_eq!(told.tell(Progress::Queued, "waiting").await.expect("taken"), 1);
    assert_eq!(told.tell(Progress::Done(Conclusion::Failure), "unit: exit code 1").await.expect("taken"), 2);
    assert_eq!(told.tell(Progress::Queued, "again").await.expect("taken"), 1);
    assert_eq!(told.tell(Progress::Running, "1 of 3").await.expect("taken"), 1);
    assert_eq!(told.tell(DONE, "3 of 3").await.expect("taken"), 1);
    assert_snapshot!(model.story(), @r"
    pending containerops/ci/push of acme/tools/widget: waiting (main)
    running containerops/ci/push of acme/tools/widget: unit: exit code 1 (main)
    failed containerops/ci/push of acme/tools/widget: unit: exit code 1 (main)
    pending containerops/ci/push of acme/tools/widget: again (main)
    running containerops/ci/push of acme/tools/widget: 1 of 3 (main)
    success containerops/ci/push of acme/tools/widget: 3 of 3 (main)
    ");
    assert!(told.is_shown(DONE, "3 of 3").await);
    assert_eq!(told.way(), None, "it is where people look first");
    assert_snapshot!(model.statuses(WIDGET, &told.event.sha), @"success containerops/ci/push: 3 of 3 (main)");
    assert_eq!(model.pipelines_of(&told.event.sha), 1);
}

#[tokio::test]
async fn every_conclusion_has_its_word_also_where_skipped_is_none() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    let pushed = pushed(&model, &gitlab);
    for conclusion in [
        Conclusion::Success,
        Conclusion::Warning,
        Conclusion::Failure,
        Conclusion::TimedOut,
        Conclusion::Cancelled,
        Conclusion::Skipped,
        Conclusion::Error,
    ] {
        let mut told = Place::new(&gitlab, &pushed, &format!("{RUN}/{}", conclusion.as_str()));
        told.tell(Progress::Done(conclusion), "lint and test").await.expect("it is taken");
        assert!(told.is_shown(Progress::Done(conclusion), "lint and test").await, "{conclusion:?}");
    }
    model.is(Quirks { has_skipped: false, ..Quirks::default() });
    let mut told = Place::new(&gitlab, &pushed, "containerops/old/push");
    told.tell(Progress::Done(Conclusion::Skipped), "no files changed").await.expect("it is taken");
    assert!(told.is_shown(Progress::Done(Conclusion::Skipped), "no files changed").await);
    assert_snapshot!(model.statuses(WIDGET, &pushed.sha), @r"
    canceled containerops/ci/push/cancelled: cancelled: lint and test (main)
    failed containerops/ci/push/error: infrastructure: lint and test (main)
    failed containerops/ci/push/failure: lint and test (main)
    failed containerops/ci/push/timed_out: timed out: lint and test (main)
    skipped containerops/ci/push/skipped: skipped: lint and test (main)
    success containerops/ci/push/success: lint and test (main)
    success containerops/ci/push/warning: warning: lint and test (main)
    success containerops/old/push: skipped: no files changed (main)
    ");
}

#[tokio::test]
async fn what_is_there_already_is_done_and_what_is_elsewhere_is_not() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    let mut told = Place::new(&gitlab, &pushed(&model, &gitlab), RUN);
    told.tell(Progress::Queued, "waiting").await.expect("taken");
    // the description changes; old instances say then that it cannot go from pending to pending
    told.tell(Progress::Queued, "waiting for a node").await.expect("it is there already");
    assert!(told.is_shown(Progress::Queued, "waiting for a node").await);
    told.tell(Progress::Running, "running").await.expect("taken");
    let refused = told.tell(Progress::Queued, "waiting").await.expect_err("a job does not go back");
    assert!(
        matches!(&refused, ForgeError::Refused { status: 400, message, .. } if message.contains("Cannot transition")),
        "{refused}"
    );
    model.story();
}

#[tokio::test]
async fn statuses_stay_in_one_pipeline_whatever_else_runs_of_the_commit() {
    for tells_pipeline in [true, false] {
        let model = ModelGitlab::start().await;
        model.is(Quirks { tells_pipeline, ..Quirks::default() });
        let gitlab = model.forge();
        let event = pushed(&model, &gitlab);
        let mut told = Place::new(&gitlab, &event, RUN);
        told.tell(Progress::Queued, "waiting").await.expect("taken");
        model.runs_its_own(WIDGET, "main");
        told.tell(DONE, "3 of 3").await.expect("taken");
        let mut action = Place::new(&gitlab, &event, "containerops/ci/push/test/test");
        action.tell(DONE, "done").await.expect("taken");
        assert_eq!(model.statuses(WIDGET, &event.sha).lines().count(), 2, "no job was made twice");
        assert_eq!(model.pipelines_of(&event.sha), 1);
        // who starts anew knows it by what was written down
        let new = model.forge();
        let mut told = Place { gitlab: &new, ..told };
        told.tell(Progress::Queued, "again").await.expect("taken");
        assert_eq!(model.statuses(WIDGET, &event.sha).lines().count(), 2, "{}", model.statuses(WIDGET, &event.sha));
        // and if it was deleted there is another
        model.remove_pipelines();
        told.tell(Progress::Running, "again").await.expect("taken");
        assert_eq!(model.statuses(WIDGET, &event.sha).lines().count(), 1);
    }
}

#[tokio::test]
async fn one_commit_is_told_about_one_call_at_a_time() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    let event = pushed(&model, &gitlab);
    let contexts: Vec<String> = (0..30).map(|n| format!("{RUN}/test/{n}")).collect();
    let tell = contexts.iter().map(|context| {
        let mut told = Place::new(&gitlab, &event, context);
        async move { told.tell(DONE, "done").await }
    });
    for told in futures::future::join_all(tell).await {
        told.expect("no call meets another");
    }
    assert_eq!(model.met(), 0);
    assert_eq!(model.statuses(WIDGET, &event.sha).matches("success").count(), 30);
    assert_eq!(model.pipelines_of(&event.sha), 1);
}

#[tokio::test]
async fn trouble_is_of_its_kind() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    let mut told = Place::new(&gitlab, &pushed(&model, &gitlab), RUN);
    model.fail_next(1, 409);
    let locked = told.tell(Progress::Queued, "waiting").await.expect_err("GitLab works at it");
    assert!(matches!(locked, ForgeError::Away { .. }), "{locked}");
    model.limit_next(std::time::Duration::from_secs(42));
    let limited = told.tell(Progress::Queued, "waiting").await.expect_err("too many calls");
    assert!(matches!(limited, ForgeError::Limited { after, .. } if after.as_secs() == 42), "{limited}");
    model.fail_next(1, 401);
    let refused = told.tell(Progress::Queued, "waiting").await.expect_err("the token is no good");
    assert_eq!(refused.to_string(), "gitlab refused (401): on demand");
    // what has been done though nobody heard of it is found by reading
    model.lose_next();
    told.tell(Progress::Queued, "waiting").await.expect_err("the answer is lost");
    assert!(told.is_shown(Progress::Queued, "waiting").await);
    model.story();
}

#[tokio::test]
async fn the_ref_is_what_is_built() {
    let model = ModelGitlab::start().await;
    let gitlab = model.forge();
    model.commit(WIDGET, "main", &[("a", b"1")]);
    model.commit(WIDGET, "feature/a&b", &[("a", b"2")]);
    let iid = model.open(WIDGET, "main", WIDGET, "feature/a&b");
    for (delivery, context) in [
        (model.push(WIDGET, "feature/a&b"), RUN),
        (model.merge_request(WIDGET, iid, "open"), "containerops/ci/pr"),
        (model.tag(WIDGET, "main", "v1/rc"), "containerops/ci/tag"),
    ] {
        let mut told = Place::new(&gitlab, &event(&gitlab, &delivery), context);
        told.tell(Progress::Running, "running").await.expect("taken");
    }
    assert_snapshot!(model.story(), @r"
    running containerops/ci/push of acme/tools/widget: running (feature/a&b)
    running containerops/ci/pr of acme/tools/widget: running (feature/a&b)
    running containerops/ci/tag of acme/tools/widget: running (v1/rc)
    ");
}
