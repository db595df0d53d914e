//! What runs beside jobs: they wait until it is ready, and it goes when they have.

use std::time::Duration;

use containerops::{
    agent::protocol::{Cause, ClaimRequest, HeartbeatAnswer},
    executor::{Hopeless, Why},
    model::{Check, Infrastructure, Ready},
};
use insta::assert_snapshot;
use reqwest::StatusCode;
use secrecy::ExposeSecret as _;

use super::{ACTION, RUN};
use crate::harness::{agent::Agent, app::Tester};

const FLOW: &str = r#"
stages:
  - name: test
    services: [{name: db, image: "postgres:17", environments: {A: b}, run: serve, ready: {tcp: 5432, within: 30s}}]
    image: "rust:1"
    run: cargo test
"#;

const DB: &str = "test.test.db";

#[tokio::test]
async fn a_job_starts_when_its_service_is_ready_and_the_service_stops_when_it_has_ended() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    let placed = t.pods.newest("test.test").expect("a pod");
    let names: Vec<_> = placed.containers.iter().map(|one| (one.name.as_str(), one.service.as_deref())).collect();
    assert_eq!(names, [("job-0", None), ("service-0", Some("db"))]);
    let db = t.claims(DB).await.says("listening soon\n").await;
    assert_eq!(db.work.ready, Some(Ready { check: Check::Tcp(5432), within: Duration::from_secs(30) }));
    assert_eq!((db.work.environments["A"].as_str(), db.work.environments["CO_JOB"].as_str()), ("b", "db"));
    assert_eq!(db.work.source, None, "the first job lays out the workspace");
    assert!(Agent::waits(&t, "test").await);
    let page = t.page("/github/acme/widget/runs/1").await;
    assert!(page.contains("service, waits for TCP port 5432"), "{page}");
    let db = db.gets_ready().await;
    let test = t.claims("test").await;
    assert!(test.work.source.is_some());
    assert_eq!(db.hears().await, HeartbeatAnswer::GoOn);
    test.exits(0).await;
    assert_eq!(t.check(&sha, ACTION).state, "in_progress", "its service is still there");
    db.says("bye\n").await.stops().await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 14 s
    success containerops/ci/push/test/test: success in 14 s
    ");
    assert_snapshot!(t.attempts().await, @"test/test 1: success (0 bytes) success (19 bytes)");
    assert!(t.pods.placed().is_empty());
    let page = t.page("/github/acme/widget/runs/1").await;
    assert!(page.contains("service, ready after"), "{page}");
    let log = t.page("/github/acme/widget/runs/1/test/test/db").await;
    assert!(log.contains("listening soon") && log.contains("postgres:17"), "{log}");
}

