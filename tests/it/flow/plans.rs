//! Good files and their plans.

use containerops::flow::{self, Decision};
use insta::assert_snapshot;

use super::{all, event, good, merge_group, plan, pull_request, push, repository, tag};

#[test]
fn every_good_file_is_good() {
    for folder in ["good", "original"] {
        for (name, _) in all(folder) {
            good(folder, &name);
        }
    }
}

#[test]
fn the_smallest_flow_has_every_level() {
    assert_snapshot!(flow::full_form(&plan(&good("good", "smallest"), push("main"))), @r#"
uri: acme/shop/smallest
stages:
  - name: test
    type: normal
    needs: []
    sequencing: sequence
    fail-fast: true
    actions:
      - name: test
        allow-failure: false
        jobs:
          - name: test
            image: "rust:1.95"
            run: |-
              cargo test
            allow-failure: false
"#);
}

#[test]
fn a_file_of_one_job_needs_no_level() {
    assert_snapshot!(flow::full_form(&plan(&good("good", "flow-of-one-job"), push("main"))), @r#"
uri: acme/shop/flow-of-one-job
title: "One job"
timeout: 20m
stages:
  - name: flow-of-one-job
    type: normal
    needs: []
    sequencing: sequence
    fail-fast: true
    actions:
      - name: flow-of-one-job
        allow-failure: false
        jobs:
          - name: flow-of-one-job
            image: "rust:1.95"
            run: |-
              cargo test
            allow-failure: false
"#);
}

#[test]
fn hoisted_keys_mean_what_the_levels_mean() {
    let hoisted = plan(&good("good", "hoisted"), push("main"));
    let levels = plan(&good("good", "levels"), push("main"));
    assert_eq!(hoisted, levels);
    assert_eq!(hoisted.digest(), levels.digest());
}

#[test]
fn the_whole_language_of_this_step() {
    assert_snapshot!(flow::full_form(&plan(&good("good", "whole"), push("main"))), @r#"
uri: acme/shop/ci
title: "Build, test and ship"
timeout: 2h
stages:
  - name: start
    type: start
    needs: []
  - name: check
    title: "Check it"
    type: normal
    needs: [start]
    sequencing: parallel
    fail-fast: false
    actions:
      - name: unit
        allow-failure: false
        jobs:
          - name: build
            image: "registry.example/rust:1.95"
            run: |
              cargo build --release
              echo "[COUT] VERSION=$(cargo pkgid | cut -d@ -f2)" # @RUST@ stays
            environments:
              LEVEL: info
              RUST_BACKTRACE: 1
            resources: {cpu: 500m, memory: 1Gi, limits: {memory: 2Gi}}
            outputs: [VERSION, "TEST REPORT"]
            allow-failure: false
          - name: test
            image: "rust:1.95"
            run: |-
              cargo test
            environments:
              COLOURS: true
              EMPTY: ""
              LEVEL: debug
              OWNER: "dev@acme.example"
              RATIO: 1.0
              RUST_BACKTRACE: 1
            timeout: 20m
            subscriptions:
              - {"check.unit.build[VERSION]": VERSION}
            allow-failure: true
      - name: lint
        allow-failure: true
        jobs:
          - name: lint
            image: "acme/python-flake8:1"
            environments:
              CO_DATA: "entry-path=src out-put-type=json"
              LEVEL: info
              RUST_BACKTRACE: 1
            allow-failure: false
  - name: docs
    type: normal
    needs: [start]
    sequencing: sequence
    fail-fast: true
    actions:
      - name: docs
        allow-failure: false
        jobs:
          - name: docs
            image: "acme/mkdocs:2"
            environments:
              LEVEL: info
              RUST_BACKTRACE: 1
            allow-failure: false
  - name: ship
    type: normal
    needs: [check, docs]
    sequencing: sequence
    fail-fast: true
    actions:
      - name: roll-out
        allow-failure: false
        jobs:
          - name: push
            image: "acme/deployer@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
            command: ["./deploy.sh", "@RUST@"]
            environments:
              LEVEL: info
              RUST_BACKTRACE: 1
            subscriptions:
              - {"check.unit.build[VERSION]": VERSION}
              - {"check.unit.build[TEST REPORT]": REPORT, optional: true}
            allow-failure: false
  - name: end
    type: end
    needs: [ship]
"#);
}

#[test]
fn a_plan_written_out_means_the_same() {
    for (name, _) in all("good") {
        // a literal `@RUST@` in a command cannot be told from a reference once it is written out
        let kind = if name == "tags-only" { tag("v1") } else { push("main") };
        let first = plan(&good("good", &name), kind);
        let text = flow::full_form(&first);
        let again = flow::read("other.yml", &repository(), text.as_bytes())
            .unwrap_or_else(|wrong| panic!("{name}:\n{text}\n{}", flow::render(&name, &wrong)));
        assert_eq!(plan(&again, push("main")), first, "{name}:\n{text}");
    }
}

#[test]
fn the_same_file_and_event_give_the_same_digest() {
    let digest = |branch| plan(&good("good", "whole"), push(branch)).digest();
    assert_eq!(digest("main"), digest("main"));
    assert_ne!(digest("main"), plan(&good("good", "smallest"), push("main")).digest());
    assert_eq!(digest("main").0.len(), 64);
}

#[test]
fn the_originals_skeleton_runs_unchanged() {
    let flow = good("original", "skeleton");
    assert_snapshot!(flow::render("skeleton.yml", flow.warnings()), @r"
warning: `namespace` is not supported yet: jobs run in the server's own namespace
  --> skeleton.yml:6:1
  |
6 | namespace: staging
  | ^^^^^^^^^

warning: `receivers` is not supported yet: nobody will be mailed
  --> skeleton.yml:8:1
  |
8 | receivers: [ {type: mail, address: someone@example.org} ]
  | ^^^^^^^^^
");
    assert_snapshot!(flow::full_form(&plan(&flow, push("main"))), @r#"
uri: team/repo/flow-name
title: "What this flow does"
stages:
  - name: start
    title: Start
    type: start
    needs: []
  - name: build
    title: Build
    type: normal
    needs: [start]
    sequencing: sequence
    fail-fast: true
    actions:
      - name: compile
        title: Compile
        allow-failure: false
        jobs:
          - name: jar
            image: "registry.example/ns/image:tag"
            environments:
              CO_DATA: "git-url=https://example.org/x.git version=gradle4"
              REGION: eu
            resources: {cpu: 1, memory: 1G}
            outputs: [CO_URL]
            allow-failure: false
  - name: deploy
    type: normal
    needs: [build]
    sequencing: sequence
    fail-fast: true
    actions:
      - name: roll
        allow-failure: false
        jobs:
          - name: apply
            image: "registry.example/ns/deployer:tag"
            environments:
              REGION: eu
            resources: {cpu: 1, memory: 1G}
            subscriptions:
              - {"build.compile.jar[CO_URL]": ARTIFACT_URL}
            allow-failure: false
  - name: end
    title: End
    type: end
    needs: [deploy]
"#);
}

#[test]
fn an_original_of_three_projects_runs_unchanged() {
    let flow = good("original", "three-projects");
    assert_snapshot!(flow::render("three-projects.yml", flow.warnings()), @r"
warning: `receivers` is not supported yet: nobody will be mailed
  --> three-projects.yml:9:1
  |
9 | receivers:
  | ^^^^^^^^^

warning: a job with an image is a component: its `kubectl` is ignored
   --> three-projects.yml:23:13
   |
23 |             kubectl: prometheus.yaml
   |             ^^^^^^^
   = hint: remove one of both
");
    assert_snapshot!(flow::full_form(&plan(&flow, push("main"))), @r#"
uri: demo/three-projects/build-test-release
title: "Build, test and release"
stages:
  - name: start
    title: Start
    type: start
    needs: []
  - name: Prometheus
    type: normal
    needs: [start]
    sequencing: sequence
    fail-fast: true
    actions:
      - name: build-prometheus
        allow-failure: false
        jobs:
          - name: build-prometheus
            image: "hub.example/demo/prometheus:latest"
            environments:
              CO_DATA: "prometheus=https://example.org/prometheus.git action=build release=hub.example/demo/prometheus/v1"
            resources: {cpu: 2, memory: 4G}
            outputs: [CO_PROMETHEUS_URI, CO_PROMTOOL_URI]
            allow-failure: false
      - name: test-prometheus
        allow-failure: false
        jobs:
          - name: test-prometheus
            image: "hub.example/demo/prometheus:latest"
            environments:
              CO_DATA: "prometheus=https://example.org/prometheus.git action=test"
            resources: {cpu: 2, memory: 4G}
            allow-failure: false
  - name: Kubernetes
    type: normal
    needs: [Prometheus]
    sequencing: sequence
    fail-fast: true
    actions:
      - name: build-kubernetes
        allow-failure: false
        jobs:
          - name: build-kubernetes
            image: "hub.example/demo/kubernetes:latest"
            environments:
              CO_DATA: "kubernetes=git@example.org:kubernetes.git action=build"
            resources: {cpu: 2, memory: 8G}
            subscriptions:
              - {"Prometheus.build-prometheus.build-prometheus[CO_PROMTOOL_URI]": CO_PROMTOOL_URI}
            allow-failure: false
  - name: end
    title: End
    type: end
    needs: [Kubernetes]
"#);
}

#[test]
fn an_originals_bad_habits_are_warned_of() {
    let flow = good("original", "component-test");
    assert_snapshot!(flow::render("component-test.yml", flow.warnings()), @r#"
warning: `name` is a key of a stage, not of a flow
  --> component-test.yml:3:1
  |
3 | name: component-test
  | ^^^^
  = hint: move it into `stages`, or replace `stages` by the keys of its only item

warning: `receivers` is not supported yet: nobody will be mailed
  --> component-test.yml:5:1
  |
5 | receivers:
  | ^^^^^^^^^

warning: stage `analysis` has no `sequencing`; its actions run in sequence
  --> component-test.yml:8:5
  |
8 |   - type: normal
  |     ^^^^

warning: an empty item is not an action
   --> component-test.yml:11:8
   |
11 |       -
   |        ^
   = hint: remove this `-`

warning: unknown key `output` in a job
   --> component-test.yml:17:13
   |
17 |             output: [CO_RESULT]
   |             ^^^^^^
   = hint: did you mean `outputs`?

warning: `CO-DATA` is not `CO_DATA`: a component will not find its input
   --> component-test.yml:19:17
   |
19 |               - CO-DATA: "git-url=https://example.org/x.git"
   |                 ^^^^^^^
   = hint: write CO_DATA, with an underscore

warning: an empty item is not a job
   --> component-test.yml:21:12
   |
21 |           -
   |            ^
   = hint: remove this `-`

warning: action `nothing` has no job and is left out
   --> component-test.yml:22:9
   |
22 |       - name: nothing
   |         ^^^^
   = hint: give it `jobs`, or an `image`
"#);
    assert_snapshot!(flow::full_form(&plan(&flow, push("main"))), @r#"
uri: containerops/java/component-test
title: "Test a component"
stages:
  - name: start
    type: start
    needs: []
  - name: analysis
    type: normal
    needs: [start]
    sequencing: sequence
    fail-fast: true
    actions:
      - name: default-output
        allow-failure: false
        jobs:
          - name: default-output
            image: "hub.example/containerops/checkstyle:latest"
            environments:
              CO-DATA: "git-url=https://example.org/x.git"
            resources: {cpu: 2, memory: 1G}
            allow-failure: false
  - name: end
    type: end
    needs: [analysis]
"#);
}

#[test]
fn filters_decide_what_runs_and_say_why_not() {
    let decide = |name: &str, kind| match good("good", name).plan(&event(kind)) {
        Decision::Run(_) => "runs".to_owned(),
        Decision::LeftOut { reason } => reason,
    };
    let table = [
        ("smallest", push("feature/x")),
        ("smallest", pull_request("fix", "main")),
        ("smallest", merge_group("main")),
        ("smallest", tag("v1")),
        ("whole", push("main")),
        ("whole", push("release/2")),
        ("whole", push("release/2/hotfix")),
        ("whole", push("feature/x")),
        ("whole", pull_request("main", "other")),
        ("whole", pull_request("fix", "main")),
        ("whole", merge_group("main")),
        ("whole", merge_group("next")),
        ("whole", tag("v1.0")),
        ("whole", tag("nightly")),
        ("tags-only", push("main")),
        ("tags-only", tag("anything")),
    ];
    let decided: Vec<String> = table
        .into_iter()
        .map(|(name, kind)| {
            let event = event(kind.clone());
            format!("{name}: {} {}: {}", event.name(), event.branch().unwrap_or("-"), decide(name, kind))
        })
        .collect();
    assert_snapshot!(decided.join("\n"), @r"
smallest: push feature/x: runs
smallest: pull_request fix: runs
smallest: merge_group queue/main/7: runs
smallest: tag -: `on` does not name `tag`
whole: push main: runs
whole: push release/2: runs
whole: push release/2/hotfix: `on: push: branches` [main, release/*] does not match `release/2/hotfix`
whole: push feature/x: `on: push: branches` [main, release/*] does not match `feature/x`
whole: pull_request main: `on: pull_request: branches` [main] does not match `other`
whole: pull_request fix: runs
whole: merge_group queue/main/7: runs
whole: merge_group queue/next/7: `on: pull_request: branches` [main] does not match `next`
whole: tag -: runs
whole: tag -: `on: tag: names` [v*] does not match `nightly`
tags-only: push main: `on` does not name `push`
tags-only: tag -: runs
");
}

#[test]
fn a_file_that_cannot_be_read_still_has_a_name() {
    let named = [
        (".containerops.yml", "ci"),
        (".containerops/release.yml", "release"),
        (".containerops/a b.yaml", "a-b"),
        ("", "ci"),
    ];
    for (path, name) in named {
        assert_eq!(flow::name_of(path), name, "{path}");
    }
    assert_eq!(good("good", "smallest").uri(), "acme/shop/smallest");
    assert_eq!(good("good", "hoisted").name(), "levels");
}
