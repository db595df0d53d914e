//! The program itself, killed without a warning while a job runs: the job goes on, says more and ends while nobody
//! listens, and after the next start all of it is there.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::timeout;

use crate::harness::{pipe, service::Service};

/// The longest that anything here may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// How often it is killed to see how soon work goes on.
const KILLS: usize = 10;

#[tokio::test]
async fn a_killed_service_goes_on_where_it_was() {
    // as `main` does first of all
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    timeout(LIMIT, walk()).await.expect("it comes to an end");
}

async fn walk() {
    let folder = tempfile::tempdir().expect("a folder");
    let (up, go) = (pipe(folder.path(), "up"), pipe(folder.path(), "go"));
    let data = folder.path().join("data");
    let service = Service::start(&data).await;
    let flow = format!(
        "stages: [{{name: test, image: any, run: \"echo before; echo > {}; cat {}; echo after\"}}]",
        up.display(),
        go.display()
    );
    service.push(&folder.path().join("ada"), &flow).await;
    tokio::fs::read(&up).await.expect("the job is up");
    let service =
        service.killed(async { tokio::fs::write(&go, "while nobody listens\n").await.expect("it reads") }).await;
    let run = "/git/acme/widget/runs/1";
    service.followed(&format!("{run}/test/test/test")).await;
    let log = service.get(&format!("{run}/test/test/test/log.txt")).await.text().await.expect("a log");
    assert!(log.ends_with("before\nwhile nobody listens\nafter\n"), "{log}");
    let runs: Value = service.get("/api/v1/runs").await.json().await.expect("JSON");
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1), "{runs}");
    assert_eq!(runs["runs"][0]["status"]["conclusion"], "success", "{runs}");
}

#[tokio::test]
async fn work_goes_on_within_seconds_of_a_kill() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    timeout(LIMIT, kills()).await.expect("it comes to an end");
}

async fn kills() {
    let folder = tempfile::tempdir().expect("a folder");
    let (up, enough) = (pipe(folder.path(), "up"), folder.path().join("enough"));
    let data = folder.path().join("data");
    let mut service = Service::start(&data).await;
    let flow = format!(
        "stages: [{{name: test, image: any, run: \"echo > {}; i=0; \
         while [ $i -lt 600 ] && [ ! -e {} ]; do i=$((i + 1)); echo $i; sleep 0.1; done\"}}]",
        up.display(),
        enough.display()
    );
    service.push(&folder.path().join("ada"), &flow).await;
    tokio::fs::read(&up).await.expect("the job is up");
    let job = "/git/acme/widget/runs/1/test/test/test";
    let mut took = Vec::new();
    for _ in 0..KILLS {
        service.grown(job).await;
        let killed = std::sync::Mutex::new(Instant::now());
        service = service.killed(async { *killed.lock().expect("nobody panics with it") = Instant::now() }).await;
        service.grown(job).await;
        took.push(killed.into_inner().expect("nobody panics with it").elapsed());
    }
    std::fs::write(&enough, "").expect("it can be written");
    service.followed(job).await;
    took.sort();
    let median = took[KILLS / 2];
    eprintln!("from a kill to the first line after it: median {median:?}, {took:?}");
    // a busy machine and a build without optimization; the figure to be held is two seconds
    assert!(median < Duration::from_secs(5), "{took:?}");
}
