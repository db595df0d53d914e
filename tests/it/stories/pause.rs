//! Runs that wait for a person: who is asked, who answers, and what happens if nobody does.

use std::time::Duration;

use containerops::{
    engine::pause::{Reply, Unanswered},
    model::{Answer, Approver, Proof, Via},
};
use insta::assert_snapshot;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::RUN;
use crate::harness::app::Tester;

const SHIP: &str = "
stages:
  - {name: test, image: alpine, run: ./test.sh}
  - {name: approve, type: pause, approval: {by: [maintainers], expires: 2d, note: Ship it?}}
  - {name: ship, image: alpine, run: ./ship.sh}
";
const HOUR: Duration = Duration::from_secs(3600);

impl Tester {
    async fn replies(&self, answer: Answer, name: &str, note: &str) -> Result<String, Unanswered> {
        let approver = Approver { name: name.to_owned(), via: Via::Page(Proof::Word) };
        let reply = Reply { stage: None, answer, approver, note: note.to_owned() };
        let done = self.app().engine.answer_pause(self.newest_run().await.id, &reply).await;
        self.settle().await;
        done
    }

    async fn calls(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let id = self.newest_run().await.id;
        let url = format!("{}/api/v1/runs/{id}/{path}", self.url());
        let answer = self.http.request(Method::POST, url).json(body).send().await.expect("an answer");
        let status = answer.status();
        self.settle().await;
        (status, answer.json().await.expect("JSON"))
    }

    async fn told(&self) -> Value {
        let id = self.newest_run().await.id;
        let url = format!("{}/api/v1/runs/{id}", self.url());
        self.http.get(url).send().await.expect("an answer").json().await.expect("JSON")
    }
}

