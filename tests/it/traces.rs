//! Traces of runs, as a collector gets them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use insta::assert_snapshot;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::harness::app::Tester;

const FLOW: &str = "
stages:
  - {name: build, image: alpine, run: make}
  - name: test
    sequencing: parallel
    actions:
      - {name: unit, image: alpine, run: ./unit.sh}
      - {name: whole, image: alpine, run: ./whole.sh}
  - {name: ship, image: alpine, run: ./ship.sh}
";

/// What a collector was sent, and what it answers next.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<(Vec<u16>, Vec<Sent>)>>);

type Sent = (HeaderMap, Value);

impl Collector {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/v1/traces", post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        format!("http://{address}")
    }

    fn answers(&self, status: &[u16]) {
        self.0.lock().expect("nobody panics with it").0 = status.to_vec();
    }

    fn taken(&self) -> Vec<Sent> {
        std::mem::take(&mut self.0.lock().expect("nobody panics with it").1)
    }
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, Json(body): Json<Value>) -> StatusCode {
    let mut inner = collector.0.lock().expect("nobody panics with it");
    inner.1.push((headers, body));
    let next = if inner.0.is_empty() { 200 } else { inner.0.remove(0) };
    StatusCode::from_u16(next).expect("a status")
}

fn spans(body: &Value) -> Vec<Value> {
    assert_eq!(body["resourceSpans"][0]["resource"]["attributes"][0]["value"]["stringValue"], "containerops");
    body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans").clone()
}

fn attribute<'a>(span: &'a Value, name: &str) -> &'a str {
    let all = span["attributes"].as_array().expect("attributes");
    let found = all.iter().find(|one| one["key"] == name);
    found.and_then(|one| one["value"]["stringValue"].as_str()).unwrap_or_default()
}

/// Each span below its parent, with how long it was and how it ended.
fn tree(spans: &[Value], parent: &str, depth: usize) -> String {
    let mut told = String::new();
    for span in spans.iter().filter(|span| span["parentSpanId"] == parent) {
        let nanos = |name: &str| span[name].as_str().expect("text").parse::<u64>().expect("a number");
        let seconds = (nanos("endTimeUnixNano") - nanos("startTimeUnixNano")) / 1_000_000_000;
        let result =
            attribute(span, "cicd.pipeline.result").to_owned() + attribute(span, "cicd.pipeline.task.run.result");
        let result = if result.is_empty() { result } else { format!(": {result}") };
        let wrong = span["status"]["message"].as_str().map_or_else(String::new, |words| format!(" ({words})"));
        let name = span["name"].as_str().expect("a name");
        told += &format!("{}{name} {seconds} s{result}{wrong}\n", "  ".repeat(depth));
        told += &tree(spans, span["spanId"].as_str().expect("an id"), depth + 1);
    }
    told
}

#[tokio::test]
async fn a_run_is_a_trace_and_a_collector_that_is_away_holds_nothing_up() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    let collector = Collector::default();
    let url = collector.start().await;
    t.set_up(&format!("otlp_url = \"{url}\"\notlp_headers = \"authorization=Bearer%20abc,x-tenant=ci\"\n")).await;
    collector.answers(&[503, 429]);
    t.push("main", FLOW).await;
    t.run_the_job("build", 0).await;
    t.run_the_job("test.whole", 0).await;
    t.run_the_job("test.unit", 3).await;
    t.settle().await;
    let run = t.newest_run().await;
    assert!(run.state.conclusion().is_some(), "it has ended, whatever the collector says");
    t.later(Duration::from_secs(2)).await;
    t.later(Duration::from_secs(3)).await;
    let sent = collector.taken();
    assert_eq!(sent.len(), 3, "twice more, and not when it was taken");
    assert!(sent.iter().all(|(_, body)| *body == sent[0].1), "whoever sends it again sends the same");
    let (headers, body) = &sent[2];
    assert_eq!(
        (&headers["authorization"], &headers["x-tenant"]),
        (&"Bearer abc".parse().expect("a header"), &"ci".parse().expect("a header"))
    );
    t.later(Duration::from_secs(3600)).await;
    assert!(collector.taken().is_empty());

    let spans = spans(body);
    assert_snapshot!(tree(&spans, "", 0), @r"
    RUN ci 21 s: failure (failure)
      delivery 0 s
      build 7 s
        build 7 s: success
          build 5 s: success
      test 14 s (failure)
        unit 14 s: failure (exit code 3)
          unit 5 s: failure (exit)
        whole 7 s: success
          whole 5 s: success
    ");
    let ids: BTreeMap<_, _> = spans.iter().map(|span| (span["spanId"].to_string(), span)).collect();
    assert_eq!(ids.len(), spans.len(), "each has an id of its own");
    assert!(
        spans
            .iter()
            .all(|span| span["traceId"] == run.id.trace() && span["spanId"].as_str().is_some_and(|id| id.len() == 16))
    );
    assert_eq!(run.id.trace().len(), 32);
    let root = &spans[0];
    for (name, value) in [
        ("cicd.pipeline.name", "ci"),
        ("cicd.pipeline.result", "failure"),
        ("cicd.pipeline.run.url.full", "https://ci.example.com/github/acme/widget/runs/1"),
        ("vcs.repository.name", "acme/widget"),
        ("vcs.ref.head.name", "main"),
        ("vcs.ref.head.revision", run.sha.as_str()),
    ] {
        assert_eq!(attribute(root, name), value, "{name}: {root:#}");
    }
    let unit = spans.iter().find(|span| attribute(span, "error.type") == "exit").expect("the job that failed");
    assert_eq!(
        attribute(unit, "cicd.pipeline.task.run.url.full"),
        "https://ci.example.com/github/acme/widget/runs/1/test/unit/unit?attempt=1"
    );
}

#[tokio::test]
async fn a_collector_that_does_not_want_a_trace_is_asked_no_more() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    let collector = Collector::default();
    let url = collector.start().await;
    t.set_up(&format!("otlp_url = \"{url}\"\n")).await;
    collector.answers(&[400]);
    t.push("main", "stages: [{name: test, image: alpine, run: ./test.sh}]").await;
    t.run_the_job("test", 0).await;
    t.settle().await;
    assert_eq!(collector.taken().len(), 1);
    t.later(Duration::from_secs(3600)).await;
    assert!(collector.taken().is_empty());
}
