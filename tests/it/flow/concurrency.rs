//! `concurrency`: what a file says becomes a group, a policy and a limit for an event.

use containerops::{
    flow::{self, Decision},
    model::{Concurrency, EventKind, RepositoryName},
};
use insta::assert_snapshot;
use proptest::prelude::*;

use super::{event, good, merge_group, plan, pull_request, push, repository, tag, told};

const REST: &str = "image: \"rust:1\"\nrun: cargo test\n";

/// The concurrency of an event's run where a flow file says this: `policy group, limit`.
fn of(concurrency: &str, kind: EventKind) -> String {
    let text = format!("{concurrency}{}{REST}", if concurrency.is_empty() { "" } else { "\n" });
    let flow = flow::read(".containerops.yml", &repository(), text.as_bytes());
    let flow = flow.unwrap_or_else(|wrong| panic!("{}", flow::render("ci", &wrong)));
    match plan(&flow, kind).concurrency {
        None => "none".to_owned(),
        Some(Concurrency { group, policy, limit }) => {
            let limit = limit.map_or_else(String::new, |limit| format!(", {limit}"));
            format!("{} {group}{limit}", policy.as_str())
        }
    }
}

fn from_fork(fork: &str, branch: &str) -> EventKind {
    let EventKind::PullRequest(mut pull) = pull_request(branch, "main") else { unreachable!("it is one") };
    pull.head_repository = Some(fork.parse::<RepositoryName>().expect("a name"));
    EventKind::PullRequest(pull)
}

#[test]
fn by_default_a_pull_requests_newest_run_counts_and_others_run_side_by_side() {
    assert_eq!(of("", pull_request("fix", "main")), "cancel ci/acme/shop/pull/7, 1");
    for kind in [push("main"), tag("v1"), merge_group("main")] {
        let text = format!("on: [push, pull_request, tag]\n{REST}");
        let flow = flow::read(".containerops.yml", &repository(), text.as_bytes()).expect("a good file");
        assert_eq!(plan(&flow, kind).concurrency, None);
    }
}

