//! The JSON API.

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::{SMALL, openapi};
use crate::harness::app::Tester;

impl Tester {
    pub(super) async fn api(&self, method: Method, path: &str) -> (StatusCode, Value) {
        let asked = method.clone();
        let answer = self.ask(method, &format!("/api/v1{path}")).send().await.expect("an answer");
        let (status, media) = (answer.status(), answer.headers()[header::CONTENT_TYPE].clone());
        let wanted = if status.is_success() { "application/json" } else { "application/problem+json" };
        assert_eq!(media, wanted, "{path}");
        openapi::is_described(self, &asked, path, status).await;
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
async fn refusals_are_problems_that_say_what_is_wrong() {
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
        let is_kind = problem["type"].as_str().is_some_and(|kind| kind.starts_with("urn:containerops:problem:"));
        assert!(is_kind && problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    }
    for (path, name, words) in [
        ("/runs?limit=0", "limit", "a number from 1 to 100 is expected"),
        ("/runs?limit=101", "limit", "a number from 1 to 100 is expected"),
        ("/runs?cursor=1", "cursor", "what an earlier answer has as `next` is expected"),
        ("/runs?before=x", "before", "`x` is not an id"),
        ("/runs?repositry=a", "repositry", "unknown field `repositry`, expected one of `forge`, `repository`"),
        ("/runs?forge=github", "repository", "goes with `forge`"),
        ("/deliveries?state=green", "state", "unknown variant `green`, expected one of `pending`, `started`"),
        ("/policy?forge=github", "repository", "missing field `repository`"),
        ("/secrets?forge=git", "repository", "one of `repository` and `owner` is expected"),
    ] {
        let (status, problem) = t.api(Method::GET, path).await;
        let [error] = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default() else { panic!("{problem}") };
        assert_eq!((status, &error["in"], &error["name"]), (StatusCode::BAD_REQUEST, &json!("query"), &json!(name)));
        assert!(error["message"].as_str().is_some_and(|message| message.starts_with(words)), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{problem}");
    }
}

#[tokio::test]
async fn a_body_is_json_says_so_and_is_not_too_large() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let path = format!("/api/v1/runs/{}/rerun", t.newest_run().await.id);
    let sends = async |kind: &str, body: String| {
        let answer = t.ask(Method::POST, &path).header(header::CONTENT_TYPE, kind).body(body).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    let (status, problem) = sends("application/x-www-form-urlencoded", "{}".to_owned()).await;
    assert_eq!(
        (status, &problem["detail"]),
        (
            415,
            &json!(
                "send JSON, and say so: `Content-Type: application/json`; it was `application/x-www-form-urlencoded`"
            )
        )
    );
    let (status, problem) = sends("application/json", r#"{"what": {"action": "x"}}"#.to_owned()).await;
    assert_eq!((status, &problem["errors"][0]["in"]), (400, &json!("body")), "{problem}");
    assert_eq!(problem["errors"][0]["name"], "what.action", "{problem}");
    let (status, problem) = sends("application/json", "{} {}".to_owned()).await;
    assert!(status == 400 && problem["detail"].as_str().is_some_and(|words| words.contains("trailing")), "{problem}");
    let (status, problem) = sends("application/json", " ".repeat(3 << 20)).await;
    assert_eq!((status, &problem["type"]), (413, &json!("urn:containerops:problem:too-large")));
}

#[tokio::test]
async fn a_list_comes_in_pages_that_no_new_run_shifts() {
    let t = Tester::start().await;
    for _ in 0..5 {
        t.push("main", SMALL).await;
    }
    let numbers = |page: &Value| -> Vec<i64> {
        page["runs"].as_array().expect("runs").iter().filter_map(|run| run["number"].as_i64()).collect()
    };
    let first = t.get("/api/v1/runs?forge=github&limit=2&repository=acme%2Fwidget").await;
    let link = first.headers()[header::LINK].to_str().expect("text").to_owned();
    let page: Value = first.json().await.expect("JSON");
    let next = page["next"].as_str().expect("there is more");
    assert_eq!(numbers(&page), [5, 4]);
    assert_eq!(
        link,
        format!("</api/v1/runs?forge=github&limit=2&repository=acme%2Fwidget&cursor={next}>; rel=\"next\"")
    );
    t.push("main", SMALL).await;
    let second = t.value(&format!("/runs?limit=2&cursor={next}")).await;
    assert_eq!(numbers(&second), [3, 2]);
    let by_id = page["runs"][1]["id"].as_str().expect("an id");
    assert_eq!(numbers(&t.value(&format!("/runs?limit=2&before={by_id}")).await), [3, 2]);
    let last = t.get(&format!("/api/v1/runs?limit=2&cursor={}", second["next"].as_str().expect("more"))).await;
    assert!(!last.headers().contains_key(header::LINK));
    let last: Value = last.json().await.expect("JSON");
    assert_eq!((numbers(&last), &last["next"]), (vec![1], &Value::Null));
    for (list, name) in [("/deliveries", "deliveries"), ("/audit", "audit")] {
        let all = t.value(list).await;
        let (mut seen, mut next) = (Vec::new(), String::new());
        loop {
            let page = t.value(&format!("{list}?limit=1{next}")).await;
            seen.extend(page[name].as_array().expect("a list").iter().cloned());
            let Some(cursor) = page["next"].as_str() else { break };
            next = format!("&cursor={cursor}");
        }
        assert_eq!(&seen, all[name].as_array().expect("a list"), "{list}");
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let id = t.newest_run().await.id;
    for path in ["/runs".to_owned(), format!("/runs/{id}"), "/deliveries".to_owned(), "/openapi.json".to_owned()] {
        let path = format!("/api/v1{path}");
        let first = t.get(&path).await;
        let tag = first.headers()[header::ETAG].clone();
        assert_eq!(first.headers()[header::CACHE_CONTROL], "private, no-cache", "{path}");
        assert_eq!(first.headers()[header::VARY], "Accept, Authorization, Cookie", "{path}");
        for known in [tag.to_str().expect("text").to_owned(), format!("\"x\", W/{}", tag.to_str().expect("text"))] {
            let again = t.ask(Method::GET, &path).header(header::IF_NONE_MATCH, known).send().await.expect("an answer");
            assert_eq!((again.status(), &again.headers()[header::ETAG]), (StatusCode::NOT_MODIFIED, &tag), "{path}");
            assert!(again.bytes().await.expect("no body").is_empty());
        }
        let head = t.ask(Method::HEAD, &path).send().await.expect("an answer");
        assert_eq!((head.status(), &head.headers()[header::ETAG]), (StatusCode::OK, &tag), "{path}");
    }
    let path = format!("/api/v1/runs/{id}");
    let tag = t.get(&path).await.headers()[header::ETAG].clone();
    t.claims("test").await.exits(0).await;
    let other = t.ask(Method::GET, &path).header(header::IF_NONE_MATCH, tag).send().await.expect("an answer");
    assert_eq!(other.status(), StatusCode::OK, "the run has ended since");
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
