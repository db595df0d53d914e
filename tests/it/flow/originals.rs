//! Files of the original ContainerOps run unchanged, and say what has changed for them.

use containerops::flow;
use insta::assert_snapshot;

use super::{good, plan, push, repository};

#[test]
fn the_originals_skeleton_runs_unchanged() {
    let flow = good("original", "skeleton");
    assert_snapshot!(flow::render("skeleton.yml", flow.warnings()), @"");
    assert_snapshot!(flow::full_form(&plan(&flow, push("main"))), @r#"
uri: team/repo/flow-name
title: "What this flow does"
receivers:
  - {type: mail, address: "someone@example.org", on: [always]}
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
receivers:
  - {type: mail, address: "one@example.org", on: [always]}
  - {type: mail, address: "two@example.org", on: [always]}
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
fn a_hook_that_updates_itself_runs_unchanged() {
    let flow = good("original", "self-update");
    assert_snapshot!(flow::render("self-update.yml", flow.warnings()), @r"
warning: a receiver's `type` is mail or webhook; `slack` is none of them
   --> self-update.yml:15:11
   |
15 |   - type: slack
   |           ^^^^^

warning: an empty item is not a stage
   --> self-update.yml:18:4
   |
18 |   -
   |    ^
   = hint: remove this `-`

warning: an empty item is not an output
   --> self-update.yml:46:16
   |
46 |               -
   |                ^
   = hint: remove this `-`
");
    assert_snapshot!(flow::full_form(&plan(&flow, push("main"))), @r#"
uri: cohook/pilotage-hook/update
title: "Update the hook"
receivers:
  - {type: mail, address: "dev@example.org", on: [always]}
stages:
  - name: start
    title: Start
    type: start
    needs: []
  - name: detect-change
    title: Detect
    type: normal
    needs: [start]
    sequencing: sequence
    fail-fast: true
    actions:
      - name: detect
        title: "Detect a change"
        allow-failure: false
        jobs:
          - name: detect
            type: component
            image: hub.example/containerops/detect:latest
            environments:
              CO_CODERPO: https://example.org/hook.git
              CO_DATA: "code-repo=https://example.org/hook.git branch=master since=last token=a=b"
              DEBUG: true
              LEVEL: 0x10
              NOTHING: ""
            outputs: [CO_CODE_CHANGED]
            allow-failure: false
  - name: build
    type: normal
    needs: [detect-change]
    sequencing: sequence
    fail-fast: true
    actions:
      - name: build-upload
        allow-failure: false
        jobs:
          - name: upload
            type: component
            image: hub.example/containerops/upload:latest
            environments:
              CO_DATA: "upload=https://example.org/put?a=b"
            resources: {cpu: 2, memory: 4G}
            outputs: [CO_URL]
            subscriptions:
              - {"detect-change.detect.detect[CO_CODE_CHANGED]": CO_CODE_CHANGED}
            allow-failure: false
  - name: redeploy
    type: normal
    needs: [build]
    sequencing: parallel
    fail-fast: true
    actions:
      - name: over-ssh
        allow-failure: false
        jobs:
          - name: over-ssh
            type: component
            image: hub.example/containerops/redeploy:latest
            resources: {cpu: 1, memory: 1G}
            subscriptions:
              - {"detect-change.detect.detect[CO_CODE_CHANGED]": CO_CODE_CHANGED}
              - {"build.build-upload.upload[CO_URL]": CO_URL}
            allow-failure: false
  - name: end
    type: end
    needs: [redeploy]
"#);
}

#[test]
fn a_delivery_with_manifests_runs_unchanged() {
    let flow = good("original", "micro-service");
    assert_snapshot!(flow::render("micro-service.yml", flow.warnings()), @r"
warning: a job with an image is a component: its `kubectl` is ignored
   --> micro-service.yml:41:13
   |
41 |             kubectl: ignored.yaml
   |             ^^^^^^^
   = hint: remove one of both
");
    assert_snapshot!(flow::full_form(&plan(&flow, push("main"))), @r#"
uri: demo/service/bmi
title: "Deliver a micro-service"
receivers:
  - {type: mail, address: "dev@example.org", on: [always]}
stages:
  - name: start
    title: Start
    type: start
    needs: []
  - name: deliver
    type: normal
    needs: [start]
    sequencing: sequence
    fail-fast: true
    actions:
      - name: checkstyle
        allow-failure: false
        jobs:
          - name: checkstyle
            image: hub.example/containerops/checkstyle-java:latest
            environments:
              CO_DATA: "git-url=https://example.org/bmi.git version=gradle3 out-put-type=json"
            resources: {cpu: 2, memory: 2G}
            allow-failure: false
      - name: build-image
        allow-failure: false
        jobs:
          - name: build-image
            image: hub.example/containerops/call-assembling:latest
            environments:
              CO_DATA: "git-url=https://example.org/bmi.git image=bmi tag=v1"
            resources: {cpu: 2, memory: 2G}
            allow-failure: false
      - name: deploy
        allow-failure: false
        jobs:
          - name: job-1
            type: kubectl
            kubectl: https://example.org/bmi/deployment.yaml
            namespace: servicecomb
            roll-back: false
            allow-failure: false
          - name: job-2
            type: kubectl
            kubectl: deploy/service.yaml
            namespace: servicecomb
            roll-back: false
            allow-failure: false
          - name: job-3
            type: kubectl
            kubectl: https://example.org/bmi/gateway.yaml
            namespace: servicecomb
            roll-back: false
            allow-failure: false
      - name: test
        allow-failure: false
        jobs:
          - name: test
            image: hub.example/demo/system-test:latest
            environments:
              JAR_NAME: bmi.jar
              JAVA_OPTS: "-Xmx512m -D@profile@=1"
            resources: {cpu: 1, memory: 1G}
            allow-failure: false
      - name: release
        allow-failure: false
        jobs:
          - name: release
            image: hub.example/containerops/release:latest
            environments:
              CO_DATA: "image=bmi tag=v1"
            resources: {cpu: 1, memory: 1G}
            allow-failure: false
  - name: end
    title: End
    type: end
    needs: [deliver]
"#);
}

#[test]
fn an_export_as_json_runs_unchanged() {
    let flow = good("original", "as-json");
    assert_snapshot!(flow::render("as-json.yml", flow.warnings()), @r#"
warning: action `right` has no job and is left out
   --> as-json.yml:18:7
   |
18 |       {"name": "right", "title": "", "status": "success", "logs": [], "jobs": []}
   |       ^^^^^^
   = hint: give it `jobs`, or an `image`
"#);
    assert_snapshot!(flow::full_form(&plan(&flow, push("main"))), @r#"
uri: team/app/exported
title: "An export as JSON"
stages:
  - name: start
    title: Start
    type: start
    needs: []
  - name: one
    type: normal
    needs: [start]
    sequencing: parallel
    fail-fast: true
    actions:
      - name: left
        allow-failure: false
        jobs:
          - name: left
            image: hub.example/team/left:1
            allow-failure: false
  - name: end
    title: End
    type: end
    needs: [one]
"#);
}

#[test]
fn odd_names_are_made_plain_and_links_find_them() {
    let flow = good("original", "odd-names");
    assert_snapshot!(flow::render("odd-names.yml", flow.warnings()), @r#"
warning: `team/odd` is no uri: <namespace>/<repository>/<name> is expected
  --> odd-names.yml:2:6
  |
2 | uri: team/odd
  |      ^^^^^^^^
  = hint: without one it is acme/shop/odd-names

warning: `title` is given twice in one map (line 3)
  --> odd-names.yml:4:1
  |
4 | title: And another
  | ^^^^^
  = hint: remove one of them

warning: `Unit & system tests` is no name here: it is called `Unit---system-tests`
  --> odd-names.yml:8:11
  |
8 |     name: Unit & system tests
  |           ^^^^^^^^^^^^^^^^^^^
  = hint: a name is 1 to 63 of letters, digits, `-` and `_`

warning: `entry.point` is no variable's name
   --> odd-names.yml:16:77
   |
16 |             environments: [{CO_DATA: "git-url=https://example.org/x.git"}, {entry.point: src}]
   |                                                                             ^^^^^^^^^^^
   = hint: letters, digits and `_`, not beginning with a digit

warning: `flake8` is already the name of another action
   --> odd-names.yml:21:15
   |
21 |       - name: flake8
   |               ^^^^^^
   = hint: it is called `flake8-2` here

warning: `a name of an action that is far too long to be the beginning of a pod's name, as…` is no name here: it is called `a-name-of-an-action-that-is-far-too-long-to-be-the-beg-f0cbd81b`
   --> odd-names.yml:23:15
   |
23 |       - name: "a name of an action that is far too long to be the beginning of a pod's name, as the original had it"
   |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = hint: a name is 1 to 63 of letters, digits, `-` and `_`

warning: `über alles` is no name here: it is called `ber-alles`
   --> odd-names.yml:26:19
   |
26 |             name: "über alles"
   |                   ^^^^^^^^^^^^
   = hint: a name is 1 to 63 of letters, digits, `-` and `_`

warning: `start` is already the name of another stage
   --> odd-names.yml:30:23
   |
30 |   - {type: end, name: start}
   |                       ^^^^^
   = hint: it is called `start-2` here
"#);
    assert_snapshot!(flow::full_form(&plan(&flow, push("main"))), @r#"
uri: acme/shop/odd-names
title: "And another"
stages:
  - name: start
    type: start
    needs: []
  - name: Unit---system-tests
    type: normal
    needs: [start]
    sequencing: sequence
    fail-fast: true
    actions:
      - name: flake8
        allow-failure: false
        jobs:
          - name: job-1
            image: hub.example/containerops/flake8:latest
            environments:
              CO_DATA: "git-url=https://example.org/x.git"
              entry.point: src
            allow-failure: false
          - name: job-2
            image: hub.example/containerops/flake8:latest
            environments:
              CO_DATA: "git-url=https://example.org/x.git out-put-type=yaml"
            outputs: [CO_YAML_CONTENT]
            allow-failure: false
      - name: flake8-2
        allow-failure: false
        jobs:
          - name: flake8-2
            image: hub.example/containerops/flake8:latest
            environments:
              CO_DATA: "git-url=https://example.org/x.git"
              entry.point: src
            allow-failure: false
      - name: a-name-of-an-action-that-is-far-too-long-to-be-the-beg-f0cbd81b
        allow-failure: false
        jobs:
          - name: ber-alles
            image: hub.example/containerops/report:latest
            subscriptions:
              - {"Unit---system-tests.flake8.job-2[CO_YAML_CONTENT]": REPORT}
            allow-failure: false
  - name: start-2
    type: end
    needs: [Unit---system-tests]
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
