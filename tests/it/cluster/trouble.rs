//! What may come between: people who cancel, clusters without room, pods and servers that die.

use std::time::{Duration, Instant};

use containerops::model::{Conclusion, JobState};
use kube::{ResourceExt as _, api::DeleteParams};

use crate::harness::{server::Server, story::Story};

#[tokio::test]
async fn a_cancelled_run_ends_within_seconds_and_its_job_is_told() {
    let Some(server) = Server::start("cancel").await else { return };
    let flow = r#"
stages:
  - name: long
    image: busybox
    run: |
      trap 'echo told to stop; exit 143' TERM
      echo ready
      while true; do sleep 0.1; done
  - {name: after, image: busybox, run: "echo never"}
"#;
    let run = server.push(flow).await;
    server.until("the job writes", run, |story| story.has_lines("long/long/long", 1)).await;
    assert!(server.app().engine.cancel(run, "ada").await.expect("it can be cancelled"));
    let begun = Instant::now();
    let story = server.end(run).await;
    let took = begun.elapsed();
    insta::assert_snapshot!(story.told(), @r"
    run: cancelled (cancelled by ada)
    long/long: cancelled (cancelled by ada)
      long: cancelled by ada
    after/after: cancelled (cancelled by ada)
    ");
    let log = server.text(&story, "long/long/long").await;
    assert!(log.starts_with("ready\n") && log.contains("told to stop\n"), "{log}");
    assert!(log.ends_with("cancelled by ada\n"), "{log}");
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    server.until_nothing_is_left().await;
}

#[tokio::test]
async fn an_action_without_room_waits_and_says_why_until_it_is_cancelled() {
    let Some(server) = Server::start("room").await else { return };
    let flow = "stages:\n  - {name: huge, image: busybox, run: \"true\", resources: {cpu: 1000}}\n";
    let run = server.push(flow).await;
    // before that, a namespace that has just been made may lack its service account
    let says_why = |story: &Story| story.action("huge/huge").row.reason.contains("Insufficient cpu");
    let story = server.until("the reason is told", run, says_why).await;
    let note = server.notes(&story).await;
    assert!(note.contains("Insufficient cpu"), "{note}");
    server.app().engine.cancel(run, "ada").await.expect("it can be cancelled");
    let story = server.end(run).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Cancelled), "{}", story.told());
    server.until_nothing_is_left().await;
}

#[tokio::test]
async fn a_pod_that_someone_deletes_is_followed_by_another() {
    let Some(server) = Server::start("deleted").await else { return };
    let flow = r#"
stages:
  - name: work
    image: busybox
    run: |
      echo attempt $CO_ATTEMPT
      if [ $CO_ATTEMPT = 1 ]; then sleep 600; fi
"#;
    let run = server.push(flow).await;
    server.until("the job writes", run, |story| story.has_lines("work/work/work", 1)).await;
    let name = server.pod_of("work.work").await.name_any();
    server.cluster.pods().delete(&name, &DeleteParams::default()).await.expect("someone deletes it");
    let story = server.end(run).await;
    insta::assert_snapshot!(story.told(), @r"
    run: success
    work/work: success
      work: infrastructure: pod deleted: the pod was deleted, but not by ContainerOps
      work, attempt 2: success
    ");
    assert_eq!(server.text(&story, "work/work/work").await, "attempt 2\n");
    server.until_nothing_is_left().await;
}

#[tokio::test]
async fn a_run_survives_the_servers_death() {
    let Some(mut server) = Server::start("killed").await else { return };
    let flow = r#"
stages:
  - name: count
    image: busybox
    run: |
      i=0
      while [ $i -lt 60 ]; do i=$((i + 1)); echo line $i; sleep 0.1; done
  - {name: after, image: busybox, run: "echo after"}
"#;
    let run = server.push(flow).await;
    server.until("the job writes", run, |story| story.has_lines("count/count/count", 1)).await;
    server.kill().await;
    server.resume().await;
    let story = server.end(run).await;
    insta::assert_snapshot!(story.told(), @r"
    run: success
    count/count: success
      count: success
    after/after: success
      after: success
    ");
    let expected: String = (1..=60).map(|n| format!("line {n}\n")).collect();
    assert_eq!(server.text(&story, "count/count/count").await, expected);
    assert!(matches!(story.job("after/after/after").state.0, JobState::Ended(_)));
    server.until_nothing_is_left().await;
}

#[tokio::test]
async fn a_registry_that_is_away_is_waited_for_and_nothing_else_waits_with_it() {
    let Some(mut server) = Server::start("away").await else { return };
    // it takes calls and never answers them
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    let registry = silent.local_addr().expect("a bound socket has an address");
    let flow = format!("stages:\n  - {{name: wait, image: \"{registry}/some/component:1\"}}\n");
    let waits = server.push(&flow).await;
    let (_calling, _) = silent.accept().await.expect("the registry is asked");
    let run = server.push("stages:\n  - {name: go, image: busybox, run: \"true\"}\n").await;
    let story = server.end(run).await;
    let action = &story.action("go/go").attempts[0].0;
    let waited = action.created.since(story.run.created);
    assert!(waited < Duration::from_secs(2), "it waited {waited:?}: {}", story.told());

    let told = |story: &Story| !story.action("wait/wait").row.reason.is_empty();
    let story = server.until("the reason is told", waits, told).await;
    let reason = story.action("wait/wait").row.reason.replace(&registry.to_string(), "…");
    insta::assert_snapshot!(reason, @"the registry of …/some/component:1 cannot be asked: error sending request: client error (Connect): operation timed out; with `command:` the image's own entrypoint need not be known");

    // whoever starts after a server that died while it asked has not to wait for it
    let (_calling, _) = silent.accept().await.expect("the registry is asked again");
    server.kill().await;
    server.resume().await;
    server.app().engine.cancel(waits, "ada").await.expect("it can be cancelled");
    let begun = Instant::now();
    let story = server.end(waits).await;
    assert_eq!(story.run.state.0.conclusion(), Some(Conclusion::Cancelled), "{}", story.told());
    assert!(begun.elapsed() < Duration::from_secs(20), "it took {:?}", begun.elapsed());
}
