//! Good files and their plans.

use containerops::{
    flow::{self, Decision},
    model::{Event, Grants, Trust, UntrustedReason},
};
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
    assert_snapshot!(flow::full_form(&plan(&good("good", "smallest"), push("main"))), @r"
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
            image: rust:1.95
            run: |-
              cargo test
            allow-failure: false
");
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
            image: rust:1.95
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
            image: registry.example/rust:1.95
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
            image: rust:1.95
            run: |-
              cargo test
            environments:
              COLOURS: true
              EMPTY: ""
              LEVEL: debug
              OWNER: dev@acme.example
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
            image: acme/python-flake8:1
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
            image: acme/mkdocs:2
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
            image: acme/deployer@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
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
        let kind = if name == "tags-only" { tag("v1") } else { push("main") };
        let first = plan(&good("good", &name), kind);
        let text = flow::full_form(&first);
        let again = flow::read("other.yml", &repository(), text.as_bytes())
            .unwrap_or_else(|wrong| panic!("{name}:\n{text}\n{}", flow::render(&name, &wrong)));
        assert_eq!(plan(&again, push("main")), first, "{name}:\n{text}");
    }
}

#[test]
fn secrets_are_beside_the_plan_and_an_untrusted_event_gets_none() {
    let flow = good("good", "secrets");
    let plan = plan(&flow, push("main"));
    let text = serde_json::to_string(&plan).expect("JSON");
    let names = ["REGISTRY_TOKEN", "SIGNING", "CHAT"];
    assert!(names.iter().all(|name| !text.contains(name)), "{text}");
    assert_snapshot!(serde_json::to_string_pretty(flow.wants()).expect("JSON"), @r#"
    {
      "publish.tell.tell": {
        "CHAT_TOKEN": "CHAT_TOKEN",
        "URL": "CHAT_URL"
      },
      "publish.upload-linux.push": {
        "REGISTRY_TOKEN": "REGISTRY_TOKEN"
      },
      "publish.upload-linux.sign": {
        "PASSWORD": "SIGNING_PASSWORD",
        "SIGNING_KEY": "key-of-linux"
      },
      "publish.upload-macos.push": {
        "REGISTRY_TOKEN": "REGISTRY_TOKEN"
      },
      "publish.upload-macos.sign": {
        "PASSWORD": "SIGNING_PASSWORD",
        "SIGNING_KEY": "key-of-macos"
      }
    }
    "#);

    let (trusted, wants) = (event(push("main")), flow.wants());
    let grants = trusted.trusted().map(|event| Grants::of(event, wants)).expect("it is trusted");
    assert_eq!(grants.names(), wants.names());
    let untrusted = Event { trust: Trust::Untrusted(UntrustedReason::HeadRepositoryGone), ..trusted };
    assert!(untrusted.trusted().is_none());

    let written = flow::full_form_with(&plan, wants);
    let again = flow::read("a.yml", &repository(), written.as_bytes()).expect("a flow");
    assert_eq!(again.wants(), wants, "{written}");
}

#[test]
fn services_ask_for_secrets_as_jobs_do() {
    let text = "
stages:
  - name: test
    services:
      - {name: db, image: postgres:18, ready: {tcp: 5432}, secrets: {POSTGRES_PASSWORD: DB_PASSWORD}}
    jobs:
      - {name: build, image: rust:1.95, run: cargo build}
      - {name: web, type: service, image: rust:1.95, run: ./web, secrets: [API_KEY]}
      - {name: try, image: rust:1.95, run: cargo test, secrets: {PGPASSWORD: DB_PASSWORD}}
";
    let flow = flow::read("a.yml", &repository(), text.as_bytes()).expect("a flow");
    let wants = flow.wants();
    assert_snapshot!(serde_json::to_string(wants).expect("JSON"), @r#"{"test.test.db":{"POSTGRES_PASSWORD":"DB_PASSWORD"},"test.test.try":{"PGPASSWORD":"DB_PASSWORD"},"test.test.web":{"API_KEY":"API_KEY"}}"#);
    let plan = plan(&flow, push("main"));
    assert!(!serde_json::to_string(&plan).expect("JSON").contains("API_KEY"));
    let written = flow::full_form_with(&plan, wants);
    let again = flow::read("a.yml", &repository(), written.as_bytes()).expect("a flow");
    assert_eq!(again.wants(), wants, "{written}");
}

#[test]
fn the_same_file_and_event_give_the_same_digest() {
    let digest = |branch| plan(&good("good", "whole"), push(branch)).digest();
    assert_eq!(digest("main"), digest("main"));
    assert_ne!(digest("main"), plan(&good("good", "smallest"), push("main")).digest());
    assert_eq!(digest("main").0.len(), 64);
}

#[test]
fn filters_decide_what_runs_and_say_why_not() {
    let decide = |name: &str, kind| match good("good", name).plan(&event(kind)) {
        Decision::Run(_) => "runs".to_owned(),
        Decision::Broken(wrong) => wrong.message,
        Decision::LeftOut { reason } | Decision::Unasked { reason } => reason,
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

#[test]
fn retries_and_shells_are_written_out() {
    assert_snapshot!(flow::full_form(&plan(&good("good", "retries"), push("main"))), @r#"
    uri: acme/shop/retries
    stages:
      - name: test
        type: normal
        needs: []
        sequencing: sequence
        fail-fast: true
        actions:
          - name: unit
            allow-failure: false
            jobs:
              - name: build
                image: rust:1.95
                run: |-
                  cargo build
                allow-failure: false
                retry: {max: 2, on: [failure, timeout]}
              - name: test
                image: rust:1.95
                run: |-
                  cargo test | tee report
                shell: ["bash", "-eo", "pipefail"]
                allow-failure: false
                retry: {max: 1, on: [transient, out-of-memory]}
                strict: true
              - name: count
                image: python:3
                run: |-
                  print(1 + 1)
                shell: ["python3", "-X", "dev"]
                allow-failure: false
    "#);
}

#[test]
fn a_job_that_starts_another_flow_waits_for_it_if_it_does_not_say() {
    let flow = flow::full_form(&plan(&good("good", "triggers"), push("main")));
    assert_snapshot!(flow.split("name: ship").nth(1).expect("a stage"), @r#"
    type: normal
    needs: [build]
    sequencing: sequence
    fail-fast: true
    actions:
      - name: shop
        allow-failure: false
        jobs:
          - name: deploy
            type: trigger
            trigger:
              flow: "deploy"
              inputs: {level: "debug", target: "prod"}
              wait: 90m
            timeout: 2h
            subscriptions:
              - {"build.build.build[VERSION]": version}
            allow-failure: false
          - name: docs
            type: trigger
            trigger:
              flow: "docs"
              wait: true
            allow-failure: true
      - name: infra
        allow-failure: false
        jobs:
          - name: infra
            type: trigger
            trigger:
              flow: "acme/infra/roll"
              branch: "next"
              wait: false
            allow-failure: false
    "#);
}

#[test]
fn receivers_hear_of_failures_and_what_fixed_them_if_they_do_not_say() {
    let flow = flow::full_form(&plan(&good("good", "receivers"), push("main")));
    assert_snapshot!(flow.split("stages:").next().expect("a head"), @r#"
    uri: acme/shop/receivers
    receivers:
      - {type: mail, address: "dev@acme.example", on: [failure, fixed]}
      - {type: mail, address: "ops+ci@acme.example", on: [always]}
      - {type: webhook, address: "https://chat.acme.example/hooks/ci?room=1", on: [failure, fixed, success]}
    "#);
}

#[test]
fn a_pause_asks_whom_and_what_it_says_and_waits_for_a_week_if_it_does_not() {
    assert_snapshot!(flow::full_form(&plan(&good("good", "pauses"), push("main"))), @r#"
    uri: acme/shop/pauses
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
                image: rust:1.95
                run: |-
                  cargo test
                allow-failure: false
      - name: approve
        type: pause
        needs: [test]
        approval: {by: [maintainers, ada], expires: 90m, note: "Ship it?"}
      - name: again
        type: pause
        needs: [approve]
        approval: {by: [], expires: 7d}
      - name: ship
        type: normal
        needs: [again]
        sequencing: sequence
        fail-fast: true
        actions:
          - name: ship
            allow-failure: false
            jobs:
              - name: ship
                image: deployer:3
                run: |-
                  ./deploy.sh
                allow-failure: false
    "#);
}
