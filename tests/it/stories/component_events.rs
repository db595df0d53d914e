//! The original's components tell by HTTP how they did, with the URLs in their `CO_*` variables.

use insta::assert_snapshot;
use reqwest::StatusCode;
use serde_json::json;

use std::time::Duration;

use containerops::agent::protocol::{Cause, HeartbeatAnswer};

use super::SMALL;
use crate::harness::{agent::Agent, app::Tester};

async fn posts(t: &Tester, agent: &Agent<'_>, event: &str, status: bool, result: &str) -> StatusCode {
    let body = json!({"EVENT": event, "EVENT_ID": 7, "RUN_ID": "1-2-3", "INFO": {"status": status, "result": result}});
    post(t, &agent.work.environments[event], body.to_string()).await
}

async fn post(t: &Tester, url: &str, body: String) -> StatusCode {
    t.http.post(url).body(body).send().await.expect("an answer").status()
}

#[tokio::test]
async fn a_false_task_status_fails_a_job_that_exits_with_zero() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    for event in ["CO_COMPONENT_START", "CO_TASK_START", "CO_TASK_RESULT"] {
        assert_eq!(posts(&t, &agent, event, true, "going on").await, StatusCode::NO_CONTENT);
    }
    assert_eq!(posts(&t, &agent, "CO_TASK_STATUS", false, "3 tests failed").await, StatusCode::NO_CONTENT);
    assert_eq!(posts(&t, &agent, "CO_TASK_STATUS", true, "and then they did not").await, StatusCode::NO_CONTENT);
    agent.results_in("true").exits(0).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in test/test: CO_TASK_STATUS = false: 3 tests failed
    failure containerops/ci/push/test/test: failure: CO_TASK_STATUS = false: 3 tests failed
    ");
}

#[tokio::test]
async fn a_true_task_status_leaves_the_exit_code_its_say() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    assert_eq!(posts(&t, &agent, "CO_TASK_STATUS", true, "").await, StatusCode::NO_CONTENT);
    agent.exits(0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 1 action in 5 s
    success containerops/ci/push/test/test: success in 5 s
    ");
}

#[tokio::test]
async fn an_event_url_is_good_for_its_own_running_job_alone() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    let url = agent.work.environments["CO_TASK_STATUS"].clone();
    let (place, token) = url.split_once("&token=").expect("a token in the URL");
    let wrong = format!("{place}&token={}", "0".repeat(token.len()));
    assert_eq!(post(&t, &wrong, "{}".to_owned()).await, StatusCode::UNAUTHORIZED);
    assert_eq!(post(&t, &url, "status=false".to_owned()).await, StatusCode::BAD_REQUEST);
    assert_eq!(post(&t, &url.replace("CO_TASK_STATUS", "CO_ELSE"), "{}".to_owned()).await, StatusCode::UNAUTHORIZED);
    assert!(agent.work.masks.contains(&token.to_owned()), "the token stays out of the log");
    let claim = t.http.post(format!("{}/agent/v1/end", t.url())).bearer_auth(token).json(&json!({})).send().await;
    assert_ne!(claim.expect("an answer").status(), StatusCode::NO_CONTENT);
    agent.exits(0).await;
    assert_eq!(post(&t, &url, r#"{"INFO": {"status": false}}"#.to_owned()).await, StatusCode::UNAUTHORIZED);
    assert!(t.checks(&sha).starts_with("success"), "what came late changes nothing");
}

/// A component that tells its outputs by events, and keeps two of them.
const TELLING: &str = "stages: [{name: test, image: busybox, outputs: [CO_JSON_CONTENT, version, parts, none]}]";

fn told(status: bool, output: &serde_json::Value) -> String {
    let info = json!({"status": status, "result": "done", "output": output});
    json!({"EVENT": "CO_TASK_STATUS", "EVENT_ID": 4, "RUN_ID": "1-2-3", "INFO": info}).to_string()
}

#[tokio::test]
async fn what_an_event_carries_are_outputs_of_the_job() {
    let t = Tester::start().await;
    let sha = t.push("main", TELLING).await;
    let agent = t.claims("test").await;
    let output = json!(r#"{"version": "1.4", "parts": [1, 2], "secret": "unasked"}"#);
    for _ in 0..2 {
        assert_eq!(
            post(&t, &agent.work.environments["CO_TASK_STATUS"], told(true, &output)).await,
            StatusCode::NO_CONTENT
        );
    }
    let job = agent.work.job;
    agent.exits(0).await;
    let mut tx = t.app().engine.store.read().await.expect("the store");
    let outputs = tx.outputs(job).await.expect("outputs");
    let outputs: Vec<_> = outputs.into_iter().map(|row| format!("{}={}", row.name, row.value)).collect();
    assert!(t.checks(&sha).starts_with("success"));
    let whole = format!("CO_JSON_CONTENT={}", output.as_str().expect("a text"));
    assert_eq!(outputs, [whole.as_str(), "parts=[1,2]", "version=1.4"]);
}

#[tokio::test]
async fn a_component_that_has_told_its_status_and_to_stop_is_ended_by_its_own_word() {
    for (status, colour) in [(true, "success"), (false, "failure")] {
        let t = Tester::start().await;
        let sha = t.push("main", SMALL).await;
        let agent = t.claims("test").await;
        // out of order, as they may come through a network
        assert_eq!(posts(&t, &agent, "CO_COMPONENT_STOP", true, "").await, StatusCode::NO_CONTENT);
        t.clock.advance(Duration::from_secs(60));
        assert_eq!(agent.hears().await, HeartbeatAnswer::GoOn, "it has not said how it went");
        assert_eq!(posts(&t, &agent, "CO_TASK_STATUS", status, "").await, StatusCode::NO_CONTENT);
        assert_eq!(agent.hears().await, HeartbeatAnswer::GoOn, "it may end by itself");
        t.clock.advance(Duration::from_secs(4));
        let HeartbeatAnswer::Cancel { by } = agent.hears().await else { panic!("it sleeps for ever") };
        agent.ends(Cause::Cancelled { by }).await;
        assert!(t.checks(&sha).starts_with(colour), "{}", t.checks(&sha));
    }
}

#[tokio::test]
async fn what_is_no_event_changes_nothing() {
    let t = Tester::start().await;
    let sha = t.push("main", SMALL).await;
    let agent = t.claims("test").await;
    let url = agent.work.environments["CO_TASK_STATUS"].clone();
    for body in ["", "null", "[]", "{}", r#"{"INFO": {}}"#, r#"{"INFO": {"status": "false"}}"#, "<INFO/>"] {
        assert_eq!(post(&t, &url, body.to_owned()).await, StatusCode::BAD_REQUEST, "{body}");
    }
    let huge = json!({"INFO": {"status": false, "result": "x".repeat(70_000)}}).to_string();
    assert_eq!(post(&t, &url, huge).await, StatusCode::PAYLOAD_TOO_LARGE);
    let not_text = t.http.post(&url).body(vec![0xff, 0xfe]).send().await.expect("an answer").status();
    assert_eq!(not_text, StatusCode::BAD_REQUEST);
    agent.exits(0).await;
    assert!(t.checks(&sha).starts_with("success"), "{}", t.checks(&sha));
}
