//! What is wrong with reports of tests.

use insta::assert_snapshot;

use super::mistakes;

#[test]
fn reports_are_maps_of_kinds_and_paths_in_the_workspace() {
    assert_snapshot!(mistakes("reports"), @r#"
    error: `reports` is a map of keys and values; this is a text
      --> reports.yml:5:55
      |
    5 |       - {name: one, image: busybox, run: ls, reports: report.xml}
      |                                                       ^^^^^^^^^^

    error: `juint` is no kind of report
      --> reports.yml:6:56
      |
    6 |       - {name: two, image: busybox, run: ls, reports: {juint: report.xml}}
      |                                                        ^^^^^
      = hint: did you mean `junit`?

    error: `tap` is no kind of report
      --> reports.yml:7:58
      |
    7 |       - {name: three, image: busybox, run: ls, reports: {tap: report.tap, junit: }}
      |                                                          ^^^
      = hint: `junit` is the one kind; nearly every test runner can write it

    error: `/tmp/a.xml` is not in the workspace
      --> reports.yml:8:65
      |
    8 |       - {name: four, image: busybox, run: ls, reports: {junit: [/tmp/a.xml, ../b.xml, "", "a[b", "!c.xml"]}}
      |                                                                 ^^^^^^^^^^
      = hint: paths are given from the workspace on, without `..`

    error: `../b.xml` is not in the workspace
      --> reports.yml:8:77
      |
    8 |       - {name: four, image: busybox, run: ls, reports: {junit: [/tmp/a.xml, ../b.xml, "", "a[b", "!c.xml"]}}
      |                                                                             ^^^^^^^^
      = hint: paths are given from the workspace on, without `..`

    error: `` is no path: 1 to 1024 bytes, none of them a control character
      --> reports.yml:8:87
      |
    8 |       - {name: four, image: busybox, run: ls, reports: {junit: [/tmp/a.xml, ../b.xml, "", "a[b", "!c.xml"]}}
      |                                                                                       ^^

    error: `a[b` is no pattern: unclosed character class; missing ']'
      --> reports.yml:8:91
      |
    8 |       - {name: four, image: busybox, run: ls, reports: {junit: [/tmp/a.xml, ../b.xml, "", "a[b", "!c.xml"]}}
      |                                                                                           ^^^^^
      = hint: `\` before a character takes it as it is

    error: patterns cannot be negated
      --> reports.yml:8:98
      |
    8 |       - {name: four, image: busybox, run: ls, reports: {junit: [/tmp/a.xml, ../b.xml, "", "a[b", "!c.xml"]}}
      |                                                                                                  ^^^^^^^^
      = hint: name what should match

    error: `junit` is empty
      --> reports.yml:9:64
      |
    9 |       - {name: five, image: busybox, run: ls, reports: {junit: []}}
      |                                                                ^

    error: `reports` is a map of keys and values; this is a list
       --> reports.yml:10:55
       |
    10 |       - {name: six, image: busybox, run: ls, reports: [{junit: a.xml}]}
       |                                                       ^

    error: a job of type kubectl needs a `namespace`, of its own or the flow's
       --> reports.yml:11:9
       |
    11 |       - {name: seven, type: kubectl, kubectl: app.yaml, reports: {junit: a.xml}}
       |         ^^^^

    error: a job of type kubectl runs no container: `reports` means nothing to it
       --> reports.yml:11:57
       |
    11 |       - {name: seven, type: kubectl, kubectl: app.yaml, reports: {junit: a.xml}}
       |                                                         ^^^^^^^
       = hint: remove it, or use a job of its own

    error: a job of type trigger runs no container: `reports` means nothing to it
       --> reports.yml:12:46
       |
    12 |       - {name: eight, trigger: acme/shop/ci, reports: {junit: a.xml}}
       |                                              ^^^^^^^
       = hint: remove it, or use a job of its own

    error: `reports` is a key of a job, not of a service
       --> reports.yml:14:53
       |
    14 |         services: [{name: db, image: "postgres:17", reports: {junit: a.xml}}]
       |                                                     ^^^^^^^

    error: unknown key `report` in a stage
       --> reports.yml:18:5
       |
    18 |     report: {junit: a.xml}
       |     ^^^^^^
       = hint: did you mean `reports`?
    "#);
}
