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
    assert_snapshot!(mistakes("on-list"), @r#"
error: `merge_group` is no event of its own in `on`
  --> on-list.yml:1:12
  |
1 | on: [push, merge_group, schedule, pul_request]
  |            ^^^^^^^^^^^
  = hint: it goes with `pull_request`

error: `schedule` needs its times
  --> on-list.yml:1:25
  |
1 | on: [push, merge_group, schedule, pul_request]
  |                         ^^^^^^^^
  = hint: write `schedule: [{cron: "30 3 * * *"}]` in a map

error: `pul_request` is no event
  --> on-list.yml:1:35
  |
1 | on: [push, merge_group, schedule, pul_request]
  |                                   ^^^^^^^^^^^
  = hint: did you mean `pull_request`?
"#);
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

    error: a stage of type start, pause or end runs nothing; its `actions` would never start
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

#[test]
fn approvals() {
    assert_snapshot!(mistakes("approvals"), @r#"
    error: a stage needs a `name`
      --> approvals.yml:2:5
      |
    2 |   - {type: pause}
      |     ^^^^

    error: `expires` is a duration from a second to 31 days; `32d` is none
      --> approvals.yml:3:51
      |
    3 |   - {name: late, type: pause, approval: {expires: 32d}}
      |                                                   ^^^
      = hint: write 90s, 20m, 1h30m, 7d, or whole seconds

    error: `expires` is a duration from a second to 31 days; `0` is none
      --> approvals.yml:4:52
      |
    4 |   - {name: never, type: pause, approval: {expires: 0}}
      |                                                    ^
      = hint: write 90s, 20m, 1h30m, 7d, or whole seconds

    error: `` is nobody's name
      --> approvals.yml:5:46
      |
    5 |   - {name: who, type: pause, approval: {by: ["", "a b", {c: d}], role: maintainers}}
      |                                              ^^
      = hint: a role such as maintainers, or a name as the forge has it

    error: `a b` is nobody's name
      --> approvals.yml:5:50
      |
    5 |   - {name: who, type: pause, approval: {by: ["", "a b", {c: d}], role: maintainers}}
      |                                                  ^^^^^
      = hint: a role such as maintainers, or a name as the forge has it

    error: a name in `by` is a text; this is a map
      --> approvals.yml:5:57
      |
    5 |   - {name: who, type: pause, approval: {by: ["", "a b", {c: d}], role: maintainers}}
      |                                                         ^
      = hint: put it in quotes if it is meant to be a text

    error: unknown key `role` in `approval`
      --> approvals.yml:5:66
      |
    5 |   - {name: who, type: pause, approval: {by: ["", "a b", {c: d}], role: maintainers}}
      |                                                                  ^^^^
      = hint: did you mean `note`?

    error: `approval` is a map of keys and values; this is a text
      --> approvals.yml:6:41
      |
    6 |   - {name: text, type: pause, approval: maintainers}
      |                                         ^^^^^^^^^^^

    error: `image` is a key of a job, not of a stage
      --> approvals.yml:7:31
      |
    7 |   - {name: busy, type: pause, image: alpine, run: "true"}
      |                               ^^^^^

    error: `run` is a key of a job, not of a stage
      --> approvals.yml:7:46
      |
    7 |   - {name: busy, type: pause, image: alpine, run: "true"}
      |                                              ^^^

    error: a stage of type start, pause or end runs nothing; its `actions` would never start
      --> approvals.yml:8:31
      |
    8 |   - {name: work, type: pause, actions: [{name: a, image: alpine}]}
      |                               ^^^^^^^
      = hint: write `type: normal`

    error: `approval` is of a stage of type pause
      --> approvals.yml:9:35
      |
    9 |   - {name: normal, image: alpine, approval: {by: ada}}
      |                                   ^^^^^^^^
      = hint: put a stage `{type: pause, approval: …}` before this one

    error: `note` is a text; this is a list
       --> approvals.yml:10:48
       |
    10 |   - {name: note, type: pause, approval: {note: [a]}}
       |                                                ^
    "#);
}

#[test]
fn a_mistake_in_every_key_is_told() {
    assert_snapshot!(mistakes("every-key"), @r#"
error: `uri` is a text; this is a list
  --> every-key.yml:1:6
  |
1 | uri: [a]
  |      ^

error: `title` is a text; this is a map
  --> every-key.yml:2:8
  |
2 | title: {a: b}
  |        ^
  = hint: put it in quotes if it is meant to be a text

error: `version` is a text; this is a list
  --> every-key.yml:3:10
  |
3 | version: [1]
  |          ^

error: `tag` is a text; this is a list
  --> every-key.yml:4:6
  |
4 | tag: [1]
  |      ^

error: `environments` is a map of variables; this is a text
  --> every-key.yml:5:15
  |
5 | environments: many
  |               ^^^^
  = hint: write NAME: value

error: a group is a text; this is a list
  --> every-key.yml:6:22
  |
6 | concurrency: {group: [a], policy: wait, limit: none, lmit: 1}
  |                      ^

error: `policy` is cancel or queue or parallel; `wait` is none of them
  --> every-key.yml:6:35
  |
6 | concurrency: {group: [a], policy: wait, limit: none, lmit: 1}
  |                                   ^^^^

error: `limit` is a number from 1 to 1000; `none` is none
  --> every-key.yml:6:48
  |
6 | concurrency: {group: [a], policy: wait, limit: none, lmit: 1}
  |                                                ^^^^

error: unknown key `lmit` in `concurrency`
  --> every-key.yml:6:54
  |
6 | concurrency: {group: [a], policy: wait, limit: none, lmit: 1}
  |                                                      ^^^^
  = hint: did you mean `limit`?

error: `soon` is no duration
  --> every-key.yml:7:10
  |
7 | timeout: soon
  |          ^^^^
  = hint: write 90s, 20m, 1h30m, 7d, or whole seconds

error: `branches` is empty, and would match nothing
  --> every-key.yml:8:23
  |
8 | on: {push: {branches: []}, pull_request: {branch: main}, tag: {names: ["!v"]}}
  |                       ^
  = hint: remove it to match everything

error: unknown key `branch` in a branch filter
  --> every-key.yml:8:43
  |
8 | on: {push: {branches: []}, pull_request: {branch: main}, tag: {names: ["!v"]}}
  |                                           ^^^^^^
  = hint: did you mean `branches`?

error: patterns cannot be negated
  --> every-key.yml:8:72
  |
8 | on: {push: {branches: []}, pull_request: {branch: main}, tag: {names: ["!v"]}}
  |                                                                        ^^^^
  = hint: name what should match

error: `variables` is a map of names and texts; this is a list
  --> every-key.yml:9:12
  |
9 | variables: [A]
  |            ^

error: `receivers` is a list; this is a text
   --> every-key.yml:10:12
   |
10 | receivers: dev@acme.example
   |            ^^^^^^^^^^^^^^^^
   = hint: begin each item with `- `

error: a name is a text; this is a list
   --> every-key.yml:12:11
   |
12 |   - name: [a]
   |           ^

error: `title` is a text; this is a list
   --> every-key.yml:13:12
   |
13 |     title: [b]
   |            ^

error: `sequencing` is sequence or parallel; `both` is none of them
   --> every-key.yml:14:17
   |
14 |     sequencing: both
   |                 ^^^^

error: no stage is named `nobody`
   --> every-key.yml:15:13
   |
15 |     needs: [nobody]
   |             ^^^^^^

error: `fail-fast` is true or false; `maybe` is none of them
   --> every-key.yml:16:16
   |
16 |     fail-fast: maybe
   |                ^^^^^

error: `b c` is no name: 1 to 63 of letters, digits, `-` and `_`
   --> every-key.yml:18:15
   |
18 |       - name: b c
   |               ^^^
   = hint: `b-c` would do; `title` takes any text

error: `title` is a text; this is a list
   --> every-key.yml:19:16
   |
19 |         title: [x]
   |                ^

error: `allow-failure` is true or false; `perhaps` is none of them
   --> every-key.yml:20:24
   |
20 |         allow-failure: perhaps
   |                        ^^^^^^^

error: `d/e` is no name: 1 to 63 of letters, digits, `-` and `_`
   --> every-key.yml:22:19
   |
22 |           - name: "d/e"
   |                   ^^^^^
   = hint: `d-e` would do; `title` takes any text

error: `a b` is no image
   --> every-key.yml:23:20
   |
23 |             image: "a b"
   |                    ^^^^^
   = hint: an image is written registry/repository:tag

error: `run` is one text; this is a list
   --> every-key.yml:24:18
   |
24 |             run: [a]
   |                  ^
   = hint: write `run: |`, and the lines below it

error: `A B` is no variable's name
   --> every-key.yml:25:28
   |
25 |             environments: {A B: c}
   |                            ^^^
   = hint: letters, digits and `_`, not beginning with a digit

error: `a=b` is no output's name
   --> every-key.yml:26:23
   |
26 |             outputs: ["a=b"]
   |                       ^^^^^
   = hint: for example VERSION, printed as `[COUT] VERSION=1.2`

error: `x` does not name an output
   --> every-key.yml:27:30
   |
27 |             subscriptions: [{"x": Y}]
   |                              ^^^
   = hint: write "stage.action.job[KEY]"

error: `lots` is no quantity
   --> every-key.yml:28:30
   |
28 |             resources: {cpu: lots, memory: 1, limits: {cpu: most, memory: -1}}
   |                              ^^^^
   = hint: write 500m, 2, 512Mi or 4G

error: `1` of memory is less than 1 MiB
   --> every-key.yml:28:44
   |
28 |             resources: {cpu: lots, memory: 1, limits: {cpu: most, memory: -1}}
   |                                            ^
   = hint: the units of memory are Mi, Gi, M and G

error: `most` is no quantity
   --> every-key.yml:28:61
   |
28 |             resources: {cpu: lots, memory: 1, limits: {cpu: most, memory: -1}}
   |                                                             ^^^^
   = hint: write 500m, 2, 512Mi or 4G

error: `-1` is no quantity
   --> every-key.yml:28:75
   |
28 |             resources: {cpu: lots, memory: 1, limits: {cpu: most, memory: -1}}
   |                                                                           ^^
   = hint: write 500m, 2, 512Mi or 4G

error: `later` is no duration
   --> every-key.yml:29:22
   |
29 |             timeout: later
   |                      ^^^^^
   = hint: write 90s, 20m, 1h30m, 7d, or whole seconds

error: `allow-failure` is true or false; `no!` is none of them
   --> every-key.yml:30:28
   |
30 |             allow-failure: no!
   |                            ^^^

error: `c d` is no image
   --> every-key.yml:31:23
   |
31 |           - endpoint: "c d"
   |                       ^^^^^
   = hint: an image is written registry/repository:tag

error: `command` is a list of texts; this is a text
   --> every-key.yml:32:22
   |
32 |             command: make
   |                      ^^^^
   = hint: write [program, argument, …], or use `run` for a shell

warning: stage `f` has nothing to run
   --> every-key.yml:34:5
   |
34 |     actions: {a: b}
   |     ^^^^^^^

error: `actions` is a list; this is a map
   --> every-key.yml:34:14
   |
34 |     actions: {a: b}
   |              ^
   = hint: begin each item with `- `

warning: action `g` has no job and is left out
   --> every-key.yml:35:5
   |
35 |   - name: g
   |     ^^^^
   = hint: give it `jobs`, or an `image`

error: `jobs` is a list; this is a map
   --> every-key.yml:36:11
   |
36 |     jobs: {a: b}
   |           ^
   = hint: begin each item with `- `
"#);
}
