//! Runs that end and follow each other on a real cluster.

use std::time::{Duration, Instant};

use containerops::model::{ActionState, Conclusion};

use crate::harness::{server::Server, story::Story};

/// What the agent gives a job that was told to stop.
const GRACE: Duration = Duration::from_secs(10);

fn runs(story: &Story) -> bool {
    story.actions.iter().all(|action| action.row.state.0 == ActionState::Running)
}

#[tokio::test]
async fn a_cancelled_job_may_say_goodbye_and_its_log_is_kept() {
    let Some(server) = Server::start("goodbye").await else { return };
    let polite = "trap 'echo putting the lock back; exit 0' TERM; echo begun; while :; do sleep 0.1; done";
    let run = server.push(&format!("stages: [{{name: deploy, image: busybox, run: \"{polite}\"}}]\n")).await;
    server.until("it has begun", run, |story| story.has_lines("deploy/deploy/deploy", 1)).await;
    server.app().engine.cancel(run, "ada").await.expect("it can be cancelled");
    let story = server.end(run).await;
    insta::assert_snapshot!(story.told(), @r"
    run: cancelled (cancelled by ada)
    deploy/deploy: cancelled (cancelled by ada)
      deploy: cancelled by ada
    ");
    let log = server.text(&story, "deploy/deploy/deploy").await;
    // the shell may say of its `sleep` what became of it
    let lines: Vec<&str> = log.lines().filter(|line| *line != "Terminated").collect();
    assert_eq!(lines, ["begun", "putting the lock back", "cancelled by ada"]);
    server.until_nothing_is_left().await;
}

#[tokio::test]
async fn a_cancelled_job_that_does_not_listen_is_killed_with_its_children_after_the_grace() {
    let Some(server) = Server::start("deaf").await else { return };
    let deaf = "trap '' TERM; (trap '' TERM; while :; do sleep 0.1; done) & echo begun; while :; do sleep 0.1; done";
    let run = server.push(&format!("stages: [{{name: deploy, image: busybox, run: \"{deaf}\"}}]\n")).await;
    server.until("it has begun", run, |story| story.has_lines("deploy/deploy/deploy", 1)).await;
    let begun = Instant::now();
    server.app().engine.cancel(run, "ada").await.expect("it can be cancelled");
    let story = server.end(run).await;
    assert!(begun.elapsed() >= GRACE, "it had {:?}", begun.elapsed());
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Cancelled));
    assert_eq!(server.text(&story, "deploy/deploy/deploy").await, "begun\ncancelled by ada\n");
    server.until_nothing_is_left().await;
}

#[tokio::test]
async fn deploys_follow_each_other_and_the_server_may_die_between() {
    let Some(mut server) = Server::start("deploys").await else { return };
    let flow = "concurrency: deploy\nstages: [{name: deploy, image: busybox, run: \"echo begun; sleep 2\"}]\n";
    let first = server.push(flow).await;
    let second = server.push(&format!("# again\n{flow}")).await;
    let third = server.push(&format!("# and again\n{flow}")).await;
    server.until("the first one runs", first, runs).await;
    server.kill().await;
    server.resume().await;
    let mut ended = Vec::new();
    for run in [first, second, third] {
        let story = server.end(run).await;
        assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Success), "{}", story.told());
        ended.push((story.run.started, story.run.ended));
    }
    for pair in ended.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "one ends before the next starts: {ended:?}");
    }
}
