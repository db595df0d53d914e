//! What may be wrong with a job that starts another flow.

use insta::assert_snapshot;

use super::mistakes;

#[test]
fn what_starts_another_flow_has_keys_of_its_own() {
    assert_snapshot!(mistakes("triggers"), @r#"
error: a job of type trigger needs `trigger`: the name of the flow that it starts
  --> triggers.yml:5:9
  |
5 |       - {name: a, type: trigger}
  |         ^^^^

error: `no flow` is no flow's name
  --> triggers.yml:6:28
  |
6 |       - {name: b, trigger: "no flow"}
  |                            ^^^^^^^^^
  = hint: `deploy` for one of this repository, `owner/repository/deploy` for another's

error: `in fra/roll` is no flow's name
  --> triggers.yml:7:28
  |
7 |       - {name: c, trigger: "in fra/roll"}
  |                            ^^^^^^^^^^^^^
  = hint: `deploy` for one of this repository, `owner/repository/deploy` for another's

error: `trigger` names no `flow`
  --> triggers.yml:8:28
  |
8 |       - {name: d, trigger: {branch: main}}
  |                            ^^^^^^
  = hint: its name, or owner/repository/name

error: a branch's name has 1 to 255 bytes
  --> triggers.yml:9:49
  |
9 |       - {name: e, trigger: {flow: roll, branch: "", inputs: [a], wait: soon}}
  |                                                 ^^

error: `inputs` is a map of names and texts; this is a list
  --> triggers.yml:9:61
  |
9 |       - {name: e, trigger: {flow: roll, branch: "", inputs: [a], wait: soon}}
  |                                                             ^
  = hint: write {level: info}

error: `soon` is no duration
  --> triggers.yml:9:72
  |
9 |       - {name: e, trigger: {flow: roll, branch: "", inputs: [a], wait: soon}}
  |                                                                        ^^^^
  = hint: write 90s, 20m, 1h30m, 7d, or whole seconds

error: `a b` is no input's name
   --> triggers.yml:10:50
   |
10 |       - {name: f, trigger: {flow: roll, inputs: {a b: c, d: [e]}, wiat: true}}
   |                                                  ^^^
   = hint: letters, digits and `_`, not beginning with a digit

error: an input is a text; this is a list
   --> triggers.yml:10:61
   |
10 |       - {name: f, trigger: {flow: roll, inputs: {a b: c, d: [e]}, wiat: true}}
   |                                                             ^

error: unknown key `wiat` in `trigger`
   --> triggers.yml:10:67
   |
10 |       - {name: f, trigger: {flow: roll, inputs: {a b: c, d: [e]}, wiat: true}}
   |                                                                   ^^^^
   = hint: did you mean `wait`?

error: a job of type trigger runs no container: `image` means nothing to it
   --> triggers.yml:11:49
   |
11 |       - {name: g, type: trigger, trigger: roll, image: alpine, run: echo, outputs: [A]}
   |                                                 ^^^^^
   = hint: remove it, or use a job of its own

error: a job of type trigger runs no container: `run` means nothing to it
   --> triggers.yml:11:64
   |
11 |       - {name: g, type: trigger, trigger: roll, image: alpine, run: echo, outputs: [A]}
   |                                                                ^^^
   = hint: remove it, or use a job of its own

error: a job of type trigger runs no container: `outputs` means nothing to it
   --> triggers.yml:11:75
   |
11 |       - {name: g, type: trigger, trigger: roll, image: alpine, run: echo, outputs: [A]}
   |                                                                           ^^^^^^^
   = hint: remove it, or use a job of its own

error: `trigger` is for a job of type trigger; this one does something else
   --> triggers.yml:12:34
   |
12 |       - {name: h, image: alpine, trigger: roll}
   |                                  ^^^^^^^
   = hint: use a job of its own

error: a job's `type` is component, kubectl, service or trigger; `triger` is none of them
   --> triggers.yml:13:25
   |
13 |       - {name: i, type: triger, trigger: roll}
   |                         ^^^^^^
   = hint: did you mean `trigger`?

error: the actions of stage `ship` run in parallel
   --> triggers.yml:14:51
   |
14 |       - {name: j, trigger: roll, subscriptions: [{"ship.a.a[X]": x}]}
   |                                                   ^^^^^^^^^^^^^
   = hint: write `sequencing: sequence`, or use two stages
"#);
}
