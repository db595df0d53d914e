//! Once more: everything, what failed, or one action; by the flow file as it was, or by the newest.

mod newest;
mod pressed;

use std::time::Duration;

use containerops::{
    agent::protocol::Cause,
    store::{RunFilter, RunRow},
};
use insta::assert_snapshot;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::RUN;
use crate::harness::app::Tester;

/// A build that others use, two checks beside each other, and a shipment that needs them.
const FLOW: &str = r#"
stages:
  - {name: build, image: "cc:1", run: make, outputs: [VERSION]}
  - name: check
    sequencing: parallel
    fail-fast: false
    actions:
      - {name: unit, image: "cc:1", run: make test, subscriptions: [{"build.build.build[VERSION]": VERSION}]}
      - {name: lint, image: "cc:1", run: make lint}
  - {name: ship, image: "tar:1", run: tar, subscriptions: [{"build.build.build[VERSION]": VERSION}]}
"#;

impl Tester {
    /// Asks by the API for the run with this number once more.
    async fn asks(&self, number: i64, body: &Value) -> (StatusCode, Value) {
        let id = self.numbered(number).await.id;
        let url = format!("{}/api/v1/runs/{id}/rerun", self.url());
        let answer = self.http.post(url).body(body.to_string()).send().await.expect("an answer");
        let (status, value) = (answer.status(), answer.json().await.expect("JSON"));
        self.settle().await;
        (status, value)
    }

    async fn numbered(&self, number: i64) -> RunRow {
        let mut tx = self.app().engine.store.read().await.expect("the database is there");
        let runs = tx.runs(&RunFilter { limit: 100, ..RunFilter::default() }).await.expect("runs");
        let id = runs.iter().find(|run| run.number == number).expect("a run of this number").id;
        tx.run(id).await.expect("the database is there").expect("a run")
    }

    async fn builds(&self) {
        self.claims("build").await.says("cc\n").await.writes(&[("VERSION", "1.2.3")]).await.exits(0).await;
    }

    /// Builds, lints badly, tests badly: the run fails, and nothing is shipped.
    async fn fails_both_checks(&self) {
        self.builds().await;
        self.run_the_job("check.unit.unit", 1).await;
        self.run_the_job("check.lint.lint", 1).await;
    }
}

