//! Inputs.

use insta::assert_snapshot;

use super::mistakes;

#[test]
fn inputs_that_are_none_and_event_conflicts() {
    assert_snapshot!(mistakes("inputs"), @r#"
error: an input is a map, or `auto`; this is a text
  --> inputs.yml:6:41
  |
6 |       - {name: a, image: "i:1", inputs: everything}
  |                                         ^^^^^^^^^^
  = hint: write {from: "stage.action.job[KEY].path", to: name}

error: an input needs `to`
  --> inputs.yml:7:42
  |
7 |       - {name: b, image: "i:1", inputs: [{from: "build.build.build[A]"}, {form: x, to: y}, [1]]}
  |                                          ^^^^

error: an input needs `from`
  --> inputs.yml:7:74
  |
7 |       - {name: b, image: "i:1", inputs: [{from: "build.build.build[A]"}, {form: x, to: y}, [1]]}
  |                                                                          ^^^^

error: unknown key `form` in an input
  --> inputs.yml:7:75
  |
7 |       - {name: b, image: "i:1", inputs: [{from: "build.build.build[A]"}, {form: x, to: y}, [1]]}
  |                                                                           ^^^^
  = hint: did you mean `from`?

error: an input is a map, or `auto`; this is a list
  --> inputs.yml:7:92
  |
7 |       - {name: b, image: "i:1", inputs: [{from: "build.build.build[A]"}, {form: x, to: y}, [1]]}
  |                                                                                            ^
  = hint: write {from: "stage.action.job[KEY].path", to: name}

error: `build.A` does not name a value
  --> inputs.yml:8:49
  |
8 |       - {name: c, image: "i:1", inputs: [{from: build.A, to: a}, {from: "build.build.build[A]x", to: b}, {from: event., to: c}]}
  |                                                 ^^^^^^^
  = hint: write "stage.action.job[KEY].path", or "event.path"

error: `build.build.build[A]x` does not name a value
  --> inputs.yml:8:73
  |
8 |       - {name: c, image: "i:1", inputs: [{from: build.A, to: a}, {from: "build.build.build[A]x", to: b}, {from: event., to: c}]}
  |                                                                         ^^^^^^^^^^^^^^^^^^^^^^^
  = hint: write "stage.action.job[KEY].path", or "event.path"

error: `event.` does not name a value
  --> inputs.yml:8:113
  |
8 |       - {name: c, image: "i:1", inputs: [{from: build.A, to: a}, {from: "build.build.build[A]x", to: b}, {from: event., to: c}]}
  |                                                                                                                 ^^^^^^
  = hint: write "stage.action.job[KEY].path", or "event.path"

error: `a..b` is no name of an input
  --> inputs.yml:9:77
  |
9 |       - {name: d, image: "i:1", inputs: [{from: "build.build.build[A]", to: a..b}, {from: "build.build.build[C]", to: c}]}
  |                                                                             ^^^^
  = hint: names with dots between them, for example `release.version`

error: job `build` has no output `C`
  --> inputs.yml:9:91
  |
9 |       - {name: d, image: "i:1", inputs: [{from: "build.build.build[A]", to: a..b}, {from: "build.build.build[C]", to: c}]}
  |                                                                                           ^^^^^^^^^^^^^^^^^^^^^^
  = hint: add it to the `outputs` of that job

error: CO_XML_CONTENT is linked as a text: there are no paths into XML
   --> inputs.yml:10:49
   |
10 |       - {name: e, image: "i:1", inputs: [{from: "build.build.build[CO_XML_CONTENT].x", to: x}]}
   |                                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = hint: leave the path out

error: stage `later` need not have ended before this one
   --> inputs.yml:11:49
   |
11 |       - {name: f, image: "i:1", inputs: [{from: "later.later.later[A]", to: x}, {from: "build.build.build[A]", to: y, optional: perhaps}]}
   |                                                 ^^^^^^^^^^^^^^^^^^^^^^
   = hint: add it to the `needs` of stage `shapes`, below it

error: `optional` is true or false; `perhaps` is none of them
   --> inputs.yml:11:129
   |
11 |       - {name: f, image: "i:1", inputs: [{from: "later.later.later[A]", to: x}, {from: "build.build.build[A]", to: y, optional: perhaps}]}
   |                                                                                                                                 ^^^^^^^

error: event conflict: `release` from `build.build.build[A]`, `release` from `again.again.again[A]`, `release.ref` from `event.ref`
   --> inputs.yml:20:35
   |
20 |           - {from: event.ref, to: release.ref}
   |                                   ^^^^^^^^^^^
   = hint: keep one of these links

error: event conflict: `A` from `build.build.build[A]`, `A` from `again.again.again[A]`
   --> inputs.yml:21:49
   |
21 |       - {name: automatic, image: "i:1", inputs: auto, environments: {CO_DATA: '{"A": ""}'}}
   |                                                 ^^^^
   = hint: link the one that is meant

error: `auto` links what the job's `CO_DATA` names, and it has none
   --> inputs.yml:24:41
   |
24 |       - {name: a, image: "i:1", inputs: auto}
   |                                         ^^^^
   = hint: for example `environments: {CO_DATA: '{"version": ""}'}`

error: `inputs` are added to the job's `CO_DATA`, but it is no JSON object: EOF while parsing a value at line 1 column 6
   --> inputs.yml:25:41
   |
25 |       - {name: b, image: "i:1", inputs: auto, environments: {CO_DATA: '{"A": '}}
   |                                         ^^^^
   = hint: write a JSON object, or key=value pairs

error: `inputs` are added to the job's `CO_DATA`, but it is no JSON object, and has a word without `=`
   --> inputs.yml:26:41
   |
26 |       - {name: c, image: "i:1", inputs: auto, environments: {CO_DATA: "some words"}}
   |                                         ^^^^
   = hint: write a JSON object, or key=value pairs

error: `CO_DATA` has key=value pairs, which have no `a.b`
   --> inputs.yml:27:64
   |
27 |       - {name: d, image: "i:1", inputs: [{from: event.ref, to: a.b}], environments: {CO_DATA: "a=b"}}
   |                                                                ^^^
   = hint: write `CO_DATA` as a JSON object
"#);
}
