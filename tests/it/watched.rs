//! The service seen from outside: its numbers, who may have them, whether it is ready, and that what watches it names
//! nothing that is not there.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use containerops::{
    meters::{FAMILIES, Kind},
    model::Scope,
};
use reqwest::{Method, StatusCode};

use crate::{
    access::{SIGNED_IN, Shows},
    harness::{
        app::{Tester, WIDGET},
        github::signed_with,
        required,
    },
};

const FLOW: &str = "stages: [{name: test, image: alpine, run: ./test.sh}]";
const DASHBOARD: &str = "deploy/monitoring/dashboard.json";
const ALERTS: &str = "deploy/monitoring/alerts.yaml";

impl Tester {
    async fn scraped(&self) -> String {
        let answer = self.http.get(format!("{}/metrics", self.url())).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("text")
    }
}

/// The number on the line that begins so; nothing is none.
fn number(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap_or_else(|_| panic!("{series} {value}")))
}

#[tokio::test]
async fn what_goes_on_is_counted_and_nothing_of_it_is_named() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    t.push("main", FLOW).await;
    let before = t.scraped().await;
    assert_eq!(number(&before, "containerops_queue_length{queue=\"runs_queued\"}"), 1.0, "{before}");
    assert_eq!(number(&before, "containerops_push_to_first_state_seconds_count{forge=\"github\"}"), 1.0, "{before}");
    assert_eq!(number(&before, "containerops_end_to_final_state_seconds_count{forge=\"github\"}"), 0.0, "{before}");
    t.claims("test").await.says("a line\n").await.exits(3).await;
    let forged = signed_with("wrong", "push", "9", b"{}".to_vec());
    assert_eq!(t.send("github", forged).await.0, StatusCode::UNAUTHORIZED);
    // what was told is in the answer for a second
    tokio::time::timeout(std::time::Duration::from_secs(5), async {
        while number(&t.scraped().await, "containerops_run_ends_total{conclusion=\"failure\"}") == 0.0 {}
    })
    .await
    .expect("it is counted");
    let after = t.scraped().await;
    for (series, value) in [
        ("containerops_deliveries_total{event=\"push\",forge=\"github\",outcome=\"new\"}", 1.0),
        ("containerops_deliveries_total{event=\"unknown\",forge=\"github\",outcome=\"refused\"}", 1.0),
        ("containerops_deliveries_handled_total{forge=\"github\",outcome=\"started\"}", 1.0),
        ("containerops_push_to_first_state_seconds_count{forge=\"github\"}", 1.0),
        ("containerops_end_to_final_state_seconds_count{forge=\"github\"}", 1.0),
        ("containerops_job_ends_total{verdict=\"exit\"}", 1.0),
        ("containerops_run_ends_total{conclusion=\"failure\"}", 1.0),
        ("containerops_log_bytes_total", 7.0),
        ("containerops_queue_length{queue=\"runs_queued\"}", 0.0),
        ("containerops_attempt_phase_seconds_count{executor=\"process\",phase=\"run\"}", 1.0),
        ("containerops_http_requests_total{method=\"POST\",route=\"/hooks/{forge}\",status=\"202\"}", 1.0),
        ("containerops_claims_total{outcome=\"fenced\"}", 0.0),
    ] {
        assert_eq!(number(&after, series), value, "{series}\n{after}");
    }
    assert!(number(&after, "containerops_claims_total{outcome=\"taken\"}") >= 1.0, "{after}");
    assert!(number(&after, "containerops_reports_total{forge=\"github\",outcome=\"taken\"}") >= 2.0, "{after}");
    // a page below a repository goes by the pattern of its path
    for path in ["/github/acme/widget/runs/1", "/github/acme/widget/runs/1/test/test/test", "/no/such/place"] {
        let _ = t.http.get(format!("{}{path}", t.url())).send().await.expect("an answer");
    }
    let text = t.app().engine.store.meters().text(&[], &[]);
    let text = String::from_utf8(text).expect("text");
    for route in ["/{repository}/runs/{run}", "/{repository}/runs/{run}/{job}", "none"] {
        assert!(text.contains(&format!("{{method=\"GET\",route=\"{route}\",status=")), "{route}\n{text}");
    }
    for named in ["acme", "widget", WIDGET, "main", "test.sh"] {
        assert!(!text.contains(named) && !after.contains(named), "{named}\n{text}");
    }
    prometheus_reads(&after);
}

#[tokio::test]
async fn only_who_watches_the_service_has_its_numbers() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    t.set_up(&format!("{SIGNED_IN}metrics_token = \"old-token-of-prometheus new-token-of-prometheus\"\n")).await;
    let token = |text: &str| Shows::Token(text.to_owned());
    let reader = t.token(Some("github/root"), &[Scope::Read]).await;
    let admin = t.token(Some("github/root"), &[Scope::Admin]).await;
    for (shows, status) in [
        (Shows::Nothing, 404),
        (token("old-token-of-prometheus"), 200),
        (token("new-token-of-prometheus"), 200),
        (token("old-token-of-prometheus new-token-of-prometheus"), 401),
        (token("other"), 401),
        (reader, 403),
        (admin, 200),
        (t.session("github/mallory").await, 404),
        (t.session("github/root").await, 200),
    ] {
        let answer = t.asked(&shows, Method::GET, "/metrics").await;
        assert_eq!(answer.status(), status, "{shows:?}");
        let text = answer.text().await.expect("text");
        assert_eq!(text.contains("containerops_build_info"), status == 200, "{shows:?}");
    }
    // it is good for nothing else
    assert_eq!(t.asked(&token("old-token-of-prometheus"), Method::GET, "/api/v1/runs").await.status(), 401);
    assert_eq!(t.asked(&token("old-token-of-prometheus"), Method::GET, "/audit").await.status(), 401);
}

