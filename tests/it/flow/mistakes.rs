//! Every kind of mistake, as its author reads it.

use containerops::{flow, model::Severity};
use insta::assert_snapshot;

use super::{all, bytes, repository, told};

/// What the author of a bad fixture is told.
fn mistakes(name: &str) -> String {
    let path = format!("{name}.yml");
    match flow::read(&path, &repository(), &bytes("bad", name)) {
        Ok(_) => panic!("{name} has no mistake"),
        Err(diagnostics) => flow::render(&path, &diagnostics),
    }
}

/// The messages alone.
fn messages(text: &str) -> Vec<String> {
    told(text).into_iter().map(|diagnostic| diagnostic.message).collect()
}

#[test]
fn every_bad_file_has_an_error() {
    for (name, text) in all("bad") {
        let diagnostics = flow::read(&name, &repository(), &text).err().unwrap_or_default();
        assert!(diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error), "{name}");
    }
}

#[test]
fn text_that_is_not_yaml() {
    assert_snapshot!(mistakes("syntax"), @r"
error: this is not YAML: illegal placement of ':' indicator
  --> syntax.yml:4:8
  |
4 |     run: cargo test
  |        ^
");
}

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

error: unknown key `zzz` in a job
   --> unknown-keys.yml:13:13
   |
13 |             zzz: 1
   |             ^^^
");
}

