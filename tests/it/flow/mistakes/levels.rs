//! Keys, names and the order of stages.

use insta::assert_snapshot;

use super::{messages, mistakes};

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    assert_snapshot!(mistakes("unknown-keys"), @r"
error: unknown key `titel` in a flow
  --> unknown-keys.yml:1:1
  |
1 | titel: Test
  | ^^^^^
  = hint: did you mean `title`?

error: unknown key `sequencin` in a stage
  --> unknown-keys.yml:4:5
  |
4 |     sequencin: parallel
  |     ^^^^^^^^^
  = hint: did you mean `sequencing`?

error: unknown key `allow_failure` in an action
  --> unknown-keys.yml:7:9
  |
7 |         allow_failure: true
  |         ^^^^^^^^^^^^^
  = hint: did you mean `allow-failure`?

error: unknown key `imgae` in a job
  --> unknown-keys.yml:9:13
  |
9 |           - imgae: rust:1.95
  |             ^^^^^
  = hint: did you mean `image`?

error: unknown key `cpus` in `resources`
   --> unknown-keys.yml:12:25
   |
12 |             resources: {cpus: 1, limits: {mem: 1Gi}}
   |                         ^^^^
   = hint: did you mean `cpu`?

error: unknown key `mem` in `limits`
   --> unknown-keys.yml:12:43
   |
12 |             resources: {cpus: 1, limits: {mem: 1Gi}}
   |                                           ^^^
   = hint: did you mean `memory`?

error: unknown key `zzz` in a job
   --> unknown-keys.yml:13:13
   |
13 |             zzz: 1
   |             ^^^
");
}

