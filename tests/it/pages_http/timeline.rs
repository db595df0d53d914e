//! Where a run's time went, on its page, on a page of its own, and for programs.

use std::{fmt::Write as _, time::Duration};

use containerops::model::{Infrastructure, Moments, Pull, Ran, Verdict};
use reqwest::StatusCode;
use serde_json::Value;

use super::{
    RUN, holds,
    run::{ended, flow},
};
use crate::harness::app::Tester;

const FLOW: &str = r#"
stages:
  - name: test
    jobs: [{name: lint, image: "rust:1", run: cargo clippy}, {name: unit, image: "rust:1", run: cargo test}]
  - {name: build, image: "rust:1", run: cargo build}
"#;
const TIMELINE: &str = "/github/acme/widget/runs/1/timeline";

/// The text of a page's rows and table, without its tags.
fn table(page: &str) -> String {
    let body = page.split_once("<tbody>").and_then(|(_, rest)| rest.split_once("</tbody>")).expect("a table").0;
    let mut text = String::new();
    for row in body.lines().filter(|line| line.contains("<th")) {
        let cells = row.split("<t").skip(1).filter_map(|cell| cell.split_once('>')?.1.split('<').next());
        let cells: Vec<&str> = cells.filter(|cell| !cell.is_empty()).collect();
        writeln!(text, "{}", cells.join(" | ")).expect("a text takes everything");
    }
    text
}

/// Tells of the newest pod of an action: it had a node after 3 s, and after 4 s began to pull; if it is here, for 20 s.
fn tells(t: &Tester, action: &str, is_here: bool) {
    let now = t.app().engine.clock.now();
    let at = |seconds: u64| now.after(Duration::from_secs(seconds));
    t.pods.tells(action, |placement| {
        let first = placement.containers.first().expect("a container");
        let pull = Pull {
            container: first.name.clone(),
            job: Some(first.job),
            image: "docker.io/library/rust:1".to_owned(),
            started: at(4),
            ended: is_here.then(|| at(24)),
            bytes: Some(512_000_000),
        };
        let ran = |one: &containerops::executor::Container| Ran {
            container: one.name.clone(),
            job: Some(one.job),
            started: at(25),
            ended: None,
        };
        let containers = if is_here { placement.containers.iter().map(ran).collect() } else { Vec::new() };
        Moments {
            node: Some("<b>node-7".to_owned()),
            made: Some(now),
            scheduled: Some(at(3)),
            pulls: vec![pull],
            containers,
        }
    });
}

async fn times(t: &Tester) -> Value {
    let id = t.newest_run().await.id;
    let answer = t.get(&format!("/api/v1/runs/{id}")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json::<Value>().await.expect("JSON")["stages"][0]["actions"][0]["attempts"][0]["times"].take()
}

#[tokio::test]
async fn a_pod_stays_until_its_containers_are_told_of_or_for_ten_seconds() {
    for is_told in [true, false] {
        let t = Tester::start().await;
        t.github.writes_are_another_story();
        t.push("main", "stages: [{name: build, image: \"rust:1\", run: cargo build}]\n").await;
        tells(&t, "build.build", false);
        t.claims("build").await.exits(0).await;
        assert_eq!(t.pods.left(), 1, "its node has not told yet that it ran");
        if is_told {
            tells(&t, "build.build", true);
            t.drain().await;
        } else {
            t.passes(Duration::from_secs(10)).await;
        }
        assert_eq!(t.pods.left(), 0);
        t.read_writes();
    }
}

#[tokio::test]
async fn a_run_says_where_its_time_goes_and_where_it_went() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    tells(&t, "test.test", false);
    t.pods.waits("test.test", "pulling image \"rust:1\"", None);
    t.passes(Duration::from_secs(20)).await;
    let page = t.page(RUN).await;
    holds(&page, &["<strong>test</strong> pulling rust:1 (512 MB) for 1", "class=\"pull\""]);
    let times_so_far = times(&t).await;
    assert_eq!(
        (&times_so_far["phases"][2]["ended"], &times_so_far["words"]),
        (&Value::Null, &Value::Null),
        "it goes on"
    );

    tells(&t, "test.test", true);
    t.pods.runs("test.test");
    t.passes(Duration::from_secs(30)).await;
    for job in ["lint", "unit"] {
        let agent = t.claims(&format!("test.test.{job}")).await;
        t.passes(Duration::from_secs(60)).await;
        agent.exits(0).await;
    }
    t.claims("build").await.exits(0).await;
    let page = t.page(RUN).await;
    insta::assert_snapshot!(table(&page));
    insta::assert_snapshot!(
        page.split_once("class=\"spent\">").expect("a sentence").1.split('<').next().expect("text")
    );
    holds(&page, &["<li>rust:1 in 40 s, 512 MB for test</li>", "&#60;b&#62;node-7", "runs/1/test/test/unit"]);
    let own = t.page(TIMELINE).await;
    assert_eq!(table(&own), table(&page));

    let times = times(&t).await;
    let phases = times["phases"].as_array().expect("phases");
    let kinds: Vec<_> = phases.iter().filter_map(|phase| phase["phase"].as_str()).collect();
    assert_eq!(kinds, ["schedule", "init", "pull", "init", "wait", "run", "wait", "run"], "{times}");
    assert!(phases.windows(2).all(|two| two[0]["ended"] == two[1]["started"]), "{times}");
    assert_eq!((times["node"].as_str(), times["pulls"][0]["bytes"].as_i64()), (Some("<b>node-7"), Some(512_000_000)));
    assert_eq!(times["jobs"].as_array().map(Vec::len), Some(2), "{times}");
}

