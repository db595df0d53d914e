//! The program itself, told to stop: it is not ready any more, lets go of whoever waits, and is gone within ten seconds;
//! nothing is lost by it.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::timeout;

use crate::harness::{pipe, service::Service};

/// How long a stop may take.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_service_that_is_told_to_stop_loses_nothing() {
    // as `main` does first of all
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    timeout(LIMIT, walk()).await.expect("it comes to an end");
}

async fn walk() {
    let folder = tempfile::tempdir().expect("a folder");
    let (up, go) = (pipe(folder.path(), "up"), pipe(folder.path(), "go"));
    let settings = [
        ("CONTAINEROPS_DRAIN", "1".to_owned()),
        ("CONTAINEROPS_LOG_FORMAT", "json".to_owned()),
        ("CONTAINEROPS_GITHUB_WEBHOOK_SECRET", "canary-of-the-webhook".to_owned()),
        ("CONTAINEROPS_GITHUB_TOKEN", "canary-of-the-forge".to_owned()),
        ("CONTAINEROPS_METRICS_TOKEN", "canary-of-the-numbers".to_owned()),
    ];
    let service = Service::start_with(&folder.path().join("data"), &settings).await;
    let flow = format!(
        "stages: [{{name: test, image: any, run: \"echo before; echo > {}; cat {}; echo after\"}}]",
        up.display(),
        go.display()
    );
    service.push(&folder.path().join("ada"), &flow).await;
    tokio::fs::read(&up).await.expect("the job is up");
    let job = "/git/acme/widget/runs/1/test/test/test";
    let mut stream = service.get(&format!("{job}/log/stream")).await;
    let mut heard = String::new();
    while !heard.contains("before") {
        heard += &String::from_utf8_lossy(&stream.chunk().await.expect("a stream").expect("more of it"));
    }
    let began = Instant::now();
    service.terminate();
    // as long as it drains, it says that it is not ready, and answers
    let not_ready = async {
        loop {
            let answer = reqwest::get(service.url("/readyz")).await.expect("it still answers");
            if answer.status() == 503 {
                return answer.text().await.expect("text");
            }
        }
    };
    let text = timeout(Duration::from_secs(1), not_ready).await.expect("it is known at once");
    assert!(text.starts_with("not ready\nstopping\n"), "{text}");
    assert_eq!(service.get("/api/v1/runs").await.status(), 200);
    // whoever follows a log is told to come again, and is not cut off
    while let Some(more) = stream.chunk().await.expect("the stream ends as it should") {
        heard += &String::from_utf8_lossy(&more);
    }
    assert!(heard.ends_with("retry: 1000\n\n") && !heard.contains("event: end"), "{heard}");
    let (service, log) = service.stopped().await;
    assert!(began.elapsed() < STOPPED_WITHIN, "it took {:?}", began.elapsed());
    eprintln!("stopped within {:?}, of which it was to drain for 1 s", began.elapsed());
    assert!(!log.contains("canary"), "{log}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    assert!(log.contains("\"stopped\""), "it came to its own end: {log}");
    tokio::fs::write(&go, "while nobody listens\n").await.expect("it reads");
    let service = service.again().await;
    service.followed(job).await;
    let log = service.get(&format!("{job}/log.txt")).await.text().await.expect("a log");
    assert!(log.ends_with("before\nwhile nobody listens\nafter\n"), "{log}");
    let runs: Value = service.get("/api/v1/runs").await.json().await.expect("JSON");
    assert_eq!(runs["runs"][0]["status"]["conclusion"], "success", "{runs}");
}
