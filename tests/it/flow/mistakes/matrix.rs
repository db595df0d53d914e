//! Matrices.

use insta::assert_snapshot;

use super::mistakes;

#[test]
fn matrices_that_are_none_and_cells_that_are_not_there() {
    assert_snapshot!(mistakes("matrix"), @r#"
error: `matrix` is a map of names and lists; this is a list
  --> matrix.yml:4:41
  |
4 |       - {name: a, image: "i:1", matrix: [1, 2]}
  |                                         ^
  = hint: write `matrix: {version: ["1", "2"]}`

error: a matrix without a cell
  --> matrix.yml:5:33
  |
5 |       - {name: b, image: "i:1", matrix: {}}
  |                                 ^^^^^^
  = hint: write `matrix: {version: ["1", "2"]}`

error: axis `x` has no value
  --> matrix.yml:6:45
  |
6 |       - {name: c, image: "i:1", matrix: {x: []}}
  |                                             ^
  = hint: give it a list of values, or remove it

error: `1x` is no name of a matrix' values
  --> matrix.yml:7:42
  |
7 |       - {name: d, image: "i:1", matrix: {1x: [1]}}
  |                                          ^^
  = hint: letters, digits and `_`, not beginning with a digit

error: `1` is given twice on this axis
  --> matrix.yml:8:49
  |
8 |       - {name: e, image: "i:1", matrix: {x: [1, 1]}}
  |                                                 ^

error: a value of a matrix is a text; this is a map
  --> matrix.yml:9:45
  |
9 |       - {name: f, image: "i:1", matrix: {x: {y: 1}}}
  |                                             ^
  = hint: put it in quotes if it is meant to be a text

error: axis `x` has no value
  --> matrix.yml:9:45
  |
9 |       - {name: f, image: "i:1", matrix: {x: {y: 1}}}
  |                                             ^
  = hint: give it a list of values, or remove it

error: axis `inclde` has no value
   --> matrix.yml:10:50
   |
10 |       - {name: g, image: "i:1", matrix: {inclde: [{x: 1}]}}
   |                                                  ^
   = hint: give it a list of values, or remove it

error: a value of a matrix is a text; this is a map
   --> matrix.yml:10:51
   |
10 |       - {name: g, image: "i:1", matrix: {inclde: [{x: 1}]}}
   |                                                   ^
   = hint: put it in quotes if it is meant to be a text

error: `exclude` leaves no cell of this matrix
   --> matrix.yml:11:33
   |
11 |       - {name: h, image: "i:1", matrix: {x: [1], exclude: [{x: 1}]}}
   |                                 ^^^^^^
   = hint: remove a line of it

warning: no cell has these values; nothing is left out
   --> matrix.yml:12:60
   |
12 |       - {name: i, image: "i:1", matrix: {x: [1], exclude: [{y: 1}, {x: 2}], include: x}}
   |                                                            ^

error: no axis is named `y`
   --> matrix.yml:12:61
   |
12 |       - {name: i, image: "i:1", matrix: {x: [1], exclude: [{y: 1}, {x: 2}], include: x}}
   |                                                             ^

warning: no cell has these values; nothing is left out
   --> matrix.yml:12:68
   |
12 |       - {name: i, image: "i:1", matrix: {x: [1], exclude: [{y: 1}, {x: 2}], include: x}}
   |                                                                    ^

error: `include` is a list of maps; this is a text
   --> matrix.yml:12:86
   |
12 |       - {name: i, image: "i:1", matrix: {x: [1], exclude: [{y: 1}, {x: 2}], include: x}}
   |                                                                                      ^
   = hint: begin each item with `- `

error: there is already a cell with these values
   --> matrix.yml:13:68
   |
13 |       - {name: j, image: "i:1", matrix: {x: [1], include: [{x: 2}, {x: 2}, {allow-failure: perhaps, x: 3}, 7]}}
   |                                                                    ^

error: `allow-failure` is true or false
   --> matrix.yml:13:77
   |
13 |       - {name: j, image: "i:1", matrix: {x: [1], include: [{x: 2}, {x: 2}, {allow-failure: perhaps, x: 3}, 7]}}
   |                                                                             ^^^^^^^^^^^^^

error: a cell is a map of names and values; this is a text
   --> matrix.yml:13:108
   |
13 |       - {name: j, image: "i:1", matrix: {x: [1], include: [{x: 2}, {x: 2}, {allow-failure: perhaps, x: 3}, 7]}}
   |                                                                                                            ^

error: a matrix of 300 cells; 256 are the most
   --> matrix.yml:16:33
   |
16 |       - {name: a, image: "i:1", matrix: {x: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], y: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], z: [1, 2, 3]}}
   |                                 ^^^^^^
   = hint: leave some out by `exclude`, or split the action

error: cell `a (1)` of the matrix has no `y`
   --> matrix.yml:19:99
   |
19 |       - {name: a, image: "i:@x@", matrix: {x: [1, 2], include: [{x: 3, y: 1}]}, environments: {Y: "@y@", Z: "@z@", A B: "@x@"}}
   |                                                                                                   ^^^^^
   = hint: give it one in `include`

error: cell `a (2)` of the matrix has no `y`
   --> matrix.yml:19:99
   |
19 |       - {name: a, image: "i:@x@", matrix: {x: [1, 2], include: [{x: 3, y: 1}]}, environments: {Y: "@y@", Z: "@z@", A B: "@x@"}}
   |                                                                                                   ^^^^^
   = hint: give it one in `include`

error: no variable is named `z`
   --> matrix.yml:19:109
   |
