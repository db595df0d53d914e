//! What is wrong with schedules, inputs and the flows that one follows.

use insta::assert_snapshot;

use super::mistakes;

#[test]
fn starts_that_cannot_be() {
    assert_snapshot!(mistakes("starts"), @r#"
error: `level` is a variable and an input
  --> starts.yml:1:1
  |
1 | on:
  | ^^
  = hint: give one of them another name

error: `61 3 * * *` is no line of cron: Component error: Number out of bounds.
  --> starts.yml:2:21
  |
2 |   schedule: [{cron: "61 3 * * *"}, {cron: "0 3 * *"}, {cron: "0 0 31 2 *"}, {timezone: Mars/Base, cron: "@daily"}, {}, {cron: "0 3 * * *", at: noon}]
  |                     ^^^^^^^^^^^^
  = hint: five fields: minute, hour, day of the month, month, day of the week, as in "30 3 * * 1-5"

error: `0 3 * *` is no line of cron: it has five fields
  --> starts.yml:2:43
  |
2 |   schedule: [{cron: "61 3 * * *"}, {cron: "0 3 * *"}, {cron: "0 0 31 2 *"}, {timezone: Mars/Base, cron: "@daily"}, {}, {cron: "0 3 * * *", at: noon}]
  |                                           ^^^^^^^^^
  = hint: five fields: minute, hour, day of the month, month, day of the week, as in "30 3 * * 1-5"

error: `0 0 31 2 *` is at a time that never comes
  --> starts.yml:2:62
  |
2 |   schedule: [{cron: "61 3 * * *"}, {cron: "0 3 * *"}, {cron: "0 0 31 2 *"}, {timezone: Mars/Base, cron: "@daily"}, {}, {cron: "0 3 * * *", at: noon}]
  |                                                              ^^^^^^^^^^^^

error: `Mars/Base` is no time zone
  --> starts.yml:2:88
  |
2 |   schedule: [{cron: "61 3 * * *"}, {cron: "0 3 * *"}, {cron: "0 0 31 2 *"}, {timezone: Mars/Base, cron: "@daily"}, {}, {cron: "0 3 * * *", at: noon}]
  |                                                                                        ^^^^^^^^^
  = hint: zones are called as in the IANA database: Europe/Berlin, America/New_York, UTC

error: a schedule needs `cron`
  --> starts.yml:2:116
  |
2 |   schedule: [{cron: "61 3 * * *"}, {cron: "0 3 * *"}, {cron: "0 0 31 2 *"}, {timezone: Mars/Base, cron: "@daily"}, {}, {cron: "0 3 * * *", at: noon}]
  |                                                                                                                    ^
  = hint: as in {cron: "30 3 * * 1-5"}

error: unknown key `at` in a schedule
  --> starts.yml:2:140
  |
2 |   schedule: [{cron: "61 3 * * *"}, {cron: "0 3 * *"}, {cron: "0 0 31 2 *"}, {timezone: Mars/Base, cron: "@daily"}, {}, {cron: "0 3 * * *", at: noon}]
  |                                                                                                                                            ^^

error: `a-b` is no input's name
  --> starts.yml:3:21
  |
3 |   manual: {inputs: {"a-b": x, level: {default: loud, options: [info]}, Level: , deep: {kind: text}}}
  |                     ^^^^^
  = hint: letters, digits and `_`, not beginning with a digit

error: the default `loud` is none of the options
  --> starts.yml:3:48
  |
3 |   manual: {inputs: {"a-b": x, level: {default: loud, options: [info]}, Level: , deep: {kind: text}}}
  |                                                ^^^^

error: `Level` and `level` would be one variable
  --> starts.yml:3:72
  |
3 |   manual: {inputs: {"a-b": x, level: {default: loud, options: [info]}, Level: , deep: {kind: text}}}
  |                                                                        ^^^^^
  = hint: both are CO_INPUT_LEVEL in a job

error: unknown key `kind` in an input
  --> starts.yml:3:88
  |
3 |   manual: {inputs: {"a-b": x, level: {default: loud, options: [info]}, Level: , deep: {kind: text}}}
  |                                                                                        ^^^^

error: `ci` is no flow's `uri`
  --> starts.yml:4:10
  |
4 |   flow: [ci]
  |          ^^
  = hint: write <namespace>/<repository>/<name>
"#);
}

#[test]
fn filters_and_conditions_of_a_wrong_shape() {
    assert_snapshot!(mistakes("when"), @r#"
error: `paths` is empty, and would match nothing
  --> when.yml:2:17
  |
2 |   push: {paths: [], ignore-paths: ["!x"]}
  |                 ^
  = hint: remove it to match everything

error: patterns cannot be negated
  --> when.yml:2:36
  |
2 |   push: {paths: [], ignore-paths: ["!x"]}
  |                                    ^^^^
  = hint: name what should match

error: `branch` is a text; this is a list
  --> when.yml:3:41
  |
3 |   schedule: {cron: "0 3 * * *", branch: [c]}
  |                                         ^

error: unknown key `inptus` in `manual`
  --> when.yml:4:12
  |
4 |   manual: {inptus: , inputs: {level: {options: []}}}
  |            ^^^^^^
  = hint: did you mean `inputs`?

error: `options` has 1 to 100 texts
  --> when.yml:4:48
  |
4 |   manual: {inptus: , inputs: {level: {options: []}}}
  |                                                ^

error: a condition is true or false; this is a text
  --> when.yml:7:11
  |
7 |     when: branch
  |           ^^^^^^
  = hint: compare it with something, as in `branch == "main"`

error: there is no variable `brnch` here
   --> when.yml:10:15
   |
10 |         when: brnch == "main"
   |               ^^^^^
   = hint: did you mean `branch`? A text stands in quotes of its own: '"brnch"'

error: a condition is a text; this is a list
   --> when.yml:12:39
   |
12 |           - {name: c, image: i, when: [d]}
   |                                       ^

error: a link points to an earlier job
   --> when.yml:13:39
   |
13 |           - {name: d, image: i, when: 'outputs["a.b.d[X]"] == "1"'}
   |                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"#);
}
