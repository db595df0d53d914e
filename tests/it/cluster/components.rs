//! Images that are started by their own entrypoint.

use serde_json::json;

use crate::harness::{
    image::{Image, registry},
    server::Server,
};

/// A component in the original's manner: it reads `CO_DATA` and other variables and says what it did by `[COUT]`.
const JAR: &str = r#"#!/bin/sh
echo "in $(pwd) with $1 and $CO_DATA for $REGION, from the image: $FROM_IMAGE"
echo "[COUT] CO_URL = https://example.org/x.jar"
echo "[COUT] CO_RESULT = true"
"#;

const DEPLOYER: &str = r#"#!/bin/sh
echo "deploying $ARTIFACT_URL"
echo "[COUT] CO_RESULT = true"
"#;

#[tokio::test]
async fn the_originals_skeleton_runs() {
    let Some(server) = Server::start("original").await else { return };
    let jar = Image::with_shell()
        .file("opt/jar", 0o755, JAR.as_bytes())
        .set("Entrypoint", json!(["/opt/jar"]))
        .set("Cmd", json!(["an-argument"]))
        .set("WorkingDir", json!("/opt"))
        .set("Env", json!(["PATH=/bin", "FROM_IMAGE=yes"]));
    let (jar, jar_digest) = jar.push("test/original-jar").await;
    let deployer = Image::with_shell().file("deploy", 0o755, DEPLOYER.as_bytes()).set("Entrypoint", json!(["/deploy"]));
    let (deployer, _) = deployer.push("test/original-deployer").await;
    let flow = format!(
        r#"
uri: team/repo/flow-name
title: What this flow does
version: 1
tag: latest
timeout: 0
environments: [ {{REGION: eu}} ]
stages:
  - {{type: start, name: start, title: Start}}
  - type: normal
    name: build
    title: Build
    sequencing: sequence
    actions:
      - name: compile
        title: Compile
        jobs:
          - name: jar
            type: component
            endpoint: {jar}
            resources: {{cpu: 1, memory: 1G}}
            timeout: 0
            environments: [ {{CO_DATA: "git-url=https://example.org/x.git version=gradle4"}} ]
            outputs: [CO_URL]
  - type: normal
    name: deploy
    sequencing: sequence
    actions:
      - name: roll
        jobs:
          - name: apply
            type: component
            endpoint: {deployer}
            resources: {{cpu: 1, memory: 1G}}
            subscriptions: [ {{"build.compile.jar[CO_URL]": ARTIFACT_URL}} ]
  - {{type: end, name: end, title: End}}
"#
    );
    let run = server.push(&flow).await;
    let pod = server.pod_of("build.compile").await;
    let containers = pod.spec.expect("a spec").containers;
    let job = containers.iter().find(|container| container.name == "job-0").expect("the job's container");
    let image = job.image.as_deref().expect("an image");
    assert!(image.ends_with(&format!("/test/original-jar@{jar_digest}")), "pinned by digest: {image}");
    let story = server.end(run).await;
    insta::assert_snapshot!(story.told(), @r"
    run: success
    build/compile: success
      jar: success
    deploy/roll: success
      apply: success
    ");
    insta::assert_snapshot!(server.text(&story, "build/compile/jar").await, @r"
    in /opt with an-argument and git-url=https://example.org/x.git version=gradle4 for eu, from the image: yes
    [COUT] CO_URL = https://example.org/x.jar
    [COUT] CO_RESULT = true
    ");
    insta::assert_snapshot!(server.text(&story, "deploy/roll/apply").await, @r"
    deploying https://example.org/x.jar
    [COUT] CO_RESULT = true
    ");
}

#[tokio::test]
async fn an_image_with_nothing_but_a_program_is_a_component() {
    let Some(server) = Server::start("scratch").await else { return };
    let busybox = std::fs::read("/bin/busybox").expect("a static busybox");
    let image = Image::empty().file("echo", 0o755, &busybox).set("Entrypoint", json!(["/echo", "alone, without"]));
    let (image, _) = image.set("Cmd", json!(["a shell"])).push("test/scratch").await;
    let story = server.end(server.push(&format!("stages:\n  - {{name: alone, image: \"{image}\"}}\n")).await).await;
    insta::assert_snapshot!(story.told(), @r"
    run: success
    alone/alone: success
      alone: success
    ");
    insta::assert_snapshot!(server.text(&story, "alone/alone/alone").await, @"alone, without a shell");
}

#[tokio::test]
async fn an_image_that_does_not_exist_fails_soon_and_says_so() {
    let Some(server) = Server::start("noimage").await else { return };
    let image = format!("{}/no/such:tag", registry());
    let flow = r#"
stages:
  - name: check
    sequencing: parallel
    fail-fast: false
    actions:
      - {name: run, image: "IMAGE", run: "true"}
      - {name: entrypoint, image: "IMAGE"}
"#;
    let story = server.end(server.push(&flow.replace("IMAGE", &image)).await).await;
    let reason = story.action("check/entrypoint").row.reason.replace(&registry(), "…");
    insta::assert_snapshot!(reason, @"image …/no/such:tag not found: … says MANIFEST_UNKNOWN: manifest unknown");
    let reason = &story.action("check/run").row.reason;
    assert!(reason.starts_with(&format!("image {image} not found: ")), "{reason}");
    assert!(reason.ends_with(&format!("{image}: not found")), "the cluster's words: {reason}");
    // a kubelet that was too busy to tell what the registry said asks it again after 10 s, and after 20 s more
    let took = story.run.ended.expect("it ended").since(story.run.created);
    assert!(took.as_secs() < 45, "it took {took:?}:\n{}", story.told());
}