#[tokio::test]
async fn what_failed_runs_again_and_the_rest_is_carried_over() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    t.fails_both_checks().await;
    let (status, new) = t.asks(1, &json!({"what": "failed"})).await;
    assert_eq!((status, &new["repeats"]["what"]), (StatusCode::CREATED, &json!("failed")));
    assert_eq!(t.pods.placed(), ["check.lint", "check.unit"], "the build is not made again");
    let unit = t.claims("check.unit.unit").await;
    assert_eq!(unit.work.environments["VERSION"], "1.2.3", "the output that run #1 has written");
    unit.exits(0).await;
    t.run_the_job("check.lint.lint", 0).await;
    let ship = t.claims("ship").await;
    assert_eq!(ship.work.environments["VERSION"], "1.2.3", "it was skipped because of what failed");
    ship.exits(0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 3 actions in 19 s, 1 carried over
    success containerops/ci/push/build/build: carried over from run #1, success in 5 s
    success containerops/ci/push/check/lint: success in 5 s
    success containerops/ci/push/check/unit: success in 5 s
    success containerops/ci/push/ship/ship: success in 5 s
    ");
    assert_snapshot!(t.runs().await, @r"
    #1 push failure
    #2 push success
    ");
    let (first, second) = (t.numbered(1).await, t.numbered(2).await);
    assert_eq!((second.rerun_of, &second.sha), (Some(first.id), &first.sha));
    assert_eq!((second.digest, second.source, second.pins), (first.digest, first.source, first.pins));
    assert_snapshot!(t.check(&sha, RUN).summary, @r"
    Repeats [the failed actions of run \#1](https://ci.example.com/github/acme/widget/runs/1).

    | Stage | Action | State | Duration |
    | --- | --- | --- | --- |
    | build | [build](https://ci.example.com/github/acme/widget/runs/2/build/build/build) | ✅ success, carried over from run \#1 | 5 s |
    | check | [unit](https://ci.example.com/github/acme/widget/runs/2/check/unit/unit) | ✅ success | 5 s |
    | check | [lint](https://ci.example.com/github/acme/widget/runs/2/check/lint/lint) | ✅ success | 5 s |
    | ship | [ship](https://ci.example.com/github/acme/widget/runs/2/ship/ship/ship) | ✅ success | 5 s |

    [The whole run](https://ci.example.com/github/acme/widget/runs/2)
    ");
}

#[tokio::test]
async fn a_rerun_of_a_rerun_carries_over_what_was_carried_over() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    t.fails_both_checks().await;
    t.asks(1, &json!({"what": "failed"})).await;
    t.run_the_job("check.unit.unit", 0).await;
    t.run_the_job("check.lint.lint", 1).await;
    t.asks(2, &json!({"what": "failed"})).await;
    t.run_the_job("check.lint.lint", 0).await;
    let ship = t.claims("ship").await;
    assert_eq!(ship.work.environments["VERSION"], "1.2.3");
    ship.exits(0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 2 actions in 12 s, 2 carried over
    success containerops/ci/push/build/build: carried over from run #1, success in 5 s
    success containerops/ci/push/check/lint: success in 5 s
    success containerops/ci/push/check/unit: carried over from run #2, success in 5 s
    success containerops/ci/push/ship/ship: success in 5 s
    ");
    let log = t.http.get(format!("{}/github/acme/widget/runs/3/build/build/build/log.txt", t.url())).send().await;
    assert_eq!(log.expect("an answer").text().await.expect("text"), "cc\n", "the log of where it ran");
}

#[tokio::test]
async fn one_action_runs_again_and_all_others_keep_their_ends() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    t.fails_both_checks().await;
    let (status, _) = t.asks(1, &json!({"what": {"action": "check.unit"}})).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(t.pods.placed(), ["check.unit"]);
    t.run_the_job("check.unit.unit", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in check/lint: exit code 1
    success containerops/ci/push/build/build: carried over from run #1, success in 5 s
    failure containerops/ci/push/check/lint: carried over from run #1, failure: exit code 1
    success containerops/ci/push/check/unit: success in 5 s
    skipped containerops/ci/push/ship/ship: skipped: stage `check` ended: failure
    ");
    t.asks(2, &json!({"what": {"action": "check.lint"}})).await;
    t.run_the_job("check.lint.lint", 0).await;
    t.run_the_job("ship", 0).await;
    assert_snapshot!(t.checks(&sha), @r"
    success containerops/ci/push: 2 actions in 12 s, 2 carried over
    success containerops/ci/push/build/build: carried over from run #1, success in 5 s
    success containerops/ci/push/check/lint: success in 5 s
    success containerops/ci/push/check/unit: carried over from run #2, success in 5 s
    success containerops/ci/push/ship/ship: success in 5 s
    ");
    t.asks(3, &json!({"what": {"action": "build.build"}})).await;
    assert_eq!(t.pods.placed(), ["build.build"], "what went well may run again, too");
    t.run_the_job("build", 1).await;
    assert_snapshot!(t.checks(&sha), @r"
    failure containerops/ci/push: failure in build/build: exit code 1
    failure containerops/ci/push/build/build: failure: exit code 1
    success containerops/ci/push/check/lint: carried over from run #3, success in 5 s
    success containerops/ci/push/check/unit: carried over from run #2, success in 5 s
    success containerops/ci/push/ship/ship: carried over from run #3, success in 5 s
    ");
}

#[tokio::test]
async fn what_fail_fast_had_stopped_runs_again_with_the_one_that_failed() {
    let t = Tester::start().await;
    t.push("main", &FLOW.replace("fail-fast: false", "fail-fast: true")).await;
    t.builds().await;
    let lint = t.claims("check.lint.lint").await;
    t.run_the_job("check.unit.unit", 1).await;
    lint.ends(Cause::Cancelled { by: "fail-fast".to_owned() }).await;
    t.asks(1, &json!({"what": {"action": "check.unit"}})).await;
    assert_eq!(t.pods.placed(), ["check.lint", "check.unit"]);
    t.read_writes();
}

#[tokio::test]
async fn everything_runs_again_even_while_it_runs() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    let (status, new) = t.asks(1, &json!({})).await;
    assert_eq!((status, &new["repeats"]["what"]), (StatusCode::CREATED, &json!("everything")));
    assert_eq!(t.pods.placed(), ["build.build", "build.build"]);
    t.read_writes();
}

#[tokio::test]
async fn what_cannot_be_repeated_in_part_is_refused_with_words() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    let refused = async |number, body: Value| {
        let (status, problem) = t.asks(number, &body).await;
        assert_eq!(status, StatusCode::CONFLICT, "{problem}");
        problem["detail"].as_str().expect("words").to_owned() + "\n"
    };
    let (failed, unit) = (json!({"what": "failed"}), json!({"what": {"action": "check.unit"}}));
    let mut told = refused(1, failed.clone()).await;
    t.fails_both_checks().await;
    told += &refused(1, json!({"what": {"action": "check.nothing"}})).await;
    told += &refused(1, json!({"what": {"action": "ship.ship"}})).await;
    t.asks(1, &unit).await;
    told += &refused(1, failed.clone()).await;
    t.run_the_job("check.unit.unit", 0).await;
    t.asks(2, &failed).await;
    t.run_the_job("check.lint.lint", 0).await;
    t.run_the_job("ship", 0).await;
    told += &refused(3, failed.clone()).await;
    t.push("main", "stages: 7").await;
    told += &refused(4, failed).await;
    assert_snapshot!(told, @r"
    run #1 still runs: a part of it can run again when it has ended
    there is no action check.nothing
    action ship.ship would not start: stage `check` ended: failure; the failed actions can run again together
    run #2 is newer and speaks for this commit: what is left of run #1 runs again from there
    nothing failed in run #3; everything can run again
    run #4 has no actions, for its flow file was broken or left it out: everything can run again, or the newest flow file be used
    ");
    let (status, problem) = t.asks(1, &json!({"what": "all"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_snapshot!(problem["detail"].as_str().expect("words"), @r#"`{"what": "everything" | "failed" | {"action": "stage.action"} | {"stage": "name"}, "flow": "same" | "newest"}` is expected: unknown variant `all`, expected one of `everything`, `failed`, `action`, `stage`, `nothing` at line 1 column 13"#);
    t.read_writes();
}

#[tokio::test]
async fn a_restart_between_any_two_steps_changes_nothing() {
    let t = Tester::start().await;
    let sha = t.push("main", FLOW).await;
    t.fails_both_checks().await;
    t.restart().await;
    t.asks(1, &json!({"what": "failed"})).await;
    t.restart().await;
    t.later(Duration::from_secs(61)).await;
    let unit = t.claims("check.unit.unit").await;
    t.restart().await;
    unit.exits(0).await;
    t.restart().await;
    t.run_the_job("check.lint.lint", 0).await;
    t.restart().await;
    t.later(Duration::from_secs(61)).await;
    let ship = t.claims("ship").await;
    assert_eq!(ship.work.environments["VERSION"], "1.2.3");
    ship.exits(0).await;
    t.restart().await;
    t.app().engine.sweep_forgotten().await.expect("no trouble");
    assert!(t.pods.placed().is_empty() && t.pods.most_placed() == 1);
    assert_eq!(t.check(&sha, RUN).state, "success");
    assert_eq!(t.runs().await.lines().count(), 2);
}

#[tokio::test]
async fn the_runs_page_has_a_button_for_each_and_says_what_it_repeats() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    t.fails_both_checks().await;
    let page = async |number| {
        let answer = t.http.get(format!("{}/github/acme/widget/runs/{number}", t.url())).send().await;
        answer.expect("an answer").text().await.expect("text")
    };
    let first = page(1).await;
    for button in ["rerun?what=failed", "rerun?what=everything", "rerun?what=failed&#38;flow=newest"] {
        assert!(first.contains(&format!("formaction=\"/github/acme/widget/runs/1/{button}\"")), "{button}\n{first}");
    }
    for button in ["name=\"action\" value=\"check.unit\"", "name=\"stage\" value=\"check\""] {
        assert!(first.contains(&format!("{button}>")), "{button}\n{first}");
    }
    let pressed = t.http.post(format!("{}/github/acme/widget/runs/1/rerun?what=failed", t.url())).send().await;
    assert_eq!(pressed.expect("an answer").url().path(), "/github/acme/widget/runs/2", "it leads to the new run");
    let second = page(2).await;
    assert!(second.contains("<a href=\"/github/acme/widget/runs/1\">the failed actions of run #1</a>"), "{second}");
    assert!(second.contains("<a href=\"/github/acme/widget/runs/1\">carried over from run #1</a>"), "{second}");
    assert!(!second.contains("name=\"action\""), "while it runs no part of it can run again");
    for (run, form, words) in [(2, "action=check.unit", "action check.unit of"), (3, "stage=check", "stage check of")] {
        t.cancel("ada").await;
        let url = format!("{}/github/acme/widget/runs/{run}/rerun", t.url());
        let page = t.http.post(url).body(form).send().await.expect("an answer").text().await.expect("text");
        assert!(page.contains(&format!("{words} run #{run}")), "{words} is not in\n{page}");
    }
    t.settle().await;
    t.read_writes();
}