#[tokio::test]
async fn who_is_not_ready_says_why_and_who_is_says_what_release_it_is() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    let ready = async || {
        let answer = t.http.get(format!("{}/readyz", t.url())).send().await.expect("an answer");
        let version = answer.headers().contains_key("containerops-version");
        (answer.status().as_u16(), version, answer.text().await.expect("text"))
    };
    let well = "ready\ndatabase: ok\nblobs: ok\nloops: ok\nexecutor: ok\n".to_owned();
    assert_eq!(ready().await, (200, true, well.clone()));
    let app = t.app();
    let pulse = app.engine.store.meters().pulse();
    drop(pulse.begins("intake", std::time::Duration::from_secs(60)));
    assert_eq!(ready().await, (503, true, well.replace("loops: ok", "loops: not ok").replace("ready", "not ready")));
    pulse.stop();
    let (status, _, text) = ready().await;
    assert_eq!((status, text.starts_with("not ready\nstopping\n")), (503, true), "{text}");
    // the process lives all the same
    assert_eq!(t.http.get(format!("{}/healthz", t.url())).send().await.expect("an answer").status(), 200);
    t.restart().await;
    let app = t.app();
    app.engine.store.close().await;
    let (status, _, text) = ready().await;
    assert_eq!((status, text.contains("database: not ok\nblobs: ok\n")), (503, true), "{text}");
}

#[tokio::test]
async fn a_server_whose_blobs_are_away_takes_webhooks_all_the_same() {
    let t = Tester::start().await;
    t.github.writes_are_another_story();
    let ready = async || {
        let answer = t.http.get(format!("{}/readyz", t.url())).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    let blobs = t.data().join("blobs");
    std::fs::rename(&blobs, t.data().join("away")).expect("ours");
    std::fs::write(&blobs, "no folder").expect("ours");
    let (status, text) = ready().await;
    assert_eq!((status, text.contains("blobs: away; logs and what is kept in them wait\n")), (200, true), "{text}");
    t.push("main", "stages: [{name: test, image: alpine, run: make}]").await;
    assert!(!t.runs().await.is_empty(), "it is kept, and waits for them");
}

/// The names of families in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("containerops_")).map(str::to_owned).collect()
}

/// The family that a series belongs to.
fn is_there(name: &str) -> bool {
    FAMILIES.iter().any(|family| {
        let of_histogram = ["_bucket", "_sum", "_count"].iter().any(|part| name == format!("{}{part}", family.name));
        if family.kind == Kind::Histogram { of_histogram } else { name == family.name }
    })
}

#[test]
fn every_number_that_the_dashboard_and_the_alerts_name_is_there() {
    for file in [DASHBOARD, ALERTS, "deploy/monitoring/alerts.test.yaml"] {
        let text = fs::read_to_string(file).expect(file);
        let named = names(&text);
        assert!(named.len() > 3, "{file} is read: {named:?}");
        let missing: Vec<_> = named.iter().filter(|name| !is_there(name)).collect();
        assert!(missing.is_empty(), "{file} names {missing:?}");
    }
    let dashboard: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(DASHBOARD).expect("a file")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids.len(), panels.len(), "every panel has an id of its own");
    // whatever is measured is shown somewhere
    let shown = names(&fs::read_to_string(DASHBOARD).expect("a file"));
    let unseen: Vec<_> = FAMILIES.iter().filter(|one| !shown.iter().any(|name| name.starts_with(one.name))).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[test]
fn every_number_is_described() {
    let document = fs::read_to_string("docs/metrics.md").expect("a document");
    for family in FAMILIES {
        let row = document.lines().find(|line| line.starts_with(&format!("| `{}` |", family.name)));
        let row = row.unwrap_or_else(|| panic!("docs/metrics.md does not describe {}", family.name));
        assert!(row.contains(family.help), "{row}");
        assert!(family.labels.iter().all(|label| row.contains(&format!("`{label}`"))), "{row}");
    }
}

#[test]
fn the_alerts_are_as_prometheus_has_them_and_go_off_when_they_should() {
    let Some(promtool) = required("promtool", "CONTAINEROPS_TEST_PROMTOOL") else { return };
    for words in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]] {
        let run = Command::new(&promtool).args(words).current_dir("deploy/monitoring").output().expect("promtool");
        assert!(run.status.success(), "{words:?}: {}", String::from_utf8_lossy(&run.stderr));
    }
}

/// Prometheus' own program reads the text and finds nothing to complain of.
fn prometheus_reads(text: &str) {
    let Some(promtool) = required("promtool", "CONTAINEROPS_TEST_PROMTOOL") else { return };
    let mut command = Command::new(promtool);
    let command =
        command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().expect("promtool");
    running.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let done = running.wait_with_output().expect("it ends");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
