//! Jobs that start other flows, and wait for them.

use std::{fmt::Write as _, time::Duration};

use containerops::agent::protocol::{Cause, HeartbeatAnswer};
use insta::assert_snapshot;

use crate::{
    harness::app::{Tester, WIDGET},
    restart::CutShort,
};

const SHIP: &str = r#"
stages:
  - {name: build, image: "i:1", run: make, outputs: [VERSION]}
  - name: ship
    trigger: {flow: deploy, inputs: {target: prod}}
    subscriptions: [{"build.build.build[VERSION]": version}]
"#;
const DEPLOY: &str = r#"
on: {manual: {inputs: {target: , version: none}}}
stages: [{name: roll, image: "i:1", run: ./roll}]
"#;
/// What starts without a build before it.
const NOW: &str = "stages: [{name: ship, trigger: deploy}]";
const ROLL: &str = r#"{on: manual, stages: [{name: roll, image: "i:1", run: ./roll}]}"#;

impl Tester {
    /// Commits these flows and pushes.
    async fn flows(&self, files: &[(&str, &str)]) {
        let paths: Vec<String> = files.iter().map(|(name, _)| format!(".containerops/{name}.yml")).collect();
        let files: Vec<(&str, &[u8])> =
            paths.iter().zip(files).map(|(path, (_, text))| (path.as_str(), text.as_bytes())).collect();
        self.github.commit(WIDGET, "main", &files);
        self.deliver(self.github.push(WIDGET, "main")).await;
        self.settle().await;
    }

    /// All runs with their flows, oldest first.
    async fn all_flows(&self) -> String {
        // what the forge hears is for other stories to tell
        self.read_writes();
        let mut tx = self.app().engine.store.read().await.expect("the database is there");
        let filter = containerops::store::RunFilter { limit: 100, ..Default::default() };
        let runs = tx.runs(&filter).await.expect("runs");
        let mut told = String::new();
        for run in runs.iter().rev() {
            let actions = tx.actions(run.id).await.expect("actions");
            let reasons: Vec<&str> =
                actions.iter().map(|row| row.reason.as_str()).filter(|why| !why.is_empty()).collect();
            let (state, reasons) = (run.state.label(), reasons.join("; "));
            let _ = writeln!(told, "{} #{} {}: {state} {reasons}", run.flow, run.number, run.event.name());
        }
        told
    }

    /// The log of the job of the oldest run that starts another.
    async fn log(&self, path: &str) -> String {
        let url = format!("{}/github/{WIDGET}/runs/{path}/log.txt", self.url());
        let text = self.http.get(url).send().await.expect("an answer").text().await.expect("text");
        text.replace(self.newest_run().await.sha.short(), "SHA")
    }
}