#[tokio::test]
async fn a_service_that_ends_before_it_is_ready_fails_its_action_by_its_name() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    t.claims(DB).await.says("no space left\n").await.exits(2).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in test/test: service `db`: not ready: exit code 2 after 5 s, while TCP port 5432 was waited for
    failure containerops/ci/push/test/test: failure: service `db`: not ready: exit code 2 after 5 s, while TCP port 5432 was waited for
    ");
    assert_snapshot!(t.check(&sha, ACTION).summary, @r"
    | Job | State | Duration |
    | --- | --- | --- |
    | [test](https://ci.example.com/github/acme/widget/runs/1/test/test/test) | skipped: service \`db\`: not ready: exit code 2 after 5 s, while TCP port 5432 was waited for |  |
    | [db](https://ci.example.com/github/acme/widget/runs/1/test/test/db) | not ready: exit code 2 after 5 s, while TCP port 5432 was waited for | 5 s |

    **test / test / db**: not ready: exit code 2 after 5 s, while TCP port 5432 was waited for

    What to do: its log says more; if it only needs longer, raise `ready: {within: …}`.

    ```text
    no space left
    ```

    [The log at line 1](https://ci.example.com/github/acme/widget/runs/1/test/test/db?line=1#L1)
    ");
    assert_snapshot!(t.attempts().await, @"test/test 1: skipped: service `db`: not ready: exit code 2 after 5 s, while TCP port 5432 was waited for (0 bytes) not ready: exit code 2 after 5 s, while TCP port 5432 was waited for (14 bytes)");
}

#[tokio::test]
async fn a_good_end_before_it_is_ready_is_none() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    t.claims(DB).await.exits(0).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in test/test: service `db`: not ready: exit code 0 after 5 s, while TCP port 5432 was waited for
    failure containerops/ci/push/test/test: failure: service `db`: not ready: exit code 0 after 5 s, while TCP port 5432 was waited for
    ");
}

#[tokio::test]
async fn a_service_that_is_not_ready_in_time_fails_its_action_with_what_was_waited_for() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    let message = "TCP port 5432 has not answered within 30 s: Connection refused".to_owned();
    t.claims(DB).await.ends(Cause::NotReady { message }).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in test/test: service `db`: not ready: TCP port 5432 has not answered within 30 s: Connection refused
    failure containerops/ci/push/test/test: failure: service `db`: not ready: TCP port 5432 has not answered within 30 s: Connection refused
    ");
    assert_snapshot!(t.attempts().await, @"test/test 1: skipped: service `db`: not ready: TCP port 5432 has not answered within 30 s: Connection refused (0 bytes) not ready: TCP port 5432 has not answered within 30 s: Connection refused (0 bytes)");
}

#[tokio::test]
async fn a_service_that_dies_beside_its_job_is_told_and_the_job_decides() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    let db = t.claims(DB).await.gets_ready().await;
    let test = t.claims("test").await;
    db.exits(137).await;
    assert_eq!(t.check(&sha, ACTION).state, "in_progress");
    test.exits(1).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in test/test: exit code 1; service `db` ended while jobs ran: exit code 137
    failure containerops/ci/push/test/test: failure: exit code 1; service `db` ended while jobs ran: exit code 137
    ");
    let again = t.push("main", FLOW).await;
    let db = t.claims(DB).await.gets_ready().await;
    let test = t.claims("test").await;
    db.ends(Cause::Signal { signal: 11 }).await;
    test.exits(0).await;
    assert_snapshot!(t.checks(&again), @r"
    neutral containerops/ci/push: warning: 1 action in 14 s
    neutral containerops/ci/push/test/test: warning: service `db` ended while jobs ran: killed by signal 11 (SIGSEGV)
    ");
}

#[tokio::test]
async fn its_end_record_says_that_it_was_ready_if_nothing_else_was_heard() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    let db = t.claims(DB).await;
    let mut record = db.record(Cause::Exit { code: 1 });
    record.ready = Some(t.clock.now());
    db.reports(&record).await;
    t.settle().await;
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    neutral containerops/ci/push: warning: 1 action in 7 s
    neutral containerops/ci/push/test/test: warning: service `db` ended while jobs ran: exit code 1
    ");
}

#[tokio::test]
async fn that_it_is_ready_outlives_the_server_and_may_be_said_twice() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    let db = t.claims(DB).await;
    t.restart().await;
    db.claims_again().await;
    let db = db.gets_ready().await;
    t.restart().await;
    db.says_ready().await;
    let test = t.claims("test").await;
    t.restart().await;
    test.exits(0).await;
    t.restart().await;
    db.stops().await;
    t.restart().await;
    t.settle().await;
    assert_eq!(t.check(&sha, RUN).state, "success");
    assert_eq!(t.pods.most_placed(), 1);
}

#[tokio::test]
async fn a_service_among_jobs_starts_after_those_before_it() {
    let t = Tester::start().await;
    let flow = r#"
stages:
  - name: test
    jobs:
      - {name: build, image: "rust:1", run: make}
      - {name: web, type: service, image: "rust:1", run: ./web, ready: {http: 8080/healthz}}
      - {name: check, image: "rust:1", run: ./check}
"#;
    let sha = t.push("main", flow).await;
    assert!(Agent::waits(&t, "test.test.web").await);
    t.run_the_job("test.test.build", 0).await;
    assert!(Agent::waits(&t, "test.test.check").await);
    let web = t.claims("test.test.web").await.gets_ready().await;
    t.run_the_job("test.test.check", 0).await;
    web.stops().await;
    assert_snapshot!(t.attempts().await, @"test/test 1: success (0 bytes) success (0 bytes) success (0 bytes)");
    assert_eq!(t.check(&sha, RUN).state, "success");
}

