//! Matrices: their cells, and what `@NAME@` means in each.

use containerops::{flow, model::Plan};
use insta::assert_snapshot;

use super::{good, plan, push, told};

fn read(text: &str) -> Plan {
    let repository = super::repository();
    let flow = flow::read("ci.yml", &repository, text.as_bytes());
    plan(&flow.unwrap_or_else(|wrong| panic!("{}", flow::render("ci.yml", &wrong))), push("main"))
}

/// A line for each action: its name, what people call it, its first job's image, and whether it may fail.
fn actions(plan: &Plan) -> String {
    let all = plan.stages.iter().flat_map(|stage| &stage.actions);
    let line = |action: &containerops::model::ActionPlan| {
        let may = if action.allow_failure { ", may fail" } else { "" };
        format!("{}: {}: {}{may}\n", action.name, action.shown(), action.jobs[0].image)
    };
    all.map(line).collect()
}

/// The cells of a matrix, for an action called `unit`.
fn cells(matrix: &str) -> String {
    actions(&read(&format!("stages:\n  - {{name: unit, matrix: {matrix}, image: \"i:1\"}}\n")))
}

#[test]
fn each_cell_is_an_action_with_its_values() {
    let plan = plan(&good("good", "matrix"), push("main"));
    assert_snapshot!(actions(&plan), @r"
unit-1-95-alpine: unit (1.95, alpine): registry.example/rust:1.95-alpine
unit-1-95-debian: unit (1.95, debian): registry.example/rust:1.95-debian
unit-beta-debian: unit (beta, debian): registry.example/rust:beta-debian, may fail
unit-nightly-slim: unit (nightly, slim): registry.example/rust:nightly-slim, may fail
after: after: rust:1.95
hoisted-3: hoisted (3): python:3
hoisted-3-0: hoisted (3.0): python:3.0
");
    let names = |place: usize| plan.stages[0].actions[place].matrix.clone().into_iter().collect::<Vec<_>>();
    assert_eq!(names(0)[1..], [("os".to_owned(), "alpine".to_owned()), ("rust".to_owned(), "1.95".to_owned())]);
}

#[test]
fn a_condition_knows_the_values_of_its_cell() {
    let due = |text: &str| {
        let plan = read(text);
        let runs = |when: &Option<containerops::model::When>| when.as_ref().is_none_or(|when| when.due.is_some());
        assert!(plan.stages[0].when.is_none(), "it is each cell's own");
        let cells = plan.stages[0].actions.iter();
        cells.map(|cell| (runs(&cell.when), runs(&cell.jobs[0].when))).collect::<Vec<_>>()
    };
    let when = r#"matrix.rust == "beta""#;
    let matrix = r#"matrix: {rust: ["1.95", beta]}"#;
    let of_action =
        format!("stages:\n  - name: s\n    actions: [{{name: unit, {matrix}, image: i, when: '{when}'}}]\n");
    let of_job = format!(
        "stages:\n  - name: s\n    actions: [{{name: unit, {matrix}, jobs: [{{name: j, image: i, when: '{when}'}}]}}]\n"
    );
    assert_eq!(due(&of_action), [(false, true), (true, true)]);
    assert_eq!(due(&of_job), [(true, false), (true, true)]);
    assert_eq!(due(&format!("stages:\n  - {{name: s, {matrix}, image: i, when: '{when}'}}\n")), due(&of_action));
}

#[test]
fn a_matrix_is_written_out_cell_by_cell() {
    let wanted = plan(&good("good", "matrix"), push("main"));
    let written = flow::full_form(&wanted);
    assert_snapshot!(written, @r#"
uri: acme/shop/matrix
stages:
  - name: check
    type: normal
    needs: []
    sequencing: sequence
    fail-fast: true
    actions:
      - name: unit-1-95-alpine
        title: "Tests with 1.95 on alpine"
        allow-failure: false
        cell: {of: unit, label: "1.95, alpine", values: {flags: "", os: alpine, rust: 1.95}}
        jobs:
          - name: build
            image: registry.example/rust:1.95-alpine
            run: |-
              cargo build
            environments:
              FLAGS: ""
              RUST: 1.95
            outputs: [BINARY]
            allow-failure: false
          - name: test
            image: rust:1.95
            run: |-
              cargo test
            subscriptions:
              - {"check.unit-1-95-alpine.build[BINARY]": BINARY}
            allow-failure: false
      - name: unit-1-95-debian
        title: "Tests with 1.95 on debian"
        allow-failure: false
        cell: {of: unit, label: "1.95, debian", values: {flags: "--all-features", os: debian, rust: 1.95}}
        jobs:
          - name: build
            image: registry.example/rust:1.95-debian
            run: |-
              cargo build
            environments:
              FLAGS: "--all-features"
              RUST: 1.95
            outputs: [BINARY]
            allow-failure: false
          - name: test
            image: rust:1.95
            run: |-
              cargo test
            subscriptions:
              - {"check.unit-1-95-debian.build[BINARY]": BINARY}
            allow-failure: false
      - name: unit-beta-debian
        title: "Tests with beta on debian"
        allow-failure: true
        cell: {of: unit, label: "beta, debian", values: {flags: "--all-features", os: debian, rust: beta}}
        jobs:
          - name: build
            image: registry.example/rust:beta-debian
            run: |-
              cargo build
            environments:
              FLAGS: "--all-features"
              RUST: beta
            outputs: [BINARY]
            allow-failure: false
          - name: test
            image: rust:beta
            run: |-
              cargo test
            subscriptions:
              - {"check.unit-beta-debian.build[BINARY]": BINARY}
            allow-failure: false
      - name: unit-nightly-slim
        title: "Tests with nightly on slim"
        allow-failure: true
        cell: {of: unit, label: "nightly, slim", values: {flags: "", os: slim, rust: nightly}}
        jobs:
          - name: build
            image: registry.example/rust:nightly-slim
            run: |-
              cargo build
            environments:
              FLAGS: ""
              RUST: nightly
            outputs: [BINARY]
            allow-failure: false
          - name: test
            image: rust:nightly
            run: |-
              cargo test
            subscriptions:
              - {"check.unit-nightly-slim.build[BINARY]": BINARY}
            allow-failure: false
      - name: after
        allow-failure: false
        jobs:
          - name: after
            image: rust:1.95
            run: |-
              ls
            subscriptions:
              - {"check.unit-1-95-debian.build[BINARY]": BINARY}
            allow-failure: false
  - name: hoisted
    title: "Every version"
    type: normal
    needs: [check]
    sequencing: sequence
    fail-fast: true
    actions:
      - name: hoisted-3
        allow-failure: false
        cell: {of: hoisted, label: 3, values: {version: 3}}
        jobs:
          - name: hoisted
            image: python:3
            run: |-
              python --version
            subscriptions:
              - {"check.unit-beta-debian.build[BINARY]": BINARY}
            allow-failure: false
      - name: hoisted-3-0
        allow-failure: false
        cell: {of: hoisted, label: 3.0, values: {version: 3.0}}
        jobs:
          - name: hoisted
            image: python:3.0
            run: |-
              python --version
            subscriptions:
              - {"check.unit-beta-debian.build[BINARY]": BINARY}
            allow-failure: false
"#);
    let again = flow::read("other.yml", &super::repository(), written.as_bytes()).expect("it is good");
    assert_eq!(plan(&again, push("main")), wanted, "and means the same");
}

#[test]
fn include_extends_what_it_matches_and_adds_what_it_does_not() {
    assert_snapshot!(cells("{a: [1, 2], b: [x, y], include: [{a: 1, c: z}, {a: 3}, {d: w}]}"), @r"
unit-1-x: unit (1, x): i:1
unit-1-y: unit (1, y): i:1
unit-2-x: unit (2, x): i:1
unit-2-y: unit (2, y): i:1
unit-3: unit (3): i:1
");
    assert_snapshot!(cells("{include: [{a: 1}, {b: 2, allow-failure: true}]}"), @r"
unit-1: unit (1): i:1
unit-2: unit (2): i:1, may fail
");
}

#[test]
fn exclude_leaves_out_whatever_has_its_values() {
    assert_snapshot!(cells("{a: [1, 2, 3], b: [x, y], exclude: [{a: 1}, {a: 2, b: y}]}"), @r"
unit-2-x: unit (2, x): i:1
unit-3-x: unit (3, x): i:1
unit-3-y: unit (3, y): i:1
");
}

#[test]
fn names_of_cells_are_names_and_differ() {
    assert_snapshot!(cells("{v: [\"1.9\", \"1-9\", \"1_9\", \"\", \"é\", \"a b/c\"]}"), @r"
unit-1-9: unit (1.9): i:1
unit-1-9-8535d21b: unit (1-9): i:1
unit-1_9: unit (1_9): i:1
unit-b2404f6a: unit (''): i:1
unit-053d7c17: unit (é): i:1
unit-a-b-c: unit (a b/c): i:1
");
    let long = "x".repeat(70);
    let told = cells(&format!("{{v: [{long}1, {long}2]}}"));
    let names: Vec<&str> = told.lines().filter_map(|line| line.split(':').next()).collect();
    assert!(names.iter().all(|name| name.len() == 63) && names[0] != names[1], "{names:?}");
    let beside = read(
        "stages:\n  - name: s\n    actions:\n      - {name: unit-1, image: \"i:1\"}\n      - {name: unit, matrix: {v: [1, 2]}, image: \"i:1\"}\n",
    );
    assert_snapshot!(actions(&beside), @r"
unit-1: unit-1: i:1
unit-1-03396c1f: unit (1): i:1
unit-2: unit (2): i:1
");
}

#[test]
fn a_flow_of_one_matrix_needs_no_level() {
    let plan = read("matrix: {v: [1, 2]}\nimage: i:@v@\nenvironments: {V: \"@v@\", W: w}\nrun: echo @v@\n");
    assert_snapshot!(actions(&plan), @r"
ci-1: ci (1): i:1
ci-2: ci (2): i:2
");
    let job = &plan.stages[0].actions[1].jobs[0];
    assert_eq!((job.environments["V"].as_str(), job.environments["W"].as_str()), ("2", "w"));
}

#[test]
fn a_matrix_of_256_cells_is_the_largest() {
    let values: Vec<String> = (0..256).map(|value| value.to_string()).collect();
    assert_eq!(cells(&format!("{{v: [{}]}}", values.join(", "))).lines().count(), 256);
    let text = format!("matrix: {{v: [{}, x]}}\nimage: i:1\n", values.join(", "));
    assert_eq!(told(&text)[0].message, "a matrix of 257 cells; 256 are the most");
    let axes: String = ["a", "b", "c", "d", "e", "f"].map(|axis| format!("{axis}: [{}], ", values.join(", "))).concat();
    let text = format!("matrix: {{{axes}}}\nimage: i:1\n");
    assert_eq!(told(&text)[0].message, "a matrix of 281474976710656 cells; 256 are the most");
}

#[test]
fn a_matrix_does_not_make_a_file_grow_without_end() {
    let values: Vec<String> = (0..256).map(|value| value.to_string()).collect();
    let text = format!("matrix: {{v: [{}]}}\nimage: i:@v@\nrun: {}\n", values.join(", "), "x".repeat(90_000));
    assert_eq!(told(&text)[0].message, "the cells of all matrices have more than 200000 values or 4 MiB of text");
}

#[test]
fn what_a_variable_has_put_in_is_not_looked_at_again() {
    let plan = read(
        "variables: {NOTE: \"@v@\"}\nmatrix: {v: [\"@NOTE@\"]}\nimage: i:1\nenvironments: {A: \"@NOTE@\", B: \"@v@\"}\n",
    );
    let job = &plan.stages[0].actions[0].jobs[0];
    assert_eq!((job.environments["A"].as_str(), job.environments["B"].as_str()), ("@v@", "@v@"));
}

#[test]
fn a_file_with_the_originals_shape_may_have_a_matrix_and_its_at_signs_stay() {
    let text = "uri: a/b/c\nstages:\n  - {type: start, name: start}\n  - {name: s, type: normal, sequencing: sequence, \
                matrix: {v: [1]}, image: \"i:@v@\", environments: {OTHER: \"@w@\"}}\n";
    let plan = read(text);
    let job = &plan.stages[1].actions[0].jobs[0];
    assert_eq!((job.image.as_str(), job.environments["OTHER"].as_str()), ("i:1", "@w@"));
}