#[tokio::test]
async fn what_a_pod_has_told_outlives_it_and_the_server() {
    let t = Tester::start().await;
    t.push("main", FLOW).await;
    tells(&t, "test.test", true);
    t.passes(Duration::from_secs(30)).await;
    t.claims("test.test.lint").await.exits(1).await;
    t.restart().await;
    assert!(t.pods.placed().is_empty());
    holds(&t.page(RUN).await, &["&#60;b&#62;node-7", "<li>rust:1 in 20 s"]);
}

#[tokio::test]
async fn an_action_that_waits_for_its_next_attempt_has_a_row_that_says_since_when() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    t.push("main", "stages: [{name: build, image: \"rust:1\", run: cargo build}]\n").await;
    let _silent = t.claims("build").await;
    t.pods.hold();
    t.pods.dies("build.build", Infrastructure::NodeLost, "node-1 is gone");
    t.settle().await;
    t.later(Duration::from_secs(20)).await;
    let queued = async || {
        let id = t.newest_run().await.id;
        let told: Value = t.get(&format!("/api/v1/runs/{id}")).await.json().await.expect("JSON");
        told["stages"][0]["actions"][0]["queued"].is_string()
    };
    assert!(queued().await, "the pod before it is not gone");
    let page = t.page(TIMELINE).await;
    let waits = table(&page).lines().filter(|line| line.contains("build")).count();
    assert_eq!(waits, 2, "the attempt that is lost, and the one that is waited for: {}", table(&page));
    holds(&page, &["waits for an attempt for 2", "node-1 is gone"]);
    t.pods.release();
    t.settle().await;
    let _second = t.claims("build").await;
    assert!(!queued().await);
    assert!(!t.page(TIMELINE).await.contains("waits for an attempt"));
}

#[tokio::test]
async fn nothing_has_no_timeline_and_says_so() {
    let t = Tester::start().await;
    t.push("main", "stages: [{name: go, type: pause}, {name: test, image: alpine, run: ./test.sh}]").await;
    assert!(!t.page(RUN).await.contains("id=\"timeline\""));
    holds(&t.page(TIMELINE).await, &["Nothing has been placed yet"]);
    assert_eq!(t.get("/github/acme/widget/runs/2/timeline").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_large_run_has_its_timeline_on_a_page_of_its_own_and_both_stay_small() {
    let t = Tester::start().await;
    let mut flow = "stages:\n  - name: all\n    sequencing: parallel\n    actions:\n".to_owned();
    for n in 0..300 {
        writeln!(flow, "      - {{name: a{n}, image: \"rust:1\", run: make}}").expect("a text");
    }
    t.push("main", &flow).await;
    t.later(Duration::from_secs(30)).await;
    let run = t.page(RUN).await;
    holds(&run, &["The timeline of 300 attempts"]);
    let section = run.split_once("<section class=\"timeline\"").expect("a section").1;
    assert!(section.len() < 3000, "{}", section.len());
    let mut names = Vec::new();
    for (part, rows) in [(1, 120), (2, 120), (3, 60)] {
        let own = t.page(&format!("{TIMELINE}?part={part}")).await;
        let table = table(&own);
        assert_eq!(table.lines().count(), rows);
        names.extend(table.lines().filter_map(|line| Some(line.split_once(" | ")?.0.to_owned())));
        assert!(own.len() < 100_000, "{}", own.len());
    }
    assert_eq!((names[0].as_str(), names[299].as_str()), ("all / a0", "all / a299"));
    names.dedup();
    assert_eq!(names.len(), 300, "each is once");
    assert_eq!(t.page(&format!("{TIMELINE}?part=99")).await, t.page(&format!("{TIMELINE}?part=3")).await);
    holds(&t.page(TIMELINE).await, &["Rows 1 to 120 of 300", "href=\"?part=2\">Later rows"]);
    assert_eq!(t.get(&format!("{TIMELINE}?part=x")).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_run_of_very_many_jobs_and_of_ever_so_many_phases_has_small_pages() {
    let t = ended(&flow(100, 3), |_| Verdict::Success { warning: None }).await;
    let page = t.page(TIMELINE).await;
    assert!(page.len() < 60_000, "{}", page.len());
    // whatever there is of each: a node, pulls, containers, and what the agent did
    let mut flow = "stages:\n".to_owned();
    for n in 0..40 {
        writeln!(flow, "  - {{name: stage-{n}, needs: [], jobs: [{{name: first, image: \"rust:1\", run: a}}, {{name: second, image: \"rust:1\", run: b}}]}}")
            .expect("a text");
    }
    let t = Tester::start().await;
    t.push("main", &flow).await;
    for n in 0..40 {
        tells(&t, &format!("stage-{n}.stage-{n}"), true);
    }
    t.passes(Duration::from_secs(60)).await;
    let run = t.page(RUN).await;
    holds(&run, &["The timeline of 40 attempts"]);
    let page = t.page(TIMELINE).await;
    assert_eq!(table(&page).lines().count(), 120);
    assert!(page.len() < 100_000, "{}", page.len());
}