#[test]
fn what_is_not_said_is_found_by_the_event() {
    let table = [
        ("concurrency: deploy", push("main")),
        ("concurrency: deploy", pull_request("fix", "main")),
        ("concurrency: {}", push("release/1.0")),
        ("concurrency: {limit: 2}", push("main")),
        ("concurrency: {limit: 2}", pull_request("fix", "main")),
        ("concurrency: {policy: queue}", pull_request("fix", "main")),
        ("concurrency: {policy: cancel}", push("main")),
        ("concurrency: {policy: cancel}", merge_group("main")),
        ("concurrency: {policy: parallel}", push("main")),
        ("concurrency: {policy: parallel, limit: 5, group: rig}", push("main")),
        ("concurrency: {group: rig, policy: cancel}", pull_request("fix", "main")),
    ];
    let table: Vec<String> = table.into_iter().map(|(text, kind)| format!("{text}: {}", of(text, kind))).collect();
    assert_snapshot!(table.join("\n"), @r"
    concurrency: deploy: queue deploy, 1
    concurrency: deploy: queue deploy, 1
    concurrency: {}: queue ci/acme/shop/branch/release/1.0, 1
    concurrency: {limit: 2}: queue ci/acme/shop/branch/main, 2
    concurrency: {limit: 2}: cancel ci/acme/shop/pull/7, 2
    concurrency: {policy: queue}: queue ci/acme/shop/pull/7, 1
    concurrency: {policy: cancel}: cancel ci/acme/shop/branch/main, 1
    concurrency: {policy: cancel}: cancel ci/acme/shop/branch/queue/main/7, 1
    concurrency: {policy: parallel}: parallel ci/acme/shop/branch/main
    concurrency: {policy: parallel, limit: 5, group: rig}: parallel rig, 5
    concurrency: {group: rig, policy: cancel}: cancel rig, 1
    ");
}

#[test]
fn branches_of_the_same_name_in_two_forks_are_two_groups() {
    let group = |fork: &str| of("", from_fork(fork, "patch-1"));
    assert_ne!(group("ada/shop"), group("bob/shop"));
    assert_snapshot!(group("ada/shop"), @"cancel ci/ada/shop/pull/7, 1");
}

#[test]
fn a_group_may_be_made_of_the_event() {
    let table = [
        (r#"'"deploy-" + branch'"#, push("main")),
        (r#"'event == "push" ? "deploy" : ""'"#, push("main")),
        (r#"'event == "push" ? "deploy" : ""'"#, pull_request("fix", "main")),
        (r#"'"pr-" + string(pr.number)'"#, pull_request("fix", "main")),
        (r#"'"pr-" + string(pr.number)'"#, push("main")),
        (r#"'branch in ["main", "next"] ? "trunk" : branch'"#, push("next")),
        (r#"'branch.startsWith("release/") && !pr.draft ? "release" : "other"'"#, push("release/2")),
        (r#"'size(branch) > 3 || trusted && pr.number == 0 ? "a" : "b"'"#, push("x")),
        (r#"'base + "/" + pr.author + "/" + pr.title'"#, pull_request("fix", "main")),
        ("(branch)", push("main")),
        (r#"'"deploy prod"'"#, push("main")),
    ];
    let table: Vec<String> =
        table.into_iter().map(|(text, kind)| of(&format!("concurrency: {{group: {text}}}"), kind)).collect();
    assert_snapshot!(table.join("\n"), @r"
    queue deploy-main, 1
    queue deploy, 1
    none
    queue pr-7, 1
    queue pr-0, 1
    queue trunk, 1
    queue release, 1
    queue a, 1
    queue main/ada/Fix it, 1
    queue main, 1
    queue deploy prod, 1
    ");
}

#[test]
fn a_long_group_is_shortened_and_stays_itself() {
    let long = |end: &str| of("concurrency: (branch)", push(&format!("{}{end}", "x".repeat(500))));
    assert_ne!(long("a"), long("b"));
    let hostile = of("concurrency: (branch)", push("ma\u{202e}in\u{7}"));
    assert!(long("a").len() < 220 && !hostile.contains(['\u{202e}', '\u{7}']), "{hostile}");
    assert_ne!(hostile, of("concurrency: (branch)", push("ma\u{202d}in\u{7}")), "what looks alike is not the same");
}

#[test]
fn variables_of_the_file_are_put_into_a_group() {
    assert_snapshot!(flow::full_form(&plan(&good("good", "concurrency"), push("main"))).lines().nth(1).expect("a line"), @"concurrency: {group: deploy/staging, policy: parallel, limit: 3}");
}

#[test]
fn a_plan_says_its_group_in_a_way_that_can_be_read_again() {
    for kind in [push("main"), push("feat#1 \"x\" \\ y"), pull_request("fix", "main")] {
        let text = format!("concurrency: {{policy: cancel}}\n{REST}");
        let flow = flow::read(".containerops.yml", &repository(), text.as_bytes()).expect("a good file");
        let first = plan(&flow, kind.clone());
        let written = flow::full_form(&first);
        let again = flow::read("other.yml", &repository(), written.as_bytes()).unwrap_or_else(|wrong| {
            panic!("{written}\n{}", flow::render("other.yml", &wrong));
        });
        assert_eq!(plan(&again, kind).concurrency, first.concurrency, "{written}");
    }
}

#[test]
fn a_name_that_looks_like_a_variable_is_warned_about() {
    let text = format!("concurrency: branch\n{REST}");
    assert_snapshot!(flow::render("ci", &told(&text)), @r"
    warning: `branch` is a name here, and the same for all runs
      --> ci:1:14
      |
    1 | concurrency: branch
      |              ^^^^^^
      = hint: as an expression it is (branch)
    ");
}

#[test]
fn the_place_of_a_mistake_is_that_in_its_line() {
    let wrong = |expression: &str| {
        let told = told(&format!("concurrency: {{group: {expression}}}\n{REST}"));
        let [first] = told.as_slice() else { panic!("{expression}: {told:?}") };
        let hint = first.hint.as_deref().unwrap_or_default();
        format!(
            "{expression}\n{}{} {} ({hint})",
            " ".repeat(first.column - 22),
            "^".repeat(first.length),
            first.message
        )
    };
    let table = [
        r#"'brnch + "x"'"#,
        r#"'${{ github.ref }}'"#,
        "deploy prod",
        r#"'"a" + pr.number'"#,
        "'pr.number + 1'",
        "(pr.labels)",
        r#"'branch.startswith("x") ? "a" : "b"'"#,
        r#"'branch ? "a" : "b"'"#,
        r#"'event == "push" ? "a"'"#,
        r#"'startsWith(branch, "x") ? "a" : "b"'"#,
        r#"'"a'"#,
        r#"'branch = "x"'"#,
        r#"'["a", 1]'"#,
        r#"'1 in ["a"] ? "x" : "y"'"#,
        r#"'branch.matches("a*")'"#,
        "(99999999999999999999)",
        r#"'"\q"'"#,
        "''",
    ];
    assert_snapshot!(table.map(wrong).join("\n"), @r#"
    'brnch + "x"'
     ^^^^^ there is no variable `brnch` here (did you mean `branch`? A text stands in quotes of its own: '"brnch"')
    '${{ github.ref }}'
     ^ `$` does not belong into an expression (an expression stands there as it is, without ${{ }})
    deploy prod
           ^^^^ the expression should end here (a text stands in quotes of its own: '"a b"')
    '"a" + pr.number'
     ^^^^^^^^^^^^^^^ `+` does not go between a text and a number (`string(…)` makes a text of it)
    'pr.number + 1'
    ^^^^^^^^^^^^^^^ a group is a text; this expression is a number (`string(…)` makes a text of it)
    (pr.labels)
    ^^^^^^^^^^^ a group is a text; this expression is a list of texts (`string(…)` makes a text of it)
    'branch.startswith("x") ? "a" : "b"'
     ^^^^^^^^^^^^^^^^^^^^^^ there is no function `startswith` here (did you mean `startsWith`?)
    'branch ? "a" : "b"'
     ^^^^^^ true or false is expected here; this is a text (a group is a name of letters, digits, `.`, `_`, `/` and `-`, or an expression)
    'event == "push" ? "a"'
                           `:` is missing here (a group is a name of letters, digits, `.`, `_`, `/` and `-`, or an expression)
    'startsWith(branch, "x") ? "a" : "b"'
     ^^^^^^^^^^^^^^^^^^^^^^^ there is no function `startsWith` here (it is asked of a text: `branch.startsWith("x")`)
    '"a'
     ^^ this text does not end (close it with ")
    'branch = "x"'
            ^ `=` does not belong into an expression (equality is ==)
    '["a", 1]'
           ^ a text is expected here; this is a number (a group is a name of letters, digits, `.`, `_`, `/` and `-`, or an expression)
    '1 in ["a"] ? "x" : "y"'
     ^^^^^^^^^^ `in` does not go between a number and a list of texts (a group is a name of letters, digits, `.`, `_`, `/` and `-`, or an expression)
    'branch.matches("a*")'
    ^^^^^^^^^^^^^^^^^^^^^^ a group is a text; this expression is true or false (`string(…)` makes a text of it)
    (99999999999999999999)
     ^^^^^^^^^^^^^^^^^^^^ `99999999999999999999` is no whole number (a group is a name of letters, digits, `.`, `_`, `/` and `-`, or an expression)
    '"\q"'
      ^^ only \\, \", \', \n and \t are escapes (a group is a name of letters, digits, `.`, `_`, `/` and `-`, or an expression)
    ''
      something is missing here (a group is a name of letters, digits, `.`, `_`, `/` and `-`, or an expression)
    "#);
}

#[test]
fn hostile_expressions_are_refused_soon() {
    let deep = [
        "(".repeat(900),
        "[".repeat(900),
        "!".repeat(900),
        "a?".repeat(450),
        "a?b:".repeat(220),
        "size([".repeat(150),
        "string(".repeat(120),
        format!("1{}", "+1".repeat(400)),
        format!("\"\"{}", ".size()".repeat(140)),
        "x".repeat(1001),
        "\u{1f600}".repeat(400),
    ];
    for expression in deep {
        let begun = std::time::Instant::now();
        let told = told(&format!("concurrency: {{group: '({expression}'}}\n{REST}"));
        assert!(!told.is_empty(), "{expression}");
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{expression}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_expression_is_answered_and_what_is_good_has_a_value_for_every_event(
        parts in prop::collection::vec(prop::sample::select(vec![
            "branch", "pr.number", "pr", "trusted", "\"x\"", "'", "1", "(", ")", "[", "]", "+", "==", "&&", "!", "?", ":",
            ".", "startsWith", "size(", "string(", ",", " in ", "<", "é", "\\\"", "true",
        ]), 1..12),
    ) {
        let quoted = parts.concat().replace('\\', "\\\\").replace('"', "\\\"");
        let text = format!("concurrency: {{group: \"{quoted}\"}}\n{REST}");
        if let Ok(flow) = flow::read(".containerops.yml", &repository(), text.as_bytes()) {
            for kind in [push("main"), pull_request("fix", "main")] {
                let Decision::Run(plan) = flow.plan(&event(kind)) else { panic!("nothing filters it") };
                prop_assert!(plan.concurrency.is_none_or(|concurrency| concurrency.group.chars().count() <= 200));
            }
        }
    }
}