#[tokio::test]
async fn a_job_starts_another_flow_and_ends_as_it_does() {
    let t = Tester::start().await;
    t.flows(&[("ci", SHIP), ("deploy", DEPLOY)]).await;
    t.claims("build").await.writes(&[("VERSION", "1.4")]).await.exits(0).await;
    let agent = t.claims("roll").await;
    let of = |name: &str| agent.work.environments[name].clone();
    assert_eq!([of("CO_EVENT"), of("CO_INPUT_TARGET"), of("CO_INPUT_VERSION")], ["manual", "prod", "1.4"]);
    assert!(t.all_flows().await.contains("ci #1 push: running"));
    let waiting = t.page("/github/acme/widget/runs/1").await;
    assert!(waiting.contains(r#"<a href="/github/acme/widget/runs/2">deploy #2: running</a>"#), "{waiting}");
    agent.exits(0).await;
    assert_snapshot!(t.all_flows().await, @r"
    ci #1 push: success 
    deploy #2 manual: success
    ");
    assert_snapshot!(t.log("1/ship/ship/ship").await, @r"
    starting deploy of acme/widget on branch main at SHA
    waiting for deploy #2 of acme/widget: https://ci.example.com/github/acme/widget/runs/2
    deploy #2 of acme/widget: success
    ");
    let child = t.page("/github/acme/widget/runs/2").await;
    assert!(
        child.contains(r#"<a href="/github/acme/widget/runs/1/ship/ship/ship">ship.ship.ship of ci #1</a>"#),
        "{child}"
    );
}

#[tokio::test]
async fn a_run_that_fails_fails_the_job_that_waits_for_it() {
    let t = Tester::start().await;
    t.flows(&[("ci", NOW), ("deploy", ROLL)]).await;
    t.run_the_job("roll", 3).await;
    assert_snapshot!(t.all_flows().await, @r"
    ci #1 push: failure deploy #2 of acme/widget: failure
    deploy #2 manual: failure exit code 3
    ");
}

#[tokio::test]
async fn a_job_that_does_not_wait_ends_when_the_run_is_made() {
    let t = Tester::start().await;
    t.flows(&[("ci", "stages: [{name: ship, trigger: {flow: deploy, wait: false}}]"), ("deploy", ROLL)]).await;
    assert_snapshot!(t.all_flows().await, @r"
    ci #1 push: success 
    deploy #2 manual: queued
    ");
    t.cancel("Ada").await;
    t.read_writes();
}

#[tokio::test]
async fn a_job_waits_no_longer_than_it_says_and_leaves_the_run_alone() {
    let t = Tester::start().await;
    t.flows(&[("ci", "stages: [{name: ship, trigger: {flow: deploy, wait: 10m}}]"), ("deploy", ROLL)]).await;
    let agent = t.claims("roll").await;
    t.passes(Duration::from_secs(9 * 60)).await;
    assert!(t.all_flows().await.contains("ci #1 push: running"));
    t.passes(Duration::from_secs(2 * 60)).await;
    assert_snapshot!(t.all_flows().await, @r"
    ci #1 push: timed_out timed out after 10 min 0 s
    deploy #2 manual: running no contact with the agent since 2026-03-01 12:00 UTC; its pod still runs, by the executor's account
    ");
    agent.exits(0).await;
    assert!(t.all_flows().await.contains("deploy #2 manual: success"));
}

#[tokio::test]
async fn what_cannot_be_started_is_said_in_words() {
    let t = Tester::start().await;
    let ci = |trigger: &str| format!("stages: [{{name: ship, trigger: {trigger}}}]");
    let strict =
        r#"{on: {manual: {inputs: {level: {options: [a, b]}}}}, stages: [{name: roll, image: "i:1", run: r}]}"#;
    let closed = r#"stages: [{name: roll, image: "i:1", run: r, when: 'event == "manual"'}]"#;
    for trigger in [
        "nowhere",
        "ci",
        "closed",
        "strict",
        "{flow: strict, inputs: {level: c}}",
        "{flow: strict, branch: gone, inputs: {level: a}}",
        "acme/infra/roll",
    ] {
        t.flows(&[("ci", &ci(trigger)), ("strict", strict), ("closed", closed)]).await;
    }
    let told = t.all_flows().await;
    let told =
        told.replace(told.split("commit ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a commit"), "SHA");
    let of_ci: String = told.lines().filter(|line| line.starts_with("ci")).map(|line| line.to_owned() + "\n").collect();
    assert_snapshot!(of_ci, @r"
    ci #1 push: failure nothing was started: commit SHA has no flow nowhere: there are ci, closed, strict
    ci #3 push: failure nothing was started: .containerops/ci.yml: `on` does not name `manual`
    ci #5 push: failure nothing was started: .containerops/closed.yml: `on` does not name `manual`
    ci #7 push: failure nothing was started: .containerops/strict.yml: input `level` has no default and was not given
    ci #9 push: failure nothing was started: .containerops/strict.yml: input `level` is one of a, b; `c` is none of them
    ci #11 push: failure nothing was started: there is no branch gone in acme/widget
    ci #13 push: failure nothing was started: jobs of acme/widget may not start flows of acme/infra: the server's administrator can allow it, with acme/widget=acme/infra in CONTAINEROPS_TRIGGER_REPOSITORIES
    ");
}

#[tokio::test]
async fn another_repositorys_flow_is_started_where_the_administrator_allows_it() {
    let t = Tester::start().await;
    t.set_up("trigger_repositories = \"github:acme/widget=acme/infra\"\n").await;
    t.github.commit("acme/infra", "main", &[(".containerops/roll.yml", ROLL.as_bytes())]);
    let ci = "stages: [{name: ship, trigger: acme/infra/roll}]";
    t.flows(&[("ci", ci)]).await;
    assert!(t.all_flows().await.contains("nothing has happened in acme/infra yet"), "{}", t.all_flows().await);
    t.deliver(t.github.push("acme/infra", "main")).await;
    t.settle().await;
    t.flows(&[("ci", ci)]).await;
    t.run_the_job("roll", 0).await;
    assert_snapshot!(t.all_flows().await, @r"
    ci #1 push: failure nothing was started: nothing has happened in acme/infra yet, so that nobody knows it
    ci #2 push: success 
    roll #1 manual: success
    ");
}

#[tokio::test]
async fn who_stops_a_run_stops_what_it_waits_for() {
    let t = Tester::start().await;
    t.flows(&[("ci", NOW), ("deploy", ROLL)]).await;
    let agent = t.claims("roll").await;
    let mut tx = t.app().engine.store.read().await.expect("the database is there");
    let runs = tx.runs(&containerops::store::RunFilter { limit: 100, ..Default::default() }).await.expect("runs");
    drop(tx);
    let parent = runs.last().expect("the oldest").id;
    assert!(t.app().engine.cancel(parent, "Ada").await.expect("the database is there"));
    t.settle().await;
    assert!(matches!(agent.hears().await, HeartbeatAnswer::Cancel { .. }), "the job is told to stop");
    agent.ends(Cause::Cancelled { by: "Ada".to_owned() }).await;
    assert_snapshot!(t.all_flows().await, @r"
    ci #1 push: cancelled cancelled by Ada
    deploy #2 manual: cancelled cancelled by Ada
    ");
    assert_snapshot!(t.log("1/ship/ship/ship").await, @r"
    starting deploy of acme/widget on branch main at SHA
    waiting for deploy #2 of acme/widget: https://ci.example.com/github/acme/widget/runs/2
    cancelled by Ada; deploy #2 of acme/widget is stopped, too
    ");
}

#[tokio::test]
async fn flows_that_start_each_other_do_so_in_no_circle_and_not_for_ever() {
    let t = Tester::start().await;
    let one = "stages: [{name: one, trigger: two}]";
    let two = "{on: manual, stages: [{name: two, trigger: one}]}";
    t.flows(&[("one", &format!("on: [push, manual]\n{one}")), ("two", two)]).await;
    for _ in 0..5 {
        t.settle().await;
    }
    assert_snapshot!(t.all_flows().await, @r"
    one #1 push: failure two #2 of acme/widget: failure
    two #2 manual: failure nothing was started: .containerops/one.yml: it has run already on the way here: acme/widget/one, then acme/widget/two
    ");
    let names: Vec<String> = (1..=9).map(|n| format!("flow{n}")).collect();
    let text = |n: usize| {
        format!("on: [{}]\nstages: [{{name: next, trigger: flow{}}}]", if n == 1 { "push" } else { "manual" }, n + 1)
    };
    let texts: Vec<String> = (1..=9).map(text).collect();
    let files: Vec<(&str, &str)> =
        names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    t.flows(&files).await;
    for _ in 0..30 {
        t.settle().await;
    }
    let told = t.all_flows().await;
    let of_chain: Vec<&str> = told.lines().filter(|line| line.starts_with("flow")).collect();
    assert_eq!(of_chain.len(), 8, "{told}");
    assert!(of_chain[7].contains("8 flows have started each other, which is the most"), "{told}");
}

#[tokio::test]
async fn a_run_that_would_wait_for_the_one_that_waits_for_it_is_no_deadlock() {
    let t = Tester::start().await;
    let group = "concurrency: {group: deploy, policy: queue}";
    t.flows(&[
        ("ci", &format!("{group}\n{NOW}")),
        ("deploy", &format!("on: [manual]\n{group}\nstages: [{{name: roll, image: \"i:1\", run: r}}]")),
    ])
    .await;
    assert_snapshot!(t.all_flows().await, @r"
    ci #1 push: failure deploy #2 waits in the group that this run has its place in
    deploy #2 manual: cancelled cancelled by the run that it would have waited for
    ");
}

#[tokio::test]
async fn a_flow_is_started_once_wherever_the_plug_is_pulled() {
    for polls in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89] {
        let t = Tester::start().await;
        t.github.commit(
            WIDGET,
            "main",
            &[(".containerops/ci.yml", NOW.as_bytes()), (".containerops/deploy.yml", ROLL.as_bytes())],
        );
        t.deliver(t.github.push(WIDGET, "main")).await;
        for _ in 0..4 {
            let app = t.app();
            let _ = CutShort(Box::pin(app.drain()), polls).await;
            drop(app);
            t.restart().await;
            // longer than a lease
            t.clock.advance(Duration::from_secs(61));
        }
        t.settle().await;
        t.run_the_job("roll", 0).await;
        let told = t.all_flows().await;
        assert_eq!(told.lines().count(), 2, "after {polls} polls:\n{told}");
        assert!(told.lines().all(|line| line.trim_end().ends_with("success")), "after {polls} polls:\n{told}");
    }
}
