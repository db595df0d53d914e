//! Flows that start by a clock, by hand and after each other.

use std::time::Duration;

use insta::assert_snapshot;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::app::{Tester, WIDGET};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// At half past three in Berlin, which is half past two in UTC in winter; the stories begin at noon of March 1st, 2026.
const NIGHTLY: &str = r#"
on: {push: , schedule: [{cron: "30 3 * * *", timezone: Europe/Berlin}]}
stages: [{name: test, image: "i:1", run: make, when: 'event == "schedule"'}]
"#;

const DEPLOY: &str = r#"
on: {manual: {inputs: {level: {default: info, options: [info, debug]}, target: }}}
stages:
  - {name: roll, image: "tools:@level@", run: './deploy "$CO_INPUT_TARGET"', environments: {TO: "@target@"}}
  - {name: trace, image: "i:1", run: trace, when: 'inputs.level == "debug"'}
"#;

impl Tester {
    /// Asks the API to start flows, and settles.
    async fn starts(&self, body: &Value) -> (StatusCode, Value) {
        let answer =
            self.http.post(format!("{}/api/v1/starts", self.url())).json(body).send().await.expect("an answer");
        let status = answer.status();
        let value = answer.json().await.expect("JSON");
        self.settle().await;
        (status, value)
    }

    async fn events(&self) -> Vec<String> {
        let mut tx = self.app().engine.store.read().await.expect("the database is there");
        let filter = containerops::store::RunFilter { limit: 100, ..Default::default() };
        let runs = tx.runs(&filter).await.expect("runs");
        runs.iter().rev().map(|run| format!("{} {}", run.event.name(), run.state.label())).collect()
    }

    async fn ends(&self, job: &str) {
        self.claims(job).await.exits(0).await;
    }
}

#[tokio::test]
async fn a_schedule_starts_one_run_at_each_of_its_times() {
    let t = Tester::start().await;
    let sha = t.push("main", NIGHTLY).await;
    assert_eq!(t.events().await, ["push skipped"]);
    t.later(DAY).await;
    let agent = t.claims("test").await;
    let environment = &agent.work.environments;
    assert_eq!((&*environment["CO_EVENT"], &*environment["CO_BRANCH"]), ("schedule", "main"));
    agent.exits(0).await;
    t.later(Duration::from_secs(3600)).await;
    assert_eq!(t.events().await, ["push skipped", "schedule success"], "one time, one start");
    assert!(t.checks(&sha).starts_with("success containerops/ci/push: 1 action"));
    t.restart().await;
    t.later(DAY).await;
    t.ends("test").await;
    assert_eq!(t.events().await.len(), 3);
    t.read_writes();
}

