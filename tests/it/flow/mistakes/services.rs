//! What may be wrong with what runs beside jobs, and with where they run.

use insta::assert_snapshot;

use super::mistakes;

#[test]
fn a_service_has_a_host_name_and_one_way_to_be_ready() {
    assert_snapshot!(mistakes("services"), @r#"
    error: a service needs a `name`: the host name by which jobs reach it
      --> services.yml:6:13
      |
    6 |           - {image: "postgres:17"}
      |             ^^^^^

    error: `My_DB` is no host name, by which jobs reach a service
      --> services.yml:7:20
      |
    7 |           - {name: My_DB, image: "postgres:17"}
      |                    ^^^^^
      = hint: `my-db` would do

    error: `localhost` is no host name, by which jobs reach a service
      --> services.yml:8:20
      |
    8 |           - {name: localhost, image: "postgres:17"}
      |                    ^^^^^^^^^
      = hint: 1 to 63 of `a` to `z`, digits and `-`, such as `db`

    error: `` is no host name, by which jobs reach a service
      --> services.yml:9:20
      |
    9 |           - {name: "", image: "postgres:17"}
      |                    ^^
      = hint: 1 to 63 of `a` to `z`, digits and `-`, such as `db`

    error: two services of action `two` are called `db`
       --> services.yml:11:9
       |
    11 |       - name: two
       |         ^^^^
       = hint: each has a log of its own, and needs a name of its own

    error: a job and a service of action `two` are called `test`
       --> services.yml:11:9
       |
    11 |       - name: two
       |         ^^^^
       = hint: each has a log of its own, and needs a name of its own

    error: action `many` has more than 8 services
       --> services.yml:14:9
       |
    14 |       - name: many
       |         ^^^^

    error: a service needs an `image`
       --> services.yml:30:13
       |
    30 |           - {name: db, port: 5432, timeout: 5m}
       |             ^^^^

    error: unknown key `port` in a service
       --> services.yml:30:24
       |
    30 |           - {name: db, port: 5432, timeout: 5m}
       |                        ^^^^

    error: `timeout` is a key of a flow, not of a service
       --> services.yml:30:36
       |
    30 |           - {name: db, port: 5432, timeout: 5m}
       |                                    ^^^^^^^

    error: `ready` needs `tcp`, `http` or `command`: what is tried until it goes well
       --> services.yml:31:51
       |
    31 |           - {name: none, image: "redis:8", ready: {}}
       |                                                   ^
       = hint: without `ready` a service is ready when it has started

    error: `tcp`, `http` and `command` exclude each other
       --> services.yml:32:60
       |
    32 |           - {name: both, image: "redis:8", ready: {tcp: 1, http: 80/}}
       |                                                            ^^^^
       = hint: let one `command` look for all of it

    error: `65536` is no port: 1 to 65535
       --> services.yml:33:57
       |
    33 |           - {name: port, image: "redis:8", ready: {tcp: 65536}}
       |                                                         ^^^^^
       = hint: write `tcp: 5432`

    error: `0` is no port: 1 to 65535
       --> services.yml:34:57
       |
    34 |           - {name: zero, image: "redis:8", ready: {tcp: 0, within: 0}}
       |                                                         ^
       = hint: write `tcp: 5432`

    error: `within` is a duration from a second to 31 days; `0` is none
       --> services.yml:34:68
       |
    34 |           - {name: zero, image: "redis:8", ready: {tcp: 0, within: 0}}
       |                                                                    ^
       = hint: write 90s, 20m, 1h30m, 7d, or whole seconds

    error: `http://localhost/` is no port and path
       --> services.yml:35:58
       |
    35 |           - {name: path, image: "redis:8", ready: {http: "http://localhost/", within: 2h}}
       |                                                          ^^^^^^^^^^^^^^^^^^^
       = hint: write `http: 8080/healthz`

    error: a service is waited for an hour at most; `2h` is longer
       --> services.yml:35:87
       |
    35 |           - {name: path, image: "redis:8", ready: {http: "http://localhost/", within: 2h}}
       |                                                                                       ^^

    error: `command` is empty
       --> services.yml:36:53
       |
    36 |           - {name: empty, image: "redis:8", ready: {command: ""}}
       |                                                     ^^^^^^^
       = hint: for example `command: pg_isready -q`

    error: `command` names no program
       --> services.yml:37:53
       |
    37 |           - {name: words, image: "redis:8", ready: {command: [], within: soon}}
       |                                                     ^^^^^^^

    error: `within` is a duration from a second to 31 days; `soon` is none
       --> services.yml:37:74
       |
    37 |           - {name: words, image: "redis:8", ready: {command: [], within: soon}}
       |                                                                          ^^^^
       = hint: write 90s, 20m, 1h30m, 7d, or whole seconds

    error: `ready` says when a service is; this is a job
       --> services.yml:38:65
       |
    38 |         jobs: [{name: test, image: "busybox:1.37", run: "true", ready: {tcp: 1}}]
       |                                                                 ^^^^^
       = hint: give it `type: service`, or remove `ready`

    error: `services` is a list; this is a map
       --> services.yml:40:19
       |
    40 |         services: {name: db}
       |                   ^^^^
       = hint: begin each item with `- `

    error: action `five` has services, and no job that needs them
       --> services.yml:42:9
       |
    42 |       - name: five
       |         ^^^^
       = hint: a service ends when the last job has

    error: `ready` is a map of keys and values; this is a text
       --> services.yml:43:56
       |
    43 |         services: [{name: db, image: "redis:8", ready: 6379}]
       |                                                        ^^^^

    error: no job comes after the service `late`: it would never start
       --> services.yml:46:9
       |
    46 |       - name: six
       |         ^^^^
       = hint: put it before the jobs that need it

    error: `Web_1` is no host name, by which jobs reach a service
       --> services.yml:48:20
       |
    48 |           - {name: Web_1, type: service, image: "redis:8", outputs: [A], timeout: 5m, when: trusted}
       |                    ^^^^^
       = hint: `web-1` would do

    error: `outputs` means nothing to a service
       --> services.yml:48:60
       |
    48 |           - {name: Web_1, type: service, image: "redis:8", outputs: [A], timeout: 5m, when: trusted}
       |                                                            ^^^^^^^
       = hint: remove it

    error: `timeout` means nothing to a service
       --> services.yml:48:74
       |
    48 |           - {name: Web_1, type: service, image: "redis:8", outputs: [A], timeout: 5m, when: trusted}
       |                                                                          ^^^^^^^
       = hint: remove it

    error: `when` means nothing to a service
       --> services.yml:48:87
       |
    48 |           - {name: Web_1, type: service, image: "redis:8", outputs: [A], timeout: 5m, when: trusted}
       |                                                                                       ^^^^
       = hint: remove it

    error: a service runs beside jobs: this action has none
       --> services.yml:52:15
       |
    52 |         type: service
       |               ^^^^^^^
       = hint: make it one of the action's `jobs`, or of its `services`
    "#);
}

#[test]
fn runtimes_and_labels_have_the_clusters_names() {
    assert_snapshot!(mistakes("placing"), @r#"
    error: `GVisor` is no name of a RuntimeClass
      --> placing.yml:3:14
      |
    3 |     runtime: GVisor
      |              ^^^^^^
      = hint: small letters, digits, `-` and `.`, such as `gvisor`

    error: `node` is a map of labels and their values; this is a text
      --> placing.yml:4:11
      |
    4 |     node: arm64
      |           ^^^^^
      = hint: for example `node: {kubernetes.io/arch: arm64}`

    error: `runtime` is a text; this is a list
      --> placing.yml:8:14
      |
    8 |     runtime: [gvisor]
      |              ^

    error: `-arch` is no label's name
      --> placing.yml:9:12
      |
    9 |     node: {"-arch": arm64, Example.com/pool: a, pool: "not a value", "zone/": b, zone: [a]}
      |            ^^^^^^^
      = hint: for example `kubernetes.io/arch`

    error: `Example.com/pool` is no label's name
      --> placing.yml:9:28
      |
    9 |     node: {"-arch": arm64, Example.com/pool: a, pool: "not a value", "zone/": b, zone: [a]}
      |                            ^^^^^^^^^^^^^^^^
      = hint: for example `kubernetes.io/arch`

    error: `not a value` is no label's value
      --> placing.yml:9:55
      |
    9 |     node: {"-arch": arm64, Example.com/pool: a, pool: "not a value", "zone/": b, zone: [a]}
      |                                                       ^^^^^^^^^^^^^
      = hint: at most 63 letters, digits, `-`, `_` and `.`

    error: `zone/` is no label's name
      --> placing.yml:9:70
      |
    9 |     node: {"-arch": arm64, Example.com/pool: a, pool: "not a value", "zone/": b, zone: [a]}
      |                                                                      ^^^^^^^
      = hint: for example `kubernetes.io/arch`

    error: a label's value is a text; this is a list
      --> placing.yml:9:88
      |
    9 |     node: {"-arch": arm64, Example.com/pool: a, pool: "not a value", "zone/": b, zone: [a]}
      |                                                                                        ^

    error: `node` has at most 16 labels
       --> placing.yml:13:11
       |
    13 |     node: {a1: a, a2: a, a3: a, a4: a, a5: a, a6: a, a7: a, a8: a, a9: a, b1: a, b2: a, b3: a, b4: a, b5: a, b6: a, b7: a, b8: a}
       |           ^^
    "#);
}
