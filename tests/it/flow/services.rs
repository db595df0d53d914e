//! What runs beside jobs, and where: read, written out, drawn and linted.

use containerops::{
    flow::{self, GraphFormat, Habit},
    model::{ActionPlan, Check, Plan},
};
use insta::assert_snapshot;

use super::{good, plan as plan_for, push};

fn plan() -> Plan {
    plan_for(&good("good", "services"), push("main"))
}

fn action<'p>(plan: &'p Plan, name: &str) -> &'p ActionPlan {
    plan.stages[0].actions.iter().find(|action| action.name == name).expect("the action")
}

#[test]
fn services_are_written_out_where_they_start() {
    assert_snapshot!(flow::full_form(&plan()), @r#"
    uri: acme/shop/services
    stages:
      - name: check
        type: normal
        needs: []
        sequencing: parallel
        fail-fast: true
        actions:
          - name: unit-7-4
            allow-failure: false
            cell: {of: unit, label: 7.4, values: {redis: 7.4}}
            runtime: gvisor
            node: {kubernetes.io/arch: "arm64", pool: ""}
            services:
              - name: db
                image: postgres:17
                environments:
                  LEVEL: "redis 7.4"
                  POSTGRES_PASSWORD: x
                resources: {memory: 256Mi}
                ready: {command: "pg_isready -q", within: 90s}
              - name: cache
                image: redis:7.4
                environments:
                  LEVEL: info
                ready: {tcp: 6379, within: 1m}
              - name: mail
                image: acme/mail:1
                command: ["mail", "--listen", "25"]
                environments:
                  LEVEL: info
                ready: {command: ["mail", "--check"], within: 1m}
            jobs:
              - name: build
                image: rust:1.95
                run: |-
                  cargo build
                environments:
                  LEVEL: info
                allow-failure: false
              - name: web
                type: service
                image: rust:1.95
                run: |-
                  target/debug/web
                shell: ["bash", "-eo", "pipefail"]
                environments:
                  LEVEL: info
                ready: {http: "8080/healthz", within: 1m}
              - name: test
                image: rust:1.95
                run: |-
                  cargo test
                environments:
                  LEVEL: info
                allow-failure: false
          - name: unit-8-0
            allow-failure: false
            cell: {of: unit, label: 8.0, values: {redis: 8.0}}
            runtime: gvisor
            node: {kubernetes.io/arch: "arm64", pool: ""}
            services:
              - name: db
                image: postgres:17
                environments:
                  LEVEL: "redis 8.0"
                  POSTGRES_PASSWORD: x
                resources: {memory: 256Mi}
                ready: {command: "pg_isready -q", within: 90s}
              - name: cache
                image: redis:8.0
                environments:
                  LEVEL: info
                ready: {tcp: 6379, within: 1m}
              - name: mail
                image: acme/mail:1
                command: ["mail", "--listen", "25"]
                environments:
                  LEVEL: info
                ready: {command: ["mail", "--check"], within: 1m}
            jobs:
              - name: build
                image: rust:1.95
                run: |-
                  cargo build
                environments:
                  LEVEL: info
                allow-failure: false
              - name: web
                type: service
                image: rust:1.95
                run: |-
                  target/debug/web
                shell: ["bash", "-eo", "pipefail"]
                environments:
                  LEVEL: info
                ready: {http: "8080/healthz", within: 1m}
              - name: test
                image: rust:1.95
                run: |-
                  cargo test
                environments:
                  LEVEL: info
                allow-failure: false
          - name: hoisted
            allow-failure: false
            services:
              - name: db
                image: postgres:17
                environments:
                  LEVEL: info
            jobs:
              - name: hoisted
                image: rust:1.95
                run: |-
                  cargo test
                environments:
                  LEVEL: info
                allow-failure: false
    "#);
}

#[test]
fn a_service_among_jobs_starts_after_those_before_it() {
    let plan = plan();
    let unit = action(&plan, "unit-7-4");
    let starts: Vec<_> = unit.services.iter().map(|service| (service.job.name.as_str(), service.after)).collect();
    assert_eq!(starts, [("db", 0), ("cache", 0), ("mail", 0), ("web", 1)]);
    let members: Vec<_> = unit.members().map(|job| job.name.as_str()).collect();
    assert_eq!(members, ["build", "test", "db", "cache", "mail", "web"]);
    assert_eq!(unit.member(5).map(|job| job.name.as_str()), Some("web"));
    assert_eq!(unit.service(1), None);
}

#[test]
fn variables_matrices_and_the_flows_environment_reach_services() {
    let plan = plan();
    let unit = action(&plan, "unit-8-0");
    assert_eq!(unit.services[0].job.image, "postgres:17");
    assert_eq!(unit.services[0].job.environments["LEVEL"], "redis 8.0");
    assert_eq!(unit.services[1].job.image, "redis:8.0");
    assert_eq!(unit.services[1].job.environments["LEVEL"], "info");
    assert_eq!(unit.services[3].ready.check, Check::Http { port: 8080, path: "/healthz".to_owned() });
    assert_eq!(unit.services[3].ready.within.as_secs(), 60);
}

#[test]
fn a_picture_shows_what_runs_beside() {
    let picture = flow::graph(&plan(), GraphFormat::Mermaid);
    assert!(picture.contains("a0_2[\"hoisted #43; db\"]") || picture.contains("a0_2[\"hoisted + db\"]"), "{picture}");
}

#[test]
fn habits_of_services_are_told_but_that_they_have_no_time() {
    let text = "\
timeout: 1h
stages:
  - name: test
    services: [{name: db, image: postgres}]
    jobs:
      - {name: web, type: service, image: \"redis:latest\"}
      - {name: test, image: \"rust:1.95\", run: cargo test}
";
    let found = |text: &str| {
        flow::habits(text.as_bytes()).into_iter().map(|(habit, told)| (habit, told.line)).collect::<Vec<_>>()
    };
    assert_eq!(found(text), [(Habit::ImageTag, 4), (Habit::ImageTag, 6)]);
    let without = text.replace("timeout: 1h\n", "");
    let told = flow::habits(without.as_bytes());
    assert!(told.iter().any(|(_, told)| told.message.starts_with("this job has no `timeout`")), "{told:?}");
}

#[test]
fn a_service_of_the_original_is_written_out_as_one() {
    let text = "\
uri: acme/shop/ci
stages:
  - {type: start, name: start}
  - type: normal
    name: test
    actions:
      - name: test
        jobs:
          - {type: service, endpoint: \"db:1\", name: db, outputs: [], environments: [{CO_PORT: 5432}], timeout: \"\"}
          - {type: component, endpoint: \"go:1\", name: test, environments: [{A: b}]}
";
    let repository = super::repository();
    let read =
        |text: &str| flow::read("ci.yml", &repository, text.as_bytes()).map_err(|wrong| flow::render("ci.yml", &wrong));
    let plan = plan_for(&read(text).expect("a flow"), push("main"));
    assert_eq!(plan.stages[1].actions[0].services[0].job.environments["CO_PORT"], "5432");
    let again = plan_for(&read(&flow::full_form(&plan)).expect("a flow"), push("main"));
    assert_eq!(again, plan);
}
