//! Services on a real cluster: what may happen to them and to the server meanwhile.

use containerops::model::JobState;

use crate::harness::{server::Server, story::Story};

#[tokio::test]
async fn a_service_and_who_waits_for_it_outlive_the_servers_death() {
    let Some(mut server) = Server::start("svckilled").await else { return };
    let flow = r#"
stages:
  - name: talk
    services:
      - name: web
        image: busybox
        run: "echo begun; mkdir /tmp/www; echo hello > /tmp/www/index.html; sleep 3; exec httpd -f -p 8080 -h /tmp/www"
        ready: {http: 8080/index.html}
    jobs:
      - {name: one, image: busybox, run: "wget -qO- http://web:8080/index.html; sleep 2"}
      - {name: two, image: busybox, run: "wget -qO- http://localhost:8080/index.html"}
"#;
    let run = server.push(flow).await;
    server.until("the service writes", run, |story| story.has_lines("talk/talk/web", 1)).await;
    server.kill().await;
    server.resume().await;
    server.until("the first job writes", run, |story| story.has_lines("talk/talk/one", 1)).await;
    server.kill().await;
    server.resume().await;
    let story = server.end(run).await;
    insta::assert_snapshot!(story.told(), @r"
    run: success
    talk/talk: success
      one: success
      two: success
      web: success
    ");
    for job in ["one", "two"] {
        assert_eq!(server.text(&story, &format!("talk/talk/{job}")).await, "hello\n");
    }
    let web = story.job("talk/talk/web");
    assert!(web.ready.is_some_and(|ready| story.job("talk/talk/one").started >= Some(ready)), "{}", story.told());
    server.until_nothing_is_left().await;
}

#[tokio::test]
async fn a_service_that_cannot_be_fails_its_action_and_leaves_nothing() {
    let Some(server) = Server::start("svcfails").await else { return };
    let missing = format!("{}/no/such/database:1", crate::harness::image::registry());
    let flow = format!(
        r#"
stages:
  - name: check
    sequencing: parallel
    fail-fast: false
    actions:
      - name: missing
        services: [{{name: db, image: "{missing}", run: "true"}}]
        jobs: [{{name: test, image: busybox, run: echo never}}]
      - name: greedy
        services:
          - {{name: db, image: busybox, run: tail /dev/zero, ready: {{tcp: 1}}, resources: {{memory: 16Mi, limits: {{memory: 48Mi}}}}}}
        jobs: [{{name: test, image: busybox, run: echo never}}]
      - name: nothing
        services: [{{name: db, image: busybox, command: [no-such-program]}}]
        jobs: [{{name: test, image: busybox, run: echo never}}]
"#
    );
    let story = server.end(server.push(&flow).await).await;
    let skipped = |path: &str| matches!(&story.job(path).state.0, JobState::Ended(end) if end.to_string().starts_with("skipped: service `db`: "));
    for (action, words) in [
        ("missing", "service `db`: image "),
        ("greedy", "service `db`: out of memory"),
        ("nothing", "service `db`: cannot start: `no-such-program`"),
    ] {
        let reason = &story.action(&format!("check/{action}")).row.reason;
        assert!(reason.starts_with(words), "{}", story.told());
        assert!(skipped(&format!("check/{action}/test")), "{}", story.told());
    }
    server.until_nothing_is_left().await;
}

#[tokio::test]
async fn a_cancelled_run_stops_its_service_within_seconds() {
    let Some(server) = Server::start("svccancel").await else { return };
    let flow = r#"
stages:
  - name: talk
    services: [{name: db, image: busybox, run: "trap 'echo told; exit 0' TERM; echo up; while true; do sleep 0.1; done"}]
    jobs: [{name: long, image: busybox, run: "echo runs; exec sleep 600"}]
"#;
    let run = server.push(flow).await;
    let runs = |story: &Story| story.has_lines("talk/talk/long", 1) && story.has_lines("talk/talk/db", 1);
    server.until("both run", run, runs).await;
    server.app().engine.cancel(run, "ada").await.expect("it can be cancelled");
    let begun = std::time::Instant::now();
    let story = server.end(run).await;
    let took = begun.elapsed();
    insta::assert_snapshot!(story.told(), @r"
    run: cancelled (cancelled by ada)
    talk/talk: cancelled (cancelled by ada)
      long: cancelled by ada
      db: cancelled by ada
    ");
    let log = server.text(&story, "talk/talk/db").await;
    assert!(log.starts_with("up\n") && log.contains("told\n") && log.ends_with("cancelled by ada\n"), "{log}");
    assert!(took < std::time::Duration::from_secs(5), "it took {took:?}");
    server.until_nothing_is_left().await;
}
