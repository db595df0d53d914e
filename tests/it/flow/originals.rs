//! Files of the original ContainerOps run unchanged, and say what has changed for them.

use containerops::flow;
use insta::assert_snapshot;

use super::{good, plan, push, repository};

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
            image: registry.example/ns/image:tag
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
            image: registry.example/ns/deployer:tag
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
            image: hub.example/demo/prometheus:latest
            environments:
              CO_DATA: "prometheus=https://example.org/prometheus.git action=build release=hub.example/demo/prometheus/v1"
            resources: {cpu: 2, memory: 4G}
            outputs: [CO_PROMETHEUS_URI, CO_PROMTOOL_URI]
            allow-failure: false
      - name: test-prometheus
        allow-failure: false
        jobs:
          - name: test-prometheus
            image: hub.example/demo/prometheus:latest
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
            type: component
            image: hub.example/demo/kubernetes:latest
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
            image: hub.example/containerops/checkstyle:latest
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
fn what_plan_writes_of_an_original_without_a_start_is_read_again() {
    let text = "\
uri: a/b/c
stages:
  - name: one
    sequencing: sequence
    actions:
      - jobs: [{type: component, endpoint: \"x:1\", environments: [{CO_MINE: y}]}]
";
    let read = |text: &str| {
        let read = flow::read("a.yml", &repository(), text.as_bytes());
        read.unwrap_or_else(|wrong| panic!("{}", flow::render("a.yml", &wrong)))
    };
    let wanted = plan(&read(text), push("main"));
    assert_eq!(plan(&read(&flow::full_form(&wanted)), push("main")), wanted);
}
