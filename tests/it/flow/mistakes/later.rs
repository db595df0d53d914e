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

error: `secrets` is not supported yet
   --> not-yet.yml:12:5
   |
12 |     secrets: [TOKEN]
   |     ^^^^^^^
   = hint: remove it

error: `type: kubectl` is not supported yet
   --> not-yet.yml:15:29
   |
15 |       - {name: apply, type: kubectl, kubectl: app.yaml, namespace: shop, wait: 5m}
   |                             ^^^^^^^
   = hint: remove the job

error: `kubectl` is not supported yet
   --> not-yet.yml:15:38
   |
15 |       - {name: apply, type: kubectl, kubectl: app.yaml, namespace: shop, wait: 5m}
   |                                      ^^^^^^^
   = hint: remove it

error: `namespace` is not supported yet
   --> not-yet.yml:15:57
   |
15 |       - {name: apply, type: kubectl, kubectl: app.yaml, namespace: shop, wait: 5m}
   |                                                         ^^^^^^^^^
   = hint: remove it

error: `wait` is not supported yet
   --> not-yet.yml:15:74
   |
15 |       - {name: apply, type: kubectl, kubectl: app.yaml, namespace: shop, wait: 5m}
   |                                                                          ^^^^
   = hint: remove it

error: `kubectl` is not supported yet
   --> not-yet.yml:16:22
   |
16 |       - {name: more, kubectl: app.yaml}
   |                      ^^^^^^^
   = hint: remove it
"#);
}
