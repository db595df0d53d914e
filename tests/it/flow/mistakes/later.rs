//! What the language has and does not run yet.

use insta::assert_snapshot;

use super::mistakes;

#[test]
fn what_does_not_run_yet_is_refused_by_name() {
    assert_snapshot!(mistakes("not-yet"), @r#"
error: `namespace` is not supported yet
  --> not-yet.yml:1:1
  |
1 | namespace: shop
  | ^^^^^^^^^
  = hint: remove it

error: `receivers` is not supported yet
  --> not-yet.yml:2:1
  |
2 | receivers: []
  | ^^^^^^^^^
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
