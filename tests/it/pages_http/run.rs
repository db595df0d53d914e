//! The page of a run, small and large: its picture, its table, and what goes from job to job.

use std::fmt::Write as _;

use insta::assert_snapshot;
use reqwest::{Method, StatusCode, header};

use containerops::{
    model::{ActionId, ActionState, AttemptId, AttemptState, Conclusion, JobId, JobState, RunState, Time, Verdict},
    store::{NewJob, Pin, Pins, RunRow, Tail, Tx},
};

use super::{RUN, SMALL, holds};
use crate::harness::app::Tester;

/// As many actions of one job each in each of as many stages.
pub(super) fn flow(stages: usize, actions: usize) -> String {
    let mut flow = "stages:\n".to_owned();
    for stage in 0..stages {
        let _ = writeln!(flow, "  - name: stage-{stage}\n    sequencing: parallel\n    actions:");
        for action in 0..actions {
            let _ = writeln!(flow, "      - {{name: integration-{action}, image: \"rust:1.95\", run: make}}");
        }
    }
    flow
}

/// The pod that it has, or one.
async fn attempt_of(tx: &mut Tx, action: ActionId, now: Time) -> (AttemptId, JobId) {
    if let Some(attempt) = tx.newest_attempt(action).await.expect("rows") {
        return (attempt.id, tx.jobs(attempt.id).await.expect("rows")[0].id);
    }
    let (attempt, job) = (AttemptId::mint(now), JobId::mint(now));
    let new = [NewJob { id: job, token_hash: job.to_string(), service_after: None }];
    tx.insert_attempt(action, attempt, "test", &new, now).await.expect("a row");
    tx.set_action_state(action, &ActionState::Queued, "", now).await.expect("a row");
    (attempt, job)
}

/// Ends all that a run has as a pod of each would have ended it.
async fn end(tx: &mut Tx, run: &RunRow, now: Time, verdict: impl Fn(usize) -> Verdict) {
    for (at, action) in tx.actions(run.id).await.expect("rows").into_iter().enumerate() {
        let (attempt, job) = attempt_of(tx, action.id, now).await;
        tx.set_job_state(job, &JobState::Running, now).await.expect("a row");
        tx.set_action_state(action.id, &ActionState::Running, "", now).await.expect("a row");
        let verdict = verdict(at);
        let conclusion = verdict.conclusion();
        if conclusion != Conclusion::Success {
            let lines = (0..30).map(|n| format!("line {n} of what it said before it failed, at some length")).collect();
            tx.keep_tail(job, &Tail { line: 1, lines }).await.expect("a row");
        }
        let later = now.after(std::time::Duration::from_secs(61));
        tx.set_job_state(job, &JobState::Ended(verdict), later).await.expect("a row");
        tx.set_attempt_state(attempt, &AttemptState::Ended, later).await.expect("a row");
        tx.set_action_state(action.id, &ActionState::Ended(conclusion), "", later).await.expect("a row");
    }
    tx.set_run_state(run.id, &RunState::Running, "", now).await.expect("a row");
    tx.set_run_state(run.id, &RunState::Ended(Conclusion::Failure), "", now).await.expect("a row");
}

pub(super) async fn ended(flow: &str, verdict: impl Fn(usize) -> Verdict) -> Tester {
    let t = Tester::start().await;
    t.push("main", flow).await;
    let run = t.newest_run().await;
    let mut tx = t.app().engine.store.write().await.expect("the database");
    end(&mut tx, &run, t.clock.now(), verdict).await;
    tx.commit().await.expect("it is kept");
    t
}

#[tokio::test]
async fn a_run_of_three_hundred_jobs_is_a_small_page() {
    let red = |at: usize| if at % 100 == 7 { Verdict::Exit { code: 2 } } else { Verdict::Success { warning: None } };
    let t = ended(&flow(10, 30), red).await;
    let page = t.page(RUN).await;
    let table = t.page(&format!("{RUN}?view=table")).await;
    assert!(table.len() < 100_000, "{} bytes", table.len());
    assert_eq!(table.matches("<tr><td>").count(), 300);
    assert!(page.len() < 100_000, "{} bytes", page.len());
    assert_eq!(page.matches("name=\"action\" value=").count(), 300, "each can be run again");
    holds(&page, &["id=\"a9-29\"", "line 29 of what it said", "<b class=\"mk failure\">exit code 2</b>", "1 min 1 s"]);
    // and if nothing went well: the logs have what there is no room for
    let t = ended(&flow(10, 30), |_| Verdict::Exit { code: 2 }).await;
    let page = t.page(RUN).await;
    assert!(page.len() < 100_000, "{} bytes", page.len());
    assert!(page.matches("<pre class=\"tail\"").count() > 3, "the first of them say why");
    assert_eq!(page.matches("failure\">exit code 2</b>").count(), 300);
}

