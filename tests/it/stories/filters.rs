//! What a flow leaves out by what was changed or said, and how that is told.

use insta::assert_snapshot;

use super::SMALL;
use crate::harness::app::{Tester, WIDGET};

const BACKEND: &str = "on: {push: {paths: [\"src/**\", Cargo.toml], ignore-paths: [\"**/*.md\"]}, pull_request: {ignore-paths: [\"docs/**\"]}}";

/// A service, and a repository with this flow file and two others.
async fn with(flow: &str) -> Tester {
    let t = Tester::start().await;
    t.github.commit(WIDGET, "main", &files(flow, "1", "1"));
    t
}

fn files<'f>(flow: &'f str, source: &'f str, docs: &'f str) -> [(&'static str, &'f [u8]); 3] {
    [(".containerops.yml", flow.as_bytes()), ("src/main.rs", source.as_bytes()), ("docs/a.md", docs.as_bytes())]
}

#[tokio::test]
async fn a_push_that_changed_nothing_of_interest_is_skipped_and_says_by_which_filter() {
    let flow = format!("{BACKEND}\n{SMALL}");
    let t = with(&flow).await;
    let sha = t.github.commit(WIDGET, "main", &files(&flow, "1", "2"));
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    assert_snapshot!(t.checks(&sha), @"skipped containerops/ci/push: skipped: `on: push: paths` [src/**, Cargo.toml]: the one changed file does not match");
    let sha = t.github.commit(WIDGET, "main", &files(&flow, "2", "2"));
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 5 s
    success containerops/ci/push/test/test: success in 5 s
    ");
}

#[tokio::test]
async fn of_a_pull_request_all_that_it_changes_counts() {
    let flow = format!("{BACKEND}\n{SMALL}");
    let t = with(&flow).await;
    let sha = t.github.commit(WIDGET, "words", &files(&flow, "1", "2"));
    let number = t.github.open_pull_request(WIDGET, "main", WIDGET, "words");
    t.deliver(t.github.pull_request(WIDGET, number, "opened")).await;
    t.settle().await;
    assert_snapshot!(t.checks(&sha), @"skipped containerops/ci/pr: skipped: `on: pull_request: ignore-paths` [docs/**] matches all that changed");
    t.github.commit(WIDGET, "words", &files(&flow, "2", "2"));
    t.deliver(t.github.pull_request(WIDGET, number, "synchronize")).await;
    t.settle().await;
    t.run_the_job("test", 0).await;
    assert!(t.checks(&t.newest_run().await.sha).starts_with("success containerops/ci/pr"));
}

#[tokio::test]
async fn what_the_forge_lists_only_in_part_is_run_and_the_run_says_why() {
    let flow = format!("{BACKEND}\n{SMALL}");
    let t = with(&flow).await;
    let names: Vec<String> = (0..400).map(|at| format!("docs/{at}.md")).collect();
    let mut many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"2"[..])).collect();
    many.push((".containerops.yml", flow.as_bytes()));
    t.github.commit(WIDGET, "main", &many);
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    t.run_the_job("test", 0).await;
    let run = t.newest_run().await;
    assert!(t.checks(&run.sha).contains("success containerops/ci/push"));
    assert_snapshot!(run.diagnostics[0].message, @"not all changed files are known: GitHub lists only 300 of them");
}

#[tokio::test]
async fn a_commit_that_nothing_can_be_compared_with_is_run() {
    let flow = format!("{BACKEND}\n{SMALL}");
    let t = with(&flow).await;
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    t.run_the_job("test", 0).await;
    let run = t.newest_run().await;
    assert!(t.checks(&run.sha).contains("success containerops/ci/push"));
    assert_snapshot!(run.diagnostics[0].message, @"not all changed files are known: this push is compared with nothing");
}

#[tokio::test]
async fn a_head_commit_that_says_so_is_skipped_with_that_reason() {
    let t = Tester::start().await;
    t.commit("main", SMALL);
    let sha = t.commit("main", &format!("# a word\n{SMALL}"));
    t.github.says(WIDGET, "main", "A word\n\nNothing to see here. [skip ci]");
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    assert_snapshot!(t.checks(&sha), @"skipped containerops/ci/push: skipped: the head commit's message says [skip ci]");
    assert!(t.pods.placed().is_empty());
}

#[tokio::test]
async fn a_pull_requests_head_commit_is_asked_for_and_heeded_too() {
    let t = Tester::start().await;
    t.commit("main", SMALL);
    let sha = t.commit("idea", &format!("# an idea\n{SMALL}"));
    t.github.says(WIDGET, "idea", "[ci skip] Not yet");
    let number = t.github.open_pull_request(WIDGET, "main", WIDGET, "idea");
    t.deliver(t.github.pull_request(WIDGET, number, "opened")).await;
    t.settle().await;
    assert_snapshot!(t.checks(&sha), @"skipped containerops/ci/pr: skipped: the head commit's message says [ci skip]");
}

#[tokio::test]
async fn a_broken_file_is_skipped_as_well_if_the_commit_says_so() {
    let t = Tester::start().await;
    let sha = t.commit("main", "stages: 1");
    t.github.says(WIDGET, "main", "Broken, I know [skip ci]");
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    assert!(t.checks(&sha).starts_with("skipped containerops/ci/push"));
}
