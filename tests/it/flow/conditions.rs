//! `when`: what is decided when an event is planned, and what is left until its turn has come.

use std::collections::BTreeMap;

use containerops::{
    flow::{self, Before, Circumstances, Decision},
    model::{ChangedFiles, EventKind, Plan},
};
use insta::assert_snapshot;
use proptest::prelude::*;

use super::{event, pull_request, push, repository, tag, told};

/// The plan of a flow whose second stage has this condition, after a change of these files.
fn planned(when: &str, kind: EventKind, changes: &ChangedFiles) -> Plan {
    let text = file(when);
    let flow = flow::read(".containerops.yml", &repository(), text.as_bytes());
    let flow = flow.unwrap_or_else(|wrong| panic!("{}", flow::render("ci", &wrong)));
    let circumstances = Circumstances { changes: changes.clone(), skip: None };
    let Decision::Run(plan) = flow.plan_in(&event(kind), &circumstances) else { panic!("{when} is planned") };
    plan
}

fn file(when: &str) -> String {
    format!(
        "on: [push, pull_request, tag]\nstages:\n  - {{name: build, image: i, outputs: [VERSION]}}\n  - name: ship\n    image: i\n    when: '{when}'\n"
    )
}

/// `runs`, `never`, or what is left to decide.
fn decided(when: &str, kind: EventKind, changes: &ChangedFiles) -> String {
    match &planned(when, kind, changes).stages[1].when {
        None => "runs".to_owned(),
        Some(when) => when.due.clone().unwrap_or_else(|| "never".to_owned()),
    }
}

fn files(paths: &[&str]) -> ChangedFiles {
    ChangedFiles::all(paths.iter().map(|path| (*path).to_owned()).collect())
}

