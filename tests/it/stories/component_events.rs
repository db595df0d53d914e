//! The original's components tell by HTTP how they did, with the URLs in their `CO_*` variables.

use insta::assert_snapshot;
use reqwest::StatusCode;
use serde_json::json;

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