#[tokio::test]
async fn a_run_of_very_many_stages_is_a_small_page() {
    let success = |_: usize| Verdict::Success { warning: None };
    for (stages, actions) in [(256, 1), (100, 3)] {
        let t = ended(&flow(stages, actions), success).await;
        for path in [RUN.to_owned(), format!("{RUN}?view=table"), format!("{RUN}/timeline")] {
            let page = t.page(&path).await;
            assert!(page.len() < 100_000, "{stages} stages: {path} has {} bytes", page.len());
        }
        let picture = format!("{RUN}/picture.svg");
        assert_eq!(t.get(&picture).await.status(), StatusCode::OK);
        holds(
            &t.page(RUN).await,
            &[&format!("href=\"{picture}\""), "id=\"a0-0\"", &format!("id=\"stage-{stages}\""), "integration-0"],
        );
    }
}

#[tokio::test]
async fn the_last_lines_have_no_marks_of_folds() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    let said = "::group::Fetch\nfetched\n::endgroup::\ntravis_fold:start:build\r\x1b[0KBuilding\ntravis_time:start:0a1b\r\x1b[0K\n\
                built\ntravis_fold:end:build\r\x1b[0K\n##[group]Deploy <b>\nsection_start:1560896352:my_section\r\x1b[0KHeader\n\
                it broke\nsection_end:1560896353:my_section\r\x1b[0K\n##[endgroup]\n";
    t.claims("test").await.says(said).await.exits(2).await;
    let page = t.page(RUN).await;
    let tail = page.split_once("<pre class=\"tail\"").expect("a tail").1.split_once("</pre>").expect("an end").0;
    assert_snapshot!(tail, @r#"
     tabindex="0" aria-label="Last lines of test">▸ Fetch
    fetched
    Building

    built

    ▸ Deploy &lt;b&gt;
    Header
    it broke
    "#);
}

const LINKED: &str = r#"
stages:
  - {name: build, image: "cc:1", run: make, outputs: [VERSION, CO_JSON_CONTENT]}
  - name: check
    sequencing: parallel
    actions:
      - {name: unit, matrix: {rust: ["1.95", beta]}, image: "cc:1", run: make test}
      - {name: lint, image: "cc:1", run: make lint, subscriptions: [{"build.build.build[VERSION]": RELEASE}]}
  - {name: go, type: pause}
  - name: ship
    needs: [check, go]
    image: "tar:1"
    run: tar
    inputs: [{from: "build.build.build[CO_JSON_CONTENT].release.name", to: name}]
"#;

