//! What an action finds in its workspace, if it asks for something else than the commit.

use containerops::model::{FlowChoice, What, Wish};
use insta::assert_snapshot;
use reqwest::StatusCode;

use crate::harness::app::{Tester, WIDGET};

const FLOW: &str = "stages:
  - name: build
    sequencing: parallel
    actions:
      - {name: plain, image: i, run: x}
      - {name: empty, image: i, run: x, checkout: false}
      - {name: stable, image: i, run: x, checkout: {ref: stable}}
      - {name: whole, image: i, run: x, checkout: {depth: 0}}
      - {name: also, image: i, run: x, checkout: {ref: stable, depth: 1}}
";

#[tokio::test]
async fn each_action_finds_what_it_asks_for_and_variables_tell_of_the_event() {
    let t = Tester::start().await;
    let stable = t.github.commit(WIDGET, "stable", &[("file", b"stable")]);
    let sha = t.push("main", FLOW).await;
    assert_ne!(stable, sha);
    let mut sources = Vec::new();
    for name in ["plain", "empty", "stable", "whole", "also"] {
        let agent = t.claims(&format!("build.{name}")).await;
        assert_eq!(agent.work.environments["CO_SHA"], sha.to_string());
        assert_eq!(agent.work.environments["CO_BRANCH"], "main");
        if agent.work.source.is_some() {
            assert_eq!(agent.fetches_source().await, StatusCode::OK, "{name}");
        }
        sources.push(agent.work.source.clone());
        agent.exits(0).await;
    }
    let [plain, empty, stable, whole, also] = sources.as_slice() else { panic!("five actions") };
    assert!(empty.is_none() && plain.is_some() && stable.is_some() && whole.is_some());
    assert!(plain != stable && plain != whole && stable != whole);
    assert_eq!(stable, also, "the same options are one snapshot");
    t.read_writes();
}

#[tokio::test]
async fn a_re_run_finds_the_same_bytes_though_the_branch_has_moved() {
    let t = Tester::start().await;
    t.github.commit(WIDGET, "stable", &[("file", b"stable")]);
    t.push("main", "stages: [{name: build, image: i, run: x, checkout: {ref: stable}}]").await;
    let first = t.claims("build").await;
    let source = first.work.source.clone();
    first.exits(1).await;
    t.github.commit(WIDGET, "stable", &[("file", b"newer")]);
    let (run, wish) =
        (t.newest_run().await.id, Wish { what: What::Everything, flow: FlowChoice::Same, by: String::new() });
    t.app().engine.rerun(run, &wish).await.expect("it can be run again");
    t.settle().await;
    let again = t.claims("build").await;
    assert_eq!(again.work.source, source);
    // and though the snapshot itself is lost
    std::fs::remove_dir_all(t.data().join("blobs")).expect("ours");
    assert_eq!(again.fetches_source().await, StatusCode::SERVICE_UNAVAILABLE);
    t.settle().await;
    assert_eq!(again.fetches_source().await, StatusCode::OK);
    again.exits(0).await;
    t.push("main", "stages: [{name: build, image: i, run: x, checkout: {ref: stable}}]").await;
    let new = t.claims("build").await;
    assert_ne!(new.work.source, source, "a new run takes what the branch is now");
    new.exits(0).await;
    t.read_writes();
}

#[tokio::test]
async fn a_ref_that_is_not_there_is_the_authors_mistake_and_ends_that_action_alone() {
    let t = Tester::start().await;
    let flow = "stages: [{name: build, sequencing: parallel, actions: [\
        {name: good, image: i, run: x}, {name: bad, image: i, run: x, checkout: {ref: nowhere}}]}]";
    let sha = t.push("main", flow).await;
    let reason = t.leaves("build.bad").await;
    assert_snapshot!(reason, @"the repository has no branch or tag `nowhere`");
    t.settle().await;
    assert_snapshot!(t.check(&sha, "containerops/ci/push/build/bad").title, @"failure: cannot start: the repository has no branch or tag `nowhere`");
    t.read_writes();
}

#[tokio::test]
async fn an_action_waits_for_its_own_checkout_and_a_restart_forgets_none() {
    let t = Tester::start().await;
    t.github.commit(WIDGET, "stable", &[("file", b"stable")]);
    t.commit("main", "stages: [{name: build, image: i, run: x, checkout: {ref: stable, depth: 0}}]");
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.restart().await;
    t.settle().await;
    let agent = t.claims("build").await;
    assert_eq!(agent.fetches_source().await, StatusCode::OK);
    agent.claims_again().await;
    agent.exits(0).await;
    // nothing is kept for a run that ended long ago
    t.clock.advance(std::time::Duration::from_secs(8 * 24 * 3600));
    t.app().engine.tidy().await.expect("it is tidied");
    let run = t.newest_run().await;
    let mut tx = t.app().engine.store.read().await.expect("rows");
    let options = run.plan.0.expect("a plan").stages[0].actions[0].checkout.options().expect("options").key();
    assert_eq!(tx.checkout(run.id, &options).await.expect("rows").expect("a row").source, None);
    drop(tx);
    t.read_writes();
}
