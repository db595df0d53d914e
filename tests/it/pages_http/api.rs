//! The JSON API.

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::SMALL;
use crate::harness::app::Tester;

impl Tester {
    pub(super) async fn api(&self, method: Method, path: &str) -> (StatusCode, Value) {
        let answer = self.ask(method, &format!("/api/v1{path}")).send().await.expect("an answer");
        let (status, media) = (answer.status(), answer.headers()[header::CONTENT_TYPE].clone());
        let wanted = if status.is_success() { "application/json" } else { "application/problem+json" };
        assert_eq!(media, wanted, "{path}");
        (status, answer.json().await.expect("JSON"))
    }

    pub(super) async fn value(&self, path: &str) -> Value {
        let (status, value) = self.api(Method::GET, path).await;
        assert_eq!(status, StatusCode::OK, "{value}");
        value
    }
}

#[tokio::test]
async fn from_the_list_to_a_line() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    t.claims("test").await.says("hello\n").await.writes(&[("VERSION", "1")]).await.exits(3).await;
    let runs = t.value("/runs?forge=github&repository=acme/widget").await;
    let run = &runs["runs"][0];
    assert_eq!((&run["number"], &run["url"]), (&json!(1), &json!("/github/acme/widget/runs/1")));
    let id = run["id"].as_str().expect("an id");
    let whole = t.value(&format!("/runs/{id}")).await;
    let listed = &whole["stages"][0]["actions"][0]["jobs"][0];
    assert_eq!(listed["words"], "exit code 3");
    let job = t.value(&format!("/jobs/{}", listed["id"].as_str().expect("an id"))).await;
    assert_eq!((&job["run"], &job["attempt"]), (&run["id"], &json!(1)));
    for field in ["id", "name", "image", "status", "words", "outputs", "started", "ended", "log"] {
        assert_eq!(job[field], listed[field], "{field}");
    }
    let log = format!("/api/v1/jobs/{}/log", job["id"].as_str().expect("an id"));
    let part = t.ask(Method::GET, &log).header(header::RANGE, "bytes=1-3").send().await.expect("an answer");
    assert_eq!(
        (part.status(), &part.headers()["x-content-type-options"]),
        (StatusCode::PARTIAL_CONTENT, &"nosniff".parse().expect("a value"))
    );
    assert_eq!(part.text().await.expect("text"), "ell");
}

#[tokio::test]
async fn cancel_and_run_again() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let id = t.newest_run().await.id;
    let cancelled = t.api(Method::POST, &format!("/runs/{id}/cancel")).await;
    assert_eq!(cancelled, (StatusCode::OK, json!({"id": id, "cancelled": true})));
    t.settle().await;
    let again = t.api(Method::POST, &format!("/runs/{id}/cancel")).await;
    assert_eq!(again.1["cancelled"], false, "it was over");
    let (status, run) = t.api(Method::POST, &format!("/runs/{id}/rerun")).await;
    assert_eq!((status, &run["number"], &run["rerun_of"]), (StatusCode::CREATED, &json!(2), &json!(id)));
}

#[tokio::test]
async fn refusals_are_problems() {
    let t = Tester::start().await;
    for (method, path, status) in [
        (Method::GET, "/runs/x", 404),
        (Method::GET, "/runs/00000000-0000-0000-0000-000000000000", 404),
        (Method::GET, "/jobs/x", 404),
        (Method::GET, "/jobs/x/log", 404),
        (Method::GET, "/deliveries/x", 404),
        (Method::GET, "/deliveries/x/body", 404),
        (Method::GET, "/deliveries/x/replay", 405),
        (Method::POST, "/deliveries/x/replay", 404),
        (Method::POST, "/deliveries/0000000000007/replay", 404),
        (Method::POST, "/deliveries/x/dry-run", 404),
        (Method::POST, "/deliveries/0000000000007/dry-run", 404),
        (Method::GET, "/deliveries?state=green", 400),
        (Method::GET, "/deliveries?forge=sourceforge", 400),
        (Method::GET, "/deliveries?repository=../..", 400),
        (Method::GET, "/deliveries?limit=x", 400),
        (Method::GET, "/nothing", 404),
        (Method::GET, "/runs?limit=x", 400),
        (Method::GET, "/runs?repository=acme/widget", 400),
        (Method::DELETE, "/runs", 405),
    ] {
        let (got, problem) = t.api(method, path).await;
        assert_eq!((got.as_u16(), &problem["status"]), (status, &json!(status)), "{path}");
    }
}

#[tokio::test]
async fn a_service_is_a_job_that_says_when_it_was_ready() {
    let t = Tester::start().await;
    let flow =
        r#"stages: [{name: test, services: [{name: db, image: "postgres:17"}], image: "rust:1", run: cargo test}]"#;
    t.push("main", flow).await;
    let _db = t.claims("test.test.db").await.gets_ready().await;
    let runs = t.value("/runs").await;
    let whole = t.value(&format!("/runs/{}", runs["runs"][0]["id"].as_str().expect("an id"))).await;
    let jobs = &whole["stages"][0]["actions"][0]["jobs"];
    assert_eq!(
        (&jobs[0]["name"], &jobs[0]["service"], &jobs[0]["ready"]),
        (&json!("test"), &json!(false), &json!(null))
    );
    assert_eq!(
        (&jobs[1]["name"], &jobs[1]["image"], &jobs[1]["service"]),
        (&json!("db"), &json!("postgres:17"), &json!(true))
    );
    assert!(jobs[1]["ready"].is_string(), "{}", jobs[1]);
}