19 |       - {name: a, image: "i:@x@", matrix: {x: [1, 2], include: [{x: 3, y: 1}]}, environments: {Y: "@y@", Z: "@z@", A B: "@x@"}}
   |                                                                                                             ^^^^^
   = hint: add `z` to the flow's `variables`

error: `A B` is no variable's name
   --> matrix.yml:19:116
   |
19 |       - {name: a, image: "i:@x@", matrix: {x: [1, 2], include: [{x: 3, y: 1}]}, environments: {Y: "@y@", Z: "@z@", A B: "@x@"}}
   |                                                                                                                    ^^^
   = hint: letters, digits and `_`, not beginning with a digit

error: no variable is named `x`
   --> matrix.yml:20:16
   |
20 |       - {name: "b-@x@", image: "i:@x@", matrix: {x: [1, 2]}}
   |                ^^^^^^^
   = hint: a matrix' values belong to its action, and cannot be a part of its name

error: no variable is named `x`
   --> matrix.yml:22:12
   |
22 |     title: On @x@
   |            ^^^^^^
   = hint: a matrix' values belong to its action, and cannot be a part of its name

error: `i:!` is no image
   --> matrix.yml:24:12
   |
24 |     image: "i:@x@"
   |            ^^^^^^^
   = hint: an image is written registry/repository:tag

error: `i:?` is no image
   --> matrix.yml:24:12
   |
24 |     image: "i:@x@"
   |            ^^^^^^^
   = hint: an image is written registry/repository:tag

error: a link points to an earlier job
   --> matrix.yml:29:86
   |
29 |       - {name: c, image: "i:@x@", matrix: {x: [1, 2]}, outputs: [K], subscriptions: {"linked.c(@x@).c[K]": A, "linked.c(2).c[K]": B}}
   |                                                                                      ^^^^^^^^^^^^^^^^^^^^

error: the cells of a matrix run at once
   --> matrix.yml:29:111
   |
29 |       - {name: c, image: "i:@x@", matrix: {x: [1, 2]}, outputs: [K], subscriptions: {"linked.c(@x@).c[K]": A, "linked.c(2).c[K]": B}}
   |                                                                                                               ^^^^^^^^^^^^^^^^^^
   = hint: use two stages

error: a link points to an earlier job
   --> matrix.yml:29:111
   |
29 |       - {name: c, image: "i:@x@", matrix: {x: [1, 2]}, outputs: [K], subscriptions: {"linked.c(@x@).c[K]": A, "linked.c(2).c[K]": B}}
   |                                                                                                               ^^^^^^^^^^^^^^^^^^

error: action `a` is a matrix, of which one cell is meant
   --> matrix.yml:33:50
   |
33 |       - {name: a, image: "i:1", subscriptions: [{"linked.a.a[K]": A}, {"linked.a(3).a[K]": B}, {"linked.b(1).b[K]": C}]}
   |                                                  ^^^^^^^^^^^^^^^
   = hint: write one of `a(1)`, `a(2)`

error: matrix `a` has no cell `3`
   --> matrix.yml:33:72
   |
33 |       - {name: a, image: "i:1", subscriptions: [{"linked.a.a[K]": A}, {"linked.a(3).a[K]": B}, {"linked.b(1).b[K]": C}]}
   |                                                                        ^^^^^^^^^^^^^^^^^^
   = hint: write one of `a(1)`, `a(2)`

error: action `b` is no matrix
   --> matrix.yml:33:97
   |
33 |       - {name: a, image: "i:1", subscriptions: [{"linked.a.a[K]": A}, {"linked.a(3).a[K]": B}, {"linked.b(1).b[K]": C}]}
   |                                                                                                 ^^^^^^^^^^^^^^^^^^

error: `cell` needs `label`
   --> matrix.yml:36:33
   |
36 |       - {name: a, image: "i:1", cell: {of: "?", values: {x: 1}, lable: x}}
   |                                 ^^^^

error: `?` is no name: 1 to 63 of letters, digits, `-` and `_`
   --> matrix.yml:36:44
   |
36 |       - {name: a, image: "i:1", cell: {of: "?", values: {x: 1}, lable: x}}
   |                                            ^^^

error: unknown key `lable` in `cell`
   --> matrix.yml:36:65
   |
36 |       - {name: a, image: "i:1", cell: {of: "?", values: {x: 1}, lable: x}}
   |                                                                 ^^^^^
   = hint: did you mean `label`?

error: `cell` is a map of keys and values; this is a text
   --> matrix.yml:37:39
   |
37 |       - {name: b, image: "i:1", cell: b}
   |                                       ^

error: `cell` needs `of`
   --> matrix.yml:38:33
   |
38 |       - {name: c, image: "i:1", cell: {of: [a], label: [b], values: [c]}}
   |                                 ^^^^

error: `cell` needs `label`
   --> matrix.yml:38:33
   |
38 |       - {name: c, image: "i:1", cell: {of: [a], label: [b], values: [c]}}
   |                                 ^^^^

error: `of` is a text; this is a list
   --> matrix.yml:38:44
   |
38 |       - {name: c, image: "i:1", cell: {of: [a], label: [b], values: [c]}}
   |                                            ^

error: `label` is a text; this is a list
   --> matrix.yml:38:56
   |
38 |       - {name: c, image: "i:1", cell: {of: [a], label: [b], values: [c]}}
   |                                                        ^

error: `values` is a map of names and texts; this is a list
   --> matrix.yml:38:69
   |
38 |       - {name: c, image: "i:1", cell: {of: [a], label: [b], values: [c]}}
   |                                                                     ^
"#);
}