#[test]
fn what_does_not_run_yet_is_refused_by_name() {
    assert_snapshot!(mistakes("not-yet"), @r#"
error: `concurrency` is not supported yet
  --> not-yet.yml:1:1
  |
1 | concurrency: {group: deploy}
  | ^^^^^^^^^^^
  = hint: remove it

error: `receivers` is not supported yet
  --> not-yet.yml:2:1
  |
2 | receivers: []
  | ^^^^^^^^^
  = hint: remove it

error: `paths` is not supported yet
  --> not-yet.yml:4:10
  |
4 |   push: {paths: ["src/**"]}
  |          ^^^^^
  = hint: remove it

error: `schedule` is not supported yet
  --> not-yet.yml:5:3
  |
5 |   schedule: [{cron: "30 3 * * *"}]
  |   ^^^^^^^^
  = hint: remove it

error: `when` is not supported yet
  --> not-yet.yml:8:5
  |
8 |     when: event == "tag"
  |     ^^^^
  = hint: remove it

error: `matrix` is not supported yet
  --> not-yet.yml:9:5
  |
9 |     matrix: {rust: ["1.95", beta]}
  |     ^^^^^^
  = hint: remove it

error: `cache` is not supported yet
   --> not-yet.yml:10:5
   |
10 |     cache: []
   |     ^^^^^
   = hint: remove it

error: `secrets` is not supported yet
   --> not-yet.yml:13:5
   |
13 |     secrets: [TOKEN]
   |     ^^^^^^^
   = hint: remove it

error: `retry` is not supported yet
   --> not-yet.yml:14:5
   |
14 |     retry: {max: 1}
   |     ^^^^^
   = hint: remove it

error: stage `approve` has nothing to run
   --> not-yet.yml:15:5
   |
15 |   - {name: approve, type: pause, approval: {by: [maintainers]}}
   |     ^^^^
   = hint: give it `actions`, `jobs`, or an `image`

error: `type: pause` is not supported yet
   --> not-yet.yml:15:27
   |
15 |   - {name: approve, type: pause, approval: {by: [maintainers]}}
   |                           ^^^^^
   = hint: remove the stage

error: `approval` is not supported yet
   --> not-yet.yml:15:34
   |
15 |   - {name: approve, type: pause, approval: {by: [maintainers]}}
   |                                  ^^^^^^^^
   = hint: remove it

error: `type: kubectl` is not supported yet
   --> not-yet.yml:18:29
   |
18 |       - {name: apply, type: kubectl, kubectl: app.yaml, namespace: shop, wait: 5m}
   |                             ^^^^^^^
   = hint: remove the job

error: `kubectl` is not supported yet
   --> not-yet.yml:18:38
   |
18 |       - {name: apply, type: kubectl, kubectl: app.yaml, namespace: shop, wait: 5m}
   |                                      ^^^^^^^
   = hint: remove it

error: `namespace` is not supported yet
   --> not-yet.yml:18:57
   |
18 |       - {name: apply, type: kubectl, kubectl: app.yaml, namespace: shop, wait: 5m}
   |                                                         ^^^^^^^^^
   = hint: remove it

error: `wait` is not supported yet
   --> not-yet.yml:18:74
   |
18 |       - {name: apply, type: kubectl, kubectl: app.yaml, namespace: shop, wait: 5m}
   |                                                                          ^^^^
   = hint: remove it

error: `kubectl` is not supported yet
   --> not-yet.yml:19:22
   |
19 |       - {name: more, kubectl: app.yaml}
   |                      ^^^^^^^
   = hint: remove it
"#);
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
fn values_of_the_wrong_shape_in_a_job() {
    assert_snapshot!(mistakes("shapes-of-a-job"), @r"
error: a stage is a map of keys and values; this is a text
  --> shapes-of-a-job.yml:2:5
  |
2 |   - just a text
  |     ^^^^^^^^^^^

error: an empty item is not a stage
  --> shapes-of-a-job.yml:3:4
  |
3 |   -
  |    ^
  = hint: remove this `-`

error: `` is no name: 1 to 63 of letters, digits, `-` and `_`
  --> shapes-of-a-job.yml:4:5
  |
4 |   - name: {a: b}
  |     ^^^^

error: a name is a text; this is a map
  --> shapes-of-a-job.yml:4:11
  |
4 |   - name: {a: b}
  |           ^
  = hint: put it in quotes if it is meant to be a text

error: an image is a text; this is a list
  --> shapes-of-a-job.yml:5:12
  |
5 |     image: [rust]
  |            ^

error: `run` is one text; this is a list
  --> shapes-of-a-job.yml:6:10
  |
6 |     run: [cargo build, cargo test]
  |          ^
  = hint: write `run: |`, and the lines below it

error: `command` is a list of texts; this is a text
  --> shapes-of-a-job.yml:9:14
  |
9 |     command: cargo test
  |              ^^^^^^^^^^
  = hint: write [program, argument, …], or use `run` for a shell

error: a variable is a text; this is a list
   --> shapes-of-a-job.yml:10:24
   |
10 |     environments: [{A: [1]}, B=2]
   |                        ^

error: `environments` is a map of variables; this is a text
   --> shapes-of-a-job.yml:10:30
   |
10 |     environments: [{A: [1]}, B=2]
   |                              ^^^
   = hint: write NAME: value

error: an output is a text; this is a map
   --> shapes-of-a-job.yml:11:14
   |
11 |     outputs: {A: B}
   |              ^
   = hint: put it in quotes if it is meant to be a text

error: `resources` is a map of keys and values; this is a text
   --> shapes-of-a-job.yml:12:16
   |
12 |     resources: 1
   |                ^

error: `allow-failure` is true or false; `maybe` is none of them
   --> shapes-of-a-job.yml:13:20
   |
13 |     allow-failure: maybe
   |                    ^^^^^
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
  = hint: without one it would be acme/shop/uri
");
}

#[test]
fn images_that_are_none() {
    assert_snapshot!(mistakes("images"), @r#"
error: a job needs an `image`
  --> images.yml:2:5
  |
2 |   - {name: none, run: cargo test}
  |     ^^^^

error: `image` and `endpoint` are the same thing: give one of them
  --> images.yml:3:31
  |
3 |   - {name: both, image: rust, endpoint: rust}
  |                               ^^^^^^^^

error: `rust:${RUST}` is no image
  --> images.yml:4:29
  |
4 |   - {name: template, image: "rust:${RUST}"}
  |                             ^^^^^^^^^^^^^^
  = hint: variables of a flow are written @NAME@

error: `rust 1.95` is no image
  --> images.yml:5:26
  |
5 |   - {name: blank, image: "rust 1.95"}
  |                          ^^^^^^^^^^^
  = hint: an image is written registry/repository:tag

error: `` is no image
  --> images.yml:6:26
  |
6 |   - {name: empty, image: ""}
  |                          ^^
  = hint: an image is written registry/repository:tag
"#);
}

#[test]
fn programs_that_cannot_start() {
    assert_snapshot!(mistakes("programs"), @r#"
error: `run` and `command` exclude each other
  --> programs.yml:2:48
  |
2 |   - {name: both, image: rust, run: cargo test, command: [cargo, test]}
  |                                                ^^^^^^^
  = hint: `run` is a shell's text, `command` a program and its arguments

error: `run` is empty
  --> programs.yml:3:32
  |
3 |   - {name: empty, image: rust, run: " "}
  |                                ^^^
  = hint: without `run` the image's own entrypoint is started

error: `command` names no program
  --> programs.yml:4:34
  |
4 |   - {name: nothing, image: rust, command: []}
  |                                  ^^^^^^^

error: a job's `type` is component; `compnent` is something else
  --> programs.yml:5:45
  |
5 |   - {name: kind, jobs: [{image: rust, type: compnent}]}
  |                                             ^^^^^^^^
  = hint: did you mean `component`?
"#);
}

#[test]
fn variables_that_a_file_cannot_set() {
    assert_snapshot!(mistakes("environments"), @r#"
error: `CI` is set by ContainerOps, not by a file
  --> environments.yml:1:16
  |
1 | environments: {CI: "true", 1ST: x}
  |                ^^
  = hint: choose a name that does not begin with `CO_`

error: `1ST` is no variable's name
  --> environments.yml:1:28
  |
1 | environments: {CI: "true", 1ST: x}
  |                            ^^^
  = hint: letters, digits and `_`, not beginning with a digit

error: `CO_SHA` is set by ContainerOps, not by a file
  --> environments.yml:6:10
  |
6 |       - {CO_SHA: x, CO_MINE: y, MY-VALUE: z, CO-DATA: "a=b"}
  |          ^^^^^^
  = hint: choose a name that does not begin with `CO_`

error: `CO_MINE` is set by ContainerOps, not by a file
  --> environments.yml:6:21
  |
6 |       - {CO_SHA: x, CO_MINE: y, MY-VALUE: z, CO-DATA: "a=b"}
  |                     ^^^^^^^
  = hint: choose a name that does not begin with `CO_`

error: `MY-VALUE` is no variable's name
  --> environments.yml:6:33
  |
6 |       - {CO_SHA: x, CO_MINE: y, MY-VALUE: z, CO-DATA: "a=b"}
  |                                 ^^^^^^^^
  = hint: letters, digits and `_`, not beginning with a digit

warning: `CO-DATA` is not `CO_DATA`: a component will not find its input
  --> environments.yml:6:46
  |
6 |       - {CO_SHA: x, CO_MINE: y, MY-VALUE: z, CO-DATA: "a=b"}
  |                                              ^^^^^^^
  = hint: write CO_DATA, with an underscore

warning: `LEVEL` is set twice; the last one counts
  --> environments.yml:8:10
  |
8 |       - {LEVEL: debug}
  |          ^^^^^
"#);
}

#[test]
fn quantities_that_a_cluster_would_refuse() {
    assert_snapshot!(mistakes("resources"), @r"
error: `two` is no quantity
  --> resources.yml:2:45
  |
2 |   - {name: a, image: rust, resources: {cpu: two, memory: 512MB}}
  |                                             ^^^
  = hint: write 500m, 2, 512Mi or 4G

error: `512MB` is no quantity
  --> resources.yml:2:58
  |
2 |   - {name: a, image: rust, resources: {cpu: two, memory: 512MB}}
  |                                                          ^^^^^
  = hint: write 512M

error: `-1` is no quantity
  --> resources.yml:3:45
  |
3 |   - {name: b, image: rust, resources: {cpu: -1, memory: 500m}}
  |                                             ^^
  = hint: write 500m, 2, 512Mi or 4G

error: `500m` of memory is less than 1 MiB
  --> resources.yml:3:57
  |
3 |   - {name: b, image: rust, resources: {cpu: -1, memory: 500m}}
  |                                                         ^^^^
  = hint: the units of memory are Mi, Gi, M and G

error: a limit of 1 is below what is asked for, 2
  --> resources.yml:4:75
  |
4 |   - {name: c, image: rust, resources: {cpu: 2, memory: 4Gi, limits: {cpu: 1, memory: 4G}}}
  |                                                                           ^

error: a limit of 4G is below what is asked for, 4Gi
  --> resources.yml:4:86
  |
4 |   - {name: c, image: rust, resources: {cpu: 2, memory: 4Gi, limits: {cpu: 1, memory: 4G}}}
  |                                                                                      ^^
");
}

#[test]
fn timeouts_that_are_no_duration() {
    assert_snapshot!(mistakes("timeouts"), @r"
error: `soon` is no duration
  --> timeouts.yml:1:10
  |
1 | timeout: soon
  |          ^^^^
  = hint: write 90s, 20m, 1h30m, 7d, or whole seconds

error: `1.5h` is no duration
  --> timeouts.yml:3:37
  |
3 |   - {name: a, image: rust, timeout: 1.5h}
  |                                     ^^^^
  = hint: write 90s, 20m, 1h30m, 7d, or whole seconds

error: `30m1h` is no duration
  --> timeouts.yml:4:37
  |
4 |   - {name: b, image: rust, timeout: 30m1h}
  |                                     ^^^^^
  = hint: write 90s, 20m, 1h30m, 7d, or whole seconds

error: a timeout is at most 31 days
  --> timeouts.yml:5:37
  |
5 |   - {name: c, image: rust, timeout: 400d}
  |                                     ^^^^

error: `-1` is no duration
  --> timeouts.yml:6:37
  |
6 |   - {name: d, image: rust, timeout: -1}
  |                                     ^^
  = hint: write 90s, 20m, 1h30m, 7d, or whole seconds
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
fn subscriptions_to_what_is_not_there_in_time() {
    assert_snapshot!(mistakes("subscriptions"), @r#"
error: the actions of stage `build` run in parallel
   --> subscriptions.yml:10:25
   |
10 |         subscriptions: {"build.jar.jar[URL]": URL}
   |                         ^^^^^^^^^^^^^^^^^^^^
   = hint: write `sequencing: sequence`, or use two stages

error: stage `build` need not have ended before this one
   --> subscriptions.yml:14:21
   |
14 |     subscriptions: {"build.jar.jar[URL]": URL}
   |                     ^^^^^^^^^^^^^^^^^^^^
   = hint: add it to the `needs` of stage `docs`, below it

error: no stage is named `biuld`
   --> subscriptions.yml:19:10
   |
19 |       - {"biuld.jar.jar[URL]": A}
   |          ^^^^^^^^^^^^^^^^^^^^
   = hint: did you mean `build`?

error: no action is named `jra`
   --> subscriptions.yml:20:10
   |
20 |       - {"build.jra.jar[URL]": B}
   |          ^^^^^^^^^^^^^^^^^^^^
   = hint: did you mean `jar`?

error: no job is named `test`
   --> subscriptions.yml:21:10
   |
21 |       - {"build.jar.test[URL]": C}
   |          ^^^^^^^^^^^^^^^^^^^^^
   = hint: the only job there is `jar`

error: job `jar` has no output `ULR`
   --> subscriptions.yml:22:10
   |
22 |       - {"build.jar.jar[ULR]": D}
   |          ^^^^^^^^^^^^^^^^^^^^
   = hint: did you mean `URL`?

error: `build.jar[URL]` does not name an output
   --> subscriptions.yml:23:10
   |
23 |       - {"build.jar[URL]": E}
   |          ^^^^^^^^^^^^^^^^
   = hint: write "stage.action.job[KEY]"

error: a link points to an earlier job
   --> subscriptions.yml:24:10
   |
24 |       - {"ship.ship.ship[URL]": F}
   |          ^^^^^^^^^^^^^^^^^^^^^

error: `CO_SHA` is set by ContainerOps, not by a file
   --> subscriptions.yml:25:32
   |
25 |       - {"build.jar.jar[URL]": CO_SHA}
   |                                ^^^^^^
   = hint: choose a name that does not begin with `CO_`

error: `optional` is true or false
   --> subscriptions.yml:26:45
   |
26 |       - {"build.jar.jar[URL]": G, optional: perhaps}
   |                                             ^^^^^^^

error: two subscriptions for one variable, `G`
   --> subscriptions.yml:27:32
   |
27 |       - {"build.jar.jar[URL]": G}
   |                                ^

error: a subscription is a map; this is a text
   --> subscriptions.yml:28:9
   |
28 |       - build.jar.jar[URL]
   |         ^^^^^^^^^^^^^^^^^^
   = hint: write "stage.action.job[KEY]": VARIABLE
"#);
}

#[test]
fn references_to_no_variable() {
    assert_snapshot!(mistakes("variables"), @r#"
error: `1ST` is no variable's name
  --> variables.yml:1:27
  |
1 | variables: {RUST: "1.95", 1ST: x, LIST: [a]}
  |                           ^^^
  = hint: letters, digits and `_`, not beginning with a digit

error: a variable is a text; this is a list
  --> variables.yml:1:41
  |
1 | variables: {RUST: "1.95", 1ST: x, LIST: [a]}
  |                                         ^

error: no variable is named `RUTS`
  --> variables.yml:3:25
  |
3 |   - {name: test, image: "rust:@RUTS@", run: "echo @ANY@", environments: {run: "@NONE@"}}
  |                         ^^^^^^^^^^^^^
  = hint: did you mean `RUST`?

error: no variable is named `NONE`
  --> variables.yml:3:79
  |
3 |   - {name: test, image: "rust:@RUTS@", run: "echo @ANY@", environments: {run: "@NONE@"}}
  |                                                                               ^^^^^^^^
  = hint: add `NONE` to the flow's `variables`
"#);
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

error: unknown key `tags` in a branch filter
  --> on.yml:2:24
  |
2 |   push: {branches: [], tags: ["v*"]}
  |                        ^^^^

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

error: unknown key `merge_group` in `on`
  --> on.yml:5:3
  |
5 |   merge_group:
  |   ^^^^^^^^^^^
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

error: a stage's `type` is normal, start or end; `component` is none of them
   --> levels-mixed.yml:11:24
   |
11 |   - {name: kind, type: component, image: rust}
   |                        ^^^^^^^^^
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
fn a_file_without_a_value() {
    assert_snapshot!(mistakes("empty"), @r"
error: the file is empty
  --> empty.yml:1:1
  |
1 | # Nothing but a comment.
  | ^
  = hint: the smallest flow has `stages`
");
}

#[test]
fn keys_given_twice() {
    assert_snapshot!(mistakes("duplicate-keys"), @r"
error: `image` is given twice in one map
  --> duplicate-keys.yml:4:5
  |
4 |     image: rust:1.95
  |     ^^^^^
  = hint: remove one of them

error: `A` is given twice in one map
  --> duplicate-keys.yml:5:26
  |
5 |     environments: {A: 1, A: 2}
  |                          ^
  = hint: remove one of them
");
}

#[test]
fn two_documents() {
    assert_snapshot!(mistakes("two-documents"), @r"
error: a flow file is one document; a second one begins here
  --> two-documents.yml:2:1
  |
2 | ---
  | ^^^
");
}

#[test]
fn tags_that_mean_nothing() {
    assert_snapshot!(mistakes("tag"), @r"
error: the tag `!secret` means nothing here
  --> tag.yml:1:16
  |
1 | image: !secret rust
  |                ^^^^
");
}

#[test]
fn nothing_in_a_file_breaks_out_of_a_report() {
    let diagnostics = flow::read("x.yml", &repository(), &bytes("bad", "hostile-text")).err().unwrap_or_default();
    assert_snapshot!(flow::markdown("a```b\n.yml", &diagnostics), @r"
**1 error in the flow file**

````text
error: this is not YAML: unexpected character: ``'
  --> a```b�.yml:4:5
  |
4 |     ```<img src=x>: �gpj
  |     ^
````
");
}