impl Tester {
    async fn linked() -> Self {
        let t = Self::start().await;
        t.push("main", LINKED).await;
        let said = [("VERSION", "1.2.3"), ("CO_JSON_CONTENT", r#"{"release": {"name": "<b>spring</b>"}}"#)];
        t.claims("build").await.writes(&said).await.exits(0).await;
        t
    }
}

#[tokio::test]
async fn a_run_is_a_picture_with_lines_for_what_waits_and_for_what_goes_where() {
    let t = Tester::linked().await;
    let page = t.page(RUN).await;
    let picture = page.split_once("<svg xmlns").expect("a picture").1.split_once("</svg>").expect("an end").0;
    holds(
        picture,
        &[
            "aria-label=\"ci #1: running\"",
            "<a class=\"success\" href=\"1/build/build/build\"",
            "<a class=\"name\" href=\"#stage-2\"",
            "<a class=\"waiting pause\" href=\"#stage-3\"",
            ">unit (beta)</text>",
            "<title>VERSION → RELEASE</title>",
            "<title>CO_JSON_CONTENT.release.name → name</title>",
        ],
    );
    assert!(!page.contains("style=\""), "the style sheet has all colours");
    holds(
        &page,
        &[
            "<code>VERSION</code>",
            "<code>RELEASE</code> <q>1.2.3</q>",
            "<code>CO_DATA name</code> <q>&#60;b&#62;spring&#60;/b&#62;</q>",
            "Images: 2, 0 pinned by digest",
        ],
    );
    t.read_writes();
}

#[tokio::test]
async fn the_picture_by_itself_brings_its_colours_and_is_not_sent_twice() {
    let t = Tester::linked().await;
    let path = format!("{RUN}/picture.svg");
    let answer = t.get(&path).await;
    assert_eq!(
        (answer.status(), &answer.headers()[header::CONTENT_TYPE]),
        (StatusCode::OK, &"image/svg+xml".parse().expect("a value"))
    );
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("text").to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    let tag = answer.headers()[header::ETAG].clone();
    let svg = answer.text().await.expect("text");
    holds(
        &svg,
        &[
            "<style>",
            "prefers-color-scheme",
            &format!("href=\"{RUN}/build/build/build\""),
            &format!("href=\"{RUN}#stage-2\""),
        ],
    );
    let again = t.ask(Method::GET, &path).header(header::IF_NONE_MATCH, &tag).send().await.expect("an answer");
    assert_eq!((again.status(), &again.headers()[header::ETAG]), (StatusCode::NOT_MODIFIED, &tag));
    let missing = t.get("/github/acme/widget/runs/9/picture.svg").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    let posted = t.ask(Method::POST, &path).send().await.expect("an answer");
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    t.read_writes();
}

#[tokio::test]
async fn a_run_is_a_table_for_those_who_prefer_it() {
    let t = Tester::linked().await;
    let digest = format!("sha256:{}", "ab".repeat(32));
    let pin = Pin { image: format!("docker.io/library/cc@{digest}"), entrypoint: Vec::new() };
    let run = t.newest_run().await.id;
    let mut tx = t.app().engine.store.write().await.expect("the database");
    tx.set_pins(run, &Pins::from([("cc:1".to_owned(), pin)])).await.expect("a row");
    tx.commit().await.expect("it is kept");
    let page = t.page(&format!("{RUN}?view=table")).await;
    assert!(!page.contains("<svg xmlns"), "it is no picture");
    let table = page.split_once("<tbody>").expect("a table").1.split_once("</tbody>").expect("an end").0;
    let rows: Vec<String> = table.split("<tr>").skip(1).map(text).collect();
    assert_snapshot!(rows.join("\n"), @r"
    build |build |build |success |2026-03-01 12:00 UTC |5 s |1 |cc:1sha256:abababababab
    check |unit (1.95) |unit |waiting | | |1 |cc:1sha256:abababababab
    check |unit (beta) |unit |waiting | | |1 |cc:1sha256:abababababab
    check |lint |lint |waiting | | |1 |cc:1sha256:abababababab
    go | | |waiting | | | |
    ship |ship |ship |waiting | | | |tar:1
    ");
    holds(
        &page,
        &["aria-current=\"page\">Table</a>", "href=\"1/build/build/build\"", "Images: 2, 1 pinned by digest", &digest],
    );
    assert_eq!(t.get(&format!("{RUN}?view=nothing")).await.status(), StatusCode::BAD_REQUEST);
    let api: serde_json::Value = serde_json::from_str(&t.page(&format!("/api/v1/runs/{run}")).await).expect("JSON");
    let links: Vec<_> = api["links"].as_array().expect("links").iter().map(ToString::to_string).collect();
    assert_snapshot!(links.join("\n"), @r#"
    {"as":"RELEASE","cut":false,"from":"build.build.build","kind":"variable","name":"VERSION","optional":false,"to":"check.lint.lint","value":"1.2.3"}
    {"as":"name","cut":false,"from":"build.build.build","kind":"input","name":"CO_JSON_CONTENT.release.name","optional":false,"to":"ship.ship.ship","value":"<b>spring</b>"}
    "#);
    assert_eq!(api["images"][0]["pinned"], format!("docker.io/library/cc@{digest}"));
    assert_snapshot!(api["stages"][3]["needs"], @r#"["check","go"]"#);
    t.read_writes();
}

/// The text of a row, with a bar between its cells.
fn text(row: &str) -> String {
    let mut out = String::new();
    for part in row.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag");
        out += if tag == "td" && !out.is_empty() { " |" } else { "" };
        out += text.trim();
    }
    out
}