#[tokio::test]
async fn a_service_whose_jobs_never_come_is_not_started() {
    let t = Tester::start().await;
    let flow = r#"
stages:
  - name: test
    jobs:
      - {name: build, image: "rust:1", run: make}
      - {name: web, type: service, image: "rust:1", run: ./web}
      - {name: check, image: "rust:1", run: ./check}
"#;
    t.push("main", flow).await;
    t.run_the_job("test.test.build", 1).await;
    assert_snapshot!(t.attempts().await, @"test/test 1: exit code 1 (0 bytes) skipped: job `build`: exit code 1 (0 bytes) skipped: no job was left that needs it (0 bytes)");
    t.read_writes();
}

#[tokio::test]
async fn what_asks_for_a_failure_runs_after_a_service_failed() {
    let t = Tester::start().await;
    let flow = FLOW.replace(
        "    image: \"rust:1\"\n    run: cargo test\n",
        "    jobs:\n      - {name: a, image: \"rust:1\", run: a}\n      - {name: b, image: \"rust:1\", run: b, when: result == \"failure\"}\n",
    );
    t.push("main", &flow).await;
    t.claims(DB).await.exits(2).await;
    t.run_the_job("test.test.b", 0).await;
    assert_snapshot!(t.attempts().await, @"test/test 1: skipped: service `db`: not ready: exit code 2 after 5 s, while TCP port 5432 was waited for (0 bytes) success (0 bytes) not ready: exit code 2 after 5 s, while TCP port 5432 was waited for (0 bytes)");
    t.read_writes();
}

#[tokio::test]
async fn a_cancelled_run_stops_its_services_too() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    let db = t.claims(DB).await.gets_ready().await;
    let test = t.claims("test").await;
    t.cancel("Ada").await;
    for agent in [test, db] {
        assert_eq!(agent.hears().await, HeartbeatAnswer::Cancel { by: "Ada".to_owned() });
        agent.ends(Cause::Cancelled { by: "Ada".to_owned() }).await;
    }
    assert_snapshot!(t.checks(&sha), @r"
    cancelled containerops/ci/push: cancelled by Ada
    cancelled containerops/ci/push/test/test: cancelled by Ada
    ");
    assert!(t.pods.placed().is_empty());
}

#[tokio::test]
async fn a_run_that_is_cancelled_before_a_service_is_ready_ends_with_its_agents() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    let db = t.claims(DB).await;
    t.cancel("Ada").await;
    db.ends(Cause::Cancelled { by: "Ada".to_owned() }).await;
    assert_snapshot!(t.checks(&sha), @r"
    cancelled containerops/ci/push: cancelled by Ada
    cancelled containerops/ci/push/test/test: cancelled by Ada
    ");
    assert_snapshot!(t.attempts().await, @"test/test 1: skipped: service `db`: cancelled by Ada (0 bytes) cancelled by Ada (0 bytes)");
}

#[tokio::test]
async fn an_image_that_a_service_cannot_have_is_told_as_its_own() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    let (image, message) = ("postgres:17".to_owned(), "manifest unknown".to_owned());
    let job = Some(t.pods.job("test.test", 1));
    t.pods.waits("test.test", "", Some(Hopeless { job, why: Why::ImageNotFound { image, message } }));
    t.settle().await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in test/test: service `db`: image postgres:17 not found: manifest unknown
    failure containerops/ci/push/test/test: failure: service `db`: image postgres:17 not found: manifest unknown
    ");
}

#[tokio::test]
async fn a_service_that_dies_with_its_pod_is_tried_again_with_it() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    let _lost = t.claims(DB).await;
    t.pods.dies("test.test", Infrastructure::Evicted, "low on memory");
    t.settle().await;
    let db = t.claims(DB).await.gets_ready().await;
    t.run_the_job("test", 0).await;
    db.stops().await;
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: infrastructure: evicted: low on memory (0 bytes) infrastructure: evicted: low on memory (0 bytes)
    test/test 2: success (0 bytes) success (0 bytes)
    ");
    assert_eq!(t.check(&sha, RUN).state, "success");
}

