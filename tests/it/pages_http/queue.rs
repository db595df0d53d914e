//! What a run waits for, where people and programs look.

use std::fmt::Write as _;

use containerops::executor::ExecutorKind;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{SMALL, holds};
use crate::harness::app::{Identity, Tester};

/// Runs that have nothing to say but where they stand.
async fn queue(t: &Tester, length: usize) {
    for _ in 0..length {
        t.push("main", &format!("concurrency: deploy\n{SMALL}")).await;
    }
}

async fn waiting(t: &Tester) -> Value {
    let id = t.newest_run().await.id;
    let answer = t.get(&format!("/api/v1/runs/{id}")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json::<Value>().await.expect("JSON")["waiting"].take()
}

#[tokio::test]
async fn a_run_that_waits_for_others_names_them() {
    let t = Tester::start().await;
    queue(&t, 3).await;
    let expected = json!({
        "for": "queue", "reason": "2 runs ahead in group deploy",
        "group": "deploy", "limit": 1, "position": 2, "length": 2, "ahead": [1, 2],
    });
    assert_eq!(waiting(&t).await, expected);
    let page = t.page("/github/acme/widget/runs/3").await;
    holds(
        &page,
        &[
            "Waiting: place 2 of 2 in group deploy, where 1 may run at once, behind ",
            "<a href=\"/github/acme/widget/runs/1\">#1</a>, <a href=\"/github/acme/widget/runs/2\">#2</a>",
        ],
    );
    let list = t.page("/github/acme/widget").await;
    holds(&list, &["Group <strong>deploy</strong>: <a href=\"/github/acme/widget/runs/1\">#1</a> under way, "]);
    holds(&list, &["<p class=\"sub reason\">2 runs ahead in group deploy</p>"]);
    t.run_the_job("test", 0).await;
    assert!(!t.page("/github/acme/widget/runs/2").await.contains("Waiting: place"), "its turn has come");
}

#[tokio::test]
async fn a_long_line_costs_a_forge_few_calls_and_a_page_few_words() {
    let t = Tester::start().await;
    queue(&t, 24).await;
    assert_eq!(waiting(&t).await["reason"], "more than 9 runs ahead in group deploy");
    let mut ahead = String::new();
    for number in 1..=20 {
        let comma = if number == 1 { "" } else { ", " };
        write!(ahead, "{comma}<a href=\"/github/acme/widget/runs/{number}\">#{number}</a>").expect("a text");
    }
    holds(&t.page("/github/acme/widget/runs/24").await, &[&format!("behind {ahead} and 3 more</p>")]);
    t.read_writes();
    t.run_the_job("test", 0).await;
    // the one that ends and its action; the one that goes; nine that hear that one less is before them; and those of
    // the next one's pod
    let told = t.read_writes();
    assert!(told <= 16, "{told} calls for one end");
}

#[tokio::test]
async fn a_run_whose_image_cannot_be_had_yet_says_so() {
    let t = Tester::start_as(Identity::App, ExecutorKind::Kubernetes).await;
    t.push("main", r#"stages: [{name: test, image: "127.0.0.1:1/acme/tool:1"}]"#).await;
    let waiting = waiting(&t).await;
    assert_eq!(waiting["for"], "executor", "{waiting}");
    let reason = waiting["reason"].as_str().expect("words");
    assert!(reason.contains("127.0.0.1:1"), "{reason}");
    holds(&t.page("/github/acme/widget/runs/1").await, &["Waiting: ", "127.0.0.1:1"]);
    let listed: Value = t.get("/api/v1/runs").await.json().await.expect("JSON");
    assert_eq!(listed["runs"][0]["reason"], reason);
}

#[tokio::test]
async fn a_run_whose_pod_has_no_place_says_what_the_cluster_says() {
    let t = Tester::start().await;
    t.push("main", SMALL).await;
    t.pods.waits("test.test", "0/3 nodes are available: 3 Insufficient memory.", None);
    t.settle().await;
    let expected = json!({"for": "executor", "reason": "0/3 nodes are available: 3 Insufficient memory."});
    assert_eq!(waiting(&t).await, expected);
}