#[tokio::test]
async fn times_that_passed_while_nobody_was_there_start_one_run() {
    let t = Tester::start().await;
    t.push("main", NIGHTLY).await;
    t.clock.advance(5 * DAY);
    t.restart().await;
    t.later(Duration::from_secs(1)).await;
    t.ends("test").await;
    assert_eq!(t.events().await, ["push skipped", "schedule success"]);
    assert_snapshot!(t.deliveries().await, @r"
    push: started 1
    schedule: started 1
    ");
    t.read_writes();
}

#[tokio::test]
async fn side_branches_change_no_schedule_and_a_file_without_one_ends_it() {
    let t = Tester::start().await;
    t.push("main", NIGHTLY).await;
    t.push("idea", &NIGHTLY.replace("30 3", "* *")).await;
    t.later(Duration::from_secs(3600)).await;
    assert_eq!(t.events().await, ["push skipped", "push skipped"]);
    t.push("main", &NIGHTLY.replace("30 3 * * *", "30 4 * * *")).await;
    t.push("main", &format!("on: [push]\nstages: {}", NIGHTLY.split("stages: ").nth(1).expect("stages"))).await;
    t.later(3 * DAY).await;
    assert!(t.events().await.iter().all(|event| event.starts_with("push")));
    t.read_writes();
}

#[tokio::test]
async fn a_flow_is_started_by_hand_with_inputs_that_are_data() {
    let t = Tester::start().await;
    t.push("main", DEPLOY).await;
    assert!(t.events().await.is_empty(), "a push is not asked for");
    let wish = json!({"repository": WIDGET, "inputs": {"level": "debug", "target": "$(rm -rf /)"}});
    let (status, answer) = t.starts(&wish).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let agent = t.claims("roll").await;
    let environment = &agent.work.environments;
    assert_eq!((&*environment["CO_INPUT_TARGET"], &*environment["TO"]), ("$(rm -rf /)", "$(rm -rf /)"));
    assert_eq!(environment["CO_EVENT"], "manual");
    agent.exits(0).await;
    let run = t.newest_run().await;
    assert_eq!(run.plan.as_ref().expect("a plan").stages[0].actions[0].jobs[0].image, "tools:debug");
    assert_eq!(run.event.actor, "a call of the API");
    t.ends("trace").await;
    assert!(t.checks(&run.sha).starts_with("success containerops/ci/push: 2 actions"));
}

#[tokio::test]
async fn inputs_are_checked_and_what_is_wrong_with_them_starts_nothing() {
    let t = Tester::start().await;
    let sha = t.push("main", DEPLOY).await;
    for inputs in [json!({}), json!({"level": "loud", "target": "x"}), json!({"lvl": "info", "target": "x"})] {
        t.starts(&json!({"repository": WIDGET, "inputs": inputs})).await;
    }
    t.starts(&json!({"repository": WIDGET, "branch": "gone", "inputs": {"target": "x"}})).await;
    t.starts(&json!({"repository": WIDGET, "flow": "other", "inputs": {"target": "x"}})).await;
    assert!(t.events().await.is_empty());
    assert_eq!(t.checks(&sha), "");
    assert_snapshot!(t.deliveries().await.replace(sha.short(), "SHA"), @r"
    push: nothing: .containerops.yml: `on` does not name `push`
    manual: nothing: .containerops.yml: input `target` has no default and was not given
    manual: nothing: .containerops.yml: input `level` is one of info, debug; `loud` is none of them
    manual: nothing: .containerops.yml: there is no input `lvl`: there are level, target
    manual: nothing: there is no branch gone in acme/widget
    manual: nothing: commit SHA has no flow other: there are ci
    ");
    let (status, answer) = t.starts(&json!({"repository": "acme/nowhere"})).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
    let (status, answer) = t.starts(&json!({"repo": WIDGET})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
}

#[tokio::test]
async fn the_page_of_a_repository_has_a_form_for_each_flow_that_waits_for_a_hand() {
    let t = Tester::start().await;
    t.push("main", DEPLOY).await;
    let page = t.http.get(format!("{}/github/{WIDGET}", t.url())).send().await.expect("an answer");
    let page = page.text().await.expect("text");
    for part in [
        "<summary>Start ci</summary>",
        r#"<input name="branch" value="main" required>"#,
        r#"<option value="info" selected>info</option>"#,
        r#"<input name="input.target" value="" required>"#,
    ] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    let wish = page.split(r#"name="wish" value=""#).nth(1).and_then(|rest| rest.split('"').next()).expect("a wish");
    let press = async |fields: &str| {
        let form = format!("flow=ci&wish={wish}&branch=main&{fields}");
        let answer = t.http.post(format!("{}/github/{WIDGET}", t.url())).body(form).send().await.expect("an answer");
        assert!(answer.url().path().starts_with("/deliveries/"), "{}", answer.url());
        answer.url().path().to_owned()
    };
    let first = press("input.level=info&input.target=prod+%26+more").await;
    assert_eq!(press("input.level=info&input.target=prod+%26+more").await, first, "a second click is no second start");
    t.settle().await;
    assert_eq!(press("input.level=info&input.target=prod+%26+more").await, first);
    assert_eq!(t.events().await.len(), 1);
    assert_ne!(press("input.level=info").await, first, "other inputs are another wish");
    t.settle().await;
    assert_eq!(t.events().await.len(), 1, "and these are not all");
    let agent = t.claims("roll").await;
    assert_eq!(agent.work.environments["CO_INPUT_TARGET"], "prod & more");
    agent.exits(0).await;
    let run = t.newest_run().await;
    assert!(t.checks(&run.sha).starts_with("success containerops/ci/push"));
}

fn several<'f>(files: &[(&'static str, &'f str)]) -> Vec<(&'static str, &'f [u8])> {
    files.iter().map(|(path, text)| (*path, text.as_bytes())).collect()
}

#[tokio::test]
async fn a_flow_follows_the_success_of_another_at_the_same_commit() {
    let t = Tester::start().await;
    let build = r#"stages: [{name: build, image: "i:1", run: make}]"#;
    let ship = "on: {flow: acme/widget/build}\nstages: [{name: ship, image: \"i:1\", run: ship}]";
    let files = several(&[(".containerops/build.yml", build), (".containerops/ship.yml", ship)]);
    let sha = t.github.commit(WIDGET, "main", &files);
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    t.run_the_job("build", 1).await;
    assert_eq!(t.events().await, ["push failure"], "after a failure nothing follows");
    t.runs_again(t.newest_run().await.id).await;
    t.settle().await;
    t.ends("build").await;
    let agent = t.claims("ship").await;
    assert_eq!(agent.work.environments["CO_EVENT"], "flow");
    agent.exits(0).await;
    assert_eq!(t.newest_run().await.sha, sha);
    assert_eq!(t.events().await, ["push failure", "push success", "flow success"]);
    assert!(t.checks(&sha).contains("success containerops/ship/push"));
}

#[tokio::test]
async fn flows_that_follow_each_other_in_a_circle_run_once_each() {
    let t = Tester::start().await;
    let one = "on: {push: , flow: acme/widget/two}\nstages: [{name: one, image: \"i:1\", run: make}]";
    let two = "on: {flow: [acme/widget/one]}\nstages: [{name: two, image: \"i:1\", run: make}]";
    let files = several(&[(".containerops/one.yml", one), (".containerops/two.yml", two)]);
    let sha = t.github.commit(WIDGET, "main", &files);
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    t.ends("one").await;
    t.ends("two").await;
    assert_eq!(t.events().await, ["push success", "flow success"]);
    assert!(t.deliveries().await.contains(
        "flow: nothing: .containerops/one.yml: it has run already on the way here: acme/widget/one, then acme/widget/two"
    ));
    assert!(t.checks(&sha).contains("success containerops/two/push"));
}

#[tokio::test]
async fn no_more_than_eight_flows_follow_each_other() {
    let t = Tester::start().await;
    let text = |n: usize| {
        let on = if n == 1 { "push".to_owned() } else { format!("{{flow: acme/widget/f{}}}", n - 1) };
        format!("on: {on}\nstages: [{{name: s{n}, image: \"i:1\", run: make}}]")
    };
    let files: Vec<(String, String)> = (1..=9).map(|n| (format!(".containerops/f{n}.yml"), text(n))).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect();
    t.github.commit(WIDGET, "main", &files);
    t.deliver(t.github.push(WIDGET, "main")).await;
    t.settle().await;
    for n in 1..=8 {
        t.ends(&format!("s{n}")).await;
    }
    assert_eq!(t.events().await.len(), 8);
    let last = t.deliveries().await;
    let last = last.lines().last().expect("a delivery");
    assert!(last.starts_with("flow: nothing: .containerops/f9.yml: 8 flows have started each other"), "{last}");
    t.read_writes();
}

#[tokio::test]
async fn a_flow_of_another_repository_follows_on_its_own_default_branch_and_nobody_can_pretend() {
    let t = Tester::start().await;
    let follower = "on: {flow: [acme/widget/ci]}\nstages: [{name: after, image: \"i:1\", run: make}]";
    let after = t.github.commit("acme/site", "main", &[(".containerops.yml", follower.as_bytes())]);
    t.deliver(t.github.push("acme/site", "main")).await;
    let pretender = "uri: acme/widget/ci\nstages: [{name: evil, image: \"i:1\", run: make}]";
    let evil = t.github.commit("mallory/tool", "main", &[(".containerops.yml", pretender.as_bytes())]);
    t.deliver(t.github.push("mallory/tool", "main")).await;
    t.settle().await;
    t.ends("evil").await;
    assert_eq!(t.events().await, ["push success"], "its uri is not its own");
    t.push("idea", r#"stages: [{name: test, image: "i:1", run: make}]"#).await;
    t.ends("test").await;
    assert_eq!(t.events().await.len(), 2, "a side branch is not followed elsewhere");
    let sha = t.push("main", r#"stages: [{name: test, image: "i:1", run: make}]"#).await;
    t.ends("test").await;
    t.ends("after").await;
    assert_eq!(t.newest_run().await.sha, after);
    for sha in [sha, after, evil] {
        assert!(t.checks(&sha).starts_with("success"));
    }
}