#[test]
fn values_of_the_wrong_shape() {
    assert_snapshot!(mistakes("shapes"), @r"
error: `title` is a text; this is a list
  --> shapes.yml:1:8
  |
1 | title: [a, b]
  |        ^

error: an event is a text; this is a map
  --> shapes.yml:2:12
  |
2 | on: [push, {tag: x}]
  |            ^^^
  = hint: put it in quotes if it is meant to be a text

error: `environments` is a map of variables; this is a text
  --> shapes.yml:3:15
  |
3 | environments: LEVEL=info
  |               ^^^^^^^^^^
  = hint: write NAME: value

error: `stages` is a list; this is a map
  --> shapes.yml:5:3
  |
5 |   test: {image: rust}
  |   ^^^^
  = hint: begin each item with `- `
");
}

#[test]
fn names_that_are_none() {
    assert_snapshot!(mistakes("names"), @r#"
error: a stage needs a `name`
  --> names.yml:2:5
  |
2 |   - image: rust
  |     ^^^^^

error: `unit tests` is no name: 1 to 63 of letters, digits, `-` and `_`
  --> names.yml:3:12
  |
3 |   - {name: "unit tests", image: rust}
  |            ^^^^^^^^^^^^
  = hint: `unit-tests` would do; `title` takes any text

error: `a.b` is no name: 1 to 63 of letters, digits, `-` and `_`
  --> names.yml:4:12
  |
4 |   - {name: a.b, image: rust}
  |            ^^^
  = hint: `a-b` would do; `title` takes any text

error: `-` is no name: 1 to 63 of letters, digits, `-` and `_`
  --> names.yml:5:12
  |
5 |   - {name: "-", image: rust}
  |            ^^^

error: `same` is already the name of another stage (line 6)
  --> names.yml:7:12
  |
7 |   - {name: same, image: rust}
  |            ^^^^

error: `job-1` is already the name of another job (line 10)
   --> names.yml:11:16
   |
11 |       - {name: job-1, image: rust}
   |                ^^^^^
"#);
}

#[test]
fn a_uri_of_two_parts() {
    assert_snapshot!(mistakes("uri"), @r"
error: `shop/ci` is no uri: <namespace>/<repository>/<name> is expected
  --> uri.yml:1:6
  |
1 | uri: shop/ci
  |      ^^^^^^^
  = hint: without one it is acme/shop/uri
");
}

#[test]
fn needs_that_do_not_point_backwards() {
    assert_snapshot!(mistakes("needs"), @r"
error: no stage is named `biuld`
  --> needs.yml:3:39
  |
3 |   - {name: test, image: rust, needs: [biuld, test, ship]}
  |                                       ^^^^^
  = hint: did you mean `build`?

error: a stage cannot need itself
  --> needs.yml:3:46
  |
3 |   - {name: test, image: rust, needs: [biuld, test, ship]}
  |                                              ^^^^

error: stage `ship` comes later; `needs` points backwards
  --> needs.yml:3:52
  |
3 |   - {name: test, image: rust, needs: [biuld, test, ship]}
  |                                                    ^^^^
  = hint: move `ship` above this stage

error: a stage in `needs` is a text; this is a map
  --> needs.yml:4:38
  |
4 |   - {name: ship, image: rust, needs: {build: true}}
  |                                      ^^^^^
  = hint: put it in quotes if it is meant to be a text
");
}

#[test]
fn filters_that_would_match_nothing() {
    assert_snapshot!(mistakes("on"), @r#"
error: `branches` is empty, and would match nothing
  --> on.yml:2:20
  |
2 |   push: {branches: [], tags: ["v*"]}
  |                    ^
  = hint: remove it to match everything

error: `tags` is no key of `push`
  --> on.yml:2:24
  |
2 |   push: {branches: [], tags: ["v*"]}
  |                        ^^^^
  = hint: tags are an event of their own: `tag: {names: ["v*"]}`

error: unknown key `pull-request` in `on`
  --> on.yml:3:3
  |
3 |   pull-request: {branches: [main]}
  |   ^^^^^^^^^^^^
  = hint: did you mean `pull_request`?

error: patterns cannot be negated
  --> on.yml:4:17
  |
4 |   tag: {names: ["!v*", "v[", ""]}
  |                 ^^^^^
  = hint: name what should match

error: `v[` is no pattern: unclosed character class; missing ']'
  --> on.yml:4:24
  |
4 |   tag: {names: ["!v*", "v[", ""]}
  |                        ^^^^

error: a pattern has 1 to 255 bytes
  --> on.yml:4:30
  |
4 |   tag: {names: ["!v*", "v[", ""]}
  |                              ^^

error: `merge_group` is no event of its own in `on`
  --> on.yml:5:3
  |
5 |   merge_group:
  |   ^^^^^^^^^^^
  = hint: it goes with `pull_request`
"#);
}

#[test]
fn events_that_are_none() {
    assert_snapshot!(mistakes("on-list"), @r"
error: `merge_group` is no event of its own in `on`
  --> on-list.yml:1:12
  |
1 | on: [push, merge_group, schedule, pul_request]
  |            ^^^^^^^^^^^
  = hint: it goes with `pull_request`

error: `on: schedule` is not supported yet
  --> on-list.yml:1:25
  |
1 | on: [push, merge_group, schedule, pul_request]
  |                         ^^^^^^^^
  = hint: remove it

error: `pul_request` is no event
  --> on-list.yml:1:35
  |
1 | on: [push, merge_group, schedule, pul_request]
  |                                   ^^^^^^^^^^^
  = hint: did you mean `pull_request`?
");
}

#[test]
fn levels_that_are_mixed() {
    assert_snapshot!(mistakes("levels-mixed"), @r"
error: `image` is a key of a job, not of a stage
  --> levels-mixed.yml:3:5
  |
3 |     image: rust
  |     ^^^^^
  = hint: move it into `jobs`, or replace `jobs` by the keys of its only item

error: `run` is a key of a job, not of a stage
  --> levels-mixed.yml:4:5
  |
4 |     run: cargo test
  |     ^^^
  = hint: move it into `jobs`, or replace `jobs` by the keys of its only item

error: `needs` is a key of a stage, not of a job
  --> levels-mixed.yml:6:52
  |
6 |       - {name: unit, image: rust, run: cargo test, needs: [build]}
  |                                                    ^^^^^

error: `jobs` is a key of an action, not of a stage
  --> levels-mixed.yml:8:5
  |
8 |     jobs: [{image: rust}]
  |     ^^^^
  = hint: move it into `actions`, or replace `actions` by the keys of its only item

error: a stage of type start or end runs nothing; its `actions` would never start
   --> levels-mixed.yml:10:28
   |
10 |   - {name: end, type: end, actions: [{name: a, image: rust}]}
   |                            ^^^^^^^
   = hint: write `type: normal`

error: `type: component` is a job's type, not a stage's
   --> levels-mixed.yml:11:24
   |
11 |   - {name: kind, type: component, image: rust}
   |                        ^^^^^^^^^
   = hint: remove it; jobs are components unless they say otherwise
");
}

#[test]
fn a_flow_without_a_job() {
    assert_snapshot!(mistakes("nothing-to-run"), @r"
warning: stage `test` has nothing to run
  --> nothing-to-run.yml:3:5
  |
3 |     actions:
  |     ^^^^^^^

error: stage `empty` has nothing to run
  --> nothing-to-run.yml:4:5
  |
4 |   - name: empty
  |     ^^^^
  = hint: give it `actions`, `jobs`, or an `image`
");
}

#[test]
fn smaller_mistakes_and_what_is_none() {
    let original = "uri: a/b/c\nstages:\n  - {type: start}\n  - {name: s, type: normal, sequencing: sequence, actions:";
    let table = [
        ("image: rust\nenvironments: {MAIL: 'git@h.example, x@y.example'}", vec![]),
        ("image: rust\nenvironments: {MAIL: a@NAME@}", vec!["no variable is named `NAME`"]),
        ("variables:\nimage: rust\non: push", vec![]),
        ("image: rust\non: {push: true}", vec!["a branch filter is a map of keys and values; this is a text"]),
        ("image: rust\nkubectl: a.yaml", vec!["a job with an image is a component: its `kubectl` is ignored"]),
        ("image: rust\ntimeout: 0", vec![]),
        ("jobs: [{image: rust, title: no}]", vec!["`title` is a key of a flow, not of a job"]),
        (
            "stages: [{name: s, image: rust, actions: }]",
            vec!["`image` is a key of a job, not of a stage", "stage `s` has nothing to run"],
        ),
        (
            "stages: [{name: s, actions: [{name: a}]}]",
            vec![
                "nothing to run: the flow has no job",
                "stage `s` has nothing to run",
                "action `a` has no job and is left out",
            ],
        ),
        ("image: rust\n\tx: 1", vec!["this is not YAML: while scanning a plain scalar, found a tab"]),
    ];
    for (text, expected) in table {
        assert_eq!(messages(text), expected, "{text}");
    }
    assert_eq!(
        messages(&format!("{original} [{{name: a, jobs: [{{endpoint: i, environments: [{{X: a@B@}}]}}]}}]}}")),
        [""; 0]
    );
    assert_eq!(
        messages(&format!("{original} [{{name: a, jobs: [{{endpoint: i, kubectl: x, colour: red}}]}}]}}")),
        ["a job with an image is a component: its `kubectl` is ignored", "unknown key `colour` in a job",]
    );
    assert_eq!(
        messages(&format!("{original} [{{name: a, jobs: [{{kubectl: x}}]}}]}}")),
        ["neither job nor flow names a `namespace`: it is `default`"]
    );
}

#[test]
fn a_concurrency_with_every_key_wrong() {
    assert_snapshot!(mistakes("concurrency"), @r#"
    error: there is no variable `brnch` here
      --> concurrency.yml:2:23
      |
    2 |   group: '"deploy-" + brnch'
      |                       ^^^^^
      = hint: did you mean `branch`? A text stands in quotes of its own: '"brnch"'

    error: `policy` is cancel or queue or parallel; `replace` is none of them
      --> concurrency.yml:3:11
      |
    3 |   policy: replace
      |           ^^^^^^^

    error: `limit` is a number from 1 to 1000; `0` is none
      --> concurrency.yml:4:10
      |
    4 |   limit: 0
      |          ^

    error: unknown key `limits` in `concurrency`
      --> concurrency.yml:5:3
      |
    5 |   limits: 2
      |   ^^^^^^
      = hint: did you mean `limit`?
    "#);
}
