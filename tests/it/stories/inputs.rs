//! Inputs: a component's `CO_DATA`, built of what others have said.

use insta::assert_snapshot;

use crate::harness::app::{Tester, WIDGET};

/// A job that says all kinds of things, and one that takes some of them.
fn flow(inputs: &str, data: &str) -> String {
    format!(
        r#"
stages:
  - {{name: build, image: "cc:1", run: make, outputs: [VERSION, CO_JSON_CONTENT, CO_YAML_CONTENT]}}
  - name: ship
    image: "tar:1"
    {data}
    inputs: {inputs}
"#
    )
}

const OUTPUTS: [(&str, &str); 3] = [
    ("VERSION", "1.4"),
    ("CO_JSON_CONTENT", r#"{"files": [{"size": 7}], "debug": false, "name": "x"}"#),
    ("CO_YAML_CONTENT", r"'level: 3\nname: 5\n'"),
];

/// The `CO_DATA` of the second job.
async fn data(t: &Tester, flow: &str) -> String {
    t.push("main", flow).await;
    t.claims("build").await.writes(&OUTPUTS).await.exits(0).await;
    let ship = t.claims("ship").await;
    ship.claims_again().await;
    let data = ship.work.environments.get("CO_DATA").cloned().unwrap_or_default();
    ship.exits(0).await;
    t.read_writes();
    data
}

/// Why the second job does not start.
async fn refusal(t: &Tester, flow: &str, outputs: &[(&str, &str)]) -> String {
    t.push("main", flow).await;
    t.claims("build").await.writes(outputs).await.exits(0).await;
    let why = t.leaves("ship").await;
    t.settle().await;
    t.read_writes();
    why
}

#[tokio::test]
async fn inputs_become_one_object_with_their_types() {
    let t = Tester::start().await;
    let inputs = r#"[{from: "build.build.build[VERSION]", to: release.version},
      {from: "build.build.build[CO_JSON_CONTENT].files.0.size", to: release.size},
      {from: "build.build.build[CO_YAML_CONTENT].level", to: level},
      {from: event.repository.full_name, to: repository},
      {from: event.nothing.there, to: nothing, optional: true}]"#;
    let told = data(&t, &flow(inputs, "environments: {CO_DATA: '{\"level\": 0, \"mode\": \"fast\"}'}")).await;
    assert_snapshot!(told, @r#"{"level":3,"mode":"fast","release":{"size":7,"version":"1.4"},"repository":"acme/widget"}"#);
}

#[tokio::test]
async fn pairs_stay_pairs() {
    let t = Tester::start().await;
    let inputs = r#"[{from: "build.build.build[VERSION]", to: version}]"#;
    assert_snapshot!(data(&t, &flow(inputs, "environments: {CO_DATA: version=0 mode=fast}")).await, @"version=1.4 mode=fast");
}

#[tokio::test]
async fn auto_links_what_has_the_same_name_and_type() {
    let t = Tester::start().await;
    let sample =
        r#"environments: {CO_DATA: '{"VERSION": "", "debug": true, "level": "text", "files": null, "own": 1}'}"#;
    assert_snapshot!(data(&t, &flow("auto", sample)).await, @r#"{"VERSION":"1.4","debug":false,"files":[{"size":7}],"level":"text","own":1}"#);
}

#[tokio::test]
async fn auto_does_not_choose_between_two() {
    let t = Tester::start().await;
    let flow = flow("auto", "environments: {CO_DATA: '{\"name\": null}'}");
    assert_snapshot!(refusal(&t, &flow, &OUTPUTS).await, @"event conflict: `name` from `build.build.build[CO_JSON_CONTENT]`, `name` from `build.build.build[CO_YAML_CONTENT]`");
}

#[tokio::test]
async fn what_is_not_there_fails_the_job_by_name() {
    let t = Tester::start().await;
    let unwritten = flow(r#"[{from: "build.build.build[VERSION]", to: a}]"#, "title: x");
    assert_snapshot!(refusal(&t, &unwritten, &[]).await, @"build.build.build did not write VERSION, which it takes as `a`; with `optional: true` it would run without");
    let no_path = flow(r#"[{from: "build.build.build[CO_JSON_CONTENT].a.b", to: a}]"#, "title: x");
    assert_snapshot!(refusal(&t, &no_path, &OUTPUTS).await, @"there is no build.build.build[CO_JSON_CONTENT].a.b, which it takes as `a`; with `optional: true` it would run without");
    let no_json = flow(r#"[{from: "build.build.build[VERSION].a", to: a}]"#, "title: x");
    assert_snapshot!(refusal(&t, &no_json, &[("VERSION", "{x")]).await, @"it takes build.build.build[VERSION].a as `a`, but it is no JSON: key must be a string at line 1 column 2");
    let too_long = flow(r#"[{from: "build.build.build[VERSION]", to: a}]"#, "title: x");
    assert_snapshot!(refusal(&t, &too_long, &[("VERSION", &"x".repeat(100_000))]).await, @"its `CO_DATA` would have 100008 bytes; 100000 are the most");
}

#[tokio::test]
async fn a_repeated_run_links_to_the_webhook_of_the_first() {
    let t = Tester::start().await;
    let flow = "stages: [{name: ship, image: \"i:1\", inputs: [{from: event.ref, to: ref}]}]";
    t.push("main", flow).await;
    t.run_the_job("ship", 1).await;
    t.deliver(t.github.rerequested(WIDGET, "containerops/ci/push")).await;
    t.settle().await;
    let ship = t.claims("ship").await;
    assert_snapshot!(ship.work.environments["CO_DATA"], @r#"{"ref":"refs/heads/main"}"#);
    ship.exits(0).await;
    t.read_writes();
}