#[tokio::test]
async fn a_service_whose_agent_never_comes_or_falls_silent_is_not_waited_for_for_ever() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    t.pods.runs("test.test");
    assert!(Agent::waits(&t, "test").await);
    t.passes(Duration::from_secs(6 * 60)).await;
    let first = t.attempts().await;
    assert!(first.contains("no agent has asked for work within 5 min 0 s"), "{first}");
    let db = t.claims(DB).await;
    t.pods.runs("test.test");
    for _ in 0..17 {
        assert!(Agent::waits(&t, "test").await);
        t.passes(Duration::from_secs(60)).await;
    }
    let second = t.attempts().await;
    assert!(second.contains("agent lost: no word since"), "{second}");
    let by = "the server: the job is over".to_owned();
    assert_eq!(db.hears().await, HeartbeatAnswer::Cancel { by });
    t.read_writes();
}

#[tokio::test]
async fn a_service_that_does_not_stop_is_taken_away_and_changes_nothing() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    let _db = t.claims(DB).await.gets_ready().await;
    t.run_the_job("test", 0).await;
    t.pods.runs("test.test");
    t.passes(Duration::from_secs(90)).await;
    assert_eq!(t.check(&sha, RUN).state, "success");
    assert_snapshot!(t.attempts().await, @"test/test 1: success (0 bytes) success, but its agent did not answer when it was to stop (0 bytes)");
    assert!(t.pods.placed().is_empty());
}

#[tokio::test]
async fn an_agent_that_knows_no_services_is_refused_with_words() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    let token = t.pods.newest("test.test").expect("a pod").containers[1].token.expose_secret().to_owned();
    let request = ClaimRequest { protocol: 1, version: "old".to_owned(), session: "a".repeat(64) };
    let call = t.http.post(format!("{}/agent/v1/claim", t.url())).bearer_auth(token).json(&request);
    assert_eq!(call.send().await.expect("an answer").status(), StatusCode::BAD_REQUEST);
    t.settle().await;
    assert!(
        t.check(&sha, ACTION).title.contains("the agent speaks protocol 1, which knows no services"),
        "{}",
        t.check(&sha, ACTION).title
    );
}

#[tokio::test]
async fn a_run_again_of_what_failed_has_services_of_its_own() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    t.claims(DB).await.exits(2).await;
    let run = t.newest_run().await.id;
    t.runs_again(run).await;
    t.settle().await;
    let db = t.claims(DB).await.gets_ready().await;
    t.run_the_job("test", 0).await;
    db.stops().await;
    assert_snapshot!(t.attempts().await, @"test/test 1: success (0 bytes) success (0 bytes)");
    t.read_writes();
}

#[tokio::test]
async fn a_job_without_a_container_waits_for_services_too() {
    let t = Tester::start().await;
    let flow = r#"
stages:
  - name: ship
    services: [{name: proxy, image: "proxy:1", run: serve, ready: {tcp: 80}}]
    jobs: [{name: apply, kubectl: app.yaml, namespace: shop}]
"#;
    let sha = t.push("main", flow).await;
    let proxy = t.claims("ship.ship.proxy").await;
    t.settle().await;
    assert_eq!(t.check(&sha, RUN).state, "in_progress");
    let proxy = proxy.gets_ready().await;
    let attempts = t.attempts().await;
    assert!(attempts.starts_with("ship/ship 1: not deployed: ") && attempts.contains(" running ("), "{attempts}");
    proxy.stops().await;
    assert_eq!(t.check(&sha, RUN).state, "failure");
}

#[tokio::test]
async fn where_an_action_runs_is_in_its_placement() {
    let t = Tester::start().await;
    let flow =
        r#"stages: [{name: test, runtime: gvisor, node: {kubernetes.io/arch: arm64}, image: "rust:1", run: make}]"#;
    t.push("main", flow).await;
    let placed = t.pods.newest("test.test").expect("a pod");
    assert_eq!(placed.runtime.as_deref(), Some("gvisor"));
    assert_eq!(placed.node["kubernetes.io/arch"], "arm64");
    t.read_writes();
}