#[tokio::test]
async fn a_run_waits_for_a_person_and_says_for_whom_and_until_when() {
    let t = Tester::start().await;
    let sha = t.push("main", SHIP).await;
    t.run_the_job("test", 0).await;
    assert!(t.pods.placed().is_empty(), "a run that waits holds no pod");
    assert_snapshot!(t.checks(&sha), @r"
    in_progress containerops/ci/push: Waiting for approval of `approve` by maintainers, until 2026-03-03 12:00 UTC: Ship it?
    queued containerops/ci/push/ship/ship: Waiting for what comes before
    success containerops/ci/push/test/test: success in 5 s
    ");
    assert_snapshot!(t.check(&sha, RUN).summary, @r"
    | Stage | Action | State | Duration |
    | --- | --- | --- | --- |
    | test | [test](https://ci.example.com/github/acme/widget/runs/1/test/test/test) | ✅ success | 5 s |
    | ship | [ship](https://ci.example.com/github/acme/widget/runs/1/ship/ship/ship) | waiting |  |

    Waits for approval of \`approve\` by maintainers, until 2026-03-03 12:00 UTC: Ship it? ([answer](https://ci.example.com/github/acme/widget/runs/1))

    [The whole run](https://ci.example.com/github/acme/widget/runs/1)
    ");
    let told = t.told().await;
    assert_eq!(
        told["waiting"],
        json!({
            "for": "approval", "stage": "approve", "by": "maintainers", "note": "Ship it?",
            "expires": "2026-03-03T12:00:08.000Z",
            "reason": "for approval of `approve` by maintainers, until 2026-03-03 12:00 UTC: Ship it?",
        })
    );
    assert_snapshot!(t.runs().await, @"#1 push running: waits for approval of `approve` by maintainers, until 2026-03-03 12:00 UTC: Ship it?");
}

#[tokio::test]
async fn whoever_approves_lets_it_go_on_through_restarts_and_is_named() {
    let t = Tester::start().await;
    let sha = t.push("main", SHIP).await;
    t.run_the_job("test", 0).await;
    t.restart().await;
    t.later(HOUR).await;
    assert_eq!(t.replies(Answer::Approved, "Ada", "looks good").await.expect("it is taken"), "approve");
    t.restart().await;
    t.run_the_job("ship", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 2 actions in 1 h 0 min
    success containerops/ci/push/ship/ship: success in 5 s
    success containerops/ci/push/test/test: success in 5 s
    ");
    assert_snapshot!(t.check(&sha, RUN).summary, @r"
    | Stage | Action | State | Duration |
    | --- | --- | --- | --- |
    | test | [test](https://ci.example.com/github/acme/widget/runs/1/test/test/test) | ✅ success | 5 s |
    | ship | [ship](https://ci.example.com/github/acme/widget/runs/1/ship/ship/ship) | ✅ success | 5 s |

    Stage approve: approved by Ada (by their own word, on the run's page): looks good, 2026-03-01 13:00 UTC

    [The whole run](https://ci.example.com/github/acme/widget/runs/1)
    ");
    let approval = t.told().await["stages"][1]["approval"].take();
    assert_eq!(approval["answer"], "approved");
    assert_eq!(approval["answered_by"], "Ada (by their own word, on the run's page)");
    assert_eq!(approval["answer_note"], "looks good");
}

#[tokio::test]
async fn whoever_rejects_ends_it_by_name() {
    let t = Tester::start().await;
    let sha = t.push("main", SHIP).await;
    t.run_the_job("test", 0).await;
    let (status, answer) = t.calls("reject", &json!({"note": "not on a Friday"})).await;
    assert_eq!((status, &answer["answer"]), (StatusCode::OK, &json!("rejected")));
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: rejected by a call of the API: not on a Friday
    skipped containerops/ci/push/ship/ship: skipped: stage `approve`: rejected by a call of the API: not on a Friday
    success containerops/ci/push/test/test: success in 5 s
    ");
    assert_snapshot!(t.runs().await, @"#1 push failure: rejected by a call of the API: not on a Friday");
}

#[tokio::test]
async fn what_nobody_answers_expires_by_a_name_of_its_own() {
    let t = Tester::start().await;
    let sha = t.push("main", SHIP).await;
    t.run_the_job("test", 0).await;
    t.later(47 * HOUR).await;
    assert!(t.newest_run().await.state.conclusion().is_none());
    t.restart().await;
    t.later(HOUR).await;
    assert_snapshot!(t.checks(&sha), @r"
    timed_out containerops/ci/push: timed out: approval expired
    skipped containerops/ci/push/ship/ship: skipped: stage `approve`: approval expired
    success containerops/ci/push/test/test: success in 5 s
    ");
    assert!(matches!(t.replies(Answer::Approved, "", "").await, Err(Unanswered::Over { answer: "expired", .. })));
}

#[tokio::test]
async fn the_first_answer_counts_and_the_same_again_is_no_error() {
    let t = Tester::start().await;
    t.push("main", SHIP).await;
    assert!(matches!(t.replies(Answer::Approved, "", "").await, Err(Unanswered::Nothing)), "its turn has not come");
    t.run_the_job("test", 0).await;
    assert_eq!(t.calls("approve", &json!({"stage": "test"})).await.0, StatusCode::CONFLICT);
    assert_eq!(t.calls("approve", &json!({"stage": "approve"})).await.0, StatusCode::OK);
    assert_eq!(t.calls("approve", &json!({})).await.0, StatusCode::OK);
    let (status, answer) = t.calls("reject", &json!({"stage": "approve"})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(answer["detail"], "stage `approve` was approved by a call of the API already");
    assert_eq!(t.calls("approve", &json!({"who": "ada"})).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(t.calls("approve", &json!({"note": "x".repeat(501)})).await.0, StatusCode::BAD_REQUEST);
    t.read_writes();
}

#[tokio::test]
async fn whoever_says_to_be_someone_else_than_is_asked_is_refused() {
    let t = Tester::start().await;
    let named = SHIP.replace("[maintainers]", "[ada, grace]");
    t.push("main", &named).await;
    t.run_the_job("test", 0).await;
    let refused = t.replies(Answer::Approved, "mallory", "").await.expect_err("not theirs");
    assert_eq!(refused.to_string(), "mallory is not among those who may answer: ada or grace");
    assert_eq!(t.replies(Answer::Approved, "grace", "").await.expect("hers"), "approve");
    t.read_writes();
}

#[tokio::test]
async fn a_cancelled_run_asks_nobody_any_more() {
    let t = Tester::start().await;
    let sha = t.push("main", SHIP).await;
    t.run_the_job("test", 0).await;
    t.cancel("Ada").await;
    assert_snapshot!(t.checks(&sha), @r"
    cancelled containerops/ci/push: cancelled by Ada
    cancelled containerops/ci/push/ship/ship: cancelled by Ada
    success containerops/ci/push/test/test: success in 5 s
    ");
    assert!(matches!(t.replies(Answer::Approved, "", "").await, Err(Unanswered::Over { answer: "withdrawn", .. })));
}

#[tokio::test]
async fn the_time_that_people_take_is_not_the_runs() {
    let t = Tester::start().await;
    t.push("main", &format!("timeout: 1h\n{SHIP}")).await;
    t.run_the_job("test", 0).await;
    t.later(24 * HOUR).await;
    assert!(t.newest_run().await.state.conclusion().is_none(), "it is not over its time");
    t.replies(Answer::Approved, "", "").await.expect("it is taken");
    let _ship = t.claims("ship").await;
    t.later(HOUR / 2).await;
    assert!(t.newest_run().await.cancelled_by.is_none() && t.newest_run().await.state.conclusion().is_none());
    t.later(HOUR).await;
    assert_snapshot!(t.attempts().await, @r"
    test/test 1: success (0 bytes)
    ship/ship 1: timed out: its run was over its time limit (0 bytes)
    ");
    t.read_writes();
}

#[tokio::test]
async fn a_run_that_waits_keeps_its_place_in_its_group() {
    let t = Tester::start().await;
    let queued = format!("concurrency: deploy\n{SHIP}");
    t.push("main", &queued).await;
    t.run_the_job("test", 0).await;
    t.push("main", &queued).await;
    assert_snapshot!(t.runs().await, @r"
    #1 push running: waits for approval of `approve` by maintainers, until 2026-03-03 12:00 UTC: Ship it?
    #2 push queued: 1 run ahead in group deploy
    ");
    t.read_writes();
}

#[tokio::test]
async fn a_pause_may_be_the_first_stage_and_its_form_is_on_the_page() {
    let t = Tester::start().await;
    let sha = t.push("main", "stages: [{name: go, type: pause}, {name: test, image: alpine, run: ./test.sh}]").await;
    assert_snapshot!(t.checks(&sha), @r"
    queued containerops/ci/push: Waiting: for approval of `go` by anyone, until 2026-03-08 12:00 UTC
    queued containerops/ci/push/test/test: Waiting for what comes before
    ");
    let page = t.page("/github/acme/widget/runs/1").await;
    for part in [
        "action=\"/github/acme/widget/runs/1/approve\"",
        "formaction=\"/github/acme/widget/runs/1/reject\"",
        "<input type=\"hidden\" name=\"stage\" value=\"go\">",
        "waits for approval",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    let form = format!("{}/github/acme/widget/runs/1/approve", t.url());
    let foreign = t.http.post(&form).header("origin", "https://evil.example").body("stage=go").send().await;
    assert_eq!(foreign.expect("an answer").status(), StatusCode::FORBIDDEN);
    let sent = t.http.post(&form).body("stage=go&name=Ada+L.&note=%3Cb%3Enow%3C%2Fb%3E").send().await;
    assert!(sent.expect("an answer").status().is_success(), "it leads back to the run's page");
    t.settle().await;
    let page = t.page("/github/acme/widget/runs/1").await;
    assert!(
        page.contains("approved by Ada L. (by their own word, on the run&#39;s page): &#60;b&#62;now&#60;/b&#62;"),
        "{page}"
    );
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.runs().await, @"#1 push success");
    t.read_writes();
}

#[tokio::test]
async fn what_runs_again_asks_again_but_for_what_was_done() {
    let t = Tester::start().await;
    t.push("main", SHIP).await;
    t.run_the_job("test", 0).await;
    t.replies(Answer::Approved, "", "").await.expect("it is taken");
    t.run_the_job("ship", 1).await;
    let (status, _) = t.calls("rerun", &json!({"what": "failed"})).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(t.told().await["waiting"]["stage"], "approve", "what is to run needs a new word");
    t.replies(Answer::Approved, "", "").await.expect("it is taken");
    t.run_the_job("ship", 0).await;
    let (status, _) = t.calls("rerun", &json!({"what": {"action": "test.test"}})).await;
    assert_eq!(status, StatusCode::CREATED);
    t.run_the_job("test", 0).await;
    assert_snapshot!(t.runs().await, @r"
    #1 push failure
    #2 push success
    #3 push success
    ");
    t.read_writes();
}
