//! What happens on GitHub, and what it starts.

use insta::assert_snapshot;

use super::{RUN, SMALL};
use crate::harness::{
    app::{Tester, WIDGET},
    github::fixture,
};

#[tokio::test]
async fn a_commit_without_a_flow_file_shows_nothing() {
    let t = Tester::start().await;
    let sha = t.github.commit(WIDGET, "main", &[("README.md", b"no CI here")]);
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    assert_eq!(t.checks(&sha), "");
    let said = t.deliveries().await.replace(sha.short(), "SHA");
    assert_snapshot!(said, @"push: nothing: commit SHA has neither .containerops.yml nor .containerops/*.yml");
}

#[tokio::test]
async fn a_filter_leaves_a_branch_out_and_says_which() {
    let t = Tester::start().await;
    let sha = t.push("idea/x", &format!("on: {{push: {{branches: [main, \"release/*\"]}}}}\n{SMALL}")).await;
    assert_snapshot!(t.checks(&sha), @"skipped containerops/ci/push: skipped: `on: push: branches` [main, release/*] does not match `idea/x`");
    assert!(t.pods.placed().is_empty());
}

#[tokio::test]
async fn a_kind_of_event_that_no_file_asks_for_shows_nothing() {
    let t = Tester::start().await;
    let sha = t.push("main", &format!("on: [tag]\n{SMALL}")).await;
    assert_eq!(t.checks(&sha), "");
    assert_snapshot!(t.deliveries().await, @"push: nothing: .containerops.yml: `on` does not name `push`");
}

