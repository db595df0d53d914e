//! What is wrong with caches, artifacts and checkouts.

use insta::assert_snapshot;

use super::mistakes;

#[test]
fn what_is_left_and_taken() {
    assert_snapshot!(mistakes("artifacts"), @r#"
error: `/etc/passwd` is not in the workspace
  --> artifacts.yml:6:29
  |
6 |       - {name: bin, paths: [/etc/passwd, ../up, "", "~/x", "!not", "a[b"]}
  |                             ^^^^^^^^^^^
  = hint: paths are given from the workspace on, without `..`

error: `../up` is not in the workspace
  --> artifacts.yml:6:42
  |
6 |       - {name: bin, paths: [/etc/passwd, ../up, "", "~/x", "!not", "a[b"]}
  |                                          ^^^^^
  = hint: paths are given from the workspace on, without `..`

error: `` is no path: 1 to 1024 bytes, none of them a control character
  --> artifacts.yml:6:49
  |
6 |       - {name: bin, paths: [/etc/passwd, ../up, "", "~/x", "!not", "a[b"]}
  |                                                 ^^

error: `~/x` is not in the workspace
  --> artifacts.yml:6:53
  |
6 |       - {name: bin, paths: [/etc/passwd, ../up, "", "~/x", "!not", "a[b"]}
  |                                                     ^^^^^
  = hint: paths are given from the workspace on, without `..`

error: patterns cannot be negated
  --> artifacts.yml:6:60
  |
6 |       - {name: bin, paths: [/etc/passwd, ../up, "", "~/x", "!not", "a[b"]}
  |                                                            ^^^^^^
  = hint: name what should match

error: `a[b` is no pattern: unclosed character class; missing ']'
  --> artifacts.yml:6:68
  |
6 |       - {name: bin, paths: [/etc/passwd, ../up, "", "~/x", "!not", "a[b"]}
  |                                                                    ^^^^^
  = hint: `\` before a character takes it as it is

error: an artifact needs `paths`, or `from` to take one of another job
  --> artifacts.yml:7:9
  |
7 |       - {name: bin, path: x}
  |         ^^^^

error: `bin` is already the name of another artifact of this job
  --> artifacts.yml:7:16
  |
7 |       - {name: bin, path: x}
  |                ^^^

error: unknown key `path` in an artifact
  --> artifacts.yml:7:21
  |
7 |       - {name: bin, path: x}
  |                     ^^^^
  = hint: did you mean `paths`?

error: `b/d` is no name: 1 to 63 of letters, digits, `-` and `_`
  --> artifacts.yml:8:16
  |
8 |       - {name: b/d, paths: [], on: sometimes, keep: 500d, to: x}
  |                ^^^
  = hint: `b-d` would do; `title` takes any text

error: `paths` is empty
  --> artifacts.yml:8:28
  |
8 |       - {name: b/d, paths: [], on: sometimes, keep: 500d, to: x}
  |                            ^

error: `on` is success or failure or always; `sometimes` is none of them
  --> artifacts.yml:8:36
  |
8 |       - {name: b/d, paths: [], on: sometimes, keep: 500d, to: x}
  |                                    ^^^^^^^^^

error: an artifact is kept for a second at least, and 400 days at most
  --> artifacts.yml:8:53
  |
8 |       - {name: b/d, paths: [], on: sometimes, keep: 500d, to: x}
  |                                                     ^^^^

error: `to` belongs to an artifact that is taken `from` another job
  --> artifacts.yml:8:59
  |
8 |       - {name: b/d, paths: [], on: sometimes, keep: 500d, to: x}
  |                                                           ^^
  = hint: write two items

error: `soon` is no duration
  --> artifacts.yml:9:38
  |
9 |       - {name: late, paths: x, keep: soon}
  |                                      ^^^^
  = hint: write 12h, 14d, or whole seconds

error: an artifact is a map of keys and values; this is a text
   --> artifacts.yml:10:9
   |
10 |       - text
   |         ^^^^

error: job `build` has several artifacts: bin, bin, b/d, late
   --> artifacts.yml:14:65
   |
14 |       - {name: one, image: busybox, run: ls, artifacts: [{from: build}, {from: bild}, {from: build, name: binn}, {from: a.b.c.d}, {from: , name: x}]}
   |                                                                 ^^^^^
   = hint: say which by `name`

error: no stage is named `bild`
   --> artifacts.yml:14:80
   |
14 |       - {name: one, image: busybox, run: ls, artifacts: [{from: build}, {from: bild}, {from: build, name: binn}, {from: a.b.c.d}, {from: , name: x}]}
   |                                                                                ^^^^
   = hint: did you mean `build`?

error: job `build` has no artifact `binn`
   --> artifacts.yml:14:94
   |
14 |       - {name: one, image: busybox, run: ls, artifacts: [{from: build}, {from: bild}, {from: build, name: binn}, {from: a.b.c.d}, {from: , name: x}]}
   |                                                                                              ^^^^^
   = hint: did you mean `bin`?

error: `a.b.c.d` does not name a job
   --> artifacts.yml:14:121
   |
14 |       - {name: one, image: busybox, run: ls, artifacts: [{from: build}, {from: bild}, {from: build, name: binn}, {from: a.b.c.d}, {from: , name: x}]}
   |                                                                                                                         ^^^^^^^
   = hint: write stage.action.job; of an only action or job the name may be left out

error: the actions of stage `ship` run in parallel
   --> artifacts.yml:15:65
   |
15 |       - {name: two, image: busybox, run: ls, artifacts: [{from: ship.one}, {from: build, name: bin, paths: x, to: /abs}]}
   |                                                                 ^^^^^^^^
   = hint: write `sequencing: sequence`, or use two stages

error: `paths` belongs to an artifact that this job leaves; `from` takes one of another
   --> artifacts.yml:15:101
   |
15 |       - {name: two, image: busybox, run: ls, artifacts: [{from: ship.one}, {from: build, name: bin, paths: x, to: /abs}]}
   |                                                                                                     ^^^^^
   = hint: write two items

error: `/abs` is not in the workspace
   --> artifacts.yml:15:115
   |
15 |       - {name: two, image: busybox, run: ls, artifacts: [{from: ship.one}, {from: build, name: bin, paths: x, to: /abs}]}
   |                                                                                                                   ^^^^
   = hint: paths are given from the workspace on, without `..`

error: an artifact is a map of keys and values; this is a text
   --> artifacts.yml:16:54
   |
16 |   - {name: last, image: busybox, run: ls, artifacts: text}
   |                                                      ^^^^
"#);
}

#[test]
fn caches_and_checkouts() {
    assert_snapshot!(mistakes("cache"), @r#"
error: `../Cargo.lock` is not in the workspace
  --> cache.yml:6:31
  |
6 |       - {name: a, key-files: ["../Cargo.lock", "a[b"], paths: ["~", "/", ., ~/../x, "target/*", ""]}
  |                               ^^^^^^^^^^^^^^^
  = hint: paths are given from the workspace on, without `..`

error: `a[b` is no pattern: unclosed character class; missing ']'
  --> cache.yml:6:48
  |
6 |       - {name: a, key-files: ["../Cargo.lock", "a[b"], paths: ["~", "/", ., ~/../x, "target/*", ""]}
  |                                                ^^^^^
  = hint: `\` before a character takes it as it is

error: `~` is not in the workspace
  --> cache.yml:6:64
  |
6 |       - {name: a, key-files: ["../Cargo.lock", "a[b"], paths: ["~", "/", ., ~/../x, "target/*", ""]}
  |                                                                ^^^
  = hint: paths are given from the workspace on, without `..`

error: `` is no path: 1 to 1024 bytes, none of them a control character
  --> cache.yml:6:69
  |
6 |       - {name: a, key-files: ["../Cargo.lock", "a[b"], paths: ["~", "/", ., ~/../x, "target/*", ""]}
  |                                                                     ^^^

error: `/` is too much for a cache
  --> cache.yml:6:69
  |
6 |       - {name: a, key-files: ["../Cargo.lock", "a[b"], paths: ["~", "/", ., ~/../x, "target/*", ""]}
  |                                                                     ^^^
  = hint: name the directories in it that are worth it

error: `.` is too much for a cache
  --> cache.yml:6:74
  |
6 |       - {name: a, key-files: ["../Cargo.lock", "a[b"], paths: ["~", "/", ., ~/../x, "target/*", ""]}
  |                                                                          ^
  = hint: name the directories in it that are worth it

error: `../x` is not in the workspace
  --> cache.yml:6:77
  |
6 |       - {name: a, key-files: ["../Cargo.lock", "a[b"], paths: ["~", "/", ., ~/../x, "target/*", ""]}
  |                                                                             ^^^^^^
  = hint: paths are given from the workspace on, without `..`

error: `target/*` is a pattern; a cache has plain paths
  --> cache.yml:6:85
  |
6 |       - {name: a, key-files: ["../Cargo.lock", "a[b"], paths: ["~", "/", ., ~/../x, "target/*", ""]}
  |                                                                                     ^^^^^^^^^^
  = hint: name the directory

error: `` is no path: 1 to 1024 bytes, none of them a control character
  --> cache.yml:6:97
  |
6 |       - {name: a, key-files: ["../Cargo.lock", "a[b"], paths: ["~", "/", ., ~/../x, "target/*", ""]}
  |                                                                                                 ^^

error: `a` is already the name of another cache of this action
  --> cache.yml:7:9
  |
7 |       - {name: a, paths: x}
  |         ^^^^
  = hint: give each a `name`

error: a cache needs `paths`
  --> cache.yml:8:9
  |
8 |       - {name: b, key-file: x}
  |         ^^^^

error: unknown key `key-file` in a cache
  --> cache.yml:8:19
  |
8 |       - {name: b, key-file: x}
  |                   ^^^^^^^^
  = hint: did you mean `key-files`?

error: a cache needs `paths`
  --> cache.yml:9:9
  |
9 |       - {name: "b b", paths: []}
  |         ^^^^

error: `b b` is no name: 1 to 63 of letters, digits, `-` and `_`
  --> cache.yml:9:16
  |
9 |       - {name: "b b", paths: []}
  |                ^^^^^
  = hint: `b-b` would do; `title` takes any text

error: a cache is a map of keys and values; this is a text
   --> cache.yml:10:9
   |
10 |       - text
   |         ^^^^

error: `a..b` is no branch, tag or commit
   --> cache.yml:11:21
   |
11 |     checkout: {ref: "a..b", depth: -1, submodules: all, lfs: maybe, deep: 1}
   |                     ^^^^^^
   = hint: `head` is a pull request's head; or name a branch, a tag or a whole sha

error: `-1` is no depth: 0 to 100000
   --> cache.yml:11:36
   |
11 |     checkout: {ref: "a..b", depth: -1, submodules: all, lfs: maybe, deep: 1}
   |                                    ^^
   = hint: a number of commits; `0` means all of the history, with tags

error: `submodules` is true or false or recursive; `all` is none of them
   --> cache.yml:11:52
   |
11 |     checkout: {ref: "a..b", depth: -1, submodules: all, lfs: maybe, deep: 1}
   |                                                    ^^^

error: `lfs` is true or false; `maybe` is none of them
   --> cache.yml:11:62
   |
11 |     checkout: {ref: "a..b", depth: -1, submodules: all, lfs: maybe, deep: 1}
   |                                                              ^^^^^

error: unknown key `deep` in `checkout`
   --> cache.yml:11:69
   |
11 |     checkout: {ref: "a..b", depth: -1, submodules: all, lfs: maybe, deep: 1}
   |                                                                     ^^^^

error: `checkout` is true, false or a map; `maybe` is none of them
   --> cache.yml:12:53
   |
12 |   - {name: more, image: busybox, run: ls, checkout: maybe}
   |                                                     ^^^^^
   = hint: for example `checkout: {depth: 0}`

error: a cache is a map of keys and values; this is a text
   --> cache.yml:13:50
   |
13 |   - {name: last, image: busybox, run: ls, cache: text}
   |                                                  ^^^^
"#);
}
