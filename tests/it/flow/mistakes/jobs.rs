//! Images, programs and variables.

use insta::assert_snapshot;

use super::mistakes;

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

error: the image is empty
  --> images.yml:6:26
  |
6 |   - {name: empty, image: ""}
  |                          ^^
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

error: a job's `type` is component, kubectl or service; `compnent` is something else
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
  = hint: choose another name; those that begin with `CO_` are taken

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
  = hint: choose another name; those that begin with `CO_` are taken

error: `CO_MINE` is set by ContainerOps, not by a file
  --> environments.yml:6:21
  |
6 |       - {CO_SHA: x, CO_MINE: y, MY-VALUE: z, CO-DATA: "a=b"}
  |                     ^^^^^^^
  = hint: choose another name; those that begin with `CO_` are taken

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
fn retries_shells_and_strictness() {
    assert_snapshot!(mistakes("retries"), @r#"
    error: `11` is no number of retries: 0 to 10
      --> retries.yml:2:53
      |
    2 |   - {name: many, image: alpine, run: "true", retry: 11}
      |                                                     ^^
      = hint: for example `retry: 2`, or `retry: {max: 1, on: [transient]}`

    error: `often` is no number of retries: 0 to 10
      --> retries.yml:3:59
      |
    3 |   - {name: word, image: alpine, run: "true", retry: {max: often, on: [transient, infrastructure, timeuot], pause: 1m}}
      |                                                           ^^^^^
      = hint: for example `retry: 2`, or `retry: {max: 1, on: [transient]}`

    error: `on` is any of transient, failure, timeout, out-of-memory; `infrastructure` is none of them
      --> retries.yml:3:82
      |
    3 |   - {name: word, image: alpine, run: "true", retry: {max: often, on: [transient, infrastructure, timeuot], pause: 1m}}
      |                                                                                  ^^^^^^^^^^^^^^
      = hint: what is nobody's fault is tried again by itself

    error: `on` is any of transient, failure, timeout, out-of-memory; `timeuot` is none of them
      --> retries.yml:3:98
      |
    3 |   - {name: word, image: alpine, run: "true", retry: {max: often, on: [transient, infrastructure, timeuot], pause: 1m}}
      |                                                                                                  ^^^^^^^
      = hint: did you mean `timeout`?

    error: unknown key `pause` in `retry`
      --> retries.yml:3:108
      |
    3 |   - {name: word, image: alpine, run: "true", retry: {max: often, on: [transient, infrastructure, timeuot], pause: 1m}}
      |                                                                                                            ^^^^^

    error: `retry` is a text; this is a list
      --> retries.yml:4:53
      |
    4 |   - {name: list, image: alpine, run: "true", retry: [1]}
      |                                                     ^

    error: `strict` is true or false; `very` is none of them
      --> retries.yml:5:56
      |
    5 |   - {name: strict, image: alpine, run: "true", strict: very}
      |                                                        ^^^^

    error: `shell` says who reads `run`, and this job has no `run`
      --> retries.yml:6:36
      |
    6 |   - {name: nothing, image: alpine, shell: bash}
      |                                    ^^^^^
      = hint: write the program and its arguments into `command`

    error: `shell` says who reads `run`, and this job has no `run`
      --> retries.yml:7:36
      |
    7 |   - {name: command, image: alpine, shell: bash, command: ["true"]}
      |                                    ^^^^^
      = hint: write the program and its arguments into `command`

    error: `shell` names no program
      --> retries.yml:8:34
      |
    8 |   - {name: empty, image: alpine, shell: [], run: "true"}
      |                                  ^^^^^
      = hint: for example `shell: bash`, or `shell: [bash, -eo, pipefail]`

    error: `shell` is a text; this is a map
      --> retries.yml:9:39
      |
    9 |   - {name: map, image: alpine, shell: {bash: -e}, run: "true"}
      |                                       ^^^^
      = hint: put it in quotes if it is meant to be a text
    "#);
}