#[test]
fn what_an_event_says_is_decided_with_the_plan() {
    let table = [
        (r#"event == "tag" && tag.startsWith("v")"#, tag("v1")),
        (r#"event == "tag""#, push("main")),
        (r#"branch.matches("^(main|release/[0-9]+)$")"#, push("release/12")),
        (r#"branch.matches("^(main|release/[0-9]+)$")"#, push("release/x")),
        (r#"!pr.draft && pr.number == 7 && base in ["main"]"#, pull_request("fix", "main")),
        (r#""urgent" in pr.labels || pr.labels.exists(l, l.startsWith("u"))"#, pull_request("fix", "main")),
        ("trusted", push("main")),
        (r#"matrix.rust == "" && sha != """#, push("main")),
    ];
    let changes = files(&[]);
    let lines: Vec<String> =
        table.into_iter().map(|(when, kind)| format!("{when}: {}", decided(when, kind, &changes))).collect();
    assert_snapshot!(lines.join("\n"), @r#"
    event == "tag" && tag.startsWith("v"): runs
    event == "tag": never
    branch.matches("^(main|release/[0-9]+)$"): runs
    branch.matches("^(main|release/[0-9]+)$"): never
    !pr.draft && pr.number == 7 && base in ["main"]: runs
    "urgent" in pr.labels || pr.labels.exists(l, l.startsWith("u")): never
    trusted: runs
    matrix.rust == "" && sha != "": runs
    "#);
}

#[test]
fn what_was_changed_is_asked_for_by_patterns_and_by_loops() {
    let changes = files(&["src/flow/mod.rs", "docs/a b.md"]);
    let holds = [
        r#"changed("src/**")"#,
        r#"!changed("*.md")"#,
        r#"files.exists(f, f.matches("\\.rs$"))"#,
        r#"files.all(f, f.contains("/")) && size(files) == 2"#,
        r#""docs/a b.md" in files"#,
    ];
    for when in holds {
        assert_eq!(decided(when, push("main"), &changes), "runs", "{when}");
        assert_eq!(decided(&format!("!({when})"), push("main"), &changes), "never", "{when}");
    }
}

#[test]
fn of_files_that_are_not_known_nothing_is_certain_and_so_it_runs() {
    let cut = ChangedFiles { gap: Some("cut".to_owned()), ..files(&["src/a.rs"]) };
    let table = [
        (r#"changed("src/**")"#, "runs"),
        (r#"!changed("src/**")"#, "never"),
        (r#"changed("docs/**")"#, "runs"),
        (r#"!changed("docs/**")"#, "runs"),
        (r#"changed("docs/**") && event == "tag""#, "never"),
        (r#"files.all(f, f.startsWith("src/"))"#, "runs"),
        (r#"files.all(f, f.startsWith("docs/"))"#, "never"),
        ("size(files) == 1", "runs"),
        (r#"changed("docs/**") ? event == "tag" : event == "push""#, "runs"),
        (r#"changed("docs/**") && result == "failure""#, r#"unknown && result == "failure""#),
    ];
    for (when, expected) in table {
        assert_eq!(decided(when, push("main"), &cut), expected, "{when}");
    }
}

#[test]
fn what_is_known_only_later_is_left_standing_and_nothing_else() {
    let table = [
        (r#"result == "failure""#, r#"result == "failure""#),
        (r#"event == "push" && result == "failure""#, r#"result == "failure""#),
        (r#"event == "tag" && result == "failure""#, "never"),
        (r#"event == "push" || result == "failure""#, "true"),
        (
            r#"(event == "tag" || result in ["failure", "always"]) && outputs["build.build.build[VERSION]"] != "a\nb""#,
            r#"result in ["failure", "always"] && outputs["build.build.build[VERSION]"] != "a\nb""#,
        ),
        (
            r#"!(result == "success" || outputs["build.build.build[VERSION]"].startsWith(branch))"#,
            r#"!(result == "success" || outputs["build.build.build[VERSION]"].startsWith("main"))"#,
        ),
    ];
    for (when, expected) in table {
        assert_eq!(decided(when, push("main"), &files(&[])), expected, "{when}");
    }
}

#[test]
fn a_condition_whose_turn_has_come_is_decided() {
    let outputs = BTreeMap::from([("build.build.build[VERSION]".to_owned(), "2".to_owned())]);
    let holds = |text: &str, before| {
        let plan = planned(text, push("main"), &files(&[]));
        flow::holds(plan.stages[1].when.as_ref().expect("it is open"), before, &outputs)
    };
    for (text, after_success, after_failure) in [
        (r#"result == "failure""#, false, true),
        (r#"result == "success""#, true, false),
        (r#"result == "always""#, true, true),
        (r#"result in ["always"]"#, true, true),
        (r#"result != "success""#, false, true),
        (r#"outputs["build.build.build[VERSION]"] == "2""#, true, true),
        (r#"outputs["build.build.build[VERSION]"] == "" && result != "x" + "y""#, false, false),
    ] {
        assert_eq!(
            (holds(text, Before::Success), holds(text, Before::Failure)),
            (after_success, after_failure),
            "{text}"
        );
    }
}

#[test]
fn conditions_that_cost_too_much_break_the_plan_and_nothing_else() {
    let paths: Vec<String> = (0..10_000).map(|at| format!("some/long/path/to/a/file/{at}.txt")).collect();
    let job =
        |at: usize| format!("      - {{name: j{at}, image: i, when: 'files.all(f, !f.endsWith(\"{at}.rs\"))'}}\n");
    let jobs: String = (0..200).map(job).collect();
    let text = format!("stages:\n  - name: build\n    jobs:\n{jobs}");
    let flow = flow::read(".containerops.yml", &repository(), text.as_bytes()).expect("a good file");
    let circumstances = Circumstances { changes: ChangedFiles::all(paths), skip: None };
    let Decision::Broken(wrong) = flow.plan_in(&event(push("main")), &circumstances) else { panic!("it is too much") };
    assert_snapshot!(wrong.message, @"the conditions of this flow cost too much for an event that changed 10000 files");
}

#[test]
fn mistakes_in_conditions_are_told_with_their_place() {
    let wrong = [
        r#"branch = "main""#,
        "branch",
        r#"brach == "main""#,
        r#"result == "failed""#,
        r#"branch.matches("(")"#,
        r#"changed("src/[")"#,
        "changed(branch)",
        r#"files.exists("f", true)"#,
        r#"files.exists(f, files.exists(g, f == g))"#,
        r#"files.exists(f, result == "failure")"#,
        r#"inputs.level == "a""#,
        r#"outputs["build.build.build[VERSIONS]"] == """#,
        r#"outputs["ship.ship.ship[X]"] == """#,
        r#"outputs.VERSION == """#,
        r#"pr.number == "7""#,
    ];
    let lines: Vec<String> = wrong
        .iter()
        .map(|when| {
            let found = told(&file(when));
            let first = found.first().unwrap_or_else(|| panic!("{when} is wrong"));
            let hint = first.hint.as_deref().map_or_else(String::new, |hint| format!(" ({hint})"));
            format!("{when}: {}:{} {}{hint}", first.line, first.column, first.message)
        })
        .collect();
    assert_snapshot!(lines.join("\n"), @r#"
    branch = "main": 6:19 `=` does not belong into an expression (equality is ==)
    branch: 6:11 a condition is true or false; this is a text (compare it with something, as in `branch == "main"`)
    brach == "main": 6:12 there is no variable `brach` here (did you mean `branch`? A text stands in quotes of its own: '"brach"')
    result == "failed": 6:22 `result` is never `failed` (it is one of success, failure, always)
    branch.matches("("): 6:27 this is no regular expression: unclosed group
    changed("src/["): 6:20 `src/[` is no pattern: unclosed character class; missing ']'
    changed(branch): 6:20 a pattern is a text as it stands
    files.exists("f", true): 6:12 `exists` takes a name and a condition (write files.exists(f, f.endsWith(".rs")))
    files.exists(f, files.exists(g, f == g)): 6:28 a loop cannot stand within another
    files.exists(f, result == "failure"): 6:12 `result` and `outputs` cannot be asked for within a loop
    inputs.level == "a": 6:12 there is no input `level` (inputs stand in `on: manual: inputs`)
    outputs["build.build.build[VERSIONS]"] == "": 6:11 job `build` has no output `VERSIONS` (did you mean `VERSION`?)
    outputs["ship.ship.ship[X]"] == "": 6:11 the condition of a stage is decided before the stage starts
    outputs.VERSION == "": 6:11 `VERSION` does not name an output (write "stage.action.job[KEY]")
    pr.number == "7": 6:12 `==` does not go between a number and a text
    "#);
}

proptest! {
    /// Whatever stands there, reading it ends, and what is good can be planned, left standing and read again.
    #[test]
    fn no_condition_panics(words in proptest::collection::vec(prop_oneof![
        Just("("), Just(")"), Just("!"), Just("&&"), Just("||"), Just("=="), Just("in"), Just("?"), Just(":"), Just("."), Just("["), Just("]"), Just(","),
        Just("result"), Just("branch"), Just("files"), Just("f"), Just("exists(f,"), Just("changed(\"a\")"), Just("matches(\"a\")"), Just("\"failure\""),
        Just("true"), Just("unknown"), Just("inputs"), Just("outputs[\"build.build.build[VERSION]\"]"), Just("1"),
    ], 0..24)) {
        let text = file(&words.join(" "));
        if let Ok(flow) = flow::read(".containerops.yml", &repository(), text.as_bytes())
            && let Decision::Run(plan) = flow.plan(&event(push("main")))
            && let Some(when) = &plan.stages[1].when
        {
            flow::holds(when, Before::Failure, &BTreeMap::new());
        }
    }
}