#[tokio::test]
async fn a_tag_is_built_at_its_commit() {
    let t = Tester::start().await;
    let sha = t.commit("main", &format!("on: [tag]\n{SMALL}"));
    t.deliver(t.github.tag(WIDGET, "main", "v1.2.0")).await;
    t.settle().await;
    let agent = t.claims("test").await;
    assert_eq!((&*agent.work.environments["CO_TAG"], &*agent.work.environments["CO_EVENT"]), ("v1.2.0", "tag"));
    agent.exits(0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 5 s
    success containerops/ci/push/test/test: success in 5 s
    ");
}

#[tokio::test]
async fn a_pull_request_and_the_push_of_its_branch_are_one_run() {
    let t = Tester::start().await;
    t.commit("main", SMALL);
    let sha = t.commit("idea", &format!("# an idea\n{SMALL}"));
    let number = t.github.open_pull_request(WIDGET, "main", WIDGET, "idea");
    t.deliver(t.github.push(WIDGET, "idea")).await;
    t.deliver(t.github.pull_request(WIDGET, number, "opened")).await;
    t.settle().await;
    let agent = t.claims("test").await;
    assert_eq!(agent.work.environments["CO_PR_NUMBER"], number.to_string());
    agent.exits(0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/pr: 1 action in 5 s
    success containerops/ci/pr/test/test: success in 5 s
    ");
    assert_snapshot!(t.deliveries().await.replace(&format!("#{number}"), "#N"), @r"
    push: nothing: pull request #N is open from this branch: its run is the one
    pull_request: started 1
    ");
}

#[tokio::test]
async fn the_code_of_a_fork_is_not_run_where_the_rule_says_so() {
    let t = Tester::start().await;
    t.set_up("untrusted = \"never\"\n").await;
    t.commit("main", SMALL);
    let sha = t.github.commit("mallory/widget", "main", &[(".containerops.yml", b"stages: []")]);
    let number = t.github.open_pull_request(WIDGET, "main", "mallory/widget", "main");
    t.deliver(t.github.pull_request(WIDGET, number, "opened")).await;
    t.settle().await;
    assert_eq!(t.checks(&sha), "");
    assert_snapshot!(t.deliveries().await, @"pull_request: nothing: the code comes from the fork mallory/widget, and such code is never run here");
}

#[tokio::test]
async fn a_merge_queue_is_answered_on_its_own_commit() {
    let t = Tester::start().await;
    t.commit("main", SMALL);
    let queue = "gh-readonly-queue/main/pr-17";
    let sha = t.commit(queue, SMALL);
    t.deliver(t.github.push(WIDGET, queue)).await;
    t.deliver(t.github.merge_group(WIDGET, queue, "main")).await;
    t.settle().await;
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/pr: 1 action in 5 s
    success containerops/ci/pr/test/test: success in 5 s
    ");
    assert_snapshot!(t.deliveries().await, @r"
    push: nothing: gh-readonly-queue/main/pr-17 is a merge queue's; its `merge_group` event counts
    merge_group: started 1
    ");
}

#[tokio::test]
async fn what_a_merge_queue_wants_no_more_is_stopped_and_nothing_else() {
    let t = Tester::start().await;
    t.commit("main", SMALL);
    let queue = "gh-readonly-queue/main/pr-17";
    let sha = t.commit(queue, SMALL);
    t.deliver(t.github.merge_group(WIDGET, queue, "main")).await;
    t.settle().await;
    // merged: the same commit is the branch's now, and that run is none of the queue's
    t.github.merge(WIDGET, queue, "main");
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    t.deliver(t.github.merge_group_destroyed(WIDGET, queue, "invalidated")).await;
    t.settle().await;
    assert_snapshot!(t.runs().await, @r"
    #1 merge_group cancelled: cancelled by the merge queue: invalidated
    #2 push queued
    ");
    t.deliver(t.github.merge_group_destroyed(WIDGET, queue, "invalidated")).await;
    t.settle().await;
    assert_snapshot!(t.deliveries().await, @r#"
    merge_group: started 1
    push: started 1
    merge_group: obeyed: #1 was cancelled
    merge_group: nothing: #1 had ended, or was being cancelled
    "#);
    assert!(!t.checks(&sha).is_empty());
}

#[tokio::test]
async fn a_check_run_again_is_a_new_run_of_the_same_plan_under_the_same_name() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    t.run_the_job("test", 1).await;
    let first = t.newest_run().await;
    t.deliver(t.github.rerequested(WIDGET, "containerops/ci/push/test/test")).await;
    t.settle().await;
    t.run_the_job("test", 0).await;
    let second = t.newest_run().await;
    assert_eq!((second.number, second.rerun_of), (2, Some(first.id)));
    assert_eq!((second.digest, second.source, second.pins), (first.digest, first.source, first.pins));
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 5 s
    success containerops/ci/push/test/test: success in 5 s
    ");
    assert_eq!(t.check(&sha, RUN).url, "https://ci.example.com/github/acme/widget/runs/2");
}

#[tokio::test]
async fn all_checks_of_a_commit_run_again() {
    let t = Tester::start().await;
    let (a, b) = ((".containerops/a.yml", SMALL.as_bytes()), (".containerops/b.yml", SMALL.as_bytes()));
    let sha = t.github.commit(WIDGET, "main", &[a, b]);
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    t.deliver(t.github.suite_rerequested(WIDGET, &sha)).await;
    t.settle().await;
    assert_snapshot!(t.runs().await, @r"
    #1 push queued
    #2 push queued
    #3 push queued
    #4 push queued
    ");
    assert_snapshot!(t.deliveries().await, @r"
    push: started 2
    check_suite: started 2
    ");
    t.read_writes();
}

#[tokio::test]
async fn nobody_runs_again_what_was_never_ours() {
    let t = Tester::start().await;
    let sha = t.commit("main", SMALL);
    t.deliver(t.github.suite_rerequested(WIDGET, &sha)).await;
    let mut foreign = fixture("check_run_rerequested");
    foreign["check_run"]["external_id"] = serde_json::json!("0000000000007");
    t.deliver(t.github.signed("check_run", &foreign)).await;
    t.settle().await;
    assert_snapshot!(t.deliveries().await.replace(sha.short(), "SHA"), @r"
    check_suite: nothing: there is no run of ours at commit SHA to run again
    check_run: nothing: there is no run of ours at commit f95f852b to run again
    ");
}

#[tokio::test]
async fn an_older_run_does_not_speak_over_a_newer_one() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let old = t.claims("test").await;
    t.deliver(t.github.suite_rerequested(WIDGET, &sha)).await;
    t.settle().await;
    t.run_the_job("test", 0).await;
    old.exits(1).await;
    assert_snapshot!(t.runs().await, @r"
    #1 push failure
    #2 push success
    ");
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 5 s
    success containerops/ci/push/test/test: success in 5 s
    ");
}

#[tokio::test]
async fn whatever_else_happens_starts_nothing_and_says_why() {
    let t = Tester::start().await;
    for (event, name) in [
        ("ping", "ping"),
        ("installation", "installation_created"),
        ("pull_request", "pull_request_closed"),
        ("pull_request", "pull_request_head_deleted"),
        ("push", "push_branch_deleted"),
        ("merge_group", "merge_group_destroyed"),
        ("check_run", "check_run_requested_action"),
        ("push", "push"),
    ] {
        t.deliver(t.github.signed(event, &fixture(name))).await;
    }
    t.deliver(t.github.signed("push", &serde_json::json!({"ref": 7}))).await;
    t.drain().await;
    assert_snapshot!(t.deliveries().await, @r"
    ping: nothing: GitHub asks whether we are there
    installation: nothing: `installation` events start nothing
    pull_request: nothing: pull request #17 was closed, and nothing of it waited
    pull_request: nothing: commit 6113728f, by whose flow file untrusted code is run, has neither .containerops.yml nor .containerops/*.yml
    push: nothing: refs/heads/old-idea was deleted
    merge_group: nothing: there is no run of ours at commit ec26c3e5 to stop
    check_run: nothing: ada may not write to acme/widget
    push: nothing: commit f95f852b has neither .containerops.yml nor .containerops/*.yml
    push: unreadable: the `push` payload is not of the expected shape: .: missing field `repository` at line 1 column 9
    ");
}
